/* Layer: core. A context holds what a computation shares: threads, back-end, seed, and where messages and the
 * per-op time table go.
 *
 * Every function that takes a context takes NULL for the process's default one, which is made from the
 * environment at first use and lives as long as the process. A context must outlive what was made with it. Different
 * contexts may be used from different threads, and one context by several threads at once. */
#ifndef TREAD_CONTEXT_H
#define TREAD_CONTEXT_H

#include <stddef.h>
#include <stdint.h>
#include <tread/status.h>

TREAD_BEGIN_DECLS

typedef struct tread_context tread_context;

typedef enum tread_backend {
    TREAD_BACKEND_AUTO = 0,   /* oneDNN where the build has it, else ref */
    TREAD_BACKEND_ONEDNN = 1, /* matrix products through oneDNN, in float32 and bf16 (precision.h) */
    TREAD_BACKEND_REF = 2,    /* plain C: always there, same bits with and without OpenMP; bf16 on any CPU */
} tread_backend;

/* Receives one line without newline. data is the caller's. May be called from the thread that made the call
 * that logs, never from inside a parallel region. */
typedef void (*tread_log_fn)(void *data, const char *line);

typedef struct tread_context_options {
    size_t size; /* sizeof, set by tread_context_defaults() */
    int threads; /* 0: from TREAD_NUM_THREADS, OMP_NUM_THREADS, else counted (see tread_context_threads_reason) */
    tread_backend backend; /* AUTO: from TREAD_BACKEND, else oneDNN where built */
    uint64_t seed;         /* of initializers, dropout and samplers [0] */
    tread_log_fn log;      /* [NULL: messages are dropped] */
    void *log_data;
    const char *trace; /* file that the per-op time table is appended to when the context is destroyed (the default
                          one's: when the process exits); "-" is standard error. [NULL: from TREAD_TRACE, else no
                          tracing] */
} tread_context_options;

TREAD_API tread_context_options tread_context_defaults(void);

/* A context of its own; options NULL means the defaults. The caller destroys it, after everything made with it.
 * NULL on failure: TREAD_ERROR_ARGUMENT (threads outside 0..1024, an environment variable that is not what it
 * should be, named with its value), TREAD_ERROR_BACKEND (oneDNN asked for and not built in),
 * TREAD_ERROR_IO (the trace file cannot be opened), TREAD_ERROR_MEMORY. */
TREAD_API tread_context *tread_context_create(const tread_context_options *options);

/* Writes the trace table if one was asked for, and frees. NULL is accepted; the default context is left. */
TREAD_API void tread_context_destroy(tread_context *context);

/* How many threads a parallel region of this context uses, and why that many, e.g.
 * "TREAD_NUM_THREADS", "context option", "2 physical cores". */
TREAD_API int tread_context_threads(const tread_context *context);
TREAD_API const char *tread_context_threads_reason(const tread_context *context);

/* The back-end in use, never AUTO. */
TREAD_API tread_backend tread_context_backend(const tread_context *context);
TREAD_API uint64_t tread_context_seed(const tread_context *context);

TREAD_END_DECLS

#endif
