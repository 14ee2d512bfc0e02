#include "engine/profile/sweep_world.h"

#include <string.h>
#include <tread/groups.h>

#include "core/memory.h"
#include "core/status.h"
#include "core/topology.h"

#define LINE_FLOATS (TREAD_ALIGNMENT / (int64_t)sizeof(float))
#define CACHE_OF_ITS_OWN ((size_t)256 << 10) /* of a core, where it is not known */

size_t tread_sweep_working_set(const tread_sweep_spec *spec, int64_t elements) {
    return (size_t)spec->traffic.arrays * sizeof(float) * (size_t)elements;
}

/* Measured with a million tensors: 0.85 KB for a parameter, and 0.26 for what an optimizer keeps of it; LAMB more. */
#define HANDLE_BYTES 1000
#define ITEM_BYTES 400

/* Values that no optimizer drives to where a CPU computes more slowly. */
static void fill(tread_sweep_params *params) {
    for (size_t i = 0; i < params->block.count; i++) {
        tread_tensor *x = &params->block.items[i]->tensor;
        float *values = x->data, *gradient = x->grad->data;
        for (int64_t e = 0; e < x->count; e++) {
            values[e] = (float)(e % 97 - 48) * 1e-2f;
            gradient[e] = (float)(e % 1001 - 500) * 1e-4f;
        }
        x->grad_state = TREAD_GRAD_DENSE;
    }
}

static tread_status create_params(const tread_tensor_layout *layout, tread_sweep_params *ret_params) {
    const size_t n = (size_t)layout->tensors;
    tread_parameter **items = tread_calloc(n, sizeof(tread_parameter *), "the parameters of a layout");
    if (items == NULL)
        return TREAD_ERROR_MEMORY;
    tread_status status = TREAD_OK;
    size_t made = 0;
    for (size_t r = 0; r < layout->n_runs && status == TREAD_OK; r++)
        for (int64_t i = 0; i < layout->runs[r].count && status == TREAD_OK; i++) {
            items[made] = tread_parameter_create(NULL, layout->runs[r].rank, layout->runs[r].shape);
            status = items[made] != NULL ? TREAD_OK : TREAD_ERROR_MEMORY;
            made += items[made] != NULL;
        }
    if (status == TREAD_OK)
        status = tread_parameter_block_create(items, n, &ret_params->block);
    for (size_t i = 0; i < made && status != TREAD_OK; i++)
        tread_parameter_destroy(items[i]);
    tread_free(items);
    if (status == TREAD_OK) {
        ret_params->elements = layout->elements;
        fill(ret_params);
    }
    return status;
}

static tread_parameter_list list_of(const tread_sweep_params *params) {
    return (tread_parameter_list){params->block.items, params->block.count};
}

static tread_status create_optimizers(tread_sweep_world *world, const tread_sweep *sweep, size_t s) {
    const tread_sweep_spec *spec = &sweep->specs[s];
    tread_optimizer **own = world->optimizers + s * sweep->n_threads;
    for (size_t t = 0; t < sweep->n_threads; t++) {
        if (t > 0 && spec->type->whole_tensor == NULL) {
            own[t] = own[0];
            continue;
        }
        own[t] = tread_optimizer_from_groups(sweep->contexts[t], list_of(&world->params), spec->text, NULL);
        if (own[t] == NULL)
            return TREAD_ERROR_MEMORY;
    }
    return TREAD_OK;
}

/* Half of a core's cache, so that what else the step touches leaves it there. */
static tread_status create_small(tread_sweep_world *world, const tread_sweep *sweep, size_t s) {
    const tread_sweep_spec *spec = &sweep->specs[s];
    if (spec->traffic.n_passes == 0)
        return TREAD_OK;
    const size_t l2 = tread_hardware_get()->cache_l2, cache = l2 > 0 ? l2 : CACHE_OF_ITS_OWN;
    const int64_t n = (int64_t)(cache / 2 / tread_sweep_working_set(spec, 1)) / LINE_FLOATS * LINE_FLOATS;
    const tread_tensor_layout flat = {
        .text = "", .tensors = 1, .elements = n, .n_runs = 1, .runs = {{.count = 1, .rank = 1, .shape = {n, 0}}}};
    TREAD_TRY(create_params(&flat, &world->small_params[s]));
    world->small[s] = tread_optimizer_from_groups(sweep->alone, list_of(&world->small_params[s]), spec->text, NULL);
    return world->small[s] != NULL ? TREAD_OK : TREAD_ERROR_MEMORY;
}

/* What Muon is not for goes to AdamW, unless the spec says that it does not. */
static tread_status check_shapes(const tread_sweep_spec *spec, const tread_tensor_layout *layout) {
    for (size_t r = 0; r < layout->n_runs; r++)
        if (spec->type->create_workspace != NULL && strstr(spec->text, "rule=muon") != NULL &&
            layout->runs[r].rank != 2)
            return tread_fail(TREAD_ERROR_SHAPE, "layout %s: %s is for matrices, and this has tensors of one axis",
                              layout->text, spec->text);
    return TREAD_OK;
}

tread_status tread_sweep_world_create(tread_sweep_world *world, const tread_sweep *sweep,
                                      const tread_tensor_layout *layout) {
    *world = (tread_sweep_world){.n_specs = sweep->n_specs, .n_threads = sweep->n_threads};
    world->optimizers = tread_calloc(sweep->n_specs * sweep->n_threads, sizeof *world->optimizers, "a sweep");
    world->small_params = tread_calloc(sweep->n_specs, sizeof *world->small_params, "a sweep");
    world->small = tread_calloc(sweep->n_specs, sizeof *world->small, "a sweep");
    if (world->optimizers == NULL || world->small_params == NULL || world->small == NULL)
        return TREAD_ERROR_MEMORY;
    for (size_t s = 0; s < sweep->n_specs; s++)
        TREAD_TRY(check_shapes(&sweep->specs[s], layout));
    TREAD_TRY(create_params(layout, &world->params));
    for (size_t s = 0; s < sweep->n_specs; s++) {
        TREAD_TRY(create_optimizers(world, sweep, s));
        TREAD_TRY(create_small(world, sweep, s));
    }
    return TREAD_OK;
}

void tread_sweep_world_destroy(tread_sweep_world *world) {
    for (size_t i = 0; world->optimizers != NULL && i < world->n_specs * world->n_threads; i++)
        if (i % world->n_threads == 0 || world->optimizers[i] != world->optimizers[i - 1])
            tread_optimizer_destroy(world->optimizers[i]);
    for (size_t s = 0; s < world->n_specs; s++) {
        if (world->small != NULL)
            tread_optimizer_destroy(world->small[s]);
        if (world->small_params != NULL)
            tread_parameter_block_destroy(&world->small_params[s].block);
    }
    tread_parameter_block_destroy(&world->params.block);
    tread_free(world->optimizers);
    tread_free(world->small_params);
    tread_free(world->small);
    *world = (tread_sweep_world){.n_specs = 0};
}

/* A block's parameters are made one by one, and copied into it: twice parameter and gradient for a moment. */
double tread_sweep_bytes(const tread_sweep *sweep, const tread_tensor_layout *layout) {
    double floats = 0, arrays = 2;
    for (size_t r = 0; r < layout->n_runs; r++) {
        const tread_tensor_run *run = &layout->runs[r];
        const int64_t n = run->rank == 2 ? run->shape[0] * run->shape[1] : run->shape[0];
        floats += (double)run->count * (double)((n + LINE_FLOATS - 1) / LINE_FLOATS * LINE_FLOATS);
    }
    for (size_t s = 0; s < sweep->n_specs; s++)
        arrays += (sweep->specs[s].traffic.arrays - 2) *
                  (double)(sweep->specs[s].type->whole_tensor != NULL ? sweep->n_threads : 1);
    const double handles = (double)layout->tensors * (double)(HANDLE_BYTES + sweep->n_specs * ITEM_BYTES);
    return sizeof(float) * floats * (arrays > 4 ? arrays : 4) + handles + (double)sweep->memory_bytes;
}
