#include <string.h>

#include "core/isa.h"
#include "core/parallel.h"
#include "engine/data/batches.h"

/* Values converted in the 2 us or so that a fork must be worth. */
#define GRAIN_VALUES 16384
/* Rows lie anywhere in a set larger than the caches: this many rows ahead are fetched while one is converted. Measured
 * on MNIST, ns a row by one thread: 113 with 1, 80 with 2, 61 with 4, 62 with 8; 32 where all of it is in the cache. */
#define ROWS_AHEAD 4

typedef struct gather_job {
    const void *from;
    const int32_t *rows;
    int64_t count, features;
    float scale, shift;
    double mean, factor;
    const double *centres, *factors; /* one for each feature */
    void *to;
} gather_job;

TREAD_KERNEL_BODY void convert_bytes_body(const uint8_t *restrict from, int64_t n, float scale, float shift,
                                          float *restrict to) {
    for (int64_t i = 0; i < n; i++)
        to[i] = (float)from[i] * scale + shift;
}
TREAD_KERNEL(convert_bytes, (const uint8_t *from, int64_t n, float scale, float shift, float *to),
             (from, n, scale, shift, to))

TREAD_KERNEL_BODY void convert_floats_body(const float *restrict from, int64_t n, double mean, double factor,
                                           float *restrict to) {
    for (int64_t i = 0; i < n; i++)
        to[i] = (float)((from[i] - mean) * factor);
}
TREAD_KERNEL(convert_floats, (const float *from, int64_t n, double mean, double factor, float *to),
             (from, n, mean, factor, to))

TREAD_KERNEL_BODY void standardize_bytes_body(const uint8_t *restrict from, int64_t n, const double *restrict centres,
                                              const double *restrict factors, float *restrict to) {
    for (int64_t i = 0; i < n; i++)
        to[i] = (float)((from[i] - centres[i]) * factors[i]);
}
TREAD_KERNEL(standardize_bytes,
             (const uint8_t *from, int64_t n, const double *centres, const double *factors, float *to),
             (from, n, centres, factors, to))

TREAD_KERNEL_BODY void standardize_floats_body(const float *restrict from, int64_t n, const double *restrict centres,
                                               const double *restrict factors, float *restrict to) {
    for (int64_t i = 0; i < n; i++)
        to[i] = (float)((from[i] - centres[i]) * factors[i]);
}
TREAD_KERNEL(standardize_floats,
             (const float *from, int64_t n, const double *centres, const double *factors, float *to),
             (from, n, centres, factors, to))

static void prefetch_row(const char *row, int64_t bytes) {
    for (int64_t i = 0; i < bytes && i < 4096; i += 64)
        __builtin_prefetch(row + i);
}

static void gather_bytes(void *argument, int64_t begin, int64_t end) {
    const gather_job *job = argument;
    const int64_t n = job->features;
    const uint8_t *from = job->from;
    for (int64_t i = begin; i < end && i < begin + ROWS_AHEAD; i++)
        prefetch_row((const char *)(from + job->rows[i] * n), n);
    for (int64_t i = begin; i < end; i++) {
        if (i + ROWS_AHEAD < end)
            prefetch_row((const char *)(from + job->rows[i + ROWS_AHEAD] * n), n);
        TREAD_CALL(convert_bytes)(from + job->rows[i] * n, n, job->scale, job->shift, (float *)job->to + i * n);
    }
}

static void gather_floats(void *argument, int64_t begin, int64_t end) {
    const gather_job *job = argument;
    for (int64_t i = begin; i < end; i++) {
        const float *from = (const float *)job->from + job->rows[i] * job->features;
        float *to = (float *)job->to + i * job->features;
        if (job->mean == 0 && job->factor == 1)
            memcpy(to, from, (size_t)job->features * sizeof *to);
        else
            TREAD_CALL(convert_floats)(from, job->features, job->mean, job->factor, to);
    }
}

static void gather_indices(void *argument, int64_t begin, int64_t end) {
    const gather_job *job = argument;
    for (int64_t i = begin; i < end; i++)
        memcpy((int32_t *)job->to + i * job->features, (const int32_t *)job->from + job->rows[i] * job->features,
               (size_t)job->features * sizeof(int32_t));
}

static void gather_standard_bytes(void *argument, int64_t begin, int64_t end) {
    const gather_job *job = argument;
    for (int64_t i = begin; i < end; i++)
        TREAD_CALL(standardize_bytes)
    ((const uint8_t *)job->from + job->rows[i] * job->features, job->features, job->centres, job->factors,
     (float *)job->to + i * job->features);
}

static void gather_standard_floats(void *argument, int64_t begin, int64_t end) {
    const gather_job *job = argument;
    for (int64_t i = begin; i < end; i++)
        TREAD_CALL(standardize_floats)
    ((const float *)job->from + job->rows[i] * job->features, job->features, job->centres, job->factors,
     (float *)job->to + i * job->features);
}

static int64_t row_grain(int64_t features) { return features < GRAIN_VALUES ? GRAIN_VALUES / features : 1; }

void tread_gather_bytes(const tread_context *context, const uint8_t *from, int64_t features, const int32_t *rows,
                        int64_t count, float scale, float shift, float *to) {
    gather_job job = {
        .from = from, .rows = rows, .count = count, .features = features, .scale = scale, .shift = shift, .to = to};
    tread_parallel_for(context, count, row_grain(features), 1, gather_bytes, &job);
}

void tread_gather_floats(const tread_context *context, const float *from, int64_t features, const int32_t *rows,
                         int64_t count, double mean, double factor, float *to) {
    gather_job job = {
        .from = from, .rows = rows, .count = count, .features = features, .mean = mean, .factor = factor, .to = to};
    tread_parallel_for(context, count, row_grain(features), 1, gather_floats, &job);
}

void tread_gather_indices(const tread_context *context, const int32_t *from, int64_t length, const int32_t *rows,
                          int64_t count, int32_t *to) {
    gather_job job = {.from = from, .rows = rows, .count = count, .features = length, .to = to};
    tread_parallel_for(context, count, row_grain(length), 1, gather_indices, &job);
}

void tread_gather_standard(const tread_context *context, tread_dtype dtype, const void *from, int64_t features,
                           const int32_t *rows, int64_t count, const double *centres, const double *factors,
                           float *to) {
    gather_job job = {.from = from,
                      .rows = rows,
                      .count = count,
                      .features = features,
                      .centres = centres,
                      .factors = factors,
                      .to = to};
    tread_parallel_for(context, count, row_grain(features), 1,
                       dtype == TREAD_UINT8 ? gather_standard_bytes : gather_standard_floats, &job);
}
