/* Layer: core. Where the time of one thread's work goes: spans that lie in each other, what each computed, and the
 * pieces that the threads of its parallel regions did.
 *
 * A recorder belongs to a context and to the thread that made it: what other threads do with that context is not
 * recorded. All of its memory is taken when it is made. Where nothing is recorded, a span costs one branch. */
#ifndef TREAD_CORE_RECORDER_H
#define TREAD_CORE_RECORDER_H

#include <stddef.h>
#include <stdint.h>
#include <tread/tensor.h>

#include "core/context.h"

/* Arithmetic (additions, multiplications, divisions, comparisons, roots and transcendental functions count one each)
 * and the bytes of all operands, each read or written once: what no implementation can do without. */
typedef struct tread_cost {
    double flops, bytes;
} tread_cost;

static inline tread_cost tread_cost_sum(tread_cost a, tread_cost b) {
    return (tread_cost){a.flops + b.flops, a.bytes + b.bytes};
}

/* What a span is of. Spans with equal keys in equal places of the tree are one row. Strings are static. */
typedef struct tread_time_span_key {
    const char *name; /* "linear", "gemm", "batch" */
    tread_trace_phase phase;
    const char *part;    /* of an operation: "dx"; NULL: all of it */
    const void *subject; /* the parameter that it works with, known by its address; NULL: none */
    int64_t extents[3];  /* m, n and k of a matrix product; else 0 */
    int32_t place;       /* an operation's number on its tape; else 0 */
    bool bf16;           /* of a matrix product of bfloat16 */
} tread_time_span_key;

typedef struct tread_time_span_row {
    tread_time_span_key key;
    int32_t parent, depth; /* -1 and 0 at the root */
    int64_t calls;
    uint64_t ns, longest, inner_ns; /* inner_ns: of the rows whose parent this is */
    tread_cost cost, inner_cost;
    /* Of the parallel regions of this row itself: the time between fork and join, and what all threads worked in it. */
    int64_t regions;
    uint64_t region_ns, busy_ns;
} tread_time_span_row;

typedef struct tread_time_span_event {
    uint64_t begin, end; /* of the monotonic clock, ns */
    double flops, bytes;
    int32_t row;
    bool is_piece; /* of a parallel region of that row */
} tread_time_span_event;

/* Events of one thread, in the order in which they ended; lane 0 is the recorder's own thread. */
typedef struct tread_time_span_lane {
    const tread_time_span_event *events;
    size_t n;
    uint64_t dropped; /* for want of room */
} tread_time_span_lane;

#define TREAD_RECORDER_ROWS 1024
#define TREAD_RECORDER_DEPTH 32

/* For n_lanes threads, each with room for so many events. TREAD_ERROR_MEMORY. */
tread_status tread_recorder_create(int n_lanes, size_t events_per_lane, tread_recorder **ret_recorder);
void tread_recorder_destroy(tread_recorder *recorder); /* NULL is accepted */

/* What the calling thread does with the context is recorded from now on, NULL: no more. The recorder that was there
 * before is returned, and is to be put back. */
tread_recorder *tread_context_record(tread_context *context, tread_recorder *recorder);
/* Drops what is open, which a failure may have left, and events that no room was found for as a whole. */
void tread_recorder_abandon(tread_recorder *recorder);

/* Rows in the order in which they were first met, so that a parent stands before its children. */
const tread_time_span_row *tread_recorder_rows(const tread_recorder *recorder, size_t *ret_n);
int tread_recorder_lanes(const tread_recorder *recorder);
tread_time_span_lane tread_recorder_lane(const tread_recorder *recorder, int lane);

/* ---- What is measured ----
 *
 *     tread_time_span span = tread_time_span_begin(context, &(tread_time_span_key){"batch", TREAD_TRACE_OTHER});
 *     ...
 *     tread_time_span_end(context, span, cost);
 *
 * feeds recorder and time table (TREAD_TRACE). A span that a failure leaves open ends with the one it lies in. */
typedef struct tread_time_span {
    uint64_t begin; /* 0: neither */
    const char *name;
    tread_trace_phase phase;
    int32_t level; /* how many are open round it; -1: it is not recorded */
    bool within;   /* not for the time table */
} tread_time_span;

void tread_time_span_start(const tread_context *context, const tread_time_span_key *key, tread_time_span *ret_span);
void tread_time_span_stop(const tread_context *context, tread_time_span span, tread_cost cost);

static inline tread_time_span tread_time_span_begin(const tread_context *context, const tread_time_span_key *key) {
    tread_time_span span; /* written where it lies: of one that is off, nobody reads the rest */
    span.begin = 0;
    span.level = -1;
    if (tread_context_measures(context))
        tread_time_span_start(context, key, &span);
    return span;
}
/* A part of an operation, which the time table, whose rows add up to the whole, does not see. */
void tread_time_span_start_within(const tread_context *context, const tread_time_span_key *key,
                                  tread_time_span *ret_span);
static inline tread_time_span tread_time_span_within(const tread_context *context, const tread_time_span_key *key) {
    tread_time_span span;
    span.begin = 0;
    span.level = -1;
    if (tread_context_records(context))
        tread_time_span_start_within(context, key, &span);
    return span;
}
static inline void tread_time_span_end(const tread_context *context, tread_time_span span, tread_cost cost) {
    if (span.begin != 0)
        tread_time_span_stop(context, span, cost);
}
/* Whether the cost is asked for. */
static inline bool tread_time_span_recorded(tread_time_span span) { return span.level >= 0; }

/* ---- For core/parallel.c ---- */

/* NULL: the calling thread's regions are not recorded. */
tread_recorder *tread_recorder_open(const tread_context *context);
static inline tread_recorder *tread_recorder_of_region(const tread_context *context) {
    return tread_context_records(context) ? tread_recorder_open(context) : NULL;
}
uint64_t tread_recorder_clock(void);
/* The same in seconds. */
double tread_clock_seconds(void);
/* From within a region, by thread number `lane`: its piece began then, and ends now. */
void tread_recorder_piece(tread_recorder *recorder, int lane, uint64_t begin);
/* After the join, by the thread that forked then. */
void tread_recorder_join(tread_recorder *recorder, int n_threads, uint64_t fork);

#endif
