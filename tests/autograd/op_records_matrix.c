#include <math.h>
#include <string.h>

#include "tests/autograd/op_records.h"
#include "tests/test.h"

/* Bounds are in units of u. A product of k terms, summed in any order with or without fused multiply-add, is off by at
 * most k + 1 times the sum of |terms|; SLACK covers second order. Entries are at most 1. */
#define SLACK 1.01L
#define MOST 40 /* the largest extent in a case that is not large */

static const struct {
    int rank_a, rank_b;
    int64_t a[4], b[4];
} products[] = {{2, 2, {1, 1}, {1, 1}},
                {2, 2, {3, 4}, {4, 5}},
                {2, 2, {1, 7}, {7, 1}},
                {2, 2, {33, 17}, {17, 40}},
                {3, 2, {2, 3, 4}, {4, 5}},
                {3, 3, {2, 3, 4}, {2, 4, 5}},
                {4, 4, {2, 2, 3, 1}, {2, 2, 1, 6}},
                {2, 2, {3, 0}, {0, 2}},
                {2, 2, {0, 4}, {4, 3}},
                {3, 3, {0, 2, 4}, {0, 4, 3}},
                /* Large: several tiles, a k that is cut. */
                {2, 2, {130, 300}, {300, 70}},
                {2, 2, {5, 2100}, {2100, 33}},
                {3, 3, {3, 65, 40}, {3, 40, 70}}};
#define N_PRODUCTS ((int)(sizeof products / sizeof *products))

static void make_matmul(int number, tread_rng *rng, op_case *c) {
    op_case_uniform(c, products[number].rank_a, products[number].a, rng, -1, 1);
    op_case_uniform(c, products[number].rank_b, products[number].b, rng, -1, 1);
    c->large = number >= 10;
}
static tread_tensor *apply_matmul(tread_tape *tape, const op_case *c, tread_tensor *const *x) {
    (void)c;
    return tread_matmul(tape, x[0], x[1]);
}
static void reference_matmul(const op_case *c, op_result *y) {
    const op_input *a = &c->inputs[0], *b = &c->inputs[1];
    int64_t shape[TREAD_MAX_RANK], m = a->shape[a->rank - 2], k = a->shape[a->rank - 1], n = b->shape[b->rank - 1];
    memcpy(shape, a->shape, sizeof shape);
    shape[a->rank - 1] = n;
    op_result_shape(y, a->rank, shape);
    for (int64_t index = 0; index < y->count; index++) {
        int64_t col = index % n, row = index / n, matrix = row / m;
        long double sum = 0, size = 0;
        for (int64_t i = 0; i < k; i++) {
            long double term =
                (long double)a->values[row * k + i] * b->values[(b->rank > 2 ? matrix * k * n : 0) + i * n + col];
            sum += term;
            size += fabsl(term);
        }
        y->values[index] = sum;
        y->errors[index] = SLACK * (long double)(k + 1) * size;
    }
}
static void errors_matmul(tread_tape *tape) {
    tread_tensor *a = tread_tensor_create(TREAD_FLOAT32, 2, (int64_t[]){2, 3});
    tread_tensor *b = tread_tensor_create(TREAD_FLOAT32, 2, (int64_t[]){2, 4});
    tread_tensor *i = tread_tensor_create(TREAD_INT32, 2, (int64_t[]){3, 4});
    tread_tensor *v = tread_tensor_create(TREAD_FLOAT32, 1, (int64_t[]){3});
    expect_refused(tape, tread_matmul(tape, NULL, a), TREAD_ERROR_ARGUMENT, "matmul: a is NULL");
    expect_refused(tape, tread_matmul(tape, a, NULL), TREAD_ERROR_ARGUMENT, "matmul: b is NULL");
    expect_refused(tape, tread_matmul(tape, a, b), TREAD_ERROR_SHAPE, "matmul: (2, 3) x (2, 4)");
    expect_refused(tape, tread_matmul(tape, a, v), TREAD_ERROR_SHAPE, "matmul: (2, 3) x (3)");
    expect_refused(tape, tread_matmul(tape, a, i), TREAD_ERROR_DTYPE, "matmul: input 1 is int32");
    tread_tensor_destroy(a), tread_tensor_destroy(b), tread_tensor_destroy(i), tread_tensor_destroy(v);
}

/* --- linear: integer[0] is the activation --- */

static const struct {
    int rank;
    int64_t x[3], n_out;
    bool bias;
} layers[] = {{2, {1, 1}, 1, true},    {2, {5, 9}, 7, true}, {2, {33, 8}, 17, false}, {1, {6}, 3, true},
              {3, {2, 3, 5}, 4, true}, {2, {0, 4}, 3, true}, {2, {4, 0}, 3, true},    {2, {64, 784}, 128, true}};
#define N_LAYERS ((int)(sizeof layers / sizeof *layers))

static void make_linear(int number, tread_rng *rng, op_case *c) {
    int layer = number / TREAD_ACTIVATION_COUNT;
    int64_t n_out = layers[layer].n_out, w[] = {n_out, layers[layer].x[layers[layer].rank - 1]};
    op_case_uniform(c, layers[layer].rank, layers[layer].x, rng, -1, 1);
    op_case_uniform(c, 2, w, rng, -1, 1);
    op_case_uniform(c, 1, &n_out, rng, -1, 1);
    c->inputs[2].absent = !layers[layer].bias;
    c->integer[0] = number % TREAD_ACTIVATION_COUNT;
    c->large = layer == N_LAYERS - 1;
}
static tread_tensor *apply_linear(tread_tape *tape, const op_case *c, tread_tensor *const *x) {
    return tread_linear(tape, x[0], x[1], x[2], (tread_activation)c->integer[0]);
}
static long double activate(int64_t activation, long double z) {
    switch (activation) {
    case TREAD_ACTIVATION_RELU: return z > 0 ? z : 0;
    case TREAD_ACTIVATION_LEAKY_RELU: return z > 0 ? z : 0.01 * z;
    case TREAD_ACTIVATION_GELU: return z / 2 * erfcl(-z / sqrtl(2));
    case TREAD_ACTIVATION_SILU: return z / (1 + expl(-z));
    case TREAD_ACTIVATION_TANH: return tanhl(z);
    case TREAD_ACTIVATION_SIGMOID: return 1 / (1 + expl(-z));
    default: return z;
    }
}
/* z is off by k + 2 (bias too); no activation has a slope above 1.13 (gelu's), and their own errors, derived in
 * op_records_elementwise.c, are at most 6 (|z| + 1). */
static void reference_linear(const op_case *c, op_result *y) {
    const op_input *x = &c->inputs[0], *w = &c->inputs[1], *b = &c->inputs[2];
    int64_t shape[TREAD_MAX_RANK], k = w->shape[1], n = w->shape[0];
    memcpy(shape, x->shape, sizeof shape);
    shape[x->rank - 1] = n;
    op_result_shape(y, x->rank, shape);
    for (int64_t index = 0; index < y->count; index++) {
        long double sum = b->absent ? 0 : b->values[index % n], size = fabsl(sum);
        for (int64_t i = 0; i < k; i++) {
            long double term = (long double)x->values[index / n * k + i] * w->values[index % n * k + i];
            sum += term;
            size += fabsl(term);
        }
        y->values[index] = activate(c->integer[0], sum);
        y->errors[index] = SLACK * 1.13L * (long double)(k + 2) * size;
        if (c->integer[0] != TREAD_ACTIVATION_NONE)
            y->errors[index] += 6 * (fabsl(sum) + 1);
    }
}
static void errors_linear(tread_tape *tape) {
    tread_tensor *x = tread_tensor_create(TREAD_FLOAT32, 2, (int64_t[]){2, 3});
    tread_tensor *w = tread_tensor_create(TREAD_FLOAT32, 2, (int64_t[]){4, 3});
    tread_tensor *b = tread_tensor_create(TREAD_FLOAT32, 1, (int64_t[]){4});
    tread_tensor *d = tread_tensor_create(TREAD_FLOAT64, 1, (int64_t[]){4});
    const tread_activation none = TREAD_ACTIVATION_NONE;
    expect_refused(tape, tread_linear(tape, NULL, w, b, none), TREAD_ERROR_ARGUMENT, "linear: x is NULL");
    expect_refused(tape, tread_linear(tape, x, NULL, b, none), TREAD_ERROR_ARGUMENT, "linear: the weight is NULL");
    expect_refused(tape, tread_linear(tape, x, w, b, (tread_activation)7), TREAD_ERROR_ARGUMENT,
                   "linear: activation 7");
    expect_refused(tape, tread_linear(tape, x, b, b, none), TREAD_ERROR_SHAPE, "linear");
    expect_refused(tape, tread_linear(tape, w, x, b, none), TREAD_ERROR_SHAPE, "linear");
    expect_refused(tape, tread_linear(tape, x, w, d, none), TREAD_ERROR_DTYPE, "linear: input 2 is float64");
    tread_tensor_destroy(x), tread_tensor_destroy(w), tread_tensor_destroy(b), tread_tensor_destroy(d);
}

/* --- detach --- */

static void make_detach(int number, tread_rng *rng, op_case *c) {
    op_case_uniform(c, 2, (int64_t[]){number, 3}, rng, -1, 1);
}
static tread_tensor *apply_detach(tread_tape *tape, const op_case *c, tread_tensor *const *x) {
    (void)c;
    return tread_detach(tape, x[0]);
}
static void reference_detach(const op_case *c, op_result *y) {
    op_result_shape(y, 2, c->inputs[0].shape);
    for (int64_t i = 0; i < y->count; i++)
        y->values[i] = c->inputs[0].values[i];
}
static void errors_detach(tread_tape *tape) {
    expect_refused(tape, tread_detach(tape, NULL), TREAD_ERROR_ARGUMENT, "detach: the tensor is NULL");
}

/* Gradients: matmul's are products of at most MOST terms.
 * linear: dz = g f'(z), f' off by 10 (op_records_elementwise.c) and, as |f''| <= 1, by z's error: (k + 2)(k + 1) with k
 * <= 9, 110; times entries of at most 1, then products of at most MOST terms and dz's own rounding. */
const op_record op_records_matrix[] = {
    {.name = "matmul",
     .n_cases = N_PRODUCTS,
     .make = make_matmul,
     .apply = apply_matmul,
     .reference = reference_matmul,
     .gradient_ulps = MOST + 1,
     .check_errors = errors_matmul},
    {.name = "linear",
     .n_cases = N_LAYERS * TREAD_ACTIVATION_COUNT,
     .make = make_linear,
     .apply = apply_linear,
     .reference = reference_linear,
     .gradient_ulps = MOST + 2,
     .gradient_absolute = 120,
     .check_errors = errors_linear},
    {.name = "detach",
     .n_cases = 3,
     .make = make_detach,
     .apply = apply_detach,
     .reference = reference_detach,
     .stops_gradient = true,
     .check_errors = errors_detach},
    {.name = NULL},
};
