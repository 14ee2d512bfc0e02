#include "core/layout.h"

#include <string.h>

/* The extent of axis `axis` of `rank` aligned axes, 1 where a shape of lower rank has none. */
static int64_t aligned(int rank_x, const int64_t *x, int rank, int axis) {
    int own = axis - (rank - rank_x);
    return own < 0 ? 1 : x[own];
}

bool tread_broadcast_shape(int rank_a, const int64_t *a, int rank_b, const int64_t *b, int *ret_rank,
                           int64_t *ret_shape) {
    int rank = rank_a > rank_b ? rank_a : rank_b;
    int64_t shape[TREAD_MAX_RANK] = {0};
    for (int i = 0; i < rank; i++) {
        int64_t of_a = aligned(rank_a, a, rank, i), of_b = aligned(rank_b, b, rank, i);
        if (of_a != of_b && of_a != 1 && of_b != 1)
            return false;
        shape[i] = of_a == 1 ? of_b : of_a;
    }
    *ret_rank = rank;
    memcpy(ret_shape, shape, sizeof shape);
    return true;
}

void tread_layout_init(tread_layout *layout, int rank_a, const int64_t *a, int rank_b, const int64_t *b) {
    *layout = (tread_layout){.count = 1, .count_a = 1, .count_b = 1};
    tread_layout reversed = *layout; /* axes from the last to the first */
    int rank = rank_a > rank_b ? rank_a : rank_b;
    for (int i = rank - 1; i >= 0; i--) {
        int64_t of_a = aligned(rank_a, a, rank, i), of_b = aligned(rank_b, b, rank, i);
        int64_t extent = of_a == 1 ? of_b : of_a;
        int64_t stride_a = of_a == 1 ? 0 : layout->count_a, stride_b = of_b == 1 ? 0 : layout->count_b;
        int64_t stride = layout->count;
        layout->count *= extent;
        layout->count_a *= of_a;
        layout->count_b *= of_b;
        if (extent == 1)
            continue;
        int last = reversed.rank - 1;
        if (last >= 0 && stride_a == reversed.stride_a[last] * reversed.extent[last] &&
            stride_b == reversed.stride_b[last] * reversed.extent[last]) {
            reversed.extent[last] *= extent;
            continue;
        }
        last = reversed.rank++;
        reversed.extent[last] = extent;
        reversed.stride[last] = stride;
        reversed.stride_a[last] = stride_a;
        reversed.stride_b[last] = stride_b;
    }
    if (reversed.rank == 0) {
        reversed.rank = 1;
        reversed.extent[0] = reversed.stride[0] = reversed.stride_a[0] = reversed.stride_b[0] = 1;
    }
    layout->rank = reversed.rank;
    for (int i = 0; i < reversed.rank; i++) {
        int from = reversed.rank - 1 - i;
        layout->extent[i] = reversed.extent[from];
        layout->stride[i] = reversed.stride[from];
        layout->stride_a[i] = reversed.stride_a[from];
        layout->stride_b[i] = reversed.stride_b[from];
    }
}

tread_layout tread_layout_swapped(const tread_layout *layout) {
    tread_layout swapped = *layout;
    memcpy(swapped.stride_a, layout->stride_b, sizeof swapped.stride_a);
    memcpy(swapped.stride_b, layout->stride_a, sizeof swapped.stride_b);
    swapped.count_a = layout->count_b;
    swapped.count_b = layout->count_a;
    return swapped;
}

int64_t tread_layout_span(const tread_layout *layout, int64_t begin, int64_t end, tread_span *ret_span) {
    int last = layout->rank - 1;
    int64_t rest = begin, index = 0, row_index = 0;
    tread_span span = {.at = begin, .step_a = layout->stride_a[last], .step_b = layout->stride_b[last]};
    for (int i = 0; i <= last; i++) {
        row_index = index;
        index = rest / layout->stride[i];
        rest -= index * layout->stride[i];
        span.at_a += index * layout->stride_a[i];
        span.at_b += index * layout->stride_b[i];
    }
    int64_t cols = layout->extent[last];
    if (index == 0 && end - begin >= cols) {
        int64_t left = last > 0 ? layout->extent[last - 1] - row_index : 1, whole = (end - begin) / cols;
        span.rows = whole < left ? whole : left;
        span.cols = cols;
    } else {
        span.rows = 1;
        span.cols = end - begin < cols - index ? end - begin : cols - index;
    }
    if (last > 0) {
        span.row_a = layout->stride_a[last - 1];
        span.row_b = layout->stride_b[last - 1];
    }
    *ret_span = span;
    return begin + span.rows * span.cols;
}
