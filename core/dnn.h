/* Layer: core. The one door to oneDNN: matrix products in our own words. Two back-ends serve it, dnn_onednn.c (float32
 * and bfloat16) and dnn_ref.c (plain C, all types; bfloat16 by way of float32); the context chooses.
 *
 * A product is planned once per shape and then run with any pointers; running takes no memory of Tread's. The bits of a
 * result depend on shapes, back-end and CPU, never on the thread count: a long k is cut at fixed points and summed in
 * order, and where oneDNN's own blocking would depend on threads, fixed output tiles run as single-threaded
 * primitives. */
#ifndef TREAD_CORE_DNN_H
#define TREAD_CORE_DNN_H

#include <stdbool.h>
#include <stdint.h>
#include <tread/context.h>
#include <tread/tensor.h>

#include "core/recorder.h"

typedef struct tread_gemm tread_gemm;

/* C (m, n) = op(A) op(B) (+ bias (n) to every row) (then max(0, .)), for each of `batch` matrices. */
typedef struct tread_gemm_shape {
    tread_dtype dtype; /* TREAD_FLOAT32 or TREAD_FLOAT64 */
    int64_t m, n, k;   /* each >= 0; k = 0 gives zeros (plus bias) */
    int64_t batch;     /* >= 1; matrices lie densely one after the other in A, B and C */
    bool transpose_a;  /* A is stored (k, m) */
    bool transpose_b;  /* B is stored (n, k) */
    bool bias;         /* fused: add bias */
    bool relu;         /* fused: then max(0, .), NaN kept */
    bool bf16;         /* A and B are bfloat16 (uint16_t, core/bf16.h); bias, sums and C float32, which dtype then is */
} tread_gemm_shape;

/* Plans a product. May allocate and create primitives (about 0.5 ms with oneDNN). Errors: TREAD_ERROR_DTYPE,
 * TREAD_ERROR_SHAPE (negative, or too large to address or to count its multiplications), TREAD_ERROR_MEMORY,
 * TREAD_ERROR_BACKEND (what oneDNN refused, with the shape; bf16 where tread_precision_check refuses it). A product is
 * run by one thread at a time, different ones by different threads. */
tread_status tread_gemm_create(const tread_context *context, const tread_gemm_shape *shape, tread_gemm **ret_gemm);
void tread_gemm_destroy(tread_gemm *gemm); /* NULL is accepted */

/* Makes running with accumulate possible; until then it is refused with TREAD_ERROR_STATE. Errors as create, and
 * TREAD_ERROR_STATE for a product with bias or relu. */
tread_status tread_gemm_prepare_accumulate(tread_gemm *gemm);

/* Runs it; with accumulate the product is added to C (bias and relu must be off). TREAD_ERROR_BACKEND: an execution
 * failed, and C is undefined. */
tread_status tread_gemm_run(tread_gemm *gemm, const void *a, const void *b, const void *bias, void *c, bool accumulate);

/* What profiles call it beside its shape: static text such as "dx". */
void tread_gemm_set_part(tread_gemm *gemm, const char *part);
/* What running it once costs: flops = 2 batch m n k, one more for each element of C with bias, and with relu; bytes =
 * A, B (two bytes a number with bf16), bias and C once each, C twice with accumulate. */
tread_cost tread_gemm_cost(const tread_gemm *gemm, bool accumulate);

/* What serves it, for traces and tests: oneDNN's name ("brg:avx512_core", "gemm:jit"), "ref", "none" where an extent is
 * 0; static. */
const char *tread_gemm_implementation(const tread_gemm *gemm);

/* oneDNN's version as text ("2.6.3"), NULL when it is not in this build; and the ISA it will use ("avx512_core_bf16").
 */
const char *tread_dnn_version(void);
const char *tread_dnn_isa(void);
/* Whether oneDNN multiplies bfloat16 by the CPU's own instructions here; it imitates them on others, more slowly than
 * it multiplies float32. false without oneDNN. */
bool tread_dnn_has_bf16(void);

#endif
