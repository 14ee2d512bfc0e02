/* Layer: engine. What a step of each optimizer must read and write, counted from its table. */
#ifndef TREAD_ENGINE_PROFILE_STEP_TRAFFIC_H
#define TREAD_ENGINE_PROFILE_STEP_TRAFFIC_H

#include "engine/profile/bandwidth.h"
#include "optim/type.h"

#define TREAD_MAX_PASSES 2

/* The passes of a step over arrays of one float per parameter. A step changes the parameter and every slot that its
 * options need, and reads the gradient. One with norms of whole parameters (reduce) does so in two passes: the first
 * reads parameter and gradient and changes the slots; the second changes the parameter, and reads again the slots that
 * its direction is made of, of which LAMB has two whatever its options. */
typedef struct tread_step_traffic {
    int n_passes; /* 0: not counted, since parameters are updated as a whole or by a solver */
    tread_traffic passes[TREAD_MAX_PASSES];
    int arrays; /* that are held: parameter, gradient, slots */
    int bytes;  /* a parameter */
} tread_step_traffic;

tread_step_traffic tread_step_traffic_of(const tread_optimizer_type *type, const void *options);

#endif
