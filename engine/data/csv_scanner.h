/* Layer: engine. Fields of a CSV file, one after the other. */
#ifndef TREAD_ENGINE_CSV_SCANNER_H
#define TREAD_ENGINE_CSV_SCANNER_H

#include "engine/data/reader.h"

typedef struct tread_csv_scanner {
    tread_reader reader;
    const char *name; /* for sentences */
    char delimiter;
    bool stops[256]; /* the bytes at which a field without quotes cannot simply go on */
    char *buffer;    /* the file's bytes [begin, end) that are not used yet */
    size_t begin, end, capacity;
    bool at_end;  /* nothing is left to be read into the buffer */
    int64_t line; /* of the byte at begin; from 1 */

    /* The field that next gave. */
    char *text; /* length bytes in the buffer, until the next call; a byte behind them may be read */
    size_t length;
    bool quoted;
    bool ends_record;   /* a line end, or the file's, stands behind it */
    int64_t field_line; /* where it begins */
    int64_t column;     /* from 1 */
    bool blank;         /* the whole record is an empty line */
} tread_csv_scanner;

/* Opens the file, or for path NULL takes the text as it. name: for sentences. Close also after a failure. */
tread_status tread_csv_open(tread_csv_scanner *scanner, const char *path, const char *text, const char *name,
                            char delimiter);
void tread_csv_close(tread_csv_scanner *scanner);

/* The next field; *ret_more is false at the end of the file. TREAD_ERROR_FORMAT, and the reader's errors. */
tread_status tread_csv_next(tread_csv_scanner *scanner, bool *ret_more);

/* TREAD_ERROR_FORMAT: "file:line: column 3: " and the rest, with the field's text (cut, control characters as ?) put in
 * for the first %s of format. The next argument may be the only further %s. */
tread_status tread_csv_field_fails(const tread_csv_scanner *scanner, const char *format, const char *more);

#endif
