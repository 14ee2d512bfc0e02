#include "core/dnn.h"

#include <math.h>
#include <string.h>

#include "core/isa.h"
#include "core/memory.h"
#include "tests/core/gemm_operands.h"
#include "tests/test.h"

/* The definition, one element at a time: sums in rising k with every product and sum rounded to REAL. */
#define DEFINE_ELEMENT(REAL)                                                                                           \
    static REAL element_##REAL(const operands *x, bool accumulate, int64_t item, int64_t i, int64_t j) {               \
        const tread_gemm_shape *s = &x->shape;                                                                         \
        const REAL *a = (const REAL *)x->a + item * s->m * s->k, *b = (const REAL *)x->b + item * s->k * s->n;         \
        REAL sum = accumulate ? ((const REAL *)x->c_before)[(item * s->m + i) * s->n + j] : 0;                         \
        for (int64_t p = 0; p < s->k; p++)                                                                             \
            sum += a[s->transpose_a ? p * s->m + i : i * s->k + p] * b[s->transpose_b ? j * s->k + p : p * s->n + j];  \
        if (s->bias)                                                                                                   \
            sum += ((const REAL *)x->bias)[j];                                                                         \
        return s->relu && sum < 0 ? 0 : sum;                                                                           \
    }
DEFINE_ELEMENT(float)
DEFINE_ELEMENT(double)

static void define(const operands *x, bool accumulate, void *ret_c) {
    const tread_gemm_shape *s = &x->shape;
    for (int64_t index = 0; index < (int64_t)x->count_c; index++) {
        int64_t item = index / (s->m * s->n), i = index / s->n % s->m, j = index % s->n;
        if (s->dtype == TREAD_FLOAT32)
            ((float *)ret_c)[index] = element_float(x, accumulate, item, i, j);
        else
            ((double *)ret_c)[index] = element_double(x, accumulate, item, i, j);
    }
}

/* Shapes round the edges of tiles (4 and 8 rows, 4 to 32 columns), of a pass over k (256) and of the pass over panels.
 */
static const int64_t extents[][4] = {{1, 1, 1, 1},     {1, 10, 784, 1},  {7, 3, 5, 3},     {8, 32, 256, 1},
                                     {9, 33, 257, 1},  {32, 10, 128, 1}, {10, 128, 32, 1}, {17, 65, 600, 2},
                                     {4, 8, 31, 5},    {5, 16, 2, 70},   {40, 1, 300, 1},  {3, 300, 1025, 1},
                                     {33, 48, 100, 4}, {1, 4200, 270, 1}};

static void check_on_every_isa(const tread_context *context, const tread_gemm_shape *shape, bool accumulate) {
    tread_isa best = tread_isa_chosen();
    operands x = make_operands(*shape);
    size_t bytes = x.count_c * tread_dtype_size(shape->dtype);
    void *expected = tread_alloc(bytes, "a test");
    define(&x, accumulate, expected);
    for (int isa = 0; isa <= (int)best; isa++) {
        tread_isa_use((tread_isa)isa);
        multiply(context, &x, accumulate);
        ck_assert_msg(memcmp(x.c, expected, bytes) == 0, "%s %ldx%ldx%ld batch %ld, %d%d%d%d%d: bits on %s",
                      tread_dtype_name(shape->dtype), (long)shape->m, (long)shape->n, (long)shape->k,
                      (long)shape->batch, shape->transpose_a, shape->transpose_b, shape->bias, shape->relu, accumulate,
                      tread_isa_name((tread_isa)isa));
    }
    tread_isa_use(best);
    tread_free(expected);
    free_operands(&x);
}

START_TEST(ref_sums_in_order_on_every_isa) {
    tread_context *context = make_context(3, TREAD_BACKEND_REF);
    for (size_t e = 0; e < sizeof extents / sizeof *extents; e++)
        for (int flags = 0; flags < 96; flags++) {
            const int64_t *x = extents[e];
            tread_gemm_shape shape = {flags & 32 ? TREAD_FLOAT64 : TREAD_FLOAT32,
                                      x[0],
                                      x[1],
                                      x[2],
                                      x[3],
                                      flags & 1,
                                      flags & 2,
                                      flags & 4,
                                      flags & 8,
                                      flags & 64};
            bool accumulate = flags & 16;
            if (!accumulate || !(shape.bias || shape.relu))
                check_on_every_isa(context, &shape, accumulate);
        }
    tread_context_destroy(context);
}
END_TEST

START_TEST(float64_goes_to_ref_and_float32_where_the_context_says) {
    tread_context *contexts[] = {make_context(1, TREAD_BACKEND_REF), make_context(1, TREAD_BACKEND_AUTO)};
    for (int i = 0; i < 4; i++) {
        tread_gemm *gemm;
        bool ref = i < 3 || tread_dnn_version() == NULL;
        tread_gemm_shape shape = {
            i % 2 == 0 ? TREAD_FLOAT64 : TREAD_FLOAT32, 256, 128, 784, 1, false, true, true, true, false};
        ck_assert_ok(tread_gemm_create(contexts[i / 2], &shape, &gemm));
        ck_assert_int_eq(strcmp(tread_gemm_implementation(gemm), "ref") == 0, ref);
        tread_gemm_destroy(gemm);
    }
    ck_assert_int_eq(tread_dnn_version() == NULL, tread_dnn_isa() == NULL);
    for (int i = 0; i < 2; i++)
        tread_context_destroy(contexts[i]);
}
END_TEST

START_TEST(no_k_gives_bias_and_no_elements_give_nothing) {
    float bias[3] = {1, -2, NAN}, c[6] = {9, 9, 9, 9, 9, 9};
    tread_gemm *gemm;
    ck_assert_ok(
        tread_gemm_create(NULL, &(tread_gemm_shape){.m = 2, .n = 3, .batch = 1, .bias = true, .relu = true}, &gemm));
    ck_assert_ok(tread_gemm_run(gemm, NULL, NULL, bias, c, false));
    ck_assert_str_eq(tread_gemm_implementation(gemm), "none");
    for (int i = 0; i < 2; i++)
        ck_assert(c[3 * i] == 1 && c[3 * i + 1] == 0 && isnan(c[3 * i + 2]));
    tread_gemm_destroy(gemm);
    ck_assert_ok(tread_gemm_create(NULL, &(tread_gemm_shape){.m = 2, .n = 3, .batch = 1}, &gemm));
    ck_assert_ok(tread_gemm_prepare_accumulate(gemm));
    ck_assert_ok(tread_gemm_run(gemm, NULL, NULL, NULL, c, true));
    ck_assert(c[0] == 1 && c[1] == 0);
    ck_assert_ok(tread_gemm_run(gemm, NULL, NULL, NULL, c, false));
    ck_assert(c[0] == 0 && c[5] == 0);
    tread_gemm_destroy(gemm);
    for (int flat = 0; flat < 2; flat++) {
        ck_assert_ok(tread_gemm_create(
            NULL, &(tread_gemm_shape){.m = flat ? 0 : 2, .n = flat ? 2 : 0, .k = 4, .batch = 1}, &gemm));
        ck_assert_ok(tread_gemm_run(gemm, NULL, NULL, NULL, NULL, false));
        tread_gemm_destroy(gemm);
    }
    tread_gemm_destroy(NULL);
}
END_TEST

START_TEST(wrong_calls_are_refused) {
    tread_gemm *gemm = NULL;
    ck_assert_fails(tread_gemm_create(NULL, &(tread_gemm_shape){TREAD_INT32, 1, 1, 1, 1, 0, 0, 0, 0, 0}, &gemm),
                    TREAD_ERROR_DTYPE, "int32");
    ck_assert_fails(tread_gemm_create(NULL, &(tread_gemm_shape){.m = -3, .n = 2, .k = 1, .batch = 1}, &gemm),
                    TREAD_ERROR_SHAPE, "-3x2x1");
    ck_assert_fails(
        tread_gemm_create(NULL, &(tread_gemm_shape){.m = INT64_C(1) << 40, .n = INT64_C(1) << 30, .k = 1, .batch = 1},
                          &gemm),
        TREAD_ERROR_SHAPE, "too large");
    /* Each matrix could be addressed; m n k is 2^64. */
    ck_assert_fails(
        tread_gemm_create(
            NULL, &(tread_gemm_shape){.m = INT64_C(1) << 26, .n = INT64_C(1) << 26, .k = 1 << 12, .batch = 1}, &gemm),
        TREAD_ERROR_SHAPE, "too large");
    ck_assert_fails(tread_gemm_create(NULL, &(tread_gemm_shape){.m = 1, .n = 1, .k = 1}, &gemm), TREAD_ERROR_SHAPE,
                    "batch 0");
    ck_assert_fails(
        tread_gemm_create(NULL, &(tread_gemm_shape){TREAD_FLOAT64, .m = 1, .n = 1, .k = 1, .batch = 1, .bf16 = true},
                          &gemm),
        TREAD_ERROR_DTYPE, "bf16 are float32, not float64");
    ck_assert_ptr_null(gemm);
    for (int dtype = 0; dtype < 2; dtype++)
        for (int relu = 0; relu < 2; relu++) {
            tread_gemm_shape shape = {(tread_dtype)dtype, 3, 4, 5, 1, false, true, !relu, relu, false};
            double a[15] = {0}, b[20] = {0}, c[12] = {0}, bias[4] = {0};
            ck_assert_ok(tread_gemm_create(NULL, &shape, &gemm));
            ck_assert_fails(tread_gemm_run(gemm, a, b, bias, c, true), TREAD_ERROR_STATE, "3x4x5 b^T");
            ck_assert_fails(tread_gemm_prepare_accumulate(gemm), TREAD_ERROR_STATE, "cannot accumulate");
            ck_assert_fails(tread_gemm_run(gemm, a, b, bias, c, true), TREAD_ERROR_STATE, "not prepared");
            tread_gemm_destroy(gemm);
        }
}
END_TEST

static void check_nan(const tread_context *context, tread_dtype dtype, int64_t m, int64_t n, int64_t k) {
    operands x = make_operands((tread_gemm_shape){dtype, m, n, k, 1, false, true, true, true, false});
    if (dtype == TREAD_FLOAT32)
        ((float *)x.a)[k] = NAN;
    else
        ((double *)x.a)[k] = NAN;
    multiply(context, &x, false);
    for (int64_t i = 0; i < m; i++)
        for (int64_t j = 0; j < n; j++) {
            double c = dtype == TREAD_FLOAT32 ? (double)((float *)x.c)[i * n + j] : ((double *)x.c)[i * n + j];
            ck_assert_msg(i == 1 ? isnan(c) : c >= 0, "row %d has %g", (int)i, c);
        }
    free_operands(&x);
}

START_TEST(relu_keeps_nan) {
    tread_context *contexts[] = {make_context(2, TREAD_BACKEND_REF), make_context(2, TREAD_BACKEND_AUTO)};
    for (int i = 0; i < 2; i++) {
        check_nan(contexts[i], TREAD_FLOAT32, 3, 4, 5);
        check_nan(contexts[i], TREAD_FLOAT32, 64, 64, 64);
        check_nan(contexts[i], TREAD_FLOAT32, 256, 300, 1500);
        check_nan(contexts[i], TREAD_FLOAT32, 40, 240, 300);
        check_nan(contexts[i], TREAD_FLOAT64, 64, 64, 64);
        tread_context_destroy(contexts[i]);
    }
}
END_TEST

static void check_failing_allocations(const tread_context *context, tread_gemm_shape shape) {
    uint64_t live = tread_memory_live_blocks();
    int failures = 0;
    for (uint64_t k = 1;; k++, failures++) {
        tread_gemm *gemm = NULL;
        tread_memory_fail_at(k);
        tread_status status = tread_gemm_create(context, &shape, &gemm);
        if (status == TREAD_OK && (status = tread_gemm_prepare_accumulate(gemm)) != TREAD_OK) {
            /* It is as it was, and may be prepared again. */
            float a[1], c[1];
            ck_assert_int_eq(tread_gemm_run(gemm, a, a, NULL, c, true), TREAD_ERROR_STATE);
            ck_assert_ok(tread_gemm_prepare_accumulate(gemm));
        }
        bool failed = tread_memory_failed();
        tread_memory_fail_at(0);
        tread_gemm_destroy(gemm);
        ck_assert_uint_eq(tread_memory_live_blocks(), live);
        if (!failed) {
            ck_assert_ok(status);
            break;
        }
        ck_assert_int_eq(status, TREAD_ERROR_MEMORY);
        ck_assert_ptr_nonnull(strstr(tread_last_error(), failures == 0 ? "a matrix product" : ""));
    }
    ck_assert_int_ge(failures, 3);
}

START_TEST(every_allocation_may_fail) {
    check_failing_allocations(NULL, (tread_gemm_shape){TREAD_FLOAT64, 9, 40, 300, 2, false, true, false, false, false});
    check_failing_allocations(NULL,
                              (tread_gemm_shape){TREAD_FLOAT32, 64, 100, 2500, 1, false, true, false, false, false});
    check_failing_allocations(NULL,
                              (tread_gemm_shape){TREAD_FLOAT32, 300, 200, 2500, 1, true, false, false, false, false});
    /* Turned, by columns, and from packed pieces. */
    check_failing_allocations(NULL,
                              (tread_gemm_shape){TREAD_FLOAT32, 32, 256, 300, 1, false, true, false, false, false});
    check_failing_allocations(NULL,
                              (tread_gemm_shape){TREAD_FLOAT32, 90, 300, 1500, 1, false, true, false, false, false});
    check_failing_allocations(NULL,
                              (tread_gemm_shape){TREAD_FLOAT32, 64, 100, 1500, 1, false, false, false, false, false});
    tread_context *ref = make_context(1, TREAD_BACKEND_REF);
    check_failing_allocations(ref, (tread_gemm_shape){TREAD_FLOAT32, 9, 40, 300, 2, false, true, false, false, true});
    tread_context_destroy(ref);
}
END_TEST

START_TEST(running_takes_no_memory) {
    for (int i = 0; i < 8; i++) { /* by tiles, from packed pieces, turned, by columns */
        tread_gemm_shape shape = {(tread_dtype)(i % 2), 70, 90, 1300, 1, false, i / 2 != 1, false, true, false};
        if (i / 2 > 1)
            shape.n = i / 2 == 2 ? 288 : 200;
        operands x = make_operands(shape);
        tread_gemm *gemm;
        ck_assert_ok(tread_gemm_create(NULL, &x.shape, &gemm));
        uint64_t calls = tread_memory_calls();
        ck_assert_ok(tread_gemm_run(gemm, x.a, x.b, NULL, x.c, false));
        ck_assert_uint_eq(tread_memory_calls(), calls);
        tread_gemm_destroy(gemm);
        free_operands(&x);
    }
}
END_TEST

TEST_MAIN("dnn", ref_sums_in_order_on_every_isa, float64_goes_to_ref_and_float32_where_the_context_says,
          no_k_gives_bias_and_no_elements_give_nothing, wrong_calls_are_refused, relu_keeps_nan,
          every_allocation_may_fail, running_takes_no_memory)
