/* Layer: engine. One entry of a zip archive's central directory. */
#ifndef TREAD_ENGINE_ZIP_RECORD_H
#define TREAD_ENGINE_ZIP_RECORD_H

#include "engine/data/zip.h"

#define TREAD_ZIP_RECORD 46 /* bytes at least */

typedef struct tread_zip_record {
    const uint8_t *name; /* in the directory, name_length bytes */
    size_t name_length;
    uint16_t flags, method;
    uint32_t crc;
    uint64_t compressed, size, header; /* header: where in the file */
} tread_zip_record;

/* Numbers of a zip archive have their small end first. */
static inline uint16_t tread_zip_u16(const uint8_t *b) { return (uint16_t)(b[0] | b[1] << 8); }
static inline uint32_t tread_zip_u32(const uint8_t *b) {
    return tread_zip_u16(b) | (uint32_t)tread_zip_u16(b + 2) << 16;
}
static inline uint64_t tread_zip_u64(const uint8_t *b) {
    return tread_zip_u32(b) | (uint64_t)tread_zip_u32(b + 4) << 32;
}

/* The record at *at, which then is that of the next one. False: there is none, or it does not fit. */
bool tread_zip_record_parse(const uint8_t *directory, size_t size, size_t *at, tread_zip_record *ret_record);
/* How often the name is there, and the first of them. */
int tread_zip_find(const tread_zip *zip, const char *name, tread_zip_record *ret_record);

/* n bytes of the file. TREAD_ERROR_IO, TREAD_ERROR_FORMAT (it ends before). */
tread_status tread_zip_read_at(const tread_zip *zip, uint64_t offset, void *data, size_t n);

#endif
