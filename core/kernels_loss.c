#include "core/kernels_loss.h"

#include "core/isa.h"
#include "core/lanes.h"
#include "core/math.h"
#include "core/parallel.h"

typedef struct loss_job {
    tread_loss_kind kind;
    tread_dtype dtype;
    int64_t n;
    const void *x, *target;
    double delta, factor;
    double *sums; /* one a chunk */
    void *grad;
    bool of_target, accumulate;
} loss_job;

#define BODY "core/kernels_loss_body.h"
#include "core/both_floats.h"

static void forward_range(void *argument, int64_t begin, int64_t end) {
    const loss_job *job = argument;
    const int64_t size = tread_chunk_size(job->n);
    for (int64_t chunk = begin; chunk < end; chunk++) {
        int64_t first = chunk * size, n = job->n - first < size ? job->n - first : size;
        if (job->dtype == TREAD_FLOAT32)
            TREAD_CALL(loss_f32)(job, first, n, job->sums + chunk);
        else
            TREAD_CALL(loss_f64)(job, first, n, job->sums + chunk);
    }
}

double tread_kernel_loss(const tread_context *context, tread_loss_kind kind, tread_dtype dtype, int64_t n,
                         const void *x, const void *target, double delta) {
    double sums[TREAD_MAX_CHUNKS], total = 0;
    loss_job job = {.kind = kind, .dtype = dtype, .n = n, .x = x, .target = target, .delta = delta, .sums = sums};
    int64_t chunks = tread_chunk_count(n);
    tread_parallel_for(context, chunks, kind == TREAD_LOSS_BCE ? 1 : 2, 1, forward_range, &job);
    for (int64_t i = 0; i < chunks; i++)
        total += sums[i];
    return total;
}

static void backward_range(void *argument, int64_t begin, int64_t end) {
    const loss_job *job = argument;
    if (job->dtype == TREAD_FLOAT32)
        TREAD_CALL(loss_backward_f32)(job, begin, end);
    else
        TREAD_CALL(loss_backward_f64)(job, begin, end);
}

void tread_kernel_loss_backward(const tread_context *context, tread_loss_kind kind, tread_dtype dtype, int64_t n,
                                const void *x, const void *target, double delta, double factor, bool of_target,
                                void *grad, bool accumulate) {
    loss_job job = {.kind = kind,
                    .dtype = dtype,
                    .n = n,
                    .x = x,
                    .target = target,
                    .delta = delta,
                    .factor = factor,
                    .of_target = of_target,
                    .grad = grad,
                    .accumulate = accumulate};
    tread_parallel_for(context, n, kind == TREAD_LOSS_BCE ? 4096 : 16384, 16, backward_range, &job);
}
