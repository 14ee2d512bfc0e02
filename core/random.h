/* Layer: core. Random numbers in bulk: the same bits as the scalar calls of tread/random.h in order, computed in
 * vectors and over threads. Each advances rng->next by the numbers it used. n may be 0. */
#ifndef TREAD_CORE_RANDOM_H
#define TREAD_CORE_RANDOM_H

#include <tread/context.h>
#include <tread/random.h>

#include "core/math.h"

void tread_random_fill_bits(const tread_context *context, tread_rng *rng, uint32_t *ret_bits, int64_t n);
/* low + (high - low) tread_rng_uniform(rng), in double, rounded once. One number an element. */
void tread_random_fill_uniform(const tread_context *context, tread_rng *rng, double low, double high, float *ret_x,
                               int64_t n);
/* mean + std tread_rng_normal(rng), in double, rounded once. Two numbers an element. */
void tread_random_fill_normal(const tread_context *context, tread_rng *rng, double mean, double std, float *ret_x,
                              int64_t n);
/* Dropout's mask: 0 with probability p (rounded to a multiple of 2^-32), else 1: tread_rng_bits(rng) >= p 2^32.
 * p in [0, 1]. One number an element. */
void tread_random_fill_keep(const tread_context *context, tread_rng *rng, double p, uint8_t *ret_keep, int64_t n);

/* The two in float64, not rounded. */
void tread_random_fill_uniform_f64(const tread_context *context, tread_rng *rng, double low, double high, double *ret_x,
                                   int64_t n);
void tread_random_fill_normal_f64(const tread_context *context, tread_rng *rng, double mean, double std, double *ret_x,
                                  int64_t n);

/* For other distributions: calls convert for pieces of [0, n), each with the numbers of elements begin .. begin + n -
 * 1, numbers_each (1 to 8) of them an element, perhaps on several threads. */
typedef void tread_random_convert(const void *argument, const uint32_t *numbers, int64_t begin, int n);
void tread_random_for(const tread_context *context, tread_rng *rng, int numbers_each, int64_t n,
                      tread_random_convert *convert, const void *argument);

/* --- What scalar and bulk calls share --- */

/* One round: two products of 32 by 32 bits, whose high halves are mixed with the other words and the round's key. */
#define TREAD_PHILOX_ROUND(round)                                                                                      \
    do {                                                                                                               \
        uint64_t product0 = (uint64_t)0xd2511f53u * c0, product1 = (uint64_t)0xcd9e8d57u * c2;                         \
        c0 = (uint32_t)(product1 >> 32) ^ c1 ^ (key0 + (round)*0x9e3779b9u);                                           \
        c1 = (uint32_t)product1;                                                                                       \
        c2 = (uint32_t)(product0 >> 32) ^ c3 ^ (key1 + (round)*0xbb67ae85u);                                           \
        c3 = (uint32_t)product0;                                                                                       \
    } while (0)

/* Philox4x32-10 (random.h): four 32-bit numbers from a counter of 128 bits and a key of 64. */
TREAD_KERNEL_BODY void tread_philox(uint32_t c0, uint32_t c1, uint32_t c2, uint32_t c3, uint32_t key0, uint32_t key1,
                                    uint32_t *ret_words) {
    TREAD_PHILOX_ROUND(0u); /* written out: a loop here would keep the loop over blocks from being vectorised */
    TREAD_PHILOX_ROUND(1u);
    TREAD_PHILOX_ROUND(2u);
    TREAD_PHILOX_ROUND(3u);
    TREAD_PHILOX_ROUND(4u);
    TREAD_PHILOX_ROUND(5u);
    TREAD_PHILOX_ROUND(6u);
    TREAD_PHILOX_ROUND(7u);
    TREAD_PHILOX_ROUND(8u);
    TREAD_PHILOX_ROUND(9u);
    ret_words[0] = c0;
    ret_words[1] = c1;
    ret_words[2] = c2;
    ret_words[3] = c3;
}

/* Numbers 4 block .. 4 block + 3 of a stream: the key is the seed, the counter the block and the stream. */
TREAD_KERNEL_BODY void tread_random_block(uint64_t seed, uint64_t stream, uint64_t block, uint32_t *ret_words) {
    tread_philox((uint32_t)block, (uint32_t)(block >> 32), (uint32_t)stream, (uint32_t)(stream >> 32), (uint32_t)seed,
                 (uint32_t)(seed >> 32), ret_words);
}

/* An unsigned integer as a double, without an instruction that only AVX-512 has. */
TREAD_KERNEL_BODY double tread_random_to_double(uint32_t bits) {
    return tread_from_bits_f64(0x4330000000000000u | bits) - 0x1p52;
}

/* Box and Muller 1958: sqrt(-2 log u) cos(2 pi v), u = (a + 1/2) / 2^32, v = b / 2^32. With b taken as b or -b,
 * whichever is at most half a turn, cos(2 pi v) is the sine of a quarter turn less that, which is an exact integer. */
TREAD_KERNEL_BODY double tread_random_normal(uint32_t a, uint32_t b) {
    double radius = sqrt(-2.0 * tread_log_f64((tread_random_to_double(a) + 0.5) * 0x1p-32));
    uint32_t turn = b > 0x80000000u ? 0u - b : b;
    return radius * tread_sin_quarter_f64((double)((int32_t)(0x40000000u - turn)) * 0x1p-30);
}

#endif
