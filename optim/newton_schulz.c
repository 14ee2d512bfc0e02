#include "optim/newton_schulz.h"

#include <math.h>

#include "core/isa.h"
#include "core/memory.h"
#include "core/parallel.h"
#include "core/status.h"
#include "optim/vector.h"

#define GRAIN (1 << 15)

static tread_status create_products(tread_newton_schulz *plan) {
    const int64_t m = plan->rows, n = plan->columns, side = plan->side;
    const bool tall = m > n;
    tread_gemm_shape gram = {.dtype = TREAD_FLOAT32, .m = side, .n = side, .k = tall ? m : n, .batch = 1};
    gram.transpose_a = tall;
    gram.transpose_b = !tall;
    const tread_gemm_shape square = {.dtype = TREAD_FLOAT32, .m = side, .n = side, .k = side, .batch = 1};
    const tread_gemm_shape product = {.dtype = TREAD_FLOAT32, .m = m, .n = n, .k = side, .batch = 1};
    TREAD_TRY(tread_gemm_create(plan->context, &gram, &plan->gram));
    TREAD_TRY(tread_gemm_create(plan->context, &square, &plan->square));
    return tread_gemm_create(plan->context, &product, &plan->product);
}

static tread_status take_memory(tread_newton_schulz *plan) {
    const int64_t whole = tread_line_padded(plan->rows * plan->columns),
                  small = tread_line_padded(plan->side * plan->side);
    plan->memory = tread_alloc((size_t)(2 * (whole + small)) * sizeof(float), "Muon's matrices");
    plan->sums = plan->memory == NULL ? NULL
                                      : tread_calloc((size_t)tread_chunk_count(plan->rows * plan->columns),
                                                     sizeof(double), "partial sums of a matrix");
    if (plan->sums == NULL)
        return TREAD_ERROR_MEMORY;
    plan->x = plan->memory;
    plan->next = plan->x + whole;
    plan->a = plan->next + whole;
    plan->aa = plan->a + small;
    return TREAD_OK;
}

tread_status tread_newton_schulz_create(const tread_context *context, int64_t rows, int64_t columns,
                                        tread_newton_schulz **ret_plan) {
    tread_newton_schulz *plan = tread_calloc(1, sizeof *plan, "Muon's plan for a matrix");
    if (plan == NULL)
        return TREAD_ERROR_MEMORY;
    plan->context = context;
    plan->rows = rows;
    plan->columns = columns;
    plan->side = rows < columns ? rows : columns;
    tread_status status = create_products(plan);
    if (status == TREAD_OK)
        status = take_memory(plan);
    if (status != TREAD_OK) {
        tread_newton_schulz_destroy(plan);
        return status;
    }
    *ret_plan = plan;
    return TREAD_OK;
}

void tread_newton_schulz_destroy(tread_newton_schulz *plan) {
    if (plan == NULL)
        return;
    tread_gemm_destroy(plan->gram);
    tread_gemm_destroy(plan->square);
    tread_gemm_destroy(plan->product);
    tread_free(plan->memory);
    tread_free(plan->sums);
    tread_free(plan);
}

/* ---- ||U||, and U / max(||U||, 1e-7) ---- */

static void sum_chunks(void *argument, int64_t begin, int64_t end) {
    const tread_newton_schulz *plan = argument;
    const int64_t n = plan->rows * plan->columns, size = tread_chunk_size(n);
    for (int64_t chunk = begin; chunk < end; chunk++) {
        const int64_t at = chunk * size;
        double lanes[TREAD_SQUARE_LANES] = {0};
        tread_vector_add_squares(plan->x + at, n - at < size ? n - at : size, lanes);
        plan->sums[chunk] = tread_square_lanes_fold(lanes);
    }
}

typedef struct scaling {
    float *x;
    float by;
} scaling;

static void scale_range(void *argument, int64_t begin, int64_t end) {
    const scaling *s = argument;
    tread_vector_scale(s->x + begin, end - begin, s->by);
}

static void normalize(tread_newton_schulz *plan) {
    const int64_t n = plan->rows * plan->columns, n_chunks = tread_chunk_count(n);
    tread_parallel_for(plan->context, n_chunks, n < 2 * GRAIN ? n_chunks : 1, 1, sum_chunks, plan);
    double sum = 0;
    for (int64_t chunk = 0; chunk < n_chunks; chunk++)
        sum += plan->sums[chunk];
    const double norm = sqrt(sum), divisor = norm < 1e-7 ? 1e-7 : norm; /* a NaN passes */
    tread_parallel_for(plan->context, n, GRAIN, TREAD_LINE_FLOATS, scale_range,
                       &(scaling){plan->x, (float)(1 / divisor)});
}

/* ---- A step ---- */

TREAD_KERNEL_BODY void TREAD_BODY(polynomial)(float *restrict a, const float *restrict aa, int64_t n) {
    for (int64_t i = 0; i < n; i++)
        a[i] = -4.7750f * a[i] + 2.0315f * aa[i];
}
TREAD_KERNEL(polynomial, (float *a, const float *aa, int64_t n), (a, aa, n))

static void polynomial_range(void *argument, int64_t begin, int64_t end) {
    const tread_newton_schulz *plan = argument;
    TREAD_CALL(polynomial)(plan->a + begin, plan->aa + begin, end - begin);
}

static tread_status step(tread_newton_schulz *plan) {
    const bool tall = plan->rows > plan->columns;
    float *x = plan->x, *next = plan->next, *a = plan->a;
    TREAD_TRY(tread_gemm_run(plan->gram, x, x, NULL, a, false));
    TREAD_TRY(tread_gemm_run(plan->square, a, a, NULL, plan->aa, false));
    tread_parallel_for(plan->context, plan->side * plan->side, GRAIN, TREAD_LINE_FLOATS, polynomial_range, plan);
    for (int64_t i = 0; i < plan->side; i++)
        a[i * plan->side + i] += 3.4445f;
    TREAD_TRY(tread_gemm_run(plan->product, tall ? x : a, tall ? a : x, NULL, next, false));
    plan->x = next;
    plan->next = x;
    return TREAD_OK;
}

tread_status tread_newton_schulz_run(tread_newton_schulz *plan, int64_t steps) {
    normalize(plan);
    for (int64_t i = 0; i < steps; i++)
        TREAD_TRY(step(plan));
    return TREAD_OK;
}
