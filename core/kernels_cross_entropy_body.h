/* Layer: core. Included by kernels_cross_entropy.c once for each float type. */
#include "core/rows_body.h"

/* A row's loss from its parts, all relative to the row's largest score `top`: log_sum = log sum exp(x - top),
 * drop = top - x[label], and for smoothing mean_drop = mean of (top - x). */
TREAD_KERNEL_BODY double T(row_loss)(double smoothing, double log_sum, double drop, double mean_drop) {
    double hard = log_sum + drop;
    return smoothing > 0 ? (1.0 - smoothing) * hard + smoothing * (log_sum + mean_drop) : hard;
}

/* The sum of top - x over a row, for smoothing. */
TREAD_KERNEL_BODY double T(row_drop)(const REAL *restrict x, int64_t length, REAL top) {
    double sum;
    TREAD_LANE_SUM(sum, length, i, (double)top - (double)x[i]);
    return sum;
}

/* Up to 16 narrow rows at once. */
TREAD_KERNEL_BODY void T(cross_entropy_tile)(const cross_entropy_job *job, int64_t first, int64_t n_rows) {
    const int64_t classes = job->shape.classes;
    const double smoothing = job->shape.label_smoothing;
    const REAL *restrict x = (const REAL *)job->x + first * classes;
    REAL tile[TREAD_TILE_LENGTH * TREAD_LANES], top[TREAD_LANES], scale[TREAD_LANES];
    double sum[TREAD_LANES], drop[TREAD_LANES], log_sum[TREAD_LANES];
    for (int k = 0; k < TREAD_LANES; k++) {
        top[k] = -(REAL)INFINITY;
        sum[k] = drop[k] = 0;
    }
    T(tile_load)(x, n_rows, classes, tile);
    for (int64_t i = 0; i < classes; i++)
#pragma omp simd
        for (int k = 0; k < TREAD_LANES; k++)
            top[k] = tile[i * TREAD_LANES + k] > top[k] ? tile[i * TREAD_LANES + k] : top[k];
    if (smoothing > 0)
        for (int64_t i = 0; i < classes; i++)
#pragma omp simd
            for (int k = 0; k < TREAD_LANES; k++)
                drop[k] += (double)top[k] - (double)tile[i * TREAD_LANES + k];
    for (int64_t i = 0; i < classes; i++)
#pragma omp simd
        for (int k = 0; k < TREAD_LANES; k++) {
            REAL e = T(exp_drop)(tile[i * TREAD_LANES + k] - top[k]);
            tile[i * TREAD_LANES + k] = e;
            sum[k] += (double)e;
        }
    for (int k = 0; k < TREAD_LANES; k++) {
        log_sum[k] = tread_log_f64(sum[k]);
        scale[k] = (REAL)(1.0 / sum[k]);
    }
    int32_t labels[TREAD_LANES];
    for (int64_t k = 0; k < n_rows; k++) {
        labels[k] = label_at(&job->shape, job->labels, first + k);
        bool counts = labels[k] != job->shape.ignore_index;
        labels[k] = counts ? labels[k] : -1;
        job->row_loss[first + k] =
            counts ? T(row_loss)(smoothing, log_sum[k], (double)top[k] - (double)x[k * classes + labels[k]],
                                 drop[k] * job->class_share)
                   : 0.0;
    }
    if (job->out == NULL)
        return;
    const REAL other = (REAL)(smoothing * job->class_share), chosen = (REAL)(1.0 - smoothing);
    REAL *restrict delta = (REAL *)job->out + first * classes;
    for (int64_t i = 0; i < classes; i++)
#pragma omp simd
        for (int k = 0; k < TREAD_LANES; k++)
            tile[i * TREAD_LANES + k] = tile[i * TREAD_LANES + k] * scale[k] - other;
    T(tile_store)(tile, n_rows, classes, delta);
    for (int64_t k = 0; k < n_rows; k++)
        if (labels[k] >= 0)
            delta[k * classes + labels[k]] -= chosen;
        else
            memset(delta + k * classes, 0, (size_t)classes * sizeof(REAL));
}

TREAD_KERNEL_BODY void T(cross_entropy_row)(const cross_entropy_job *job, int64_t row) {
    const int64_t classes = job->shape.classes;
    const double smoothing = job->shape.label_smoothing;
    const REAL *restrict x = (const REAL *)job->x + row * classes;
    REAL *restrict delta = job->out == NULL ? NULL : (REAL *)job->out + row * classes;
    int32_t label = label_at(&job->shape, job->labels, row);
    if (label == job->shape.ignore_index) {
        job->row_loss[row] = 0;
        if (delta != NULL)
            memset(delta, 0, (size_t)classes * sizeof(REAL));
        return;
    }
    REAL tail[TREAD_LANES];
    T(tail_load)(x, classes, -(REAL)INFINITY, tail);
    REAL top = T(row_max)(x, tail, classes);
    double sum = T(row_exp)(x, tail, delta, classes, top);
    double mean_drop = smoothing > 0 ? T(row_drop)(x, classes, top) * job->class_share : 0;
    job->row_loss[row] = T(row_loss)(smoothing, tread_log_f64(sum), (double)top - (double)x[label], mean_drop);
    if (delta == NULL)
        return;
    const REAL scale = (REAL)(1.0 / sum), other = (REAL)(smoothing * job->class_share);
    for (int64_t i = 0; i < classes; i++)
        delta[i] = delta[i] * scale - other;
    delta[label] -= (REAL)(1.0 - smoothing);
}

TREAD_KERNEL_BODY void TREAD_BODY(T(cross_entropy))(const cross_entropy_job *job, int64_t begin, int64_t end) {
    if (job->shape.classes > TREAD_TILE_LENGTH) {
        for (int64_t row = begin; row < end; row++)
            T(cross_entropy_row)(job, row);
        return;
    }
    for (int64_t row = begin; row < end; row += TREAD_LANES)
        T(cross_entropy_tile)(job, row, end - row < TREAD_LANES ? end - row : TREAD_LANES);
}

TREAD_KERNEL_BODY void TREAD_BODY(T(scale))(const void *from, double factor, void *to, bool accumulate, int64_t begin,
                                            int64_t end) {
    const REAL *restrict x = from;
    REAL *restrict y = to;
    const REAL scale = (REAL)factor;
    if (accumulate)
        for (int64_t i = begin; i < end; i++)
            y[i] += x[i] * scale;
    else
        for (int64_t i = begin; i < end; i++)
            y[i] = x[i] * scale;
}

static void T(nll)(const cross_entropy_job *job, int64_t begin, int64_t end) {
    const REAL *x = job->x;
    for (int64_t row = begin; row < end; row++) {
        int32_t label = label_at(&job->shape, job->labels, row);
        job->row_loss[row] = label == job->shape.ignore_index ? 0.0 : -(double)x[row * job->shape.classes + label];
    }
}

static void T(nll_backward)(const cross_entropy_job *job, int64_t begin, int64_t end) {
    const int64_t classes = job->shape.classes;
    REAL *dx = job->out;
    if (!job->accumulate)
        memset(dx + begin * classes, 0, (size_t)((end - begin) * classes) * sizeof(REAL));
    for (int64_t row = begin; row < end; row++) {
        int32_t label = label_at(&job->shape, job->labels, row);
        if (label != job->shape.ignore_index)
            dx[row * classes + label] -= (REAL)job->factor;
    }
}

TREAD_KERNEL(T(cross_entropy), (const cross_entropy_job *job, int64_t begin, int64_t end), (job, begin, end))
TREAD_KERNEL(T(scale), (const void *from, double factor, void *to, bool accumulate, int64_t begin, int64_t end),
             (from, factor, to, accumulate, begin, end))
