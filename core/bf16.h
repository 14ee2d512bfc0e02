/* Layer: core. bfloat16: the upper half of a float32, that is, its sign, its 8 bits of exponent and 7 of its 23 bits of
 * fraction (Intel, "BFLOAT16 - Hardware Numerics Definition", 2018; Arm, "ARM Architecture Reference Manual",
 * BFloat16). So the range is float32's, the precision 8 bits, and every bfloat16 is a float32.
 *
 * Rounding is IEEE 754's to nearest, ties to even: what lies beyond the largest bfloat16 by half a unit or more becomes
 * infinity, subnormals are rounded like the rest, and NaN stays NaN, with its sign and upper fraction, made quiet. (The
 * instructions of AVX512_BF16 take subnormals for 0, so they do not serve here: the bits are the same on every CPU.) */
#ifndef TREAD_CORE_BF16_H
#define TREAD_CORE_BF16_H

#include <stdint.h>
#include <string.h>
#include <tread/context.h>

#include "core/isa.h"
#include "core/tensor.h"

/* Always inline, so that a kernel's copies each compile it for their own instruction set. */
TREAD_KERNEL_BODY uint16_t tread_bf16_from_f32(float x) {
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    uint32_t rounded = (bits + 0x7fff + (bits >> 16 & 1)) >> 16, quiet = bits >> 16 | 0x40;
    return (uint16_t)((bits & 0x7fffffff) > 0x7f800000 ? quiet : rounded);
}

TREAD_KERNEL_BODY float tread_bf16_to_f32(uint16_t x) {
    uint32_t bits = (uint32_t)x << 16;
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* to[i] = from[i] rounded, on the calling thread, with the same bits by every instruction set. */
void tread_bf16_convert_range(const float *from, uint16_t *to, int64_t n);
/* The same on the context's threads. */
void tread_bf16_convert(const tread_context *context, const float *from, uint16_t *to, int64_t n);

/* The other way, on the context's threads; exact. */
void tread_bf16_widen(const tread_context *context, const uint16_t *from, float *to, int64_t n);

/* A leaf's copy in bfloat16 (tread_tensor.bf16), which matrix products read in place of its float32 values. It exists
 * once somebody has asked for it, and ends with the leaf. Whoever changes a leaf's data either calls
 * tread_tensor_touch(), and the copy is stale then, or writes the copy too and calls tread_bf16_touch(). */

/* Makes room for the copy, stale at first; nothing to do where there is one. TREAD_ERROR_MEMORY; TREAD_ERROR_DTYPE
 * unless the leaf is float32. */
tread_status tread_bf16_ensure(tread_tensor *leaf);
/* In place of tread_tensor_touch(), by whoever has written data and, from it, every element of the copy. */
static inline void tread_bf16_touch(tread_tensor *leaf) {
    tread_tensor_touch(leaf);
    leaf->bf16_version = leaf->version;
}
/* Whether the copy is there and holds what data holds. Never where data's address has been given out: nobody would
 * know of a change. */
static inline bool tread_bf16_is_fresh(const tread_tensor *leaf) {
    return leaf->bf16 != NULL && leaf->bf16_version == leaf->version && !tread_tensor_is_given(leaf);
}

#endif
