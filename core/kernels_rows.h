/* Layer: core. Kernels over rows: softmax, layer norm, cross-entropy, for float32 and float64 (dtype). None allocates
 * or fails; bits depend on neither thread count nor instruction set. Outputs overlap no input. With accumulate the
 * result is added to the output, else it overwrites. */
#ifndef TREAD_CORE_KERNELS_ROWS_H
#define TREAD_CORE_KERNELS_ROWS_H

#include <stdbool.h>
#include <stdint.h>
#include <tread/context.h>
#include <tread/tensor.h>

/* Softmax over the middle axis of [outer, length, inner]. */
typedef struct tread_softmax_shape {
    tread_dtype dtype;
    int64_t outer, length, inner;
    bool log; /* log_softmax */
} tread_softmax_shape;

void tread_kernel_softmax(const tread_context *context, const tread_softmax_shape *shape, const void *x, void *y);
/* dx = y (dy - sum(dy y)), or for log: dx = dy - exp(y) sum(dy). */
void tread_kernel_softmax_backward(const tread_context *context, const tread_softmax_shape *shape, const void *y,
                                   const void *dy, void *dx, bool accumulate);

/* Layer norm of rows of `length` >= 1 elements. */
typedef struct tread_layer_norm_shape {
    tread_dtype dtype;
    int64_t rows, length;
    double eps;
} tread_layer_norm_shape;

/* y = (x - mean) * scale * gamma + beta, scale = 1 / sqrt(variance + eps); gamma and beta (length) may be NULL.
 * mean and scale (rows, of dtype) are what backward needs. */
void tread_kernel_layer_norm(const tread_context *context, const tread_layer_norm_shape *shape, const void *x,
                             const void *gamma, const void *beta, void *y, void *ret_mean, void *ret_scale);
/* With h = (x - mean) * scale and g = dy gamma: dx = scale (g - mean(g) - h mean(g h)). */
void tread_kernel_layer_norm_backward(const tread_context *context, const tread_layer_norm_shape *shape, const void *x,
                                      const void *gamma, const void *mean, const void *scale, const void *dy, void *dx,
                                      bool accumulate);
/* dgamma = sum over rows of dy h, dbeta = sum over rows of dy; either may be NULL. */
void tread_kernel_layer_norm_parameters(const tread_context *context, const tread_layer_norm_shape *shape,
                                        const void *x, const void *mean, const void *scale, const void *dy,
                                        void *dgamma, bool accumulate_gamma, void *dbeta, bool accumulate_beta);

/* Classification losses over rows of class scores. */
typedef struct tread_cross_entropy_shape {
    tread_dtype dtype;
    tread_dtype label_dtype; /* TREAD_INT32 or TREAD_UINT8 */
    int64_t rows, classes;
    int32_t ignore_index;
    double label_smoothing;
} tread_cross_entropy_shape;

/* The first row whose label is neither in [0, classes) nor ignore_index, or -1; then the number of rows that are not
 * ignored is in *ret_counted. The kernels below rely on it. */
int64_t tread_kernel_check_labels(const tread_cross_entropy_shape *shape, const void *labels, int64_t *ret_counted);
int32_t tread_kernel_label(const tread_cross_entropy_shape *shape, const void *labels, int64_t row);

/* Each row's loss, 0 where ignored, into row_loss (rows). delta (rows, classes; may be NULL) receives the derivative of
 * row_loss by the logits: softmax minus the smoothed target, 0 where ignored. */
void tread_kernel_cross_entropy(const tread_context *context, const tread_cross_entropy_shape *shape,
                                const void *logits, const void *labels, double *row_loss, void *delta);
/* row_loss = -x[row][label], from log-probabilities; smoothing is ignored. */
void tread_kernel_nll(const tread_context *context, const tread_cross_entropy_shape *shape, const void *x,
                      const void *labels, double *row_loss);
/* dx = -factor at each counted row's label, else 0. */
void tread_kernel_nll_backward(const tread_context *context, const tread_cross_entropy_shape *shape, const void *labels,
                               double factor, void *dx, bool accumulate);

/* The sum of n doubles, over 16 lanes. */
double tread_kernel_sum_doubles(const double *x, int64_t n);
/* y = x * factor, factor rounded to dtype once. */
void tread_kernel_scale(const tread_context *context, tread_dtype dtype, int64_t n, const void *x, double factor,
                        void *y, bool accumulate);

#endif
