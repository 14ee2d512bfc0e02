/* Layer: core. exp, log, tanh, erf and their kin for kernels: inline, free of branches, vectorised by the compiler, and
 * the same to the bit on every CPU and at every vector width, which libm's are not.
 *
 * Each reduces its argument, evaluates a weighted minimax polynomial (coefficients: tests/golden/math_coefficients.py),
 * and puts special values in by selection. Nothing is fused, so the bits are the same
 * with and without FMA. Subnormal arguments and results are computed, not flushed; a NaN gives a NaN (of unspecified
 * payload). Errors in ulp (units in the last place) are the largest that sweeps against libm in the next wider type
 * showed; tests/core/test_math.c holds them. */
#ifndef TREAD_CORE_MATH_H
#define TREAD_CORE_MATH_H

#include <math.h>
#include <stdint.h>
#include <string.h>

#include "core/isa.h"

TREAD_KERNEL_BODY uint32_t tread_bits_f32(float x) {
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}
TREAD_KERNEL_BODY float tread_from_bits_f32(uint32_t bits) {
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}
TREAD_KERNEL_BODY uint64_t tread_bits_f64(double x) {
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}
TREAD_KERNEL_BODY double tread_from_bits_f64(uint64_t bits) {
    double x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

/* |x| with the sign of y. */
TREAD_KERNEL_BODY float tread_copy_sign_f32(float x, float y) {
    return tread_from_bits_f32((tread_bits_f32(x) & 0x7fffffffu) | (tread_bits_f32(y) & 0x80000000u));
}
TREAD_KERNEL_BODY double tread_copy_sign_f64(double x, double y) {
    return tread_from_bits_f64((tread_bits_f64(x) & 0x7fffffffffffffffu) | (tread_bits_f64(y) & 0x8000000000000000u));
}

/* ln 2 in two parts: the first has trailing zeros, so that its product with an exponent is exact. */
#define TREAD_LN2_HIGH_F32 0x1.62e4p-1f
#define TREAD_LN2_LOW_F32 0x1.7f7d1cp-20f
#define TREAD_LN2_HIGH_F64 0x1.62e42fefa38p-1
#define TREAD_LN2_LOW_F64 0x1.ef35793c7673p-45
/* Adding 1.5 * 2^(bits of the significand) rounds to the nearest integer, which then stands in the low bits. */
#define TREAD_ROUND_F32 0x1.8p23f
#define TREAD_ROUND_F64 0x1.8p52

/* --- exp --- */

/* x = n ln 2 + r, |r| <= ln(2) / 2: returns exp(r) = 1 + r + r^2 p(r), and n in the low bits of ret_n. */
TREAD_KERNEL_BODY float tread_exp_reduced_f32(float x, uint32_t *ret_n) {
    float shifted = x * 0x1.715476p+0f + TREAD_ROUND_F32;
    float n = shifted - TREAD_ROUND_F32;
    float r = x - n * TREAD_LN2_HIGH_F32 - n * TREAD_LN2_LOW_F32;
    float p = 0x1.6a2464p-10f;
    p = p * r + 0x1.1239e2p-7f;
    p = p * r + 0x1.5558f2p-5f;
    p = p * r + 0x1.555492p-3f;
    p = p * r + 0x1.fffffcp-2f;
    *ret_n = tread_bits_f32(shifted) - tread_bits_f32(TREAD_ROUND_F32);
    return 1.0f + (r + r * r * p);
}
TREAD_KERNEL_BODY double tread_exp_reduced_f64(double x, uint64_t *ret_n) {
    double shifted = x * 0x1.71547652b82fep+0 + TREAD_ROUND_F64;
    double n = shifted - TREAD_ROUND_F64;
    double r = x - n * TREAD_LN2_HIGH_F64 - n * TREAD_LN2_LOW_F64;
    double p = 0x1.1e3d1a8d6a274p-29;
    p = p * r + 0x1.af6be782b616bp-26;
    p = p * r + 0x1.27e5b4522a57ap-22;
    p = p * r + 0x1.71ddf021104a2p-19;
    p = p * r + 0x1.a01a01368a1f7p-16;
    p = p * r + 0x1.a01a01b37e17fp-13;
    p = p * r + 0x1.6c16c16c3049cp-10;
    p = p * r + 0x1.111111110ec5ep-7;
    p = p * r + 0x1.5555555555503p-5;
    p = p * r + 0x1.555555555555bp-3;
    p = p * r + 0x1.0p-1;
    *ret_n = tread_bits_f64(shifted) - tread_bits_f64(TREAD_ROUND_F64);
    return 1.0 + (r + r * r * p);
}

/* exp where the result is normal and finite: x in [-87, 88], [-708, 709], or NaN. */
TREAD_KERNEL_BODY float tread_exp_normal_f32(float x) {
    uint32_t n;
    float e = tread_exp_reduced_f32(x, &n);
    return e * tread_from_bits_f32((n + 127u) << 23);
}
TREAD_KERNEL_BODY double tread_exp_normal_f64(double x) {
    uint64_t n;
    double e = tread_exp_reduced_f64(x, &n);
    return e * tread_from_bits_f64((n + 1023u) << 52);
}

/* Any x. The scale 2^n is applied as two factors, so that it may overflow and become subnormal with one rounding.
 * At most 1.0 ulp (both types). */
TREAD_KERNEL_BODY float tread_exp_f32(float x) {
    x = x > 89.0f ? 89.0f : x;
    x = x < -104.0f ? -104.0f : x;
    uint32_t n;
    float e = tread_exp_reduced_f32(x, &n);
    uint32_t half = n >> 1; /* n may be negative: what this gets wrong lies above the bits that the shifts below keep */
    return e * tread_from_bits_f32((half + 127u) << 23) * tread_from_bits_f32((n - half + 127u) << 23);
}
TREAD_KERNEL_BODY double tread_exp_f64(double x) {
    x = x > 710.0 ? 710.0 : x;
    x = x < -746.0 ? -746.0 : x;
    uint64_t n;
    double e = tread_exp_reduced_f64(x, &n);
    uint64_t half = n >> 1;
    return e * tread_from_bits_f64((half + 1023u) << 52) * tread_from_bits_f64((n - half + 1023u) << 52);
}

/* --- log --- */

/* log((1 + f) 2^k) for 1 + f in [sqrt(1/2), sqrt(2)]: float32 by log(1 + f) = f - f^2/2 + f^3 p(f), float64 by
 * log(1 + f) = 2 atanh(s) = 2 s + s^3 p(s^2), s = f / (2 + f), written so that f stands alone and large. */
TREAD_KERNEL_BODY float tread_log_reduced_f32(float f, float k) {
    float p = -0x1.38ba38p-4f;
    p = p * f + 0x1.055ca2p-3f;
    p = p * f - 0x1.0d84ecp-3f;
    p = p * f + 0x1.22d9e8p-3f;
    p = p * f - 0x1.547248p-3f;
    p = p * f + 0x1.99a00ap-3f;
    p = p * f - 0x1.000226p-2f;
    p = p * f + 0x1.555554p-2f;
    float square = f * f, half_square = 0.5f * square;
    float rest = half_square - (square * f * p + k * TREAD_LN2_LOW_F32);
    return f - rest + k * TREAD_LN2_HIGH_F32;
}
TREAD_KERNEL_BODY double tread_log_reduced_f64(double f, double k) {
    double s = f / (2.0 + f), z = s * s;
    double p = 0x1.0f6ac2adf6b2cp-3;
    p = p * z + 0x1.0f5bf17363686p-3;
    p = p * z + 0x1.3b20b513b94d7p-3;
    p = p * z + 0x1.745cddfe3003ep-3;
    p = p * z + 0x1.c71c7259adf1dp-3;
    p = p * z + 0x1.249249242aacbp-2;
    p = p * z + 0x1.9999999999e06p-2;
    p = p * z + 0x1.5555555555555p-1;
    double half_square = 0.5 * f * f;
    double rest = half_square - (s * (half_square + z * p) + k * TREAD_LN2_LOW_F64);
    return f - rest + k * TREAD_LN2_HIGH_F64;
}

/* Natural logarithm of any x: -inf at 0, NaN below. At most 0.9 ulp (both types). */
TREAD_KERNEL_BODY float tread_log_f32(float x) {
    float normal = x < 0x1p-126f ? x * 0x1p23f : x;
    uint32_t bits = tread_bits_f32(normal);
    uint32_t k = (bits - 0x3f3504f3u + (256u << 23)) >> 23; /* exponent + 256 */
    float f = tread_from_bits_f32(bits - ((k - 256u) << 23)) - 1.0f;
    float exponent = (float)(int32_t)k - (x < 0x1p-126f ? 279.0f : 256.0f);
    float y = tread_log_reduced_f32(f, exponent);
    y = x < INFINITY ? y : x;
    return x > 0.0f ? y : x == 0.0f ? -INFINITY : NAN;
}
TREAD_KERNEL_BODY double tread_log_f64(double x) {
    double normal = x < 0x1p-1022 ? x * 0x1p52 : x;
    uint64_t bits = tread_bits_f64(normal);
    uint64_t k = (bits - 0x3fe6a09e667f3bcdu + (2048ull << 52)) >> 52; /* wraps to exponent + 2048 */
    double f = tread_from_bits_f64(bits - ((k - 2048u) << 52)) - 1.0;
    /* An integer below 2^52 to double without an instruction that only AVX-512 has. */
    double biased = tread_from_bits_f64(k | 0x4330000000000000u) - 0x1p52;
    double exponent = biased - (x < 0x1p-1022 ? 2100.0 : 2048.0);
    double y = tread_log_reduced_f64(f, exponent);
    y = x < (double)INFINITY ? y : x;
    return x > 0.0 ? y : x == 0.0 ? -(double)INFINITY : (double)NAN;
}

/* log(1 + x) for x in [0, 1]: relative accuracy also where x is tiny. At most 1.5 ulp (both types). */
TREAD_KERNEL_BODY float tread_log1p_unit_f32(float x) {
    float f = x > 0x1.a8279ap-2f ? 0.5f * (x - 1.0f) : x; /* 1 + x = 2 (1 + (x - 1) / 2) */
    return tread_log_reduced_f32(f, x > 0x1.a8279ap-2f ? 1.0f : 0.0f);
}
TREAD_KERNEL_BODY double tread_log1p_unit_f64(double x) {
    double f = x > 0x1.a827999fcef32p-2 ? 0.5 * (x - 1.0) : x;
    return tread_log_reduced_f64(f, x > 0x1.a827999fcef32p-2 ? 1.0 : 0.0);
}

/* log(1 + exp(-|x|)), the part of softplus(x) = max(x, 0) + log(1 + exp(-|x|)) and of binary cross-entropy that is
 * left. At most 1.75 ulp (both types). */
TREAD_KERNEL_BODY float tread_log1p_exp_neg_abs_f32(float x) {
    return tread_log1p_unit_f32(tread_exp_f32(-tread_copy_sign_f32(x, 1.0f)));
}
TREAD_KERNEL_BODY double tread_log1p_exp_neg_abs_f64(double x) {
    return tread_log1p_unit_f64(tread_exp_f64(-tread_copy_sign_f64(x, 1.0)));
}

/* --- sigmoid and tanh --- */

/* 1 / (1 + exp(-x)), from exp(-|x|) so that nothing overflows and small results keep their digits.
 * At most 2.5 ulp (both types). */
TREAD_KERNEL_BODY float tread_sigmoid_f32(float x) {
    float e = tread_exp_f32(-tread_copy_sign_f32(x, 1.0f));
    return (x >= 0.0f ? 1.0f : e) / (1.0f + e);
}
TREAD_KERNEL_BODY double tread_sigmoid_f64(double x) {
    double e = tread_exp_f64(-tread_copy_sign_f64(x, 1.0));
    return (x >= 0.0 ? 1.0 : e) / (1.0 + e);
}

/* |x| < 0.55: x + x^3 p(x^2); else 1 - 2 / (exp(2 |x|) + 1), with the sign of x. At most 1.5 ulp (both types). */
TREAD_KERNEL_BODY float tread_tanh_f32(float x) {
    float a = tread_copy_sign_f32(x, 1.0f), z = a * a;
    float p = -0x1.9b2fe8p-8f;
    p = p * z + 0x1.593cfap-6f;
    p = p * z - 0x1.b9287ap-5f;
    p = p * z + 0x1.110d26p-3f;
    p = p * z - 0x1.55554ap-2f;
    float small = a + a * z * p;
    float capped = a > 10.0f ? 10.0f : a; /* 1 from 9.02 on */
    float large = 1.0f - 2.0f / (tread_exp_normal_f32(2.0f * capped) + 1.0f);
    return tread_copy_sign_f32(a < 0.55f ? small : large, x);
}
TREAD_KERNEL_BODY double tread_tanh_f64(double x) {
    double a = tread_copy_sign_f64(x, 1.0), z = a * a;
    double p = 0x1.f3e4d0acb1c64p-18;
    p = p * z - 0x1.148b7bc774fecp-15;
    p = p * z + 0x1.8a218b4e6e047p-14;
    p = p * z - 0x1.f39282ce05e6p-13;
    p = p * z + 0x1.353e12df0d2a6p-11;
    p = p * z - 0x1.7da17a9728f27p-10;
    p = p * z + 0x1.d6d3b83a51c87p-9;
    p = p * z - 0x1.226e34f41f15ap-7;
    p = p * z + 0x1.664f488077ea6p-6;
    p = p * z - 0x1.ba1ba1ba143e8p-5;
    p = p * z + 0x1.11111111110b1p-3;
    p = p * z - 0x1.5555555555555p-2;
    double small = a + a * z * p;
    double capped = a > 20.0 ? 20.0 : a; /* 1 from 19.07 on */
    double large = 1.0 - 2.0 / (tread_exp_normal_f64(2.0 * capped) + 1.0);
    return tread_copy_sign_f64(a < 0.55 ? small : large, x);
}

/* --- erf --- */

/* |x| < 1: x + x p(x^2); else 1 - erfc(|x|), where float32 takes erfc(x) = exp(-p(x)), and float64
 * erfc(x) = exp(-x^2) p((x - 2) / (x + 2)). At most 1.35 ulp (both types). */
TREAD_KERNEL_BODY float tread_erf_small_f32(float a) {
    float z = a * a;
    float p = 0x1.496a18p-14f;
    p = p * z - 0x1.a3f6fap-11f;
    p = p * z + 0x1.5405b2p-8f;
    p = p * z - 0x1.b7f90ep-6f;
    p = p * z + 0x1.ce2cf8p-4f;
    p = p * z - 0x1.81273ep-2f;
    p = p * z + 0x1.06eba8p-3f;
    return a + a * p;
}
TREAD_KERNEL_BODY float tread_erf_f32(float x) {
    float a = tread_copy_sign_f32(x, 1.0f);
    float capped = a > 4.0f ? 4.0f : a; /* 1 from 3.92 on */
    float p = 0x1.6c0562p-16f;
    p = p * capped - 0x1.ceea1p-12f;
    p = p * capped + 0x1.1398b4p-8f;
    p = p * capped - 0x1.9d0ba6p-6f;
    p = p * capped + 0x1.bc18bep-4f;
    p = p * capped + 0x1.4434f2p-1f;
    p = p * capped + 0x1.212c2cp+0f;
    p = p * capped - 0x1.8b3b4p-13f;
    float large = 1.0f - tread_exp_normal_f32(-p);
    return tread_copy_sign_f32(a < 1.0f ? tread_erf_small_f32(a) : large, x);
}
TREAD_KERNEL_BODY double tread_erf_small_f64(double a) {
    double z = a * a;
    double p = 0x1.0579a69d4bb15p-34;
    p = p * z - 0x1.386abe81bc091p-30;
    p = p * z + 0x1.f7a4112daf132p-27;
    p = p * z - 0x1.5f1d36a3432d6p-23;
    p = p * z + 0x1.b9def1995c1e6p-20;
    p = p * z - 0x1.f4d1df38db4aep-17;
    p = p * z + 0x1.f9a321a116d34p-14;
    p = p * z - 0x1.c02db3d8ecdbep-11;
    p = p * z + 0x1.565bcd0db02c7p-8;
    p = p * z - 0x1.b82ce3128499cp-6;
    p = p * z + 0x1.ce2f21a042b2p-4;
    p = p * z - 0x1.812746b0379e6p-2;
    p = p * z + 0x1.06eba8214db69p-3;
    return a + a * p;
}
/* erfc(a) for a in [1, 6]: relative accuracy. */
TREAD_KERNEL_BODY double tread_erfc_tail_f64(double a) {
    double t = (a - 2.0) / (a + 2.0);
    double p = 0x1.6a7da05c866p-23;
    p = p * t - 0x1.67225f7e4b64fp-21;
    p = p * t - 0x1.089046f4a470ap-21;
    p = p * t + 0x1.56492c9d99dd3p-20;
    p = p * t + 0x1.f759beb26fcedp-19;
    p = p * t + 0x1.7203b30cb539dp-20;
    p = p * t - 0x1.d466e32e578d7p-17;
    p = p * t - 0x1.ceb2d50903a7cp-16;
    p = p * t + 0x1.cdc91b86821f5p-16;
    p = p * t + 0x1.6da96ebda5e1bp-13;
    p = p * t + 0x1.6d5f0eb6c7256p-15;
    p = p * t - 0x1.016b5ce1a10cdp-10;
    p = p * t - 0x1.bc25a485047c9p-11;
    p = p * t + 0x1.ca95ed533bc03p-8;
    p = p * t + 0x1.e9471597a606fp-9;
    p = p * t - 0x1.437f0b68c0c14p-4;
    p = p * t + 0x1.eeea7dc8a78b1p-3;
    p = p * t - 0x1.b57034efd3f72p-2;
    p = p * t + 0x1.058671b52c776p-2;
    return tread_exp_normal_f64(-a * a) * p;
}
TREAD_KERNEL_BODY double tread_erf_f64(double x) {
    double a = tread_copy_sign_f64(x, 1.0);
    double capped = a > 6.0 ? 6.0 : a; /* 1 from 5.92 on */
    double large = 1.0 - tread_erfc_tail_f64(capped);
    return tread_copy_sign_f64(a < 1.0 ? tread_erf_small_f64(a) : large, x);
}

/* sin(pi/2 y) for |y| <= 1. At most 3 ulp. */
TREAD_KERNEL_BODY double tread_sin_quarter_f64(double y) {
    double z = y * y;
    double p = 0x1.9d1b86f1b22d6p-38;
    p = p * z - 0x1.6f79770e35dbp-31;
    p = p * z + 0x1.e8f35e9d59d7cp-25;
    p = p * z - 0x1.e3074ddd1d2c4p-19;
    p = p * z + 0x1.50783485190b6p-13;
    p = p * z - 0x1.32d2cce627542p-8;
    p = p * z + 0x1.466bc6775aa6ep-4;
    p = p * z - 0x1.4abbce625be52p-1;
    p = p * z + 0x1.921fb54442d18p+0;
    return y * p;
}

#endif
