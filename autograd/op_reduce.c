#include "autograd/ops_list.h"
#include "core/kernels_binary.h"
#include "core/kernels_reduce.h"
#include "core/memory.h"
#include "core/status.h"

/* sum, mean: over all axes. sum_axis, mean_axis, max_axis: over axis integer[0], kept with extent 1 where integer[1].
 */

typedef struct reduce_plan {
    tread_layout layout; /* of the result against x */
    double scale;        /* of a sum: 1, or one over the number of its terms */
    int64_t outer, length, inner;
} reduce_plan;

static tread_status make_plan(tread_node *node, int rank, const int64_t *shape, const reduce_plan *found) {
    TREAD_TRY(tread_node_set_output(node, node->inputs[0]->dtype, rank, shape));
    node->plan = tread_alloc(sizeof *found, "a reduction plan");
    if (node->plan == NULL)
        return TREAD_ERROR_MEMORY;
    *(reduce_plan *)node->plan = *found;
    return TREAD_OK;
}

static tread_status refuse_empty(const tread_node *node) {
    char text[TREAD_SHAPE_TEXT];
    const tread_tensor *x = node->inputs[0];
    return tread_fail(TREAD_ERROR_SHAPE, "%s: nothing to reduce in a tensor of shape %s", node->op->name,
                      tread_shape_text(text, x->rank, x->shape));
}

static tread_status plan_all(tread_node *node) {
    const tread_tensor *x = node->inputs[0];
    TREAD_TRY(tread_op_check_float(node));
    bool mean = node->op == &tread_op_mean;
    if (mean && x->count == 0)
        return refuse_empty(node);
    reduce_plan found = {.scale = mean ? 1.0 / (double)x->count : 1.0};
    tread_layout_init(&found.layout, 0, NULL, x->rank, x->shape);
    return make_plan(node, 0, NULL, &found);
}

static tread_status plan_axis(tread_node *node) {
    const tread_tensor *x = node->inputs[0];
    int axis;
    TREAD_TRY(tread_op_check_float(node));
    TREAD_TRY(tread_op_axis(node, node->attributes.integer[0], x->rank, &axis));
    reduce_plan found = {.scale = 1, .outer = 1, .length = x->shape[axis], .inner = 1};
    if (found.length == 0 && node->op != &tread_op_sum_axis)
        return refuse_empty(node);
    if (node->op == &tread_op_mean_axis)
        found.scale = 1.0 / (double)found.length;
    int64_t kept[TREAD_MAX_RANK], dropped[TREAD_MAX_RANK];
    int n_dropped = 0;
    for (int i = 0; i < x->rank; i++) {
        kept[i] = i == axis ? 1 : x->shape[i];
        if (i != axis)
            dropped[n_dropped++] = x->shape[i];
        if (i != axis)
            *(i < axis ? &found.outer : &found.inner) *= x->shape[i];
    }
    tread_layout_init(&found.layout, x->rank, kept, x->rank, x->shape);
    if (node->attributes.integer[1] != 0)
        return make_plan(node, x->rank, kept, &found);
    return make_plan(node, n_dropped, dropped, &found);
}

static tread_status forward_sum(tread_node *node) {
    const reduce_plan *own = node->plan;
    tread_term_operands x = {.grad = node->inputs[0]->data};
    tread_reduce(node->context, TREAD_TERM_COPY, node->output->dtype, &own->layout, &x, own->scale, node->output->data,
                 false);
    return TREAD_OK;
}

static tread_status backward_sum(tread_node *node) {
    const reduce_plan *own = node->plan;
    tread_grad_target to = tread_node_grad_target(node, 0);
    if (to.data != NULL)
        tread_spread(node->context, node->output->dtype, &own->layout, node->grad, own->scale, to.data, to.accumulate);
    return TREAD_OK;
}

static tread_status forward_max(tread_node *node) {
    const reduce_plan *own = node->plan;
    tread_max_forward(node->context, node->output->dtype, own->outer, own->length, own->inner, node->inputs[0]->data,
                      node->output->data);
    return TREAD_OK;
}

static tread_status backward_max(tread_node *node) {
    const reduce_plan *own = node->plan;
    tread_grad_target to = tread_node_grad_target(node, 0);
    if (to.data != NULL)
        tread_max_backward(node->context, node->output->dtype, own->outer, own->length, own->inner,
                           node->inputs[0]->data, node->output->data, node->grad, to.data, to.accumulate);
    return TREAD_OK;
}

/* forward: x and y, one flop an element of x. backward: dy and dx, max also x and y; one flop an element of x. */
static tread_cost cost(const tread_node *node, bool backward) {
    const double n = (double)node->inputs[0]->count, reduced = (double)node->output->count;
    const bool is_max = node->op == &tread_op_max_axis && backward;
    return tread_op_cost(node, 1, n, (n + reduced) * (is_max ? 2 : 1));
}

static void release(tread_node *node) { tread_free(node->plan); }

#define REDUCTION(op, how, kind)                                                                                       \
    const tread_op tread_op_##op = {.name = #op,                                                                       \
                                    .plan = how,                                                                       \
                                    .forward = forward_##kind,                                                         \
                                    .backward = backward_##kind,                                                       \
                                    .release = release,                                                                \
                                    .cost = cost};
#define REDUCE_ALL(op)                                                                                                 \
    REDUCTION(op, plan_all, sum)                                                                                       \
    tread_tensor *tread_##op(tread_tape *tape, tread_tensor *x) {                                                      \
        if (x == NULL)                                                                                                 \
            return tread_tape_fail(tape, TREAD_ERROR_ARGUMENT, #op ": x is NULL");                                     \
        return tread_tape_apply(tape, &tread_op_##op, &x, 1, NULL);                                                    \
    }
#define REDUCE_AXIS(op, kind)                                                                                          \
    REDUCTION(op, plan_axis, kind)                                                                                     \
    tread_tensor *tread_##op(tread_tape *tape, tread_tensor *x, int axis, bool keep_axis) {                            \
        if (x == NULL)                                                                                                 \
            return tread_tape_fail(tape, TREAD_ERROR_ARGUMENT, #op ": x is NULL");                                     \
        tread_attributes attributes = {.integer = {axis, keep_axis}};                                                  \
        return tread_tape_apply(tape, &tread_op_##op, &x, 1, &attributes);                                             \
    }

REDUCE_ALL(sum)
REDUCE_ALL(mean)
REDUCE_AXIS(sum_axis, sum)
REDUCE_AXIS(mean_axis, sum)
REDUCE_AXIS(max_axis, max)
