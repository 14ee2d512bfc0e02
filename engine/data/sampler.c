#include <tread/random.h>

#include "engine/data/batches.h"

/* Streams of the permutations: "perm" in the upper half keeps them apart from initializers and dropout, which draw
 * under the same seed. */
#define STREAM ((uint64_t)0x7065726d << 32)

void tread_sampler_order(uint64_t seed, int64_t epoch, bool shuffle, int32_t *ret_order, int32_t n) {
    if (shuffle)
        tread_random_permutation(seed, STREAM + (uint64_t)epoch, ret_order, n);
    else
        for (int32_t i = 0; i < n; i++)
            ret_order[i] = i;
}
