#include <string.h>

#include "core/parallel.h"
#include "core/random.h"

/* Numbers made at a time: they stay in the nearest cache while they are turned into what is wanted. */
#define PIECE 1024

TREAD_KERNEL_BODY void blocks_body(uint64_t seed, uint64_t stream, uint64_t first, int n, uint32_t *words) {
    uint32_t *restrict out = words;
    for (int i = 0; i < n; i++)
        tread_random_block(seed, stream, first + (uint64_t)i, out + 4 * i);
}
TREAD_KERNEL(blocks, (uint64_t seed, uint64_t stream, uint64_t first, int n, uint32_t *words),
             (seed, stream, first, n, words))

typedef struct fill {
    tread_rng rng;
    int numbers_each;
    tread_random_convert *convert;
    const void *argument;
} fill;

static void fill_range(void *argument, int64_t begin, int64_t end) {
    const fill *f = argument;
    uint32_t words[PIECE + 8];
    while (begin < end) {
        int n = end - begin < PIECE / f->numbers_each ? (int)(end - begin) : PIECE / f->numbers_each;
        uint64_t first = f->rng.next + (uint64_t)begin * (uint64_t)f->numbers_each;
        int skip = (int)(first & 3);
        TREAD_CALL(blocks)(f->rng.seed, f->rng.stream, first >> 2, (skip + n * f->numbers_each + 3) / 4, words);
        f->convert(f->argument, words + skip, begin, n);
        begin += n;
    }
}

/* An element takes 1 to 10 ns; a cache line of bytes is the least that two threads should not share. */
void tread_random_for(const tread_context *context, tread_rng *rng, int numbers_each, int64_t n,
                      tread_random_convert *convert, const void *argument) {
    if (n <= 0)
        return;
    fill f = {.rng = *rng, .numbers_each = numbers_each, .convert = convert, .argument = argument};
    tread_parallel_for(context, n, 4096, 64, fill_range, &f);
    rng->next += (uint64_t)n * (uint64_t)numbers_each;
}

typedef struct affine {
    double a, b; /* a + b u */
    void *out;
} affine;

static void convert_bits(const void *argument, const uint32_t *numbers, int64_t begin, int n) {
    memcpy((uint32_t *)((const affine *)argument)->out + begin, numbers, (size_t)n * sizeof *numbers);
}

void tread_random_fill_bits(const tread_context *context, tread_rng *rng, uint32_t *ret_bits, int64_t n) {
    tread_random_for(context, rng, 1, n, convert_bits, &(affine){.out = ret_bits});
}

/* One kernel and what calls it for each distribution and type: a + b expression, from numbers in[i] and so on. */
#define DISTRIBUTION(name, type, expression)                                                                           \
    TREAD_KERNEL_BODY void name##_body(const uint32_t *numbers, double a, double b, type *to, int n) {                 \
        const uint32_t *restrict in = numbers;                                                                         \
        type *restrict out = to;                                                                                       \
        for (int i = 0; i < n; i++)                                                                                    \
            out[i] = (type)(a + b * expression);                                                                       \
    }                                                                                                                  \
    TREAD_KERNEL(name, (const uint32_t *numbers, double a, double b, type *to, int n), (numbers, a, b, to, n))         \
    static void convert_##name(const void *argument, const uint32_t *numbers, int64_t begin, int n) {                  \
        const affine *f = argument;                                                                                    \
        TREAD_CALL(name)(numbers, f->a, f->b, (type *)f->out + begin, n);                                              \
    }

DISTRIBUTION(uniform, float, (tread_random_to_double(in[i]) * 0x1p-32))
DISTRIBUTION(uniform_f64, double, (tread_random_to_double(in[i]) * 0x1p-32))
DISTRIBUTION(normal, float, tread_random_normal(in[2 * i], in[2 * i + 1]))
DISTRIBUTION(normal_f64, double, tread_random_normal(in[2 * i], in[2 * i + 1]))

void tread_random_fill_uniform(const tread_context *context, tread_rng *rng, double low, double high, float *ret_x,
                               int64_t n) {
    tread_random_for(context, rng, 1, n, convert_uniform, &(affine){low, high - low, ret_x});
}

void tread_random_fill_uniform_f64(const tread_context *context, tread_rng *rng, double low, double high, double *ret_x,
                                   int64_t n) {
    tread_random_for(context, rng, 1, n, convert_uniform_f64, &(affine){low, high - low, ret_x});
}

void tread_random_fill_normal(const tread_context *context, tread_rng *rng, double mean, double std, float *ret_x,
                              int64_t n) {
    tread_random_for(context, rng, 2, n, convert_normal, &(affine){mean, std, ret_x});
}

void tread_random_fill_normal_f64(const tread_context *context, tread_rng *rng, double mean, double std, double *ret_x,
                                  int64_t n) {
    tread_random_for(context, rng, 2, n, convert_normal_f64, &(affine){mean, std, ret_x});
}

/* number >= threshold, as number > threshold - 1, so that 2^32, the threshold of p = 1, fits in 32 bits. */
TREAD_KERNEL_BODY void keep_body(const uint32_t *numbers, uint32_t above, uint8_t *to, int n) {
    const uint32_t *restrict in = numbers;
    uint8_t *restrict out = to;
    for (int i = 0; i < n; i++)
        out[i] = in[i] > above;
}
TREAD_KERNEL(keep, (const uint32_t *numbers, uint32_t above, uint8_t *to, int n), (numbers, above, to, n))

static void convert_keep(const void *argument, const uint32_t *numbers, int64_t begin, int n) {
    const affine *f = argument;
    uint64_t threshold = (uint64_t)(f->a * 0x1p32 + 0.5);
    uint8_t *out = (uint8_t *)f->out + begin;
    if (threshold == 0)
        memset(out, 1, (size_t)n);
    else
        TREAD_CALL(keep)(numbers, (uint32_t)(threshold - 1), out, n);
}

void tread_random_fill_keep(const tread_context *context, tread_rng *rng, double p, uint8_t *ret_keep, int64_t n) {
    tread_random_for(context, rng, 1, n, convert_keep, &(affine){.a = p, .out = ret_keep});
}
