#include "core/kernels_copy.h"

#include <string.h>

#include "core/isa.h"
#include "core/memory.h"
#include "core/parallel.h"

#define TILE 16     /* of a transpose: a cache line of float32 */
#define GRAIN 16384 /* elements worth a fork */

#define BODY "core/kernels_copy_body.h"
#include "core/both_floats.h"
#define REAL int32_t
#define T(name) name##_i32
#include "core/kernels_copy_body.h"
#undef REAL
#undef T
#define REAL uint8_t
#define T(name) name##_u8
#include "core/kernels_copy_body.h"
#undef REAL
#undef T

typedef void copy_fn(const void *from, void *to, int64_t n, bool accumulate);
typedef void transpose_fn(const void *from, int64_t from_stride, void *to, int64_t to_stride, int rows, int cols,
                          bool accumulate);

static copy_fn *const *const copies[4] = {copy_f32, copy_f64, copy_i32, copy_u8};
static transpose_fn *const *const transposes[4] = {transpose_f32, transpose_f64, transpose_i32, transpose_u8};

typedef struct job {
    copy_fn *copy;
    transpose_fn *transpose;
    int64_t size;
    const char *from;
    char *to;
    bool accumulate;
    int64_t cols, from_stride, to_stride; /* of tread_copy_rows */
    int64_t m, middle, n, inner;          /* of tread_transpose_axes */
    int64_t tiles_m, tiles_n;
} job;

/* Elements [begin, end) of the rows as if they lay one after the other. */
static void rows_range(void *argument, int64_t begin, int64_t end) {
    const job *j = argument;
    while (begin < end) {
        int64_t row = begin / j->cols, first = begin % j->cols, left = j->cols - first;
        int64_t n = end - begin < left ? end - begin : left;
        char *to = j->to + (row * j->to_stride + first) * j->size;
        if (j->from == NULL)
            memset(to, 0, (size_t)(n * j->size));
        else
            j->copy(j->from + (row * j->from_stride + first) * j->size, to, n, j->accumulate);
        begin += n;
    }
}

void tread_copy_rows(const tread_context *context, tread_dtype dtype, int64_t rows, int64_t cols, const void *from,
                     int64_t from_stride, void *to, int64_t to_stride, bool accumulate) {
    job j = {.copy = TREAD_CALL(copies[dtype]),
             .size = (int64_t)tread_dtype_size(dtype),
             .from = from,
             .to = to,
             .accumulate = accumulate,
             .cols = cols,
             .from_stride = from_stride,
             .to_stride = to_stride};
    if (from_stride == cols && to_stride == cols) {
        j.cols = rows * cols;
        rows = 1;
    }
    tread_parallel_for(context, rows * j.cols, GRAIN, TREAD_ALIGNMENT, rows_range, &j);
}

void tread_zero_rows(const tread_context *context, tread_dtype dtype, int64_t rows, int64_t cols, void *to,
                     int64_t to_stride) {
    job j = {.size = (int64_t)tread_dtype_size(dtype), .to = to, .cols = cols, .to_stride = to_stride};
    tread_parallel_for(context, rows * cols, GRAIN, TREAD_ALIGNMENT, rows_range, &j);
}

static void tiles_range(void *argument, int64_t begin, int64_t end) {
    const job *j = argument;
    for (int64_t tile = begin; tile < end; tile++) {
        int64_t across = tile % j->tiles_m, rest = tile / j->tiles_m;
        int64_t down = rest % j->tiles_n, middle = rest / j->tiles_n % j->middle, outer = rest / j->tiles_n / j->middle;
        int64_t row = across * TILE, col = down * TILE;
        int rows = (int)(j->m - row < TILE ? j->m - row : TILE), cols = (int)(j->n - col < TILE ? j->n - col : TILE);
        int64_t from = ((outer * j->m + row) * j->middle + middle) * j->n + col;
        int64_t to = ((outer * j->n + col) * j->middle + middle) * j->m + row;
        j->transpose(j->from + from * j->size, j->middle * j->n, j->to + to * j->size, j->middle * j->m, rows, cols,
                     j->accumulate);
    }
}

/* Where whole runs of `inner` elements move: one index for each run of the result. */
static void runs_range(void *argument, int64_t begin, int64_t end) {
    const job *j = argument;
    for (int64_t run = begin; run < end; run++) {
        int64_t row = run % j->m, rest = run / j->m;
        int64_t middle = rest % j->middle, col = rest / j->middle % j->n, outer = rest / j->middle / j->n;
        int64_t from = ((outer * j->m + row) * j->middle + middle) * j->n + col;
        j->copy(j->from + from * j->inner * j->size, j->to + run * j->inner * j->size, j->inner, j->accumulate);
    }
}

void tread_transpose_axes(const tread_context *context, tread_dtype dtype, int64_t outer, int64_t m, int64_t middle,
                          int64_t n, int64_t inner, const void *from, void *to, bool accumulate) {
    job j = {.copy = TREAD_CALL(copies[dtype]),
             .transpose = TREAD_CALL(transposes[dtype]),
             .size = (int64_t)tread_dtype_size(dtype),
             .from = from,
             .to = to,
             .accumulate = accumulate,
             .m = m,
             .middle = middle,
             .n = n,
             .inner = inner,
             .tiles_m = (m + TILE - 1) / TILE,
             .tiles_n = (n + TILE - 1) / TILE};
    if (outer * m * middle * n * inner == 0)
        return;
    if (inner > 1)
        tread_parallel_for(context, outer * m * middle * n, GRAIN / inner + 1, 1, runs_range, &j);
    else
        tread_parallel_for(context, outer * middle * j.tiles_m * j.tiles_n, GRAIN / (TILE * TILE), 1, tiles_range, &j);
}
