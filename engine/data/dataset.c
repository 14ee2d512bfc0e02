#include "engine/data/dataset.h"

#include <math.h>
#include <string.h>

#include "core/memory.h"
#include "core/status.h"
#include "core/tensor.h"

static tread_status check_x(const tread_tensor *x) {
    char text[TREAD_SHAPE_TEXT];
    if (x == NULL)
        return tread_fail(TREAD_ERROR_ARGUMENT, "data set: x is NULL");
    if (x->dtype == TREAD_FLOAT64)
        return tread_fail(TREAD_ERROR_DTYPE, "data set: x is %s, expected float32, uint8 or int32",
                          tread_dtype_name(x->dtype));
    if (x->rank < 1 || x->count == 0 || x->shape[0] > INT32_MAX)
        return tread_fail(TREAD_ERROR_SHAPE,
                          "data set: x is %s, expected (n, ...) with n in 1..%d and at least one value per sample",
                          tread_shape_text(text, x->rank, x->shape), INT32_MAX);
    return TREAD_OK;
}

static int32_t label_at(const tread_tensor *y, int64_t i) {
    return y->dtype == TREAD_UINT8 ? ((const uint8_t *)y->data)[i] : ((const int32_t *)y->data)[i];
}

static tread_status check_labels(const tread_tensor *y, int classes, int *ret_classes) {
    if (classes < 0)
        return tread_fail(TREAD_ERROR_ARGUMENT, "data set: classes = %d is below 0", classes);
    int32_t limit = classes > 0 ? classes : INT32_MAX, largest = 0;
    for (int64_t i = 0; i < y->count; i++) {
        int32_t label = label_at(y, i);
        if (label < 0 || label >= limit)
            return tread_fail(TREAD_ERROR_ARGUMENT, "data set: label %d of sample %lld is outside 0..%d", label,
                              (long long)i, limit - 1);
        largest = label > largest ? label : largest;
    }
    *ret_classes = classes > 0 ? classes : largest + 1;
    return TREAD_OK;
}

static tread_status check_y(const tread_tensor *x, const tread_tensor *y, int classes, int *ret_classes) {
    char text[TREAD_SHAPE_TEXT];
    *ret_classes = 0;
    if (y == NULL)
        return TREAD_OK;
    if (y->rank < 1 || y->count == 0 || y->shape[0] != x->shape[0])
        return tread_fail(TREAD_ERROR_SHAPE, "data set: y is %s for %lld samples",
                          tread_shape_text(text, y->rank, y->shape), (long long)x->shape[0]);
    switch (y->dtype) {
    case TREAD_FLOAT32: return TREAD_OK;
    case TREAD_INT32:
    case TREAD_UINT8:
        if (y->rank != 1)
            return tread_fail(TREAD_ERROR_SHAPE, "data set: labels are %s, expected (n)",
                              tread_shape_text(text, y->rank, y->shape));
        return check_labels(y, classes, ret_classes);
    default: break;
    }
    return tread_fail(TREAD_ERROR_DTYPE, "data set: y is %s, expected int32 or uint8 labels or float32 targets",
                      tread_dtype_name(y->dtype));
}

tread_status tread_dataset_create(const tread_tensor *x, const tread_tensor *y, int classes, void *x_data, void *y_data,
                                  tread_dataset **ret_dataset) {
    int n_classes;
    TREAD_TRY(check_x(x));
    TREAD_TRY(check_y(x, y, classes, &n_classes));
    tread_dataset *dataset = tread_calloc(1, sizeof *dataset, "data set");
    if (dataset == NULL)
        return TREAD_ERROR_MEMORY;
    dataset->x = tread_tensor_view(x, x->rank, x->shape);
    dataset->y = y == NULL ? NULL : tread_tensor_view(y, y->rank, y->shape);
    if (dataset->x == NULL || (y != NULL && dataset->y == NULL)) {
        tread_dataset_destroy(dataset);
        return TREAD_ERROR_MEMORY;
    }
    dataset->n = x->shape[0];
    dataset->features = x->count / x->shape[0];
    dataset->classes = n_classes;
    dataset->x_dtype = x->dtype;
    dataset->x_rank = x->rank;
    memcpy(dataset->x_shape, x->shape, sizeof x->shape);
    if (y != NULL) {
        dataset->y_rank = y->rank;
        dataset->y_float = y->dtype == TREAD_FLOAT32;
        memcpy(dataset->y_shape, y->shape, sizeof y->shape);
    }
    dataset->x_data = x_data;
    dataset->y_data = y_data;
    dataset->std = 1;
    *ret_dataset = dataset;
    return TREAD_OK;
}

tread_dataset *tread_dataset_from_tensors(const tread_tensor *x, const tread_tensor *y, int classes) {
    tread_dataset *dataset = NULL;
    return tread_dataset_create(x, y, classes, NULL, NULL, &dataset) == TREAD_OK ? dataset : NULL;
}

static tread_dataset *from_arrays(int64_t n, int64_t features, tread_dtype x_dtype, const void *x, int y_rank,
                                  int64_t targets, tread_dtype y_dtype, const void *y, int classes) {
    const int64_t x_shape[] = {n, features}, y_shape[] = {n, targets};
    /* Nothing writes through these: the cast away from const ends inside the data set. */
    tread_tensor *x_tensor = tread_tensor_wrap(x_dtype, 2, x_shape, (void *)(uintptr_t)x);
    tread_tensor *y_tensor =
        x_tensor == NULL ? NULL : tread_tensor_wrap(y_dtype, y_rank, y_shape, (void *)(uintptr_t)y);
    tread_dataset *dataset = y_tensor == NULL ? NULL : tread_dataset_from_tensors(x_tensor, y_tensor, classes);
    tread_tensor_destroy(x_tensor);
    tread_tensor_destroy(y_tensor);
    return dataset;
}

tread_dataset *tread_dataset_from_targets(int64_t n, int64_t features, const float *x, int64_t targets,
                                          const float *y) {
    return from_arrays(n, features, TREAD_FLOAT32, x, 2, targets, TREAD_FLOAT32, y, 0);
}

tread_dataset *tread_dataset_from_labels(int64_t n, int64_t features, const float *x, int classes,
                                         const int32_t *labels) {
    return from_arrays(n, features, TREAD_FLOAT32, x, 1, 0, TREAD_INT32, labels, classes);
}

tread_dataset *tread_dataset_from_indices(int64_t n, int64_t length, const int32_t *x, int classes,
                                          const int32_t *labels) {
    return from_arrays(n, length, TREAD_INT32, x, 1, 0, TREAD_INT32, labels, classes);
}

tread_dataset *tread_dataset_from_bytes(int64_t n, int64_t features, const uint8_t *x, int classes,
                                        const int32_t *labels) {
    return from_arrays(n, features, TREAD_UINT8, x, 1, 0, TREAD_INT32, labels, classes);
}

void tread_dataset_destroy(tread_dataset *dataset) {
    if (dataset == NULL)
        return;
    tread_tensor_destroy(dataset->x);
    tread_tensor_destroy(dataset->y);
    tread_free(dataset->x_data);
    tread_free(dataset->y_data);
    tread_free(dataset->rows);
    tread_standardization_destroy(&dataset->standard);
    tread_schema_destroy(dataset->own_schema);
    tread_free(dataset);
}

int64_t tread_dataset_count(const tread_dataset *dataset) { return dataset != NULL ? dataset->n : 0; }
int64_t tread_dataset_features(const tread_dataset *dataset) { return dataset != NULL ? dataset->features : 0; }
int tread_dataset_classes(const tread_dataset *dataset) { return dataset != NULL ? dataset->classes : 0; }
int64_t tread_dataset_targets(const tread_dataset *dataset) {
    if (dataset == NULL || !dataset->y_float)
        return 0;
    int64_t targets = 1;
    for (int i = 1; i < dataset->y_rank; i++)
        targets *= dataset->y_shape[i];
    return targets;
}
const tread_tensor *tread_dataset_x(const tread_dataset *dataset) { return dataset != NULL ? dataset->x : NULL; }
const tread_tensor *tread_dataset_y(const tread_dataset *dataset) { return dataset != NULL ? dataset->y : NULL; }
const int32_t *tread_dataset_rows(const tread_dataset *dataset) { return dataset != NULL ? dataset->rows : NULL; }

static const tread_schema *schema_of(const tread_dataset *dataset) {
    static const tread_schema none;
    return dataset != NULL && dataset->schema != NULL ? dataset->schema : &none;
}
const char *tread_dataset_class_name(const tread_dataset *dataset, int64_t i) {
    return tread_names_at(&schema_of(dataset)->classes, i);
}
const char *tread_dataset_feature_name(const tread_dataset *dataset, int64_t i) {
    return tread_names_at(&schema_of(dataset)->features, i);
}
const char *tread_dataset_target_name(const tread_dataset *dataset, int64_t i) {
    return tread_names_at(&schema_of(dataset)->targets, i);
}

tread_status tread_dataset_check_normalizable(const tread_dataset *dataset) {
    if (dataset->x_dtype == TREAD_INT32)
        return tread_fail(TREAD_ERROR_DTYPE, "data set: int32 inputs are indices, which are not normalised");
    return TREAD_OK;
}

tread_status tread_dataset_normalize(tread_dataset *dataset, double mean, double std) {
    TREAD_REFUSE_NULL("dataset normalize", dataset);
    if (!isfinite(mean))
        return tread_fail(TREAD_ERROR_ARGUMENT, "data set: mean = %g is not finite", mean);
    if (!(std > 0) || !isfinite(std))
        return tread_fail(TREAD_ERROR_ARGUMENT, "data set: std = %g is not a finite number above 0", std);
    TREAD_TRY(tread_dataset_check_normalizable(dataset));
    tread_standardization_destroy(&dataset->standard);
    dataset->mean = mean;
    dataset->std = std;
    return TREAD_OK;
}

void tread_dataset_normalization(const tread_dataset *dataset, double *ret_mean, double *ret_std) {
    *ret_mean = dataset->mean;
    *ret_std = dataset->std;
}
