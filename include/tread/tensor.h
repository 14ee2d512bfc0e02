/* Layer: core. Tensors: dense row-major arrays of float32, float64, int32 or uint8, of rank 0 to 6.
 *
 * A tensor owns its memory, shares it with the tensor it is a view of, or borrows the caller's array. Those made
 * here belong to the caller, who destroys each of them (views too, in any order). Tensors that an operation on a tape
 * returns belong to the tape (tape.h).
 *
 * A tensor with requires_grad is a leaf: backward writes its gradient, a tensor of the same shape and type that the
 * leaf owns. A gradient is none until a backward reaches the leaf. */
#ifndef TREAD_TENSOR_H
#define TREAD_TENSOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <tread/status.h>

TREAD_BEGIN_DECLS

#define TREAD_MAX_RANK 6

typedef enum tread_dtype { TREAD_FLOAT32 = 0, TREAD_FLOAT64 = 1, TREAD_INT32 = 2, TREAD_UINT8 = 3 } tread_dtype;

typedef struct tread_tensor tread_tensor;

TREAD_API const char *tread_dtype_name(tread_dtype dtype); /* "float32"; static; "unknown" for other values */
TREAD_API size_t tread_dtype_size(tread_dtype dtype);      /* bytes per element; 0 for other values */

/* A tensor of zeros. shape has rank entries, each >= 0; shape may be NULL for rank 0 (a scalar).
 * NULL: TREAD_ERROR_DTYPE, TREAD_ERROR_SHAPE (rank, a negative or overflowing extent), TREAD_ERROR_MEMORY. */
TREAD_API tread_tensor *tread_tensor_create(tread_dtype dtype, int rank, const int64_t *shape);

/* A tensor over the caller's array, which must outlive it; nothing is copied. data must be aligned to the element size.
 * NULL: as tread_tensor_create, or TREAD_ERROR_ARGUMENT (data NULL though there are elements, or misaligned). */
TREAD_API tread_tensor *tread_tensor_wrap(tread_dtype dtype, int rank, const int64_t *shape, void *data);

/* A view of the same elements under another shape. NULL: TREAD_ERROR_SHAPE (element counts differ; both shapes
 * are named), TREAD_ERROR_STATE (x is a tape's: there tread_reshape does it), TREAD_ERROR_ARGUMENT (x NULL). Views
 * share memory and are never leaves. They may outlive x, save where x's memory is the caller's or a module's block. */
TREAD_API tread_tensor *tread_tensor_view(const tread_tensor *x, int rank, const int64_t *shape);

/* A view of rows [first, first + n) of axis 0. NULL: TREAD_ERROR_SHAPE (outside the tensor, or rank 0), and as above.
 */
TREAD_API tread_tensor *tread_tensor_rows(const tread_tensor *x, int64_t first, int64_t n);

/* Frees the tensor and its gradient; shared memory goes with its last user. NULL is accepted; a tensor that a
 * tape or a parameter owns is left alone. */
TREAD_API void tread_tensor_destroy(tread_tensor *x);

TREAD_API tread_dtype tread_tensor_dtype(const tread_tensor *x);
TREAD_API int tread_tensor_rank(const tread_tensor *x);
TREAD_API const int64_t *tread_tensor_shape(const tread_tensor *x);  /* rank entries; owned by x */
TREAD_API int64_t tread_tensor_dim(const tread_tensor *x, int axis); /* axis -1 is the last; -1 if there is none */
TREAD_API int64_t tread_tensor_count(const tread_tensor *x);         /* elements; 1 for a scalar */
TREAD_API void *tread_tensor_data(const tread_tensor *x);            /* first element; owned by x */
static inline float *tread_tensor_float(const tread_tensor *x) { return (float *)tread_tensor_data(x); }

/* The single element of x as a double. TREAD_ERROR_SHAPE if x has not exactly one; TREAD_ERROR_STATE for a tape's
 * tensor of an earlier step. */
TREAD_API tread_status tread_tensor_item(const tread_tensor *x, double *ret_value);

/* Sets every element, rounded to the type. TREAD_ERROR_ARGUMENT where the type cannot hold value. */
TREAD_API tread_status tread_tensor_fill(tread_tensor *x, double value);
/* Copies the elements of from, of the same shape and type. TREAD_ERROR_SHAPE, TREAD_ERROR_DTYPE. */
TREAD_API tread_status tread_tensor_copy(tread_tensor *to, const tread_tensor *from);

/* Makes x a leaf whose gradient backward computes, or stops that; its gradient is none then. TREAD_ERROR_DTYPE for
 * integers, TREAD_ERROR_STATE for a tape's tensor, a view or a gradient. */
TREAD_API tread_status tread_tensor_set_requires_grad(tread_tensor *x, bool requires_grad);
TREAD_API bool tread_tensor_requires_grad(const tread_tensor *x);

/* The gradient, of x's shape and type, owned by x; NULL for none. Ask anew after zero_grad or a backward: the address
 * stays, and the contents are up to date only once this has been called. NULL with TREAD_ERROR_STATE set where it is
 * sparse (sparse_grad.h): making it dense is left to the caller, because optimizers treat it differently. */
TREAD_API tread_tensor *tread_tensor_grad(tread_tensor *x);
/* Copies grad (same shape and type) in as x's gradient; NULL makes it none. TREAD_ERROR_SHAPE, TREAD_ERROR_DTYPE,
 * TREAD_ERROR_STATE (x is no leaf), TREAD_ERROR_MEMORY. */
TREAD_API tread_status tread_tensor_set_grad(tread_tensor *x, const tread_tensor *grad);
/* Makes the gradient zeros if there is one, or none. Costs nothing: zeros are written when somebody looks. */
TREAD_API void tread_tensor_zero_grad(tread_tensor *x, bool set_to_none);

/* Gradient mode of this thread, on at first: while it is off, operations record nothing for backward.
 * Returns what it was, to be put back:
 *     bool before = tread_set_grad_enabled(false); ...; tread_set_grad_enabled(before); */
TREAD_API bool tread_set_grad_enabled(bool enabled);
TREAD_API bool tread_grad_enabled(void);

TREAD_END_DECLS

#endif
