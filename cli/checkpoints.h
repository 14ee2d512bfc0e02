/* Layer: cli. The options of train about checkpoints: the folder, when they are written, and going on from one. */
#ifndef TREAD_CLI_CHECKPOINTS_H
#define TREAD_CLI_CHECKPOINTS_H

#include <tread/checkpoint_series.h>
#include <tread/trainer.h>

#include "cli/options.h"

typedef struct cli_checkpoint_options {
    const char *folder; /* NULL: none */
    bool resume, background;
    const char *every; /* as it was typed */
    int64_t keep;
    int64_t every_steps, every_epochs; /* what `every` says; 0: not by these */
    double every_seconds;
} cli_checkpoint_options;

/* Their entries in a subcommand's table, whose options struct has them as member. */
#define CLI_CHECKPOINT_OPTIONS(type, member)                                                                           \
    {.name = "checkpoint",                                                                                             \
     .value = "FOLDER",                                                                                                \
     .doc = "save the whole state of the run there, and at its end",                                                   \
     .kind = CLI_FILE,                                                                                                 \
     .offset = offsetof(type, member.folder)},                                                                         \
        {.name = "resume",                                                                                             \
         .doc = "go on from the newest good checkpoint of the folder, if it has any;\n"                                \
                "the other options must be those of the run",                                                          \
         .kind = CLI_SWITCH,                                                                                           \
         .offset = offsetof(type, member.resume)},                                                                     \
        {.name = "checkpoint-every",                                                                                   \
         .value = "N[s|steps|epochs]",                                                                                 \
         .initial = "1epochs",                                                                                         \
         .doc = "how often; s: seconds",                                                                               \
         .kind = CLI_TEXT,                                                                                             \
         .offset = offsetof(type, member.every)},                                                                      \
        {.name = "keep",                                                                                               \
         .value = "K",                                                                                                 \
         .initial = "3",                                                                                               \
         .doc = "newest checkpoints that stay beside the best one; 0: all",                                            \
         .kind = CLI_INTEGER,                                                                                          \
         .offset = offsetof(type, member.keep),                                                                        \
         .high = INT32_MAX},                                                                                           \
    {                                                                                                                  \
        .name = "checkpoint-background", .doc = "write them while the training goes on", .kind = CLI_SWITCH,           \
        .offset = offsetof(type, member.background)                                                                    \
    }

/* Reads `every`; complains of what does not go together. */
bool cli_checkpoints_check(const cli_command *command, cli_checkpoint_options *options);

typedef struct cli_checkpoints {
    tread_checkpoint_series *series; /* NULL: none */
    tread_state *program;            /* what the run was asked for, by option */
    int64_t step, epoch;             /* resumed from; -1: from the start */
    int64_t evaluated_step;
} cli_checkpoints;

/* Opens the folder and sets the trainer's options. program becomes the checkpoints'. */
bool cli_checkpoints_open(cli_checkpoints *checkpoints, const cli_checkpoint_options *options, tread_state *program,
                          tread_trainer_options *trainer);
/* Where the folder has a checkpoint: loads it with --resume, says from where it goes on, and refuses the folder
 * without. Errors: the library's sentence; differing options are listed as such. */
bool cli_checkpoints_resume(cli_checkpoints *checkpoints, const cli_checkpoint_options *options,
                            tread_trainer *trainer);
void cli_checkpoints_close(cli_checkpoints *checkpoints);

#endif
