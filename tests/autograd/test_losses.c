#include <math.h>
#include <string.h>
#include <tread/ops.h>

#include "core/memory.h"
#include "tests/autograd/op_records.h"
#include "tests/test.h"

/* What the battery's records do not say of dropout and of the losses. */

static tread_tensor *tensor(tread_dtype dtype, int rank, const int64_t *shape) {
    tread_tensor *x = tread_tensor_create(dtype, rank, shape);
    ck_assert_ptr_nonnull(x);
    return x;
}

/* (rows, classes) of numbers in [-2, 2), a leaf. */
static tread_tensor *scores(int64_t rows, int64_t classes) {
    tread_tensor *x = tensor(TREAD_FLOAT32, 2, (int64_t[]){rows, classes});
    tread_rng rng = tread_rng_create(3, 3);
    for (int64_t i = 0; i < rows * classes; i++)
        tread_tensor_float(x)[i] = (float)(4 * tread_rng_uniform(&rng) - 2);
    ck_assert_ok(tread_tensor_set_requires_grad(x, true));
    return x;
}

static double item(const tread_tensor *x) {
    double value;
    ck_assert_ptr_nonnull(x);
    ck_assert_ok(tread_tensor_item(x, &value));
    return value;
}

START_TEST(no_row_counts) {
    tread_tape *tape = tread_tape_create(NULL);
    tread_tensor *x = scores(3, 4), *labels = tensor(TREAD_INT32, 1, (int64_t[]){3});
    tread_cross_entropy_options options = tread_cross_entropy_defaults();
    ck_assert_int_eq(options.ignore_index, -100);
    options.ignore_index = 0; /* all of them */
    for (int round = 0; round < 4; round++) {
        tread_tape_reset(tape);
        tread_tensor_zero_grad(x, true);
        options.reduction = round % 2 == 0 ? TREAD_REDUCTION_MEAN : TREAD_REDUCTION_SUM;
        tread_tensor *loss =
            round < 2 ? tread_cross_entropy_with(tape, x, labels, &options) : tread_nll(tape, x, labels, &options);
        if (options.reduction == TREAD_REDUCTION_MEAN)
            ck_assert(isnan(item(loss)));
        else
            ck_assert_double_eq(item(loss), 0);
        ck_assert_ok(tread_backward(tape, loss));
        for (int i = 0; i < 12; i++)
            ck_assert_float_eq(tread_tensor_float(tread_tensor_grad(x))[i], 0);
    }
    tread_tape_destroy(tape), tread_tensor_destroy(x), tread_tensor_destroy(labels);
}
END_TEST

/* A row that is ignored counts for nothing: neither its scores nor the number of rows. */
START_TEST(ignored_rows_count_for_nothing) {
    tread_tape *tape = tread_tape_create(NULL);
    tread_tensor *x = scores(5, 4), *few = scores(3, 4);
    tread_tensor *labels = tensor(TREAD_INT32, 1, (int64_t[]){5}), *few_labels = tensor(TREAD_INT32, 1, (int64_t[]){3});
    const int32_t all[5] = {2, -100, 0, -100, 3}, counted[3] = {2, 0, 3};
    memcpy(tread_tensor_data(labels), all, sizeof all);
    memcpy(tread_tensor_data(few_labels), counted, sizeof counted);
    for (int row = 0; row < 3; row++)
        memcpy(tread_tensor_float(few) + 4 * row, tread_tensor_float(x) + 8 * row, 4 * sizeof(float));
    tread_tensor_float(x)[5] = NAN;
    tread_tensor *loss = tread_cross_entropy(tape, x, labels), *few_loss = tread_cross_entropy(tape, few, few_labels);
    ck_assert_double_eq(item(loss), item(few_loss));
    ck_assert_ok(tread_backward(tape, loss));
    ck_assert_ok(tread_backward(tape, few_loss));
    for (int i = 0; i < 20; i++) {
        float expected = i / 4 % 2 == 0 ? tread_tensor_float(tread_tensor_grad(few))[i / 8 * 4 + i % 4] : 0;
        ck_assert_float_eq(tread_tensor_float(tread_tensor_grad(x))[i], expected);
    }
    tread_tape_destroy(tape), tread_tensor_destroy(x), tread_tensor_destroy(few);
    tread_tensor_destroy(labels), tread_tensor_destroy(few_labels);
}
END_TEST

START_TEST(label_types_agree) {
    tread_tape *tape = tread_tape_create(NULL);
    tread_tensor *x = scores(20, 10), *wide = tensor(TREAD_INT32, 1, (int64_t[]){20});
    tread_tensor *narrow = tensor(TREAD_UINT8, 1, (int64_t[]){20});
    for (int i = 0; i < 20; i++)
        ((int32_t *)tread_tensor_data(wide))[i] = ((uint8_t *)tread_tensor_data(narrow))[i] = (uint8_t)(i * 7 % 10);
    ck_assert_double_eq(item(tread_cross_entropy(tape, x, wide)), item(tread_cross_entropy(tape, x, narrow)));
    ck_assert_double_eq(item(tread_nll(tape, x, wide, NULL)), item(tread_nll(tape, x, narrow, NULL)));
    ((uint8_t *)tread_tensor_data(narrow))[19] = 200;
    expect_refused(tape, tread_cross_entropy(tape, x, narrow), TREAD_ERROR_ARGUMENT,
                   "cross_entropy: label 200 of row 19 is neither in [0, 10) nor ignore_index -100");
    tread_tape_destroy(tape), tread_tensor_destroy(x), tread_tensor_destroy(wide), tread_tensor_destroy(narrow);
}
END_TEST

/* cross_entropy is nll of log_softmax. Each rounds its log-probabilities, of at most 6.3, a few times (battery's
 * record: d + |y| + 2 log n + 3.2 < 21 roundings), and the loss once. */
START_TEST(cross_entropy_is_nll_of_log_softmax) {
    tread_tape *tape = tread_tape_create(NULL);
    tread_tensor *x = scores(20, 10), *labels = tensor(TREAD_INT32, 1, (int64_t[]){20});
    for (int i = 0; i < 20; i++)
        ((int32_t *)tread_tensor_data(labels))[i] = i * 7 % 10;
    double fused = item(tread_cross_entropy(tape, x, labels));
    double parts = item(tread_nll(tape, tread_log_softmax(tape, x, 1), labels, NULL));
    ck_assert_double_eq_tol(fused, parts, 2 * 21 * 0x1p-24);
    tread_tape_destroy(tape), tread_tensor_destroy(x), tread_tensor_destroy(labels);
}
END_TEST

/* A refused label leaves nothing behind: the next step works, and the stream has not moved. */
START_TEST(a_refused_label_leaves_the_tape_usable) {
    tread_tape *tape = tread_tape_create(NULL);
    tread_tensor *x = scores(3, 4), *labels = tensor(TREAD_INT32, 1, (int64_t[]){3});
    double before = item(tread_cross_entropy(tape, x, labels));
    ((int32_t *)tread_tensor_data(labels))[2] = 9;
    tread_tape_reset(tape);
    ck_assert_ptr_null(tread_cross_entropy(tape, x, labels));
    ck_assert_fails(tread_backward(tape, NULL), TREAD_ERROR_ARGUMENT, "label 9 of row 2");
    ck_assert_ptr_null(tread_tensor_grad(x));
    ((int32_t *)tread_tensor_data(labels))[2] = 0;
    tread_tape_reset(tape);
    tread_tensor *loss = tread_cross_entropy(tape, x, labels);
    ck_assert_double_eq(item(loss), before);
    ck_assert_ok(tread_backward(tape, loss));
    tread_tape_destroy(tape), tread_tensor_destroy(x), tread_tensor_destroy(labels);
}
END_TEST

START_TEST(a_nan_score_makes_the_loss_nan) {
    tread_tape *tape = tread_tape_create(NULL);
    tread_tensor *x = scores(20, 10), *labels = tensor(TREAD_INT32, 1, (int64_t[]){20});
    tread_tensor_float(x)[57] = NAN;
    tread_tensor *loss = tread_cross_entropy(tape, x, labels);
    ck_assert(isnan(item(loss)));
    ck_assert_ok(tread_backward(tape, loss));
    for (int i = 0; i < 200; i++)
        ck_assert(isnan(tread_tensor_float(tread_tensor_grad(x))[i]) == (i / 10 == 5));
    tread_tape_destroy(tape), tread_tensor_destroy(x), tread_tensor_destroy(labels);
}
END_TEST

/* --- dropout --- */

/* n draws that keep with probability 1 - p: the count has a deviation of sqrt(n p (1 - p)), and 5 of them are passed in
 * one of 1.7 million runs; the stream is fixed, so the test gives the same answer each time. */
START_TEST(dropout_keeps_the_right_share) {
    const int64_t n = 200000;
    const double p[3] = {0.1, 0.5, 0.8};
    tread_tape *tape = tread_tape_create(NULL);
    tread_tensor *x = tensor(TREAD_FLOAT32, 1, &n);
    ck_assert_ok(tread_tensor_fill(x, 1));
    for (int k = 0; k < 3; k++) {
        tread_tape_reset(tape);
        const float *y = tread_tensor_float(tread_dropout(tape, x, p[k]));
        const float scale = (float)(1 / (1 - p[k]));
        int64_t kept = 0, pairs = 0;
        for (int64_t i = 0; i < n; i++) {
            ck_assert(y[i] == 0 || y[i] == scale);
            kept += y[i] != 0;
            pairs += i > 0 && y[i] != 0 && y[i - 1] != 0;
        }
        const double q = 1 - p[k], size = (double)n;
        ck_assert_double_eq_tol((double)kept, size * q, 5 * sqrt(size * p[k] * q));
        /* Neighbours are independent: pairs of kept ones have mean n q^2 and a variance below 3 n q^2 (1 - q^2), each
         * pair being correlated with two others. */
        ck_assert_double_eq_tol((double)pairs, size * q * q, 5 * sqrt(3 * size * q * q * (1 - q * q)) + 1);
    }
    tread_tape_destroy(tape), tread_tensor_destroy(x);
}
END_TEST

START_TEST(dropout_follows_the_tapes_stream) {
    const int64_t n = 1001;
    tread_tape *tape = tread_tape_create(NULL);
    tread_tensor *x = tensor(TREAD_FLOAT32, 1, &n);
    float first[1001];
    ck_assert_ok(tread_tensor_fill(x, 1));
    tread_rng start = tread_tape_rng(tape);
    memcpy(first, tread_tensor_float(tread_dropout(tape, x, 0.5)), sizeof first);
    ck_assert_uint_eq(tread_tape_rng(tape).next, start.next + 1001);
    tread_tensor *second = tread_dropout(tape, x, 0.5);
    ck_assert_mem_ne(first, tread_tensor_float(second), sizeof first);
    tread_tape_reset(tape);
    tread_tape_set_rng(tape, start);
    ck_assert_mem_eq(first, tread_tensor_float(tread_dropout(tape, x, 0.5)), sizeof first);
    tread_tape_destroy(tape), tread_tensor_destroy(x);
}
END_TEST

/* dx is 1 / (1 - p) exactly where y is not 0, from the mask of this call though another followed. */
START_TEST(dropout_passes_the_gradient_where_it_kept) {
    const int64_t n = 333;
    tread_tape *tape = tread_tape_create(NULL);
    tread_tensor *x = tensor(TREAD_FLOAT32, 1, &n);
    ck_assert_ok(tread_tensor_fill(x, 1));
    ck_assert_ok(tread_tensor_set_requires_grad(x, true));
    for (int step = 0; step < 3; step++) {
        tread_tape_reset(tape);
        tread_tensor_zero_grad(x, true);
        tread_tensor *y = tread_dropout(tape, x, 0.3), *other = tread_dropout(tape, x, 0.3);
        (void)other;
        ck_assert_ok(tread_backward(tape, tread_sum(tape, y)));
        ck_assert_mem_eq(tread_tensor_float(tread_tensor_grad(x)), tread_tensor_float(y), sizeof(float) * 333);
    }
    tread_tape_destroy(tape), tread_tensor_destroy(x);
}
END_TEST

/* --- Memory: every allocation of a step may fail; nothing is left over and the next try works. From the second step of
 * a shape on there is none. --- */

static tread_status step(tread_tape *tape, tread_tensor *x, tread_tensor *gamma, tread_tensor *labels) {
    tread_tape_reset(tape);
    tread_tensor *h = tread_layer_norm(tape, x, gamma, NULL, 1e-5);
    h = tread_dropout(tape, h, 0.25);
    h = tread_mul(tape, tread_softmax(tape, h, 0), tread_log_softmax(tape, h, 1));
    tread_tensor *loss = tread_cross_entropy(tape, h, labels);
    loss = tread_add(tape, loss, tread_nll(tape, h, labels, NULL));
    loss = tread_add(tape, loss, tread_mse(tape, h, x));
    loss = tread_add(tape, loss, tread_l1(tape, h, x));
    loss = tread_add(tape, loss, tread_huber(tape, h, x, 0.5));
    loss = tread_add(tape, loss, tread_bce_with_logits(tape, h, x));
    return tread_backward(tape, loss);
}

START_TEST(every_allocation_may_fail) {
    tread_tensor *x = scores(6, 5), *gamma = tensor(TREAD_FLOAT32, 1, (int64_t[]){5}),
                 *labels = tensor(TREAD_INT32, 1, (int64_t[]){6});
    ck_assert_ok(tread_tensor_fill(gamma, 1));
    ck_assert_ok(tread_tensor_set_requires_grad(gamma, true));
    tread_tape *warm = tread_tape_create(NULL); /* makes the leaves' gradients, which stay */
    ck_assert_ok(step(warm, x, gamma, labels));
    tread_tape_destroy(warm);
    const uint64_t live = tread_memory_live_blocks();
    bool failed = true;
    for (uint64_t k = 1; failed; k++) {
        tread_tape *tape = tread_tape_create(NULL);
        ck_assert_ptr_nonnull(tape);
        tread_memory_fail_at(k);
        tread_status status = step(tape, x, gamma, labels);
        failed = tread_memory_failed();
        tread_memory_fail_at(0);
        ck_assert_int_eq(status, failed ? TREAD_ERROR_MEMORY : TREAD_OK);
        ck_assert_ok(step(tape, x, gamma, labels));
        uint64_t calls = tread_memory_calls();
        ck_assert_ok(step(tape, x, gamma, labels));
        ck_assert_uint_eq(tread_memory_calls(), calls);
        tread_tape_destroy(tape);
        ck_assert_uint_eq(tread_memory_live_blocks(), live);
    }
    tread_tensor_destroy(x), tread_tensor_destroy(gamma), tread_tensor_destroy(labels);
}
END_TEST

/* gamma and beta may be one tensor, and x too: its gradient is the sum. */
START_TEST(layer_norm_of_one_tensor_three_times) {
    const int64_t n = 6;
    tread_tape *tape = tread_tape_create(NULL);
    tread_tensor *x[3], *one = tensor(TREAD_FLOAT32, 1, &n);
    for (int k = 0; k < 4; k++) {
        tread_tensor *each = k < 3 ? x[k] = tensor(TREAD_FLOAT32, 1, &n) : one;
        for (int i = 0; i < 6; i++)
            tread_tensor_float(each)[i] = (float)(i * i % 5);
        ck_assert_ok(tread_tensor_set_requires_grad(each, true));
    }
    tread_tensor *weights = tensor(TREAD_FLOAT32, 1, &n);
    for (int i = 0; i < 6; i++)
        tread_tensor_float(weights)[i] = (float)(i - 2);
    ck_assert_ok(tread_backward_from(tape, tread_layer_norm(tape, one, one, one, 1e-5), weights));
    ck_assert_ok(tread_backward_from(tape, tread_layer_norm(tape, x[0], x[1], x[2], 1e-5), weights));
    for (int i = 0; i < 6; i++) {
        float sum = tread_tensor_float(tread_tensor_grad(x[0]))[i]; /* added in this order */
        sum += tread_tensor_float(tread_tensor_grad(x[1]))[i];
        sum += tread_tensor_float(tread_tensor_grad(x[2]))[i];
        ck_assert_float_eq(tread_tensor_float(tread_tensor_grad(one))[i], sum);
    }
    tread_tape_destroy(tape), tread_tensor_destroy(one), tread_tensor_destroy(weights);
    tread_tensor_destroy(x[0]), tread_tensor_destroy(x[1]), tread_tensor_destroy(x[2]);
}
END_TEST

TEST_MAIN("losses", no_row_counts, ignored_rows_count_for_nothing, label_types_agree,
          cross_entropy_is_nll_of_log_softmax, a_refused_label_leaves_the_tape_usable, a_nan_score_makes_the_loss_nan,
          dropout_keeps_the_right_share, dropout_follows_the_tapes_stream, dropout_passes_the_gradient_where_it_kept,
          every_allocation_may_fail, layer_norm_of_one_tensor_three_times)
