#include "tests/engine/forge.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "tests/engine/files.h"

static void hash_text(const void *data, size_t n, char *digits) {
    XXH128_hash_t hash = XXH3_128bits(data, n);
    char text[33];
    snprintf(text, sizeof text, "%016llx%016llx", (unsigned long long)hash.high64, (unsigned long long)hash.low64);
    memcpy(digits, text, 32);
}

static void put_length(uint8_t *bytes, uint64_t length) {
    for (int i = 0; i < 8; i++)
        bytes[i] = (uint8_t)(length >> 8 * i);
}

static void put_data(uint8_t *at, const void *data, size_t n) {
    if (data != NULL)
        memcpy(at, data, n);
    else
        memset(at, 0, n);
}

void forge_plain(const char *path, const char *header, const void *data, size_t n) {
    size_t length = strlen(header);
    uint8_t *bytes = malloc(8 + length + n);
    put_length(bytes, length);
    memcpy(bytes + 8, header, length);
    put_data(bytes + 8 + length, data, n);
    test_write(path, bytes, 8 + length + n);
    free(bytes);
}

void forge_marked(const char *path, const char *tree, const char *entries, const void *data, size_t n) {
    static const char mark[] = "{\"__metadata__\":{\"tread_header_hash\":\"";
    size_t size = 200 + (tree != NULL ? 2 * strlen(tree) + 64 : 0) + strlen(entries);
    char *header = malloc(size + n + 8), *at = header + 8;
    uint8_t *values = malloc(n + 1);
    put_data(values, data, n);
    at += sprintf(at, "%s%032d\"", mark, 0);
    at += sprintf(at, "%s", tree != NULL ? ",\"tread\":\"" : "");
    for (const char *from = tree; from != NULL && *from != '\0'; from++) {
        if (strncmp(from, "$HASH", 5) == 0) {
            hash_text(values, n, at);
            at += 32;
            from += 4;
            continue;
        }
        if (*from == '"' || *from == '\\')
            *at++ = '\\';
        *at++ = *from;
    }
    at += sprintf(at, "%s}%s}", tree != NULL ? "\"" : "", entries);
    size_t length = (size_t)(at - header) - 8;
    put_length((uint8_t *)header, length);
    hash_text(header, 8 + length, header + 8 + sizeof mark - 1);
    memcpy(at, values, n);
    test_write(path, header, 8 + length + n);
    free(values);
    free(header);
}
