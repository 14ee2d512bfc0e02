#include "models/module.h"

#include <stdio.h>
#include <string.h>

#include "autograd/op.h"
#include "core/status.h"

void tread_module_note_output(const tread_module *module, tread_tensor *output) {
    if (module->row != NULL && output != NULL) {
        module->row->visited = true;
        module->row->output = output;
    }
}

tread_tensor *tread_forward(tread_module *module, tread_tape *tape, tread_tensor *x) {
    if (tape == NULL)
        return tread_fail_null(TREAD_ERROR_ARGUMENT, "forward: the tape is NULL");
    if (module == NULL)
        return tread_tape_fail(tape, TREAD_ERROR_ARGUMENT, "forward: the module is NULL");
    if (tread_tape_status(tape) != TREAD_OK)
        return NULL;
    if (x == NULL)
        return tread_tape_fail(tape, TREAD_ERROR_ARGUMENT, "forward: the input of %s is NULL", module->type->name);
    tread_tensor *output = module->type->forward(module, tape, x);
    if (output == NULL && tread_tape_status(tape) == TREAD_OK)
        return tread_tape_fail(tape, TREAD_ERROR_CALLBACK,
                               "forward: %s returned NULL without an error of the tape; the last error was \"%s\"",
                               module->type->name, tread_last_error());
    tread_module_note_output(module, output);
    return output;
}

void tread_module_train(tread_module *module, bool training) {
    if (module == NULL)
        return;
    module->training = training;
    for (size_t i = 0; i < module->n_children; i++)
        tread_module_train(module->children[i], training);
}

bool tread_module_is_training(const tread_module *module) { return module != NULL && module->training; }

tread_parameter_list tread_module_parameters(const tread_module *module) {
    if (module == NULL)
        return (tread_parameter_list){0};
    return (tread_parameter_list){module->parameters, module->n_parameters};
}

/* Bytes of a parameter's name that lead to the module: "encoder.0." */
static size_t prefix_length(const tread_module *module) {
    size_t length = 0;
    for (; module->parent != NULL; module = module->parent)
        length += strlen(module->name) + 1;
    return length;
}

tread_parameter *tread_module_parameter(const tread_module *module, const char *name) {
    if (module == NULL || name == NULL)
        return tread_fail_null(TREAD_ERROR_ARGUMENT, "module parameter: the %s is NULL",
                               module == NULL ? "module" : "name");
    size_t prefix = prefix_length(module);
    for (size_t i = 0; i < module->n_parameters; i++)
        if (strcmp(module->parameters[i]->name + prefix, name) == 0)
            return module->parameters[i];
    char names[2048] = "";
    size_t length = 0;
    for (size_t i = 0; i < module->n_parameters && length < sizeof names; i++)
        length += (size_t)snprintf(names + length, sizeof names - length, "%s%s", i > 0 ? ", " : "",
                                   module->parameters[i]->name + prefix);
    return tread_fail_null(TREAD_ERROR_ARGUMENT, "module parameter: %s has no \"%s\"; it has %s%s", module->type->name,
                           name, module->n_parameters > 0 ? names : "none", length < sizeof names ? "" : "...");
}

void tread_module_zero_grad(tread_module *module, bool set_to_none) {
    for (size_t i = 0; module != NULL && i < module->n_parameters; i++)
        tread_tensor_zero_grad(&module->parameters[i]->tensor, set_to_none);
}

tread_tensor *tread_module_tensor(const tread_module *module, size_t i) {
    return module != NULL && i < module->n_own ? &module->parameters[i]->tensor : NULL;
}

tread_module *tread_module_child(const tread_module *module, size_t i) {
    return module != NULL && i < module->n_children ? module->children[i] : NULL;
}

size_t tread_module_n_children(const tread_module *module) { return module != NULL ? module->n_children : 0; }
void *tread_module_state(const tread_module *module) { return module != NULL ? module->state : NULL; }
const tread_module_type *tread_module_get_type(const tread_module *module) {
    return module != NULL ? module->type : NULL;
}
tread_context *tread_module_context(const tread_module *module) { return module != NULL ? module->context : NULL; }
