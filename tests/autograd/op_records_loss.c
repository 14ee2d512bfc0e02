#include <math.h>
#include <string.h>

#include "tests/autograd/op_records.h"
#include "tests/test.h"

/* Bounds are in units of u, the unit roundoff; "k ulp" of core/math.h is at most 2 k u of the value. A sum of n terms
 * in double over 16 lanes costs at most n / 16 + 5 roundings, which matter in float64 only. First order; SLACK covers
 * the rest, the reference's own rounding included. */
#define SLACK 1.01L

/* --- cross_entropy and nll: label_smoothing real[0], ignore_index integer[0], reduction integer[1] --- */

static const struct {
    int64_t rows, classes;
    double smoothing;
    int32_t ignore_index;
    tread_reduction reduction;
} scores[] = {
    {32, 10, 0, -100, TREAD_REDUCTION_MEAN}, {1, 1, 0, -100, TREAD_REDUCTION_MEAN},
    {17, 3, 0.1, 1, TREAD_REDUCTION_MEAN},   {5, 64, 0, -100, TREAD_REDUCTION_SUM},
    {7, 65, 0.3, 2, TREAD_REDUCTION_SUM},    {3, 79, 0, 0, TREAD_REDUCTION_MEAN},
    {0, 5, 0, -100, TREAD_REDUCTION_SUM},    {1500, 10, 0.1, 3, TREAD_REDUCTION_MEAN},
    {90, 79, 0, 5, TREAD_REDUCTION_SUM},
};
#define N_SCORES ((int)(sizeof scores / sizeof *scores))
#define FIRST_LARGE_SCORES 7

static void make_scores(int number, tread_rng *rng, op_case *c, double low, double high) {
    op_case_uniform(c, 2, (int64_t[]){scores[number].rows, scores[number].classes}, rng, low, high);
    double *labels = op_case_input(c, 1, &scores[number].rows);
    c->inputs[1].integer = true;
    for (int64_t i = 0; i < scores[number].rows; i++)
        labels[i] = (double)tread_rng_below(rng, (uint32_t)scores[number].classes);
    c->real[0] = scores[number].smoothing;
    c->integer[0] = scores[number].ignore_index;
    c->integer[1] = scores[number].reduction;
    c->large = number >= FIRST_LARGE_SCORES;
}
static void make_cross_entropy(int number, tread_rng *rng, op_case *c) { make_scores(number, rng, c, -6, 6); }
static void make_nll(int number, tread_rng *rng, op_case *c) { make_scores(number, rng, c, -9, 0); }

/* A row's log sum exp is off by the mean, weighted by the terms, of the exponents' errors (the rounding of x - top, at
 * most log n; exp's 1.1 ulp) and, in float64, n roundings of the sum and 8 more of the parts of its loss, which are
 * below 12 + log n each. Those of the rows add up. */
static void reference_cross_entropy(const op_case *c, op_result *y) {
    const int64_t rows = c->inputs[0].shape[0], n = c->inputs[0].shape[1];
    const long double smoothing = c->real[0], log_n = logl((long double)n);
    long double total = 0, counted = 0;
    op_result_shape(y, 0, NULL);
    for (int64_t row = 0; row < rows; row++) {
        const double *x = c->inputs[0].values + row * n;
        const int64_t label = (int64_t)c->inputs[1].values[row];
        long double sum = 0, mean_x = 0;
        if (label == c->integer[0])
            continue;
        for (int64_t i = 0; i < n; i++) {
            sum += expl((long double)x[i]);
            mean_x += (long double)x[i] / (long double)n;
        }
        total += logl(sum) - (1 - smoothing) * x[label] - smoothing * mean_x;
        counted += 1;
    }
    const bool mean = c->integer[1] == TREAD_REDUCTION_MEAN;
    const long double row_error = log_n + 2.2L + c->in_double * ((long double)n + 8 * (12 + log_n));
    y->values[0] = mean ? total / counted : total;
    y->errors[0] = SLACK * (row_error * (mean ? 1 : counted) +
                            fabsl(y->values[0]) * (c->in_double * ((long double)rows / 16 + 5) + 2));
}

static void reference_nll(const op_case *c, op_result *y) {
    const int64_t rows = c->inputs[0].shape[0], n = c->inputs[0].shape[1];
    long double total = 0, counted = 0;
    op_result_shape(y, 0, NULL);
    for (int64_t row = 0; row < rows; row++) {
        const int64_t label = (int64_t)c->inputs[1].values[row];
        if (label == c->integer[0])
            continue;
        total -= c->inputs[0].values[row * n + label];
        counted += 1;
    }
    y->values[0] = c->integer[1] == TREAD_REDUCTION_MEAN ? total / counted : total;
    y->errors[0] =
        SLACK * fabsl(y->values[0]) * (c->in_double * ((long double)rows / 16 + 5) + 2); /* all terms have one sign */
}

static tread_cross_entropy_options options_of(const op_case *c) {
    tread_cross_entropy_options options = tread_cross_entropy_defaults();
    options.label_smoothing = c->real[0];
    options.ignore_index = (int32_t)c->integer[0];
    options.reduction = (tread_reduction)c->integer[1];
    return options;
}
static tread_tensor *apply_cross_entropy(tread_tape *tape, const op_case *c, tread_tensor *const *x) {
    tread_cross_entropy_options options = options_of(c);
    return tread_cross_entropy_with(tape, x[0], x[1], &options);
}
static tread_tensor *apply_nll(tread_tape *tape, const op_case *c, tread_tensor *const *x) {
    tread_cross_entropy_options options = options_of(c);
    return tread_nll(tape, x[0], x[1], &options);
}

static void errors_cross_entropy(tread_tape *tape) {
    tread_tensor *x = tread_tensor_create(TREAD_FLOAT32, 2, (int64_t[]){3, 4});
    tread_tensor *empty = tread_tensor_create(TREAD_FLOAT32, 2, (int64_t[]){3, 0});
    tread_tensor *labels = tread_tensor_create(TREAD_INT32, 1, (int64_t[]){3});
    tread_tensor *four = tread_tensor_create(TREAD_INT32, 1, (int64_t[]){4});
    tread_cross_entropy_options o = tread_cross_entropy_defaults();
    expect_refused(tape, tread_cross_entropy(tape, x, four), TREAD_ERROR_SHAPE, "scores (3, 4) and labels (4)");
    expect_refused(tape, tread_cross_entropy(tape, empty, labels), TREAD_ERROR_SHAPE, "scores (3, 0)");
    expect_refused(tape, tread_nll(tape, x, four, NULL), TREAD_ERROR_SHAPE, "nll: scores (3, 4) and labels (4)");
    expect_refused(tape, tread_cross_entropy(tape, x, x), TREAD_ERROR_DTYPE, "the labels are float32");
    expect_refused(tape, tread_cross_entropy(tape, labels, labels), TREAD_ERROR_DTYPE, "input 0 is int32");
    expect_refused(tape, tread_cross_entropy(tape, NULL, labels), TREAD_ERROR_ARGUMENT, "the scores are NULL");
    expect_refused(tape, tread_nll(tape, x, NULL, NULL), TREAD_ERROR_ARGUMENT, "nll: the labels are NULL");
    ((int32_t *)tread_tensor_data(labels))[1] = 4;
    expect_refused(tape, tread_cross_entropy(tape, x, labels), TREAD_ERROR_ARGUMENT,
                   "label 4 of row 1 is neither in [0, 4)");
    ((int32_t *)tread_tensor_data(labels))[1] = -1;
    expect_refused(tape, tread_nll(tape, x, labels, NULL), TREAD_ERROR_ARGUMENT, "nll: label -1 of row 1");
    o.label_smoothing = 1;
    expect_refused(tape, tread_cross_entropy_with(tape, x, labels, &o), TREAD_ERROR_ARGUMENT, "label_smoothing = 1");
    o.label_smoothing = (double)NAN;
    expect_refused(tape, tread_cross_entropy_with(tape, x, labels, &o), TREAD_ERROR_ARGUMENT, "outside [0, 1)");
    o = tread_cross_entropy_defaults();
    o.reduction = (tread_reduction)2;
    expect_refused(tape, tread_cross_entropy_with(tape, x, labels, &o), TREAD_ERROR_ARGUMENT, "reduction 2");
    o.size = 0;
    expect_refused(tape, tread_cross_entropy_with(tape, x, labels, &o), TREAD_ERROR_ARGUMENT,
                   "cross_entropy: options.size");
    tread_tensor_destroy(x), tread_tensor_destroy(empty), tread_tensor_destroy(labels), tread_tensor_destroy(four);
}

/* --- Means over elements --- */

static const struct {
    int rank;
    int64_t shape[TREAD_MAX_RANK];
} shapes[] = {{0, {0}}, {1, {1}}, {2, {5, 7}}, {3, {2, 3, 16}}, {1, {70001}}};
#define N_SHAPES ((int)(sizeof shapes / sizeof *shapes))

static void make_pair(int number, tread_rng *rng, op_case *c) {
    op_case_uniform(c, shapes[number].rank, shapes[number].shape, rng, -3, 3);
    op_case_uniform(c, shapes[number].rank, shapes[number].shape, rng, -3, 3);
    c->real[0] = number % 2 == 0 ? 1 : 0.3;
    c->large = number == N_SHAPES - 1;
}

/* d = x - t is rounded, which makes 2 u of d^2 and at most 2 u of Huber's loss; up to 6 roundings in double follow, and
 * those of the sum (over 16 lanes, then chunks) and the mean. bce: x t and max(x, 0) - x t have 3 roundings in double
 * of at most |x| + |x t|; log(1 + exp(-|x|)) <= 0.7 has 1.6 ulp, and exp's 1.1 ulp before it. */
#define MEAN(op, call, value, bound)                                                                                   \
    static void reference_##op(const op_case *c, op_result *y) {                                                       \
        const int64_t n = c->inputs[0].count;                                                                          \
        long double sum = 0, size = 0, extra = 0;                                                                      \
        op_result_shape(y, 0, NULL);                                                                                   \
        for (int64_t i = 0; i < n; i++) {                                                                              \
            const long double x = c->inputs[0].values[i], t = c->inputs[1].values[i], d = x - t;                       \
            const long double delta = c->real[0];                                                                      \
            (void)d, (void)delta;                                                                                      \
            sum += value, size += fabsl(value);                                                                        \
            extra += bound;                                                                                            \
        }                                                                                                              \
        y->values[0] = sum / (long double)n;                                                                           \
        y->errors[0] =                                                                                                 \
            SLACK * (size * (2 + 1 + c->in_double * ((long double)n / 16 + 6 + 7)) + extra) / (long double)n;          \
    }                                                                                                                  \
    static tread_tensor *apply_##op(tread_tape *tape, const op_case *c, tread_tensor *const *x) {                      \
        (void)c;                                                                                                       \
        return call;                                                                                                   \
    }                                                                                                                  \
    static void errors_##op(tread_tape *tape) {                                                                        \
        const op_case one = {.real = {1}}, *c = &one;                                                                  \
        tread_tensor *a = tread_tensor_create(TREAD_FLOAT32, 2, (int64_t[]){3, 4});                                    \
        tread_tensor *b = tread_tensor_create(TREAD_FLOAT32, 2, (int64_t[]){4, 3});                                    \
        tread_tensor *d = tread_tensor_create(TREAD_FLOAT64, 2, (int64_t[]){3, 4});                                    \
        tread_tensor *e = tread_tensor_create(TREAD_FLOAT32, 2, (int64_t[]){0, 4});                                    \
        expect_refused(tape, apply_##op(tape, c, ((tread_tensor *[]){a, b})), TREAD_ERROR_SHAPE,                       \
                       #op ": x (3, 4) and target (4, 3)");                                                            \
        expect_refused(tape, apply_##op(tape, c, ((tread_tensor *[]){a, d})), TREAD_ERROR_DTYPE, #op ": input 1");     \
        expect_refused(tape, apply_##op(tape, c, ((tread_tensor *[]){e, e})), TREAD_ERROR_SHAPE, "shape (0, 4)");      \
        expect_refused(tape, apply_##op(tape, c, ((tread_tensor *[]){NULL, a})), TREAD_ERROR_ARGUMENT, #op ": x is");  \
        expect_refused(tape, apply_##op(tape, c, ((tread_tensor *[]){a, NULL})), TREAD_ERROR_ARGUMENT,                 \
                       #op ": the target is NULL");                                                                    \
        tread_tensor_destroy(a), tread_tensor_destroy(b), tread_tensor_destroy(d), tread_tensor_destroy(e);            \
    }

MEAN(mse, tread_mse(tape, x[0], x[1]), d *d, 0)
MEAN(l1, tread_l1(tape, x[0], x[1]), fabsl(d), 0)
MEAN(huber, tread_huber(tape, x[0], x[1], c->real[0]), fabsl(d) <= delta ? d * d / 2 : delta * (fabsl(d) - delta / 2),
     delta *fabsl(d)) /* delta rounded to float32 */
MEAN(bce_with_logits, tread_bce_with_logits(tape, x[0], x[1]), fmaxl(x, 0) - x * t + log1pl(expl(-fabsl(x))),
     c->in_double * 3 * fabsl(x) * (1 + fabsl(t)) + 0.7L * (3.2L + 2.2L))

static void errors_of_huber(tread_tape *tape) {
    tread_tensor *x = tread_tensor_create(TREAD_FLOAT32, 1, (int64_t[]){3});
    expect_refused(tape, tread_huber(tape, x, x, 0), TREAD_ERROR_ARGUMENT,
                   "huber: delta = 0 is not above 0 and finite");
    expect_refused(tape, tread_huber(tape, x, x, INFINITY), TREAD_ERROR_ARGUMENT, "delta = inf");
    expect_refused(tape, tread_huber(tape, x, x, (double)NAN), TREAD_ERROR_ARGUMENT, "huber: delta = ");
    tread_tensor_destroy(x);
    errors_huber(tape);
}

/* Gradients (A, B: op_records.h).
 * cross_entropy: (p - q) w / n, p off by p (d + log n + 6.4) < 0.37 + 10.8 (rows of at most 79), three roundings of
 * values below 1, and those of the factor and the product: 16 B. nll: the factor.
 * mse, huber: d, the factor, the product, and huber's delta; l1: the factor. bce: sigmoid has 2.5 ulp = 5 u; the
 * difference, the factor and the product, of at most 1 + |t| <= 4 each; and by the target x times the factor. */
const op_record op_records_loss[] = {
    {.name = "cross_entropy",
     .n_cases = N_SCORES,
     .make = make_cross_entropy,
     .apply = apply_cross_entropy,
     .reference = reference_cross_entropy,
     .gradient_absolute = 16,
     .check_errors = errors_cross_entropy},
    {.name = "nll",
     .n_cases = N_SCORES,
     .make = make_nll,
     .apply = apply_nll,
     .reference = reference_nll,
     .gradient_ulps = 1.1,
     .check_errors = errors_cross_entropy},
    {.name = "mse",
     .n_cases = N_SHAPES,
     .make = make_pair,
     .apply = apply_mse,
     .reference = reference_mse,
     .gradient_ulps = 3.1,
     .check_errors = errors_mse},
    {.name = "l1",
     .n_cases = N_SHAPES,
     .make = make_pair,
     .apply = apply_l1,
     .reference = reference_l1,
     .gradient_ulps = 1.1,
     .check_errors = errors_l1},
    {.name = "huber",
     .n_cases = N_SHAPES,
     .make = make_pair,
     .apply = apply_huber,
     .reference = reference_huber,
     .gradient_ulps = 4.1,
     .check_errors = errors_of_huber},
    {.name = "bce_with_logits",
     .n_cases = N_SHAPES,
     .make = make_pair,
     .apply = apply_bce_with_logits,
     .reference = reference_bce_with_logits,
     .gradient_ulps = 2.1,
     .gradient_absolute = 17,
     .check_errors = errors_bce_with_logits},
    {0},
};
