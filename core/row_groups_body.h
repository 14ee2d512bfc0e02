/* Layer: core. Included by row_groups.c once for each float type; no guard on purpose. */

TREAD_KERNEL_BODY void TREAD_BODY(T(sum_groups))(const tread_row_groups *groups, const tread_group_sum *sum,
                                                 int64_t first, int64_t last) {
    const REAL *factors = sum->factors;
    const int64_t width = sum->width;
    for (int64_t group = first; group < last; group++) {
        REAL *row = (REAL *)sum->to + (sum->to_named_rows ? groups->rows[group] : group) * width;
        for (int64_t column = 0; column < width; column += COLUMN_TILE) {
            const int64_t n = width - column < COLUMN_TILE ? width - column : COLUMN_TILE;
            REAL total[COLUMN_TILE];
            for (int64_t i = groups->starts[group]; i < groups->starts[group + 1]; i++) {
                const int32_t entry = groups->order[i];
                const int64_t source = sum->source != NULL ? sum->source[entry] : entry;
                const REAL factor = factors != NULL ? factors[source] : 1;
                const REAL *restrict from = (const REAL *)sum->from + source * width + column;
                const int32_t *restrict chosen = sum->chosen != NULL ? sum->chosen + source * width + column : NULL;
                const bool fresh = i == groups->starts[group];
                if (chosen != NULL)
                    for (int64_t k = 0; k < n; k++)
                        total[k] = (fresh ? 0 : total[k]) + (chosen[k] == entry ? from[k] : 0);
                else if (fresh)
                    for (int64_t k = 0; k < n; k++)
                        total[k] = from[k] * factor;
                else
                    for (int64_t k = 0; k < n; k++)
                        total[k] += from[k] * factor;
            }
            REAL *restrict to = row + column;
            if (sum->accumulate)
                for (int64_t k = 0; k < n; k++)
                    to[k] += total[k];
            else
                for (int64_t k = 0; k < n; k++)
                    to[k] = total[k];
        }
    }
}
TREAD_KERNEL(T(sum_groups), (const tread_row_groups *groups, const tread_group_sum *sum, int64_t first, int64_t last),
             (groups, sum, first, last))
