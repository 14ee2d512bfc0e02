/* Layer: core. The one home of threads: no other file has an OpenMP region.
 *
 * A body is a range function over [begin, end) and cannot fail. A region runs with one thread or with the
 * context's full count, never between, because libgomp ends and restarts surplus threads. How a range is cut
 * depends on the thread count, so a body's result for an index must not depend on the cut: write each output
 * from one index, and reduce by fixed chunks (TREAD_CHUNKS), whose number and bounds depend on n alone. */
#ifndef TREAD_CORE_PARALLEL_H
#define TREAD_CORE_PARALLEL_H

#include <stdbool.h>
#include <stdint.h>
#include <tread/context.h>

/* Where there are more threads than CPUs they take turns at every fork and every join: measured with 4 on 2 CPUs, 50 us
 * and more. Work is then worth a fork from so many times the grain on. */
#define TREAD_CROWDED_GRAINS 128

typedef void tread_range_fn(void *argument, int64_t begin, int64_t end);

/* Calls body over [0, n), on the calling thread alone where n < 2 * grain (grain: how many indices are worth a fork,
 * about 2 us of work; at least 1; TREAD_CROWDED_GRAINS times that where there are more threads than CPUs), else in one
 * contiguous piece a thread, cut at multiples of `align` indices (at least 1; a cache line's worth where neighbours
 * write the same array). n <= 0 calls nothing. */
void tread_parallel_for(const tread_context *context, int64_t n, int64_t grain, int64_t align, tread_range_fn *body,
                        void *argument);

/* Calls body over [0, n), n chunks of about equal work that do not depend on the thread count. Each thread begins with
 * a contiguous part of its own, chunk by chunk, and then takes what others have not begun: a thread that a neighbour
 * holds up holds up nobody else for longer than its chunk. On the calling thread alone, in one piece, where
 * n < 2 * grain, as above. */
void tread_parallel_chunks(const tread_context *context, int64_t n, int64_t grain, tread_range_fn *body,
                           void *argument);

/* Reductions: [0, n) in at most TREAD_MAX_CHUNKS chunks of equal size (the last may be short), a function of n alone.
 */
#define TREAD_MAX_CHUNKS 256
#define TREAD_MIN_CHUNK 4096
static inline int64_t tread_chunk_size(int64_t n) {
    int64_t even = (n + TREAD_MAX_CHUNKS - 1) / TREAD_MAX_CHUNKS;
    even = (even + 15) / 16 * 16;
    return even < TREAD_MIN_CHUNK ? TREAD_MIN_CHUNK : even;
}
static inline int64_t tread_chunk_count(int64_t n) {
    int64_t size = tread_chunk_size(n);
    return (n + size - 1) / size;
}

/* Whether this build has OpenMP, and its version as a date (201511); 0 without. */
int tread_parallel_openmp_version(void);
/* The CPUs that OpenMP's runtime counted at its start, before OMP_PROC_BIND bound the first thread to one place; 0
 * without. */
int tread_parallel_processors(void);

#endif
