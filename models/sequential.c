#include <stdio.h>

#include "core/memory.h"
#include "core/status.h"
#include "models/module.h"

/* A linear layer and an activation that tread_linear knows behind it: one operation, one buffer less to write and read.
 */
static tread_tensor *forward_fused(tread_module *linear, tread_module *activation, tread_tape *tape, tread_tensor *x) {
    tread_tensor *y = tread_linear(tape, x, tread_module_tensor(linear, 0), tread_module_tensor(linear, 1),
                                   tread_module_activation(activation));
    tread_module_note_output(linear, y);
    tread_module_note_output(activation, y);
    return y;
}

static tread_tensor *sequential_forward(tread_module *module, tread_tape *tape, tread_tensor *x) {
    for (size_t i = 0; i < module->n_children && x != NULL; i++) {
        tread_module *layer = module->children[i];
        tread_module *next = i + 1 < module->n_children ? module->children[i + 1] : NULL;
        if (next != NULL && tread_module_is_linear(layer) && tread_module_activation(next) != TREAD_ACTIVATION_NONE) {
            x = forward_fused(layer, next, tape, x);
            i++;
        } else {
            x = tread_forward(layer, tape, x);
        }
    }
    return x;
}

static const tread_module_type sequential_type = {.name = "sequential", .forward = sequential_forward};

/* The children with their names behind them. */
typedef struct named_layers {
    tread_named_module *children;
    char (*names)[24];
} named_layers;

tread_module *tread_sequential(tread_context *context, tread_module *const *layers, size_t n) {
    if (layers == NULL && n > 0)
        return tread_fail_null(TREAD_ERROR_ARGUMENT, "sequential: layers is NULL");
    named_layers named = {.children = tread_calloc(n, sizeof *named.children, "a module's children")};
    if (named.children != NULL)
        named.names = tread_calloc(n, sizeof *named.names, "a module's names");
    tread_module *module = NULL;
    if (named.names != NULL) {
        for (size_t i = 0; i < n; i++) {
            snprintf(named.names[i], sizeof named.names[i], "%zu", i);
            named.children[i] = (tread_named_module){named.names[i], layers[i]};
        }
        module = tread_module_create(context, &sequential_type, NULL, NULL, 0, named.children, n);
    } else {
        tread_module_destroy_all(layers, n);
    }
    tread_free(named.names);
    tread_free(named.children);
    return module;
}
