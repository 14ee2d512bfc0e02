/* Layer: cli. Help texts, made from the tables of options and of the library. */
#ifndef TREAD_CLI_HELP_H
#define TREAD_CLI_HELP_H

#include "cli/options.h"

void cli_print_help(const cli_command *command);

/* The optimizers and schedulers with their fields, or the schedulers alone: names, then what is common to all, then
 * each. */
void cli_print_algorithms(void);
void cli_print_schedulers(void);

/* One of them with all its fields; false where the name is none, which is complained of. */
bool cli_print_algorithm(const cli_command *command, const char *name);
bool cli_print_scheduler(const cli_command *command, const char *name);
bool cli_is_algorithm(const char *name);

#endif
