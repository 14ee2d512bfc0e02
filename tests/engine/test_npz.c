#include <stdio.h>
#include <string.h>
#include <tread/files.h>

#include "core/memory.h"
#include "tests/engine/arrays.h"
#include "tests/engine/files.h"
#include "tests/test.h"

#define N 50

/* Arrays x (50, 2), floats i / 2, and y (50), labels i mod 3. */
typedef struct fixture {
    test_entry entries[3];
} fixture;

static fixture setup(bool deflate, bool zip64) {
    float x[2 * N];
    uint8_t y[N];
    test_folder_create();
    for (int i = 0; i < 2 * N; i++)
        x[i] = (float)i / 2;
    for (int i = 0; i < N; i++)
        y[i] = (uint8_t)(i % 3);
    test_bytes x_file = test_npy(1, "{'descr': '<f4', 'fortran_order': False, 'shape': (50, 2), }", x, sizeof x);
    test_bytes y_file = test_npy(1, "{'descr': '|u1', 'fortran_order': False, 'shape': (50,), }", y, sizeof y);
    return (fixture){{{"x.npy", x_file, deflate, zip64}, {"y.npy", y_file, deflate, zip64}}};
}

static void teardown(fixture *f) {
    free(f->entries[0].contents.data);
    free(f->entries[1].contents.data);
    test_folder_remove();
    ck_assert_uint_eq(tread_memory_live_blocks(), 0);
}

static tread_dataset *load(const void *bytes, size_t n, const tread_npy_options *options) {
    test_write(test_path("a.npz"), bytes, n);
    return tread_npz_load(test_path("a.npz"), options);
}

static void must_fail(const void *bytes, size_t n, const tread_npy_options *options, const char *part) {
    tread_dataset *dataset = load(bytes, n, options);
    ck_assert_ptr_null(dataset);
    ck_assert_msg(strstr(tread_last_error(), part) != NULL, "\"%s\" lacks \"%s\"", tread_last_error(), part);
}

/* The place of a signature, from the n-th on (from 0). */
static size_t find(const test_bytes *zip, const char *signature, int n) {
    for (size_t i = 0; i + 4 <= zip->n; i++)
        if (memcmp(zip->data + i, signature, 4) == 0 && n-- == 0)
            return i;
    ck_abort_msg("no such signature");
}
#define LOCAL "PK\3\4"
#define RECORD "PK\1\2"
#define END "PK\5\6"
#define END64 "PK\6\6"
#define LOCATOR "PK\6\7"

static void check_values(const tread_dataset *dataset) {
    ck_assert_msg(dataset != NULL, "%s", tread_last_error());
    ck_assert(tread_dataset_count(dataset) == N && tread_dataset_classes(dataset) == 3);
    for (int i = 0; i < 2 * N; i++)
        ck_assert_float_eq(tread_tensor_float(tread_dataset_x(dataset))[i], (float)i / 2);
    for (int i = 0; i < N; i++)
        ck_assert_int_eq(((const int32_t *)tread_tensor_data(tread_dataset_y(dataset)))[i], i % 3);
}

START_TEST(stored_deflated_and_zip64) {
    for (int kind = 0; kind < 8; kind++) {
        fixture f = setup((kind & 1) != 0, (kind & 2) != 0);
        test_bytes zip = test_zip(f.entries, 2, (kind & 4) != 0);
        tread_dataset *dataset = load(zip.data, zip.n, NULL);
        check_values(dataset);
        tread_dataset_destroy(dataset);
        zip.data = realloc(zip.data, zip.n + 7); /* with a comment at the end */
        zip.data[zip.n - 2] = 7;
        memcpy(zip.data + zip.n, "comment", 7);
        dataset = load(zip.data, zip.n + 7, NULL);
        check_values(dataset);
        tread_dataset_destroy(dataset);
        free(zip.data);
        teardown(&f);
    }
}
END_TEST

START_TEST(arrays_by_name) {
    fixture f = setup(true, false);
    f.entries[2] = f.entries[1];
    f.entries[2].name = "t"; /* without .npy */
    test_bytes zip = test_zip(f.entries, 3, false);
    tread_npy_options options = tread_npy_defaults();
    options.y = "t";
    tread_dataset *dataset = load(zip.data, zip.n, &options);
    check_values(dataset);
    tread_dataset_destroy(dataset);
    options.y = "labels";
    must_fail(zip.data, zip.n, &options, "there is no labels.npy among x.npy, y.npy, t");
    options.x = "x_train";
    must_fail(zip.data, zip.n, &options, "there is no x_train.npy among");
    options = tread_npy_defaults();
    options.y = NULL;
    must_fail(zip.data, zip.n, &options, "the name of y is NULL");
    options.task = TREAD_TASK_NONE;
    dataset = load(zip.data, zip.n, &options);
    ck_assert_ptr_null(tread_dataset_y(dataset));
    tread_dataset_destroy(dataset);
    options.x = NULL;
    must_fail(zip.data, zip.n, &options, "the name of x is NULL");
    char longer[600];
    memset(longer, 'a', sizeof longer - 1);
    longer[sizeof longer - 1] = '\0';
    options.x = longer;
    must_fail(zip.data, zip.n, &options, "an array's name of 599 bytes is too long");
    free(zip.data);
    f.entries[2].name = "x.npy";
    zip = test_zip(f.entries, 3, false);
    must_fail(zip.data, zip.n, NULL, "there are 2 entries named x.npy");
    free(zip.data);
    zip = test_zip(f.entries, 0, false);
    must_fail(zip.data, zip.n, NULL, "there is no x.npy among its entries: it is empty");
    free(zip.data);
    f.entries[1].name = "y.npy";
    f.entries[1].contents.n -= 1;
    zip = test_zip(f.entries, 2, false);
    must_fail(zip.data, zip.n, NULL, "array y: truncated: the shape (50) needs");
    free(zip.data);
    ck_assert_ptr_null(tread_npz_load(NULL, NULL));
    ck_assert_ptr_null(tread_npz_load(test_path("absent"), NULL));
    ck_assert_ptr_nonnull(strstr(tread_last_error(), "cannot open"));
    ck_assert_ptr_null(tread_npz_load(test_path("."), NULL));
    ck_assert_ptr_nonnull(strstr(tread_last_error(), "is not a regular file"));
    teardown(&f);
}
END_TEST

/* Changes n bytes at a place, and what must be said of it. */
typedef struct damage {
    const char *signature;
    int which;
    size_t offset;
    uint64_t value;
    int n;
    const char *sentence;
} damage;

static void try_damages(const test_bytes *zip, const damage *damages, size_t n) {
    for (size_t i = 0; i < n; i++) {
        const damage *d = &damages[i];
        uint8_t *at = zip->data + find(zip, d->signature, d->which) + d->offset, before[8];
        memcpy(before, at, sizeof before);
        for (int b = 0; b < d->n; b++)
            at[b] = (uint8_t)(d->value >> (8 * b));
        must_fail(zip->data, zip->n, NULL, d->sentence);
        memcpy(at, before, sizeof before);
    }
}

START_TEST(records_that_lie) {
    fixture f = setup(true, false);
    test_bytes zip = test_zip(f.entries, 2, false);
    zip.data = realloc(zip.data, zip.n + 8); /* so that eight bytes can be kept at the last place too */
    const damage damages[] = {
        {RECORD, 0, 8, 1, 2, "x.npy is encrypted"},
        {RECORD, 0, 10, 12, 2, "x.npy is compressed by method 12, expected 0 (stored) or 8 (deflate)"},
        {RECORD, 0, 10, 0, 2, "x.npy is stored, and has 528 bytes in"},
        {RECORD, 0, 24, 0x7fffffff, 4, "x.npy is to have 2147483647 bytes, which"},
        {RECORD, 0, 24, 527, 4, "array x: truncated: the shape (50, 2) needs 528 bytes, and there are 527"},
        {RECORD, 0, 24, 529, 4, "array x: too long: the shape (50, 2) needs 528 bytes, and there are 529"},
        {RECORD, 0, 16, 0, 4, "x.npy has the checksum"},
        {RECORD, 0, 20, 0x7fffffff, 4, "bytes of x.npy do not fit in the file"},
        {RECORD, 0, 20, 60, 4, "x.npy: damaged deflate data after"},
        {RECORD, 0, 42, 1, 4, "the header of x.npy at 1 is not the one"},
        {RECORD, 0, 42, 0x7fffffff, 4, "x.npy begins at 2147483647, which is outside the entries"},
        {RECORD, 0, 0, 0, 1, "entry 0 of the directory is damaged"},
        {RECORD, 1, 28, 60000, 2, "entry 1 of the directory is damaged"},
        {RECORD, 1, 28, 4, 2, "the directory is longer than its 2 entries"},
        {RECORD, 0, 24, 0xffffffff, 4, "entry 0 of the directory is damaged"}, /* no extra field has it */
        {LOCAL, 0, 0, 0, 1, "the header of x.npy at 0 is not the one"},
        {LOCAL, 0, 8, 0, 2, "the header of x.npy at 0 is not the one"},
        {LOCAL, 0, 28, 60000, 2, "bytes of x.npy do not fit in the file"},
        {END, 0, 0, 0, 1, "not a zip archive, or truncated: it has no end record"},
        {END, 0, 4, 1, 2, "an archive in several parts"},
        {END, 0, 8, 1, 2, "an archive in several parts"},
        {END, 0, 8, 0x00030003, 4, "a directory of 3 entries in"},
        {END, 0, 8, 0x00010001, 4, "the directory is longer than its 1 entries"},
        {END, 0, 12, 5, 4, "cannot be"},
        {END, 0, 12, 103, 4, "cannot be"},
        {END, 0, 16, 0xffffffff, 4, "cannot be"},
        {END, 0, 20, 1, 2, "not a zip archive, or truncated"},
    };
    try_damages(&zip, damages, sizeof damages / sizeof *damages);
    free(zip.data);
    zip = test_zip(f.entries, 2, true);
    zip.data = realloc(zip.data, zip.n + 8);
    const damage damages64[] = {
        {END64, 0, 0, 0, 1, "there is no zip64 end record at"},
        {END64, 0, 16, 1, 4, "an archive in several parts"},
        {END64, 0, 24, 3, 8, "an archive in several parts"},
        {END64, 0, 40, UINT64_MAX, 8, "cannot be"},
        {END64, 0, 48, UINT64_MAX, 8, "cannot be"},
        {LOCATOR, 0, 8, UINT64_MAX, 8, "the zip64 end record at 18446744073709551615 is outside the file"},
        {LOCATOR, 0, 0, 0, 1, "cannot be"}, /* what the old end record says is all ones */
    };
    try_damages(&zip, damages64, sizeof damages64 / sizeof *damages64);
    free(zip.data);
    teardown(&f);
}
END_TEST

START_TEST(every_truncation_and_every_flipped_bit) {
    for (int kind = 0; kind < 4; kind++) {
        fixture f = setup((kind & 1) != 0, (kind & 2) != 0);
        test_bytes zip = test_zip(f.entries, 2, (kind & 2) != 0);
        for (size_t n = 0; n < zip.n; n += n < zip.n - 200 ? 7 : 1)
            must_fail(zip.data, n, NULL, "a.npz");
        size_t directory = find(&zip, RECORD, 0);
        for (size_t i = 0; i < zip.n;
             i++) { /* what the data is, checksums hold; what the directory is, some bits mean nothing */
            zip.data[i] ^= (uint8_t)(1 << i % 8);
            tread_dataset *dataset = load(zip.data, zip.n, NULL);
            if (dataset != NULL && i < directory)
                check_values(dataset); /* only what means nothing has changed: a time, an extra field */
            tread_dataset_destroy(dataset);
            zip.data[i] ^= (uint8_t)(1 << i % 8);
        }
        free(zip.data);
        teardown(&f);
    }
}
END_TEST

START_TEST(every_allocation_failing) {
    fixture f = setup(true, true);
    test_bytes zip = test_zip(f.entries, 2, true);
    test_write(test_path("a.npz"), zip.data, zip.n);
    tread_dataset *dataset = NULL;
    uint64_t before = tread_memory_live_blocks(), k = 1;
    for (; dataset == NULL; k++) {
        tread_memory_fail_at(k);
        dataset = tread_npz_load(test_path("a.npz"), NULL);
        bool failed = tread_memory_failed();
        tread_memory_fail_at(0);
        ck_assert_int_eq(dataset == NULL, failed);
        ck_assert_msg(dataset != NULL || strstr(tread_last_error(), "out of memory") != NULL, "%s", tread_last_error());
        ck_assert(dataset != NULL || tread_memory_live_blocks() == before);
    }
    ck_assert_uint_gt(k, 12);
    tread_dataset_destroy(dataset);
    free(zip.data);
    teardown(&f);
}
END_TEST

TEST_MAIN("npz", stored_deflated_and_zip64, arrays_by_name, records_that_lie, every_truncation_and_every_flipped_bit,
          every_allocation_failing)
