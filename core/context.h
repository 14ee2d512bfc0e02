/* Layer: core. What a context is made of, and the per-op time table. */
#ifndef TREAD_CORE_CONTEXT_H
#define TREAD_CORE_CONTEXT_H

#include <stdbool.h>
#include <tread/context.h>

/* The context to use for one that may be NULL. Never NULL: where the default context cannot be made as the environment
 * says, one with one thread and the ref back-end stands in, and tread_context_default_status() has the error. */
const tread_context *tread_context_resolve(const tread_context *context);
tread_status tread_context_default_status(void);

/* The time table. A call costs two clock reads where tracing is on and one branch where it is off:
 *     uint64_t start = tread_trace_start(context);
 *     ...
 *     tread_trace_stop(context, start, "linear", TREAD_TRACE_FORWARD); */
typedef enum tread_trace_phase { TREAD_TRACE_FORWARD, TREAD_TRACE_BACKWARD, TREAD_TRACE_PLAN, TREAD_TRACE_OTHER } tread_trace_phase;
uint64_t tread_trace_start(const tread_context *context);
/* name must be static (rows are found by address first). */
void tread_trace_stop(const tread_context *context, uint64_t start, const char *name, tread_trace_phase phase);

/* One line through the context's log callback, formatted into a buffer of 1 KiB. */
void tread_context_log(const tread_context *context, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
