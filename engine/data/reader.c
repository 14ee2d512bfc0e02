#include "engine/data/reader.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

#include "core/memory.h"
#include "core/status.h"
#include "engine/file_system.h"

#define BUFFER_BYTES ((size_t)1 << 18)
#define DEFLATE_MAX_RATIO 1032

static void *zlib_alloc(void *opaque, uInt items, uInt size) {
    (void)opaque;
    return tread_calloc(items, size, "zlib");
}

static void zlib_free(void *opaque, void *block) {
    (void)opaque;
    tread_free(block);
}

/* At most n bytes; *ret_n = 0 at the end of the file. */
static tread_status read_some(tread_reader *reader, void *data, size_t n, size_t *ret_n) {
    ssize_t got = tread_fs_read(reader->fd, data, n);
    if (got < 0)
        return tread_fail(TREAD_ERROR_IO, "%s: cannot read: %s", reader->path, strerror(errno));
    *ret_n = (size_t)got;
    return TREAD_OK;
}

/* Makes the buffer hold at least `least` bytes, fewer only at the end of the file. */
static tread_status fill(tread_reader *reader, size_t least) {
    if (reader->end - reader->begin >= least)
        return TREAD_OK;
    memmove(reader->buffer, reader->buffer + reader->begin, reader->end - reader->begin);
    reader->end -= reader->begin;
    reader->begin = 0;
    while (reader->end < least) {
        size_t got = 0;
        TREAD_TRY(read_some(reader, reader->buffer + reader->end, BUFFER_BYTES - reader->end, &got));
        if (got == 0)
            break;
        reader->end += got;
    }
    return TREAD_OK;
}

static bool at_gzip_magic(const tread_reader *reader) {
    const uint8_t *bytes = reader->buffer + reader->begin;
    return reader->end - reader->begin >= 2 && bytes[0] == 0x1f && bytes[1] == 0x8b;
}

static tread_status start(tread_reader *reader) {
    struct stat status;
    if (tread_fs_fstat(reader->fd, &status) != 0)
        return tread_fail(TREAD_ERROR_IO, "%s: cannot stat: %s", reader->path, strerror(errno));
    if (S_ISDIR(status.st_mode))
        return tread_fail(TREAD_ERROR_IO, "%s: is a folder, expected a file", reader->path);
    reader->regular = S_ISREG(status.st_mode);
    reader->file_size = reader->regular ? (uint64_t)status.st_size : 0;
    reader->buffer = tread_alloc(BUFFER_BYTES, "read buffer");
    if (reader->buffer == NULL)
        return TREAD_ERROR_MEMORY;
    TREAD_TRY(fill(reader, 2));
    if (!at_gzip_magic(reader))
        return TREAD_OK;
    reader->stream.zalloc = zlib_alloc;
    reader->stream.zfree = zlib_free;
    if (inflateInit2(&reader->stream, 16 + MAX_WBITS) != Z_OK) /* 16: gzip and nothing else */
        return tread_fail(TREAD_ERROR_MEMORY, "%s: out of memory for zlib", reader->path);
    reader->gzip = reader->member_open = true;
    return TREAD_OK;
}

tread_status tread_reader_open(tread_reader *reader, const char *path) {
    *reader = (tread_reader){.path = path};
    reader->fd = tread_fs_open(path, O_RDONLY | O_CLOEXEC, 0);
    if (reader->fd < 0)
        return tread_fail(TREAD_ERROR_IO, "%s: cannot open: %s", path, strerror(errno));
    reader->open = true;
    tread_status status = start(reader);
    if (status != TREAD_OK)
        tread_reader_close(reader);
    return status;
}

void tread_reader_close(tread_reader *reader) {
    if (reader->open)
        tread_fs_close(reader->fd);
    if (reader->gzip)
        inflateEnd(&reader->stream);
    tread_free(reader->buffer);
    *reader = (tread_reader){0};
}

static tread_status inflate_failed(const tread_reader *reader, int code) {
    if (code == Z_MEM_ERROR)
        return tread_fail(TREAD_ERROR_MEMORY, "%s: out of memory for zlib", reader->path);
    return tread_fail(TREAD_ERROR_FORMAT, "%s: damaged gzip data after %llu bytes of contents: %s", reader->path,
                      (unsigned long long)reader->position, reader->stream.msg ? reader->stream.msg : zError(code));
}

/* Between members: at the end of the file the contents end, at the magic of a further member they go on. */
static tread_status next_member(tread_reader *reader, bool *ret_more) {
    TREAD_TRY(fill(reader, 2));
    *ret_more = reader->end > reader->begin;
    if (!*ret_more)
        return TREAD_OK;
    if (!at_gzip_magic(reader))
        return tread_fail(TREAD_ERROR_FORMAT,
                          "%s: bytes that are not gzip follow the end of the gzip data (%llu bytes of contents)",
                          reader->path, (unsigned long long)reader->position);
    inflateReset(&reader->stream);
    reader->member_open = true;
    return TREAD_OK;
}

static tread_status inflate_some(tread_reader *reader, uint8_t *data, size_t n, size_t *ret_n) {
    z_stream *stream = &reader->stream;
    for (*ret_n = 0; *ret_n == 0;) {
        if (!reader->member_open) {
            bool more;
            TREAD_TRY(next_member(reader, &more));
            if (!more)
                return TREAD_OK;
        }
        TREAD_TRY(fill(reader, 1));
        if (reader->begin == reader->end)
            return tread_fail(TREAD_ERROR_FORMAT, "%s: truncated: the gzip data ends after %llu bytes of contents",
                              reader->path, (unsigned long long)reader->position);
        size_t room = n < UINT_MAX ? n : UINT_MAX;
        stream->next_in = reader->buffer + reader->begin;
        stream->avail_in = (uInt)(reader->end - reader->begin);
        stream->next_out = data;
        stream->avail_out = (uInt)room;
        int code = inflate(stream, Z_NO_FLUSH);
        reader->begin = reader->end - stream->avail_in;
        *ret_n = room - stream->avail_out;
        reader->position += *ret_n;
        if (code == Z_STREAM_END)
            reader->member_open = false;
        else if (code != Z_OK)
            return inflate_failed(reader, code);
    }
    return TREAD_OK;
}

static tread_status read_plain(tread_reader *reader, uint8_t *data, size_t n, size_t *ret_n) {
    *ret_n = reader->end - reader->begin < n ? reader->end - reader->begin : n;
    if (*ret_n > 0) {
        memcpy(data, reader->buffer + reader->begin, *ret_n);
        reader->begin += *ret_n;
    } else {
        TREAD_TRY(read_some(reader, data, n, ret_n));
    }
    reader->position += *ret_n;
    return TREAD_OK;
}

tread_status tread_reader_read(tread_reader *reader, void *data, size_t n, size_t *ret_n) {
    size_t done = 0, got = 1;
    for (; done < n && got > 0; done += got) {
        uint8_t *to = (uint8_t *)data + done;
        TREAD_TRY(reader->gzip ? inflate_some(reader, to, n - done, &got) : read_plain(reader, to, n - done, &got));
    }
    *ret_n = done;
    return TREAD_OK;
}

uint64_t tread_reader_limit(const tread_reader *reader) {
    if (!reader->regular)
        return UINT64_MAX;
    if (!reader->gzip)
        return reader->file_size;
    uint64_t limit;
    return __builtin_mul_overflow(reader->file_size, (uint64_t)DEFLATE_MAX_RATIO, &limit) ? UINT64_MAX : limit;
}
