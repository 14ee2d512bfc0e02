#include "cli/history.h"

#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static double number(const json_t *line, const char *name) {
    const json_t *value = json_object_get(line, name);
    return json_is_number(value) ? json_number_value(value) : (double)NAN;
}

static tread_status add(cli_history *history, size_t *capacity, cli_history_point point) {
    while (history->n > 0 && history->points[history->n - 1].steps >= point.steps)
        history->n--;
    if (history->n == *capacity) {
        size_t grown = *capacity > 0 ? 2 * *capacity : 256;
        cli_history_point *points = realloc(history->points, grown * sizeof *points);
        if (points == NULL)
            return tread_fail(TREAD_ERROR_MEMORY, "out of memory: %zu points of a log", grown);
        history->points = points;
        *capacity = grown;
    }
    history->points[history->n++] = point;
    return TREAD_OK;
}

static tread_status add_line(cli_history *history, size_t *capacity, const json_t *line) {
    const char *event = json_string_value(json_object_get(line, "event"));
    cli_history_point point = {.steps = json_integer_value(json_object_get(line, "steps")),
                               .train_loss = NAN,
                               .test_loss = NAN,
                               .metric = NAN,
                               .lr = NAN};
    if (event != NULL && strcmp(event, "epoch") == 0) {
        point.train_loss = number(line, "train_loss");
        point.test_loss = number(line, "test_loss");
        point.metric = number(line, "test_accuracy");
        point.lr = number(line, "lr");
    } else if (event != NULL && strcmp(event, "evaluation") == 0) {
        point.test_loss = number(line, "loss");
        point.metric = number(line, "metric");
    } else {
        return TREAD_OK;
    }
    return add(history, capacity, point);
}

static tread_status read_lines(cli_history *history, FILE *file, const char *path) {
    char *text = NULL;
    size_t size = 0, capacity = 0;
    ssize_t n;
    tread_status status = TREAD_OK;
    for (int64_t number_of = 1; status == TREAD_OK && (n = getline(&text, &size, file)) > 0 && text[n - 1] == '\n';
         number_of++) {
        json_error_t error;
        json_t *line = json_loadb(text, (size_t)n, 0, &error);
        status = json_is_object(line) ? add_line(history, &capacity, line)
                                      : tread_fail(TREAD_ERROR_FORMAT, "%s: line %lld is no JSON object: %s", path,
                                                   (long long)number_of, line == NULL ? error.text : "another value");
        json_decref(line);
    }
    free(text);
    if (status == TREAD_OK && ferror(file))
        status = tread_fail(TREAD_ERROR_IO, "%s: cannot be read: %s", path, strerror(errno));
    return status;
}

tread_status cli_history_read(cli_history *history, const char *path) {
    *history = (cli_history){.n = 0};
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return tread_fail(TREAD_ERROR_IO, "%s: cannot be opened: %s", path, strerror(errno));
    tread_status status = read_lines(history, file, path);
    fclose(file);
    if (status == TREAD_OK && history->n == 0)
        status = tread_fail(TREAD_ERROR_FORMAT, "%s: it has no line of an epoch or an evaluation", path);
    return status;
}

void cli_history_free(cli_history *history) { free(history->points); }
