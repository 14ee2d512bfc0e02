#include <math.h>

#include "core/isa.h"
#include "optim/optimizers_list.h"
#include "optim/scalar.h"

typedef struct factors {
    float beta1, beta2, rest1, rest2; /* rest: 1 - beta */
    float rate;                       /* lr / c1 */
    float root;                       /* 1 / sqrt(c2) */
    float eps, weight_decay;
} factors;

static void prepare(const void *options, tread_progress *progress, void *ret_factors) {
    const tread_adam_options *o = options;
    const double c1 = o->do_bias_correction ? 1 - tread_power(o->betas[0], progress->step) : 1;
    const double c2 = o->do_bias_correction ? 1 - tread_power(o->betas[1], progress->step) : 1;
    *(factors *)ret_factors = (factors){.beta1 = (float)o->betas[0],
                                        .beta2 = (float)o->betas[1],
                                        .rest1 = (float)(1 - o->betas[0]),
                                        .rest2 = (float)(1 - o->betas[1]),
                                        .rate = (float)(o->lr / c1),
                                        .root = (float)(1 / sqrt(c2)),
                                        .eps = (float)o->eps,
                                        .weight_decay = (float)o->weight_decay};
}

/* m = b1 m + (1 - b1) g';  v = b2 v + (1 - b2) g'^2;  x -= (lr / c1) m / (sqrt(v) / sqrt(c2) + eps) */
TREAD_KERNEL_BODY void TREAD_BODY(adam)(const factors *pf, const tread_update *u) {
    const factors f = *pf;
    const float scale = u->scale;
    float *restrict x = u->x, *restrict m = u->slots[0], *restrict v = u->slots[1];
    const float *restrict g = u->g;
    for (int64_t i = 0; i < u->n; i++) {
        const float slope = scale * g[i] + f.weight_decay * x[i];
        const float mi = f.beta1 * m[i] + f.rest1 * slope;
        const float vi = f.beta2 * v[i] + f.rest2 * (slope * slope);
        m[i] = mi;
        v[i] = vi;
        x[i] -= f.rate * mi / (sqrtf(vi) * f.root + f.eps);
    }
}
TREAD_KERNEL(adam, (const factors *f, const tread_update *u), (f, u))

/* The same with vmax = max(vmax, v) in place of v in the last line. */
TREAD_KERNEL_BODY void TREAD_BODY(amsgrad)(const factors *pf, const tread_update *u) {
    const factors f = *pf;
    const float scale = u->scale;
    float *restrict x = u->x, *restrict m = u->slots[0], *restrict v = u->slots[1], *restrict vmax = u->slots[2];
    const float *restrict g = u->g;
    for (int64_t i = 0; i < u->n; i++) {
        const float slope = scale * g[i] + f.weight_decay * x[i];
        const float mi = f.beta1 * m[i] + f.rest1 * slope;
        const float vi = f.beta2 * v[i] + f.rest2 * (slope * slope);
        const float largest = vi <= vmax[i] ? vmax[i] : vi; /* a NaN passes */
        m[i] = mi;
        v[i] = vi;
        vmax[i] = largest;
        x[i] -= f.rate * mi / (sqrtf(largest) * f.root + f.eps);
    }
}
TREAD_KERNEL(amsgrad, (const factors *f, const tread_update *u), (f, u))

static void update(const void *f, const tread_update *u) {
    if (u->slots[2] != NULL)
        TREAD_CALL(amsgrad)(f, u);
    else
        TREAD_CALL(adam)(f, u);
}

static bool has_vmax(const void *options) { return ((const tread_adam_options *)options)->amsgrad; }

static const tread_field fields[] = {
    TREAD_FIELD_LR(tread_adam_options, 1e-3),
    {.name = "betas",
     .offset = offsetof(tread_adam_options, betas),
     .n_values = 2,
     .initial = {0.9, 0.999},
     .range = TREAD_RANGE_BELOW_ONE,
     .doc = "decay of the averages of the gradient and of its square"},
    TREAD_REAL(tread_adam_options, eps, 1e-8, TREAD_RANGE_NOT_NEGATIVE, "added to the denominator"),
    TREAD_REAL(tread_adam_options, weight_decay, 0, TREAD_RANGE_NOT_NEGATIVE, "L2 penalty, added to the gradient"),
    TREAD_BOOLEAN(tread_adam_options, amsgrad, 0, "divide by the largest average so far"),
    TREAD_BOOLEAN(tread_adam_options, do_bias_correction, 1, "undo the averages' start at 0"),
    TREAD_FIELDS_OF_ALL(tread_adam_options),
};

const tread_optimizer_type tread_adam_type = {
    .table = TREAD_TABLE("adam", tread_adam_options, fields, NULL),
    .doc = "Adam, with L2 decay in the gradient",
    .slots = {{.name = "exp_avg"}, {.name = "exp_avg_sq"}, {.name = "max_exp_avg_sq", .needed = has_vmax}},
    .n_slots = 3,
    .support_sparse = true,
    .l2_decay = true,
    .factors_size = sizeof(factors),
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
