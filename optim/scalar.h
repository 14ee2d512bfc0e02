/* Layer: optim. Scalar arithmetic whose bits follow no libm: C libraries choose their pow and cos by the CPU. */
#ifndef TREAD_OPTIM_SCALAR_H
#define TREAD_OPTIM_SCALAR_H

#include <stdint.h>

/* base^n by squaring; within a relative n 2^-53 of it, since each squaring doubles the error that is there. */
double tread_power(double base, uint64_t n);
/* cos(pi i / n), exact at the multiples of 1/2; n > 0, i >= 0. */
double tread_cos_pi(int64_t i, int64_t n);
/* cos(pi t) for t in [0, 1], exact at 0, 1/2 and 1. */
double tread_cos_pi_unit(double t);
/* base^exponent for base >= 0 and any exponent >= 0; 0^0 = 1. By tread_power, with a square root, where twice the
 * exponent is whole; else exp(exponent ln base), within a relative (3 |exponent ln base| + 2) 2^-53. */
double tread_real_power(double base, double exponent);
/* On the way from `from` (share 0) to `to` (share 1); exactly these at the ends, which from + share (to - from) is not.
 */
static inline double tread_between(double from, double to, double share) { return from * (1 - share) + to * share; }

#endif
