/* Layer: core. The random streams of a seed, so that no two uses draw the same numbers. Each is a base to which the
 * user adds an index below 2^32. */
#ifndef TREAD_CORE_STREAMS_H
#define TREAD_CORE_STREAMS_H

#include <stdint.h>

#define TREAD_STREAM_INITIALIZER (UINT64_C(1) << 32) /* + the parameter's index in its model */
#define TREAD_STREAM_SAMPLER (UINT64_C(2) << 32)     /* + the epoch */
#define TREAD_STREAM_TAPE (UINT64_C(3) << 32)        /* dropout */
#define TREAD_STREAM_CHECK (UINT64_C(4) << 32)       /* gradcheck's weights */

#endif
