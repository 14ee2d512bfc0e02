/* Bits of matrix products over thread counts, and their errors. Meson runs it once for each ONEDNN_MAX_CPU_ISA, since
 * that decides which of oneDNN's implementations serve. */
#include <math.h>
#include <pthread.h>
#include <string.h>

#include "core/isa.h"
#include "core/memory.h"
#include "tests/core/gemm_operands.h"
#include "tests/test.h"
#include "tread_config.h"

#if TREAD_HAVE_OPENMP
#include <omp.h>
#endif

/* m, n, k, batch, transpose_a, transpose_b: the products of training 784-128-10 and 784-512-256-10, long k (dW of large
 * batches among them), odd ones, those that are turned (few rows; their k long, too), and with long k those that are
 * done by columns or from packed pieces. */
static const int64_t shapes[][6] = {
    {32, 128, 784, 1, 0, 1},  {32, 10, 128, 1, 0, 1},   {10, 128, 32, 1, 1, 0},    {128, 784, 32, 1, 1, 0},
    {32, 128, 10, 1, 0, 0},   {128, 128, 784, 1, 0, 1}, {128, 784, 128, 1, 1, 0},  {128, 10, 128, 1, 0, 1},
    {64, 512, 784, 1, 0, 1},  {512, 784, 64, 1, 1, 0},  {256, 512, 256, 1, 1, 0},  {64, 512, 256, 1, 0, 0},
    {256, 512, 784, 1, 0, 1}, {512, 784, 256, 1, 1, 0}, {256, 10, 256, 1, 0, 1},   {10, 256, 1024, 1, 1, 0},
    {1024, 256, 10, 1, 0, 0}, {10, 128, 2048, 1, 1, 0}, {128, 300, 2048, 1, 1, 0}, {64, 256, 4096, 1, 1, 0},
    {16, 40, 5000, 1, 0, 1},  {1, 1, 3000, 1, 0, 1},    {1, 512, 1025, 1, 0, 0},   {1, 128, 2048, 1, 0, 0},
    {1, 300, 1025, 1, 0, 0},  {300, 1, 1025, 1, 1, 0},  {17, 33, 1100, 1, 0, 0},   {17, 33, 65, 9, 0, 1},
    {5, 7, 3, 100, 1, 0},     {64, 64, 64, 12, 0, 0},   {1, 10, 784, 1, 0, 1},     {3, 1, 1, 1, 0, 0},
    {250, 31, 17, 1, 1, 1},   {600, 90, 200, 1, 1, 1},  {40, 24, 1500, 3, 0, 1},   {2000, 30, 30, 1, 0, 1},
    {31, 1000, 100, 1, 0, 0}, {16, 64, 1024, 1, 0, 1},  {16, 80, 1024, 1, 0, 1},   {37, 400, 200, 1, 0, 1},
    {100, 400, 300, 1, 0, 1}, {128, 512, 64, 1, 0, 1},  {45, 304, 1500, 1, 0, 1},  {60, 240, 1300, 1, 0, 1},
    {90, 300, 1025, 1, 0, 1}, {33, 131, 2048, 1, 0, 1}, {70, 90, 1300, 1, 0, 0},   {50, 64, 2100, 1, 0, 0},
};
#define N_SHAPES (sizeof shapes / sizeof *shapes)

static tread_gemm_shape shape_at(size_t i, bool fused, bool bf16) {
    const int64_t *s = shapes[i];
    return (tread_gemm_shape){TREAD_FLOAT32,       s[0], s[1], s[2], s[3], s[4] != 0, s[5] != 0, fused,
                              fused && i % 2 == 0, bf16};
}

/* Any order of summing k + 2 terms (the products, bias, and C when accumulating), each rounded, with products rounded
 * or not, is off by at most g = (k + 2) u / (1 - (k + 2) u) times the sum of their absolute values, u = 2^-24 (Higham,
 * Accuracy and Stability of Numerical Algorithms, 2nd edition, section 3.1; the rounding of a product is one more,
 * hence k + 3). relu takes no error on. The double sum below is 2^-29 of that off: one more in k covers it. */
static void check_errors(const operands *x, bool accumulate) {
    const tread_gemm_shape *s = &x->shape;
    const float *bias = x->bias, *before = x->c_before, *c = x->c;
    double terms = (double)(s->k + 4) * 0x1p-24, g = terms / (1 - terms);
    /* A few hundred elements of large results. */
    for (int64_t index = 0, step = (int64_t)x->count_c / 400 + 1; index < (int64_t)x->count_c; index += step) {
        int64_t item = index / (s->m * s->n), i = index / s->n % s->m, j = index % s->n;
        const float *a = (const float *)x->a + item * s->m * s->k, *b = (const float *)x->b + item * s->k * s->n;
        double sum = s->bias ? (double)bias[j] : 0, size;
        if (accumulate)
            sum += (double)before[index];
        size = s->bias || accumulate ? 2 : 0; /* each below 1 */
        for (int64_t p = 0; p < s->k; p++) {
            double term = (double)a[s->transpose_a ? p * s->m + i : i * s->k + p] *
                          (double)b[s->transpose_b ? j * s->k + p : p * s->n + j];
            sum += term;
            size += fabs(term);
        }
        if (s->relu && sum < 0)
            sum = 0;
        ck_assert_msg(fabs((double)c[index] - sum) <= g * size, "%ldx%ldx%ld [%ld]: %.9g, not %.9g within %g",
                      (long)s->m, (long)s->n, (long)s->k, (long)index, (double)c[index], sum, g * size);
    }
}

static void check_bits(size_t i, bool fused, bool accumulate, bool bf16, tread_context *const *contexts,
                       const int *counts, int n) {
    operands x = make_operands(shape_at(i, fused, bf16));
    size_t bytes = x.count_c * sizeof(float);
    float *first = tread_alloc(bytes, "a test");
    multiply(contexts[0], &x, accumulate);
    check_errors(&x, accumulate);
    memcpy(first, x.c, bytes);
    for (int t = 1; t < n; t++) {
        multiply(contexts[t], &x, accumulate);
        ck_assert_msg(memcmp(first, x.c, bytes) == 0,
                      "%ldx%ldx%ld, bf16 %d, fused %d, accumulate %d: %d threads give other bits than %d",
                      (long)shapes[i][0], (long)shapes[i][1], (long)shapes[i][2], bf16, fused, accumulate, counts[t],
                      counts[0]);
    }
    tread_isa best = tread_isa_chosen();
    for (int isa = 0; isa < (int)best; isa++) { /* of our own kernels; oneDNN's is in the environment */
        tread_isa_use((tread_isa)isa);
        multiply(contexts[n - 1], &x, accumulate);
        ck_assert_msg(memcmp(first, x.c, bytes) == 0, "%ldx%ldx%ld, fused %d, accumulate %d: other bits on %s",
                      (long)shapes[i][0], (long)shapes[i][1], (long)shapes[i][2], fused, accumulate,
                      tread_isa_name((tread_isa)isa));
    }
    tread_isa_use(best);
    tread_free(first);
    free_operands(&x);
}

static void check_all_bits(bool bf16) {
    static const int counts[] = {1, 2, 3, 4, 8};
    tread_context *contexts[5];
    for (int t = 0; t < 5; t++)
        contexts[t] = make_context(counts[t], TREAD_BACKEND_AUTO);
    for (size_t i = 0; i < N_SHAPES; i++) {
        check_bits(i, true, false, bf16, contexts, counts, 5);
        check_bits(i, false, false, bf16, contexts, counts, 5);
        check_bits(i, false, true, bf16, contexts, counts, 5);
    }
    for (int t = 0; t < 5; t++)
        tread_context_destroy(contexts[t]);
}

START_TEST(bits_are_those_of_one_thread) { check_all_bits(false); }
END_TEST

/* Where the CPU cannot, or ONEDNN_MAX_CPU_ISA says so, it is refused with the reason. */
START_TEST(bits_of_bf16_are_those_of_one_thread) {
    if (tread_dnn_has_bf16()) {
        check_all_bits(true);
        return;
    }
    tread_context *context = make_context(1, TREAD_BACKEND_AUTO), *ref = make_context(1, TREAD_BACKEND_REF);
    tread_gemm *gemm = NULL;
    tread_gemm_shape shape = shape_at(0, false, true);
    if (tread_dnn_version() != NULL) {
        ck_assert_fails(tread_gemm_create(context, &shape, &gemm), TREAD_ERROR_BACKEND, "avx512_bf16");
        ck_assert_ptr_null(gemm);
    }
    operands x = make_operands(shape);
    multiply(ref, &x, false);
    check_errors(&x, false);
    free_operands(&x);
    tread_context_destroy(context);
    tread_context_destroy(ref);
}
END_TEST

static bool by_brgemm(const tread_context *context, tread_gemm_shape shape) {
    tread_gemm *gemm;
    ck_assert_ok(tread_gemm_create(context, &shape, &gemm));
    bool is = strncmp(tread_gemm_implementation(gemm), "brg", 3) == 0;
    tread_gemm_destroy(gemm);
    return is;
}

/* The brgemm, where it serves at all, takes dense matrices: pieces of a long k must be made such. */
START_TEST(a_long_k_does_not_change_the_implementation) {
    tread_context *context = make_context(2, TREAD_BACKEND_AUTO);
    for (int transpose_b = 0; transpose_b < 2; transpose_b++) {
        tread_gemm_shape shape = {.m = 128, .n = 256, .k = 1024, .batch = 1, .transpose_b = transpose_b};
        bool expected = by_brgemm(context, shape);
        shape.k = 2048;
        ck_assert_int_eq(by_brgemm(context, shape), expected);
    }
    tread_context_destroy(context);
}
END_TEST

/* oneDNN caches descriptors, and takes some for equal that are not (tread_onednn_dims). Between two runs of one
 * product, products like its pieces of k are planned: what they bring into the cache must not change the bits. */
START_TEST(bits_do_not_depend_on_earlier_plans) {
    static const int64_t sums[][3] = {{1027, 528, 499}, {2049, 688, 673}, {1500, 752, 748}}; /* k, and its pieces */
    tread_context *context = make_context(1, TREAD_BACKEND_AUTO);
    for (size_t i = 0; i < 3; i++) {
        operands x = make_operands((tread_gemm_shape){.m = 1, .n = 96, .k = sums[i][0], .batch = 1});
        multiply(context, &x, false);
        float *first = x.c;
        x.c = tread_alloc(x.count_c * sizeof(float), "a test");
        for (int j = 1; j < 3; j++) {
            operands piece = make_operands((tread_gemm_shape){.m = 1, .n = 96, .k = sums[i][j], .batch = 1});
            multiply(context, &piece, false);
            multiply(context, &piece, true);
            free_operands(&piece);
        }
        multiply(context, &x, false);
        ck_assert_mem_eq(first, x.c, x.count_c * sizeof(float));
        tread_free(first);
        free_operands(&x);
    }
    tread_context_destroy(context);
}
END_TEST

START_TEST(the_hosts_thread_count_stays) {
#if TREAD_HAVE_OPENMP
    tread_context *context = make_context(3, TREAD_BACKEND_AUTO);
    int before = omp_get_max_threads();
    omp_set_num_threads(7);
    for (size_t i = 0; i < N_SHAPES; i += 9) {
        operands x = make_operands(shape_at(i, true, false));
        multiply(context, &x, false);
        ck_assert_int_eq(omp_get_max_threads(), 7);
        free_operands(&x);
    }
    omp_set_num_threads(before);
    tread_context_destroy(context);
#endif
}
END_TEST

/* Each thread with its own product, as different objects may be used; no assertion inside. */
typedef struct worker {
    pthread_t thread;
    tread_context *context;
    operands x;
    tread_status status;
} worker;

static void *work(void *argument) {
    worker *w = argument;
    for (int round = 0; round < 20 && w->status == TREAD_OK; round++) {
        tread_gemm *gemm = NULL;
        w->status = tread_gemm_create(w->context, &w->x.shape, &gemm);
        for (int i = 0; i < 10 && w->status == TREAD_OK; i++)
            w->status = tread_gemm_run(gemm, w->x.a, w->x.b, w->x.bias, w->x.c, false);
        tread_gemm_destroy(gemm);
    }
    return NULL;
}

START_TEST(products_run_beside_each_other) {
    worker workers[4];
    for (size_t i = 0; i < 4; i++) {
        workers[i] =
            (worker){.context = make_context(1, TREAD_BACKEND_AUTO), .x = make_operands(shape_at(3 * i, true, false))};
        ck_assert_int_eq(pthread_create(&workers[i].thread, NULL, work, &workers[i]), 0);
    }
    for (size_t i = 0; i < 4; i++) {
        operands *x = &workers[i].x;
        pthread_join(workers[i].thread, NULL);
        ck_assert_int_eq(workers[i].status, TREAD_OK);
        float *found = x->c;
        x->c = tread_alloc(x->count_c * sizeof(float), "a test");
        multiply(workers[i].context, x, false);
        ck_assert_mem_eq(found, x->c, x->count_c * sizeof(float));
        tread_free(found);
        free_operands(x);
        tread_context_destroy(workers[i].context);
    }
}
END_TEST

TEST_MAIN("dnn_threads", bits_are_those_of_one_thread, bits_of_bf16_are_those_of_one_thread,
          a_long_k_does_not_change_the_implementation, bits_do_not_depend_on_earlier_plans,
          the_hosts_thread_count_stays, products_run_beside_each_other)
