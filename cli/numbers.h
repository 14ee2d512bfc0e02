/* Layer: cli. Files of numbers. */
#ifndef TREAD_CLI_NUMBERS_H
#define TREAD_CLI_NUMBERS_H

#include <stdint.h>
#include <tread/status.h>

/* Enough for the shortest text of any double. */
#define CLI_NUMBER_TEXT 32

/* Reads one number per line, nan and inf among them, from the file, or from standard input where path is "-". Blank
 * lines and what follows a # are passed over. The caller frees *ret_numbers. TREAD_ERROR_IO, TREAD_ERROR_FORMAT (names
 * file, line and text), TREAD_ERROR_MEMORY. */
tread_status cli_read_numbers(const char *path, double **ret_numbers, int64_t *ret_count);

/* The shortest decimal text that reads back as the same double; gives ret_text. */
const char *cli_number_text(char ret_text[CLI_NUMBER_TEXT], double value);

#endif
