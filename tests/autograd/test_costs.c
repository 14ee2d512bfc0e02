/* What operations say that they compute and move, against numbers counted by hand. */
#include <string.h>
#include <tread/ops.h>
#include <tread/parameter.h>

#include "autograd/tape_internal.h"
#include "tests/test.h"

static tread_tape *tape;

static tread_tensor *leaf(int rank, int64_t a, int64_t b) {
    tread_tensor *x = tread_tensor_create(TREAD_FLOAT32, rank, (int64_t[]){a, b});
    ck_assert_ptr_nonnull(x);
    ck_assert_ok(tread_tensor_set_requires_grad(x, true));
    return x;
}

static tread_tensor *constant(tread_dtype dtype, int rank, int64_t a, int64_t b) {
    tread_tensor *x = tread_tensor_create(dtype, rank, (int64_t[]){a, b});
    ck_assert_ptr_nonnull(x);
    return x;
}

/* Of the operation that made y, the last one on the tape. */
static void check(const tread_tensor *y, double forward_flops, double forward_bytes, double backward_flops,
                  double backward_bytes) {
    ck_assert_msg(y != NULL, "%s", tread_tape_error(tape));
    const tread_node *node = &tread_tape_node(tape, tread_tape_length(tape) - 1)->node;
    const tread_cost forward = node->op->cost(node, false), backward = node->op->cost(node, true);
    ck_assert_msg(forward.flops == forward_flops && forward.bytes == forward_bytes, "%s forward: %g flops, %g bytes",
                  node->op->name, forward.flops, forward.bytes);
    ck_assert_msg(backward.flops == backward_flops && backward.bytes == backward_bytes,
                  "%s backward: %g flops, %g bytes", node->op->name, backward.flops, backward.bytes);
}

static void start(void) { tape = tread_tape_create(NULL); }
static void end(tread_tensor **tensors, size_t n) {
    for (size_t i = 0; i < n; i++)
        tread_tensor_destroy(tensors[i]);
    tread_tape_destroy(tape);
}

START_TEST(of_linear) {
    start();
    tread_tensor *x = leaf(2, 3, 5), *w = leaf(2, 7, 5), *b = leaf(1, 7, 0), *image = constant(TREAD_FLOAT32, 2, 3, 5);
    const double product = 2 * 3 * 5 * 7, y = 21, in = 15, weights = 35;
    check(tread_linear(tape, x, w, NULL, TREAD_ACTIVATION_NONE), product, 4 * (in + weights + y), 2 * product,
          4 * 2 * (in + weights + y));
    check(tread_linear(tape, x, w, b, TREAD_ACTIVATION_NONE), product + y, 4 * (in + weights + y + 7), 2 * product + y,
          4 * (2 * (in + weights + y) + y + 7));
    check(tread_linear(tape, image, w, b, TREAD_ACTIVATION_RELU), product + 2 * y, 4 * (in + weights + y + 7),
          product + 3 * y, 4 * (in + weights + y + 3 * y + 7));
    check(tread_linear(tape, image, w, b, TREAD_ACTIVATION_GELU), product + y + 2 * y,
          4 * (in + weights + y + 7 + 3 * y), product + 3 * y, 4 * (in + weights + y + 3 * y + 7));
    end((tread_tensor *[]){x, w, b, image}, 4);
}
END_TEST

START_TEST(of_linear_in_bf16) {
    start();
    tread_tensor *x = leaf(2, 3, 64), *w = leaf(2, 64, 64), *b = leaf(1, 64, 0);
    const double product = 2.0 * 3 * 64 * 64, y = 192, in = 192, weights = 4096;
    if (tread_tape_set_precision(tape, TREAD_PRECISION_BF16) == TREAD_OK) { /* where the CPU has it */
        /* x is rounded in the operation, w's copy is its own; relu reads z, writes y and y in bf16 */
        check(tread_linear(tape, x, w, b, TREAD_ACTIVATION_RELU), product + 2 * y,
              2 * (in + weights) + 4 * (y + 64) + 6 * in + 8 * y + 2 * y, 2 * product + 3 * y,
              2 * (2 * y + in + weights) + 4 * (in + weights) + 10 * y + 4 * 64);
    }
    end((tread_tensor *[]){x, w, b}, 3);
}
END_TEST

START_TEST(of_matmul) {
    start();
    tread_tensor *a = leaf(2, 3, 5), *b = leaf(2, 5, 7), *fixed = constant(TREAD_FLOAT32, 2, 5, 7);
    const double product = 2 * 3 * 5 * 7, all = 15 + 35 + 21;
    check(tread_matmul(tape, a, b), product, 4 * all, 2 * product, 8 * all);
    check(tread_matmul(tape, a, fixed), product, 4 * all, product, 4 * all);
    end((tread_tensor *[]){a, b, fixed}, 3);
}
END_TEST

START_TEST(of_losses) {
    start();
    tread_tensor *x = leaf(2, 4, 10), *labels = constant(TREAD_INT32, 1, 4, 0),
                 *target = constant(TREAD_FLOAT32, 2, 4, 10);
    tread_tensor *fixed = constant(TREAD_FLOAT32, 2, 4, 10), *bytes = constant(TREAD_UINT8, 1, 4, 0);
    check(tread_cross_entropy(tape, x, labels), 40 * 6 + 8, 4 * 80 + 4 * (4 + 8), 40, 4 * 80);
    check(tread_cross_entropy(tape, x, bytes), 40 * 6 + 8, 4 * 80 + 4 * (1 + 8), 40, 4 * 80);
    check(tread_cross_entropy(tape, fixed, labels), 40 * 4 + 8, 4 * 40 + 4 * (4 + 8), 40, 4 * 80);
    check(tread_nll(tape, x, labels, NULL), 4, 4 * 4 + 4 * (4 + 8), 0, 4 * 40 + 4 * 4);
    check(tread_mse(tape, x, target), 120, 4 * 80, 80, 4 * 120);
    check(tread_bce_with_logits(tape, x, target), 240, 4 * 80, 160, 4 * 120);
    end((tread_tensor *[]){x, labels, target, fixed, bytes}, 5);
}
END_TEST

START_TEST(of_rows) {
    start();
    tread_tensor *x = leaf(2, 4, 10), *gamma = leaf(1, 10, 0), *beta = leaf(1, 10, 0);
    tread_tensor *fixed = constant(TREAD_FLOAT32, 2, 4, 10);
    check(tread_softmax(tape, x, 1), 200, 4 * 80, 160, 4 * 120);
    check(tread_log_softmax(tape, x, 1), 200, 4 * 80, 160, 4 * 120);
    check(tread_layer_norm(tape, x, NULL, NULL, 1e-5), 200, 4 * (80 + 8), 320, 4 * (120 + 8));
    check(tread_layer_norm(tape, x, gamma, beta, 1e-5), 280, 4 * (80 + 8 + 20), 360 + 200,
          4 * (120 + 8 + 10) + 4 * (80 + 8 + 20));
    check(tread_layer_norm(tape, fixed, NULL, beta, 1e-5), 240, 4 * (80 + 8 + 10), 40, 4 * (40 + 10));
    check(tread_sum(tape, x), 40, 4 * 41, 40, 4 * 41);
    check(tread_sum_axis(tape, x, 0, false), 40, 4 * 50, 40, 4 * 50);
    check(tread_max_axis(tape, x, 1, true), 40, 4 * 44, 40, 8 * 44);
    end((tread_tensor *[]){x, gamma, beta, fixed}, 4);
}
END_TEST

START_TEST(of_elements) {
    start();
    tread_tensor *x = leaf(2, 4, 10), *row = leaf(1, 10, 0), *fixed = constant(TREAD_FLOAT32, 2, 4, 10);
    check(tread_relu(tape, x), 40, 4 * 80, 80, 4 * 120);
    check(tread_neg(tape, x), 40, 4 * 80, 40, 4 * 80);
    check(tread_dropout(tape, x, 0.5), 40, 4 * 80 + 80, 40, 4 * 80 + 40);
    check(tread_add(tape, x, fixed), 40, 4 * 120, 0, 4 * 80);
    check(tread_add(tape, x, row), 40, 4 * 90, 30, 4 * 80 + 4 * 50);
    check(tread_mul(tape, x, row), 40, 4 * 90, 40 + 40 + 30, 4 * (40 + 10 + 40) + 4 * (40 + 40 + 10));
    check(tread_div(tape, x, row), 40, 4 * 90, 40 + 80 + 30, 4 * (40 + 10 + 40) + 4 * (80 + 10 + 10));
    end((tread_tensor *[]){x, row, fixed}, 3);
}
END_TEST

START_TEST(of_moves) {
    start();
    tread_tensor *x = leaf(2, 4, 10), *z = leaf(2, 4, 3);
    check(tread_reshape(tape, x, 1, (int64_t[]){40}), 0, 0, 0, 4 * 80);
    check(tread_transpose(tape, x, 0, 1), 0, 4 * 80, 0, 4 * 80);
    check(tread_concat(tape, (tread_tensor *[]){x, z}, 2, 1), 0, 8 * 52, 0, 8 * 52);
    check(tread_slice(tape, x, 1, 2, 5), 0, 8 * 12, 0, 4 * (12 + 40));
    end((tread_tensor *[]){x, z}, 2);
}
END_TEST

START_TEST(of_embeddings) {
    start();
    tread_tensor *table = leaf(2, 100, 8), *indices = constant(TREAD_INT32, 2, 3, 5);
    tread_embedding_options sparse = tread_embedding_defaults();
    sparse.sparse = true;
    const double entries = 15, width = 8;
    check(tread_embedding(tape, table, indices, NULL), 0, 4 * (2 * entries * width + entries), entries * width,
          4 * (2 * entries * width + 800 + entries));
    check(tread_embedding(tape, table, indices, &sparse), 0, 4 * (2 * entries * width + entries), entries * width,
          4 * (2 * entries * width + entries));
    check(tread_embedding_bag(tape, table, indices, NULL, NULL), 12 * width,
          4 * (entries * width + 3 * width + entries), entries * width,
          4 * (3 * width + entries * width + 800 + entries));
    end((tread_tensor *[]){table, indices}, 2);
}
END_TEST

START_TEST(every_operation_has_one_but_detach) {
    for (int i = 0; tread_op_table[i] != NULL; i++)
        ck_assert_msg((tread_op_table[i]->cost == NULL) == (tread_op_table[i]->backward == NULL), "%s",
                      tread_op_table[i]->name);
}
END_TEST

TEST_MAIN("costs", of_linear, of_linear_in_bf16, of_matmul, of_losses, of_rows, of_elements, of_moves, of_embeddings,
          every_operation_has_one_but_detach)
