#include "core/kernels_dropout.h"

#include "core/isa.h"
#include "core/parallel.h"

typedef struct keep_job {
    tread_dtype dtype;
    const void *x;
    const uint8_t *keep;
    double factor;
    void *y;
    bool accumulate;
} keep_job;

#define BODY "core/kernels_dropout_body.h"
#include "core/both_floats.h"

static void keep_range(void *argument, int64_t begin, int64_t end) {
    const keep_job *job = argument;
    if (job->dtype == TREAD_FLOAT32)
        TREAD_CALL(keep_f32)(job, begin, end);
    else
        TREAD_CALL(keep_f64)(job, begin, end);
}

void tread_kernel_keep(const tread_context *context, tread_dtype dtype, int64_t n, const void *x, const uint8_t *keep,
                       double factor, void *y, bool accumulate) {
    keep_job job = {.dtype = dtype, .x = x, .keep = keep, .factor = factor, .y = y, .accumulate = accumulate};
    tread_parallel_for(context, n, 16384, 64, keep_range, &job);
}
