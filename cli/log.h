/* Layer: cli. The log of a run: one JSON object a line. Events: "start" (what runs), "epoch" (epoch, train_loss,
 * test_loss, test_accuracy, lr, samples_per_second, seconds), "evaluation" (those by steps: steps, epochs, loss,
 * metric), "resume" (steps, epochs), "end" (what came of it). A number that is not finite is null. */
#ifndef TREAD_CLI_LOG_H
#define TREAD_CLI_LOG_H

#include <jansson.h>
#include <stdio.h>
#include <tread/trainer.h>

typedef struct cli_log {
    const char *path;
    FILE *file;
    bool continued; /* it had lines of the run already */
} cli_log;

/* Makes the file, or empties it where it is the log of an earlier run. TREAD_ERROR_IO, TREAD_ERROR_FORMAT: it is some
 * other file. */
tread_status cli_log_open(cli_log *log, const char *path);
/* Opens the log of a run that goes on from a checkpoint, of which so many epochs were done, and the evaluation by steps
 * of evaluated_step: later lines are cut off, since they will be written again. One that is not there is made;
 * what is no regular file is opened as it is.
 * TREAD_ERROR_IO, TREAD_ERROR_FORMAT: it is no such log. */
tread_status cli_log_reopen(cli_log *log, const char *path, int64_t epochs, int64_t evaluated_step);
/* Writes one line and takes the object. A log that was not opened accepts everything. TREAD_ERROR_IO,
 * TREAD_ERROR_MEMORY. */
tread_status cli_log_write(cli_log *log, json_t *object);
/* Writes the lines of epochs and evaluations, and has them on disk before a checkpoint; ends the run with TREAD_FAIL
 * where that fails. */
tread_callbacks cli_log_callbacks(cli_log *log);
tread_status cli_log_close(cli_log *log);

#endif
