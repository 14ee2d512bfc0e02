/* Layer: cli. The options of train that say how a run goes: its steps, evaluations and limits. */
#ifndef TREAD_CLI_RUN_OPTIONS_H
#define TREAD_CLI_RUN_OPTIONS_H

#include <float.h>
#include <tread/trainer.h>

#include "cli/options.h"

typedef struct cli_run_options {
    int64_t accumulate;
    double clip_norm, clip_value; /* 0: not given */
    int nonfinite, monitor;
    int64_t early_stop; /* -1: not given */
    double min_delta, ema, max_time;
    int64_t max_steps, evaluate_steps;
    double target_metric;
    bool has_target;
    const char *target_text; /* NULL: not given */
} cli_run_options;
#define CLI_RUN_UNSET                                                                                                  \
    { .early_stop = -1 }

/* Their entries in a subcommand's table, whose options struct has them as member: of its steps, and of its end. */
#define CLI_STEP_OPTIONS(type, member)                                                                                 \
    {.name = "accumulate",                                                                                             \
     .value = "N",                                                                                                     \
     .initial = "1",                                                                                                   \
     .doc = "batches per step, whose samples count as those of one batch",                                             \
     .kind = CLI_INTEGER,                                                                                              \
     .offset = offsetof(type, member.accumulate),                                                                      \
     .low = 1,                                                                                                         \
     .high = 1 << 20},                                                                                                 \
        {.name = "clip-norm",                                                                                          \
         .value = "X",                                                                                                 \
         .doc = "limit of the 2-norm of all gradients together; 0: none",                                              \
         .kind = CLI_REAL,                                                                                             \
         .offset = offsetof(type, member.clip_norm),                                                                   \
         .high_real = DBL_MAX},                                                                                        \
        {.name = "clip-value",                                                                                         \
         .value = "X",                                                                                                 \
         .doc = "limit of the magnitude of each gradient's entries; 0: none",                                          \
         .kind = CLI_REAL,                                                                                             \
         .offset = offsetof(type, member.clip_value),                                                                  \
         .high_real = DBL_MAX},                                                                                        \
        {.name = "ema",                                                                                                \
         .value = "DECAY",                                                                                             \
         .doc = "evaluate and write averages of the weights: after each step\n"                                        \
                "average = DECAY average + (1 - DECAY) weights; 0: none",                                              \
         .kind = CLI_REAL,                                                                                             \
         .offset = offsetof(type, member.ema),                                                                         \
         .high_real = 1},                                                                                              \
        {.name = "nonfinite",                                                                                          \
         .value = "WHAT",                                                                                              \
         .initial = "error",                                                                                           \
         .doc = "what to do with a step whose loss or gradient is not finite",                                         \
         .kind = CLI_CHOICE,                                                                                           \
         .offset = offsetof(type, member.nonfinite),                                                                   \
         .names = cli_nonfinite_names},                                                                                \
    {                                                                                                                  \
        .name = "evaluate-every", .value = "N",                                                                        \
        .doc = "evaluate on the test set every so many steps, too; 0: by epochs alone", .kind = CLI_INTEGER,           \
        .offset = offsetof(type, member.evaluate_steps), .high = INT32_MAX                                             \
    }

#define CLI_LIMIT_OPTIONS(type, member)                                                                                \
    {.name = "monitor",                                                                                                \
     .value = "WHAT",                                                                                                  \
     .initial = "loss",                                                                                                \
     .doc = "by which evaluations are compared",                                                                       \
     .kind = CLI_CHOICE,                                                                                               \
     .offset = offsetof(type, member.monitor),                                                                         \
     .names = cli_monitor_names},                                                                                      \
        {.name = "early-stop",                                                                                         \
         .value = "PATIENCE",                                                                                          \
         .doc = "end after so many evaluations in a row that are no better,\nand take the weights of the best one",    \
         .kind = CLI_INTEGER,                                                                                          \
         .offset = offsetof(type, member.early_stop),                                                                  \
         .high = INT32_MAX},                                                                                           \
        {.name = "min-delta",                                                                                          \
         .value = "X",                                                                                                 \
         .doc = "better means by more than this",                                                                      \
         .kind = CLI_REAL,                                                                                             \
         .offset = offsetof(type, member.min_delta),                                                                   \
         .high_real = DBL_MAX},                                                                                        \
        {.name = "target-metric",                                                                                      \
         .value = "X",                                                                                                 \
         .doc = "end when the test accuracy, of a regression the loss, is as good",                                    \
         .kind = CLI_TEXT,                                                                                             \
         .offset = offsetof(type, member.target_text)},                                                                \
        {.name = "max-steps",                                                                                          \
         .value = "N",                                                                                                 \
         .doc = "end after so many steps in all; 0: no limit",                                                         \
         .kind = CLI_INTEGER,                                                                                          \
         .offset = offsetof(type, member.max_steps),                                                                   \
         .high = INT64_MAX},                                                                                           \
    {                                                                                                                  \
        .name = "max-time", .value = "SECONDS", .doc = "end after so many seconds of this command; 0: no limit",       \
        .kind = CLI_REAL, .offset = offsetof(type, member.max_time), .high_real = DBL_MAX                              \
    }

extern const char *const cli_nonfinite_names[]; /* by tread_on_nonfinite */
extern const char *const cli_monitor_names[];   /* by tread_monitor */

/* What the table cannot check; complains. */
bool cli_run_check(const cli_command *command, cli_run_options *options);
void cli_run_apply(const cli_run_options *options, tread_trainer_options *trainer);

#endif
