#include "autograd/ops_list.h"
#include "core/status.h"

static tread_status plan(tread_node *node) {
    const tread_tensor *x = node->inputs[0];
    node->alias_output = true;
    return tread_node_set_output(node, x->dtype, x->rank, x->shape);
}

static tread_status forward(tread_node *node) {
    node->output->data = node->inputs[0]->data;
    return TREAD_OK;
}

const tread_op tread_op_detach = {.name = "detach", .plan = plan, .forward = forward};

tread_tensor *tread_detach(tread_tape *tape, tread_tensor *x) {
    if (x == NULL)
        return tread_tape_fail(tape, TREAD_ERROR_ARGUMENT, "detach: the tensor is NULL");
    return tread_tape_apply(tape, &tread_op_detach, &x, 1, NULL);
}
