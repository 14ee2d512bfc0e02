/* Layer: core. Included by kernels_binary.c once for each float type; no guard on purpose. Pointers are at the span's
 * first elements. */

#define BINARY(kind, value)                                                                                            \
    TREAD_KERNEL_BODY void TREAD_BODY(T(kind))(const tread_span *span, const void *a, const void *b, void *to) {       \
        for (int64_t row = 0; row < span->rows; row++) {                                                               \
            const REAL *restrict a_ = (const REAL *)a + row * span->row_a;                                             \
            const REAL *restrict b_ = (const REAL *)b + row * span->row_b;                                             \
            REAL *restrict to_ = (REAL *)to + row * span->cols;                                                        \
            if (span->step_a == 0) {                                                                                   \
                const REAL x = a_[0];                                                                                  \
                for (int64_t i = 0; i < span->cols; i++) {                                                             \
                    const REAL y = b_[i];                                                                              \
                    to_[i] = value;                                                                                    \
                }                                                                                                      \
            } else if (span->step_b == 0) {                                                                            \
                const REAL y = b_[0];                                                                                  \
                for (int64_t i = 0; i < span->cols; i++) {                                                             \
                    const REAL x = a_[i];                                                                              \
                    to_[i] = value;                                                                                    \
                }                                                                                                      \
            } else {                                                                                                   \
                for (int64_t i = 0; i < span->cols; i++) {                                                             \
                    const REAL x = a_[i], y = b_[i];                                                                   \
                    to_[i] = value;                                                                                    \
                }                                                                                                      \
            }                                                                                                          \
        }                                                                                                              \
    }                                                                                                                  \
    TREAD_KERNEL(T(kind), (const tread_span *span, const void *a, const void *b, void *to), (span, a, b, to))

BINARY(add, x + y)
BINARY(sub, x - y)
BINARY(mul, x *y)
BINARY(div, x / y)
#undef BINARY

TREAD_KERNEL_BODY void TREAD_BODY(T(spread))(const tread_span *span, const void *from, double scale, void *to,
                                             bool accumulate) {
    const REAL factor = (REAL)scale;
    for (int64_t row = 0; row < span->rows; row++) {
        const REAL *restrict from_ = (const REAL *)from + row * span->row_a;
        REAL *restrict to_ = (REAL *)to + row * span->cols;
        const REAL value = factor * from_[0];
        if (span->step_a == 0 && accumulate)
            for (int64_t i = 0; i < span->cols; i++)
                to_[i] += value;
        else if (span->step_a == 0)
            for (int64_t i = 0; i < span->cols; i++)
                to_[i] = value;
        else if (accumulate)
            for (int64_t i = 0; i < span->cols; i++)
                to_[i] += factor * from_[i];
        else
            for (int64_t i = 0; i < span->cols; i++)
                to_[i] = factor * from_[i];
    }
}
TREAD_KERNEL(T(spread), (const tread_span *span, const void *from, double scale, void *to, bool accumulate),
             (span, from, scale, to, accumulate))
