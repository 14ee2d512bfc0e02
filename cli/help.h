/* Layer: cli. Help texts, made from the tables of options and of the library. */
#ifndef TREAD_CLI_HELP_H
#define TREAD_CLI_HELP_H

#include "cli/options.h"

void cli_print_help(const cli_command *command);

/* The optimizers and schedulers with their fields, or the schedulers alone. */
void cli_print_algorithms(void);
void cli_print_schedulers(void);

#endif
