/* Layer: core. The kernel of dropout, for float32 and float64 (dtype). */
#ifndef TREAD_CORE_KERNELS_DROPOUT_H
#define TREAD_CORE_KERNELS_DROPOUT_H

#include <stdbool.h>
#include <stdint.h>
#include <tread/context.h>
#include <tread/tensor.h>

/* y = x * factor where keep is 1, 0 where it is 0 (NaN of x too), or with accumulate that added to y; factor is
 * rounded to dtype once. y overlaps no input. */
void tread_kernel_keep(const tread_context *context, tread_dtype dtype, int64_t n, const void *x, const uint8_t *keep,
                       double factor, void *y, bool accumulate);

#endif
