/* Layer: cli. The options of train, for those of its files that read them. */
#ifndef TREAD_CLI_TRAIN_OPTIONS_H
#define TREAD_CLI_TRAIN_OPTIONS_H

#include "cli/checkpoints.h"
#include "cli/groups.h"
#include "cli/run_options.h"
#include "cli/setup.h"

typedef struct train_options {
    cli_setup_options setup;
    int64_t epochs;
    const char *optimizer;
    cli_groups_options groups;
    const char *scheduler; /* NULL: a cosine over the whole run, or none */
    int schedule_every;    /* tread_schedule_every; -1: not given */
    cli_run_options run;
    cli_checkpoint_options checkpoint;
    const char *log;
    const char *weights;
} train_options;

/* The entries of a training in a subcommand's table; at: where its options struct has a train_options, as in `train.`,
 * or nothing where it is one. */
#define CLI_TRAINING_OPTIONS(type, at)                                                                                 \
    CLI_SETUP_OPTIONS(type, at setup),                                                                                 \
        {.name = "batch-size",                                                                                         \
         .value = "N",                                                                                                 \
         .initial = "128",                                                                                             \
         .doc = "samples per step",                                                                                    \
         .kind = CLI_INTEGER,                                                                                          \
         .offset = offsetof(type, at setup.batch_size),                                                                \
         .low = 1,                                                                                                     \
         .high = INT32_MAX},                                                                                           \
        {.name = "optimizer",                                                                                          \
         .value = "NAME[:key=value,...]",                                                                              \
         .initial = "adam:lr=1e-3",                                                                                    \
         .doc = "see below",                                                                                           \
         .kind = CLI_TEXT,                                                                                             \
         .offset = offsetof(type, at optimizer)},                                                                      \
        CLI_GROUPS_OPTIONS(type, at groups),                                                                           \
        {.name = "scheduler",                                                                                          \
         .value = "NAME[:key=value,...]",                                                                              \
         .doc = "see below; none: the lr stays\n[cosine_decay_lr to 0 over the whole run, step by step;\n"             \
                "none with schedule_free optimizers]",                                                                 \
         .kind = CLI_TEXT,                                                                                             \
         .offset = offsetof(type, at scheduler)},                                                                      \
        {.name = "schedule-every",                                                                                     \
         .value = "WHAT",                                                                                              \
         .doc = "what --scheduler counts [epoch]",                                                                     \
         .kind = CLI_CHOICE,                                                                                           \
         .offset = offsetof(type, at schedule_every),                                                                  \
         .names = cli_every_names},                                                                                    \
        {.name = "seed",                                                                                               \
         .value = "N",                                                                                                 \
         .initial = "0",                                                                                               \
         .doc = "of initial weights, order of samples and --validation; the same\n"                                    \
                "seed gives the same bits, whatever the number of threads",                                            \
         .kind = CLI_INTEGER,                                                                                          \
         .offset = offsetof(type, at setup.seed),                                                                      \
         .low = 0,                                                                                                     \
         .high = INT64_MAX},                                                                                           \
        CLI_STEP_OPTIONS(type, at run)

extern const char *const cli_every_names[]; /* by tread_schedule_every */

/* What the options say of the scheduler. */
bool cli_train_has_scheduler(const train_options *options);
tread_schedule_every cli_train_schedule_every(const train_options *options);

/* What makes the run what it is, by option: it goes into checkpoints, and a run that goes on must have the same. NULL:
 * TREAD_ERROR_MEMORY. */
tread_state *cli_train_program(const train_options *options);

#endif
