/* Layer: core. Which entries of a list of row indices name the same row, and sums over them. The order of every sum is
 * that of the entries, so bits depend on neither thread count nor instruction set. */
#ifndef TREAD_CORE_ROW_GROUPS_H
#define TREAD_CORE_ROW_GROUPS_H

#include <stdbool.h>
#include <stdint.h>
#include <tread/context.h>
#include <tread/tensor.h>

typedef struct tread_row_groups {
    int64_t count;         /* different rows */
    int64_t n_entries;     /* in them */
    const int32_t *rows;   /* (count), rising */
    const int32_t *starts; /* (count + 1): where the entries of each row begin in order */
    const int32_t *order;  /* (n_entries): the entries by row, those of one row as they came */
} tread_row_groups;

/* Memory for tread_row_groups_find; 0 <= n <= INT32_MAX. A multiple of TREAD_ALIGNMENT. */
size_t tread_row_groups_bytes(int64_t n);
/* Groups n indices, all in [0, n_rows); those equal to left_out (-1: none) are passed over. The result lies in memory,
 * which is aligned to TREAD_ALIGNMENT. A radix sort: linear in n. */
void tread_row_groups_find(int64_t n, const int32_t *indices, int64_t n_rows, int32_t left_out, void *memory,
                           tread_row_groups *ret_groups);

typedef struct tread_group_sum {
    tread_dtype dtype;     /* float32 or float64 */
    int64_t width;         /* elements a row */
    const void *from;      /* rows that are summed */
    const int32_t *source; /* each entry's row of from; NULL: the entry's own number */
    const void *factors;   /* one for each row of from; NULL: 1 */
    const int32_t *chosen; /* like from: the one entry that an element is for (max); NULL: for each that names it */
    void *to;
    bool to_named_rows; /* a group's sum goes to the row of `to` that the group is of, else to the group's number */
    bool accumulate;    /* add the finished sum */
} tread_group_sum;

/* One sum for each group. to overlaps no input. */
void tread_group_sum_run(const tread_context *context, const tread_row_groups *groups, const tread_group_sum *sum);

#endif
