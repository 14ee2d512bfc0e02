#include "engine/checkpoint/tensor_file.h"

#include <math.h>
#include <string.h>
#include <xxhash.h>

#include "core/memory.h"
#include "core/status.h"

#define CHUNK ((size_t)1 << 20) /* bytes looked at together; a multiple of every element's size */

tread_tensor_file *tread_tensor_file_open(const char *path) {
    if (path == NULL)
        return tread_fail_null(TREAD_ERROR_ARGUMENT, "tensor file open: the path is NULL");
    tread_tensor_file *file = tread_calloc(1, sizeof *file, "a file of tensors");
    if (file == NULL)
        return NULL;
    file->path = tread_strdup(path);
    if (file->path != NULL && tread_safetensors_open(&file->file, file->path) == TREAD_OK)
        return file;
    tread_free(file->path);
    tread_free(file);
    return NULL;
}

void tread_tensor_file_close(tread_tensor_file *file) {
    if (file == NULL)
        return;
    tread_safetensors_close(&file->file);
    tread_free(file->path);
    tread_free(file);
}

size_t tread_tensor_file_count(const tread_tensor_file *file) { return file != NULL ? file->file.n : 0; }

bool tread_tensor_file_has_state(const tread_tensor_file *file) {
    return file != NULL && json_object_get(file->file.tree, "state") != NULL;
}

bool tread_tensor_file_has_hashes(const tread_tensor_file *file) { return file != NULL && file->file.tree != NULL; }

bool tread_tensor_file_metadata(const tread_tensor_file *file, size_t i, const char **ret_name,
                                const char **ret_value) {
    const char *name;
    json_t *value;
    if (file == NULL)
        return false;
    json_object_foreach(file->file.metadata, name, value) {
        if (i-- > 0)
            continue;
        *ret_name = name;
        *ret_value = json_string_value(value);
        return true;
    }
    return false;
}

static tread_status check(const tread_tensor_file *file, size_t i) {
    TREAD_REFUSE_NULL("tensor file", file);
    if (i >= file->file.n)
        return tread_fail(TREAD_ERROR_ARGUMENT, "%s: there is no tensor %zu; there are %zu", file->path, i,
                          file->file.n);
    return TREAD_OK;
}

tread_status tread_tensor_file_entry(const tread_tensor_file *file, size_t i, tread_tensor_entry *ret_entry) {
    TREAD_TRY(check(file, i));
    TREAD_REFUSE_NULL("tensor file entry", ret_entry);
    const tread_safetensors_entry *entry = &file->file.entries[i];
    *ret_entry = (tread_tensor_entry){
        .name = entry->name, .dtype = entry->type->name, .rank = entry->rank, .bytes = entry->end - entry->begin};
    memcpy(ret_entry->shape, entry->shape, sizeof entry->shape);
    return TREAD_OK;
}

/* Sums in double, in order: what is shown is rounded far above its error. */
static void add(tread_tensor_scan *scan, double *sum, const tread_element_type *type, const char *values, size_t n) {
    for (const char *end = values + n; values < end; values += type->size) {
        double value = type->value(values);
        scan->n++;
        if (!isfinite(value)) {
            scan->n_not_finite++;
            continue;
        }
        scan->min = value >= scan->min ? scan->min : value;
        scan->max = value <= scan->max ? scan->max : value;
        *sum += value;
    }
}

static tread_status scan_values(const tread_safetensors *file, const tread_safetensors_entry *entry, char *buffer,
                                XXH3_state_t *hash, tread_tensor_scan *scan) {
    double sum = 0;
    uint64_t bytes = entry->end - entry->begin;
    for (uint64_t at = 0; at < bytes; at += CHUNK) {
        size_t n = bytes - at < CHUNK ? (size_t)(bytes - at) : CHUNK;
        TREAD_TRY(tread_safetensors_read_part(file, entry, at, buffer, n));
        XXH3_128bits_update(hash, buffer, n);
        add(scan, &sum, entry->type, buffer, n);
    }
    tread_hash_to_text(XXH3_128bits_digest(hash), scan->hash);
    scan->hash_differs = entry->hash != NULL && strcmp(entry->hash, scan->hash) != 0;
    scan->mean = scan->n > scan->n_not_finite ? sum / (double)(scan->n - scan->n_not_finite) : NAN;
    return TREAD_OK;
}

tread_status tread_tensor_file_scan(const tread_tensor_file *file, size_t i, tread_tensor_scan *ret_scan) {
    TREAD_TRY(check(file, i));
    TREAD_REFUSE_NULL("tensor file scan", ret_scan);
    tread_tensor_scan scan = {.min = NAN, .max = NAN, .mean = NAN};
    uint64_t bytes = file->file.entries[i].end - file->file.entries[i].begin;
    char *buffer = tread_alloc(bytes < CHUNK ? (size_t)bytes : CHUNK, "values of a file");
    if (buffer == NULL)
        return TREAD_ERROR_MEMORY;
    XXH3_state_t *hash = XXH3_createState(); /* xxHash's own memory: the size of its state is its secret */
    tread_status status = hash != NULL ? TREAD_OK : tread_fail(TREAD_ERROR_MEMORY, "out of memory for a hash");
    if (status == TREAD_OK) {
        XXH3_128bits_reset(hash);
        status = scan_values(&file->file, &file->file.entries[i], buffer, hash, &scan);
    }
    XXH3_freeState(hash);
    tread_free(buffer);
    if (status == TREAD_OK)
        *ret_scan = scan;
    return status;
}
