#include <float.h>

#include "core/random.h"
#include "core/status.h"
#include "models/init.h"

#define SQRT_HALF 0x1.6a09e667f3bcdp-1
#define SQRT_2PI 0x1.40d931ff62706p+1
#define FARTHEST 8.4 /* deviations; half of erfc(6) lies beyond 8.49 */

/* P(z < -a) of a standard normal z, for a in [0, 8.48]: relative accuracy. */
TREAD_KERNEL_BODY double lower_tail(double a) {
    double y = a * SQRT_HALF, inner = y < 1.0 ? y : 1.0, outer = y < 1.0 ? 1.0 : y;
    return 0.5 * (y < 1.0 ? 1.0 - tread_erf_small_f64(inner) : tread_erfc_tail_f64(outer));
}

/* One step of Halley's method for the a with lower_tail(a) = q; it cubes the error. */
TREAD_KERNEL_BODY double halley(double a, double q) {
    a = a < 0.0 ? 0.0 : a;
    a = a > FARTHEST ? FARTHEST : a;
    double newton = (lower_tail(a) - q) * SQRT_2PI * tread_exp_normal_f64(0.5 * a * a);
    return a + newton / (1.0 - 0.5 * a * newton);
}

/* z with P(. < z) = p; both tails are treated as the lower one. The starting value of Hastings 1955 (Abramowitz and
 * Stegun 26.2.22) is good to 3e-3. */
TREAD_KERNEL_BODY double quantile(double p) {
    double q = p < 0.5 ? p : 1.0 - p;
    q = q < 0x1p-55 ? 0x1p-55 : q; /* 8.3 deviations */
    double t = sqrt(-2.0 * tread_log_f64(q));
    double start = t - (2.30753 + 0.27061 * t) / (1.0 + 0.99229 * t + 0.04481 * t * t);
    double a = halley(halley(start, q), q);
    return p < 0.5 ? -a : a;
}

typedef struct truncated {
    double p_low, p_range; /* the probabilities that the interval spans; most of it is below the mean: */
    double sign;           /* -1: it was turned round */
    double mean, std, low, high;
    void *out;
} truncated;

/* u in (0, 1): an end of the interval that lies far out has no density worth a draw of its own. */
TREAD_KERNEL_BODY double truncated_value(const truncated *f, uint32_t number) {
    double u = (tread_random_to_double(number) + 0.5) * 0x1p-32;
    double z = quantile(f->p_low + u * f->p_range);
    double value = f->mean + f->std * (f->sign * z);
    value = value < f->low ? f->low : value;
    return value > f->high ? f->high : value;
}

#define TRUNCATED(name, type)                                                                                          \
    TREAD_KERNEL_BODY void name##_body(const truncated *given, const uint32_t *numbers, type *to, int n) {             \
        const truncated f = *given;                                                                                    \
        const uint32_t *restrict in = numbers;                                                                         \
        type *restrict out = to;                                                                                       \
        for (int i = 0; i < n; i++)                                                                                    \
            out[i] = (type)truncated_value(&f, in[i]);                                                                 \
    }                                                                                                                  \
    TREAD_KERNEL(name, (const truncated *given, const uint32_t *numbers, type *to, int n), (given, numbers, to, n))    \
    static void convert_##name(const void *argument, const uint32_t *numbers, int64_t begin, int n) {                  \
        const truncated *f = argument;                                                                                 \
        TREAD_CALL(name)(f, numbers, (type *)f->out + begin, n);                                                       \
    }
TRUNCATED(truncated_f32, float)
TRUNCATED(truncated_f64, double)

static double cumulative(double z) {
    double a = fabs(z) < FARTHEST ? fabs(z) : FARTHEST;
    return z < 0 ? lower_tail(a) : 1 - lower_tail(a);
}

tread_status tread_init_truncated_normal(tread_context *context, tread_tensor *x, tread_rng *rng, double mean,
                                         double std, double low, double high) {
    static const char call[] = "init_truncated_normal";
    TREAD_TRY(tread_init_check(call, x, rng));
    double limit = x->dtype == TREAD_FLOAT32 ? FLT_MAX / 8 : DBL_MAX / 8;
    TREAD_TRY(tread_init_check_range(call, "mean", mean, -limit, limit));
    TREAD_TRY(tread_init_check_range(call, "std", std, DBL_MIN, limit));
    TREAD_TRY(tread_init_check_range(call, "low", low, -limit, limit));
    TREAD_TRY(tread_init_check_range(call, "high", high, -limit, limit));
    double a = (low - mean) / std, b = (high - mean) / std;
    if (!(low < high) || a > 8 || b < -8)
        return tread_fail(TREAD_ERROR_ARGUMENT,
                          "%s: [low, high] = [%g, %g] is empty or has nothing within 8 deviations of mean %g (std %g)",
                          call, low, high, mean, std);
    bool turned = a + b > 0; /* so that the probabilities are small where they must be exact */
    double p_low = cumulative(turned ? -b : a), p_high = cumulative(turned ? -a : b);
    truncated f = {p_low, p_high - p_low, turned ? -1 : 1, mean, std, low, high, x->data};
    tread_random_for(context, rng, 1, x->count,
                     x->dtype == TREAD_FLOAT32 ? convert_truncated_f32 : convert_truncated_f64, &f);
    tread_tensor_touch(x);
    return TREAD_OK;
}
