#include <math.h>

#include "autograd/ops_list.h"
#include "core/kernels_rows.h"
#include "core/status.h"

/* eps is real[0]. The workspace holds each row's mean, then each row's 1 / sqrt(variance + eps). */

static tread_layer_norm_shape shape_of(const tread_node *node) {
    const tread_tensor *x = node->inputs[0];
    const int64_t length = x->shape[x->rank - 1];
    return (tread_layer_norm_shape){
        .dtype = x->dtype, .rows = x->count / length, .length = length, .eps = node->attributes.real[0]};
}

static tread_status check_row(const tread_node *node, int input, const char *what) {
    const tread_tensor *x = node->inputs[0], *row = node->inputs[input];
    char x_text[TREAD_SHAPE_TEXT], row_text[TREAD_SHAPE_TEXT];
    if (row == NULL || (row->rank == 1 && row->shape[0] == x->shape[x->rank - 1]))
        return TREAD_OK;
    return tread_fail(TREAD_ERROR_SHAPE, "layer_norm: x %s and %s %s: expected (..., n) and (n)",
                      tread_shape_text(x_text, x->rank, x->shape), what,
                      tread_shape_text(row_text, row->rank, row->shape));
}

static tread_status plan(tread_node *node) {
    const tread_tensor *x = node->inputs[0];
    char text[TREAD_SHAPE_TEXT];
    TREAD_TRY(tread_op_check_float(node));
    if (x->rank == 0 || x->shape[x->rank - 1] == 0)
        return tread_fail(TREAD_ERROR_SHAPE, "layer_norm: no elements along the last axis of a tensor of shape %s",
                          tread_shape_text(text, x->rank, x->shape));
    TREAD_TRY(check_row(node, 1, "gamma"));
    TREAD_TRY(check_row(node, 2, "beta"));
    TREAD_TRY(tread_node_set_output(node, x->dtype, x->rank, x->shape));
    return tread_node_workspace(node, 2 * (size_t)shape_of(node).rows * tread_dtype_size(x->dtype));
}

static void *scales(const tread_node *node, const tread_layer_norm_shape *shape) {
    return (char *)node->workspace + (size_t)shape->rows * tread_dtype_size(shape->dtype);
}

static const void *data_of(const tread_tensor *x) { return x != NULL ? x->data : NULL; }

static tread_status forward(tread_node *node) {
    tread_layer_norm_shape shape = shape_of(node);
    tread_kernel_layer_norm(node->context, &shape, node->inputs[0]->data, data_of(node->inputs[1]),
                            data_of(node->inputs[2]), node->output->data, node->workspace, scales(node, &shape));
    return TREAD_OK;
}

static tread_status backward(tread_node *node) {
    tread_layer_norm_shape shape = shape_of(node);
    const void *x = node->inputs[0]->data, *mean = node->workspace, *scale = scales(node, &shape);
    tread_grad_target to = tread_node_grad_target(node, 0);
    if (to.data != NULL)
        tread_kernel_layer_norm_backward(node->context, &shape, x, data_of(node->inputs[1]), mean, scale, node->grad,
                                         to.data, to.accumulate);
    /* One pass makes both; the kernel finishes gamma's before beta's, should they be one tensor. */
    tread_grad_target gamma = {0}, beta = {0};
    if (node->inputs[1] != NULL)
        gamma = tread_node_grad_target(node, 1);
    if (node->inputs[2] != NULL)
        beta = tread_node_grad_target(node, 2);
    if (gamma.data != NULL || beta.data != NULL)
        tread_kernel_layer_norm_parameters(node->context, &shape, x, mean, scale, node->grad, gamma.data,
                                           gamma.accumulate, beta.data, beta.accumulate);
    return TREAD_OK;
}

/* forward: x, y, gamma, beta, and mean and scale of each row; an element takes 5 flops (two for the mean of x and of
 * (x - mean)^2 each, one for the factor), and one each for gamma and beta.
 * backward, of x: x, dy, dx, gamma, mean and scale; 8 flops, and one for gamma. Of gamma and beta, in one pass: x, dy,
 * mean and scale, and what they are; 4 flops for gamma and 1 for beta. */
static tread_cost cost(const tread_node *node, bool backward) {
    const tread_layer_norm_shape shape = shape_of(node);
    const double n = (double)node->output->count, rows = 2 * (double)shape.rows, length = (double)shape.length;
    const bool has[2] = {node->inputs[1] != NULL, node->inputs[2] != NULL};
    const bool needs[2] = {has[0] && node->input_needs[1], has[1] && node->input_needs[2]};
    tread_cost sum = {0};
    if (!backward)
        return tread_op_cost(node, 1, n * (5 + has[0] + has[1]), 2 * n + rows + length * (has[0] + has[1]));
    if (node->input_needs[0])
        sum = tread_op_cost(node, 1, n * (8 + has[0]), 3 * n + rows + length * has[0]);
    if (needs[0] || needs[1])
        sum = tread_cost_sum(sum, tread_op_cost(node, 1, n * (4 * needs[0] + needs[1]),
                                                (needs[0] ? 2 * n + rows : n) + length * (needs[0] + needs[1])));
    return sum;
}

const tread_op tread_op_layer_norm = {
    .name = "layer_norm", .plan = plan, .forward = forward, .backward = backward, .cost = cost};

tread_tensor *tread_layer_norm(tread_tape *tape, tread_tensor *x, tread_tensor *gamma, tread_tensor *beta, double eps) {
    if (x == NULL)
        return tread_tape_fail(tape, TREAD_ERROR_ARGUMENT, "layer_norm: x is NULL");
    if (!(eps > 0) || isinf(eps))
        return tread_tape_fail(tape, TREAD_ERROR_ARGUMENT, "layer_norm: eps = %g is not above 0 and finite", eps);
    tread_attributes attributes = {.real = {eps}};
    return tread_tape_apply(tape, &tread_op_layer_norm, (tread_tensor *[]){x, gamma, beta}, 3, &attributes);
}
