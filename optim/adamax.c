#include <math.h>

#include "core/isa.h"
#include "optim/adam_moments.h"
#include "optim/optimizers_list.h"

typedef struct factors {
    float beta1, beta2, rest1; /* rest: 1 - beta */
    float rate;                /* lr / (1 - b1^t) */
    float eps, weight_decay;
} factors;

static void prepare(const void *options, tread_progress *progress, void *ret_factors) {
    const tread_adamax_options *o = options;
    *(factors *)ret_factors = (factors){.beta1 = (float)o->betas[0],
                                        .beta2 = (float)o->betas[1],
                                        .rest1 = (float)(1 - o->betas[0]),
                                        .rate = (float)(o->lr / tread_bias_correction(o->betas[0], progress->step)),
                                        .eps = (float)o->eps,
                                        .weight_decay = (float)o->weight_decay};
}

/* m = b1 m + (1 - b1) g';  u = max(b2 u, |g'| + eps);  x -= lr / (1 - b1^t) m / u */
TREAD_KERNEL_BODY void TREAD_BODY(adamax)(const factors *pf, const tread_update *u) {
    const factors f = *pf;
    const float scale = u->scale;
    float *restrict x = u->x, *restrict m = u->slots[0], *restrict largest = u->slots[1];
    const float *restrict g = u->g;
    for (int64_t i = 0; i < u->n; i++) {
        const float slope = scale * g[i] + f.weight_decay * x[i];
        const float mi = f.beta1 * m[i] + f.rest1 * slope;
        const float decayed = f.beta2 * largest[i], now = fabsf(slope) + f.eps;
        const float ui = now <= decayed ? decayed : now; /* a NaN passes */
        m[i] = mi;
        largest[i] = ui;
        x[i] -= f.rate * mi / ui;
    }
}
TREAD_KERNEL(adamax, (const factors *f, const tread_update *u), (f, u))

static void update(const void *f, const tread_update *u) { TREAD_CALL(adamax)(f, u); }

static const tread_field fields[] = {
    TREAD_FIELD_LR(tread_adamax_options, 2e-3),
    TREAD_FIELD_BETAS(tread_adamax_options, 0.9, 0.999, "decay of the average gradient and of its largest size"),
    TREAD_REAL(tread_adamax_options, eps, 1e-8, TREAD_RANGE_NOT_NEGATIVE, "added to the gradient's size"),
    TREAD_REAL(tread_adamax_options, weight_decay, 0, TREAD_RANGE_NOT_NEGATIVE, "L2 penalty, added to the gradient"),
    TREAD_FIELDS_OF_ALL(tread_adamax_options),
};

const tread_optimizer_type tread_adamax_type = {
    .table = TREAD_TABLE("adamax", tread_adamax_options, fields, NULL),
    .doc = "Adam with the largest gradient in place of the root mean square",
    .slots = {{.name = "exp_avg"}, {.name = "exp_inf"}},
    .n_slots = 2,
    .factors_size = sizeof(factors),
    .prepare = prepare,
    .update = update,
};

tread_adamax_options tread_adamax_defaults(void) {
    tread_adamax_options o;
    tread_fields_defaults(&tread_adamax_type.table, &o);
    return o;
}

tread_optimizer *tread_adamax(const tread_context *context, tread_parameter_list params,
                              const tread_adamax_options *options) {
    return tread_optimizer_create(context, &tread_adamax_type, params, options);
}
