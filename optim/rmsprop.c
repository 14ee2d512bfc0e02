#include <math.h>

#include "core/isa.h"
#include "optim/conventions.h"
#include "optim/optimizers_list.h"

typedef struct factors {
    float alpha, rest;             /* rest: 1 - alpha */
    float eps_inside, eps_outside; /* of the root; one of them is 0 */
    float weight_decay, momentum;
    float gain, rate; /* lr before the momentum and 1 after it; in PyTorch's convention 1 and lr */
} factors;

static void prepare(const void *options, tread_progress *progress, void *ret_factors) {
    (void)progress;
    const tread_rmsprop_options *o = options;
    const bool inside = o->eps_placement == TREAD_EPS_INSIDE, velocity = o->convention == TREAD_MOMENTUM_VELOCITY;
    *(factors *)ret_factors = (factors){.alpha = (float)o->alpha,
                                        .rest = (float)(1 - o->alpha),
                                        .eps_inside = inside ? (float)o->eps : 0,
                                        .eps_outside = inside ? 0 : (float)o->eps,
                                        .weight_decay = (float)o->weight_decay,
                                        .momentum = (float)o->momentum,
                                        .gain = velocity ? (float)o->lr : 1,
                                        .rate = velocity ? 1 : (float)o->lr};
}

/* r = alpha r + (1 - alpha) g'^2;  d = sqrt(r + eps), or sqrt(r) + eps
 * centered: a = alpha a + (1 - alpha) g', and max(r - a^2, 0) in place of r in d. By rounding r - a^2 can be below 0.
 * V = momentum V + gain g' / d;  x -= rate V, where there is no momentum without V */
TREAD_KERNEL_BODY void apply(const factors *pf, const tread_update *u, bool centered, bool with_momentum) {
    const factors f = *pf;
    const float scale = u->scale;
    float *restrict x = u->x, *restrict r = u->slots[0], *restrict a = u->slots[1];
    float *restrict momentum = u->slots[2] != NULL ? u->slots[2] : u->slots[3];
    const float *restrict g = u->g;
    for (int64_t i = 0; i < u->n; i++) {
        const float slope = scale * g[i] + f.weight_decay * x[i];
        const float ri = f.alpha * r[i] + f.rest * (slope * slope);
        r[i] = ri;
        float square = ri;
        if (centered) {
            const float ai = f.alpha * a[i] + f.rest * slope, spread = ri - ai * ai;
            a[i] = ai;
            square = spread < 0 ? 0 : spread; /* a NaN passes */
        }
        float step = f.gain * slope / (sqrtf(square + f.eps_inside) + f.eps_outside);
        if (with_momentum)
            momentum[i] = step = f.momentum * momentum[i] + step;
        x[i] -= f.rate * step;
    }
}
#define PARAMETERS (const factors *f, const tread_update *u)
TREAD_KERNEL_OF(plain, PARAMETERS, apply(f, u, false, false))
TREAD_KERNEL_OF(with_momentum, PARAMETERS, apply(f, u, false, true))
TREAD_KERNEL_OF(centered, PARAMETERS, apply(f, u, true, false))
TREAD_KERNEL_OF(centered_with_momentum, PARAMETERS, apply(f, u, true, true))

static void update(const void *f, const tread_update *u) {
    const bool momentum = u->slots[2] != NULL || u->slots[3] != NULL;
    if (u->slots[1] != NULL && momentum)
        TREAD_CALL(centered_with_momentum)(f, u);
    else if (u->slots[1] != NULL)
        TREAD_CALL(centered)(f, u);
    else if (momentum)
        TREAD_CALL(with_momentum)(f, u);
    else
        TREAD_CALL(plain)(f, u);
}

static bool is_centered(const void *options) { return ((const tread_rmsprop_options *)options)->centered; }
static bool has_velocity(const void *options) {
    const tread_rmsprop_options *o = options;
    return o->momentum != 0 && o->convention == TREAD_MOMENTUM_VELOCITY;
}
static bool has_buffer(const void *options) {
    const tread_rmsprop_options *o = options;
    return o->momentum != 0 && o->convention == TREAD_MOMENTUM_PYTORCH;
}

static const tread_field fields[] = {
    TREAD_FIELD_LR(tread_rmsprop_options, 1e-3),
    TREAD_REAL(tread_rmsprop_options, alpha, 0.99, TREAD_RANGE_BELOW_ONE, "decay of the averages"),
    TREAD_REAL(tread_rmsprop_options, eps, 1e-8, TREAD_RANGE_NOT_NEGATIVE, "added in the denominator"),
    TREAD_REAL(tread_rmsprop_options, weight_decay, 0, TREAD_RANGE_NOT_NEGATIVE, "L2 penalty, added to the gradient"),
    TREAD_REAL(tread_rmsprop_options, momentum, 0, TREAD_RANGE_NOT_NEGATIVE, "share of the last change that is kept"),
    TREAD_BOOLEAN(tread_rmsprop_options, centered, 0, "divide by the standard deviation of the gradient"),
    TREAD_FIELD_EPS_PLACEMENT(tread_rmsprop_options),
    TREAD_FIELD_MOMENTUM_CONVENTION(tread_rmsprop_options),
    TREAD_FIELDS_OF_ALL(tread_rmsprop_options),
};

const tread_optimizer_type tread_rmsprop_type = {
    .table = TREAD_TABLE("rmsprop", tread_rmsprop_options, fields, NULL),
    .doc = "steps divided by a moving root mean square of the gradient",
    .slots = {{.name = "square_avg"},
              {.name = "grad_avg", .needed = is_centered},
              {.name = "velocity", .needed = has_velocity},
              {.name = "momentum_buffer", .needed = has_buffer}},
    .n_slots = 4,
    .factors_size = sizeof(factors),
    .prepare = prepare,
    .update = update,
};

tread_rmsprop_options tread_rmsprop_defaults(void) {
    tread_rmsprop_options o;
    tread_fields_defaults(&tread_rmsprop_type.table, &o);
    return o;
}

tread_optimizer *tread_rmsprop(const tread_context *context, tread_parameter_list params,
                               const tread_rmsprop_options *options) {
    return tread_optimizer_create(context, &tread_rmsprop_type, params, options);
}
