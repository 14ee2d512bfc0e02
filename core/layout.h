/* Layer: core. How the elements of one or two operands lie against those of a dense array that they broadcast to: the
 * index arithmetic of broadcasting and of reductions, which are the same thing run the other way. */
#ifndef TREAD_CORE_LAYOUT_H
#define TREAD_CORE_LAYOUT_H

#include <stdbool.h>
#include <stdint.h>
#include <tread/tensor.h>

/* Axes that all operands walk alike are merged, and extents of 1 dropped, so two equal shapes have one axis, a bias
 * has two. At least one axis; operands are dense, with stride 0 in the axes where they have extent 1. */
typedef struct tread_layout {
    int rank;
    int64_t count; /* of the dense array: the product of extents */
    int64_t extent[TREAD_MAX_RANK];
    int64_t stride[TREAD_MAX_RANK]; /* of the dense array; all in elements */
    int64_t stride_a[TREAD_MAX_RANK];
    int64_t stride_b[TREAD_MAX_RANK];
    int64_t count_a, count_b;
} tread_layout;

/* The NumPy shape that a and b broadcast to; false if they do not. */
bool tread_broadcast_shape(int rank_a, const int64_t *a, int rank_b, const int64_t *b, int *ret_rank,
                           int64_t *ret_shape);
/* The layout of operands a and b against what they broadcast to. */
void tread_layout_init(tread_layout *layout, int rank_a, const int64_t *a, int rank_b, const int64_t *b);
/* The same with a and b exchanged. */
tread_layout tread_layout_swapped(const tread_layout *layout);

/* A block of whole rows, or a piece of one row, of the last axis; row strides are those of the axis before. */
typedef struct tread_span {
    int64_t rows, cols;
    int64_t at, at_a, at_b; /* element offsets */
    int64_t row_a, row_b;   /* from one row to the next */
    int64_t step_a, step_b; /* from one column to the next: 0 or 1 */
} tread_span;

/* The largest span at dense element `begin` that ends by `end`; returns where the next begins:
 *     while (begin < end) { begin = tread_layout_span(layout, begin, end, &span); ... } */
int64_t tread_layout_span(const tread_layout *layout, int64_t begin, int64_t end, tread_span *ret_span);

#endif
