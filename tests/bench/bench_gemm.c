/* Times the matrix products of three small networks by both back-ends:
 *     bench_gemm [THREADS [ROUNDS]]
 * At 1 to THREADS threads, each back-end; the variants of a product alternate within a round, and the figures are the
 * median over rounds and the least, which is what a busy machine still shows of a quiet one. Set GOMP_SPINCOUNT=1000 on
 * a shared machine. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <tread/context.h>

#include "core/dnn.h"

#define MAX_VARIANTS 32
#define MAX_ROUNDS 1001
#define ROUND_SECONDS 0.002

typedef struct variant {
    const char *backend;
    int threads;
    tread_context *context;
    double seconds[MAX_ROUNDS];
} variant;

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int compare(const void *x, const void *y) {
    double a = *(const double *)x, b = *(const double *)y;
    return (a > b) - (a < b);
}

static float *random_array(int64_t count) {
    float *array = aligned_alloc(64, ((size_t)count * sizeof *array + 63) / 64 * 64);
    for (int64_t i = 0; array != NULL && i < count; i++)
        array[i] = (float)rand() / (float)RAND_MAX - 0.5f;
    if (array == NULL)
        exit(EXIT_FAILURE);
    return array;
}

static void check(tread_status status) {
    if (status != TREAD_OK) {
        fprintf(stderr, "bench_gemm: %s\n", tread_last_error());
        exit(EXIT_FAILURE);
    }
}

static void bench(const char *name, tread_gemm_shape shape, variant *variants, int n_variants, int rounds) {
    float *a = random_array(shape.m * shape.k), *b = random_array(shape.n * shape.k), *bias = random_array(shape.n);
    float *c = random_array(shape.m * shape.n);
    tread_gemm *gemms[MAX_VARIANTS];
    int repeats[MAX_VARIANTS];
    for (int v = 0; v < n_variants; v++) {
        check(tread_gemm_create(variants[v].context, &shape, &gemms[v]));
        check(tread_gemm_run(gemms[v], a, b, bias, c, false));
        double start = now();
        check(tread_gemm_run(gemms[v], a, b, bias, c, false));
        double once = now() - start;
        repeats[v] = once > ROUND_SECONDS ? 1 : (int)(ROUND_SECONDS / once);
    }
    for (int round = 0; round < rounds; round++)
        for (int v = 0; v < n_variants; v++) {
            double start = now();
            for (int i = 0; i < repeats[v]; i++)
                check(tread_gemm_run(gemms[v], a, b, bias, c, false));
            variants[v].seconds[round] = (now() - start) / repeats[v];
        }
    for (int v = 0; v < n_variants; v++) {
        qsort(variants[v].seconds, (size_t)rounds, sizeof(double), compare);
        double median = variants[v].seconds[rounds / 2], flops = 2.0 * (double)(shape.m * shape.n * shape.k);
        printf("%-14s %5d %4d %4d  %-6s %7d %9.1f %8.1f %9.1f  %s\n", name, (int)shape.m, (int)shape.n, (int)shape.k,
               variants[v].backend, variants[v].threads, 1e6 * median, 1e-9 * flops / median,
               1e6 * variants[v].seconds[0], tread_gemm_implementation(gemms[v]));
        tread_gemm_destroy(gemms[v]);
    }
    float *arrays[] = {a, b, bias, c};
    for (int i = 0; i < 4; i++)
        free(arrays[i]);
}

/* The products of one step through a network of the given widths. */
static void bench_network(const char *name, const int64_t *widths, int n_layers, int64_t batch, variant *variants,
                          int n_variants, int rounds) {
    char text[64];
    for (int i = 0; i < n_layers; i++) {
        int64_t in = widths[i], out = widths[i + 1];
        snprintf(text, sizeof text, "%s%d fwd%d", name, (int)batch, i + 1);
        bench(
            text,
            (tread_gemm_shape){
                .m = batch, .n = out, .k = in, .batch = 1, .transpose_b = true, .bias = true, .relu = i + 1 < n_layers},
            variants, n_variants, rounds);
        snprintf(text, sizeof text, "%s%d dW%d", name, (int)batch, i + 1);
        bench(text, (tread_gemm_shape){.m = out, .n = in, .k = batch, .batch = 1, .transpose_a = true}, variants,
              n_variants, rounds);
        snprintf(text, sizeof text, "%s%d dX%d", name, (int)batch, i + 1);
        if (i > 0)
            bench(text, (tread_gemm_shape){.m = batch, .n = in, .k = out, .batch = 1}, variants, n_variants, rounds);
    }
}

int main(int argc, char **argv) {
    static variant variants[MAX_VARIANTS];
    int threads = argc > 1 ? atoi(argv[1]) : 2, rounds = argc > 2 ? atoi(argv[2]) : 51, n = 0;
    if (threads < 1 || threads > MAX_VARIANTS / 2 || rounds < 1 || rounds > MAX_ROUNDS) {
        fprintf(stderr, "usage: bench_gemm [THREADS (1..%d) [ROUNDS (1..%d)]]\n", MAX_VARIANTS / 2, MAX_ROUNDS);
        return 2;
    }
    for (int backend = tread_dnn_version() == NULL ? 1 : 0; backend < 2; backend++)
        for (int t = 1; t <= threads; t++) {
            tread_context_options options = tread_context_defaults();
            options.threads = t;
            options.backend = backend ? TREAD_BACKEND_REF : TREAD_BACKEND_ONEDNN;
            variants[n] = (variant){
                .backend = backend ? "ref" : "onednn", .threads = t, .context = tread_context_create(&options)};
            if (variants[n++].context == NULL)
                check(TREAD_ERROR_MEMORY);
        }
    printf("oneDNN %s, isa %s\n%-14s %5s %4s %4s  %-6s %7s %9s %8s %9s\n",
           tread_dnn_version() == NULL ? "absent" : tread_dnn_version(),
           tread_dnn_isa() == NULL ? "-" : tread_dnn_isa(), "product", "m", "n", "k", "by", "threads", "us", "GFLOP/s",
           "least us");
    static const int64_t a[] = {784, 128, 10}, b[] = {784, 512, 256, 10}, c[] = {784, 2048, 2048, 10},
                         a_batches[] = {32, 128}, b_batches[] = {64, 256, 1024};
    for (int i = 0; i < 2; i++)
        bench_network("A", a, 2, a_batches[i], variants, n, rounds);
    for (int i = 0; i < 3; i++)
        bench_network("B", b, 3, b_batches[i], variants, n, rounds);
    bench_network("C", c, 3, 256, variants, n, rounds);
    for (int v = 0; v < n; v++)
        tread_context_destroy(variants[v].context);
    return 0;
}
