#include <math.h>

#include "autograd/ops_list.h"
#include "core/kernels_loss.h"
#include "core/status.h"

/* The mean over the elements of x and a target of one shape. delta of huber is real[0]. */

static tread_loss_kind kind_of(const tread_node *node) {
    const tread_op *op = node->op;
    return op == &tread_op_mse     ? TREAD_LOSS_MSE
           : op == &tread_op_l1    ? TREAD_LOSS_L1
           : op == &tread_op_huber ? TREAD_LOSS_HUBER
                                   : TREAD_LOSS_BCE;
}

static tread_status plan(tread_node *node) {
    const tread_tensor *x = node->inputs[0], *target = node->inputs[1];
    char x_text[TREAD_SHAPE_TEXT], target_text[TREAD_SHAPE_TEXT];
    TREAD_TRY(tread_op_check_float(node));
    if (!tread_tensor_same_shape(x, target))
        return tread_fail(TREAD_ERROR_SHAPE, "%s: x %s and target %s: expected one shape", node->op->name,
                          tread_shape_text(x_text, x->rank, x->shape),
                          tread_shape_text(target_text, target->rank, target->shape));
    if (x->count == 0)
        return tread_fail(TREAD_ERROR_SHAPE, "%s: nothing to average in a tensor of shape %s", node->op->name,
                          tread_shape_text(x_text, x->rank, x->shape));
    return tread_node_set_output(node, x->dtype, 0, NULL);
}

static tread_status forward(tread_node *node) {
    const tread_tensor *x = node->inputs[0];
    double sum = tread_kernel_loss(node->context, kind_of(node), x->dtype, x->count, x->data, node->inputs[1]->data,
                                   node->attributes.real[0]);
    if (x->dtype == TREAD_FLOAT32)
        *(float *)node->output->data = (float)(sum / (double)x->count);
    else
        *(double *)node->output->data = sum / (double)x->count;
    return TREAD_OK;
}

static tread_status backward(tread_node *node) {
    const tread_tensor *x = node->inputs[0];
    double grad = x->dtype == TREAD_FLOAT32 ? (double)*(const float *)node->grad : *(const double *)node->grad;
    for (int input = 0; input < 2; input++) {
        tread_grad_target to = tread_node_grad_target(node, input);
        if (to.data != NULL)
            tread_kernel_loss_backward(node->context, kind_of(node), x->dtype, x->count, x->data, node->inputs[1]->data,
                                       node->attributes.real[0], grad / (double)x->count, input == 1, to.data,
                                       to.accumulate);
    }
    return TREAD_OK;
}

/* forward: x and the target; 3 flops an element (difference, its function, the sum), bce_with_logits 6. backward, for
 * each of the two that needs it: both, and the gradient; 2 flops, bce_with_logits 4. */
static tread_cost cost(const tread_node *node, bool backward) {
    const bool is_bce = kind_of(node) == TREAD_LOSS_BCE;
    const double n = (double)node->inputs[0]->count;
    if (!backward)
        return tread_op_cost(node, n, is_bce ? 6 : 3, 2);
    return tread_op_cost(node, n * tread_op_count_needs(node, 2), is_bce ? 4 : 2, 3);
}

#define LOSS(op)                                                                                                       \
    const tread_op tread_op_##op = {.name = #op, .plan = plan, .forward = forward, .backward = backward, .cost = cost}
LOSS(mse);
LOSS(l1);
LOSS(huber);
LOSS(bce_with_logits);

static tread_tensor *apply(tread_tape *tape, const tread_op *op, tread_tensor *x, tread_tensor *target, double delta) {
    if (x == NULL || target == NULL)
        return tread_tape_fail(tape, TREAD_ERROR_ARGUMENT, "%s: %s is NULL", op->name, x == NULL ? "x" : "the target");
    tread_attributes attributes = {.real = {delta}};
    return tread_tape_apply(tape, op, (tread_tensor *[]){x, target}, 2, &attributes);
}

tread_tensor *tread_mse(tread_tape *tape, tread_tensor *x, tread_tensor *target) {
    return apply(tape, &tread_op_mse, x, target, 0);
}

tread_tensor *tread_l1(tread_tape *tape, tread_tensor *x, tread_tensor *target) {
    return apply(tape, &tread_op_l1, x, target, 0);
}

tread_tensor *tread_huber(tread_tape *tape, tread_tensor *x, tread_tensor *target, double delta) {
    if (!(delta > 0) || isinf(delta))
        return tread_tape_fail(tape, TREAD_ERROR_ARGUMENT, "huber: delta = %g is not above 0 and finite", delta);
    return apply(tape, &tread_op_huber, x, target, delta);
}

tread_tensor *tread_bce_with_logits(tread_tape *tape, tread_tensor *x, tread_tensor *target) {
    return apply(tape, &tread_op_bce_with_logits, x, target, 0);
}
