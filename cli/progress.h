/* Layer: cli. What a run shows: a line that is rewritten where standard error is a terminal, and a plain line an epoch
 * on standard output. */
#ifndef TREAD_CLI_PROGRESS_H
#define TREAD_CLI_PROGRESS_H

#include <tread/trainer.h>

/* A line on standard error that is rewritten; nothing where that is no terminal. */
typedef struct cli_line {
    bool terminal;
    bool shown;  /* whether one stands there now */
    double next; /* when it is written again, in seconds of the caller's clock */
} cli_line;
cli_line cli_line_of_terminal(void);
/* Whether it was not written for a while: more often nobody could read it. */
bool cli_line_is_due(cli_line *line, double now);
/* Cut to the terminal's width: what is wrapped cannot be rewritten. */
void cli_line_write(cli_line *line, const char *format, ...) __attribute__((format(printf, 2, 3)));
void cli_line_clear(cli_line *line);

typedef struct cli_progress {
    cli_line line;      /* its clock: seconds since the run began */
    double epoch_began; /* the same clock */
    int64_t steps;      /* of the epochs that are done */
    int64_t samples;    /* of this epoch so far */
    double loss;        /* sum over the samples since the line was last written */
    int64_t loss_samples;
} cli_progress;

/* The callbacks of a zeroed progress, which must outlive the trainer. They end the run with TREAD_FAIL when standard
 * output cannot be written. */
tread_callbacks cli_progress_callbacks(cli_progress *progress);

/* For what only shows something: from now on it is no failure that a reader of standard output leaves early, as head
 * does. */
void cli_reader_may_leave(void);
/* Writes out standard output; false, with the library's sentence set, where that fails (a closed pipe, a full disk). */
bool cli_flush_output(void);

/* The value as it is printed: printf writes the sign of a NaN too, which means nothing. */
double cli_unsigned_nan(double value);

#endif
