#include <math.h>
#include <string.h>

#include "tests/autograd/op_records.h"
#include "tests/test.h"

/* Bounds are in units of u, the unit roundoff; "k ulp" of core/math.h is at most 2 k u of the value. First order; SLACK
 * covers the rest, the reference's own rounding included. */
#define SLACK 1.01L

/* --- Two inputs: one correctly rounded operation. Their gradients: g, g b, g / b, -(g y) / b have at most 0, 1, 1 and
 * 3 roundings (y is rounded itself), and the sum over broadcast axes, in double, one more. --- */

static const struct {
    int rank_a, rank_b;
    int64_t a[TREAD_MAX_RANK], b[TREAD_MAX_RANK];
} pairs[] = {
    {0, 0, {0}, {0}},
    {1, 1, {1}, {1}},
    {2, 2, {3, 7}, {3, 7}},
    {2, 1, {5, 7}, {7}},
    {1, 2, {17}, {4, 17}},
    {2, 2, {5, 9}, {5, 1}},
    {2, 2, {1, 6}, {5, 1}},
    {0, 2, {0}, {4, 5}},
    {2, 1, {33, 3}, {1}},
    {3, 3, {2, 1, 19}, {2, 5, 19}},
    {3, 2, {2, 3, 4}, {3, 1}},
    {4, 3, {2, 1, 3, 1}, {5, 1, 4}},
    {6, 6, {2, 1, 2, 1, 3, 1}, {1, 2, 2, 2, 1, 2}},
    {2, 1, {0, 4}, {4}},
    {2, 2, {0, 1}, {1, 3}},
    /* Large: enough for threads, and for sums that are cut. */
    {1, 1, {70001}, {70001}},
    {2, 1, {7001, 10}, {10}},
    {2, 1, {101, 700}, {700}},
    {2, 2, {300, 257}, {300, 1}},
    {1, 0, {70001}, {0}},
    {3, 3, {9, 80, 100}, {9, 1, 100}},
};
#define N_PAIRS ((int)(sizeof pairs / sizeof *pairs))
#define FIRST_LARGE 15

static void make_pair(int number, tread_rng *rng, op_case *c) {
    op_case_uniform(c, pairs[number].rank_a, pairs[number].a, rng, -2, 2);
    /* Away from 0, since div divides by it. */
    op_case_uniform(c, pairs[number].rank_b, pairs[number].b, rng, 0.3, 2);
    for (int64_t i = 0; i < c->inputs[1].count; i += 2)
        c->inputs[1].values[i] *= -1;
    c->large = number >= FIRST_LARGE;
}

/* Index of the element of x that element `index` of the result reads, found axis by axis. */
static int64_t broadcast_index(const op_result *y, const op_input *x, int64_t index) {
    int64_t found = 0, stride = 1;
    for (int i = y->rank - 1, k = x->rank - 1; i >= 0; i--, k--) {
        int64_t along = index % y->shape[i];
        index /= y->shape[i];
        if (k >= 0 && x->shape[k] != 1)
            found += along * stride;
        if (k >= 0)
            stride *= x->shape[k];
    }
    return found;
}

static void broadcast(const op_case *c, op_result *y) {
    const op_input *a = &c->inputs[0], *b = &c->inputs[1];
    int rank = a->rank > b->rank ? a->rank : b->rank;
    int64_t shape[TREAD_MAX_RANK];
    for (int i = 0; i < rank; i++) {
        int of_a = i - rank + a->rank, of_b = i - rank + b->rank;
        shape[i] = of_a >= 0 ? a->shape[of_a] : 1;
        if (of_b >= 0 && shape[i] == 1)
            shape[i] = b->shape[of_b];
    }
    op_result_shape(y, rank, shape);
}

#define BINARY(op, value)                                                                                              \
    static void reference_##op(const op_case *c, op_result *y) {                                                       \
        broadcast(c, y);                                                                                               \
        for (int64_t i = 0; i < y->count; i++) {                                                                       \
            long double a = c->inputs[0].values[broadcast_index(y, &c->inputs[0], i)];                                 \
            long double b = c->inputs[1].values[broadcast_index(y, &c->inputs[1], i)];                                 \
            y->values[i] = value;                                                                                      \
            y->errors[i] = SLACK * fabsl(y->values[i]);                                                                \
        }                                                                                                              \
    }                                                                                                                  \
    static tread_tensor *apply_##op(tread_tape *tape, const op_case *c, tread_tensor *const *x) {                      \
        (void)c;                                                                                                       \
        return tread_##op(tape, x[0], x[1]);                                                                           \
    }                                                                                                                  \
    static void errors_##op(tread_tape *tape) {                                                                        \
        tread_tensor *a = tread_tensor_create(TREAD_FLOAT32, 2, (int64_t[]){3, 4});                                    \
        tread_tensor *b = tread_tensor_create(TREAD_FLOAT32, 1, (int64_t[]){3});                                       \
        tread_tensor *d = tread_tensor_create(TREAD_FLOAT64, 1, (int64_t[]){4});                                       \
        tread_tensor *i = tread_tensor_create(TREAD_INT32, 1, (int64_t[]){4});                                         \
        expect_refused(tape, tread_##op(tape, a, b), TREAD_ERROR_SHAPE, #op ": shapes (3, 4) and (3)");                \
        expect_refused(tape, tread_##op(tape, a, d), TREAD_ERROR_DTYPE, #op ": input 1 is float64");                   \
        expect_refused(tape, tread_##op(tape, i, i), TREAD_ERROR_DTYPE, #op ": input 0 is int32");                     \
        expect_refused(tape, tread_##op(tape, NULL, a), TREAD_ERROR_ARGUMENT, #op ": a is NULL");                      \
        expect_refused(tape, tread_##op(tape, a, NULL), TREAD_ERROR_ARGUMENT, #op ": b is NULL");                      \
        tread_tensor_destroy(a), tread_tensor_destroy(b), tread_tensor_destroy(d), tread_tensor_destroy(i);            \
    }
#define BINARY_RECORD(op, ulps)                                                                                        \
    {                                                                                                                  \
        .name = #op, .n_cases = N_PAIRS, .make = make_pair, .apply = apply_##op, .reference = reference_##op,          \
        .gradient_ulps = ulps, .check_errors = errors_##op                                                             \
    }

BINARY(add, a + b)
BINARY(sub, a - b)
BINARY(mul, a *b)
BINARY(div, a / b)

/* --- One input --- */

static const struct {
    int rank;
    int64_t shape[TREAD_MAX_RANK];
} shapes[] = {{0, {0}}, {1, {1}}, {1, {15}}, {1, {16}}, {2, {3, 11}}, {3, {2, 0, 3}}, {4, {2, 3, 1, 8}}, {1, {40009}}};
#define N_SHAPES ((int)(sizeof shapes / sizeof *shapes))

static void make_in(int number, tread_rng *rng, op_case *c, double low, double high) {
    op_case_uniform(c, shapes[number].rank, shapes[number].shape, rng, low, high);
    c->large = number == N_SHAPES - 1;
}
static void make_wide(int number, tread_rng *rng, op_case *c) { make_in(number, rng, c, -4, 4); }
static void make_positive(int number, tread_rng *rng, op_case *c) { make_in(number, rng, c, 0.05, 6); }
static void make_clamp(int number, tread_rng *rng, op_case *c) {
    make_in(number, rng, c, -2, 2);
    c->real[0] = number == 1 ? -INFINITY : -0.5;
    c->real[1] = number == 1 ? INFINITY : 1;
}
static void make_leaky(int number, tread_rng *rng, op_case *c) {
    make_in(number, rng, c, -4, 4);
    c->real[0] = number % 3 == 0 ? 0.01 : number % 3 == 1 ? -0.3 : 0;
}

/* bound: in units of u, of x, y = value. */
#define UNARY_CALL(op, call, value, bound)                                                                             \
    static void reference_##op(const op_case *c, op_result *result) {                                                  \
        op_result_shape(result, c->inputs[0].rank, c->inputs[0].shape);                                                \
        for (int64_t i = 0; i < result->count; i++) {                                                                  \
            long double x = c->inputs[0].values[i], y = value;                                                         \
            (void)x;                                                                                                   \
            result->values[i] = y;                                                                                     \
            result->errors[i] = SLACK * (bound);                                                                       \
        }                                                                                                              \
    }                                                                                                                  \
    static tread_tensor *apply_##op(tread_tape *tape, const op_case *c, tread_tensor *const *inputs) {                 \
        tread_tensor *x = inputs[0];                                                                                   \
        (void)c;                                                                                                       \
        return call;                                                                                                   \
    }                                                                                                                  \
    static void errors_##op(tread_tape *tape) {                                                                        \
        const op_case of_options = {.real = {0, 1}}, *c = &of_options;                                                 \
        tread_tensor *x = NULL, *i = tread_tensor_create(TREAD_INT32, 1, (int64_t[]){4});                              \
        expect_refused(tape, call, TREAD_ERROR_ARGUMENT, #op ": x is NULL");                                           \
        x = i;                                                                                                         \
        expect_refused(tape, call, TREAD_ERROR_DTYPE, #op ": input 0 is int32");                                       \
        (void)c;                                                                                                       \
        more_errors_##op(tape);                                                                                        \
        tread_tensor_destroy(i);                                                                                       \
    }
#define UNARY(op, value, bound)                                                                                        \
    static void more_errors_##op(tread_tape *tape) { (void)tape; }                                                     \
    UNARY_CALL(op, tread_##op(tape, x), value, bound)
#define UNARY_RECORD(op, how, ulps, absolute)                                                                          \
    {                                                                                                                  \
        .name = #op, .n_cases = N_SHAPES, .make = how, .apply = apply_##op, .reference = reference_##op,               \
        .gradient_ulps = ulps, .gradient_absolute = absolute, .check_errors = errors_##op                              \
    }

static void more_errors_clamp(tread_tape *tape) {
    tread_tensor *x = tread_tensor_create(TREAD_FLOAT32, 0, NULL);
    expect_refused(tape, tread_clamp(tape, x, 2, 1), TREAD_ERROR_ARGUMENT, "clamp: low = 2 is not at most high = 1");
    expect_refused(tape, tread_clamp(tape, x, NAN, 1), TREAD_ERROR_ARGUMENT, "clamp: low = ");
    expect_refused(tape, tread_clamp(tape, x, 0, NAN), TREAD_ERROR_ARGUMENT, "high = ");
    tread_tensor_destroy(x);
}
static void more_errors_leaky_relu(tread_tape *tape) {
    tread_tensor *x = tread_tensor_create(TREAD_FLOAT32, 0, NULL);
    expect_refused(tape, tread_leaky_relu(tape, x, INFINITY), TREAD_ERROR_ARGUMENT,
                   "leaky_relu: slope = inf is not finite");
    expect_refused(tape, tread_leaky_relu(tape, x, NAN), TREAD_ERROR_ARGUMENT, "leaky_relu: slope = ");
    tread_tensor_destroy(x);
}

#define EXP_ULP 0.97L
#define LOG_ULP 0.9L
#define SIGMOID_ULP 2.3L
#define TANH_ULP 1.5L
#define ERF_ULP 1.2L

static long double sigmoid(long double x) { return 1 / (1 + expl(-x)); }
static long double gelu(long double x) { return x / 2 * erfcl(-x / sqrtl(2)); }
/* y = x/2 (1 + erf z), z = x / sqrt 2 with two roundings (constant, product): erf z is off by 2 |z| erf'(z) and by its
 * own 2 ulp |erf z|; that times |x|/2, and the roundings of 1 + erf z and of the product with x/2 (which is exact), |y|
 * each. */
static long double gelu_bound(long double x, long double y) {
    long double z = x / sqrtl(2), slope = 2 / sqrtl(acosl(-1)) * expl(-z * z);
    return fabsl(x) / 2 * (2 * fabsl(z) * slope + 2 * ERF_ULP * fabsl(erfl(z))) + 2 * fabsl(y);
}

UNARY(neg, -x, 0)
UNARY(exp, expl(x), 2 * EXP_ULP * y)
UNARY(log, logl(x), 2 * LOG_ULP * fabsl(y))
UNARY(sqrt, sqrtl(x), y)
UNARY(square, x *x, y)
UNARY(abs, fabsl(x), 0)
UNARY_CALL(clamp, tread_clamp(tape, x, c->real[0], c->real[1]),
           x<c->real[0] ? c->real[0] : x> c->real[1] ? c->real[1] : x, 0)
UNARY(relu, x > 0 ? x : 0, 0)
/* The slope's rounding to the type, and the product's. */
UNARY_CALL(leaky_relu, tread_leaky_relu(tape, x, c->real[0]), x < 0 ? c->real[0] * x : x, x < 0 ? 2 * fabsl(y) : 0)
UNARY(gelu, gelu(x), gelu_bound(x, y))
UNARY(silu, x *sigmoid(x), (2 * SIGMOID_ULP + 1) * fabsl(y))
UNARY(tanh, tanhl(x), 2 * TANH_ULP * fabsl(y))
UNARY(sigmoid, sigmoid(x), 2 * SIGMOID_ULP * y)

/* Gradients w f'(x): the product rounds once, |w f'|, unless f' is 0 or 1. In f':
 * exp: y, off by 2 EXP_ULP. log: 1 / x, 1. sqrt: 0.5 / y, 2. square: 2 x, 0. leaky_relu: the slope, 1.
 * gelu: Phi + x phi. Phi = (1 + erf z) / 2 is off by (2 |z| erf'(z) + 2 ERF_ULP + 2) / 2 <= 0.49 + 1.2 + 1 (max of |z|
 * erf'(z) is 0.485). x phi: exp's argument t = -x^2/2 is off by |t|, which costs |x| phi |t| <= 0.24 (max of |x|^3 phi
 * / 2); then come 2 EXP_ULP and 3 roundings of |x| phi <= 0.25: 1.24. The sum rounds once, of at most 1.13.
 * Together 5.3. silu: s + x s (1 - s), e = exp(-|x|) off by 2 EXP_ULP = 2; larger = 1 / (1 + e) by 2 e/(1+e) + 2 <= 3,
 * smaller = e larger by 6, so s by 6; smaller larger by 10, x times it by 11 of at most 0.23; the sum rounds once, of
 * at most 1.1. Together 9.7. tanh: 1 - y^2, y off by 3 |y|: y^2 by 7 y^2, the difference once more: 8. sigmoid: y (1 -
 * y), y off by 4.6 y: 4.6 y |1 - 2 y| <= 4.6, and two roundings. */
const op_record op_records_elementwise[] = {
    BINARY_RECORD(add, 1),
    BINARY_RECORD(sub, 1),
    BINARY_RECORD(mul, 2),
    BINARY_RECORD(div, 4),
    UNARY_RECORD(neg, make_wide, 0, 0),
    UNARY_RECORD(exp, make_wide, 3, 0),
    UNARY_RECORD(log, make_positive, 2, 0),
    UNARY_RECORD(sqrt, make_positive, 3, 0),
    UNARY_RECORD(square, make_wide, 1, 0),
    UNARY_RECORD(abs, make_wide, 0, 0),
    UNARY_RECORD(clamp, make_clamp, 0, 0),
    UNARY_RECORD(relu, make_wide, 0, 0),
    UNARY_RECORD(leaky_relu, make_leaky, 2, 0),
    UNARY_RECORD(gelu, make_wide, 1, 5.3),
    UNARY_RECORD(silu, make_wide, 1, 9.7),
    UNARY_RECORD(tanh, make_wide, 1, 8),
    UNARY_RECORD(sigmoid, make_wide, 3, 4.6),
    {.name = NULL},
};
