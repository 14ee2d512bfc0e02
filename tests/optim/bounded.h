/* Layer: tests. Numbers with a bound on the error of the same arithmetic in float32: the tolerance of a test is
 * computed along with the value, by running error analysis, and never chosen.
 *
 * Each operation rounds its result by at most u = 2^-24 of it (or 2^-150 where that is subnormal) and passes on the
 * errors of its operands to first order and beyond; a scalar factor, computed in double, is rounded once. So |float32
 * result - value| <= error for code that does these operations in any order of the same formula. What is zero without
 * error is exact, and so are the factors 0 and 1. The reference's own error is that of double, 2^29 times smaller, and
 * is covered by counting u as 1.001 * 2^-24. */
#ifndef TREAD_TESTS_OPTIM_BOUNDED_H
#define TREAD_TESTS_OPTIM_BOUNDED_H

#include <math.h>

typedef struct bounded {
    double value, error;
} bounded;

#define BOUNDED_U (1.001 * 0x1p-24)

static inline bounded bounded_round(double value, double error) {
    double size = fabs(value) + error;
    return (bounded){value, error + BOUNDED_U * size + (size > 0 ? 0x1p-149 : 0)};
}
static inline bounded bounded_exact(double value) { return (bounded){value, 0}; }
static inline bounded bounded_factor(double value) { return value == 1 ? bounded_exact(1) : bounded_round(value, 0); }
static inline bounded bounded_add(bounded a, bounded b) { return bounded_round(a.value + b.value, a.error + b.error); }
static inline bounded bounded_sub(bounded a, bounded b) { return bounded_round(a.value - b.value, a.error + b.error); }
static inline bounded bounded_mul(bounded a, bounded b) {
    return bounded_round(a.value * b.value, fabs(a.value) * b.error + fabs(b.value) * a.error + a.error * b.error);
}
/* |a'/b' - a/b| <= (ea + |a/b| eb) / (|b| - eb) */
static inline bounded bounded_div(bounded a, bounded b) {
    double value = a.value / b.value;
    return bounded_round(value, (a.error + fabs(value) * b.error) / (fabs(b.value) - b.error));
}
/* |sqrt(a') - sqrt(a)| = |a' - a| / (sqrt(a') + sqrt(a)) */
static inline bounded bounded_sqrt(bounded a) {
    double low = a.value > a.error ? sqrt(a.value - a.error) : 0;
    return bounded_round(sqrt(a.value), a.error > 0 ? a.error / (sqrt(a.value) + low) : 0);
}
static inline bounded bounded_max(bounded a, bounded b) {
    return (bounded){fmax(a.value, b.value), fmax(a.error, b.error)};
}
static inline bounded bounded_abs(bounded a) { return (bounded){fabs(a.value), a.error}; }
/* Where the error reaches over 0, the sign may be any. */
static inline bounded bounded_sign(bounded a) {
    double sign = (a.value > 0) - (a.value < 0);
    return (bounded){sign, a.error == 0 || fabs(a.value) > a.error ? 0 : 1 + fabs(sign)};
}
/* factor a + other b, what averages and decays are made of */
static inline bounded bounded_mix(double factor, bounded a, double other, bounded b) {
    return bounded_add(bounded_mul(bounded_factor(factor), a), bounded_mul(bounded_factor(other), b));
}

#endif
