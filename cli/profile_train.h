/* Layer: cli. `tread profile train`: its outputs. */
#ifndef TREAD_CLI_PROFILE_TRAIN_H
#define TREAD_CLI_PROFILE_TRAIN_H

#include <stdbool.h>
#include <stdio.h>
#include <tread/profile_train.h>

#include "cli/drawing.h"
#include "cli/profile_report.h"
#include "cli/training.h"

typedef struct cli_train_report {
    const tread_train_profile *profile;
    const cli_training *training;
    tread_system_info info;
    int argc; /* of the command line */
    char **argv;
} cli_train_report;

/* "linear 0.weight backward", "gemm dw 128x784x32", "rest" */
#define CLI_PART_TEXT 192
const char *cli_part_text(const tread_profile_part *part, char text[CLI_PART_TEXT]);
/* What went on in a step, in words with commas between: "first of an epoch, lost a CPU"; "" for nothing. */
#define CLI_EVENTS_TEXT 256
const char *cli_step_events(const tread_profile_step *step, char text[CLI_EVENTS_TEXT]);

void cli_train_print_table(FILE *file, const cli_train_report *report);
void cli_train_print_csv(FILE *file, const cli_train_report *report); /* the parts */
/* Everything. False: out of memory. */
bool cli_train_print_json(FILE *file, const cli_train_report *report);
/* The time of every step, and how they are distributed. Errors as cli_gnuplot_script(). */
tread_status cli_train_draw(const cli_train_report *report, cli_drawing *drawing);

#endif
