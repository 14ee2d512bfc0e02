#include "engine/data/idx.h"

#include <stdio.h>
#include <string.h>
#include <tread/data.h>

#include "core/memory.h"
#include "core/parallel.h"
#include "core/status.h"

typedef unsigned long long ull;

static const char *type_name(uint8_t type) {
    switch (type) {
    case 0x08: return "unsigned bytes";
    case 0x09: return "signed bytes";
    case 0x0b: return "16-bit integers";
    case 0x0c: return "32-bit integers";
    case 0x0d: return "float32";
    case 0x0e: return "float64";
    default: return "unknown";
    }
}

static tread_status check_magic(const tread_idx *idx, const uint8_t magic[4], const char *what, int min_rank,
                                int max_rank) {
    if (magic[0] != 0 || magic[1] != 0)
        return tread_fail(TREAD_ERROR_FORMAT,
                          "%s: not an IDX file: begins with %02x %02x %02x %02x, expected 00 00 08 %02x", idx->path,
                          magic[0], magic[1], magic[2], magic[3], max_rank == 1 ? 1 : 3);
    if (magic[2] != 0x08)
        return tread_fail(TREAD_ERROR_FORMAT, "%s: element type 0x%02x (%s), expected 0x08 (unsigned bytes)", idx->path,
                          magic[2], type_name(magic[2]));
    if (magic[3] < min_rank || magic[3] > max_rank) {
        char expected[16];
        snprintf(expected, sizeof expected, min_rank == max_rank ? "%d" : "%d to %d", min_rank, max_rank);
        return tread_fail(TREAD_ERROR_FORMAT, "%s: rank %d, expected %s for %s", idx->path, magic[3], expected, what);
    }
    return TREAD_OK;
}

/* "28x28x60000" for sentences. */
static void extents_text(const tread_idx *idx, char *text, size_t size) {
    size_t length = 0;
    text[0] = '\0';
    for (int i = 0; i < idx->rank && length < size; i++)
        length += (size_t)snprintf(text + length, size - length, "%s%lld", i > 0 ? "x" : "", (long long)idx->shape[i]);
}

static tread_status check_extents(tread_idx *idx) {
    char extents[96];
    extents_text(idx, extents, sizeof extents);
    uint64_t header = 4 + 4 * (uint64_t)idx->rank, limit = tread_reader_limit(&idx->reader);
    bool overflow = false;
    idx->bytes = 1;
    for (int i = 0; i < idx->rank; i++) {
        if (idx->shape[i] == 0)
            return tread_fail(TREAD_ERROR_FORMAT, "%s: dimensions %s hold no values", idx->path, extents);
        overflow |= __builtin_mul_overflow(idx->bytes, (uint64_t)idx->shape[i], &idx->bytes);
    }
    if (overflow || idx->bytes > TREAD_IDX_MAX_BYTES)
        return tread_fail(TREAD_ERROR_FORMAT, "%s: dimensions %s are more than the %llu bytes that are accepted",
                          idx->path, extents, (ull)TREAD_IDX_MAX_BYTES);
    if (idx->shape[0] > INT32_MAX)
        return tread_fail(TREAD_ERROR_FORMAT, "%s: %lld samples, expected at most %d", idx->path,
                          (long long)idx->shape[0], INT32_MAX);
    if (limit == UINT64_MAX || header + idx->bytes <= limit) {
        if (idx->reader.gzip || !idx->reader.regular || header + idx->bytes == limit)
            return TREAD_OK;
        return tread_fail(TREAD_ERROR_FORMAT, "%s: too long: dimensions %s need %llu bytes, the file has %llu",
                          idx->path, extents, (ull)(header + idx->bytes), (ull)limit);
    }
    if (idx->reader.gzip)
        return tread_fail(TREAD_ERROR_FORMAT,
                          "%s: truncated: dimensions %s need %llu bytes, which %llu bytes of gzip data cannot hold",
                          idx->path, extents, (ull)(header + idx->bytes), (ull)idx->reader.file_size);
    return tread_fail(TREAD_ERROR_FORMAT, "%s: truncated: dimensions %s need %llu bytes, the file has %llu", idx->path,
                      extents, (ull)(header + idx->bytes), (ull)limit);
}

tread_status tread_idx_open(tread_idx *idx, const char *path, const char *what, int min_rank, int max_rank) {
    uint8_t header[4 + 4 * TREAD_MAX_RANK];
    size_t got;
    memset(idx, 0, sizeof *idx);
    if (strlen(path) >= sizeof idx->path)
        return tread_fail(TREAD_ERROR_ARGUMENT, "data: a path of %zu bytes is too long", strlen(path));
    memcpy(idx->path, path, strlen(path) + 1);
    TREAD_TRY(tread_reader_open(&idx->reader, idx->path));
    TREAD_TRY(tread_reader_read(&idx->reader, header, 4, &got));
    if (got < 4)
        return tread_fail(TREAD_ERROR_FORMAT, "%s: truncated: %zu bytes, expected an IDX header of %d", path, got,
                          4 + 4 * min_rank);
    TREAD_TRY(check_magic(idx, header, what, min_rank, max_rank));
    idx->rank = header[3];
    size_t extents = 4 * (size_t)idx->rank;
    TREAD_TRY(tread_reader_read(&idx->reader, header + 4, extents, &got));
    if (got < extents)
        return tread_fail(TREAD_ERROR_FORMAT, "%s: truncated: %zu bytes, expected an IDX header of %zu", path, 4 + got,
                          4 + extents);
    for (int i = 0; i < idx->rank; i++) {
        const uint8_t *b = header + 4 + 4 * i;
        idx->shape[i] = (int64_t)b[0] << 24 | (int64_t)b[1] << 16 | (int64_t)b[2] << 8 | (int64_t)b[3];
    }
    TREAD_TRY(check_extents(idx));
    idx->data = tread_alloc((size_t)idx->bytes, what);
    return idx->data == NULL ? TREAD_ERROR_MEMORY : TREAD_OK;
}

static tread_status read_values(tread_idx *idx) {
    char extents[96];
    size_t got, extra;
    uint8_t byte;
    extents_text(idx, extents, sizeof extents);
    TREAD_TRY(tread_reader_read(&idx->reader, idx->data, (size_t)idx->bytes, &got));
    if (got < idx->bytes)
        return tread_fail(TREAD_ERROR_FORMAT, "%s: truncated: dimensions %s need %llu bytes of values, found %zu",
                          idx->path, extents, (ull)idx->bytes, got);
    /* Reaching the end also lets zlib check its checksum. */
    TREAD_TRY(tread_reader_read(&idx->reader, &byte, 1, &extra));
    if (extra > 0)
        return tread_fail(TREAD_ERROR_FORMAT, "%s: too long: values follow the %llu that dimensions %s need", idx->path,
                          (ull)idx->bytes, extents);
    return TREAD_OK;
}

static void read_range(void *argument, int64_t begin, int64_t end) {
    tread_idx *files = argument;
    for (int64_t i = begin; i < end; i++) {
        files[i].status = read_values(&files[i]);
        if (files[i].status != TREAD_OK)
            snprintf(files[i].error, sizeof files[i].error, "%s", tread_last_error());
    }
}

tread_status tread_idx_read(const tread_context *context, tread_idx *files, int n) {
    tread_parallel_for(context, n, 1, 1, read_range, files);
    for (int i = 0; i < n; i++)
        if (files[i].status != TREAD_OK)
            return tread_fail(files[i].status, "%s", files[i].error);
    return TREAD_OK;
}

void tread_idx_close(tread_idx *idx) {
    tread_reader_close(&idx->reader);
    tread_free(idx->data);
    idx->data = NULL;
}
