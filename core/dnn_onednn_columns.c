/* Products C = A B^T whose columns are calls of one thread each, into a room of their own; a pass brings a room into C,
 * with bias, relu and sum, while it is in the cache. There are two reasons for it, both measured on the AVX-512 brgemm:
 * - it copies B into blocks, here a layer's weights; with few rows in A that takes as long as a tenth of the product.
 *   C^T = B A^T copies A instead, the batch, and brings C back by a transpose (TURNED);
 * - it takes dense matrices only, so that a long k cannot become pieces; dense columns of it can (COLUMNS). */
#include <stdatomic.h>
#include <string.h>

#include "core/dnn_onednn_plan.h"
#include "core/isa.h"
#include "core/memory.h"
#include "core/parallel.h"
#include "core/status.h"

/* Turning pays from MIN_ROWS to MAX_ROWS rows of A, where B has RATIO times as many: us by one thread on a Zen 5,
 * as it lies and turned: 32x128x784 28.7 and 25.3, 64x512x784 214 and 196, 64x256x512 68 and 64. */
#define MIN_ROWS 16
#define MAX_ROWS 128
#define RATIO 4
/* Columns of a call: at least, and how many calls there are for a long k, whose bits depend on it. */
#define MIN_TURNED 32
#define MIN_COLUMNS 64
#define LONG_CALLS 16

/* ---- Bringing a room into C ---- */

typedef struct block {
    const float *from; /* (rows, columns), or (columns, rows) where turned */
    int64_t rows, columns;
    const float *bias; /* (columns), or NULL */
    float *to;         /* rows of stride elements */
    int64_t stride;
    bool relu, accumulate;
} block;

TREAD_KERNEL_BODY float finish(const block *b, float x, float before) {
    if (b->accumulate)
        x += before;
    return b->relu && x < 0 ? 0 : x; /* NaN stays */
}

TREAD_KERNEL_BODY void bring_body(const block *b) {
    for (int64_t row = 0; row < b->rows; row++) {
        const float *restrict from = b->from + row * b->columns, *restrict bias = b->bias;
        float *restrict to = b->to + row * b->stride;
        if (bias != NULL)
            for (int64_t i = 0; i < b->columns; i++)
                to[i] = finish(b, from[i] + bias[i], 0);
        else
            for (int64_t i = 0; i < b->columns; i++)
                to[i] = finish(b, from[i], to[i]);
    }
}
TREAD_KERNEL(bring, (const block *b), (b))

#define SIDE 16
typedef float line __attribute__((vector_size(SIDE * sizeof(float))));
typedef int32_t mask __attribute__((vector_size(SIDE * sizeof(float))));

/* A 16 x 16 square is transposed in four steps, each of which swaps halves between lines that are `far` apart. */
#define LOW(i, far) ((i) & (far) ? SIDE + (i) - (far) : (i))
#define HIGH(i, far) ((i) & (far) ? SIDE + (i) : (i) + (far))
#define EACH(which, far)                                                                                               \
    which(0, far), which(1, far), which(2, far), which(3, far), which(4, far), which(5, far), which(6, far),           \
        which(7, far), which(8, far), which(9, far), which(10, far), which(11, far), which(12, far), which(13, far),   \
        which(14, far), which(15, far)
#define SWAP_HALVES(lines, far)                                                                                        \
    for (int i = 0; i < SIDE; i++)                                                                                     \
        if ((i & (far)) == 0) {                                                                                        \
            const line x = (lines)[i], y = (lines)[i + (far)];                                                         \
            (lines)[i] = __builtin_shufflevector(x, y, EACH(LOW, far));                                                \
            (lines)[i + (far)] = __builtin_shufflevector(x, y, EACH(HIGH, far));                                       \
        }

TREAD_KERNEL_BODY void turn_square(const block *b, int64_t row, int64_t column) {
    line lines[SIDE];
    for (int i = 0; i < SIDE; i++) {
        memcpy(&lines[i], b->from + (column + i) * b->rows + row, sizeof(line));
        if (b->bias != NULL)
            lines[i] += b->bias[column + i];
    }
    SWAP_HALVES(lines, 1)
    SWAP_HALVES(lines, 2)
    SWAP_HALVES(lines, 4)
    SWAP_HALVES(lines, 8)
    for (int i = 0; i < SIDE; i++) {
        float *to = b->to + (row + i) * b->stride + column;
        line before;
        if (b->accumulate) {
            memcpy(&before, to, sizeof before);
            lines[i] += before;
        }
        if (b->relu)
            lines[i] = (line)((mask)lines[i] & ~(mask)(lines[i] < 0.0F)); /* as finish() */
        memcpy(to, &lines[i], sizeof(line));
    }
}

/* There are whole squares of columns: see turns(). */
TREAD_KERNEL_BODY void turn_body(const block *b) {
    const int64_t rows = b->rows / SIDE * SIDE;
    /* Reads in order; the writes, which nobody waits for, jump. */
    for (int64_t column = 0; column < b->columns; column += SIDE)
        for (int64_t row = 0; row < rows; row += SIDE)
            turn_square(b, row, column);
    for (int64_t row = rows; row < b->rows; row++)
        for (int64_t column = 0; column < b->columns; column++) {
            float *to = b->to + row * b->stride + column, x = b->from[column * b->rows + row];
            *to = finish(b, b->bias != NULL ? x + b->bias[column] : x, *to);
        }
}
TREAD_KERNEL(turn, (const block *b), (b))

/* ---- Choosing and planning ---- */

static bool turns(const tread_onednn_product *whole) {
    return whole->m >= MIN_ROWS && whole->m <= MAX_ROWS && whole->n >= RATIO * whole->m && whole->n % SIDE == 0;
}

/* As many as there are threads, but for a long k: then the same whatever the threads. */
static int64_t columns_of_a_call(const tread_gemm *gemm, const tread_onednn_product *whole, bool turned) {
    int64_t least = turned ? MIN_TURNED : MIN_COLUMNS, calls = LONG_CALLS;
    if (whole->k <= TREAD_ONEDNN_PIECE_K) {
        int64_t worth = whole->m * whole->n * whole->k / (TREAD_ONEDNN_TILE_PRODUCTS / 2);
        calls = tread_onednn_at_most(tread_context_threads(gemm->context), worth > 1 ? worth : 1);
    }
    int64_t columns = tread_onednn_round_up((whole->n + calls - 1) / calls, SIDE);
    return columns < least ? least : columns;
}

/* Columns [first, first + count), as a product of its own. */
static tread_onednn_product part_of(const tread_onednn_product *whole, bool turned, int64_t count) {
    tread_onednn_product part = {.batch = 1, .m = whole->m, .n = count, .k = whole->k, .bf16 = whole->bf16};
    memcpy(part.stride_a, whole->stride_a, sizeof part.stride_a);
    memcpy(part.stride_b, whole->stride_b, sizeof part.stride_b);
    if (turned) {
        part.m = count;
        part.n = whole->m;
        memcpy(part.stride_a, (int64_t[]){0, whole->stride_b[2], whole->stride_b[1]}, sizeof part.stride_a);
        memcpy(part.stride_b, (int64_t[]){0, whole->stride_a[2], whole->stride_a[1]}, sizeof part.stride_b);
    }
    memcpy(part.stride_c, (int64_t[]){0, part.n, 1}, sizeof part.stride_c);
    return part;
}

tread_status tread_onednn_choose_columns(const tread_gemm *gemm, const tread_onednn_product *whole,
                                         tread_onednn_form *form) {
    const int64_t m = whole->m, n = whole->n, k = whole->k;
    const bool dense = whole->batch == 1 && whole->stride_a[2] == 1 && whole->stride_b[1] == 1;
    const bool turned = turns(whole), columns = k > TREAD_ONEDNN_PIECE_K && m >= MIN_ROWS && n >= 2 * MIN_COLUMNS;
    if (!dense || !(turned || columns) || m * n * k < TREAD_ONEDNN_TILE_PRODUCTS)
        return TREAD_OK;
    /* Whether it is chosen may not depend on threads, so it is asked about the smallest part and the largest. */
    bool brgemm = true;
    const tread_onednn_product parts[] = {part_of(whole, turned, turned ? SIDE : MIN_COLUMNS),
                                          part_of(whole, turned, n)};
    for (int i = 0; i < 2 && brgemm; i++)
        TREAD_TRY(tread_onednn_is_brgemm(gemm, &parts[i], &brgemm));
    if (brgemm)
        *form = turned ? TREAD_ONEDNN_TURNED : TREAD_ONEDNN_COLUMNS;
    return TREAD_OK;
}

tread_status tread_onednn_plan_columns(const tread_gemm *gemm, const tread_onednn_product *whole,
                                       tread_onednn_list *list) {
    const bool turned = list->form == TREAD_ONEDNN_TURNED;
    list->columns = columns_of_a_call(gemm, whole, turned);
    list->products = whole->m * tread_onednn_at_most(list->columns, whole->n) * whole->k;
    list->room = tread_alloc((size_t)(whole->m * whole->n) * sizeof(float), "results of a matrix product");
    if (list->room == NULL)
        return TREAD_ERROR_MEMORY;
    TREAD_TRY(tread_onednn_take_calls(list, (whole->n + list->columns - 1) / list->columns));
    for (int64_t first = 0; first < whole->n; first += list->columns) {
        const tread_onednn_product part = part_of(whole, turned, tread_onednn_at_most(list->columns, whole->n - first));
        const int64_t weights = first * whole->stride_b[2];
        const tread_onednn_call offsets = {.offset_a = turned ? weights : 0, .offset_b = turned ? 0 : weights};
        TREAD_TRY(tread_onednn_add_call(gemm, list, &part, &offsets));
    }
    return TREAD_OK;
}

/* ---- Running ---- */

typedef struct columns_run {
    const tread_gemm *gemm;
    const tread_onednn_list *list;
    const void *a, *b;
    const float *bias;
    float *c;
    bool accumulate;
    atomic_int failure; /* a dnnl_status_t */
} columns_run;

static void run_range(void *argument, int64_t begin, int64_t end) {
    columns_run *run = argument;
    const tread_onednn_list *list = run->list;
    const tread_gemm_shape *shape = &run->gemm->shape;
    const bool turned = list->form == TREAD_ONEDNN_TURNED;
    /* The room of the first call serves a thread for all of its calls, and stays in its cache. */
    float *room = (float *)list->room + begin * list->columns * shape->m;
    int before = tread_onednn_swap_threads(1);
    for (int64_t i = begin; i < end; i++) {
        const int64_t first = i * list->columns;
        dnnl_status_t status =
            tread_onednn_call_run(&list->calls[i], turned ? run->b : run->a, turned ? run->a : run->b, NULL, room);
        if (status != dnnl_success) {
            atomic_store(&run->failure, (int)status);
            continue;
        }
        const block b = {.from = room,
                         .rows = shape->m,
                         .columns = tread_onednn_at_most(list->columns, shape->n - first),
                         .bias = run->bias != NULL ? run->bias + first : NULL,
                         .to = run->c + first,
                         .stride = shape->n,
                         .relu = shape->relu,
                         .accumulate = run->accumulate};
        if (turned)
            TREAD_CALL(turn)(&b);
        else
            TREAD_CALL(bring)(&b);
    }
    tread_onednn_swap_threads(before);
}

dnnl_status_t tread_onednn_run_columns(const tread_gemm *gemm, const tread_onednn_list *list, const void *a,
                                       const void *b, const void *bias, void *c, bool accumulate) {
    columns_run run = {.gemm = gemm,
                       .list = list,
                       .a = a,
                       .b = b,
                       .bias = gemm->shape.bias ? bias : NULL,
                       .c = c,
                       .accumulate = accumulate};
    tread_parallel_for(gemm->context, list->n, list->products >= TREAD_ONEDNN_TILE_PRODUCTS / 2 ? 1 : list->n, 1,
                       run_range, &run);
    return (dnnl_status_t)atomic_load(&run.failure);
}
