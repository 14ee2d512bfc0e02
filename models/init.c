#include "models/init.h"

#include <float.h>
#include <math.h>

#include "core/random.h"
#include "core/status.h"

tread_status tread_init_check(const char *call, const tread_tensor *x, const tread_rng *rng) {
    if (x == NULL || rng == NULL)
        return tread_fail(TREAD_ERROR_ARGUMENT, "%s: the %s is NULL", call, x == NULL ? "tensor" : "rng");
    if (x->dtype != TREAD_FLOAT32 && x->dtype != TREAD_FLOAT64)
        return tread_fail(TREAD_ERROR_DTYPE, "%s: the tensor is %s, not float32 or float64", call,
                          tread_dtype_name(x->dtype));
    if (x->owner == TREAD_OWNER_TAPE)
        return tread_fail(TREAD_ERROR_STATE, "%s: the tensor belongs to a tape", call);
    return TREAD_OK;
}

tread_status tread_init_check_range(const char *call, const char *name, double value, double low, double high) {
    if (value >= low && value <= high)
        return TREAD_OK;
    return tread_fail(TREAD_ERROR_ARGUMENT, "%s: %s = %g is outside [%g, %g]", call, name, value, low, high);
}

tread_status tread_init_zeros(tread_tensor *x) { return tread_init_constant(x, 0); }
tread_status tread_init_ones(tread_tensor *x) { return tread_init_constant(x, 1); }

tread_status tread_init_constant(tread_tensor *x, double value) {
    TREAD_TRY(tread_init_check("init_constant", x, &(tread_rng){0}));
    TREAD_TRY(tread_init_check_range("init_constant", "value", value, -DBL_MAX, DBL_MAX));
    return tread_tensor_fill(x, value);
}

static void fill_uniform(tread_context *context, tread_tensor *x, tread_rng *rng, double low, double high) {
    if (x->dtype == TREAD_FLOAT32)
        tread_random_fill_uniform(context, rng, low, high, x->data, x->count);
    else
        tread_random_fill_uniform_f64(context, rng, low, high, x->data, x->count);
    tread_tensor_touch(x);
}

static void fill_normal(tread_context *context, tread_tensor *x, tread_rng *rng, double mean, double std) {
    if (x->dtype == TREAD_FLOAT32)
        tread_random_fill_normal(context, rng, mean, std, x->data, x->count);
    else
        tread_random_fill_normal_f64(context, rng, mean, std, x->data, x->count);
    tread_tensor_touch(x);
}

/* The largest value that leaves room for what is done with it: a difference of two, a sum with some deviations. */
static double limit(const tread_tensor *x) { return x->dtype == TREAD_FLOAT32 ? FLT_MAX / 8 : DBL_MAX / 8; }

tread_status tread_init_uniform(tread_context *context, tread_tensor *x, tread_rng *rng, double low, double high) {
    TREAD_TRY(tread_init_check("init_uniform", x, rng));
    TREAD_TRY(tread_init_check_range("init_uniform", "high", high, -limit(x), limit(x)));
    TREAD_TRY(tread_init_check_range("init_uniform", "low", low, -limit(x), high));
    fill_uniform(context, x, rng, low, high);
    return TREAD_OK;
}

tread_status tread_init_normal(tread_context *context, tread_tensor *x, tread_rng *rng, double mean, double std) {
    TREAD_TRY(tread_init_check("init_normal", x, rng));
    TREAD_TRY(tread_init_check_range("init_normal", "mean", mean, -limit(x), limit(x)));
    TREAD_TRY(tread_init_check_range("init_normal", "std", std, 0, limit(x)));
    fill_normal(context, x, rng, mean, std);
    return TREAD_OK;
}

/* --- Scaled by the number of inputs and outputs --- */

static tread_status fans(const char *call, const tread_tensor *x, int64_t *ret_fan_in, int64_t *ret_fan_out) {
    char text[TREAD_SHAPE_TEXT];
    if (x->rank < 2)
        return tread_fail(TREAD_ERROR_SHAPE, "%s: shape %s has rank %d; fans need (n_outputs, n_inputs, ...)", call,
                          tread_shape_text(text, x->rank, x->shape), x->rank);
    int64_t behind = 1;
    for (int i = 2; i < x->rank; i++)
        behind *= x->shape[i];
    *ret_fan_in = x->shape[1] * behind;
    *ret_fan_out = x->shape[0] * behind;
    return TREAD_OK;
}

tread_status tread_init_fans(const tread_tensor *x, int64_t *ret_fan_in, int64_t *ret_fan_out) {
    if (x == NULL)
        return tread_fail(TREAD_ERROR_ARGUMENT, "init_fans: the tensor is NULL");
    return fans("init_fans", x, ret_fan_in, ret_fan_out);
}

double tread_init_gain(tread_activation activation) {
    switch (activation) {
    case TREAD_ACTIVATION_NONE:
    case TREAD_ACTIVATION_SIGMOID: return 1;
    case TREAD_ACTIVATION_TANH: return 5.0 / 3;
    case TREAD_ACTIVATION_LEAKY_RELU: return sqrt(2 / (1 + 0.01 * 0.01));
    case TREAD_ACTIVATION_RELU:
    case TREAD_ACTIVATION_GELU:
    case TREAD_ACTIVATION_SILU: return sqrt(2);
    }
    return 1;
}

static tread_status check_scaled(const char *call, const tread_tensor *x, const tread_rng *rng, double gain,
                                 int64_t *ret_fan_in, int64_t *ret_fan_out) {
    TREAD_TRY(tread_init_check(call, x, rng));
    TREAD_TRY(tread_init_check_range(call, "gain", gain, 0, limit(x)));
    return fans(call, x, ret_fan_in, ret_fan_out);
}

/* With no elements a fan may be 0, and no value is drawn. */
static double per_fan(double fan) { return 1 / (fan > 0 ? fan : 1); }

tread_status tread_init_xavier_uniform(tread_context *context, tread_tensor *x, tread_rng *rng, double gain) {
    int64_t in = 0, out = 0;
    TREAD_TRY(check_scaled("init_xavier_uniform", x, rng, gain, &in, &out));
    double bound = gain * sqrt(6 * per_fan((double)in + (double)out));
    fill_uniform(context, x, rng, -bound, bound);
    return TREAD_OK;
}

tread_status tread_init_xavier_normal(tread_context *context, tread_tensor *x, tread_rng *rng, double gain) {
    int64_t in = 0, out = 0;
    TREAD_TRY(check_scaled("init_xavier_normal", x, rng, gain, &in, &out));
    fill_normal(context, x, rng, 0, gain * sqrt(2 * per_fan((double)in + (double)out)));
    return TREAD_OK;
}

static tread_status kaiming_std(const char *call, const tread_tensor *x, const tread_rng *rng, tread_fan fan,
                                double gain, double *ret_std) {
    int64_t in = 0, out = 0;
    TREAD_TRY(check_scaled(call, x, rng, gain, &in, &out));
    if (fan != TREAD_FAN_IN && fan != TREAD_FAN_OUT)
        return tread_fail(TREAD_ERROR_ARGUMENT, "%s: fan = %d is neither TREAD_FAN_IN nor TREAD_FAN_OUT", call,
                          (int)fan);
    *ret_std = gain * sqrt(per_fan((double)(fan == TREAD_FAN_IN ? in : out)));
    return TREAD_OK;
}

tread_status tread_init_kaiming_uniform(tread_context *context, tread_tensor *x, tread_rng *rng, tread_fan fan,
                                        double gain) {
    double std = 0;
    TREAD_TRY(kaiming_std("init_kaiming_uniform", x, rng, fan, gain, &std));
    fill_uniform(context, x, rng, -sqrt(3) * std, sqrt(3) * std);
    return TREAD_OK;
}

tread_status tread_init_kaiming_normal(tread_context *context, tread_tensor *x, tread_rng *rng, tread_fan fan,
                                       double gain) {
    double std = 0;
    TREAD_TRY(kaiming_std("init_kaiming_normal", x, rng, fan, gain, &std));
    fill_normal(context, x, rng, 0, std);
    return TREAD_OK;
}
