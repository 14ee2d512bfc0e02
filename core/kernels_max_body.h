/* Layer: core. Included by kernels_max.c once for each float type; no guard on purpose. One call is one slab (length,
 * cols) of at most TILE columns, rows `inner` apart. A NaN beats every number and the first of equals stays. */

TREAD_KERNEL_BODY void TREAD_BODY(T(max_forward))(const void *x, int64_t length, int64_t inner, int64_t cols, void *y) {
    REAL *restrict best = y;
    const REAL *restrict first = x;
    for (int64_t c = 0; c < cols; c++)
        best[c] = first[c];
    for (int64_t row = 1; row < length; row++) {
        const REAL *restrict from = (const REAL *)x + row * inner;
        for (int64_t c = 0; c < cols; c++) {
            const REAL larger = from[c] > best[c] ? from[c] : best[c];
            best[c] = from[c] == from[c] ? larger : from[c];
        }
    }
}
TREAD_KERNEL(T(max_forward), (const void *x, int64_t length, int64_t inner, int64_t cols, void *y),
             (x, length, inner, cols, y))

/* inner = 1: the largest of a contiguous row. More lanes than gcc unrolls, so that it makes vectors of them. */
TREAD_KERNEL_BODY void TREAD_BODY(T(max_row))(const void *x, int64_t length, void *y) {
    const REAL *restrict from = x;
    REAL best[ROW_LANES];
    const int64_t whole = length / ROW_LANES * ROW_LANES;
    for (int l = 0; l < ROW_LANES; l++)
        best[l] = from[0];
    for (int64_t i = 0; i < whole; i += ROW_LANES)
        for (int l = 0; l < ROW_LANES; l++) {
            const REAL larger = from[i + l] > best[l] ? from[i + l] : best[l];
            best[l] = from[i + l] == from[i + l] ? larger : from[i + l];
        }
    REAL all = best[0];
    for (int l = 1; l < ROW_LANES && whole > 0; l++)
        all = best[l] > all || best[l] != best[l] ? best[l] : all;
    for (int64_t i = whole; i < length; i++)
        all = from[i] > all || from[i] != from[i] ? from[i] : all;
    *(REAL *)y = all;
}
TREAD_KERNEL(T(max_row), (const void *x, int64_t length, void *y), (x, length, y))

/* inner = 1: finds the element, a block at a time, and changes that one. */
TREAD_KERNEL_BODY void TREAD_BODY(T(max_row_backward))(const void *x, const void *y, const void *grad, int64_t length,
                                                       void *to, bool accumulate) {
    const REAL *restrict from = x;
    REAL *restrict to_ = to;
    const REAL best = *(const REAL *)y;
    int64_t at = 0;
    for (; at + ROW_LANES <= length; at += ROW_LANES) {
        int hits = 0;
        for (int l = 0; l < ROW_LANES; l++)
            hits |= (from[at + l] == best) | ((from[at + l] != from[at + l]) & (best != best));
        if (hits != 0)
            break;
    }
    while (at < length - 1 && from[at] != best && (from[at] == from[at] || best == best))
        at++;
    for (int64_t i = 0; i < length && !accumulate; i++)
        to_[i] = 0;
    to_[at] += *(const REAL *)grad;
}
TREAD_KERNEL(T(max_row_backward),
             (const void *x, const void *y, const void *grad, int64_t length, void *to, bool accumulate),
             (x, y, grad, length, to, accumulate))

TREAD_KERNEL_BODY void TREAD_BODY(T(max_backward))(const void *x, const void *y, const void *grad, int64_t length,
                                                   int64_t inner, int64_t cols, void *to, bool accumulate) {
    const REAL *restrict best = y, *restrict g = grad;
    REAL left[TILE]; /* the gradient that has not found its element yet; 0 afterwards */
    for (int64_t c = 0; c < cols; c++)
        left[c] = g[c];
    for (int64_t row = 0; row < length; row++) {
        const REAL *restrict from = (const REAL *)x + row * inner;
        REAL *restrict to_ = (REAL *)to + row * inner;
        for (int64_t c = 0; c < cols; c++) {
            const bool hit = (from[c] == best[c]) | ((from[c] != from[c]) & (best[c] != best[c]));
            const REAL share = hit ? left[c] : (REAL)0;
            left[c] = hit ? (REAL)0 : left[c];
            to_[c] = accumulate ? to_[c] + share : share;
        }
    }
}
TREAD_KERNEL(T(max_backward),
             (const void *x, const void *y, const void *grad, int64_t length, int64_t inner, int64_t cols, void *to,
              bool accumulate),
             (x, y, grad, length, inner, cols, to, accumulate))
