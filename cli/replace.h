/* Layer: cli. A text file that takes the place of an earlier one when it is whole, and not before. */
#ifndef TREAD_CLI_REPLACE_H
#define TREAD_CLI_REPLACE_H

#include <limits.h>
#include <stdio.h>
#include <tread/status.h>

typedef struct cli_replacement {
    const char *option, *path; /* for sentences */
    FILE *file;                /* to write to */
    char target[PATH_MAX];     /* path without links */
    char temporary[PATH_MAX];  /* in the same folder; "": path is no regular file, and is written itself */
} cli_replacement;

/* The file that path names keeps its mode; a link stays one. TREAD_ERROR_IO: the sentence names the option. */
tread_status cli_replacement_open(cli_replacement *replacement, const char *option, const char *path);
/* Has it on disk and puts it in its place; the earlier file stays where that fails, or a write before did.
 * TREAD_ERROR_IO. */
tread_status cli_replacement_close(cli_replacement *replacement);

#endif
