/* Layer: engine. Which tensors an optimizer is profiled on, read from a text. */
#ifndef TREAD_ENGINE_PROFILE_TENSOR_LAYOUT_H
#define TREAD_ENGINE_PROFILE_TENSOR_LAYOUT_H

#include <stddef.h>
#include <stdint.h>
#include <tread/status.h>

/* count tensors of one shape. */
typedef struct tread_tensor_run {
    int64_t count;
    int rank;
    int64_t shape[2];
} tread_tensor_run;

#define TREAD_LAYOUT_RUNS 128
#define TREAD_LAYOUT_MOST_TENSORS 10000000
#define TREAD_LAYOUT_MOST_ELEMENTS ((int64_t)1 << 40)

typedef struct tread_tensor_layout {
    const char *text; /* the caller's */
    int64_t tensors, elements;
    size_t n_runs;
    tread_tensor_run runs[TREAD_LAYOUT_RUNS];
} tread_tensor_layout;

/* The forms are those of tread_profile_optimizer_options. TREAD_ERROR_ARGUMENT: the sentence quotes what is wrong, and
 * says what is allowed. */
tread_status tread_tensor_layout_read(const char *text, tread_tensor_layout *ret_layout);

#endif
