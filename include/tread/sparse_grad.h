/* Layer: core. Sparse gradients: of a float32 leaf of shape (rows, width), the rows that a backward touched and their
 * indices. An embedding with sparse = true leaves one; the optimizers that support it (tread_optimizer_support_sparse)
 * then change those rows alone.
 *
 * Two backwards add up: entries of one index are summed in the order in which they came. A dense gradient and a sparse
 * one of the same leaf (tied weights) become dense. tread_tensor_zero_grad(x, false) leaves a sparse gradient of no
 * rows: an optimizer's step then counts, and changes nothing. */
#ifndef TREAD_SPARSE_GRAD_H
#define TREAD_SPARSE_GRAD_H

#include <tread/tensor.h>

TREAD_BEGIN_DECLS

typedef struct tread_sparse_rows {
    int64_t n;              /* rows that are there; all others are zero */
    int64_t width;          /* floats in each */
    const int32_t *indices; /* (n), strictly rising */
    const float *rows;      /* (n, width) */
} tread_sparse_rows;

/* Whether x has a gradient that is sparse. tread_tensor_grad(x) is then NULL, with the error set. */
TREAD_API bool tread_tensor_grad_is_sparse(const tread_tensor *x);

/* The sparse gradient, rows of one index summed; the arrays are x's and last until the next call that changes its
 * gradient. TREAD_ERROR_ARGUMENT (NULL), TREAD_ERROR_STATE (none, or a dense one). */
TREAD_API tread_status tread_tensor_sparse_grad(tread_tensor *x, tread_sparse_rows *ret_rows);

/* Copies n entries in as x's gradient, in place of the one it has; indices may come in any order and more than once.
 * TREAD_ERROR_ARGUMENT (NULL; an index outside [0, rows): entry, index and range are named), TREAD_ERROR_STATE (x is no
 * leaf), TREAD_ERROR_DTYPE, TREAD_ERROR_SHAPE, TREAD_ERROR_MEMORY; x is unchanged then. */
TREAD_API tread_status tread_tensor_set_sparse_grad(tread_tensor *x, int64_t n, const int32_t *indices,
                                                    const float *rows);

/* Makes a sparse gradient dense, zeros where it has no row: an optimizer's step then changes every row. A dense one and
 * none stay. TREAD_ERROR_ARGUMENT, TREAD_ERROR_MEMORY. */
TREAD_API tread_status tread_tensor_densify_grad(tread_tensor *x);

TREAD_END_DECLS

#endif
