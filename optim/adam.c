#include <math.h>

#include "core/isa.h"
#include "optim/adam_moments.h"
#include "optim/optimizers_list.h"

static void prepare(const void *options, tread_progress *progress, void *ret_factors) {
    const tread_adam_options *o = options;
    *(tread_adam_factors *)ret_factors =
        tread_adam_factors_at(progress->step, o->lr, o->betas, o->eps, o->weight_decay, o->do_bias_correction);
}

/* m = b1 m + (1 - b1) g';  v = b2 v + (1 - b2) g'^2;  x -= (lr / c1) m / (sqrt(v) / sqrt(c2) + eps)
 * amsgrad: vmax = max(vmax, v), in place of v in the last line */
TREAD_KERNEL_BODY void apply(const tread_adam_factors *pf, const tread_update *u, bool amsgrad) {
    const tread_adam_factors f = *pf;
    const float scale = u->scale;
    float *restrict x = u->x, *restrict m = u->slots[0], *restrict v = u->slots[1], *restrict vmax = u->slots[2];
    const float *restrict g = u->g;
    for (int64_t i = 0; i < u->n; i++) {
        const float slope = scale * g[i] + f.decay * x[i];
        const float mi = f.beta1 * m[i] + f.rest1 * slope;
        const float vi = f.beta2 * v[i] + f.rest2 * (slope * slope);
        float square = vi;
        if (amsgrad)
            square = vmax[i] = vi <= vmax[i] ? vmax[i] : vi; /* a NaN passes */
        m[i] = mi;
        v[i] = vi;
        x[i] -= f.rate * mi / (sqrtf(square) * f.root + f.eps);
    }
}
TREAD_KERNEL_OF(adam, (const tread_adam_factors *f, const tread_update *u), apply(f, u, false))
TREAD_KERNEL_OF(amsgrad, (const tread_adam_factors *f, const tread_update *u), apply(f, u, true))

static void update(const void *f, const tread_update *u) {
    if (u->slots[2] != NULL)
        TREAD_CALL(amsgrad)(f, u);
    else
        TREAD_CALL(adam)(f, u);
}

static bool has_vmax(const void *options) { return ((const tread_adam_options *)options)->amsgrad; }

static const tread_field fields[] = {
    TREAD_FIELD_LR(tread_adam_options, 1e-3),
    TREAD_FIELD_ADAM_BETAS(tread_adam_options),
    TREAD_FIELD_EPS(tread_adam_options),
    TREAD_REAL(tread_adam_options, weight_decay, 0, TREAD_RANGE_NOT_NEGATIVE, "L2 penalty, added to the gradient"),
    TREAD_FIELD_AMSGRAD(tread_adam_options),
    TREAD_FIELD_BIAS_CORRECTION(tread_adam_options),
    TREAD_FIELDS_OF_ALL(tread_adam_options),
};

const tread_optimizer_type tread_adam_type = {
    .table = TREAD_TABLE("adam", tread_adam_options, fields, NULL),
    .doc = "Adam, with L2 decay in the gradient",
    .slots = {{.name = "exp_avg"}, {.name = "exp_avg_sq"}, {.name = "max_exp_avg_sq", .needed = has_vmax}},
    .n_slots = 3,
    .support_sparse = true,
    .l2_decay = true,
    .factors_size = sizeof(tread_adam_factors),
    .prepare = prepare,
    .update = update,
};

tread_adam_options tread_adam_defaults(void) {
    tread_adam_options o;
    tread_fields_defaults(&tread_adam_type.table, &o);
    return o;
}

tread_optimizer *tread_adam(const tread_context *context, tread_parameter_list params,
                            const tread_adam_options *options) {
    return tread_optimizer_create(context, &tread_adam_type, params, options);
}
