#include "cli/log.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static tread_status fail(const cli_log *log, const char *step) {
    return tread_fail(TREAD_ERROR_IO, "%s: %s: %s", log->path, step, strerror(errno));
}

/* A pipe or a terminal has nothing to go on with, and to open one end of a pipe both ways would wait for itself. */
static bool is_regular(const char *path, bool *ret_empty) {
    struct stat file;
    bool regular = stat(path, &file) == 0 && S_ISREG(file.st_mode);
    *ret_empty = regular && file.st_size == 0;
    return regular;
}

/* By its first line, of which a crash may have left a part alone. */
static tread_status check_is_log(cli_log *log) {
    static const char start[] = "{\"event\":\"";
    char text[sizeof start] = "";
    FILE *file = fopen(log->path, "re");
    if (file == NULL)
        return fail(log, "whether it is a log that may be replaced cannot be read");
    bool good = fgets(text, sizeof text, file) != NULL && strcmp(text, start) == 0;
    fclose(file);
    return good ? TREAD_OK
                : tread_fail(TREAD_ERROR_FORMAT, "%s: it is not the log of a run, and so not replaced by one",
                             log->path);
}

tread_status cli_log_open(cli_log *log, const char *path) {
    bool empty;
    log->path = path;
    tread_status status = is_regular(path, &empty) && !empty ? check_is_log(log) : TREAD_OK;
    if (status != TREAD_OK)
        return status;
    log->file = fopen(path, "we");
    return log->file != NULL ? TREAD_OK : fail(log, "the log cannot be made");
}

/* Whether the line tells of something that the checkpoint knows. */
static bool is_known(const json_t *line, int64_t epochs, int64_t evaluated_step) {
    const char *event = json_string_value(json_object_get(line, "event"));
    if (event == NULL)
        return false;
    if (strcmp(event, "epoch") == 0)
        return json_integer_value(json_object_get(line, "epoch")) <= epochs;
    if (strcmp(event, "evaluation") == 0)
        return json_integer_value(json_object_get(line, "steps")) <= evaluated_step;
    return strcmp(event, "start") == 0;
}

/* Where the last such line ends, 0 where there is none. A line that a crash cut in two ends the search. */
static tread_status find_end(cli_log *log, int64_t epochs, int64_t evaluated_step, long *ret_end) {
    char *text = NULL;
    size_t size = 0;
    ssize_t n;
    *ret_end = 0;
    while ((n = getline(&text, &size, log->file)) > 0 && text[n - 1] == '\n') {
        json_t *line = json_loadb(text, (size_t)n, 0, NULL);
        if (is_known(line, epochs, evaluated_step))
            *ret_end = ftell(log->file);
        json_decref(line);
    }
    free(text);
    return ferror(log->file) ? fail(log, "the log cannot be read") : TREAD_OK;
}

tread_status cli_log_reopen(cli_log *log, const char *path, int64_t epochs, int64_t evaluated_step) {
    bool empty;
    long end;
    log->path = path;
    if (!is_regular(path, &empty))
        return cli_log_open(log, path);
    log->file = fopen(path, "r+e");
    if (log->file == NULL)
        return fail(log, "the log cannot be opened");
    tread_status status = find_end(log, epochs, evaluated_step, &end);
    if (status != TREAD_OK)
        return status;
    clearerr(log->file);
    if (fseek(log->file, 0, SEEK_END) != 0 || (end == 0 && ftell(log->file) > 0))
        return tread_fail(TREAD_ERROR_FORMAT, "%s: it is not the log of a run, and so not gone on with", path);
    if (fseek(log->file, end, SEEK_SET) != 0 || ftruncate(fileno(log->file), end) != 0)
        return fail(log, "the log cannot be cut to the checkpoint");
    log->continued = end > 0;
    return TREAD_OK;
}

tread_status cli_log_write(cli_log *log, json_t *object) {
    tread_status status = TREAD_OK;
    if (log->file == NULL)
        ;
    else if (object == NULL)
        status = tread_fail(TREAD_ERROR_MEMORY, "out of memory: a line of the log");
    else if (json_dumpf(object, log->file, JSON_COMPACT) != 0 || fputc('\n', log->file) == EOF ||
             fflush(log->file) != 0)
        status = fail(log, "the log cannot be written");
    json_decref(object);
    return status;
}

static json_t *real(double value) { return isfinite(value) ? json_real(value) : json_null(); }

static tread_action on_epoch(void *data, tread_trainer *trainer, const tread_epoch_metrics *m) {
    (void)trainer;
    json_t *line =
        json_pack("{s:s, s:I, s:I, s:I, s:o, s:o, s:o, s:o, s:o, s:o}", "event", "epoch", "epoch", (json_int_t)m->epoch,
                  "steps", (json_int_t)m->steps, "closure_calls", (json_int_t)m->closure_calls, "train_loss",
                  real(m->train_loss), "test_loss", real(m->test_loss), "test_accuracy", real(m->test_accuracy), "lr",
                  real(m->lr), "samples_per_second", real(m->samples_per_second), "seconds", real(m->seconds));
    return cli_log_write(data, line) == TREAD_OK ? TREAD_CONTINUE : TREAD_FAIL;
}

/* The epoch's own evaluation stands in its line. */
static tread_action on_evaluation(void *data, tread_trainer *trainer, const tread_evaluation *e) {
    if (e->epoch != tread_trainer_result(trainer)->epochs)
        return TREAD_CONTINUE;
    json_t *line =
        json_pack("{s:s, s:I, s:I, s:o, s:o, s:b}", "event", "evaluation", "steps", (json_int_t)e->step, "epochs",
                  (json_int_t)e->epoch, "loss", real(e->loss), "metric", real(e->metric), "best", (int)e->best);
    return cli_log_write(data, line) == TREAD_OK ? TREAD_CONTINUE : TREAD_FAIL;
}

/* What a checkpoint knows, its log must not lose. */
static tread_action on_checkpoint_begin(void *data, tread_trainer *trainer, const tread_checkpoint_info *checkpoint) {
    const cli_log *log = data;
    (void)trainer, (void)checkpoint;
    if (fsync(fileno(log->file)) == 0 || errno == EINVAL || errno == EROFS) /* a pipe has no disk */
        return TREAD_CONTINUE;
    fail(log, "the log cannot be written to disk");
    return TREAD_FAIL;
}

tread_callbacks cli_log_callbacks(cli_log *log) {
    tread_callbacks callbacks = tread_callbacks_defaults();
    callbacks.data = log;
    callbacks.on_epoch = on_epoch;
    callbacks.on_evaluation = on_evaluation;
    callbacks.on_checkpoint_begin = on_checkpoint_begin;
    return callbacks;
}

tread_status cli_log_close(cli_log *log) {
    if (log->file == NULL)
        return TREAD_OK;
    FILE *file = log->file;
    log->file = NULL;
    return fclose(file) == 0 ? TREAD_OK : fail(log, "the log cannot be written");
}
