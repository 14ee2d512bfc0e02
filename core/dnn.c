#include "core/dnn.h"

#include <stdio.h>
#include <string.h>
#include <tread/precision.h>

#include "core/dnn_backend.h"
#include "core/memory.h"
#include "core/status.h"
#include "tread_config.h"

const char *tread_gemm_describe(const tread_gemm_shape *shape, char text[TREAD_GEMM_TEXT]) {
    const char *dtype = shape->bf16 ? "bf16" : tread_dtype_name(shape->dtype);
    int length = snprintf(text, TREAD_GEMM_TEXT, "%s %lldx%lldx%lld", dtype, (long long)shape->m, (long long)shape->n,
                          (long long)shape->k);
    if (shape->batch != 1)
        length += snprintf(text + length, TREAD_GEMM_TEXT - (size_t)length, " batch %lld", (long long)shape->batch);
    snprintf(text + length, TREAD_GEMM_TEXT - (size_t)length, "%s%s%s%s", shape->transpose_a ? " a^T" : "",
             shape->transpose_b ? " b^T" : "", shape->bias ? " + bias" : "", shape->relu ? ", relu" : "");
    return text;
}

/* Whether the product of all four is an int64_t: bytes of a matrix, which must be addressed, or multiplications, which
 * are counted. */
static bool fits(int64_t batch, int64_t rows, int64_t columns, int64_t size) {
    int64_t product;
    return !__builtin_mul_overflow(rows, columns, &product) && !__builtin_mul_overflow(product, batch, &product) &&
           !__builtin_mul_overflow(product, size, &product);
}

static tread_status check_shape(const tread_gemm_shape *shape) {
    char text[TREAD_GEMM_TEXT];
    if (shape->dtype != TREAD_FLOAT32 && shape->dtype != TREAD_FLOAT64)
        return tread_fail(TREAD_ERROR_DTYPE, "matrix product: %s is neither float32 nor float64",
                          tread_dtype_name(shape->dtype));
    if (shape->bf16 && shape->dtype != TREAD_FLOAT32)
        return tread_fail(TREAD_ERROR_DTYPE, "matrix product: sums of bf16 are float32, not %s",
                          tread_dtype_name(shape->dtype));
    int64_t size = (int64_t)tread_dtype_size(shape->dtype);
    if (shape->m < 0 || shape->n < 0 || shape->k < 0 || shape->batch < 1 ||
        !fits(shape->batch, shape->m, shape->n, size) || !fits(shape->batch, shape->m, shape->k, size) ||
        !fits(shape->batch, shape->k, shape->n, size) || !fits(shape->batch, shape->m, shape->n, shape->k))
        return tread_fail(TREAD_ERROR_SHAPE, "matrix product %s: an extent is negative or too large",
                          tread_gemm_describe(shape, text));
    return TREAD_OK;
}

/* The rules look at context and shape only, never at threads: the choice decides bits. */
static const tread_gemm_backend *choose(const tread_context *context, const tread_gemm_shape *shape) {
    if (shape->m == 0 || shape->n == 0 || shape->k == 0)
        return NULL;
#if TREAD_HAVE_ONEDNN
    if (shape->dtype == TREAD_FLOAT32 && tread_context_backend(context) == TREAD_BACKEND_ONEDNN)
        return &tread_gemm_onednn;
#else
    (void)context;
#endif
    return &tread_gemm_ref;
}

tread_status tread_gemm_create(const tread_context *context, const tread_gemm_shape *shape, tread_gemm **ret_gemm) {
    TREAD_TRY(check_shape(shape));
    if (shape->bf16)
        TREAD_TRY(tread_precision_check(context, TREAD_PRECISION_BF16));
    tread_gemm *gemm = tread_calloc(1, sizeof *gemm, "a matrix product");
    if (gemm == NULL)
        return TREAD_ERROR_MEMORY;
    gemm->context = context;
    gemm->shape = *shape;
    gemm->backend = choose(context, shape);
    tread_status status = gemm->backend == NULL ? TREAD_OK : gemm->backend->create(gemm);
    if (status != TREAD_OK) {
        tread_free(gemm);
        return status;
    }
    *ret_gemm = gemm;
    return TREAD_OK;
}

void tread_gemm_destroy(tread_gemm *gemm) {
    if (gemm != NULL && gemm->backend != NULL)
        gemm->backend->destroy(gemm);
    tread_free(gemm);
}

tread_status tread_gemm_prepare_accumulate(tread_gemm *gemm) {
    char text[TREAD_GEMM_TEXT];
    if (gemm->accumulates)
        return TREAD_OK;
    if (gemm->shape.bias || gemm->shape.relu)
        return tread_fail(TREAD_ERROR_STATE, "matrix product %s: with bias or relu it cannot accumulate",
                          tread_gemm_describe(&gemm->shape, text));
    if (gemm->backend != NULL && gemm->backend->prepare_accumulate != NULL)
        TREAD_TRY(gemm->backend->prepare_accumulate(gemm));
    gemm->accumulates = true;
    return TREAD_OK;
}

/* k = 0: the sums are empty. Not worth threads or an instruction set. */
#define DEFINE_EMPTY(REAL)                                                                                             \
    static void empty_##REAL(int64_t rows, int64_t n, const REAL *bias, bool relu, REAL *c) {                          \
        for (int64_t i = 0; i < rows; i++)                                                                             \
            for (int64_t j = 0; j < n; j++) {                                                                          \
                REAL x = bias == NULL ? 0 : bias[j];                                                                   \
                c[i * n + j] = relu && x < 0 ? 0 : x;                                                                  \
            }                                                                                                          \
    }
DEFINE_EMPTY(float)
DEFINE_EMPTY(double)

static void run_empty(const tread_gemm_shape *shape, const void *bias, void *c) {
    const void *row = shape->bias ? bias : NULL;
    if (shape->dtype == TREAD_FLOAT32)
        empty_float(shape->batch * shape->m, shape->n, row, shape->relu, c);
    else
        empty_double(shape->batch * shape->m, shape->n, row, shape->relu, c);
}

void tread_gemm_set_part(tread_gemm *gemm, const char *part) { gemm->part = part; }

tread_cost tread_gemm_cost(const tread_gemm *gemm, bool accumulate) {
    const tread_gemm_shape *s = &gemm->shape;
    const double m = (double)s->m, n = (double)s->n, k = (double)s->k, batch = (double)s->batch;
    const double item = (double)tread_dtype_size(s->dtype), input = s->bf16 ? (double)sizeof(uint16_t) : item;
    const double written = batch * m * n * (accumulate ? 2 : 1) + (s->bias ? n : 0);
    return (tread_cost){.flops = batch * m * n * (2 * k + s->bias + s->relu),
                        .bytes = input * batch * (m * k + k * n) + item * written};
}

tread_status tread_gemm_run(tread_gemm *gemm, const void *a, const void *b, const void *bias, void *c,
                            bool accumulate) {
    char text[TREAD_GEMM_TEXT];
    const tread_gemm_shape *s = &gemm->shape;
    if (accumulate && !gemm->accumulates)
        return tread_fail(TREAD_ERROR_STATE, "matrix product %s: accumulating was not prepared",
                          tread_gemm_describe(s, text));
    if (gemm->backend != NULL) {
        const tread_time_span_key key = {.name = "gemm",
                                         .phase = TREAD_TRACE_OTHER,
                                         .part = gemm->part,
                                         .extents = {s->m, s->n, s->k},
                                         .bf16 = s->bf16};
        const tread_time_span span = tread_time_span_within(gemm->context, &key);
        TREAD_TRY(gemm->backend->run(gemm, a, b, bias, c, accumulate));
        tread_time_span_end(gemm->context, span, tread_gemm_cost(gemm, accumulate));
        return TREAD_OK;
    }
    if (!accumulate)
        run_empty(s, bias, c);
    return TREAD_OK;
}

const char *tread_gemm_implementation(const tread_gemm *gemm) {
    return gemm->backend == NULL ? "none" : gemm->backend->implementation(gemm);
}

#if !TREAD_HAVE_ONEDNN
const char *tread_dnn_version(void) { return NULL; }
const char *tread_dnn_isa(void) { return NULL; }
bool tread_dnn_has_bf16(void) { return false; }
#endif
