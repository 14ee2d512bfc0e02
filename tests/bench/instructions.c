/* Runs each hot path a few times for instructions.sh, which counts its instructions with callgrind:
 *     instructions [--only LIST]
 * What is counted is what happens inside hot(), after everything was planned; the order of the paths is that of the
 * printed lines "name runs". */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tread/models.h>
#include <tread/ops.h>
#include <tread/trainer.h>

#include "tests/bench/bench.h"

enum {
    SAMPLES = 2048,
    FEATURES = 784,
    CLASSES = 10,
    STEPS = 2 /* of a run of training: callgrind takes 4 s for one of B64 */
};

typedef struct world {
    tread_context *context;
    tread_dataset *set;
    /* of one path */
    tread_optimizer *optimizer;
    tread_batches *batches;
    tread_module *model;
    tread_trainer *trainer;
    tread_tape *tape;
    tread_tensor *x, *labels;
    int64_t steps_left;
} world;

typedef struct path {
    const char *name;
    int runs;
    void (*prepare)(world *w, const struct path *p);
    void (*run)(world *w);
    const char *optimizer;
    int64_t n, sizes[5]; /* batch or rows, and the network's layers or the columns; 0 ends them */
} path;

/* Callgrind counts by this name. */
__attribute__((noinline)) void hot(world *w, const path *p, int runs);
void hot(world *w, const path *p, int runs) {
    for (int i = 0; i < runs; i++)
        p->run(w);
}

/* ---- Optimizers ---- */

static void create_model(world *w, const path *p) {
    tread_mlp_options o = tread_mlp_defaults();
    o.n_inputs = p->sizes[0];
    o.hidden = p->sizes + 1;
    while (p->sizes[o.n_hidden + 2] > 0)
        o.n_hidden++;
    o.n_outputs = p->sizes[o.n_hidden + 1];
    w->model = tread_mlp(w->context, &o);
    bench_must(w->model != NULL, "model");
    w->optimizer = tread_optimizer_from_spec(w->context, tread_module_parameters(w->model), p->optimizer);
    bench_must(w->optimizer != NULL, p->optimizer);
}

/* Each parameter's gradient is its values. */
static void prepare_step(world *w, const path *p) {
    create_model(w, p);
    tread_parameter_list list = tread_module_parameters(w->model);
    for (size_t i = 0; i < list.count; i++) {
        tread_tensor *x = tread_parameter_tensor(list.items[i]);
        bench_must(tread_tensor_set_grad(x, x) == TREAD_OK, "gradient");
    }
}

static void run_step(world *w) { bench_must(tread_optimizer_step(w->optimizer, NULL) == TREAD_OK, "step"); }

/* The step with clipping in its pass. */
static void run_step_with(world *w) {
    tread_step_options o = tread_step_defaults();
    o.max_norm = 1;
    bench_must(tread_optimizer_step_with(w->optimizer, NULL, &o, NULL) == TREAD_OK, "step");
}

static void run_clip(world *w) {
    double norm;
    bench_must(tread_optimizer_clip_grad_norm(w->optimizer, 1, 2, NULL, &norm) == TREAD_OK, "clip");
}

/* ---- Batches and whole steps ---- */

static void prepare_batches(world *w, const path *p) {
    tread_batches_options o = tread_batches_defaults();
    o.batch_size = p->n;
    o.drop_last = true;
    w->batches = tread_batches_create(w->context, w->set, &o);
    bench_must(w->batches != NULL, "batches");
}

static void run_gather(world *w) {
    tread_batch batch;
    bench_must(tread_batches_next(w->batches, &batch), "batch");
}

static tread_action count_down(void *data, tread_trainer *trainer, const tread_step_info *step) {
    (void)trainer;
    (void)step;
    return --((world *)data)->steps_left == 0 ? TREAD_STOP : TREAD_CONTINUE;
}

static void prepare_training(world *w, const path *p) {
    prepare_batches(w, p);
    create_model(w, p);
    tread_callbacks callbacks = tread_callbacks_defaults();
    callbacks.data = w;
    callbacks.on_step = count_down;
    tread_trainer_options o = tread_trainer_defaults();
    o.model = w->model;
    o.optimizer = w->optimizer;
    o.train = w->batches;
    o.epochs = INT64_MAX;
    o.callbacks = &callbacks;
    w->trainer = tread_trainer_create(w->context, &o);
    bench_must(w->trainer != NULL, "trainer");
}

static void run_training(world *w) {
    w->steps_left = STEPS;
    bench_must(tread_trainer_run(w->trainer) == TREAD_OK, "training");
}

/* ---- The tape ---- */

static void prepare_tape(world *w, const path *p) {
    const int64_t shape[2] = {p->n, p->sizes[0]};
    w->tape = tread_tape_create(w->context);
    w->x = tread_tensor_create(TREAD_FLOAT32, 2, shape);
    w->labels = tread_tensor_create(TREAD_INT32, 1, shape);
    bench_must(w->tape != NULL && w->x != NULL && w->labels != NULL &&
                   tread_tensor_set_requires_grad(w->x, true) == TREAD_OK,
               "tape");
    for (int64_t i = 0; i < p->n * p->sizes[0]; i++)
        tread_tensor_float(w->x)[i] = (float)(i % 23) * 0.1f - 1.1f;
    for (int64_t i = 0; i < p->n; i++)
        ((int32_t *)tread_tensor_data(w->labels))[i] = (int32_t)(i % p->sizes[0]);
}

/* 100 additions of one element each, forward and backward: what the tape costs and next to no arithmetic. */
static void run_tape(world *w) {
    tread_tape_reset(w->tape);
    tread_tensor *y = w->x;
    for (int i = 0; i < 100; i++)
        y = tread_add(w->tape, y, w->x);
    bench_must(tread_backward(w->tape, tread_sum(w->tape, y)) == TREAD_OK, "backward");
}

static void run_loss(world *w) {
    tread_tape_reset(w->tape);
    tread_tensor *loss = tread_cross_entropy(w->tape, w->x, w->labels);
    bench_must(tread_backward(w->tape, loss) == TREAD_OK, "backward");
}

/* ---- All of them ---- */

#define STEP(name, spec)                                                                                               \
    {                                                                                                                  \
        name, 2, prepare_step, run_step, spec, 0, { 784, 512, 256, 10 }                                                \
    }
static const path paths[] = {
    STEP("step_sgd", "sgd:lr=0.001,momentum=0.9"),
    STEP("step_adam", "adam:lr=0.001"),
    STEP("step_adamw", "adamw:lr=0.001,weight_decay=0.01"),
    STEP("step_lamb", "lamb:lr=0.001"),
    STEP("step_adagrad", "adagrad:lr=0.001"),
    STEP("step_rmsprop", "rmsprop:lr=0.001"),
    STEP("step_adadelta", "adadelta:lr=0.001"),
    STEP("step_adamax", "adamax:lr=0.001"),
    STEP("step_nadam", "nadam:lr=0.001"),
    STEP("step_radam", "radam:lr=0.001"),
    STEP("step_lion", "lion:lr=0.001"),
    STEP("step_schedule_free_adamw", "schedule_free_adamw:lr=0.001"),
    {"step_adam_clip", 2, prepare_step, run_step_with, "adam:lr=0.001", 0, {784, 512, 256, 10}},
    {"clip_grad_norm", 2, prepare_step, run_clip, "adam:lr=0.001", 0, {784, 512, 256, 10}},
    {"gather_64", 10, prepare_batches, run_gather, NULL, 64, {0}},
    {"train_A32", 4, prepare_training, run_training, "sgd:lr=0.05,momentum=0.9", 32, {784, 128, 10}},
    {"train_B64", 1, prepare_training, run_training, "adam:lr=0.001", 64, {784, 512, 256, 10}},
    {"tape_100_adds", 4, prepare_tape, run_tape, NULL, 1, {1}},
    {"cross_entropy_128x10", 10, prepare_tape, run_loss, NULL, 128, {10}},
    {"cross_entropy_64x1000", 4, prepare_tape, run_loss, NULL, 64, {1000}},
};

static void clear(world *w) {
    tread_trainer_destroy(w->trainer);
    tread_optimizer_destroy(w->optimizer);
    tread_module_destroy(w->model);
    tread_batches_destroy(w->batches);
    tread_tape_destroy(w->tape);
    tread_tensor_destroy(w->x);
    tread_tensor_destroy(w->labels);
    *w = (world){.context = w->context, .set = w->set};
}

int main(int argc, char **argv) {
    const char *only = NULL;
    const bench_option options[] = {{"only", BENCH_TEXT, &only, "LIST", "only these paths", 0, 0}, {0}};
    bench *b = bench_begin(argc, argv, "Runs each hot path for instructions.sh.", options);
    static uint8_t bytes[SAMPLES * FEATURES];
    static int32_t labels[SAMPLES];
    for (int i = 0; i < SAMPLES * FEATURES; i++)
        bytes[i] = (uint8_t)((unsigned)i * 2654435761u >> 24);
    for (int i = 0; i < SAMPLES; i++)
        labels[i] = i % CLASSES;
    world w = {.context = bench_context(1), .set = tread_dataset_from_bytes(SAMPLES, FEATURES, bytes, CLASSES, labels)};
    bench_must(w.set != NULL, "data");
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
        const path *p = &paths[i];
        if (!bench_listed(only, p->name))
            continue;
        p->prepare(&w, p);
        p->run(&w); /* plans */
        hot(&w, p, p->runs);
        printf("%s %d\n", p->name, p->run == run_training ? STEPS * p->runs : p->runs);
        clear(&w);
    }
    tread_dataset_destroy(w.set);
    tread_context_destroy(w.context);
    return bench_end(b);
}
