#include "core/isa.h"
#include "core/kernels_reduce.h"
#include "core/parallel.h"

#define TILE 256    /* columns that one call works on */
#define GRAIN 16384 /* elements worth a fork */
#define ROW_LANES 64

#define BODY "core/kernels_max_body.h"
#include "core/both_floats.h"

typedef struct job {
    bool is_float32;
    int64_t size, length, inner, tiles;
    const char *x, *y, *grad;
    char *to;
    bool accumulate;
} job;

typedef struct slab {
    int64_t first, cols; /* offset in x, columns */
    int64_t out;         /* offset in y */
} slab;

static slab find_slab(const job *j, int64_t index) {
    int64_t outer = index / j->tiles, col = index % j->tiles * TILE, left = j->inner - col;
    return (slab){outer * j->length * j->inner + col, left < TILE ? left : TILE, outer * j->inner + col};
}

static void forward_range(void *argument, int64_t begin, int64_t end) {
    const job *j = argument;
    for (int64_t index = begin; index < end; index++) {
        slab s = find_slab(j, index);
        const char *x = j->x + s.first * j->size;
        char *to = j->to + s.out * j->size;
        if (j->inner > 1 && j->is_float32)
            TREAD_CALL(max_forward_f32)(x, j->length, j->inner, s.cols, to);
        else if (j->inner > 1)
            TREAD_CALL(max_forward_f64)(x, j->length, j->inner, s.cols, to);
        else if (j->is_float32)
            TREAD_CALL(max_row_f32)(x, j->length, to);
        else
            TREAD_CALL(max_row_f64)(x, j->length, to);
    }
}

static void backward_range(void *argument, int64_t begin, int64_t end) {
    const job *j = argument;
    for (int64_t index = begin; index < end; index++) {
        slab s = find_slab(j, index);
        const char *x = j->x + s.first * j->size, *y = j->y + s.out * j->size, *grad = j->grad + s.out * j->size;
        char *to = j->to + s.first * j->size;
        if (j->inner == 1 && j->is_float32)
            TREAD_CALL(max_row_backward_f32)(x, y, grad, j->length, to, j->accumulate);
        else if (j->inner == 1)
            TREAD_CALL(max_row_backward_f64)(x, y, grad, j->length, to, j->accumulate);
        else if (j->is_float32)
            TREAD_CALL(max_backward_f32)(x, y, grad, j->length, j->inner, s.cols, to, j->accumulate);
        else
            TREAD_CALL(max_backward_f64)(x, y, grad, j->length, j->inner, s.cols, to, j->accumulate);
    }
}

static void run(const tread_context *context, int64_t outer, job *j, tread_range_fn *body) {
    j->tiles = (j->inner + TILE - 1) / TILE;
    int64_t per_slab = j->length * (j->inner < TILE ? j->inner : TILE);
    tread_parallel_for(context, outer * j->tiles, GRAIN / (per_slab + 1) + 1, 1, body, j);
}

void tread_max_forward(const tread_context *context, tread_dtype dtype, int64_t outer, int64_t length, int64_t inner,
                       const void *x, void *y) {
    job j = {.is_float32 = dtype == TREAD_FLOAT32,
             .size = (int64_t)tread_dtype_size(dtype),
             .length = length,
             .inner = inner,
             .x = x,
             .to = y};
    run(context, outer, &j, forward_range);
}

void tread_max_backward(const tread_context *context, tread_dtype dtype, int64_t outer, int64_t length, int64_t inner,
                        const void *x, const void *y, const void *grad, void *grad_x, bool accumulate) {
    job j = {.is_float32 = dtype == TREAD_FLOAT32,
             .size = (int64_t)tread_dtype_size(dtype),
             .length = length,
             .inner = inner,
             .x = x,
             .y = y,
             .grad = grad,
             .to = grad_x,
             .accumulate = accumulate};
    run(context, outer, &j, backward_range);
}
