#include "core/random.h"

tread_rng tread_rng_create(uint64_t seed, uint64_t stream) { return (tread_rng){.seed = seed, .stream = stream}; }

uint32_t tread_rng_bits(tread_rng *rng) {
    uint32_t words[4];
    tread_random_block(rng->seed, rng->stream, rng->next >> 2, words);
    return words[rng->next++ & 3];
}

double tread_rng_uniform(tread_rng *rng) { return tread_random_to_double(tread_rng_bits(rng)) * 0x1p-32; }

double tread_rng_normal(tread_rng *rng) {
    uint32_t a = tread_rng_bits(rng), b = tread_rng_bits(rng);
    return tread_random_normal(a, b);
}

/* Lemire, "Fast random integer generation in an interval", 2019: the high half of bits n is even over [0, n) once the
 * few low halves that come once too often are refused. n = 0 gives 0. */
static uint32_t below(uint32_t n, uint32_t (*next)(void *), void *source) {
    uint64_t product = (uint64_t)next(source) * n;
    if ((uint32_t)product < n) {
        uint32_t refused = n == 0 ? 0 : (0u - n) % n;
        while ((uint32_t)product < refused)
            product = (uint64_t)next(source) * n;
    }
    return (uint32_t)(product >> 32);
}

static uint32_t next_of_rng(void *rng) { return tread_rng_bits(rng); }

uint32_t tread_rng_below(tread_rng *rng, uint32_t n) { return below(n, next_of_rng, rng); }

/* A stream read in order through a buffer that is filled in vectors. */
typedef struct reader {
    tread_rng rng;
    size_t next;
    uint32_t numbers[512];
} reader;

static uint32_t next_of_reader(void *argument) {
    reader *r = argument;
    size_t n = sizeof r->numbers / sizeof *r->numbers;
    if (r->next == n) {
        tread_random_fill_bits(NULL, &r->rng, r->numbers, (int64_t)n);
        r->next = 0;
    }
    return r->numbers[r->next++];
}

void tread_random_permutation(uint64_t seed, uint64_t stream, int32_t *ret_order, int32_t n) {
    reader r = {.rng = tread_rng_create(seed, stream), .next = sizeof r.numbers / sizeof *r.numbers};
    for (int32_t i = 0; i < n; i++)
        ret_order[i] = i;
    for (int32_t i = n - 1; i > 0; i--) {
        uint32_t j = below((uint32_t)i + 1, next_of_reader, &r);
        int32_t swap = ret_order[i];
        ret_order[i] = ret_order[j];
        ret_order[j] = swap;
    }
}
