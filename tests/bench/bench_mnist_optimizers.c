/* What test accuracy each registered optimizer reaches on MNIST, as a Markdown table.
 *
 * The network is 784-512-256-10 with ReLU; every run starts from the same weights and sees the images in the same
 * order. The settings stand in tests/engine/mnist_runs.c. Ends with 1 where a run stays below 97 %, or where a
 * registered optimizer has no run. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/bench/bench.h"
#include "tests/engine/mnist_runs.h"

#define WANTED 0.97

/* One run, and its line of the table. */
static bool run_and_print(bench *b, const mnist_run *run, tread_context *context, const tread_dataset *train,
                          const tread_dataset *test) {
    mnist_result result = mnist_run_train(run, context, train, test, (const int64_t[]){512, 256}, 2);
    int name = (int)strcspn(run->spec, ":");
    bench_must(!isnan(result.accuracy), run->spec);
    printf("| %.*s | `%s` | %" PRId64 " | %" PRId64 " | %s | %.2f %% | %.1f | %" PRId64 " |\n", name, run->spec,
           run->spec, run->batch, run->epochs, run->cosine ? "cosine" : "-", 100 * result.accuracy, result.seconds,
           result.closure_calls);
    fflush(stdout);
    json_t *row = bench_row(b, run->spec, tread_context_threads(context));
    json_object_set_new(row, "batch", json_integer(run->batch));
    json_object_set_new(row, "epochs", json_integer(run->epochs));
    json_object_set_new(row, "schedule", json_string(run->cosine ? "cosine" : "-"));
    json_object_set_new(row, "accuracy", json_real(result.accuracy));
    json_object_set_new(row, "seconds", json_real(result.seconds));
    json_object_set_new(row, "closure_calls", json_integer(result.closure_calls));
    return result.accuracy >= WANTED;
}

static bool has_run(const char *name) {
    for (size_t i = 0; i < n_mnist_runs; i++)
        if (mnist_run_is_of(&mnist_runs[i], name))
            return true;
    fprintf(stderr, "bench_mnist_optimizers: there is no run of %s\n", name);
    return false;
}

int main(int argc, char **argv) {
    const char *only = NULL, *data = NULL;
    int64_t threads = 2, seed = 0;
    const bench_option options[] = {
        {"only", BENCH_TEXT, &only, "NAME", "only this optimizer", 0, 0},
        {"threads", BENCH_COUNT, &threads, "N", "threads of the training", 1, 1024},
        {"seed", BENCH_COUNT, &seed, "N", "of weights and order", 0, 1e15},
        {"data", BENCH_TEXT, &data, "FOLDER", "with MNIST's files", 0, 0},
        {0},
    };
    char folder[4096];
    tread_dataset *train, *test;
    bench *b =
        bench_begin(argc, argv, "What test accuracy each optimizer reaches on MNIST, as a Markdown table.", options);
    if (only != NULL && !has_run(only))
        exit(2);
    bench_must(tread_data_locate(data, folder, sizeof folder) == TREAD_OK, "data");
    bench_must(tread_mnist_load(NULL, folder, &train, &test) == TREAD_OK, "data");
    tread_context_options o = tread_context_defaults();
    o.threads = (int)threads;
    o.seed = (uint64_t)seed;
    tread_context *context = tread_context_create(&o);
    bench_must(context != NULL, "context");
    bool good = true;
    for (size_t type = 0; type < tread_optimizer_type_count(); type++)
        good = has_run(tread_optimizer_type_name(type)) && good;
    printf("| optimizer | settings | batch | epochs | schedule | test accuracy | seconds | closure calls |\n"
           "|---|---|---|---|---|---|---|---|\n");
    for (size_t i = 0; i < n_mnist_runs; i++)
        if (only == NULL || mnist_run_is_of(&mnist_runs[i], only))
            good = run_and_print(b, &mnist_runs[i], context, train, test) && good;
    tread_context_destroy(context);
    tread_dataset_destroy(test);
    tread_dataset_destroy(train);
    return bench_end(b) == 0 && good ? 0 : 1;
}
