#include <tread/state.h>

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "core/memory.h"
#include "tests/test.h"

START_TEST(parts_keep_order_names_and_values) {
    tread_state *root = tread_state_create();
    int64_t shape[] = {2, 3};
    tread_tensor *tensor = tread_tensor_create(TREAD_FLOAT64, 2, shape);
    ck_assert_ok(tread_tensor_fill(tensor, 7));
    ck_assert_ok(tread_state_add_real(root, "a", 0.1));
    ck_assert_ok(tread_state_add_integer(root, "b", INT64_MIN));
    ck_assert_ok(tread_state_add_string(root, "c", "text"));
    ck_assert_ok(tread_state_add_tensor_copy(root, "d.weight", tensor));
    ck_assert_ok(tread_tensor_fill(tensor, 8));
    ck_assert_ok(tread_state_add_tensor(root, "e", tensor));
    tread_state *list = tread_state_add_list(root, "f"), *tree = tread_state_add_tree(list, NULL);
    ck_assert_ok(tread_state_add_integer(list, NULL, 5));
    ck_assert_ok(tread_state_add_real(tree, "inner", -2));
    ck_assert_uint_eq(tread_state_count(root), 6);
    ck_assert_uint_eq(tread_state_count(tread_state_at(root, 0)), 0);
    ck_assert_str_eq(tread_state_name(tread_state_at(root, 3)), "d.weight");
    ck_assert_ptr_null(tread_state_name(tree));
    ck_assert_ptr_null(tread_state_name(root));
    ck_assert_ptr_null(tread_state_at(root, 6));
    ck_assert_int_eq(tread_state_kind_of(list), TREAD_STATE_LIST);
    double real;
    int64_t integer;
    const char *text;
    const tread_tensor *got;
    ck_assert_ok(tread_state_get_real(root, "a", &real));
    ck_assert_double_eq(real, 0.1);
    ck_assert_ok(tread_state_get_integer(root, "b", &integer));
    ck_assert_int_eq(integer, INT64_MIN);
    ck_assert_ok(tread_state_get_string(root, "c", &text));
    ck_assert_str_eq(text, "text");
    ck_assert_ok(tread_state_get_tensor(root, "d.weight", &got));
    ck_assert_double_eq(*(double *)tread_tensor_data(got), 7);
    ck_assert_ok(tread_state_get_tensor(root, "e", &got));
    ck_assert_ptr_eq(got, tensor);
    ck_assert_ok(tread_state_as_real(tread_state_at(list, 1), &real)); /* integers are reals */
    ck_assert_double_eq(real, 5);
    ck_assert_ptr_eq(tread_state_find(tree, "inner"), tread_state_at(tree, 0));
    tread_state_destroy(tree); /* a part is left alone */
    ck_assert_uint_eq(tread_state_count(tree), 1);
    tread_state_destroy(root);
    tread_state_destroy(NULL);
}
END_TEST

START_TEST(misuse_is_refused_and_changes_nothing) {
    tread_state *root = tread_state_create(), *part = tread_state_create();
    tread_state *list = tread_state_add_list(root, "list"), *tree = tread_state_add_tree(root, "tree");
    ck_assert_ok(tread_state_add_integer(root, "n", 1));
    ck_assert_fails(tread_state_add_integer(root, "n", 2), TREAD_ERROR_ARGUMENT, "named 'n' already");
    ck_assert_fails(tread_state_add_integer(root, NULL, 2), TREAD_ERROR_ARGUMENT, "needs a name");
    ck_assert_fails(tread_state_add_integer(root, "", 2), TREAD_ERROR_ARGUMENT, "needs a name");
    ck_assert_fails(tread_state_add_integer(list, "x", 2), TREAD_ERROR_ARGUMENT, "has no name, 'x' was given");
    ck_assert_fails(tread_state_add_integer(NULL, "x", 2), TREAD_ERROR_ARGUMENT, "NULL cannot have parts");
    ck_assert_fails(tread_state_add_real(root, "x", NAN), TREAD_ERROR_ARGUMENT, "'x' = nan is not finite");
    ck_assert_fails(tread_state_add_real(list, NULL, INFINITY), TREAD_ERROR_ARGUMENT, "inf is not finite");
    ck_assert_fails(tread_state_add_string(root, "x", NULL), TREAD_ERROR_ARGUMENT, "NULL string");
    ck_assert_fails(tread_state_add_tensor(root, "x", NULL), TREAD_ERROR_ARGUMENT, "NULL tensor");
    ck_assert_fails(tread_state_add_state(tree, "x", root), TREAD_ERROR_ARGUMENT, "a part of itself");
    ck_assert_fails(tread_state_add_state(root, "x", tree), TREAD_ERROR_ARGUMENT, "part of another state already");
    ck_assert_ok(tread_state_add_state(tree, "x", part));
    ck_assert_uint_eq(tread_state_count(root), 3);
    double real = 9;
    int64_t integer;
    const tread_state *found;
    ck_assert_fails(tread_state_get_real(root, "none", &real), TREAD_ERROR_FORMAT, "there is no real 'none'");
    ck_assert_fails(tread_state_get_real(root, "tree", &real), TREAD_ERROR_FORMAT, "'tree' is a tree, not a real");
    ck_assert_fails(tread_state_get_integer(list, "n", &integer), TREAD_ERROR_FORMAT, "'list' is a list, not a tree");
    ck_assert_fails(tread_state_as_integer(NULL, &integer), TREAD_ERROR_FORMAT, "missing where an integer should be");
    ck_assert_fails(tread_state_get(root, "n", TREAD_STATE_LIST, &found), TREAD_ERROR_FORMAT,
                    "'n' is an integer, not a list");
    ck_assert_double_eq(real, 9);
    ck_assert_str_eq(tread_state_kind_name((tread_state_kind)77), "unknown");
    tread_state_destroy(root);
}
END_TEST

static tread_state *build(void) {
    int64_t shape = 4;
    tread_tensor *tensor = tread_tensor_create(TREAD_FLOAT32, 1, &shape);
    tread_state *root = tread_state_create(), *part = NULL, *list = NULL;
    bool fine = tensor != NULL && root != NULL;
    fine = fine && tread_state_add_tensor_copy(root, "copy", tensor) == TREAD_OK;
    fine = fine && (list = tread_state_add_list(root, "list")) != NULL;
    for (int i = 0; i < 9 && fine; i++)
        fine = tread_state_add_real(list, NULL, i) == TREAD_OK;
    fine = fine && tread_state_add_string(root, "text", "text") == TREAD_OK;
    fine = fine && (part = tread_state_create()) != NULL && tread_state_add_integer(part, "n", 1) == TREAD_OK;
    if (!fine || tread_state_add_state(root, "part", part) != TREAD_OK) {
        tread_state_destroy(part);
        fine = false;
    }
    if (fine && tread_state_add_tensor(root, "own", tensor) == TREAD_OK)
        return root;
    tread_tensor_destroy(tensor);
    tread_state_destroy(root);
    return NULL;
}

START_TEST(every_failing_allocation_is_survived) {
    for (uint64_t k = 1;; k++) {
        uint64_t live = tread_memory_live_blocks();
        tread_memory_fail_at(k);
        tread_state *root = build();
        bool failed = tread_memory_failed();
        tread_memory_fail_at(0);
        ck_assert_int_eq(root == NULL, failed);
        tread_state_destroy(root);
        ck_assert_uint_eq(tread_memory_live_blocks(), live);
        if (!failed)
            break;
    }
}
END_TEST

START_TEST(ten_thousand_names_are_found) {
    tread_state *root = tread_state_create();
    char name[32];
    int wrong = 0;
    for (int i = 0; i < 10000; i++) {
        snprintf(name, sizeof name, "layers.%d.weight", i);
        wrong += tread_state_add_integer(root, name, i) != TREAD_OK;
    }
    for (int i = 0; i < 10000; i += 7) {
        int64_t value = -1;
        snprintf(name, sizeof name, "layers.%d.weight", i);
        wrong += tread_state_get_integer(root, name, &value) != TREAD_OK || value != i;
    }
    ck_assert_int_eq(wrong, 0);
    tread_state_destroy(root);
}
END_TEST

TEST_MAIN("state", parts_keep_order_names_and_values, misuse_is_refused_and_changes_nothing,
          every_failing_allocation_is_survived, ten_thousand_names_are_found)
