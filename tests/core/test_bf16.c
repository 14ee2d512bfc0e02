#include "core/bf16.h"

#include <float.h>
#include <math.h>
#include <string.h>

#include "core/math.h"
#include "core/memory.h"
#include "tests/core/kernel_fixture.h"

/* The nearest of the neighbours of x, by distances in double, which are exact; the even one where both are as near. */
static uint16_t nearest(float x) {
    if (isinf(x))
        return (uint16_t)(tread_bits_f32(x) >> 16);
    uint16_t low = (uint16_t)(tread_bits_f32(x) >> 16), high = (uint16_t)(low + 1); /* towards 0, and away from it */
    double limit = ldexp(signbit(x) ? -1 : 1, FLT_MAX_EXP);                         /* where infinity stands in line */
    double of_low = tread_from_bits_f32((uint32_t)low << 16), of_high = tread_from_bits_f32((uint32_t)high << 16);
    if (isinf(of_high))
        of_high = limit;
    double below = fabs((double)x - of_low), above = fabs(of_high - (double)x);
    if (below != above)
        return below < above ? low : high;
    return low % 2 == 0 ? low : high;
}

START_TEST(every_bfloat16_comes_back) {
    for (uint32_t pattern = 0; pattern < 0x10000; pattern++) {
        float x = tread_bf16_to_f32((uint16_t)pattern);
        ck_assert_uint_eq(tread_bits_f32(x), pattern << 16);
        uint16_t back = tread_bf16_from_f32(x);
        ck_assert_uint_eq(back, isnan(x) ? pattern | 0x40 : pattern);
    }
}
END_TEST

/* Round every bfloat16: the tie above it, the floats beside the tie, and some further away. */
START_TEST(rounding_is_to_nearest_even) {
    static const uint32_t lower[] = {0, 1, 2, 0x1234, 0x7ffe, 0x7fff, 0x8000, 0x8001, 0x8002, 0xcdef, 0xfffe, 0xffff};
    for (uint32_t pattern = 0; pattern < 0x10000; pattern++)
        for (size_t i = 0; i < sizeof lower / sizeof *lower; i++) {
            float x = tread_from_bits_f32(pattern << 16 | lower[i]);
            if (!isnan(x))
                ck_assert_msg(tread_bf16_from_f32(x) == nearest(x), "%a (0x%08x) gave 0x%04x, expected 0x%04x", x,
                              tread_bits_f32(x), tread_bf16_from_f32(x), nearest(x));
        }
}
END_TEST

START_TEST(known_values) {
    ck_assert_uint_eq(tread_bf16_from_f32(1.0F), 0x3f80);
    ck_assert_uint_eq(tread_bf16_from_f32(-2.0F), 0xc000);
    ck_assert_uint_eq(tread_bf16_from_f32(-0.0F), 0x8000);
    ck_assert_uint_eq(tread_bf16_from_f32(1.0F + 0x1p-8F), 0x3f80);            /* a tie goes to the even one below */
    ck_assert_uint_eq(tread_bf16_from_f32(1.0F + 3 * 0x1p-8F), 0x3f82);        /* and above */
    ck_assert_uint_eq(tread_bf16_from_f32(1.0F + 0x1p-8F + 0x1p-23F), 0x3f81); /* just past the tie */
    ck_assert_uint_eq(tread_bf16_from_f32(FLT_MAX), 0x7f80);
    ck_assert_uint_eq(tread_bf16_from_f32(-FLT_MAX), 0xff80);
    ck_assert_uint_eq(tread_bf16_from_f32(0x1.fep127F), 0x7f7f); /* the largest */
    ck_assert_uint_eq(tread_bf16_from_f32(tread_from_bits_f32(0x7f7f7fff)), 0x7f7f);
    ck_assert_uint_eq(tread_bf16_from_f32(tread_from_bits_f32(1)), 0); /* the smallest subnormal */
    ck_assert_uint_eq(tread_bf16_from_f32(tread_from_bits_f32(0x8001)), 1);
    ck_assert_uint_eq(tread_bf16_from_f32(tread_from_bits_f32(0x807fffff)), 0x8080); /* up into the normal ones */
}
END_TEST

/* Rounding the fraction of a NaN up would end in 0 or infinity. */
START_TEST(nan_stays_nan) {
    static const uint32_t fractions[] = {1, 0x7fff, 0x8000, 0xffff, 0x10000, 0x3fffff, 0x400000, 0x7f8000, 0x7fffff};
    for (uint32_t sign = 0; sign <= 1; sign++)
        for (size_t i = 0; i < sizeof fractions / sizeof *fractions; i++) {
            uint32_t bits = sign << 31 | 0x7f800000 | fractions[i];
            uint16_t x = tread_bf16_from_f32(tread_from_bits_f32(bits));
            ck_assert_msg(x == (bits >> 16 | 0x40) && isnan(tread_bf16_to_f32(x)), "0x%08x gave 0x%04x", bits, x);
        }
}
END_TEST

/* Any pattern of bits, by each instruction set and thread count, at every length and odd addresses. */
START_TEST(arrays_are_as_one_value) {
    enum { n = 1 << 17 };
    uint32_t *bits = malloc(n * sizeof *bits);
    uint16_t *expected = malloc(n * sizeof *expected), *got = malloc((n + 1) * sizeof *got);
    tread_rng rng = tread_rng_create(1, 2);
    for (int64_t i = 0; i < n; i++)
        bits[i] = i % 7 == 0 ? tread_rng_bits(&rng) | 0x7f800000 : tread_rng_bits(&rng);
    float *values = malloc(n * sizeof *values);
    memcpy(values, bits, n * sizeof *values);
    for (int64_t i = 0; i < n; i++)
        expected[i] = tread_bf16_from_f32(values[i]);
    for (int run = 0; run < KERNEL_RUNS; run++) {
        tread_context *context = kernel_run_context(run);
        tread_isa before = tread_isa_use(kernel_run_isa(run));
        memset(got, 0, (n + 1) * sizeof *got);
        tread_bf16_convert(context, values, got, n);
        ck_assert_mem_eq(got, expected, n * sizeof *got);
        for (int64_t length = 0; length < 200; length++) {
            memset(got, 0xab, 300 * sizeof *got);
            tread_bf16_convert_range(values + 3, got + 1, length);
            ck_assert_mem_eq(got + 1, expected + 3, (size_t)length * sizeof *got);
            ck_assert_uint_eq(got[0], 0xabab);
            ck_assert_uint_eq(got[length + 1], 0xabab);
        }
        tread_isa_use(before);
        tread_context_destroy(context);
    }
    free(bits);
    free(values);
    free(expected);
    free(got);
}
END_TEST

/* Makes the copy what data is, as an optimizer's pass does. */
static void write_copy(tread_tensor *x) {
    tread_bf16_convert_range(x->data, x->bf16, x->count);
    tread_bf16_touch(x);
    ck_assert(tread_bf16_is_fresh(x));
}

START_TEST(a_copy_is_stale_after_any_change) {
    uint64_t live = tread_memory_live_blocks();
    tread_parameter *p = tread_parameter_create("w", 1, (int64_t[]){33});
    tread_tensor *x = tread_parameter_tensor(p), *other = tread_tensor_create(TREAD_FLOAT32, 1, (int64_t[]){33});
    ck_assert(!tread_bf16_is_fresh(x));
    ck_assert_ok(tread_bf16_ensure(x));
    ck_assert(!tread_bf16_is_fresh(x));
    write_copy(x);
    uint16_t *copy = x->bf16;
    ck_assert_ok(tread_bf16_ensure(x)); /* nothing to do */
    ck_assert(x->bf16 == copy && tread_bf16_is_fresh(x));
    ck_assert_ok(tread_tensor_fill(x, 3));
    ck_assert(!tread_bf16_is_fresh(x));
    write_copy(x);
    ck_assert_ok(tread_tensor_copy(x, other));
    ck_assert(!tread_bf16_is_fresh(x));
    write_copy(x);
    tread_parameter_block block;
    ck_assert_ok(tread_parameter_block_create(&p, 1, &block)); /* the copy moves along, where it is */
    ck_assert_ptr_eq(x->bf16, copy);
    write_copy(x);
    (void)tread_tensor_float(x); /* from here on anybody may write */
    ck_assert(!tread_bf16_is_fresh(x));
    tread_tensor_destroy(other);
    tread_parameter_block_destroy(&block);
    ck_assert_uint_eq(tread_memory_live_blocks(), live);
}
END_TEST

START_TEST(whoever_can_write_unseen_makes_copies_stale) {
    float values[4] = {0};
    tread_tensor *wrapped = tread_tensor_wrap(TREAD_FLOAT32, 1, (int64_t[]){4}, values);
    ck_assert_ok(tread_bf16_ensure(wrapped));
    tread_bf16_touch(wrapped);
    ck_assert(!tread_bf16_is_fresh(wrapped));
    tread_tensor *x = tread_tensor_create(TREAD_FLOAT32, 2, (int64_t[]){2, 2});
    ck_assert_ok(tread_bf16_ensure(x));
    write_copy(x);
    tread_tensor *rows = tread_tensor_rows(x, 0, 1);
    ck_assert(!tread_bf16_is_fresh(x));
    tread_tensor_destroy(rows);
    tread_tensor_destroy(x);
    x = tread_tensor_create(TREAD_FLOAT32, 2, (int64_t[]){2, 2});
    ck_assert_ok(tread_bf16_ensure(x));
    write_copy(x);
    tread_tensor *view = tread_tensor_view(x, 1, (int64_t[]){4});
    ck_assert(!tread_bf16_is_fresh(x));
    tread_tensor_destroy(view);
    tread_tensor_destroy(x);
    tread_tensor_destroy(wrapped);
}
END_TEST

START_TEST(a_copy_can_be_refused) {
    tread_tensor *x = tread_tensor_create(TREAD_FLOAT32, 1, (int64_t[]){5});
    tread_tensor *integers = tread_tensor_create(TREAD_INT32, 1, (int64_t[]){5});
    ck_assert_fails(tread_bf16_ensure(integers), TREAD_ERROR_DTYPE, "int32");
    tread_memory_fail_at(1);
    ck_assert_fails(tread_bf16_ensure(x), TREAD_ERROR_MEMORY, "bfloat16");
    tread_memory_fail_at(0);
    ck_assert_ptr_null(x->bf16);
    ck_assert_ok(tread_bf16_ensure(x));
    tread_tensor_destroy(x);
    tread_tensor_destroy(integers);
}
END_TEST

TEST_MAIN("bf16", every_bfloat16_comes_back, rounding_is_to_nearest_even, known_values, nan_stays_nan,
          arrays_are_as_one_value, a_copy_is_stale_after_any_change, whoever_can_write_unseen_makes_copies_stale,
          a_copy_can_be_refused)
