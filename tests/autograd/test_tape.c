#include <tread/ops.h>

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "core/memory.h"
#include "core/tensor.h"
#include "tests/test.h"

static tread_tensor *leaf(int rank, const int64_t *shape, double value) {
    tread_tensor *x = tread_tensor_create(TREAD_FLOAT32, rank, shape);
    ck_assert_ptr_nonnull(x);
    ck_assert_ok(tread_tensor_fill(x, value));
    ck_assert_ok(tread_tensor_set_requires_grad(x, true));
    return x;
}

static tread_tensor *matrix(int64_t rows, int64_t columns, double value) {
    return leaf(2, (int64_t[]){rows, columns}, value);
}

static double item(const tread_tensor *x) {
    double value = NAN;
    ck_assert_ok(tread_tensor_item(x, &value));
    return value;
}

static float grad_at(tread_tensor *x, int64_t i) {
    ck_assert_ptr_nonnull(tread_tensor_grad(x));
    return tread_tensor_float(tread_tensor_grad(x))[i];
}

START_TEST(a_tensor_of_an_older_step_is_refused_for_seven_steps) {
    tread_tape *tape = tread_tape_create(NULL);
    tread_tensor *w = matrix(2, 2, 1);
    tread_tensor *old = tread_matmul(tape, w, w);
    for (int age = 1; age <= 7; age++) {
        tread_tape_reset(tape);
        ck_assert_ptr_nonnull(tread_matmul(tape, w, w)); /* the same place on the tape is in use again */
        ck_assert_ptr_null(tread_matmul(tape, w, old));
        ck_assert_int_eq(tread_tape_status(tape), TREAD_ERROR_STATE);
        ck_assert_ptr_nonnull(strstr(tread_tape_error(tape), "matmul: input 1 is stale"));
        double value;
        ck_assert_fails(tread_tensor_item(old, &value), TREAD_ERROR_STATE, "step");
    }
    tread_tensor_destroy(w);
    tread_tape_destroy(tape);
}
END_TEST

START_TEST(the_first_error_stays_until_reset) {
    tread_tape *tape = tread_tape_create(NULL);
    tread_tensor *a = matrix(2, 3, 1), *b = matrix(4, 5, 1);
    tread_tensor *c = tread_matmul(tape, a, b);
    ck_assert_ptr_null(c);
    ck_assert_str_eq(tread_tape_error(tape),
                     "matmul: (2, 3) x (4, 5): expected (..., m, k) x (k, n) or equal leading axes");
    ck_assert_ptr_null(tread_detach(tape, c)); /* the NULL comes from the first error and is not one more */
    ck_assert_ptr_null(tread_matmul(tape, NULL, b));
    tread_fail(TREAD_ERROR_IO, "something else happened meanwhile");
    ck_assert_fails(tread_backward(tape, c), TREAD_ERROR_SHAPE, "matmul: (2, 3) x (4, 5)");
    tread_tape_reset(tape);
    ck_assert_int_eq(tread_tape_status(tape), TREAD_OK);
    ck_assert_str_eq(tread_tape_error(tape), "");
    ck_assert_ptr_null(tread_matmul(tape, NULL, b));
    ck_assert_str_eq(tread_tape_error(tape), "matmul: a is NULL");
    tread_tensor_destroy(a);
    tread_tensor_destroy(b);
    tread_tape_destroy(tape);
}
END_TEST

START_TEST(tensors_of_another_tape_are_refused) {
    tread_tape *one = tread_tape_create(NULL), *two = tread_tape_create(NULL);
    tread_tensor *w = matrix(1, 1, 2);
    tread_tensor *y = tread_matmul(one, w, w);
    ck_assert_ptr_null(tread_matmul(two, y, w));
    ck_assert_str_eq(tread_tape_error(two), "matmul: input 0 belongs to another tape");
    tread_tape_reset(two);
    ck_assert_fails(tread_backward(two, y), TREAD_ERROR_STATE, "belongs to another tape");
    ck_assert_ptr_null(tread_tensor_grad(w));
    tread_tensor_destroy(w);
    tread_tape_destroy(one);
    tread_tape_destroy(two);
}
END_TEST

START_TEST(gradients_add_over_uses_and_over_backwards) {
    tread_tape *tape = tread_tape_create(NULL);
    tread_tensor *w = matrix(1, 1, 3);
    tread_tensor *y = tread_matmul(tape, tread_matmul(tape, w, w), w); /* w^3: 3 w^2 = 27 */
    ck_assert_ok(tread_backward(tape, y));
    ck_assert_float_eq(grad_at(w, 0), 27);
    tread_tape_reset(tape);
    ck_assert_ok(tread_backward(tape, tread_matmul(tape, w, w)));
    ck_assert_float_eq(grad_at(w, 0), 27 + 6);
    tread_tensor_zero_grad(w, false); /* zeros count as a gradient that is there */
    tread_tape_reset(tape);
    ck_assert_ok(tread_backward(tape, tread_matmul(tape, w, w)));
    ck_assert_float_eq(grad_at(w, 0), 6);
    tread_tensor_destroy(w);
    tread_tape_destroy(tape);
}
END_TEST

START_TEST(a_graph_serves_one_backward) {
    tread_tape *tape = tread_tape_create(NULL);
    tread_tensor *w = matrix(1, 1, 3);
    tread_tensor *shared = tread_matmul(tape, w, w), *one = tread_matmul(tape, shared, w),
                 *two = tread_matmul(tape, shared, w);
    ck_assert_ok(tread_backward(tape, one));
    ck_assert_float_eq(grad_at(w, 0), 27);
    ck_assert_fails(tread_backward(tape, two), TREAD_ERROR_STATE, "matmul (operation 0) was used by a backward");
    ck_assert_float_eq(grad_at(w, 0), 27);
    tread_tensor_destroy(w);
    tread_tape_destroy(tape);
}
END_TEST

START_TEST(two_graphs_of_one_step_serve_one_backward_each) {
    tread_tape *tape = tread_tape_create(NULL);
    tread_tensor *w = matrix(1, 1, 3);
    tread_tensor *one = tread_matmul(tape, w, w), *two = tread_matmul(tape, w, w);
    ck_assert_ok(tread_backward(tape, two));
    ck_assert_ok(tread_backward(tape, one));
    ck_assert_float_eq(grad_at(w, 0), 12);
    tread_tensor_destroy(w);
    tread_tape_destroy(tape);
}
END_TEST

START_TEST(backward_stops_at_detach_and_says_when_nothing_is_left) {
    tread_tape *tape = tread_tape_create(NULL);
    tread_tensor *w = matrix(1, 1, 3);
    tread_tensor *square = tread_matmul(tape, w, w);
    tread_tensor *constant = tread_detach(tape, square);
    ck_assert_ptr_eq(tread_tensor_data(constant), tread_tensor_data(square));
    ck_assert(!tread_tensor_requires_grad(constant));
    ck_assert_ok(tread_backward(tape, tread_matmul(tape, constant, w))); /* 9 w */
    ck_assert_float_eq(grad_at(w, 0), 9);
    tread_tape_reset(tape);
    ck_assert_fails(tread_backward(tape, tread_detach(tape, tread_matmul(tape, w, w))), TREAD_ERROR_STATE, "detached");
    tread_tape_reset(tape);
    ck_assert_fails(tread_backward(tape, w), TREAD_ERROR_STATE, "detached");
    ck_assert_float_eq(grad_at(w, 0), 9);
    tread_tensor_destroy(w);
    tread_tape_destroy(tape);
}
END_TEST

START_TEST(no_grad_regions_record_nothing) {
    tread_tape *tape = tread_tape_create(NULL);
    tread_tensor *w = matrix(1, 1, 3);
    bool before = tread_set_grad_enabled(false);
    tread_tensor *y = tread_matmul(tape, w, w);
    ck_assert(tread_set_grad_enabled(before) == false);
    ck_assert(!tread_tensor_requires_grad(y));
    ck_assert_double_eq(item(y), 9);
    ck_assert_fails(tread_backward(tape, y), TREAD_ERROR_STATE, "detached");
    tread_tensor_destroy(w);
    tread_tape_destroy(tape);
}
END_TEST

START_TEST(a_leaf_that_changed_is_refused) {
    tread_tape *tape = tread_tape_create(NULL);
    tread_tensor *w = matrix(1, 1, 3);
    tread_tensor *y = tread_matmul(tape, w, w);
    tread_tensor_touch(w); /* as an optimizer does */
    ck_assert_fails(tread_backward(tape, y), TREAD_ERROR_STATE, "input 0 of matmul (operation 0) was changed");
    ck_assert_ptr_null(tread_tensor_grad(w));
    tread_tensor_destroy(w);
    tread_tape_destroy(tape);
}
END_TEST

START_TEST(backward_takes_scalars_and_backward_from_the_rest) {
    tread_tape *tape = tread_tape_create(NULL);
    tread_tensor *w = matrix(2, 2, 1), *seed = matrix(2, 2, 0.5), *wrong = matrix(1, 2, 1);
    ck_assert_fails(tread_backward(tape, NULL), TREAD_ERROR_ARGUMENT, "NULL");
    tread_tape_reset(tape);
    ck_assert_fails(tread_backward(tape, tread_matmul(tape, w, w)), TREAD_ERROR_SHAPE, "(2, 2)");
    tread_tape_reset(tape);
    ck_assert_fails(tread_backward_from(tape, tread_matmul(tape, w, w), wrong), TREAD_ERROR_SHAPE, "(1, 2)");
    tread_tape_reset(tape);
    tread_tensor *y = tread_matmul(tape, w, w);
    ck_assert_ptr_null(tread_tape_grad(tape, y));
    ck_assert_ok(tread_backward_from(tape, y, seed));
    ck_assert_float_eq(grad_at(w, 3), 2); /* seed w^T + w^T seed, each 1 */
    ck_assert_float_eq(tread_tensor_float(tread_tape_grad(tape, y))[0], 0.5f);
    tread_tensor_destroy(w);
    tread_tensor_destroy(seed);
    tread_tensor_destroy(wrong);
    tread_tape_destroy(tape);
}
END_TEST

static void step(tread_tape *tape, tread_tensor *x, tread_tensor *w, tread_tensor *b, bool backward) {
    tread_tape_reset(tape);
    tread_tensor *y = tread_linear(tape, x, w, b, TREAD_ACTIVATION_GELU);
    tread_tensor *z = tread_linear(tape, y, w, b, TREAD_ACTIVATION_TANH);
    tread_tensor *loss = tread_matmul(tape, tread_linear(tape, z, w, NULL, TREAD_ACTIVATION_RELU), w);
    if (backward)
        ck_assert_ok(tread_backward_from(tape, loss, loss));
    ck_assert_ok(tread_tape_status(tape));
}

START_TEST(nothing_is_allocated_after_the_first_step_of_each_shape) {
    tread_tape *tape = tread_tape_create(NULL);
    tread_tensor *full = matrix(16, 5, 0.1), *last = matrix(3, 5, 0.1), *w = matrix(5, 5, 0.2);
    tread_tensor *b = leaf(1, (int64_t[]){5}, 0.1);
    uint64_t calls = 0;
    for (int round = 0; round < 4; round++) {
        step(tape, full, w, b, true);
        step(tape, full, w, b, true); /* adds to gradients: plans that too */
        step(tape, last, w, b, true);
        step(tape, last, w, b, true);
        bool before = tread_set_grad_enabled(false);
        step(tape, full, w, b, false);
        tread_set_grad_enabled(before);
        tread_tensor_zero_grad(w, round % 2 == 0);
        if (round == 0)
            calls = tread_memory_calls();
    }
    ck_assert_uint_eq(tread_memory_calls(), calls);
    tread_tensor_destroy(full);
    tread_tensor_destroy(last);
    tread_tensor_destroy(w);
    tread_tensor_destroy(b);
    tread_tape_destroy(tape);
}
END_TEST

/* Recording, planning and backward with the k-th allocation failing, for every k, then once more unharmed. */
START_TEST(any_allocation_may_fail) {
    tread_tensor *x = matrix(4, 5, 0.1), *w = matrix(5, 5, 0.2), *b = leaf(1, (int64_t[]){5}, 0.1);
    ck_assert_ok(tread_tensor_ensure_grad(x));
    ck_assert_ok(tread_tensor_ensure_grad(w));
    ck_assert_ok(tread_tensor_ensure_grad(b));
    uint64_t live = tread_memory_live_blocks();
    float expected = 0;
    bool more = true;
    for (uint64_t k = 1; more; k++) {
        tread_tensor_zero_grad(w, true);
        tread_tensor_zero_grad(x, true);
        tread_tensor_zero_grad(b, true);
        tread_memory_fail_at(k);
        tread_tape *tape = tread_tape_create(NULL);
        more = tread_memory_failed();
        for (int attempt = 0; tape != NULL && attempt < 2; attempt++) {
            tread_tape_reset(tape);
            tread_tensor *y = tread_linear(tape, x, w, b, TREAD_ACTIVATION_GELU);
            tread_tensor *loss = tread_matmul(tape, tread_linear(tape, y, w, b, TREAD_ACTIVATION_TANH), w);
            tread_status status = loss != NULL ? tread_backward_from(tape, loss, loss) : tread_tape_status(tape);
            more = tread_memory_failed();
            if (status == TREAD_OK)
                break;
            ck_assert_int_eq(status, TREAD_ERROR_MEMORY);
            ck_assert_int_eq(attempt, 0);
            ck_assert_ptr_null(tread_tensor_grad(w));
        }
        tread_memory_fail_at(0);
        if (tape != NULL) {
            if (expected == 0)
                expected = grad_at(w, 0);
            ck_assert_float_eq(grad_at(w, 0), expected);
        }
        tread_tape_destroy(tape);
        ck_assert_uint_eq(tread_memory_live_blocks(), live);
    }
    tread_tensor_destroy(x);
    tread_tensor_destroy(w);
    tread_tensor_destroy(b);
}
END_TEST

START_TEST(the_graph_can_be_drawn) {
    tread_tape *tape = tread_tape_create(NULL);
    tread_tensor *w = matrix(2, 2, 1);
    tread_matmul(tape, tread_detach(tape, tread_matmul(tape, w, w)), w);
    char text[4096] = "";
    FILE *file = fmemopen(text, sizeof text, "w");
    ck_assert_ok(tread_tape_write_dot(tape, file));
    fclose(file);
    ck_assert_ptr_nonnull(strstr(text, "digraph tape {"));
    ck_assert_ptr_nonnull(strstr(text, "n0 [label=\"matmul\\n(2, 2)\"]"));
    ck_assert_ptr_nonnull(strstr(text, "n1 [label=\"detach"));
    ck_assert_ptr_nonnull(strstr(text, "n1 -> n2 [style=dashed];"));
    char *box = strstr(text, "leaf\\nfloat32 (2, 2)");
    ck_assert_ptr_nonnull(box);
    ck_assert_ptr_null(strstr(box + 1, "leaf"));
    FILE *full = fopen("/dev/full", "w");
    ck_assert_fails(tread_tape_write_dot(tape, full), TREAD_ERROR_IO, "No space left");
    fclose(full);
    tread_tensor_destroy(w);
    tread_tape_destroy(tape);
}
END_TEST

TEST_MAIN("tape", a_tensor_of_an_older_step_is_refused_for_seven_steps, the_first_error_stays_until_reset,
          tensors_of_another_tape_are_refused, gradients_add_over_uses_and_over_backwards, a_graph_serves_one_backward,
          two_graphs_of_one_step_serve_one_backward_each, backward_stops_at_detach_and_says_when_nothing_is_left,
          no_grad_regions_record_nothing, a_leaf_that_changed_is_refused,
          backward_takes_scalars_and_backward_from_the_rest, nothing_is_allocated_after_the_first_step_of_each_shape,
          any_allocation_may_fail, the_graph_can_be_drawn)
