#include "core/kernels_bag.h"

#include "core/isa.h"
#include "core/memory.h"
#include "core/parallel.h"

#define GRAIN 16384    /* elements worth a fork */
#define COLUMN_TILE 64 /* columns that are kept at hand */

#define BODY "core/kernels_bag_body.h"
#include "core/both_floats.h"

typedef struct job {
    const tread_bags *bags;
    void *y;
    int32_t *chosen;
} job;

static void forward_range(void *argument, int64_t begin, int64_t end) {
    const job *j = argument;
    if (j->bags->dtype == TREAD_FLOAT32)
        TREAD_CALL(bag_forward_f32)(j->bags, begin, end, j->y, j->chosen);
    else
        TREAD_CALL(bag_forward_f64)(j->bags, begin, end, j->y, j->chosen);
}

void tread_bag_forward(const tread_context *context, const tread_bags *bags, void *y, int32_t *chosen) {
    job j = {bags, y, chosen};
    const int64_t a_bag = (bags->n_entries / (bags->n + 1) + 1) * (bags->width + 1);
    tread_parallel_for(context, bags->n, GRAIN / a_bag + 1, 1, forward_range, &j);
}

int64_t tread_bag_check(const int32_t *indices, int64_t n, int64_t n_rows) {
    bool bad = false;
    for (int64_t i = 0; i < n; i++)
        bad |= (indices[i] < 0) | (indices[i] >= n_rows);
    for (int64_t i = 0; bad; i++)
        if (indices[i] < 0 || indices[i] >= n_rows)
            return i;
    return -1;
}

void tread_bag_factors(const tread_bags *bags, void *factors) {
    for (int64_t bag = 0; bag < bags->n; bag++) {
        int64_t count = 0;
        for (int64_t i = bags->starts[bag]; i < bags->starts[bag + 1]; i++)
            count += bags->indices[i] != bags->left_out;
        const double factor = count > 0 ? 1 / (double)count : 0;
        if (bags->dtype == TREAD_FLOAT32)
            ((float *)factors)[bag] = (float)factor;
        else
            ((double *)factors)[bag] = factor;
    }
}
