/* Layer: cli. `tread profile optimizer`: its outputs. */
#ifndef TREAD_CLI_PROFILE_OPTIMIZER_H
#define TREAD_CLI_PROFILE_OPTIMIZER_H

#include <stdbool.h>
#include <stdio.h>
#include <tread/profile.h>

#include "cli/drawing.h"
#include "cli/profile_report.h"

typedef struct cli_optimizer_report {
    const tread_profile_optimizer_result *result;
    tread_system_info info;
    int argc; /* of the command line */
    char **argv;
} cli_optimizer_report;

void cli_optimizer_print_table(FILE *file, const cli_optimizer_report *report);
void cli_optimizer_print_csv(FILE *file, const cli_optimizer_report *report);
/* False: out of memory. */
bool cli_optimizer_print_json(FILE *file, const cli_optimizer_report *report);
/* Speed-up with the ideal line, and time per parameter, over threads: a pair of charts for each layout. Errors as
 * cli_gnuplot_script(). */
tread_status cli_optimizer_draw(const cli_optimizer_report *report, cli_drawing *drawing);

#endif
