/* Layer: core. Inside the oneDNN adapter: what differs between the C APIs of oneDNN 2.x and 3.x (dnn_onednn_v2.c,
 * dnn_onednn_v3.c; one of them is compiled), and one primitive with its own arguments (dnn_onednn_call.c). */
#ifndef TREAD_CORE_DNN_ONEDNN_H
#define TREAD_CORE_DNN_ONEDNN_H

#include <oneapi/dnnl/dnnl.h>
#include <stdbool.h>
#include <stdint.h>
#include <tread/status.h>

#if DNNL_VERSION_MAJOR >= 3
typedef const_dnnl_memory_desc_t tread_onednn_layout;
#else
typedef const dnnl_memory_desc_t *tread_onednn_layout;
#endif

/* C (m, n) = A (m, k) B (k, n) for each of batch matrices, all parts of larger row-major arrays of float32, or A and B
 * of bfloat16. Strides are in elements: of batch, row, column. */
typedef struct tread_onednn_product {
    int64_t batch, m, n, k;
    int64_t stride_a[3], stride_b[3], stride_c[3];
    bool bias; /* then add bias (n) to each row */
    bool sum;  /* then add what C held */
    bool bf16; /* A and B are bfloat16 */
} tread_onednn_product;

/* Extents and strides as oneDNN is to see them; returns the rank. */
int tread_onednn_dims(const int64_t extents[3], const int64_t strides[3], dnnl_dims_t ret_dims,
                      dnnl_dims_t ret_strides);

/* The primitive descriptor of a product, with a scratchpad of ours. The caller destroys it. */
dnnl_status_t tread_onednn_describe(dnnl_engine_t engine, const tread_onednn_product *product,
                                    dnnl_primitive_desc_t *ret_desc);

/* A primitive ready to run, for one thread at a time: its own memory objects and stream. */
typedef struct tread_onednn_call {
    dnnl_primitive_t primitive;
    dnnl_stream_t stream;
    dnnl_memory_t a, b, bias, c, scratchpad; /* bias, scratchpad: NULL if it has none */
    void *scratch;
    int64_t offset_a, offset_b, offset_bias, offset_c; /* where its part begins, in bytes */
} tread_onednn_call;

/* The process's CPU engine, made at first use. */
dnnl_status_t tread_onednn_engine(dnnl_engine_t *ret_engine);
/* "brgemm:avx512_core"; static. */
const char *tread_onednn_implementation(dnnl_primitive_desc_t desc);
size_t tread_onednn_scratchpad_size(dnnl_primitive_desc_t desc);

/* Makes the primitive of desc under the calling thread's OpenMP thread count, and its arguments, in a call that is zero
 * but for scratch (from tread_alloc, of the size above) and offsets. Release it also after a failure. */
dnnl_status_t tread_onednn_call_create(tread_onednn_call *call, dnnl_primitive_desc_t desc);
void tread_onednn_call_release(tread_onednn_call *call);
/* Runs it under the calling thread's OpenMP thread count, which must be that of create. */
dnnl_status_t tread_onednn_call_run(tread_onednn_call *call, const void *a, const void *b, const void *bias, void *c);

#endif
