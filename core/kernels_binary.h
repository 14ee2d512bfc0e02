/* Layer: core. Elementwise arithmetic of two arrays that broadcast. float32 and float64. */
#ifndef TREAD_CORE_KERNELS_BINARY_H
#define TREAD_CORE_KERNELS_BINARY_H

#include <tread/context.h>

#include "core/layout.h"

typedef enum tread_binary {
    TREAD_BINARY_ADD,
    TREAD_BINARY_SUB,
    TREAD_BINARY_MUL,
    TREAD_BINARY_DIV,
    TREAD_BINARY_COUNT
} tread_binary;

/* y = a + b and so on, y dense. y must not overlap a or b. Gradients: tread_reduce() with the term that belongs. */
void tread_binary_forward(const tread_context *context, tread_binary kind, tread_dtype dtype,
                          const tread_layout *layout, const void *a, const void *b, void *y);

/* to = scale * from, or is increased by it with accumulate: `from` is operand a, broadcast to the dense `to`. */
void tread_spread(const tread_context *context, tread_dtype dtype, const tread_layout *layout, const void *from,
                  double scale, void *to, bool accumulate);

#endif
