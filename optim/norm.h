/* Layer: optim. The gradients of many leaves as one row of fixed chunks: norms whose bits depend on sizes alone, and
 * elementwise changes, in one parallel region however many leaves there are. */
#ifndef TREAD_OPTIM_NORM_H
#define TREAD_OPTIM_NORM_H

#include <tread/context.h>

#include "core/parallel.h"
#include "core/tensor.h"

typedef struct tread_leaf {
    tread_tensor *tensor;
    int64_t first_chunk; /* chunks of those before it (tread_leaf_chunk_count) */
    double norm;         /* of the last tread_leaves_norm; < 0: it has no gradient, or no elements */
} tread_leaf;

typedef struct tread_leaves {
    tread_leaf *items;
    size_t count;
    int64_t n_chunks;
    double *partial_sums; /* n_chunks of them, or more where an optimizer's reduce needs more */
} tread_leaves;

/* A leaf's chunks: larger than core/parallel.h's, since one is but 0.2 us of work. */
#define TREAD_LEAF_LEAST_CHUNK 8192
static inline int64_t tread_leaf_chunk_size(int64_t n) {
    const int64_t even = (n + TREAD_MAX_CHUNKS - 1) / TREAD_MAX_CHUNKS;
    return even < TREAD_LEAF_LEAST_CHUNK ? TREAD_LEAF_LEAST_CHUNK : (even + 31) / 32 * 32;
}
static inline int64_t tread_leaf_chunk_count(int64_t n) {
    const int64_t size = tread_leaf_chunk_size(n);
    return (n + size - 1) / size;
}

size_t tread_leaf_of_chunk(const tread_leaves *leaves, int64_t chunk);

/* For leaves [first, first + n): sets each one's p-norm, p > 0, INFINITY or -INFINITY, and returns the p-norm of those;
 * 0 where no leaf has a gradient. Not finite if any gradient is not. */
double tread_leaves_norm(const tread_context *context, tread_leaves *leaves, size_t first, size_t n, double p);
/* Multiplies the gradients. */
void tread_leaves_scale(const tread_context *context, const tread_leaves *leaves, size_t first, size_t n, float scale);
/* Limits each entry to [-limit, limit]. */
void tread_leaves_clamp(const tread_context *context, const tread_leaves *leaves, size_t first, size_t n, float limit);

#endif
