/* Layer: engine. What differs between two states, or between two files of tensors. */
#ifndef TREAD_STATE_DIFF_H
#define TREAD_STATE_DIFF_H

#include <tread/state.h>
#include <tread/tensor_file.h>

TREAD_BEGIN_DECLS

typedef enum tread_difference_kind {
    TREAD_ONLY_IN_FIRST = 0,
    TREAD_ONLY_IN_SECOND = 1,
    TREAD_DIFFERENT_KIND = 2,  /* of parts: a real and a string */
    TREAD_DIFFERENT_DTYPE = 3, /* of tensors */
    TREAD_DIFFERENT_SHAPE = 4,
    TREAD_DIFFERENT_VALUE = 5,
} tread_difference_kind;

typedef struct tread_difference {
    tread_difference_kind kind;
    const char *path; /* "optimizer.state.0.weight.exp_avg"; as all text here good during the call */
    const char *text; /* "element (3, 1) is 0.5, not 0.25; 12 of 40 elements differ": the first's, not the second's */
    int64_t first; /* TREAD_DIFFERENT_VALUE of tensors: the first element that differs, in row-major order; else -1 */
    int64_t n_differ; /* and how many do; else 0 */
} tread_difference;

/* Called for one difference after the other, in the order of the first state and then what the second alone has; false
 * ends the comparison. */
typedef bool tread_difference_fn(void *data, const tread_difference *difference);

/* Compares bit for bit: -0.0 is not 0.0, and a NaN is one of the same bits. An integer is not the real of its value;
 * the order of a tree's parts does not matter. fn may be NULL; ret_n (may be NULL): how many differences there were up
 * to the end. TREAD_ERROR_ARGUMENT, TREAD_ERROR_MEMORY. */
TREAD_API tread_status tread_state_diff(const tread_state *first, const tread_state *second, tread_difference_fn *fn,
                                        void *data, size_t *ret_n);

/* The same for the tensors of two files, by name, whatever program wrote them; of a checkpoint beside a file that is
 * none those of "model". Also TREAD_ERROR_IO, TREAD_ERROR_FORMAT. */
TREAD_API tread_status tread_tensor_file_diff(const tread_tensor_file *first, const tread_tensor_file *second,
                                              tread_difference_fn *fn, void *data, size_t *ret_n);

TREAD_END_DECLS

#endif
