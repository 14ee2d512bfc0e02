#include <math.h>
#include <string.h>

#include "tests/autograd/op_records.h"
#include "tests/test.h"

/* Bounds are in units of u, the unit roundoff; "k ulp" of core/math.h is at most 2 k u of the value. A sum of n terms
 * in double costs at most n roundings, which matter in float64 only. First order; SLACK covers the rest, the
 * reference's own rounding included. */
#define SLACK 1.01L

/* --- softmax and log_softmax --- */

static const struct {
    int rank, axis;
    int64_t shape[TREAD_MAX_RANK];
} axes[] = {
    {1, 0, {1}},        {1, -1, {7}},      {2, -1, {33, 10}},   {2, 0, {10, 33}}, {2, 1, {5, 64}},
    {2, 1, {3, 79}},    {3, 1, {2, 9, 5}}, {3, -3, {4, 2, 19}}, {2, 1, {0, 4}},   {2, 1, {3, 0}},
    {2, 1, {1500, 10}}, {2, 1, {90, 100}}, {3, 1, {7, 60, 50}},
};
#define N_AXES ((int)(sizeof axes / sizeof *axes))
#define FIRST_LARGE_AXES 10

static void make_axis(int number, tread_rng *rng, op_case *c) {
    op_case_uniform(c, axes[number].rank, axes[number].shape, rng, -8, 8);
    c->integer[0] = axes[number].axis;
    c->large = number >= FIRST_LARGE_AXES;
}

/* With d = top - x: rounding x - top puts an error of d u into the exponent, exp has 1.1 ulp. In the sum these are
 * weighted by the terms, where the mean of d is at most log n (entropy). softmax: then the reciprocal and the product.
 * log_softmax: roundings of x - top, of the sum's logarithm and of the result. */
static void reference_axis(const op_case *c, op_result *y, bool log_of) {
    const op_input *x = &c->inputs[0];
    const int axis = (int)(c->integer[0] < 0 ? c->integer[0] + x->rank : c->integer[0]);
    int64_t inner = 1;
    for (int i = axis + 1; i < x->rank; i++)
        inner *= x->shape[i];
    const int64_t n = x->shape[axis];
    const long double log_n = n > 0 ? logl((long double)n) : 0, sum_error = c->in_double * (long double)n;
    op_result_shape(y, x->rank, x->shape);
    for (int64_t i = 0; i < y->count; i++) {
        const double *row = x->values + i / (n * inner) * n * inner + i % inner;
        long double top = -INFINITY, sum = 0;
        for (int64_t k = 0; k < n; k++)
            top = fmaxl(top, row[k * inner]);
        for (int64_t k = 0; k < n; k++)
            sum += expl(row[k * inner] - top);
        const long double d = top - x->values[i], value = -d - logl(sum);
        y->values[i] = log_of ? value : expl(value);
        y->errors[i] = SLACK * (log_of ? d + fabsl(value) + 2 * log_n + 2.2L + sum_error
                                       : y->values[i] * (d + 2.2L + log_n + 2.2L + 2 + sum_error));
    }
}
static void reference_softmax(const op_case *c, op_result *y) { reference_axis(c, y, false); }
static void reference_log_softmax(const op_case *c, op_result *y) { reference_axis(c, y, true); }

static tread_tensor *apply_softmax(tread_tape *tape, const op_case *c, tread_tensor *const *x) {
    return tread_softmax(tape, x[0], (int)c->integer[0]);
}
static tread_tensor *apply_log_softmax(tread_tape *tape, const op_case *c, tread_tensor *const *x) {
    return tread_log_softmax(tape, x[0], (int)c->integer[0]);
}

static void errors_softmax(tread_tape *tape) {
    tread_tensor *x = tread_tensor_create(TREAD_FLOAT32, 2, (int64_t[]){3, 4});
    tread_tensor *scalar = tread_tensor_create(TREAD_FLOAT32, 0, NULL);
    tread_tensor *i = tread_tensor_create(TREAD_INT32, 1, (int64_t[]){4});
    expect_refused(tape, tread_softmax(tape, x, 2), TREAD_ERROR_ARGUMENT, "softmax: axis 2");
    expect_refused(tape, tread_log_softmax(tape, x, -3), TREAD_ERROR_ARGUMENT, "log_softmax: axis -3");
    expect_refused(tape, tread_softmax(tape, scalar, 0), TREAD_ERROR_ARGUMENT, "rank 0");
    expect_refused(tape, tread_softmax(tape, i, 0), TREAD_ERROR_DTYPE, "softmax: input 0 is int32");
    expect_refused(tape, tread_log_softmax(tape, NULL, 0), TREAD_ERROR_ARGUMENT, "log_softmax: x is NULL");
    tread_tensor_destroy(x), tread_tensor_destroy(scalar), tread_tensor_destroy(i);
}

/* --- layer_norm: gamma and beta present or not --- */

static const struct {
    int rank;
    bool gamma, beta;
    int64_t shape[TREAD_MAX_RANK];
} norms[] = {
    {1, true, true, {16}},        {2, true, true, {5, 10}}, {2, false, false, {3, 33}}, {2, true, false, {4, 17}},
    {3, false, true, {2, 3, 20}}, {2, true, true, {0, 12}}, {2, true, true, {300, 70}},
};
#define N_NORMS ((int)(sizeof norms / sizeof *norms))

static void make_norm(int number, tread_rng *rng, op_case *c) {
    const int64_t n = norms[number].shape[norms[number].rank - 1];
    op_case_uniform(c, norms[number].rank, norms[number].shape, rng, -2, 2);
    op_case_uniform(c, 1, &n, rng, 0.5, 1.5);
    op_case_uniform(c, 1, &n, rng, -1, 1);
    c->inputs[1].absent = !norms[number].gamma;
    c->inputs[2].absent = !norms[number].beta;
    c->real[0] = 1e-5;
    c->large = number == N_NORMS - 1;
}

/* h = (x - mean) scale. mean is rounded (u |mean|), after a sum in double over 16 lanes (n / 16 + 6 roundings of at
 * most mean |x|); scale has one rounding, and half the relative error of the variance, n / 16 + 8 more. Then one
 * rounding each for x - mean, the product, gamma, beta. */
static void reference_norm(const op_case *c, op_result *y) {
    const op_input *x = &c->inputs[0];
    const int64_t n = x->shape[x->rank - 1];
    const long double sum_error = c->in_double * ((long double)n / 16 + 8);
    op_result_shape(y, x->rank, x->shape);
    for (int64_t i = 0; i < y->count; i++) {
        const double *row = x->values + i / n * n;
        long double mean = 0, size = 0, variance = 0;
        for (int64_t k = 0; k < n; k++) {
            mean += row[k] / (long double)n;
            size += fabsl((long double)row[k]) / (long double)n;
        }
        for (int64_t k = 0; k < n; k++)
            variance += (row[k] - mean) * (row[k] - mean) / (long double)n;
        const long double scale = 1 / sqrtl(variance + (long double)c->real[0]), h = (row[i % n] - mean) * scale;
        const long double gamma = c->inputs[1].absent ? 1 : c->inputs[1].values[i % n];
        const long double beta = c->inputs[2].absent ? 0 : c->inputs[2].values[i % n];
        y->values[i] = h * gamma + beta;
        y->errors[i] = SLACK * (fabsl(gamma) * (fabsl(h) * (3 + sum_error) + scale * (fabsl(mean) + sum_error * size)) +
                                fabsl(h * gamma) + fabsl(y->values[i]));
    }
}

static tread_tensor *apply_norm(tread_tape *tape, const op_case *c, tread_tensor *const *x) {
    return tread_layer_norm(tape, x[0], x[1], x[2], c->real[0]);
}

static void errors_norm(tread_tape *tape) {
    tread_tensor *x = tread_tensor_create(TREAD_FLOAT32, 2, (int64_t[]){3, 4});
    tread_tensor *row = tread_tensor_create(TREAD_FLOAT32, 1, (int64_t[]){4});
    tread_tensor *wrong = tread_tensor_create(TREAD_FLOAT32, 1, (int64_t[]){3});
    tread_tensor *empty = tread_tensor_create(TREAD_FLOAT32, 2, (int64_t[]){3, 0});
    tread_tensor *wide = tread_tensor_create(TREAD_FLOAT64, 1, (int64_t[]){4});
    expect_refused(tape, tread_layer_norm(tape, x, wrong, row, 1e-5), TREAD_ERROR_SHAPE, "x (3, 4) and gamma (3)");
    expect_refused(tape, tread_layer_norm(tape, x, row, x, 1e-5), TREAD_ERROR_SHAPE, "x (3, 4) and beta (3, 4)");
    expect_refused(tape, tread_layer_norm(tape, empty, NULL, NULL, 1e-5), TREAD_ERROR_SHAPE, "shape (3, 0)");
    expect_refused(tape, tread_layer_norm(tape, x, wide, NULL, 1e-5), TREAD_ERROR_DTYPE,
                   "layer_norm: input 1 is float64");
    expect_refused(tape, tread_layer_norm(tape, x, row, row, 0), TREAD_ERROR_ARGUMENT, "eps = 0");
    expect_refused(tape, tread_layer_norm(tape, x, row, row, INFINITY), TREAD_ERROR_ARGUMENT, "eps = inf");
    expect_refused(tape, tread_layer_norm(tape, x, row, row, (double)NAN), TREAD_ERROR_ARGUMENT, "eps = ");
    expect_refused(tape, tread_layer_norm(tape, NULL, row, row, 1e-5), TREAD_ERROR_ARGUMENT, "layer_norm: x is NULL");
    tread_tensor_destroy(x), tread_tensor_destroy(row), tread_tensor_destroy(wrong), tread_tensor_destroy(empty);
    tread_tensor_destroy(wide);
}

/* --- dropout: the scalar generator says what is kept; factor and product are rounded --- */

static void make_dropout(int number, tread_rng *rng, op_case *c) {
    static const int64_t shapes[4][2] = {{5, 7}, {1, 1}, {0, 3}, {700, 101}};
    static const double p[4] = {0.5, 0, 0.1, 0.3};
    op_case_uniform(c, 2, shapes[number], rng, -2, 2);
    c->real[0] = p[number];
    c->rng = tread_rng_create(42 + (uint64_t)number, 7);
    c->rng.next = (uint64_t)number * 5; /* begins inside a block of four numbers too */
    c->large = number == 3;
}

static void reference_dropout(const op_case *c, op_result *y) {
    tread_rng rng = c->rng;
    op_result_shape(y, 2, c->inputs[0].shape);
    for (int64_t i = 0; i < y->count; i++) {
        bool keep = (double)tread_rng_bits(&rng) >= rint(c->real[0] * 0x1p32);
        y->values[i] = keep ? c->inputs[0].values[i] / (1 - (long double)c->real[0]) : 0;
        /* 1 - p and its reciprocal are rounded in double: 2 more in float64. */
        y->errors[i] = SLACK * 4 * fabsl(y->values[i]);
    }
}

static tread_tensor *apply_dropout(tread_tape *tape, const op_case *c, tread_tensor *const *x) {
    return tread_dropout(tape, x[0], c->real[0]);
}

static void errors_dropout(tread_tape *tape) {
    tread_tensor *x = tread_tensor_create(TREAD_FLOAT32, 1, (int64_t[]){4});
    tread_tensor *i = tread_tensor_create(TREAD_UINT8, 1, (int64_t[]){4});
    expect_refused(tape, tread_dropout(tape, x, 1), TREAD_ERROR_ARGUMENT, "dropout: p = 1 is outside [0, 1)");
    expect_refused(tape, tread_dropout(tape, x, -0.1), TREAD_ERROR_ARGUMENT, "p = -0.1");
    expect_refused(tape, tread_dropout(tape, x, (double)NAN), TREAD_ERROR_ARGUMENT, "nan is outside [0, 1)");
    expect_refused(tape, tread_dropout(tape, i, 0.5), TREAD_ERROR_DTYPE, "dropout: input 0 is uint8");
    expect_refused(tape, tread_dropout(tape, NULL, 0.5), TREAD_ERROR_ARGUMENT, "dropout: x is NULL");
    tread_tensor_destroy(x), tread_tensor_destroy(i);
}

/* Gradients, in terms of B, the sum of a row's upstream |w|; rows have at most 79 elements, so log n < 4.4, and
 * d exp(-d) < 0.37.
 * softmax: y (w - sum w y). y is off by (d + 4.4 + 6.4) y < 0.37 + 10.8 y, in y itself and in the sum: together under
 * 2 * 11.2 B; three roundings of at most y 2 B each: 6 B.
 * log_softmax: w - exp(y) sum w. y is off by d + |y| + 2 * 4.4 + 2.2, d <= |y|, so exp(y) by
 * 2 * 0.37 + 11 + 2.2 (exp's own), times B; roundings of the sum, the product and the difference: 3 B.
 * layer_norm: scale (g - mean g - h mean(g h)), g = w gamma. scale < 3 and gamma < 1.5 by the choice of x and gamma,
 * and h^2 < n, so |h mean(g h)| < 1.5 B. g is off by 1, h by 3 |h| + scale |mean| < 3 |h| + 3: in units of scale 1.5 B
 * that makes 1 + 3 for g, 1 + 2 for mean g, 2 (3 + 3) + 4 for h mean(g h), and 2 for the outer product and scale: 25
 * * 4.5 B. gamma's gradient is the sum of w h: (3 sqrt(n) + 3 + 1) B < 32 B. dropout: factor and product. */
const op_record op_records_rows[] = {
    {.name = "softmax",
     .n_cases = N_AXES,
     .make = make_axis,
     .apply = apply_softmax,
     .reference = reference_softmax,
     .gradient_absolute = 29,
     .check_errors = errors_softmax},
    {.name = "log_softmax",
     .n_cases = N_AXES,
     .make = make_axis,
     .apply = apply_log_softmax,
     .reference = reference_log_softmax,
     .gradient_absolute = 18,
     .check_errors = errors_softmax},
    {.name = "layer_norm",
     .n_cases = N_NORMS,
     .make = make_norm,
     .apply = apply_norm,
     .reference = reference_norm,
     .gradient_absolute = 113,
     .check_errors = errors_norm},
    {.name = "dropout",
     .n_cases = 4,
     .make = make_dropout,
     .apply = apply_dropout,
     .reference = reference_dropout,
     .gradient_ulps = 2.1,
     .check_errors = errors_dropout},
    {0},
};
