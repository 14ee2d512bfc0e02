/* Layer: core. What a context is made of, and the per-op time table. */
#ifndef TREAD_CORE_CONTEXT_H
#define TREAD_CORE_CONTEXT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <tread/context.h>

#include "core/thread_count.h"

typedef struct tread_trace tread_trace;
typedef struct tread_recorder tread_recorder;

struct tread_context {
    tread_thread_count count;
    tread_backend backend; /* never AUTO */
    bool ref_by_name;      /* the option or TREAD_BACKEND says ref, rather than that there is no other */
    uint64_t seed;
    tread_log_fn log;
    void *log_data;
    tread_trace *trace;                 /* NULL: off */
    _Atomic(tread_recorder *) recorder; /* core/recorder.h; NULL: off */
};

/* The context to use for one that may be NULL. Never NULL: where the default context cannot be made as the environment
 * says, one with one thread and the ref back-end stands in, and tread_context_default_status() has the error. */
const tread_context *tread_context_resolve(const tread_context *context);
/* Makes the default context if there is none yet. On failure the thread's sentence is set, at every call. */
tread_status tread_context_default_status(void);

/* Whether spans (core/recorder.h) are recorded, and whether they are measured, be it for the time table alone. Asked
 * many times a step, so without a call where there is a context. */
static inline bool tread_context_records(const tread_context *context) {
    const tread_context *own = context != NULL ? context : tread_context_resolve(NULL);
    return atomic_load_explicit(&own->recorder, memory_order_relaxed) != NULL;
}
static inline bool tread_context_measures(const tread_context *context) {
    const tread_context *own = context != NULL ? context : tread_context_resolve(NULL);
    return own->trace != NULL || atomic_load_explicit(&own->recorder, memory_order_relaxed) != NULL;
}

/* The time table. A call costs two clock reads where tracing is on and one branch where it is off:
 *     uint64_t start = tread_trace_start(context);
 *     ...
 *     tread_trace_stop(context, start, "linear", TREAD_TRACE_FORWARD); */
typedef enum tread_trace_phase {
    TREAD_TRACE_FORWARD,
    TREAD_TRACE_BACKWARD,
    TREAD_TRACE_PLAN,
    TREAD_TRACE_OTHER
} tread_trace_phase;
#define TREAD_TRACE_PHASES 4
/* Nanoseconds of the monotonic clock, 0 where tracing is off. */
uint64_t tread_trace_start(const tread_context *context);
/* name must be static (rows are found by address, and merged by text when the table is written). */
void tread_trace_stop(const tread_context *context, uint64_t start, const char *name, tread_trace_phase phase);

/* A table that will be appended to file ("-": standard error), which is opened now. TREAD_ERROR_IO, TREAD_ERROR_MEMORY.
 */
tread_status tread_trace_create(const char *file, tread_trace **ret_trace);
/* One call of ns nanoseconds; threads may add at once. Takes no memory: past TREAD_TRACE_NAMES names, new ones are
 * counted together as "(others)". */
#define TREAD_TRACE_NAMES 128
void tread_trace_add(tread_trace *trace, const char *name, tread_trace_phase phase, uint64_t ns);
/* Appends the table, the longest total first, under a line that ends in title; a table without a row, or in a forked
 * child, is not written. TREAD_ERROR_IO. */
tread_status tread_trace_write(const tread_trace *trace, const char *title);
void tread_trace_destroy(tread_trace *trace); /* NULL is accepted */

/* One line through the context's log callback, formatted into a buffer of 1 KiB. */
void tread_context_log(const tread_context *context, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
