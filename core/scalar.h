/* Layer: core. The one scalar definition of each unary function and of its derivative, for float (tread_gelu_f32) and
 * double (tread_gelu_f64). Kernels loop over these and the compiler vectorises them, so that head, body and tail of an
 * array, every instruction set, and fused and separate operations agree to the bit.
 *
 * NAME(x) is the value y. NAME_grad(x, y) is dy/dx; it uses of x and y only what the comment beside it says, so
 * the other may be any number. NaN stays NaN in every value. */
#ifndef TREAD_CORE_SCALAR_H
#define TREAD_CORE_SCALAR_H

#include <math.h>

#include "core/math.h"

#define BODY "core/scalar_body.h"
#include "core/both_floats.h"

#endif
