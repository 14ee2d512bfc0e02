#include "optim/vector.h"

#include <math.h>
#include <string.h>

#include "core/isa.h"
#include "core/lanes.h"
#include "core/math.h"

#define ADD_TERMS(lanes, n, i, term)                                                                                   \
    do {                                                                                                               \
        double own_[TREAD_LANES]; /* in registers */                                                                   \
        memcpy(own_, lanes, sizeof own_);                                                                              \
        TREAD_LANE_ADD(own_, n, i, term);                                                                              \
        memcpy(lanes, own_, sizeof own_);                                                                              \
    } while (0)

TREAD_KERNEL_BODY void TREAD_BODY(scale)(float *to, int64_t n, float by) {
    float *restrict x = to;
    for (int64_t i = 0; i < n; i++)
        x[i] *= by;
}
TREAD_KERNEL(scale, (float *x, int64_t n, float by), (x, n, by))

TREAD_KERNEL_BODY void TREAD_BODY(add_absolute)(const float *from, int64_t n, double *lanes) {
    const float *restrict x = from;
    ADD_TERMS(lanes, n, i, fabsf(x[i]));
}
TREAD_KERNEL(add_absolute, (const float *x, int64_t n, double *lanes), (x, n, lanes))

TREAD_KERNEL_BODY void TREAD_BODY(add_squares)(const float *from, int64_t n, double *lanes) {
    const float *restrict x = from;
    ADD_TERMS(lanes, n, i, (double)x[i] * (double)x[i]);
}
TREAD_KERNEL(add_squares, (const float *x, int64_t n, double *lanes), (x, n, lanes))

/* Without their signs, floats are ordered as their bits are, infinity above all numbers and NaN above infinity. */
TREAD_KERNEL_BODY void TREAD_BODY(extremes)(const float *from, int64_t n, double *ret_largest, double *ret_smallest) {
    const float *restrict x = from;
    uint32_t largest = 0, smallest = UINT32_MAX;
    for (int64_t i = 0; i < n; i++) {
        const uint32_t bits = tread_bits_f32(x[i]) & 0x7fffffffu;
        largest = bits > largest ? bits : largest;
        smallest = bits < smallest ? bits : smallest;
    }
    *ret_largest = tread_from_bits_f32(largest);
    *ret_smallest = *ret_largest != *ret_largest ? *ret_largest : tread_from_bits_f32(smallest);
}
TREAD_KERNEL(extremes, (const float *x, int64_t n, double *ret_largest, double *ret_smallest),
             (x, n, ret_largest, ret_smallest))

void tread_vector_scale(float *x, int64_t n, float by) { TREAD_CALL(scale)(x, n, by); }
void tread_vector_add_absolute(const float *x, int64_t n, double *lanes) { TREAD_CALL(add_absolute)(x, n, lanes); }
void tread_vector_add_squares(const float *x, int64_t n, double *lanes) { TREAD_CALL(add_squares)(x, n, lanes); }
void tread_vector_extremes(const float *x, int64_t n, double *ret_largest, double *ret_smallest) {
    TREAD_CALL(extremes)(x, n, ret_largest, ret_smallest);
}
