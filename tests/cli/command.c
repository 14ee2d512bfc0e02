#include "tests/cli/command.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "tests/engine/files.h"

char *command_output, *command_error;

static void take(char **text, const char *name) {
    size_t n;
    free(*text);
    *text = (char *)test_read(test_path(name), &n);
}

int command_shell(const char *line) {
    const char *command = getenv("TREAD_COMMAND");
    char *whole;
    ck_assert_ptr_nonnull(command);
    ck_assert_int_gt(
        asprintf(&whole, "cd '%s' && tread='%s' && { %s\n} >out 2>err </dev/null", test_path("."), command, line), 0);
    int status = system(whole);
    free(whole);
    take(&command_output, "out");
    take(&command_error, "err");
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

int command_run(const char *arguments) {
    char *line;
    ck_assert_int_gt(asprintf(&line, "\"$tread\" %s", arguments), 0);
    int code = command_shell(line);
    free(line);
    return code;
}

void command_must_contain(const char *text, const char *part, const char *what) {
    ck_assert_msg(strstr(text, part) != NULL, "%s: \"%.2000s\" lacks \"%s\"", what, text, part);
}

void command_must_succeed(const char *arguments) {
    int code = command_run(arguments);
    ck_assert_msg(code == 0, "tread %s: exit code %d: %s", arguments, code, command_error);
}

void command_must_fail(const char *arguments, int exit_code, const char *const *parts, size_t n) {
    int code = command_run(arguments);
    ck_assert_msg(code == exit_code, "tread %s: exit code %d, not %d: %s", arguments, code, exit_code, command_error);
    ck_assert_str_eq(command_output, "");
    for (size_t i = 0; i < n && parts[i] != NULL; i++)
        command_must_contain(command_error, parts[i], arguments);
}
