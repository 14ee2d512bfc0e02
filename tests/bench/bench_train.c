/* Throughput of whole training steps on MNIST in memory, and of the same matrix products alone, in alternation.
 *
 *     bench_train [--threads 1,2] [--shapes A32,A128,B64,B256,B1024,C256] [--repeats 7] [--seconds 0.4]
 *                 [--data FOLDER] [--backend onednn|ref] [--prefetch] [--bf16] [--json FILE]
 *
 * Shape A is 784-128-10 with SGD and momentum, B is 784-512-256-10 with Adam, C is 784-2048-2048-10 with AdamW; the
 * number is the batch. A step is gather and conversion of the batch, forward, loss, backward, optimizer, through
 * tread_trainer_run. Tread's share is the part of a step's time that the products alone take. With --prefetch, rounds
 * with and without it take turns, and a last column says how much shorter it makes a step. With --bf16, so do
 * rounds in bf16, whose rate and how many times that of float32 it is are the last columns. Figures are medians over
 * the repeats. TREAD_TRACE=- has, besides, what each operation took. */
#include <getopt.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tread/models.h>
#include <tread/trainer.h>

#include "core/dnn.h"
#include "core/memory.h"
#include "engine/train/trainer.h"

#define MAX_LAYERS 4
#define MAX_REPEATS 101

typedef struct bench_shape {
    const char *name;
    int64_t batch;
    int64_t sizes[MAX_LAYERS + 1]; /* 0 ends them */
    const char *optimizer;
} bench_shape;

static const bench_shape shapes[] = {
    {"A32", 32, {784, 128, 10}, "sgd:lr=0.05,momentum=0.9"}, {"A128", 128, {784, 128, 10}, "sgd:lr=0.05,momentum=0.9"},
    {"B64", 64, {784, 512, 256, 10}, "adam:lr=0.001"},       {"B256", 256, {784, 512, 256, 10}, "adam:lr=0.001"},
    {"B1024", 1024, {784, 512, 256, 10}, "adam:lr=0.001"},   {"C256", 256, {784, 2048, 2048, 10}, "adamw:lr=0.001"},
};
#define ALL_SHAPES "A32,A128,B64,B256,B1024,C256"

typedef struct settings {
    int threads[16], n_threads;
    const char *shapes;
    int repeats;
    double seconds;
    const char *data, *json;
    tread_backend backend;
    bool prefetch, bf16;
} settings;

static void must(bool good, const char *what) {
    if (!good) {
        fprintf(stderr, "bench_train: %s: %s\n", what, tread_last_error());
        exit(1);
    }
}

/* --- A step's products --- */

typedef struct products {
    tread_gemm *gemms[3 * MAX_LAYERS];
    float *a[3 * MAX_LAYERS], *b[3 * MAX_LAYERS], *c[3 * MAX_LAYERS];
    int n;
} products;

static float *operand(int64_t n) {
    float *x = tread_alloc((size_t)n * sizeof *x, "operand");
    must(x != NULL, "memory");
    for (int64_t i = 0; i < n; i++)
        x[i] = (float)(i % 17) * 0.01f - 0.08f;
    return x;
}

static void add_product(products *all, const tread_context *context, tread_gemm_shape shape) {
    shape.dtype = TREAD_FLOAT32;
    shape.batch = 1;
    must(tread_gemm_create(context, &shape, &all->gemms[all->n]) == TREAD_OK, "product");
    all->a[all->n] = operand(shape.m * shape.k);
    all->b[all->n] = operand(shape.k * shape.n);
    all->c[all->n++] = operand(shape.m * shape.n);
}

static products create_products(const tread_context *context, const bench_shape *shape) {
    products all = {.n = 0};
    for (int i = 0; shape->sizes[i + 1] > 0; i++) { /* y (batch, out) = x w^T */
        int64_t in = shape->sizes[i], out = shape->sizes[i + 1];
        add_product(&all, context, (tread_gemm_shape){.m = shape->batch, .n = out, .k = in, .transpose_b = true});
    }
    for (int i = MAX_LAYERS - 1; i >= 0;
         i--) { /* dw (out, in) = dy^T x, and dx (batch, in) = dy w but for the first layer */
        int64_t in = shape->sizes[i], out = shape->sizes[i + 1];
        if (in == 0 || out == 0)
            continue;
        add_product(&all, context, (tread_gemm_shape){.m = out, .n = in, .k = shape->batch, .transpose_a = true});
        if (i > 0)
            add_product(&all, context, (tread_gemm_shape){.m = shape->batch, .n = in, .k = out});
    }
    return all;
}

static double run_products(const products *all, int64_t steps) {
    double start = tread_clock_seconds();
    for (int64_t s = 0; s < steps; s++)
        for (int i = 0; i < all->n; i++)
            must(tread_gemm_run(all->gemms[i], all->a[i], all->b[i], NULL, all->c[i], false) == TREAD_OK, "product");
    return tread_clock_seconds() - start;
}

static void destroy_products(products *all) {
    for (int i = 0; i < all->n; i++) {
        tread_gemm_destroy(all->gemms[i]);
        tread_free(all->a[i]);
        tread_free(all->b[i]);
        tread_free(all->c[i]);
    }
}

/* --- Training steps --- */

typedef struct training {
    tread_batches *batches;
    tread_module *model;
    tread_optimizer *optimizer;
    tread_trainer *trainer;
    int64_t steps_left;
} training;

static tread_action count_down(void *data, tread_trainer *trainer, const tread_step_info *step) {
    (void)trainer;
    (void)step;
    return --((training *)data)->steps_left == 0 ? TREAD_STOP : TREAD_CONTINUE;
}

static void create_training(training *t, tread_context *context, const tread_dataset *set, const bench_shape *shape,
                            bool prefetch, tread_precision precision) {
    tread_batches_options bo = tread_batches_defaults();
    bo.batch_size = shape->batch;
    bo.drop_last = true; /* every step has the same work */
    bo.prefetch = prefetch;
    t->batches = tread_batches_create(context, set, &bo);
    tread_mlp_options mo = tread_mlp_defaults();
    mo.n_inputs = shape->sizes[0];
    mo.hidden = shape->sizes + 1;
    while (shape->sizes[mo.n_hidden + 2] > 0)
        mo.n_hidden++;
    mo.n_outputs = shape->sizes[mo.n_hidden + 1];
    t->model = tread_mlp(context, &mo);
    must(t->batches != NULL && t->model != NULL, "model");
    t->optimizer = tread_optimizer_from_spec(context, tread_module_parameters(t->model), shape->optimizer);
    must(t->optimizer != NULL, "optimizer");
    tread_callbacks callbacks = tread_callbacks_defaults();
    callbacks.data = t;
    callbacks.on_step = count_down;
    tread_trainer_options to = tread_trainer_defaults();
    to.model = t->model;
    to.optimizer = t->optimizer;
    to.train = t->batches;
    to.epochs = INT64_MAX;
    to.precision = precision;
    to.callbacks = &callbacks;
    t->trainer = tread_trainer_create(context, &to);
    must(t->trainer != NULL, "trainer");
}

static double run_training(training *t, int64_t steps) {
    double start = tread_clock_seconds();
    t->steps_left = steps;
    must(tread_trainer_run(t->trainer) == TREAD_OK, "training");
    return tread_clock_seconds() - start;
}

static void destroy_training(training *t) {
    tread_trainer_destroy(t->trainer);
    tread_optimizer_destroy(t->optimizer);
    tread_module_destroy(t->model);
    tread_batches_destroy(t->batches);
}

/* --- Measuring --- */

static int compare_doubles(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *values, int n) {
    qsort(values, (size_t)n, sizeof *values, compare_doubles);
    return n % 2 ? values[n / 2] : (values[n / 2 - 1] + values[n / 2]) / 2;
}

static void measure(const settings *s, tread_context *context, const tread_dataset *set, const bench_shape *shape,
                    int threads, json_t *rows) {
    double step[MAX_REPEATS], product[MAX_REPEATS], share[MAX_REPEATS], gain[MAX_REPEATS], half[MAX_REPEATS],
        times[MAX_REPEATS];
    training t = {0};
    create_training(&t, context, set, shape, false, TREAD_PRECISION_FLOAT32);
    training ahead = {0};
    create_training(&ahead, context, set, shape, true, TREAD_PRECISION_FLOAT32);
    training bf16 = {0};
    create_training(&bf16, context, set, shape, false, s->bf16 ? TREAD_PRECISION_BF16 : TREAD_PRECISION_FLOAT32);
    products all = create_products(context, shape);
    run_training(&t, 20); /* plans, warms up */
    run_training(&ahead, 20);
    run_training(&bf16, 20);
    run_products(&all, 20);
    int64_t steps = 1 + (int64_t)(s->seconds * 20 / run_training(&t, 20));
    for (int r = 0; r < s->repeats; r++) {
        step[r] = run_training(&t, steps) / (double)steps;
        product[r] = run_products(&all, steps) / (double)steps;
        share[r] = product[r] / step[r];
        gain[r] = s->prefetch ? 1 - run_training(&ahead, steps) / (double)steps / step[r] : 0;
        half[r] = s->bf16 ? run_training(&bf16, steps) / (double)steps : 1;
        times[r] = step[r] / half[r];
    }
    double step_seconds = median(step, s->repeats), product_seconds = median(product, s->repeats);
    double rate = (double)shape->batch / step_seconds / 1e3,
           product_rate = (double)shape->batch / product_seconds / 1e3;
    printf("%-6s %7d %16.1f %12.1f %16.1f %14.1f %7.0f %%", shape->name, threads, rate, step_seconds * 1e6,
           product_rate, product_seconds * 1e6, 100 * median(share, s->repeats));
    if (s->prefetch)
        printf(" %10.1f %%", 100 * median(gain, s->repeats));
    double bf16_seconds = median(half, s->repeats), bf16_times = median(times, s->repeats);
    if (s->bf16)
        printf(" %10.1f %7.2f", (double)shape->batch / bf16_seconds / 1e3, bf16_times);
    putchar('\n');
    fflush(stdout);
    json_t *row = json_pack("{s:s, s:i, s:I, s:f, s:f, s:f, s:f, s:f}", "shape", shape->name, "threads", threads,
                            "batch", (json_int_t)shape->batch, "ksamples_per_second", rate, "step_us",
                            step_seconds * 1e6, "gemm_ksamples_per_second", product_rate, "gemm_us",
                            product_seconds * 1e6, "gemm_share", median(share, s->repeats));
    if (s->bf16) {
        json_object_set_new(row, "bf16_step_us", json_real(bf16_seconds * 1e6));
        json_object_set_new(row, "bf16_times", json_real(bf16_times));
    }
    json_array_append_new(rows, row);
    destroy_products(&all);
    destroy_training(&bf16);
    destroy_training(&ahead);
    destroy_training(&t);
}

static bool known_shape(const char *name) {
    size_t length = strcspn(name, ",");
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
        if (strlen(shapes[i].name) == length && strncmp(shapes[i].name, name, length) == 0)
            return true;
    return false;
}

static bool wanted(const settings *s, const char *name) {
    size_t length = strlen(name);
    for (const char *at = s->shapes; at != NULL; at = strchr(at, ',') ? strchr(at, ',') + 1 : NULL)
        if (strncmp(at, name, length) == 0 && (at[length] == ',' || at[length] == '\0'))
            return true;
    return false;
}

static void help(void) {
    puts("usage: bench_train [--threads 1,2] [--shapes " ALL_SHAPES "] [--repeats 7] [--seconds 0.4]\n"
         "                   [--data FOLDER] [--backend onednn|ref] [--prefetch] [--bf16] [--json FILE]\n"
         "Training steps on MNIST, and their matrix products alone, in alternation; medians over the repeats.\n"
         "A: 784-128-10, SGD with momentum. B: 784-512-256-10, Adam. C: 784-2048-2048-10, AdamW. The number: the "
         "batch.\n"
         "TREAD_TRACE=- has, besides, what each operation took.");
}

static void parse(int argc, char **argv, settings *s) {
    static const struct option known[] = {
        {"threads", 1, NULL, 't'}, {"shapes", 1, NULL, 's'}, {"repeats", 1, NULL, 'r'}, {"seconds", 1, NULL, 'S'},
        {"data", 1, NULL, 'd'},    {"json", 1, NULL, 'j'},   {"backend", 1, NULL, 'b'}, {"prefetch", 0, NULL, 'p'},
        {"bf16", 0, NULL, 'f'},    {"help", 0, NULL, 'h'},   {NULL, 0, NULL, 0}};
    for (int c; (c = getopt_long(argc, argv, "", known, NULL)) != -1;)
        switch (c) {
        case 't':
            s->n_threads = 0;
            for (char *at = optarg; at != NULL && s->n_threads < 16; at = strchr(at, ',') ? strchr(at, ',') + 1 : NULL)
                s->threads[s->n_threads++] = atoi(at);
            break;
        case 's': s->shapes = optarg; break;
        case 'r': s->repeats = atoi(optarg); break;
        case 'S': s->seconds = atof(optarg); break;
        case 'd': s->data = optarg; break;
        case 'j': s->json = optarg; break;
        case 'b': s->backend = strcmp(optarg, "ref") == 0 ? TREAD_BACKEND_REF : TREAD_BACKEND_ONEDNN; break;
        case 'p': s->prefetch = true; break;
        case 'f': s->bf16 = true; break;
        case 'h': exit((help(), 0));
        default: exit(2);
        }
    if (s->repeats < 1 || s->repeats > MAX_REPEATS)
        exit((fprintf(stderr, "bench_train: --repeats takes 1 to %d\n", MAX_REPEATS), 2));
    for (const char *at = s->shapes; at != NULL; at = strchr(at, ',') ? strchr(at, ',') + 1 : NULL)
        if (!known_shape(at))
            exit((fprintf(stderr, "bench_train: --shapes: %s: expected some of " ALL_SHAPES "\n", at), 2));
}

int main(int argc, char **argv) {
    settings s = {.threads = {1, 2}, .n_threads = 2, .shapes = ALL_SHAPES, .repeats = 7, .seconds = 0.4};
    char folder[4096];
    tread_dataset *train, *test;
    parse(argc, argv, &s);
    must(tread_data_locate(s.data, folder, sizeof folder) == TREAD_OK, "data");
    must(tread_mnist_load(NULL, folder, &train, &test) == TREAD_OK, "data");
    json_t *rows = json_array();
    printf("%-6s %7s %16s %12s %16s %14s %9s%s%s\n", "shape", "threads", "1000 samples/s", "us a step",
           "products alone", "us", "share", s.prefetch ? "    prefetch" : "", s.bf16 ? "       bf16   times" : "");
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
        for (int t = 0; t < s.n_threads && wanted(&s, shapes[i].name); t++) {
            tread_context_options co = tread_context_defaults();
            co.threads = s.threads[t];
            co.backend = s.backend;
            tread_context *context = tread_context_create(&co);
            must(context != NULL, "context");
            measure(&s, context, train, &shapes[i], s.threads[t], rows);
            tread_context_destroy(context);
        }
    must(s.json == NULL || json_dump_file(rows, s.json, JSON_INDENT(2)) == 0, "JSON file");
    json_decref(rows);
    tread_dataset_destroy(train);
    tread_dataset_destroy(test);
    return 0;
}
