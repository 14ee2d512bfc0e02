/* --precision of train, eval and predict, as a user gives it; in plain C, which every machine has, but for the refusal.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tests/cli/command.h"
#include "tests/engine/files.h"
#include "tests/test.h"
#include "tread_config.h"

#define RUN "train --data . --hidden 40,32 --batch-size 32 --epochs 2 "

static void setup(void) {
    test_folder_create();
    unsetenv("TREAD_DATA");
    unsetenv("TREAD_SOURCE_DATA");
    setenv("TREAD_BACKEND", "ref", 1);
    test_write_mnist(300, 70, 6, 6, 4, false);
}

static void tear_down(void) {
    unsetenv("TREAD_BACKEND");
    ck_assert_int_eq(command_shell("rm -rf ck*"), 0);
    test_folder_remove();
}

static void must_be_same(const char *a, const char *b, bool same) {
    char line[256];
    snprintf(line, sizeof line, "cmp -s %s %s", a, b);
    ck_assert_msg((command_shell(line) == 0) == same, "%s and %s", a, b);
}

START_TEST(training_has_the_precision) {
    setup();
    command_must_succeed(RUN "--weights plain");
    command_must_contain(command_output, ", ref, float32\n", "the plan");
    command_must_succeed(RUN "--precision float32 --weights same");
    must_be_same("plain", "same", true);
    command_must_succeed(RUN "--precision bf16 --weights half --log half.jsonl --threads 1");
    command_must_contain(command_output, ", ref, bf16\n", "the plan");
    must_be_same("plain", "half", false);
    ck_assert_int_eq(command_shell("grep -q '\"backend\":\"ref\",\"precision\":\"bf16\"' half.jsonl"), 0);
    command_must_succeed(RUN "--precision bf16 --weights again --threads 3");
    must_be_same("half", "again", true);
    const char *const parts[] = {"--precision", "float32", "bf16"};
    command_must_fail(RUN "--precision half", 2, parts, 3);
    const char *const same[] = {"unknown name bfloat16, which is bf16 here; allowed: float32, bf16"};
    command_must_fail(RUN "--precision bfloat16", 2, same, 1);
    const char *const other[] = {"unknown name FP16: float16 is not supported, and bf16 is another format; allowed: "};
    command_must_fail(RUN "--precision FP16", 2, other, 1);
    const char *const near[] = {"unknown name bf61, did you mean bf16?"};
    command_must_fail("eval --weights w --precision bf61", 2, near, 1);
    tear_down();
}
END_TEST

START_TEST(a_model_without_wide_layers_is_told_so) {
    setup();
    command_must_succeed("train --data . --hidden 31 --epochs 1 --precision bf16");
    command_must_contain(command_output, ", ref, bf16 (in no layer)\n", "the plan");
    command_must_contain(command_error,
                         "note: --precision bf16 takes layers with at least 32 inputs and outputs; this model has none",
                         "train");
    command_must_succeed("train --data . --hidden 32 --epochs 1 --precision bf16");
    command_must_contain(command_output, ", ref, bf16\n", "the plan");
    ck_assert_str_eq(command_error, "");
    tear_down();
}
END_TEST

START_TEST(a_run_goes_on_in_its_precision) {
    setup();
    command_must_succeed(RUN "--precision bf16 --weights whole");
    command_must_succeed(RUN "--precision bf16 --checkpoint ck --max-steps 7");
    ck_assert_int_eq(command_run(RUN "--checkpoint ck --resume"), 1);
    command_must_contain(command_error, "options.precision: bf16 in the checkpoint, float32 in this run", "resume");
    command_must_succeed(RUN "--precision bf16 --checkpoint ck --resume --weights parts");
    must_be_same("whole", "parts", true);
    tear_down();
}
END_TEST

START_TEST(evaluations_and_predictions_are_float32_unless_asked) {
    setup();
    command_must_succeed(RUN "--precision bf16 --weights w");
    const char *const commands[] = {"eval --data . --hidden 40,32 --weights w", "predict --data . --weights w"};
    for (int i = 0; i < 2; i++) {
        char line[256];
        static const char *const with[] = {"", " --precision float32", " --precision bf16"};
        for (int k = 0; k < 3; k++) {
            /* without the seconds */
            snprintf(line, sizeof line, "\"$tread\" %s%s | sed 's/, [0-9.]* s$//' > out%d", commands[i], with[k], k);
            ck_assert_int_eq(command_shell(line), 0);
        }
        ck_assert_int_eq(command_shell("test -s out0"), 0);
        must_be_same("out0", "out1", true);
        must_be_same("out0", "out2", false);
    }
    tear_down();
}
END_TEST

START_TEST(who_lacks_it_is_told_what) {
    setup();
    unsetenv("TREAD_BACKEND");
    setenv("ONEDNN_MAX_CPU_ISA", "AVX2", 1);
    const char *const parts[] = {"precision bf16 needs", TREAD_HAVE_ONEDNN ? "avx512_bf16" : "oneDNN"};
    static const char *const commands[] = {RUN "--precision bf16", "eval --data . --weights w --precision bf16",
                                           "predict --data . --weights w --precision bf16"};
    for (int i = 0; i < 3; i++)
        command_must_fail(commands[i], 1, parts, 2);
    command_must_succeed("info");
    command_must_contain(command_output, "precision bf16 needs", "info");
    unsetenv("ONEDNN_MAX_CPU_ISA");
    tear_down();
}
END_TEST

TEST_MAIN("precision", training_has_the_precision, a_model_without_wide_layers_is_told_so,
          a_run_goes_on_in_its_precision, evaluations_and_predictions_are_float32_unless_asked,
          who_lacks_it_is_told_what)
