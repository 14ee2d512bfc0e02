/* Layer: optim. The fields by which an algorithm takes over PyTorch's form of itself (enums of optimizers.h). */
#ifndef TREAD_OPTIM_CONVENTIONS_H
#define TREAD_OPTIM_CONVENTIONS_H

#include "optim/type.h"

static const char *const tread_momentum_conventions[] = {"velocity", "pytorch", NULL};
static const char *const tread_eps_placements[] = {"inside", "outside", NULL};

#define TREAD_FIELD_MOMENTUM_CONVENTION(struct_name)                                                                   \
    {                                                                                                                  \
        .name = "convention", .kind = TREAD_FIELD_CHOICE, .offset = offsetof(struct_name, convention),                 \
        .choices = tread_momentum_conventions, .identity = true,                                                       \
        .doc = "lr inside the velocity, or outside as in PyTorch"                                                      \
    }
#define TREAD_FIELD_EPS_PLACEMENT(struct_name)                                                                         \
    {                                                                                                                  \
        .name = "eps_placement", .kind = TREAD_FIELD_CHOICE, .offset = offsetof(struct_name, eps_placement),           \
        .choices = tread_eps_placements, .identity = true, .doc = "eps inside the root, or outside as in PyTorch"      \
    }

#endif
