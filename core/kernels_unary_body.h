/* Layer: core. Included by kernels_unary.c once for each float type; no guard on purpose. p and q stand for the two
 * parameters. */

#define UNARY(kind, value, slope)                                                                                      \
    TREAD_KERNEL_BODY void TREAD_BODY(T(forward_##kind))(const void *from, void *to, int64_t n,                        \
                                                         const double *parameters) {                                   \
        const REAL *restrict from_ = from;                                                                             \
        REAL *restrict to_ = to;                                                                                       \
        const REAL p = (REAL)parameters[0], q = (REAL)parameters[1];                                                   \
        for (int64_t i = 0; i < n; i++) {                                                                              \
            const REAL x = from_[i];                                                                                   \
            to_[i] = value;                                                                                            \
        }                                                                                                              \
        (void)p, (void)q;                                                                                              \
    }                                                                                                                  \
    TREAD_KERNEL(T(forward_##kind), (const void *from, void *to, int64_t n, const double *parameters),                 \
                 (from, to, n, parameters))                                                                            \
    TREAD_KERNEL_BODY void TREAD_BODY(T(backward_##kind))(const void *input, const void *output, const void *grad,     \
                                                          void *to, int64_t n, const double *parameters,               \
                                                          bool accumulate) {                                           \
        const REAL *restrict x_ = input, *restrict y_ = output, *restrict grad_ = grad;                                \
        REAL *restrict to_ = to;                                                                                       \
        const REAL p = (REAL)parameters[0], q = (REAL)parameters[1];                                                   \
        if (accumulate)                                                                                                \
            for (int64_t i = 0; i < n; i++) {                                                                          \
                const REAL x = x_[i], y = y_[i];                                                                       \
                to_[i] += grad_[i] * slope;                                                                            \
            }                                                                                                          \
        else                                                                                                           \
            for (int64_t i = 0; i < n; i++) {                                                                          \
                const REAL x = x_[i], y = y_[i];                                                                       \
                to_[i] = grad_[i] * slope;                                                                             \
            }                                                                                                          \
        (void)p, (void)q;                                                                                              \
    }                                                                                                                  \
    TREAD_KERNEL(T(backward_##kind),                                                                                   \
                 (const void *input, const void *output, const void *grad, void *to, int64_t n,                        \
                  const double *parameters, bool accumulate),                                                          \
                 (input, output, grad, to, n, parameters, accumulate))

UNARY(neg, T(tread_neg)(x), T(tread_neg_grad)(x, y))
UNARY(exp, T(tread_exp)(x), T(tread_exp_grad)(x, y))
UNARY(log, T(tread_log)(x), T(tread_log_grad)(x, y))
UNARY(sqrt, T(tread_sqrt)(x), T(tread_sqrt_grad)(x, y))
UNARY(square, T(tread_square)(x), T(tread_square_grad)(x, y))
UNARY(abs, T(tread_abs)(x), T(tread_abs_grad)(x, y))
UNARY(clamp, T(tread_clamp)(x, p, q), T(tread_clamp_grad)(x, y, p, q))
UNARY(relu, T(tread_relu)(x), T(tread_relu_grad)(x, y))
UNARY(leaky_relu, T(tread_leaky_relu)(x, p), T(tread_leaky_relu_grad)(x, y, p))
UNARY(gelu, T(tread_gelu)(x), T(tread_gelu_grad)(x, y))
UNARY(silu, T(tread_silu)(x), T(tread_silu_grad)(x, y))
UNARY(tanh, T(tread_tanh)(x), T(tread_tanh_grad)(x, y))
UNARY(sigmoid, T(tread_sigmoid)(x), T(tread_sigmoid_grad)(x, y))
#undef UNARY
