/* Initial values: parameter i of a model comes from number stream i of a seed. */
#include <xxhash.h>

#include "core/status.h"
#include "core/streams.h"
#include "models/module.h"

static uint64_t hash_of(const tread_tensor *x) { return XXH3_64bits(x->data, tread_tensor_bytes(x)); }

static tread_status draw_own(tread_module *module, size_t i, uint64_t seed, bool by_library) {
    tread_tensor *x = &module->parameters[i]->tensor;
    uint64_t index = module->first + i;
    if (module->type->initialize == NULL) {
        TREAD_TRY(tread_tensor_fill(x, 0));
    } else {
        tread_rng rng = tread_rng_create(seed, TREAD_STREAM_INITIALIZER + index);
        TREAD_TRY(module->type->initialize(module, i, x, &rng));
    }
    module->draws[i] = (tread_module_draw){by_library, seed, index, hash_of(x)};
    return TREAD_OK;
}

static tread_status draw_all(tread_module *module, uint64_t seed) {
    for (size_t i = 0; i < module->n_own; i++)
        TREAD_TRY(draw_own(module, i, seed, false));
    for (size_t i = 0; i < module->n_children; i++)
        TREAD_TRY(draw_all(module->children[i], seed));
    return TREAD_OK;
}

/* Draws anew what is still as the library drew it. */
static tread_status redraw(tread_module *module, uint64_t seed) {
    for (size_t i = 0; i < module->n_own; i++) {
        tread_module_draw *before = &module->draws[i];
        if (!before->drawn || (before->seed == seed && before->index == module->first + i))
            continue;
        before->drawn = hash_of(&module->parameters[i]->tensor) == before->hash;
        if (before->drawn)
            TREAD_TRY(draw_own(module, i, seed, true));
    }
    for (size_t i = 0; i < module->n_children; i++)
        TREAD_TRY(redraw(module->children[i], seed));
    return TREAD_OK;
}

tread_status tread_module_draw_new(tread_module *module, uint64_t seed) {
    for (size_t i = 0; i < module->n_own; i++)
        TREAD_TRY(draw_own(module, i, seed, true));
    for (size_t i = 0; i < module->n_children; i++)
        TREAD_TRY(redraw(module->children[i], seed));
    return TREAD_OK;
}

tread_status tread_module_initialize(tread_module *module, uint64_t seed) {
    if (module == NULL)
        return tread_fail(TREAD_ERROR_ARGUMENT, "module initialize: the module is NULL");
    return draw_all(module, seed);
}
