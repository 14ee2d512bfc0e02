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

extern const char *const cli_every_names[]; /* by tread_schedule_every */

/* What the options say of the scheduler. */
bool cli_train_has_scheduler(const train_options *options);
tread_schedule_every cli_train_schedule_every(const train_options *options);

/* What makes the run what it is, by option: it goes into checkpoints, and a run that goes on must have the same. NULL:
 * TREAD_ERROR_MEMORY. */
tread_state *cli_train_program(const train_options *options);

#endif
