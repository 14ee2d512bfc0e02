/* Layer: cli. Where a drawing goes. */
#ifndef TREAD_CLI_DRAWING_H
#define TREAD_CLI_DRAWING_H

#include "cli/gnuplot.h"

typedef struct cli_drawing {
    cli_picture picture;
    const char *path; /* NULL: standard output */
    bool wanted, asked;
    FILE *file; /* the drawing, in memory */
} cli_drawing;

/* Whether the name ends in .png or .svg, and so says what is drawn. */
bool cli_drawing_to_file(cli_drawing *drawing, const char *path);
/* The terminal's, within reason. */
int cli_drawing_columns(void);
bool cli_copy(FILE *from, FILE *to);
/* Writes it where it goes, after a blank line on standard output; say: that a file was written. False with the
 * library's sentence, which names the option. */
bool cli_drawing_write(const cli_drawing *drawing, const char *option, bool say);

#endif
