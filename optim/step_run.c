#include "optim/step_run.h"

#include <string.h>

#include "core/bf16.h"
#include "core/parallel.h"
#include "core/search.h"
#include "optim/vector.h"

const float tread_step_zeros[TREAD_STEP_BLOCK] __attribute__((aligned(64))) = {0};

/* Bytes moved that are worth a second thread. Where gradients lie in the caches of several cores, as a backward leaves
 * them, one thread would have to fetch them: measured, 100 000 parameters take SGD 10 us by two threads then, and 25 to
 * 50 by one. */
#define FORK ((int64_t)512 << 10)

/* ---- Chunks ----
 *
 * The pieces, one after the other, are cut at fixed numbers of bytes that they move, so that groups with more state, or
 * with averages, weigh more. The size of a chunk follows from the sum alone: small enough that threads end together,
 * large enough that finding its pieces costs nothing. */
#define LEAST_CHUNK ((int64_t)128 << 10)
#define LARGEST_CHUNK ((int64_t)4 << 20)
#define CHUNKS 1024

static int64_t chunk_bytes(int64_t all) {
    const int64_t even = all / CHUNKS;
    return even < LEAST_CHUNK ? LEAST_CHUNK : even > LARGEST_CHUNK ? LARGEST_CHUNK : even;
}

/* The first element of a piece behind so many bytes of all; cut at whole cache lines. */
static int64_t element_at(const tread_plan_piece *piece, int64_t bytes) {
    if (bytes <= piece->position)
        return 0;
    const int64_t at = tread_line_padded((bytes - piece->position + piece->moves - 1) / piece->moves);
    return at < piece->n ? at : piece->n;
}

/* The piece that holds a byte: the last one that begins at or before it. */
static size_t piece_at(const tread_step_plan *plan, int64_t byte) {
    int64_t next;
    TREAD_FIND_FIRST(next, plan->n_pieces, i, plan->pieces[i].position > byte);
    return (size_t)next - 1;
}

/* ---- A piece ---- */

tread_update tread_step_part(const tread_optimizer *optimizer, const tread_plan_piece *piece, int64_t at, int64_t n,
                             bool start) {
    const tread_plan_kind *kind = &optimizer->plan.kinds[piece->kind];
    const tread_param_group *group = &optimizer->groups[kind->group];
    const tread_optimizer_type *type = optimizer->type;
    tread_update u = {.n = n, .x = piece->x + at, .scale = group->scale};
    u.g = piece->g == tread_step_zeros ? tread_step_zeros : piece->g + at;
    for (int s = 0; s < type->n_slots; s++) {
        if (group->memory.slots[s] == NULL)
            continue;
        u.slots[s] = group->memory.slots[s] + piece->offset + at;
        if (start && type->slots[s].starts_as_parameter && kind->before.fresh >> s & 1)
            memcpy(u.slots[s], u.x, (size_t)n * sizeof(float));
    }
    return u;
}

/* The pass over all pieces. */
typedef struct pass {
    tread_optimizer *optimizer;
    const tread_step_extras *extras; /* NULL: a switch of modes */
    bool training;
    int64_t chunk; /* bytes */
} pass;

/* What is averaged or copied should still be in the innermost cache then. */
#define BLOCK_OF_EXTRAS 2048

static void run_extras(const pass *p, const tread_plan_piece *piece, const tread_plan_extra *extra, int64_t at,
                       int64_t n) {
    if (extra->average != NULL)
        tread_vector_average(piece->x + at, n, p->extras->keep, p->extras->take, extra->average + at);
    if (extra->bf16 != NULL)
        tread_bf16_convert_range(piece->x + at, extra->bf16 + at, n);
}

static void run_piece(const pass *p, size_t i, int64_t from, int64_t to) {
    const tread_optimizer *optimizer = p->optimizer;
    const tread_optimizer_type *type = optimizer->type;
    const tread_plan_piece *piece = &optimizer->plan.pieces[i];
    const tread_plan_extra *extra = optimizer->plan.has_extras ? &optimizer->plan.extras[i] : NULL;
    if (extra != NULL && extra->rows != NULL) {
        tread_step_rows(optimizer, piece, extra->rows, from, to);
        return;
    }
    const bool has_extra = extra != NULL && (extra->average != NULL || extra->bf16 != NULL);
    const int64_t block = has_extra ? BLOCK_OF_EXTRAS : TREAD_STEP_BLOCK;
    const bool start = p->extras != NULL && type->reduce == NULL;
    for (int64_t at = from; at < to; at += block) {
        const int64_t n = to - at < block ? to - at : block;
        if (piece->g != NULL) {
            const tread_update u = tread_step_part(optimizer, piece, at, n, start);
            void *factors = optimizer->plan.kinds[piece->kind].factors;
            if (p->extras == NULL)
                type->set_training(factors, &u, p->training);
            else
                type->update(factors, &u);
        }
        if (has_extra)
            run_extras(p, piece, extra, at, n);
    }
}

/* The hardware sees the slots of small parameters coming, which lie side by side, but not where the next parameter and
 * gradient are: measured, 10 000 of 256 values, each in memory of its own, take Adam 1.2 ns a value without this, and
 * 0.5 with it; further ahead, into outer caches or with the slots it is no faster. */
#define PIECES_AHEAD 4
#define FLOATS_AHEAD 512
#define SMALL_PIECE 65536 /* bytes moved: a longer one the hardware sees coming by itself */
/* Inlined, since GCC takes a function of nothing but prefetches for one without effect, and drops calls of it. */
static inline __attribute__((always_inline)) void fetch_piece(const tread_plan_piece *piece) {
    if (piece->g == NULL)
        return;
    const int64_t n = piece->n < FLOATS_AHEAD ? piece->n : FLOATS_AHEAD;
    for (int64_t at = 0; at < n; at += TREAD_LINE_FLOATS) {
        __builtin_prefetch(piece->x + at, 1);
        __builtin_prefetch(piece->g + at, 0);
    }
}

static void run_chunks(void *argument, int64_t first, int64_t last) {
    const pass *p = argument;
    const tread_step_plan *plan = &p->optimizer->plan;
    const int64_t begin = first * p->chunk, end = last * p->chunk;
    for (size_t i = piece_at(plan, begin); i < plan->n_pieces && plan->pieces[i].position < end; i++) {
        if (i + PIECES_AHEAD < plan->n_pieces && plan->pieces[i + 1].position - plan->pieces[i].position < SMALL_PIECE)
            fetch_piece(&plan->pieces[i + PIECES_AHEAD]);
        run_piece(p, i, element_at(&plan->pieces[i], begin), element_at(&plan->pieces[i], end));
    }
}

static void run_pass(pass p) {
    tread_optimizer *optimizer = p.optimizer;
    const int64_t bytes = optimizer->plan.n_bytes;
    p.chunk = chunk_bytes(bytes);
    const int64_t n = (bytes + p.chunk - 1) / p.chunk;
    tread_parallel_chunks(optimizer->context, n, p.chunk < FORK / 2 ? FORK / 2 / p.chunk : 1, run_chunks, &p);
}

void tread_step_run_switch(tread_optimizer *optimizer, bool training) {
    run_pass((pass){.optimizer = optimizer, .training = training});
}

/* ---- Sums of whole parameters first ---- */

/* Between its parts, a block stays in the innermost cache. */
#define BLOCK_OF_SUMS 2048

static void reduce_chunk(tread_optimizer *optimizer, size_t i, int64_t chunk) {
    const tread_optimizer_type *type = optimizer->type;
    const tread_optimizer_item *item = &optimizer->items[i];
    double *sums = optimizer->leaves.partial_sums + (optimizer->leaves.items[i].first_chunk + chunk) * type->n_sums;
    const int64_t size = tread_leaf_chunk_size(item->n);
    const int64_t stop = (chunk + 1) * size < item->n ? (chunk + 1) * size : item->n;
    memset(sums, 0, (size_t)type->n_sums * sizeof *sums);
    if (!item->active || item->whole)
        return;
    const tread_plan_piece *piece = &optimizer->plan.pieces[item->piece];
    for (int64_t at = chunk * size; at < stop; at += BLOCK_OF_SUMS) {
        tread_update u =
            tread_step_part(optimizer, piece, at, stop - at < BLOCK_OF_SUMS ? stop - at : BLOCK_OF_SUMS, true);
        type->reduce(optimizer->plan.kinds[piece->kind].factors, &u, sums);
    }
}

static void reduce_chunks(void *argument, int64_t begin, int64_t end) {
    tread_optimizer *optimizer = argument;
    size_t i = tread_leaf_of_chunk(&optimizer->leaves, begin);
    for (int64_t chunk = begin; chunk < end; chunk++) {
        while (i + 1 < optimizer->leaves.count && optimizer->leaves.items[i + 1].first_chunk <= chunk)
            i++;
        reduce_chunk(optimizer, i, chunk - optimizer->leaves.items[i].first_chunk);
    }
}

static void finish_sums(void *argument, int64_t begin, int64_t end) {
    tread_optimizer *optimizer = argument;
    const tread_optimizer_type *type = optimizer->type;
    for (int64_t i = begin; i < end; i++) {
        const tread_optimizer_item *item = &optimizer->items[i];
        if (!item->active || item->whole)
            continue;
        double sums[TREAD_MAX_SUMS] = {0};
        const double *partial = optimizer->leaves.partial_sums + optimizer->leaves.items[i].first_chunk * type->n_sums;
        for (int64_t chunk = 0; chunk < tread_leaf_chunk_count(item->n); chunk++)
            for (int s = 0; s < type->n_sums; s++)
                sums[s] += partial[chunk * type->n_sums + s];
        const tread_plan_kind *kind = &optimizer->plan.kinds[item->kind];
        type->reduced(optimizer->groups[kind->group].options, sums, kind->factors);
    }
}

#define SUMS_GRAIN 64 /* items */

static void reduce_all(tread_optimizer *optimizer) {
    const int64_t n_chunks = optimizer->leaves.n_chunks;
    tread_parallel_chunks(optimizer->context, n_chunks, optimizer->plan.n_bytes >= FORK ? 1 : n_chunks, reduce_chunks,
                          optimizer);
    tread_parallel_for(optimizer->context, (int64_t)optimizer->n_items, SUMS_GRAIN, 1, finish_sums, optimizer);
}

/* ---- All of it ---- */

#define LATE_GRAIN (FORK / 32) /* elements; each moves 14 bytes, and two grains are the least that forks */

typedef struct late_job {
    const float *x;
    const tread_step_extras *extras;
    tread_plan_extra extra;
} late_job;

static void run_late(void *argument, int64_t begin, int64_t end) {
    const late_job *j = argument;
    const pass p = {.extras = j->extras};
    const tread_plan_piece piece = {.x = (float *)j->x};
    for (int64_t at = begin; at < end; at += BLOCK_OF_EXTRAS)
        run_extras(&p, &piece, &j->extra, at, end - at < BLOCK_OF_EXTRAS ? end - at : BLOCK_OF_EXTRAS);
}

void tread_step_run_late(tread_optimizer *optimizer, const tread_step_extras *extras, bool all) {
    for (size_t i = 0; i < optimizer->n_items; i++) {
        const tread_optimizer_item *item = &optimizer->items[i];
        tread_tensor *x = &item->parameter->tensor;
        if (!all && !item->whole && optimizer->plan.checks[i].state != TREAD_GRAD_SPARSE)
            continue;
        late_job j = {.x = x->data, .extras = extras};
        if (extras->averages != NULL)
            j.extra.average = extras->averages[i];
        if (all || item->active)
            j.extra.bf16 = x->bf16;
        if (j.extra.average != NULL || j.extra.bf16 != NULL)
            tread_parallel_for(optimizer->context, item->n, LATE_GRAIN, TREAD_LINE_FLOATS, run_late, &j);
        if (j.extra.bf16 != NULL)
            x->bf16_version = x->version;
    }
}

void tread_step_run(tread_optimizer *optimizer, const tread_step_extras *extras) {
    if (optimizer->type->reduce != NULL)
        reduce_all(optimizer);
    if (optimizer->type->update != NULL)
        run_pass((pass){.optimizer = optimizer, .extras = extras});
}
