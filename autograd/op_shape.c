#include <string.h>

#include "autograd/ops_list.h"
#include "core/kernels_copy.h"
#include "core/memory.h"
#include "core/status.h"

/* Operations that only move elements; any dtype, since integers never need a gradient. */

static void copy_flat(const tread_node *node, const void *from, void *to, bool accumulate) {
    const tread_tensor *y = node->output;
    tread_copy_rows(node->context, y->dtype, 1, y->count, from, y->count, to, y->count, accumulate);
}

static void release(tread_node *node) { tread_free(node->plan); }

/* forward: y is read and written. backward: dy is read, and written for each input that needs it; of a slice all of x's
 * gradient is written. */
static tread_cost cost(const tread_node *node, bool backward) {
    const double n = (double)node->output->count;
    if (!backward)
        return tread_op_cost(node, n, 0, 2);
    double moved = node->op == &tread_op_slice ? n : 0;
    for (int i = 0; i < node->n_inputs; i++)
        if (node->input_needs[i])
            moved += (node->op == &tread_op_slice ? 1 : 2) * (double)node->inputs[i]->count;
    return tread_op_cost(node, moved, 0, 1);
}
/* A reshape's forward moves nothing. */
static tread_cost cost_reshape(const tread_node *node, bool backward) {
    return backward ? cost(node, true) : (tread_cost){0};
}

/* --- reshape: integer[0] is the rank, then come the extents --- */

static tread_status plan_reshape(tread_node *node) {
    const tread_tensor *x = node->inputs[0];
    int rank = (int)node->attributes.integer[0], open = -1;
    int64_t shape[TREAD_MAX_RANK], known = 1;
    bool fits = true;
    for (int i = 0; i < rank; i++) {
        shape[i] = node->attributes.integer[1 + i];
        if (shape[i] == -1 && open < 0)
            open = i;
        else
            fits &= shape[i] >= 0 && !__builtin_mul_overflow(known, shape[i], &known);
    }
    if (open >= 0) {
        fits &= known > 0 && x->count % known == 0;
        shape[open] = fits ? x->count / known : 0;
    } else {
        fits &= known == x->count;
    }
    if (!fits) {
        char from[TREAD_SHAPE_TEXT], to[TREAD_SHAPE_TEXT];
        return tread_fail(TREAD_ERROR_SHAPE, "reshape: %s cannot become %s", tread_shape_text(from, x->rank, x->shape),
                          tread_shape_text(to, rank, &node->attributes.integer[1]));
    }
    node->alias_output = true;
    return tread_node_set_output(node, x->dtype, rank, shape);
}

static tread_status forward_reshape(tread_node *node) {
    node->output->data = node->inputs[0]->data;
    return TREAD_OK;
}

static tread_status backward_reshape(tread_node *node) {
    tread_grad_target to = tread_node_grad_target(node, 0);
    if (to.data != NULL)
        copy_flat(node, node->grad, to.data, to.accumulate);
    return TREAD_OK;
}

const tread_op tread_op_reshape = {.name = "reshape",
                                   .plan = plan_reshape,
                                   .forward = forward_reshape,
                                   .backward = backward_reshape,
                                   .cost = cost_reshape};

tread_tensor *tread_reshape(tread_tape *tape, tread_tensor *x, int rank, const int64_t *shape) {
    if (x == NULL || (shape == NULL && rank != 0))
        return tread_tape_fail(tape, TREAD_ERROR_ARGUMENT, "reshape: %s is NULL", x == NULL ? "x" : "shape");
    if (rank < 0 || rank > TREAD_MAX_RANK)
        return tread_tape_fail(tape, TREAD_ERROR_SHAPE, "reshape: rank %d is outside 0 to %d", rank, TREAD_MAX_RANK);
    tread_attributes attributes = {.integer = {rank}};
    for (int i = 0; i < rank; i++)
        attributes.integer[1 + i] = shape[i];
    return tread_tape_apply(tape, &tread_op_reshape, &x, 1, &attributes);
}

/* --- transpose: of axes integer[0] and integer[1] --- */

typedef struct transpose_plan {
    int64_t outer, m, middle, n, inner; /* x; m and n change places */
} transpose_plan;

static tread_status plan_transpose(tread_node *node) {
    const tread_tensor *x = node->inputs[0];
    int axis0, axis1;
    TREAD_TRY(tread_op_axis(node, node->attributes.integer[0], x->rank, &axis0));
    TREAD_TRY(tread_op_axis(node, node->attributes.integer[1], x->rank, &axis1));
    int first = axis0 < axis1 ? axis0 : axis1, second = axis0 < axis1 ? axis1 : axis0;
    int64_t shape[TREAD_MAX_RANK];
    memcpy(shape, x->shape, sizeof shape);
    shape[first] = x->shape[second];
    shape[second] = x->shape[first];
    TREAD_TRY(tread_node_set_output(node, x->dtype, x->rank, shape));
    transpose_plan *own = node->plan = tread_alloc(sizeof *own, "a transpose plan");
    if (own == NULL)
        return TREAD_ERROR_MEMORY;
    *own = (transpose_plan){1, x->shape[first], 1, x->shape[second], 1};
    for (int i = 0; i < x->rank; i++)
        if (i < first)
            own->outer *= x->shape[i];
        else if (i > second)
            own->inner *= x->shape[i];
        else if (i > first && i < second)
            own->middle *= x->shape[i];
    if (first == second)
        own->n = 1;
    return TREAD_OK;
}

static tread_status forward_transpose(tread_node *node) {
    const transpose_plan *p = node->plan;
    const tread_tensor *x = node->inputs[0];
    if (p->n == 1 && p->middle == 1)
        copy_flat(node, x->data, node->output->data, false);
    else
        tread_transpose_axes(node->context, x->dtype, p->outer, p->m, p->middle, p->n, p->inner, x->data,
                             node->output->data, false);
    return TREAD_OK;
}

static tread_status backward_transpose(tread_node *node) {
    const transpose_plan *p = node->plan;
    tread_grad_target to = tread_node_grad_target(node, 0);
    if (to.data == NULL)
        return TREAD_OK;
    if (p->n == 1 && p->middle == 1)
        copy_flat(node, node->grad, to.data, to.accumulate);
    else
        tread_transpose_axes(node->context, node->output->dtype, p->outer, p->n, p->middle, p->m, p->inner, node->grad,
                             to.data, to.accumulate);
    return TREAD_OK;
}

const tread_op tread_op_transpose = {.name = "transpose",
                                     .plan = plan_transpose,
                                     .forward = forward_transpose,
                                     .backward = backward_transpose,
                                     .release = release,
                                     .cost = cost};

tread_tensor *tread_transpose(tread_tape *tape, tread_tensor *x, int axis0, int axis1) {
    if (x == NULL)
        return tread_tape_fail(tape, TREAD_ERROR_ARGUMENT, "transpose: x is NULL");
    tread_attributes attributes = {.integer = {axis0, axis1}};
    return tread_tape_apply(tape, &tread_op_transpose, &x, 1, &attributes);
}

/* --- concat along axis integer[0], and slice [integer[1], integer[2]) of it: rows of one array in rows of a wider ---
 */

typedef struct rows_plan {
    int axis;
    int64_t outer, inner; /* before and after the axis */
} rows_plan;

static rows_plan split_at(const tread_tensor *x, int axis) {
    rows_plan rows = {axis, 1, 1};
    for (int i = 0; i < x->rank; i++)
        if (i != axis)
            *(i < axis ? &rows.outer : &rows.inner) *= x->shape[i];
    return rows;
}

static tread_status keep_rows_plan(tread_node *node, rows_plan rows) {
    node->plan = tread_alloc(sizeof rows, "a plan of copies");
    if (node->plan == NULL)
        return TREAD_ERROR_MEMORY;
    *(rows_plan *)node->plan = rows;
    return TREAD_OK;
}

static tread_status plan_concat(tread_node *node) {
    const tread_tensor *first = node->inputs[0];
    int axis;
    TREAD_TRY(tread_op_axis(node, node->attributes.integer[0], first->rank, &axis));
    int64_t shape[TREAD_MAX_RANK];
    memcpy(shape, first->shape, sizeof shape);
    for (int i = 1; i < node->n_inputs; i++) {
        const tread_tensor *x = node->inputs[i];
        if (x->dtype != first->dtype)
            return tread_fail(TREAD_ERROR_DTYPE, "concat: tensor %d is %s, tensor 0 is %s", i,
                              tread_dtype_name(x->dtype), tread_dtype_name(first->dtype));
        bool fits = x->rank == first->rank;
        for (int k = 0; fits && k < x->rank; k++)
            fits = k == axis || x->shape[k] == first->shape[k];
        if (!fits || __builtin_add_overflow(shape[axis], x->shape[axis], &shape[axis])) {
            char is[TREAD_SHAPE_TEXT], should[TREAD_SHAPE_TEXT];
            return tread_fail(
                TREAD_ERROR_SHAPE, "concat: tensor %d has shape %s, tensor 0 %s: they must agree but in axis %d", i,
                tread_shape_text(is, x->rank, x->shape), tread_shape_text(should, first->rank, first->shape), axis);
        }
    }
    TREAD_TRY(tread_node_set_output(node, first->dtype, first->rank, shape));
    return keep_rows_plan(node, split_at(node->output, axis));
}

static tread_status forward_concat(tread_node *node) {
    const rows_plan *own = node->plan;
    const tread_tensor *y = node->output;
    const int64_t stride = y->shape[own->axis] * own->inner;
    char *to = y->data;
    for (int i = 0; i < node->n_inputs; i++) {
        const tread_tensor *x = node->inputs[i];
        const int64_t cols = x->shape[own->axis] * own->inner;
        tread_copy_rows(node->context, x->dtype, own->outer, cols, x->data, cols, to, stride, false);
        to += (size_t)cols * tread_dtype_size(x->dtype);
    }
    return TREAD_OK;
}

static tread_status backward_concat(tread_node *node) {
    const rows_plan *own = node->plan;
    const tread_tensor *y = node->output;
    const int64_t stride = y->shape[own->axis] * own->inner;
    const char *from = node->grad;
    for (int i = 0; i < node->n_inputs; i++) {
        const int64_t cols = node->inputs[i]->shape[own->axis] * own->inner;
        tread_grad_target to = tread_node_grad_target(node, i);
        if (to.data != NULL)
            tread_copy_rows(node->context, y->dtype, own->outer, cols, from, stride, to.data, cols, to.accumulate);
        from += (size_t)cols * tread_dtype_size(y->dtype);
    }
    return TREAD_OK;
}

const tread_op tread_op_concat = {.name = "concat",
                                  .plan = plan_concat,
                                  .forward = forward_concat,
                                  .backward = backward_concat,
                                  .release = release,
                                  .cost = cost};

tread_tensor *tread_concat(tread_tape *tape, tread_tensor *const *tensors, size_t n, int axis) {
    if (tensors == NULL || n == 0 || n > INT32_MAX)
        return tread_tape_fail(tape, TREAD_ERROR_ARGUMENT, "concat: %zu tensors%s", n,
                               tensors == NULL ? " at NULL" : "");
    for (size_t i = 0; i < n; i++)
        if (tensors[i] == NULL)
            return tread_tape_fail(tape, TREAD_ERROR_ARGUMENT, "concat: tensor %zu is NULL", i);
    tread_attributes attributes = {.integer = {axis}};
    return tread_tape_apply(tape, &tread_op_concat, tensors, (int)n, &attributes);
}

static tread_status plan_slice(tread_node *node) {
    const tread_tensor *x = node->inputs[0];
    int64_t begin = node->attributes.integer[1], end = node->attributes.integer[2], shape[TREAD_MAX_RANK];
    int axis;
    TREAD_TRY(tread_op_axis(node, node->attributes.integer[0], x->rank, &axis));
    if (begin < 0 || begin > end || end > x->shape[axis])
        return tread_fail(TREAD_ERROR_ARGUMENT, "slice: [%lld, %lld) is not in [0, %lld), the extent of axis %d",
                          (long long)begin, (long long)end, (long long)x->shape[axis], axis);
    memcpy(shape, x->shape, sizeof shape);
    shape[axis] = end - begin;
    TREAD_TRY(tread_node_set_output(node, x->dtype, x->rank, shape));
    return keep_rows_plan(node, split_at(x, axis));
}

static tread_status forward_slice(tread_node *node) {
    const rows_plan *own = node->plan;
    const tread_tensor *x = node->inputs[0], *y = node->output;
    const int64_t stride = x->shape[own->axis] * own->inner, cols = y->shape[own->axis] * own->inner;
    const char *from =
        (const char *)x->data + (size_t)(node->attributes.integer[1] * own->inner) * tread_dtype_size(x->dtype);
    tread_copy_rows(node->context, x->dtype, own->outer, cols, from, stride, y->data, cols, false);
    return TREAD_OK;
}

static tread_status backward_slice(tread_node *node) {
    const rows_plan *own = node->plan;
    const tread_tensor *x = node->inputs[0], *y = node->output;
    const int64_t stride = x->shape[own->axis] * own->inner, cols = y->shape[own->axis] * own->inner;
    const int64_t before = node->attributes.integer[1] * own->inner;
    tread_grad_target target = tread_node_grad_target(node, 0);
    if (target.data == NULL)
        return TREAD_OK;
    char *to = target.data, *from_begin = to + (size_t)before * tread_dtype_size(x->dtype);
    if (!target.accumulate) {
        char *behind = from_begin + (size_t)cols * tread_dtype_size(x->dtype);
        tread_zero_rows(node->context, x->dtype, own->outer, before, to, stride);
        tread_zero_rows(node->context, x->dtype, own->outer, stride - before - cols, behind, stride);
    }
    tread_copy_rows(node->context, x->dtype, own->outer, cols, node->grad, cols, from_begin, stride, target.accumulate);
    return TREAD_OK;
}

const tread_op tread_op_slice = {.name = "slice",
                                 .plan = plan_slice,
                                 .forward = forward_slice,
                                 .backward = backward_slice,
                                 .release = release,
                                 .cost = cost};

tread_tensor *tread_slice(tread_tape *tape, tread_tensor *x, int axis, int64_t begin, int64_t end) {
    if (x == NULL)
        return tread_tape_fail(tape, TREAD_ERROR_ARGUMENT, "slice: x is NULL");
    tread_attributes attributes = {.integer = {axis, begin, end}};
    return tread_tape_apply(tape, &tread_op_slice, &x, 1, &attributes);
}
