#include "core/kernels_linear.h"

#include "core/bf16.h"
#include "core/isa.h"
#include "core/parallel.h"
#include "core/scalar.h"

#define LEAKY_SLOPE 0.01 /* as tread/ops.h says */
#define STRIP 64         /* columns whose sums fit the registers of AVX-512 */
#define FORK_ELEMENTS 16384

typedef struct forward_job {
    const void *z;
    void *y, *slope;
    uint16_t *y_bf16; /* used by the bf16 way only */
} forward_job;

typedef struct backward_job {
    int64_t rows, columns;
    const void *saved, *dy;
    void *dz, *db;
    uint16_t *dz_bf16; /* in place of dz, by the bf16 way */
} backward_job;

#define BODY "core/kernels_linear_body.h"
#include "core/both_floats.h"

#define KINDS(X, type)                                                                                                 \
    X(none, TREAD_ACTIVATION_NONE, type)                                                                               \
    X(relu, TREAD_ACTIVATION_RELU, type)                                                                               \
    X(leaky_relu, TREAD_ACTIVATION_LEAKY_RELU, type)                                                                   \
    X(gelu, TREAD_ACTIVATION_GELU, type)                                                                               \
    X(silu, TREAD_ACTIVATION_SILU, type)                                                                               \
    X(tanh, TREAD_ACTIVATION_TANH, type)                                                                               \
    X(sigmoid, TREAD_ACTIVATION_SIGMOID, type)

#define DEFINE(name, kind, type)                                                                                       \
    TREAD_KERNEL_BODY void name##_forward_##type##_body(const forward_job *job, int64_t begin, int64_t end) {          \
        forward_##type(kind, false, job, begin, end);                                                                  \
    }                                                                                                                  \
    TREAD_KERNEL(name##_forward_##type, (const forward_job *job, int64_t begin, int64_t end), (job, begin, end))       \
    TREAD_KERNEL_BODY void name##_backward_##type##_body(const backward_job *job, int64_t begin, int64_t end) {        \
        backward_##type(kind, false, job, begin, end);                                                                 \
    }                                                                                                                  \
    TREAD_KERNEL(name##_backward_##type, (const backward_job *job, int64_t begin, int64_t end), (job, begin, end))
KINDS(DEFINE, f32)
KINDS(DEFINE, f64)
#define DEFINE_BF16(name, kind, type)                                                                                  \
    TREAD_KERNEL_OF(name##_forward_##type, (const forward_job *job, int64_t begin, int64_t end),                       \
                    forward_f32(kind, true, job, begin, end))                                                          \
    TREAD_KERNEL_OF(name##_backward_##type, (const backward_job *job, int64_t begin, int64_t end),                     \
                    backward_f32(kind, true, job, begin, end))
KINDS(DEFINE_BF16, bf16)

typedef void forward_fn(const forward_job *job, int64_t begin, int64_t end);
typedef void backward_fn(const backward_job *job, int64_t begin, int64_t end);
#define FORWARD_ENTRY(name, kind, type) [kind] = name##_forward_##type,
#define BACKWARD_ENTRY(name, kind, type) [kind] = name##_backward_##type,
static forward_fn *const *const forwards[3][TREAD_ACTIVATION_COUNT] = {
    {KINDS(FORWARD_ENTRY, f32)}, {KINDS(FORWARD_ENTRY, f64)}, {KINDS(FORWARD_ENTRY, bf16)}};
static backward_fn *const *const backwards[3][TREAD_ACTIVATION_COUNT] = {
    {KINDS(BACKWARD_ENTRY, f32)}, {KINDS(BACKWARD_ENTRY, f64)}, {KINDS(BACKWARD_ENTRY, bf16)}};

typedef struct forward_call {
    forward_fn *run;
    forward_job job;
} forward_call;

typedef struct backward_call {
    backward_fn *run;
    backward_job job;
} backward_call;

enum { WAY_F32, WAY_F64, WAY_BF16 };

static void forward_range(void *argument, int64_t begin, int64_t end) {
    const forward_call *call = argument;
    call->run(&call->job, begin, end);
}

static void backward_range(void *argument, int64_t begin, int64_t end) {
    const backward_call *call = argument;
    call->run(&call->job, begin, end);
}

void tread_activation_forward(const tread_context *context, tread_activation activation, tread_dtype dtype, int64_t n,
                              const void *z, void *y, void *slope) {
    forward_call call = {TREAD_CALL(forwards[dtype == TREAD_FLOAT64 ? WAY_F64 : WAY_F32][activation]),
                         {z, y, slope, NULL}};
    tread_parallel_for(context, n, FORK_ELEMENTS / 4, 16, forward_range, &call);
}

void tread_activation_forward_bf16(const tread_context *context, tread_activation activation, int64_t n, const float *z,
                                   float *y, float *slope, uint16_t *y_bf16) {
    forward_call call = {TREAD_CALL(forwards[WAY_BF16][activation]), {z, y, slope, y_bf16}};
    tread_parallel_for(context, n, FORK_ELEMENTS / 4, 32, forward_range, &call);
}

void tread_activation_backward(const tread_context *context, tread_activation activation, tread_dtype dtype,
                               int64_t rows, int64_t columns, const void *slope, const void *y, const void *dy,
                               void *dz, void *db) {
    const void *saved = tread_activation_keeps_slope(activation) ? slope : y;
    backward_call call = {TREAD_CALL(backwards[dtype == TREAD_FLOAT64 ? WAY_F64 : WAY_F32][activation]),
                          {rows, columns, saved, dy, dz, db, NULL}};
    int64_t grain = FORK_ELEMENTS / (rows > 0 ? rows : 1) + 1;
    tread_parallel_for(context, columns, grain, 16, backward_range, &call);
}

void tread_activation_backward_bf16(const tread_context *context, tread_activation activation, int64_t rows,
                                    int64_t columns, const float *slope, const float *y, const float *dy,
                                    uint16_t *dz_bf16, float *db) {
    const float *saved = tread_activation_keeps_slope(activation) ? slope : y;
    backward_call call = {TREAD_CALL(backwards[WAY_BF16][activation]), {rows, columns, saved, dy, NULL, db, dz_bf16}};
    int64_t grain = FORK_ELEMENTS / (rows > 0 ? rows : 1) + 1;
    tread_parallel_for(context, columns, grain, 32, backward_range, &call);
}

void tread_row_store(tread_dtype dtype, int64_t n, const void *from, void *to, bool accumulate) {
    if (dtype == TREAD_FLOAT64)
        for (int64_t i = 0; i < n; i++)
            ((double *)to)[i] = accumulate ? ((double *)to)[i] + ((const double *)from)[i] : ((const double *)from)[i];
    else
        for (int64_t i = 0; i < n; i++)
            ((float *)to)[i] = accumulate ? ((float *)to)[i] + ((const float *)from)[i] : ((const float *)from)[i];
}
