/* oneDNN 2.x: descriptors by value, operation descriptors. */
#include "core/dnn_onednn.h"

static dnnl_status_t layout(dnnl_memory_desc_t *ret_layout, dnnl_data_type_t type, const int64_t extents[3],
                            const int64_t strides[3]) {
    dnnl_dims_t dims, steps;
    int rank = tread_onednn_dims(extents, strides, dims, steps);
    return dnnl_memory_desc_init_by_strides(ret_layout, rank, dims, type, steps);
}

static dnnl_status_t attributes(const tread_onednn_product *product, dnnl_primitive_attr_t attr) {
    dnnl_post_ops_t post_ops;
    dnnl_status_t status = dnnl_primitive_attr_set_scratchpad_mode(attr, dnnl_scratchpad_mode_user);
    if (status == dnnl_success) /* the default is ONEDNN_DEFAULT_FPMATH_MODE's */
        status = dnnl_primitive_attr_set_fpmath_mode(attr, dnnl_fpmath_mode_strict);
    if (status != dnnl_success || (status = dnnl_post_ops_create(&post_ops)) != dnnl_success)
        return status;
    if (product->sum)
        status = dnnl_post_ops_append_sum(post_ops, 1.0f);
    if (status == dnnl_success)
        status = dnnl_primitive_attr_set_post_ops(attr, post_ops);
    dnnl_post_ops_destroy(post_ops);
    return status;
}

dnnl_status_t tread_onednn_describe(dnnl_engine_t engine, const tread_onednn_product *product,
                                    dnnl_primitive_desc_t *ret_desc) {
    const tread_onednn_product *p = product;
    dnnl_data_type_t inputs = p->bf16 ? dnnl_bf16 : dnnl_f32;
    dnnl_memory_desc_t a, b, bias, c;
    dnnl_matmul_desc_t operation;
    dnnl_primitive_attr_t attr;
    dnnl_status_t status = layout(&a, inputs, (int64_t[]){p->batch, p->m, p->k}, p->stride_a);
    if (status == dnnl_success)
        status = layout(&b, inputs, (int64_t[]){p->batch, p->k, p->n}, p->stride_b);
    if (status == dnnl_success)
        status = layout(&c, dnnl_f32, (int64_t[]){p->batch, p->m, p->n}, p->stride_c);
    if (status == dnnl_success && p->bias) {
        dnnl_dims_t dims = {1, 1, 1}, strides = {p->n, p->n, 1};
        int rank = p->batch == 1 ? 2 : 3;
        dims[rank - 1] = p->n;
        strides[rank - 1] = 1;
        status = dnnl_memory_desc_init_by_strides(&bias, rank, dims, dnnl_f32, strides);
    }
    if (status == dnnl_success)
        status = dnnl_matmul_desc_init(&operation, &a, &b, p->bias ? &bias : NULL, &c);
    if (status != dnnl_success || (status = dnnl_primitive_attr_create(&attr)) != dnnl_success)
        return status;
    if ((status = attributes(p, attr)) == dnnl_success)
        status = dnnl_primitive_desc_create(ret_desc, &operation, attr, engine, NULL);
    dnnl_primitive_attr_destroy(attr);
    return status;
}
