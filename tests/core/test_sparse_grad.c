#include "core/sparse_grad.h"

#include <string.h>
#include <tread/sparse_grad.h>

#include "core/isa.h"
#include "core/memory.h"
#include "core/row_groups.h"
#include "tests/test.h"

static tread_tensor *leaf(int64_t rows, int64_t width) {
    tread_tensor *x = tread_tensor_create(TREAD_FLOAT32, 2, (int64_t[]){rows, width});
    ck_assert_ok(tread_tensor_set_requires_grad(x, true));
    return x;
}

/* A simple stream of numbers, so that sums round. */
static float number(uint32_t *state) {
    *state = *state * 1664525u + 1013904223u;
    return (float)(*state >> 8) / 1048576.0f - 8;
}

static void fill(int64_t n, int64_t n_rows, int64_t width, int32_t *indices, float *rows) {
    uint32_t state = 7;
    for (int64_t i = 0; i < n; i++) {
        number(&state);
        indices[i] = (int32_t)(state >> 9) % (int32_t)n_rows;
    }
    for (int64_t i = 0; i < n * width; i++)
        rows[i] = number(&state);
}

START_TEST(entries_of_one_row_are_summed_as_they_came) {
    tread_tensor *x = leaf(5, 2);
    /* In float32, 1e8 + 1 - 1e8 is 0 and 1e8 - 1e8 + 1 is 1. */
    const int32_t indices[] = {4, 1, 4, 1, 4, 1, 0};
    const float rows[] = {1e8f, 5, 1e8f, 0, 1, 6, -1e8f, 0, -1e8f, 7, 1, 0, 9, 10};
    ck_assert(!tread_tensor_grad_is_sparse(x));
    ck_assert_ok(tread_tensor_set_sparse_grad(x, 7, indices, rows));
    ck_assert(tread_tensor_grad_is_sparse(x));
    tread_sparse_rows got;
    ck_assert_ok(tread_tensor_sparse_grad(x, &got));
    ck_assert_int_eq(got.n, 3);
    ck_assert_int_eq(got.width, 2);
    ck_assert_mem_eq(got.indices, ((int32_t[]){0, 1, 4}), 3 * sizeof(int32_t));
    ck_assert_mem_eq(got.rows, ((float[]){9, 10, 1, 0, 0, 18}), 6 * sizeof(float));
    /* What it gives may be what it gets. */
    ck_assert_ok(tread_tensor_set_sparse_grad(x, 2, got.indices + 1, got.rows + 2));
    ck_assert_ok(tread_tensor_sparse_grad(x, &got));
    ck_assert_int_eq(got.n, 2);
    ck_assert_mem_eq(got.rows, ((float[]){1, 0, 0, 18}), 4 * sizeof(float));
    tread_tensor_destroy(x);
}
END_TEST

START_TEST(sums_equal_a_plain_loop_with_any_threads_and_instruction_set) {
    enum { N = 3000, ROWS = 70001, FEW = 90, WIDTH = 67 };
    int32_t *indices = calloc(N, sizeof *indices);
    float *rows = calloc((size_t)N * WIDTH, sizeof *rows), *expected = calloc((size_t)ROWS * WIDTH, sizeof *expected);
    bool *seen = calloc(ROWS, sizeof *seen);
    fill(N, FEW, WIDTH, indices, rows);
    for (int i = 0; i < N; i++) /* three digits of an index are sorted by */
        indices[i] = indices[i] * 777 + (i % 2);
    for (int i = 0; i < N; i++) {
        for (int k = 0; k < WIDTH; k++)
            expected[indices[i] * WIDTH + k] =
                seen[indices[i]] ? expected[indices[i] * WIDTH + k] + rows[i * WIDTH + k] : rows[i * WIDTH + k];
        seen[indices[i]] = true;
    }
    const tread_isa before = tread_isa_chosen();
    static const int threads[] = {1, 2, 3, 8};
    for (int t = 0; t < 4; t++)
        for (int isa = 0; isa <= (int)tread_isa_best(); isa++) {
            tread_isa_use((tread_isa)isa);
            tread_context_options options = tread_context_defaults();
            options.threads = threads[t];
            tread_context *context = tread_context_create(&options);
            tread_tensor *x = leaf(ROWS, WIDTH);
            ck_assert_ok(tread_tensor_set_sparse_grad(x, N, indices, rows));
            const tread_sparse_grad *got = tread_sparse_grad_rows(context, x);
            int64_t n_seen = 0;
            for (int r = 0; r < ROWS; r++)
                n_seen += seen[r];
            ck_assert_int_eq(got->n_rows, n_seen);
            for (int64_t i = 0; i < got->n_rows; i++) {
                ck_assert(seen[got->indices[i]] && (i == 0 || got->indices[i - 1] < got->indices[i]));
                ck_assert_mem_eq(got->rows + i * WIDTH, expected + got->indices[i] * WIDTH, WIDTH * sizeof(float));
            }
            tread_tensor_destroy(x);
            tread_context_destroy(context);
        }
    tread_isa_use(before);
    free(indices);
    free(rows);
    free(expected);
    free(seen);
}
END_TEST

START_TEST(groups_pass_over_one_row) {
    const int32_t indices[] = {3, 2, 3, 0, 2, 2};
    void *memory = tread_alloc(tread_row_groups_bytes(6), "a test");
    tread_row_groups groups;
    tread_row_groups_find(6, indices, 4, 3, memory, &groups);
    ck_assert_int_eq(groups.count, 2);
    ck_assert_int_eq(groups.n_entries, 4);
    ck_assert_mem_eq(groups.rows, ((int32_t[]){0, 2}), 8);
    ck_assert_mem_eq(groups.starts, ((int32_t[]){0, 1, 4}), 12);
    ck_assert_mem_eq(groups.order, ((int32_t[]){3, 1, 4, 5}), 16);
    tread_row_groups_find(0, NULL, 1, -1, memory, &groups);
    ck_assert(groups.count == 0 && groups.n_entries == 0 && groups.starts[0] == 0);
    tread_free(memory);
}
END_TEST

START_TEST(zeroing_leaves_no_rows_or_no_gradient) {
    tread_tensor *x = leaf(4, 1);
    tread_sparse_rows got;
    ck_assert_fails(tread_tensor_sparse_grad(x, &got), TREAD_ERROR_STATE, "no gradient");
    ck_assert_ok(tread_tensor_set_sparse_grad(x, 2, (int32_t[]){3, 1}, (float[]){30, 10}));
    tread_tensor_zero_grad(x, false);
    ck_assert(tread_tensor_grad_is_sparse(x));
    ck_assert_ok(tread_tensor_sparse_grad(x, &got));
    ck_assert_int_eq(got.n, 0);
    tread_sparse_grad_reserve(x, 1, "a test");
    tread_sparse_grad_append(x, 1, (int32_t[]){2}, (float[]){20});
    tread_tensor_zero_grad(x, true);
    ck_assert(!tread_tensor_grad_is_sparse(x));
    ck_assert_fails(tread_tensor_sparse_grad(x, &got), TREAD_ERROR_STATE, "no gradient");
    /* The next gradient knows nothing of the last one. */
    ck_assert_ok(tread_sparse_grad_reserve(x, 1, "a test"));
    tread_sparse_grad_append(x, 1, (int32_t[]){0}, (float[]){5});
    ck_assert_ok(tread_tensor_sparse_grad(x, &got));
    ck_assert(got.n == 1 && got.indices[0] == 0 && got.rows[0] == 5);
    ck_assert_ok(tread_tensor_set_requires_grad(x, false));
    ck_assert(!tread_tensor_grad_is_sparse(x));
    tread_tensor_destroy(x);
}
END_TEST

START_TEST(a_sparse_gradient_becomes_dense_on_demand_only) {
    tread_tensor *x = leaf(3, 2);
    ck_assert_ok(tread_tensor_densify_grad(x)); /* none stays none */
    ck_assert_ptr_null(tread_tensor_grad(x));
    ck_assert_ok(tread_tensor_set_sparse_grad(x, 3, (int32_t[]){2, 0, 2}, (float[]){1, 2, 3, 4, 5, 6}));
    ck_assert_ptr_null(tread_tensor_grad(x));
    ck_assert_ptr_nonnull(strstr(tread_last_error(), "sparse"));
    ck_assert(tread_tensor_grad_is_sparse(x));
    ck_assert_ok(tread_tensor_densify_grad(x));
    ck_assert(!tread_tensor_grad_is_sparse(x));
    ck_assert_mem_eq(tread_tensor_float(tread_tensor_grad(x)), ((float[]){3, 4, 0, 0, 6, 8}), 24);
    tread_sparse_rows got;
    ck_assert_fails(tread_tensor_sparse_grad(x, &got), TREAD_ERROR_STATE, "dense");
    tread_tensor *dense = tread_tensor_create(TREAD_FLOAT32, 2, (int64_t[]){3, 2});
    ck_assert_ok(tread_tensor_set_sparse_grad(x, 1, (int32_t[]){1}, (float[]){1, 1}));
    ck_assert_ok(tread_tensor_set_grad(x, dense));
    ck_assert(!tread_tensor_grad_is_sparse(x) && tread_tensor_grad(x) != NULL);
    ck_assert_ok(tread_tensor_set_sparse_grad(x, 0, NULL, NULL));
    ck_assert(tread_tensor_grad_is_sparse(x));
    ck_assert_ok(tread_tensor_set_grad(x, NULL));
    ck_assert_ptr_null(tread_tensor_grad(x));
    tread_tensor_destroy(dense);
    tread_tensor_destroy(x);
}
END_TEST

START_TEST(what_cannot_be_is_refused_and_nothing_changes) {
    tread_tensor *x = leaf(3, 2), *flat = tread_tensor_create(TREAD_FLOAT32, 1, (int64_t[]){3}),
                 *wide = tread_tensor_create(TREAD_FLOAT64, 2, (int64_t[]){3, 2});
    const float rows[] = {1, 2, 3, 4};
    ck_assert_ok(tread_tensor_set_sparse_grad(x, 1, (int32_t[]){1}, rows));
    ck_assert_fails(tread_tensor_set_sparse_grad(x, 2, (int32_t[]){0, 3}, rows), TREAD_ERROR_ARGUMENT,
                    "index 3 of entry 1 is outside [0, 3)");
    ck_assert_fails(tread_tensor_set_sparse_grad(x, 2, (int32_t[]){-1, 0}, rows), TREAD_ERROR_ARGUMENT,
                    "index -1 of entry 0");
    ck_assert_fails(tread_tensor_set_sparse_grad(x, -1, NULL, NULL), TREAD_ERROR_ARGUMENT,
                    "set_sparse_grad: n = -1 is negative");
    ck_assert_fails(tread_tensor_set_sparse_grad(x, 1, NULL, rows), TREAD_ERROR_ARGUMENT,
                    "set_sparse_grad: indices is NULL, and there are 1 entries");
    ck_assert_fails(tread_tensor_set_sparse_grad(x, 1, (int32_t[]){0}, NULL), TREAD_ERROR_ARGUMENT, "rows is NULL");
    tread_sparse_rows got;
    ck_assert_ok(tread_tensor_sparse_grad(x, &got));
    ck_assert(got.n == 1 && got.indices[0] == 1 && got.rows[1] == 2);
    ck_assert_fails(tread_tensor_set_sparse_grad(flat, 0, NULL, NULL), TREAD_ERROR_STATE, "no leaf");
    ck_assert_ok(tread_tensor_set_requires_grad(flat, true));
    ck_assert_ok(tread_tensor_set_requires_grad(wide, true));
    ck_assert_fails(tread_tensor_set_sparse_grad(flat, 0, NULL, NULL), TREAD_ERROR_SHAPE, "(3)");
    ck_assert_fails(tread_tensor_set_sparse_grad(wide, 0, NULL, NULL), TREAD_ERROR_DTYPE, "float64");
    ck_assert_fails(tread_tensor_set_sparse_grad(NULL, 0, NULL, NULL), TREAD_ERROR_ARGUMENT, "NULL");
    ck_assert_fails(tread_tensor_sparse_grad(x, NULL), TREAD_ERROR_ARGUMENT, "NULL");
    ck_assert_fails(tread_tensor_densify_grad(NULL), TREAD_ERROR_ARGUMENT, "NULL");
    ck_assert(!tread_tensor_grad_is_sparse(NULL));
    tread_tensor *const all[] = {x, flat, wide};
    for (int i = 0; i < 3; i++)
        tread_tensor_destroy(all[i]);
}
END_TEST

START_TEST(a_block_of_parameters_keeps_it_and_frees_it) {
    const uint64_t live = tread_memory_live_blocks();
    tread_parameter *p = tread_parameter_create("table", 2, (int64_t[]){4, 2});
    tread_tensor *x = tread_parameter_tensor(p);
    ck_assert_ok(tread_tensor_set_sparse_grad(x, 2, (int32_t[]){3, 3}, (float[]){1, 2, 3, 4}));
    tread_parameter_block block;
    ck_assert_ok(tread_parameter_block_create(&p, 1, &block));
    tread_sparse_rows got;
    ck_assert_ok(tread_tensor_sparse_grad(x, &got));
    ck_assert(got.n == 1 && got.indices[0] == 3 && got.rows[0] == 4 && got.rows[1] == 6);
    tread_parameter_block_destroy(&block);
    ck_assert_uint_eq(tread_memory_live_blocks(), live);
}
END_TEST

/* Two backwards' worth; false at the first failure, with everything as before it. */
static bool append_twice(tread_tensor *x) {
    for (int round = 0; round < 2; round++) {
        const int64_t before = tread_tensor_grad_is_sparse(x) ? x->sparse->n_rows : -1;
        if (tread_sparse_grad_reserve(x, 3, "a test") != TREAD_OK) {
            ck_assert_int_eq(tread_tensor_grad_is_sparse(x) ? x->sparse->n_rows : -1, before);
            return false;
        }
        tread_sparse_grad_append(x, 3, (int32_t[]){2, 1, 2}, (float[]){1, 2, 4});
    }
    return true;
}

START_TEST(memory_is_asked_for_while_reserving_alone) {
    const uint64_t live = tread_memory_live_blocks();
    for (uint64_t k = 1;; k++) {
        tread_tensor *x = leaf(3, 1);
        tread_memory_fail_at(k);
        const bool done = append_twice(x), failed = tread_memory_failed();
        tread_memory_fail_at(0);
        ck_assert(done != failed);
        tread_sparse_rows got;
        if (tread_tensor_grad_is_sparse(x)) {
            const uint64_t calls = tread_memory_calls();
            ck_assert_ok(tread_tensor_sparse_grad(x, &got));
            ck_assert_uint_eq(tread_memory_calls(), calls);
            ck_assert_int_eq(got.n, 2);
            ck_assert(got.rows[0] == (done ? 4 : 2) && got.rows[1] == (done ? 10 : 5));
        }
        if (done) { /* the same again needs nothing new */
            const uint64_t calls = tread_memory_calls();
            tread_tensor_zero_grad(x, true);
            ck_assert(append_twice(x));
            ck_assert_uint_eq(tread_memory_calls(), calls);
        }
        tread_tensor_destroy(x);
        ck_assert_uint_eq(tread_memory_live_blocks(), live);
        if (done) {
            ck_assert_uint_eq(k, 4); /* description, block, larger block */
            break;
        }
    }
}
END_TEST

TEST_MAIN("sparse_grad", entries_of_one_row_are_summed_as_they_came,
          sums_equal_a_plain_loop_with_any_threads_and_instruction_set, groups_pass_over_one_row,
          zeroing_leaves_no_rows_or_no_gradient, a_sparse_gradient_becomes_dense_on_demand_only,
          what_cannot_be_is_refused_and_nothing_changes, a_block_of_parameters_keeps_it_and_frees_it,
          memory_is_asked_for_while_reserving_alone)
