#include "core/kernels_rows.h"

#include "tests/core/kernel_fixture.h"

static const int64_t shapes[][2] = {{1, 1},  {32, 10}, {17, 10}, {5, 2},    {16, 63},
                                    {3, 64}, {3, 65},  {2, 80},  {5, 1000}, {0, 4}};
static const size_t n_shapes = sizeof shapes / sizeof *shapes;

/* mode: bit 0 dtype, bit 1 smoothing, bit 2 label type */
static tread_cross_entropy_shape shape_of(size_t s, int mode) {
    return (tread_cross_entropy_shape){.dtype = (tread_dtype)(mode & 1),
                                       .label_dtype = mode & 4 ? TREAD_UINT8 : TREAD_INT32,
                                       .rows = shapes[s][0],
                                       .classes = shapes[s][1],
                                       .ignore_index = 1,
                                       .label_smoothing = mode & 2 ? 0.1 : 0};
}

/* A place of 64 bytes more than needed, so that the labels may be of either type. */
static void *labels_random(const tread_cross_entropy_shape *shape, uint64_t seed) {
    int32_t *labels = calloc((size_t)shape->rows + 16, sizeof *labels);
    tread_rng rng = tread_rng_create(seed, 1);
    uint32_t classes = (uint32_t)(shape->classes < 256 ? shape->classes : 256);
    for (int64_t i = 0; i < shape->rows; i++)
        if (shape->label_dtype == TREAD_INT32)
            labels[i] = (int32_t)tread_rng_below(&rng, classes);
        else
            ((uint8_t *)labels)[i] = (uint8_t)tread_rng_below(&rng, classes);
    return labels;
}

/* What a row must give, in long double, from the formula. q: the smoothed target. */
static void expect_row(const tread_cross_entropy_shape *shape, array x, int32_t label, int64_t row,
                       long double *ret_loss, long double *ret_delta, long double *ret_spread) {
    const int64_t n = shape->classes, start = row * n;
    const long double smoothing = shape->label_smoothing;
    long double top = -INFINITY, sum = 0, loss = 0;
    for (int64_t i = 0; i < n; i++)
        top = fmaxl(top, array_get(x, start + i));
    for (int64_t i = 0; i < n; i++)
        sum += expl(array_get(x, start + i) - top);
    *ret_spread = 0;
    for (int64_t i = 0; i < n; i++) {
        const long double log_p = array_get(x, start + i) - top - logl(sum);
        const long double q = smoothing / (long double)n + (i == label ? 1 - smoothing : 0);
        loss -= q > 0 ? q * log_p : 0;
        ret_delta[i] = expl(log_p) - q;
        *ret_spread += q > 0 && isfinite(log_p) ? q * fabsl(log_p) : 0;
    }
    *ret_loss = loss;
}

/* The row's log sum exp is off by the mean, weighted by the terms, of its exponents' errors: x - top rounded (at most
 * log n u), exp's 1.1 ulp (2.2 u); in double n roundings of the sum, 1 ulp of log, and 6 of parts below the spread.
 * delta: p's relative error is d + log n + 6.4 (d exp(-d) < 0.37), then roundings of 3 values of at most 1. */
static void check_rows(const tread_cross_entropy_shape *shape, array x, const void *labels, const double *losses,
                       array delta) {
    const int64_t n = shape->classes;
    const double u = roundoff(shape->dtype), log_n = log((double)n), n_double = (double)n * 0x1p-53;
    long double *expected = calloc((size_t)n, sizeof *expected);
    for (int64_t row = 0; row < shape->rows; row++) {
        const int32_t label = tread_kernel_label(shape, labels, row);
        if (label == shape->ignore_index) {
            ck_assert_double_eq(losses[row], 0);
            for (int64_t i = 0; i < n; i++)
                ck_assert_double_eq(array_get(delta, row * n + i), 0);
            continue;
        }
        long double loss, spread;
        expect_row(shape, x, label, row, &loss, expected, &spread);
        check_near(losses[row], loss, u * (log_n + 2.2) + n_double + 0x1p-53L * (2 + log_n + 8 * spread), "loss", row);
        for (int64_t i = 0; i < n; i++)
            check_near(array_get(delta, row * n + i), expected[i], u * (0.37 + (log_n + 6.4) + 3) + n_double, "delta",
                       row * n + i);
    }
    free(expected);
}

static void run_and_check(const tread_cross_entropy_shape *shape, array x, const void *labels) {
    array delta = array_create(shape->dtype, shape->rows * shape->classes);
    double *losses = calloc((size_t)shape->rows + 1, sizeof *losses),
           *again = calloc((size_t)shape->rows + 1, sizeof *again);
    tread_kernel_cross_entropy(NULL, shape, x.data, labels, losses, delta.data);
    check_rows(shape, x, labels, losses, delta);
    tread_kernel_cross_entropy(NULL, shape, x.data, labels, again, NULL);
    ck_assert_mem_eq(losses, again, (size_t)shape->rows * sizeof *losses);
    free(delta.data);
    free(losses);
    free(again);
}

START_TEST(rows_match_the_formula) {
    for (size_t s = 0; s < n_shapes; s++)
        for (int mode = 0; mode < 8; mode++) {
            tread_cross_entropy_shape shape = shape_of(s, mode);
            array x = array_random(shape.dtype, shape.rows * shape.classes, 10 + s, -9, 9);
            void *labels = labels_random(&shape, s);
            run_and_check(&shape, x, labels);
            free(x.data);
            free(labels);
        }
}
END_TEST

START_TEST(extreme_logits_stay_exact) {
    for (size_t s = 0; s < n_shapes; s++)
        for (int mode = 0; mode < 2; mode++) {
            tread_cross_entropy_shape shape = shape_of(s, mode);
            array x = array_random(shape.dtype, shape.rows * shape.classes, 10 + s, -1, 1);
            void *labels = labels_random(&shape, s);
            /* +-1e4, and masked classes, some of them a row's label: an infinite loss, finite derivatives. */
            for (int64_t i = 0; i < x.n; i++)
                array_set(x, i,
                          i % 5 == 0                            ? 1e4
                          : i % 5 == 1                          ? -1e4
                          : i % 5 == 2 && i % shape.classes > 0 ? -INFINITY
                                                                : array_get(x, i));
            run_and_check(&shape, x, labels);
            free(x.data);
            free(labels);
        }
}
END_TEST

START_TEST(a_bad_row_is_nan_alone) {
    const double bad[3] = {NAN, INFINITY, -INFINITY};
    for (size_t s = 0; s < n_shapes; s++)
        for (int mode = 0; mode < 12; mode++) {
            tread_cross_entropy_shape shape = shape_of(s, mode & 3);
            shape.ignore_index = -100;
            if (shape.rows == 0)
                continue;
            array x = array_random(shape.dtype, shape.rows * shape.classes, 3, -1, 1),
                  delta = array_create(shape.dtype, x.n);
            void *labels = labels_random(&shape, s);
            double *losses = calloc((size_t)shape.rows, sizeof *losses);
            const int64_t row = shape.rows / 2;
            for (int64_t i = mode / 4 == 2 ? 0 : shape.classes - 1; i < shape.classes; i++)
                array_set(x, row * shape.classes + i, bad[mode / 4]);
            tread_kernel_cross_entropy(NULL, &shape, x.data, labels, losses, delta.data);
            for (int64_t r = 0; r < shape.rows; r++) {
                ck_assert_msg(isnan(losses[r]) == (r == row), "shape %zu mode %d: loss[%lld] = %g", s, mode,
                              (long long)r, losses[r]);
                for (int64_t i = 0; i < shape.classes; i++)
                    ck_assert(isnan(array_get(delta, r * shape.classes + i)) == (r == row));
            }
            free(x.data);
            free(delta.data);
            free(labels);
            free(losses);
        }
}
END_TEST

START_TEST(labels_are_checked) {
    int32_t labels[40];
    uint8_t bytes[40];
    tread_cross_entropy_shape shape = {TREAD_FLOAT32, TREAD_INT32, 40, 10, -100, 0};
    int64_t counted = -1;
    for (int i = 0; i < 40; i++)
        labels[i] = bytes[i] = (uint8_t)(i % 10);
    ck_assert_int_eq(tread_kernel_check_labels(&shape, labels, &counted), -1);
    ck_assert_int_eq(counted, 40);
    labels[7] = labels[30] = -100;
    ck_assert_int_eq(tread_kernel_check_labels(&shape, labels, &counted), -1);
    ck_assert_int_eq(counted, 38);
    const int32_t bad[4] = {-1, 10, INT32_MAX, INT32_MIN};
    for (int k = 0; k < 4; k++) {
        labels[39] = bad[k];
        ck_assert_int_eq(tread_kernel_check_labels(&shape, labels, &counted), 39);
    }
    shape.label_dtype = TREAD_UINT8;
    shape.ignore_index = 255;
    bytes[3] = 255;
    ck_assert_int_eq(tread_kernel_check_labels(&shape, bytes, &counted), -1);
    ck_assert_int_eq(counted, 39);
    bytes[5] = 10;
    ck_assert_int_eq(tread_kernel_check_labels(&shape, bytes, &counted), 5);
}
END_TEST

START_TEST(nll_takes_one_element_a_row) {
    for (int mode = 0; mode < 8; mode++) {
        tread_cross_entropy_shape shape = shape_of(1, mode & 5);
        const bool accumulate = mode & 2;
        array x = array_random(shape.dtype, 320, 3, -4, 0), dx = array_random(shape.dtype, 320, 4, -1, 1);
        array before = array_random(shape.dtype, 320, 4, -1, 1), factor = array_create(shape.dtype, 1);
        void *labels = labels_random(&shape, 2);
        double losses[32];
        array_set(factor, 0, 0.3);
        tread_kernel_nll(NULL, &shape, x.data, labels, losses);
        tread_kernel_nll_backward(NULL, &shape, labels, 0.3, dx.data, accumulate);
        for (int64_t i = 0; i < 320; i++) {
            const int32_t label = tread_kernel_label(&shape, labels, i / 10);
            const bool chosen = label == i % 10 && label != shape.ignore_index;
            array sum = array_create(shape.dtype, 1);
            array_set(sum, 0, (accumulate ? array_get(before, i) : 0) - (chosen ? array_get(factor, 0) : 0));
            ck_assert_double_eq(array_get(dx, i), array_get(sum, 0));
            ck_assert_double_eq(losses[i / 10], label == shape.ignore_index ? 0 : -array_get(x, i / 10 * 10 + label));
            free(sum.data);
        }
        free(x.data), free(dx.data), free(before.data), free(factor.data), free(labels);
    }
}
END_TEST

START_TEST(scale_multiplies_once_rounded) {
    for (int mode = 0; mode < 4; mode++) {
        array x = array_random((tread_dtype)(mode & 1), 1003, 5, -1, 1), y = array_random(x.dtype, 1003, 6, -1, 1);
        array before = array_random(x.dtype, 1003, 6, -1, 1), expected = array_create(x.dtype, 1003);
        const bool accumulate = mode & 2;
        for (int i = 0; i < 1003; i++) /* the same two roundings in plain C */
            if (x.dtype == TREAD_FLOAT32) {
                float product = ((float *)x.data)[i] * (float)(1.0 / 3);
                ((float *)expected.data)[i] = accumulate ? ((float *)before.data)[i] + product : product;
            } else {
                double product = ((double *)x.data)[i] * (1.0 / 3);
                ((double *)expected.data)[i] = accumulate ? ((double *)before.data)[i] + product : product;
            }
        tread_kernel_scale(NULL, x.dtype, 1003, x.data, 1.0 / 3, y.data, accumulate);
        ck_assert(array_same_bits(y, expected));
        free(x.data), free(y.data), free(before.data), free(expected.data);
    }
}
END_TEST

START_TEST(bits_depend_on_neither_threads_nor_instructions) {
    static const int64_t large[2][2] = {{1500, 10}, {70, 200}};
    for (int mode = 0; mode < 8; mode++) {
        const int64_t *l = large[mode / 4], n = l[0] * l[1];
        tread_cross_entropy_shape shape = {(tread_dtype)(mode & 1), TREAD_INT32, l[0], l[1], 3, mode & 2 ? 0.2 : 0};
        array x = array_random(shape.dtype, n, 3, -30, 30), delta[2], dx[2];
        void *labels = labels_random(&shape, 1);
        double losses[2][1500], sums[2];
        for (int run = 0; run < KERNEL_RUNS; run++) {
            const int side = run > 0;
            tread_context *context = kernel_run_context(run);
            tread_isa isa = tread_isa_use(kernel_run_isa(run));
            delta[side] = array_create(shape.dtype, n);
            dx[side] = array_create(shape.dtype, n);
            tread_kernel_cross_entropy(context, &shape, x.data, labels, losses[side], delta[side].data);
            tread_kernel_scale(context, shape.dtype, n, delta[side].data, 0.1, dx[side].data, false);
            sums[side] = tread_kernel_sum_doubles(losses[side], l[0]);
            tread_isa_use(isa);
            tread_context_destroy(context);
            if (run > 0) {
                ck_assert_msg(array_same_bits(delta[0], delta[1]) && array_same_bits(dx[0], dx[1]), "mode %d, run %d",
                              mode, run);
                ck_assert_mem_eq(losses[0], losses[1], (size_t)l[0] * sizeof *losses[0]);
                ck_assert_mem_eq(&sums[0], &sums[1], sizeof *sums);
                free(delta[1].data), free(dx[1].data);
            }
        }
        free(x.data), free(labels), free(delta[0].data), free(dx[0].data);
    }
}
END_TEST

TEST_MAIN("kernels_cross_entropy", rows_match_the_formula, extreme_logits_stay_exact, a_bad_row_is_nan_alone,
          labels_are_checked, nll_takes_one_element_a_row, scale_multiplies_once_rounded,
          bits_depend_on_neither_threads_nor_instructions)
