#include "core/environment.h"

#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/status.h"

const char *tread_environment_text(const char *name) {
    const char *text = getenv(name);
    return text != NULL && *text != '\0' ? text : NULL;
}

/* Decimal digits alone, with blanks around; returns the end, or NULL. */
static const char *parse_integer(const char *text, long low, long high, long *ret_value) {
    while (isspace((unsigned char)*text))
        text++;
    const char *digits = *text == '-' ? text + 1 : text;
    if (!isdigit((unsigned char)*digits))
        return NULL;
    char *end;
    errno = 0;
    long value = strtol(text, &end, 10);
    if (errno != 0 || value < low || value > high)
        return NULL;
    while (isspace((unsigned char)*end))
        end++;
    *ret_value = value;
    return end;
}

static tread_status read_integer(const char *name, long low, long high, bool list, long *ret_value) {
    const char *text = tread_environment_text(name);
    if (text == NULL)
        return TREAD_OK;
    long value = 0;
    const char *end = parse_integer(text, low, high, &value);
    if (end == NULL || (*end != '\0' && !(list && *end == ',')))
        return tread_fail(TREAD_ERROR_ARGUMENT, "%s=%s is not a whole number from %ld to %ld%s", name, text, low, high,
                          list ? ", nor a list that begins with one" : "");
    *ret_value = value;
    return TREAD_OK;
}

tread_status tread_environment_integer(const char *name, long low, long high, long *ret_value) {
    return read_integer(name, low, high, false, ret_value);
}

tread_status tread_environment_first_integer(const char *name, long low, long high, long *ret_value) {
    return read_integer(name, low, high, true, ret_value);
}

tread_status tread_environment_word(const char *name, const char *const *words, size_t n, int *ret_index) {
    const char *text = tread_environment_text(name);
    if (text == NULL)
        return TREAD_OK;
    char list[256];
    size_t at = 0;
    list[0] = '\0';
    for (size_t i = 0; i < n; i++) {
        if (strcmp(text, words[i]) == 0) {
            *ret_index = (int)i;
            return TREAD_OK;
        }
        if (at < sizeof list)
            at += (size_t)snprintf(list + at, sizeof list - at, "%s%s", i > 0 ? ", " : "", words[i]);
    }
    return tread_fail(TREAD_ERROR_ARGUMENT, "%s=%s is not one of %s", name, text, list);
}
