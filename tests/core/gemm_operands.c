#include "tests/core/gemm_operands.h"

#include <string.h>

#include "core/bf16.h"
#include "core/memory.h"
#include "tests/test.h"

static uint32_t state = 1;

static double draw(void) {
    state = state * 1664525u + 1013904223u;
    return (double)(int32_t)state / 2147483648.0;
}

static void *draw_array(tread_dtype dtype, size_t count) {
    void *array = tread_alloc(count * tread_dtype_size(dtype), "a test");
    ck_assert_ptr_nonnull(array);
    for (size_t i = 0; i < count; i++)
        if (dtype == TREAD_FLOAT32)
            ((float *)array)[i] = (float)draw();
        else
            ((double *)array)[i] = draw();
    return array;
}

static uint16_t *round_array(float *array, size_t count) {
    uint16_t *rounded = tread_alloc(count * sizeof *rounded, "a test");
    ck_assert_ptr_nonnull(rounded);
    for (size_t i = 0; i < count; i++) {
        rounded[i] = tread_bf16_from_f32(array[i]);
        array[i] = tread_bf16_to_f32(rounded[i]);
    }
    return rounded;
}

operands make_operands(tread_gemm_shape shape) {
    size_t m = (size_t)shape.m, n = (size_t)shape.n, k = (size_t)shape.k, batch = (size_t)shape.batch;
    operands x = {.shape = shape, .count_a = batch * m * k, .count_b = batch * k * n, .count_c = batch * m * n};
    x.a = draw_array(shape.dtype, x.count_a);
    x.b = draw_array(shape.dtype, x.count_b);
    x.bias = draw_array(shape.dtype, n);
    x.c_before = draw_array(shape.dtype, x.count_c);
    x.c = draw_array(shape.dtype, x.count_c);
    if (shape.bf16) {
        x.a_bf16 = round_array(x.a, x.count_a);
        x.b_bf16 = round_array(x.b, x.count_b);
    }
    return x;
}

void free_operands(operands *x) {
    void *blocks[] = {x->a, x->b, x->bias, x->c, x->c_before, x->a_bf16, x->b_bf16};
    for (size_t i = 0; i < 7; i++)
        tread_free(blocks[i]);
}

void multiply(const tread_context *context, operands *x, bool accumulate) {
    tread_gemm *gemm;
    memcpy(x->c, x->c_before, x->count_c * tread_dtype_size(x->shape.dtype));
    ck_assert_ok(tread_gemm_create(context, &x->shape, &gemm));
    if (accumulate)
        ck_assert_ok(tread_gemm_prepare_accumulate(gemm));
    const void *a = x->shape.bf16 ? x->a_bf16 : x->a, *b = x->shape.bf16 ? x->b_bf16 : x->b;
    ck_assert_ok(tread_gemm_run(gemm, a, b, x->bias, x->c, accumulate));
    tread_gemm_destroy(gemm);
}

tread_context *make_context(int threads, tread_backend backend) {
    tread_context_options options = tread_context_defaults();
    options.threads = threads;
    options.backend = backend;
    if (backend == TREAD_BACKEND_AUTO)
        options.backend = tread_dnn_version() == NULL ? TREAD_BACKEND_REF : TREAD_BACKEND_ONEDNN;
    tread_context *context = tread_context_create(&options);
    ck_assert_msg(context != NULL, "%s", tread_last_error());
    return context;
}
