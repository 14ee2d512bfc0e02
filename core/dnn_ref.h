/* Layer: core. Between the plan of a plain C product (dnn_ref.c) and its kernels (dnn_ref_kernel.c). */
#ifndef TREAD_CORE_DNN_REF_H
#define TREAD_CORE_DNN_REF_H

#include "core/dnn.h"
#include "core/isa.h"
#include "core/parallel.h"

#define TREAD_REF_K 256   /* k is cut at multiples: a strip of A stays in the first cache */
#define TREAD_REF_GROUP 8 /* panels that use a packed strip of A before the next: they stay in the second */

/* One pass: items [first_item, + n_items) of the batch, columns from first_column on in n_panels panels, and the part
 * [first_k, + n_k) of the sums. */
typedef struct tread_ref_pass {
    const tread_gemm_shape *shape;
    const void *a, *b, *bias; /* bias NULL: none */
    void *c, *panels;         /* panels: (n_items, n_panels, n_k, panel columns) */
    int64_t first_item, n_items, first_column, n_panels, n_groups, first_k, n_k;
    bool load; /* the sums go on from C */
    bool last; /* bias and relu follow */
} tread_ref_pass;

typedef struct tread_ref_kernel {
    int rows, columns;           /* of a tile */
    tread_range_fn *pack_panels; /* over n_items * n_panels of a pass */
    tread_range_fn *multiply;    /* over n_items * n_groups * strips of rows */
} tread_ref_kernel;

const tread_ref_kernel *tread_ref_kernel_of(tread_dtype dtype, tread_isa isa);

#endif
