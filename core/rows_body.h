/* Layer: core. What kernels over rows share; included once for each float type, with REAL and T(name) set.
 *
 * Rows of up to TREAD_TILE_LENGTH elements are handled 16 at a time, turned on their side: tile[i][k] is element i of
 * row k, so that each step of the arithmetic is a vector over rows. Lanes do not touch each other and each adds up in
 * the order of i: a row's result does not depend on its place in a tile. Longer rows are worked on one by one, in 16
 * lanes. */
#ifndef TREAD_TILE_LENGTH
#define TREAD_TILE_LENGTH 64
#endif

/* Unused lanes repeat the first row, so that they compute something harmless. */
TREAD_KERNEL_BODY void T(tile_load)(const REAL *restrict x, int64_t n_rows, int64_t length, REAL *restrict tile) {
    if (n_rows == TREAD_LANES) {
        for (int64_t i = 0; i < length; i++)
            for (int k = 0; k < TREAD_LANES; k++)
                tile[i * TREAD_LANES + k] = x[k * length + i];
        return;
    }
    for (int k = 0; k < TREAD_LANES; k++) {
        const REAL *row = x + (k < n_rows ? k : 0) * length;
        for (int64_t i = 0; i < length; i++)
            tile[i * TREAD_LANES + k] = row[i];
    }
}

TREAD_KERNEL_BODY void T(tile_store)(const REAL *restrict tile, int64_t n_rows, int64_t length, REAL *restrict y) {
    for (int64_t k = 0; k < n_rows; k++)
        for (int64_t i = 0; i < length; i++)
            y[k * length + i] = tile[i * TREAD_LANES + k];
}

TREAD_KERNEL_BODY const REAL *T(copy)(const REAL *from, int64_t n, REAL *to) {
    for (int64_t k = 0; k < n; k++)
        to[k] = from[k];
    return to;
}

/* The elements after the last whole 16 of a row, filled up with value, so that 16 can be read there too. */
TREAD_KERNEL_BODY void T(tail_load)(const REAL *restrict x, int64_t length, REAL value, REAL *restrict tail) {
    const int64_t whole = length / TREAD_LANES * TREAD_LANES;
    for (int k = 0; k < TREAD_LANES; k++)
        tail[k] = value;
    for (int k = 0; k < length - whole; k++)
        tail[k] = x[whole + k];
}

TREAD_KERNEL_BODY void T(tail_store)(const REAL *restrict tail, int64_t length, REAL *restrict y) {
    const int64_t whole = length / TREAD_LANES * TREAD_LANES;
    for (int k = 0; k < length - whole; k++)
        y[whole + k] = tail[k];
}

/* The largest element, NaN passed over (what is computed from the row becomes NaN by its own arithmetic).
 * tail: filled up with -inf. */
TREAD_KERNEL_BODY REAL T(row_max)(const REAL *restrict x, const REAL *restrict tail, int64_t length) {
    REAL top[TREAD_LANES];
    for (int k = 0; k < TREAD_LANES; k++)
        top[k] = tail[k] > -(REAL)INFINITY ? tail[k] : -(REAL)INFINITY;
    for (int64_t i = 0; i + TREAD_LANES <= length; i += TREAD_LANES)
#pragma omp simd
        for (int k = 0; k < TREAD_LANES; k++)
            top[k] = x[i + k] > top[k] ? x[i + k] : top[k];
    for (int half = TREAD_LANES / 2; half > 0; half /= 2)
        for (int k = 0; k < half; k++)
            top[k] = top[k + half] > top[k] ? top[k + half] : top[k];
    return top[0];
}

/* exp(x) for x <= 0, where results below the normal numbers may as well be 0; NaN stays. */
TREAD_KERNEL_BODY REAL T(exp_drop)(REAL x) {
    const REAL lowest = sizeof(REAL) == 4 ? -87 : -708;
    REAL e = T(tread_exp_normal)(x < lowest ? lowest : x);
    return x < lowest ? 0 : e;
}

/* y = exp(x - top), and their sum; y may be NULL. Lanes past the end hold -inf and add 0. */
TREAD_KERNEL_BODY double T(row_exp)(const REAL *restrict x, const REAL *restrict tail, REAL *restrict y, int64_t length,
                                    REAL top) {
    double lanes[TREAD_LANES] = {0};
    REAL out[TREAD_LANES];
    for (int64_t i = 0; i < length; i += TREAD_LANES) {
        const bool whole = length - i >= TREAD_LANES;
        const REAL *from = whole ? x + i : tail;
        REAL *to = whole && y != NULL ? y + i : out;
#pragma omp simd
        for (int k = 0; k < TREAD_LANES; k++) {
            REAL e = T(exp_drop)(from[k] - top);
            to[k] = e;
            lanes[k] += (double)e;
        }
    }
    if (y != NULL)
        T(tail_store)(out, length, y);
    return tread_lanes_fold(lanes);
}
