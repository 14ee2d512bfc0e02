#include "core/kernels_rows.h"

#include "tests/core/kernel_fixture.h"

/* Lengths on both sides of the tile's, multiples of 16 and not; inner of a whole and a part block. */
static const int64_t shapes[][3] = {{1, 1, 1},   {1, 10, 1}, {16, 10, 1}, {33, 10, 1}, {5, 16, 1},   {17, 63, 1},
                                    {18, 64, 1}, {3, 65, 1}, {2, 79, 1},  {2, 80, 1},  {4, 1000, 1}, {2, 7, 5},
                                    {3, 70, 16}, {2, 9, 39}, {0, 5, 1},   {3, 0, 1},   {2, 3, 0}};
static const size_t n_shapes = sizeof shapes / sizeof *shapes;

static tread_softmax_shape shape_of(size_t s, tread_dtype dtype, bool log) {
    return (tread_softmax_shape){dtype, shapes[s][0], shapes[s][1], shapes[s][2], log};
}

/* Row `row` of a [outer, length, inner] array: its first element; elements are `inner` apart. */
static int64_t row_start(const tread_softmax_shape *shape, int64_t row) {
    return row / shape->inner * shape->length * shape->inner + row % shape->inner;
}

/* With d = top - x: rounding x - top puts a relative error of d u into exp, whose own is 1.1 ulp < 2.2 u. In the sum
 * the d's are weighted by the terms, and the weighted mean of d is at most log n (entropy); the sum itself runs in
 * double (n roundings, which count in float64). Then the reciprocal, the product: 2 u. What lies below exp(-87) may
 * become 0. */
static void check_forward(const tread_softmax_shape *shape, array x, array y) {
    const int64_t n = shape->length;
    const double u = roundoff(shape->dtype), n_u = u + (double)n * 0x1p-53, log_n = log((double)n);
    for (int64_t row = 0; row < shape->outer * shape->inner; row++) {
        const int64_t start = row_start(shape, row);
        long double top = -INFINITY, sum = 0;
        for (int64_t i = 0; i < n; i++)
            top = fmaxl(top, array_get(x, start + i * shape->inner));
        for (int64_t i = 0; i < n; i++)
            sum += expl(array_get(x, start + i * shape->inner) - top);
        for (int64_t i = 0; i < n; i++) {
            const int64_t at = start + i * shape->inner;
            const long double d = top - array_get(x, at), drop = isfinite(d) ? d : 0;
            if (shape->log) {
                long double expected = -d - logl(sum);
                check_near(array_get(y, at), expected, u * (drop + fabsl(expected) + 2 * log_n + 2.2) + n_u,
                           "log_softmax", at);
            } else {
                long double expected = expl(-d) / sum;
                check_near(array_get(y, at), expected, expected * (u * (drop + log_n + 2.2 + 2.2 + 2) + n_u) + 0x1p-125,
                           "softmax", at);
            }
        }
    }
}

START_TEST(forward_matches_the_formula) {
    for (size_t s = 0; s < n_shapes; s++)
        for (int mode = 0; mode < 4; mode++) {
            tread_softmax_shape shape = shape_of(s, (tread_dtype)(mode / 2), mode % 2 == 1);
            const int64_t n = shape.outer * shape.length * shape.inner;
            array x = array_random(shape.dtype, n, 1 + s, -8, 8), y = array_create(shape.dtype, n);
            tread_kernel_softmax(NULL, &shape, x.data, y.data);
            check_forward(&shape, x, y);
            free(x.data);
            free(y.data);
        }
}
END_TEST

START_TEST(extreme_scores_stay_exact) {
    for (size_t s = 0; s < n_shapes; s++)
        for (int mode = 0; mode < 4; mode++) {
            tread_softmax_shape shape = shape_of(s, (tread_dtype)(mode / 2), mode % 2 == 1);
            const int64_t n = shape.outer * shape.length * shape.inner;
            array x = array_random(shape.dtype, n, 50 + s, -1, 1), y = array_create(shape.dtype, n);
            for (int64_t i = 0; i < n; i++)
                array_set(x, i, i % 3 == 0 ? 1e4 : i % 3 == 1 ? -1e4 : array_get(x, i));
            /* A mask: -inf everywhere but at the first element of each row. */
            for (int64_t row = 0; n > 0 && row < shape.outer * shape.inner; row += 2)
                for (int64_t i = 1; i < shape.length; i++)
                    array_set(x, row_start(&shape, row) + i * shape.inner, -INFINITY);
            tread_kernel_softmax(NULL, &shape, x.data, y.data);
            check_forward(&shape, x, y);
            free(x.data);
            free(y.data);
        }
}
END_TEST

START_TEST(a_bad_row_is_nan_alone) {
    const double bad[3] = {NAN, INFINITY, -INFINITY};
    for (size_t s = 0; s < n_shapes; s++)
        for (int mode = 0; mode < 12; mode++) {
            tread_softmax_shape shape = shape_of(s, (tread_dtype)(mode % 2), mode / 2 % 2 == 1);
            const int64_t n = shape.outer * shape.length * shape.inner, rows = shape.outer * shape.inner;
            if (n == 0)
                continue;
            array x = array_random(shape.dtype, n, 99, -1, 1), y = array_create(shape.dtype, n);
            const int64_t row = rows / 2, last = shape.length - 1;
            for (int64_t i = mode / 4 == 2 ? 0 : last; i < shape.length; i++) /* all of -inf, one of the others */
                array_set(x, row_start(&shape, row) + i * shape.inner, bad[mode / 4]);
            tread_kernel_softmax(NULL, &shape, x.data, y.data);
            for (int64_t r = 0; r < rows; r++)
                for (int64_t i = 0; i < shape.length; i++) {
                    double value = array_get(y, row_start(&shape, r) + i * shape.inner);
                    ck_assert_msg(isnan(value) == (r == row), "shape %zu, mode %d: y[%lld][%lld] = %g", s, mode,
                                  (long long)r, (long long)i, value);
                }
            free(x.data);
            free(y.data);
        }
}
END_TEST

/* The inputs y and dy are exact here. softmax: y (dy - total): three roundings, each at most u of |y| (|dy| + |total|),
 * and total's own n in double of sum |dy y|. log: exp costs 2.2 u, total and product one each, the difference one. */
static void check_backward(const tread_softmax_shape *shape, array y, array dy, array before, array dx) {
    const int64_t n = shape->length;
    const double u = roundoff(shape->dtype), n_double = (double)n * 0x1p-53;
    for (int64_t row = 0; row < shape->outer * shape->inner; row++) {
        const int64_t start = row_start(shape, row);
        long double total = 0, size = 0;
        for (int64_t i = 0; i < n; i++) {
            const int64_t at = start + i * shape->inner;
            long double term = shape->log ? array_get(dy, at) : (long double)array_get(dy, at) * array_get(y, at);
            total += term;
            size += fabsl(term);
        }
        for (int64_t i = 0; i < n; i++) {
            const int64_t at = start + i * shape->inner;
            const long double value = array_get(y, at), grad = array_get(dy, at);
            const long double weight = shape->log ? expl(value) : value;
            long double expected = shape->log ? grad - weight * total : weight * (grad - total);
            long double bound =
                u * (shape->log ? 5 * weight * fabsl(total) + fabsl(grad) : 3 * weight * (fabsl(grad) + fabsl(total))) +
                weight * n_double * size;
            if (before.data != NULL) {
                expected += array_get(before, at);
                bound += u * fabsl(expected);
            }
            check_near(array_get(dx, at), expected, bound * (1 + 0x1p-20) + 0x1p-125, "dx", at);
        }
    }
}

START_TEST(backward_matches_the_formula) {
    for (size_t s = 0; s < n_shapes; s++)
        for (int mode = 0; mode < 8; mode++) {
            tread_softmax_shape shape = shape_of(s, (tread_dtype)(mode % 2), mode / 2 % 2 == 1);
            const bool accumulate = mode / 4 == 1;
            const int64_t n = shape.outer * shape.length * shape.inner;
            array y = array_random(shape.dtype, n, 7 + s, shape.log ? -9 : 0, shape.log ? 0 : 1);
            array dy = array_random(shape.dtype, n, 8 + s, -1, 1), before = array_random(shape.dtype, n, 9 + s, -1, 1);
            array dx = array_create(shape.dtype, n);
            memcpy(dx.data, before.data, (size_t)n * tread_dtype_size(shape.dtype));
            tread_kernel_softmax_backward(NULL, &shape, y.data, dy.data, dx.data, accumulate);
            check_backward(&shape, y, dy, accumulate ? before : (array){0}, dx);
            free(y.data);
            free(dy.data);
            free(before.data);
            free(dx.data);
        }
}
END_TEST

START_TEST(bits_depend_on_neither_threads_nor_instructions) {
    static const int64_t large[][3] = {{1500, 10, 1}, {70, 200, 1}, {3, 40, 203}};
    for (int mode = 0; mode < 12; mode++) {
        const int64_t *l = large[mode / 4], n = l[0] * l[1] * l[2];
        tread_softmax_shape shape = {(tread_dtype)(mode % 2), l[0], l[1], l[2], mode / 2 % 2 == 1};
        array x = array_random(shape.dtype, n, 3, -30, 30), y[2], dx[2];
        for (int run = 0; run < KERNEL_RUNS; run++) {
            tread_context *context = kernel_run_context(run);
            tread_isa isa = tread_isa_use(kernel_run_isa(run));
            y[run > 0] = array_create(shape.dtype, n);
            dx[run > 0] = array_create(shape.dtype, n);
            tread_kernel_softmax(context, &shape, x.data, y[run > 0].data);
            tread_kernel_softmax_backward(context, &shape, y[run > 0].data, x.data, dx[run > 0].data, false);
            tread_isa_use(isa);
            tread_context_destroy(context);
            if (run > 0) {
                ck_assert_msg(array_same_bits(y[0], y[1]), "softmax, mode %d, run %d", mode, run);
                ck_assert_msg(array_same_bits(dx[0], dx[1]), "softmax backward, mode %d, run %d", mode, run);
                free(y[1].data);
                free(dx[1].data);
            }
        }
        free(x.data);
        free(y[0].data);
        free(dx[0].data);
    }
}
END_TEST

/* Rows of a larger array give what they give alone, wherever they stand in a tile. */
START_TEST(a_row_does_not_depend_on_its_neighbours) {
    array x = array_random(TREAD_FLOAT32, 40 * 10, 5, -5, 5), all = array_create(TREAD_FLOAT32, 400);
    tread_softmax_shape shape = {TREAD_FLOAT32, 40, 10, 1, false}, single = {TREAD_FLOAT32, 1, 10, 1, false};
    tread_kernel_softmax(NULL, &shape, x.data, all.data);
    for (int row = 0; row < 40; row++) {
        float y[10];
        tread_kernel_softmax(NULL, &single, (float *)x.data + row * 10, y);
        ck_assert_msg(memcmp(y, (float *)all.data + row * 10, sizeof y) == 0, "row %d", row);
    }
    free(x.data);
    free(all.data);
}
END_TEST

TEST_MAIN("kernels_softmax", forward_matches_the_formula, extreme_scores_stay_exact, a_bad_row_is_nan_alone,
          backward_matches_the_formula, bits_depend_on_neither_threads_nor_instructions,
          a_row_does_not_depend_on_its_neighbours)
