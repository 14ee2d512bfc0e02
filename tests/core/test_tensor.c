#include <math.h>
#include <stdint.h>
#include <string.h>

#include "core/memory.h"
#include "core/tensor.h"
#include "tests/test.h"

#define SHAPE(...)                                                                                                     \
    (int)(sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t)), (int64_t[]) { __VA_ARGS__ }
#define ck_assert_null_with(expression, part)                                                                          \
    do {                                                                                                               \
        ck_assert_ptr_null(expression);                                                                                \
        ck_assert_msg(strstr(tread_last_error(), (part)) != NULL, "\"%s\" lacks \"%s\"", tread_last_error(), (part));  \
    } while (0)

START_TEST(a_new_tensor_is_zeros_of_its_shape) {
    static const tread_dtype types[] = {TREAD_FLOAT32, TREAD_FLOAT64, TREAD_INT32, TREAD_UINT8};
    for (size_t i = 0; i < 4; i++) {
        tread_tensor *x = tread_tensor_create(types[i], SHAPE(3, 5, 7));
        ck_assert_int_eq(tread_tensor_dtype(x), types[i]);
        ck_assert_int_eq(tread_tensor_rank(x), 3);
        ck_assert_int_eq(tread_tensor_count(x), 105);
        ck_assert_int_eq(tread_tensor_dim(x, 1), 5);
        ck_assert_int_eq(tread_tensor_dim(x, -1), 7);
        ck_assert_int_eq(tread_tensor_dim(x, 3), -1);
        ck_assert_int_eq(tread_tensor_dim(x, -4), -1);
        ck_assert_uint_eq((uintptr_t)tread_tensor_data(x) % TREAD_ALIGNMENT, 0);
        for (size_t k = 0; k < 105 * tread_dtype_size(types[i]); k++)
            ck_assert_int_eq(((char *)tread_tensor_data(x))[k], 0);
        tread_tensor_destroy(x);
    }
    tread_tensor *scalar = tread_tensor_create(TREAD_FLOAT32, 0, NULL);
    ck_assert_int_eq(tread_tensor_count(scalar), 1);
    tread_tensor_destroy(scalar);
    tread_tensor *empty = tread_tensor_create(TREAD_FLOAT32, SHAPE(4, 0, 2));
    ck_assert_int_eq(tread_tensor_count(empty), 0);
    ck_assert_ok(tread_tensor_fill(empty, 1));
    tread_tensor_destroy(empty);
    ck_assert_str_eq(tread_dtype_name(TREAD_UINT8), "uint8");
    ck_assert_str_eq(tread_dtype_name((tread_dtype)7), "unknown");
}
END_TEST

START_TEST(bad_shapes_are_refused_by_name) {
    ck_assert_null_with(tread_tensor_create((tread_dtype)9, SHAPE(1)), "dtype 9");
    ck_assert_null_with(tread_tensor_create(TREAD_FLOAT32, 7, (int64_t[7]){1}), "rank 7 is outside 0..6");
    ck_assert_null_with(tread_tensor_create(TREAD_FLOAT32, -1, NULL), "rank -1");
    ck_assert_null_with(tread_tensor_create(TREAD_FLOAT32, 2, NULL), "shape is NULL");
    ck_assert_null_with(tread_tensor_create(TREAD_FLOAT32, SHAPE(3, -2)), "extent -2 of axis 1 in shape (3, -2)");
    ck_assert_null_with(tread_tensor_create(TREAD_FLOAT32, SHAPE(1LL << 40, 1LL << 40)),
                        "(1099511627776, 1099511627776)");
    ck_assert_null_with(tread_tensor_create(TREAD_FLOAT32, SHAPE(0, 1LL << 40, 1LL << 40)), "address space");
    char text[TREAD_SHAPE_TEXT];
    int64_t widest[TREAD_MAX_RANK] = {INT64_MIN, INT64_MIN, INT64_MIN, INT64_MIN, INT64_MIN, INT64_MIN};
    ck_assert_uint_eq(strlen(tread_shape_text(text, TREAD_MAX_RANK, widest)), 6 * 20 + 5 * 2 + 2);
    ck_assert_str_eq(tread_shape_text(text, SHAPE(32, 784)), "(32, 784)");
    ck_assert_str_eq(tread_shape_text(text, 0, NULL), "()");
}
END_TEST

START_TEST(wrapping_checks_the_array) {
    double data[4] = {1, 2, 3, 4};
    tread_tensor *x = tread_tensor_wrap(TREAD_FLOAT64, SHAPE(2, 2), data);
    ck_assert_ptr_eq(tread_tensor_data(x), data);
    tread_tensor_destroy(x);
    ck_assert_null_with(tread_tensor_wrap(TREAD_FLOAT64, SHAPE(2, 2), NULL), "4 elements");
    ck_assert_null_with(tread_tensor_wrap(TREAD_FLOAT64, SHAPE(2), (char *)data + 4), "aligned");
    x = tread_tensor_wrap(TREAD_FLOAT64, SHAPE(0), NULL);
    tread_tensor *rows = tread_tensor_rows(x, 0, 0);
    ck_assert_ptr_nonnull(rows);
    tread_tensor_destroy(rows);
    tread_tensor_destroy(x);
}
END_TEST

START_TEST(views_share_memory_and_go_in_any_order) {
    uint64_t live = tread_memory_live_blocks();
    static const int orders[6][3] = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2}, {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};
    for (size_t k = 0; k < 6; k++) {
        tread_tensor *all[3];
        all[0] = tread_tensor_create(TREAD_INT32, SHAPE(4, 6));
        for (int i = 0; i < 24; i++)
            ((int32_t *)tread_tensor_data(all[0]))[i] = i;
        all[1] = tread_tensor_view(all[0], SHAPE(8, 3));
        all[2] = tread_tensor_rows(all[1], 2, 5);
        ck_assert_int_eq(tread_tensor_dim(all[2], 0), 5);
        for (int i = 0; i < 2; i++)
            tread_tensor_destroy(all[orders[k][i]]);
        int last = orders[k][2];
        ck_assert_int_eq(*(int32_t *)tread_tensor_data(all[last]), last == 2 ? 6 : 0);
        ck_assert_ok(tread_tensor_fill(all[last], 3));
        tread_tensor_destroy(all[last]);
    }
    ck_assert_uint_eq(tread_memory_live_blocks(), live);
}
END_TEST

START_TEST(views_outside_are_refused) {
    tread_tensor *x = tread_tensor_create(TREAD_FLOAT32, SHAPE(4, 6)),
                 *scalar = tread_tensor_create(TREAD_FLOAT32, 0, NULL);
    ck_assert_null_with(tread_tensor_view(x, SHAPE(5, 5)), "shape (4, 6) has 24 elements, and (5, 5) has 25");
    ck_assert_null_with(tread_tensor_view(NULL, SHAPE(1)), "NULL");
    ck_assert_null_with(tread_tensor_rows(x, 2, 3), "3 rows from row 2 are not all in shape (4, 6)");
    ck_assert_null_with(tread_tensor_rows(x, -1, 1), "row -1");
    ck_assert_null_with(tread_tensor_rows(x, 1, INT64_MAX), "9223372036854775807 rows");
    ck_assert_null_with(tread_tensor_rows(scalar, 0, 1), "scalar");
    x->owner = TREAD_OWNER_TAPE;
    ck_assert_null_with(tread_tensor_view(x, SHAPE(24)), "tread_reshape");
    tread_tensor_destroy(x); /* a tape's: left alone */
    x->owner = TREAD_OWNER_CALLER;
    tread_tensor_destroy(x);
    tread_tensor_destroy(scalar);
    tread_tensor_destroy(NULL);
}
END_TEST

START_TEST(fill_and_item_keep_to_the_type) {
    tread_tensor *f = tread_tensor_create(TREAD_FLOAT32, SHAPE(1)), *d = tread_tensor_create(TREAD_FLOAT64, 0, NULL);
    tread_tensor *i = tread_tensor_create(TREAD_INT32, SHAPE(1, 1)), *b = tread_tensor_create(TREAD_UINT8, SHAPE(1));
    double value;
    ck_assert_ok(tread_tensor_fill(f, 0.1));
    ck_assert_ok(tread_tensor_item(f, &value));
    ck_assert(value == (double)0.1f);
    ck_assert_ok(tread_tensor_fill(f, -INFINITY));
    ck_assert_fails(tread_tensor_fill(f, 1e39), TREAD_ERROR_ARGUMENT, "1e+39 does not fit float32");
    ck_assert_ok(tread_tensor_item(f, &value));
    ck_assert(value == -INFINITY);
    ck_assert_ok(tread_tensor_fill(d, 1e39));
    ck_assert_ok(tread_tensor_item(d, &value));
    ck_assert(value == 1e39);
    ck_assert_ok(tread_tensor_fill(i, -2147483648.25));
    ck_assert_fails(tread_tensor_fill(i, 2147483648.0), TREAD_ERROR_ARGUMENT, "int32");
    ck_assert_fails(tread_tensor_fill(i, NAN), TREAD_ERROR_ARGUMENT, "nan");
    ck_assert_ok(tread_tensor_item(i, &value));
    ck_assert(value == -2147483648.0);
    ck_assert_ok(tread_tensor_fill(b, 254.5)); /* to even */
    ck_assert_ok(tread_tensor_item(b, &value));
    ck_assert(value == 254);
    ck_assert_fails(tread_tensor_fill(b, 256), TREAD_ERROR_ARGUMENT, "256 does not fit uint8");
    ck_assert_fails(tread_tensor_fill(b, -1), TREAD_ERROR_ARGUMENT, "-1");
    tread_tensor *two = tread_tensor_create(TREAD_FLOAT32, SHAPE(2, 1));
    ck_assert_fails(tread_tensor_item(two, &value), TREAD_ERROR_SHAPE, "shape (2, 1) has 2 elements");
    ck_assert_fails(tread_tensor_item(NULL, &value), TREAD_ERROR_ARGUMENT, "NULL");
    tread_tensor *const all[] = {f, d, i, b, two};
    for (size_t k = 0; k < 5; k++)
        tread_tensor_destroy(all[k]);
}
END_TEST

START_TEST(stale_tensors_are_refused) {
    struct {
        uint64_t generation;
    } tape = {.generation = 5};
    tread_tensor *x = tread_tensor_create(TREAD_FLOAT32, 0, NULL), *y = tread_tensor_create(TREAD_FLOAT32, 0, NULL);
    x->tape = &tape;
    x->generation = 4;
    double value = -1;
    ck_assert_fails(tread_tensor_item(x, &value), TREAD_ERROR_STATE, "step 4 of its tape, which is at step 5");
    ck_assert(value == -1);
    ck_assert_fails(tread_tensor_copy(y, x), TREAD_ERROR_STATE, "step 4");
    tape.generation = 4;
    ck_assert_ok(tread_tensor_item(x, &value));
    ck_assert(value == 0);
    tread_tensor_destroy(x);
    tread_tensor_destroy(y);
}
END_TEST

START_TEST(copying_needs_equal_shapes_and_types) {
    tread_tensor *a = tread_tensor_create(TREAD_FLOAT32, SHAPE(4, 2)),
                 *b = tread_tensor_create(TREAD_FLOAT32, SHAPE(2, 4));
    tread_tensor *c = tread_tensor_create(TREAD_INT32, SHAPE(4, 2)),
                 *d = tread_tensor_create(TREAD_FLOAT32, SHAPE(4, 2));
    for (int i = 0; i < 8; i++)
        tread_tensor_float(a)[i] = (float)i;
    uint32_t version = d->version;
    ck_assert_ok(tread_tensor_copy(d, a));
    ck_assert_mem_eq(tread_tensor_data(d), tread_tensor_data(a), 32);
    ck_assert_uint_ne(d->version, version);
    ck_assert_fails(tread_tensor_copy(a, b), TREAD_ERROR_SHAPE, "shape (4, 2) from shape (2, 4)");
    ck_assert_fails(tread_tensor_copy(a, c), TREAD_ERROR_DTYPE, "float32 from int32");
    ck_assert_fails(tread_tensor_copy(a, NULL), TREAD_ERROR_ARGUMENT, "NULL");
    tread_tensor *upper = tread_tensor_rows(a, 0, 3), *lower = tread_tensor_rows(a, 1, 3); /* overlapping */
    ck_assert_ok(tread_tensor_copy(lower, upper));
    for (int i = 0; i < 6; i++)
        ck_assert(tread_tensor_float(lower)[i] == (float)i);
    tread_tensor *const all[] = {a, b, c, d, upper, lower};
    for (size_t i = 0; i < 6; i++)
        tread_tensor_destroy(all[i]);
}
END_TEST

START_TEST(gradients_are_none_zero_or_dense) {
    tread_tensor *x = tread_tensor_create(TREAD_FLOAT64, SHAPE(3)), *g = tread_tensor_create(TREAD_FLOAT64, SHAPE(3));
    ck_assert_fails(tread_tensor_set_grad(x, g), TREAD_ERROR_STATE, "no leaf");
    ck_assert_ok(tread_tensor_set_requires_grad(x, true));
    ck_assert(tread_tensor_requires_grad(x));
    ck_assert_ptr_null(tread_tensor_grad(x));
    tread_tensor_zero_grad(x, false); /* none stays none */
    ck_assert_ptr_null(tread_tensor_grad(x));
    ck_assert_ok(tread_tensor_fill(g, 2.5));
    ck_assert_ok(tread_tensor_set_grad(x, g));
    double *values = tread_tensor_data(tread_tensor_grad(x));
    ck_assert(values[2] == 2.5);
    tread_tensor_zero_grad(x, false);
    ck_assert(values[2] == 2.5 && x->grad_state == TREAD_GRAD_ZERO); /* nobody has looked */
    ck_assert_ptr_eq(tread_tensor_data(tread_tensor_grad(x)), values);
    ck_assert(values[0] == 0 && values[2] == 0 && x->grad_state == TREAD_GRAD_DENSE);
    tread_tensor_zero_grad(x, true);
    ck_assert_ptr_null(tread_tensor_grad(x));
    ck_assert_ok(tread_tensor_set_grad(x, g));
    ck_assert_fails(tread_tensor_set_requires_grad(tread_tensor_grad(x), true), TREAD_ERROR_STATE, "gradient");
    ck_assert_ok(tread_tensor_set_grad(x, NULL));
    ck_assert_ptr_null(tread_tensor_grad(x));
    tread_tensor *other = tread_tensor_create(TREAD_FLOAT32, SHAPE(3)), *view = tread_tensor_view(x, SHAPE(3, 1));
    ck_assert_fails(tread_tensor_set_grad(x, other), TREAD_ERROR_DTYPE, "float64 from float32");
    ck_assert_fails(tread_tensor_set_grad(x, view), TREAD_ERROR_SHAPE, "shape (3) from shape (3, 1)");
    ck_assert_fails(tread_tensor_set_requires_grad(view, true), TREAD_ERROR_STATE, "view");
    ck_assert_ok(tread_tensor_set_grad(x, g));
    ck_assert_ok(tread_tensor_set_requires_grad(x, false));
    ck_assert_ptr_null(tread_tensor_grad(x));
    tread_tensor *integers = tread_tensor_create(TREAD_INT32, SHAPE(3));
    ck_assert_fails(tread_tensor_set_requires_grad(integers, true), TREAD_ERROR_DTYPE, "int32");
    tread_tensor *const all[] = {x, g, other, view, integers};
    for (size_t i = 0; i < 5; i++)
        tread_tensor_destroy(all[i]);
}
END_TEST

START_TEST(gradient_mode_is_put_back) {
    ck_assert(tread_grad_enabled());
    bool before = tread_set_grad_enabled(false);
    ck_assert(before && !tread_grad_enabled());
    ck_assert(!tread_set_grad_enabled(before));
    ck_assert(tread_grad_enabled());
}
END_TEST

/* Every way to make a tensor, in one go; false at the first failure. */
static bool make_all(void) {
    tread_tensor *x = tread_tensor_create(TREAD_FLOAT32, SHAPE(3, 4)), *view = NULL, *rows = NULL, *wrapped = NULL;
    float data[3] = {1, 2, 3};
    bool done = x != NULL && (view = tread_tensor_view(x, SHAPE(12))) != NULL &&
                (rows = tread_tensor_rows(x, 1, 1)) != NULL &&
                (wrapped = tread_tensor_wrap(TREAD_FLOAT32, SHAPE(3), data)) != NULL;
    if (done) {
        ck_assert_ok(tread_tensor_set_requires_grad(x, true));
        done = tread_tensor_set_grad(x, x) == TREAD_OK;
        ck_assert_msg(done || tread_tensor_grad(x) == NULL, "a gradient in spite of failure");
    }
    tread_tensor *const all[] = {x, view, rows, wrapped};
    for (size_t i = 0; i < 4; i++)
        tread_tensor_destroy(all[i]);
    return done;
}

START_TEST(every_allocation_may_fail) {
    uint64_t live = tread_memory_live_blocks();
    uint64_t k = 1;
    for (;; k++) {
        tread_memory_fail_at(k);
        bool done = make_all(), failed = tread_memory_failed();
        tread_memory_fail_at(0);
        ck_assert(done != failed);
        ck_assert_uint_eq(tread_memory_live_blocks(), live);
        if (done)
            break;
        ck_assert_ptr_nonnull(strstr(tread_last_error(), "out of memory"));
    }
    ck_assert_uint_eq(k, 8); /* 2 + 1 + 1 + 1 + 2 allocations */
}
END_TEST

TEST_MAIN("tensor", a_new_tensor_is_zeros_of_its_shape, bad_shapes_are_refused_by_name, wrapping_checks_the_array,
          views_share_memory_and_go_in_any_order, views_outside_are_refused, fill_and_item_keep_to_the_type,
          stale_tensors_are_refused, copying_needs_equal_shapes_and_types, gradients_are_none_zero_or_dense,
          gradient_mode_is_put_back, every_allocation_may_fail)
