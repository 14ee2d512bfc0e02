/* Initial values: parameter i of a model comes from number stream i of a seed. */
#include <string.h>

#include "core/status.h"
#include "core/streams.h"
#include "models/module.h"

static tread_status draw(const tread_module *module, size_t i, uint64_t seed, uint64_t index, tread_tensor *x) {
    if (module->type->initialize == NULL)
        return tread_tensor_fill(x, 0);
    tread_rng rng = tread_rng_create(seed, TREAD_STREAM_INITIALIZER + index);
    return module->type->initialize(module, i, x, &rng);
}

static tread_status draw_own(tread_module *module, size_t i, uint64_t seed, bool by_library) {
    TREAD_TRY(draw(module, i, seed, module->first + i, &module->parameters[i]->tensor));
    module->draws[i] = (tread_module_draw){by_library, seed, module->first + i};
    return TREAD_OK;
}

static tread_status draw_all(tread_module *module, uint64_t seed) {
    for (size_t i = 0; i < module->n_own; i++)
        TREAD_TRY(draw_own(module, i, seed, false));
    for (size_t i = 0; i < module->n_children; i++)
        TREAD_TRY(draw_all(module->children[i], seed));
    return TREAD_OK;
}

/* Whether the values are still those that were drawn, told by drawing them again. */
static tread_status is_as_drawn(const tread_module *module, size_t i, bool *ret_same) {
    const tread_tensor *x = &module->parameters[i]->tensor;
    tread_tensor *again = tread_tensor_create(x->dtype, x->rank, x->shape);
    if (again == NULL)
        return TREAD_ERROR_MEMORY;
    tread_status status = draw(module, i, module->draws[i].seed, module->draws[i].index, again);
    *ret_same = status == TREAD_OK && memcmp(again->data, x->data, tread_tensor_bytes(x)) == 0;
    tread_tensor_destroy(again);
    return status;
}

static tread_status redraw(tread_module *module, uint64_t seed) {
    for (size_t i = 0; i < module->n_own; i++) {
        const tread_module_draw *before = &module->draws[i];
        bool same = false;
        if (!before->drawn || (before->seed == seed && before->index == module->first + i))
            continue;
        TREAD_TRY(is_as_drawn(module, i, &same));
        if (same)
            TREAD_TRY(draw_own(module, i, seed, true));
        else
            module->draws[i].drawn = false;
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
