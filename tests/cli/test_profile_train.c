/* tread profile train, as a user runs it. */
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/parallel.h"
#include "tests/cli/command.h"
#include "tests/engine/files.h"
#include "tests/test.h"

#define PROFILE "profile train --data . --hidden 8 --batch-size 16 --threads 2 "

static void start(void) {
    test_folder_create();
    test_write_mnist(100, 20, 8, 8, 3, false);
}

static json_t *parse(const char *text) {
    json_error_t error;
    json_t *all = json_loads(text, JSON_REJECT_DUPLICATES, &error);
    ck_assert_msg(all != NULL, "line %d: %s in\n%s", error.line, error.text, text);
    return all;
}

static const char *text_of(json_t *object, const char *name) {
    const char *text = json_string_value(json_object_get(object, name));
    ck_assert_msg(text != NULL, "no text %s", name);
    return text;
}

START_TEST(the_table_says_everything) {
    start();
    command_must_succeed(PROFILE "--steps 30 --warmup 3");
    static const char *const parts[] = {
        "machine ",
        "training  mlp 64-8-3, relu, adam:lr=1e-3, batch size 16, float32, ",
        "limits ",
        "GFLOP/s (product of 1024x1024x1024)",
        "steps     30 recorded, 30 not, in turns, after 3 of warming up; recording costs",
        "\npart ",
        "\nstep ",
        "\n  batch ",
        "\n  forward ",
        "\n    linear 0.weight forward ",
        "\n      gemm 16x8x64 ",
        "\n    cross_entropy #2 forward ",
        "\n  backward ",
        "\n      gemm dw 8x64x16 ",
        "\n  adam ",
        " steps of full batches that were not recorded",
        " of smaller batches besides, ",
        "median",
        "samples/s at the median",
        "#####",
        "counter ",
        "instructions ",
        "context-switches ",
        "page-faults "};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        command_must_contain(command_output, parts[i], "table");
    test_folder_remove();
}
END_TEST

START_TEST(json_has_everything) {
    start();
    command_must_succeed(PROFILE "--steps 12 --warmup 0 --format json --optimizer sgd:lr=0.1,momentum=0.9 --seed 4");
    json_t *all = parse(command_output), *limits = json_object_get(all, "limits");
    json_t *training = json_object_get(all, "training");
    ck_assert_str_eq(text_of(all, "format"), "tread profile train");
    ck_assert_str_eq(text_of(training, "optimizer"), "sgd:lr=0.1,momentum=0.9");
    ck_assert_int_eq(json_integer_value(json_object_get(training, "seed")), 4);
    ck_assert(json_is_false(json_object_get(all, "interrupted")));
    ck_assert_int_eq(json_integer_value(json_object_get(all, "threads")), tread_parallel_openmp_version() > 0 ? 2 : 1);
    ck_assert_uint_eq(json_array_size(json_object_get(all, "step_list")), 24);
    ck_assert_uint_eq(json_array_size(json_object_get(all, "counters")), 6);
    ck_assert_double_gt(json_number_value(json_object_get(limits, "flops_per_second")), 0);
    ck_assert_int_le(json_integer_value(json_object_get(json_object_get(all, "times"), "n")), 12);
    json_t *parts = json_object_get(all, "parts"), *part;
    double sum = 0;
    size_t i;
    json_array_foreach(parts, i, part) {
        bool is_leaf = true;
        for (size_t k = i + 1; k < json_array_size(parts); k++)
            is_leaf &= json_integer_value(json_object_get(json_array_get(parts, k), "parent")) != (json_int_t)i;
        sum += is_leaf ? json_number_value(json_object_get(part, "share")) : 0;
    }
    ck_assert_double_eq_tol(sum, 1, 1e-6);
    json_t *counter;
    json_array_foreach(json_object_get(all, "counters"), i, counter) /* absent ones say why */
        ck_assert(json_is_true(json_object_get(counter, "available")) != (json_object_get(counter, "reason") != NULL));
    json_decref(all);
    test_folder_remove();
}
END_TEST

START_TEST(a_smaller_batch_alone_is_no_distribution) {
    start();
    command_must_succeed(PROFILE "--steps 1 --warmup 6"); /* of an epoch's 7 steps */
    command_must_contain(command_output, "no step of a full batch was timed", "table");
    ck_assert_ptr_null(strstr(command_output, "nan"));
    command_must_succeed(PROFILE "--steps 1 --warmup 6 --format json");
    json_t *all = parse(command_output);
    ck_assert(json_is_null(json_object_get(json_object_get(all, "times"), "median")));
    json_decref(all);
    test_folder_remove();
}
END_TEST

START_TEST(csv_has_a_line_for_each_part) {
    start();
    command_must_succeed(PROFILE "--steps 1 --warmup 0 --format csv --no-counters");
    ck_assert_ptr_eq(strstr(command_output, "index,parent,name,detail,phase,rest,calls,seconds,"), command_output);
    command_must_contain(command_output, "\n0,-1,\"step\",\"\",\"\",0,1,", "the step");
    const size_t commas_of_head = 18;
    size_t commas = 0;
    for (const char *at = command_output; *at != '\0'; at++) {
        commas += *at == ',';
        if (*at == '\n') {
            ck_assert_uint_eq(commas, commas_of_head);
            commas = 0;
        }
    }
    test_folder_remove();
}
END_TEST

START_TEST(files_are_written_and_nothing_else) {
    start();
    ck_assert_int_eq(command_shell("ls > before"), 0);
    command_must_succeed(PROFILE "--steps 5 --warmup 1 --trace trace.json --output out.json --format json");
    command_must_contain(command_output, "\nwrote  trace.json: ", "said");
    command_must_succeed(PROFILE "--steps 5 --warmup 1 --trace trace.json --format csv");
    command_must_contain(command_error, "\nwrote  trace.json: ", "said where it is not among the lines");
    json_error_t error;
    json_t *trace = json_load_file(test_path("trace.json"), 0, &error);
    json_t *out = json_load_file(test_path("out.json"), 0, &error);
    ck_assert(trace != NULL && out != NULL);
    ck_assert_uint_gt(json_array_size(json_object_get(trace, "traceEvents")), 50);
    json_decref(trace);
    json_decref(out);
    ck_assert_int_eq(command_shell("ls | grep -v -e trace.json -e out.json | diff before -"), 0);
    command_must_succeed(PROFILE "--steps 5 --warmup 1 --trace trace.json --trace-events 10");
    command_must_contain(command_output, " later ones found no room: see --trace-events", "said");
    test_folder_remove();
}
END_TEST

START_TEST(a_full_disk_is_an_error) {
    start();
    if (access("/dev/full", W_OK) == 0) {
        static const char *const full[] = {"No space left on device"};
        command_must_fail(PROFILE "--steps 2 --output /dev/full", 1, full, 1);
        ck_assert_int_eq(command_shell("$tread " PROFILE "--steps 2 > /dev/full"), 1);
        command_must_contain(command_error, "No space left on device", "said");
        command_must_fail(PROFILE "--steps 2 --format json --output /dev/full", 1, full, 1);
    }
    static const char *const device[] = {"--trace"};
    command_must_fail(PROFILE "--steps 2 --trace nowhere/trace.json", 1, device, 1);
    static const char *const folder[] = {"--plot"};
    command_must_fail(PROFILE "--steps 2 --plot nowhere/steps.png", 1, folder, 1);
    test_folder_remove();
}
END_TEST

START_TEST(ctrl_c_ends_it_with_what_there_is) {
    start();
    int code = -1;
    for (int seconds = 4; seconds <= 64 && code != 0; seconds *= 2) { /* a busy machine takes long to be measured */
        char line[256];
        snprintf(line, sizeof line,
                 "\"$tread\" " PROFILE
                 "--steps 1000000 --warmup 0 --format json --output x.json & sleep %d; kill -TERM $!; wait $!",
                 seconds);
        code = command_shell(line);
        if (code != 0)
            command_must_contain(command_error, "the run was ended after 0 steps of warming up", "too soon");
    }
    ck_assert_int_eq(code, 0);
    json_error_t error;
    json_t *all = json_load_file(test_path("x.json"), 0, &error);
    ck_assert(json_is_true(json_object_get(all, "interrupted")));
    ck_assert_int_gt(json_integer_value(json_object_get(all, "steps")), 0);
    json_decref(all);
    test_folder_remove();
}
END_TEST

START_TEST(wrong_usage_is_refused) {
    start();
    static const struct {
        const char *arguments, *parts[2];
    } all[] = {
        {PROFILE "--steps 0", {"tread profile train: ", "--steps"}},
        {PROFILE "--warmup -1", {"--warmup", NULL}},
        {PROFILE "--trace-events 0 --trace x.json", {"--trace-events", NULL}},
        {PROFILE "--trace a.json --output a.json", {"--output and --trace name the same file: a.json", NULL}},
        {PROFILE "--trace a.svg --plot ./a.svg", {"name the same file", NULL}},
        {PROFILE "--plot x.gif", {"neither terminal nor a file whose name ends in .png or .svg", NULL}},
        {PROFILE "--plot terminal --format csv", {"--plot terminal would stand among the lines of --format csv", NULL}},
        {PROFILE "--format xml", {"--format", "table"}},
        {PROFILE "--optimizer adma", {"adma", "adam"}},
        {PROFILE "--scheduler none --schedule-every step", {"--schedule-every", NULL}},
        {PROFILE "--epochs 3", {"--epochs", NULL}},
        {PROFILE "--checkpoint run", {"--checkpoint", NULL}},
        {PROFILE "more", {"more", NULL}},
        {"profile trian", {"trian", "train"}},
    };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        command_must_fail(all[i].arguments, 2, all[i].parts, 2);
    static const char *const no_data[] = {"nowhere"};
    command_must_fail("profile train --data nowhere", 1, no_data, 1);
    test_folder_remove();
}
END_TEST

START_TEST(help_names_the_options) {
    test_folder_create();
    command_must_succeed("profile train --help");
    static const char *const parts[] = {"usage: tread profile train",
                                        "--steps",
                                        "--warmup",
                                        "--trace",
                                        "--format",
                                        "--plot",
                                        "--batch-size",
                                        "--optimizer"};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        command_must_contain(command_output, parts[i], "help");
    command_must_succeed("profile --help");
    command_must_contain(command_output, "\n  train ", "list");
    test_folder_remove();
}
END_TEST

START_TEST(drawings_are_made_where_gnuplot_is) {
    start();
    if (command_shell("command -v gnuplot") == 0) {
        command_must_succeed(PROFILE "--steps 20 --plot steps.png");
        command_must_contain(command_output, "\nwrote  steps.png\n", "said");
        size_t n;
        uint8_t *png = test_read(test_path("steps.png"), &n);
        ck_assert(n > 1000 && memcmp(png, "\x89PNG\r\n\x1a\n", 8) == 0 && memcmp(png + n - 8, "IEND", 4) == 0);
        free(png);
        command_must_succeed(PROFILE "--steps 20 --plot steps.svg");
        command_must_succeed(PROFILE "--steps 1 --warmup 6 --plot smaller.png"); /* no step of a full batch */
        ck_assert_str_eq(command_error, "");
        command_must_succeed(PROFILE "--steps 20 --plot terminal");
        command_must_contain(command_output, "steps", "drawing");
    }
    test_folder_remove();
}
END_TEST

TEST_MAIN("profile_train", the_table_says_everything, json_has_everything, a_smaller_batch_alone_is_no_distribution,
          csv_has_a_line_for_each_part, files_are_written_and_nothing_else, a_full_disk_is_an_error,
          ctrl_c_ends_it_with_what_there_is, wrong_usage_is_refused, help_names_the_options,
          drawings_are_made_where_gnuplot_is)
