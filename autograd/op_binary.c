#include "autograd/ops_list.h"
#include "core/kernels_binary.h"
#include "core/kernels_reduce.h"
#include "core/memory.h"
#include "core/status.h"

/* Arithmetic that broadcasts. The gradient of an operand is a term of grad, result and operands, summed over the axes
 * in which the operand was broadcast. The kind is attribute integer[0]. */

static const tread_term terms[TREAD_BINARY_COUNT][2] = {
    [TREAD_BINARY_ADD] = {TREAD_TERM_COPY, TREAD_TERM_COPY},
    [TREAD_BINARY_SUB] = {TREAD_TERM_COPY, TREAD_TERM_NEGATE},
    [TREAD_BINARY_MUL] = {TREAD_TERM_TIMES, TREAD_TERM_TIMES},
    [TREAD_BINARY_DIV] = {TREAD_TERM_OVER, TREAD_TERM_QUOTIENT},
};

static tread_status plan(tread_node *node) {
    const tread_tensor *a = node->inputs[0], *b = node->inputs[1];
    TREAD_TRY(tread_op_check_float(node));
    int rank;
    int64_t shape[TREAD_MAX_RANK];
    if (!tread_broadcast_shape(a->rank, a->shape, b->rank, b->shape, &rank, shape)) {
        char a_text[TREAD_SHAPE_TEXT], b_text[TREAD_SHAPE_TEXT];
        return tread_fail(TREAD_ERROR_SHAPE, "%s: shapes %s and %s do not broadcast", node->op->name,
                          tread_shape_text(a_text, a->rank, a->shape), tread_shape_text(b_text, b->rank, b->shape));
    }
    TREAD_TRY(tread_node_set_output(node, a->dtype, rank, shape));
    tread_layout *layout = node->plan = tread_alloc(sizeof *layout, "a broadcasting plan");
    if (layout == NULL)
        return TREAD_ERROR_MEMORY;
    tread_layout_init(layout, a->rank, a->shape, b->rank, b->shape);
    return TREAD_OK;
}

static tread_status forward(tread_node *node) {
    tread_binary_forward(node->context, (tread_binary)node->attributes.integer[0], node->output->dtype, node->plan,
                         node->inputs[0]->data, node->inputs[1]->data, node->output->data);
    return TREAD_OK;
}

static tread_status backward(tread_node *node) {
    const tread_layout *layout = node->plan;
    for (int i = 0; i < 2; i++) {
        tread_grad_target to = tread_node_grad_target(node, i);
        if (to.data == NULL)
            continue;
        tread_layout seen = i == 0 ? *layout : tread_layout_swapped(layout);
        tread_term_operands operands = {.grad = node->grad,
                                        .y = node->output->data,
                                        .self = node->inputs[i]->data,
                                        .other = node->inputs[1 - i]->data};
        tread_reduce(node->context, terms[node->attributes.integer[0]][i], node->output->dtype, &seen, &operands, 1,
                     to.data, to.accumulate);
    }
    return TREAD_OK;
}

/* forward: a, b and y once, one flop an element of y. backward, for each operand that needs it: dy, for mul the other
 * operand besides, for div that and for b also y, and the operand's gradient; a flop for each factor and each term of
 * the sum over broadcast axes. */
static tread_cost cost(const tread_node *node, bool backward) {
    const double n = (double)node->output->count;
    const tread_binary kind = (tread_binary)node->attributes.integer[0];
    tread_cost sum = {0};
    if (!backward)
        return tread_op_cost(node, 1, n, n + (double)(node->inputs[0]->count + node->inputs[1]->count));
    for (int i = 0; i < 2; i++) {
        if (!node->input_needs[i])
            continue;
        const double count = (double)node->inputs[i]->count, other = (double)node->inputs[1 - i]->count;
        const bool is_quotient = kind == TREAD_BINARY_DIV && i == 1; /* -dy y / b */
        const double factors = kind == TREAD_BINARY_ADD ? 0 : is_quotient ? 2 : kind == TREAD_BINARY_SUB ? i : 1;
        const double read = is_quotient ? 2 * n + count : kind >= TREAD_BINARY_MUL ? n + other : n;
        sum = tread_cost_sum(sum, tread_op_cost(node, 1, n * factors + n - count, read + count));
    }
    return sum;
}

static void release(tread_node *node) { tread_free(node->plan); }

#define BINARY(op, kind)                                                                                               \
    const tread_op tread_op_##op = {                                                                                   \
        .name = #op, .plan = plan, .forward = forward, .backward = backward, .release = release, .cost = cost};        \
    tread_tensor *tread_##op(tread_tape *tape, tread_tensor *a, tread_tensor *b) {                                     \
        if (a == NULL || b == NULL)                                                                                    \
            return tread_tape_fail(tape, TREAD_ERROR_ARGUMENT, #op ": %s is NULL", a == NULL ? "a" : "b");             \
        tread_attributes attributes = {.integer = {kind}};                                                             \
        return tread_tape_apply(tape, &tread_op_##op, (tread_tensor *[]){a, b}, 2, &attributes);                       \
    }

BINARY(add, TREAD_BINARY_ADD)
BINARY(sub, TREAD_BINARY_SUB)
BINARY(mul, TREAD_BINARY_MUL)
BINARY(div, TREAD_BINARY_DIV)
