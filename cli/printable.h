/* Layer: cli. Names and texts out of files, which may hold anything. */
#ifndef TREAD_CLI_PRINTABLE_H
#define TREAD_CLI_PRINTABLE_H

#include <stddef.h>

/* The text with control characters as question marks, so that no file commands a terminal; what does not fit is cut.
 * Returns buffer. */
#define CLI_PRINTABLE 1024
const char *cli_printable(char buffer[CLI_PRINTABLE], const char *text);

#endif
