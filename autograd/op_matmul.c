#include "autograd/ops_list.h"
#include "core/dnn.h"
#include "core/memory.h"
#include "core/status.h"

/* y (..., m, n) = a (..., m, k) b. With a two-dimensional b the leading axes of a fold into m. */
typedef struct matmul_plan {
    tread_gemm *forward; /* y = a b */
    tread_gemm *grad_a;  /* da = dy b^T */
    tread_gemm *grad_b;  /* db = a^T dy */
} matmul_plan;

static void release(tread_node *node) {
    matmul_plan *plan = node->plan;
    tread_gemm_destroy(plan->forward);
    tread_gemm_destroy(plan->grad_a);
    tread_gemm_destroy(plan->grad_b);
    tread_free(plan);
}

static tread_status check_shapes(const tread_node *node) {
    const tread_tensor *a = node->inputs[0], *b = node->inputs[1];
    char a_text[TREAD_SHAPE_TEXT], b_text[TREAD_SHAPE_TEXT];
    bool fits = a->rank >= 2 && b->rank >= 2 && (b->rank == 2 || b->rank == a->rank) &&
                a->shape[a->rank - 1] == b->shape[b->rank - 2];
    for (int i = 0; fits && b->rank > 2 && i < b->rank - 2; i++)
        fits = a->shape[i] == b->shape[i];
    if (fits)
        return TREAD_OK;
    return tread_fail(TREAD_ERROR_SHAPE, "matmul: %s x %s: expected (..., m, k) x (k, n) or equal leading axes",
                      tread_shape_text(a_text, a->rank, a->shape), tread_shape_text(b_text, b->rank, b->shape));
}

static tread_status plan(tread_node *node) {
    const tread_tensor *a = node->inputs[0], *b = node->inputs[1];
    TREAD_TRY(tread_op_check_float(node));
    TREAD_TRY(check_shapes(node));
    int64_t shape[TREAD_MAX_RANK], leading = 1;
    for (int i = 0; i < a->rank - 2; i++)
        leading *= shape[i] = a->shape[i];
    int64_t m = shape[a->rank - 2] = a->shape[a->rank - 2], k = a->shape[a->rank - 1];
    int64_t n = shape[a->rank - 1] = b->shape[b->rank - 1];
    TREAD_TRY(tread_node_set_output(node, a->dtype, a->rank, shape));
    int64_t batch = b->rank == 2 ? 1 : leading;
    if (b->rank == 2)
        m *= leading;
    if (batch == 0) { /* no matrices: one without elements stands for none */
        batch = 1;
        m = n = k = 0;
    }

    matmul_plan *own = node->plan = tread_calloc(1, sizeof *own, "a matmul plan");
    if (own == NULL)
        return TREAD_ERROR_MEMORY;
    tread_gemm_shape y = {.dtype = a->dtype, .m = m, .n = n, .k = k, .batch = batch};
    tread_gemm_shape da = {.dtype = a->dtype, .m = m, .n = k, .k = n, .batch = batch, .transpose_b = true};
    tread_gemm_shape db = {.dtype = a->dtype, .m = k, .n = n, .k = m, .batch = batch, .transpose_a = true};
    TREAD_TRY(tread_gemm_create(node->context, &y, &own->forward));
    if (node->input_needs[0]) {
        TREAD_TRY(tread_gemm_create(node->context, &da, &own->grad_a));
        tread_gemm_set_part(own->grad_a, "da");
    }
    if (node->input_needs[1]) {
        TREAD_TRY(tread_gemm_create(node->context, &db, &own->grad_b));
        tread_gemm_set_part(own->grad_b, "db");
    }
    return TREAD_OK;
}

static tread_status forward(tread_node *node) {
    const matmul_plan *own = node->plan;
    return tread_gemm_run(own->forward, node->inputs[0]->data, node->inputs[1]->data, NULL, node->output->data, false);
}

static tread_status prepare_backward(tread_node *node, const bool *accumulate) {
    matmul_plan *own = node->plan;
    if (node->input_needs[0] && accumulate[0])
        TREAD_TRY(tread_gemm_prepare_accumulate(own->grad_a));
    if (node->input_needs[1] && accumulate[1])
        TREAD_TRY(tread_gemm_prepare_accumulate(own->grad_b));
    return TREAD_OK;
}

static tread_status backward(tread_node *node) {
    const matmul_plan *own = node->plan;
    tread_grad_target a = tread_node_grad_target(node, 0);
    if (a.data != NULL)
        TREAD_TRY(tread_gemm_run(own->grad_a, node->grad, node->inputs[1]->data, NULL, a.data, a.accumulate));
    tread_grad_target b = tread_node_grad_target(node, 1);
    if (b.data != NULL)
        TREAD_TRY(tread_gemm_run(own->grad_b, node->inputs[0]->data, node->grad, NULL, b.data, b.accumulate));
    return TREAD_OK;
}

/* The products. */
static tread_cost cost(const tread_node *node, bool backward) {
    const matmul_plan *own = node->plan;
    tread_cost sum = {0};
    if (!backward)
        return tread_gemm_cost(own->forward, false);
    if (own->grad_a != NULL)
        sum = tread_cost_sum(sum, tread_gemm_cost(own->grad_a, false));
    if (own->grad_b != NULL)
        sum = tread_cost_sum(sum, tread_gemm_cost(own->grad_b, false));
    return sum;
}

const tread_op tread_op_matmul = {.name = "matmul",
                                  .plan = plan,
                                  .forward = forward,
                                  .backward = backward,
                                  .prepare_backward = prepare_backward,
                                  .release = release,
                                  .cost = cost};

tread_tensor *tread_matmul(tread_tape *tape, tread_tensor *a, tread_tensor *b) {
    if (a == NULL || b == NULL)
        return tread_tape_fail(tape, TREAD_ERROR_ARGUMENT, "matmul: %s is NULL", a == NULL ? "a" : "b");
    return tread_tape_apply(tape, &tread_op_matmul, (tread_tensor *[]){a, b}, 2, NULL);
}
