/* Layer: engine. What a data set is made of. */
#ifndef TREAD_ENGINE_DATASET_H
#define TREAD_ENGINE_DATASET_H

#include <tread/data.h>

#include "engine/data/schema.h"

/* One number for each feature. The two that a batch needs are those of the stored values: bytes are not divided. */
typedef struct tread_standardization {
    double *mean, *std;      /* of the values, bytes divided by 255; NULL: none */
    double *centre, *factor; /* a batch's value is (stored - centre) * factor */
} tread_standardization;

struct tread_dataset {
    int64_t n;
    int64_t features; /* values a sample */
    int classes;      /* 0: y is not labels */
    tread_dtype x_dtype;
    int x_rank;
    int64_t x_shape[TREAD_MAX_RANK]; /* (n, shape of a sample) */
    int y_rank;                      /* 0: there is no y */
    int64_t y_shape[TREAD_MAX_RANK]; /* (n), (n, ...) */
    bool y_float;                    /* targets, not labels */

    tread_tensor *x; /* float32, uint8 or int32, (n, ...), or more rows where `rows` chooses; NULL: a source's */
    tread_tensor *y; /* int32 or uint8 labels, float32 targets, or NULL */
    tread_source source;
    void *x_data; /* memory of x and y where the data set owns it, else NULL */
    void *y_data;
    int32_t *rows; /* of x, y or the source, for samples 0..n-1; NULL: those themselves */

    double mean, std; /* 0 and 1: no normalisation */
    tread_standardization standard;
    const tread_schema *schema; /* names, or NULL */
    tread_schema *own_schema;   /* NULL where the schema is another set's */
};

/* Makes a data set of tensors and takes the two blocks (either may be NULL), which hold their memory. On failure the
 * blocks stay the caller's. Errors as tread_dataset_from_tensors. */
tread_status tread_dataset_create(const tread_tensor *x, const tread_tensor *y, int classes, void *x_data, void *y_data,
                                  tread_dataset **ret_dataset);

/* Whether the inputs can be normalised; else TREAD_ERROR_DTYPE. */
tread_status tread_dataset_check_normalizable(const tread_dataset *dataset);

/* Room for a set's numbers, and giving it back. */
tread_status tread_standardization_create(int64_t features, tread_standardization *ret_standard);
void tread_standardization_destroy(tread_standardization *standard); /* zeroed ones are accepted */
/* Computes centre and factor from mean and std, and puts the whole into the set, which takes it. */
void tread_standardization_apply(tread_dataset *dataset, tread_standardization *standard);

#endif
