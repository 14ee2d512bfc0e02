#include <pthread.h>
#include <stddef.h>
#include <string.h>

#include "core/dnn_onednn.h"
#include "core/memory.h"

static dnnl_engine_t engine;
static dnnl_status_t engine_status;
static pthread_once_t engine_once = PTHREAD_ONCE_INIT;

static void create_engine(void) { engine_status = dnnl_engine_create(&engine, dnnl_cpu, 0); }

dnnl_status_t tread_onednn_engine(dnnl_engine_t *ret_engine) {
    pthread_once(&engine_once, create_engine);
    if (engine_status == dnnl_success)
        *ret_engine = engine;
    return engine_status;
}

/* Implementations are chosen by rank, so it is 2 wherever it can be; and by strides, even by those of extents of 1,
 * which oneDNN's cache of descriptors takes for equal: were they not made dense here, the implementation, and with it
 * bits, would depend on what the process had planned before. (dnnl_dims_t has 12 entries.) */
int tread_onednn_dims(const int64_t extents[3], const int64_t strides[3], dnnl_dims_t ret_dims,
                      dnnl_dims_t ret_strides) {
    int skip = extents[0] == 1 ? 1 : 0, rank = 3 - skip;
    memset(ret_dims, 0, sizeof(dnnl_dims_t));
    memset(ret_strides, 0, sizeof(dnnl_dims_t));
    for (int i = rank - 1; i >= 0; i--) {
        ret_dims[i] = extents[i + skip];
        ret_strides[i] = strides[i + skip];
        if (ret_dims[i] == 1)
            ret_strides[i] = i == rank - 1 ? 1 : ret_dims[i + 1] * ret_strides[i + 1];
    }
    return rank;
}

const char *tread_onednn_implementation(dnnl_primitive_desc_t desc) {
    const char *text;
    return dnnl_primitive_desc_query(desc, dnnl_query_impl_info_str, 0, &text) == dnnl_success ? text : "unknown";
}

static dnnl_status_t create_memory(dnnl_primitive_desc_t desc, dnnl_query_t what, int index,
                                   dnnl_memory_t *ret_memory) {
    tread_onednn_layout layout = dnnl_primitive_desc_query_md(desc, what, index);
    if (layout == NULL || dnnl_memory_desc_get_size(layout) == 0)
        return dnnl_success;
    return dnnl_memory_create(ret_memory, layout, engine, DNNL_MEMORY_NONE);
}

size_t tread_onednn_scratchpad_size(dnnl_primitive_desc_t desc) {
    tread_onednn_layout layout = dnnl_primitive_desc_query_md(desc, dnnl_query_scratchpad_md, 0);
    return layout == NULL ? 0 : dnnl_memory_desc_get_size(layout);
}

dnnl_status_t tread_onednn_call_create(tread_onednn_call *call, dnnl_primitive_desc_t desc) {
    dnnl_status_t status = dnnl_primitive_create(&call->primitive, desc);
    if (status == dnnl_success)
        status = dnnl_stream_create(&call->stream, engine, dnnl_stream_default_flags);
    if (status == dnnl_success)
        status = create_memory(desc, dnnl_query_src_md, 0, &call->a);
    if (status == dnnl_success)
        status = create_memory(desc, dnnl_query_weights_md, 0, &call->b);
    if (status == dnnl_success)
        status = create_memory(desc, dnnl_query_weights_md, 1, &call->bias);
    if (status == dnnl_success)
        status = create_memory(desc, dnnl_query_dst_md, 0, &call->c);
    if (status == dnnl_success)
        status = create_memory(desc, dnnl_query_scratchpad_md, 0, &call->scratchpad);
    if (status == dnnl_success && call->scratchpad != NULL)
        status = dnnl_memory_set_data_handle(call->scratchpad, call->scratch);
    return status;
}

void tread_onednn_call_release(tread_onednn_call *call) {
    dnnl_memory_t *const memories[] = {&call->a, &call->b, &call->bias, &call->c, &call->scratchpad};
    for (size_t i = 0; i < sizeof memories / sizeof *memories; i++)
        if (*memories[i] != NULL)
            dnnl_memory_destroy(*memories[i]);
    if (call->stream != NULL)
        dnnl_stream_destroy(call->stream);
    if (call->primitive != NULL)
        dnnl_primitive_destroy(call->primitive);
    tread_free(call->scratch);
    *call = (tread_onednn_call){0};
}

/* oneDNN's handles are not const; a, b and bias are only read. */
static void set_handle(dnnl_memory_t memory, const void *data, int64_t offset) {
    dnnl_memory_set_data_handle(memory, (char *)(uintptr_t)data + offset);
}

dnnl_status_t tread_onednn_call_run(tread_onednn_call *call, const void *a, const void *b, const void *bias, void *c) {
    dnnl_exec_arg_t arguments[5] = {{DNNL_ARG_SRC, call->a}, {DNNL_ARG_WEIGHTS, call->b}, {DNNL_ARG_DST, call->c}};
    int n = 3;
    set_handle(call->a, a, call->offset_a);
    set_handle(call->b, b, call->offset_b);
    set_handle(call->c, c, call->offset_c);
    if (call->bias != NULL) {
        set_handle(call->bias, bias, call->offset_bias);
        arguments[n++] = (dnnl_exec_arg_t){DNNL_ARG_BIAS, call->bias};
    }
    if (call->scratchpad != NULL)
        arguments[n++] = (dnnl_exec_arg_t){DNNL_ARG_SCRATCHPAD, call->scratchpad};
    dnnl_status_t status = dnnl_primitive_execute(call->primitive, call->stream, n, arguments);
    return status == dnnl_success ? dnnl_stream_wait(call->stream) : status;
}
