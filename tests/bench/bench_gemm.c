/* Times the matrix products of small networks by both back-ends, at 1 to --threads threads. The variants of a product
 * alternate within a round; the figures are the median over rounds and the least, which is what a busy machine still
 * shows of a quiet one. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tread/context.h>

#include "core/dnn.h"
#include "tests/bench/bench.h"

#define MAX_VARIANTS 32
#define MAX_ROUNDS 1001
#define ROUND_SECONDS 0.002

typedef struct variant {
    const char *backend;
    int threads;
    tread_context *context;
    double seconds[MAX_ROUNDS];
} variant;

static float *random_array(int64_t count) {
    float *array = aligned_alloc(64, ((size_t)count * sizeof *array + 63) / 64 * 64);
    for (int64_t i = 0; array != NULL && i < count; i++)
        array[i] = (float)rand() / (float)RAND_MAX - 0.5f;
    if (array == NULL)
        exit(EXIT_FAILURE);
    return array;
}

static void check(tread_status status) { bench_must(status == TREAD_OK, "product"); }

static void time_product(bench *b, const char *name, tread_gemm_shape shape, variant *variants, int n_variants,
                         int rounds) {
    float *x = random_array(shape.m * shape.k), *w = random_array(shape.n * shape.k), *bias = random_array(shape.n);
    float *y = random_array(shape.m * shape.n);
    tread_gemm *gemms[MAX_VARIANTS];
    int repeats[MAX_VARIANTS];
    for (int v = 0; v < n_variants; v++) {
        check(tread_gemm_create(variants[v].context, &shape, &gemms[v]));
        check(tread_gemm_run(gemms[v], x, w, bias, y, false));
        double start = bench_clock();
        check(tread_gemm_run(gemms[v], x, w, bias, y, false));
        double once = bench_clock() - start;
        repeats[v] = once > ROUND_SECONDS ? 1 : (int)(ROUND_SECONDS / once);
    }
    for (int round = 0; round < rounds; round++)
        for (int v = 0; v < n_variants; v++) {
            double start = bench_clock();
            for (int i = 0; i < repeats[v]; i++)
                check(tread_gemm_run(gemms[v], x, w, bias, y, false));
            variants[v].seconds[round] = (bench_clock() - start) / repeats[v];
        }
    for (int v = 0; v < n_variants; v++) {
        bench_summary us = bench_scale(bench_summarize(variants[v].seconds, rounds), 1e6);
        double flops = 2.0 * (double)(shape.m * shape.n * shape.k);
        printf("%-14s %5d %4d %4d  %-6s %7d %9.1f %8.1f %9.1f  %s\n", name, (int)shape.m, (int)shape.n, (int)shape.k,
               variants[v].backend, variants[v].threads, us.median, 1e-3 * flops / us.median, us.least,
               tread_gemm_implementation(gemms[v]));
        json_t *row = bench_row(b, name, variants[v].threads);
        json_object_set_new(row, "backend", json_string(variants[v].backend));
        json_object_set_new(row, "flops", json_real(flops));
        bench_value(row, "product_us", us);
        tread_gemm_destroy(gemms[v]);
    }
    float *arrays[] = {x, w, bias, y};
    for (int i = 0; i < 4; i++)
        free(arrays[i]);
}

/* The products of one step through a network of the given widths. */
static void time_network(bench *b, const char *name, const int64_t *widths, int n_layers, int64_t batch,
                         variant *variants, int n_variants, int rounds) {
    char text[64];
    for (int i = 0; i < n_layers; i++) {
        int64_t in = widths[i], out = widths[i + 1];
        snprintf(text, sizeof text, "%s%d fwd%d", name, (int)batch, i + 1);
        time_product(
            b, text,
            (tread_gemm_shape){
                .m = batch, .n = out, .k = in, .batch = 1, .transpose_b = true, .bias = true, .relu = i + 1 < n_layers},
            variants, n_variants, rounds);
        snprintf(text, sizeof text, "%s%d dW%d", name, (int)batch, i + 1);
        time_product(b, text, (tread_gemm_shape){.m = out, .n = in, .k = batch, .batch = 1, .transpose_a = true},
                     variants, n_variants, rounds);
        snprintf(text, sizeof text, "%s%d dX%d", name, (int)batch, i + 1);
        if (i > 0)
            time_product(b, text, (tread_gemm_shape){.m = batch, .n = in, .k = out, .batch = 1}, variants, n_variants,
                         rounds);
    }
}

int main(int argc, char **argv) {
    static variant variants[MAX_VARIANTS];
    int64_t threads = 2, rounds = 51;
    const bench_option options_table[] = {
        {"threads", BENCH_COUNT, &threads, "N", "at 1 to N threads", 1, MAX_VARIANTS / 2},
        {"rounds", BENCH_COUNT, &rounds, "N", "rounds, of which the figures are medians", 1, MAX_ROUNDS},
        {0},
    };
    bench *b = bench_begin(argc, argv, "Times the matrix products of small networks by both back-ends.", options_table);
    int n = 0;
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
    static const int64_t layers_a[] = {784, 128, 10}, layers_b[] = {784, 512, 256, 10},
                         layers_c[] = {784, 2048, 2048, 10}, a_batches[] = {32, 128}, b_batches[] = {64, 256, 1024};
    for (int i = 0; i < 2; i++)
        time_network(b, "A", layers_a, 2, a_batches[i], variants, n, (int)rounds);
    for (int i = 0; i < 3; i++)
        time_network(b, "B", layers_b, 3, b_batches[i], variants, n, (int)rounds);
    time_network(b, "C", layers_c, 3, 256, variants, n, (int)rounds);
    for (int v = 0; v < n; v++)
        tread_context_destroy(variants[v].context);
    return bench_end(b);
}
