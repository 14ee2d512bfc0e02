/* Layer: engine. Order statistics of timings, which a few disturbed samples leave alone. */
#ifndef TREAD_ENGINE_PROFILE_STATISTICS_H
#define TREAD_ENGINE_PROFILE_STATISTICS_H

#include <stddef.h>

typedef struct tread_order_statistics {
    double least, lower_quartile, median, upper_quartile, greatest;
    double mad; /* median of the distances from the median */
} tread_order_statistics;

/* Of n values, at least one, none of which is NaN; scratch: room for n. Between two samples a quantile lies in
 * proportion (Hyndman and Fan 1996, "Sample quantiles in statistical packages", definition 7). */
tread_order_statistics tread_order_statistics_of(const double *values, size_t n, double *scratch);
/* Ascending; none is NaN. */
void tread_sort(double *values, size_t n);
/* The same quantile of n values, at least one, that are sorted already; share in [0, 1]. */
double tread_quantile_of_sorted(const double *sorted, size_t n, double share);

#endif
