/* Layer: engine. Reads a file from its start, plain or gzip (told by its first two bytes). */
#ifndef TREAD_ENGINE_READER_H
#define TREAD_ENGINE_READER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <tread/status.h>
#include <zlib.h>

typedef struct tread_reader {
    const char *path; /* the caller's; for error sentences */
    bool open;
    int fd;
    bool gzip;
    bool member_open;   /* gzip: within a member, so the end of the file would be a truncation */
    bool regular;       /* file_size is known */
    uint64_t file_size; /* bytes on disk */
    uint64_t position;  /* bytes given so far, uncompressed */
    z_stream stream;
    uint8_t *buffer; /* bytes of the file that were read and not used yet: [begin, end) */
    size_t begin, end;
} tread_reader;

/* Opens path and looks at its first bytes. On failure nothing is left open. TREAD_ERROR_IO, TREAD_ERROR_MEMORY. */
tread_status tread_reader_open(tread_reader *reader, const char *path);
void tread_reader_close(tread_reader *reader); /* closed and zeroed ones are accepted */

/* Reads n bytes into data; *ret_n is less than n only at the end of the contents. gzip data is inflated straight into
 * data. TREAD_ERROR_IO, TREAD_ERROR_FORMAT (damaged or truncated gzip data), TREAD_ERROR_MEMORY. */
tread_status tread_reader_read(tread_reader *reader, void *data, size_t n, size_t *ret_n);

/* The contents cannot be longer than this: the file's size, or what deflate can make of it (1032 for 1, its format's
 * limit). UINT64_MAX where the file is not a regular one. So a reader can refuse a lying header before allocating. */
uint64_t tread_reader_limit(const tread_reader *reader);

#endif
