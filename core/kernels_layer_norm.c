#include <math.h>

#include "core/isa.h"
#include "core/kernels_rows.h"
#include "core/lanes.h"
#include "core/parallel.h"

#define COLUMN_BLOCK 32 /* columns whose sums one pass over the rows keeps in registers */

typedef struct layer_norm_job {
    tread_layer_norm_shape shape;
    double share; /* 1 / length */
    const void *x, *gamma, *beta, *dy;
    void *mean, *scale, *out, *dgamma, *dbeta;
    bool accumulate, accumulate_gamma, accumulate_beta;
} layer_norm_job;

#define BODY "core/kernels_layer_norm_body.h"
#include "core/both_floats.h"

static int64_t rows_worth(const tread_layer_norm_shape *shape) {
    return 4096 > shape->length ? 4096 / shape->length : 1;
}

static void forward_range(void *argument, int64_t begin, int64_t end) {
    const layer_norm_job *job = argument;
    if (job->shape.dtype == TREAD_FLOAT32)
        TREAD_CALL(layer_norm_f32)(job, begin, end);
    else
        TREAD_CALL(layer_norm_f64)(job, begin, end);
}

void tread_kernel_layer_norm(const tread_context *context, const tread_layer_norm_shape *shape, const void *x,
                             const void *gamma, const void *beta, void *y, void *ret_mean, void *ret_scale) {
    layer_norm_job job = {.shape = *shape,
                          .share = 1.0 / (double)shape->length,
                          .x = x,
                          .gamma = gamma,
                          .beta = beta,
                          .out = y,
                          .mean = ret_mean,
                          .scale = ret_scale};
    tread_parallel_for(context, shape->rows, rows_worth(shape), 1, forward_range, &job);
}

static void backward_range(void *argument, int64_t begin, int64_t end) {
    const layer_norm_job *job = argument;
    if (job->shape.dtype == TREAD_FLOAT32)
        TREAD_CALL(layer_norm_backward_f32)(job, begin, end);
    else
        TREAD_CALL(layer_norm_backward_f64)(job, begin, end);
}

/* mean and scale are only read here; the job holds them as forward's outputs. */
static layer_norm_job backward_job(const tread_layer_norm_shape *shape, const void *x, const void *mean,
                                   const void *scale, const void *dy) {
    return (layer_norm_job){.shape = *shape,
                            .share = 1.0 / (double)shape->length,
                            .x = x,
                            .dy = dy,
                            .mean = (void *)mean,
                            .scale = (void *)scale};
}

void tread_kernel_layer_norm_backward(const tread_context *context, const tread_layer_norm_shape *shape, const void *x,
                                      const void *gamma, const void *mean, const void *scale, const void *dy, void *dx,
                                      bool accumulate) {
    layer_norm_job job = backward_job(shape, x, mean, scale, dy);
    job.gamma = gamma;
    job.out = dx;
    job.accumulate = accumulate;
    tread_parallel_for(context, shape->rows, rows_worth(shape), 1, backward_range, &job);
}

static void parameters_range(void *argument, int64_t begin, int64_t end) {
    const layer_norm_job *job = argument;
    if (job->shape.dtype == TREAD_FLOAT32)
        TREAD_CALL(layer_norm_parameters_f32)(job, begin, end);
    else
        TREAD_CALL(layer_norm_parameters_f64)(job, begin, end);
}

void tread_kernel_layer_norm_parameters(const tread_context *context, const tread_layer_norm_shape *shape,
                                        const void *x, const void *mean, const void *scale, const void *dy,
                                        void *dgamma, bool accumulate_gamma, void *dbeta, bool accumulate_beta) {
    layer_norm_job job = backward_job(shape, x, mean, scale, dy);
    job.dgamma = dgamma;
    job.accumulate_gamma = accumulate_gamma;
    job.dbeta = dbeta;
    job.accumulate_beta = accumulate_beta;
    int64_t work = shape->rows * COLUMN_BLOCK;
    tread_parallel_for(context, (shape->length + COLUMN_BLOCK - 1) / COLUMN_BLOCK,
                       work > 0 && work < 8192 ? 8192 / work : 1, 1, parameters_range, &job);
}
