/* Every single file call of reading and writing data failing, in every way that it can. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tread/files.h>
#include <unistd.h>

#include "core/memory.h"
#include "tests/engine/arrays.h"
#include "tests/engine/fault.h"
#include "tests/engine/files.h"
#include "tests/engine/series_world.h"
#include "tests/test.h"

enum { ROWS = 40, COLUMNS = 3 };

/* Loads and gives the number of samples, or saves and gives ROWS; -1 on failure. */
typedef struct operation {
    const char *name;
    int64_t (*run)(void);
    int64_t expected;
} operation;

static int64_t count_and_destroy(tread_dataset *dataset) {
    int64_t n = dataset == NULL ? -1 : tread_dataset_count(dataset);
    tread_dataset_destroy(dataset);
    return n;
}

static int64_t load_mnist(void) {
    tread_dataset *train = NULL, *test = NULL;
    if (tread_mnist_load(NULL, test_path("."), &train, &test) != TREAD_OK) {
        ck_assert(train == NULL && test == NULL);
        return -1;
    }
    int64_t n = count_and_destroy(train);
    return n + count_and_destroy(test);
}

static int64_t load_csv(void) {
    tread_csv_options o = tread_csv_defaults();
    o.target = "c";
    o.task = TREAD_TASK_REGRESSION;
    return count_and_destroy(tread_csv_load(test_path("x.csv"), &o));
}

static int64_t load_npy(void) { return count_and_destroy(tread_npy_load(test_path("x.npy"), NULL, NULL)); }

static int64_t load_npz(void) {
    tread_npy_options o = tread_npy_defaults();
    o.task = TREAD_TASK_NONE;
    return count_and_destroy(tread_npz_load(test_path("x.npz"), &o));
}

static tread_tensor *table(float first) {
    tread_tensor *x = tread_tensor_create(TREAD_FLOAT32, 2, (int64_t[]){ROWS, COLUMNS});
    for (int i = 0; x != NULL && i < ROWS * COLUMNS; i++)
        tread_tensor_float(x)[i] = first + (float)i;
    return x;
}

static const char *const column_names[COLUMNS] = {"a", "b", "c"};

static tread_status save_csv(float first) {
    tread_tensor *x = table(first);
    tread_status status = tread_csv_save(test_path("x.csv"), x, column_names);
    tread_tensor_destroy(x);
    return status;
}

static tread_status save_npy(float first) {
    tread_tensor *x = table(first);
    tread_status status = tread_npy_save(test_path("x.npy"), x);
    tread_tensor_destroy(x);
    return status;
}

static int64_t save_csv_again(void) { return save_csv(1) == TREAD_OK ? ROWS : -1; }
static int64_t save_npy_again(void) { return save_npy(1) == TREAD_OK ? ROWS : -1; }

static void write_npz(void) {
    float values[ROWS * COLUMNS] = {0};
    test_bytes array =
        test_npy(1, "{'descr': '<f4', 'fortran_order': False, 'shape': (40, 3), }", values, sizeof values);
    test_bytes archive = test_zip(&(test_entry){.name = "x.npy", .contents = array, .deflate = true}, 1, false);
    test_write(test_path("x.npz"), archive.data, archive.n);
    free(array.data);
    free(archive.data);
}

/* The first value of a saved table: all of them must be of one save. */
static float saved_first(void) {
    tread_tensor *x = tread_npy_read(test_path("x.npy"));
    ck_assert_msg(x != NULL, "%s", tread_last_error());
    float first = tread_tensor_float(x)[0];
    for (int i = 0; i < ROWS * COLUMNS; i++)
        ck_assert(tread_tensor_float(x)[i] == first + (float)i);
    tread_tensor_destroy(x);
    return first;
}

static bool fault_in(const operation *o, fault_kind kind, int n, int reason) {
    uint64_t blocks = tread_memory_live_blocks();
    int descriptors = open_descriptors();
    ck_assert_int_eq(tread_fail(TREAD_ERROR_STATE, "none"), TREAD_ERROR_STATE);
    fault_plan(kind, n, reason, false);
    int64_t count = o->run();
    bool happened = fault_happened();
    fault_plan(FAULT_ANY, 0, 0, false);
    if (!happened || reason == EINTR || reason == FAULT_SHORT)
        ck_assert_msg(count == o->expected, "%s, %s %d: %s", o->name, fault_names[kind], n, tread_last_error());
    if (count < 0) {
        ck_assert_msg(strstr(tread_last_error(), test_path("")) != NULL, "%s", tread_last_error());
        ck_assert_msg(strstr(tread_last_error(), strerror(reason)) != NULL, "%s, %s %d: %s", o->name, fault_names[kind],
                      n, tread_last_error());
    } else {
        ck_assert_int_eq(count, o->expected);
    }
    ck_assert_uint_eq(tread_memory_live_blocks(), blocks);
    ck_assert_int_eq(open_descriptors(), descriptors);
    ck_assert_int_eq(files_with(test_path("."), ".tmp"), 0);
    return happened;
}

static void try_all(const operation *o) {
    int n_happened = 0;
    for (int kind = 0; kind <= FAULT_ANY; kind++)
        for (int r = 0; r < 4; r++)
            for (int n = 1; fault_in(o, (fault_kind)kind, n, (const int[]){EIO, ENOSPC, EINTR, FAULT_SHORT}[r]); n++)
                n_happened++;
    ck_assert_int_gt(n_happened, 20); /* at least open, stat, read and close, each in every way, alone and as any */
}

START_TEST(every_call_of_loading) {
    const operation loads[] = {
        {"MNIST", load_mnist, 70}, {"CSV", load_csv, ROWS}, {"NPY", load_npy, ROWS}, {"NPZ", load_npz, ROWS}};
    for (int gzip = 0; gzip < 2; gzip++) {
        test_folder_create();
        test_write_mnist(50, 20, 4, 4, 10, gzip);
        ck_assert_ok(save_csv(0));
        ck_assert_ok(save_npy(0));
        write_npz();
        ck_assert_int_eq(load_mnist(), 70); /* the default context is made here */
        fault_begin();
        for (size_t i = 0; i < (gzip ? 1 : sizeof loads / sizeof *loads); i++)
            try_all(&loads[i]);
        fault_end();
        test_folder_remove();
    }
}
END_TEST

START_TEST(every_call_of_saving) {
    test_folder_create();
    ck_assert_ok(save_csv(0));
    ck_assert_ok(save_npy(0));
    fault_begin();
    try_all(&(operation){"CSV", save_csv_again, ROWS});
    try_all(&(operation){"NPY", save_npy_again, ROWS});
    for (int n = 1; n < 40; n++) { /* the older file or the new one */
        ck_assert_ok(save_npy(0));
        fault_plan(FAULT_ANY, n, EIO, false);
        tread_status status = save_npy(1);
        bool happened = fault_happened();
        fault_plan(FAULT_ANY, 0, 0, false);
        float first = saved_first();
        ck_assert(first == 1 || (first == 0 && status == TREAD_ERROR_IO && happened));
    }
    fault_end();
    test_folder_remove();
}
END_TEST

TEST_SUITE("faults_data", every_call_of_loading, every_call_of_saving)

int main(void) {
    test_folders_in_memory();
    return run_suite();
}
