#include "cli/numbers.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SHOWN 60 /* characters of a bad line in its error */

typedef struct numbers {
    double *values;
    int64_t count, room;
} numbers;

static tread_status add(numbers *all, double value) {
    if (all->count == all->room) {
        int64_t room = all->room > 0 ? 2 * all->room : 256;
        double *values = realloc(all->values, (size_t)room * sizeof *values);
        if (values == NULL)
            return tread_fail(TREAD_ERROR_MEMORY, "out of memory: %" PRId64 " numbers", room);
        all->values = values;
        all->room = room;
    }
    all->values[all->count++] = value;
    return TREAD_OK;
}

/* The line without its comment and the blanks round it, in place. */
static char *trimmed(char *line) {
    line[strcspn(line, "#")] = '\0';
    while (isspace((unsigned char)*line))
        line++;
    size_t length = strlen(line);
    while (length > 0 && isspace((unsigned char)line[length - 1]))
        length--;
    line[length] = '\0';
    return line;
}

static tread_status read_lines(FILE *file, const char *name, numbers *all) {
    char *line = NULL, *end;
    size_t size = 0;
    ssize_t length;
    tread_status status = TREAD_OK;
    for (int64_t at = 1; status == TREAD_OK && (errno = 0, length = getline(&line, &size, file)) >= 0; at++) {
        bool whole = strlen(line) == (size_t)length; /* else there is a NUL in it */
        char *text = trimmed(line);
        if (*text == '\0' && whole)
            continue;
        double value = strtod(text, &end);
        if (end == text || *end != '\0' || !whole)
            status = tread_fail(TREAD_ERROR_FORMAT, "%s:%" PRId64 ": '%.*s' is not a number", name, at, SHOWN, text);
        else
            status = add(all, value);
    }
    if (status == TREAD_OK && ferror(file))
        status = tread_fail(TREAD_ERROR_IO, "%s: %s", name, strerror(errno));
    free(line);
    return status;
}

tread_status cli_read_numbers(const char *path, double **ret_numbers, int64_t *ret_count) {
    bool standard = strcmp(path, "-") == 0;
    FILE *file = standard ? stdin : fopen(path, "re");
    if (file == NULL)
        return tread_fail(TREAD_ERROR_IO, "%s: %s", path, strerror(errno));
    numbers all = {.values = NULL};
    const char *name = standard ? "standard input" : path;
    tread_status status = read_lines(file, name, &all);
    if (!standard)
        fclose(file);
    if (status == TREAD_OK && all.count == 0)
        status = tread_fail(TREAD_ERROR_FORMAT, "%s: there is no number in it", name);
    if (status != TREAD_OK) {
        free(all.values);
        return status;
    }
    *ret_numbers = all.values;
    *ret_count = all.count;
    return TREAD_OK;
}

const char *cli_number_text(char ret_text[CLI_NUMBER_TEXT], double value) {
    for (int digits = 15; digits <= 17; digits++) {
        snprintf(ret_text, CLI_NUMBER_TEXT, "%.*g", digits, value);
        if (strtod(ret_text, NULL) == value)
            break;
    }
    return ret_text;
}
