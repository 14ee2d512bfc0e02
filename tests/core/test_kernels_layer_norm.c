#include "core/kernels_rows.h"

#include "tests/core/kernel_fixture.h"

static const int64_t shapes[][2] = {{1, 1}, {5, 3}, {4, 16}, {3, 33}, {7, 100}, {2, 513}, {0, 8}};
static const size_t n_shapes = sizeof shapes / sizeof *shapes;

typedef struct norm {
    tread_layer_norm_shape shape;
    array x, gamma, beta, y, mean, scale, dy, dx, dgamma, dbeta;
} norm;

/* with: bit 0 gamma, bit 1 beta. offset moves the mean away from 0. */
static norm norm_create(int64_t rows, int64_t n, tread_dtype dtype, int with, double offset) {
    norm a = {.shape = {dtype, rows, n, 1e-3}};
    a.x = array_random(dtype, rows * n, 1, offset - 2, offset + 2);
    a.gamma = array_random(dtype, n, 2, 0.5, 1.5);
    a.beta = array_random(dtype, n, 3, -1, 1);
    a.y = array_create(dtype, rows * n);
    a.mean = array_create(dtype, rows);
    a.scale = array_create(dtype, rows);
    a.dy = array_random(dtype, rows * n, 4, -1, 1);
    a.dx = array_random(dtype, rows * n, 5, -1, 1);
    a.dgamma = array_random(dtype, n, 6, -1, 1);
    a.dbeta = array_random(dtype, n, 7, -1, 1);
    if (!(with & 1))
        free(a.gamma.data), a.gamma.data = NULL;
    if (!(with & 2))
        free(a.beta.data), a.beta.data = NULL;
    return a;
}

static void norm_run(norm *a, const tread_context *context, bool accumulate) {
    tread_kernel_layer_norm(context, &a->shape, a->x.data, a->gamma.data, a->beta.data, a->y.data, a->mean.data,
                            a->scale.data);
    tread_kernel_layer_norm_backward(context, &a->shape, a->x.data, a->gamma.data, a->mean.data, a->scale.data,
                                     a->dy.data, a->dx.data, accumulate);
    tread_kernel_layer_norm_parameters(context, &a->shape, a->x.data, a->mean.data, a->scale.data, a->dy.data,
                                       a->dgamma.data, accumulate, a->dbeta.data, accumulate);
}

static void norm_free(norm *a) {
    array *all[] = {&a->x, &a->gamma, &a->beta, &a->y, &a->mean, &a->scale, &a->dy, &a->dx, &a->dgamma, &a->dbeta};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        free(all[i]->data);
}

/* The reference's statistics of a row, in long double. */
static void statistics(const norm *a, int64_t row, long double *ret_mean, long double *ret_scale) {
    const int64_t n = a->shape.length;
    long double mean = 0, variance = 0;
    for (int64_t i = 0; i < n; i++)
        mean += array_get(a->x, row * n + i) / (long double)n;
    for (int64_t i = 0; i < n; i++)
        variance += (array_get(a->x, row * n + i) - mean) * (array_get(a->x, row * n + i) - mean) / (long double)n;
    *ret_mean = mean;
    *ret_scale = 1 / sqrtl(variance + (long double)a->shape.eps);
}

/* Bounds as in the battery's record (op_records_rows.c): of h, 3 |h| + scale |mean| and the double sums' n / 16 + 8
 * roundings; of dx, 25 roundings' worth of scale times the row's sum of |dy gamma| (B), where a rounded mean adds
 * scale |mean| to h; of dgamma the errors of h times |dy|. */
static void check(const norm *a, const norm *before) {
    const int64_t n = a->shape.length, rows = a->shape.rows;
    const double u = roundoff(a->shape.dtype), in_double = ((double)n / 16 + 8) * 0x1p-53;
    long double *dgamma = calloc((size_t)n, sizeof *dgamma), *dbeta = calloc((size_t)n, sizeof *dbeta);
    long double *gamma_bound = calloc((size_t)n, sizeof *dgamma), *beta_bound = calloc((size_t)n, sizeof *dbeta);
    for (int64_t row = 0; row < rows; row++) {
        long double mean, scale, g_mean = 0, gh_mean = 0, size = 0, x_size = 0;
        statistics(a, row, &mean, &scale);
        for (int64_t i = 0; i < n; i++) {
            const int64_t at = row * n + i;
            const long double h = (array_get(a->x, at) - mean) * scale;
            const long double g = array_get(a->dy, at) * (a->gamma.data ? array_get(a->gamma, i) : 1.0L);
            g_mean += g / (long double)n;
            gh_mean += g * h / (long double)n;
            size += fabsl(g);
            x_size = fmaxl(x_size, fabsl((long double)array_get(a->x, at)));
        }
        for (int64_t i = 0; i < n; i++) {
            const int64_t at = row * n + i;
            const long double h = (array_get(a->x, at) - mean) * scale, dy = array_get(a->dy, at);
            const long double gamma = a->gamma.data ? array_get(a->gamma, i) : 1;
            const long double y = h * gamma + (a->beta.data ? array_get(a->beta, i) : 0);
            const long double h_bound =
                u * (3 * fabsl(h) + scale * fabsl(mean)) + in_double * (fabsl(h) + scale * x_size);
            check_near(array_get(a->y, at), y, 1.01L * (gamma * h_bound + u * (fabsl(h * gamma) + fabsl(y))), "y", at);
            long double dx = scale * (dy * gamma - g_mean - h * gh_mean);
            long double bound =
                scale * size * (25 * u + 4 * (u * scale * fabsl(mean) + in_double * (1 + scale * x_size)));
            if (before != NULL) {
                dx += array_get(before->dx, at);
                bound += u * fabsl(dx);
            }
            check_near(array_get(a->dx, at), dx, 1.01L * bound, "dx", at);
            dgamma[i] += dy * h;
            dbeta[i] += dy;
            gamma_bound[i] += fabsl(dy) * h_bound + (long double)rows * 0x1p-53L * fabsl(dy * h);
            beta_bound[i] += (long double)rows * 0x1p-53L * fabsl(dy);
        }
    }
    for (int64_t i = 0; i < n; i++) {
        long double gamma_size = u * fabsl(dgamma[i]), beta_size = u * fabsl(dbeta[i]); /* rounded to the type */
        if (before != NULL) {
            dgamma[i] += array_get(before->dgamma, i);
            dbeta[i] += array_get(before->dbeta, i);
            gamma_size += u * fabsl(dgamma[i]);
            beta_size += u * fabsl(dbeta[i]);
        }
        check_near(array_get(a->dgamma, i), dgamma[i], 1.01L * (gamma_bound[i] + gamma_size), "dgamma", i);
        check_near(array_get(a->dbeta, i), dbeta[i], 1.01L * (beta_bound[i] + beta_size), "dbeta", i);
    }
    free(dgamma), free(dbeta), free(gamma_bound), free(beta_bound);
}

START_TEST(forward_and_backward_match_the_formula) {
    for (size_t s = 0; s < n_shapes; s++)
        for (int mode = 0; mode < 16; mode++) {
            norm a = norm_create(shapes[s][0], shapes[s][1], (tread_dtype)(mode & 1), mode >> 1 & 3, 0);
            norm before = norm_create(shapes[s][0], shapes[s][1], (tread_dtype)(mode & 1), mode >> 1 & 3, 0);
            norm_run(&a, NULL, mode >> 3);
            check(&a, mode >> 3 ? &before : NULL);
            norm_free(&a);
            norm_free(&before);
        }
}
END_TEST

/* A mean of 1000 deviations: two passes keep what sum of squares minus square of sum would lose. */
START_TEST(a_large_mean_does_not_spoil_the_variance) {
    for (int dtype = 0; dtype < 2; dtype++) {
        norm a = norm_create(4, 70, (tread_dtype)dtype, 3, 1000);
        norm_run(&a, NULL, false);
        check(&a, NULL);
        norm_free(&a);
    }
}
END_TEST

START_TEST(a_bad_row_is_nan_alone) {
    norm a = norm_create(3, 20, TREAD_FLOAT32, 3, 0);
    array_set(a.x, 25, INFINITY);
    norm_run(&a, NULL, false);
    for (int64_t i = 0; i < 60; i++) {
        ck_assert(isnan(array_get(a.y, i)) == (i / 20 == 1));
        ck_assert(isnan(array_get(a.dx, i)) == (i / 20 == 1));
    }
    norm_free(&a);
}
END_TEST

START_TEST(one_of_the_parameters_alone) {
    norm a = norm_create(6, 40, TREAD_FLOAT32, 3, 0), b = norm_create(6, 40, TREAD_FLOAT32, 3, 0);
    norm_run(&a, NULL, false);
    tread_kernel_layer_norm_parameters(NULL, &a.shape, a.x.data, a.mean.data, a.scale.data, a.dy.data, b.dgamma.data,
                                       false, NULL, false);
    tread_kernel_layer_norm_parameters(NULL, &a.shape, a.x.data, a.mean.data, a.scale.data, a.dy.data, NULL, false,
                                       b.dbeta.data, false);
    ck_assert(array_same_bits(a.dgamma, b.dgamma));
    ck_assert(array_same_bits(a.dbeta, b.dbeta));
    norm_free(&a);
    norm_free(&b);
}
END_TEST

START_TEST(bits_depend_on_neither_threads_nor_instructions) {
    for (int mode = 0; mode < 4; mode++) {
        norm first = norm_create(200, 150, (tread_dtype)(mode & 1), 3, 0);
        norm_run(&first, NULL, mode >> 1);
        for (int run = 0; run < KERNEL_RUNS; run++) {
            norm a = norm_create(200, 150, (tread_dtype)(mode & 1), 3, 0);
            tread_context *context = kernel_run_context(run);
            tread_isa isa = tread_isa_use(kernel_run_isa(run));
            norm_run(&a, context, mode >> 1);
            tread_isa_use(isa);
            tread_context_destroy(context);
            ck_assert_msg(array_same_bits(a.y, first.y) && array_same_bits(a.dx, first.dx) &&
                              array_same_bits(a.dgamma, first.dgamma) && array_same_bits(a.dbeta, first.dbeta),
                          "mode %d, run %d", mode, run);
            norm_free(&a);
        }
        norm_free(&first);
    }
}
END_TEST

TEST_MAIN("kernels_layer_norm", forward_and_backward_match_the_formula, a_large_mean_does_not_spoil_the_variance,
          a_bad_row_is_nan_alone, one_of_the_parameters_alone, bits_depend_on_neither_threads_nor_instructions)
