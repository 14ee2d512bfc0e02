/* Distributions, outliers and overhead, on numbers whose answers are known. */
#include <math.h>
#include <string.h>

#include "engine/profile/train_profile.h"
#include "tests/test.h"

#define N 1000
static double values[N], room[N];

START_TEST(quantiles_of_known_numbers) {
    for (int i = 0; i <= 100; i++)
        values[i] = 200 - (i * 37 % 101); /* 100 to 200, in disorder */
    const tread_profile_times t = tread_profile_times_of(values, 101, room);
    ck_assert_int_eq(t.n, 101);
    ck_assert_double_eq(t.least, 100);
    ck_assert_double_eq_tol(t.p5, 105, 1e-9);
    ck_assert_double_eq(t.lower_quartile, 125);
    ck_assert_double_eq(t.median, 150);
    ck_assert_double_eq(t.upper_quartile, 175);
    ck_assert_double_eq_tol(t.p95, 195, 1e-9);
    ck_assert_double_eq_tol(t.p99, 199, 1e-9);
    ck_assert_double_eq(t.greatest, 200);
    ck_assert_double_eq(t.mean, 150);
    const tread_profile_times two = tread_profile_times_of((double[]){4, 2}, 2, room);
    ck_assert_double_eq(two.median, 3);
    ck_assert_double_eq_tol(two.p95, 3.9, 1e-12);
    const tread_profile_times one = tread_profile_times_of((double[]){7}, 1, room);
    ck_assert(one.least == 7 && one.median == 7 && one.p99 == 7 && one.greatest == 7 && one.mean == 7);
    ck_assert(isnan(tread_profile_times_of(NULL, 0, room).median));
}
END_TEST

START_TEST(histograms_count_every_step) {
    for (int i = 0; i < 100; i++)
        values[i] = i;
    values[100] = 1e6;
    tread_profile_times t = tread_profile_times_of(values, 101, room);
    ck_assert_double_eq_tol(t.p99, 99, 1e-9);
    tread_profile_histogram h = tread_profile_histogram_of(values, 101, &t);
    ck_assert_double_eq_tol(h.width, 99.0 / TREAD_PROFILE_BINS, 1e-9);
    int64_t sum = h.above;
    for (int i = 0; i < TREAD_PROFILE_BINS; i++) {
        ck_assert_int_ge(h.counts[i], 4);
        ck_assert_int_le(h.counts[i], 6);
        sum += h.counts[i];
    }
    ck_assert_int_eq(sum, 101);
    ck_assert_int_eq(h.above, 1);
    const double alike[] = {3, 3, 3};
    t = tread_profile_times_of(alike, 3, room);
    h = tread_profile_histogram_of(alike, 3, &t);
    ck_assert_int_eq(h.counts[0], 3);
    ck_assert_double_eq(h.width, 0);
}
END_TEST

START_TEST(stretches_take_turns) {
    const bool expected[] = {false, true, true, false, false, true, true, false};
    for (int i = 0; i < 8; i++)
        ck_assert(tread_profile_stretch_is_recorded(i) == expected[i]);
    ck_assert_int_eq(tread_profile_stretch_steps(1), 1);
    ck_assert_int_eq(tread_profile_stretch_steps(7), 1);
    ck_assert_int_eq(tread_profile_stretch_steps(8), 2);
    ck_assert_int_eq(tread_profile_stretch_steps(39), 9);
    ck_assert_int_eq(tread_profile_stretch_steps(1000000), TREAD_PROFILE_STRETCH);
}
END_TEST

static tread_profile_step steps[N];
static double scratch[2 * N];

/* A machine that becomes slower all the time, and recording that costs a tenth. */
START_TEST(overhead_is_seen_through_a_drift) {
    tread_train_profile_private own = {.steps = steps, .scratch = scratch};
    own.shown.batch_samples = 50;
    for (int stretch = 0; stretch < 20; stretch++)
        for (int i = 0; i < 10; i++) {
            const bool recorded = tread_profile_stretch_is_recorded(stretch);
            const double drift = 1 + 0.01 * (double)own.shown.n_all_steps / 200;
            steps[own.shown.n_all_steps++] =
                (tread_profile_step){.seconds = (recorded ? 1.1 : 1.0) * drift, .recorded = recorded};
        }
    steps[3].seconds = 9; /* not recorded */
    steps[13].seconds = 9;
    tread_train_profile_fill_times(&own);
    ck_assert_int_eq(own.shown.times.n, 100);
    ck_assert_int_eq(own.shown.recorded_times.n, 100);
    ck_assert_double_eq_tol(own.shown.overhead, 0.1, 0.002);
    ck_assert(own.shown.overhead_lower <= own.shown.overhead && own.shown.overhead <= own.shown.overhead_upper);
    ck_assert_double_eq_tol(own.shown.times.median, 1.005, 0.002);
    ck_assert_double_eq_tol(own.shown.samples_per_second, 50 / 1.005, 0.2);
    ck_assert_int_eq(own.shown.n_outliers, 1);
    ck_assert(steps[3].is_outlier && !steps[13].is_outlier);
}
END_TEST

START_TEST(smaller_batches_stand_apart) {
    tread_train_profile_private own = {.steps = steps, .scratch = scratch};
    memset(steps, 0, sizeof steps);
    for (int i = 0; i < 40; i++) {
        const bool smaller = i % 10 == 9;
        steps[own.shown.n_all_steps++] =
            (tread_profile_step){.seconds = smaller ? 0.3 : 1, .events = smaller ? TREAD_STEP_SMALLER_BATCH : 0};
    }
    steps[39].seconds = 2;
    tread_train_profile_fill_times(&own);
    ck_assert_int_eq(own.shown.times.n, 36);
    ck_assert_double_eq(own.shown.times.least, 1);
    ck_assert_int_eq(own.shown.smaller_times.n, 4);
    ck_assert_double_eq(own.shown.smaller_times.median, 0.3);
    ck_assert_int_eq(own.shown.n_outliers, 0);
}
END_TEST

START_TEST(what_is_hardly_slower_is_no_outlier) {
    tread_train_profile_private own = {.steps = steps, .scratch = scratch};
    memset(steps, 0, sizeof steps);
    for (int i = 0; i < 100; i++)
        steps[own.shown.n_all_steps++] = (tread_profile_step){.seconds = 1 + 1e-6 * i};
    steps[50].seconds = 1.09;
    steps[51].seconds = 1.11;
    tread_train_profile_fill_times(&own);
    ck_assert(!steps[50].is_outlier && steps[51].is_outlier);
    ck_assert(isnan(own.shown.recorded_times.median) && isnan(own.shown.overhead_lower));
}
END_TEST

TEST_MAIN("train_times", quantiles_of_known_numbers, histograms_count_every_step, stretches_take_turns,
          overhead_is_seen_through_a_drift, smaller_batches_stand_apart, what_is_hardly_slower_is_no_outlier)
