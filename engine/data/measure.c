#include <math.h>

#include "core/isa.h"
#include "core/lanes.h"
#include "core/parallel.h"
#include "core/status.h"
#include "core/tensor.h"
#include "engine/data/walk.h"

/* Bytes are summed in integers, exact in any order. Floats are summed in double over the lanes of
 * core/lanes.h in each chunk, and the chunks in order, so that the bits depend on neither threads nor vector width. */

typedef struct measure_job {
    const void *data;
    int64_t n, chunk;
    double mean; /* of the second pass over floats */
    uint64_t sum[TREAD_MAX_CHUNKS], square[TREAD_MAX_CHUNKS];
    double real[TREAD_MAX_CHUNKS];
} measure_job;

TREAD_KERNEL_BODY void byte_sums_body(const uint8_t *restrict x, int64_t n, uint64_t *ret_sum, uint64_t *ret_square) {
    uint64_t sum = 0, square = 0;
    for (int64_t begin = 0; begin < n; begin += 1 << 14) { /* 2^14 squares of a byte fit in 32 bits */
        int64_t end = begin + (1 << 14) < n ? begin + (1 << 14) : n;
        uint32_t part_sum = 0, part_square = 0;
        for (int64_t i = begin; i < end; i++) {
            uint32_t v = x[i];
            part_sum += v;
            part_square += v * v;
        }
        sum += part_sum;
        square += part_square;
    }
    *ret_sum = sum;
    *ret_square = square;
}
TREAD_KERNEL(byte_sums, (const uint8_t *x, int64_t n, uint64_t *ret_sum, uint64_t *ret_square),
             (x, n, ret_sum, ret_square))

TREAD_KERNEL_BODY void float_sum_body(const float *restrict x, int64_t n, double *ret_sum) {
    TREAD_LANE_SUM(*ret_sum, n, i, x[i]);
}
TREAD_KERNEL(float_sum, (const float *x, int64_t n, double *ret_sum), (x, n, ret_sum))

TREAD_KERNEL_BODY void float_deviation_body(const float *restrict x, int64_t n, double mean, double *ret_sum) {
    TREAD_LANE_SUM(*ret_sum, n, i, (x[i] - mean) * (x[i] - mean));
}
TREAD_KERNEL(float_deviation, (const float *x, int64_t n, double mean, double *ret_sum), (x, n, mean, ret_sum))

static int64_t chunk_length(const measure_job *job, int64_t c) {
    int64_t left = job->n - c * job->chunk;
    return left < job->chunk ? left : job->chunk;
}

static void measure_bytes(void *argument, int64_t begin, int64_t end) {
    measure_job *job = argument;
    for (int64_t c = begin; c < end; c++) {
        const uint8_t *x = (const uint8_t *)job->data + c * job->chunk;
        TREAD_CALL(byte_sums)(x, chunk_length(job, c), &job->sum[c], &job->square[c]);
    }
}

static void measure_floats(void *argument, int64_t begin, int64_t end) {
    measure_job *job = argument;
    for (int64_t c = begin; c < end; c++) {
        const float *x = (const float *)job->data + c * job->chunk;
        TREAD_CALL(float_sum)(x, chunk_length(job, c), &job->real[c]);
    }
}

static void measure_deviations(void *argument, int64_t begin, int64_t end) {
    measure_job *job = argument;
    for (int64_t c = begin; c < end; c++) {
        const float *x = (const float *)job->data + c * job->chunk;
        TREAD_CALL(float_deviation)(x, chunk_length(job, c), job->mean, &job->real[c]);
    }
}

static double fold(const measure_job *job, int64_t chunks) {
    double sum = 0;
    for (int64_t c = 0; c < chunks; c++)
        sum += job->real[c];
    return sum;
}

/* One pass over a set that is not one block in memory: the blocks' sums in order. */
static tread_status walk_sum(tread_walk *walk, const double *mean, double *ret_sum) {
    double sum = 0, part;
    do {
        TREAD_TRY(tread_walk_next(walk));
        int64_t n = walk->count * walk->dataset->features;
        if (mean == NULL)
            TREAD_CALL(float_sum)(walk->values, n, &part);
        else
            TREAD_CALL(float_deviation)(walk->values, n, *mean, &part);
        sum += part;
    } while (walk->count > 0);
    *ret_sum = sum;
    return TREAD_OK;
}

static tread_status walk_both(tread_walk *walk, double *ret_mean, double *ret_std) {
    double n = (double)walk->dataset->n * (double)walk->dataset->features, sum, square;
    double unit = walk->dataset->x_dtype == TREAD_UINT8 ? 255 : 1;
    TREAD_TRY(walk_sum(walk, NULL, &sum));
    double mean = sum / n;
    TREAD_TRY(walk_sum(walk, &mean, &square));
    if (!isfinite(square))
        return tread_fail(TREAD_ERROR_NUMERIC, "data set: the values are not all finite, or too large to measure");
    *ret_mean = mean / unit;
    *ret_std = sqrt(square / n) / unit;
    return TREAD_OK;
}

static tread_status measure_walk(const tread_context *context, const tread_dataset *dataset, double *ret_mean,
                                 double *ret_std) {
    tread_walk walk;
    tread_status status = tread_walk_create(context, dataset, &walk);
    if (status == TREAD_OK)
        status = walk_both(&walk, ret_mean, ret_std);
    tread_walk_destroy(&walk);
    return status;
}

tread_status tread_dataset_measure(tread_context *context, const tread_dataset *dataset, double *ret_mean,
                                   double *ret_std) {
    TREAD_REFUSE_NULL("dataset measure", dataset);
    if (dataset->x_dtype == TREAD_INT32)
        return tread_fail(TREAD_ERROR_DTYPE, "data set: int32 inputs are indices, which have no mean");
    if (dataset->rows != NULL || dataset->source.read != NULL)
        return measure_walk(context, dataset, ret_mean, ret_std);
    int64_t n = dataset->x->count, chunks = tread_chunk_count(n);
    measure_job job = {.data = dataset->x->data, .n = n, .chunk = tread_chunk_size(n)};
    if (dataset->x->dtype == TREAD_UINT8) {
        tread_parallel_for(context, chunks, 8, 8, measure_bytes, &job);
        uint64_t sum = 0, square = 0;
        for (int64_t c = 0; c < chunks; c++) {
            sum += job.sum[c];
            square += job.square[c];
        }
        double mean = (double)sum / (double)n;
        double variance = (double)square / (double)n - mean * mean;
        *ret_mean = mean / 255;
        *ret_std = sqrt(variance > 0 ? variance : 0) / 255;
        return TREAD_OK;
    }
    tread_parallel_for(context, chunks, 8, 8, measure_floats, &job);
    job.mean = fold(&job, chunks) / (double)n;
    tread_parallel_for(context, chunks, 8, 8, measure_deviations, &job);
    double variance = fold(&job, chunks) / (double)n;
    if (!isfinite(variance))
        return tread_fail(TREAD_ERROR_NUMERIC, "data set: the values are not all finite, or too large to measure");
    *ret_mean = job.mean;
    *ret_std = sqrt(variance);
    return TREAD_OK;
}
