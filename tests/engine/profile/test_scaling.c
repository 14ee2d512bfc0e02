/* Karp and Flatt's fraction, the fitted laws, and the rule that names what bounds a row. */
#include <math.h>
#include <string.h>

#include "engine/profile/bound.h"
#include "tests/test.h"

static void must_be_near(double value, double expected, double tolerance) {
    ck_assert_msg(fabs(value - expected) <= tolerance, "%.17g, not %.17g", value, expected);
}

START_TEST(karp_and_flatt_give_amdahl_s_share_back) {
    for (int p = 2; p <= 64; p *= 2)
        for (double e = 0; e <= 1; e += 0.125)
            must_be_near(tread_profile_karp_flatt(1 / (e + (1 - e) / p), p), e, 1e-14);
    must_be_near(tread_profile_karp_flatt(0.5, 2), 3, 1e-14); /* slower than one thread */
    ck_assert(tread_profile_karp_flatt(2.5, 2) < 0);          /* better than ideal */
    ck_assert(isnan(tread_profile_karp_flatt(1, 1)) && isnan(tread_profile_karp_flatt(0, 2)));
    ck_assert(isnan(tread_profile_karp_flatt(NAN, 2)) && isnan(tread_profile_karp_flatt(-1, 2)));
}
END_TEST

static const int counts[] = {1, 2, 4, 8, 16, 32};
#define N_COUNTS 6

/* Times by the law, each multiplied by 1 + noise times what alternates in sign. */
static tread_scaling_law fit(double sigma, double kappa, size_t n, double noise) {
    double seconds[N_COUNTS];
    for (size_t i = 0; i < n; i++) {
        const double p = counts[i], wave = i == 0 ? 0 : i % 2 == 0 ? 1 : -1;
        seconds[i] = 0.003 * (1 + sigma * (p - 1) + kappa * p * (p - 1)) / p * (1 + noise * wave);
    }
    tread_scaling_law law;
    ck_assert_ok(tread_profile_fit_scaling(counts, seconds, n, &law));
    ck_assert_uint_eq(law.points, n);
    return law;
}

START_TEST(exact_times_give_the_parameters_back) {
    static const double sigmas[] = {0, 0.01, 0.2, 0.9}, kappas[] = {0, 1e-4, 0.01, 0.3};
    for (size_t n = 4; n <= N_COUNTS; n++)
        for (size_t s = 0; s < 4; s++)
            for (size_t k = 0; k < 4; k++) {
                const tread_scaling_law l = fit(sigmas[s], kappas[k], n, 0);
                must_be_near(l.sigma, sigmas[s], 1e-9);
                must_be_near(l.kappa, kappas[k], 1e-9);
                must_be_near(l.r_squared, 1, 1e-9);
                ck_assert(isnan(l.sigma_error) || l.sigma_error < 1e-6);
                ck_assert(isnan(l.kappa_error) || l.kappa_error < 1e-6);
            }
}
END_TEST

START_TEST(the_peak_is_where_the_law_says) {
    tread_scaling_law l = fit(0.1, 0.004, N_COUNTS, 0);
    must_be_near(l.peak_threads, 15, 1e-6); /* sqrt((1 - 0.1) / 0.004) */
    must_be_near(l.peak_speedup, 15 / (1 + 0.1 * 14 + 0.004 * 15 * 14), 1e-9);
    l = fit(0.25, 0, N_COUNTS, 0); /* Amdahl: no peak, and a limit */
    must_be_near(l.amdahl_sigma, 0.25, 1e-12);
    must_be_near(l.amdahl_r_squared, 1, 1e-9);
    ck_assert(l.kappa < 1e-9);
    l = fit(0, 0, N_COUNTS, 0); /* perfect */
    ck_assert(isinf(l.peak_threads) && isinf(l.peak_speedup) && l.sigma == 0 && l.kappa == 0);
    l = fit(1.5, 0.2, N_COUNTS, 0); /* slower from the second thread on */
    ck_assert(l.peak_threads == 1 && l.peak_speedup == 1);
}
END_TEST

START_TEST(noise_is_within_the_standard_error) {
    const tread_scaling_law l = fit(0.05, 0.002, N_COUNTS, 0.02);
    ck_assert(l.sigma_error > 0.001 && l.sigma_error < 0.05 && l.kappa_error > 0.00001 && l.kappa_error < 0.002);
    must_be_near(l.sigma, 0.05, 3 * l.sigma_error);
    must_be_near(l.kappa, 0.002, 3 * l.kappa_error);
    ck_assert(l.r_squared > 0.98 && l.r_squared < 1);
    /* Amdahl's law alone misses the coherency. */
    ck_assert(l.amdahl_r_squared < l.r_squared && l.amdahl_error > 0);
}
END_TEST

/* The normal equations of these five times, solved in Python. */
START_TEST(errors_are_those_of_least_squares) {
    const double seconds[] = {12, 6.6, 3.9, 2.7, 2.4};
    tread_scaling_law l;
    ck_assert_ok(tread_profile_fit_scaling(counts, seconds, 5, &l));
    must_be_near(l.sigma, 0.0840850823281027, 1e-12);
    must_be_near(l.kappa, 0.003894469500309, 1e-12);
    must_be_near(l.sigma_error, 0.0023299031309139, 1e-12);
    must_be_near(l.kappa_error, 0.000187450541564282, 1e-12);
    must_be_near(l.r_squared, 0.99995643521691, 1e-12);
    must_be_near(l.amdahl_sigma, 0.128705140549798, 1e-12);
    must_be_near(l.amdahl_error, 0.0108601120579322, 1e-12);
    must_be_near(l.amdahl_r_squared, 0.973340776899344, 1e-12);
}
END_TEST

START_TEST(parameters_stop_at_zero) {
    const double better[] = {1, 0.4, 0.15, 0.06}; /* better than ideal: a cache that grows with the threads */
    tread_scaling_law l;
    ck_assert_ok(tread_profile_fit_scaling(counts, better, 4, &l));
    ck_assert(l.sigma == 0 && l.kappa == 0 && isnan(l.sigma_error) && isnan(l.kappa_error) && l.r_squared < 1);
    const double late[] = {1, 0.49, 0.25, 0.26}; /* the best sigma would be below 0 */
    ck_assert_ok(tread_profile_fit_scaling(counts, late, 4, &l));
    ck_assert(l.sigma == 0 && l.kappa > 0 && isnan(l.sigma_error) && l.kappa_error > 0);
    const double even[] = {1, 1, 1, 1}; /* more threads change nothing */
    ck_assert_ok(tread_profile_fit_scaling(counts, even, 4, &l));
    must_be_near(l.sigma, 1, 1e-9);
    must_be_near(l.kappa, 0, 1e-9);
    const double slower[] = {1, 2, 4, 9};
    ck_assert_ok(tread_profile_fit_scaling(counts, slower, 4, &l));
    ck_assert(l.peak_threads == 1 && l.peak_speedup == 1 && l.sigma >= 0 && l.kappa >= 0);
}
END_TEST

START_TEST(what_no_law_can_be_fitted_to_is_refused) {
    const double seconds[] = {1, 0.5, 0.3, 0.2};
    tread_scaling_law l = {.points = 77};
#define REFUSED(threads, times, n, part)                                                                               \
    ck_assert_fails(tread_profile_fit_scaling(threads, times, n, &l), TREAD_ERROR_ARGUMENT, part)
    REFUSED(counts, seconds, 0, "0 thread counts are too few");
    REFUSED(counts, seconds, 3, "3 thread counts are too few");
    REFUSED(((int[]){2, 4, 8, 16}), seconds, 4, "1 thread is missing");
    REFUSED(((int[]){1, 2, 2, 4}), seconds, 4, "2 threads are there twice");
    REFUSED(((int[]){1, 2, 0, 4}), seconds, 4, "threads[2] = 0");
    REFUSED(counts, ((double[]){1, 0.5, 0, 0.2}), 4, "seconds[2] = 0");
    REFUSED(counts, ((double[]){1, INFINITY, 0.3, 0.2}), 4, "seconds[1] = inf");
    REFUSED(counts, ((double[]){1, 0.5, 0.3, NAN}), 4, "seconds[3]");
    REFUSED(NULL, seconds, 4, "NULL");
    REFUSED(counts, NULL, 4, "NULL");
    ck_assert_fails(tread_profile_fit_scaling(counts, seconds, 4, NULL), TREAD_ERROR_ARGUMENT, "NULL");
    ck_assert_uint_eq(l.points, 77);
}
END_TEST

static const tread_bound_figures plain = {.threads = 4,
                                          .step = 1e-3,
                                          .alone = 3.5e-3,
                                          .fork = 2e-6,
                                          .traffic = 0.9e-3,
                                          .arithmetic = 0.3e-3,
                                          .rmw_rate = 20e9,
                                          .memory_rate = 20e9};

START_TEST(the_rule_names_what_bounds_a_row) {
    tread_bound_figures f = plain;
    ck_assert_int_eq(tread_bound_of(&f), TREAD_BOUND_MEMORY);
    f.rmw_rate = 25.9e9;
    ck_assert_int_eq(tread_bound_of(&f), TREAD_BOUND_MEMORY);
    f.rmw_rate = 26.1e9; /* 1.3 times memory */
    ck_assert_int_eq(tread_bound_of(&f), TREAD_BOUND_CACHE);
    f.arithmetic = 0.98e-3;
    ck_assert_int_eq(tread_bound_of(&f), TREAD_BOUND_CACHE);
    f.arithmetic = 1e-3; /* 1.1 times traffic */
    ck_assert_int_eq(tread_bound_of(&f), TREAD_BOUND_ARITHMETIC);
    f.arithmetic = 0.3e-3;
    f.traffic = 0.59e-3; /* with the fork, less than three fifths */
    ck_assert_int_eq(tread_bound_of(&f), TREAD_BOUND_OTHER);
    f.traffic = 0.61e-3;
    ck_assert_int_eq(tread_bound_of(&f), TREAD_BOUND_CACHE);
}
END_TEST

START_TEST(a_fork_that_costs_a_quarter_bounds) {
    tread_bound_figures f = plain;
    f.fork = 0.21e-3; /* of alone / 4 = 0.875 ms */
    ck_assert_int_eq(tread_bound_of(&f), TREAD_BOUND_MEMORY);
    f.fork = 0.22e-3;
    ck_assert_int_eq(tread_bound_of(&f), TREAD_BOUND_FORK);
    f = plain;
    f.alone = 1e-6, f.step = 1e-6, f.traffic = 1e-6,
    f.arithmetic = 1e-7; /* too little to be shared out, and so it was not */
    ck_assert_int_eq(tread_bound_of(&f), TREAD_BOUND_FORK);
    f.threads = 1;
    ck_assert_int_eq(tread_bound_of(&f), TREAD_BOUND_MEMORY); /* one thread has no fork */
    f = plain;
    f.alone = NAN; /* no row of one thread */
    f.fork = 0.24e-3;
    ck_assert_int_eq(tread_bound_of(&f), TREAD_BOUND_MEMORY);
    f.fork = 0.26e-3;
    ck_assert_int_eq(tread_bound_of(&f), TREAD_BOUND_FORK);
}
END_TEST

START_TEST(what_was_not_measured_is_not_named) {
    for (int i = 0; i < 5; i++) {
        tread_bound_figures f = plain;
        double *const all[] = {&f.step, &f.fork, &f.traffic, &f.arithmetic, &f.memory_rate};
        *all[i] = NAN;
        ck_assert_int_eq(tread_bound_of(&f), TREAD_BOUND_UNKNOWN);
    }
    for (int b = 0; b < TREAD_BOUND_COUNT; b++)
        ck_assert_ptr_nonnull(tread_profile_bound_name((tread_profile_bound)b));
    ck_assert_str_eq(tread_profile_bound_name(TREAD_BOUND_FORK), "fork");
    ck_assert_ptr_null(tread_profile_bound_name((tread_profile_bound)TREAD_BOUND_COUNT));
}
END_TEST

TEST_MAIN("profile scaling", a_fork_that_costs_a_quarter_bounds, errors_are_those_of_least_squares,
          exact_times_give_the_parameters_back, karp_and_flatt_give_amdahl_s_share_back,
          noise_is_within_the_standard_error, parameters_stop_at_zero, the_peak_is_where_the_law_says,
          the_rule_names_what_bounds_a_row, what_no_law_can_be_fitted_to_is_refused, what_was_not_measured_is_not_named)
