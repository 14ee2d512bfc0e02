/* Layer: models. What a module is made of. */
#ifndef TREAD_MODELS_MODULE_H
#define TREAD_MODELS_MODULE_H

#include <tread/module.h>

#include "core/tensor.h"

/* Where an own parameter's initial values came from. */
typedef struct tread_module_draw {
    bool drawn; /* by the library, so that joining may draw them anew */
    uint64_t seed, index;
    uint64_t hash; /* of the values: tells whether they were changed since */
} tread_module_draw;

/* A row of the summary, filled while forward runs. */
typedef struct tread_summary_row {
    tread_module *module;
    int depth;
    bool was_training;
    bool visited;
    tread_tensor *output; /* of the tape; its data tells outputs that share memory */
} tread_summary_row;

struct tread_module {
    const tread_module_type *type;
    void *state;
    tread_context *context;
    tread_module *parent; /* NULL: a model */
    char *name;           /* in the parent; NULL: a model */
    tread_module **children;
    size_t n_children;
    tread_parameter *const *parameters; /* own, then the children's: a piece of the model's block.items */
    size_t n_parameters, n_own;
    size_t first;                /* of them in the model */
    tread_module_draw *draws;    /* (n_own) */
    tread_parameter_block block; /* a model's */
    bool training;
    tread_summary_row *row; /* while a summary runs */
};

/* Notes a module's output for the summary, if one runs; for modules that run others without tread_forward. */
void tread_module_note_output(const tread_module *module, tread_tensor *output);

/* First values for a new module: its own parameters are drawn; of its children's, those that are still as the library
 * drew them are drawn anew under their numbers in the model. */
tread_status tread_module_draw_new(tread_module *module, uint64_t seed);

/* Destroys modules that were to become children: NULLs, parts of others and what is there twice are left alone. */
void tread_module_destroy_all(tread_module *const *modules, size_t n);

/* Layers that sequential runs as one operation: whether module is linear, and, if it is an activation that tread_linear
 * knows, which (else NONE). */
bool tread_module_is_linear(const tread_module *module);
tread_activation tread_module_activation(const tread_module *module);

#endif
