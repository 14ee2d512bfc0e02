/* Layer: cli. Where the outputs of all profilers go, and what is shown while they measure. */
#ifndef TREAD_CLI_PROFILE_OUTPUT_H
#define TREAD_CLI_PROFILE_OUTPUT_H

#include <stdbool.h>
#include <stdio.h>

#include "cli/drawing.h"
#include "cli/options.h"

enum { CLI_PROFILE_TABLE, CLI_PROFILE_JSON, CLI_PROFILE_CSV };
extern const char *const cli_profile_formats[]; /* their names; ends in NULL */

/* What --plot asks for; NULL: nothing. False: misuse, which it complains of. */
bool cli_profile_plan_drawing(const cli_command *command, int format, const char *output, const char *plot,
                              cli_drawing *ret_drawing);

/* Files to be written, some of which may be NULL. Whether no two are the same one; complains. Whether each can be made,
 * which is better known before a long measurement; if not, the library's sentence. */
typedef struct cli_profile_file {
    const char *option, *path;
} cli_profile_file;
bool cli_profile_files_differ(const cli_command *command, const cli_profile_file *files, size_t n);
bool cli_profile_files_can_be_made(const cli_profile_file *files, size_t n);

/* Prints into the file, or on standard output where that is NULL. False: the library's sentence. */
typedef bool cli_profile_print(FILE *file, int format, const void *report); /* false: out of memory */
bool cli_profile_write(const char *output, int format, cli_profile_print *print, const void *report);

#endif
