#include "engine/data/zip.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "core/memory.h"
#include "core/status.h"
#include "engine/data/zip_record.h"
#include "engine/file_system.h"

typedef unsigned long long ull;

#define MAX_COMMENT 65535
#define MAX_DIRECTORY ((uint64_t)1 << 26)
#define END_BYTES 22     /* end of central directory */
#define LOCATOR_BYTES 20 /* of the zip64 end */
#define END64_BYTES 56

tread_status tread_zip_read_at(const tread_zip *zip, uint64_t offset, void *data, size_t n) {
    for (size_t done = 0; done < n;) {
        ssize_t got = tread_fs_pread(zip->fd, (uint8_t *)data + done, n - done, (off_t)(offset + done));
        if (got < 0)
            return tread_fail(TREAD_ERROR_IO, "%s: cannot read: %s", zip->path, strerror(errno));
        if (got == 0)
            return tread_fail(TREAD_ERROR_FORMAT, "%s: truncated: it ends within %zu bytes at %llu", zip->path, n,
                              (ull)offset);
        done += (size_t)got;
    }
    return TREAD_OK;
}

static tread_status open_file(tread_zip *zip, const char *path) {
    struct stat status;
    *zip = (tread_zip){.path = path};
    zip->fd = tread_fs_open(path, O_RDONLY | O_CLOEXEC, 0);
    if (zip->fd < 0)
        return tread_fail(TREAD_ERROR_IO, "%s: cannot open: %s", path, strerror(errno));
    zip->open = true;
    if (tread_fs_fstat(zip->fd, &status) != 0)
        return tread_fail(TREAD_ERROR_IO, "%s: cannot stat: %s", path, strerror(errno));
    if (!S_ISREG(status.st_mode))
        return tread_fail(TREAD_ERROR_IO, "%s: is not a regular file", path);
    zip->file_size = (uint64_t)status.st_size;
    return TREAD_OK;
}

/* Looks for the end record, which only a comment may follow, from the end of the file backwards. */
static tread_status find_end(const tread_zip *zip, uint64_t *ret_offset, uint8_t *ret_end) {
    uint64_t most = END_BYTES + MAX_COMMENT;
    size_t n = (size_t)(zip->file_size < most ? zip->file_size : most);
    if (n < END_BYTES)
        return tread_fail(TREAD_ERROR_FORMAT, "%s: not a zip archive: %zu bytes, expected at least %d", zip->path, n,
                          END_BYTES);
    uint8_t *tail = tread_alloc(n, "end of a zip archive");
    if (tail == NULL)
        return TREAD_ERROR_MEMORY;
    tread_status status = tread_zip_read_at(zip, zip->file_size - n, tail, n);
    bool found = false;
    for (size_t i = n - END_BYTES + 1; status == TREAD_OK && !found && i-- > 0;)
        if (tread_zip_u32(tail + i) == 0x06054b50 && i + END_BYTES + tread_zip_u16(tail + i + 20) == n) {
            memcpy(ret_end, tail + i, END_BYTES);
            *ret_offset = zip->file_size - n + i;
            found = true;
        }
    tread_free(tail);
    TREAD_TRY(status);
    return found
               ? TREAD_OK
               : tread_fail(TREAD_ERROR_FORMAT, "%s: not a zip archive, or truncated: it has no end record", zip->path);
}

typedef struct directory_place {
    uint64_t begin, size, count;
    uint64_t limit; /* the directory ends here at the latest */
} directory_place;

static tread_status read_end64(const tread_zip *zip, uint64_t end_offset, directory_place *place, bool *ret_is_64) {
    uint8_t locator[LOCATOR_BYTES], end[END64_BYTES];
    *ret_is_64 = false;
    if (end_offset < LOCATOR_BYTES)
        return TREAD_OK;
    TREAD_TRY(tread_zip_read_at(zip, end_offset - LOCATOR_BYTES, locator, LOCATOR_BYTES));
    if (tread_zip_u32(locator) != 0x07064b50)
        return TREAD_OK;
    uint64_t at = tread_zip_u64(locator + 8);
    if (end_offset < LOCATOR_BYTES + END64_BYTES || at > end_offset - LOCATOR_BYTES - END64_BYTES)
        return tread_fail(TREAD_ERROR_FORMAT, "%s: zip: the zip64 end record at %llu is outside the file", zip->path,
                          (ull)at);
    TREAD_TRY(tread_zip_read_at(zip, at, end, END64_BYTES));
    if (tread_zip_u32(end) != 0x06064b50)
        return tread_fail(TREAD_ERROR_FORMAT, "%s: zip: there is no zip64 end record at %llu", zip->path, (ull)at);
    if (tread_zip_u32(end + 16) != 0 || tread_zip_u32(end + 20) != 0 ||
        tread_zip_u64(end + 24) != tread_zip_u64(end + 32))
        return tread_fail(TREAD_ERROR_FORMAT, "%s: zip: an archive in several parts", zip->path);
    *place = (directory_place){.count = tread_zip_u64(end + 32),
                               .size = tread_zip_u64(end + 40),
                               .begin = tread_zip_u64(end + 48),
                               .limit = at};
    *ret_is_64 = true;
    return TREAD_OK;
}

static tread_status locate(const tread_zip *zip, directory_place *place) {
    uint8_t end[END_BYTES] = {0};
    uint64_t offset = 0;
    bool is_64;
    TREAD_TRY(find_end(zip, &offset, end));
    TREAD_TRY(read_end64(zip, offset, place, &is_64));
    if (!is_64) {
        if (tread_zip_u16(end + 4) != 0 || tread_zip_u16(end + 6) != 0 ||
            tread_zip_u16(end + 8) != tread_zip_u16(end + 10))
            return tread_fail(TREAD_ERROR_FORMAT, "%s: zip: an archive in several parts", zip->path);
        *place = (directory_place){.count = tread_zip_u16(end + 10),
                                   .size = tread_zip_u32(end + 12),
                                   .begin = tread_zip_u32(end + 16),
                                   .limit = offset};
    }
    if (place->begin > place->limit || place->size != place->limit - place->begin || place->size > MAX_DIRECTORY ||
        place->count > place->size / TREAD_ZIP_RECORD)
        return tread_fail(TREAD_ERROR_FORMAT, "%s: zip: a directory of %llu entries in %llu bytes at %llu cannot be",
                          zip->path, (ull)place->count, (ull)place->size, (ull)place->begin);
    return TREAD_OK;
}

static tread_status check_records(const tread_zip *zip) {
    size_t at = 0;
    for (uint64_t i = 0; i < zip->count; i++) {
        tread_zip_record record;
        if (!tread_zip_record_parse(zip->directory, zip->directory_size, &at, &record))
            return tread_fail(TREAD_ERROR_FORMAT, "%s: zip: entry %llu of the directory is damaged", zip->path, (ull)i);
    }
    if (at != zip->directory_size)
        return tread_fail(TREAD_ERROR_FORMAT, "%s: zip: the directory is longer than its %llu entries", zip->path,
                          (ull)zip->count);
    return TREAD_OK;
}

tread_status tread_zip_open(tread_zip *zip, const char *path) {
    directory_place place = {0};
    TREAD_TRY(open_file(zip, path));
    TREAD_TRY(locate(zip, &place));
    zip->directory = tread_alloc((size_t)place.size, "directory of a zip archive");
    if (zip->directory == NULL)
        return TREAD_ERROR_MEMORY;
    zip->directory_begin = place.begin;
    zip->directory_size = (size_t)place.size;
    zip->count = place.count;
    TREAD_TRY(tread_zip_read_at(zip, place.begin, zip->directory, zip->directory_size));
    return check_records(zip);
}

void tread_zip_close(tread_zip *zip) {
    if (zip->open)
        tread_fs_close(zip->fd);
    tread_free(zip->directory);
    *zip = (tread_zip){0};
}

void tread_zip_names(const tread_zip *zip, char *ret_text, size_t size) {
    size_t at = 0, length = 0;
    ret_text[0] = '\0';
    for (uint64_t i = 0; i < zip->count && length < size; i++) {
        tread_zip_record record;
        if (!tread_zip_record_parse(zip->directory, zip->directory_size, &at, &record))
            return;
        char name[64];
        size_t n = record.name_length < sizeof name - 1 ? record.name_length : sizeof name - 1;
        for (size_t k = 0; k < n; k++)
            name[k] = (char)(record.name[k] < ' ' || record.name[k] == 0x7f ? '?' : record.name[k]);
        name[n] = '\0';
        length += (size_t)snprintf(ret_text + length, size - length, "%s%s", i > 0 ? ", " : "", name);
    }
}

bool tread_zip_has(const tread_zip *zip, const char *name) {
    tread_zip_record record;
    return tread_zip_find(zip, name, &record) > 0;
}
