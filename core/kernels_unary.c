#include "core/kernels_unary.h"

#include "core/isa.h"
#include "core/memory.h"
#include "core/parallel.h"
#include "core/scalar.h"

#define BODY "core/kernels_unary_body.h"
#include "core/both_floats.h"

typedef void forward_fn(const void *from, void *to, int64_t n, const double *parameters);
typedef void backward_fn(const void *input, const void *output, const void *grad, void *to, int64_t n,
                         const double *parameters, bool accumulate);

/* grain: elements worth a fork, by what the function costs. */
#define CHEAP 16384
#define DEAR 4096
static const struct {
    forward_fn *const *forward[2]; /* by dtype, then by instruction set */
    backward_fn *const *backward[2];
    int64_t grain;
} kinds[TREAD_UNARY_COUNT] = {
#define KIND(upper, kind, grain)                                                                                       \
    [TREAD_UNARY_##                                                                                                    \
        upper] = {{forward_##kind##_f32, forward_##kind##_f64}, {backward_##kind##_f32, backward_##kind##_f64}, grain}
    KIND(NEG, neg, CHEAP),        KIND(EXP, exp, DEAR),        KIND(LOG, log, DEAR),
    KIND(SQRT, sqrt, CHEAP),      KIND(SQUARE, square, CHEAP), KIND(ABS, abs, CHEAP),
    KIND(CLAMP, clamp, CHEAP),    KIND(RELU, relu, CHEAP),     KIND(LEAKY_RELU, leaky_relu, CHEAP),
    KIND(GELU, gelu, DEAR),       KIND(SILU, silu, DEAR),      KIND(TANH, tanh, DEAR),
    KIND(SIGMOID, sigmoid, DEAR),
#undef KIND
};

typedef struct job {
    forward_fn *forward;
    backward_fn *backward;
    size_t size;
    const double *parameters;
    const char *x, *y, *grad;
    char *to;
    bool accumulate;
} job;

static void forward_range(void *argument, int64_t begin, int64_t end) {
    const job *j = argument;
    size_t at = (size_t)begin * j->size;
    j->forward(j->x + at, j->to + at, end - begin, j->parameters);
}

static void backward_range(void *argument, int64_t begin, int64_t end) {
    const job *j = argument;
    size_t at = (size_t)begin * j->size;
    j->backward(j->x + at, j->y + at, j->grad + at, j->to + at, end - begin, j->parameters, j->accumulate);
}

void tread_unary_forward(const tread_context *context, tread_unary kind, tread_dtype dtype, int64_t n,
                         const double *parameters, const void *x, void *y) {
    job j = {.forward = TREAD_CALL(kinds[kind].forward[dtype]),
             .size = tread_dtype_size(dtype),
             .parameters = parameters,
             .x = x,
             .to = y};
    tread_parallel_for(context, n, kinds[kind].grain, TREAD_ALIGNMENT, forward_range, &j);
}

void tread_unary_backward(const tread_context *context, tread_unary kind, tread_dtype dtype, int64_t n,
                          const double *parameters, const void *x, const void *y, const void *grad, void *grad_x,
                          bool accumulate) {
    job j = {.backward = TREAD_CALL(kinds[kind].backward[dtype]),
             .size = tread_dtype_size(dtype),
             .parameters = parameters,
             .x = x,
             .y = y,
             .grad = grad,
             .to = grad_x,
             .accumulate = accumulate};
    tread_parallel_for(context, n, kinds[kind].grain, TREAD_ALIGNMENT, backward_range, &j);
}
