/* What bf16 costs in test accuracy on MNIST: the same training in float32 and in bf16, from the same weights and with
 * the same order of images, for each of a range of seeds.
 *
 * The network is 784-512-256-10 with ReLU, the optimizer Adam, its lr falling along a cosine over the run. Prints each
 * seed's two accuracies and their difference, then the mean difference with its standard error. Ends with 1 where that
 * mean is more than 0.1 points below 0. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>

#include "tests/bench/bench.h"
#include "tests/engine/mnist_runs.h"

#define MAX_LOSS 0.1 /* points */

typedef struct pair {
    double accuracy[TREAD_PRECISION_COUNT]; /* in percent */
    double seconds[TREAD_PRECISION_COUNT];
} pair;

static pair train_both(int64_t seed, int64_t threads, const mnist_run *settings, const tread_dataset *train,
                       const tread_dataset *test) {
    pair result;
    tread_context_options o = tread_context_defaults();
    o.seed = (uint64_t)seed;
    o.threads = (int)threads;
    tread_context *context = tread_context_create(&o);
    bench_must(context != NULL, "context");
    for (int p = 0; p < TREAD_PRECISION_COUNT; p++) {
        mnist_run run = *settings;
        run.precision = (tread_precision)p;
        mnist_result r = mnist_run_train(&run, context, train, test, (const int64_t[]){512, 256}, 2);
        bench_must(!isnan(r.accuracy), tread_precision_name(run.precision));
        result.accuracy[p] = 100 * r.accuracy;
        result.seconds[p] = r.seconds;
    }
    tread_context_destroy(context);
    return result;
}

static void write_row(bench *b, int64_t seed, int64_t threads, const pair *r) {
    char name[32];
    snprintf(name, sizeof name, "seed %" PRId64, seed);
    json_t *row = bench_row(b, name, (int)threads);
    json_object_set_new(row, "seed", json_integer(seed));
    for (int p = 0; p < TREAD_PRECISION_COUNT; p++) {
        snprintf(name, sizeof name, "%s_accuracy", tread_precision_name((tread_precision)p));
        json_object_set_new(row, name, json_real(r->accuracy[p]));
        snprintf(name, sizeof name, "%s_train_seconds", tread_precision_name((tread_precision)p));
        json_object_set_new(row, name, json_real(r->seconds[p]));
    }
    json_object_set_new(row, "difference", json_real(r->accuracy[1] - r->accuracy[0]));
}

int main(int argc, char **argv) {
    const char *data = NULL, *optimizer = "adam:lr=1e-3";
    int64_t first = 1, last = 20, threads = 2, epochs = 5, batch = 128;
    const bench_option options[] = {
        {"first", BENCH_COUNT, &first, "SEED", "the first seed", 0, 1e15},
        {"last", BENCH_COUNT, &last, "SEED", "and the last", 0, 1e15},
        {"epochs", BENCH_COUNT, &epochs, "N", "of each training", 1, 1e6},
        {"batch", BENCH_COUNT, &batch, "N", "samples a step", 1, 60000},
        {"optimizer", BENCH_TEXT, &optimizer, "SPEC", "as for tread train", 0, 0},
        {"threads", BENCH_COUNT, &threads, "N", "which change no accuracy", 1, 1024},
        {"data", BENCH_TEXT, &data, "FOLDER", "with MNIST's files", 0, 0},
        {0},
    };
    char folder[4096];
    tread_dataset *train, *test;
    bench *b = bench_begin(
        argc, argv, "What training in bf16 costs in test accuracy on MNIST, on paired seeds beside float32.", options);
    if (last < first)
        bench_fail("--last %" PRId64 " is below --first %" PRId64, last, first);
    bench_must(tread_precision_check(NULL, TREAD_PRECISION_BF16) == TREAD_OK, "precision");
    bench_must(tread_data_locate(data, folder, sizeof folder) == TREAD_OK, "data");
    bench_must(tread_mnist_load(NULL, folder, &train, &test) == TREAD_OK, "data");
    const mnist_run run = {optimizer, batch, epochs, true, TREAD_PRECISION_FLOAT32};
    const double n = (double)(last - first + 1);
    double sums[3] = {0}, squares = 0;
    printf("784-512-256-10, %s, cosine, batch %" PRId64 ", %" PRId64 " epochs: test accuracy in %%\n", optimizer, batch,
           epochs);
    printf("%-6s %10s %10s %12s\n", "seed", "float32", "bf16", "difference");
    for (int64_t seed = first; seed <= last; seed++) {
        pair r = train_both(seed, threads, &run, train, test);
        double difference = r.accuracy[1] - r.accuracy[0];
        printf("%-6" PRId64 " %10.2f %10.2f %+12.2f\n", seed, r.accuracy[0], r.accuracy[1], difference);
        fflush(stdout);
        write_row(b, seed, threads, &r);
        sums[0] += r.accuracy[0];
        sums[1] += r.accuracy[1];
        sums[2] += difference;
        squares += difference * difference;
    }
    double mean = sums[2] / n, error = n > 1 ? sqrt(fmax(0, squares / n - mean * mean) / (n - 1)) : NAN;
    printf("%-6s %10.3f %10.3f %+12.3f, standard error %.3f\n", "mean", sums[0] / n, sums[1] / n, mean, error);
    tread_dataset_destroy(test);
    tread_dataset_destroy(train);
    return bench_end(b) == 0 && mean >= -MAX_LOSS ? 0 : 1;
}
