/* Layer: core. What a linear layer does besides its matrix products: activation, its derivative, bias gradient. */
#ifndef TREAD_CORE_KERNELS_LINEAR_H
#define TREAD_CORE_KERNELS_LINEAR_H

#include <tread/activation.h>
#include <tread/context.h>
#include <tread/tensor.h>

/* Whether the derivative is computed from the activation's input z; else from its output y, and z and y may be one. */
static inline bool tread_activation_keeps_input(tread_activation activation) {
    return activation == TREAD_ACTIVATION_GELU || activation == TREAD_ACTIVATION_SILU;
}

/* y = activation(z), n elements; z may be y. */
void tread_activation_forward(const tread_context *context, tread_activation activation, tread_dtype dtype, int64_t n,
                              const void *z, void *y);

/* dz = dy activation'(z), and db = its column sums, each summed over the rows in order in double. All matrices
 * are (rows, columns). z or y may be NULL where the derivative does not use it; db may be NULL, and with no activation
 * dz. */
void tread_activation_backward(const tread_context *context, tread_activation activation, tread_dtype dtype,
                               int64_t rows, int64_t columns, const void *z, const void *y, const void *dy, void *dz,
                               void *db);

/* The same in float32, with y and dz also, or only, rounded to bfloat16 for the products that read them. db is summed
 * from what was not rounded yet. With no activation, forward has nothing to do and is not called. */
void tread_activation_forward_bf16(const tread_context *context, tread_activation activation, int64_t n, const float *z,
                                   float *y, uint16_t *y_bf16);
void tread_activation_backward_bf16(const tread_context *context, tread_activation activation, int64_t rows,
                                    int64_t columns, const float *z, const float *y, const float *dy, uint16_t *dz_bf16,
                                    float *db);

/* to = from, or to += from; n elements, few. */
void tread_row_store(tread_dtype dtype, int64_t n, const void *from, void *to, bool accumulate);

#endif
