#include <string.h>

#include "core/dnn_ref.h"
#include "core/memory.h"

/* The tile fills the registers: 32 of 64 bytes (AVX-512), 16 of 32 (AVX2), 16 of 16 (x86-64; elsewhere twice that).
 * Each instruction set has its own size, so TREAD_KERNEL, which copies one body, does not serve here. */
#define KERNEL(name)                                                                                                   \
    { TILE_ROWS, 2 * VECTOR_BYTES / (int)sizeof(REAL), pack_panels_##name, multiply_##name }

#define TARGET
#define TILE_ROWS 4
#define VECTOR_BYTES 16
#define REAL float
#define T(name) name##_f32_baseline
#include "core/dnn_ref_tile.h"
static const tread_ref_kernel f32_baseline = KERNEL(f32_baseline);
#undef REAL
#undef T
#define REAL double
#define T(name) name##_f64_baseline
#include "core/dnn_ref_tile.h"
static const tread_ref_kernel f64_baseline = KERNEL(f64_baseline);
#undef REAL
#undef T
#undef TARGET
#undef TILE_ROWS
#undef VECTOR_BYTES

#if defined(__x86_64__)
#define TARGET TREAD_TARGET_AVX2
#define TILE_ROWS 4
#define VECTOR_BYTES 32
#define REAL float
#define T(name) name##_f32_avx2
#include "core/dnn_ref_tile.h"
static const tread_ref_kernel f32_avx2 = KERNEL(f32_avx2);
#undef REAL
#undef T
#define REAL double
#define T(name) name##_f64_avx2
#include "core/dnn_ref_tile.h"
static const tread_ref_kernel f64_avx2 = KERNEL(f64_avx2);
#undef REAL
#undef T
#undef TARGET
#undef TILE_ROWS
#undef VECTOR_BYTES

#define TARGET TREAD_TARGET_AVX512
#define TILE_ROWS 8
#define VECTOR_BYTES 64
#define REAL float
#define T(name) name##_f32_avx512
#include "core/dnn_ref_tile.h"
static const tread_ref_kernel f32_avx512 = KERNEL(f32_avx512);
#undef REAL
#undef T
#define REAL double
#define T(name) name##_f64_avx512
#include "core/dnn_ref_tile.h"
static const tread_ref_kernel f64_avx512 = KERNEL(f64_avx512);
#else
#define f32_avx2 f32_baseline
#define f64_avx2 f64_baseline
#define f32_avx512 f32_baseline
#define f64_avx512 f64_baseline
#endif

const tread_ref_kernel *tread_ref_kernel_of(tread_dtype dtype, tread_isa isa) {
    static const tread_ref_kernel *const kernels[2][TREAD_ISA_COUNT] = {
        {&f32_baseline, &f32_avx2, &f32_avx512},
        {&f64_baseline, &f64_avx2, &f64_avx512},
    };
    return kernels[dtype == TREAD_FLOAT64][isa];
}
