#include <math.h>

#include "core/isa.h"
#include "optim/adam_moments.h"
#include "optim/optimizers_list.h"

typedef struct factors {
    tread_adam_factors adam; /* root is not used */
    float rectified_rate;
    bool rectified; /* rho_t > 5: v has seen enough for its variance to be finite */
} factors;

static void prepare(const void *options, tread_progress *progress, void *ret_factors) {
    const tread_radam_options *o = options;
    const double c1 = tread_bias_correction(o->betas[0], progress->step);
    const double c2 = tread_bias_correction(o->betas[1], progress->step);
    const double limit = 2 / (1 - o->betas[1]) - 1, rho = limit - 2 * (double)progress->step * (1 - c2) / c2;
    factors *f = ret_factors;
    f->adam = tread_adam_factors_of(c1, c2, o->lr, o->betas, o->eps, o->weight_decay);
    f->rectified = rho > 5;
    f->rectified_rate = 0;
    if (f->rectified)
        f->rectified_rate =
            (float)(o->lr / c1 * sqrt((rho - 4) * (rho - 2) * limit / ((limit - 4) * (limit - 2) * rho)) * sqrt(c2));
}

/* rectified_rate = lr / c1 sqrt((rho_t - 4)(rho_t - 2) rho_inf / ((rho_inf - 4)(rho_inf - 2) rho_t)) sqrt(c2)
 * m = b1 m + (1 - b1) g';  v = b2 v + (1 - b2) g'^2
 * x -= rectified_rate m / (sqrt(v) + eps), in the first steps x -= lr / c1 m */
TREAD_KERNEL_BODY void apply(const factors *pf, const tread_update *u, bool rectified) {
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
        x[i] -= rectified ? f.rectified_rate * mi / (sqrtf(vi) + f.adam.eps) : f.adam.rate * mi;
    }
}
TREAD_KERNEL_OF(radam, (const factors *f, const tread_update *u), apply(f, u, true))
TREAD_KERNEL_OF(momentum, (const factors *f, const tread_update *u), apply(f, u, false))

static void update(const void *f, const tread_update *u) {
    if (((const factors *)f)->rectified)
        TREAD_CALL(radam)(f, u);
    else
        TREAD_CALL(momentum)(f, u);
}

static const tread_field fields[] = {
    TREAD_FIELD_LR(tread_radam_options, 1e-3),
    TREAD_FIELD_ADAM_BETAS(tread_radam_options),
    TREAD_FIELD_EPS(tread_radam_options),
    TREAD_REAL(tread_radam_options, weight_decay, 0, TREAD_RANGE_NOT_NEGATIVE, "L2 penalty, added to the gradient"),
    TREAD_FIELDS_OF_ALL(tread_radam_options),
};

const tread_optimizer_type tread_radam_type = {
    .table = TREAD_TABLE("radam", tread_radam_options, fields, NULL),
    .doc = "Adam whose first steps are momentum's, until the average square can be trusted",
    .slots = {{.name = "exp_avg"}, {.name = "exp_avg_sq"}},
    .n_slots = 2,
    .factors_size = sizeof(factors),
    .prepare = prepare,
    .update = update,
};

tread_radam_options tread_radam_defaults(void) {
    tread_radam_options o;
    tread_fields_defaults(&tread_radam_type.table, &o);
    return o;
}

tread_optimizer *tread_radam(const tread_context *context, tread_parameter_list params,
                             const tread_radam_options *options) {
    return tread_optimizer_create(context, &tread_radam_type, params, options);
}
