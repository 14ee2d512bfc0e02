/* Layer: core. Rows of a table picked by index, alone or combined in bags. float32 and float64; indices are in range
 * (tread_bag_check). Nothing fails or allocates; bits depend on neither thread count nor instruction set. Gradients are
 * sums over groups of entries (row_groups.h). */
#ifndef TREAD_CORE_KERNELS_BAG_H
#define TREAD_CORE_KERNELS_BAG_H

#include <stdint.h>
#include <tread/bag_mode.h>
#include <tread/context.h>
#include <tread/tensor.h>

typedef struct tread_bags {
    tread_dtype dtype;
    int64_t width;          /* elements a row */
    const void *table;      /* rows of width */
    int64_t n;              /* bags */
    int64_t n_entries;      /* of all bags */
    const int32_t *indices; /* (n_entries), bag by bag */
    const int32_t *starts;  /* (n + 1): where each bag's entries begin; NULL: entry i is bag i */
    int32_t left_out;       /* entries with this index count for nothing; -1: none */
    tread_bag_mode mode;
} tread_bags;

/* The first entry whose index is outside [0, n_rows), or -1. */
int64_t tread_bag_check(const int32_t *indices, int64_t n, int64_t n_rows);
/* y (n, width): the bags' rows combined in order, zeros where a bag has none. chosen (n, width; may be NULL): for MAX
 * the entry each element is from, or -1; a NaN beats every number and the first of equals is chosen. */
void tread_bag_forward(const tread_context *context, const tread_bags *bags, void *y, int32_t *chosen);
/* factors (n, of dtype): 1 / entries that count, for the gradient of MEAN; 0 where there is none. */
void tread_bag_factors(const tread_bags *bags, void *factors);

#endif
