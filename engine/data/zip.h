/* Layer: engine. Entries of a zip archive, stored or deflated, also zip64 (PKWARE's APPNOTE 6.3.10). */
#ifndef TREAD_ENGINE_ZIP_H
#define TREAD_ENGINE_ZIP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <tread/status.h>
#include <zlib.h>

typedef struct tread_zip {
    const char *path; /* the caller's; for sentences */
    int fd;
    bool open;
    uint64_t file_size;
    uint64_t directory_begin; /* where the central directory lies in the file */
    size_t directory_size;
    uint8_t *directory; /* its bytes, each record checked */
    uint64_t count;     /* entries */
} tread_zip;

/* Reads the central directory. Close is to be called also after a failure. TREAD_ERROR_IO, TREAD_ERROR_FORMAT,
 * TREAD_ERROR_MEMORY. */
tread_status tread_zip_open(tread_zip *zip, const char *path);
void tread_zip_close(tread_zip *zip);

/* The names of the entries with commas between, cut to fit. */
void tread_zip_names(const tread_zip *zip, char *ret_text, size_t size);
bool tread_zip_has(const tread_zip *zip, const char *name);

typedef struct tread_zip_entry {
    const tread_zip *zip;
    const char *name; /* the caller's */
    uint16_t method;  /* 0 stored, 8 deflated */
    uint32_t crc, sum;
    uint64_t compressed, size; /* bytes in the file, and of the contents */
    uint64_t position, end;    /* in the file: what is not read yet */
    uint64_t given;            /* bytes of contents */
    bool inflating, ended;     /* ended: the deflated data is over */
    z_stream stream;
    uint8_t *buffer;
} tread_zip_entry;

/* Opens the entry of that name. Close is to be called also after a failure. TREAD_ERROR_FORMAT: absent (others are
 * named), twice, encrypted, compressed by another method, sizes that cannot be. TREAD_ERROR_IO, TREAD_ERROR_MEMORY. */
tread_status tread_zip_entry_open(tread_zip_entry *entry, const tread_zip *zip, const char *name);
void tread_zip_entry_close(tread_zip_entry *entry);

/* Reads n bytes; *ret_n is less only at the end of the contents, where their length and checksum have been checked. */
tread_status tread_zip_entry_read(tread_zip_entry *entry, void *data, size_t n, size_t *ret_n);
uint64_t tread_zip_entry_size(const tread_zip_entry *entry); /* of the contents, as the directory says */

#endif
