/* Layers without children. */
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <tread/init.h>

#include "autograd/op.h"
#include "core/memory.h"
#include "core/status.h"
#include "models/module.h"

/* --- linear --- */

static tread_tensor *linear_forward(tread_module *module, tread_tape *tape, tread_tensor *x) {
    return tread_linear(tape, x, tread_module_tensor(module, 0), tread_module_tensor(module, 1), TREAD_ACTIVATION_NONE);
}

static tread_status linear_initialize(const tread_module *module, size_t i, tread_tensor *parameter, tread_rng *rng) {
    (void)i;
    double bound = sqrt(1.0 / (double)tread_tensor_dim(tread_module_tensor(module, 0), 1));
    return tread_init_uniform(module->context, parameter, rng, -bound, bound);
}

static void linear_describe(const tread_module *module, char *ret_text, size_t size) {
    const int64_t *shape = tread_tensor_shape(tread_module_tensor(module, 0));
    snprintf(ret_text, size, "%lld -> %lld%s", (long long)shape[1], (long long)shape[0],
             module->n_own == 1 ? ", no bias" : "");
}

static const tread_module_type linear_type = {
    .name = "linear",
    .forward = linear_forward,
    .initialize = linear_initialize,
    .describe = linear_describe,
};

bool tread_module_is_linear(const tread_module *module) { return module->type == &linear_type; }

tread_module *tread_linear_layer(tread_context *context, int64_t n_inputs, int64_t n_outputs, bool bias) {
    if (n_inputs < 1 || n_outputs < 1)
        return tread_fail_null(TREAD_ERROR_ARGUMENT, "linear_layer: %s = %lld is not at least 1",
                               n_inputs < 1 ? "n_inputs" : "n_outputs",
                               (long long)(n_inputs < 1 ? n_inputs : n_outputs));
    const tread_parameter_shape parameters[] = {{"weight", 2, {n_outputs, n_inputs}, TREAD_ROLE_WEIGHT},
                                                {"bias", 1, {n_outputs}, TREAD_ROLE_BIAS}};
    return tread_module_create(context, &linear_type, NULL, parameters, bias ? 2 : 1, NULL, 0);
}

/* --- activations: one type each, whose place in the table is the activation --- */

static tread_tensor *activation_forward(tread_module *module, tread_tape *tape, tread_tensor *x) {
    switch (tread_module_activation(module)) {
    case TREAD_ACTIVATION_NONE: return x;
    case TREAD_ACTIVATION_RELU: return tread_relu(tape, x);
    case TREAD_ACTIVATION_LEAKY_RELU: return tread_leaky_relu(tape, x, 0.01);
    case TREAD_ACTIVATION_GELU: return tread_gelu(tape, x);
    case TREAD_ACTIVATION_SILU: return tread_silu(tape, x);
    case TREAD_ACTIVATION_TANH: return tread_tanh(tape, x);
    case TREAD_ACTIVATION_SIGMOID: return tread_sigmoid(tape, x);
    }
    return NULL;
}

static const tread_module_type activation_types[TREAD_ACTIVATION_COUNT] = {
    [TREAD_ACTIVATION_NONE] = {.name = "identity", .forward = activation_forward},
    [TREAD_ACTIVATION_RELU] = {.name = "relu", .forward = activation_forward},
    [TREAD_ACTIVATION_LEAKY_RELU] = {.name = "leaky_relu", .forward = activation_forward},
    [TREAD_ACTIVATION_GELU] = {.name = "gelu", .forward = activation_forward},
    [TREAD_ACTIVATION_SILU] = {.name = "silu", .forward = activation_forward},
    [TREAD_ACTIVATION_TANH] = {.name = "tanh", .forward = activation_forward},
    [TREAD_ACTIVATION_SIGMOID] = {.name = "sigmoid", .forward = activation_forward},
};

tread_activation tread_module_activation(const tread_module *module) {
    for (int i = 0; i < TREAD_ACTIVATION_COUNT; i++)
        if (module->type == &activation_types[i])
            return (tread_activation)i;
    return TREAD_ACTIVATION_NONE;
}

tread_module *tread_activation_layer(tread_context *context, tread_activation activation) {
    if ((unsigned)activation >= TREAD_ACTIVATION_COUNT)
        return tread_fail_null(TREAD_ERROR_ARGUMENT, "activation_layer: activation = %d is outside [0, %d)",
                               (int)activation, TREAD_ACTIVATION_COUNT);
    return tread_module_create(context, &activation_types[activation], NULL, NULL, 0, NULL, 0);
}

/* --- Layers whose state is a number or two --- */

typedef struct numbers {
    double real; /* slope, p, eps */
    int64_t n;
} numbers;

static tread_module *create_with(tread_context *context, const tread_module_type *type, double real, int64_t n,
                                 const tread_parameter_shape *parameters, size_t n_parameters) {
    numbers *state = tread_alloc(sizeof *state, "a module's state");
    if (state == NULL)
        return NULL;
    *state = (numbers){real, n};
    return tread_module_create(context, type, state, parameters, n_parameters, NULL, 0);
}

static double real_of(const tread_module *module) { return ((const numbers *)module->state)->real; }

static tread_tensor *leaky_relu_forward(tread_module *module, tread_tape *tape, tread_tensor *x) {
    return tread_leaky_relu(tape, x, real_of(module));
}

static void leaky_relu_describe(const tread_module *module, char *ret_text, size_t size) {
    snprintf(ret_text, size, "slope %g", real_of(module));
}

static const tread_module_type leaky_relu_type = {
    .name = "leaky_relu", .forward = leaky_relu_forward, .describe = leaky_relu_describe, .destroy = tread_free};

tread_module *tread_leaky_relu_layer(tread_context *context, double slope) {
    if (!isfinite(slope))
        return tread_fail_null(TREAD_ERROR_ARGUMENT, "leaky_relu_layer: slope = %g is not finite", slope);
    return create_with(context, &leaky_relu_type, slope, 0, NULL, 0);
}

static tread_tensor *dropout_forward(tread_module *module, tread_tape *tape, tread_tensor *x) {
    return module->training && real_of(module) > 0 ? tread_dropout(tape, x, real_of(module)) : x;
}

static void dropout_describe(const tread_module *module, char *ret_text, size_t size) {
    snprintf(ret_text, size, "p %g", real_of(module));
}

static const tread_module_type dropout_type = {
    .name = "dropout", .forward = dropout_forward, .describe = dropout_describe, .destroy = tread_free};

tread_module *tread_dropout_layer(tread_context *context, double p) {
    if (!(p >= 0 && p < 1))
        return tread_fail_null(TREAD_ERROR_ARGUMENT, "dropout_layer: p = %g is outside [0, 1)", p);
    return create_with(context, &dropout_type, p, 0, NULL, 0);
}

/* --- layer_norm --- */

static tread_tensor *layer_norm_forward(tread_module *module, tread_tape *tape, tread_tensor *x) {
    const numbers *state = module->state;
    char text[TREAD_SHAPE_TEXT];
    if (tread_tensor_dim(x, -1) != state->n)
        return tread_tape_fail(tape, TREAD_ERROR_SHAPE, "layer_norm: the last axis of %s is not %lld",
                               tread_shape_text(text, x->rank, x->shape), (long long)state->n);
    return tread_layer_norm(tape, x, tread_module_tensor(module, 0), tread_module_tensor(module, 1), state->real);
}

static tread_status layer_norm_initialize(const tread_module *module, size_t i, tread_tensor *parameter,
                                          tread_rng *rng) {
    (void)module;
    (void)rng;
    return tread_init_constant(parameter, i == 0 ? 1 : 0);
}

static void layer_norm_describe(const tread_module *module, char *ret_text, size_t size) {
    const numbers *state = module->state;
    snprintf(ret_text, size, "%lld, eps %g%s", (long long)state->n, state->real,
             module->n_own == 0 ? ", not affine" : "");
}

static const tread_module_type layer_norm_type = {
    .name = "layer_norm",
    .forward = layer_norm_forward,
    .initialize = layer_norm_initialize,
    .describe = layer_norm_describe,
    .destroy = tread_free,
};

tread_module *tread_layer_norm_layer(tread_context *context, int64_t n, double eps, bool affine) {
    if (n < 1)
        return tread_fail_null(TREAD_ERROR_ARGUMENT, "layer_norm_layer: n = %lld is not at least 1", (long long)n);
    if (!(eps > 0 && eps <= DBL_MAX))
        return tread_fail_null(TREAD_ERROR_ARGUMENT, "layer_norm_layer: eps = %g is not positive and finite", eps);
    const tread_parameter_shape parameters[] = {{"weight", 1, {n}, TREAD_ROLE_NORM}, {"bias", 1, {n}, TREAD_ROLE_NORM}};
    return create_with(context, &layer_norm_type, eps, n, parameters, affine ? 2 : 0);
}
