#include "core/parallel.h"

#include "core/context.h"
#include "core/recorder.h"
#include "core/spread.h"
#include "tread_config.h"

#if TREAD_HAVE_OPENMP
#include <omp.h>
#include <stdatomic.h>
#endif

int tread_parallel_openmp_version(void) {
#if TREAD_HAVE_OPENMP
    return _OPENMP;
#else
    return 0;
#endif
}

int tread_parallel_processors(void) {
#if TREAD_HAVE_OPENMP
    return omp_get_num_procs();
#else
    return 0;
#endif
}

#if TREAD_HAVE_OPENMP
/* Every so many regions of a thread it is seen to that its team is on as many CPUs. */
#define SPREAD_EVERY 16

static bool spreads_now(bool crowded) {
    static _Thread_local unsigned regions;
    return !crowded && regions++ % SPREAD_EVERY == 0;
}

static bool pays(const tread_context *context, int64_t n, int64_t grain) {
    const bool crowded = tread_context_resolve(context)->count.crowded;
    return tread_context_threads(context) > 1 && (crowded ? n / TREAD_CROWDED_GRAINS : n) >= 2 * grain;
}
#endif

void tread_parallel_for(const tread_context *context, int64_t n, int64_t grain, int64_t align, tread_range_fn *body,
                        void *argument) {
    if (n <= 0)
        return;
#if TREAD_HAVE_OPENMP
    if (pays(context, n, grain)) {
        const int threads = tread_context_threads(context);
        tread_recorder *recorder = tread_recorder_of_region(context);
        const uint64_t begun = recorder != NULL ? tread_recorder_clock() : 0;
        const bool spreads = spreads_now(tread_context_resolve(context)->count.crowded);
        tread_spread spread;
        if (spreads)
            spread = (tread_spread){0};
#pragma omp parallel num_threads(threads)
        {
            /* The runtime may give fewer threads (a limit, a nested region): the cut follows what it gave. */
            int64_t count = omp_get_num_threads(), index = omp_get_thread_num();
            int64_t units = (n + align - 1) / align;
            int64_t begin = units * index / count * align, end = units * (index + 1) / count * align;
            if (end > n)
                end = n;
            const uint64_t start = recorder != NULL ? tread_recorder_clock() : 0;
            if (spreads)
                tread_spread_out(&spread);
            if (begin < end)
                body(argument, begin, end);
            if (recorder != NULL)
                tread_recorder_piece(recorder, (int)index, start);
        }
        if (recorder != NULL)
            tread_recorder_join(recorder, threads, begun);
        return;
    }
#else
    (void)context;
    (void)grain;
    (void)align;
#endif
    body(argument, 0, n);
}

#if TREAD_HAVE_OPENMP

/* ---- Chunks ---- */

/* A part of the chunks: those from next on are to be had. On a cache line of its own. */
typedef struct part {
    _Alignas(64) atomic_int_fast64_t next;
    int64_t end;
} part;

#define MAX_PARTS 64 /* more threads share them */

typedef struct region {
    part parts[MAX_PARTS];
    int n_parts;
    tread_range_fn *body;
    void *argument;
} region;

static void take_chunks(region *r, int own) {
    for (int i = 0; i < r->n_parts; i++) {
        part *from = &r->parts[(own + i) % r->n_parts];
        while (atomic_load_explicit(&from->next, memory_order_relaxed) < from->end) {
            const int64_t chunk = atomic_fetch_add_explicit(&from->next, 1, memory_order_relaxed);
            if (chunk >= from->end)
                break;
            r->body(r->argument, chunk, chunk + 1);
        }
    }
}

static void fork_for_chunks(const tread_context *context, int64_t n, tread_range_fn *body, void *argument) {
    const int threads = tread_context_threads(context);
    region r = {.n_parts = threads < MAX_PARTS ? threads : MAX_PARTS, .body = body, .argument = argument};
    for (int i = 0; i < r.n_parts; i++) {
        atomic_init(&r.parts[i].next, n * i / r.n_parts);
        r.parts[i].end = n * (i + 1) / r.n_parts;
    }
    tread_recorder *recorder = tread_recorder_of_region(context);
    const uint64_t begun = recorder != NULL ? tread_recorder_clock() : 0;
    const bool spreads = spreads_now(tread_context_resolve(context)->count.crowded);
    tread_spread spread;
    if (spreads)
        spread = (tread_spread){0};
#pragma omp parallel num_threads(threads)
    {
        const int index = omp_get_thread_num();
        const uint64_t start = recorder != NULL ? tread_recorder_clock() : 0;
        if (spreads)
            tread_spread_out(&spread);
        take_chunks(&r, index % r.n_parts);
        if (recorder != NULL)
            tread_recorder_piece(recorder, index, start);
    }
    if (recorder != NULL)
        tread_recorder_join(recorder, threads, begun);
}
#endif

void tread_parallel_chunks(const tread_context *context, int64_t n, int64_t grain, tread_range_fn *body,
                           void *argument) {
    if (n <= 0)
        return;
#if TREAD_HAVE_OPENMP
    if (pays(context, n, grain)) {
        fork_for_chunks(context, n, body, argument);
        return;
    }
#else
    (void)context;
    (void)grain;
#endif
    body(argument, 0, n);
}
