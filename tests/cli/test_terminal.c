/* What tread train shows on a terminal. Skipped, as meson understands it, where no pseudo-terminal can be had: a bare
 * root without /dev/pts. */
#include <pty.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/cli/command.h"
#include "tests/engine/files.h"
#include "tests/test.h"

#define SKIPPED 77

/* Reads a pseudo-terminal to its end. */
static void read_terminal(int fd, char *ret_text, size_t size) {
    size_t used = 0;
    ssize_t n;
    while (used + 1 < size && (n = read(fd, ret_text + used, size - 1 - used)) > 0)
        used += (size_t)n;
    ret_text[used] = '\0';
}

START_TEST(a_terminal_gets_a_line_that_is_rewritten) {
    test_folder_create();
    test_write_mnist(300, 70, 6, 6, 4, false);
    char data[512], text[65536];
    int fd, status;
    snprintf(data, sizeof data, "--data=%s", test_path("."));
    struct winsize narrow = {.ws_row = 24, .ws_col = 40};
    pid_t child = forkpty(&fd, NULL, NULL, &narrow);
    ck_assert_int_ge(child, 0);
    if (child == 0) {
        execl(getenv("TREAD_COMMAND"), "tread", "train", data, "--hidden=16", "--epochs=2", (char *)NULL);
        _exit(127);
    }
    read_terminal(fd, text, sizeof text);
    close(fd);
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0, "%s", text);
    char *line = strstr(text, "\repoch 1/2");
    ck_assert_msg(line != NULL, "%s", text);
    char *end = strstr(line, "\033[K");
    ck_assert_ptr_nonnull(end);
    ck_assert_int_le(end - line - 1, 39); /* cut to the terminal's width */
    command_must_contain(text, "\r\033[Kepoch 1 ", "the line is cleared before the epoch's");
    test_folder_remove();
}
END_TEST

TEST_SUITE("terminal", a_terminal_gets_a_line_that_is_rewritten)

int main(void) {
    int master, slave;
    if (openpty(&master, &slave, NULL, NULL, NULL) != 0) {
        perror("no pseudo-terminal to test with");
        return SKIPPED;
    }
    close(master);
    close(slave);
    return run_suite();
}
