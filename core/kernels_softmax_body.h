/* Layer: core. Included by kernels_softmax.c once for each float type. */
#include "core/rows_body.h"

/* Up to 16 columns of [length][stride], lane k column k. Where there are fewer, they pass through a padded copy. */
TREAD_KERNEL_BODY void T(softmax_columns)(const REAL *restrict x, REAL *restrict y, int64_t stride, int64_t length,
                                          int64_t width, bool log) {
    REAL top[TREAD_LANES], shift[TREAD_LANES], pad[TREAD_LANES], out[TREAD_LANES];
    double sum[TREAD_LANES];
    const bool whole = width >= TREAD_LANES;
    for (int k = 0; k < TREAD_LANES; k++) {
        top[k] = -(REAL)INFINITY;
        sum[k] = pad[k] = 0;
    }
    for (int64_t i = 0; i < length; i++) {
        const REAL *in = whole ? x + i * stride : T(copy)(x + i * stride, width, pad);
#pragma omp simd
        for (int k = 0; k < TREAD_LANES; k++)
            top[k] = in[k] > top[k] ? in[k] : top[k];
    }
    for (int64_t i = 0; i < length; i++) {
        const REAL *in = whole ? x + i * stride : T(copy)(x + i * stride, width, pad);
        REAL *to = whole ? y + i * stride : out;
#pragma omp simd
        for (int k = 0; k < TREAD_LANES; k++) {
            REAL e = T(exp_drop)(in[k] - top[k]);
            to[k] = e;
            sum[k] += (double)e;
        }
        if (!whole)
            T(copy)(out, width, y + i * stride);
    }
    for (int k = 0; k < TREAD_LANES; k++)
        shift[k] = (REAL)(log ? tread_log_f64(sum[k]) : 1.0 / sum[k]);
    for (int64_t i = 0; i < length; i++) {
        const REAL *in = log ? x + i * stride : y + i * stride;
        REAL *to = whole ? y + i * stride : out;
        in = whole ? in : T(copy)(in, width, pad);
        if (log)
#pragma omp simd
            for (int k = 0; k < TREAD_LANES; k++)
                to[k] = (in[k] - top[k]) - shift[k];
        else
#pragma omp simd
            for (int k = 0; k < TREAD_LANES; k++)
                to[k] = in[k] * shift[k];
        if (!whole)
            T(copy)(out, width, y + i * stride);
    }
}

TREAD_KERNEL_BODY void T(softmax_row)(const REAL *restrict x, REAL *restrict y, int64_t length, bool log) {
    REAL tail[TREAD_LANES];
    T(tail_load)(x, length, -(REAL)INFINITY, tail);
    REAL top = T(row_max)(x, tail, length);
    double sum = T(row_exp)(x, tail, log ? NULL : y, length, top);
    REAL shift = (REAL)(log ? tread_log_f64(sum) : 1.0 / sum);
    if (log)
        for (int64_t i = 0; i < length; i++)
            y[i] = (x[i] - top) - shift;
    else
        for (int64_t i = 0; i < length; i++)
            y[i] *= shift;
}

TREAD_KERNEL_BODY void TREAD_BODY(T(softmax))(const softmax_job *job, int64_t begin, int64_t end) {
    int64_t length = job->shape.length, inner = job->shape.inner;
    const REAL *x = job->x;
    REAL *y = job->out, in[TREAD_TILE_LENGTH * TREAD_LANES], out[TREAD_TILE_LENGTH * TREAD_LANES];
    if (inner == 1 && length > TREAD_TILE_LENGTH) {
        for (int64_t row = begin; row < end; row++)
            T(softmax_row)(x + row * length, y + row * length, length, job->shape.log);
        return;
    }
    bool tiled = inner == 1;
    for (int64_t unit = begin; unit < end; unit += tiled ? TREAD_LANES : 1) {
        int64_t n_rows = end - unit < TREAD_LANES ? end - unit : TREAD_LANES;
        int64_t column = unit % job->blocks * TREAD_LANES;
        int64_t start = tiled ? unit * length : unit / job->blocks * length * inner + column;
        if (tiled)
            T(tile_load)(x + start, n_rows, length, in);
        T(softmax_columns)
        (tiled ? in : x + start, tiled ? out : y + start, tiled ? TREAD_LANES : inner, length,
         tiled ? TREAD_LANES : inner - column, job->shape.log);
        if (tiled)
            T(tile_store)(out, n_rows, length, y + start);
    }
}

/* What backward needs summed over the row. */
TREAD_KERNEL_BODY double T(softmax_term)(REAL y, REAL dy, bool log) {
    return log ? (double)dy : (double)dy * (double)y;
}

/* 16 elements of dx; total[k] belongs to lane k. */
TREAD_KERNEL_BODY void T(softmax_change)(const REAL *restrict y, const REAL *restrict dy, const REAL *restrict total,
                                         REAL *restrict dx, bool log, bool accumulate) {
    REAL change[TREAD_LANES];
    if (log)
#pragma omp simd
        for (int k = 0; k < TREAD_LANES; k++)
            change[k] = dy[k] - T(exp_drop)(y[k]) * total[k];
    else
#pragma omp simd
        for (int k = 0; k < TREAD_LANES; k++)
            change[k] = y[k] * (dy[k] - total[k]);
    if (accumulate)
#pragma omp simd
        for (int k = 0; k < TREAD_LANES; k++)
            dx[k] += change[k];
    else
#pragma omp simd
        for (int k = 0; k < TREAD_LANES; k++)
            dx[k] = change[k];
}

TREAD_KERNEL_BODY void T(softmax_backward_columns)(const REAL *restrict y, const REAL *restrict dy, REAL *restrict dx,
                                                   int64_t stride, int64_t length, int64_t width, bool log,
                                                   bool accumulate) {
    double sum[TREAD_LANES] = {0};
    REAL total[TREAD_LANES], y_pad[TREAD_LANES] = {0}, dy_pad[TREAD_LANES] = {0}, dx_pad[TREAD_LANES] = {0};
    const bool whole = width >= TREAD_LANES;
    for (int64_t i = 0; i < length; i++) {
        const REAL *values = whole ? y + i * stride : T(copy)(y + i * stride, width, y_pad);
        const REAL *grads = whole ? dy + i * stride : T(copy)(dy + i * stride, width, dy_pad);
#pragma omp simd
        for (int k = 0; k < TREAD_LANES; k++)
            sum[k] += T(softmax_term)(values[k], grads[k], log);
    }
    for (int k = 0; k < TREAD_LANES; k++)
        total[k] = (REAL)sum[k];
    for (int64_t i = 0; i < length; i++) {
        const REAL *values = whole ? y + i * stride : T(copy)(y + i * stride, width, y_pad);
        const REAL *grads = whole ? dy + i * stride : T(copy)(dy + i * stride, width, dy_pad);
        if (!whole)
            T(copy)(dx + i * stride, width, dx_pad);
        T(softmax_change)(values, grads, total, whole ? dx + i * stride : dx_pad, log, accumulate);
        if (!whole)
            T(copy)(dx_pad, width, dx + i * stride);
    }
}

TREAD_KERNEL_BODY void T(softmax_backward_row)(const REAL *restrict y, const REAL *restrict dy, REAL *restrict dx,
                                               int64_t length, bool log, bool accumulate) {
    REAL total[TREAD_LANES], y_tail[TREAD_LANES], dy_tail[TREAD_LANES], dx_tail[TREAD_LANES];
    double lanes[TREAD_LANES] = {0};
    T(tail_load)(y, length, 0, y_tail);
    T(tail_load)(dy, length, 0, dy_tail);
    T(tail_load)(dx, length, 0, dx_tail);
    for (int64_t i = 0; i < length; i += TREAD_LANES) {
        const bool whole = length - i >= TREAD_LANES;
        const REAL *values = whole ? y + i : y_tail, *grads = whole ? dy + i : dy_tail;
#pragma omp simd
        for (int k = 0; k < TREAD_LANES; k++)
            lanes[k] += T(softmax_term)(values[k], grads[k], log);
    }
    double sum = tread_lanes_fold(lanes);
    for (int k = 0; k < TREAD_LANES; k++)
        total[k] = (REAL)sum;
    for (int64_t i = 0; i < length; i += TREAD_LANES) {
        const bool whole = length - i >= TREAD_LANES;
        T(softmax_change)
        (whole ? y + i : y_tail, whole ? dy + i : dy_tail, total, whole ? dx + i : dx_tail, log, accumulate);
    }
    T(tail_store)(dx_tail, length, dx);
}

TREAD_KERNEL_BODY void TREAD_BODY(T(softmax_backward))(const softmax_job *job, int64_t begin, int64_t end) {
    int64_t length = job->shape.length, inner = job->shape.inner;
    const bool log = job->shape.log, accumulate = job->accumulate;
    const REAL *y = job->x, *dy = job->dy;
    REAL *dx = job->out, tiles[3][TREAD_TILE_LENGTH * TREAD_LANES];
    if (inner == 1 && length > TREAD_TILE_LENGTH) {
        for (int64_t row = begin; row < end; row++)
            T(softmax_backward_row)(y + row * length, dy + row * length, dx + row * length, length, log, accumulate);
        return;
    }
    bool tiled = inner == 1;
    for (int64_t unit = begin; unit < end; unit += tiled ? TREAD_LANES : 1) {
        int64_t n_rows = end - unit < TREAD_LANES ? end - unit : TREAD_LANES;
        int64_t column = unit % job->blocks * TREAD_LANES;
        int64_t start = tiled ? unit * length : unit / job->blocks * length * inner + column;
        if (tiled) {
            T(tile_load)(y + start, n_rows, length, tiles[0]);
            T(tile_load)(dy + start, n_rows, length, tiles[1]);
            if (accumulate)
                T(tile_load)(dx + start, n_rows, length, tiles[2]);
        }
        T(softmax_backward_columns)
        (tiled ? tiles[0] : y + start, tiled ? tiles[1] : dy + start, tiled ? tiles[2] : dx + start,
         tiled ? TREAD_LANES : inner, length, tiled ? TREAD_LANES : inner - column, log, accumulate);
        if (tiled)
            T(tile_store)(tiles[2], n_rows, length, dx + start);
    }
}

TREAD_KERNEL(T(softmax), (const softmax_job *job, int64_t begin, int64_t end), (job, begin, end))
TREAD_KERNEL(T(softmax_backward), (const softmax_job *job, int64_t begin, int64_t end), (job, begin, end))
