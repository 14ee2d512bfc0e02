#include <math.h>

#include "core/isa.h"
#include "optim/adam_moments.h"
#include "optim/optimizers_list.h"

typedef struct factors {
    tread_adam_factors adam; /* rate is not used */
    float gradient_rate;     /* lr (1 - mu_t) / (1 - P_t) */
    float average_rate;      /* lr mu_(t+1) / (1 - P_t mu_(t+1)) */
} factors;

/* mu_t = b1 (1 - 0.96^(t momentum_decay) / 2) */
static double momentum_at(const tread_nadam_options *o, uint64_t step) {
    return o->betas[0] * (1 - 0.5 * tread_real_power(0.96, (double)step * o->momentum_decay));
}

/* P_t = P_(t-1) mu_t is the scalar: it follows a momentum_decay that is changed on the way. */
static void prepare(const void *options, tread_progress *progress, void *ret_factors) {
    const tread_nadam_options *o = options;
    const double mu = momentum_at(o, progress->step), next = momentum_at(o, progress->step + 1);
    const double product = progress->scalars[0] *= mu;
    factors *f = ret_factors;
    f->adam = tread_adam_factors_at(progress->step, o->lr, o->betas, o->eps, o->weight_decay, true);
    f->gradient_rate = (float)(o->lr * (1 - mu) / (1 - product));
    f->average_rate = (float)(o->lr * next / (1 - product * next));
}

/* m = b1 m + (1 - b1) g';  v = b2 v + (1 - b2) g'^2;  d = sqrt(v / (1 - b2^t)) + eps
 * x -= lr (1 - mu_t) / (1 - P_t) g' / d + lr mu_(t+1) / (1 - P_t mu_(t+1)) m / d */
TREAD_KERNEL_BODY void TREAD_BODY(nadam)(const factors *pf, const tread_update *u) {
    const factors f = *pf;
    const float scale = u->scale;
    float *restrict x = u->x, *restrict m = u->slots[0], *restrict v = u->slots[1];
    const float *restrict g = u->g;
    for (int64_t i = 0; i < u->n; i++) {
        const float slope = scale * g[i] + f.adam.decay * x[i];
        const float mi = f.adam.beta1 * m[i] + f.adam.rest1 * slope;
        const float vi = f.adam.beta2 * v[i] + f.adam.rest2 * (slope * slope);
        m[i] = mi;
        v[i] = vi;
        x[i] -= (f.gradient_rate * slope + f.average_rate * mi) / (sqrtf(vi) * f.adam.root + f.adam.eps);
    }
}
TREAD_KERNEL(nadam, (const factors *f, const tread_update *u), (f, u))

static void update(const void *f, const tread_update *u) { TREAD_CALL(nadam)(f, u); }

static const tread_field fields[] = {
    TREAD_FIELD_LR(tread_nadam_options, 2e-3),
    TREAD_FIELD_ADAM_BETAS(tread_nadam_options),
    TREAD_FIELD_EPS(tread_nadam_options),
    TREAD_REAL(tread_nadam_options, weight_decay, 0, TREAD_RANGE_NOT_NEGATIVE, "L2 penalty, added to the gradient"),
    TREAD_REAL(tread_nadam_options, momentum_decay, 4e-3, TREAD_RANGE_NOT_NEGATIVE,
               "how fast the momentum rises from beta / 2 to beta"),
    TREAD_FIELDS_OF_ALL(tread_nadam_options),
};

const tread_optimizer_type tread_nadam_type = {
    .table = TREAD_TABLE("nadam", tread_nadam_options, fields, NULL),
    .doc = "Adam with Nesterov's momentum",
    .slots = {{.name = "exp_avg"}, {.name = "exp_avg_sq"}},
    .n_slots = 2,
    .scalars = {{.name = "mu_product", .initial = 1, .most = 1}},
    .n_scalars = 1,
    .factors_size = sizeof(factors),
    .prepare = prepare,
    .update = update,
};

tread_nadam_options tread_nadam_defaults(void) {
    tread_nadam_options o;
    tread_fields_defaults(&tread_nadam_type.table, &o);
    return o;
}

tread_optimizer *tread_nadam(const tread_context *context, tread_parameter_list params,
                             const tread_nadam_options *options) {
    return tread_optimizer_create(context, &tread_nadam_type, params, options);
}
