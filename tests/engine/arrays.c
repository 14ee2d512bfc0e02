#include "tests/engine/arrays.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

static void put(test_bytes *bytes, uint64_t value, int n) {
    for (int i = 0; i < n; i++)
        bytes->data[bytes->n++] = (uint8_t)(value >> (8 * i));
}

static void put_text(test_bytes *bytes, const void *data, size_t n) {
    memcpy(bytes->data + bytes->n, data, n);
    bytes->n += n;
}

test_bytes test_npy(int version, const char *literal, const void *values, size_t n_values) {
    size_t length = strlen(literal), prefix = version == 1 ? 10 : 12,
           header = (prefix + length + 64) / 64 * 64 - prefix;
    test_bytes bytes = {malloc(prefix + header + n_values), 0};
    put_text(&bytes, "\x93NUMPY", 6);
    put(&bytes, (uint64_t)version, 1);
    put(&bytes, 0, 1);
    put(&bytes, header, version == 1 ? 2 : 4);
    memset(bytes.data + bytes.n, ' ', header);
    memcpy(bytes.data + bytes.n, literal, length);
    bytes.data[bytes.n + header - 1] = '\n';
    bytes.n += header;
    put_text(&bytes, values, n_values);
    return bytes;
}

static size_t deflate_raw(const test_bytes *contents, uint8_t *to, size_t room) {
    z_stream stream = {
        .next_in = contents->data, .avail_in = (uInt)contents->n, .next_out = to, .avail_out = (uInt)room};
    deflateInit2(&stream, 6, Z_DEFLATED, -MAX_WBITS, 8, Z_DEFAULT_STRATEGY);
    deflate(&stream, Z_FINISH);
    deflateEnd(&stream);
    return room - stream.avail_out;
}

/* The part that local header and directory have in common, from "version needed" on. */
static void put_common(test_bytes *zip, const test_entry *entry, size_t packed, size_t extra) {
    put(zip, entry->zip64 ? 45 : 20, 2);
    put(zip, 0, 2); /* flags */
    put(zip, entry->deflate ? 8 : 0, 2);
    put(zip, 0, 4); /* time */
    put(zip, crc32(0, entry->contents.data, (uInt)entry->contents.n), 4);
    put(zip, entry->zip64 ? UINT32_MAX : packed, 4);
    put(zip, entry->zip64 ? UINT32_MAX : entry->contents.n, 4);
    put(zip, strlen(entry->name), 2);
    put(zip, extra, 2);
}

static void put_extra(test_bytes *zip, const test_entry *entry, size_t packed, const size_t *place) {
    put(zip, 0x7777, 2); /* somebody else's field first */
    put(zip, 3, 2);
    put(zip, 0, 3);
    put(zip, 1, 2);
    put(zip, place != NULL ? 24 : 16, 2);
    put(zip, entry->contents.n, 8);
    put(zip, packed, 8);
    if (place != NULL)
        put(zip, *place, 8);
}

test_bytes test_zip(const test_entry *entries, int n, bool zip64) {
    size_t room = 1024, places[16], packed[16];
    for (int i = 0; i < n; i++)
        room += 2 * entries[i].contents.n + 1024;
    test_bytes zip = {malloc(room), 0};
    for (int i = 0; i < n; i++) {
        const test_entry *entry = &entries[i];
        uint8_t *to = malloc(2 * entry->contents.n + 256);
        packed[i] = entry->deflate ? deflate_raw(&entry->contents, to, 2 * entry->contents.n + 256) : entry->contents.n;
        places[i] = zip.n;
        put(&zip, 0x04034b50, 4);
        put_common(&zip, entry, packed[i], entry->zip64 ? 27 : 0);
        put_text(&zip, entry->name, strlen(entry->name));
        if (entry->zip64)
            put_extra(&zip, entry, packed[i], NULL);
        put_text(&zip, entry->deflate ? to : entry->contents.data, packed[i]);
        free(to);
    }
    size_t directory = zip.n;
    for (int i = 0; i < n; i++) {
        put(&zip, 0x02014b50, 4);
        put(&zip, 20, 2);
        put_common(&zip, &entries[i], packed[i], entries[i].zip64 ? 35 : 0);
        put(&zip, 0, 2); /* comment */
        put(&zip, 0, 2);
        put(&zip, 0, 2);
        put(&zip, 0, 4);
        put(&zip, entries[i].zip64 ? UINT32_MAX : places[i], 4);
        put_text(&zip, entries[i].name, strlen(entries[i].name));
        if (entries[i].zip64)
            put_extra(&zip, &entries[i], packed[i], &places[i]);
    }
    size_t end = zip.n;
    if (zip64) {
        put(&zip, 0x06064b50, 4);
        put(&zip, 44, 8);
        put(&zip, 45, 2);
        put(&zip, 45, 2);
        put(&zip, 0, 8);
        put(&zip, (uint64_t)n, 8);
        put(&zip, (uint64_t)n, 8);
        put(&zip, end - directory, 8);
        put(&zip, directory, 8);
        put(&zip, 0x07064b50, 4);
        put(&zip, 0, 4);
        put(&zip, end, 8);
        put(&zip, 1, 4);
    }
    put(&zip, 0x06054b50, 4);
    put(&zip, 0, 4);
    put(&zip, zip64 ? UINT16_MAX : (uint64_t)n, 2);
    put(&zip, zip64 ? UINT16_MAX : (uint64_t)n, 2);
    put(&zip, zip64 ? UINT32_MAX : end - directory, 4);
    put(&zip, zip64 ? UINT32_MAX : directory, 4);
    put(&zip, 0, 2);
    return zip;
}
