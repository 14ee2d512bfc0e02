/* The matrix product in plain C: oracle of the tests, and the back-end where oneDNN is absent or the type is float64.
 * bfloat16 is widened to float32 first: its products are exact there, and the sums are float32's.
 * It packs B pass by pass into a buffer of the plan, and multiplies tiles of C (dnn_ref_tile.h). */
#include "core/dnn_ref.h"

#include "core/bf16.h"
#include "core/dnn_backend.h"
#include "core/memory.h"

#define PANEL_BYTES (4 << 20) /* a pass packs at most about this much of B: a share of the last cache */
#define PACK_GRAIN 16384      /* elements worth a fork: some 2 us */
#define MULTIPLY_GRAIN 131072 /* multiplications worth a fork: 2 to 4 us */

typedef struct ref_plan {
    const tread_ref_kernel *kernel;
    int64_t n_k, n_columns, n_items; /* of a pass, at most; n_columns a multiple of the kernel's */
    void *panels;
    float *wide; /* bfloat16: A, then B, as float32; else NULL */
} ref_plan;

static int64_t at_most(int64_t x, int64_t limit) { return x < limit ? x : limit; }
static int64_t at_least(int64_t x, int64_t limit) { return x > limit ? x : limit; }
static int64_t quotient_up(int64_t x, int64_t y) { return x / y + (x % y != 0); }

static void ref_destroy(tread_gemm *gemm) {
    ref_plan *plan = gemm->plan;
    tread_free(plan->panels);
    tread_free(plan->wide);
    tread_free(plan);
}

static tread_status ref_create(tread_gemm *gemm) {
    const tread_gemm_shape *shape = &gemm->shape;
    const tread_ref_kernel *kernel = tread_ref_kernel_of(shape->dtype, tread_isa_chosen());
    int64_t n_k = at_most(shape->k, TREAD_REF_K);
    int64_t panel_bytes = n_k * kernel->columns * (int64_t)tread_dtype_size(shape->dtype);
    int64_t limit = at_least(PANEL_BYTES / panel_bytes, 1);
    int64_t panels = quotient_up(shape->n, kernel->columns), panels_a_pass = at_most(panels, limit);
    int64_t n_items = at_most(at_least(limit / panels, 1), shape->batch);
    ref_plan *plan = tread_alloc(sizeof *plan, "plan of a matrix product");
    if (plan == NULL)
        return TREAD_ERROR_MEMORY;
    *plan = (ref_plan){.kernel = kernel, .n_k = n_k, .n_columns = panels_a_pass * kernel->columns, .n_items = n_items};
    gemm->plan = plan;
    plan->panels = tread_alloc((size_t)(n_items * panels_a_pass * panel_bytes), "packed panels of a matrix product");
    if (plan->panels != NULL && shape->bf16)
        plan->wide = tread_alloc((size_t)((shape->m + shape->n) * shape->k * shape->batch) * sizeof(float),
                                 "inputs of a matrix product in float32");
    if (plan->panels == NULL || (shape->bf16 && plan->wide == NULL)) {
        ref_destroy(gemm);
        return TREAD_ERROR_MEMORY;
    }
    return TREAD_OK;
}

static void run_pass(const tread_gemm *gemm, const tread_ref_kernel *kernel, tread_ref_pass *pass) {
    int64_t strips = quotient_up(gemm->shape.m, kernel->rows);
    int64_t panel = pass->n_k * kernel->columns;
    int64_t work = panel * kernel->rows * at_most(pass->n_panels, TREAD_REF_GROUP);
    tread_parallel_for(gemm->context, pass->n_items * pass->n_panels, quotient_up(PACK_GRAIN, panel), 1,
                       kernel->pack_panels, pass);
    tread_parallel_for(gemm->context, pass->n_items * pass->n_groups * strips, quotient_up(MULTIPLY_GRAIN, work), 1,
                       kernel->multiply, pass);
}

static tread_status ref_run(tread_gemm *gemm, const void *a, const void *b, const void *bias, void *c,
                            bool accumulate) {
    const tread_gemm_shape *shape = &gemm->shape;
    const ref_plan *plan = gemm->plan;
    if (shape->bf16) {
        int64_t count_a = shape->batch * shape->m * shape->k, count_b = shape->batch * shape->k * shape->n;
        tread_bf16_widen(gemm->context, a, plan->wide, count_a);
        tread_bf16_widen(gemm->context, b, plan->wide + count_a, count_b);
        a = plan->wide;
        b = plan->wide + count_a;
    }
    tread_ref_pass pass = {
        .shape = shape, .a = a, .b = b, .bias = shape->bias ? bias : NULL, .c = c, .panels = plan->panels};
    for (pass.first_item = 0; pass.first_item < shape->batch; pass.first_item += plan->n_items) {
        pass.n_items = at_most(plan->n_items, shape->batch - pass.first_item);
        for (pass.first_column = 0; pass.first_column < shape->n; pass.first_column += plan->n_columns) {
            pass.n_panels = quotient_up(at_most(plan->n_columns, shape->n - pass.first_column), plan->kernel->columns);
            pass.n_groups = quotient_up(pass.n_panels, TREAD_REF_GROUP);
            for (pass.first_k = 0; pass.first_k < shape->k; pass.first_k += plan->n_k) {
                pass.n_k = at_most(plan->n_k, shape->k - pass.first_k);
                pass.load = accumulate || pass.first_k > 0;
                pass.last = pass.first_k + pass.n_k == shape->k;
                run_pass(gemm, plan->kernel, &pass);
            }
        }
    }
    return TREAD_OK;
}

static const char *ref_implementation(const tread_gemm *gemm) {
    (void)gemm;
    return "ref";
}

const tread_gemm_backend tread_gemm_ref = {
    .create = ref_create, .destroy = ref_destroy, .run = ref_run, .implementation = ref_implementation};
