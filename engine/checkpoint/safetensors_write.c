#include <stdlib.h>
#include <string.h>
#include <tread/version.h>

#include "core/memory.h"
#include "core/status.h"
#include "core/tensor.h"
#include "engine/checkpoint/safetensors.h"
#include "engine/file_writer.h"

/* 17 digits give every double back; newer versions of jansson would choose fewer, and other bytes. */
#define TREE_FORMAT (JSON_COMPACT | JSON_REAL_PRECISION(17))
#define DATA_ALIGNMENT 64 /* the format asks for 8; this lets a reader map the values for any vector width */

static tread_status no_memory(void) { return tread_fail(TREAD_ERROR_MEMORY, "out of memory for the header of a file"); }

/* RFC 3629: no overlong forms, no surrogates, nothing past U+10FFFF. */
bool tread_is_utf8(const char *text) {
    const uint8_t *at = (const uint8_t *)text;
    while (*at != 0) {
        int n = *at < 0x80                  ? 0
                : *at >= 0xc2 && *at < 0xe0 ? 1
                : (*at & 0xf0) == 0xe0      ? 2
                : *at >= 0xf0 && *at < 0xf5 ? 3
                                            : -1;
        if (n < 0 || (*at == 0xe0 && at[1] < 0xa0) || (*at == 0xed && at[1] > 0x9f) || (*at == 0xf0 && at[1] < 0x90) ||
            (*at == 0xf4 && at[1] > 0x8f))
            return false;
        for (at++; n > 0; n--, at++)
            if ((*at & 0xc0) != 0x80)
                return false;
    }
    return true;
}

static json_t *describe(const tread_tensor *tensor, uint64_t begin) {
    json_t *shape = json_array();
    for (int i = 0; i < tensor->rank; i++)
        if (json_array_append_new(shape, json_integer(tensor->shape[i])) != 0) {
            json_decref(shape);
            return NULL;
        }
    return json_pack("{s:s, s:o, s:[I,I]}", "dtype", tread_element_type_of(tensor->dtype)->name, "shape", shape,
                     "data_offsets", (json_int_t)begin, (json_int_t)(begin + tread_tensor_bytes(tensor)));
}

static tread_status check_names(const tread_named_tensor *tensors, size_t n) {
    for (size_t i = 0; i < n; i++) {
        if (strcmp(tensors[i].name, "__metadata__") == 0)
            return tread_fail(TREAD_ERROR_ARGUMENT, "a tensor cannot be named __metadata__ in a file");
        if (!tread_is_utf8(tensors[i].name))
            return tread_fail(TREAD_ERROR_ARGUMENT, "the name of tensor %zu is not UTF-8", i);
    }
    return TREAD_OK;
}

static tread_status fill_header(json_t *header, const tread_named_tensor *tensors, size_t n, uint64_t *ret_bytes) {
    uint64_t offset = 0;
    for (size_t i = 0; i < n; i++) {
        if (json_object_get(header, tensors[i].name) != NULL)
            return tread_fail(TREAD_ERROR_ARGUMENT, "two tensors are named %s", tensors[i].name);
        if (json_object_set_new(header, tensors[i].name, describe(tensors[i].tensor, offset)) != 0)
            return no_memory();
        offset += tread_tensor_bytes(tensors[i].tensor);
    }
    *ret_bytes = offset;
    return TREAD_OK;
}

/* {"format_version": 1, "tensor_hashes": {name: hash}, "state": ...}; NULL: out of memory. */
static json_t *make_tree(const tread_named_tensor *tensors, size_t n, json_t *state) {
    json_t *hashes = json_object();
    for (size_t i = 0; i < n; i++) {
        char hash[TREAD_HASH_DIGITS + 1];
        tread_hash_text(tensors[i].tensor->data, tread_tensor_bytes(tensors[i].tensor), hash);
        if (json_object_set_new(hashes, tensors[i].name, json_string(hash)) != 0) {
            json_decref(hashes);
            return NULL;
        }
    }
    return json_pack("{s:i, s:o, s:O*}", "format_version", TREAD_SAFETENSORS_VERSION, "tensor_hashes", hashes, "state",
                     state);
}

/* The metadata, with zeros for the hash of the header. It must come first in the header, and the hash first in it. */
static tread_status add_metadata(json_t *header, const tread_named_tensor *tensors, size_t n, json_t *state) {
    json_t *tree = make_tree(tensors, n, state);
    size_t length = tree == NULL ? 0 : json_dumpb(tree, NULL, 0, TREE_FORMAT);
    char *text = length == 0 ? NULL : tread_alloc(length, "metadata of a file");
    bool good = text != NULL && json_dumpb(tree, text, length, TREE_FORMAT) == length;
    json_t *metadata = !good
                           ? NULL
                           : json_pack("{s:s, s:s, s:s, s:s%}", "tread_header_hash", "00000000000000000000000000000000",
                                       "format", "tread", "tread_version", TREAD_VERSION_STRING, "tread", text, length);
    tread_free(text);
    json_decref(tree);
    return json_object_set_new(header, "__metadata__", metadata) == 0 ? TREAD_OK : no_memory();
}

/* bytes: the length and the header. */
static tread_status write_all(tread_file_writer *writer, const char *bytes, size_t n_bytes,
                              const tread_named_tensor *tensors, size_t n) {
    TREAD_TRY(tread_file_write(writer, bytes, n_bytes));
    for (size_t i = 0; i < n; i++)
        TREAD_TRY(tread_file_write(writer, tensors[i].tensor->data, tread_tensor_bytes(tensors[i].tensor)));
    return TREAD_OK;
}

static tread_status write_file(const char *path, const char *bytes, size_t n_bytes, uint64_t data_bytes,
                               const tread_named_tensor *tensors, size_t n) {
    tread_file_writer writer;
    TREAD_TRY(tread_file_begin(&writer, path, n_bytes + data_bytes));
    tread_status status = write_all(&writer, bytes, n_bytes, tensors, n);
    if (status == TREAD_OK)
        return tread_file_commit(&writer);
    tread_file_abort(&writer);
    return status;
}

/* The length, the header and its padding, with the hash filled in. Writing JSON takes memory, too. */
static tread_status finish_header(const json_t *header, char *bytes, size_t n_bytes) {
    char hash[TREAD_HASH_DIGITS + 1];
    for (int i = 0; i < 8; i++)
        bytes[i] = (char)((uint64_t)(n_bytes - 8) >> 8 * i);
    memset(bytes + 8, ' ', n_bytes - 8);
    if (json_dumpb(header, bytes + 8, n_bytes - 8, JSON_COMPACT) == 0)
        return no_memory();
    tread_hash_text(bytes, n_bytes, hash);
    memcpy(bytes + 8 + sizeof TREAD_SAFETENSORS_MARK - 1, hash, TREAD_HASH_DIGITS);
    return TREAD_OK;
}

static tread_status write_with_header(const char *path, const json_t *header, uint64_t data_bytes,
                                      const tread_named_tensor *tensors, size_t n) {
    size_t needed = json_dumpb(header, NULL, 0, JSON_COMPACT);
    size_t n_bytes = (8 + needed + DATA_ALIGNMENT - 1) / DATA_ALIGNMENT * DATA_ALIGNMENT;
    if (needed == 0)
        return no_memory();
    if (n_bytes - 8 > TREAD_SAFETENSORS_MAX_HEADER)
        return tread_fail(TREAD_ERROR_ARGUMENT, "%s: a header of %zu bytes, at most %d are allowed", path, n_bytes - 8,
                          TREAD_SAFETENSORS_MAX_HEADER);
    char *bytes = tread_alloc(n_bytes, "header of a file");
    if (bytes == NULL)
        return TREAD_ERROR_MEMORY;
    tread_status status = finish_header(header, bytes, n_bytes);
    if (status == TREAD_OK)
        status = write_file(path, bytes, n_bytes, data_bytes, tensors, n);
    tread_free(bytes);
    return status;
}

tread_status tread_safetensors_write(const char *path, const tread_named_tensor *tensors, size_t n, json_t *state) {
    uint64_t data_bytes = 0;
    TREAD_TRY(check_names(tensors, n));
    json_t *header = json_object();
    if (header == NULL)
        return no_memory();
    tread_status status = add_metadata(header, tensors, n, state);
    if (status == TREAD_OK)
        status = fill_header(header, tensors, n, &data_bytes);
    if (status == TREAD_OK)
        status = write_with_header(path, header, data_bytes, tensors, n);
    json_decref(header);
    return status;
}
