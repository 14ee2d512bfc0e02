#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <tread/version.h>
#include <unistd.h>

#include "tests/bench/bench.h"
#include "tests/engine/files.h"
#include "tests/test.h"
#include "tread_config.h"

static struct {
    bool quick;
    int64_t rounds;
    double seconds;
    const char *shapes;
    bench_counts threads;
} s;

static const bench_option options[] = {
    {"quick", BENCH_FLAG, &s.quick, NULL, "fewer rounds", 0, 0},
    {"rounds", BENCH_COUNT, &s.rounds, "N", "rounds", 1, 1000},
    {"seconds", BENCH_REAL, &s.seconds, "S", "of a round", 0.001, 10},
    {"shapes", BENCH_TEXT, &s.shapes, "LIST", "which", 0, 0},
    {"threads", BENCH_COUNTS, &s.threads, "LIST", "at each of these", 1, 64},
    {0},
};

static void reset(void) {
    s.quick = false;
    s.rounds = 7;
    s.seconds = 0.5;
    s.shapes = NULL;
    s.threads = (bench_counts){{1, 2}, 2};
}

/* As if the program had been called with these words, which single blanks part. */
static bench *begin(const char *words) {
    static char text[5000];
    char *argv[32];
    int argc = 0;
    reset();
    snprintf(text, sizeof text, "bench_x%s%s", *words ? " " : "", words);
    for (char *at = text; at != NULL;) {
        argv[argc++] = at;
        at = strchr(at, ' ');
        if (at != NULL)
            *at++ = '\0';
    }
    argv[argc] = NULL;
    return bench_begin(argc, argv, "Times nothing.", options);
}

START_TEST(quantiles_are_those_of_the_sorted_values) {
    double odd[] = {5, 1, 4, 2, 3}, even[] = {40, 10, 30, 20}, one[] = {7};
    bench_summary a = bench_summarize(odd, 5), b = bench_summarize(even, 4), c = bench_summarize(one, 1);
    ck_assert_double_eq(a.median, 3);
    ck_assert_double_eq(a.lower_quartile, 2);
    ck_assert_double_eq(a.upper_quartile, 4);
    ck_assert_double_eq(a.least, 1);
    ck_assert_double_eq(a.greatest, 5);
    ck_assert_int_eq(a.n, 5);
    ck_assert_double_eq(b.median, 25);
    ck_assert_double_eq(b.lower_quartile, 17.5);
    ck_assert_double_eq(b.upper_quartile, 32.5);
    ck_assert_double_eq(c.median, 7);
    ck_assert_double_eq(c.lower_quartile, 7);
    ck_assert_double_eq(c.upper_quartile, 7);
    ck_assert_double_eq(bench_median(even, 4), 25);
}
END_TEST

START_TEST(a_rate_is_highest_where_the_time_is_shortest) {
    double seconds[] = {1, 2, 4, 5, 10};
    bench_summary rate = bench_rate(bench_summarize(seconds, 5), 20),
                  us = bench_scale(bench_summarize(seconds, 5), 1e6);
    ck_assert_double_eq(rate.median, 5);
    ck_assert_double_eq(rate.lower_quartile, 4);
    ck_assert_double_eq(rate.upper_quartile, 10);
    ck_assert_double_eq(rate.least, 2);
    ck_assert_double_eq(rate.greatest, 20);
    ck_assert_int_eq(rate.n, 5);
    ck_assert_double_eq(us.upper_quartile, 5e6);
    ck_assert_double_eq(us.least, 1e6);
}
END_TEST

START_TEST(lists_hold_whole_names) {
    ck_assert(bench_listed("A32,B64", "A32"));
    ck_assert(bench_listed("A32,B64", "B64"));
    ck_assert(!bench_listed("A32,B64", "B6"));
    ck_assert(!bench_listed("A32,B64", "B641"));
    ck_assert(!bench_listed("A32,B64", "32"));
    ck_assert(bench_listed(NULL, "anything"));
}
END_TEST

START_TEST(options_are_taken_and_others_keep_their_defaults) {
    ck_assert_int_eq(bench_end(begin("--quick --seconds 0.25 --threads 4,1,2")), 0);
    ck_assert(s.quick);
    ck_assert_int_eq(s.rounds, 7);
    ck_assert_double_eq(s.seconds, 0.25);
    ck_assert_ptr_null(s.shapes);
    ck_assert_int_eq(s.threads.n, 3);
    ck_assert_int_eq(s.threads.values[0], 4);
    ck_assert_int_eq(s.threads.values[2], 2);
    ck_assert_int_eq(bench_end(begin("--rounds=9 --shapes B64")), 0);
    ck_assert_int_eq(s.rounds, 9);
    ck_assert_str_eq(s.shapes, "B64");
    ck_assert(!s.quick);
}
END_TEST

/* How a child ends that is called so; its output goes nowhere. */
static int ends_with(const char *words) {
    pid_t child = fork();
    if (child == 0) {
        if (freopen("/dev/null", "w", stdout) == NULL || freopen("/dev/null", "w", stderr) == NULL)
            _exit(99);
        bench *b = begin(words);
        bench_check_list("shapes", s.shapes, "A32,B64");
        bench_end(b);
        _exit(50);
    }
    int status = 0;
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert(WIFEXITED(status));
    return WEXITSTATUS(status);
}

START_TEST(wrong_words_end_with_two_and_help_with_none) {
    static const char *const wrong[] = {
        "--rounds 0",      "--rounds 1001", "--rounds x",     "--rounds 3x",
        "--rounds 3,4",    "--rounds",      "--rounds ",      "--rounds 99999999999999999999",
        "--seconds 0",     "--seconds nan", "--seconds 1s",   "--seconds ",
        "--threads 1,,2",  "--threads 1,",  "--threads 1,65", "--threads 1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1",
        "--threads ",      "--none such",   "word",           "--quick word",
        "--shapes A32,B6", "--shapes A32,",
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        ck_assert_msg(ends_with(wrong[i]) == 2, "%s", wrong[i]);
    ck_assert_int_eq(ends_with("--shapes B64,A32"), 50);
    ck_assert_int_eq(ends_with(""), 50);
    ck_assert_int_eq(ends_with("--help"), 0);
}
END_TEST

START_TEST(a_file_that_cannot_be_written_ends_with_one) {
    ck_assert_int_eq(ends_with("--json /dev/null/x"), 1);
    ck_assert_int_eq(ends_with("--json /dev/null"), 50);
}
END_TEST

START_TEST(the_file_holds_figures_and_what_belongs_beside_them) {
    char words[4500];
    test_folder_create();
    snprintf(words, sizeof words, "--rounds 8 --json %s", test_path("figures.json"));
    bench *b = begin(words);
    json_t *row = bench_row(b, "B64", 2);
    double values[] = {3e-6, 1e-6, 2e-6};
    bench_value(row, "step_us", bench_scale(bench_summarize(values, 3), 1e6));
    json_object_set_new(row, "batch", json_integer(64));
    bench_row(b, "B256", 1);
    ck_assert_int_eq(bench_end(b), 0);
    json_t *file = json_load_file(test_path("figures.json"), 0, NULL);
    ck_assert_ptr_nonnull(file);
    int schema, threads, batch, n, cores;
    double median, lower, upper, least, greatest;
    const char *program, *date, *first, *version, *compiler, *name, *spin;
    json_t *rows;
    ck_assert_int_eq(json_unpack(file, "{s:i, s:s, s:s, s:[s], s:{s:s, s:s}, s:{s:i}, s:{s:s}, s:o}", "schema", &schema,
                                 "program", &program, "date", &date, "command", &first, "versions", "tread", &version,
                                 "compiler", &compiler, "machine", "allowed_cpus", &cores, "environment",
                                 "GOMP_SPINCOUNT", &spin, "rows", &rows),
                     0);
    ck_assert_int_eq(schema, 1);
    ck_assert_str_eq(program, first);
    ck_assert_uint_eq(strlen(date), strlen("2026-11-27T14:05:00Z"));
    ck_assert_str_eq(version, TREAD_VERSION_STRING);
    ck_assert_int_ge(cores, 1);
    ck_assert_str_eq(spin, getenv("GOMP_SPINCOUNT"));
    ck_assert_uint_eq(json_array_size(json_object_get(file, "command")), 5);
    ck_assert_uint_eq(json_array_size(rows), 2);
    ck_assert_int_eq(json_unpack(json_array_get(rows, 0), "{s:s, s:i, s:i, s:{s:f, s:f, s:f, s:f, s:f, s:i}}", "name",
                                 &name, "threads", &threads, "batch", &batch, "step_us", "median", &median,
                                 "lower_quartile", &lower, "upper_quartile", &upper, "least", &least, "greatest",
                                 &greatest, "n", &n),
                     0);
    ck_assert_str_eq(name, "B64");
    ck_assert_int_eq(threads, 2);
    ck_assert_int_eq(batch, 64);
    ck_assert_int_eq(n, 3);
    ck_assert_double_eq_tol(median, 2, 1e-6);
    ck_assert_double_eq_tol(lower, 1.5, 1e-6);
    ck_assert_double_eq_tol(upper, 2.5, 1e-6);
    ck_assert_double_eq_tol(least, 1, 1e-6);
    ck_assert_double_eq_tol(greatest, 3, 1e-6);
    json_decref(file);
    test_folder_remove();
}
END_TEST

START_TEST(the_clock_goes_on_and_a_context_has_its_threads) {
    double start = bench_clock();
    tread_context *context = bench_context(3);
    ck_assert_int_eq(tread_context_threads(context), TREAD_HAVE_OPENMP ? 3 : 1);
    tread_context_destroy(context);
    ck_assert_double_ge(bench_clock(), start);
}
END_TEST

TEST_MAIN("bench", quantiles_are_those_of_the_sorted_values, a_rate_is_highest_where_the_time_is_shortest,
          lists_hold_whole_names, options_are_taken_and_others_keep_their_defaults,
          wrong_words_end_with_two_and_help_with_none, a_file_that_cannot_be_written_ends_with_one,
          the_file_holds_figures_and_what_belongs_beside_them, the_clock_goes_on_and_a_context_has_its_threads)
