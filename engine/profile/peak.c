#include "engine/profile/peak.h"

#include <math.h>

#include "core/bf16.h"
#include "core/dnn.h"
#include "core/memory.h"
#include "core/recorder.h"
#include "core/status.h"
#include "engine/profile/bandwidth.h"

#define SIDE 1024
#define LEAST_RUNS 3

static tread_status run(tread_gemm *gemm, float *matrices, const void *a, const void *b, double seconds,
                        double *ret_least) {
    float *c = matrices + 2 * SIDE * SIDE;
    TREAD_TRY(tread_gemm_run(gemm, a, b, NULL, c, false)); /* touches c, and wakes the threads */
    double least = INFINITY;
    const double end = tread_clock_seconds() + seconds;
    for (int i = 0; i < LEAST_RUNS || tread_clock_seconds() < end; i++) {
        const double start = tread_clock_seconds();
        TREAD_TRY(tread_gemm_run(gemm, a, b, NULL, c, false));
        least = fmin(least, tread_clock_seconds() - start);
    }
    *ret_least = least;
    return TREAD_OK;
}

tread_status tread_peak_measure(const tread_context *context, tread_precision precision, double seconds,
                                double *ret_flops_per_second) {
    const bool bf16 = precision == TREAD_PRECISION_BF16;
    const tread_gemm_shape shape = {.dtype = TREAD_FLOAT32, .m = SIDE, .n = SIDE, .k = SIDE, .batch = 1, .bf16 = bf16};
    tread_gemm *gemm = NULL;
    double least;
    float *matrices = tread_alloc(4 * sizeof(float) * SIDE * SIDE, "matrices whose product is timed");
    if (matrices == NULL)
        return TREAD_ERROR_MEMORY;
    for (int i = 0; i < 2 * SIDE * SIDE; i++)
        matrices[i] = (float)(i % 7) - 3;
    uint16_t *halves = (uint16_t *)(matrices + 3 * SIDE * SIDE);
    tread_bf16_convert_range(matrices, halves, 2 * SIDE * SIDE);
    const void *a = bf16 ? (const void *)halves : matrices;
    const void *b = bf16 ? (const void *)(halves + SIDE * SIDE) : matrices + SIDE * SIDE;
    tread_status status = tread_gemm_create(context, &shape, &gemm);
    if (status == TREAD_OK)
        status = run(gemm, matrices, a, b, seconds, &least);
    tread_gemm_destroy(gemm);
    tread_free(matrices);
    if (status == TREAD_OK)
        *ret_flops_per_second = 2.0 * SIDE * SIDE * SIDE / least;
    return status;
}
