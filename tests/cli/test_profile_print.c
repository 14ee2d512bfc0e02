/* The outputs of `tread profile optimizer` on made-up figures: a machine with eight CPUs, which the tests' may not be.
 */
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "cli/profile_optimizer.h"
#include "tests/cli/command.h"
#include "tests/test.h"

#define N_THREADS 4
static const int threads[N_THREADS] = {1, 2, 4, 8};
static double samples[N_THREADS][2];
static tread_profile_row rows[N_THREADS];
static const tread_profile_optimizer_info optimizer = {"adam", 28, 4, 1};
static const tread_profile_layout_info layout = {"big:1000", 1, 1000};
static tread_profile_scaling scaling;

/* Times by the law, with sigma = 0.1 and kappa = 0.01. */
static cli_optimizer_report make_report(tread_profile_optimizer_result *ret_result) {
    double medians[N_THREADS];
    for (size_t t = 0; t < N_THREADS; t++) {
        const double p = threads[t], time = 1e-3 * (1 + 0.1 * (p - 1) + 0.01 * p * (p - 1)) / p;
        samples[t][0] = samples[t][1] = medians[t] = time;
        rows[t] = (tread_profile_row){.threads = threads[t],
                                      .steps_per_sample = 1,
                                      .n_samples = 2,
                                      .samples = samples[t],
                                      .median = time,
                                      .lower_quartile = time,
                                      .upper_quartile = time,
                                      .ns_per_parameter = 1e6 * time,
                                      .bytes_per_second = 28e3 / time,
                                      .rmw_bytes_per_second = 30e9,
                                      .memory_bytes_per_second = 10e9 * p,
                                      .bandwidth_share = 28e3 / time / 30e9,
                                      .speedup = 1e-3 / time,
                                      .efficiency = 1e-3 / time / p,
                                      .serial_fraction = tread_profile_karp_flatt(1e-3 / time, threads[t]),
                                      .bound = TREAD_BOUND_CACHE};
    }
    ck_assert_ok(tread_profile_fit_scaling(threads, medians, N_THREADS, &scaling.law));
    *ret_result = (tread_profile_optimizer_result){.optimizers = &optimizer,
                                                   .n_optimizers = 1,
                                                   .layouts = &layout,
                                                   .n_layouts = 1,
                                                   .threads = threads,
                                                   .n_threads = N_THREADS,
                                                   .rows = rows,
                                                   .n_rows = N_THREADS,
                                                   .scalings = &scaling,
                                                   .n_scalings = 1,
                                                   .seconds = 2};
    cli_optimizer_report report = {.result = ret_result, .info = tread_system_info_defaults()};
    ck_assert_ok(tread_info(NULL, &report.info));
    return report;
}

static char *table_of(const cli_optimizer_report *report) {
    char *text;
    size_t size;
    FILE *file = open_memstream(&text, &size);
    cli_optimizer_print_table(file, report);
    fclose(file);
    return text;
}

START_TEST(a_law_stands_below_its_rows) {
    tread_profile_optimizer_result result;
    const cli_optimizer_report report = make_report(&result);
    char *text = table_of(&report);
    command_must_contain(text, "\nmemory    10.0 GB/s with 1, 20.0 GB/s with 2, 40.0 GB/s with 4, 80.0 GB/s with 8",
                         "memory");
    command_must_contain(text, "\nadam      sigma 0.1000", "law");
    command_must_contain(text, ", kappa 0.0100", "law");
    command_must_contain(text, ", R2 1.000; peak 3.57 times with 9 threads; Amdahl's sigma 0.", "peak");
    free(text);
    scaling.law.kappa = 0;
    scaling.law.peak_threads = INFINITY;
    scaling.law.peak_speedup = 10;
    text = table_of(&report);
    command_must_contain(text, "; no peak, towards 10.0 times; ", "Amdahl");
    free(text);
    scaling.law.peak_speedup = INFINITY;
    text = table_of(&report);
    command_must_contain(text, "; no peak, no limit; ", "ideal");
    free(text);
}
END_TEST

START_TEST(an_end_before_its_time_is_said) {
    tread_profile_optimizer_result result;
    const cli_optimizer_report report = make_report(&result);
    result.interrupted = true;
    rows[2].n_samples = 1;
    char *text = table_of(&report);
    command_must_contain(text, "medians of 1 round or more, in 2.0 s; interrupted\n", "interrupted");
    free(text);
    result.interrupted = false;
    result.out_of_time = true;
    text = table_of(&report);
    command_must_contain(text, "; the time was up (--seconds)\n", "out of time");
    free(text);
}
END_TEST

START_TEST(json_has_the_law_and_null_for_what_has_no_number) {
    tread_profile_optimizer_result result;
    const cli_optimizer_report report = make_report(&result);
    scaling.law.peak_threads = INFINITY;
    scaling.law.sigma_error = NAN;
    char *text;
    size_t size;
    FILE *file = open_memstream(&text, &size);
    ck_assert(cli_optimizer_print_json(file, &report));
    fclose(file);
    json_t *root = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
    const json_t *law = json_array_get(json_object_get(root, "scalings"), 0);
    static const char *const numbers[] = {"sigma",        "kappa",        "r_squared",   "peak_speedup",
                                          "amdahl_sigma", "amdahl_error", "kappa_error", "amdahl_r_squared"};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        ck_assert_msg(json_is_real(json_object_get(law, numbers[i])), "%s", numbers[i]);
    ck_assert(fabs(json_real_value(json_object_get(law, "sigma")) - 0.1) < 1e-9);
    ck_assert(json_is_null(json_object_get(law, "peak_threads")) && json_is_null(json_object_get(law, "sigma_error")));
    ck_assert_str_eq(json_string_value(json_object_get(law, "optimizer")), "adam");
    ck_assert_int_eq(json_integer_value(json_object_get(law, "points")), 4);
    json_decref(root);
    free(text);
}
END_TEST

TEST_MAIN("profile print", a_law_stands_below_its_rows, an_end_before_its_time_is_said,
          json_has_the_law_and_null_for_what_has_no_number)
