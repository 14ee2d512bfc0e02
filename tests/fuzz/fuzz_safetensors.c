/* Fuzz target, in libFuzzer's form: the readers of checkpoints, weights and tensor files. The first byte says how the
 * others become a file, since a random change almost never has the right hash and so would end at the first check:
 *
 * 0: as they are.
 * 1: as they are, with the right hash of the header where Tread's mark is.
 * 2: text of the tree, NUL, further members of the header, NUL, data; marked and hashed as Tread does it. A "$" in the
 *    tree stands for the hash of the data.
 * 3: two bytes with the header's length, header, data.
 *
 *     clang -fsanitize=fuzzer,address,undefined ... && ./fuzz_safetensors -malloc_limit_mb=64
 * tests/fuzz/seeds/safetensors
 *
 * Beyond crashes it looks for memory that is not given back, for states that differ from themselves, and for those that
 * do not come back the same from another file. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <tread/checkpoint.h>
#include <tread/state_diff.h>
#include <tread/weights.h>
#include <unistd.h>
#include <xxhash.h>

#include "core/memory.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char mark[] = "{\"__metadata__\":{\"tread_header_hash\":\"";
#define DIGITS_AT (8 + sizeof mark - 1)

static void must(int condition, const char *what) {
    if (!condition) {
        fprintf(stderr, "fuzz_safetensors: %s: %s\n", what, tread_last_error());
        abort();
    }
}

/* ---- Files ---- */

static void put_hash(const uint8_t *data, size_t n, uint8_t *digits) {
    XXH128_hash_t hash = XXH3_128bits(data, n);
    char text[33];
    snprintf(text, sizeof text, "%016llx%016llx", (unsigned long long)hash.high64, (unsigned long long)hash.low64);
    memcpy(digits, text, 32);
}

static void put_length(uint8_t *bytes, uint64_t length) {
    for (int i = 0; i < 8; i++)
        bytes[i] = (uint8_t)(length >> 8 * i);
}

static void fix_header_hash(uint8_t *bytes, size_t n) {
    uint64_t length = 0;
    for (int i = 7; i >= 0 && n >= 8; i--)
        length = length << 8 | bytes[i];
    if (n < 8 || length > n - 8 || length < DIGITS_AT + 32 - 8 || memcmp(bytes + 8, mark, sizeof mark - 1) != 0)
        return;
    memset(bytes + DIGITS_AT, '0', 32);
    put_hash(bytes, 8 + (size_t)length, bytes + DIGITS_AT);
}

/* The next text up to a NUL or the end. */
static const uint8_t *next_text(const uint8_t **at, size_t *n, size_t *ret_length) {
    const uint8_t *text = *at, *end = *n > 0 ? memchr(text, 0, *n) : NULL;
    *ret_length = end != NULL ? (size_t)(end - text) : *n;
    size_t used = *ret_length + (end != NULL);
    *at += used;
    *n -= used;
    return text;
}

static size_t forge(const uint8_t *from, size_t n, uint8_t *bytes) {
    size_t n_tree, n_members;
    const uint8_t *tree = next_text(&from, &n, &n_tree), *members = next_text(&from, &n, &n_members);
    uint8_t *at = bytes + 8;
    at += sprintf((char *)at, "%s%032d\",\"tread\":\"", mark, 0);
    for (size_t i = 0; i < n_tree; i++) {
        if (tree[i] == '$') {
            put_hash(from, n, at);
            at += 32;
            continue;
        }
        if (tree[i] == '"' || tree[i] == '\\')
            *at++ = '\\';
        *at++ = tree[i];
    }
    at += sprintf((char *)at, "\"}");
    memcpy(at, members, n_members);
    at += n_members;
    *at++ = '}';
    put_length(bytes, (uint64_t)(at - bytes) - 8);
    memcpy(at, from, n);
    size_t total = (size_t)(at - bytes) + n;
    fix_header_hash(bytes, total);
    return total;
}

static size_t build(const uint8_t *data, size_t size, uint8_t *bytes) {
    const uint8_t *from = data + 1;
    size_t n = size - 1;
    switch (data[0] & 3) {
    case 2: return forge(from, n, bytes);
    case 3:
        if (n < 2)
            return 0;
        put_length(bytes, from[0] | (uint64_t)from[1] << 8);
        memcpy(bytes + 8, from + 2, n - 2);
        return n + 6;
    default:
        memcpy(bytes, from, n);
        if (data[0] & 1)
            fix_header_hash(bytes, n);
        return n;
    }
}

/* ---- Readers ---- */

static void must_be_same(const tread_state *a, const tread_state *b, const char *what) {
    size_t n = 1;
    must(tread_state_diff(a, b, NULL, NULL, &n) == TREAD_OK && n == 0, what);
}

static void try_checkpoint(const char *path, int again) {
    tread_state *state, *back;
    char copy[64];
    if (tread_checkpoint_load(path, &state) != TREAD_OK)
        return;
    must_be_same(state, state, "a state differs from itself");
    snprintf(copy, sizeof copy, "/dev/shm/fuzz_safetensors.%ld", (long)getpid());
    if (again) {
        must(tread_checkpoint_save(copy, state) == TREAD_OK, "what was loaded cannot be saved");
        must(tread_checkpoint_load(copy, &back) == TREAD_OK, "what was saved cannot be loaded");
        unlink(copy);
        must_be_same(state, back, "a state came back another");
        tread_state_destroy(back);
    }
    tread_state_destroy(state);
}

static void try_weights(const char *path) {
    tread_parameter *parameter = tread_parameter_create("a", 1, (const int64_t[]){2});
    tread_weights_load((tread_parameter_list){&parameter, 1}, path, NULL);
    tread_parameter_destroy(parameter);
}

static void try_tensor_file(const char *path) {
    tread_tensor_file *file = tread_tensor_file_open(path);
    size_t n = 0;
    if (file == NULL)
        return;
    for (size_t i = 0; i < tread_tensor_file_count(file); i++) {
        tread_tensor_entry entry;
        tread_tensor_scan scan;
        must(tread_tensor_file_entry(file, i, &entry) == TREAD_OK, "an entry");
        must(tread_tensor_file_scan(file, i, &scan) == TREAD_OK, "a scan");
    }
    must(tread_tensor_file_diff(file, file, NULL, NULL, &n) == TREAD_OK && n == 0, "a file differs from itself");
    tread_tensor_file_close(file);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char path[64];
    if (size == 0 || size > 1 << 16)
        return 0;
    uint8_t *bytes = malloc(32 * size + 256); /* a tree of dollar signs grows most, to 32 bytes for one */
    must(bytes != NULL, "memory");
    uint64_t live = tread_memory_live_blocks();
    size_t n = build(data, size, bytes);
    int fd = memfd_create("fuzz_safetensors", MFD_CLOEXEC);
    must(fd >= 0 && write(fd, bytes, n) == (ssize_t)n, "a file in memory");
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    try_checkpoint(path, (data[0] & 12) == 0);
    try_weights(path);
    try_tensor_file(path);
    close(fd);
    free(bytes);
    must(tread_memory_live_blocks() == live, "memory was not given back");
    return 0;
}
