/* Layer: core. Sums over the axes in which an operand was broadcast: the gradients of broadcasting arithmetic, and the
 * reductions. Sums run in double, in an order that the shapes alone fix. float32 and float64. */
#ifndef TREAD_CORE_KERNELS_REDUCE_H
#define TREAD_CORE_KERNELS_REDUCE_H

#include <tread/context.h>

#include "core/layout.h"

/* What is summed, from the dense gradient g and result y, the operand itself s, and the other operand o. */
typedef enum tread_term {
    TREAD_TERM_COPY,     /* g: sums; add; sub by its first */
    TREAD_TERM_NEGATE,   /* -g: sub by its second */
    TREAD_TERM_TIMES,    /* g o: mul */
    TREAD_TERM_OVER,     /* g / o: div by its first */
    TREAD_TERM_QUOTIENT, /* -g y / s: div by its second, y = o / s */
    TREAD_TERM_COUNT
} tread_term;

typedef struct tread_term_operands {
    const void *grad, *y, *self, *other; /* those the term does not read may be NULL */
} tread_term_operands;

/* to (of operand a's shape: `self`) = scale * sum of term over the axes where operand a is broadcast, or is increased
 * by it with accumulate. Operand b is `other`. Where no axis is, scale must be 1. */
void tread_reduce(const tread_context *context, tread_term term, tread_dtype dtype, const tread_layout *layout,
                  const tread_term_operands *operands, double scale, void *to, bool accumulate);

/* Largest of x (outer, length, inner) along the middle axis: y (outer, inner); NaN if any is. length >= 1. */
void tread_max_forward(const tread_context *context, tread_dtype dtype, int64_t outer, int64_t length, int64_t inner,
                       const void *x, void *y);
/* grad_x is grad where x first equals y (or both are NaN), else 0; increased by that with accumulate. */
void tread_max_backward(const tread_context *context, tread_dtype dtype, int64_t outer, int64_t length, int64_t inner,
                        const void *x, const void *y, const void *grad, void *grad_x, bool accumulate);

#endif
