#include <math.h>
#include <string.h>

#include "core/isa.h"
#include "core/status.h"
#include "core/tensor.h"

tread_status tread_tensor_check_current(const tread_tensor *x, const char *call) {
    if (x == NULL)
        return tread_fail(TREAD_ERROR_ARGUMENT, "%s: the tensor is NULL", call);
    if (tread_tensor_is_stale(x))
        return tread_fail(TREAD_ERROR_STATE, "%s: the tensor is of step %llu of its tape, which is at step %llu", call,
                          (unsigned long long)x->generation, (unsigned long long)*(const uint64_t *)x->tape);
    return TREAD_OK;
}

tread_status tread_tensor_item(const tread_tensor *x, double *ret_value) {
    TREAD_TRY(tread_tensor_check_current(x, "item"));
    char text[TREAD_SHAPE_TEXT];
    if (x->count != 1)
        return tread_fail(TREAD_ERROR_SHAPE, "item: shape %s has %lld elements, not 1",
                          tread_shape_text(text, x->rank, x->shape), (long long)x->count);
    switch (x->dtype) {
    case TREAD_FLOAT32: *ret_value = *(const float *)x->data; break;
    case TREAD_FLOAT64: *ret_value = *(const double *)x->data; break;
    case TREAD_INT32: *ret_value = *(const int32_t *)x->data; break;
    case TREAD_UINT8: *ret_value = *(const uint8_t *)x->data; break;
    }
    return TREAD_OK;
}

TREAD_KERNEL_BODY void TREAD_BODY(fill_float32)(float *x, int64_t n, float value) {
    for (int64_t i = 0; i < n; i++)
        x[i] = value;
}
TREAD_KERNEL(fill_float32, (float *x, int64_t n, float value), (x, n, value))

TREAD_KERNEL_BODY void TREAD_BODY(fill_float64)(double *x, int64_t n, double value) {
    for (int64_t i = 0; i < n; i++)
        x[i] = value;
}
TREAD_KERNEL(fill_float64, (double *x, int64_t n, double value), (x, n, value))

TREAD_KERNEL_BODY void TREAD_BODY(fill_int32)(int32_t *x, int64_t n, int32_t value) {
    for (int64_t i = 0; i < n; i++)
        x[i] = value;
}
TREAD_KERNEL(fill_int32, (int32_t * x, int64_t n, int32_t value), (x, n, value))

/* NaN fails, too. */
static bool fits(tread_dtype dtype, double value) {
    switch (dtype) {
    case TREAD_FLOAT32: return !isfinite(value) || isfinite((float)value);
    case TREAD_FLOAT64: return true;
    case TREAD_INT32: return rint(value) >= INT32_MIN && rint(value) <= INT32_MAX;
    case TREAD_UINT8: return rint(value) >= 0 && rint(value) <= UINT8_MAX;
    }
    return false;
}

tread_status tread_tensor_fill(tread_tensor *x, double value) {
    TREAD_TRY(tread_tensor_check_current(x, "fill"));
    if (!fits(x->dtype, value))
        return tread_fail(TREAD_ERROR_ARGUMENT, "fill: %g does not fit %s", value, tread_dtype_name(x->dtype));
    switch (x->dtype) {
    case TREAD_FLOAT32: TREAD_CALL(fill_float32)(x->data, x->count, (float)value); break;
    case TREAD_FLOAT64: TREAD_CALL(fill_float64)(x->data, x->count, value); break;
    case TREAD_INT32: TREAD_CALL(fill_int32)(x->data, x->count, (int32_t)rint(value)); break;
    case TREAD_UINT8:
        if (x->count > 0)
            memset(x->data, (uint8_t)rint(value), (size_t)x->count);
        break;
    }
    tread_tensor_touch(x);
    return TREAD_OK;
}

tread_status tread_tensor_check_alike(const tread_tensor *to, const tread_tensor *from, const char *call) {
    char a[TREAD_SHAPE_TEXT], b[TREAD_SHAPE_TEXT];
    if (to->dtype != from->dtype)
        return tread_fail(TREAD_ERROR_DTYPE, "%s: %s from %s", call, tread_dtype_name(to->dtype),
                          tread_dtype_name(from->dtype));
    if (!tread_tensor_same_shape(to, from))
        return tread_fail(TREAD_ERROR_SHAPE, "%s: shape %s from shape %s", call,
                          tread_shape_text(a, to->rank, to->shape), tread_shape_text(b, from->rank, from->shape));
    return TREAD_OK;
}

tread_status tread_tensor_copy(tread_tensor *to, const tread_tensor *from) {
    TREAD_TRY(tread_tensor_check_current(to, "copy"));
    TREAD_TRY(tread_tensor_check_current(from, "copy"));
    TREAD_TRY(tread_tensor_check_alike(to, from, "copy"));
    if (to->count > 0)
        memmove(to->data, from->data, tread_tensor_bytes(to)); /* views may overlap */
    tread_tensor_touch(to);
    return TREAD_OK;
}
