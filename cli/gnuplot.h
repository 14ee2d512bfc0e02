/* Layer: cli. Curves drawn by gnuplot, a program of its own that need not be there. */
#ifndef TREAD_CLI_GNUPLOT_H
#define TREAD_CLI_GNUPLOT_H

#include <stdio.h>
#include <tread/status.h>

#include "cli/curve.h"

typedef enum cli_picture { CLI_PICTURE_TEXT, CLI_PICTURE_PNG, CLI_PICTURE_SVG } cli_picture;

/* What draws, written to gnuplot's input; the drawing goes to its standard output. */
typedef void cli_script_fn(FILE *script, const void *data, cli_picture picture, int columns);
/* columns: the width of a text. *ret_drawing is a file at its start, in memory, which the caller closes.
 * TREAD_ERROR_IO: gnuplot is not there (*ret_missing is set then), or failed, with what it said. */
tread_status cli_gnuplot_script(cli_script_fn *print, const void *data, cli_picture picture, int columns,
                                FILE **ret_drawing, bool *ret_missing);
/* For such scripts: the terminal, with a picture's height, and a text of at most n bytes in quotes. */
void cli_gnuplot_terminal(FILE *script, cli_picture picture, int columns, int height);
void cli_gnuplot_quoted(FILE *script, const char *text, size_t n);

/* Draws lr over steps; the rest as above. */
tread_status cli_gnuplot(const cli_curve *curve, cli_picture picture, int columns, FILE **ret_drawing,
                         bool *ret_missing);

#endif
