/* tread plot. Skipped, as meson understands it, where there is no gnuplot. */
#include <stdio.h>
#include <string.h>

#include "tests/cli/command.h"
#include "tests/engine/files.h"
#include "tests/test.h"

#define SKIPPED 77

static const char log_text[] =
    "{\"event\":\"start\",\"version\":\"0\"}\n"
    "{\"event\":\"evaluation\",\"steps\":5,\"epochs\":0,\"loss\":3.5,\"metric\":0.25,\"best\":true}\n"
    "{\"event\":\"epoch\",\"epoch\":1,\"steps\":10,\"train_loss\":4,\"test_loss\":3,\"test_accuracy\":0.5,\"lr\":0.1}\n"
    "{\"event\":\"epoch\",\"epoch\":2,\"steps\":20,\"train_loss\":2,\"test_loss\":null,\"test_accuracy\":null,\"lr\":0."
    "01}\n"
    "{\"event\":\"epoch\",\"epoch\":3,\"steps\":30,\"train_loss\":1,\"test_loss\":null,\"lr\":0.001}\n"
    "{\"event\":\"end\",\"steps\":30}\n"
    "{\"event\":\"epo";

static void setup(void) {
    test_folder_create();
    test_write(test_path("run.jsonl"), log_text, sizeof log_text - 1);
}

START_TEST(letters_have_every_point) {
    setup();
    command_must_succeed("plot run.jsonl --what loss");
    int stars = 0, circles = 0;
    for (const char *c = command_output; *c != '\0'; c++) {
        stars += *c == '*';
        circles += *c == 'o';
    }
    ck_assert_int_eq(stars, 4);   /* 4, 2, 1, and the mark in the key */
    ck_assert_int_eq(circles, 4); /* 3.5, 3, the mark in the key, and the one in "loss" */
    ck_assert_ptr_null(strstr(command_output, "accuracy"));
    command_must_succeed("plot run.jsonl");
    command_must_contain(command_output, " loss ", "title");
    command_must_contain(command_output, " accuracy ", "title");
    command_must_contain(command_output, " lr ", "title");
    test_folder_remove();
}
END_TEST

START_TEST(pictures_are_written) {
    setup();
    command_must_succeed("plot run.jsonl --to all.png");
    command_must_contain(command_output, "wrote  all.png", "said");
    command_must_succeed("plot run.jsonl --to lr.png --what lr");
    size_t n;
    uint8_t *png = test_read(test_path("all.png"), &n);
    ck_assert_mem_eq(png, "\x89PNG\r\n\x1a\n", 8);
    ck_assert_mem_eq(png + n - 8, "IEND", 4);
    ck_assert_int_eq(png[22] << 8 | png[23], 1080); /* three drawings */
    free(png);
    png = test_read(test_path("lr.png"), &n);
    ck_assert_int_eq(png[22] << 8 | png[23], 540);
    free(png);
    command_must_succeed("plot run.jsonl --to all.svg");
    char *svg = (char *)test_read(test_path("all.svg"), &n);
    command_must_contain(svg, "run.jsonl", "title");
    command_must_contain(svg, "accuracy", "title");
    command_must_contain(svg, "</svg>", "end");
    free(svg);
    test_folder_remove();
}
END_TEST

START_TEST(what_cannot_be_drawn_is_said) {
    setup();
    test_write(test_path("empty.jsonl"), "{\"event\":\"start\"}\n", 18);
    test_write(test_path("odd.jsonl"), "{\"event\":\"start\"}\nno json\n", 26);
    test_write(test_path("nan.jsonl"), "{\"event\":\"epoch\",\"steps\":1,\"lr\":1}\n", 35);
    static const struct {
        const char *arguments, *part;
        int code;
    } wrong[] = {{"", "no log is given", 2},
                 {"run.jsonl --to x.pdf", "--to: x.pdf is neither terminal", 2},
                 {"absent.jsonl", "absent.jsonl: cannot be opened", 1},
                 {"empty.jsonl", "empty.jsonl: it has no line of an epoch", 1},
                 {"odd.jsonl", "odd.jsonl: line 2 is no JSON object", 1},
                 {"nan.jsonl --what loss", "nan.jsonl: it has no finite number of loss", 1},
                 {"run.jsonl --to nowhere/x.png", "--to: no file can be made in nowhere", 1}};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        char line[256];
        snprintf(line, sizeof line, "plot %s", wrong[i].arguments);
        command_must_fail(line, wrong[i].code, &wrong[i].part, 1);
    }
    test_folder_remove();
}
END_TEST

TEST_SUITE("plot", letters_have_every_point, pictures_are_written, what_cannot_be_drawn_is_said)

int main(void) { return system("gnuplot --version > /dev/null 2>&1") == 0 ? run_suite() : SKIPPED; }
