/* Throughput of whole training steps on MNIST in memory, and of the same matrix products alone, in alternation.
 *
 * Shape A is 784-128-10 with SGD and momentum, B is 784-512-256-10 with Adam, C is 784-2048-2048-10 with AdamW; the
 * number is the batch. A step is gather and conversion of the batch, forward, loss, backward, optimizer, through
 * tread_trainer_run. Tread's share is the part of a step's time that the products alone take. With --prefetch, rounds
 * with and without it take turns, and a last column says how much shorter it makes a step. With --bf16, so do
 * rounds in bf16, whose rate and how many times that of float32 it is are the last columns. Figures are medians over
 * the repeats. TREAD_TRACE=- has, besides, what each operation took. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tread/models.h>
#include <tread/trainer.h>

#include "core/dnn.h"
#include "core/memory.h"
#include "tests/bench/bench.h"

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
    bench_counts threads;
    const char *shapes, *data, *backend;
    int64_t repeats;
    double seconds;
    bool prefetch, bf16;
} settings;

/* --- A step's products --- */

typedef struct products {
    tread_gemm *gemms[3 * MAX_LAYERS];
    float *a[3 * MAX_LAYERS], *b[3 * MAX_LAYERS], *c[3 * MAX_LAYERS];
    int n;
} products;

static float *operand(int64_t n) {
    float *x = tread_alloc((size_t)n * sizeof *x, "operand");
    bench_must(x != NULL, "memory");
    for (int64_t i = 0; i < n; i++)
        x[i] = (float)(i % 17) * 0.01f - 0.08f;
    return x;
}

static void add_product(products *all, const tread_context *context, tread_gemm_shape shape) {
    shape.dtype = TREAD_FLOAT32;
    shape.batch = 1;
    bench_must(tread_gemm_create(context, &shape, &all->gemms[all->n]) == TREAD_OK, "product");
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
    /* dw (out, in) = dy^T x, and dx (batch, in) = dy w but for the first layer */
    for (int i = MAX_LAYERS - 1; i >= 0; i--) {
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
    double start = bench_clock();
    for (int64_t s = 0; s < steps; s++)
        for (int i = 0; i < all->n; i++)
            bench_must(tread_gemm_run(all->gemms[i], all->a[i], all->b[i], NULL, all->c[i], false) == TREAD_OK,
                       "product");
    return bench_clock() - start;
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
    bench_must(t->batches != NULL && t->model != NULL, "model");
    t->optimizer = tread_optimizer_from_spec(context, tread_module_parameters(t->model), shape->optimizer);
    bench_must(t->optimizer != NULL, "optimizer");
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
    bench_must(t->trainer != NULL, "trainer");
}

static double run_training(training *t, int64_t steps) {
    double start = bench_clock();
    t->steps_left = steps;
    bench_must(tread_trainer_run(t->trainer) == TREAD_OK, "training");
    return bench_clock() - start;
}

static void destroy_training(training *t) {
    tread_trainer_destroy(t->trainer);
    tread_optimizer_destroy(t->optimizer);
    tread_module_destroy(t->model);
    tread_batches_destroy(t->batches);
}

/* --- Measuring --- */

/* One round of all that is compared. */
typedef struct figures {
    double step[MAX_REPEATS], product[MAX_REPEATS], share[MAX_REPEATS], gain[MAX_REPEATS], bf16[MAX_REPEATS],
        times[MAX_REPEATS];
} figures;

static void report(const settings *s, bench *b, const bench_shape *shape, int threads, figures *f) {
    int n = (int)s->repeats;
    bench_summary step = bench_scale(bench_summarize(f->step, n), 1e6);
    bench_summary product = bench_scale(bench_summarize(f->product, n), 1e6);
    bench_summary share = bench_summarize(f->share, n);
    double batch = (double)shape->batch;
    printf("%-6s %7d %16.1f %12.1f %16.1f %14.1f %7.0f %%", shape->name, threads, 1e3 * batch / step.median,
           step.median, 1e3 * batch / product.median, product.median, 100 * share.median);
    json_t *row = bench_row(b, shape->name, threads);
    json_object_set_new(row, "batch", json_integer(shape->batch));
    bench_value(row, "step_us", step);
    bench_value(row, "gemm_us", product);
    bench_value(row, "gemm_share", share);
    if (s->prefetch) {
        bench_summary gain = bench_summarize(f->gain, n);
        printf(" %10.1f %%", 100 * gain.median);
        bench_value(row, "prefetch_gain_share", gain);
    }
    if (s->bf16) {
        bench_summary bf16 = bench_scale(bench_summarize(f->bf16, n), 1e6), times = bench_summarize(f->times, n);
        printf(" %10.1f %7.2f", 1e3 * batch / bf16.median, times.median);
        bench_value(row, "bf16_step_us", bf16);
        bench_value(row, "bf16_times", times);
    }
    putchar('\n');
    fflush(stdout);
}

static void measure(const settings *s, bench *b, tread_context *context, const tread_dataset *set,
                    const bench_shape *shape, int threads) {
    static figures f;
    training t = {0}, ahead = {0}, bf16 = {0};
    create_training(&t, context, set, shape, false, TREAD_PRECISION_FLOAT32);
    run_training(&t, 20); /* plans, warms up */
    if (s->prefetch) {
        create_training(&ahead, context, set, shape, true, TREAD_PRECISION_FLOAT32);
        run_training(&ahead, 20);
    }
    if (s->bf16) {
        create_training(&bf16, context, set, shape, false, TREAD_PRECISION_BF16);
        run_training(&bf16, 20);
    }
    products all = create_products(context, shape);
    run_products(&all, 20);
    int64_t steps = 1 + (int64_t)(s->seconds * 20 / run_training(&t, 20));
    for (int r = 0; r < s->repeats; r++) {
        f.step[r] = run_training(&t, steps) / (double)steps;
        f.product[r] = run_products(&all, steps) / (double)steps;
        f.share[r] = f.product[r] / f.step[r];
        f.gain[r] = s->prefetch ? 1 - run_training(&ahead, steps) / (double)steps / f.step[r] : 0;
        f.bf16[r] = s->bf16 ? run_training(&bf16, steps) / (double)steps : 1;
        f.times[r] = f.step[r] / f.bf16[r];
    }
    report(s, b, shape, threads, &f);
    destroy_products(&all);
    destroy_training(&bf16);
    destroy_training(&ahead);
    destroy_training(&t);
}

int main(int argc, char **argv) {
    settings s = {.threads = {{1, 2}, 2}, .shapes = ALL_SHAPES, .backend = "auto", .repeats = 7, .seconds = 0.4};
    const bench_option options[] = {
        {"threads", BENCH_COUNTS, &s.threads, "LIST", "at each of these", 1, 1024},
        {"shapes", BENCH_TEXT, &s.shapes, "LIST", "which", 0, 0},
        {"repeats", BENCH_COUNT, &s.repeats, "N", "rounds, of which the figures are medians", 1, MAX_REPEATS},
        {"seconds", BENCH_REAL, &s.seconds, "S", "of training in a round", 0.001, 60},
        {"data", BENCH_TEXT, &s.data, "FOLDER", "with MNIST's files", 0, 0},
        {"backend", BENCH_TEXT, &s.backend, "NAME", "auto, onednn or ref", 0, 0},
        {"prefetch", BENCH_FLAG, &s.prefetch, NULL, "also with batches made ahead, in turns", 0, 0},
        {"bf16", BENCH_FLAG, &s.bf16, NULL, "also in bf16, in turns", 0, 0},
        {0},
    };
    char folder[4096];
    tread_dataset *train, *test;
    bench *b = bench_begin(argc, argv,
                           "Training steps on MNIST, and their matrix products alone, in turns.\n"
                           "A: 784-128-10, SGD with momentum. B: 784-512-256-10, Adam. C: 784-2048-2048-10, AdamW.\n"
                           "The number: the batch. TREAD_TRACE=- has, besides, what each operation took.",
                           options);
    bench_check_list("shapes", s.shapes, ALL_SHAPES);
    bench_check_list("backend", s.backend, "auto,onednn,ref");
    bench_must(tread_data_locate(s.data, folder, sizeof folder) == TREAD_OK, "data");
    bench_must(tread_mnist_load(NULL, folder, &train, &test) == TREAD_OK, "data");
    printf("%-6s %7s %16s %12s %16s %14s %9s%s%s\n", "shape", "threads", "1000 samples/s", "us a step",
           "products alone", "us", "share", s.prefetch ? "    prefetch" : "", s.bf16 ? "       bf16   times" : "");
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
        for (int t = 0; t < s.threads.n && bench_listed(s.shapes, shapes[i].name); t++) {
            tread_context_options co = tread_context_defaults();
            co.threads = (int)s.threads.values[t];
            co.backend = strcmp(s.backend, "auto") == 0  ? TREAD_BACKEND_AUTO
                         : strcmp(s.backend, "ref") == 0 ? TREAD_BACKEND_REF
                                                         : TREAD_BACKEND_ONEDNN;
            tread_context *context = tread_context_create(&co);
            bench_must(context != NULL, "context");
            measure(&s, b, context, train, &shapes[i], co.threads);
            tread_context_destroy(context);
        }
    tread_dataset_destroy(train);
    tread_dataset_destroy(test);
    return bench_end(b);
}
