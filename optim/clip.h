/* Layer: optim. Clipping as the public functions and a step share it. */
#ifndef TREAD_OPTIM_CLIP_H
#define TREAD_OPTIM_CLIP_H

#include "optim/optimizer.h"

typedef struct tread_clip_request {
    const char *call; /* begins sentences */
    double max_norm, norm_type;
    double unscale; /* gradients are to be multiplied by it first; norms are of what that gives */
    tread_nonfinite_policy nonfinite;
    bool fused;
} tread_clip_request;

/* TREAD_ERROR_ARGUMENT: a value out of its range. */
tread_status tread_clip_check(const char *call, double max_norm, double norm_type, tread_nonfinite_policy policy);
/* All groups as one; ret_norm may be NULL. TREAD_ERROR_NUMERIC. */
tread_status tread_clip_all(tread_optimizer *optimizer, const tread_clip_request *request, double *ret_norm);
/* Each group that asks for it by its own norm, of its own type. TREAD_ERROR_NUMERIC. */
tread_status tread_clip_groups(tread_optimizer *optimizer, const tread_clip_request *request, double *ret_norms);
/* The next step multiplies gradients by this, too. */
void tread_clip_unscale(tread_optimizer *optimizer, double unscale);

#endif
