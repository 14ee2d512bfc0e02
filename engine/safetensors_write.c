#include <stdlib.h>
#include <string.h>

#include "core/memory.h"
#include "core/status.h"
#include "core/tensor.h"
#include "engine/file_writer.h"
#include "engine/safetensors.h"

#define DATA_ALIGNMENT 64 /* the format asks for 8; this lets a reader map the values for any vector width */

static const char *const type_names[] = {
    [TREAD_FLOAT32] = "F32", [TREAD_FLOAT64] = "F64", [TREAD_INT32] = "I32", [TREAD_UINT8] = "U8"};

static tread_status no_memory(void) { return tread_fail(TREAD_ERROR_MEMORY, "out of memory for the header of a file"); }

static json_t *describe(const tread_tensor *tensor, uint64_t begin) {
    json_t *shape = json_array();
    for (int i = 0; shape != NULL && i < tensor->rank; i++)
        json_array_append_new(shape, json_integer(tensor->shape[i]));
    return json_pack("{s:s, s:o, s:[I,I]}", "dtype", type_names[tensor->dtype], "shape", shape, "data_offsets",
                     (json_int_t)begin, (json_int_t)(begin + tread_tensor_bytes(tensor)));
}

static tread_status fill_header(json_t *header, const tread_named_tensor *tensors, size_t n, const json_t *metadata,
                                uint64_t *ret_bytes) {
    uint64_t offset = 0;
    if (metadata != NULL && json_object_set_new(header, "__metadata__", json_deep_copy(metadata)) != 0)
        return no_memory();
    for (size_t i = 0; i < n; i++) {
        if (strcmp(tensors[i].name, "__metadata__") == 0)
            return tread_fail(TREAD_ERROR_ARGUMENT, "a tensor cannot be named __metadata__ in a file");
        if (json_object_get(header, tensors[i].name) != NULL)
            return tread_fail(TREAD_ERROR_ARGUMENT, "two tensors are named %s", tensors[i].name);
        json_t *name = json_string(tensors[i].name);
        if (name == NULL) /* out of memory, or far more likely this */
            return tread_fail(TREAD_ERROR_ARGUMENT, "the name of tensor %zu is not UTF-8", i);
        json_decref(name);
        if (json_object_set_new(header, tensors[i].name, describe(tensors[i].tensor, offset)) != 0)
            return no_memory();
        offset += tread_tensor_bytes(tensors[i].tensor);
    }
    *ret_bytes = offset;
    return TREAD_OK;
}

static tread_status write_values(tread_file_writer *writer, const char *text, size_t length,
                                 const tread_named_tensor *tensors, size_t n) {
    uint8_t size[8];
    for (int i = 0; i < 8; i++)
        size[i] = (uint8_t)((uint64_t)length >> 8 * i);
    TREAD_TRY(tread_file_write(writer, size, sizeof size));
    TREAD_TRY(tread_file_write(writer, text, length));
    for (size_t i = 0; i < n; i++)
        TREAD_TRY(tread_file_write(writer, tensors[i].tensor->data, tread_tensor_bytes(tensors[i].tensor)));
    return TREAD_OK;
}

static tread_status write_file(const char *path, const json_t *header, uint64_t bytes,
                               const tread_named_tensor *tensors, size_t n) {
    size_t needed = json_dumpb(header, NULL, 0, JSON_COMPACT);
    size_t padded = (8 + needed + DATA_ALIGNMENT - 1) / DATA_ALIGNMENT * DATA_ALIGNMENT - 8;
    if (needed == 0)
        return no_memory();
    if (padded > TREAD_SAFETENSORS_MAX_HEADER)
        return tread_fail(TREAD_ERROR_ARGUMENT, "%s: a header of %zu bytes, at most %d are allowed", path, padded,
                          TREAD_SAFETENSORS_MAX_HEADER);
    char *text = tread_alloc(padded, "header of a file");
    if (text == NULL)
        return TREAD_ERROR_MEMORY;
    memset(text, ' ', padded);
    json_dumpb(header, text, padded, JSON_COMPACT);

    tread_file_writer writer;
    tread_status status = tread_file_begin(&writer, path, 8 + padded + bytes);
    if (status == TREAD_OK) {
        status = write_values(&writer, text, padded, tensors, n);
        if (status == TREAD_OK)
            status = tread_file_commit(&writer);
        else
            tread_file_abort(&writer);
    }
    tread_free(text);
    return status;
}

tread_status tread_safetensors_write(const char *path, const tread_named_tensor *tensors, size_t n,
                                     const json_t *metadata) {
    uint64_t bytes = 0;
    json_t *header = json_object();
    if (header == NULL)
        return no_memory();
    tread_status status = fill_header(header, tensors, n, metadata, &bytes);
    if (status == TREAD_OK)
        status = write_file(path, header, bytes, tensors, n);
    json_decref(header);
    return status;
}
