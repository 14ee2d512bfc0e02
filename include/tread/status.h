/* Layer: core. How every function of Tread reports failure.
 *
 * A function that can fail returns a tread_status, or a pointer that is NULL on failure. Each public call that
 * fails also leaves one sentence with the names and numbers in tread_last_error(), per thread; a call that
 * succeeds leaves the sentence alone, and so does an operation on a tape that has failed before (tape.h). Outputs are
 * untouched on failure. Nothing in the library prints, exits or aborts.
 *
 * A handle that is NULL, because making it failed, is TREAD_ERROR_ARGUMENT in a call that can fail; getters give 0,
 * false, NULL or NaN for it, and calls that return nothing do nothing. */
#ifndef TREAD_STATUS_H
#define TREAD_STATUS_H

#ifdef __cplusplus
#define TREAD_BEGIN_DECLS extern "C" {
#define TREAD_END_DECLS }
#else
#define TREAD_BEGIN_DECLS
#define TREAD_END_DECLS
#endif

#define TREAD_API __attribute__((visibility("default")))

TREAD_BEGIN_DECLS

typedef enum tread_status {
    TREAD_OK = 0,
    TREAD_ERROR_ARGUMENT = 1,  /* an argument, option or field is missing, unknown or out of its range */
    TREAD_ERROR_SHAPE = 2,     /* shapes do not fit each other or the operation */
    TREAD_ERROR_DTYPE = 3,     /* the element type is not one the operation takes */
    TREAD_ERROR_STATE = 4,     /* the call does not fit what came before: a graph used twice, a stale tensor */
    TREAD_ERROR_MEMORY = 5,    /* memory could not be had */
    TREAD_ERROR_IO = 6,        /* the system refused a file operation */
    TREAD_ERROR_FORMAT = 7,    /* a file's contents are not what they should be */
    TREAD_ERROR_NUMERIC = 8,   /* a loss, gradient or metric is not finite where it must be */
    TREAD_ERROR_BACKEND = 9,   /* oneDNN refused or failed, or is not in this build */
    TREAD_ERROR_CALLBACK = 10, /* a closure or callback of the caller reported failure */
} tread_status;

/* The status in words ("out of memory"). Static; for an unknown value "unknown status". */
TREAD_API const char *tread_status_string(tread_status status);

/* The sentence of this thread's last failed call; "" before the first. Valid until this thread's next
 * failing call; owned by the library. */
TREAD_API const char *tread_last_error(void);

/* Sets this thread's sentence (cut at 4095 bytes) and returns status, so that a closure or callback of the
 * caller can fail as the library does: return tread_fail(TREAD_ERROR_CALLBACK, "batch %d is empty", i); */
TREAD_API tread_status tread_fail(tread_status status, const char *format, ...) __attribute__((format(printf, 2, 3)));

TREAD_END_DECLS

#endif
