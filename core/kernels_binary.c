#include "core/kernels_binary.h"

#include "core/isa.h"
#include "core/memory.h"
#include "core/parallel.h"

#define BODY "core/kernels_binary_body.h"
#include "core/both_floats.h"

typedef void forward_fn(const tread_span *span, const void *a, const void *b, void *to);
typedef void spread_fn(const tread_span *span, const void *from, double scale, void *to, bool accumulate);

static forward_fn *const *const kinds[TREAD_BINARY_COUNT][2] = {
    [TREAD_BINARY_ADD] = {add_f32, add_f64},
    [TREAD_BINARY_SUB] = {sub_f32, sub_f64},
    [TREAD_BINARY_MUL] = {mul_f32, mul_f64},
    [TREAD_BINARY_DIV] = {div_f32, div_f64},
};

#define GRAIN 16384 /* elements worth a fork */

typedef struct job {
    forward_fn *forward;
    spread_fn *spread;
    const tread_layout *layout;
    int64_t size;
    const char *a, *b;
    char *to;
    double scale;
    bool accumulate;
} job;

static void forward_range(void *argument, int64_t begin, int64_t end) {
    const job *j = argument;
    tread_span span;
    while (begin < end) {
        begin = tread_layout_span(j->layout, begin, end, &span);
        j->forward(&span, j->a + span.at_a * j->size, j->b + span.at_b * j->size, j->to + span.at * j->size);
    }
}

static void spread_range(void *argument, int64_t begin, int64_t end) {
    const job *j = argument;
    tread_span span;
    while (begin < end) {
        begin = tread_layout_span(j->layout, begin, end, &span);
        j->spread(&span, j->a + span.at_a * j->size, j->scale, j->to + span.at * j->size, j->accumulate);
    }
}

void tread_binary_forward(const tread_context *context, tread_binary kind, tread_dtype dtype,
                          const tread_layout *layout, const void *a, const void *b, void *y) {
    job j = {.forward = TREAD_CALL(kinds[kind][dtype]),
             .layout = layout,
             .size = (int64_t)tread_dtype_size(dtype),
             .a = a,
             .b = b,
             .to = y};
    tread_parallel_for(context, layout->count, GRAIN, TREAD_ALIGNMENT, forward_range, &j);
}

void tread_spread(const tread_context *context, tread_dtype dtype, const tread_layout *layout, const void *from,
                  double scale, void *to, bool accumulate) {
    job j = {.spread = dtype == TREAD_FLOAT32 ? TREAD_CALL(spread_f32) : TREAD_CALL(spread_f64),
             .layout = layout,
             .size = (int64_t)tread_dtype_size(dtype),
             .a = from,
             .to = to,
             .scale = scale,
             .accumulate = accumulate};
    tread_parallel_for(context, layout->count, GRAIN, TREAD_ALIGNMENT, spread_range, &j);
}
