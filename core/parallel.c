#include "core/parallel.h"

#include "core/context.h"
#include "core/recorder.h"
#include "core/spread.h"
#include "tread_config.h"

#if TREAD_HAVE_OPENMP
#include <omp.h>
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
#endif

void tread_parallel_for(const tread_context *context, int64_t n, int64_t grain, int64_t align, tread_range_fn *body,
                        void *argument) {
    if (n <= 0)
        return;
#if TREAD_HAVE_OPENMP
    const int threads = tread_context_threads(context);
    const bool crowded = tread_context_resolve(context)->count.crowded;
    if (threads > 1 && (crowded ? n / TREAD_CROWDED_GRAINS : n) >= 2 * grain) {
        tread_recorder *recorder = tread_recorder_of_region(context);
        const uint64_t fork = recorder != NULL ? tread_recorder_clock() : 0;
        const bool spreads = spreads_now(crowded);
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
            tread_recorder_join(recorder, threads, fork);
        return;
    }
#else
    (void)context;
    (void)grain;
    (void)align;
#endif
    body(argument, 0, n);
}
