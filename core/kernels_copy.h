/* Layer: core. Moving elements: strided copies and transposes, and the sums that are their gradients. Any dtype to
 * copy, float32 and float64 to add. */
#ifndef TREAD_CORE_KERNELS_COPY_H
#define TREAD_CORE_KERNELS_COPY_H

#include <stdbool.h>
#include <tread/context.h>
#include <tread/tensor.h>

/* rows of cols elements, row r at from + r * from_stride and to + r * to_stride (in elements); added with accumulate.
 */
void tread_copy_rows(const tread_context *context, tread_dtype dtype, int64_t rows, int64_t cols, const void *from,
                     int64_t from_stride, void *to, int64_t to_stride, bool accumulate);
/* Zeros in the same places. */
void tread_zero_rows(const tread_context *context, tread_dtype dtype, int64_t rows, int64_t cols, void *to,
                     int64_t to_stride);

/* from (outer, m, middle, n, inner) to (outer, n, middle, m, inner), both dense; added with accumulate. */
void tread_transpose_axes(const tread_context *context, tread_dtype dtype, int64_t outer, int64_t m, int64_t middle,
                          int64_t n, int64_t inner, const void *from, void *to, bool accumulate);

#endif
