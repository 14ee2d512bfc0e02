/* What is shown on a terminal. Skipped, as meson understands it, where no pseudo-terminal can be had: a bare
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

static char text[1 << 18]; /* what the command showed */

/* Runs it on a terminal of so many columns; arguments end in NULL. */
static void run(unsigned short columns, const char *const *arguments) {
    int fd, status;
    struct winsize narrow = {.ws_row = 24, .ws_col = columns};
    pid_t child = forkpty(&fd, NULL, NULL, &narrow);
    ck_assert_int_ge(child, 0);
    if (child == 0) {
        execv(getenv("TREAD_COMMAND"), (char *const *)arguments); /* it does not change them */
        _exit(127);
    }
    read_terminal(fd, text, sizeof text);
    close(fd);
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0, "%s", text);
}

/* There is a line that begins so, and none of them is wider. */
static void must_have_line(const char *begin, int widest) {
    const char *line = strstr(text, begin);
    ck_assert_msg(line != NULL, "%s: %s", begin, text);
    for (; line != NULL; line = strstr(line + 1, begin)) {
        const char *end = strstr(line, "\033[K");
        ck_assert_msg(end != NULL && end - line - 1 <= widest, "%s", line);
    }
}

START_TEST(a_terminal_gets_a_line_that_is_rewritten) {
    test_folder_create();
    test_write_mnist(300, 70, 6, 6, 4, false);
    char data[512];
    snprintf(data, sizeof data, "--data=%s", test_path("."));
    run(40, (const char *[]){"tread", "train", data, "--hidden=16", "--epochs=2", NULL});
    must_have_line("\repoch 1/2", 39);
    command_must_contain(text, "\r\033[Kepoch 1 ", "the line is cleared before the epoch's");
    test_folder_remove();
}
END_TEST

START_TEST(profilers_show_how_far_they_are) {
    test_folder_create();
    test_write_mnist(300, 70, 6, 6, 4, false);
    char data[512];
    snprintf(data, sizeof data, "--data=%s", test_path("."));
    run(20, (const char *[]){"tread", "profile", "optimizer", "--optimizers=sgd", "--threads=1", "--rounds=2",
                             "--layouts=big:4096", NULL});
    must_have_line("\r0 s  layout 1/1", 19);
    command_must_contain(text, "\r\033[Kmachine ", "the line is cleared before the table");
    run(15, (const char *[]){"tread", "profile", "train", data, "--hidden=8", "--steps=40", NULL});
    must_have_line("\rmeasuring", 14);
    command_must_contain(text, " s  step ", "steps");
    command_must_contain(text, "\r\033[Kmachine ", "the line is cleared before the table");
    test_folder_remove();
}
END_TEST

TEST_SUITE("terminal", a_terminal_gets_a_line_that_is_rewritten, profilers_show_how_far_they_are)

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
