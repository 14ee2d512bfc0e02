/* Layer: tests. Runs the tread command as a user would, through the shell, in the test folder (tests/engine/files.h).
 */
#ifndef TREAD_TESTS_CLI_COMMAND_H
#define TREAD_TESTS_CLI_COMMAND_H

#include <stddef.h>

/* Standard output and standard error of the last run. */
extern char *command_output, *command_error;

/* Runs a shell line in the test folder, in which $tread is the command; gives its exit code, or -1 if it was killed. */
int command_shell(const char *line);
/* Runs "tread arguments". */
int command_run(const char *arguments);

/* Both say what was asked for, and what came instead. */
void command_must_contain(const char *text, const char *part, const char *what);
void command_must_succeed(const char *arguments);
/* Ends with this exit code, prints nothing on standard output, and each of up to n parts (NULL: no more) on standard
 * error. */
void command_must_fail(const char *arguments, int exit_code, const char *const *parts, size_t n);

#endif
