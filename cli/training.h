/* Layer: cli. What train and profile train share: everything of a run up to the trainer's options. */
#ifndef TREAD_CLI_TRAINING_H
#define TREAD_CLI_TRAINING_H

#include "cli/train_options.h"

typedef struct cli_training {
    const train_options *options; /* set by the caller, the rest zeroed */
    cli_groups groups;
    cli_setup setup;
    tread_batches *train, *test;
    tread_optimizer *optimizer;
    tread_lr_scheduler *scheduler;
    tread_trainer_options trainer; /* with all of these, and what the options say */
    const char *misused;           /* the option that does not fit the model, where open fails for that */
} cli_training;

/* What the table cannot check; complains. */
bool cli_training_check(const cli_command *command, const train_options *options);
/* The context, and what can be judged before the data is read. A cli_exit; complains. */
int cli_training_begin(const cli_command *command, cli_training *training);
/* The rest. Errors: the library's sentence. */
bool cli_training_open(cli_training *training);
/* Complains of what open or a run failed with; gives the cli_exit. */
int cli_training_fail(const cli_command *command, const cli_training *training);
void cli_training_close(cli_training *training);

const char *cli_training_backend(const cli_training *training);
/* "cosine_decay_lr over the run" */
const char *cli_training_scheduler(const cli_training *training);

#endif
