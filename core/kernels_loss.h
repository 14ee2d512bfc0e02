/* Layer: core. Kernels of elementwise losses, for float32 and float64 (dtype). None allocates or fails; bits depend on
 * neither thread count nor instruction set. */
#ifndef TREAD_CORE_KERNELS_LOSS_H
#define TREAD_CORE_KERNELS_LOSS_H

#include <stdbool.h>
#include <stdint.h>
#include <tread/context.h>
#include <tread/tensor.h>

/* With d = x - t: */
typedef enum tread_loss_kind {
    TREAD_LOSS_MSE,   /* d^2 */
    TREAD_LOSS_L1,    /* |d| */
    TREAD_LOSS_HUBER, /* d^2 / 2 where |d| <= delta, else delta (|d| - delta / 2) */
    TREAD_LOSS_BCE,   /* max(x, 0) - x t + log(1 + exp(-|x|)) */
    TREAD_LOSS_COUNT,
} tread_loss_kind;

/* The sum over n elements, in double. */
double tread_kernel_loss(const tread_context *context, tread_loss_kind kind, tread_dtype dtype, int64_t n,
                         const void *x, const void *target, double delta);
/* grad = factor times the loss's derivative by x, or by the target if of_target; factor is rounded to dtype once. With
 * accumulate it is added to grad. */
void tread_kernel_loss_backward(const tread_context *context, tread_loss_kind kind, tread_dtype dtype, int64_t n,
                                const void *x, const void *target, double delta, double factor, bool of_target,
                                void *grad, bool accumulate);

#endif
