/* Layer: core. What a linear layer does besides its matrix products: activation, its derivative, bias gradient. */
#ifndef TREAD_CORE_KERNELS_LINEAR_H
#define TREAD_CORE_KERNELS_LINEAR_H

#include <tread/activation.h>
#include <tread/context.h>
#include <tread/tensor.h>

/* Whether forward leaves the derivative for backward, since most of its work is that of the value; else backward has it
 * from the output y. */
static inline bool tread_activation_keeps_slope(tread_activation activation) {
    return activation == TREAD_ACTIVATION_GELU || activation == TREAD_ACTIVATION_SILU;
}

/* y = activation(z), n elements; z may be y. slope: where the derivative is kept, activation'(z), or NULL where nobody
 * needs it; no other array. */
void tread_activation_forward(const tread_context *context, tread_activation activation, tread_dtype dtype, int64_t n,
                              const void *z, void *y, void *slope);

/* dz = dy activation'(z), and db = its column sums, each summed over the rows in order in double. All matrices
 * are (rows, columns). slope or y, whichever the derivative does not come from, may be NULL; db may be NULL, and with
 * no activation dz. */
void tread_activation_backward(const tread_context *context, tread_activation activation, tread_dtype dtype,
                               int64_t rows, int64_t columns, const void *slope, const void *y, const void *dy,
                               void *dz, void *db);

/* The same in float32, with y and dz also, or only, rounded to bfloat16 for the products that read them. db is summed
 * from what was not rounded yet. With no activation, forward has nothing to do and is not called. */
void tread_activation_forward_bf16(const tread_context *context, tread_activation activation, int64_t n, const float *z,
                                   float *y, float *slope, uint16_t *y_bf16);
void tread_activation_backward_bf16(const tread_context *context, tread_activation activation, int64_t rows,
                                    int64_t columns, const float *slope, const float *y, const float *dy,
                                    uint16_t *dz_bf16, float *db);

/* to = from, or to += from; n elements, few. */
void tread_row_store(tread_dtype dtype, int64_t n, const void *from, void *to, bool accumulate);

#endif
