/* Layer: tests. A second reader of the safetensors format, written from the format's description
 * (https://github.com/huggingface/safetensors#format) and that of Tread's metadata in checkpoint.h. It shares no code
 * with the library, nor its JSON parser. It does not judge files: what it does not understand ends the test program. */
#ifndef TREAD_TESTS_ENGINE_INDEPENDENT_READER_H
#define TREAD_TESTS_ENGINE_INDEPENDENT_READER_H

#include <stddef.h>
#include <stdint.h>

typedef struct independent_tensor {
    char name[200];
    char dtype[16];
    int rank;
    long long shape[8];
    const uint8_t *data; /* in the file's bytes */
    size_t bytes;
} independent_tensor;

typedef struct independent_file {
    uint8_t *bytes;
    size_t n;
    size_t header; /* its length */
    char *tread;   /* the metadata of that name, unescaped, or NULL */
    char hash[33]; /* the metadata tread_header_hash, or "" */
    independent_tensor tensors[64];
    size_t n_tensors;
} independent_file;

void independent_open(independent_file *file, const char *path);
void independent_close(independent_file *file);
const independent_tensor *independent_find(const independent_file *file, const char *name); /* NULL: absent */

/* The text of a value in a JSON text by a way of names and indices ("state.optimizer.param_groups.0.lr"), where names
 * have no dots, as it stands there; NULL: absent. Static buffer. */
const char *independent_value(const char *json, const char *way);

#endif
