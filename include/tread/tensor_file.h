/* Layer: engine. Looking into files in the safetensors format: checkpoints, weights, and those of other programs. */
#ifndef TREAD_TENSOR_FILE_H
#define TREAD_TENSOR_FILE_H

#include <tread/tensor.h>

TREAD_BEGIN_DECLS

typedef struct tread_tensor_file tread_tensor_file;

/* Opens a file and checks all but the values, as tread_checkpoint_load does. The caller closes it. NULL:
 * TREAD_ERROR_IO, TREAD_ERROR_FORMAT, TREAD_ERROR_MEMORY. */
TREAD_API tread_tensor_file *tread_tensor_file_open(const char *path);
TREAD_API void tread_tensor_file_close(tread_tensor_file *file); /* NULL is accepted */

TREAD_API size_t tread_tensor_file_count(const tread_tensor_file *file);
/* Whether it is a checkpoint; else it has no state. */
TREAD_API bool tread_tensor_file_has_state(const tread_tensor_file *file);
/* Whether Tread wrote it: its header's hash is right then, and there are hashes of all tensors. */
TREAD_API bool tread_tensor_file_has_hashes(const tread_tensor_file *file);
/* The file's metadata by number, in order; false past the end. Owned by the file. */
TREAD_API bool tread_tensor_file_metadata(const tread_tensor_file *file, size_t i, const char **ret_name,
                                          const char **ret_value);

typedef struct tread_tensor_entry {
    const char *name;  /* owned by the file */
    const char *dtype; /* the format's word: "F32", "BF16"; static */
    int rank;          /* -1: above TREAD_MAX_RANK, and shape is not set */
    int64_t shape[TREAD_MAX_RANK];
    uint64_t bytes;
} tread_tensor_entry;

/* Tensor i, in the order of the data. TREAD_ERROR_ARGUMENT (past the end). */
TREAD_API tread_status tread_tensor_file_entry(const tread_tensor_file *file, size_t i, tread_tensor_entry *ret_entry);

typedef struct tread_tensor_scan {
    int64_t n;             /* elements */
    int64_t n_not_finite;  /* NaN or infinite; they do not count in what follows */
    double min, max, mean; /* NAN where no element is finite */
    char hash[33];         /* of the values (checkpoint.h) */
    bool hash_differs;     /* from the one that the file has of them: they are damaged */
} tread_tensor_scan;

/* Reads the values of tensor i, some at a time. TREAD_ERROR_ARGUMENT, TREAD_ERROR_IO, TREAD_ERROR_FORMAT (the file
 * became shorter), TREAD_ERROR_MEMORY. */
TREAD_API tread_status tread_tensor_file_scan(const tread_tensor_file *file, size_t i, tread_tensor_scan *ret_scan);

TREAD_END_DECLS

#endif
