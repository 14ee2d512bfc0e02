/* Layer: cli. Curves drawn by gnuplot, a program of its own that need not be there. */
#ifndef TREAD_CLI_GNUPLOT_H
#define TREAD_CLI_GNUPLOT_H

#include <stdio.h>
#include <tread/status.h>

#include "cli/curve.h"

typedef enum cli_picture { CLI_PICTURE_TEXT, CLI_PICTURE_PNG, CLI_PICTURE_SVG } cli_picture;

/* Draws lr over steps; columns: the width of a text. *ret_drawing is a file at its start, in memory, which the caller
 * closes. TREAD_ERROR_IO: gnuplot is not there (*ret_missing is set then), or failed, with what it said. */
tread_status cli_gnuplot(const cli_curve *curve, cli_picture picture, int columns, FILE **ret_drawing,
                         bool *ret_missing);

#endif
