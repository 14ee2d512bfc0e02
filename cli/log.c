#include "cli/log.h"

#include <errno.h>
#include <math.h>
#include <string.h>

static tread_status fail(const cli_log *log, const char *step) {
    return tread_fail(TREAD_ERROR_IO, "%s: %s: %s", log->path, step, strerror(errno));
}

tread_status cli_log_open(cli_log *log, const char *path) {
    log->path = path;
    log->file = fopen(path, "we");
    return log->file != NULL ? TREAD_OK : fail(log, "the log cannot be made");
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

tread_callbacks cli_log_callbacks(cli_log *log) {
    tread_callbacks callbacks = tread_callbacks_defaults();
    callbacks.data = log;
    callbacks.on_epoch = on_epoch;
    return callbacks;
}

tread_status cli_log_close(cli_log *log) {
    if (log->file == NULL)
        return TREAD_OK;
    FILE *file = log->file;
    log->file = NULL;
    return fclose(file) == 0 ? TREAD_OK : fail(log, "the log cannot be written");
}
