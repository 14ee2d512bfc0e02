#include "core/options.h"

#include <string.h>

tread_status tread_options_read(const char *call, const void *given, void *options, size_t known) {
    if (given == NULL)
        return TREAD_OK;
    size_t size;
    memcpy(&size, given, sizeof size);
    return tread_options_lay(call, given, size, options, known);
}

tread_status tread_options_lay(const char *call, const void *given, size_t size, void *options, size_t known) {
    if (size < sizeof size)
        return tread_fail(TREAD_ERROR_ARGUMENT,
                          "%s: options.size is %zu; begin with what the _defaults() function returns", call, size);
    for (size_t i = known; i < size; i++)
        if (((const char *)given)[i] != 0)
            return tread_fail(TREAD_ERROR_ARGUMENT,
                              "%s: options.size is %zu and this library knows the first %zu bytes; byte %zu is set",
                              call, size, known, i);
    memcpy(options, given, size < known ? size : known);
    memcpy(options, &known, sizeof known);
    return TREAD_OK;
}
