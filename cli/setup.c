#include "cli/setup.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <tread/models.h>
#include <tread/precision.h>

const char *const cli_precision_names[] = {
    [TREAD_PRECISION_FLOAT32] = "float32", [TREAD_PRECISION_BF16] = "bf16", [TREAD_PRECISION_COUNT] = NULL};
const char *const cli_model_names[] = {"mlp", NULL};
_Static_assert(TREAD_ACTIVATION_COUNT == 7, "a new activation needs its name here");
const char *const cli_activation_names[] = {
    [TREAD_ACTIVATION_NONE] = "none",
    [TREAD_ACTIVATION_RELU] = "relu",
    [TREAD_ACTIVATION_LEAKY_RELU] = "leaky_relu",
    [TREAD_ACTIVATION_GELU] = "gelu",
    [TREAD_ACTIVATION_SILU] = "silu",
    [TREAD_ACTIVATION_TANH] = "tanh",
    [TREAD_ACTIVATION_SIGMOID] = "sigmoid",
    [TREAD_ACTIVATION_COUNT] = NULL,
};

const char *cli_precision_advice(const char *text) {
    static const struct {
        const char *name, *advice;
    } others[] = {
        {"bfloat16", ", which is bf16 here"},
        {"fp32", ", which is float32 here"},
        {"f32", ", which is float32 here"},
        {"fp16", ": float16 is not supported, and bf16 is another format"},
        {"f16", ": float16 is not supported, and bf16 is another format"},
        {"half", ": float16 is not supported, and bf16 is another format"},
        {"float16", ": float16 is not supported, and bf16 is another format"},
        {"float64", ": float64 is not supported here"},
    };
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        if (strcasecmp(text, others[i].name) == 0)
            return others[i].advice;
    return NULL;
}

static void log_line(void *data, const char *line) {
    (void)data;
    fprintf(stderr, "%s\n", line);
}

static void describe(cli_setup *setup, const cli_setup_options *options, int64_t n_inputs, int64_t n_outputs) {
    char *text = setup->description;
    size_t size = sizeof setup->description, length;
    length = (size_t)snprintf(text, size, "%s %" PRId64, cli_model_names[options->model], n_inputs);
    for (size_t i = 0; i < options->hidden.count && length < size; i++)
        length += (size_t)snprintf(text + length, size - length, "-%" PRId64, options->hidden.values[i]);
    if (length < size)
        length += (size_t)snprintf(text + length, size - length, "-%" PRId64, n_outputs);
    if (length < size && options->hidden.count > 0)
        snprintf(text + length, size - length, ", %s", cli_activation_names[options->activation]);
}

static tread_status open_model(cli_setup *setup, const cli_setup_options *options) {
    tread_mlp_options o = tread_mlp_defaults();
    o.n_inputs = tread_dataset_features(setup->data.train);
    o.hidden = options->hidden.values;
    o.n_hidden = options->hidden.count;
    o.n_outputs = cli_data_outputs(&setup->data);
    o.activation = (tread_activation)options->activation;
    setup->model = tread_mlp(setup->context, &o);
    if (setup->model == NULL)
        return TREAD_ERROR_ARGUMENT;
    tread_parameter_list parameters = tread_module_parameters(setup->model);
    for (size_t i = 0; i < parameters.count; i++)
        setup->parameters += tread_tensor_count(tread_parameter_tensor(parameters.items[i]));
    describe(setup, options, o.n_inputs, o.n_outputs);
    return TREAD_OK;
}

const char *cli_threads_reason(const char *reason) {
    return strcmp(reason, "context option") == 0 ? "--threads" : reason;
}

tread_status cli_setup_context(cli_setup *setup, const cli_setup_options *options) {
    tread_context_options o = tread_context_defaults();
    o.threads = (int)options->threads;
    o.seed = (uint64_t)options->seed;
    o.log = log_line;
    setup->context = tread_context_create(&o);
    return setup->context != NULL ? tread_precision_check(setup->context, (tread_precision)options->precision)
                                  : TREAD_ERROR_ARGUMENT;
}

tread_status cli_setup_open(cli_setup *setup, const cli_setup_options *options) {
    tread_status status = cli_data_open(&setup->data, setup->context, &options->data, (uint64_t)options->seed);
    return status == TREAD_OK ? open_model(setup, options) : status;
}

void cli_setup_close(cli_setup *setup) {
    tread_module_destroy(setup->model);
    cli_data_close(&setup->data);
    tread_context_destroy(setup->context);
}

tread_batches *cli_setup_batches(const cli_setup *setup, const tread_dataset *dataset, int64_t batch_size,
                                 bool shuffle) {
    tread_batches_options o = tread_batches_defaults();
    o.batch_size = batch_size;
    o.shuffle = shuffle;
    return tread_batches_create(setup->context, dataset, &o);
}
