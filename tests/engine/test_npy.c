#include <math.h>
#include <stdio.h>
#include <string.h>
#include <tread/files.h>
#include <unistd.h>

#include "core/memory.h"
#include "tests/engine/arrays.h"
#include "tests/engine/files.h"
#include "tests/test.h"

static void store(const char *name, int version, const char *literal, const void *values, size_t n) {
    test_bytes bytes = test_npy(version, literal, values, n);
    test_write(test_path(name), bytes.data, bytes.n);
    free(bytes.data);
}

/* Writes x with that literal and 24 bytes of values, and reads it. */
static tread_tensor *read_literal(const char *literal) {
    const float values[] = {1, 2, 3, 4, 5, 6};
    store("x.npy", 1, literal, values, sizeof values);
    return tread_npy_read(test_path("x.npy"));
}

static void must_fail(const char *literal, const char *part) {
    uint64_t before = tread_memory_live_blocks();
    tread_tensor *tensor = read_literal(literal);
    ck_assert_msg(tensor == NULL, "read: %s", literal);
    ck_assert_msg(strstr(tread_last_error(), part) != NULL, "\"%s\" lacks \"%s\"", tread_last_error(), part);
    ck_assert_uint_eq(tread_memory_live_blocks(), before);
}

static void last_error_has(const char *part) {
    ck_assert_msg(strstr(tread_last_error(), part) != NULL, "\"%s\" lacks \"%s\"", tread_last_error(), part);
}

START_TEST(all_types_and_versions) {
    const float f4[] = {1.5f, -2, INFINITY};
    const double f8[] = {1.5, -2, 1e300};
    const int32_t i4[] = {INT32_MIN, 0, INT32_MAX};
    const int64_t i8[] = {INT32_MIN, 0, INT32_MAX};
    const uint8_t u1[] = {0, 7, 255}, b1[] = {0, 1, 1};
    const struct {
        const char *type;
        const void *values;
        size_t bytes;
        tread_dtype dtype;
        const void *expected;
    } cases[] = {{"<f4", f4, sizeof f4, TREAD_FLOAT32, f4}, {"<f8", f8, sizeof f8, TREAD_FLOAT64, f8},
                 {"<i4", i4, sizeof i4, TREAD_INT32, i4},   {"<i8", i8, sizeof i8, TREAD_INT32, i4},
                 {"|u1", u1, sizeof u1, TREAD_UINT8, u1},   {"|b1", b1, sizeof b1, TREAD_UINT8, b1}};
    test_folder_create();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (int version = 1; version <= 3; version++) {
            char literal[128];
            snprintf(literal, sizeof literal, "{'descr': '%s', 'fortran_order': False, 'shape': (3,), }",
                     cases[i].type);
            store("x.npy", version, literal, cases[i].values, cases[i].bytes);
            tread_tensor *x = tread_npy_read(test_path("x.npy"));
            ck_assert_msg(x != NULL, "%s: %s", literal, tread_last_error());
            ck_assert_int_eq(tread_tensor_dtype(x), cases[i].dtype);
            ck_assert_int_eq(tread_tensor_count(x), 3);
            ck_assert_mem_eq(tread_tensor_data(x), cases[i].expected, 3 * tread_dtype_size(cases[i].dtype));
            tread_tensor_destroy(x);
        }
    test_folder_remove();
}
END_TEST

START_TEST(literals_as_python_writes_them) {
    static const char *const all[] = {"{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }",
                                      "{\"shape\":(2,3,),\"descr\":\"<f4\",\"fortran_order\":False}",
                                      "{ 'fortran_order' : False , 'shape' : ( 2 , 3 ) , 'descr' : '<f4' } \n"};
    test_folder_create();
    for (size_t i = 0; i < 3; i++) {
        tread_tensor *x = read_literal(all[i]);
        ck_assert_msg(x != NULL, "%s: %s", all[i], tread_last_error());
        ck_assert(tread_tensor_rank(x) == 2 && tread_tensor_dim(x, 1) == 3);
        tread_tensor_destroy(x);
    }
    tread_tensor *x = read_literal("{'descr': '<f8', 'fortran_order': True, 'shape': (1, 1, 1, 1, 1, 3), }");
    ck_assert_msg(x != NULL, "%s", tread_last_error());
    tread_tensor_destroy(x);
    test_folder_remove();
}
END_TEST

START_TEST(headers_that_are_refused) {
#define DICT(type, order, shape) "{'descr': " type ", 'fortran_order': " order ", 'shape': " shape ", }"
    test_folder_create();
    must_fail(DICT("'>f4'", "False", "(6,)"),
              "the type has its big end first; expected <f4, <f8, <i4, <i8, |u1 or |b1, found \"'>f4'");
    must_fail(DICT("'<f2'", "False", "(12,)"), "the type is none of <f4");
    must_fail(DICT("[('a', '<f4')]", "False", "(6,)"), "the type is not a short string");
    must_fail(DICT("'<f4'", "0", "(6,)"), "fortran_order is neither True nor False");
    must_fail(DICT("'<f4'", "False", "[6]"), "the shape is no tuple");
    must_fail(DICT("'<f4'", "False", "(-6,)"), "an extent is no whole number");
    must_fail(DICT("'<f4'", "False", "(2 3)"), "no comma between extents");
    must_fail(DICT("'<f4'", "False", "(1,1,1,1,1,1,6)"), "more axes than the 6");
    must_fail(DICT("'<f4'", "False", "(99999999999999999999,)"), "an extent beyond 64 bits");
    must_fail(DICT("'<f4'", "False", "(4294967296, 4294967296)"),
              "the shape (4294967296, 4294967296) is more than the 68719476736 bytes");
    must_fail(DICT("'<f4'", "False", "(4611686018427387904, 0)"), "holds no values");
    must_fail(DICT("'<f4'", "False", "(0,)"), "the shape (0) holds no values");
    must_fail(DICT("'<f4'", "False", "(7,)"), "truncated: the shape (7) needs 156 bytes, and there are 152");
    must_fail(DICT("'|u1'", "False", "(25,)"), "truncated: the shape (25) needs 153 bytes, and there are 152");
    must_fail(DICT("'|u1'", "False", "(23,)"), "too long: the shape (23) needs 151 bytes, and there are 152");
    must_fail(DICT("'<f4'", "False", "(5,)"), "too long: the shape (5) needs 148 bytes, and there are 152");
    must_fail(DICT("'<f4'", "False", "(17179869184,)"), "truncated"); /* 64 GiB, not taken */
    must_fail("{'descr': '<f4', 'fortran_order': False}", "there is no shape");
    must_fail("{'descr': '<f4', 'shape': (6,)}", "there is no fortran_order");
    must_fail("{'fortran_order': False, 'shape': (6,)}", "there is no descr");
    must_fail("{'descr': '<f4', 'descr': '<f4'}", "a key for the second time");
    must_fail("{'descr': '<f4', 'extra': 1}", "a key that is not known");
    must_fail("{'descr' '<f4'}", "no colon behind a key");
    must_fail("{'descr': '<f4' 'shape': (6,)}", "no comma between entries");
    must_fail("['descr']", "it is no dictionary");
    must_fail("{descr: 1}", "expected descr, fortran_order and shape");
    must_fail(DICT("'<f4'", "False", "(6,)") " x", "something follows the dictionary");
    must_fail("{'descr': '<f4', 'fortran_order': False, 'shape': (6,", "an extent is no whole number");
    test_write(test_path("x.npy"), "\x93NUMPX\x01\0\0\0", 10);
    ck_assert_ptr_null(tread_npy_read(test_path("x.npy")));
    last_error_has("not an NPY file: begins with 93 4e 55 4d, expected 93 4e 55 4d");
    for (int version = 0; version < 5; version += 4) {
        store("x.npy", version, DICT("'|u1'", "False", "(1,)"), "", 1);
        ck_assert_ptr_null(tread_npy_read(test_path("x.npy")));
        last_error_has("expected 1.0, 2.0 or 3.0");
    }
    test_write(test_path("x.npy"), "\x93NUMPY\x02\0\xff\xff\xff\xff", 12);
    ck_assert_ptr_null(tread_npy_read(test_path("x.npy")));
    last_error_has("a header of 4294967295 bytes, expected at most 65536");
    ck_assert_ptr_null(tread_npy_read(test_path("absent")));
    last_error_has("cannot open");
    ck_assert_ptr_null(tread_npy_read(NULL));
    test_folder_remove();
}
END_TEST

START_TEST(fortran_order_becomes_c_order) {
    test_folder_create();
    enum { a = 3, b = 4, c = 5 };
    int32_t fortran[a * b * c];
    for (int i = 0; i < a; i++)
        for (int j = 0; j < b; j++)
            for (int k = 0; k < c; k++)
                fortran[i + a * j + a * b * k] = 100 * i + 10 * j + k;
    store("x.npy", 1, DICT("'<i4'", "True", "(3, 4, 5)"), fortran, sizeof fortran);
    tread_tensor *x = tread_npy_read(test_path("x.npy"));
    ck_assert_msg(x != NULL, "%s", tread_last_error());
    const int32_t *at = tread_tensor_data(x);
    for (int i = 0; i < a; i++)
        for (int j = 0; j < b; j++)
            for (int k = 0; k < c; k++)
                ck_assert_int_eq(*at++, 100 * i + 10 * j + k);
    tread_tensor_destroy(x);
    test_folder_remove();
}
END_TEST

START_TEST(values_that_do_not_fit) {
    test_folder_create();
    const int64_t large[] = {1, (int64_t)INT32_MAX + 1};
    store("x.npy", 1, DICT("'<i8'", "False", "(2,)"), large, sizeof large);
    ck_assert_ptr_null(tread_npy_read(test_path("x.npy")));
    last_error_has("value 1 is 2.14748e+09, expected a whole number within int32");
    store("x.npy", 1, DICT("'|b1'", "False", "(3,)"), "\0\1\2", 3);
    ck_assert_ptr_null(tread_npy_read(test_path("x.npy")));
    last_error_has("value 2, a bool, is the byte 2, expected 0 or 1");
    const double beyond[] = {1, 1e39}, nan[] = {NAN, 1};
    tread_npy_options options = tread_npy_defaults();
    store("x.npy", 1, DICT("'<f8'", "False", "(2,)"), beyond, sizeof beyond);
    ck_assert_ptr_null(tread_npy_load(test_path("x.npy"), NULL, &options));
    last_error_has("value 1 is 1e+39, expected a finite number within float32");
    store("x.npy", 1, DICT("'<f8'", "False", "(2,)"), nan, sizeof nan);
    ck_assert_ptr_null(tread_npy_load(test_path("x.npy"), NULL, &options));
    last_error_has("value 0 is nan");
    options.allow_not_finite = true;
    tread_dataset *dataset = tread_npy_load(test_path("x.npy"), NULL, &options);
    ck_assert_ptr_nonnull(dataset);
    tread_dataset_destroy(dataset);
    test_folder_remove();
}
END_TEST

/* One y of each kind for the same x. */
START_TEST(labels_and_targets) {
    test_folder_create();
    const float x[] = {1, 2, 3, 4, 5, 6}, halves[] = {0.5f, 1, 2}, whole[] = {2, 0, 1};
    const int64_t labels[] = {2, 0, 1};
    store("x.npy", 1, DICT("'<f4'", "False", "(3, 2)"), x, sizeof x);
    store("labels.npy", 1, DICT("'<i8'", "False", "(3,)"), labels, sizeof labels);
    store("column.npy", 1, DICT("'<i8'", "False", "(3, 1)"), labels, sizeof labels);
    store("halves.npy", 1, DICT("'<f4'", "False", "(3,)"), halves, sizeof halves);
    store("whole.npy", 1, DICT("'<f4'", "False", "(3,)"), whole, sizeof whole);
    store("bytes.npy", 1, DICT("'|u1'", "False", "(3,)"), "\2\0\1", 3);
    store("short.npy", 1, DICT("'|u1'", "False", "(2,)"), "\2\0", 2);
    store("six.npy", 1, DICT("'<f4'", "False", "(3, 2)"), x, sizeof x);
    const struct {
        const char *y;
        tread_task task;
        int classes; /* 0: targets; -1: fails */
        const char *sentence;
    } cases[] = {{"labels.npy", TREAD_TASK_AUTO, 3, NULL},
                 {"column.npy", TREAD_TASK_AUTO, 3, NULL},
                 {"bytes.npy", TREAD_TASK_AUTO, 3, NULL},
                 {"halves.npy", TREAD_TASK_AUTO, 0, NULL},
                 {"six.npy", TREAD_TASK_AUTO, 0, NULL},
                 {"labels.npy", TREAD_TASK_REGRESSION, 0, NULL},
                 {"whole.npy", TREAD_TASK_CLASSIFICATION, 3, NULL},
                 {"halves.npy", TREAD_TASK_CLASSIFICATION, -1, "value 0 is 0.5, expected a whole number"},
                 {"six.npy", TREAD_TASK_CLASSIFICATION, -1, "a shape of (3, 2), expected labels of 3 samples"},
                 {"short.npy", TREAD_TASK_AUTO, -1, "a shape of (2), expected labels of 3 samples"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        tread_npy_options options = tread_npy_defaults();
        options.task = cases[i].task;
        tread_dataset *dataset = tread_npy_load(test_path("x.npy"), test_path(cases[i].y), &options);
        ck_assert_msg((dataset != NULL) == (cases[i].classes >= 0), "%s: %s", cases[i].y, tread_last_error());
        if (dataset == NULL) {
            last_error_has(cases[i].sentence);
            continue;
        }
        ck_assert_int_eq(tread_dataset_classes(dataset), cases[i].classes);
        const tread_tensor *y = tread_dataset_y(dataset);
        ck_assert_int_eq(tread_tensor_rank(y), cases[i].classes > 0 ? 1 : 2);
        if (cases[i].classes > 0)
            ck_assert_mem_eq(tread_tensor_data(y), ((const int32_t[]){2, 0, 1}), 12);
        tread_dataset_destroy(dataset);
    }
    tread_npy_options options = tread_npy_defaults();
    options.classes = 2;
    ck_assert_ptr_null(tread_npy_load(test_path("x.npy"), test_path("labels.npy"), &options));
    last_error_has("labels.npy: data set: label 2 of sample 0 is outside 0..1");
    test_folder_remove();
}
END_TEST

START_TEST(inputs_of_every_type) {
    test_folder_create();
    const int64_t i8[] = {1, -2, 16777217, 4};
    const uint8_t bools[] = {1, 0, 0, 1};
    tread_npy_options options = tread_npy_defaults();
    store("x.npy", 1, DICT("'<i8'", "False", "(2, 2)"), i8, sizeof i8);
    tread_dataset *dataset = tread_npy_load(test_path("x.npy"), NULL, &options);
    ck_assert_int_eq(tread_tensor_dtype(tread_dataset_x(dataset)), TREAD_FLOAT32);
    ck_assert_float_eq(tread_tensor_float(tread_dataset_x(dataset))[2], 16777216);
    ck_assert_ptr_null(tread_dataset_y(dataset));
    tread_dataset_destroy(dataset);
    options.indices = true;
    dataset = tread_npy_load(test_path("x.npy"), NULL, &options);
    ck_assert_int_eq(tread_tensor_dtype(tread_dataset_x(dataset)), TREAD_INT32);
    ck_assert_int_eq(((const int32_t *)tread_tensor_data(tread_dataset_x(dataset)))[2], 16777217);
    tread_dataset_destroy(dataset);
    store("x.npy", 1, DICT("'|b1'", "False", "(2, 2)"), bools, sizeof bools);
    ck_assert_ptr_null(tread_npy_load(test_path("x.npy"), NULL, &options));
    last_error_has("values that are not integers, expected indices");
    options.indices = false;
    dataset = tread_npy_load(test_path("x.npy"), NULL, &options);
    ck_assert_float_eq(tread_tensor_float(tread_dataset_x(dataset))[0], 1);
    tread_dataset_destroy(dataset);
    store("x.npy", 1, DICT("'|u1'", "False", "(2, 2)"), bools, sizeof bools);
    dataset = tread_npy_load(test_path("x.npy"), test_path("absent"),
                             &(tread_npy_options){.size = sizeof options, .task = TREAD_TASK_NONE, .x = "x"});
    ck_assert_int_eq(tread_tensor_dtype(tread_dataset_x(dataset)), TREAD_UINT8);
    tread_dataset_destroy(dataset);
    store("x.npy", 1, DICT("'<f4'", "False", "()"), i8, 4);
    ck_assert_ptr_null(tread_npy_load(test_path("x.npy"), NULL, NULL));
    last_error_has("a single value, expected the first axis to be 1 to 2147483647 samples");
    tread_tensor *scalar = tread_npy_read(test_path("x.npy"));
    ck_assert_int_eq(tread_tensor_rank(scalar), 0);
    tread_tensor_destroy(scalar);
    ck_assert_ptr_null(tread_npy_load(NULL, NULL, NULL));
    options.task = (tread_task)7;
    ck_assert_ptr_null(tread_npy_load("x", NULL, &options));
    last_error_has("task = 7 is outside 0..3");
    options = tread_npy_defaults();
    options.classes = -1;
    ck_assert_ptr_null(tread_npy_load("x", NULL, &options));
    last_error_has("classes = -1 is below 0");
    test_folder_remove();
}
END_TEST

START_TEST(every_truncation_and_every_flipped_bit) {
    test_folder_create();
    const float values[] = {1, 2, 3, 4, 5, 6};
    test_bytes bytes = test_npy(1, DICT("'<f4'", "False", "(2, 3)"), values, sizeof values);
    uint64_t before = tread_memory_live_blocks();
    for (size_t n = 0; n < bytes.n; n++) {
        test_write(test_path("x.npy"), bytes.data, n);
        ck_assert_ptr_null(tread_npy_read(test_path("x.npy")));
        last_error_has(n < bytes.n ? "truncated" : "");
    }
    test_write_gzip(test_path("x.npy"), bytes.data, bytes.n - 1);
    ck_assert_ptr_null(tread_npy_read(test_path("x.npy")));
    last_error_has("truncated: 23 bytes of values, expected 24");
    test_write_gzip(test_path("x.npy"), bytes.data, bytes.n);
    tread_tensor *x = tread_npy_read(test_path("x.npy"));
    ck_assert_mem_eq(tread_tensor_data(x), values, sizeof values);
    tread_tensor_destroy(x);
    int read = 0;
    for (size_t bit = 0; bit < 8 * (bytes.n - sizeof values); bit++) {
        bytes.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
        test_write(test_path("x.npy"), bytes.data, bytes.n);
        x = tread_npy_read(test_path("x.npy"));
        ck_assert(x == NULL || tread_tensor_count(x) == 6); /* (2, 3) may have become (3, 2) or i4, never more */
        read += x != NULL;
        tread_tensor_destroy(x);
        bytes.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    ck_assert_int_lt(read, 12);
    ck_assert_uint_eq(tread_memory_live_blocks(), before);
    free(bytes.data);
    test_folder_remove();
}
END_TEST

START_TEST(saved_arrays_are_read_again) {
    test_folder_create();
    for (int dtype = TREAD_FLOAT32; dtype <= TREAD_UINT8; dtype++)
        for (int rank = 0; rank <= TREAD_MAX_RANK; rank++) {
            const int64_t shape[] = {3, 2, 1, 4, 1, 2};
            tread_tensor *x = tread_tensor_create((tread_dtype)dtype, rank, shape);
            size_t bytes = (size_t)tread_tensor_count(x) * tread_dtype_size((tread_dtype)dtype), length;
            for (int64_t i = 0; i < tread_tensor_count(x); i++) {
                float f = (float)i / 3;
                double d = (double)i / 3;
                int32_t n = (int32_t)i - 5;
                uint8_t u = (uint8_t)(i * 7);
                const void *values[] = {&f, &d, &n, &u};
                size_t size = tread_dtype_size((tread_dtype)dtype);
                memcpy((char *)tread_tensor_data(x) + (size_t)i * size, values[dtype], size);
            }
            ck_assert_ok(tread_npy_save(test_path("o.npy"), x));
            uint8_t *file = test_read(test_path("o.npy"), &length);
            ck_assert_uint_eq((length - bytes) % 64, 0); /* the format wants the values aligned */
            free(file);
            tread_tensor *again = tread_npy_read(test_path("o.npy"));
            ck_assert_msg(again != NULL, "%s", tread_last_error());
            ck_assert(tread_tensor_dtype(again) == (tread_dtype)dtype && tread_tensor_rank(again) == rank);
            ck_assert_mem_eq(tread_tensor_data(again), tread_tensor_data(x), bytes);
            tread_tensor_destroy(again);
            tread_tensor_destroy(x);
        }
    tread_tensor *x = tread_tensor_create(TREAD_FLOAT32, 1, (int64_t[]){3});
    ck_assert_fails(tread_npy_save(test_path("none/o.npy"), x), TREAD_ERROR_IO, "cannot create");
    ck_assert_fails(tread_npy_save(NULL, x), TREAD_ERROR_ARGUMENT, "the path is NULL");
    ck_assert_fails(tread_npy_save("x", NULL), TREAD_ERROR_ARGUMENT, "the x is NULL");
    tread_tensor_destroy(x);
    test_folder_remove();
}
END_TEST

START_TEST(every_allocation_failing) {
    test_folder_create();
    const double x[] = {1, 2, 3, 4, 5, 6};
    store("x.npy", 1, DICT("'<f8'", "True", "(3, 2)"), x, sizeof x);
    store("y.npy", 1, DICT("'|u1'", "False", "(3,)"), "\2\0\1", 3);
    tread_dataset *dataset = NULL;
    uint64_t before = tread_memory_live_blocks(), k = 1;
    for (; dataset == NULL; k++) {
        tread_memory_fail_at(k);
        dataset = tread_npy_load(test_path("x.npy"), test_path("y.npy"), NULL);
        bool failed = tread_memory_failed();
        tread_memory_fail_at(0);
        ck_assert_int_eq(dataset == NULL, failed);
        ck_assert(dataset != NULL || tread_memory_live_blocks() == before);
    }
    ck_assert_uint_gt(k, 10);
    tread_dataset_destroy(dataset);
    test_folder_remove();
}
END_TEST

TEST_MAIN("npy", all_types_and_versions, literals_as_python_writes_them, headers_that_are_refused,
          fortran_order_becomes_c_order, values_that_do_not_fit, labels_and_targets, inputs_of_every_type,
          every_truncation_and_every_flipped_bit, saved_arrays_are_read_again, every_allocation_failing)
