/* Layer: engine. NumPy's format of one array, from a file or from an archive's entry. */
#ifndef TREAD_ENGINE_NPY_H
#define TREAD_ENGINE_NPY_H

#include <stdbool.h>
#include <tread/tensor.h>

#include "engine/data/reader.h"
#include "engine/data/zip.h"

/* Where the bytes come from: one of the two is open. */
typedef struct tread_npy_input {
    char name[4096 + 256]; /* for sentences: "file", "file: array x" */
    tread_reader *reader;
    tread_zip_entry *entry;
} tread_npy_input;

typedef enum tread_npy_kind { TREAD_NPY_FLOAT, TREAD_NPY_INTEGER, TREAD_NPY_BYTE, TREAD_NPY_BOOL } tread_npy_kind;

typedef struct tread_npy_header {
    tread_npy_kind kind;
    int item; /* bytes a value */
    bool fortran;
    int rank;
    int64_t shape[TREAD_MAX_RANK];
    int64_t count; /* values */
} tread_npy_header;

/* Reads the header, and checks it against what the input can hold. TREAD_ERROR_IO, TREAD_ERROR_FORMAT. */
tread_status tread_npy_read_header(tread_npy_input *input, tread_npy_header *ret_header);

/* Reads the values that follow, up to the input's end, as float32, float64, int32 or uint8, in C order; the caller
 * frees them (tread_free). TREAD_ERROR_FORMAT also where a value does not fit: a fraction or a number beyond int32, or
 * one that is not finite, where finite asks for that. TREAD_ERROR_MEMORY. */
tread_status tread_npy_read_values(tread_npy_input *input, const tread_npy_header *header, tread_dtype dtype,
                                   bool finite, void **ret_values);

#endif
