#include <math.h>
#include <string.h>

#include "core/isa.h"
#include "core/kernels_rows.h"
#include "core/lanes.h"
#include "core/math.h"
#include "core/parallel.h"

typedef struct softmax_job {
    tread_softmax_shape shape;
    int64_t blocks; /* of 16 columns in inner */
    bool accumulate;
    const void *x, *dy; /* backward: x holds y */
    void *out;
} softmax_job;

#define BODY "core/kernels_softmax_body.h"
#include "core/both_floats.h"

static void forward_range(void *argument, int64_t begin, int64_t end) {
    const softmax_job *job = argument;
    if (job->shape.dtype == TREAD_FLOAT32)
        TREAD_CALL(softmax_f32)(job, begin, end);
    else
        TREAD_CALL(softmax_f64)(job, begin, end);
}

static void backward_range(void *argument, int64_t begin, int64_t end) {
    const softmax_job *job = argument;
    if (job->shape.dtype == TREAD_FLOAT32)
        TREAD_CALL(softmax_backward_f32)(job, begin, end);
    else
        TREAD_CALL(softmax_backward_f64)(job, begin, end);
}

/* Units of work are rows, or blocks of 16 columns where inner > 1; work: elements worth a fork. */
static void run(const tread_context *context, softmax_job *job, int64_t work, tread_range_fn *range) {
    const tread_softmax_shape *shape = &job->shape;
    if (shape->length == 0 || shape->inner == 0)
        return;
    job->blocks = (shape->inner + TREAD_LANES - 1) / TREAD_LANES;
    bool rows = shape->inner == 1;
    int64_t elements = rows ? shape->length : shape->length * TREAD_LANES, grain = work / elements;
    tread_parallel_for(context, rows ? shape->outer : shape->outer * job->blocks, grain > 0 ? grain : 1,
                       rows && shape->length <= TREAD_TILE_LENGTH ? TREAD_LANES : 1, range, job);
}

void tread_kernel_softmax(const tread_context *context, const tread_softmax_shape *shape, const void *x, void *y) {
    softmax_job job = {.shape = *shape, .x = x, .out = y};
    run(context, &job, 2048, forward_range);
}

void tread_kernel_softmax_backward(const tread_context *context, const tread_softmax_shape *shape, const void *y,
                                   const void *dy, void *dx, bool accumulate) {
    softmax_job job = {.shape = *shape, .x = y, .dy = dy, .out = dx, .accumulate = accumulate};
    run(context, &job, 4096, backward_range);
}
