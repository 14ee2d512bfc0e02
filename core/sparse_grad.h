/* Layer: core. The gradient of a (rows, width) float32 leaf kept as the rows that a backward touched:
 * TREAD_GRAD_SPARSE.
 *
 * Entries are appended as they come; coalescing sorts them by index and sums those of one index in the order in which
 * they came, in float32, whatever the threads. Whoever reads rows coalesces first. The struct stays with its
 * leaf until that is destroyed, so that a step allocates nothing once there has been room for it. */
#ifndef TREAD_CORE_SPARSE_GRAD_H
#define TREAD_CORE_SPARSE_GRAD_H

#include <tread/context.h>

#include "core/tensor.h"

struct tread_sparse_grad {
    int64_t n_rows;   /* entries */
    int64_t row_size; /* floats in each */
    int64_t capacity; /* entries there is room for */
    int64_t promised; /* room that the backward under way has reserved beside n_rows */
    bool coalesced;   /* indices rise strictly */
    int32_t *indices; /* (n_rows), each a row of the leaf */
    float *rows;      /* (n_rows, row_size); may be changed in place */
    float *spare;     /* as large as rows: where coalescing writes */
    void *scratch;    /* for grouping */
    void *memory;     /* the one block that all of them lie in */
};

/* Makes room for n more entries than there are and than earlier calls reserved since the last
 * tread_sparse_grad_unreserve; the gradient's state and entries stay. TREAD_ERROR_STATE (no leaf that requires a
 * gradient), TREAD_ERROR_SHAPE (rank other than 2, more than INT32_MAX rows or entries), TREAD_ERROR_DTYPE (not
 * float32), TREAD_ERROR_MEMORY; all is as before then. `call` begins the sentence. */
tread_status tread_sparse_grad_reserve(tread_tensor *leaf, int64_t n, const char *call);
void tread_sparse_grad_unreserve(tread_tensor *leaf);

/* Appends n entries and returns their places, which the caller fills: (n) indices in [0, rows), and (n, width) floats.
 * Reserved before; cannot fail. A gradient of none becomes sparse; the caller sees to it that it is not dense. */
void tread_sparse_grad_extend(tread_tensor *leaf, int64_t n, int32_t **ret_indices, float **ret_rows);
/* The same, copying. */
void tread_sparse_grad_append(tread_tensor *leaf, int64_t n, const int32_t *indices, const float *rows);

/* Takes all entries away: the gradient of a leaf that has room for one becomes a sparse one of no rows. */
void tread_sparse_grad_clear(tread_tensor *leaf);

/* Makes indices rise strictly; for a leaf whose gradient is sparse. Cannot fail, allocates nothing. */
void tread_sparse_grad_coalesce(const tread_context *context, tread_tensor *leaf);
/* The leaf's sparse gradient, coalesced; its state must be TREAD_GRAD_SPARSE. */
tread_sparse_grad *tread_sparse_grad_rows(const tread_context *context, tread_tensor *leaf);

/* Makes a sparse gradient dense: zeros where no entry is. The leaf's dense gradient tensor must exist
 * (tread_tensor_ensure_grad; a parameter's always does). Cannot fail. Other states stay. */
void tread_sparse_grad_densify(const tread_context *context, tread_tensor *leaf);
/* Frees it; with the leaf. */
void tread_sparse_grad_free(tread_tensor *leaf);

#endif
