#include <tread/models.h>

#include "core/memory.h"
#include "core/options.h"
#include "core/status.h"
#include "models/module.h"

tread_mlp_options tread_mlp_defaults(void) {
    return (tread_mlp_options){.size = sizeof(tread_mlp_options), .activation = TREAD_ACTIVATION_RELU, .bias = true};
}

static tread_status check(const tread_mlp_options *o) {
    if (o->n_inputs < 1 || o->n_outputs < 1)
        return tread_fail(TREAD_ERROR_ARGUMENT, "mlp: %s = %lld is not at least 1",
                          o->n_inputs < 1 ? "n_inputs" : "n_outputs",
                          (long long)(o->n_inputs < 1 ? o->n_inputs : o->n_outputs));
    if (o->hidden == NULL && o->n_hidden > 0)
        return tread_fail(TREAD_ERROR_ARGUMENT, "mlp: hidden is NULL, and n_hidden is %zu", o->n_hidden);
    for (size_t i = 0; i < o->n_hidden; i++)
        if (o->hidden[i] < 1)
            return tread_fail(TREAD_ERROR_ARGUMENT, "mlp: hidden[%zu] = %lld is not at least 1", i,
                              (long long)o->hidden[i]);
    if ((unsigned)o->activation >= TREAD_ACTIVATION_COUNT)
        return tread_fail(TREAD_ERROR_ARGUMENT, "mlp: activation = %d is outside [0, %d)", (int)o->activation,
                          TREAD_ACTIVATION_COUNT);
    if (!(o->dropout >= 0 && o->dropout < 1))
        return tread_fail(TREAD_ERROR_ARGUMENT, "mlp: dropout = %g is outside [0, 1)", o->dropout);
    return TREAD_OK;
}

/* The layers so far; `failed` once one could not be made. */
typedef struct layer_list {
    tread_module **items;
    size_t count;
    bool failed;
} layer_list;

static void append(layer_list *list, tread_module *layer) {
    if (layer == NULL)
        list->failed = true;
    else
        list->items[list->count++] = layer;
}

static void append_hidden(tread_context *context, const tread_mlp_options *o, int64_t n_inputs, int64_t n,
                          layer_list *list) {
    append(list, tread_linear_layer(context, n_inputs, n, o->bias));
    if (o->layer_norm && !list->failed)
        append(list, tread_layer_norm_layer(context, n, 1e-5, true));
    if (!list->failed)
        append(list, tread_activation_layer(context, o->activation));
    if (o->dropout > 0 && !list->failed)
        append(list, tread_dropout_layer(context, o->dropout));
}

tread_module *tread_mlp(tread_context *context, const tread_mlp_options *options) {
    tread_mlp_options o = tread_mlp_defaults();
    if (tread_options_read("mlp", options, &o, sizeof o) != TREAD_OK || check(&o) != TREAD_OK)
        return NULL;
    size_t most = 1; /* 4 layers for each hidden size, and the last */
    if (__builtin_mul_overflow(o.n_hidden, 4, &most) || __builtin_add_overflow(most, 1, &most))
        return tread_fail_null(TREAD_ERROR_ARGUMENT, "mlp: n_hidden = %zu is too many", o.n_hidden);
    layer_list list = {.items = tread_calloc(most, sizeof *list.items, "a model's layers")};
    if (list.items == NULL)
        return NULL;
    int64_t n_inputs = o.n_inputs;
    for (size_t i = 0; i < o.n_hidden && !list.failed; i++) {
        append_hidden(context, &o, n_inputs, o.hidden[i], &list);
        n_inputs = o.hidden[i];
    }
    if (!list.failed)
        append(&list, tread_linear_layer(context, n_inputs, o.n_outputs, o.bias));
    if (!list.failed)
        list.items[list.count - 1]->parameters[0]->role = TREAD_ROLE_OUTPUT;
    tread_module *model = NULL;
    if (list.failed)
        tread_module_destroy_all(list.items, list.count);
    else
        model = tread_sequential(context, list.items, list.count);
    tread_free(list.items);
    return model;
}
