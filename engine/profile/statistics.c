#include "engine/profile/statistics.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static int compare(const void *x, const void *y) {
    const double a = *(const double *)x, b = *(const double *)y;
    return (a > b) - (a < b);
}

double tread_quantile_of_sorted(const double *sorted, size_t n, double share) {
    const double at = share * (double)(n - 1);
    const size_t i = (size_t)at, next = i + 1 < n ? i + 1 : i;
    return sorted[i] + (at - (double)i) * (sorted[next] - sorted[i]);
}

void tread_sort(double *values, size_t n) { qsort(values, n, sizeof *values, compare); }

tread_order_statistics tread_order_statistics_of(const double *values, size_t n, double *scratch) {
    memcpy(scratch, values, n * sizeof *scratch);
    tread_sort(scratch, n);
    tread_order_statistics s = {.least = scratch[0],
                                .lower_quartile = tread_quantile_of_sorted(scratch, n, 0.25),
                                .median = tread_quantile_of_sorted(scratch, n, 0.5),
                                .upper_quartile = tread_quantile_of_sorted(scratch, n, 0.75),
                                .greatest = scratch[n - 1]};
    for (size_t i = 0; i < n; i++)
        scratch[i] = fabs(scratch[i] - s.median);
    tread_sort(scratch, n);
    s.mad = tread_quantile_of_sorted(scratch, n, 0.5);
    return s;
}
