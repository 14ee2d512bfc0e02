/* Layer: core. Included by kernels_bag.c once for each float type; no guard on purpose. */

/* One entry's n elements into what the bag has so far; count: entries before it that counted. */
TREAD_KERNEL_BODY void T(bag_add)(tread_bag_mode mode, int64_t count, int32_t entry, const REAL *restrict from,
                                  int64_t n, REAL *restrict total, int32_t *restrict winner) {
    if (count == 0) {
        for (int64_t k = 0; k < n; k++)
            total[k] = from[k];
        for (int64_t k = 0; mode == TREAD_BAG_MAX && k < n; k++)
            winner[k] = entry;
    } else if (mode == TREAD_BAG_MAX)
        for (int64_t k = 0; k < n; k++) {
            const bool better = (from[k] > total[k]) | ((from[k] != from[k]) & (total[k] == total[k]));
            total[k] = better ? from[k] : total[k];
            winner[k] = better ? entry : winner[k];
        }
    else
        for (int64_t k = 0; k < n; k++)
            total[k] += from[k];
}

TREAD_KERNEL_BODY void TREAD_BODY(T(bag_forward))(const tread_bags *bags, int64_t begin, int64_t end, void *y,
                                                  int32_t *chosen) {
    const int64_t width = bags->width;
    for (int64_t bag = begin; bag < end; bag++) {
        const int64_t first = bags->starts != NULL ? bags->starts[bag] : bag;
        const int64_t last = bags->starts != NULL ? bags->starts[bag + 1] : bag + 1;
        for (int64_t column = 0; column < width; column += COLUMN_TILE) {
            const int64_t n = width - column < COLUMN_TILE ? width - column : COLUMN_TILE;
            REAL total[COLUMN_TILE] = {0};
            int32_t winner[COLUMN_TILE] = {0};
            int64_t count = 0;
            for (int64_t i = first; i < last; i++) {
                if (bags->indices[i] == bags->left_out)
                    continue;
                const REAL *from = (const REAL *)bags->table + bags->indices[i] * width + column;
                T(bag_add)(bags->mode, count, (int32_t)i, from, n, total, winner);
                count++;
            }
            REAL *restrict to = (REAL *)y + bag * width + column;
            const REAL divisor = bags->mode == TREAD_BAG_MEAN && count > 0 ? (REAL)count : 1;
            for (int64_t k = 0; k < n; k++)
                to[k] = total[k] / divisor;
            for (int64_t k = 0; chosen != NULL && k < n; k++)
                chosen[bag * width + column + k] = count > 0 ? winner[k] : -1;
        }
    }
}
TREAD_KERNEL(T(bag_forward), (const tread_bags *bags, int64_t begin, int64_t end, void *y, int32_t *chosen),
             (bags, begin, end, y, chosen))
