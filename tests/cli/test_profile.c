/* tread profile: the outputs of `tread profile optimizer`, held to each other and to their formulas. */
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "core/parallel.h"
#include "tests/cli/command.h"
#include "tests/engine/files.h"
#include "tests/test.h"

#define TINY                                                                                                           \
    "profile optimizer --rounds 2 --layouts tiny:3x64,mlp:6-4-2 --optimizers sgd:lr=0.1,momentum=0.9,adam,muon "

static const char *threads_option(void) { return tread_parallel_openmp_version() != 0 ? "--threads 1,2 " : ""; }

static void succeed(const char *more) {
    char line[512];
    snprintf(line, sizeof line, TINY "%s%s", threads_option(), more);
    command_must_succeed(line);
}

static double number(const json_t *object, const char *name) {
    const json_t *value = json_object_get(object, name);
    ck_assert_msg(json_is_number(value), "%s is no number", name);
    return json_number_value(value);
}

static bool is_null(const json_t *object, const char *name) {
    const json_t *value = json_object_get(object, name);
    ck_assert_msg(value != NULL, "%s is missing", name);
    return json_is_null(value);
}

static void must_be_near(const json_t *object, const char *name, double expected) {
    const double value = number(object, name);
    ck_assert_msg(fabs(value - expected) <= 1e-9 * fabs(expected), "%s is %.17g, not %.17g", name, value, expected);
}

static void must_be_one_of(const json_t *object, const char *name, const char *const *words) {
    const char *text = json_string_value(json_object_get(object, name));
    ck_assert_msg(text != NULL, "%s is no text", name);
    for (; *words != NULL; words++)
        if (strcmp(text, *words) == 0)
            return;
    ck_abort_msg("%s: %s", name, text);
}

/* What a row says of itself. */
static void check_row(const json_t *row, double bytes, double parameters, double alone) {
    static const char *const bounds[] = {"memory", "cache", "arithmetic", "other", NULL};
    static const char *const unknown[] = {"unknown", NULL};
    const json_t *samples = json_object_get(row, "samples");
    ck_assert_uint_eq(json_array_size(samples), 2);
    const double a = json_real_value(json_array_get(samples, 0)), b = json_real_value(json_array_get(samples, 1));
    const double median = number(row, "median"), p = number(row, "threads");
    must_be_near(row, "median", (a + b) / 2);
    must_be_near(row, "lower_quartile", fmin(a, b) + fabs(a - b) / 4);
    must_be_near(row, "upper_quartile", fmax(a, b) - fabs(a - b) / 4);
    ck_assert(fabs(number(row, "mad") - fabs(a - b) / 2) <= 1e-9 * median);
    must_be_near(row, "ns_per_parameter", 1e9 * median / parameters);
    ck_assert(number(row, "steps_per_sample") >= 1 && number(row, "memory_bytes_per_second") > 0);
    if (bytes > 0 && p > 1) { /* all layouts here are too small to be shared out */
        ck_assert_str_eq(json_string_value(json_object_get(row, "bound")), "one thread");
        ck_assert(number(row, "regions") == 0 && number(row, "fork_seconds") == 0);
        static const char *const unknown_then[] = {
            "speedup",         "efficiency",      "serial_fraction",   "rmw_bytes_per_second",
            "bandwidth_share", "traffic_seconds", "arithmetic_seconds"};
        for (size_t i = 0; i < sizeof unknown_then / sizeof *unknown_then; i++)
            ck_assert(is_null(row, unknown_then[i]));
        return;
    }
    must_be_near(row, "speedup", alone / median);
    must_be_near(row, "efficiency", alone / median / p);
    if (p > 1)
        must_be_near(row, "serial_fraction", (median / alone - 1 / p) / (1 - 1 / p));
    else
        ck_assert(is_null(row, "serial_fraction"));
    must_be_one_of(row, "bound", bytes > 0 ? bounds : unknown);
    if (bytes == 0) {
        ck_assert(is_null(row, "bytes_per_second") && is_null(row, "bandwidth_share") &&
                  is_null(row, "traffic_seconds"));
        return;
    }
    must_be_near(row, "bytes_per_second", bytes * parameters / median);
    must_be_near(row, "bandwidth_share", bytes * parameters / median / number(row, "rmw_bytes_per_second"));
    ck_assert(number(row, "traffic_seconds") > 0 && number(row, "arithmetic_seconds") > 0);
    ck_assert(number(row, "fork_seconds") >= 0);
}

START_TEST(json_has_everything_and_it_agrees) {
    static const double bytes[] = {20, 28, 0}, parameters[] = {192, 38};
    test_folder_create();
    succeed("--format json");
    json_error_t error;
    json_t *root = json_loads(command_output, JSON_REJECT_DUPLICATES, &error);
    ck_assert_msg(root != NULL, "line %d: %s", error.line, error.text);
    ck_assert_str_eq(json_string_value(json_object_get(root, "format")), "tread profile optimizer");
    ck_assert_str_eq(json_string_value(json_object_get(root, "version")), "0.1.0");
    ck_assert_uint_eq(strlen(json_string_value(json_object_get(root, "date"))), 20);
    ck_assert_str_eq(json_string_value(json_array_get(json_object_get(root, "command"), 2)), "optimizer");
    ck_assert(number(root, "format_version") == 1 && number(root, "seconds") > 0);
    ck_assert(json_is_false(json_object_get(root, "interrupted")) &&
              json_is_false(json_object_get(root, "out_of_time")));
    const json_t *machine = json_object_get(root, "machine"), *noise = json_object_get(root, "noise");
    ck_assert(number(machine, "allowed_cpus") >= 1 && json_is_string(json_object_get(machine, "isa")));
    ck_assert(number(noise, "loop_fastest") > 0 && number(noise, "loop_slowest") >= number(noise, "loop_fastest"));
    ck_assert(json_is_array(json_object_get(root, "warnings")) && json_is_array(json_object_get(root, "scalings")));
    const json_t *optimizers = json_object_get(root, "optimizers"), *layouts = json_object_get(root, "layouts");
    const json_t *rows = json_object_get(root, "rows"), *threads = json_object_get(root, "threads");
    const size_t n = json_array_size(threads);
    ck_assert(json_array_size(optimizers) == 3 && json_array_size(layouts) == 2 && json_array_size(rows) == 6 * n);
    ck_assert_str_eq(json_string_value(json_object_get(json_array_get(optimizers, 0), "spec")),
                     "sgd:lr=0.1,momentum=0.9");
    ck_assert(number(json_array_get(optimizers, 1), "bytes_per_parameter") == 28);
    ck_assert(number(json_array_get(optimizers, 1), "arrays") == 4 &&
              number(json_array_get(optimizers, 1), "regions") == 1);
    ck_assert(is_null(json_array_get(optimizers, 2), "bytes_per_parameter"));
    ck_assert(number(json_array_get(layouts, 0), "tensors") == 3 &&
              number(json_array_get(layouts, 1), "parameters") == 38);
    double alone = 0;
    for (size_t i = 0; i < 6 * n; i++) {
        const json_t *row = json_array_get(rows, i);
        const size_t layout = i / (3 * n), optimizer = i / n % 3;
        ck_assert(json_equal(json_object_get(row, "layout"), json_object_get(json_array_get(layouts, layout), "text")));
        ck_assert(json_equal(json_object_get(row, "optimizer"),
                             json_object_get(json_array_get(optimizers, optimizer), "spec")));
        ck_assert(json_equal(json_object_get(row, "threads"), json_array_get(threads, i % n)));
        alone = i % n == 0 ? number(row, "median") : alone;
        check_row(row, bytes[optimizer], parameters[layout], alone);
    }
    json_decref(root);
    test_folder_remove();
}
END_TEST

/* Fields of a line, of which the first two may be quoted. */
static size_t count_fields(const char *line, size_t length) {
    size_t n = 1;
    bool quoted = false;
    for (size_t i = 0; i < length; i++) {
        quoted ^= line[i] == '"';
        n += line[i] == ',' && !quoted;
    }
    return n;
}

START_TEST(csv_has_a_line_a_row) {
    test_folder_create();
    succeed("--format csv --output rows.csv");
    ck_assert_str_eq(command_output, "wrote  rows.csv\n");
    if (tread_parallel_openmp_version() != 0) {
        command_must_succeed(
            "profile optimizer --rounds 1 --layouts big:64 --optimizers sgd --threads 1,999 --format csv");
        command_must_contain(command_error, "tread profile optimizer: warning: There are more threads (999) than CPUs",
                             "csv has no place for it");
        ck_assert_ptr_null(strstr(command_output, "There are more"));
    }
    size_t n, lines = 0;
    char *text = (char *)test_read(test_path("rows.csv"), &n);
    static const char header[] =
        "optimizer,layout,tensors,parameters,bytes_per_parameter,threads,samples,"
        "steps_per_sample,bound,regions,median,lower_quartile,upper_quartile,mad,ns_per_parameter,"
        "bytes_per_second,rmw_bytes_per_second,memory_bytes_per_second,bandwidth_share,speedup,"
        "efficiency,serial_fraction,traffic_seconds,arithmetic_seconds,fork_seconds\n";
    ck_assert_msg(strncmp(text, header, sizeof header - 1) == 0, "%s", text);
    for (const char *line = text; *line != '\0'; line += strcspn(line, "\n") + 1, lines++)
        ck_assert_msg(count_fields(line, strcspn(line, "\n")) == 25, "%s", line);
    ck_assert_uint_eq(lines, 1 + 6 * (tread_parallel_openmp_version() != 0 ? 2 : 1));
    command_must_contain(text, "\n\"sgd:lr=0.1,momentum=0.9\",\"tiny:3x64\",3,192,20,1,2,", "row");
    command_must_contain(text, "\n\"muon\",\"mlp:6-4-2\",4,38,,1,2,", "not counted");
    free(text);
    test_folder_remove();
}
END_TEST

START_TEST(the_table_is_for_people) {
    test_folder_create();
    succeed("");
    const char *const parts[] = {"machine   ",
                                 "memory    ",
                                 "GB/s with 1",
                                 "measured  medians of 2 rounds, in ",
                                 "tiny:3x64: 3 tensors, 192 parameters\n",
                                 "mlp:6-4-2: 4 tensors, 38 parameters\n",
                                 "sgd:lr=0.1,momentum=0.9",
                                 "ns/param",
                                 "speed-up",
                                 "serial",
                                 "unknown\n"};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        command_must_contain(command_output, parts[i], "table");
    ck_assert_str_eq(command_error, "");
    for (const char *line = command_output; *line != '\0'; line += strcspn(line, "\n") + 1)
        if (strncmp(line, "warning", 7) != 0 && strncmp(line, "machine", 7) != 0)
            ck_assert_msg(strcspn(line, "\n") <= 120, "%.*s", (int)strcspn(line, "\n"), line);
    if (tread_parallel_openmp_version() != 0) {
        command_must_succeed("profile optimizer --rounds 1 --layouts big:64 --optimizers sgd --threads 1,999");
        command_must_contain(command_output, "warning   There are more threads (999) than CPUs", "warning");
        ck_assert_ptr_null(strstr(command_output, "OpenMP gave"));
        command_must_contain(command_output, "  one thread\n", "a step that stays on one thread");
        ck_assert_int_eq(command_shell("OMP_THREAD_LIMIT=2 $tread profile optimizer --rounds 1 --layouts big:64 "
                                       "--optimizers sgd --threads 1,4"),
                         0);
        command_must_contain(command_output, "warning   OpenMP gave 2 threads where more were asked for", "a limit");
    }
    test_folder_remove();
}
END_TEST

START_TEST(charts_are_drawn) {
    if (system("gnuplot --version > /dev/null 2>&1") != 0)
        return; /* nothing to draw with */
    test_folder_create();
    size_t n;
    succeed("--plot x.png");
    command_must_contain(command_output, "\nwrote  x.png\n", "said");
    uint8_t *png = test_read(test_path("x.png"), &n);
    ck_assert_mem_eq(png, "\x89PNG\r\n\x1a\n", 8);
    ck_assert_mem_eq(png + n - 8, "IEND", 4);
    ck_assert_int_eq(png[22] << 8 | png[23], 720); /* a row of charts for each of two layouts */
    free(png);
    succeed("--plot x.svg --format json");
    ck_assert_ptr_null(strstr(command_output, "wrote"));
    char *svg = (char *)test_read(test_path("x.svg"), &n);
    const char *const parts[] = {
        "tiny:3x64", "mlp:6-4-2", "speed-up", "ns per parameter", "ideal", "sgd:lr=0.1,momentum=0.9", "muon", "</svg>"};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        command_must_contain(svg, parts[i], "drawing");
    free(svg);
    succeed("--plot terminal");
    command_must_contain(command_output, "ideal", "in letters");
    command_must_contain(command_output, "ns per parameter", "in letters");
    test_folder_remove();
}
END_TEST

START_TEST(misuse_is_refused) {
    test_folder_create();
    static const struct {
        const char *arguments, *part;
        int code;
    } wrong[] = {
        {"", "usage: tread profile PROFILER", 2},
        {"optimiser", "unknown profiler optimiser, did you mean optimizer?", 2},
        {"optimizer --optimizers adm", "--optimizers: unknown name adm, did you mean adam?; allowed: ", 2},
        {"optimizer --optimizers adam:lr=1,lrr=2", "lrr", 2},
        {"optimizer --optimizers adam,,sgd", "--optimizers: adam,,sgd has an empty entry", 2},
        {"optimizer --optimizers lbfgs", "lbfgs: a step is mostly its closure", 2},
        {"optimizer --optimizers adam:lr=-1", "--optimizers: adam", 2},
        {"optimizer --optimizers muon:rule=muon --layouts big:64", "muon:rule=muon is for matrices", 2},
        {"optimizer --layouts big:64Q", "\"64Q\" is not a whole number", 2},
        {"optimizer --layouts foo", "layout \"foo\": there is no colon", 2},
        {"optimizer --layouts big:64,", "--layouts: big:64, has an empty entry", 2},
        {"optimizer --layouts big:900Gi", "layout big:900Gi with the state of 4 optimizers takes", 1},
        {"optimizer --threads 0", "--threads: 0 is not a list", 2},
        {"optimizer --threads none", "from 1 to 1024 with commas between, such as 1,2,4", 2},
        {"optimizer --threads 1,1", "threads: 1 is asked for twice", 2},
        {"optimizer --rounds 0", "--rounds: 0 is not a whole number from 1 to 1000", 2},
        {"optimizer --seconds -1", "--seconds: -1 is not a finite number", 2},
        {"optimizer --format xml", "--format: unknown name xml; allowed: table, json, csv", 2},
        {"optimizer --plot x.pdf", "--plot: x.pdf is neither terminal nor a file", 2},
        {"optimizer --plot terminal --format csv", "--plot terminal would stand among the lines of --format csv", 2},
        {"optimizer --plot x.png --output ./x.png", "--output and --plot name the same file", 2},
        {"optimizer --output nowhere/x", "--output: no file can be made in nowhere", 1},
        {"optimizer --plot nowhere/x.png", "--plot: no file can be made in nowhere", 1},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        char line[256];
        snprintf(line, sizeof line, "profile %s", wrong[i].arguments);
        command_must_fail(line, wrong[i].code, &wrong[i].part, 1);
    }
    command_must_succeed("profile --help");
    command_must_contain(command_output, "optimizer  How optimizer steps scale", "profile --help");
    command_must_succeed("help profile");
    command_must_contain(command_output, "usage: tread profile PROFILER", "help profile");
    command_must_succeed("help profile optimizer");
    command_must_contain(command_output, "usage: tread profile optimizer [options]", "help profile optimizer");
    command_must_succeed("help optimizer");
    command_must_contain(command_output, "usage: tread profile optimizer [options]", "help optimizer");
    command_must_succeed("help 'profile optimizer'");
    command_must_contain(command_output, "usage: tread profile optimizer [options]", "help 'profile optimizer'");
    command_must_succeed("help train");
    command_must_contain(command_output, "usage: tread train", "help train");
    command_must_succeed("profile optimizer --help");
    const char *const options[] = {"--optimizers", "--layouts", "--threads", "--rounds",
                                   "--seconds",    "--format",  "--output",  "--plot"};
    for (size_t i = 0; i < sizeof options / sizeof *options; i++)
        command_must_contain(command_output, options[i], "profile optimizer --help");
    test_folder_remove();
}
END_TEST

START_TEST(ctrl_c_ends_it_with_what_there_is) {
    test_folder_create();
    int code = -1;
    for (int seconds = 1; seconds <= 16 && code != 0; seconds *= 2) { /* a busy machine takes long to warm up */
        char line[256];
        snprintf(line, sizeof line,
                 "\"$tread\" profile optimizer --layouts big:64Ki --optimizers sgd --rounds 1000 --seconds 0 --format "
                 "json --output x.json & sleep %d; kill -TERM $!; wait $!",
                 seconds);
        code = command_shell(line);
        if (code != 0)
            command_must_contain(command_error, "interrupted before anything was measured", "too soon");
    }
    ck_assert_int_eq(code, 0);
    command_must_contain(command_error, "stopping after this step", "told");
    json_t *root = json_load_file(test_path("x.json"), 0, NULL);
    ck_assert(json_is_true(json_object_get(root, "interrupted")));
    ck_assert(json_array_size(json_object_get(root, "rows")) >= 1);
    json_decref(root);
    test_folder_remove();
}
END_TEST

TEST_MAIN("profile", charts_are_drawn, csv_has_a_line_a_row, ctrl_c_ends_it_with_what_there_is,
          json_has_everything_and_it_agrees, misuse_is_refused, the_table_is_for_people)
