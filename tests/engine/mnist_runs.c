#include "tests/engine/mnist_runs.h"

#include <math.h>
#include <string.h>

const mnist_run mnist_runs[] = {
    {"sgd:lr=0.1,momentum=0.9", 128, 3, true, TREAD_PRECISION_FLOAT32},
    {"adam:lr=1e-3", 128, 3, true, TREAD_PRECISION_FLOAT32},
    {"adamw:lr=1e-3,weight_decay=0.01", 128, 3, true, TREAD_PRECISION_FLOAT32},
    {"lamb:lr=0.01,weight_decay=0.01", 128, 3, true, TREAD_PRECISION_FLOAT32},
    {"lamb:lr=0.05,weight_decay=0.01", 4096, 6, true, TREAD_PRECISION_FLOAT32},
    {"adagrad:lr=0.02", 128, 3, true, TREAD_PRECISION_FLOAT32},
    {"rmsprop:lr=1e-3", 128, 3, true, TREAD_PRECISION_FLOAT32},
    {"adadelta:lr=1", 128, 3, true, TREAD_PRECISION_FLOAT32},
    {"adamax:lr=4e-3", 128, 3, true, TREAD_PRECISION_FLOAT32},
    {"nadam:lr=1e-3", 128, 3, true, TREAD_PRECISION_FLOAT32},
    {"radam:lr=3e-3", 128, 3, true, TREAD_PRECISION_FLOAT32},
    {"lion:lr=3e-4,weight_decay=0.1", 128, 3, true, TREAD_PRECISION_FLOAT32},
    {"muon:lr=0.02,weight_decay=0.01", 512, 3, true, TREAD_PRECISION_FLOAT32},
    {"schedule_free_adamw:lr=2.5e-3", 128, 3, false, TREAD_PRECISION_FLOAT32},
    {"schedule_free_sgd:lr=1", 128, 3, false, TREAD_PRECISION_FLOAT32},
    {"lbfgs:line_search=strong_wolfe,max_iter=10,history_size=20", 10000, 3, false, TREAD_PRECISION_FLOAT32},
};
const size_t n_mnist_runs = sizeof mnist_runs / sizeof *mnist_runs;

bool mnist_run_is_of(const mnist_run *run, const char *name) {
    size_t length = strlen(name);
    return strncmp(run->spec, name, length) == 0 && run->spec[length] == ':';
}

/* Counts the calls: one a step, but for algorithms that search. */
static tread_status count_calls(void *data, tread_trainer *trainer, const tread_batch *batch, double *ret_loss) {
    ++*(int64_t *)data;
    return tread_trainer_closure(trainer, batch, ret_loss);
}

static tread_batches *make_batches(tread_context *context, const tread_dataset *set, int64_t size, bool shuffle) {
    tread_batches_options o = tread_batches_defaults();
    o.batch_size = size;
    o.shuffle = shuffle;
    return tread_batches_create(context, set, &o);
}

typedef struct world {
    tread_batches *train, *test;
    tread_module *model;
    tread_optimizer *optimizer;
    tread_lr_scheduler *scheduler;
    tread_trainer *trainer;
} world;

static bool open_world(world *w, const mnist_run *run, tread_context *context, int64_t *calls) {
    if (w->train == NULL || w->test == NULL || w->model == NULL)
        return false;
    /* With groups: what Muon is not for goes to AdamW. */
    w->optimizer = tread_optimizer_from_groups(context, tread_module_parameters(w->model), run->spec, NULL);
    if (w->optimizer == NULL)
        return false;
    if (run->cosine) {
        tread_cosine_decay_lr_options cosine = tread_cosine_decay_lr_defaults();
        cosine.decay_steps = run->epochs * tread_batches_count(w->train);
        w->scheduler = tread_cosine_decay_lr(w->optimizer, &cosine);
        if (w->scheduler == NULL)
            return false;
    }
    tread_trainer_options o = tread_trainer_defaults();
    o.model = w->model;
    o.optimizer = w->optimizer;
    o.train = w->train;
    o.test = w->test;
    o.epochs = run->epochs;
    o.evaluate_every = 0;
    o.scheduler = w->scheduler;
    o.schedule_every = TREAD_EVERY_STEP;
    o.precision = run->precision;
    o.closure = count_calls;
    o.closure_data = calls;
    w->trainer = tread_trainer_create(context, &o);
    return w->trainer != NULL;
}

mnist_result mnist_run_train(const mnist_run *run, tread_context *context, const tread_dataset *train,
                             const tread_dataset *test, const int64_t *hidden, size_t n_hidden) {
    mnist_result result = {.accuracy = NAN};
    tread_mlp_options o = tread_mlp_defaults();
    o.n_inputs = tread_dataset_features(train);
    o.hidden = hidden;
    o.n_hidden = n_hidden;
    o.n_outputs = tread_dataset_classes(train);
    world w = {.train = make_batches(context, train, run->batch, true),
               .test = make_batches(context, test, 1000, false),
               .model = tread_mlp(context, &o)};
    tread_evaluation evaluation;
    if (open_world(&w, run, context, &result.closure_calls) && tread_trainer_run(w.trainer) == TREAD_OK &&
        tread_trainer_evaluate(w.trainer, NULL, &evaluation) == TREAD_OK) {
        result.accuracy = evaluation.metric;
        result.seconds = tread_trainer_result(w.trainer)->seconds;
    }
    tread_trainer_destroy(w.trainer);
    tread_lr_scheduler_destroy(w.scheduler);
    tread_optimizer_destroy(w.optimizer);
    tread_module_destroy(w.model);
    tread_batches_destroy(w.test);
    tread_batches_destroy(w.train);
    return result;
}
