#include "core/layout.h"

#include <string.h>

#include "core/random.h"
#include "tests/test.h"

/* The element of x that element `index` of the broadcast shape reads, axis by axis. */
static int64_t naive_index(int rank, const int64_t *shape, int rank_x, const int64_t *x, int64_t index) {
    int64_t found = 0, stride = 1;
    for (int i = rank - 1, k = rank_x - 1; i >= 0; i--, k--) {
        int64_t along = index % shape[i];
        index /= shape[i];
        if (k >= 0 && x[k] != 1)
            found += along * stride;
        stride *= k >= 0 ? x[k] : 1;
    }
    return found;
}

/* The spans of [begin, end) must visit every element once, in order, at the operands' places. */
static void check_spans(const tread_layout *layout, int rank, const int64_t *shape, int rank_a, const int64_t *a,
                        int rank_b, const int64_t *b, int64_t begin, int64_t end) {
    int64_t next = begin;
    tread_span span;
    while (next < end) {
        int64_t after = tread_layout_span(layout, next, end, &span);
        ck_assert_int_eq(span.at, next);
        for (int64_t row = 0; row < span.rows; row++)
            for (int64_t col = 0; col < span.cols; col++, next++) {
                int64_t at_a = span.at_a + row * span.row_a + col * span.step_a;
                int64_t at_b = span.at_b + row * span.row_b + col * span.step_b;
                if (at_a != naive_index(rank, shape, rank_a, a, next) ||
                    at_b != naive_index(rank, shape, rank_b, b, next))
                    ck_abort_msg("element %d: operands at %d and %d", (int)next, (int)at_a, (int)at_b);
            }
        ck_assert_int_eq(next, after);
    }
    ck_assert_int_eq(next, end);
}

START_TEST(spans_visit_what_broadcasting_says) {
    tread_rng rng = tread_rng_create(1, 1);
    for (int trial = 0; trial < 3000; trial++) {
        int64_t a[TREAD_MAX_RANK], b[TREAD_MAX_RANK], shape[TREAD_MAX_RANK];
        int rank_a = (int)tread_rng_below(&rng, TREAD_MAX_RANK + 1),
            rank_b = (int)tread_rng_below(&rng, TREAD_MAX_RANK + 1), rank;
        for (int i = 0; i < TREAD_MAX_RANK; i++) {
            int64_t extent = 1 + tread_rng_below(&rng, 4);
            /* Aligned at the last axis. */
            if (i < rank_a)
                a[rank_a - 1 - i] = tread_rng_below(&rng, 3) == 0 ? 1 : extent;
            if (i < rank_b)
                b[rank_b - 1 - i] = tread_rng_below(&rng, 3) == 0 ? 1 : extent;
        }
        ck_assert(tread_broadcast_shape(rank_a, a, rank_b, b, &rank, shape));
        tread_layout layout;
        tread_layout_init(&layout, rank_a, a, rank_b, b);
        check_spans(&layout, rank, shape, rank_a, a, rank_b, b, 0, layout.count);
        int64_t begin = tread_rng_below(&rng, (uint32_t)layout.count);
        int64_t end = begin + tread_rng_below(&rng, (uint32_t)(layout.count - begin) + 1);
        check_spans(&layout, rank, shape, rank_a, a, rank_b, b, begin, end);
        tread_layout swapped = tread_layout_swapped(&layout);
        check_spans(&swapped, rank, shape, rank_b, b, rank_a, a, begin, end);
    }
}
END_TEST

START_TEST(axes_are_merged) {
    tread_layout layout;
    const int64_t full[] = {2, 3, 4, 5}, bias[] = {4, 5}, one[] = {1};
    tread_layout_init(&layout, 4, full, 4, full);
    ck_assert_int_eq(layout.rank, 1);
    tread_layout_init(&layout, 4, full, 2, bias);
    ck_assert_int_eq(layout.rank, 2);
    ck_assert_int_eq(layout.extent[0], 6);
    ck_assert_int_eq(layout.extent[1], 20);
    ck_assert_int_eq(layout.stride_b[0], 0);
    ck_assert_int_eq(layout.count_b, 20);
    tread_layout_init(&layout, 1, one, 4, full);
    ck_assert_int_eq(layout.rank, 1);
    ck_assert_int_eq(layout.stride_a[0], 0);
    tread_layout_init(&layout, 1, one, 0, NULL);
    ck_assert_int_eq(layout.rank, 1);
    ck_assert_int_eq(layout.count, 1);
}
END_TEST

START_TEST(what_does_not_fit_is_refused) {
    int rank = 77;
    int64_t shape[TREAD_MAX_RANK];
    const int64_t a[] = {2, 3}, b[] = {3, 2}, none[] = {0, 1};
    ck_assert(!tread_broadcast_shape(2, a, 2, b, &rank, shape));
    ck_assert_int_eq(rank, 77);
    ck_assert(tread_broadcast_shape(2, none, 1, a, &rank, shape) == true);
    ck_assert_int_eq(shape[0], 0);
    ck_assert_int_eq(shape[1], 2);
    ck_assert(!tread_broadcast_shape(1, none, 1, a, &rank, shape));
}
END_TEST

TEST_MAIN("layout", spans_visit_what_broadcasting_says, axes_are_merged, what_does_not_fit_is_refused)
