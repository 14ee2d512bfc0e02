/* Layer: core. Elementwise functions of one array, from the definitions in core/scalar.h. float32 and float64. */
#ifndef TREAD_CORE_KERNELS_UNARY_H
#define TREAD_CORE_KERNELS_UNARY_H

#include <stdbool.h>
#include <tread/context.h>
#include <tread/tensor.h>

typedef enum tread_unary {
    TREAD_UNARY_NEG,
    TREAD_UNARY_EXP,
    TREAD_UNARY_LOG,
    TREAD_UNARY_SQRT,
    TREAD_UNARY_SQUARE,
    TREAD_UNARY_ABS,
    TREAD_UNARY_CLAMP, /* parameters: low, high */
    TREAD_UNARY_RELU,
    TREAD_UNARY_LEAKY_RELU, /* parameters: slope */
    TREAD_UNARY_GELU,
    TREAD_UNARY_SILU,
    TREAD_UNARY_TANH,
    TREAD_UNARY_SIGMOID,
    TREAD_UNARY_COUNT
} tread_unary;

/* y[i] = f(x[i]) for n elements. parameters: two numbers, for the kinds that have some. x and y must not overlap. */
void tread_unary_forward(const tread_context *context, tread_unary kind, tread_dtype dtype, int64_t n,
                         const double *parameters, const void *x, void *y);
/* grad_x[i] = grad[i] f'(x[i]), or is increased by it with accumulate. Reads of x and y what scalar.h says, both valid.
 */
void tread_unary_backward(const tread_context *context, tread_unary kind, tread_dtype dtype, int64_t n,
                          const double *parameters, const void *x, const void *y, const void *grad, void *grad_x,
                          bool accumulate);

#endif
