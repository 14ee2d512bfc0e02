/* Layer: core. Inside the oneDNN adapter: how a product becomes calls. dnn_onednn.c chooses and runs them;
 * dnn_onednn_columns.c has those whose results lie apart at first. */
#ifndef TREAD_CORE_DNN_ONEDNN_PLAN_H
#define TREAD_CORE_DNN_ONEDNN_PLAN_H

#include "core/dnn_backend.h"
#include "core/dnn_onednn.h"

/* Bits do not depend on threads up to this k, however the AVX-512 brgemm shares the rest among them. */
#define TREAD_ONEDNN_PIECE_K 1024
/* Multiplications worth a call of its own: some 20 us on an old core, 4 us on a new one. */
#define TREAD_ONEDNN_TILE_PRODUCTS (1 << 20)

typedef enum tread_onednn_form {
    TREAD_ONEDNN_PIECES,  /* calls of k, one after the other, threads inside */
    TREAD_ONEDNN_TILES,   /* calls of C in any order, on threads of ours */
    TREAD_ONEDNN_COLUMNS, /* the same of columns of C, each into a room of its own first */
    TREAD_ONEDNN_TURNED,  /* the same, and they compute C^T */
} tread_onednn_form;

/* The calls of a product, with or without accumulate. */
typedef struct tread_onednn_list {
    tread_onednn_form form;
    int threads; /* of each call */
    int n;
    tread_onednn_call *calls;
    int64_t products; /* of a call, about */
    int64_t columns;  /* COLUMNS, TURNED: of a call; the last may have fewer */
    float *room; /* COLUMNS, TURNED: the calls' results; PIECES: A's pieces, where they lie in no rows of their own */
    const char *implementation;
} tread_onednn_list;

tread_status tread_onednn_fail(const tread_gemm *gemm, dnnl_status_t status, const char *verb);
/* oneDNN plans for and uses omp_get_max_threads() of the calling thread. Returns what it was. */
int tread_onednn_swap_threads(int threads);
tread_status tread_onednn_take_calls(tread_onednn_list *list, int64_t n);
/* Appends the call of one part; offsets say where in A, B, C and bias it begins, in elements. */
tread_status tread_onednn_add_call(const tread_gemm *gemm, tread_onednn_list *list, const tread_onednn_product *part,
                                   const tread_onednn_call *offsets);
/* Whether the AVX-512 brgemm serves a part. */
tread_status tread_onednn_is_brgemm(const tread_gemm *gemm, const tread_onednn_product *part, bool *ret_is);

static inline int64_t tread_onednn_round_up(int64_t x, int64_t unit) { return (x + unit - 1) / unit * unit; }
static inline int64_t tread_onednn_at_most(int64_t x, int64_t limit) { return x < limit ? x : limit; }

/* ---- dnn_onednn_columns.c ---- */

/* Whether, and in which of the two forms, columns are the better way; the form stays what it was where not. */
tread_status tread_onednn_choose_columns(const tread_gemm *gemm, const tread_onednn_product *whole,
                                         tread_onednn_form *form);
tread_status tread_onednn_plan_columns(const tread_gemm *gemm, const tread_onednn_product *whole,
                                       tread_onednn_list *list);
/* Bias, relu and sum included. */
dnnl_status_t tread_onednn_run_columns(const tread_gemm *gemm, const tread_onednn_list *list, const void *a,
                                       const void *b, const void *bias, void *c, bool accumulate);

#endif
