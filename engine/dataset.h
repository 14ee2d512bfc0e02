/* Layer: engine. What a data set is made of. */
#ifndef TREAD_ENGINE_DATASET_H
#define TREAD_ENGINE_DATASET_H

#include <tread/data.h>

struct tread_dataset {
    int64_t n;
    int64_t features; /* values a sample */
    int classes;      /* 0: y is not labels */
    tread_tensor *x;  /* (n, ...) float32, uint8 or int32 */
    tread_tensor *y;  /* (n) int32 or uint8 labels, (n, ...) float32, or NULL */
    void *x_data;     /* memory of x and y where the data set owns it, else NULL */
    void *y_data;
    double mean, std; /* 0 and 1: no normalisation */
};

/* Makes a data set of tensors and takes the two blocks (either may be NULL), which hold their memory. On failure the
 * blocks stay the caller's. Errors as tread_dataset_from_tensors. */
tread_status tread_dataset_create(const tread_tensor *x, const tread_tensor *y, int classes, void *x_data, void *y_data,
                                  tread_dataset **ret_dataset);

#endif
