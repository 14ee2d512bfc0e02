/* Layer: optim. Scalar arithmetic whose bits follow no libm: C libraries choose their pow and cos by the CPU. */
#ifndef TREAD_OPTIM_SCALAR_H
#define TREAD_OPTIM_SCALAR_H

#include <stdint.h>

/* base^n by squaring; within a relative n 2^-53 of it, since each squaring doubles the error that is there. */
double tread_power(double base, uint64_t n);
/* base^exponent for base >= 0, exponent >= 0; within a relative (2 + 2 |ln result|) 2^-52 of it. Whole exponents up to
 * 64 go by tread_power(). 0^0 = 1. */
double tread_real_power(double base, double exponent);
/* cos(pi i / n), exact at the multiples of 1/2; n > 0, i >= 0. */
double tread_cos_pi(int64_t i, int64_t n);

#endif
