#include <stdint.h>
#include <string.h>

#include "core/memory.h"
#include "core/tensor.h"
#include "tests/test.h"

#define N_PARAMETERS 4
static const int64_t shapes[N_PARAMETERS][2] = {{3, 5}, {4, 4}, {1, 17}, {0, 9}};

/* Parameter i holds 100 i + k at k; gradients are dense, zero, none, dense. */
static void make(tread_parameter **parameters) {
    static const char *const names[] = {"0.weight", "0.bias", NULL, "empty"};
    for (int i = 0; i < N_PARAMETERS; i++) {
        tread_parameter *p = parameters[i] = tread_parameter_create(names[i], 2, shapes[i]);
        ck_assert_ptr_nonnull(p);
        tread_tensor *x = tread_parameter_tensor(p);
        for (int64_t k = 0; k < x->count; k++)
            tread_tensor_float(x)[k] = (float)(100 * i + k);
        if (i != 2)
            ck_assert_ok(tread_tensor_set_grad(x, x));
    }
    tread_tensor_zero_grad(tread_parameter_tensor(parameters[1]), false);
}

static void check_values(tread_parameter *const *parameters) {
    for (int i = 0; i < N_PARAMETERS; i++) {
        tread_tensor *x = tread_parameter_tensor(parameters[i]);
        for (int64_t k = 0; k < x->count; k++)
            ck_assert(tread_tensor_float(x)[k] == (float)(100 * i + k));
        tread_tensor *grad = tread_tensor_grad(x);
        ck_assert((grad == NULL) == (i == 2));
        for (int64_t k = 0; grad != NULL && k < x->count; k++)
            ck_assert(tread_tensor_float(grad)[k] == (i == 1 ? 0.0F : (float)(100 * i + k)));
    }
}

START_TEST(a_parameter_is_a_leaf_of_zeros) {
    tread_parameter *p = tread_parameter_create("w", 1, (int64_t[]){33});
    tread_tensor *x = tread_parameter_tensor(p);
    ck_assert_str_eq(tread_parameter_name(p), "w");
    ck_assert(tread_tensor_requires_grad(x));
    ck_assert_ptr_null(tread_tensor_grad(x));
    for (int i = 0; i < 33; i++)
        ck_assert(tread_tensor_float(x)[i] == 0);
    tread_tensor_destroy(x); /* the parameter's: left alone */
    ck_assert_ok(tread_tensor_fill(x, 1));
    ck_assert_ok(tread_tensor_set_grad(x, x));
    tread_tensor *view = tread_tensor_view(x, 2, (int64_t[]){3, 11});
    tread_parameter_destroy(p);
    ck_assert(tread_tensor_float(view)[32] == 1); /* a view outlives it */
    tread_tensor_destroy(view);
    tread_parameter_destroy(NULL);
    ck_assert_ptr_null(tread_parameter_create("w", 1, (int64_t[]){-3}));
    ck_assert_ptr_nonnull(strstr(tread_last_error(), "(-3)"));
}
END_TEST

START_TEST(a_block_keeps_values_and_gradients) {
    uint64_t live = tread_memory_live_blocks();
    tread_parameter *parameters[N_PARAMETERS];
    make(parameters);
    tread_parameter_block first = {0}, second = {0};
    uint32_t version = tread_parameter_tensor(parameters[0])->version;
    ck_assert_ok(tread_parameter_block_create(parameters, 2, &first));
    ck_assert_uint_ne(tread_parameter_tensor(parameters[0])->version, version);
    ck_assert_uint_eq(first.n_floats, 32);
    /* The last padding float of parameter 0, in both arrays. */
    ck_assert(first.data[15] == 0 && first.grad[15] == 0 && first.data[14] == 14 && first.grad[14] == 14);
    ck_assert_ok(tread_parameter_block_create(parameters, N_PARAMETERS, &second)); /* a join */
    tread_parameter_block_release_arrays(&first);
    ck_assert_ptr_null(first.data);
    ck_assert_uint_eq(second.n_floats, 16 + 16 + 32);
    check_values(parameters);
    for (int i = 0; i < N_PARAMETERS; i++) {
        ck_assert_uint_eq((uintptr_t)tread_tensor_data(tread_parameter_tensor(parameters[i])) % TREAD_ALIGNMENT, 0);
        tread_parameter_destroy(parameters[i]); /* the block's: left alone */
    }
    check_values(second.items);
    tread_parameter_block_destroy(&second);
    ck_assert_uint_eq(tread_memory_live_blocks(), live);
}
END_TEST

START_TEST(renaming_copies) {
    char name[] = "1.bias";
    tread_parameter *p = tread_parameter_create(NULL, 0, NULL);
    ck_assert_ptr_null(tread_parameter_name(p));
    ck_assert_ok(tread_parameter_rename(p, name));
    name[0] = '9';
    ck_assert_str_eq(tread_parameter_name(p), "1.bias");
    tread_memory_fail_at(1);
    ck_assert_fails(tread_parameter_rename(p, "2.bias"), TREAD_ERROR_MEMORY, "out of memory");
    ck_assert_str_eq(tread_parameter_name(p), "1.bias");
    tread_memory_fail_at(0);
    tread_parameter_destroy(p);
}
END_TEST

START_TEST(every_allocation_may_fail) {
    uint64_t live = tread_memory_live_blocks();
    uint64_t k = 1;
    for (tread_parameter *p = NULL; p == NULL; k++) {
        tread_memory_fail_at(k);
        p = tread_parameter_create("w", 1, (int64_t[]){3});
        ck_assert(tread_memory_failed() == (p == NULL));
        tread_memory_fail_at(0);
        tread_parameter_destroy(p);
        ck_assert_uint_eq(tread_memory_live_blocks(), live);
    }
    ck_assert_uint_eq(k - 1, 5); /* itself, data, gradient, name; then success */

    tread_parameter *parameters[N_PARAMETERS];
    make(parameters);
    uint64_t before = tread_memory_live_blocks();
    tread_parameter_block block = {0};
    for (k = 1; k <= 3; k++) {
        tread_memory_fail_at(k);
        ck_assert_fails(tread_parameter_block_create(parameters, N_PARAMETERS, &block), TREAD_ERROR_MEMORY, "model's");
        ck_assert_ptr_null(block.items);
        ck_assert_uint_eq(tread_memory_live_blocks(), before);
        check_values(parameters);
        ck_assert(!parameters[0]->in_block);
        ck_assert_ok(
            tread_tensor_set_grad(tread_parameter_tensor(parameters[1]), tread_parameter_tensor(parameters[1])));
        tread_tensor_zero_grad(tread_parameter_tensor(parameters[1]), false);
    }
    tread_memory_fail_at(4);
    ck_assert_ok(tread_parameter_block_create(parameters, N_PARAMETERS, &block));
    tread_memory_fail_at(0);
    tread_parameter_block_destroy(&block);
    ck_assert_uint_eq(tread_memory_live_blocks(), live);
}
END_TEST

START_TEST(a_role_can_be_set) {
    tread_parameter *p = tread_parameter_create("w", 1, (int64_t[]){3});
    ck_assert_int_eq(tread_parameter_get_role(p), TREAD_ROLE_WEIGHT);
    for (int role = 0; role < TREAD_ROLE_COUNT; role++) {
        ck_assert_ok(tread_parameter_set_role(p, (tread_parameter_role)role));
        ck_assert_int_eq(tread_parameter_get_role(p), role);
        ck_assert_ptr_nonnull(tread_role_name((tread_parameter_role)role));
        for (int other = 0; other < role; other++)
            ck_assert_str_ne(tread_role_name((tread_parameter_role)role), tread_role_name((tread_parameter_role)other));
    }
    ck_assert_fails(tread_parameter_set_role(p, (tread_parameter_role)TREAD_ROLE_COUNT), TREAD_ERROR_ARGUMENT,
                    "role = 5 is outside [0, 5)");
    ck_assert_fails(tread_parameter_set_role(NULL, TREAD_ROLE_BIAS), TREAD_ERROR_ARGUMENT, "NULL");
    ck_assert_int_eq(tread_parameter_get_role(p), TREAD_ROLE_COUNT - 1);
    ck_assert_int_eq(tread_parameter_get_role(NULL), TREAD_ROLE_WEIGHT);
    ck_assert_ptr_null(tread_role_name((tread_parameter_role)TREAD_ROLE_COUNT));
    tread_parameter_destroy(p);
}
END_TEST

TEST_MAIN("parameter", a_parameter_is_a_leaf_of_zeros, a_block_keeps_values_and_gradients, renaming_copies,
          every_allocation_may_fail, a_role_can_be_set)
