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

/* Lanes of squares are twice as many, so that additions in a row do not wait for each other. The square of a float is
 * exact in double: x x + sum rounds once, fused or not, and the bits are the same. */
TREAD_KERNEL_BODY void add_squares_body(const float *from, int64_t n, double *lanes, bool fused) {
    const float *restrict x = from;
    const int64_t whole = n / TREAD_SQUARE_LANES * TREAD_SQUARE_LANES;
    double own[TREAD_SQUARE_LANES]; /* in registers */
    memcpy(own, lanes, sizeof own);
    for (int64_t i = 0; i < whole; i += TREAD_SQUARE_LANES)
        for (int lane = 0; lane < TREAD_SQUARE_LANES; lane++) {
            const double value = x[i + lane];
            own[lane] = fused ? __builtin_fma(value, value, own[lane]) : own[lane] + value * value;
        }
    for (int lane = 0; lane < (int)(n - whole); lane++)
        own[lane] += (double)x[whole + lane] * (double)x[whole + lane];
    memcpy(lanes, own, sizeof own);
}
static void add_squares_baseline(const float *x, int64_t n, double *lanes) { add_squares_body(x, n, lanes, false); }
TREAD_TARGET_AVX2 static void add_squares_avx2(const float *x, int64_t n, double *lanes) {
    add_squares_body(x, n, lanes, true);
}
TREAD_TARGET_AVX512 static void add_squares_avx512(const float *x, int64_t n, double *lanes) {
    add_squares_body(x, n, lanes, true);
}
static void (*const add_squares[TREAD_ISA_COUNT])(const float *x, int64_t n, double *lanes) = {
    add_squares_baseline, add_squares_avx2, add_squares_avx512};

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

TREAD_KERNEL_BODY void TREAD_BODY(moving_average)(const float *from, int64_t n, float keep, float take, float *to) {
    const float *restrict x = from;
    float *restrict average = to;
    for (int64_t i = 0; i < n; i++)
        average[i] = keep * average[i] + take * x[i];
}
TREAD_KERNEL(moving_average, (const float *x, int64_t n, float keep, float take, float *to), (x, n, keep, take, to))

void tread_vector_average(const float *x, int64_t n, float keep, float take, float *average) {
    TREAD_CALL(moving_average)(x, n, keep, take, average);
}
void tread_vector_scale(float *x, int64_t n, float by) { TREAD_CALL(scale)(x, n, by); }
void tread_vector_add_absolute(const float *x, int64_t n, double *lanes) { TREAD_CALL(add_absolute)(x, n, lanes); }
void tread_vector_add_squares(const float *x, int64_t n, double *lanes) { TREAD_CALL(add_squares)(x, n, lanes); }
double tread_square_lanes_fold(double *lanes) {
    for (int i = 0; i < TREAD_LANES; i++)
        lanes[i] += lanes[i + TREAD_LANES];
    return tread_lanes_fold(lanes);
}
void tread_vector_extremes(const float *x, int64_t n, double *ret_largest, double *ret_smallest) {
    TREAD_CALL(extremes)(x, n, ret_largest, ret_smallest);
}
