/* Layer: engine. The most arithmetic that this machine does in a second: what products are held against. */
#ifndef TREAD_ENGINE_PROFILE_PEAK_H
#define TREAD_ENGINE_PROFILE_PEAK_H

#include <tread/precision.h>

/* flops = 2 m n k of a product of 1024 x 1024 x 1024 numbers by the context's threads and back-end, over
 * the shortest of its times in about so many seconds (at least three runs). Errors: those of products,
 * TREAD_ERROR_MEMORY. In bf16 the inputs are bfloat16, the sums float32. */
tread_status tread_peak_measure(const tread_context *context, tread_precision precision, double seconds,
                                double *ret_flops_per_second);

#endif
