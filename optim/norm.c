#include "optim/norm.h"

#include <math.h>
#include <string.h>

#include "core/isa.h"
#include "core/math.h"
#include "core/parallel.h"
#include "core/search.h"
#include "core/sparse_grad.h"
#include "optim/vector.h"

#define FORK 65536 /* gradient entries that are worth a second thread */

/* ---- Kernels over part of a chunk ---- */

/* Of |g| / largest, so that no power overflows. */
TREAD_KERNEL_BODY void TREAD_BODY(sum_powers)(const float *from, int64_t n, double largest, double p, double *lanes) {
    const float *restrict g = from;
    double own[TREAD_LANES]; /* in registers */
    memcpy(own, lanes, sizeof own);
    TREAD_LANE_ADD(own, n, i, tread_exp_f64(p * tread_log_f64(fabs((double)g[i]) / largest)));
    memcpy(lanes, own, sizeof own);
}
TREAD_KERNEL(sum_powers, (const float *g, int64_t n, double largest, double p, double *lanes),
             (g, n, largest, p, lanes))

/* Comparisons with NaN are false, so a NaN stays. */
TREAD_KERNEL_BODY void TREAD_BODY(clamp)(float *to, int64_t n, float limit) {
    float *restrict g = to;
    for (int64_t i = 0; i < n; i++) {
        const float low = g[i] < -limit ? -limit : g[i];
        g[i] = low > limit ? limit : low;
    }
}
TREAD_KERNEL(clamp, (float *g, int64_t n, float limit), (g, n, limit))

/* ---- One pass over all chunks ---- */

static bool holds_values(const tread_tensor *x) {
    return x->grad_state == TREAD_GRAD_DENSE || x->grad_state == TREAD_GRAD_SPARSE;
}

typedef enum work { SUM_ABSOLUTE, SUM_SQUARES, SUM_POWERS, LARGEST, SMALLEST, SCALE, CLAMP } work;

typedef struct pass {
    const tread_leaves *leaves;
    int64_t first; /* chunk */
    work work;
    double p;
    float number;
} pass;

/* What the parts of a chunk give together; as many lanes as the work's sum has. */
typedef struct findings {
    double lanes[TREAD_SQUARE_LANES], largest, smallest;
} findings;

static int64_t lanes_of(work what) { return what == SUM_SQUARES ? TREAD_SQUARE_LANES : TREAD_LANES; }

static double larger(double a, double b) { return b > a || b != b ? b : a; }
static double smaller(double a, double b) { return b < a || b != b ? b : a; }

static void add_to_sum(const pass *p, const tread_leaf *leaf, const float *g, int64_t n, double *lanes) {
    switch (p->work) {
    case SUM_ABSOLUTE: tread_vector_add_absolute(g, n, lanes); break;
    case SUM_SQUARES: tread_vector_add_squares(g, n, lanes); break;
    default: TREAD_CALL(sum_powers)(g, n, leaf->norm, p->p, lanes); break;
    }
}

/* g, n entries, begins at element `at` of the chunk, whose element i goes to lane i mod lanes_of(work). */
static void run_part(const pass *p, const tread_leaf *leaf, float *g, int64_t n, int64_t at, findings *found) {
    const int64_t n_lanes = lanes_of(p->work), shift = at % n_lanes;
    double lanes[TREAD_SQUARE_LANES], largest, smallest;
    switch (p->work) {
    case LARGEST:
    case SMALLEST:
        tread_vector_extremes(g, n, &largest, &smallest);
        found->largest = larger(found->largest, largest);
        found->smallest = smaller(found->smallest, smallest);
        break;
    case SCALE: tread_vector_scale(g, n, p->number); break;
    case CLAMP: TREAD_CALL(clamp)(g, n, p->number); break;
    default:
        if (shift == 0) {
            add_to_sum(p, leaf, g, n, found->lanes);
            break;
        }
        for (int64_t i = 0; i < n_lanes; i++)
            lanes[i] = found->lanes[(shift + i) % n_lanes];
        add_to_sum(p, leaf, g, n, lanes);
        for (int64_t i = 0; i < n_lanes; i++)
            found->lanes[(shift + i) % n_lanes] = lanes[i];
    }
}

/* Entries of a sparse gradient, rows in order, that stand before element `at` of the whole. */
static int64_t entries_before(const tread_sparse_grad *rows, int64_t at) {
    const int64_t row = at / rows->row_size, column = at % rows->row_size;
    int64_t place;
    TREAD_FIND_FIRST(place, rows->n_rows, i, rows->indices[i] >= row);
    return place * rows->row_size + (place < rows->n_rows && rows->indices[place] == row ? column : 0);
}

/* Entries from `at` on, below `end`, that follow each other in the whole too, or whose lanes do; rows of a multiple of
 * them always do, and all but sums take any order. */
static int64_t part_length(const pass *p, const tread_sparse_grad *rows, int64_t at, int64_t end) {
    if (rows->row_size % lanes_of(p->work) == 0 || p->work >= LARGEST)
        return end - at;
    int64_t row = at / rows->row_size + 1;
    while (row * rows->row_size < end && rows->indices[row] == rows->indices[row - 1] + 1)
        row++;
    return row * rows->row_size < end ? row * rows->row_size - at : end - at;
}

/* The same sums in the same lanes as over the whole gradient, whose other entries are zeros: the same bits. */
static void run_rows(const pass *p, const tread_leaf *leaf, int64_t at, int64_t n, findings *found) {
    const tread_sparse_grad *rows = leaf->tensor->sparse;
    const int64_t begin = entries_before(rows, at), end = entries_before(rows, at + n);
    for (int64_t entry = begin, length; entry < end; entry += length) {
        length = part_length(p, rows, entry, end);
        int64_t element = (int64_t)rows->indices[entry / rows->row_size] * rows->row_size + entry % rows->row_size;
        run_part(p, leaf, rows->rows + entry, length, element - at, found);
    }
    if (end - begin < n)
        found->smallest = smaller(found->smallest, 0);
}

static void run_chunk(const pass *p, size_t i, int64_t chunk) {
    const tread_leaf *leaf = &p->leaves->items[i];
    const tread_tensor *x = leaf->tensor;
    if (!holds_values(x)) /* zeros have the sum 0, and scaled and clamped they are zeros */
        return;
    const int64_t size = tread_leaf_chunk_size(x->count), at = (chunk - leaf->first_chunk) * size;
    const int64_t n = x->count - at < size ? x->count - at : size;
    findings found = {.smallest = INFINITY};
    if (x->grad_state == TREAD_GRAD_SPARSE)
        run_rows(p, leaf, at, n, &found);
    else
        run_part(p, leaf, (float *)x->grad->data + at, n, 0, &found);
    double *partial = &p->leaves->partial_sums[chunk];
    switch (p->work) {
    case SUM_SQUARES: *partial = tread_square_lanes_fold(found.lanes); break;
    case SUM_ABSOLUTE:
    case SUM_POWERS: *partial = tread_lanes_fold(found.lanes); break;
    case LARGEST: *partial = found.largest; break;
    case SMALLEST: *partial = found.smallest; break;
    default: break;
    }
}

static void run_chunks(void *argument, int64_t begin, int64_t end) {
    const pass *p = argument;
    const tread_leaves *leaves = p->leaves;
    size_t i = tread_leaf_of_chunk(leaves, p->first + begin);
    for (int64_t chunk = p->first + begin; chunk < p->first + end; chunk++) {
        while (i + 1 < leaves->count && leaves->items[i + 1].first_chunk <= chunk)
            i++;
        run_chunk(p, i, chunk);
    }
}

size_t tread_leaf_of_chunk(const tread_leaves *leaves, int64_t chunk) {
    int64_t next;
    TREAD_FIND_FIRST(next, leaves->count, i, leaves->items[i].first_chunk > chunk);
    return (size_t)next - 1;
}

static int64_t entries_of(const tread_tensor *x) {
    return x->grad_state == TREAD_GRAD_SPARSE ? x->sparse->n_rows * x->sparse->row_size : x->count;
}

static void run(const tread_context *context, const tread_leaves *leaves, size_t first, size_t n, pass p) {
    if (n == 0)
        return;
    int64_t entries = 0;
    for (size_t i = first; i < first + n && entries < FORK; i++)
        entries += entries_of(leaves->items[i].tensor);
    int64_t end = first + n < leaves->count ? leaves->items[first + n].first_chunk : leaves->n_chunks;
    p.leaves = leaves;
    p.first = leaves->items[first].first_chunk;
    tread_parallel_chunks(context, end - p.first, entries >= FORK ? 1 : end - p.first, run_chunks, &p);
}

static void coalesce(const tread_context *context, const tread_leaves *leaves, size_t first, size_t n) {
    for (size_t i = first; i < first + n; i++)
        if (leaves->items[i].tensor->grad_state == TREAD_GRAD_SPARSE)
            tread_sparse_grad_coalesce(context, leaves->items[i].tensor);
}

void tread_leaves_scale(const tread_context *context, const tread_leaves *leaves, size_t first, size_t n, float by) {
    for (size_t i = first; i < first + n && by != by; i++)
        if (leaves->items[i].tensor->grad_state == TREAD_GRAD_ZERO)
            tread_tensor_grad(leaves->items[i].tensor); /* 0 * NaN is NaN: such zeros must be written out */
    coalesce(context, leaves, first, n);
    run(context, leaves, first, n, (pass){.work = SCALE, .number = by});
}

void tread_leaves_clamp(const tread_context *context, const tread_leaves *leaves, size_t first, size_t n, float limit) {
    coalesce(context, leaves, first, n);
    run(context, leaves, first, n, (pass){.work = CLAMP, .number = limit});
}

/* ---- Norms ---- */

static double power(double x, double p) { return tread_exp_f64(p * tread_log_f64(x)); }

/* The partial results of a leaf's chunks in order, joined as `work` says. */
static double join(const tread_leaves *leaves, size_t i, work what) {
    const tread_leaf *leaf = &leaves->items[i];
    if (!holds_values(leaf->tensor))
        return 0;
    const double *partial = leaves->partial_sums + leaf->first_chunk;
    double all = partial[0];
    for (int64_t c = 1; c < tread_leaf_chunk_count(leaf->tensor->count); c++)
        all = what == LARGEST    ? larger(all, partial[c])
              : what == SMALLEST ? smaller(all, partial[c])
                                 : all + partial[c];
    return all;
}

static bool counts(const tread_leaf *leaf) {
    return leaf->tensor->grad_state != TREAD_GRAD_NONE && leaf->tensor->count > 0;
}

static void leaf_norms(const tread_context *context, tread_leaves *leaves, size_t first, size_t n, work what) {
    run(context, leaves, first, n, (pass){.work = what});
    for (size_t i = first; i < first + n; i++)
        leaves->items[i].norm = counts(&leaves->items[i]) ? join(leaves, i, what) : -1;
}

/* Any p: the largest entry first, by which all are divided. */
static void leaf_power_norms(const tread_context *context, tread_leaves *leaves, size_t first, size_t n, double p) {
    leaf_norms(context, leaves, first, n, LARGEST);
    run(context, leaves, first, n, (pass){.work = SUM_POWERS, .p = p});
    for (size_t i = first; i < first + n; i++)
        if (leaves->items[i].norm > 0 && isfinite(leaves->items[i].norm))
            leaves->items[i].norm *= power(join(leaves, i, SUM_POWERS), 1 / p);
}

double tread_leaves_norm(const tread_context *context, tread_leaves *leaves, size_t first, size_t n, double p) {
    const work what = p == 1 ? SUM_ABSOLUTE : p == 2 ? SUM_SQUARES : p > 0 ? LARGEST : SMALLEST;
    coalesce(context, leaves, first, n);
    const bool any_power = isfinite(p) && p != 1 && p != 2;
    if (any_power)
        leaf_power_norms(context, leaves, first, n, p);
    else
        leaf_norms(context, leaves, first, n, what);
    double sum = 0, largest = 0, smallest = INFINITY;
    size_t n_counted = 0;
    for (size_t i = first; i < first + n; i++) {
        tread_leaf *leaf = &leaves->items[i];
        if (!counts(leaf))
            continue;
        n_counted++;
        sum += leaf->norm; /* for p = 2 still the squares */
        if (p == 2)
            leaf->norm = sqrt(leaf->norm);
        largest = larger(largest, leaf->norm);
        smallest = smaller(smallest, leaf->norm);
    }
    if (n_counted == 0)
        return 0;
    if (what == SMALLEST)
        return smallest;
    if (!any_power)
        return p == 1 ? sum : p == 2 ? sqrt(sum) : largest;
    if (largest == 0 || !isfinite(largest))
        return largest;
    double powers = 0;
    for (size_t i = first; i < first + n; i++)
        if (leaves->items[i].norm > 0)
            powers += power(leaves->items[i].norm / largest, p);
    return largest * power(powers, 1 / p);
}
