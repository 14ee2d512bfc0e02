/* Layer: cli. Questions about files that a run will write, asked before it begins. */
#ifndef TREAD_CLI_PATHS_H
#define TREAD_CLI_PATHS_H

#include <stdbool.h>
#include <tread/status.h>

/* Whether a file can be made there. TREAD_ERROR_IO, TREAD_ERROR_ARGUMENT: the sentence names the option. */
tread_status cli_check_output(const char *option, const char *path);
/* Whether both name one file, which need not be there yet. */
bool cli_same_file(const char *a, const char *b);

#endif
