/* Layer: engine. The parameters and optimizers that a sweep over one layout works on. */
#ifndef TREAD_ENGINE_PROFILE_SWEEP_WORLD_H
#define TREAD_ENGINE_PROFILE_SWEEP_WORLD_H

#include "core/tensor.h"
#include "engine/profile/optimizer_sweep.h"
#include "optim/optimizer.h"

/* Parameters in one block, as a model's, with gradients that are there. */
typedef struct tread_sweep_params {
    tread_parameter_block block;
    int64_t elements;
} tread_sweep_params;

typedef struct tread_sweep_world {
    tread_sweep_params params;
    /* By spec and thread count. Elementwise optimizers share their state among thread counts, and change the context
     * from step to step; those that plan for a context, such as Muon, are made for each. */
    tread_optimizer **optimizers;
    /* By spec: one small tensor in the cache, one thread. NULL where the traffic is not counted. */
    tread_sweep_params *small_params;
    tread_optimizer **small;
    size_t n_specs, n_threads;
} tread_sweep_world;

/* TREAD_ERROR_MEMORY, TREAD_ERROR_SHAPE; destroy it all the same. */
tread_status tread_sweep_world_create(tread_sweep_world *world, const tread_sweep *sweep,
                                      const tread_tensor_layout *layout);
void tread_sweep_world_destroy(tread_sweep_world *world);

/* Bytes that a spec's step works on. */
size_t tread_sweep_working_set(const tread_sweep_spec *spec, int64_t elements);

#endif
