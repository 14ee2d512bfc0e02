/* Layer: cli. The curve of a scheduler: the lr of each step, computed by stepping one on an optimizer. */
#ifndef TREAD_CLI_CURVE_H
#define TREAD_CLI_CURVE_H

#include <stdbool.h>

#include "cli/options.h"

typedef struct cli_curve {
    const char *spec;
    double base_lr;
    const double *metrics; /* metric i is measured at the end of step i; NULL where the scheduler follows none */
    int64_t n_metrics;
    int64_t n; /* steps, from 0; asked for: 0 is as many as the metrics give, else CLI_CURVE_STEPS */
    /* Set by cli_curve_compute. */
    double *lr;       /* n values */
    double *momentum; /* n values; NULL where the scheduler leaves it alone */
} cli_curve;

#define CLI_CURVE_STEPS 100

/* Fills in the curve; otherwise gives the exit code, and the reason is on standard error. */
cli_exit cli_curve_compute(const cli_command *command, cli_curve *curve);
void cli_curve_free(cli_curve *curve);

/* A table for people: every step of a short curve; of a long one the steps at which lr changes, if they are few, else
 * every so many and the turning points. every > 0: every so many steps, and the last. */
void cli_curve_print_table(const cli_curve *curve, int64_t every);
/* "step,lr", then a line per step, each lr in as many digits as give the same double back. */
void cli_curve_print_csv(const cli_curve *curve);

#endif
