#include "tests/engine/world.h"

#include <string.h>

#include "core/tensor.h"
#include "tests/test.h"

static float train_x[N_TRAIN * FEATURES], test_x[N_TEST * FEATURES];
static int32_t train_y[N_TRAIN], test_y[N_TEST];

static void draw(float *x, int32_t *y, int n, uint64_t seed) {
    tread_rng rng = tread_rng_create(seed, 1);
    for (int i = 0; i < n; i++) {
        y[i] = i % CLASSES;
        for (int j = 0; j < FEATURES; j++)
            x[i * FEATURES + j] = (float)(0.3 * tread_rng_normal(&rng) + (j % CLASSES == y[i] ? 1 : 0));
    }
}

void world_build(world *w, tread_context *context, double dropout) {
    memset(w, 0, sizeof *w);
    draw(train_x, train_y, N_TRAIN, 1);
    draw(test_x, test_y, N_TEST, 2);
    w->context = context;
    w->train_set = tread_dataset_from_labels(N_TRAIN, FEATURES, train_x, CLASSES, train_y);
    w->test_set = tread_dataset_from_labels(N_TEST, FEATURES, test_x, CLASSES, test_y);
    tread_batches_options options = tread_batches_defaults();
    options.batch_size = 16; /* 5 batches, the last of 6 */
    w->train = tread_batches_create(context, w->train_set, &options);
    w->test = tread_batches_create(context, w->test_set, &options);
    tread_mlp_options mlp = tread_mlp_defaults();
    mlp.n_inputs = FEATURES;
    mlp.hidden = (int64_t[]){8};
    mlp.n_hidden = 1;
    mlp.n_outputs = CLASSES;
    mlp.dropout = dropout;
    w->model = tread_mlp(context, &mlp);
    ck_assert_msg(w->model != NULL, "%s", tread_last_error());
    w->optimizer = tread_optimizer_from_spec(context, tread_module_parameters(w->model), "adam:lr=0.02");
    ck_assert_msg(w->train && w->test && w->optimizer, "%s", tread_last_error());
}

void world_destroy(world *w) {
    tread_optimizer_destroy(w->optimizer);
    tread_module_destroy(w->model);
    tread_batches_destroy(w->train);
    tread_batches_destroy(w->test);
    tread_dataset_destroy(w->train_set);
    tread_dataset_destroy(w->test_set);
}

tread_trainer_options world_options(const world *w, int64_t epochs) {
    tread_trainer_options o = tread_trainer_defaults();
    o.model = w->model;
    o.optimizer = w->optimizer;
    o.train = w->train;
    o.test = w->test;
    o.epochs = epochs;
    return o;
}

uint64_t world_hash(const world *w) {
    uint64_t hash = 14695981039346656037u;
    tread_parameter_list list = tread_module_parameters(w->model);
    for (size_t p = 0; p < list.count; p++) {
        const tread_tensor *tensor = tread_parameter_tensor(list.items[p]);
        for (size_t i = 0; i < tread_tensor_bytes(tensor); i++)
            hash = (hash ^ ((const uint8_t *)tensor->data)[i]) * 1099511628211u;
    }
    return hash;
}

uint64_t world_uninterrupted(double dropout, int64_t epochs, double *ret_loss) {
    world w;
    world_build(&w, NULL, dropout);
    tread_trainer_options o = world_options(&w, epochs);
    tread_trainer *trainer = tread_trainer_create(NULL, &o);
    ck_assert_ok(tread_trainer_run(trainer));
    *ret_loss = tread_trainer_result(trainer)->history[epochs - 1].train_loss;
    uint64_t hash = world_hash(&w);
    tread_trainer_destroy(trainer);
    world_destroy(&w);
    return hash;
}

const float *world_test_x(void) { return test_x; }
const int32_t *world_test_y(void) { return test_y; }
