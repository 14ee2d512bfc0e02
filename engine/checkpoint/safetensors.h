/* Layer: engine. The safetensors format: eight bytes, little end first, with the length of the header; the header, a
 * JSON object of name: {"dtype", "shape", "data_offsets": [begin, end]} and "__metadata__", an object of strings,
 * padded with spaces; then the values, little end first, where the offsets count from.
 *
 * What Tread writes is marked and checked beyond that; include/tread/checkpoint.h describes it. */
#ifndef TREAD_ENGINE_SAFETENSORS_H
#define TREAD_ENGINE_SAFETENSORS_H

#include <jansson.h>
#include <stdbool.h>
#include <tread/tensor.h>

#include "engine/checkpoint/element.h"
#include "engine/checkpoint/hash.h"

#define TREAD_SAFETENSORS_MAX_HEADER 100000000 /* the limit of the reference implementation */

typedef struct tread_named_tensor {
    const char *name;
    const tread_tensor *tensor;
} tread_named_tensor;

/* The first bytes of the headers that Tread writes; the hash of the header follows. */
#define TREAD_SAFETENSORS_MARK "{\"__metadata__\":{\"tread_header_hash\":\""
#define TREAD_SAFETENSORS_VERSION 1 /* "format_version" of the tree that is written; readers take it and older ones */

/* Writes the tensors in order, through file_writer.h, with their hashes and the header's. state: what goes with the
 * tensors into the tree, or NULL; not taken. TREAD_ERROR_ARGUMENT (a name twice, not UTF-8, or reserved; too large a
 * header), TREAD_ERROR_IO, TREAD_ERROR_MEMORY. */
tread_status tread_safetensors_write(const char *path, const tread_named_tensor *tensors, size_t n, json_t *state);

/* Whether text may stand in JSON. */
bool tread_is_utf8(const char *text);

typedef struct tread_safetensors_entry {
    const char *name; /* owned by the file's header */
    const tread_element_type *type;
    int rank; /* -1: more than TREAD_MAX_RANK, and shape is not set */
    int64_t shape[TREAD_MAX_RANK];
    uint64_t begin, end; /* offsets in the data */
    const char *hash;    /* that the file says the values have; NULL in a file of others */
} tread_safetensors_entry;

typedef struct tread_safetensors {
    const char *path; /* the caller's */
    int fd;
    bool marked; /* the header begins with TREAD_SAFETENSORS_MARK, and its hash is right */
    json_t *header;
    json_t *metadata;                 /* NULL where there is none; owned by header */
    json_t *tree;                     /* Tread's own part of the metadata; NULL in a file of others */
    tread_safetensors_entry *entries; /* in the order of the data */
    tread_safetensors_entry **by_name;
    size_t n;
    uint64_t data_start, data_bytes;
} tread_safetensors;

/* Opens and checks everything but the values: header length and JSON, no key twice, known types, shapes that do not
 * overflow and agree with the offsets, offsets that tile the data exactly, metadata of strings alone; in a file of
 * Tread's also the header's hash, before anything else is made of it, the format version, and that there is a hash for
 * each tensor. On failure nothing is left open. TREAD_ERROR_IO, TREAD_ERROR_FORMAT, TREAD_ERROR_MEMORY. */
tread_status tread_safetensors_open(tread_safetensors *file, const char *path);
void tread_safetensors_close(tread_safetensors *file);

const tread_safetensors_entry *tread_safetensors_find(const tread_safetensors *file,
                                                      const char *name); /* NULL: absent */
/* Reads the values of an entry: end - begin bytes, and checks their hash. TREAD_ERROR_IO, TREAD_ERROR_FORMAT (the file
 * became shorter, or the values are damaged). */
tread_status tread_safetensors_read(const tread_safetensors *file, const tread_safetensors_entry *entry, void *to);
/* Reads n bytes from offset on, of the entry's values; nothing is checked. */
tread_status tread_safetensors_read_part(const tread_safetensors *file, const tread_safetensors_entry *entry,
                                         uint64_t offset, void *to, size_t n);

#endif
