#include <tread/metrics.h>

#include "core/status.h"
#include "core/tensor.h"

/* Index of the largest, the first of equals; -1 where there is a NaN. */
static int64_t argmax_float(const float *x, int64_t n) {
    int64_t best = 0;
    bool nan = false;
    for (int64_t i = 0; i < n; i++) {
        nan |= x[i] != x[i];
        best = x[i] > x[best] ? i : best;
    }
    return nan ? -1 : best;
}

static int64_t argmax_double(const double *x, int64_t n) {
    int64_t best = 0;
    bool nan = false;
    for (int64_t i = 0; i < n; i++) {
        nan |= x[i] != x[i];
        best = x[i] > x[best] ? i : best;
    }
    return nan ? -1 : best;
}

static tread_status accuracy(void *data, const tread_tensor *output, const tread_batch *batch, double *ret_sum,
                             double *ret_weight) {
    (void)data;
    char text[TREAD_SHAPE_TEXT];
    const tread_tensor *labels = batch->y;
    if (labels == NULL || labels->dtype != TREAD_INT32 || labels->rank != 1)
        return tread_fail(TREAD_ERROR_DTYPE, "accuracy: the data set has no class labels");
    if (output->dtype != TREAD_FLOAT32 && output->dtype != TREAD_FLOAT64)
        return tread_fail(TREAD_ERROR_DTYPE, "accuracy: output is %s, expected float32 or float64",
                          tread_dtype_name(output->dtype));
    if (output->rank != 2 || output->shape[0] != batch->count || output->shape[1] < 1)
        return tread_fail(TREAD_ERROR_SHAPE, "accuracy: output is %s, expected (%lld, classes)",
                          tread_shape_text(text, output->rank, output->shape), (long long)batch->count);
    int64_t classes = output->shape[1], n_right = 0;
    for (int64_t i = 0; i < batch->count; i++) {
        int64_t found = output->dtype == TREAD_FLOAT32
                            ? argmax_float((const float *)output->data + i * classes, classes)
                            : argmax_double((const double *)output->data + i * classes, classes);
        n_right += found == ((const int32_t *)labels->data)[i];
    }
    *ret_sum = (double)n_right;
    *ret_weight = (double)batch->count;
    return TREAD_OK;
}

const tread_metric tread_accuracy = {.name = "accuracy", .higher_is_better = true, .batch = accuracy};
