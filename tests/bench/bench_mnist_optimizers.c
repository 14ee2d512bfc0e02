/* What test accuracy each registered optimizer reaches on MNIST, as a Markdown table.
 *
 *     bench_mnist_optimizers [--only NAME] [--threads 2] [--seed 0] [--data FOLDER]
 *
 * The network is 784-512-256-10 with ReLU; every run starts from the same weights and sees the images in the same
 * order. The settings stand in tests/engine/mnist_runs.c. Ends with 1 where a run stays below 97 %, or where a
 * registered optimizer has no run. */
#include <getopt.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/engine/mnist_runs.h"

#define WANTED 0.97

typedef struct settings {
    const char *only, *data;
    int threads;
    uint64_t seed;
} settings;

static void must(bool good, const char *what) {
    if (!good) {
        fprintf(stderr, "bench_mnist_optimizers: %s: %s\n", what, tread_last_error());
        exit(1);
    }
}

/* One run, and its line of the table. */
static bool run_and_print(const mnist_run *run, tread_context *context, const tread_dataset *train,
                          const tread_dataset *test) {
    mnist_result result = mnist_run_train(run, context, train, test, (const int64_t[]){512, 256}, 2);
    int name = (int)strcspn(run->spec, ":");
    must(!isnan(result.accuracy), run->spec);
    printf("| %.*s | `%s` | %" PRId64 " | %" PRId64 " | %s | %.2f %% | %.1f | %" PRId64 " |\n", name, run->spec,
           run->spec, run->batch, run->epochs, run->cosine ? "cosine" : "-", 100 * result.accuracy, result.seconds,
           result.closure_calls);
    fflush(stdout);
    return result.accuracy >= WANTED;
}

static bool has_run(const char *name) {
    for (size_t i = 0; i < n_mnist_runs; i++)
        if (mnist_run_is_of(&mnist_runs[i], name))
            return true;
    fprintf(stderr, "bench_mnist_optimizers: there is no run of %s\n", name);
    return false;
}

static void parse(int argc, char **argv, settings *s) {
    static const struct option known[] = {{"only", 1, NULL, 'o'},
                                          {"threads", 1, NULL, 't'},
                                          {"seed", 1, NULL, 's'},
                                          {"data", 1, NULL, 'd'},
                                          {NULL, 0, NULL, 0}};
    for (int c; (c = getopt_long(argc, argv, "", known, NULL)) != -1;)
        switch (c) {
        case 'o': s->only = optarg; break;
        case 't': s->threads = atoi(optarg); break;
        case 's': s->seed = strtoull(optarg, NULL, 10); break;
        case 'd': s->data = optarg; break;
        default: exit(2);
        }
    if (optind < argc || (s->only != NULL && !has_run(s->only)))
        exit(2);
}

int main(int argc, char **argv) {
    settings s = {.threads = 2};
    char folder[4096];
    tread_dataset *train, *test;
    parse(argc, argv, &s);
    must(tread_data_locate(s.data, folder, sizeof folder) == TREAD_OK, "data");
    must(tread_mnist_load(NULL, folder, &train, &test) == TREAD_OK, "data");
    tread_context_options o = tread_context_defaults();
    o.threads = s.threads;
    o.seed = s.seed;
    tread_context *context = tread_context_create(&o);
    must(context != NULL, "context");
    bool good = true;
    for (size_t type = 0; type < tread_optimizer_type_count(); type++)
        good = has_run(tread_optimizer_type_name(type)) && good;
    printf("| optimizer | settings | batch | epochs | schedule | test accuracy | seconds | closure calls |\n"
           "|---|---|---|---|---|---|---|---|\n");
    for (size_t i = 0; i < n_mnist_runs; i++)
        if (s.only == NULL || mnist_run_is_of(&mnist_runs[i], s.only))
            good = run_and_print(&mnist_runs[i], context, train, test) && good;
    tread_context_destroy(context);
    tread_dataset_destroy(test);
    tread_dataset_destroy(train);
    return good ? 0 : 1;
}
