#include <math.h>

#include "autograd/ops_list.h"
#include "core/kernels_unary.h"
#include "core/status.h"

/* Every function of one number is the same operation around another kernel: its kind is attribute integer[0], its
 * parameters are real[]. */

static tread_status plan(tread_node *node) {
    const tread_tensor *x = node->inputs[0];
    TREAD_TRY(tread_op_check_float(node));
    return tread_node_set_output(node, x->dtype, x->rank, x->shape);
}

static tread_status forward(tread_node *node) {
    const tread_tensor *x = node->inputs[0];
    tread_unary_forward(node->context, (tread_unary)node->attributes.integer[0], x->dtype, x->count,
                        node->attributes.real, x->data, node->output->data);
    return TREAD_OK;
}

static tread_status backward(tread_node *node) {
    const tread_tensor *x = node->inputs[0];
    tread_grad_target to = tread_node_grad_target(node, 0);
    if (to.data != NULL)
        tread_unary_backward(node->context, (tread_unary)node->attributes.integer[0], x->dtype, x->count,
                             node->attributes.real, x->data, node->output->data, node->grad, to.data, to.accumulate);
    return TREAD_OK;
}

/* forward: reads x, writes y. backward: reads dy and x or y (neg: dy alone), writes dx, and multiplies besides. One
 * flop a function. */
static tread_cost cost(const tread_node *node, bool backward) {
    const bool is_neg = node->attributes.integer[0] == TREAD_UNARY_NEG;
    return tread_op_cost(node, (double)node->output->count, backward && !is_neg ? 2 : 1, backward && !is_neg ? 3 : 2);
}

static tread_tensor *apply(tread_tape *tape, const tread_op *op, tread_unary kind, tread_tensor *x, double p,
                           double q) {
    if (x == NULL)
        return tread_tape_fail(tape, TREAD_ERROR_ARGUMENT, "%s: x is NULL", op->name);
    tread_attributes attributes = {.real = {p, q}, .integer = {kind}};
    return tread_tape_apply(tape, op, &x, 1, &attributes);
}

#define UNARY_OP(op)                                                                                                   \
    const tread_op tread_op_##op = {.name = #op, .plan = plan, .forward = forward, .backward = backward, .cost = cost};
#define UNARY(op, kind)                                                                                                \
    UNARY_OP(op)                                                                                                       \
    tread_tensor *tread_##op(tread_tape *tape, tread_tensor *x) { return apply(tape, &tread_op_##op, kind, x, 0, 0); }

UNARY(neg, TREAD_UNARY_NEG)
UNARY(exp, TREAD_UNARY_EXP)
UNARY(log, TREAD_UNARY_LOG)
UNARY(sqrt, TREAD_UNARY_SQRT)
UNARY(square, TREAD_UNARY_SQUARE)
UNARY(abs, TREAD_UNARY_ABS)
UNARY(relu, TREAD_UNARY_RELU)
UNARY(gelu, TREAD_UNARY_GELU)
UNARY(silu, TREAD_UNARY_SILU)
UNARY(tanh, TREAD_UNARY_TANH)
UNARY(sigmoid, TREAD_UNARY_SIGMOID)

UNARY_OP(clamp)
tread_tensor *tread_clamp(tread_tape *tape, tread_tensor *x, double low, double high) {
    if (!(low <= high))
        return tread_tape_fail(tape, TREAD_ERROR_ARGUMENT, "clamp: low = %g is not at most high = %g", low, high);
    return apply(tape, &tread_op_clamp, TREAD_UNARY_CLAMP, x, low, high);
}

UNARY_OP(leaky_relu)
tread_tensor *tread_leaky_relu(tread_tape *tape, tread_tensor *x, double slope) {
    if (!isfinite(slope))
        return tread_tape_fail(tape, TREAD_ERROR_ARGUMENT, "leaky_relu: slope = %g is not finite", slope);
    return apply(tape, &tread_op_leaky_relu, TREAD_UNARY_LEAKY_RELU, x, slope, 0);
}
