#include "core/bf16.h"

#include "core/memory.h"
#include "core/parallel.h"
#include "core/status.h"

#define GRAIN 32768 /* elements worth a fork: some 2 us */

TREAD_KERNEL_BODY void convert_body(const float *restrict from, uint16_t *restrict to, int64_t n) {
    for (int64_t i = 0; i < n; i++)
        to[i] = tread_bf16_from_f32(from[i]);
}
TREAD_KERNEL(convert, (const float *from, uint16_t *to, int64_t n), (from, to, n))

void tread_bf16_convert_range(const float *from, uint16_t *to, int64_t n) { TREAD_CALL(convert)(from, to, n); }

typedef struct convert_job {
    const float *from;
    uint16_t *to;
} convert_job;

static void convert_range(void *argument, int64_t begin, int64_t end) {
    const convert_job *j = argument;
    tread_bf16_convert_range(j->from + begin, j->to + begin, end - begin);
}

void tread_bf16_convert(const tread_context *context, const float *from, uint16_t *to, int64_t n) {
    convert_job j = {from, to};
    tread_parallel_for(context, n, GRAIN, TREAD_ALIGNMENT / (int64_t)sizeof *to, convert_range, &j);
}

TREAD_KERNEL_BODY void widen_body(const uint16_t *restrict from, float *restrict to, int64_t n) {
    for (int64_t i = 0; i < n; i++)
        to[i] = tread_bf16_to_f32(from[i]);
}
TREAD_KERNEL(widen, (const uint16_t *from, float *to, int64_t n), (from, to, n))

typedef struct widen_job {
    const uint16_t *from;
    float *to;
} widen_job;

static void widen_range(void *argument, int64_t begin, int64_t end) {
    const widen_job *j = argument;
    TREAD_CALL(widen)(j->from + begin, j->to + begin, end - begin);
}

void tread_bf16_widen(const tread_context *context, const uint16_t *from, float *to, int64_t n) {
    widen_job j = {from, to};
    tread_parallel_for(context, n, GRAIN, TREAD_ALIGNMENT / (int64_t)sizeof *to, widen_range, &j);
}

tread_status tread_bf16_ensure(tread_tensor *leaf) {
    if (leaf->bf16 != NULL)
        return TREAD_OK;
    if (leaf->dtype != TREAD_FLOAT32)
        return tread_fail(TREAD_ERROR_DTYPE, "bfloat16: the tensor is %s, not float32", tread_dtype_name(leaf->dtype));
    leaf->bf16 = tread_alloc((size_t)leaf->count * sizeof *leaf->bf16, "a weight's copy in bfloat16");
    if (leaf->bf16 == NULL)
        return TREAD_ERROR_MEMORY;
    leaf->bf16_version = leaf->version - 1;
    return TREAD_OK;
}
