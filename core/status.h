/* Layer: core. For Tread's own use of the thread's error sentence. */
#ifndef TREAD_CORE_STATUS_H
#define TREAD_CORE_STATUS_H

#include <tread/status.h>

/* Of the longest sentence, its NUL included. */
#define TREAD_ERROR_BYTES 4096

/* The rule: whoever finds the fault calls tread_fail once; callers hand the status on unchanged. Where the
 * outer call knows a name that the inner one could not (a file, a parameter), it puts it in front. */
tread_status tread_fail_prefix(tread_status status, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* tread_fail for functions that return a pointer. */
#define tread_fail_null(...) ((void)tread_fail(__VA_ARGS__), NULL)

/* For functions that return a status: the handle `object` must be there. */
#define TREAD_REFUSE_NULL(call, object)                                                                                \
    do {                                                                                                               \
        if ((object) == NULL)                                                                                          \
            return tread_fail(TREAD_ERROR_ARGUMENT, "%s: the " #object " is NULL", call);                              \
    } while (0)

/* Hands a failure on. */
#define TREAD_TRY(expression)                                                                                          \
    do {                                                                                                               \
        tread_status try_status_ = (expression);                                                                       \
        if (try_status_ != TREAD_OK)                                                                                   \
            return try_status_;                                                                                        \
    } while (0)

#endif
