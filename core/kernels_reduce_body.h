/* Layer: core. Included by kernels_reduce.c once for each float type; no guard on purpose. */

/* One summand, of the dense gradient g and result y, the operand s and the other operand o (see tread_term). */
TREAD_KERNEL_BODY REAL T(term_copy)(REAL g, REAL y, REAL s, REAL o) { return (void)y, (void)s, (void)o, g; }
TREAD_KERNEL_BODY REAL T(term_negate)(REAL g, REAL y, REAL s, REAL o) { return (void)y, (void)s, (void)o, -g; }
TREAD_KERNEL_BODY REAL T(term_times)(REAL g, REAL y, REAL s, REAL o) { return (void)y, (void)s, g * o; }
TREAD_KERNEL_BODY REAL T(term_over)(REAL g, REAL y, REAL s, REAL o) { return (void)y, (void)s, g / o; }
TREAD_KERNEL_BODY REAL T(term_quotient)(REAL g, REAL y, REAL s, REAL o) { return (void)o, -(g * y) / s; }

/* Columns: totals[c] += sum over rows, the columns contiguous. Row after row, so that each column's sum has the same
 * order however many columns there are. Strips of 16 columns keep their sums in registers. */
#define STRIP(width, o_index, kind)                                                                                    \
    for (int64_t row = 0; row < block->reduced; row++) {                                                               \
        const REAL *restrict g = grad + row * block->stride_reduced + c;                                               \
        const REAL *restrict y = result + row * block->stride_reduced + c;                                             \
        const REAL *restrict s = self + c, *restrict o = other + row * block->stride_reduced_b;                        \
        for (int l = 0; l < (width); l++)                                                                              \
            sums[l] += (double)T(term_##kind)(g[l], y[l], s[l], o[o_index]);                                           \
    }
#define COLUMNS(o_index, kind)                                                                                         \
    for (int64_t c = 0; c < block->kept; c += TREAD_LANES) {                                                           \
        const int width = block->kept - c < TREAD_LANES ? (int)(block->kept - c) : TREAD_LANES;                        \
        double sums[TREAD_LANES] = {0};                                                                                \
        if (width == TREAD_LANES) {                                                                                    \
            STRIP(TREAD_LANES, o_index, kind)                                                                          \
        } else {                                                                                                       \
            STRIP(width, o_index, kind)                                                                                \
        }                                                                                                              \
        for (int l = 0; l < width; l++)                                                                                \
            totals[c + l] += sums[l];                                                                                  \
    }

/* Runs: totals[k] += sum over a contiguous run, for each k.
 * Map: nothing to sum; to = the value, elementwise over a span whose operand b is `other`. */
#define TERM(kind)                                                                                                     \
    TREAD_KERNEL_BODY void TREAD_BODY(T(columns_##kind))(const tread_block *block, double *restrict totals) {          \
        const REAL *grad = block->grad, *result = block->y, *self = block->self, *other = block->other;                \
        if (block->stride_kept_b == 0) {                                                                               \
            COLUMNS(0, kind)                                                                                           \
        } else {                                                                                                       \
            COLUMNS(c + l, kind)                                                                                       \
        }                                                                                                              \
    }                                                                                                                  \
    TREAD_KERNEL(T(columns_##kind), (const tread_block *block, double *totals), (block, totals))                       \
    TREAD_KERNEL_BODY void TREAD_BODY(T(runs_##kind))(const tread_block *block, double *restrict totals) {             \
        for (int64_t k = 0; k < block->kept; k++) {                                                                    \
            const REAL *restrict g = (const REAL *)block->grad + k * block->stride_kept;                               \
            const REAL *restrict y = (const REAL *)block->y + k * block->stride_kept;                                  \
            const REAL *restrict o = (const REAL *)block->other + k * block->stride_kept_b;                            \
            const REAL s = ((const REAL *)block->self)[k];                                                             \
            double total;                                                                                              \
            TREAD_LANE_SUM(total, block->reduced, i, T(term_##kind)(g[i], y[i], s, o[i]));                             \
            totals[k] += total;                                                                                        \
        }                                                                                                              \
    }                                                                                                                  \
    TREAD_KERNEL(T(runs_##kind), (const tread_block *block, double *totals), (block, totals))                          \
    TREAD_KERNEL_BODY void TREAD_BODY(T(map_##kind))(const tread_span *span, const tread_term_operands *from,          \
                                                     void *to, bool accumulate) {                                      \
        for (int64_t row = 0; row < span->rows; row++) {                                                               \
            const REAL *restrict g = (const REAL *)from->grad + row * span->cols;                                      \
            const REAL *restrict y = (const REAL *)from->y + row * span->cols;                                         \
            const REAL *restrict s = (const REAL *)from->self + row * span->cols;                                      \
            const REAL *restrict o = (const REAL *)from->other + row * span->row_b;                                    \
            REAL *restrict to_ = (REAL *)to + row * span->cols;                                                        \
            const REAL fixed = o[0];                                                                                   \
            if (span->step_b == 0 && accumulate)                                                                       \
                for (int64_t i = 0; i < span->cols; i++)                                                               \
                    to_[i] += T(term_##kind)(g[i], y[i], s[i], fixed);                                                 \
            else if (span->step_b == 0)                                                                                \
                for (int64_t i = 0; i < span->cols; i++)                                                               \
                    to_[i] = T(term_##kind)(g[i], y[i], s[i], fixed);                                                  \
            else if (accumulate)                                                                                       \
                for (int64_t i = 0; i < span->cols; i++)                                                               \
                    to_[i] += T(term_##kind)(g[i], y[i], s[i], o[i]);                                                  \
            else                                                                                                       \
                for (int64_t i = 0; i < span->cols; i++)                                                               \
                    to_[i] = T(term_##kind)(g[i], y[i], s[i], o[i]);                                                   \
        }                                                                                                              \
    }                                                                                                                  \
    TREAD_KERNEL(T(map_##kind), (const tread_span *span, const tread_term_operands *from, void *to, bool accumulate),  \
                 (span, from, to, accumulate))

TERM(copy)
TERM(negate)
TERM(times)
TERM(over)
TERM(quotient)
#undef STRIP
#undef COLUMNS
#undef TERM

/* to = scale * totals, rounded once; or added in double first. */
static void T(finish)(const double *totals, int64_t n, double scale, void *to, bool accumulate) {
    REAL *to_ = to;
    for (int64_t i = 0; i < n; i++) {
        double value = scale * totals[i];
        to_[i] = (REAL)(accumulate ? (double)to_[i] + value : value);
    }
}
