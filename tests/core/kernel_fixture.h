/* Layer: tests. For tests of kernels that come in float32 and float64: arrays of either type, filled and read as
 * double, and runs at every thread count and instruction set. */
#ifndef TREAD_TESTS_KERNEL_FIXTURE_H
#define TREAD_TESTS_KERNEL_FIXTURE_H

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <tread/context.h>
#include <tread/random.h>
#include <tread/tensor.h>

#include "core/isa.h"
#include "tests/test.h"

typedef struct array {
    tread_dtype dtype;
    int64_t n;
    void *data;
} array;

static inline array array_create(tread_dtype dtype, int64_t n) {
    array a = {dtype, n, calloc((size_t)n + 1, 8)};
    ck_assert_ptr_nonnull(a.data);
    return a;
}
static inline double array_get(array a, int64_t i) {
    return a.dtype == TREAD_FLOAT32 ? (double)((float *)a.data)[i] : ((double *)a.data)[i];
}
static inline void array_set(array a, int64_t i, double value) {
    if (a.dtype == TREAD_FLOAT32)
        ((float *)a.data)[i] = (float)value;
    else
        ((double *)a.data)[i] = value;
}
static inline array array_random(tread_dtype dtype, int64_t n, uint64_t seed, double low, double high) {
    array a = array_create(dtype, n);
    tread_rng rng = tread_rng_create(seed, 0);
    for (int64_t i = 0; i < n; i++)
        array_set(a, i, low + (high - low) * tread_rng_uniform(&rng));
    return a;
}
static inline bool array_same_bits(array a, array b) {
    return memcmp(a.data, b.data, (size_t)a.n * tread_dtype_size(a.dtype)) == 0;
}

/* Unit roundoff: the largest relative error of one rounding. */
static inline double roundoff(tread_dtype dtype) { return dtype == TREAD_FLOAT32 ? 0x1p-24 : 0x1p-53; }

static inline void check_near(double value, long double expected, long double bound, const char *what, int64_t i) {
    if (isnan(expected))
        ck_assert_msg(isnan(value), "%s[%lld] = %.17g, expected NaN", what, (long long)i, value);
    else if (isinf(expected))
        ck_assert_msg((long double)value == expected, "%s[%lld] = %.17g, expected %Lg", what, (long long)i, value,
                      expected);
    else
        ck_assert_msg(fabsl((long double)value - expected) <= bound,
                      "%s[%lld] = %.17g, expected %.20Lg within %Lg, off by %Lg", what, (long long)i, value, expected,
                      bound, fabsl((long double)value - expected));
}

/* Runs of the same kernel whose bits must agree: 1, 2, 3 and 8 threads on the best instruction set, then each lower
 * one. */
#define KERNEL_RUNS (4 + TREAD_ISA_COUNT - 1)
static inline tread_context *kernel_run_context(int run) {
    static const int threads[4] = {1, 2, 3, 8};
    tread_context_options options = tread_context_defaults();
    options.threads = run < 4 ? threads[run] : 1;
    tread_context *context = tread_context_create(&options);
    ck_assert_ptr_nonnull(context);
    return context;
}
static inline tread_isa kernel_run_isa(int run) { return run < 4 ? TREAD_ISA_AVX512 : (tread_isa)(run - 4); }

#endif
