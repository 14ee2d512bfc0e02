/* Layer: core. Included by kernels_copy.c once for each element type; no guard on purpose. */

TREAD_KERNEL_BODY void TREAD_BODY(T(copy))(const void *from, void *to, int64_t n, bool accumulate) {
    const REAL *restrict from_ = from;
    REAL *restrict to_ = to;
    if (accumulate)
        for (int64_t i = 0; i < n; i++)
            to_[i] = (REAL)(to_[i] + from_[i]);
    else
        for (int64_t i = 0; i < n; i++)
            to_[i] = from_[i];
}
TREAD_KERNEL(T(copy), (const void *from, void *to, int64_t n, bool accumulate), (from, to, n, accumulate))

/* rows x cols (at most TILE each) of `from` to cols x rows of `to`, by way of a tile that is read and written in whole
 * rows: strided memory is touched once a line. */
TREAD_KERNEL_BODY void TREAD_BODY(T(transpose))(const void *from, int64_t from_stride, void *to, int64_t to_stride,
                                                int rows, int cols, bool accumulate) {
    REAL tile[TILE][TILE];
    for (int r = 0; r < rows; r++) {
        const REAL *restrict from_ = (const REAL *)from + r * from_stride;
        for (int c = 0; c < cols; c++)
            tile[c][r] = from_[c];
    }
    for (int c = 0; c < cols; c++) {
        REAL *restrict to_ = (REAL *)to + c * to_stride;
        const REAL *restrict line = tile[c];
        if (accumulate)
            for (int r = 0; r < rows; r++)
                to_[r] = (REAL)(to_[r] + line[r]);
        else
            for (int r = 0; r < rows; r++)
                to_[r] = line[r];
    }
}
TREAD_KERNEL(T(transpose),
             (const void *from, int64_t from_stride, void *to, int64_t to_stride, int rows, int cols, bool accumulate),
             (from, from_stride, to, to_stride, rows, cols, accumulate))
