#include <math.h>
#include <string.h>

#include "core/isa.h"
#include "core/kernels_rows.h"
#include "core/lanes.h"
#include "core/math.h"
#include "core/parallel.h"

typedef struct cross_entropy_job {
    tread_cross_entropy_shape shape;
    double class_share; /* 1 / classes */
    double factor;
    bool accumulate;
    const void *x, *labels;
    double *row_loss;
    void *out;
} cross_entropy_job;

static inline int32_t label_at(const tread_cross_entropy_shape *shape, const void *labels, int64_t row) {
    return shape->label_dtype == TREAD_INT32 ? ((const int32_t *)labels)[row] : ((const uint8_t *)labels)[row];
}

#define BODY "core/kernels_cross_entropy_body.h"
#include "core/both_floats.h"

int32_t tread_kernel_label(const tread_cross_entropy_shape *shape, const void *labels, int64_t row) {
    return label_at(shape, labels, row);
}

int64_t tread_kernel_check_labels(const tread_cross_entropy_shape *shape, const void *labels, int64_t *ret_counted) {
    int64_t counted = 0;
    for (int64_t row = 0; row < shape->rows; row++) {
        int32_t label = label_at(shape, labels, row);
        bool counts = label != shape->ignore_index;
        if (counts && (label < 0 || label >= shape->classes))
            return row;
        counted += counts;
    }
    *ret_counted = counted;
    return -1;
}

static void forward_range(void *argument, int64_t begin, int64_t end) {
    const cross_entropy_job *job = argument;
    if (job->shape.dtype == TREAD_FLOAT32)
        TREAD_CALL(cross_entropy_f32)(job, begin, end);
    else
        TREAD_CALL(cross_entropy_f64)(job, begin, end);
}

static int64_t rows_worth(int64_t work, int64_t classes) { return work > classes ? work / classes : 1; }

void tread_kernel_cross_entropy(const tread_context *context, const tread_cross_entropy_shape *shape,
                                const void *logits, const void *labels, double *row_loss, void *delta) {
    cross_entropy_job job = {.shape = *shape,
                             .class_share = 1.0 / (double)shape->classes,
                             .x = logits,
                             .labels = labels,
                             .row_loss = row_loss,
                             .out = delta};
    tread_parallel_for(context, shape->rows, rows_worth(2048, shape->classes), TREAD_LANES, forward_range, &job);
}

static void nll_range(void *argument, int64_t begin, int64_t end) {
    const cross_entropy_job *job = argument;
    if (job->shape.dtype == TREAD_FLOAT32)
        nll_f32(job, begin, end);
    else
        nll_f64(job, begin, end);
}

void tread_kernel_nll(const tread_context *context, const tread_cross_entropy_shape *shape, const void *x,
                      const void *labels, double *row_loss) {
    cross_entropy_job job = {.shape = *shape, .x = x, .labels = labels, .row_loss = row_loss};
    tread_parallel_for(context, shape->rows, 2048, TREAD_LANES, nll_range, &job);
}

static void nll_backward_range(void *argument, int64_t begin, int64_t end) {
    const cross_entropy_job *job = argument;
    if (job->shape.dtype == TREAD_FLOAT32)
        nll_backward_f32(job, begin, end);
    else
        nll_backward_f64(job, begin, end);
}

void tread_kernel_nll_backward(const tread_context *context, const tread_cross_entropy_shape *shape, const void *labels,
                               double factor, void *dx, bool accumulate) {
    cross_entropy_job job = {.shape = *shape, .factor = factor, .accumulate = accumulate, .labels = labels, .out = dx};
    tread_parallel_for(context, shape->rows, rows_worth(16384, shape->classes), TREAD_LANES, nll_backward_range, &job);
}

double tread_kernel_sum_doubles(const double *x, int64_t n) {
    double sum;
    TREAD_LANE_SUM(sum, n, i, x[i]);
    return sum;
}

typedef struct scale_job {
    tread_dtype dtype;
    const void *x;
    double factor;
    void *y;
    bool accumulate;
} scale_job;

static void scale_range(void *argument, int64_t begin, int64_t end) {
    const scale_job *job = argument;
    if (job->dtype == TREAD_FLOAT32)
        TREAD_CALL(scale_f32)(job->x, job->factor, job->y, job->accumulate, begin, end);
    else
        TREAD_CALL(scale_f64)(job->x, job->factor, job->y, job->accumulate, begin, end);
}

void tread_kernel_scale(const tread_context *context, tread_dtype dtype, int64_t n, const void *x, double factor,
                        void *y, bool accumulate) {
    scale_job job = {.dtype = dtype, .x = x, .factor = factor, .y = y, .accumulate = accumulate};
    tread_parallel_for(context, n, 16384, 16, scale_range, &job);
}
