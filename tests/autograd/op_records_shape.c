#include <math.h>
#include <string.h>

#include "tests/autograd/op_records.h"
#include "tests/test.h"

/* Bounds are in units of u. Copies are exact. A sum of n terms runs in double in some order, at most n in_double times
 * the sum of |terms|, and is rounded once; a mean multiplies it by 1/n, both rounded in double. */
#define SLACK 1.01L

/* --- Reductions. integer[0] is the axis, integer[1] whether it is kept; the shapes have x as (outer, length, inner).
 * --- */

static const struct {
    int rank;
    int64_t shape[TREAD_MAX_RANK];
    int axis;
    bool keep;
} axes[] = {
    {1, {1}, 0, false},
    {1, {37}, 0, true},
    {2, {5, 9}, 0, false},
    {2, {5, 9}, 1, true},
    {2, {33, 40}, -1, false},
    {3, {2, 3, 17}, 1, false},
    {3, {4, 1, 3}, -2, true},
    {6, {2, 1, 2, 3, 1, 2}, 3, false},
    {2, {0, 3}, 1, false},
    {3, {2, 3, 0}, 1, true},
    /* Large. */
    {2, {9001, 10}, 0, false},
    {2, {9001, 10}, 1, false},
    {1, {70003}, 0, false},
    {2, {3, 30011}, -1, true},
    {3, {7, 41, 301}, 1, false},
};
#define N_AXES ((int)(sizeof axes / sizeof *axes))
#define FIRST_LARGE_AXIS 10

static void make_axis(int number, tread_rng *rng, op_case *c) {
    op_case_uniform(c, axes[number].rank, axes[number].shape, rng, -3, 4);
    c->integer[0] = axes[number].axis;
    c->integer[1] = axes[number].keep;
    c->large = number >= FIRST_LARGE_AXIS;
}

static void make_all(int number, tread_rng *rng, op_case *c) {
    static const struct {
        int rank;
        int64_t shape[3];
    } shapes[] = {{0, {0}}, {1, {1}}, {1, {16}}, {2, {7, 9}}, {3, {3, 1, 19}}, {2, {131, 607}}, {2, {0, 3}}};
    op_case_uniform(c, shapes[number].rank, shapes[number].shape, rng, -3, 4);
    c->large = number == 5;
}

/* Walks x as (outer, length, inner). */
static void reduce(const op_case *c, op_result *y, bool all, char what) {
    const op_input *x = &c->inputs[0];
    int64_t outer = 1, length = all ? x->count : 1, inner = 1, shape[TREAD_MAX_RANK] = {0};
    int axis = (int)c->integer[0] + (c->integer[0] < 0 ? x->rank : 0), rank = 0;
    for (int i = 0; !all && i < x->rank; i++) {
        *(i < axis ? &outer : i == axis ? &length : &inner) *= x->shape[i];
        if (i != axis || c->integer[1] != 0)
            shape[rank++] = i == axis ? 1 : x->shape[i];
    }
    op_result_shape(y, rank, shape);
    for (int64_t o = 0; o < outer; o++)
        for (int64_t i = 0; i < inner; i++) {
            long double sum = 0, size = 0, largest = -INFINITY;
            for (int64_t k = 0; k < length; k++) {
                long double value = x->values[(o * length + k) * inner + i];
                sum += value;
                size += fabsl(value);
                largest = value > largest ? value : largest;
            }
            long double scale = what == 'm' ? 1 / (long double)length : 1, value = sum * scale;
            y->values[o * inner + i] = what == 'x' ? largest : value;
            if (what != 'x')
                y->errors[o * inner + i] =
                    SLACK * (fabsl(value) + c->in_double * ((long double)length * size * scale + 2 * fabsl(value)));
        }
}

#define REDUCTION(op, call, all, what)                                                                                 \
    static void reference_##op(const op_case *c, op_result *y) { reduce(c, y, all, what); }                            \
    static tread_tensor *apply_##op(tread_tape *tape, const op_case *c, tread_tensor *const *inputs) {                 \
        tread_tensor *x = inputs[0];                                                                                   \
        (void)c;                                                                                                       \
        return call;                                                                                                   \
    }                                                                                                                  \
    static void errors_##op(tread_tape *tape) {                                                                        \
        const op_case none = {0}, *c = &none;                                                                          \
        tread_tensor *x = NULL, *i = tread_tensor_create(TREAD_INT32, 1, (int64_t[]){4});                              \
        expect_refused(tape, call, TREAD_ERROR_ARGUMENT, #op ": x is NULL");                                           \
        x = i;                                                                                                         \
        expect_refused(tape, call, TREAD_ERROR_DTYPE, #op ": input 0 is int32");                                       \
        (void)c;                                                                                                       \
        tread_tensor_destroy(i);                                                                                       \
        more_errors_##op(tape);                                                                                        \
    }
#define AXIS_CALL(op) tread_##op(tape, x, (int)c->integer[0], c->integer[1] != 0)
#define AXIS_ERRORS(op, refuses_empty)                                                                                 \
    static void more_errors_##op(tread_tape *tape) {                                                                   \
        tread_tensor *x = tread_tensor_create(TREAD_FLOAT32, 2, (int64_t[]){2, 0});                                    \
        tread_tensor *s = tread_tensor_create(TREAD_FLOAT32, 0, NULL);                                                 \
        expect_refused(tape, tread_##op(tape, x, 2, false), TREAD_ERROR_ARGUMENT, #op ": axis 2");                     \
        expect_refused(tape, tread_##op(tape, x, -3, false), TREAD_ERROR_ARGUMENT, #op ": axis -3");                   \
        expect_refused(tape, tread_##op(tape, s, 0, false), TREAD_ERROR_ARGUMENT, "rank 0");                           \
        if (refuses_empty)                                                                                             \
            expect_refused(tape, tread_##op(tape, x, 1, false), TREAD_ERROR_SHAPE, #op ": nothing to reduce");         \
        tread_tensor_destroy(x), tread_tensor_destroy(s);                                                              \
    }
static void more_errors_sum(tread_tape *tape) { (void)tape; }
static void more_errors_mean(tread_tape *tape) {
    tread_tensor *x = tread_tensor_create(TREAD_FLOAT32, 2, (int64_t[]){2, 0});
    expect_refused(tape, tread_mean(tape, x), TREAD_ERROR_SHAPE, "mean: nothing to reduce in a tensor of shape (2, 0)");
    tread_tensor_destroy(x);
}
AXIS_ERRORS(sum_axis, false)
AXIS_ERRORS(mean_axis, true)
AXIS_ERRORS(max_axis, true)
REDUCTION(sum, tread_sum(tape, x), true, 's')
REDUCTION(mean, tread_mean(tape, x), true, 'm')
REDUCTION(sum_axis, AXIS_CALL(sum_axis), false, 's')
REDUCTION(mean_axis, AXIS_CALL(mean_axis), false, 'm')
REDUCTION(max_axis, AXIS_CALL(max_axis), false, 'x')

/* --- reshape: integer[0] is the rank, then the extents --- */

static const struct {
    int rank, new_rank;
    int64_t shape[3], new_shape[4];
} reshapes[] = {{0, 3, {0}, {1, 1, 1}},       {1, 0, {1}, {0}},
                {2, 3, {6, 4}, {2, -1, 3}},   {2, 1, {3, 5}, {-1}},
                {2, 4, {0, 3}, {3, 0, 1, 2}}, {2, 2, {400, 101}, {101, 400}}};

static void make_reshape(int number, tread_rng *rng, op_case *c) {
    op_case_uniform(c, reshapes[number].rank, reshapes[number].shape, rng, -3, 4);
    c->integer[0] = reshapes[number].new_rank;
    memcpy(&c->integer[1], reshapes[number].new_shape, sizeof reshapes[number].new_shape);
    c->large = number == 5;
}
static tread_tensor *apply_reshape(tread_tape *tape, const op_case *c, tread_tensor *const *x) {
    return tread_reshape(tape, x[0], (int)c->integer[0], &c->integer[1]);
}
static void reference_reshape(const op_case *c, op_result *y) {
    int64_t shape[TREAD_MAX_RANK] = {0}, known = 1;
    for (int i = 0; i < c->integer[0]; i++)
        known *= c->integer[1 + i] == -1 ? 1 : c->integer[1 + i];
    for (int i = 0; i < c->integer[0]; i++)
        shape[i] = c->integer[1 + i] == -1 ? c->inputs[0].count / known : c->integer[1 + i];
    op_result_shape(y, (int)c->integer[0], shape);
    for (int64_t i = 0; i < y->count; i++)
        y->values[i] = c->inputs[0].values[i];
}
static void errors_reshape(tread_tape *tape) {
    tread_tensor *x = tread_tensor_create(TREAD_INT32, 2, (int64_t[]){2, 6});
    tread_tensor *none = tread_tensor_create(TREAD_INT32, 1, (int64_t[]){0});
    int64_t five[] = {5}, twice[] = {-1, -1, 12}, uneven[] = {-1, 5}, negative[] = {-2, -6}, open[] = {-1, 0};
    expect_refused(tape, tread_reshape(tape, NULL, 1, five), TREAD_ERROR_ARGUMENT, "reshape: x is NULL");
    expect_refused(tape, tread_reshape(tape, x, 1, NULL), TREAD_ERROR_ARGUMENT, "reshape: shape is NULL");
    expect_refused(tape, tread_reshape(tape, x, 1, five), TREAD_ERROR_SHAPE, "reshape: (2, 6) cannot become (5)");
    expect_refused(tape, tread_reshape(tape, x, 3, twice), TREAD_ERROR_SHAPE, "cannot become");
    expect_refused(tape, tread_reshape(tape, x, 2, uneven), TREAD_ERROR_SHAPE, "cannot become");
    expect_refused(tape, tread_reshape(tape, x, 2, negative), TREAD_ERROR_SHAPE, "cannot become");
    expect_refused(tape, tread_reshape(tape, none, 2, open), TREAD_ERROR_SHAPE, "cannot become");
    expect_refused(tape, tread_reshape(tape, x, 7, five), TREAD_ERROR_SHAPE, "reshape: rank 7");
    expect_refused(tape, tread_reshape(tape, x, -1, five), TREAD_ERROR_SHAPE, "reshape: rank -1");
    tread_tensor_destroy(x), tread_tensor_destroy(none);
}

/* --- transpose: of axes integer[0] and integer[1] --- */

static const struct {
    int rank;
    int64_t shape[TREAD_MAX_RANK];
    int axis0, axis1;
} transposes[] = {{1, {5}, 0, 0},
                  {2, {1, 1}, 0, 1},
                  {2, {17, 35}, 0, 1},
                  {2, {5, 1}, 1, 0},
                  {3, {3, 4, 5}, 0, 2},
                  {3, {3, 4, 5}, 0, 1},
                  {3, {3, 4, 18}, -1, -2},
                  {3, {1, 4, 5}, 0, 2},
                  {4, {2, 3, 1, 5}, 2, 1},
                  {6, {2, 1, 3, 2, 1, 2}, 5, 1},
                  {2, {0, 4}, 0, 1},
                  {2, {300, 207}, 0, 1},
                  {4, {20, 30, 11, 8}, 1, 2}};
#define N_TRANSPOSES ((int)(sizeof transposes / sizeof *transposes))

static void make_transpose(int number, tread_rng *rng, op_case *c) {
    op_case_uniform(c, transposes[number].rank, transposes[number].shape, rng, -3, 4);
    c->integer[0] = transposes[number].axis0;
    c->integer[1] = transposes[number].axis1;
    c->large = number >= N_TRANSPOSES - 2;
}
static tread_tensor *apply_transpose(tread_tape *tape, const op_case *c, tread_tensor *const *x) {
    return tread_transpose(tape, x[0], (int)c->integer[0], (int)c->integer[1]);
}
static void reference_transpose(const op_case *c, op_result *y) {
    const op_input *x = &c->inputs[0];
    int axis0 = (int)c->integer[0], axis1 = (int)c->integer[1];
    axis0 += axis0 < 0 ? x->rank : 0;
    axis1 += axis1 < 0 ? x->rank : 0;
    int64_t shape[TREAD_MAX_RANK], strides[TREAD_MAX_RANK], stride = 1;
    for (int i = x->rank - 1; i >= 0; i--) {
        shape[i] = x->shape[i == axis0 ? axis1 : i == axis1 ? axis0 : i];
        strides[i] = stride;
        stride *= x->shape[i];
    }
    op_result_shape(y, x->rank, shape);
    for (int64_t index = 0; index < y->count; index++) {
        int64_t from = 0, rest = index;
        for (int i = x->rank - 1; i >= 0; i--) {
            from += rest % shape[i] * strides[i == axis0 ? axis1 : i == axis1 ? axis0 : i];
            rest /= shape[i];
        }
        y->values[index] = x->values[from];
    }
}
static void errors_transpose(tread_tape *tape) {
    tread_tensor *x = tread_tensor_create(TREAD_UINT8, 2, (int64_t[]){2, 6});
    expect_refused(tape, tread_transpose(tape, NULL, 0, 1), TREAD_ERROR_ARGUMENT, "transpose: x is NULL");
    expect_refused(tape, tread_transpose(tape, x, 0, 2), TREAD_ERROR_ARGUMENT, "transpose: axis 2");
    expect_refused(tape, tread_transpose(tape, x, -3, 0), TREAD_ERROR_ARGUMENT, "transpose: axis -3");
    tread_tensor_destroy(x);
}

/* --- concat along integer[0], slice [integer[1], integer[2]) of integer[0] --- */

static const struct {
    int n, rank, axis;
    int64_t shape[3], extents[4];
} concats[] = {{1, 1, 0, {0}, {3}},
               {3, 1, -1, {0}, {1, 0, 4}},
               {2, 2, 0, {0, 5}, {2, 3}},
               {4, 2, 1, {3, 0}, {2, 1, 7, 16}},
               {2, 3, 1, {2, 0, 3}, {1, 4}},
               {2, 2, 0, {0, 0}, {2, 1}},
               {3, 2, 1, {301, 0}, {100, 1, 77}}};

static void make_concat(int number, tread_rng *rng, op_case *c) {
    int axis = concats[number].axis + (concats[number].axis < 0 ? concats[number].rank : 0);
    for (int i = 0; i < concats[number].n; i++) {
        int64_t shape[3];
        memcpy(shape, concats[number].shape, sizeof shape);
        shape[axis] = concats[number].extents[i];
        op_case_uniform(c, concats[number].rank, shape, rng, -3, 4);
    }
    c->integer[0] = concats[number].axis;
    c->large = number == 6;
}
static tread_tensor *apply_concat(tread_tape *tape, const op_case *c, tread_tensor *const *x) {
    return tread_concat(tape, x, (size_t)c->n_inputs, (int)c->integer[0]);
}
static void reference_concat(const op_case *c, op_result *y) {
    const op_input *first = &c->inputs[0];
    int axis = (int)c->integer[0] + (c->integer[0] < 0 ? first->rank : 0);
    int64_t shape[TREAD_MAX_RANK] = {0}, inner = 1, outer = 1, at = 0;
    for (int i = 0; i < first->rank; i++) {
        shape[i] = first->shape[i];
        *(i < axis ? &outer : &inner) *= i == axis ? 1 : shape[i];
    }
    for (int i = 1; i < c->n_inputs; i++)
        shape[axis] += c->inputs[i].shape[axis];
    op_result_shape(y, first->rank, shape);
    for (int64_t o = 0; o < outer; o++)
        for (int i = 0; i < c->n_inputs; i++)
            for (int64_t k = 0, run = c->inputs[i].shape[axis] * inner; k < run; k++)
                y->values[at++] = c->inputs[i].values[o * run + k];
}
static void errors_concat(tread_tape *tape) {
    tread_tensor *x = tread_tensor_create(TREAD_INT32, 2, (int64_t[]){2, 3}), *none = NULL;
    tread_tensor *wide = tread_tensor_create(TREAD_INT32, 2, (int64_t[]){2, 4});
    tread_tensor *flat = tread_tensor_create(TREAD_INT32, 1, (int64_t[]){3});
    tread_tensor *real = tread_tensor_create(TREAD_FLOAT32, 2, (int64_t[]){2, 3});
    expect_refused(tape, tread_concat(tape, NULL, 2, 0), TREAD_ERROR_ARGUMENT, "concat: 2 tensors at NULL");
    expect_refused(tape, tread_concat(tape, &x, 0, 0), TREAD_ERROR_ARGUMENT, "concat: 0 tensors");
    expect_refused(tape, tread_concat(tape, &none, 1, 0), TREAD_ERROR_ARGUMENT, "concat: tensor 0 is NULL");
    expect_refused(tape, tread_concat(tape, &x, 1, 2), TREAD_ERROR_ARGUMENT, "concat: axis 2");
    expect_refused(tape, tread_concat(tape, (tread_tensor *[]){x, wide}, 2, 0), TREAD_ERROR_SHAPE,
                   "tensor 1 has shape (2, 4)");
    expect_refused(tape, tread_concat(tape, (tread_tensor *[]){x, flat}, 2, 0), TREAD_ERROR_SHAPE,
                   "tensor 1 has shape (3)");
    expect_refused(tape, tread_concat(tape, (tread_tensor *[]){x, real}, 2, 0), TREAD_ERROR_DTYPE,
                   "tensor 1 is float32");
    tread_tensor_destroy(x), tread_tensor_destroy(wide), tread_tensor_destroy(flat), tread_tensor_destroy(real);
}

static const struct {
    int rank, axis;
    int64_t shape[3], begin, end;
} slices[] = {{1, 0, {1}, 0, 1},    {1, 0, {7}, 2, 5},        {1, -1, {7}, 3, 3},   {2, 0, {5, 9}, 1, 4},
              {2, 1, {5, 9}, 8, 9}, {3, -2, {2, 5, 3}, 0, 4}, {2, 1, {0, 4}, 1, 2}, {2, 1, {210, 401}, 7, 390}};

static void make_slice(int number, tread_rng *rng, op_case *c) {
    op_case_uniform(c, slices[number].rank, slices[number].shape, rng, -3, 4);
    c->integer[0] = slices[number].axis;
    c->integer[1] = slices[number].begin;
    c->integer[2] = slices[number].end;
    c->large = number == 7;
}
static tread_tensor *apply_slice(tread_tape *tape, const op_case *c, tread_tensor *const *x) {
    return tread_slice(tape, x[0], (int)c->integer[0], c->integer[1], c->integer[2]);
}
static void reference_slice(const op_case *c, op_result *y) {
    const op_input *x = &c->inputs[0];
    int axis = (int)c->integer[0] + (c->integer[0] < 0 ? x->rank : 0);
    int64_t shape[TREAD_MAX_RANK], inner = 1;
    memcpy(shape, x->shape, sizeof shape);
    shape[axis] = c->integer[2] - c->integer[1];
    for (int i = axis + 1; i < x->rank; i++)
        inner *= shape[i];
    op_result_shape(y, x->rank, shape);
    for (int64_t i = 0; i < y->count; i++) {
        int64_t outer = i / (shape[axis] * inner), along = i / inner % shape[axis] + c->integer[1];
        y->values[i] = x->values[(outer * x->shape[axis] + along) * inner + i % inner];
    }
}
static void errors_slice(tread_tape *tape) {
    tread_tensor *x = tread_tensor_create(TREAD_UINT8, 2, (int64_t[]){2, 6});
    expect_refused(tape, tread_slice(tape, NULL, 0, 0, 1), TREAD_ERROR_ARGUMENT, "slice: x is NULL");
    expect_refused(tape, tread_slice(tape, x, 2, 0, 1), TREAD_ERROR_ARGUMENT, "slice: axis 2");
    expect_refused(tape, tread_slice(tape, x, 1, 2, 7), TREAD_ERROR_ARGUMENT, "slice: [2, 7) is not in [0, 6)");
    expect_refused(tape, tread_slice(tape, x, 1, -1, 2), TREAD_ERROR_ARGUMENT, "slice: [-1, 2)");
    expect_refused(tape, tread_slice(tape, x, 1, 3, 2), TREAD_ERROR_ARGUMENT, "slice: [3, 2)");
    tread_tensor_destroy(x);
}

#define RECORD(op, how, n, ulps)                                                                                       \
    {                                                                                                                  \
        .name = #op, .n_cases = n, .make = how, .apply = apply_##op, .reference = reference_##op,                      \
        .gradient_ulps = ulps, .check_errors = errors_##op                                                             \
    }
/* Gradients: copies, except the mean's, which are multiplied by 1/n, rounded to the type: two roundings. */
const op_record op_records_shape[] = {
    RECORD(sum, make_all, 7, 0),
    RECORD(mean, make_all, 6, 2),
    RECORD(sum_axis, make_axis, N_AXES, 0),
    RECORD(mean_axis, make_axis, N_AXES, 2),
    RECORD(max_axis, make_axis, N_AXES, 0),
    RECORD(reshape, make_reshape, 6, 0),
    RECORD(transpose, make_transpose, N_TRANSPOSES, 0),
    RECORD(concat, make_concat, 7, 0),
    RECORD(slice, make_slice, 8, 0),
    {.name = NULL},
};
