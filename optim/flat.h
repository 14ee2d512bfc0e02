/* Layer: optim. For solvers: an optimizer's parameters as one vector, in which each parameter's part begins at a cache
 * line, with zeros between. Elementwise work is float32, with factors rounded once; sums are in double, over chunks
 * that depend on the length alone, so that threads change no bit. */
#ifndef TREAD_OPTIM_FLAT_H
#define TREAD_OPTIM_FLAT_H

#include "core/parallel.h"
#include "optim/optimizer.h"

typedef struct tread_flat {
    const tread_context *context;
    int64_t n; /* floats of every vector */
    double partial[TREAD_MAX_CHUNKS];
} tread_flat;

/* Vectors given to one call must not overlap. */
double tread_flat_dot(tread_flat *flat, const float *a, const float *b);
double tread_flat_sum_absolute(tread_flat *flat, const float *a);
double tread_flat_largest(tread_flat *flat, const float *a);                      /* |a_i|; NaN if any is */
void tread_flat_scale(tread_flat *flat, float *to, double by, const float *from); /* to = by from */
void tread_flat_multiply(tread_flat *flat, float *x, double by);                  /* x = by x */
void tread_flat_subtract(tread_flat *flat, float *to, const float *a, const float *b);
/* to += by from; returns to . with, in one pass. with may be from, not to. */
double tread_flat_add_dot(tread_flat *flat, float *to, double by, const float *from, const float *with);

/* Between the optimizer's parameters and vectors. What lies between parts is left alone: start from zeros. */
void tread_flat_from_values(const tread_flat *flat, const tread_optimizer *optimizer, float *to);
/* Zeros for a missing gradient; a fused clip is applied, and done with. */
void tread_flat_from_gradients(const tread_flat *flat, tread_optimizer *optimizer, float *to);
/* The parameters become from + t d (d NULL: from), and are marked as changed. */
void tread_flat_to_values(const tread_flat *flat, tread_optimizer *optimizer, const float *from, double t,
                          const float *d);
/* The same between a vector and plain values without what lies between. */
void tread_flat_pack(const tread_optimizer *optimizer, const float *from, float *to);
void tread_flat_unpack(const tread_optimizer *optimizer, const float *from, float *to);

#endif
