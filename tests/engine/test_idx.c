#include <stdio.h>
#include <string.h>
#include <tread/data.h>
#include <unistd.h>

#include "core/memory.h"
#include "engine/data/idx.h"
#include "tests/engine/files.h"
#include "tests/test.h"

static const uint32_t image_shape[] = {10, 3, 5}, label_shape[] = {10};

/* Writes images (10, 3, 5) and labels 0..3, and hands the bytes over for damaging. */
typedef struct fixture {
    uint8_t *images, *labels;
    size_t n_images, n_labels;
} fixture;

static fixture setup(void) {
    test_folder_create();
    fixture f;
    f.images = test_idx(3, image_shape, 0, &f.n_images);
    f.labels = test_idx(1, label_shape, 4, &f.n_labels);
    return f;
}

static void teardown(fixture *f) {
    free(f->images);
    free(f->labels);
    test_folder_remove();
    ck_assert_uint_eq(tread_memory_live_blocks(), 0);
}

static tread_status load(int classes) {
    tread_dataset *dataset = tread_idx_load(NULL, test_path("images"), test_path("labels"), classes);
    tread_dataset_destroy(dataset);
    return dataset != NULL ? TREAD_OK : TREAD_ERROR_FORMAT;
}

static void store(const fixture *f) {
    test_write(test_path("images"), f->images, f->n_images);
    test_write(test_path("labels"), f->labels, f->n_labels);
}

START_TEST(plain_and_gzip_give_the_same) {
    fixture f = setup();
    for (int gzip = 0; gzip < 2; gzip++) {
        void (*write)(const char *, const void *, size_t) = gzip ? test_write_gzip : test_write;
        write(test_path("images"), f.images, f.n_images);
        write(test_path("labels"), f.labels, f.n_labels);
        tread_dataset *dataset = tread_idx_load(NULL, test_path("images"), test_path("labels"), 0);
        ck_assert_msg(dataset != NULL, "%s", tread_last_error());
        ck_assert_int_eq(tread_dataset_count(dataset), 10);
        ck_assert_int_eq(tread_dataset_features(dataset), 15);
        ck_assert_int_eq(tread_dataset_classes(dataset), 4);
        const tread_tensor *x = tread_dataset_x(dataset);
        ck_assert_int_eq(tread_tensor_dtype(x), TREAD_UINT8);
        ck_assert_int_eq(tread_tensor_rank(x), 3);
        ck_assert_int_eq(tread_tensor_dim(x, 2), 5);
        ck_assert_mem_eq(tread_tensor_data(x), f.images + 16, 150);
        ck_assert_mem_eq(tread_tensor_data(tread_dataset_y(dataset)), f.labels + 8, 10);
        tread_dataset_destroy(dataset);
    }
    teardown(&f);
}
END_TEST

START_TEST(gzip_of_two_members_is_one_file) {
    fixture f = setup();
    store(&f);
    size_t n1, n2;
    test_write_gzip(test_path("a"), f.images, 40);
    test_write_gzip(test_path("b"), f.images + 40, f.n_images - 40);
    uint8_t *a = test_read(test_path("a"), &n1), *b = test_read(test_path("b"), &n2);
    a = realloc(a, n1 + n2);
    memcpy(a + n1, b, n2);
    test_write(test_path("images"), a, n1 + n2);
    ck_assert_msg(load(0) == TREAD_OK, "%s", tread_last_error());
    free(a);
    free(b);
    teardown(&f);
}
END_TEST

START_TEST(absent_files_and_folders) {
    fixture f = setup();
    ck_assert_fails(load(0), TREAD_ERROR_FORMAT, "images: cannot open: No such file");
    test_write(test_path("images"), f.images, f.n_images);
    ck_assert_fails(load(0), TREAD_ERROR_FORMAT, "labels: cannot open: No such file");
    ck_assert_ptr_null(tread_idx_load(NULL, test_path("."), test_path("labels"), 0));
    ck_assert_ptr_nonnull(strstr(tread_last_error(), "is a folder"));
    teardown(&f);
}
END_TEST

START_TEST(foreign_files_are_refused) {
    fixture f = setup();
    f.images[0] = 'P';
    store(&f);
    ck_assert_fails(load(0), TREAD_ERROR_FORMAT, "not an IDX file: begins with 50 00 08 03, expected 00 00 08 03");
    f.images[0] = 0;
    f.images[2] = 0x0d;
    store(&f);
    ck_assert_fails(load(0), TREAD_ERROR_FORMAT, "element type 0x0d (float32), expected 0x08");
    f.images[2] = 8;
    test_write(test_path("images"), f.labels, f.n_labels);
    ck_assert_fails(load(0), TREAD_ERROR_FORMAT, "rank 1, expected 2 to 6 for images");
    test_write(test_path("images"), f.images, f.n_images);
    test_write(test_path("labels"), f.images, f.n_images);
    ck_assert_fails(load(0), TREAD_ERROR_FORMAT, "rank 3, expected 1 for labels");
    teardown(&f);
}
END_TEST

START_TEST(every_truncation_is_refused) {
    fixture f = setup();
    store(&f);
    for (size_t n = 0; n < f.n_images; n++) {
        test_write(test_path("images"), f.images, n);
        ck_assert_fails(load(0), TREAD_ERROR_FORMAT, "truncated");
    }
    test_write(test_path("images"), f.images, 100);
    ck_assert_fails(load(0), TREAD_ERROR_FORMAT,
                    "images: truncated: dimensions 10x3x5 need 166 bytes, the file has 100");
    test_write(test_path("images"), f.images, f.n_images);
    for (size_t n = 0; n < f.n_labels; n++) {
        test_write(test_path("labels"), f.labels, n);
        ck_assert_fails(load(0), TREAD_ERROR_FORMAT, "labels: truncated");
    }
    teardown(&f);
}
END_TEST

START_TEST(every_truncation_and_damage_of_gzip_is_refused) {
    fixture f = setup();
    store(&f);
    size_t n;
    test_write_gzip(test_path("whole"), f.images, f.n_images);
    uint8_t *bytes = test_read(test_path("whole"), &n);
    for (size_t cut = 0; cut < n; cut++) {
        test_write(test_path("images"), bytes, cut);
        ck_assert_int_ne(load(0), TREAD_OK);
        ck_assert_msg(strstr(tread_last_error(), "truncated") != NULL || cut == 1, "%zu: %s", cut, tread_last_error());
    }
    for (size_t i = 11; i < n; i++) { /* before that: a time that means nothing, and padding of the stored block */
        bytes[i] ^= 0x10;
        test_write(test_path("images"), bytes, n);
        ck_assert_msg(load(0) != TREAD_OK, "byte %zu of %zu", i, n);
        bytes[i] ^= 0x10;
    }
    bytes = realloc(bytes, n + 3);
    memcpy(bytes + n, "xyz", 3);
    test_write(test_path("images"), bytes, n + 3);
    ck_assert_fails(load(0), TREAD_ERROR_FORMAT, "follow the end of the gzip data");
    free(bytes);
    teardown(&f);
}
END_TEST

START_TEST(contents_that_are_too_long_or_short) {
    fixture f = setup();
    store(&f);
    f.images = realloc(f.images, f.n_images + 1);
    f.images[f.n_images] = 0;
    test_write(test_path("images"), f.images, f.n_images + 1);
    ck_assert_fails(load(0), TREAD_ERROR_FORMAT, "too long: dimensions 10x3x5 need 166 bytes, the file has 167");
    test_write_gzip(test_path("images"), f.images, f.n_images + 1);
    ck_assert_fails(load(0), TREAD_ERROR_FORMAT, "too long: values follow the 150");
    test_write_gzip(test_path("images"), f.images, f.n_images - 1);
    ck_assert_fails(load(0), TREAD_ERROR_FORMAT, "truncated: dimensions 10x3x5 need 150 bytes of values, found 149");
    teardown(&f);
}
END_TEST

START_TEST(lying_dimensions_are_refused_before_memory_is_taken) {
    fixture f = setup();
    store(&f);
    memset(f.images + 4, 0xff, 12); /* 2^96 */
    test_write(test_path("images"), f.images, f.n_images);
    ck_assert_fails(load(0), TREAD_ERROR_FORMAT, "dimensions 4294967295x4294967295x4294967295 are more than");
    memset(f.images + 4, 0, 12);
    test_write(test_path("images"), f.images, f.n_images);
    ck_assert_fails(load(0), TREAD_ERROR_FORMAT, "dimensions 0x0x0 hold no values");
    memcpy(f.images + 4, (uint8_t[]){0, 0x10, 0, 0, 0, 0, 4, 0, 0, 0, 1, 0}, 12); /* 256 GiB */
    test_write(test_path("images"), f.images, f.n_images);
    ck_assert_fails(load(0), TREAD_ERROR_FORMAT, "dimensions 1048576x1024x256 are more than the 68719476736 bytes");
    memcpy(f.images + 4, (uint8_t[]){0, 1, 0, 0, 0, 0, 4, 0, 0, 0, 1, 0}, 12); /* 16 GiB */
    test_write_gzip(test_path("images"), f.images, f.n_images);
    ck_assert_fails(load(0), TREAD_ERROR_FORMAT, "bytes of gzip data cannot hold");
    memcpy(f.images + 4, (uint8_t[]){0xff, 0xff, 0xff, 0xff, 0, 0, 0, 1, 0, 0, 0, 1}, 12);
    ck_assert_int_eq(truncate(test_path("labels"), 0), 0);
    test_write(test_path("images"), f.images, f.n_images);
    ck_assert_int_eq(truncate(test_path("images"), 16 + 0xffffffffl), 0); /* a hole: takes no space */
    ck_assert_fails(load(0), TREAD_ERROR_FORMAT, "4294967295 samples, expected at most 2147483647");
    teardown(&f);
}
END_TEST

START_TEST(counts_and_labels) {
    fixture f = setup();
    store(&f);
    size_t n;
    uint8_t *nine = test_idx(1, (uint32_t[]){9}, 4, &n);
    test_write(test_path("labels"), nine, n);
    free(nine);
    ck_assert_fails(load(0), TREAD_ERROR_FORMAT, "images has 10 images, and ");
    f.labels[8 + 6] = 200;
    test_write(test_path("labels"), f.labels, f.n_labels);
    ck_assert_fails(load(10), TREAD_ERROR_FORMAT, "labels: label 200 of sample 6, expected 0 to 9");
    ck_assert_int_eq(load(0), TREAD_OK);
    ck_assert_int_eq(load(201), TREAD_OK);
    ck_assert_fails(load(200), TREAD_ERROR_FORMAT, "label 200 of sample 6");
    ck_assert_fails(load(257), TREAD_ERROR_FORMAT, "classes = 257 is outside 0..256");
    ck_assert_fails(load(-1), TREAD_ERROR_FORMAT, "classes = -1 is outside");
    teardown(&f);
}
END_TEST

START_TEST(folder_of_four_files) {
    for (int gzip = 0; gzip < 2; gzip++) {
        const char *folder = test_folder_create();
        test_write_mnist(50, 20, 4, 6, 3, gzip);
        tread_dataset *train, *test;
        ck_assert_ok(tread_mnist_load(NULL, folder, &train, &test));
        ck_assert_int_eq(tread_dataset_count(train), 50);
        ck_assert_int_eq(tread_dataset_count(test), 20);
        ck_assert_int_eq(tread_dataset_classes(test), 3);
        double mean, std, mean_test, std_test, measured, deviation;
        tread_dataset_normalization(train, &mean, &std);
        tread_dataset_normalization(test, &mean_test, &std_test);
        ck_assert_ok(tread_dataset_measure(NULL, train, &measured, &deviation));
        ck_assert(mean == mean_test && std == std_test && mean == measured && std == deviation && std > 0);
        tread_dataset_destroy(train);
        tread_dataset_destroy(test);

        char name[64];
        snprintf(name, sizeof name, "t10k-labels-idx1-ubyte%s", gzip ? ".gz" : "");
        unlink(test_path(name));
        ck_assert_fails(tread_mnist_load(NULL, folder, &train, &test), TREAD_ERROR_IO,
                        "t10k-labels-idx1-ubyte.gz exists");
        test_folder_remove();
    }
    ck_assert_uint_eq(tread_memory_live_blocks(), 0);
}
END_TEST

START_TEST(test_set_of_another_kind) {
    const char *folder = test_folder_create();
    size_t n;
    tread_dataset *train = NULL, *test = NULL;
    test_write_mnist(50, 20, 4, 6, 3, false);
    uint8_t *images = test_idx(3, (uint32_t[]){20, 4, 5}, 0, &n);
    test_write(test_path("t10k-images-idx3-ubyte"), images, n);
    ck_assert_fails(tread_mnist_load(NULL, folder, &train, &test), TREAD_ERROR_FORMAT, "images of 20 bytes");
    free(images);
    test_write_mnist(50, 20, 4, 6, 3, false);
    uint8_t *labels = test_idx(1, (uint32_t[]){20}, 4, &n);
    test_write(test_path("t10k-labels-idx1-ubyte"), labels, n);
    ck_assert_fails(tread_mnist_load(NULL, folder, &train, &test), TREAD_ERROR_FORMAT,
                    "label 3 of sample 3, expected 0 to 2");
    free(labels);
    ck_assert(train == NULL && test == NULL);
    test_folder_remove();
}
END_TEST

START_TEST(every_allocation_failing) {
    const char *folder = test_folder_create();
    test_write_mnist(50, 20, 4, 6, 3, true);
    tread_dataset *train = NULL, *test = NULL;
    ck_assert_ok(tread_mnist_load(NULL, folder, &train, &test)); /* the default context is made */
    tread_dataset_destroy(train);
    tread_dataset_destroy(test);
    uint64_t before = tread_memory_live_blocks();
    train = test = NULL;
    for (uint64_t k = 1;; k++) {
        tread_memory_fail_at(k);
        tread_status status = tread_mnist_load(NULL, folder, &train, &test);
        bool failed = tread_memory_failed();
        tread_memory_fail_at(0);
        if (!failed) {
            ck_assert_ok(status);
            ck_assert_uint_gt(k, 20);
            break;
        }
        ck_assert_fails(status, TREAD_ERROR_MEMORY, "out of memory");
        ck_assert(train == NULL && test == NULL);
        ck_assert_uint_eq(tread_memory_live_blocks(), before);
    }
    tread_dataset_destroy(train);
    tread_dataset_destroy(test);
    test_folder_remove();
}
END_TEST

START_TEST(locating) {
    char folder[4096];
    unsetenv("TREAD_DATA");
    unsetenv("TREAD_SOURCE_DATA");
    const char *path = test_folder_create();
    ck_assert_fails(tread_data_locate(path, folder, sizeof folder), TREAD_ERROR_IO, path);
    tread_status status = tread_data_locate(NULL, folder, sizeof folder);
    if (status != TREAD_OK) { /* else the data is installed on this machine */
        ck_assert_ptr_nonnull(strstr(tread_last_error(), "TREAD_DATA (not set), the installed folder /"));
        ck_assert_ptr_nonnull(strstr(tread_last_error(), "TREAD_SOURCE_DATA (not set)"));
        test_write_mnist(5, 5, 2, 2, 2, true);
        setenv("TREAD_SOURCE_DATA", path, 1);
        ck_assert_ok(tread_data_locate(NULL, folder, sizeof folder));
        ck_assert_str_eq(folder, path);
    }
    setenv("TREAD_DATA", "/nowhere", 1); /* what somebody asked for is not replaced by something else */
    ck_assert_fails(tread_data_locate(NULL, folder, sizeof folder), TREAD_ERROR_IO, "/nowhere (from TREAD_DATA)");
    test_write_mnist(5, 5, 2, 2, 2, false);
    setenv("TREAD_DATA", path, 1);
    ck_assert_ok(tread_data_locate(NULL, folder, sizeof folder));
    ck_assert_str_eq(folder, path);
    ck_assert_fails(tread_data_locate(NULL, folder, strlen(path)), TREAD_ERROR_ARGUMENT, "does not fit");
    ck_assert_fails(tread_data_locate("/elsewhere", folder, sizeof folder), TREAD_ERROR_IO, "/elsewhere");
    unsetenv("TREAD_DATA");
    unsetenv("TREAD_SOURCE_DATA");
    test_folder_remove();
}
END_TEST

TEST_MAIN("idx", plain_and_gzip_give_the_same, gzip_of_two_members_is_one_file, absent_files_and_folders,
          foreign_files_are_refused, every_truncation_is_refused, every_truncation_and_damage_of_gzip_is_refused,
          contents_that_are_too_long_or_short, lying_dimensions_are_refused_before_memory_is_taken, counts_and_labels,
          folder_of_four_files, test_set_of_another_kind, every_allocation_failing, locating)
