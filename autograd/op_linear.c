#include <string.h>

#include "autograd/ops_list.h"
#include "core/bf16.h"
#include "core/dnn.h"
#include "core/kernels_linear.h"
#include "core/memory.h"
#include "core/status.h"

/* y (rows, out) = activation(z), z = x (rows, in) w^T + b, w (out, in).
 * dz = dy activation'(z); db = column sums of dz; dx = dz w; dw = dz^T x. One pass over dy makes both dz and db.
 *
 * In bf16 the products read x, w and dz as bfloat16. Each is rounded once a step, in a pass that has it at hand where
 * there is one: dz in that of the activation's derivative, y, which may be the next layer's x, in that of the
 * activation, w in the optimizer's. */
enum { ACTIVATION, BF16, WEIGHT_HAS_COPY }; /* the attributes' integers */

typedef struct linear_plan {
    int64_t rows, n_in, n_out;
    tread_activation activation;
    bool bf16;
    tread_gemm *forward, *grad_x, *grad_w;
    void *slope; /* (rows, out): activation'(z) where forward leaves it to backward, else NULL */
    void *dz;    /* (rows, out), NULL where dy serves; bfloat16 in bf16 */
    void *db;    /* (out) */
    /* In bf16: */
    uint16_t *x_room, *w_room; /* for inputs that have no copy of their own; w_room NULL where the weight has one */
    uint16_t *y;               /* (rows, out), NULL without activation */
    const uint16_t *x, *w;     /* what forward read, for backward */
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

static size_t padded(int64_t count, size_t item) {
    return ((size_t)count * item + TREAD_ALIGNMENT - 1) / TREAD_ALIGNMENT * TREAD_ALIGNMENT;
}

static void *take(char **next, size_t bytes) {
    char *taken = *next;
    *next += bytes;
    return bytes > 0 ? taken : NULL;
}

/* All buffers share one workspace; memory that no step writes to costs only addresses. */
static tread_status plan_buffers(tread_node *node, linear_plan *own) {
    size_t item = tread_dtype_size(node->output->dtype), half = sizeof(uint16_t);
    int64_t matrix = own->rows * own->n_out;
    bool active = own->activation != TREAD_ACTIVATION_NONE;
    bool has_copy = node->attributes.integer[WEIGHT_HAS_COPY] != 0;
    bool keeps = node->requires_grad && tread_activation_keeps_slope(own->activation);
    size_t slope = keeps ? padded(matrix, item) : 0;
    size_t dz = node->requires_grad && (active || own->bf16) ? padded(matrix, own->bf16 ? half : item) : 0;
    size_t x = own->bf16 ? padded(own->rows * own->n_in, half) : 0;
    size_t w = own->bf16 && !has_copy ? padded(own->n_out * own->n_in, half) : 0;
    size_t y = own->bf16 && active ? padded(matrix, half) : 0;
    TREAD_TRY(tread_node_workspace(node, slope + dz + x + w + y + padded(own->n_out, item)));
    char *next = node->workspace;
    own->slope = take(&next, slope);
    own->dz = take(&next, dz);
    own->x_room = take(&next, x);
    own->w_room = take(&next, w);
    own->y = take(&next, y);
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
                          .relu = own->activation == TREAD_ACTIVATION_RELU && !own->bf16,
                          .bf16 = own->bf16};
    tread_gemm_shape dx = {
        .dtype = dtype, .m = own->rows, .n = own->n_in, .k = own->n_out, .batch = 1, .bf16 = own->bf16};
    tread_gemm_shape dw = {.dtype = dtype,
                           .m = own->n_out,
                           .n = own->n_in,
                           .k = own->rows,
                           .batch = 1,
                           .transpose_a = true,
                           .bf16 = own->bf16};
    TREAD_TRY(tread_gemm_create(node->context, &y, &own->forward));
    if (node->input_needs[0]) {
        TREAD_TRY(tread_gemm_create(node->context, &dx, &own->grad_x));
        tread_gemm_set_part(own->grad_x, "dx");
    }
    if (node->input_needs[1]) {
        TREAD_TRY(tread_gemm_create(node->context, &dw, &own->grad_w));
        tread_gemm_set_part(own->grad_w, "dw");
    }
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
    own->activation = (tread_activation)node->attributes.integer[ACTIVATION];
    own->bf16 = node->attributes.integer[BF16] != 0;
    own->n_in = w->shape[1];
    own->n_out = w->shape[0];
    own->rows = 1;
    for (int i = 0; i < x->rank - 1; i++)
        own->rows *= x->shape[i];
    TREAD_TRY(plan_buffers(node, own));
    return plan_products(node, own);
}

/* x in bfloat16: the copy that the operation before has made, else one of ours. */
static const uint16_t *round_x(const tread_node *node, const linear_plan *own) {
    const tread_tensor *x = node->inputs[0];
    if (tread_bf16_is_fresh(x))
        return x->bf16;
    tread_bf16_convert(node->context, x->data, own->x_room, x->count);
    return own->x_room;
}

/* w in bfloat16. Only a weight that this tape trains is given its copy here: others may be in use by other threads. */
static const uint16_t *round_w(const tread_node *node, const linear_plan *own) {
    tread_tensor *w = node->inputs[1];
    if (tread_bf16_is_fresh(w))
        return w->bf16;
    uint16_t *to = own->w_room != NULL ? own->w_room : w->bf16;
    tread_bf16_convert(node->context, w->data, to, w->count);
    if (to == w->bf16)
        w->bf16_version = w->version;
    return to;
}

static tread_status forward_bf16(tread_node *node) {
    linear_plan *own = node->plan;
    const tread_tensor *b = node->inputs[2];
    float *y = node->output->data;
    own->x = round_x(node, own);
    own->w = round_w(node, own);
    TREAD_TRY(tread_gemm_run(own->forward, own->x, own->w, b != NULL ? b->data : NULL, y, false));
    if (own->activation == TREAD_ACTIVATION_NONE)
        return TREAD_OK;
    tread_activation_forward_bf16(node->context, own->activation, own->rows * own->n_out, y, y, own->slope, own->y);
    node->output->bf16 = own->y;
    node->output->bf16_version = node->output->version;
    return TREAD_OK;
}

static tread_status forward(tread_node *node) {
    const linear_plan *own = node->plan;
    if (own->bf16)
        return forward_bf16(node);
    const tread_tensor *b = node->inputs[2];
    void *y = node->output->data;
    TREAD_TRY(tread_gemm_run(own->forward, node->inputs[0]->data, node->inputs[1]->data, b != NULL ? b->data : NULL, y,
                             false));
    if (own->activation != TREAD_ACTIVATION_NONE && own->activation != TREAD_ACTIVATION_RELU)
        tread_activation_forward(node->context, own->activation, node->output->dtype, own->rows * own->n_out, y, y,
                                 own->slope);
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

/* dz, and db where somebody needs it; returns what the products read for dz. */
static const void *differentiate(const tread_node *node, const linear_plan *own, void *db) {
    const void *y = node->output->data, *dy = node->grad;
    if (own->bf16)
        tread_activation_backward_bf16(node->context, own->activation, own->rows, own->n_out, own->slope, y, dy,
                                       own->dz, db);
    else if (own->dz != NULL || db != NULL)
        tread_activation_backward(node->context, own->activation, node->output->dtype, own->rows, own->n_out,
                                  own->slope, y, dy, own->dz, db);
    return own->dz != NULL ? own->dz : dy;
}

static tread_status backward(tread_node *node) {
    const linear_plan *own = node->plan;
    bool needs_db = node->inputs[2] != NULL && node->input_needs[2];
    const void *dz = differentiate(node, own, needs_db ? own->db : NULL);
    tread_grad_target x = tread_node_grad_target(node, 0);
    if (x.data != NULL)
        TREAD_TRY(
            tread_gemm_run(own->grad_x, dz, own->bf16 ? own->w : node->inputs[1]->data, NULL, x.data, x.accumulate));
    tread_grad_target w = tread_node_grad_target(node, 1);
    if (w.data != NULL)
        TREAD_TRY(
            tread_gemm_run(own->grad_w, dz, own->bf16 ? own->x : node->inputs[0]->data, NULL, w.data, w.accumulate));
    if (needs_db) {
        tread_grad_target b = tread_node_grad_target(node, 2);
        tread_row_store(node->output->dtype, own->n_out, own->db, b.data, b.accumulate);
    }
    return TREAD_OK;
}

/* What forward rounds itself: x where it had no copy, w where it never has one, y. */
static double rounded_bytes(const linear_plan *own) {
    const double both = sizeof(float) + sizeof(uint16_t);
    return both * (own->x == own->x_room ? (double)(own->rows * own->n_in) : 0) +
           both * (own->w_room != NULL ? (double)(own->n_out * own->n_in) : 0) +
           sizeof(uint16_t) * (own->y != NULL ? (double)(own->rows * own->n_out) : 0);
}

/* forward: the product with bias (and relu); a pass from z to y, and to the slope where that is kept, in bf16 with any
 * activation.
 * backward: the products; and the pass over dy, which with an activation reads y or the slope and writes dz (2 flops an
 * element), in bf16 in two bytes and without an activation too, and with a bias adds up db (1). */
static tread_cost cost(const tread_node *node, bool backward) {
    const linear_plan *own = node->plan;
    const double n = (double)(own->rows * own->n_out);
    const bool active = own->activation != TREAD_ACTIVATION_NONE;
    const bool fused = !active || (own->activation == TREAD_ACTIVATION_RELU && !own->bf16);
    tread_cost sum = {0};
    if (!backward) {
        const int slope = own->slope != NULL;
        sum = tread_gemm_cost(own->forward, false);
        sum.bytes += own->bf16 ? rounded_bytes(own) : 0;
        return fused ? sum : tread_cost_sum(sum, tread_op_cost(node, n, 1 + slope, 2 + slope));
    }
    if (own->grad_x != NULL)
        sum = tread_cost_sum(sum, tread_gemm_cost(own->grad_x, false));
    if (own->grad_w != NULL)
        sum = tread_cost_sum(sum, tread_gemm_cost(own->grad_w, false));
    const bool needs_db = node->inputs[2] != NULL && node->input_needs[2];
    const double written = own->dz == NULL ? 0 : own->bf16 ? 0.5 : 1;
    if (own->dz != NULL || needs_db)
        sum = tread_cost_sum(sum, tread_op_cost(node, n, 2 * active + needs_db, 1 + active + written));
    return needs_db ? tread_cost_sum(sum, tread_op_cost(node, (double)own->n_out, 0, 1)) : sum;
}

const tread_op tread_op_linear = {.name = "linear",
                                  .plan = plan,
                                  .forward = forward,
                                  .backward = backward,
                                  .prepare_backward = prepare_backward,
                                  .release = release,
                                  .cost = cost};

/* Whether the products of this call are to be bf16's; checks nothing that plan() does. */
static bool is_bf16(const tread_tape *tape, const tread_tensor *x, const tread_tensor *w) {
    return tread_tape_precision(tape) == TREAD_PRECISION_BF16 && x->dtype == TREAD_FLOAT32 &&
           w->dtype == TREAD_FLOAT32 && w->rank == 2 && w->shape[0] >= TREAD_BF16_WIDTH &&
           w->shape[1] >= TREAD_BF16_WIDTH;
}

tread_tensor *tread_linear(tread_tape *tape, tread_tensor *x, tread_tensor *w, tread_tensor *b,
                           tread_activation activation) {
    if (x == NULL || w == NULL)
        return tread_tape_fail(tape, TREAD_ERROR_ARGUMENT, "linear: %s is NULL", x == NULL ? "x" : "the weight");
    if ((unsigned)activation >= TREAD_ACTIVATION_COUNT)
        return tread_tape_fail(tape, TREAD_ERROR_ARGUMENT, "linear: activation %d is outside [0, %d)", (int)activation,
                               TREAD_ACTIVATION_COUNT);
    tread_attributes attributes = {.integer = {[ACTIVATION] = activation, [BF16] = is_bf16(tape, x, w)}};
    if (attributes.integer[BF16] && w->tape == NULL && w->requires_grad && tread_grad_enabled()) {
        tread_status status = tread_bf16_ensure(w);
        if (status != TREAD_OK)
            return tread_tape_fail(tape, status, "%s", tread_last_error());
        attributes.integer[WEIGHT_HAS_COPY] = true;
    }
    return tread_tape_apply(tape, &tread_op_linear, (tread_tensor *[]){x, w, b}, 3, &attributes);
}
