#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/memory.h"
#include "core/status.h"
#include "core/tensor.h"
#include "engine/checkpoint/safetensors.h"
#include "engine/file_system.h"

typedef unsigned long long ull;

#define BAD(file, format, ...) tread_fail(TREAD_ERROR_FORMAT, "%s: " format, (file)->path, __VA_ARGS__)

static tread_status read_at(const tread_safetensors *file, uint64_t offset, void *to, size_t n) {
    char *bytes = to;
    while (n > 0) {
        ssize_t got = tread_fs_pread(file->fd, bytes, n, (off_t)offset);
        if (got < 0)
            return tread_fail(TREAD_ERROR_IO, "%s: cannot read: %s", file->path, strerror(errno));
        if (got == 0)
            return BAD(file, "truncated: it ends after %llu bytes, %zu more were expected", (ull)offset, n);
        bytes += got;
        offset += (uint64_t)got;
        n -= (size_t)got;
    }
    return TREAD_OK;
}

/* Where the header has Tread's mark, its hash must be right: over the eight bytes of the length and the header, with
 * zeros for the digits of the hash itself. bytes: these, which come back as they were. */
static tread_status check_header_hash(tread_safetensors *file, char *bytes, size_t n) {
    const size_t mark = sizeof TREAD_SAFETENSORS_MARK - 1;
    char expected[TREAD_HASH_DIGITS + 1] = "", found[TREAD_HASH_DIGITS + 1], *digits = bytes + 8 + mark;
    file->marked = n > 8 + mark + TREAD_HASH_DIGITS && memcmp(bytes + 8, TREAD_SAFETENSORS_MARK, mark) == 0;
    if (!file->marked)
        return TREAD_OK;
    memcpy(expected, digits, TREAD_HASH_DIGITS);
    memset(digits, '0', TREAD_HASH_DIGITS);
    tread_hash_text(bytes, n, found);
    memcpy(digits, expected, TREAD_HASH_DIGITS);
    if (memcmp(found, expected, TREAD_HASH_DIGITS) != 0)
        return BAD(file, "the header is damaged: its hash is %s, not what it says", found);
    return TREAD_OK;
}

/* jansson has an error without a code where it found no memory for a value that it was to make. */
static tread_status json_failed(const tread_safetensors *file, const char *what, const json_error_t *error) {
    enum json_error_code code = json_error_code(error);
    if (code == json_error_out_of_memory || code == json_error_unknown)
        return tread_fail(TREAD_ERROR_MEMORY, "%s: out of memory for %s", file->path, what);
    return BAD(file, "%s is not JSON: byte %d: %s", what, error->position, error->text);
}

static tread_status parse_json(const tread_safetensors *file, const char *what, const char *text, size_t n,
                               json_t **ret_value) {
    json_error_t error;
    *ret_value = json_loadb(text, n, JSON_REJECT_DUPLICATES, &error);
    return *ret_value != NULL ? TREAD_OK : json_failed(file, what, &error);
}

static tread_status parse_header(tread_safetensors *file, const char *text, size_t n) {
    if (text[0] != '{')
        return BAD(file, "not a safetensors file: the header begins with byte %02x, expected '{'", (uint8_t)text[0]);
    return parse_json(file, "the header", text, n, &file->header);
}

static tread_status read_header(tread_safetensors *file) {
    struct stat status;
    uint8_t bytes[8];
    uint64_t length = 0;
    if (tread_fs_fstat(file->fd, &status) != 0)
        return tread_fail(TREAD_ERROR_IO, "%s: cannot stat: %s", file->path, strerror(errno));
    if (!S_ISREG(status.st_mode))
        return tread_fail(TREAD_ERROR_IO, "%s: is not a regular file", file->path);
    uint64_t size = (uint64_t)status.st_size;
    if (size < 8 + 2)
        return BAD(file, "not a safetensors file: %llu bytes, expected at least 10", (ull)size);
    TREAD_TRY(read_at(file, 0, bytes, sizeof bytes));
    for (int i = 0; i < 8; i++)
        length |= (uint64_t)bytes[i] << 8 * i;
    if (length < 2 || length > TREAD_SAFETENSORS_MAX_HEADER)
        return BAD(file, "not a safetensors file: header of %llu bytes, expected 2 to %d", (ull)length,
                   TREAD_SAFETENSORS_MAX_HEADER);
    if (length > size - 8)
        return BAD(file, "truncated: header of %llu bytes in a file of %llu", (ull)length, (ull)size);
    file->data_start = 8 + length;
    file->data_bytes = size - file->data_start;
    char *all = tread_alloc(8 + (size_t)length, "header of a file");
    if (all == NULL)
        return TREAD_ERROR_MEMORY;
    tread_status result = read_at(file, 0, all, 8 + (size_t)length);
    if (result == TREAD_OK)
        result = check_header_hash(file, all, 8 + (size_t)length);
    if (result == TREAD_OK)
        result = parse_header(file, all + 8, (size_t)length);
    tread_free(all);
    return result;
}

static tread_status check_metadata(const tread_safetensors *file) {
    const char *key;
    json_t *value;
    if (file->metadata != NULL && !json_is_object(file->metadata))
        return BAD(file, "%s is not an object", "__metadata__");
    json_object_foreach(file->metadata, key, value) {
        if (!json_is_string(value))
            return BAD(file, "__metadata__: %s is not a string", key);
    }
    return TREAD_OK;
}

/* The number of bytes that shape and type need, and the shape. */
static tread_status parse_shape(const tread_safetensors *file, tread_safetensors_entry *entry, const json_t *shape,
                                uint64_t *ret_bytes) {
    uint64_t bytes = entry->type->size;
    size_t rank = json_array_size(shape);
    if (!json_is_array(shape))
        return BAD(file, "%s: shape is missing, or not an array", entry->name);
    for (size_t i = 0; i < rank; i++) {
        const json_t *extent = json_array_get(shape, i);
        if (!json_is_integer(extent) || json_integer_value(extent) < 0)
            return BAD(file, "%s: shape[%zu] is not a whole number from 0", entry->name, i);
        if (__builtin_mul_overflow(bytes, (uint64_t)json_integer_value(extent), &bytes))
            return BAD(file, "%s: the shape overflows", entry->name);
        if (rank <= TREAD_MAX_RANK)
            entry->shape[i] = json_integer_value(extent);
    }
    entry->rank = rank <= TREAD_MAX_RANK ? (int)rank : -1;
    *ret_bytes = bytes;
    return TREAD_OK;
}

static tread_status parse_offsets(const tread_safetensors *file, tread_safetensors_entry *entry, const json_t *offsets,
                                  uint64_t bytes) {
    const json_t *begin = json_array_get(offsets, 0), *end = json_array_get(offsets, 1);
    if (json_array_size(offsets) != 2 || !json_is_integer(begin) || !json_is_integer(end) ||
        json_integer_value(begin) < 0 || json_integer_value(end) < json_integer_value(begin))
        return BAD(file, "%s: data_offsets are not two whole numbers from 0 in order", entry->name);
    entry->begin = (uint64_t)json_integer_value(begin);
    entry->end = (uint64_t)json_integer_value(end);
    if (entry->end > file->data_bytes)
        return BAD(file, "%s: data_offsets end at %llu, the file has %llu bytes of data", entry->name, (ull)entry->end,
                   (ull)file->data_bytes);
    if (entry->end - entry->begin != bytes)
        return BAD(file, "%s: %llu bytes of data, its shape and type need %llu", entry->name,
                   (ull)(entry->end - entry->begin), (ull)bytes);
    return TREAD_OK;
}

static tread_status parse_entry(const tread_safetensors *file, const char *name, const json_t *value,
                                tread_safetensors_entry *entry) {
    const char *type = json_string_value(json_object_get(value, "dtype"));
    entry->name = name;
    if (!json_is_object(value) || json_object_size(value) != 3)
        return BAD(file, "%s: is not an object of dtype, shape and data_offsets", name);
    if (type == NULL)
        return BAD(file, "%s: dtype is missing, or not a string", name);
    entry->type = tread_element_type_find(type);
    if (entry->type == NULL)
        return BAD(file, "%s: unknown dtype %s", name, type);
    uint64_t bytes = 0;
    TREAD_TRY(parse_shape(file, entry, json_object_get(value, "shape"), &bytes));
    return parse_offsets(file, entry, json_object_get(value, "data_offsets"), bytes);
}

static int compare_offsets(const void *a, const void *b) {
    const tread_safetensors_entry *x = a, *y = b;
    if (x->begin != y->begin)
        return x->begin < y->begin ? -1 : 1;
    return (x->end > y->end) - (x->end < y->end);
}

static int compare_names(const void *a, const void *b) {
    const tread_safetensors_entry *const *x = a, *const *y = b;
    return strcmp((*x)->name, (*y)->name);
}

static tread_status check_tiling(const tread_safetensors *file) {
    uint64_t end = 0;
    for (size_t i = 0; i < file->n; i++) {
        if (file->entries[i].begin != end)
            return BAD(file, "%s: data begins at %llu, the tensor before it ends at %llu", file->entries[i].name,
                       (ull)file->entries[i].begin, (ull)end);
        end = file->entries[i].end;
    }
    if (end != file->data_bytes)
        return BAD(file, "%llu bytes of data, the tensors need %llu", (ull)file->data_bytes, (ull)end);
    return TREAD_OK;
}

static tread_status parse_hashes(const tread_safetensors *file) {
    const json_t *hashes = json_object_get(file->tree, "tensor_hashes");
    if (!json_is_object(hashes) || json_object_size(hashes) != file->n)
        return BAD(file, "__metadata__: %zu hashes for %zu tensors", json_object_size(hashes), file->n);
    for (size_t i = 0; i < file->n; i++) {
        file->entries[i].hash = json_string_value(json_object_get(hashes, file->entries[i].name));
        if (file->entries[i].hash == NULL)
            return BAD(file, "__metadata__: there is no hash of tensor %s", file->entries[i].name);
    }
    return TREAD_OK;
}

/* The tree in the metadata, which files with Tread's mark have. */
static tread_status parse_tree(tread_safetensors *file) {
    const json_t *text = json_object_get(file->metadata, "tread");
    if (!file->marked && text == NULL)
        return TREAD_OK;
    if (!file->marked)
        return BAD(file, "the header does not begin with %s: it is damaged, or another program wrote the file anew",
                   "its hash");
    if (text == NULL)
        return BAD(file, "__metadata__: there is no %s", "tread");
    TREAD_TRY(
        parse_json(file, "tread in the metadata", json_string_value(text), json_string_length(text), &file->tree));
    const json_t *version = json_object_get(file->tree, "format_version");
    if (!json_is_integer(version) || json_integer_value(version) < 1)
        return BAD(file, "__metadata__: %s is missing, or not a whole number from 1", "format_version");
    if (json_integer_value(version) > TREAD_SAFETENSORS_VERSION)
        return BAD(file, "is of format version %lld, this library reads up to %d", json_integer_value(version),
                   TREAD_SAFETENSORS_VERSION);
    return parse_hashes(file);
}

static tread_status parse_entries(tread_safetensors *file) {
    const char *name;
    json_t *value;
    file->metadata = json_object_get(file->header, "__metadata__");
    TREAD_TRY(check_metadata(file));
    size_t n = json_object_size(file->header) - (file->metadata != NULL);
    file->entries = tread_calloc(n, sizeof *file->entries, "tensors of a file");
    file->by_name = file->entries == NULL ? NULL : tread_calloc(n, sizeof(void *), "tensors of a file");
    if (file->by_name == NULL)
        return TREAD_ERROR_MEMORY;
    json_object_foreach(file->header, name, value) {
        if (value == file->metadata)
            continue;
        TREAD_TRY(parse_entry(file, name, value, &file->entries[file->n]));
        file->n++;
    }
    if (n > 0)
        qsort(file->entries, n, sizeof *file->entries, compare_offsets);
    for (size_t i = 0; i < n; i++)
        file->by_name[i] = &file->entries[i];
    if (n > 0)
        qsort(file->by_name, n, sizeof *file->by_name, compare_names);
    TREAD_TRY(check_tiling(file));
    return parse_tree(file);
}

tread_status tread_safetensors_open(tread_safetensors *file, const char *path) {
    *file = (tread_safetensors){.path = path, .fd = tread_fs_open(path, O_RDONLY | O_CLOEXEC, 0)};
    if (file->fd < 0)
        return tread_fail(TREAD_ERROR_IO, "%s: cannot open: %s", path, strerror(errno));
    tread_status status = read_header(file);
    if (status == TREAD_OK)
        status = parse_entries(file);
    if (status != TREAD_OK)
        tread_safetensors_close(file);
    return status;
}

void tread_safetensors_close(tread_safetensors *file) {
    if (file->fd >= 0)
        tread_fs_close(file->fd);
    json_decref(file->header);
    json_decref(file->tree);
    tread_free(file->entries);
    tread_free(file->by_name);
    *file = (tread_safetensors){.fd = -1};
}

const tread_safetensors_entry *tread_safetensors_find(const tread_safetensors *file, const char *name) {
    const tread_safetensors_entry key = {.name = name}, *key_address = &key;
    tread_safetensors_entry *const *found =
        file->n == 0 ? NULL : bsearch(&key_address, file->by_name, file->n, sizeof *file->by_name, compare_names);
    return found == NULL ? NULL : *found;
}

tread_status tread_safetensors_read_part(const tread_safetensors *file, const tread_safetensors_entry *entry,
                                         uint64_t offset, void *to, size_t n) {
    return read_at(file, file->data_start + entry->begin + offset, to, n);
}

tread_status tread_safetensors_read(const tread_safetensors *file, const tread_safetensors_entry *entry, void *to) {
    char hash[TREAD_HASH_DIGITS + 1];
    size_t n = (size_t)(entry->end - entry->begin);
    TREAD_TRY(read_at(file, file->data_start + entry->begin, to, n));
    if (entry->hash == NULL)
        return TREAD_OK;
    tread_hash_text(to, n, hash);
    if (strcmp(hash, entry->hash) != 0)
        return BAD(file, "%s: the data are damaged: their hash is %s, expected %s", entry->name, hash, entry->hash);
    return TREAD_OK;
}
