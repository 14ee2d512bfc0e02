#include <string.h>

#include "autograd/ops_list.h"
#include "core/dnn.h"
#include "core/kernels_linear.h"
#include "core/memory.h"
#include "core/status.h"

/* y (rows, out) = activation(z), z = x (rows, in) w^T + b, w (out, in).
 * dz = dy activation'(z); db = column sums of dz; dx = dz w; dw = dz^T x. One pass over dy makes both dz and db. */
typedef struct linear_plan {
    int64_t rows, n_in, n_out;
    tread_activation activation;
    tread_gemm *forward, *grad_x, *grad_w;
    void *z;  /* (rows, out): kept where the derivative needs it, else NULL */
    void *dz; /* (rows, out), NULL where dy serves */
    void *db; /* (out) */
} linear_plan;

static void release(tread_node *node) {
    linear_plan *own = node->plan;
    tread_gemm_destroy(own->forward);
    tread_gemm_destroy(own->grad_x);
    tread_gemm_destroy(own->grad_w);
    tread_free(own);
}

static tread_status check_shapes(const tread_node *node) {
    const tread_tensor *x = node->inputs[0], *w = node->inputs[1], *b = node->inputs[2];
    char x_text[TREAD_SHAPE_TEXT], w_text[TREAD_SHAPE_TEXT], b_text[TREAD_SHAPE_TEXT];
    if (x->rank < 1 || w->rank != 2 || x->shape[x->rank - 1] != w->shape[1])
        return tread_fail(TREAD_ERROR_SHAPE, "linear: x %s and weight %s: expected (..., in) and (out, in)",
                          tread_shape_text(x_text, x->rank, x->shape), tread_shape_text(w_text, w->rank, w->shape));
    if (b != NULL && (b->rank != 1 || b->shape[0] != w->shape[0]))
        return tread_fail(TREAD_ERROR_SHAPE, "linear: bias %s and weight %s: expected (out) and (out, in)",
                          tread_shape_text(b_text, b->rank, b->shape), tread_shape_text(w_text, w->rank, w->shape));
    return TREAD_OK;
}

/* z, dz and db share one workspace. */
static tread_status plan_buffers(tread_node *node, linear_plan *own) {
    size_t item = tread_dtype_size(node->output->dtype);
    size_t matrix = (size_t)(own->rows * own->n_out) * item;
    matrix = (matrix + TREAD_ALIGNMENT - 1) / TREAD_ALIGNMENT * TREAD_ALIGNMENT;
    bool keep_z = tread_activation_keeps_input(own->activation);
    bool make_dz = node->requires_grad && own->activation != TREAD_ACTIVATION_NONE;
    TREAD_TRY(tread_node_workspace(node, matrix * ((size_t)keep_z + (size_t)make_dz) + (size_t)own->n_out * item));
    char *next = node->workspace;
    if (keep_z) {
        own->z = next;
        next += matrix;
    }
    if (make_dz) {
        own->dz = next;
        next += matrix;
    }
    own->db = next;
    return TREAD_OK;
}

static tread_status plan_products(tread_node *node, linear_plan *own) {
    tread_dtype dtype = node->output->dtype;
    tread_gemm_shape y = {.dtype = dtype,
                          .m = own->rows,
                          .n = own->n_out,
                          .k = own->n_in,
                          .batch = 1,
                          .transpose_b = true,
                          .bias = node->inputs[2] != NULL,
                          .relu = own->activation == TREAD_ACTIVATION_RELU};
    tread_gemm_shape dx = {.dtype = dtype, .m = own->rows, .n = own->n_in, .k = own->n_out, .batch = 1};
    tread_gemm_shape dw = {
        .dtype = dtype, .m = own->n_out, .n = own->n_in, .k = own->rows, .batch = 1, .transpose_a = true};
    TREAD_TRY(tread_gemm_create(node->context, &y, &own->forward));
    if (node->input_needs[0])
        TREAD_TRY(tread_gemm_create(node->context, &dx, &own->grad_x));
    if (node->input_needs[0])
        tread_gemm_set_part(own->grad_x, "dx");
    if (node->input_needs[1])
        TREAD_TRY(tread_gemm_create(node->context, &dw, &own->grad_w));
    if (node->input_needs[1])
        tread_gemm_set_part(own->grad_w, "dw");
    return TREAD_OK;
}

static tread_status plan(tread_node *node) {
    const tread_tensor *x = node->inputs[0], *w = node->inputs[1];
    TREAD_TRY(tread_op_check_float(node));
    TREAD_TRY(check_shapes(node));
    int64_t shape[TREAD_MAX_RANK];
    memcpy(shape, x->shape, sizeof shape);
    shape[x->rank - 1] = w->shape[0];
    TREAD_TRY(tread_node_set_output(node, x->dtype, x->rank, shape));
    linear_plan *own = node->plan = tread_calloc(1, sizeof *own, "a linear plan");
    if (own == NULL)
        return TREAD_ERROR_MEMORY;
    own->activation = (tread_activation)node->attributes.integer[0];
    own->n_in = w->shape[1];
    own->n_out = w->shape[0];
    own->rows = 1;
    for (int i = 0; i < x->rank - 1; i++)
        own->rows *= x->shape[i];
    TREAD_TRY(plan_buffers(node, own));
    return plan_products(node, own);
}

static tread_status forward(tread_node *node) {
    const linear_plan *own = node->plan;
    const tread_tensor *b = node->inputs[2];
    void *y = node->output->data, *z = own->z != NULL ? own->z : y;
    TREAD_TRY(tread_gemm_run(own->forward, node->inputs[0]->data, node->inputs[1]->data, b != NULL ? b->data : NULL, z,
                             false));
    if (own->activation != TREAD_ACTIVATION_NONE && own->activation != TREAD_ACTIVATION_RELU)
        tread_activation_forward(node->context, own->activation, node->output->dtype, own->rows * own->n_out, z, y);
    return TREAD_OK;
}

static tread_status prepare_backward(tread_node *node, const bool *accumulate) {
    linear_plan *own = node->plan;
    if (node->input_needs[0] && accumulate[0])
        TREAD_TRY(tread_gemm_prepare_accumulate(own->grad_x));
    if (node->input_needs[1] && accumulate[1])
        TREAD_TRY(tread_gemm_prepare_accumulate(own->grad_w));
    return TREAD_OK;
}

static tread_status backward(tread_node *node) {
    const linear_plan *own = node->plan;
    const tread_dtype dtype = node->output->dtype;
    const void *dz = own->dz != NULL ? own->dz : node->grad;
    bool needs_db = node->inputs[2] != NULL && node->input_needs[2];
    if (own->dz != NULL || needs_db)
        tread_activation_backward(node->context, own->activation, dtype, own->rows, own->n_out, own->z,
                                  node->output->data, node->grad, own->dz, needs_db ? own->db : NULL);
    tread_grad_target x = tread_node_grad_target(node, 0);
    if (x.data != NULL)
        TREAD_TRY(tread_gemm_run(own->grad_x, dz, node->inputs[1]->data, NULL, x.data, x.accumulate));
    tread_grad_target w = tread_node_grad_target(node, 1);
    if (w.data != NULL)
        TREAD_TRY(tread_gemm_run(own->grad_w, dz, node->inputs[0]->data, NULL, w.data, w.accumulate));
    if (needs_db) {
        tread_grad_target b = tread_node_grad_target(node, 2);
        tread_row_store(dtype, own->n_out, own->db, b.data, b.accumulate);
    }
    return TREAD_OK;
}

/* forward: the product with bias (and relu), and a pass from z to y where z is kept.
 * backward: the products; and the pass over dy, which with an activation reads y or z and writes dz (2 flops an
 * element), and with a bias adds up db (1). */
static tread_cost cost(const tread_node *node, bool backward) {
    const linear_plan *own = node->plan;
    const double n = (double)(own->rows * own->n_out);
    tread_cost sum = {0};
    if (!backward) {
        sum = tread_gemm_cost(own->forward, false);
        return own->z == NULL ? sum : tread_cost_sum(sum, tread_op_cost(node, n, 1, 2));
    }
    if (own->grad_x != NULL)
        sum = tread_cost_sum(sum, tread_gemm_cost(own->grad_x, false));
    if (own->grad_w != NULL)
        sum = tread_cost_sum(sum, tread_gemm_cost(own->grad_w, false));
    const bool needs_db = node->inputs[2] != NULL && node->input_needs[2];
    if (own->dz != NULL || needs_db)
        sum =
            tread_cost_sum(sum, tread_op_cost(node, n, (own->dz != NULL ? 2 : 0) + needs_db, own->dz != NULL ? 3 : 1));
    return needs_db ? tread_cost_sum(sum, tread_op_cost(node, (double)own->n_out, 0, 1)) : sum;
}

const tread_op tread_op_linear = {.name = "linear",
                                  .plan = plan,
                                  .forward = forward,
                                  .backward = backward,
                                  .prepare_backward = prepare_backward,
                                  .release = release,
                                  .cost = cost};

tread_tensor *tread_linear(tread_tape *tape, tread_tensor *x, tread_tensor *w, tread_tensor *b,
                           tread_activation activation) {
    if (x == NULL || w == NULL)
        return tread_tape_fail(tape, TREAD_ERROR_ARGUMENT, "linear: %s is NULL", x == NULL ? "x" : "the weight");
    if ((unsigned)activation >= TREAD_ACTIVATION_COUNT)
        return tread_tape_fail(tape, TREAD_ERROR_ARGUMENT, "linear: activation %d is outside [0, %d)", (int)activation,
                               TREAD_ACTIVATION_COUNT);
    tread_attributes attributes = {.integer = {activation}};
    return tread_tape_apply(tape, &tread_op_linear, (tread_tensor *[]){x, w, b}, 3, &attributes);
}
