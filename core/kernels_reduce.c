#include "core/kernels_reduce.h"

#include "core/isa.h"
#include "core/lanes.h"
#include "core/memory.h"
#include "core/parallel.h"

/* kept x reduced elements: along one of the two, elements are contiguous. Strides in elements; self has stride 1 in
 * kept, 0 in reduced. */
typedef struct tread_block {
    const void *grad, *y, *self, *other;
    int64_t kept, reduced;
    int64_t stride_kept, stride_kept_b, stride_reduced, stride_reduced_b;
} tread_block;

#define BODY "core/kernels_reduce_body.h"
#include "core/both_floats.h"

typedef void block_fn(const tread_block *block, double *totals);
typedef void map_fn(const tread_span *span, const tread_term_operands *from, void *to, bool accumulate);

static const struct {
    block_fn *const *columns[2]; /* by dtype, then by instruction set */
    block_fn *const *runs[2];
    map_fn *const *map[2];
} terms[TREAD_TERM_COUNT] = {
#define TERM(kind)                                                                                                     \
    {                                                                                                                  \
        {columns_##kind##_f32, columns_##kind##_f64}, {runs_##kind##_f32, runs_##kind##_f64}, {                        \
            map_##kind##_f32, map_##kind##_f64                                                                         \
        }                                                                                                              \
    }
    [TREAD_TERM_COPY] = TERM(copy), [TREAD_TERM_NEGATE] = TERM(negate),     [TREAD_TERM_TIMES] = TERM(times),
    [TREAD_TERM_OVER] = TERM(over), [TREAD_TERM_QUOTIENT] = TERM(quotient),
#undef TERM
};

#define GRAIN 16384  /* elements worth a fork */
#define TILE 256     /* outputs that one task sums at a time */
#define SCRATCH 4096 /* partial sums on the stack: 32 KiB */
#define CHUNK 8192   /* elements that are worth a chunk of their own */

typedef struct job {
    const tread_layout *layout;
    const tread_term_operands *operands;
    map_fn *map;
    block_fn *sum;
    bool is_float32;
    int64_t size;
    int64_t n_outputs, n_reduced; /* of each output */
    int kept[TREAD_MAX_RANK], reduced[TREAD_MAX_RANK], n_kept_axes, n_reduced_axes;
    int64_t tiles;    /* of the last kept axis */
    int64_t chunks;   /* of the reduced elements; a function of the shapes alone */
    double *partials; /* [chunks][n_outputs], where chunks > 1 */
    double scale;
    char *to;
    bool accumulate;
} job;

static const void *at(const void *base, int64_t element, int64_t size) { return (const char *)base + element * size; }

static void map_range(void *argument, int64_t begin, int64_t end) {
    const job *j = argument;
    const tread_term_operands *all = j->operands;
    tread_span span;
    while (begin < end) {
        begin = tread_layout_span(j->layout, begin, end, &span);
        tread_term_operands from = {at(all->grad, span.at, j->size), at(all->y, span.at, j->size),
                                    at(all->self, span.at, j->size), at(all->other, span.at_b, j->size)};
        j->map(&span, &from, j->to + span.at * j->size, j->accumulate);
    }
}

static void finish(const job *j, const double *totals, int64_t first, int64_t n) {
    if (j->is_float32)
        finish_f32(totals, n, j->scale, j->to + first * j->size, j->accumulate);
    else
        finish_f64(totals, n, j->scale, j->to + first * j->size, j->accumulate);
}

/* Offsets of the index-th combination of the given axes. */
static void locate(const tread_layout *layout, const int *axes, int n_axes, int64_t index, int64_t *ret_at,
                   int64_t *ret_at_a, int64_t *ret_at_b) {
    for (int i = n_axes - 1; i >= 0; i--) {
        int64_t along = index % layout->extent[axes[i]];
        index /= layout->extent[axes[i]];
        *ret_at += along * layout->stride[axes[i]];
        *ret_at_a += along * layout->stride_a[axes[i]];
        *ret_at_b += along * layout->stride_b[axes[i]];
    }
}

/* Sums reduced elements [begin, end) of the outputs in `block`, whose offsets are at and at_b. */
static void sum_reduced(const job *j, tread_block *block, int64_t base, int64_t base_b, int64_t begin, int64_t end,
                        double *totals) {
    const tread_layout *layout = j->layout;
    int inner = j->reduced[j->n_reduced_axes - 1];
    int64_t extent = layout->extent[inner];
    block->stride_reduced = layout->stride[inner];
    block->stride_reduced_b = layout->stride_b[inner];
    while (begin < end) {
        int64_t row = begin / extent, first = begin % extent, offset = base, offset_a = 0, offset_b = base_b;
        locate(layout, j->reduced, j->n_reduced_axes - 1, row, &offset, &offset_a, &offset_b);
        offset += first * block->stride_reduced;
        offset_b += first * block->stride_reduced_b;
        block->reduced = end - begin < extent - first ? end - begin : extent - first;
        block->grad = at(j->operands->grad, offset, j->size);
        block->y = at(j->operands->y, offset, j->size);
        block->other = at(j->operands->other, offset_b, j->size);
        j->sum(block, totals);
        begin += block->reduced;
    }
}

/* Task t is chunk t % chunks of tile t / chunks. */
static void task_range(void *argument, int64_t first_task, int64_t last_task) {
    const job *j = argument;
    const tread_layout *layout = j->layout;
    for (int64_t task = first_task; task < last_task; task++) {
        int64_t chunk = task % j->chunks, tile = task / j->chunks % j->tiles, outer = task / j->chunks / j->tiles;
        int64_t base = 0, base_a = 0, base_b = 0;
        tread_block block = {.kept = 1};
        if (j->n_kept_axes > 0) {
            int inner = j->kept[j->n_kept_axes - 1];
            locate(layout, j->kept, j->n_kept_axes - 1, outer, &base, &base_a, &base_b);
            int64_t left = layout->extent[inner] - tile * TILE;
            block.kept = left < TILE ? left : TILE;
            block.stride_kept = layout->stride[inner];
            block.stride_kept_b = layout->stride_b[inner];
            base += tile * TILE * block.stride_kept;
            base_a += tile * TILE;
            base_b += tile * TILE * block.stride_kept_b;
        }
        block.self = at(j->operands->self, base_a, j->size);
        double totals[TILE];
        for (int64_t i = 0; i < block.kept; i++)
            totals[i] = 0;
        sum_reduced(j, &block, base, base_b, j->n_reduced * chunk / j->chunks, j->n_reduced * (chunk + 1) / j->chunks,
                    totals);
        if (j->chunks == 1)
            finish(j, totals, base_a, block.kept);
        else
            for (int64_t i = 0; i < block.kept; i++)
                j->partials[chunk * j->n_outputs + base_a + i] = totals[i];
    }
}

/* Few outputs leave threads idle unless the sums are cut too. */
static int64_t count_chunks(int64_t n_outputs, int64_t n_elements) {
    int64_t chunks = n_outputs > 0 ? SCRATCH / n_outputs : 1, worth = n_elements / CHUNK;
    chunks = chunks < TREAD_MAX_CHUNKS ? chunks : TREAD_MAX_CHUNKS;
    chunks = chunks < worth ? chunks : worth;
    return chunks > 1 ? chunks : 1;
}

static void run_tasks(const tread_context *context, job *j) {
    double partials[SCRATCH];
    int64_t rows = 1, inner = 1;
    if (j->n_kept_axes > 0) {
        inner = j->layout->extent[j->kept[j->n_kept_axes - 1]];
        rows = j->n_outputs / inner;
    }
    j->partials = partials;
    j->tiles = (inner + TILE - 1) / TILE;
    j->chunks = count_chunks(j->n_outputs, j->layout->count);
    int64_t tasks = rows * j->tiles * j->chunks;
    int64_t per_task = j->layout->count / tasks + 1, grain = GRAIN / per_task;
    tread_parallel_for(context, tasks, grain > 1 ? grain : 1, 1, task_range, j);
    if (j->chunks == 1)
        return;
    for (int64_t chunk = 1; chunk < j->chunks; chunk++)
        for (int64_t i = 0; i < j->n_outputs; i++)
            partials[i] += partials[chunk * j->n_outputs + i];
    finish(j, partials, 0, j->n_outputs);
}

void tread_reduce(const tread_context *context, tread_term term, tread_dtype dtype, const tread_layout *layout,
                  const tread_term_operands *operands, double scale, void *to, bool accumulate) {
    /* What the term does not read must still be readable where nothing is optimised away; grad is the largest. */
    const void *grad = operands->grad;
    tread_term_operands all = {grad, operands->y != NULL ? operands->y : grad,
                               operands->self != NULL ? operands->self : grad,
                               operands->other != NULL ? operands->other : grad};
    job j = {.layout = layout,
             .operands = &all,
             .is_float32 = dtype == TREAD_FLOAT32,
             .scale = scale,
             .to = to,
             .size = (int64_t)tread_dtype_size(dtype),
             .n_outputs = layout->count_a,
             .n_reduced = 1,
             .accumulate = accumulate};
    if (j.n_outputs == 0)
        return;
    for (int i = 0; i < layout->rank; i++)
        if (layout->stride_a[i] == 0) {
            j.reduced[j.n_reduced_axes++] = i;
            j.n_reduced *= layout->extent[i];
        } else {
            j.kept[j.n_kept_axes++] = i;
        }
    if (j.n_reduced_axes == 0) {
        j.map = TREAD_CALL(terms[term].map[dtype]);
        tread_parallel_for(context, layout->count, GRAIN, TREAD_ALIGNMENT, map_range, &j);
        return;
    }
    bool by_runs = layout->stride_a[layout->rank - 1] == 0;
    j.sum = by_runs ? TREAD_CALL(terms[term].runs[dtype]) : TREAD_CALL(terms[term].columns[dtype]);
    run_tasks(context, &j);
}
