/* Trains small networks on the plain C back-end and prints a hash of each one's weights and its last loss. ./run test
 * compares the lines of builds with and without OpenMP and oneDNN: they must be equal. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <tread/tread.h>

enum { SAMPLES = 600, FEATURES = 784, CLASSES = 10, BATCH = 128 };

typedef struct run {
    const char *name;
    tread_activation activation;
    double dropout;
    bool layer_norm;
    const char *optimizer, *scheduler;
} run;

static const run runs[] = {
    {"relu sgd", TREAD_ACTIVATION_RELU, 0, false, "sgd:lr=0.05,momentum=0.9,nesterov=true", "step_lr:step_size=4"},
    {"gelu adam", TREAD_ACTIVATION_GELU, 0.2, true, "adam:weight_decay=0.01", "cosine_decay_lr:decay_steps=15"},
    {"tanh amsgrad", TREAD_ACTIVATION_TANH, 0, true, "adam:amsgrad=true", "step_lr:step_size=2,gamma=0.7"},
    {"silu sgd", TREAD_ACTIVATION_SILU, 0.1, false, "sgd:lr=0.1,convention=pytorch,momentum=0.5",
     "step_lr:step_size=9"},
    {"sigmoid adam", TREAD_ACTIVATION_SIGMOID, 0, false, "adam:lr=0.01", "cosine_decay_lr:decay_steps=9,alpha=0.1"},
    {"leaky_relu adam", TREAD_ACTIVATION_LEAKY_RELU, 0.5, true, "adam", "step_lr:step_size=5"},
    {"relu muon", TREAD_ACTIVATION_RELU, 0, true, "muon:lr=0.02", "cosine_decay_lr:decay_steps=15"},
    {"gelu free adamw", TREAD_ACTIVATION_GELU, 0, false, "schedule_free_adamw:r=0.3", "step_lr:step_size=5"},
    {"relu free sgd", TREAD_ACTIVATION_RELU, 0, false, "schedule_free_sgd:lr=0.1", "step_lr:step_size=5"},
    {"tanh lbfgs", TREAD_ACTIVATION_TANH, 0.1, false, "lbfgs:line_search=strong_wolfe,max_iter=4",
     "cosine_decay_lr:decay_steps=15"},
};

static uint8_t images[SAMPLES * FEATURES];
static int32_t labels[SAMPLES];

static void make_data(void) {
    tread_rng rng = tread_rng_create(1, 1);
    for (int i = 0; i < SAMPLES; i++) {
        labels[i] = i % CLASSES;
        for (int k = 0; k < FEATURES; k++)
            images[i * FEATURES + k] = (uint8_t)((k % CLASSES == labels[i] ? 100 : 0) + tread_rng_below(&rng, 100));
    }
}

static uint64_t hash_weights(const tread_module *model) { /* FNV-1a */
    uint64_t hash = 0xcbf29ce484222325U;
    tread_parameter_list list = tread_module_parameters(model);
    for (size_t i = 0; i < list.count; i++) {
        const tread_tensor *x = tread_parameter_tensor(list.items[i]);
        const unsigned char *bytes = tread_tensor_data(x);
        for (size_t k = 0; k < (size_t)tread_tensor_count(x) * sizeof(float); k++)
            hash = (hash ^ bytes[k]) * 0x100000001b3U;
    }
    return hash;
}

static tread_status train(tread_context *context, tread_dataset *data, const run *r) {
    tread_mlp_options mlp = tread_mlp_defaults();
    mlp.n_inputs = FEATURES;
    mlp.hidden = (int64_t[]){70, 33};
    mlp.n_hidden = 2;
    mlp.n_outputs = CLASSES;
    mlp.activation = r->activation;
    mlp.dropout = r->dropout;
    mlp.layer_norm = r->layer_norm;
    tread_batches_options batching = tread_batches_defaults();
    batching.batch_size = BATCH;
    tread_trainer_options o = tread_trainer_defaults();
    o.epochs = 3;
    o.model = tread_mlp(context, &mlp);
    o.train = tread_batches_create(context, data, &batching);
    o.test = tread_batches_create(context, data, &batching);
    if (o.model != NULL)
        o.optimizer = tread_optimizer_from_groups(context, tread_module_parameters(o.model), r->optimizer, NULL);
    if (o.optimizer != NULL)
        o.scheduler = tread_lr_scheduler_from_spec(o.optimizer, r->scheduler);
    o.schedule_every = TREAD_EVERY_STEP;
    tread_trainer *trainer = o.scheduler != NULL ? tread_trainer_create(context, &o) : NULL;
    tread_status status = trainer != NULL ? tread_trainer_run(trainer) : TREAD_ERROR_STATE;
    if (status == TREAD_OK) {
        const tread_epoch_metrics *last = &tread_trainer_result(trainer)->history[o.epochs - 1];
        printf("%-16s %016" PRIx64 " train %a test %a\n", r->name, hash_weights(o.model), last->train_loss,
               last->test_loss);
    }
    tread_trainer_destroy(trainer);
    tread_lr_scheduler_destroy(o.scheduler);
    tread_optimizer_destroy(o.optimizer);
    tread_batches_destroy(o.train);
    tread_batches_destroy(o.test);
    tread_module_destroy(o.model);
    return status;
}

int main(void) {
    make_data();
    tread_context_options options = tread_context_defaults();
    options.backend = TREAD_BACKEND_REF;
    options.seed = 3;
    tread_context *context = tread_context_create(&options);
    tread_tensor *x = tread_tensor_wrap(TREAD_UINT8, 2, (int64_t[]){SAMPLES, FEATURES}, images);
    tread_tensor *y = tread_tensor_wrap(TREAD_INT32, 1, (int64_t[]){SAMPLES}, labels);
    tread_dataset *data = context != NULL && x != NULL && y != NULL ? tread_dataset_from_tensors(x, y, CLASSES) : NULL;
    tread_status status = data != NULL ? TREAD_OK : TREAD_ERROR_STATE;
    for (size_t i = 0; i < sizeof runs / sizeof *runs && status == TREAD_OK; i++)
        status = train(context, data, &runs[i]);
    if (status != TREAD_OK)
        fprintf(stderr, "bits: %s\n", tread_last_error());
    tread_dataset_destroy(data);
    tread_tensor_destroy(x);
    tread_tensor_destroy(y);
    tread_context_destroy(context);
    return status != TREAD_OK;
}
