/* The readers of checkpoints, weights and tensor files. The first byte says how the others become a file, since a
 * random change almost never has the right hash, and would end at the first check:
 *
 * 0: as they are.
 * 1: as they are, with the right hash of the header where Tread's mark is.
 * 2: text of the tree, NUL, further members of the header, NUL, data; marked and hashed as Tread does it. A "$" in the
 *    tree stands for the hash of the data.
 * 3: two bytes with the header's length, header, data. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tread/checkpoint.h>
#include <tread/state_diff.h>
#include <tread/weights.h>
#include <unistd.h>
#include <xxhash.h>

#include "tests/fuzz/fuzz.h"

static const char mark[] = "{\"__metadata__\":{\"tread_header_hash\":\"";
#define DIGITS_AT (8 + sizeof mark - 1)

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

static uint8_t *room_for(size_t size) {
    uint8_t *bytes = malloc(32 * size + 256); /* a tree of dollar signs grows most, to 32 bytes for one */
    fuzz_require(bytes != NULL, "memory");
    return bytes;
}

/* ---- Readers ---- */

static void require_same(const tread_state *a, const tread_state *b, const char *what) {
    size_t n = 1;
    fuzz_require(tread_state_diff(a, b, NULL, NULL, &n) == TREAD_OK && n == 0, what);
}

static bool try_checkpoint(const char *path, bool again) {
    tread_state *state, *back;
    char copy[64];
    if (tread_checkpoint_load(path, &state) != TREAD_OK)
        return false;
    require_same(state, state, "a state is like itself");
    snprintf(copy, sizeof copy, "/dev/shm/fuzz_safetensors.%ld", (long)getpid());
    if (again && access("/dev/shm", W_OK) == 0) {
        fuzz_require(tread_checkpoint_save(copy, state) == TREAD_OK, "what was loaded can be saved");
        fuzz_require(tread_checkpoint_load(copy, &back) == TREAD_OK, "what was saved can be loaded");
        unlink(copy);
        require_same(state, back, "a state comes back the same");
        tread_state_destroy(back);
    }
    tread_state_destroy(state);
    return true;
}

static bool try_weights(const char *path) {
    tread_parameter *parameter = tread_parameter_create("a", 1, (const int64_t[]){2});
    bool loaded = tread_weights_load((tread_parameter_list){&parameter, 1}, path, NULL) == TREAD_OK;
    tread_parameter_destroy(parameter);
    return loaded;
}

static bool try_tensor_file(const char *path) {
    tread_tensor_file *file = tread_tensor_file_open(path);
    size_t n = 0;
    if (file == NULL)
        return false;
    for (size_t i = 0; i < tread_tensor_file_count(file); i++) {
        tread_tensor_entry entry;
        tread_tensor_scan scan;
        fuzz_require(tread_tensor_file_entry(file, i, &entry) == TREAD_OK, "there is an entry");
        fuzz_require(tread_tensor_file_scan(file, i, &scan) == TREAD_OK, "values can be read");
        fuzz_require(scan.n_not_finite <= scan.n && !(scan.min > scan.max), "a scan makes sense");
    }
    fuzz_require(tread_tensor_file_diff(file, file, NULL, NULL, &n) == TREAD_OK && n == 0, "a file is like itself");
    tread_tensor_file_close(file);
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size == 0 || size > 1 << 16)
        return 0;
    uint8_t *bytes = room_for(size);
    const char *path = fuzz_path(0, bytes, build(data, size, bytes));
    free(bytes);
    uint64_t blocks = fuzz_blocks();
    bool loaded = try_checkpoint(path, (data[0] & 12) == 0);
    fuzz_check(!loaded, blocks);
    fuzz_check(!try_weights(path), blocks);
    bool opened = try_tensor_file(path);
    fuzz_check(!opened, blocks);
    fuzz_require(opened || !loaded, "a checkpoint is a file of tensors");
    return 0;
}

/* ---- Seeds ---- */

typedef struct text {
    const char *bytes;
    size_t n;
} text;
#define TEXT(literal) ((text){literal, sizeof literal - 1})

test_bytes fuzz_seed(int i) {
    /* For mode 2: a checkpoint with all kinds of parts, of lists, of two tensors of one plain name, of a model; a lie.
     */
    const text trees[] = {
        TEXT("\2{\"format_version\":1,\"tensor_hashes\":{\"a\":\"$\"},\"state\":{\"a\":null,\"x\":[1,-2.5e-3,\"s\",{"
             "\"y\":-0.0}]}}\0,\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}"
             "\0\0\0\200\077\0\0\300\177"),
        TEXT("\2{\"format_version\":1,\"tensor_hashes\":{},\"state\":{\"l\":[[],[[1,2],{}],{\"a.b\":"
             "\"\xe2\x82\xac\\n\"}]}}"
             "\0\0"),
        TEXT("\2{\"format_version\":1,\"tensor_hashes\":{\"b.0\":\"$\",\"b.0~2\":\"99aa06d3014798d86001c324468d497f\"},"
             "\"state\":{\"b\":[null],\"b.0\":null}}\0,\"b.0\":{\"dtype\":\"F64\",\"shape\":[],\"data_offsets\":[0,8]},"
             "\"b.0~2\":{\"dtype\":\"U8\",\"shape\":[0,3],\"data_offsets\":[8,8]}\0\0\0\0\0\0\0\360\077"),
        TEXT("\2{\"format_version\":1,\"tensor_hashes\":{\"model.a\":\"$\"},\"state\":{\"model\":{\"a\":null},"
             "\"optimizer\":"
             "{\"algorithm\":\"sgd\",\"param_groups\":[{\"lr\":0.1,\"params\":[\"a\"]}]}}}\0,\"model.a\":{\"dtype\":"
             "\"F32\","
             "\"shape\":[2],\"data_offsets\":[0,8]}\0\0\0\200\077\0\0\0\300"),
        TEXT("\2{\"format_version\":2}\0,\"a\":{\"dtype\":\"I32\",\"shape\":[1,2],\"data_offsets\":[0,8]}"
             "\0\0\0\0\0\0\0\0\0"),
    };
    const text others[] = {
        TEXT("\3\125\0{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]},\"__metadata__\":{\"format\":"
             "\"pt\"}}"
             "\0\0\200\077\0\0\300\177"),
        TEXT(
            "\3\126\1{\"h\":{\"dtype\":\"F16\",\"shape\":[1,2,1,1,1,1,1],\"data_offsets\":[0,4]},\"b\":{\"dtype\":"
            "\"BF16\","
            "\"shape\":[1],\"data_offsets\":[4,6]},\"e\":{\"dtype\":\"F8_E4M3\",\"shape\":[1],\"data_offsets\":[6,7]},"
            "\"f\":{\"dtype\":\"F8_E5M2\",\"shape\":[1],\"data_offsets\":[7,8]},\"i\":{\"dtype\":\"I64\",\"shape\":[1],"
            "\"data_offsets\":[8,16]},\"u\":{\"dtype\":\"U64\",\"shape\":[],\"data_offsets\":[16,24]}}"
            "12345678abcdefgh\1\2\3\4\5\6\7\10"),
    };
    enum { n_trees = sizeof trees / sizeof *trees, n_others = sizeof others / sizeof *others };
    if (i >= 3 * n_trees + n_others)
        return (test_bytes){NULL, 0};
    bool raw = i >= n_trees && i < 3 * n_trees; /* the same once more as bytes, in modes 0 and 1 */
    const text *from = i < 3 * n_trees ? &trees[i % n_trees] : &others[i - 3 * n_trees];
    test_bytes seed = {room_for(from->n), from->n};
    memcpy(seed.data, from->bytes, from->n);
    if (raw) {
        seed.data[0] = i < 2 * n_trees ? 0 : 1;
        seed.n = 1 + build((const uint8_t *)from->bytes, from->n, seed.data + 1);
    }
    return seed;
}
