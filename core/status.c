#include "core/status.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <tread/version.h>

static _Thread_local char last_error[TREAD_ERROR_BYTES];

const char *tread_version(void) { return TREAD_VERSION_STRING; }

const char *tread_last_error(void) { return last_error; }

tread_status tread_fail(tread_status status, const char *format, ...) {
    char text[sizeof last_error]; /* arguments may point into last_error */
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    memcpy(last_error, text, sizeof text);
    return status;
}

tread_status tread_fail_prefix(tread_status status, const char *format, ...) {
    char text[sizeof last_error];
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    if (length >= 0 && (size_t)length < sizeof text)
        snprintf(text + length, sizeof text - (size_t)length, "%s", last_error);
    memcpy(last_error, text, sizeof text);
    return status;
}

const char *tread_status_string(tread_status status) {
    switch (status) {
    case TREAD_OK: return "ok";
    case TREAD_ERROR_ARGUMENT: return "bad argument";
    case TREAD_ERROR_SHAPE: return "shapes do not fit";
    case TREAD_ERROR_DTYPE: return "wrong element type";
    case TREAD_ERROR_STATE: return "call does not fit the state";
    case TREAD_ERROR_MEMORY: return "out of memory";
    case TREAD_ERROR_IO: return "file operation failed";
    case TREAD_ERROR_FORMAT: return "bad file contents";
    case TREAD_ERROR_NUMERIC: return "not finite";
    case TREAD_ERROR_BACKEND: return "back-end failed";
    case TREAD_ERROR_CALLBACK: return "callback failed";
    }
    return "unknown status";
}
