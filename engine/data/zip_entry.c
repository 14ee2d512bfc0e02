#include <string.h>

#include "core/memory.h"
#include "core/status.h"
#include "engine/data/zip_record.h"

typedef unsigned long long ull;

#define LOCAL_BYTES 30 /* local header, without name and extra field */
#define BUFFER_BYTES ((size_t)1 << 16)
#define DEFLATE_MAX_RATIO 1032

/* The zip64 extra field has those of the numbers that the record has no room for, in this order. */
static bool parse_extra(const uint8_t *extra, size_t n, tread_zip_record *record) {
    uint64_t *const numbers[] = {&record->size, &record->compressed, &record->header};
    bool needed = false;
    for (int k = 0; k < 3; k++)
        needed |= *numbers[k] == UINT32_MAX;
    if (!needed)
        return true;
    for (size_t at = 0; at + 4 <= n;) {
        size_t length = tread_zip_u16(extra + at + 2), used = 0;
        if (length > n - at - 4)
            return false;
        if (tread_zip_u16(extra + at) == 1) {
            for (int k = 0; k < 3; k++)
                if (*numbers[k] == UINT32_MAX) {
                    if (used + 8 > length)
                        return false;
                    *numbers[k] = tread_zip_u64(extra + at + 4 + used);
                    used += 8;
                }
            return true;
        }
        at += 4 + length;
    }
    return false;
}

bool tread_zip_record_parse(const uint8_t *directory, size_t size, size_t *at, tread_zip_record *ret_record) {
    if (size - *at < TREAD_ZIP_RECORD)
        return false;
    const uint8_t *b = directory + *at;
    size_t name = tread_zip_u16(b + 28), extra = tread_zip_u16(b + 30), comment = tread_zip_u16(b + 32);
    if (tread_zip_u32(b) != 0x02014b50 || size - *at - TREAD_ZIP_RECORD < name + extra + comment)
        return false;
    *ret_record = (tread_zip_record){.name = b + TREAD_ZIP_RECORD,
                                     .name_length = name,
                                     .flags = tread_zip_u16(b + 8),
                                     .method = tread_zip_u16(b + 10),
                                     .crc = tread_zip_u32(b + 16),
                                     .compressed = tread_zip_u32(b + 20),
                                     .size = tread_zip_u32(b + 24),
                                     .header = tread_zip_u32(b + 42)};
    *at += TREAD_ZIP_RECORD + name + extra + comment;
    return parse_extra(b + TREAD_ZIP_RECORD + name, extra, ret_record);
}

int tread_zip_find(const tread_zip *zip, const char *name, tread_zip_record *ret_record) {
    int found = 0;
    size_t at = 0, length = strlen(name);
    for (uint64_t i = 0; i < zip->count; i++) {
        tread_zip_record record;
        if (tread_zip_record_parse(zip->directory, zip->directory_size, &at, &record) && record.name_length == length &&
            memcmp(record.name, name, length) == 0 && found++ == 0)
            *ret_record = record;
    }
    return found;
}

static void *zlib_alloc(void *opaque, uInt items, uInt size) {
    (void)opaque;
    return tread_calloc(items, size, "zlib");
}

static void zlib_free(void *opaque, void *block) {
    (void)opaque;
    tread_free(block);
}

static tread_status check_record(const tread_zip_entry *entry, const tread_zip_record *record) {
    const char *path = entry->zip->path;
    uint64_t most;
    if ((record->flags & 0x2041) != 0) /* encrypted, in three ways */
        return tread_fail(TREAD_ERROR_FORMAT, "%s: %s is encrypted", path, entry->name);
    if (record->method != 0 && record->method != 8)
        return tread_fail(TREAD_ERROR_FORMAT, "%s: %s is compressed by method %d, expected 0 (stored) or 8 (deflate)",
                          path, entry->name, record->method);
    if (record->method == 0 && record->size != record->compressed)
        return tread_fail(TREAD_ERROR_FORMAT, "%s: %s is stored, and has %llu bytes in %llu", path, entry->name,
                          (ull)record->size, (ull)record->compressed);
    if (record->method == 8 && !__builtin_mul_overflow(record->compressed, (uint64_t)DEFLATE_MAX_RATIO, &most) &&
        record->size > most)
        return tread_fail(TREAD_ERROR_FORMAT, "%s: %s is to have %llu bytes, which %llu of deflate cannot hold", path,
                          entry->name, (ull)record->size, (ull)record->compressed);
    if (record->header > entry->zip->directory_begin || entry->zip->directory_begin - record->header < LOCAL_BYTES)
        return tread_fail(TREAD_ERROR_FORMAT, "%s: %s begins at %llu, which is outside the entries", path, entry->name,
                          (ull)record->header);
    return TREAD_OK;
}

/* The local header says where the data begins; all else is the directory's. */
static tread_status find_data(tread_zip_entry *entry, const tread_zip_record *record) {
    const tread_zip *zip = entry->zip;
    uint8_t local[LOCAL_BYTES];
    TREAD_TRY(tread_zip_read_at(zip, record->header, local, LOCAL_BYTES));
    if (tread_zip_u32(local) != 0x04034b50 || tread_zip_u16(local + 8) != record->method ||
        tread_zip_u16(local + 26) != record->name_length)
        return tread_fail(TREAD_ERROR_FORMAT, "%s: the header of %s at %llu is not the one that the directory has",
                          zip->path, entry->name, (ull)record->header);
    entry->position = record->header + LOCAL_BYTES + tread_zip_u16(local + 26) + (uint64_t)tread_zip_u16(local + 28);
    if (entry->position > zip->directory_begin || zip->directory_begin - entry->position < record->compressed)
        return tread_fail(TREAD_ERROR_FORMAT, "%s: the %llu bytes of %s do not fit in the file", zip->path,
                          (ull)record->compressed, entry->name);
    entry->end = entry->position + record->compressed;
    return TREAD_OK;
}

static tread_status start(tread_zip_entry *entry) {
    if (entry->method == 0)
        return TREAD_OK;
    entry->buffer = tread_alloc(BUFFER_BYTES, "read buffer");
    if (entry->buffer == NULL)
        return TREAD_ERROR_MEMORY;
    entry->stream.zalloc = zlib_alloc;
    entry->stream.zfree = zlib_free;
    if (inflateInit2(&entry->stream, -MAX_WBITS) != Z_OK)
        return tread_fail(TREAD_ERROR_MEMORY, "%s: out of memory for zlib", entry->zip->path);
    entry->inflating = true;
    return TREAD_OK;
}

tread_status tread_zip_entry_open(tread_zip_entry *entry, const tread_zip *zip, const char *name) {
    tread_zip_record record;
    *entry = (tread_zip_entry){.zip = zip, .name = name};
    int found = tread_zip_find(zip, name, &record);
    if (found == 0) {
        char names[512];
        tread_zip_names(zip, names, sizeof names);
        return tread_fail(TREAD_ERROR_FORMAT, "%s: there is no %s among %s", zip->path, name,
                          zip->count > 0 ? names : "its entries: it is empty");
    }
    if (found > 1)
        return tread_fail(TREAD_ERROR_FORMAT, "%s: there are %d entries named %s", zip->path, found, name);
    TREAD_TRY(check_record(entry, &record));
    TREAD_TRY(find_data(entry, &record));
    entry->method = record.method;
    entry->crc = record.crc;
    entry->compressed = record.compressed;
    entry->size = record.size;
    entry->sum = (uint32_t)crc32(0, NULL, 0);
    return start(entry);
}

void tread_zip_entry_close(tread_zip_entry *entry) {
    if (entry->inflating)
        inflateEnd(&entry->stream);
    tread_free(entry->buffer);
    *entry = (tread_zip_entry){0};
}

static tread_status inflate_fails(const tread_zip_entry *entry, const char *why) {
    return tread_fail(TREAD_ERROR_FORMAT, "%s: %s: damaged deflate data after %llu bytes of contents: %s",
                      entry->zip->path, entry->name, (ull)entry->given, why);
}

/* One piece of at most n bytes; *ret_n = 0 where the deflated data is over. */
static tread_status inflate_some(tread_zip_entry *entry, uint8_t *data, size_t n, size_t *ret_n) {
    z_stream *stream = &entry->stream;
    for (*ret_n = 0; *ret_n == 0 && !entry->ended;) {
        if (stream->avail_in == 0 && entry->position < entry->end) {
            uint64_t left = entry->end - entry->position;
            size_t piece = left < BUFFER_BYTES ? (size_t)left : BUFFER_BYTES;
            TREAD_TRY(tread_zip_read_at(entry->zip, entry->position, entry->buffer, piece));
            entry->position += piece;
            stream->next_in = entry->buffer;
            stream->avail_in = (uInt)piece;
        }
        stream->next_out = data;
        stream->avail_out = (uInt)(n < 1u << 30 ? n : 1u << 30);
        uInt room = stream->avail_out;
        int code = inflate(stream, Z_NO_FLUSH);
        *ret_n = room - stream->avail_out;
        if (code == Z_STREAM_END)
            entry->ended = true;
        else if (code == Z_MEM_ERROR)
            return tread_fail(TREAD_ERROR_MEMORY, "%s: out of memory for zlib", entry->zip->path);
        else if (code == Z_BUF_ERROR && stream->avail_in == 0 && entry->position == entry->end)
            return inflate_fails(entry, "it ends early");
        else if (code != Z_OK)
            return inflate_fails(entry, stream->msg != NULL ? stream->msg : zError(code));
    }
    return TREAD_OK;
}

static tread_status stored_some(tread_zip_entry *entry, uint8_t *data, size_t n, size_t *ret_n) {
    uint64_t left = entry->end - entry->position;
    *ret_n = left < n ? (size_t)left : n;
    *ret_n = *ret_n < BUFFER_BYTES ? *ret_n : BUFFER_BYTES; /* so that the sum is made of what the cache has */
    TREAD_TRY(tread_zip_read_at(entry->zip, entry->position, data, *ret_n));
    entry->position += *ret_n;
    return TREAD_OK;
}

static tread_status check_end(const tread_zip_entry *entry) {
    if (entry->given != entry->size)
        return tread_fail(TREAD_ERROR_FORMAT, "%s: %s has %llu bytes, and the directory says %llu", entry->zip->path,
                          entry->name, (ull)entry->given, (ull)entry->size);
    if (entry->method == 8 && (entry->stream.avail_in > 0 || entry->position < entry->end))
        return inflate_fails(entry, "bytes follow its end");
    if (entry->sum != entry->crc)
        return tread_fail(TREAD_ERROR_FORMAT, "%s: %s has the checksum %08x, and the directory says %08x",
                          entry->zip->path, entry->name, entry->sum, entry->crc);
    return TREAD_OK;
}

tread_status tread_zip_entry_read(tread_zip_entry *entry, void *data, size_t n, size_t *ret_n) {
    size_t done = 0;
    while (done < n) {
        uint8_t *to = (uint8_t *)data + done;
        size_t got = 0;
        TREAD_TRY(entry->method == 8 ? inflate_some(entry, to, n - done, &got)
                                     : stored_some(entry, to, n - done, &got));
        if (got == 0) {
            TREAD_TRY(check_end(entry));
            break;
        }
        entry->sum = (uint32_t)crc32_z(entry->sum, to, got);
        entry->given += got;
        done += got;
    }
    *ret_n = done;
    return TREAD_OK;
}

uint64_t tread_zip_entry_size(const tread_zip_entry *entry) { return entry->size; }
