/* Layer: cli. Optimizer and scheduler specs, judged before the data is read. */
#ifndef TREAD_CLI_SPECS_H
#define TREAD_CLI_SPECS_H

#include "cli/options.h"

/* Whether a scheduler needs functions, which no spec string can give. */
bool cli_scheduler_needs_functions(size_t type);

/* Whether spec begins with the name of a scheduler; complains otherwise. where: what the complaint begins with. */
bool cli_check_scheduler_name(const cli_command *command, const char *where, const char *spec);

/* Whether spec is one of an optimizer; complains otherwise. where: as above. */
bool cli_check_optimizer(const cli_command *command, const char *where, const char *spec);

/* False where one is refused; the reason is on standard error then. scheduler may be NULL; whether its lists fit the
 * number of groups is not judged. */
bool cli_check_specs(const cli_command *command, const char *optimizer, const char *scheduler);

#endif
