#include "core/parallel.h"

#include "core/context.h"
#include "core/recorder.h"
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

void tread_parallel_for(const tread_context *context, int64_t n, int64_t grain, int64_t align, tread_range_fn *body,
                        void *argument) {
    if (n <= 0)
        return;
#if TREAD_HAVE_OPENMP
    int threads = tread_context_threads(context);
    if (threads > 1 && n >= 2 * grain) {
        tread_recorder *recorder = tread_recorder_of_region(context);
        const uint64_t begun = recorder != NULL ? tread_recorder_clock() : 0;
#pragma omp parallel num_threads(threads)
        {
            /* The runtime may give fewer threads (a limit, a nested region): the cut follows what it gave. */
            int64_t count = omp_get_num_threads(), index = omp_get_thread_num();
            int64_t units = (n + align - 1) / align;
            int64_t begin = units * index / count * align, end = units * (index + 1) / count * align;
            if (end > n)
                end = n;
            const uint64_t start = recorder != NULL ? tread_recorder_clock() : 0;
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
/* A part of the chunks: those from next on are to be had. On a cache line of its own. */
typedef struct part {
    _Alignas(64) atomic_int_fast64_t next;
    int64_t end;
} part;

#define MAX_PARTS 64 /* more threads share them */

static void take_chunks(part *parts, int n_parts, int own, tread_range_fn *body, void *argument) {
    for (int i = 0; i < n_parts; i++) {
        part *from = &parts[(own + i) % n_parts];
        while (atomic_load_explicit(&from->next, memory_order_relaxed) < from->end) {
            int64_t chunk = atomic_fetch_add_explicit(&from->next, 1, memory_order_relaxed);
            if (chunk < from->end)
                body(argument, chunk, chunk + 1);
        }
    }
}
#endif

void tread_parallel_chunks(const tread_context *context, int64_t n, bool fork, tread_range_fn *body, void *argument) {
    if (n <= 0)
        return;
#if TREAD_HAVE_OPENMP
    const int threads = tread_context_threads(context);
    if (fork && threads > 1 && n > 1) {
        part parts[MAX_PARTS];
        const int n_parts = threads < MAX_PARTS ? threads : MAX_PARTS;
        for (int i = 0; i < n_parts; i++) {
            atomic_init(&parts[i].next, n * i / n_parts);
            parts[i].end = n * (i + 1) / n_parts;
        }
        tread_recorder *recorder = tread_recorder_of_region(context);
        const uint64_t begun = recorder != NULL ? tread_recorder_clock() : 0;
#pragma omp parallel num_threads(threads)
        {
            const uint64_t start = recorder != NULL ? tread_recorder_clock() : 0;
            take_chunks(parts, n_parts, omp_get_thread_num() % n_parts, body, argument);
            if (recorder != NULL)
                tread_recorder_piece(recorder, omp_get_thread_num(), start);
        }
        if (recorder != NULL)
            tread_recorder_join(recorder, threads, begun);
        return;
    }
#else
    (void)context;
    (void)fork;
#endif
    body(argument, 0, n);
}
