/* Matrix products by oneDNN's matmul, on plain row-major arrays. Its bits may depend on threads, so a product becomes
 * calls that do not, by rules which look at shape and implementation only:
 * - the AVX-512 brgemm sums each element over one block of k in order, if k <= 1024, however it shares the rest
 *   among threads: a longer k becomes pieces of at most that, run one after the other, each a threaded call; so it
 *   is for bfloat16, whose pairs of k one instruction sums;
 * - where that is faster, columns of C are calls of one thread each (dnn_onednn_columns.c);
 * - other implementations block k by threads (those of AMX may): C becomes fixed tiles, each a call of one thread.
 * The relu is ours, since oneDNN's makes 0 of NaN. */
#include <omp.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "core/context.h"
#include "core/dnn_onednn_plan.h"
#include "core/isa.h"
#include "core/kernels_copy.h"
#include "core/memory.h"
#include "core/parallel.h"
#include "core/status.h"

#define PIECE_K TREAD_ONEDNN_PIECE_K
/* Products of fewer multiplications than this run on the calling thread. Measured with 2 threads, least of thousands of
 * calls: 10x128x32 1.1 us by one thread and 1.5 by two, 64x10x128 2.8 and 4.6, 64x10x256 5.1 and 5.9, 256x10x128 9.5
 * and 8.3; a fork costs more with more threads and on a busy machine. (Plain C: 2.0, 4.7, 9.1, 17.5.) */
#define SERIAL_PRODUCTS (1 << 18)
/* Tiles cost: with AVX2, 256x512x784 by 1 thread takes 1.96 ms whole and 1.98 ms in 16 tiles where B is transposed, but
 * 512x784x256 takes 1.95 and 2.6 ms where it is not: oneDNN then takes another kernel for small extents. */
#define MAX_TILES 16
#define TILE_PRODUCTS TREAD_ONEDNN_TILE_PRODUCTS
#define RELU_GRAIN (1 << 15) /* elements done in about 2 us */
#define TILE_EXTENT 32       /* rows or columns that a tile has at least, and a multiple of */

typedef struct onednn_plan {
    tread_onednn_list write, add; /* add.calls NULL until accumulate is prepared */
} onednn_plan;

tread_status tread_onednn_fail(const tread_gemm *gemm, dnnl_status_t status, const char *verb) {
    char text[TREAD_GEMM_TEXT];
    if (status == dnnl_out_of_memory)
        return tread_fail(TREAD_ERROR_MEMORY, "out of memory: oneDNN, matrix product %s",
                          tread_gemm_describe(&gemm->shape, text));
    return tread_fail(TREAD_ERROR_BACKEND, "oneDNN %s %s matrix product %s (status %d)", tread_dnn_version(), verb,
                      tread_gemm_describe(&gemm->shape, text), (int)status);
}

int tread_onednn_swap_threads(int threads) {
    int before = omp_get_max_threads();
    if (before != threads)
        omp_set_num_threads(threads);
    return before;
}

static size_t input_size(const tread_gemm_shape *s) { return s->bf16 ? sizeof(uint16_t) : sizeof(float); }

/* The whole of a product, as oneDNN is to see it. */
static tread_onednn_product whole_product(const tread_gemm_shape *s, bool sum) {
    tread_onednn_product p = {
        .batch = s->batch, .m = s->m, .n = s->n, .k = s->k, .bias = s->bias, .sum = sum, .bf16 = s->bf16};
    /* A single row or column lies the same either way; oneDNN knows the plain way better. */
    bool transpose_a = s->transpose_a && s->m > 1 && s->k > 1, transpose_b = s->transpose_b && s->k > 1 && s->n > 1;
    memcpy(p.stride_a, (int64_t[]){s->m * s->k, transpose_a ? 1 : s->k, transpose_a ? s->m : 1}, sizeof p.stride_a);
    memcpy(p.stride_b, (int64_t[]){s->k * s->n, transpose_b ? 1 : s->n, transpose_b ? s->k : 1}, sizeof p.stride_b);
    memcpy(p.stride_c, (int64_t[]){s->m * s->n, s->n, 1}, sizeof p.stride_c);
    return p;
}

tread_status tread_onednn_add_call(const tread_gemm *gemm, tread_onednn_list *list, const tread_onednn_product *part,
                                   const tread_onednn_call *offsets) {
    dnnl_engine_t engine;
    dnnl_primitive_desc_t desc;
    dnnl_status_t status = tread_onednn_engine(&engine);
    if (status != dnnl_success || (status = tread_onednn_describe(engine, part, &desc)) != dnnl_success)
        return tread_onednn_fail(gemm, status, "cannot plan");
    if (list->n == 0)
        list->implementation = tread_onednn_implementation(desc);
    tread_onednn_call *call = &list->calls[list->n++];
    int64_t input = part->bf16 ? (int64_t)sizeof(uint16_t) : (int64_t)sizeof(float), output = sizeof(float);
    *call = (tread_onednn_call){.offset_a = offsets->offset_a * input,
                                .offset_b = offsets->offset_b * input,
                                .offset_bias = offsets->offset_bias * output,
                                .offset_c = offsets->offset_c * output};
    size_t size = tread_onednn_scratchpad_size(desc);
    if (size > 0 && (call->scratch = tread_alloc(size, "scratchpad of a matrix product")) == NULL) {
        dnnl_primitive_desc_destroy(desc);
        return TREAD_ERROR_MEMORY;
    }
    status = tread_onednn_call_create(call, desc);
    dnnl_primitive_desc_destroy(desc);
    return status == dnnl_success ? TREAD_OK : tread_onednn_fail(gemm, status, "cannot plan");
}

tread_status tread_onednn_take_calls(tread_onednn_list *list, int64_t n) {
    list->calls = tread_calloc((size_t)n, sizeof *list->calls, "calls of a matrix product");
    return list->calls == NULL ? TREAD_ERROR_MEMORY : TREAD_OK;
}

/* Pieces of k, as even as multiples of 16 can be: the first has the bias, and they add up. Piece i begins at ret_begin.
 */
static int64_t count_pieces(const tread_onednn_product *whole) { return (whole->k + PIECE_K - 1) / PIECE_K; }

/* packed: A's pieces lie one after the other, each in rows of its own length. */
static tread_onednn_product piece_at(const tread_onednn_product *whole, bool packed, int64_t i, int64_t *ret_begin) {
    int64_t n = count_pieces(whole), step = tread_onednn_round_up((whole->k + n - 1) / n, 16);
    tread_onednn_product piece = *whole;
    *ret_begin = i * step;
    piece.k = tread_onednn_at_most(step, whole->k - i * step);
    piece.bias = whole->bias && i == 0;
    piece.sum = whole->sum || i > 0;
    if (packed)
        piece.stride_a[1] = piece.k;
    return piece;
}

static tread_status plan_pieces(const tread_gemm *gemm, const tread_onednn_product *whole, bool packed,
                                tread_onednn_list *list) {
    int64_t n_pieces = count_pieces(whole), begin;
    if (packed) {
        list->room = tread_alloc((size_t)(whole->m * whole->k) * input_size(&gemm->shape), "pieces of a matrix");
        if (list->room == NULL)
            return TREAD_ERROR_MEMORY;
    }
    TREAD_TRY(tread_onednn_take_calls(list, n_pieces));
    for (int64_t i = 0; i < n_pieces; i++) {
        tread_onednn_product piece = piece_at(whole, packed, i, &begin);
        tread_onednn_call offsets = {.offset_a = packed ? begin * whole->m : begin * whole->stride_a[2],
                                     .offset_b = begin * whole->stride_b[1]};
        TREAD_TRY(tread_onednn_add_call(gemm, list, &piece, &offsets));
    }
    return TREAD_OK;
}

/* Cuts the largest extent in two until the tiles are enough, or small enough. */
static void choose_tile(const tread_onednn_product *whole, int64_t *ret_batch, int64_t *ret_m, int64_t *ret_n) {
    int64_t batch = whole->batch, m = whole->m, n = whole->n;
    for (int tiles = 1; tiles < MAX_TILES && batch * m * n * whole->k >= 2 * TILE_PRODUCTS; tiles *= 2) {
        if (batch > 1)
            batch = (batch + 1) / 2;
        else if (m >= n && m >= 2 * TILE_EXTENT)
            m = tread_onednn_round_up((m + 1) / 2, TILE_EXTENT);
        else if (n >= 2 * TILE_EXTENT)
            n = tread_onednn_round_up((n + 1) / 2, TILE_EXTENT);
        else
            break;
    }
    *ret_batch = batch;
    *ret_m = m;
    *ret_n = n;
}

static tread_status plan_tiles(const tread_gemm *gemm, const tread_onednn_product *whole, tread_onednn_list *list) {
    int64_t step_batch, step_m, step_n;
    choose_tile(whole, &step_batch, &step_m, &step_n);
    list->products = step_batch * step_m * step_n * whole->k;
    TREAD_TRY(tread_onednn_take_calls(list, ((whole->batch + step_batch - 1) / step_batch) *
                                                ((whole->m + step_m - 1) / step_m) *
                                                ((whole->n + step_n - 1) / step_n)));
    for (int64_t item = 0; item < whole->batch; item += step_batch)
        for (int64_t row = 0; row < whole->m; row += step_m)
            for (int64_t column = 0; column < whole->n; column += step_n) {
                tread_onednn_product tile = *whole;
                tile.batch = tread_onednn_at_most(step_batch, whole->batch - item);
                tile.m = tread_onednn_at_most(step_m, whole->m - row);
                tile.n = tread_onednn_at_most(step_n, whole->n - column);
                tread_onednn_call offsets = {.offset_a = item * whole->stride_a[0] + row * whole->stride_a[1],
                                             .offset_b = item * whole->stride_b[0] + column * whole->stride_b[2],
                                             .offset_c = item * whole->stride_c[0] + row * whole->stride_c[1] + column,
                                             .offset_bias = column};
                TREAD_TRY(tread_onednn_add_call(gemm, list, &tile, &offsets));
            }
    return TREAD_OK;
}

static void release_calls(tread_onednn_list *list) {
    for (int i = 0; i < list->n; i++)
        tread_onednn_call_release(&list->calls[i]);
    tread_free(list->calls);
    tread_free(list->room);
    *list = (tread_onednn_list){0};
}

tread_status tread_onednn_is_brgemm(const tread_gemm *gemm, const tread_onednn_product *part, bool *ret_is) {
    dnnl_engine_t engine;
    dnnl_primitive_desc_t desc;
    dnnl_status_t status = tread_onednn_engine(&engine);
    if (status != dnnl_success || (status = tread_onednn_describe(engine, part, &desc)) != dnnl_success)
        return tread_onednn_fail(gemm, status, "cannot plan");
    const char *implementation = tread_onednn_implementation(desc);
    *ret_is = strstr(implementation, "brg") != NULL && strstr(implementation, "avx512") != NULL &&
              strstr(implementation, "amx") == NULL;
    dnnl_primitive_desc_destroy(desc);
    return TREAD_OK;
}

/* Whether all pieces are the AVX-512 brgemm's; which implementation serves also depends on m, k and sum. */
static tread_status pieces_keep_bits(const tread_gemm *gemm, const tread_onednn_product *whole, bool packed,
                                     bool *ret_keep) {
    *ret_keep = true;
    for (int64_t i = 0, n = count_pieces(whole), begin; i < n && *ret_keep; i++) {
        tread_onednn_product piece = piece_at(whole, packed, i, &begin);
        TREAD_TRY(tread_onednn_is_brgemm(gemm, &piece, ret_keep));
    }
    return TREAD_OK;
}

/* The brgemm wants A in dense rows. Packing its pieces is worth it where B's lie densely as they are. */
static bool may_pack(const tread_onednn_product *whole) {
    return whole->k > PIECE_K && whole->batch == 1 && whole->stride_a[2] == 1 && whole->stride_b[2] == 1;
}

/* By shape and implementation alone. */
static tread_status choose_form(const tread_gemm *gemm, const tread_onednn_product *whole, tread_onednn_form *ret_form,
                                bool *ret_packed) {
    bool keep = false;
    *ret_form = TREAD_ONEDNN_TILES;
    *ret_packed = false;
    TREAD_TRY(tread_onednn_choose_columns(gemm, whole, ret_form));
    if (*ret_form != TREAD_ONEDNN_TILES)
        return TREAD_OK;
    TREAD_TRY(pieces_keep_bits(gemm, whole, false, &keep));
    if (!keep && may_pack(whole)) {
        TREAD_TRY(pieces_keep_bits(gemm, whole, true, &keep));
        *ret_packed = keep;
    }
    if (keep)
        *ret_form = TREAD_ONEDNN_PIECES;
    return TREAD_OK;
}

static tread_status plan_calls(const tread_gemm *gemm, bool sum, tread_onednn_list *list) {
    tread_onednn_product whole = whole_product(&gemm->shape, sum);
    bool packed;
    int before = tread_onednn_swap_threads(1);
    tread_status status = choose_form(gemm, &whole, &list->form, &packed);
    list->threads = 1;
    if (status == TREAD_OK && list->form == TREAD_ONEDNN_PIECES) {
        const int64_t least = tread_context_resolve(gemm->context)->count.crowded
                                  ? SERIAL_PRODUCTS * TREAD_CROWDED_GRAINS
                                  : SERIAL_PRODUCTS;
        if (whole.batch * whole.m * whole.n * whole.k >= least)
            list->threads = tread_context_threads(gemm->context);
        tread_onednn_swap_threads(list->threads);
        status = plan_pieces(gemm, &whole, packed, list);
    } else if (status == TREAD_OK) {
        status = list->form == TREAD_ONEDNN_TILES ? plan_tiles(gemm, &whole, list)
                                                  : tread_onednn_plan_columns(gemm, &whole, list);
    }
    tread_onednn_swap_threads(before);
    if (status != TREAD_OK)
        release_calls(list);
    return status;
}

static tread_status onednn_create(tread_gemm *gemm) {
    onednn_plan *plan = tread_calloc(1, sizeof *plan, "plan of a matrix product");
    if (plan == NULL)
        return TREAD_ERROR_MEMORY;
    tread_status status = plan_calls(gemm, false, &plan->write);
    if (status != TREAD_OK) {
        tread_free(plan);
        return status;
    }
    gemm->plan = plan;
    return TREAD_OK;
}

static void onednn_destroy(tread_gemm *gemm) {
    onednn_plan *plan = gemm->plan;
    release_calls(&plan->write);
    release_calls(&plan->add);
    tread_free(plan);
}

static tread_status onednn_prepare_accumulate(tread_gemm *gemm) {
    onednn_plan *plan = gemm->plan;
    return plan_calls(gemm, true, &plan->add);
}

TREAD_KERNEL_BODY void relu_body(float *c, int64_t n) {
    for (int64_t i = 0; i < n; i++)
        c[i] = c[i] < 0 ? 0 : c[i];
}
TREAD_KERNEL(relu, (float *c, int64_t n), (c, n))

static void relu_range(void *argument, int64_t begin, int64_t end) {
    TREAD_CALL(relu)((float *)argument + begin, end - begin);
}

typedef struct tile_run {
    const tread_onednn_list *list;
    const void *a, *b, *bias;
    void *c;
    atomic_int failure; /* a dnnl_status_t */
} tile_run;

static void run_tiles(void *argument, int64_t begin, int64_t end) {
    tile_run *run = argument;
    int before = tread_onednn_swap_threads(run->list->threads);
    for (int64_t i = begin; i < end; i++) {
        dnnl_status_t status = tread_onednn_call_run(&run->list->calls[i], run->a, run->b, run->bias, run->c);
        if (status != dnnl_success)
            atomic_store(&run->failure, (int)status);
    }
    tread_onednn_swap_threads(before);
}

static dnnl_status_t run_all_tiles(const tread_gemm *gemm, const tread_onednn_list *list, const void *a, const void *b,
                                   const void *bias, void *c) {
    tile_run run = {.list = list, .a = a, .b = b, .bias = bias, .c = c};
    tread_parallel_for(gemm->context, list->n, list->products >= TILE_PRODUCTS / 2 ? 1 : list->n, 1, run_tiles, &run);
    return (dnnl_status_t)atomic_load(&run.failure);
}

/* Brings A's pieces to where the calls look for them. */
static void pack(const tread_gemm *gemm, const tread_onednn_list *list, const void *a) {
    const int64_t m = gemm->shape.m, row = gemm->shape.k * (int64_t)input_size(&gemm->shape); /* in bytes */
    for (int i = 0; i < list->n; i++) {
        int64_t begin = list->calls[i].offset_a / m, end = i + 1 < list->n ? list->calls[i + 1].offset_a / m : row;
        tread_copy_rows(gemm->context, TREAD_UINT8, m, end - begin, (const char *)a + begin, row,
                        (char *)list->room + begin * m, end - begin, false);
    }
}

static dnnl_status_t run_pieces(const tread_gemm *gemm, const tread_onednn_list *list, const void *a, const void *b,
                                const void *bias, void *c) {
    dnnl_status_t status = dnnl_success;
    if (list->room != NULL) {
        pack(gemm, list, a);
        a = list->room;
    }
    int before = tread_onednn_swap_threads(list->threads);
    for (int i = 0; i < list->n && status == dnnl_success; i++)
        status = tread_onednn_call_run(&list->calls[i], a, b, bias, c);
    tread_onednn_swap_threads(before);
    return status;
}

static tread_status onednn_run(tread_gemm *gemm, const void *a, const void *b, const void *bias, void *c,
                               bool accumulate) {
    const onednn_plan *plan = gemm->plan;
    const tread_onednn_list *list = accumulate ? &plan->add : &plan->write;
    dnnl_status_t status = list->form == TREAD_ONEDNN_PIECES ? run_pieces(gemm, list, a, b, bias, c)
                           : list->form == TREAD_ONEDNN_TILES
                               ? run_all_tiles(gemm, list, a, b, bias, c)
                               : tread_onednn_run_columns(gemm, list, a, b, bias, c, accumulate);
    if (status != dnnl_success)
        return tread_onednn_fail(gemm, status, "failed to run");
    if (gemm->shape.relu && (list->form == TREAD_ONEDNN_PIECES || list->form == TREAD_ONEDNN_TILES))
        tread_parallel_for(gemm->context, gemm->shape.batch * gemm->shape.m * gemm->shape.n, RELU_GRAIN, 16, relu_range,
                           c);
    return TREAD_OK;
}

static const char *onednn_implementation(const tread_gemm *gemm) {
    const onednn_plan *plan = gemm->plan;
    return plan->write.implementation;
}

const tread_gemm_backend tread_gemm_onednn = {.create = onednn_create,
                                              .destroy = onednn_destroy,
                                              .prepare_accumulate = onednn_prepare_accumulate,
                                              .run = onednn_run,
                                              .implementation = onednn_implementation};
