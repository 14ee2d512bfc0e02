#include <math.h>
#include <string.h>

#include "autograd/ops_list.h"
#include "core/kernels_rows.h"
#include "core/memory.h"
#include "core/options.h"
#include "core/status.h"

/* label_smoothing is real[0], ignore_index integer[0], reduction integer[1]. Forward computes what backward multiplies
 * by a number: the derivative of each row's loss lies in the workspace. */
typedef struct losses {
    int64_t counted; /* rows that are not ignored */
} losses;

#define HEADER TREAD_ALIGNMENT /* bytes of the workspace before the row losses */

static tread_cross_entropy_shape shape_of(const tread_node *node) {
    const tread_tensor *x = node->inputs[0];
    return (tread_cross_entropy_shape){.dtype = x->dtype,
                                       .label_dtype = node->inputs[1]->dtype,
                                       .rows = x->shape[0],
                                       .classes = x->shape[1],
                                       .ignore_index = (int32_t)node->attributes.integer[0],
                                       .label_smoothing = node->attributes.real[0]};
}

static double *row_losses(const tread_node *node) { return (double *)((char *)node->workspace + HEADER); }

static size_t row_loss_bytes(int64_t rows) {
    return ((size_t)rows * sizeof(double) + TREAD_ALIGNMENT - 1) / TREAD_ALIGNMENT * TREAD_ALIGNMENT;
}

/* NULL where no gradient is wanted. */
static void *delta_of(const tread_node *node) {
    return node->requires_grad ? (char *)node->workspace + HEADER + row_loss_bytes(node->inputs[0]->shape[0]) : NULL;
}

static tread_status check(const tread_node *node) {
    const tread_tensor *x = node->inputs[0], *labels = node->inputs[1];
    char x_text[TREAD_SHAPE_TEXT], label_text[TREAD_SHAPE_TEXT];
    if (x->dtype != TREAD_FLOAT32 && x->dtype != TREAD_FLOAT64)
        return tread_fail(TREAD_ERROR_DTYPE, "%s: input 0 is %s, not float32 or float64", node->op->name,
                          tread_dtype_name(x->dtype));
    if (labels->dtype != TREAD_INT32 && labels->dtype != TREAD_UINT8)
        return tread_fail(TREAD_ERROR_DTYPE, "%s: the labels are %s, not int32 or uint8", node->op->name,
                          tread_dtype_name(labels->dtype));
    if (x->rank != 2 || x->shape[1] == 0 || labels->rank != 1 || labels->shape[0] != x->shape[0])
        return tread_fail(TREAD_ERROR_SHAPE, "%s: scores %s and labels %s: expected (n, classes) and (n)",
                          node->op->name, tread_shape_text(x_text, x->rank, x->shape),
                          tread_shape_text(label_text, labels->rank, labels->shape));
    return TREAD_OK;
}

static tread_status plan(tread_node *node) {
    const tread_tensor *x = node->inputs[0];
    TREAD_TRY(check(node));
    TREAD_TRY(tread_node_set_output(node, x->dtype, 0, NULL));
    size_t bytes = HEADER + row_loss_bytes(x->shape[0]);
    if (node->requires_grad && node->op == &tread_op_cross_entropy)
        bytes += tread_tensor_bytes(x);
    return tread_node_workspace(node, bytes);
}

static tread_status check_labels(tread_node *node, const tread_cross_entropy_shape *shape) {
    const void *labels = node->inputs[1]->data;
    losses *own = node->workspace;
    int64_t counted, bad = tread_kernel_check_labels(shape, labels, &counted);
    if (bad >= 0)
        return tread_fail(TREAD_ERROR_ARGUMENT, "%s: label %d of row %lld is neither in [0, %lld) nor ignore_index %d",
                          node->op->name, (int)tread_kernel_label(shape, labels, bad), (long long)bad,
                          (long long)shape->classes, (int)shape->ignore_index);
    own->counted = counted;
    return TREAD_OK;
}

static void store_loss(tread_node *node, int64_t rows) {
    const losses *own = node->workspace;
    double loss = tread_kernel_sum_doubles(row_losses(node), rows);
    if (node->attributes.integer[1] == TREAD_REDUCTION_MEAN)
        loss = own->counted > 0 ? loss / (double)own->counted : (double)NAN;
    if (node->output->dtype == TREAD_FLOAT32)
        *(float *)node->output->data = (float)loss;
    else
        *(double *)node->output->data = loss;
}

static tread_status forward(tread_node *node) {
    const tread_cross_entropy_shape shape = shape_of(node);
    const void *x = node->inputs[0]->data, *labels = node->inputs[1]->data;
    TREAD_TRY(check_labels(node, &shape));
    if (node->op == &tread_op_cross_entropy)
        tread_kernel_cross_entropy(node->context, &shape, x, labels, row_losses(node), delta_of(node));
    else
        tread_kernel_nll(node->context, &shape, x, labels, row_losses(node));
    store_loss(node, shape.rows);
    return TREAD_OK;
}

/* The gradient of every row's loss. Where no row counts it is 0, though the mean is NaN. */
static double row_gradient(const tread_node *node) {
    const losses *own = node->workspace;
    double grad =
        node->output->dtype == TREAD_FLOAT32 ? (double)*(const float *)node->grad : *(const double *)node->grad;
    if (node->attributes.integer[1] == TREAD_REDUCTION_SUM)
        return grad;
    return own->counted > 0 ? grad / (double)own->counted : 0.0;
}

static tread_status backward(tread_node *node) {
    const tread_cross_entropy_shape shape = shape_of(node);
    tread_grad_target x = tread_node_grad_target(node, 0);
    if (x.data == NULL)
        return TREAD_OK;
    if (node->op == &tread_op_cross_entropy)
        tread_kernel_scale(node->context, shape.dtype, shape.rows * shape.classes, delta_of(node), row_gradient(node),
                           x.data, x.accumulate);
    else
        tread_kernel_nll_backward(node->context, &shape, node->inputs[1]->data, row_gradient(node), x.data,
                                  x.accumulate);
    return TREAD_OK;
}

/* cross_entropy forward: the scores, the labels, a double for each row, and where a gradient is wanted its numbers; 4
 * flops a score (compared, subtracted, raised, added up), 2 more for the gradient, 2 a row (log, sum). backward: one
 * factor for each of them. */
static tread_cost cost_cross_entropy(const tread_node *node, bool backward) {
    const tread_cross_entropy_shape shape = shape_of(node);
    const double n = (double)(shape.rows * shape.classes), rows = (double)shape.rows;
    if (backward)
        return tread_op_cost(node, n, 1, 2);
    tread_cost sum =
        tread_op_cost(node, 1, n * (node->requires_grad ? 6 : 4) + 2 * rows, n * (1 + node->requires_grad));
    sum.bytes += rows * (double)(tread_dtype_size(shape.label_dtype) + sizeof(double));
    return sum;
}

/* nll forward: a score, a label and a double for each row, 1 flop. backward: the labels, and all of dx. */
static tread_cost cost_nll(const tread_node *node, bool backward) {
    const tread_cross_entropy_shape shape = shape_of(node);
    const double rows = (double)shape.rows, n = backward ? (double)(shape.rows * shape.classes) : rows;
    tread_cost sum = tread_op_cost(node, 1, backward ? 0 : rows, n);
    sum.bytes += rows * (double)(tread_dtype_size(shape.label_dtype) + (backward ? 0 : sizeof(double)));
    return sum;
}

const tread_op tread_op_cross_entropy = {
    .name = "cross_entropy", .plan = plan, .forward = forward, .backward = backward, .cost = cost_cross_entropy};
const tread_op tread_op_nll = {.name = "nll", .plan = plan, .forward = forward, .backward = backward, .cost = cost_nll};

tread_cross_entropy_options tread_cross_entropy_defaults(void) {
    return (tread_cross_entropy_options){.size = sizeof(tread_cross_entropy_options), .ignore_index = -100};
}

static tread_tensor *apply(tread_tape *tape, const tread_op *op, tread_tensor *x, tread_tensor *labels,
                           const tread_cross_entropy_options *given) {
    tread_cross_entropy_options options = tread_cross_entropy_defaults();
    if (x == NULL || labels == NULL)
        return tread_tape_fail(tape, TREAD_ERROR_ARGUMENT, "%s: the %s are NULL", op->name,
                               x == NULL ? "scores" : "labels");
    if (tread_tape_status(tape) != TREAD_OK)
        return NULL;
    if (tread_options_read(op->name, given, &options, sizeof options) != TREAD_OK)
        return tread_tape_fail(tape, TREAD_ERROR_ARGUMENT, "%s", tread_last_error());
    if (op == &tread_op_nll)
        options.label_smoothing = 0;
    if (!(options.label_smoothing >= 0 && options.label_smoothing < 1))
        return tread_tape_fail(tape, TREAD_ERROR_ARGUMENT, "%s: label_smoothing = %g is outside [0, 1)", op->name,
                               options.label_smoothing);
    if (options.reduction != TREAD_REDUCTION_MEAN && options.reduction != TREAD_REDUCTION_SUM)
        return tread_tape_fail(tape, TREAD_ERROR_ARGUMENT, "%s: reduction %d is neither mean (%d) nor sum (%d)",
                               op->name, (int)options.reduction, TREAD_REDUCTION_MEAN, TREAD_REDUCTION_SUM);
    tread_attributes attributes = {.real = {options.label_smoothing},
                                   .integer = {options.ignore_index, (int64_t)options.reduction}};
    return tread_tape_apply(tape, op, (tread_tensor *[]){x, labels}, 2, &attributes);
}

tread_tensor *tread_cross_entropy(tread_tape *tape, tread_tensor *logits, tread_tensor *labels) {
    return apply(tape, &tread_op_cross_entropy, logits, labels, NULL);
}

tread_tensor *tread_cross_entropy_with(tread_tape *tape, tread_tensor *logits, tread_tensor *labels,
                                       const tread_cross_entropy_options *options) {
    return apply(tape, &tread_op_cross_entropy, logits, labels, options);
}

tread_tensor *tread_nll(tread_tape *tape, tread_tensor *log_probabilities, tread_tensor *labels,
                        const tread_cross_entropy_options *options) {
    return apply(tape, &tread_op_nll, log_probabilities, labels, options);
}
