#include "optim/scalar.h"

#include <math.h>

#include "core/math.h"

double tread_power(double base, uint64_t n) {
    double result = 1;
    for (; n > 0; n >>= 1, base *= base)
        if (n & 1)
            result *= base;
    return result;
}

/* Taylor series on [0, pi/4], where the first term left out is below 1e-19 of the sum. */
static double cos_small(double x) {
    const double z = x * x;
    double sum = 0;
    for (int k = 18; k > 0; k -= 2)
        sum = z / ((k - 1) * k) * (1 - sum);
    return 1 - sum;
}

static double sin_small(double x) {
    const double z = x * x;
    double sum = 0;
    for (int k = 18; k > 0; k -= 2)
        sum = z / (k * (k + 1)) * (1 - sum);
    return x * (1 - sum);
}

double tread_cos_pi(int64_t i, int64_t n) {
    const double pi = 3.14159265358979323846;
    /* All folding is on whole numbers: i into [0, n/2] by cos(pi (2 - t)) = cos(pi t), cos(pi (1 - t)) = -cos(pi t). */
    uint64_t whole = (uint64_t)n, j = (uint64_t)i % (2 * whole);
    if (j > whole)
        j = 2 * whole - j;
    double sign = 1;
    if (2 * j > whole) {
        j = whole - j;
        sign = -1;
    }
    if (4 * j <= whole)
        return sign * cos_small(pi * ((double)j / (double)whole));
    return sign * sin_small(pi * ((double)(whole - 2 * j) / (double)(2 * whole)));
}

double tread_cos_pi_unit(double t) {
    const double pi = 3.14159265358979323846;
    double sign = 1;
    if (t > 0.5) { /* cos(pi (1 - t)) = -cos(pi t); the differences are exact */
        t = 1 - t;
        sign = -1;
    }
    return sign * (t <= 0.25 ? cos_small(pi * t) : sin_small(pi * (0.5 - t)));
}

double tread_real_power(double base, double exponent) {
    if (exponent < 0x1p52 && 2 * exponent == floor(2 * exponent)) {
        double whole = floor(exponent);
        return tread_power(base, (uint64_t)whole) * (exponent > whole ? sqrt(base) : 1);
    }
    return base > 0 ? tread_exp_f64(exponent * tread_log_f64(base)) : 0;
}
