#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <tread/files.h>

#include "core/memory.h"
#include "core/options.h"
#include "core/status.h"
#include "core/tensor.h"
#include "engine/data/dataset.h"
#include "engine/data/npy.h"

/* An array on its way into a data set. */
typedef struct array {
    tread_npy_input input;
    tread_npy_header header;
    tread_dtype dtype; /* of data */
    void *data;        /* tread_alloc; NULL: not read */
} array;

tread_npy_options tread_npy_defaults(void) {
    return (tread_npy_options){.size = sizeof(tread_npy_options), .x = "x", .y = "y"};
}

static tread_status check(const tread_npy_options *o) {
    if ((unsigned)o->task > TREAD_TASK_NONE)
        return tread_fail(TREAD_ERROR_ARGUMENT, "npy: task = %d is outside 0..3", (int)o->task);
    if (o->classes < 0)
        return tread_fail(TREAD_ERROR_ARGUMENT, "npy: classes = %d is below 0", o->classes);
    if (o->x == NULL || (o->y == NULL && o->task != TREAD_TASK_NONE))
        return tread_fail(TREAD_ERROR_ARGUMENT, "npy: the name of %s is NULL", o->x == NULL ? "x" : "y");
    return TREAD_OK;
}

/* --- The two arrays, each from its open input --- */

static tread_status read_x(const tread_npy_options *o, array *x) {
    TREAD_TRY(tread_npy_read_header(&x->input, &x->header));
    if (x->header.rank < 1 || x->header.shape[0] > INT32_MAX)
        return tread_fail(TREAD_ERROR_FORMAT, "%s: %s, expected the first axis to be 1 to %d samples", x->input.name,
                          x->header.rank < 1 ? "a single value" : "too many samples", INT32_MAX);
    bool integers = x->header.kind == TREAD_NPY_INTEGER || x->header.kind == TREAD_NPY_BYTE;
    if (o->indices && !integers)
        return tread_fail(TREAD_ERROR_FORMAT, "%s: values that are not integers, expected indices", x->input.name);
    x->dtype = o->indices ? TREAD_INT32 : x->header.kind == TREAD_NPY_BYTE ? TREAD_UINT8 : TREAD_FLOAT32;
    return tread_npy_read_values(&x->input, &x->header, x->dtype, !o->allow_not_finite, &x->data);
}

static bool is_classification(const tread_npy_options *o, const tread_npy_header *y) {
    return o->task == TREAD_TASK_CLASSIFICATION || (o->task == TREAD_TASK_AUTO && y->kind != TREAD_NPY_FLOAT);
}

static tread_status read_y(const tread_npy_options *o, const array *x, array *y) {
    char text[TREAD_SHAPE_TEXT];
    TREAD_TRY(tread_npy_read_header(&y->input, &y->header));
    tread_npy_header *header = &y->header;
    bool labels = is_classification(o, header);
    if (labels && header->rank == 2 && header->shape[1] == 1)
        header->rank = 1; /* a column of labels */
    if (header->rank < 1 || header->shape[0] != x->header.shape[0] || (labels && header->rank != 1))
        return tread_fail(TREAD_ERROR_SHAPE, "%s: a shape of %s, expected %s of %lld samples", y->input.name,
                          tread_shape_text(text, header->rank, header->shape), labels ? "labels" : "targets",
                          (long long)x->header.shape[0]);
    y->dtype = labels ? TREAD_INT32 : TREAD_FLOAT32;
    TREAD_TRY(tread_npy_read_values(&y->input, header, y->dtype, !o->allow_not_finite, &y->data));
    if (!labels && header->rank == 1) {
        header->rank = 2;
        header->shape[1] = 1;
    }
    return TREAD_OK;
}

/* Takes the data of both on success. */
static tread_status make_set(const tread_npy_options *o, array *x, array *y, tread_dataset **ret_dataset) {
    tread_tensor *x_tensor = tread_tensor_wrap(x->dtype, x->header.rank, x->header.shape, x->data);
    tread_tensor *y_tensor = x_tensor == NULL || y->data == NULL
                                 ? NULL
                                 : tread_tensor_wrap(y->dtype, y->header.rank, y->header.shape, y->data);
    tread_status status = x_tensor == NULL || (y->data != NULL && y_tensor == NULL) ? TREAD_ERROR_MEMORY : TREAD_OK;
    if (status == TREAD_OK)
        status = tread_dataset_create(x_tensor, y_tensor, y->dtype == TREAD_INT32 ? o->classes : 0, x->data, y->data,
                                      ret_dataset);
    if (status == TREAD_ERROR_ARGUMENT || status == TREAD_ERROR_SHAPE) /* a label, a number of values */
        status = tread_fail_prefix(TREAD_ERROR_FORMAT, "%s: ", (y->data != NULL ? y : x)->input.name);
    if (status == TREAD_OK)
        x->data = y->data = NULL;
    tread_tensor_destroy(x_tensor);
    tread_tensor_destroy(y_tensor);
    return status;
}

/* --- NPY --- */

static tread_status open_file(tread_reader *reader, array *a, const char *path) {
    if (snprintf(a->input.name, sizeof a->input.name, "%s", path) >= PATH_MAX)
        return tread_fail(TREAD_ERROR_ARGUMENT, "npy: a path of %zu bytes is too long", strlen(path));
    a->input.reader = reader;
    return tread_reader_open(reader, path);
}

static tread_status load_files(const tread_npy_options *o, const char *x_path, const char *y_path, array *x, array *y) {
    tread_reader reader = {0};
    tread_status status = open_file(&reader, x, x_path);
    if (status == TREAD_OK)
        status = read_x(o, x);
    tread_reader_close(&reader);
    if (status != TREAD_OK || y_path == NULL)
        return status;
    status = open_file(&reader, y, y_path);
    if (status == TREAD_OK)
        status = read_y(o, x, y);
    tread_reader_close(&reader);
    return status;
}

static tread_dataset *finish(const tread_npy_options *o, tread_status status, array *x, array *y) {
    tread_dataset *dataset = NULL;
    if (status == TREAD_OK)
        status = make_set(o, x, y, &dataset);
    tread_free(x->data);
    tread_free(y->data);
    return status == TREAD_OK ? dataset : NULL;
}

tread_dataset *tread_npy_load(const char *x_path, const char *y_path, const tread_npy_options *options) {
    tread_npy_options chosen = tread_npy_defaults();
    array x = {.data = NULL}, y = {.data = NULL};
    if (x_path == NULL)
        return tread_fail_null(TREAD_ERROR_ARGUMENT, "npy: the path of x is NULL");
    if (tread_options_read("npy", options, &chosen, sizeof chosen) != TREAD_OK || check(&chosen) != TREAD_OK)
        return NULL;
    if (chosen.task == TREAD_TASK_NONE)
        y_path = NULL;
    return finish(&chosen, load_files(&chosen, x_path, y_path, &x, &y), &x, &y);
}

tread_tensor *tread_npy_read(const char *path) {
    array a = {.data = NULL};
    tread_reader reader = {0};
    tread_tensor *tensor = NULL;
    if (path == NULL)
        return tread_fail_null(TREAD_ERROR_ARGUMENT, "npy read: the path is NULL");
    tread_status status = open_file(&reader, &a, path);
    if (status == TREAD_OK)
        status = tread_npy_read_header(&a.input, &a.header);
    if (status == TREAD_OK) {
        a.dtype = a.header.kind == TREAD_NPY_FLOAT     ? a.header.item == 4 ? TREAD_FLOAT32 : TREAD_FLOAT64
                  : a.header.kind == TREAD_NPY_INTEGER ? TREAD_INT32
                                                       : TREAD_UINT8;
        status = tread_npy_read_values(&a.input, &a.header, a.dtype, false, &a.data);
    }
    tread_reader_close(&reader);
    if (status == TREAD_OK)
        tensor = tread_tensor_create(a.dtype, a.header.rank, a.header.shape);
    if (tensor != NULL)
        memcpy(tensor->data, a.data, tread_tensor_bytes(tensor));
    tread_free(a.data);
    return tensor;
}

/* --- NPZ --- */

/* NumPy puts .npy behind the names of arrays. */
static tread_status open_entry(tread_zip_entry *entry, const tread_zip *zip, const char *array_name, char *name,
                               size_t size, array *a) {
    snprintf(a->input.name, sizeof a->input.name, "%s: array %s", zip->path, array_name);
    a->input.entry = entry;
    if ((size_t)snprintf(name, size, "%s.npy", array_name) >= size)
        return tread_fail(TREAD_ERROR_ARGUMENT, "npz: an array's name of %zu bytes is too long", strlen(array_name));
    if (!tread_zip_has(zip, name) && tread_zip_has(zip, array_name))
        name[strlen(array_name)] = '\0';
    return tread_zip_entry_open(entry, zip, name);
}

static tread_status load_entries(const tread_npy_options *o, const tread_zip *zip, array *x, array *y) {
    char name[512];
    tread_zip_entry entry = {0};
    tread_status status = open_entry(&entry, zip, o->x, name, sizeof name, x);
    if (status == TREAD_OK)
        status = read_x(o, x);
    tread_zip_entry_close(&entry);
    if (status != TREAD_OK || o->task == TREAD_TASK_NONE)
        return status;
    status = open_entry(&entry, zip, o->y, name, sizeof name, y);
    if (status == TREAD_OK)
        status = read_y(o, x, y);
    tread_zip_entry_close(&entry);
    return status;
}

tread_dataset *tread_npz_load(const char *path, const tread_npy_options *options) {
    tread_npy_options chosen = tread_npy_defaults();
    array x = {.data = NULL}, y = {.data = NULL};
    if (path == NULL)
        return tread_fail_null(TREAD_ERROR_ARGUMENT, "npz: the path is NULL");
    if (tread_options_read("npz", options, &chosen, sizeof chosen) != TREAD_OK || check(&chosen) != TREAD_OK)
        return NULL;
    tread_zip zip;
    tread_status status = tread_zip_open(&zip, path);
    if (status == TREAD_OK)
        status = load_entries(&chosen, &zip, &x, &y);
    tread_zip_close(&zip);
    return finish(&chosen, status, &x, &y);
}
