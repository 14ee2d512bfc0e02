#include <math.h>
#include <stdio.h>
#include <string.h>
#include <tread/ops.h>
#include <tread/sparse_grad.h>

#include "core/memory.h"
#include "core/tensor.h"
#include "tests/test.h"

enum { ROWS = 40, WIDTH = 70, BAGS = 30, LENGTH = 20, PADDING = 3 };

static float number(uint32_t *state) {
    *state = *state * 1664525u + 1013904223u;
    return (float)(*state >> 8) / 8388608.0f - 1;
}

static tread_tensor *table(int64_t rows, int64_t width) {
    tread_tensor *x = tread_tensor_create(TREAD_FLOAT32, 2, (int64_t[]){rows, width});
    uint32_t state = 5;
    for (int64_t i = 0; i < rows * width; i++)
        tread_tensor_float(x)[i] = number(&state);
    ck_assert_ok(tread_tensor_set_requires_grad(x, true));
    return x;
}

static tread_tensor *indices_of(int64_t bags, int64_t length, int64_t rows, uint32_t state) {
    tread_tensor *x = tread_tensor_create(TREAD_INT32, 2, (int64_t[]){bags, length});
    for (int64_t i = 0; i < bags * length; i++) {
        number(&state);
        ((int32_t *)tread_tensor_data(x))[i] = (int32_t)((state >> 9) % (uint32_t)rows);
    }
    return x;
}

static tread_context *with_threads(int threads) {
    tread_context_options options = tread_context_defaults();
    options.threads = threads;
    return tread_context_create(&options);
}

/* A scalar that depends on every element of y in a way of its own. */
static tread_tensor *loss_of(tread_tape *tape, tread_tensor *y) { return tread_mean(tape, tread_square(tape, y)); }

/* mode -1: embedding. */
static tread_tensor *pick(tread_tape *tape, tread_tensor *w, tread_tensor *indices, int mode, bool sparse) {
    tread_embedding_options one = tread_embedding_defaults();
    tread_embedding_bag_options bag = tread_embedding_bag_defaults();
    one.padding_idx = bag.padding_idx = PADDING;
    one.sparse = bag.sparse = sparse;
    bag.mode = (tread_bag_mode)mode;
    return mode < 0 ? tread_embedding(tape, w, indices, &one) : tread_embedding_bag(tape, w, indices, NULL, &bag);
}

static void backward(tread_tape *tape, tread_tensor *loss) {
    ck_assert_msg(loss != NULL, "%s", tread_tape_error(tape));
    ck_assert_ok(tread_backward(tape, loss));
}

static void check_same_gradient(tread_tensor *sparse, tread_tensor *dense) {
    ck_assert(tread_tensor_grad_is_sparse(sparse) && !tread_tensor_grad_is_sparse(dense));
    ck_assert_ok(tread_tensor_densify_grad(sparse));
    ck_assert_mem_eq(tread_tensor_float(tread_tensor_grad(sparse)), tread_tensor_float(tread_tensor_grad(dense)),
                     (size_t)tread_tensor_count(dense) * sizeof(float));
}

START_TEST(sparse_gradients_are_the_dense_ones_bit_for_bit) {
    for (int threads = 1; threads <= 8; threads += threads < 3 ? 1 : 5)
        for (int mode = -1; mode <= TREAD_BAG_MAX; mode++) {
            tread_context *context = with_threads(threads);
            tread_tape *tape = tread_tape_create(context);
            tread_tensor *w[2] = {table(ROWS, WIDTH), table(ROWS, WIDTH)};
            tread_tensor *first = indices_of(BAGS, LENGTH, ROWS, 1), *second = indices_of(BAGS, LENGTH, ROWS, 2);
            for (int sparse = 0; sparse < 2; sparse++)
                for (int step = 0; step < 2; step++) { /* two backwards, and two uses in each */
                    tread_tape_reset(tape);
                    tread_tensor *a = pick(tape, w[sparse], first, mode, sparse == 1);
                    tread_tensor *b = pick(tape, w[sparse], step == 0 ? second : first, mode, sparse == 1);
                    backward(tape, loss_of(tape, tread_mul(tape, a, b)));
                }
            tread_sparse_rows rows;
            ck_assert_ok(tread_tensor_sparse_grad(w[1], &rows));
            ck_assert_int_eq(rows.n, ROWS - 1); /* 2400 places name every row, and padding has no gradient */
            check_same_gradient(w[1], w[0]);
            const float *grad = tread_tensor_float(tread_tensor_grad(w[0]));
            for (int k = 0; k < WIDTH; k++)
                ck_assert(grad[PADDING * WIDTH + k] == 0 && (grad[k] != 0 || mode == TREAD_BAG_MAX));
            tread_tensor *const all[] = {w[0], w[1], first, second};
            tread_tape_destroy(tape);
            for (int i = 0; i < 4; i++)
                tread_tensor_destroy(all[i]);
            tread_context_destroy(context);
        }
}
END_TEST

START_TEST(only_named_rows_are_in_a_sparse_gradient) {
    tread_tape *tape = tread_tape_create(NULL);
    tread_tensor *w = table(6, 2), *indices = tread_tensor_create(TREAD_INT32, 2, (int64_t[]){2, 3});
    memcpy(tread_tensor_data(indices), (int32_t[]){5, 3, 1, 5, 5, 3}, 24);
    tread_tensor *y = pick(tape, w, indices, TREAD_BAG_SUM, true);
    backward(tape, tread_sum(tape, y));
    tread_sparse_rows rows;
    ck_assert_ok(tread_tensor_sparse_grad(w, &rows));
    ck_assert_int_eq(rows.n, 2);
    ck_assert(rows.indices[0] == 1 && rows.indices[1] == 5);
    ck_assert_mem_eq(rows.rows, ((float[]){1, 1, 3, 3}), 16);
    /* Padding alone: a gradient, of no rows. */
    tread_tensor_zero_grad(w, true);
    memcpy(tread_tensor_data(indices), (int32_t[]){3, 3, 3, 3, 3, 3}, 24);
    tread_tape_reset(tape);
    y = pick(tape, w, indices, TREAD_BAG_MEAN, true);
    for (int i = 0; i < 4; i++)
        ck_assert(tread_tensor_float(y)[i] == 0);
    backward(tape, tread_sum(tape, y));
    ck_assert_ok(tread_tensor_sparse_grad(w, &rows));
    ck_assert_int_eq(rows.n, 0);
    /* So do bags of nothing. */
    tread_tensor *nothing = tread_tensor_create(TREAD_INT32, 2, (int64_t[]){2, 0});
    tread_tensor *fresh = table(6, 2);
    tread_tape_reset(tape);
    backward(tape, tread_sum(tape, pick(tape, fresh, nothing, TREAD_BAG_MEAN, true)));
    ck_assert_ok(tread_tensor_sparse_grad(fresh, &rows));
    ck_assert_int_eq(rows.n, 0);
    tread_tensor_destroy(nothing);
    tread_tensor_destroy(fresh);
    /* embedding gives the padding row, and no gradient to it. */
    tread_tape_reset(tape);
    y = pick(tape, w, indices, -1, true);
    ck_assert_mem_eq(tread_tensor_float(y), tread_tensor_float(w) + 2 * PADDING, 8);
    backward(tape, tread_sum(tape, y));
    ck_assert_ok(tread_tensor_sparse_grad(w, &rows));
    ck_assert_int_eq(rows.n, 0);
    tread_tape_destroy(tape);
    tread_tensor_destroy(w);
    tread_tensor_destroy(indices);
}
END_TEST

/* Tied weights: the table is a linear layer's weight too, before or after it in the graph. */
static tread_tensor *tied(tread_tape *tape, tread_tensor *w, tread_tensor *indices, bool sparse, bool table_first) {
    tread_tensor *x = tread_tensor_create(TREAD_FLOAT32, 2, (int64_t[]){2, WIDTH});
    ck_assert_ok(tread_tensor_fill(x, 0.5));
    tread_tensor *a = NULL, *b;
    if (table_first)
        a = pick(tape, w, indices, TREAD_BAG_SUM, sparse);
    b = tread_linear(tape, x, w, NULL, TREAD_ACTIVATION_NONE);
    if (!table_first)
        a = pick(tape, w, indices, TREAD_BAG_SUM, sparse);
    tread_tensor *loss = tread_add(tape, loss_of(tape, a), loss_of(tape, b));
    backward(tape, loss);
    tread_tensor_destroy(x);
    return w;
}

START_TEST(with_a_dense_gradient_it_becomes_dense) {
    float rows_of_ones[WIDTH];
    for (int k = 0; k < WIDTH; k++)
        rows_of_ones[k] = 1;
    for (int table_first = 0; table_first < 2; table_first++) {
        tread_tape *tape = tread_tape_create(NULL);
        tread_tensor *dense = table(ROWS, WIDTH), *sparse = table(ROWS, WIDTH);
        tread_tensor *indices = indices_of(BAGS, 4, 9, 1);
        for (int step = 0; step < 3; step++) { /* on none, on a dense one, on zeros */
            if (step == 2) {
                tread_tensor_zero_grad(dense, false);
                tread_tensor_zero_grad(sparse, false);
            }
            tread_tape_reset(tape);
            tied(tape, dense, indices, false, table_first == 1);
            tread_tape_reset(tape);
            tied(tape, sparse, indices, true, table_first == 1);
            ck_assert(!tread_tensor_grad_is_sparse(sparse));
            ck_assert_mem_eq(tread_tensor_float(tread_tensor_grad(sparse)),
                             tread_tensor_float(tread_tensor_grad(dense)), sizeof(float) * ROWS * WIDTH);
        }
        /* Zeros are a dense gradient; so what comes alone is added to them as one. */
        tread_tensor_zero_grad(sparse, false);
        tread_tape_reset(tape);
        backward(tape, loss_of(tape, pick(tape, sparse, indices, TREAD_BAG_SUM, true)));
        ck_assert(!tread_tensor_grad_is_sparse(sparse));
        ck_assert(tread_tensor_float(tread_tensor_grad(sparse))[20 * WIDTH] == 0);
        /* A sparse one of no rows stays sparse. */
        tread_tensor_zero_grad(sparse, true);
        for (int step = 0; step < 2; step++) {
            tread_tape_reset(tape);
            backward(tape, loss_of(tape, pick(tape, sparse, indices, TREAD_BAG_SUM, true)));
            ck_assert(tread_tensor_grad_is_sparse(sparse));
            tread_tensor_zero_grad(sparse, false);
            ck_assert(tread_tensor_grad_is_sparse(sparse));
        }
        /* What an earlier backward left as rows is kept by a dense one. */
        ck_assert_ok(tread_tensor_set_sparse_grad(sparse, 1, (int32_t[]){2}, rows_of_ones));
        tread_tape_reset(tape);
        backward(tape, tread_sum(tape, tread_transpose(tape, sparse, 0, 1)));
        for (int i = 0; i < ROWS * WIDTH; i++)
            ck_assert(tread_tensor_float(tread_tensor_grad(sparse))[i] == (i / WIDTH == 2 ? 2 : 1));
        tread_tape_destroy(tape);
        tread_tensor *const all[] = {dense, sparse, indices};
        for (int i = 0; i < 3; i++)
            tread_tensor_destroy(all[i]);
    }
}
END_TEST

START_TEST(a_computed_table_gets_a_dense_gradient) {
    tread_tape *tape = tread_tape_create(NULL);
    tread_tensor *w[2] = {table(ROWS, WIDTH), table(ROWS, WIDTH)}, *indices = indices_of(BAGS, LENGTH, ROWS, 1);
    for (int sparse = 0; sparse < 2; sparse++) {
        tread_tape_reset(tape);
        backward(tape, loss_of(tape, pick(tape, tread_tanh(tape, w[sparse]), indices, TREAD_BAG_MEAN, sparse == 1)));
        ck_assert(!tread_tensor_grad_is_sparse(w[sparse]));
    }
    ck_assert_mem_eq(tread_tensor_float(tread_tensor_grad(w[0])), tread_tensor_float(tread_tensor_grad(w[1])),
                     sizeof(float) * ROWS * WIDTH);
    tread_tape_destroy(tape);
    tread_tensor *const all[] = {w[0], w[1], indices};
    for (int i = 0; i < 3; i++)
        tread_tensor_destroy(all[i]);
}
END_TEST

START_TEST(a_bad_index_is_found_before_anything_is_written) {
    tread_tape *tape = tread_tape_create(NULL);
    tread_tensor *w = table(ROWS, 2), *indices = indices_of(3, 4, ROWS, 1);
    int32_t *at = tread_tensor_data(indices);
    for (int sparse = 0; sparse < 2; sparse++)
        for (int mode = -1; mode <= TREAD_BAG_MAX; mode++) {
            tread_tape_reset(tape);
            tread_tensor *y = pick(tape, w, indices, mode, sparse == 1);
            const float *values = tread_tensor_float(y);
            float before[24];
            memcpy(before, values, (size_t)tread_tensor_count(y) * sizeof(float));
            const size_t bytes = (size_t)tread_tensor_count(y) * sizeof(float);
            const int32_t good = at[11], first = at[0];
            at[0] = (first + 1) % ROWS; /* what would be written first is new */
            at[11] = ROWS;
            tread_tape_reset(tape);
            ck_assert_ptr_null(pick(tape, w, indices, mode, sparse == 1));
            ck_assert_int_eq(tread_tape_status(tape), TREAD_ERROR_ARGUMENT);
            ck_assert_ptr_nonnull(strstr(tread_tape_error(tape), "index 40 at (2, 3) is outside [0, 40)"));
            ck_assert_mem_eq(values, before, bytes);
            at[0] = first;
            at[11] = good;
        }
    ck_assert_ptr_null(tread_tensor_grad(w));
    tread_tape_destroy(tape);
    tread_tensor_destroy(w);
    tread_tensor_destroy(indices);
}
END_TEST

START_TEST(backward_goes_by_the_indices_of_forward) {
    tread_tape *tape = tread_tape_create(NULL);
    tread_tensor *w = table(6, 1), *indices = tread_tensor_create(TREAD_INT32, 2, (int64_t[]){1, 2});
    for (int mode = -1; mode <= TREAD_BAG_MAX; mode++) {
        int32_t *at = tread_tensor_data(indices);
        at[0] = at[1] = 2;
        tread_tensor_zero_grad(w, true);
        tread_tape_reset(tape);
        tread_tensor *y = pick(tape, w, indices, mode, true);
        at[0] = 1000000; /* against the rules, and not a way to write anywhere */
        backward(tape, tread_sum(tape, y));
        tread_sparse_rows rows;
        ck_assert_ok(tread_tensor_sparse_grad(w, &rows));
        ck_assert(rows.n == 1 && rows.indices[0] == 2 && rows.rows[0] == (mode <= TREAD_BAG_SUM ? 2 : 1));
    }
    tread_tape_destroy(tape);
    tread_tensor_destroy(w);
    tread_tensor_destroy(indices);
}
END_TEST

START_TEST(later_steps_allocate_nothing_however_many_rows_they_name) {
    tread_tape *tape = tread_tape_create(NULL);
    tread_tensor *w = table(ROWS, WIDTH), *few = indices_of(BAGS, LENGTH, 1, 1),
                 *many = indices_of(BAGS, LENGTH, ROWS, 2);
    uint64_t calls = 0;
    for (int step = 0; step < 4; step++) {
        calls = step == 1 ? tread_memory_calls() : calls;
        tread_tape_reset(tape);
        backward(tape, loss_of(tape, pick(tape, w, step == 0 ? few : many, TREAD_BAG_MEAN, true)));
        tread_sparse_rows rows;
        ck_assert_ok(tread_tensor_sparse_grad(w, &rows));
        ck_assert_int_eq(rows.n, step == 0 ? 1 : ROWS - 1);
        tread_tensor_zero_grad(w, step == 2);
    }
    ck_assert_uint_eq(tread_memory_calls(), calls);
    tread_tape_destroy(tape);
    tread_tensor *const all[] = {w, few, many};
    for (int i = 0; i < 3; i++)
        tread_tensor_destroy(all[i]);
}
END_TEST

/* Adds one backward to whatever gradient w has, with the k-th allocation failing; false if it failed. */
static bool add_failing(tread_tensor *w, tread_tensor *indices, uint64_t k) {
    tread_memory_fail_at(k);
    tread_tape *tape = tread_tape_create(NULL);
    bool done = tape != NULL;
    if (done) {
        /* Room is made for two uses, and may be missing for the second. */
        tread_tensor *a = pick(tape, w, indices, TREAD_BAG_MEAN, true), *b = pick(tape, w, indices, -1, true);
        tread_tensor *loss = tread_add(tape, tread_sum(tape, a), tread_sum(tape, b));
        done = loss != NULL && tread_backward(tape, loss) == TREAD_OK;
    }
    const bool failed = tread_memory_failed();
    tread_memory_fail_at(0);
    tread_tape_destroy(tape);
    ck_assert(done != failed);
    return done;
}

START_TEST(every_failing_allocation_leaves_the_gradient_as_it_was) {
    const uint64_t live = tread_memory_live_blocks();
    bool done = false;
    uint64_t k = 1;
    for (; !done; k++) {
        tread_tensor *w = table(5, 2), *indices = indices_of(2, 6, 3, 1);
        ck_assert_ok(tread_tensor_set_sparse_grad(w, 2, (int32_t[]){4, 0}, (float[]){1, 2, 3, 4}));
        done = add_failing(w, indices, k);
        tread_sparse_rows rows;
        ck_assert_ok(tread_tensor_sparse_grad(w, &rows));
        ck_assert(rows.n == (done ? 4 : 2) && rows.indices[rows.n - 1] == 4 && rows.rows[2 * rows.n - 1] == 2);
        tread_tensor_destroy(w);
        tread_tensor_destroy(indices);
        ck_assert_uint_eq(tread_memory_live_blocks(), live);
    }
    ck_assert_uint_gt(k, 10);
}
END_TEST

START_TEST(traces_and_graphs_name_them) {
    static char text[65536];
    char path[] = P_tmpdir "/tread-embedding-XXXXXX";
    FILE *file = fdopen(mkstemp(path), "r+");
    tread_context_options options = tread_context_defaults();
    options.trace = path;
    tread_context *context = tread_context_create(&options);
    tread_tape *tape = tread_tape_create(context);
    tread_tensor *w = table(ROWS, WIDTH), *indices = indices_of(BAGS, LENGTH, ROWS, 1);
    tread_tensor *a = pick(tape, w, indices, -1, true), *b = pick(tape, w, indices, TREAD_BAG_MAX, true);
    backward(tape, tread_add(tape, tread_sum(tape, a), tread_sum(tape, b)));
    FILE *graph = tmpfile();
    ck_assert_ok(tread_tape_write_dot(tape, graph));
    rewind(graph);
    text[fread(text, 1, sizeof text - 1, graph)] = '\0';
    ck_assert_ptr_nonnull(strstr(text, "label=\"embedding\\n(30, 20, 70)\""));
    ck_assert_ptr_nonnull(strstr(text, "label=\"embedding_bag\\n(30, 70)\""));
    ck_assert_ptr_nonnull(strstr(text, "constant\\nint32 (30, 20)"));
    fclose(graph);
    tread_tape_destroy(tape);
    tread_context_destroy(context); /* writes the trace */
    text[fread(text, 1, sizeof text - 1, file)] = '\0';
    static const char *const lines[] = {"embedding      forward", "embedding      backward", "embedding_bag  forward",
                                        "embedding_bag  backward"};
    for (int i = 0; i < 4; i++)
        ck_assert_msg(strstr(text, lines[i]) != NULL, "\"%s\" is not in\n%s", lines[i], text);
    fclose(file);
    remove(path);
    tread_tensor_destroy(w);
    tread_tensor_destroy(indices);
}
END_TEST

START_TEST(the_largest_is_the_first_of_equals_and_any_nan) {
    tread_tape *tape = tread_tape_create(NULL);
    tread_tensor *w = table(5, 1), *indices = tread_tensor_create(TREAD_INT32, 2, (int64_t[]){2, 3});
    memcpy(tread_tensor_data(w), (float[]){1, 7, 7, -1, NAN}, 20);
    memcpy(tread_tensor_data(indices), (int32_t[]){0, 2, 1, 2, 4, 1}, 24);
    tread_embedding_bag_options options = tread_embedding_bag_defaults();
    options.mode = TREAD_BAG_MAX;
    tread_tensor *y = tread_embedding_bag(tape, w, indices, NULL, &options);
    ck_assert(tread_tensor_float(y)[0] == 7 && isnan(tread_tensor_float(y)[1]));
    backward(tape, tread_sum(tape, y));
    ck_assert_mem_eq(tread_tensor_float(tread_tensor_grad(w)), ((float[]){0, 0, 1, 0, 1}), 20);
    tread_tape_destroy(tape);
    tread_tensor_destroy(w);
    tread_tensor_destroy(indices);
}
END_TEST

TEST_MAIN("embedding", sparse_gradients_are_the_dense_ones_bit_for_bit, only_named_rows_are_in_a_sparse_gradient,
          with_a_dense_gradient_it_becomes_dense, a_computed_table_gets_a_dense_gradient,
          a_bad_index_is_found_before_anything_is_written, backward_goes_by_the_indices_of_forward,
          later_steps_allocate_nothing_however_many_rows_they_name,
          every_failing_allocation_leaves_the_gradient_as_it_was, traces_and_graphs_name_them,
          the_largest_is_the_first_of_equals_and_any_nan)
