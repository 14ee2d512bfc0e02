/* Layer: core. Random numbers by counter: number i of a stream is a function of (seed, stream, i) alone, so its bits
 * depend on neither threads nor order. Philox 4x32 with 10 rounds, of Salmon, Moraes, Dror and Shaw, "Parallel random
 * numbers: as easy as 1, 2, 3", SC 2011. */
#ifndef TREAD_RANDOM_H
#define TREAD_RANDOM_H

#include <stddef.h>
#include <stdint.h>
#include <tread/status.h>

TREAD_BEGIN_DECLS

/* A place in a stream, a plain value: copy it to save it, copy it back to resume. Each draw advances next by the
 * numbers it used. */
typedef struct tread_rng {
    uint64_t seed;
    uint64_t stream;
    uint64_t next; /* index of the next 32-bit number */
} tread_rng;

TREAD_API tread_rng tread_rng_create(uint64_t seed, uint64_t stream);
TREAD_API uint32_t tread_rng_bits(tread_rng *rng);              /* one 32-bit number */
TREAD_API double tread_rng_uniform(tread_rng *rng);             /* in [0, 1), 32 bits of it; one number */
TREAD_API double tread_rng_normal(tread_rng *rng);              /* mean 0, deviation 1 (Box-Muller on two numbers) */
TREAD_API uint32_t tread_rng_below(tread_rng *rng, uint32_t n); /* in [0, n) without bias; n >= 1 */

/* A permutation of 0..n-1 (Fisher-Yates), a function of (seed, stream) alone. n <= INT32_MAX. */
TREAD_API void tread_random_permutation(uint64_t seed, uint64_t stream, int32_t *ret_order, int32_t n);

TREAD_END_DECLS

#endif
