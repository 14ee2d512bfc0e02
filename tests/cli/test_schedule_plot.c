/* What tread schedule has gnuplot draw. Skipped, as meson understands it, where there is no gnuplot. */
#include <pty.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/cli/command.h"
#include "tests/engine/files.h"
#include "tests/test.h"

#define SKIPPED 77
#define COSINE "schedule cosine_decay_lr:decay_steps=100 "

static uint32_t big_endian(const uint8_t *at) {
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

START_TEST(a_png_is_one) {
    test_folder_create();
    command_must_succeed(COSINE "--plot 'the curve.png'");
    command_must_contain(command_output, "\nwrote  the curve.png\n", "said");
    command_must_contain(command_output, "    step            lr\n", "the table too");
    size_t n;
    uint8_t *png = test_read(test_path("the curve.png"), &n);
    ck_assert_uint_gt(n, 1000);
    ck_assert_mem_eq(png, "\x89PNG\r\n\x1a\n", 8);
    ck_assert_mem_eq(png + 12, "IHDR", 4);
    ck_assert_uint_eq(big_endian(png + 16), 960);
    ck_assert_uint_eq(big_endian(png + 20), 540);
    ck_assert_mem_eq(png + n - 8, "IEND", 4); /* whole */
    free(png);
    /* Another curve is another picture; csv says nothing of the file. */
    command_must_succeed("schedule step_lr:step_size=9 --format csv --plot another.png");
    ck_assert_ptr_null(strstr(command_output, "wrote"));
    ck_assert_int_eq(command_shell("cmp -s 'the curve.png' another.png"), 1);
    test_folder_remove();
}
END_TEST

START_TEST(an_svg_is_well_formed) {
    test_folder_create();
    command_must_succeed(COSINE "--plot curve.svg");
    ck_assert_msg(command_shell("python3 -c 'import xml.etree.ElementTree as tree\n"
                                "print(tree.parse(\"curve.svg\").getroot().tag)'") == 0,
                  "%s", command_error);
    command_must_contain(command_output, "svg", "root");
    size_t n;
    char *svg = (char *)test_read(test_path("curve.svg"), &n);
    command_must_contain(svg, "cosine_decay_lr:decay_steps=100", "title");
    free(svg);
    test_folder_remove();
}
END_TEST

START_TEST(a_terminal_gets_letters) {
    test_folder_create();
    command_must_succeed(COSINE "--plot terminal");
    ck_assert_ptr_nonnull(strstr(command_output, "    step            lr\n"));
    command_must_contain(command_output, "cosine_decay_lr:decay_steps=100  ", "title"); /* not that of the table */
    command_must_contain(command_output, "****", "curve");
    command_must_contain(command_output, "-----+", "frame");
    /* Curves with nothing to see are drawn too. */
    command_must_succeed(COSINE "--plot terminal --base-lr 0");
    command_must_contain(command_output, "*****", "zeros");
    command_must_succeed(COSINE "--plot terminal --steps 1");
    command_must_succeed(COSINE "--plot terminal --steps 100000 --base-lr 1e38");
    command_must_contain(command_output, "*****", "long");
    /* A title that has no room is the name alone. */
    command_must_succeed("schedule 'sequential_lr:schedulers=[linear_lr:total_iters=5]/[cosine_annealing_lr:T_max=95],"
                         "milestones=5' --plot terminal");
    command_must_contain(command_output, "  sequential_lr  ", "title");
    test_folder_remove();
}
END_TEST

/* What the command writes on a terminal of so many columns. */
static int run_on_terminal(char *const arguments[], int columns, char *ret_text, size_t size) {
    int fd, status;
    size_t used = 0;
    ssize_t n;
    struct winsize window = {.ws_row = 24, .ws_col = (unsigned short)columns};
    pid_t child = forkpty(&fd, NULL, NULL, &window);
    ck_assert_int_ge(child, 0);
    if (child == 0) {
        execv(getenv("TREAD_COMMAND"), arguments);
        _exit(127);
    }
    while (used + 1 < size && (n = read(fd, ret_text + used, size - 1 - used)) > 0)
        used += (size_t)n;
    ret_text[used] = '\0';
    close(fd);
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

START_TEST(on_a_terminal_the_curve_is_drawn_unasked) {
    int master, slave;
    if (openpty(&master, &slave, NULL, NULL, NULL) != 0)
        return; /* a bare root without /dev/pts */
    close(master);
    close(slave);
    static char text[65536], t[] = "tread", s[] = "schedule", spec[] = "step_lr:step_size=30", p[] = "--plot=none",
                             c[] = "--format=csv";
    char *const plain[] = {t, s, spec, NULL}, *const none[] = {t, s, spec, p, NULL},
                *const csv[] = {t, s, spec, c, NULL};
    ck_assert_int_eq(run_on_terminal(plain, 60, text, sizeof text), 0);
    command_must_contain(text, "    step            lr\r\n", "table");
    command_must_contain(text, "****", "drawing");
    for (const char *line = text, *end; (end = strchr(line, '\n')) != NULL; line = end + 1)
        ck_assert_msg(end - line <= 68, "%.80s", line); /* the remark below the table is the longest */
    ck_assert_int_eq(run_on_terminal(none, 60, text, sizeof text), 0);
    ck_assert_ptr_null(strstr(text, "****"));
    ck_assert_int_eq(run_on_terminal(csv, 60, text, sizeof text), 0);
    ck_assert_ptr_null(strstr(text, "****"));
    /* Unasked, a gnuplot that is not there is not missed. */
    char *path = strdup(getenv("PATH"));
    setenv("PATH", "/nowhere", 1);
    int code = run_on_terminal(plain, 60, text, sizeof text);
    setenv("PATH", path, 1);
    free(path);
    ck_assert_int_eq(code, 0);
    ck_assert_ptr_null(strstr(text, "gnuplot"));
    ck_assert_ptr_null(strstr(text, "****"));
}
END_TEST

TEST_SUITE("schedule_plot", a_png_is_one, an_svg_is_well_formed, a_terminal_gets_letters,
           on_a_terminal_the_curve_is_drawn_unasked)

int main(void) {
    if (system("command -v gnuplot >/dev/null") != 0) {
        puts("there is no gnuplot to test with");
        return SKIPPED;
    }
    return run_suite();
}
