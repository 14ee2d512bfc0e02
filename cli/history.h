/* Layer: cli. The log of a run, read for its curves. */
#ifndef TREAD_CLI_HISTORY_H
#define TREAD_CLI_HISTORY_H

#include <stddef.h>
#include <stdint.h>
#include <tread/status.h>

typedef struct cli_history_point {
    int64_t steps;
    double train_loss, test_loss, metric, lr; /* NaN: not in the line */
} cli_history_point;

typedef struct cli_history {
    cli_history_point *points; /* by steps; of several at one step the last */
    size_t n;
} cli_history;

/* Reads the lines of epochs and evaluations. Where a run went on from an earlier point without its log having been cut,
 * what it did anew takes the place of what it did before. A last line without its end, which is being written, is left
 * out. TREAD_ERROR_IO, TREAD_ERROR_FORMAT (a line that is no JSON object, named), TREAD_ERROR_MEMORY. */
tread_status cli_history_read(cli_history *history, const char *path);
void cli_history_free(cli_history *history);

#endif
