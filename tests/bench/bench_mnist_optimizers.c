/* What test accuracy each registered optimizer reaches on MNIST, as a Markdown table.
 *
 *     bench_mnist_optimizers [--only NAME] [--threads 2] [--seed 0] [--data FOLDER]
 *
 * The network is 784-512-256-10 with ReLU; every run starts from the same weights and sees the images in the same
 * order. Ends with 1 where a run stays below 97 %, or where a registered optimizer has no run. */
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tread/tread.h>

#define WANTED 0.97

typedef struct run {
    const char *spec;
    int64_t batch, epochs;
    bool cosine;      /* lr down to 0 over the whole run, step by step */
    const char *rest; /* fields of a second group, for all but the weights of hidden layers; NULL: one group */
} run;

/* Settings that are usual for the algorithm, with the best of a few lr. */
static const run runs[] = {
    {"sgd:lr=0.1,momentum=0.9", 128, 3, true, NULL},
    {"adam:lr=1e-3", 128, 3, true, NULL},
    {"adamw:lr=1e-3,weight_decay=0.01", 128, 3, true, NULL},
    {"lamb:lr=0.01,weight_decay=0.01", 128, 3, true, NULL},
    {"lamb:lr=0.05,weight_decay=0.01", 4096, 6, true, NULL},
    {"adagrad:lr=0.02", 128, 3, true, NULL},
    {"rmsprop:lr=1e-3", 128, 3, true, NULL},
    {"adadelta:lr=1", 128, 3, true, NULL},
    {"adamax:lr=4e-3", 128, 3, true, NULL},
    {"nadam:lr=1e-3", 128, 3, true, NULL},
    {"radam:lr=3e-3", 128, 3, true, NULL},
    {"lion:lr=3e-4,weight_decay=0.1", 128, 3, true, NULL},
    {"muon:lr=0.02,weight_decay=0.01", 512, 3, true, "rule=adamw,lr=1e-3"},
    {"schedule_free_adamw:lr=2.5e-3", 128, 3, false, NULL},
    {"schedule_free_sgd:lr=1", 128, 3, false, NULL},
};
#define N_RUNS (sizeof runs / sizeof *runs)

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

/* Counts the calls: one a step, but for L-BFGS. */
static tread_status count_calls(void *data, tread_trainer *trainer, const tread_batch *batch, double *ret_loss) {
    ++*(int64_t *)data;
    return tread_trainer_closure(trainer, batch, ret_loss);
}

static tread_module *make_model(tread_context *context) {
    tread_mlp_options o = tread_mlp_defaults();
    o.n_inputs = 784;
    o.hidden = (const int64_t[]){512, 256};
    o.n_hidden = 2;
    o.n_outputs = 10;
    return tread_mlp(context, &o);
}

static tread_optimizer *make_optimizer(const run *r, tread_context *context, tread_parameter_list all) {
    tread_parameter *hidden[8], *rest[8];
    tread_parameter_list groups[2] = {{hidden, 0}, {rest, 0}};
    if (r->rest == NULL)
        return tread_optimizer_from_spec(context, all, r->spec);
    for (size_t i = 0; i < all.count; i++) {
        bool matrix = tread_tensor_rank(tread_parameter_tensor(all.items[i])) == 2;
        if (matrix && i + 2 < all.count) /* the last two are the output layer's */
            hidden[groups[0].count++] = all.items[i];
        else
            rest[groups[1].count++] = all.items[i];
    }
    tread_optimizer *optimizer = tread_optimizer_from_spec(context, groups[0], r->spec);
    must(optimizer != NULL && tread_optimizer_add_param_group_spec(optimizer, groups[1], r->rest) == TREAD_OK, r->spec);
    return optimizer;
}

static tread_lr_scheduler *make_scheduler(const run *r, tread_optimizer *optimizer, int64_t steps) {
    if (!r->cosine)
        return NULL;
    tread_cosine_decay_lr_options o = tread_cosine_decay_lr_defaults();
    o.decay_steps = steps;
    return tread_cosine_decay_lr(optimizer, &o);
}

static tread_batches *make_batches(tread_context *context, const tread_dataset *set, int64_t size, bool shuffle) {
    tread_batches_options o = tread_batches_defaults();
    o.batch_size = size;
    o.shuffle = shuffle;
    return tread_batches_create(context, set, &o);
}

static int length_of_name(const char *spec) { return (int)strcspn(spec, ":"); }

/* One run, and its line of the table; gives the accuracy. */
static double train(const run *r, tread_context *context, const tread_dataset *train_set,
                    const tread_dataset *test_set) {
    int64_t calls = 0;
    tread_batches *batches = make_batches(context, train_set, r->batch, true);
    tread_batches *test = make_batches(context, test_set, 1000, false);
    tread_module *model = make_model(context);
    must(batches != NULL && test != NULL && model != NULL, "model");
    tread_optimizer *optimizer = make_optimizer(r, context, tread_module_parameters(model));
    must(optimizer != NULL, r->spec);
    tread_lr_scheduler *scheduler = make_scheduler(r, optimizer, r->epochs * tread_batches_count(batches));
    must(!r->cosine || scheduler != NULL, "scheduler");
    tread_trainer_options o = tread_trainer_defaults();
    o.model = model;
    o.optimizer = optimizer;
    o.train = batches;
    o.test = test;
    o.epochs = r->epochs;
    o.evaluate_every = 0;
    o.scheduler = scheduler;
    o.schedule_every = TREAD_EVERY_STEP;
    o.closure = count_calls;
    o.closure_data = &calls;
    tread_trainer *trainer = tread_trainer_create(context, &o);
    tread_evaluation result;
    must(trainer != NULL && tread_trainer_run(trainer) == TREAD_OK, r->spec);
    must(tread_trainer_evaluate(trainer, NULL, &result) == TREAD_OK, r->spec);
    printf("| %.*s | `%s` | %" PRId64 " | %" PRId64 " | %s | %.2f %% | %.1f | %" PRId64 " |\n", length_of_name(r->spec),
           r->spec, r->spec, r->batch, r->epochs, r->cosine ? "cosine" : "-", 100 * result.metric,
           tread_trainer_result(trainer)->seconds, calls);
    fflush(stdout);
    tread_trainer_destroy(trainer);
    tread_lr_scheduler_destroy(scheduler);
    tread_optimizer_destroy(optimizer);
    tread_module_destroy(model);
    tread_batches_destroy(test);
    tread_batches_destroy(batches);
    return result.metric;
}

static bool is_of(const run *r, const char *name) {
    return strlen(name) == (size_t)length_of_name(r->spec) && strncmp(r->spec, name, strlen(name)) == 0;
}

/* Every registered optimizer has a run. */
static bool all_have_runs(void) {
    bool all = true;
    for (size_t type = 0; type < tread_optimizer_type_count(); type++) {
        size_t i = 0;
        while (i < N_RUNS && !is_of(&runs[i], tread_optimizer_type_name(type)))
            i++;
        if (i == N_RUNS)
            fprintf(stderr, "bench_mnist_optimizers: there is no run of %s\n", tread_optimizer_type_name(type));
        all = all && i < N_RUNS;
    }
    return all;
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
}

int main(int argc, char **argv) {
    settings s = {.threads = 2};
    char folder[4096];
    tread_dataset *train_set, *test_set;
    parse(argc, argv, &s);
    must(tread_data_locate(s.data, folder, sizeof folder) == TREAD_OK, "data");
    must(tread_mnist_load(NULL, folder, &train_set, &test_set) == TREAD_OK, "data");
    tread_context_options o = tread_context_defaults();
    o.threads = s.threads;
    o.seed = s.seed;
    tread_context *context = tread_context_create(&o);
    must(context != NULL, "context");
    bool good = all_have_runs();
    printf("| optimizer | settings | batch | epochs | schedule | test accuracy | seconds | closure calls |\n"
           "|---|---|---|---|---|---|---|---|\n");
    for (size_t i = 0; i < N_RUNS; i++)
        if (s.only == NULL || is_of(&runs[i], s.only))
            good = train(&runs[i], context, train_set, test_set) >= WANTED && good;
    tread_context_destroy(context);
    tread_dataset_destroy(test_set);
    tread_dataset_destroy(train_set);
    return good ? 0 : 1;
}
