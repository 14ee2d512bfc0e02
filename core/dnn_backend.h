/* Layer: core. Between dnn.c, which checks and chooses, and the back-ends, which multiply. */
#ifndef TREAD_CORE_DNN_BACKEND_H
#define TREAD_CORE_DNN_BACKEND_H

#include "core/dnn.h"

/* What a back-end sees is never empty: m, n, k and batch are at least 1. */
typedef struct tread_gemm_backend {
    /* Fills gemm->plan. On failure it takes nothing. */
    tread_status (*create)(tread_gemm *gemm);
    void (*destroy)(tread_gemm *gemm);
    /* NULL: running with accumulate needs nothing. */
    tread_status (*prepare_accumulate)(tread_gemm *gemm);
    tread_status (*run)(tread_gemm *gemm, const void *a, const void *b, const void *bias, void *c, bool accumulate);
    const char *(*implementation)(const tread_gemm *gemm);
} tread_gemm_backend;

struct tread_gemm {
    const tread_gemm_backend *backend; /* NULL: the product is empty or has k = 0 */
    const tread_context *context;
    tread_gemm_shape shape;
    bool accumulates; /* prepare_accumulate has been called */
    const char *part; /* for profiles; may be NULL */
    void *plan;
};

extern const tread_gemm_backend tread_gemm_ref;
extern const tread_gemm_backend tread_gemm_onednn; /* only in builds with oneDNN */

/* "32x128x784 float32 transposed-b": a shape in words, for error sentences; returns text. */
#define TREAD_GEMM_TEXT 128
const char *tread_gemm_describe(const tread_gemm_shape *shape, char text[TREAD_GEMM_TEXT]);

#endif
