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
    double a, b;
    void *out;
} fill;

/* Turns numbers into elements [begin, begin + n) of f->out. */
typedef void convert_fn(const fill *f, const uint32_t *numbers, int64_t begin, int n);

static void fill_range(const fill *f, int numbers_each, convert_fn *convert, int64_t begin, int64_t end) {
    uint32_t words[PIECE + 8];
    while (begin < end) {
        int n = end - begin < PIECE / numbers_each ? (int)(end - begin) : PIECE / numbers_each;
        uint64_t first = f->rng.next + (uint64_t)begin * (uint64_t)numbers_each;
        int skip = (int)(first & 3);
        TREAD_CALL(blocks)(f->rng.seed, f->rng.stream, first >> 2, (skip + n * numbers_each + 3) / 4, words);
        convert(f, words + skip, begin, n);
        begin += n;
    }
}

/* About 2 ns an element at worst; a cache line of bytes is the least that two threads should not share. */
static void run(const tread_context *context, fill *f, int numbers_each, tread_range_fn *body, tread_rng *rng,
                int64_t n) {
    f->rng = *rng;
    tread_parallel_for(context, n, 4096, 64, body, f);
    if (n > 0)
        rng->next += (uint64_t)n * (uint64_t)numbers_each;
}

static void convert_bits(const fill *f, const uint32_t *numbers, int64_t begin, int n) {
    uint32_t *restrict out = (uint32_t *)f->out + begin;
    for (int i = 0; i < n; i++)
        out[i] = numbers[i];
}
static void bits_range(void *f, int64_t begin, int64_t end) { fill_range(f, 1, convert_bits, begin, end); }

void tread_random_fill_bits(const tread_context *context, tread_rng *rng, uint32_t *ret_bits, int64_t n) {
    run(context, &(fill){.out = ret_bits}, 1, bits_range, rng, n);
}

TREAD_KERNEL_BODY void uniform_body(const uint32_t *numbers, double low, double range, float *to, int n) {
    const uint32_t *restrict in = numbers;
    float *restrict out = to;
    for (int i = 0; i < n; i++)
        out[i] = (float)(low + range * (tread_random_to_double(in[i]) * 0x1p-32));
}
TREAD_KERNEL(uniform, (const uint32_t *numbers, double low, double range, float *to, int n),
             (numbers, low, range, to, n))

static void convert_uniform(const fill *f, const uint32_t *numbers, int64_t begin, int n) {
    TREAD_CALL(uniform)(numbers, f->a, f->b, (float *)f->out + begin, n);
}
static void uniform_range(void *f, int64_t begin, int64_t end) { fill_range(f, 1, convert_uniform, begin, end); }

void tread_random_fill_uniform(const tread_context *context, tread_rng *rng, double low, double high, float *ret_x,
                               int64_t n) {
    run(context, &(fill){.a = low, .b = high - low, .out = ret_x}, 1, uniform_range, rng, n);
}

TREAD_KERNEL_BODY void normal_body(const uint32_t *numbers, double mean, double std, float *to, int n) {
    const uint32_t *restrict in = numbers;
    float *restrict out = to;
    for (int i = 0; i < n; i++)
        out[i] = (float)(mean + std * tread_random_normal(in[2 * i], in[2 * i + 1]));
}
TREAD_KERNEL(normal, (const uint32_t *numbers, double mean, double std, float *to, int n), (numbers, mean, std, to, n))

static void convert_normal(const fill *f, const uint32_t *numbers, int64_t begin, int n) {
    TREAD_CALL(normal)(numbers, f->a, f->b, (float *)f->out + begin, n);
}
static void normal_range(void *f, int64_t begin, int64_t end) { fill_range(f, 2, convert_normal, begin, end); }

void tread_random_fill_normal(const tread_context *context, tread_rng *rng, double mean, double std, float *ret_x,
                              int64_t n) {
    run(context, &(fill){.a = mean, .b = std, .out = ret_x}, 2, normal_range, rng, n);
}

/* number >= threshold, as number > threshold - 1, so that 2^32, the threshold of p = 1, fits in 32 bits. */
TREAD_KERNEL_BODY void keep_body(const uint32_t *numbers, uint32_t above, uint8_t *to, int n) {
    const uint32_t *restrict in = numbers;
    uint8_t *restrict out = to;
    for (int i = 0; i < n; i++)
        out[i] = in[i] > above;
}
TREAD_KERNEL(keep, (const uint32_t *numbers, uint32_t above, uint8_t *to, int n), (numbers, above, to, n))

static void convert_keep(const fill *f, const uint32_t *numbers, int64_t begin, int n) {
    uint64_t threshold = (uint64_t)(f->a * 0x1p32 + 0.5);
    uint8_t *out = (uint8_t *)f->out + begin;
    if (threshold == 0)
        memset(out, 1, (size_t)n);
    else
        TREAD_CALL(keep)(numbers, (uint32_t)(threshold - 1), out, n);
}
static void keep_range(void *f, int64_t begin, int64_t end) { fill_range(f, 1, convert_keep, begin, end); }

void tread_random_fill_keep(const tread_context *context, tread_rng *rng, double p, uint8_t *ret_keep, int64_t n) {
    run(context, &(fill){.a = p, .out = ret_keep}, 1, keep_range, rng, n);
}
