/* Embedding layers, and the classifier that begins with one. */
#include <stdio.h>
#include <string.h>
#include <tread/init.h>
#include <tread/models.h>

#include "core/memory.h"
#include "core/options.h"
#include "core/status.h"
#include "models/module.h"

/* --- Layers: the options are an embedding bag's in both --- */

static const tread_embedding_bag_options *options_of(const tread_module *module) { return module->state; }

static tread_tensor *embedding_forward(tread_module *module, tread_tape *tape, tread_tensor *x) {
    tread_embedding_options options = tread_embedding_defaults();
    options.padding_idx = options_of(module)->padding_idx;
    options.sparse = options_of(module)->sparse;
    return tread_embedding(tape, tread_module_tensor(module, 0), x, &options);
}

static tread_tensor *bag_forward(tread_module *module, tread_tape *tape, tread_tensor *x) {
    return tread_embedding_bag(tape, tread_module_tensor(module, 0), x, NULL, options_of(module));
}

static tread_status initialize(const tread_module *module, size_t i, tread_tensor *parameter, tread_rng *rng) {
    (void)i;
    const int64_t padding = options_of(module)->padding_idx, width = parameter->shape[1];
    TREAD_TRY(tread_init_normal(module->context, parameter, rng, 0, 1));
    if (padding != TREAD_NO_PADDING)
        memset((float *)parameter->data + padding * width, 0, (size_t)width * sizeof(float));
    return TREAD_OK;
}

static const char *mode_name(tread_bag_mode mode) {
    return mode == TREAD_BAG_SUM ? "sum" : mode == TREAD_BAG_MEAN ? "mean" : "max";
}

static const tread_module_type bag_type;

static void describe(const tread_module *module, char *ret_text, size_t size) {
    const tread_embedding_bag_options *o = options_of(module);
    const int64_t *shape = tread_tensor_shape(tread_module_tensor(module, 0));
    char padding[32] = "";
    if (o->padding_idx != TREAD_NO_PADDING)
        snprintf(padding, sizeof padding, ", padding %lld", (long long)o->padding_idx);
    snprintf(ret_text, size, "%lld x %lld%s%s%s%s", (long long)shape[0], (long long)shape[1],
             module->type == &bag_type ? ", " : "", module->type == &bag_type ? mode_name(o->mode) : "", padding,
             o->sparse ? ", sparse" : "");
}

static const tread_module_type embedding_type = {.name = "embedding",
                                                 .forward = embedding_forward,
                                                 .initialize = initialize,
                                                 .describe = describe,
                                                 .destroy = tread_free};
static const tread_module_type bag_type = {.name = "embedding_bag",
                                           .forward = bag_forward,
                                           .initialize = initialize,
                                           .describe = describe,
                                           .destroy = tread_free};

static tread_module *create(tread_context *context, const tread_module_type *type, int64_t n_rows, int64_t width,
                            const tread_embedding_bag_options *o) {
    if (n_rows < 1 || n_rows > INT32_MAX)
        return tread_fail_null(TREAD_ERROR_ARGUMENT, "%s_layer: n_rows = %lld is outside [1, %d]", type->name,
                               (long long)n_rows, INT32_MAX);
    if (width < 1)
        return tread_fail_null(TREAD_ERROR_ARGUMENT, "%s_layer: width = %lld is not at least 1", type->name,
                               (long long)width);
    if (o->padding_idx != TREAD_NO_PADDING && (o->padding_idx < 0 || o->padding_idx >= n_rows))
        return tread_fail_null(TREAD_ERROR_ARGUMENT,
                               "%s_layer: padding_idx = %lld is neither in [0, %lld) nor TREAD_NO_PADDING", type->name,
                               (long long)o->padding_idx, (long long)n_rows);
    if ((unsigned)o->mode > TREAD_BAG_MAX)
        return tread_fail_null(TREAD_ERROR_ARGUMENT, "%s_layer: mode = %d is none of sum (%d), mean (%d), max (%d)",
                               type->name, (int)o->mode, TREAD_BAG_SUM, TREAD_BAG_MEAN, TREAD_BAG_MAX);
    tread_embedding_bag_options *state = tread_alloc(sizeof *state, "a module's state");
    if (state == NULL)
        return NULL;
    *state = *o;
    const tread_parameter_shape weight = {"weight", 2, {n_rows, width}, TREAD_ROLE_EMBEDDING};
    return tread_module_create(context, type, state, &weight, 1, NULL, 0);
}

tread_module *tread_embedding_layer(tread_context *context, int64_t n_rows, int64_t width,
                                    const tread_embedding_options *options) {
    tread_embedding_options o = tread_embedding_defaults();
    if (tread_options_read("embedding_layer", options, &o, sizeof o) != TREAD_OK)
        return NULL;
    tread_embedding_bag_options kept = tread_embedding_bag_defaults();
    kept.padding_idx = o.padding_idx;
    kept.sparse = o.sparse;
    return create(context, &embedding_type, n_rows, width, &kept);
}

tread_module *tread_embedding_bag_layer(tread_context *context, int64_t n_rows, int64_t width,
                                        const tread_embedding_bag_options *options) {
    tread_embedding_bag_options o = tread_embedding_bag_defaults();
    if (tread_options_read("embedding_bag_layer", options, &o, sizeof o) != TREAD_OK)
        return NULL;
    o.size = sizeof o;
    return create(context, &bag_type, n_rows, width, &o);
}

/* --- The classifier --- */

tread_embedding_classifier_options tread_embedding_classifier_defaults(void) {
    return (tread_embedding_classifier_options){.size = sizeof(tread_embedding_classifier_options),
                                                .width = 64,
                                                .mode = TREAD_BAG_MEAN,
                                                .activation = TREAD_ACTIVATION_RELU};
}

/* The fields that the bag and the MLP know under other names are checked here. */
static tread_status check(const tread_embedding_classifier_options *o) {
    if (o->vocabulary < 1 || o->vocabulary > INT32_MAX)
        return tread_fail(TREAD_ERROR_ARGUMENT, "embedding_classifier: vocabulary = %lld is outside [1, %d]",
                          (long long)o->vocabulary, INT32_MAX);
    if (o->width < 1 || o->n_classes < 1)
        return tread_fail(TREAD_ERROR_ARGUMENT, "embedding_classifier: %s = %lld is not at least 1",
                          o->width < 1 ? "width" : "n_classes", (long long)(o->width < 1 ? o->width : o->n_classes));
    return TREAD_OK;
}

tread_module *tread_embedding_classifier(tread_context *context, const tread_embedding_classifier_options *options) {
    tread_embedding_classifier_options o = tread_embedding_classifier_defaults();
    if (tread_options_read("embedding_classifier", options, &o, sizeof o) != TREAD_OK || check(&o) != TREAD_OK)
        return NULL;
    tread_embedding_bag_options bag = tread_embedding_bag_defaults();
    bag.padding_idx = o.padding_idx;
    bag.sparse = o.sparse;
    bag.mode = o.mode;
    tread_mlp_options mlp = tread_mlp_defaults();
    mlp.n_inputs = o.width;
    mlp.hidden = o.hidden;
    mlp.n_hidden = o.n_hidden;
    mlp.n_outputs = o.n_classes;
    mlp.activation = o.activation;
    mlp.dropout = o.dropout;
    tread_module *first = tread_embedding_bag_layer(context, o.vocabulary, o.width, &bag);
    tread_module *rest = first != NULL ? tread_mlp(context, &mlp) : NULL;
    if (rest == NULL) {
        (void)tread_fail_prefix(TREAD_ERROR_ARGUMENT, "embedding_classifier: ");
        tread_module_destroy(first);
        return NULL;
    }
    return tread_sequential(context, TREAD_LAYERS(first, rest));
}
