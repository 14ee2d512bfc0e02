#include "autograd/ops_list.h"
#include "core/kernels_rows.h"
#include "core/status.h"

/* Over axis integer[0]. */

static tread_status shape_of(const tread_node *node, tread_softmax_shape *ret_shape) {
    const tread_tensor *x = node->inputs[0];
    int axis;
    TREAD_TRY(tread_op_axis(node, node->attributes.integer[0], x->rank, &axis));
    tread_softmax_shape shape = {.dtype = x->dtype, .outer = 1, .length = x->shape[axis], .inner = 1};
    for (int i = 0; i < x->rank; i++)
        if (i != axis)
            *(i < axis ? &shape.outer : &shape.inner) *= x->shape[i];
    shape.log = node->op == &tread_op_log_softmax;
    *ret_shape = shape;
    return TREAD_OK;
}

static tread_status plan(tread_node *node) {
    const tread_tensor *x = node->inputs[0];
    tread_softmax_shape shape;
    TREAD_TRY(tread_op_check_float(node));
    TREAD_TRY(shape_of(node, &shape));
    return tread_node_set_output(node, x->dtype, x->rank, x->shape);
}

static tread_status forward(tread_node *node) {
    tread_softmax_shape shape;
    TREAD_TRY(shape_of(node, &shape));
    tread_kernel_softmax(node->context, &shape, node->inputs[0]->data, node->output->data);
    return TREAD_OK;
}

static tread_status backward(tread_node *node) {
    tread_softmax_shape shape;
    TREAD_TRY(shape_of(node, &shape));
    tread_grad_target x = tread_node_grad_target(node, 0);
    if (x.data != NULL)
        tread_kernel_softmax_backward(node->context, &shape, node->output->data, node->grad, x.data, x.accumulate);
    return TREAD_OK;
}

/* forward: x and y; an element is compared, subtracted, raised, added up, and divided (log_softmax: subtracted): 5.
 * backward: y, dy and dx; dx = y (dy - sum(dy y)) and dx = dy - exp(y) sum(dy): 4. */
static tread_cost cost(const tread_node *node, bool backward) {
    return tread_op_cost(node, (double)node->output->count, backward ? 4 : 5, backward ? 3 : 2);
}

const tread_op tread_op_softmax = {
    .name = "softmax", .plan = plan, .forward = forward, .backward = backward, .cost = cost};
const tread_op tread_op_log_softmax = {
    .name = "log_softmax", .plan = plan, .forward = forward, .backward = backward, .cost = cost};

static tread_tensor *apply(tread_tape *tape, const tread_op *op, tread_tensor *x, int axis) {
    if (x == NULL)
        return tread_tape_fail(tape, TREAD_ERROR_ARGUMENT, "%s: x is NULL", op->name);
    tread_attributes attributes = {.integer = {axis}};
    return tread_tape_apply(tape, op, &x, 1, &attributes);
}

tread_tensor *tread_softmax(tread_tape *tape, tread_tensor *x, int axis) {
    return apply(tape, &tread_op_softmax, x, axis);
}

tread_tensor *tread_log_softmax(tread_tape *tape, tread_tensor *x, int axis) {
    return apply(tape, &tread_op_log_softmax, x, axis);
}
