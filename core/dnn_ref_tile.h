/* Layer: core. The plain C matrix product, for one element type and one size of tile; dnn_ref_kernel.c includes it once
 * for each, with REAL, T(name), TARGET (attribute), TILE_ROWS and VECTOR_BYTES set.
 *
 * C is computed in tiles of TILE_ROWS x TILE_COLUMNS held in registers, from copies of A and B that lie in the order
 * the tile reads them (Goto and van de Geijn, "Anatomy of high-performance matrix multiplication", 2008). Every element
 * is summed over k in rising order with a rounded product and a rounded sum, beginning at 0, or at C when
 * accumulating; cuts of k store and reload the sum, which changes no bit. So neither tile size, threads nor
 * instruction set show in the result. */

#define VECTOR_LENGTH (VECTOR_BYTES / (int)sizeof(REAL))
#define TILE_COLUMNS (2 * VECTOR_LENGTH)

typedef REAL T(vector) __attribute__((vector_size(VECTOR_BYTES), aligned(sizeof(REAL)), may_alias));

/* C tile = (load ? C tile : 0) + A panel (k, TILE_ROWS) times the first `vectors` vectors of B panel (k, TILE_COLUMNS).
 */
TREAD_KERNEL_BODY void T(tile)(int vectors, int64_t k, const REAL *restrict a, const REAL *restrict b, REAL *restrict c,
                               int64_t stride_c, bool load) {
    T(vector) sum[TILE_ROWS][2];
#pragma GCC unroll 16
    for (int i = 0; i < TILE_ROWS; i++)
#pragma GCC unroll 2
        for (int j = 0; j < vectors; j++)
            sum[i][j] = load ? *(const T(vector) *)(c + i * stride_c + j * VECTOR_LENGTH) : (T(vector)){0};
    for (int64_t p = 0; p < k; p++) {
#pragma GCC unroll 16
        for (int i = 0; i < TILE_ROWS; i++)
#pragma GCC unroll 2
            for (int j = 0; j < vectors; j++)
                sum[i][j] += a[i] * *(const T(vector) *)(b + j * VECTOR_LENGTH);
        a += TILE_ROWS;
        b += TILE_COLUMNS;
    }
#pragma GCC unroll 16
    for (int i = 0; i < TILE_ROWS; i++)
#pragma GCC unroll 2
        for (int j = 0; j < vectors; j++)
            *(T(vector) *)(c + i * stride_c + j * VECTOR_LENGTH) = sum[i][j];
}

/* A rows x columns corner of a tile, by way of a whole one. */
TREAD_KERNEL_BODY void T(corner)(int vectors, int rows, int columns, int64_t k, const REAL *restrict a,
                                 const REAL *restrict b, REAL *restrict c, int64_t stride_c, bool load) {
    REAL whole[TILE_ROWS * TILE_COLUMNS] __attribute__((aligned(TREAD_ALIGNMENT))) = {0};
    if (load)
        for (int i = 0; i < rows; i++)
            for (int j = 0; j < columns; j++)
                whole[i * TILE_COLUMNS + j] = c[i * stride_c + j];
    T(tile)(vectors, k, a, b, whole, TILE_COLUMNS, load);
    for (int i = 0; i < rows; i++)
        for (int j = 0; j < columns; j++)
            c[i * stride_c + j] = whole[i * TILE_COLUMNS + j];
}

typedef REAL T(quad) __attribute__((vector_size(4 * sizeof(REAL)), aligned(sizeof(REAL)), may_alias));

/* to[p * width + line] = from[line * stride + p] for 4 lines and 4 p. */
TREAD_KERNEL_BODY void T(transpose)(const REAL *restrict from, int64_t stride, int width, REAL *restrict to) {
    T(quad) r0 = *(const T(quad) *)from, r1 = *(const T(quad) *)(from + stride);
    T(quad) r2 = *(const T(quad) *)(from + 2 * stride), r3 = *(const T(quad) *)(from + 3 * stride);
    T(quad) low01 = __builtin_shufflevector(r0, r1, 0, 4, 1, 5), high01 = __builtin_shufflevector(r0, r1, 2, 6, 3, 7);
    T(quad) low23 = __builtin_shufflevector(r2, r3, 0, 4, 1, 5), high23 = __builtin_shufflevector(r2, r3, 2, 6, 3, 7);
    *(T(quad) *)to = __builtin_shufflevector(low01, low23, 0, 1, 4, 5);
    *(T(quad) *)(to + width) = __builtin_shufflevector(low01, low23, 2, 3, 6, 7);
    *(T(quad) *)(to + 2 * width) = __builtin_shufflevector(high01, high23, 0, 1, 4, 5);
    *(T(quad) *)(to + 3 * width) = __builtin_shufflevector(high01, high23, 2, 3, 6, 7);
}

/* The same for `lines` lines and k of p, in blocks of p that keep what is written in the first cache. */
TREAD_KERNEL_BODY void T(pack_rows)(const REAL *restrict from, int64_t stride, int lines, int width, int64_t k,
                                    REAL *restrict to) {
    int quads = lines / 4 * 4;
    int64_t k_quads = k / 4 * 4;
    for (int64_t block = 0; block < k_quads; block += 64)
        for (int line = 0; line < quads; line += 4)
            for (int64_t p = block; p < k_quads && p < block + 64; p += 4)
                T(transpose)(from + line * stride + p, stride, width, to + p * width + line);
    for (int64_t p = 0; p < k; p++)
        for (int line = p < k_quads ? quads : 0; line < lines; line++)
            to[p * width + line] = from[line * stride + p];
}

/* Copies a strip or panel to to[p * width + line], p in [0, k), zeros from line `lines` on: line i is row i of from
 * where rows is set, else its column i. */
TREAD_KERNEL_BODY void T(pack)(const REAL *restrict from, int64_t stride, bool rows, int lines, int width, int64_t k,
                               REAL *restrict to) {
    if (lines < width)
        memset(to, 0, (size_t)(k * width) * sizeof(REAL));
    if (rows)
        T(pack_rows)(from, stride, lines, width, k, to);
    else if (lines == width) /* a copy of constant size */
        for (int64_t p = 0; p < k; p++)
            memcpy(to + p * width, from + p * stride, (size_t)width * sizeof(REAL));
    else
        for (int64_t p = 0; p < k; p++)
            for (int line = 0; line < lines; line++)
                to[p * width + line] = from[p * stride + line];
}

TREAD_KERNEL_BODY void T(finish)(int rows, int64_t columns, const REAL *restrict bias, bool relu, REAL *restrict c,
                                 int64_t stride_c) {
    for (int i = 0; i < rows; i++, c += stride_c) {
        if (bias != NULL)
            for (int64_t j = 0; j < columns; j++)
                c[j] += bias[j];
        if (relu)
            for (int64_t j = 0; j < columns; j++)
                c[j] = c[j] < 0 ? 0 : c[j];
    }
}

/* Range function over panels of the pass: packs B. */
TARGET static void T(pack_panels)(void *argument, int64_t begin, int64_t end) {
    const tread_ref_pass *pass = argument;
    const tread_gemm_shape *shape = pass->shape;
    int64_t stride = shape->transpose_b ? shape->k : shape->n;
    for (int64_t index = begin; index < end; index++) {
        int64_t item = pass->first_item + index / pass->n_panels,
                column = pass->first_column + index % pass->n_panels * TILE_COLUMNS;
        int64_t left = shape->n - column;
        const REAL *b = (const REAL *)pass->b + item * shape->k * shape->n;
        b += shape->transpose_b ? column * stride + pass->first_k : pass->first_k * stride + column;
        T(pack)
        (b, stride, shape->transpose_b, left < TILE_COLUMNS ? (int)left : TILE_COLUMNS, TILE_COLUMNS, pass->n_k,
         (REAL *)pass->panels + index * pass->n_k * TILE_COLUMNS);
    }
}

/* One strip of the pass: TILE_ROWS rows of C at row, times the panels [first, last). a is the strip of A, packed. */
TREAD_KERNEL_BODY void T(strip)(const tread_ref_pass *pass, int64_t item, int64_t row, int64_t first, int64_t last,
                                const REAL *restrict a) {
    const tread_gemm_shape *shape = pass->shape;
    int rows = shape->m - row < TILE_ROWS ? (int)(shape->m - row) : TILE_ROWS;
    const REAL *b =
        (const REAL *)pass->panels + ((item - pass->first_item) * pass->n_panels + first) * pass->n_k * TILE_COLUMNS;
    REAL *c = (REAL *)pass->c + (item * shape->m + row) * shape->n + pass->first_column;
    for (int64_t panel = first; panel < last; panel++, b += pass->n_k * TILE_COLUMNS) {
        int64_t column = panel * TILE_COLUMNS, left = shape->n - pass->first_column - column;
        int columns = left < TILE_COLUMNS ? (int)left : TILE_COLUMNS;
        if (rows == TILE_ROWS && columns == TILE_COLUMNS)
            T(tile)(2, pass->n_k, a, b, c + column, shape->n, pass->load);
        else if (columns > VECTOR_LENGTH)
            T(corner)(2, rows, columns, pass->n_k, a, b, c + column, shape->n, pass->load);
        else
            T(corner)(1, rows, columns, pass->n_k, a, b, c + column, shape->n, pass->load);
    }
    if (pass->last) {
        int64_t column = first * TILE_COLUMNS, end = last * TILE_COLUMNS, limit = shape->n - pass->first_column;
        const REAL *bias = pass->bias == NULL ? NULL : (const REAL *)pass->bias + pass->first_column + column;
        T(finish)(rows, (end < limit ? end : limit) - column, bias, shape->relu, c + column, shape->n);
    }
}

/* Range function over (item, group of panels, strip of rows), strips fastest: packs a strip of A and multiplies. */
TARGET static void T(multiply)(void *argument, int64_t begin, int64_t end) {
    const tread_ref_pass *pass = argument;
    const tread_gemm_shape *shape = pass->shape;
    REAL strip[TILE_ROWS * TREAD_REF_K] __attribute__((aligned(TREAD_ALIGNMENT)));
    int64_t stride = shape->transpose_a ? shape->m : shape->k, n_strips = (shape->m + TILE_ROWS - 1) / TILE_ROWS;
    for (int64_t index = begin; index < end; index++) {
        int64_t row = index % n_strips * TILE_ROWS, group = index / n_strips % pass->n_groups;
        int64_t item = pass->first_item + index / n_strips / pass->n_groups;
        int64_t first = group * TREAD_REF_GROUP, last = first + TREAD_REF_GROUP, left = shape->m - row;
        const REAL *a = (const REAL *)pass->a + item * shape->m * shape->k;
        a += shape->transpose_a ? pass->first_k * stride + row : row * stride + pass->first_k;
        T(pack)(a, stride, !shape->transpose_a, left < TILE_ROWS ? (int)left : TILE_ROWS, TILE_ROWS, pass->n_k, strip);
        T(strip)(pass, item, row, first, last < pass->n_panels ? last : pass->n_panels, strip);
    }
}

#undef VECTOR_LENGTH
#undef TILE_COLUMNS
