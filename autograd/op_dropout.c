#include "autograd/ops_list.h"
#include "core/kernels_dropout.h"
#include "core/random.h"
#include "core/status.h"

/* p is real[0]. The workspace holds a byte for each element: whether it is kept. */

static tread_status plan(tread_node *node) {
    const tread_tensor *x = node->inputs[0];
    TREAD_TRY(tread_op_check_float(node));
    TREAD_TRY(tread_node_set_output(node, x->dtype, x->rank, x->shape));
    return tread_node_workspace(node, (size_t)x->count);
}

static double factor(const tread_node *node) { return 1.0 / (1.0 - node->attributes.real[0]); }

static tread_status forward(tread_node *node) {
    const tread_tensor *x = node->inputs[0];
    tread_rng rng = tread_node_draw(node, (uint64_t)x->count);
    tread_random_fill_keep(node->context, &rng, node->attributes.real[0], node->workspace, x->count);
    tread_kernel_keep(node->context, x->dtype, x->count, x->data, node->workspace, factor(node), node->output->data,
                      false);
    return TREAD_OK;
}

static tread_status backward(tread_node *node) {
    const tread_tensor *x = node->inputs[0];
    tread_grad_target to = tread_node_grad_target(node, 0);
    if (to.data != NULL)
        tread_kernel_keep(node->context, x->dtype, x->count, node->grad, node->workspace, factor(node), to.data,
                          to.accumulate);
    return TREAD_OK;
}

/* x, y and a byte for each element, one flop; forward writes the bytes and reads them again. */
static tread_cost cost(const tread_node *node, bool backward) {
    const double n = (double)node->output->count;
    tread_cost sum = tread_op_cost(node, n, 1, 2);
    sum.bytes += n * (backward ? 1 : 2);
    return sum;
}

const tread_op tread_op_dropout = {
    .name = "dropout", .plan = plan, .forward = forward, .backward = backward, .cost = cost};

tread_tensor *tread_dropout(tread_tape *tape, tread_tensor *x, double p) {
    if (x == NULL)
        return tread_tape_fail(tape, TREAD_ERROR_ARGUMENT, "dropout: x is NULL");
    if (!(p >= 0 && p < 1))
        return tread_tape_fail(tape, TREAD_ERROR_ARGUMENT, "dropout: p = %g is outside [0, 1)", p);
    tread_attributes attributes = {.real = {p}};
    return tread_tape_apply(tape, &tread_op_dropout, &x, 1, &attributes);
}
