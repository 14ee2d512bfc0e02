#include "core/row_groups.h"

#include <string.h>

#include "core/isa.h"
#include "core/memory.h"
#include "core/parallel.h"
#include "core/search.h"

/* ---- Grouping ---- */

/* A row in the upper half of a key, the entry in the lower: sorted by row alone, and stably, entries stay in order. */
#define DIGIT_BITS 8
#define DIGITS (1 << DIGIT_BITS)

static size_t padded(size_t bytes) { return (bytes + TREAD_ALIGNMENT - 1) / TREAD_ALIGNMENT * TREAD_ALIGNMENT; }

size_t tread_row_groups_bytes(int64_t n) {
    return 2 * padded((size_t)n * sizeof(uint64_t)) + 2 * padded((size_t)n * sizeof(int32_t)) +
           padded(((size_t)n + 1) * sizeof(int32_t));
}

static void sort_by_digit(const uint64_t *from, int64_t n, int shift, uint64_t *to) {
    int64_t places[DIGITS] = {0}, at = 0;
    for (int64_t i = 0; i < n; i++)
        places[from[i] >> shift & (DIGITS - 1)]++;
    for (int d = 0; d < DIGITS; d++) {
        int64_t count = places[d];
        places[d] = at;
        at += count;
    }
    for (int64_t i = 0; i < n; i++)
        to[places[from[i] >> shift & (DIGITS - 1)]++] = from[i];
}

void tread_row_groups_find(int64_t n, const int32_t *indices, int64_t n_rows, int32_t left_out, void *memory,
                           tread_row_groups *ret_groups) {
    char *next = memory;
    uint64_t *keys = (uint64_t *)next, *other = (uint64_t *)(next += padded((size_t)n * sizeof *keys));
    int32_t *rows = (int32_t *)(next += padded((size_t)n * sizeof *keys));
    int32_t *order = (int32_t *)(next += padded((size_t)n * sizeof *rows));
    int32_t *starts = (int32_t *)(next + padded((size_t)n * sizeof *rows));
    int64_t kept = 0, count = 0;
    for (int64_t i = 0; i < n; i++)
        if (indices[i] != left_out)
            keys[kept++] = (uint64_t)indices[i] << 32 | (uint64_t)i;
    for (int bit = 0; bit < 31 && (n_rows - 1) >> bit > 0; bit += DIGIT_BITS) {
        sort_by_digit(keys, kept, 32 + bit, other);
        uint64_t *sorted = other;
        other = keys;
        keys = sorted;
    }
    for (int64_t i = 0; i < kept; i++) {
        const int32_t row = (int32_t)(keys[i] >> 32);
        order[i] = (int32_t)(keys[i] & INT32_MAX);
        if (count == 0 || rows[count - 1] != row) {
            starts[count] = (int32_t)i;
            rows[count++] = row;
        }
    }
    starts[count] = (int32_t)kept;
    *ret_groups = (tread_row_groups){count, kept, rows, starts, order};
}

/* ---- Sums ---- */

#define GRAIN 16384    /* elements worth a fork */
#define COLUMN_TILE 64 /* columns whose sums are kept at hand */

#define BODY "core/row_groups_body.h"
#include "core/both_floats.h"

typedef struct job {
    const tread_row_groups *groups;
    const tread_group_sum *sum;
} job;

/* The first group that begins at or after `entry`. */
static int64_t group_from(const tread_row_groups *groups, int64_t entry) {
    int64_t place;
    TREAD_FIND_FIRST(place, groups->count, i, groups->starts[i] >= entry);
    return place;
}

/* The range is of entries, so that threads get equal work; a group belongs to whoever holds its first entry. */
static void sum_range(void *argument, int64_t begin, int64_t end) {
    const job *j = argument;
    const int64_t first = group_from(j->groups, begin), last = group_from(j->groups, end);
    if (j->sum->dtype == TREAD_FLOAT32)
        TREAD_CALL(sum_groups_f32)(j->groups, j->sum, first, last);
    else
        TREAD_CALL(sum_groups_f64)(j->groups, j->sum, first, last);
}

void tread_group_sum_run(const tread_context *context, const tread_row_groups *groups, const tread_group_sum *sum) {
    job j = {groups, sum};
    tread_parallel_for(context, groups->n_entries, GRAIN / (sum->width + 1) + 1, 1, sum_range, &j);
}
