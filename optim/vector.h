/* Layer: optim. Elementary passes over one array of floats, on one thread; their callers cut larger work into chunks.
 * Sums go to TREAD_LANES doubles (core/lanes.h), to which n entries are added from lane 0 on. */
#ifndef TREAD_OPTIM_VECTOR_H
#define TREAD_OPTIM_VECTOR_H

#include <stdint.h>

#include "core/lanes.h"
#include "core/memory.h"

/* Floats of a cache line, at which parts of arrays begin. */
#define TREAD_LINE_FLOATS ((int64_t)(TREAD_ALIGNMENT / sizeof(float)))
static inline int64_t tread_line_padded(int64_t n) {
    return (n + TREAD_LINE_FLOATS - 1) / TREAD_LINE_FLOATS * TREAD_LINE_FLOATS;
}

void tread_vector_scale(float *x, int64_t n, float by);
/* average = keep average + take x */
void tread_vector_average(const float *x, int64_t n, float keep, float take, float *average);
void tread_vector_add_absolute(const float *x, int64_t n, double *lanes);
/* To TREAD_SQUARE_LANES doubles, entry i to lane i mod that. */
#define TREAD_SQUARE_LANES (2 * TREAD_LANES)
void tread_vector_add_squares(const float *x, int64_t n, double *lanes);
double tread_square_lanes_fold(double *lanes);
/* Of |x|; both are NaN if any entry is. n > 0. */
void tread_vector_extremes(const float *x, int64_t n, double *ret_largest, double *ret_smallest);

#endif
