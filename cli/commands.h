/* Layer: cli. The subcommands; main.c lists them. */
#ifndef TREAD_CLI_COMMANDS_H
#define TREAD_CLI_COMMANDS_H

#include "cli/options.h"

extern const cli_command cli_train;
extern const cli_command cli_eval;
extern const cli_command cli_predict;
extern const cli_command cli_plot;
extern const cli_command cli_schedule;
extern const cli_command cli_inspect;
extern const cli_command cli_diff;
extern const cli_command cli_info;
extern const cli_command cli_profile;

/* Of `tread profile`; profile.c lists them. */
extern const cli_command cli_profile_optimizer;
extern const cli_command cli_profile_train;

#endif
