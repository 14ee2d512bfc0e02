#include <float.h>
#include <locale.h>
#include <math.h>
#include <string.h>
#include <tread/files.h>

#include "tests/engine/files.h"
#include "tests/test.h"

START_TEST(saved_tables_are_read_again_to_the_bit) {
    test_folder_create();
    enum { n = 1000 };
    float *values = malloc(n * 2 * sizeof *values);
    uint32_t bits = 12345;
    for (int i = 0; i < 2 * n; i++) {
        do { /* any finite float */
            bits = bits * 1664525 + 1013904223;
            memcpy(&values[i], &bits, sizeof bits);
        } while (!isfinite(values[i]));
    }
    values[0] = FLT_MIN / 8;
    values[1] = -0.0f;
    tread_tensor *x = tread_tensor_wrap(TREAD_FLOAT32, 2, (int64_t[]){n, 2}, values);
    const char *const names[] = {"a, \"quoted\"\n", "b"};
    ck_assert_ok(tread_csv_save(test_path("o.csv"), x, names));
    tread_csv_options options = tread_csv_defaults();
    options.task = TREAD_TASK_NONE;
    tread_dataset *dataset = tread_csv_load(test_path("o.csv"), &options);
    ck_assert_msg(dataset != NULL, "%s", tread_last_error());
    ck_assert_int_eq(tread_dataset_count(dataset), n);
    ck_assert_str_eq(tread_dataset_feature_name(dataset, 0), names[0]);
    ck_assert_mem_eq(tread_tensor_data(tread_dataset_x(dataset)), values, n * 2 * sizeof *values);
    tread_dataset_destroy(dataset);
    tread_tensor_destroy(x);
    free(values);
    double doubles[] = {0.1, 1.0 / 3, 1e-300, -(double)NAN, -INFINITY};
    int32_t ints[] = {-5, INT32_MAX};
    uint8_t bytes[] = {0, 255};
    const struct {
        tread_dtype dtype;
        int64_t n;
        void *data;
        const char *text;
    } cases[] = {{TREAD_FLOAT64, 5, doubles, "0.1\n0.3333333333333333\n1e-300\nnan\n-inf\n"},
                 {TREAD_INT32, 2, ints, "-5\n2147483647\n"},
                 {TREAD_UINT8, 2, bytes, "0\n255\n"}};
    for (size_t i = 0; i < 3; i++) {
        size_t length;
        x = tread_tensor_wrap(cases[i].dtype, 1, &cases[i].n, cases[i].data);
        ck_assert_ok(tread_csv_save(test_path("o.csv"), x, NULL));
        char *text = (char *)test_read(test_path("o.csv"), &length);
        ck_assert_str_eq(text, cases[i].text);
        free(text);
        tread_tensor_destroy(x);
    }
    x = tread_tensor_create(TREAD_FLOAT32, 3, (int64_t[]){2, 2, 2});
    ck_assert_fails(tread_csv_save(test_path("o.csv"), x, NULL), TREAD_ERROR_SHAPE, "a tensor (2, 2, 2)");
    tread_tensor_destroy(x);
    x = tread_tensor_create(TREAD_FLOAT32, 1, (int64_t[]){2});
    ck_assert_fails(tread_csv_save(test_path("none/o.csv"), x, NULL), TREAD_ERROR_IO, "cannot create");
    ck_assert_fails(tread_csv_save(NULL, x, NULL), TREAD_ERROR_ARGUMENT, "the path is NULL");
    ck_assert_fails(tread_csv_save("x", NULL, NULL), TREAD_ERROR_ARGUMENT, "the x is NULL");
    tread_tensor_destroy(x);
    test_folder_remove();
}
END_TEST

START_TEST(the_locale_does_not_matter) {
    const char *locales[] = {"de_DE.UTF-8", "fr_FR.UTF-8", "de_DE"};
    test_folder_create();
    for (size_t i = 0; i < 3 && strcmp(localeconv()->decimal_point, ".") == 0; i++)
        setlocale(LC_ALL, locales[i]); /* where none is installed, this tests the C locale once more */
    const char *text_in = "1.5,x\n0.000000000000000000000000000000123456789012345678901,y\n";
    test_write(test_path("t.csv"), text_in, strlen(text_in));
    tread_dataset *dataset = tread_csv_load(test_path("t.csv"), NULL);
    ck_assert_msg(dataset != NULL, "%s", tread_last_error());
    const float *x = tread_tensor_float(tread_dataset_x(dataset));
    ck_assert(x[0] == 1.5f && x[1] == 1.23456789e-31f);
    size_t length;
    ck_assert_ok(tread_csv_save(test_path("o.csv"), tread_dataset_x(dataset), NULL));
    char *text = (char *)test_read(test_path("o.csv"), &length);
    ck_assert_str_eq(text, "1.5\n1.2345679e-31\n");
    free(text);
    tread_dataset_destroy(dataset);
    setlocale(LC_ALL, "C");
    test_folder_remove();
}
END_TEST

TEST_MAIN("csv_save", saved_tables_are_read_again_to_the_bit, the_locale_does_not_matter)
