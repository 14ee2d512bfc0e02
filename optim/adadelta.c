#include <math.h>

#include "core/isa.h"
#include "optim/optimizers_list.h"

typedef struct factors {
    float lr, rho, rest; /* rest: 1 - rho */
    float eps, weight_decay;
} factors;

static void prepare(const void *options, tread_progress *progress, void *ret_factors) {
    (void)progress;
    const tread_adadelta_options *o = options;
    *(factors *)ret_factors = (factors){.lr = (float)o->lr,
                                        .rho = (float)o->rho,
                                        .rest = (float)(1 - o->rho),
                                        .eps = (float)o->eps,
                                        .weight_decay = (float)o->weight_decay};
}

/* s = rho s + (1 - rho) g'^2;  d = sqrt(a + eps) / sqrt(s + eps) g';  a = rho a + (1 - rho) d^2;  x -= lr d */
TREAD_KERNEL_BODY void TREAD_BODY(adadelta)(const factors *pf, const tread_update *u) {
    const factors f = *pf;
    const float scale = u->scale;
    float *restrict x = u->x, *restrict s = u->slots[0], *restrict a = u->slots[1];
    const float *restrict g = u->g;
    for (int64_t i = 0; i < u->n; i++) {
        const float slope = scale * g[i] + f.weight_decay * x[i];
        const float si = f.rho * s[i] + f.rest * (slope * slope);
        const float step = sqrtf(a[i] + f.eps) / sqrtf(si + f.eps) * slope;
        s[i] = si;
        a[i] = f.rho * a[i] + f.rest * (step * step);
        x[i] -= f.lr * step;
    }
}
TREAD_KERNEL(adadelta, (const factors *f, const tread_update *u), (f, u))

static void update(const void *f, const tread_update *u) { TREAD_CALL(adadelta)(f, u); }

static const tread_field fields[] = {
    TREAD_FIELD_LR(tread_adadelta_options, 1),
    TREAD_REAL(tread_adadelta_options, rho, 0.9, TREAD_RANGE_BELOW_ONE, "decay of the averages"),
    TREAD_REAL(tread_adadelta_options, eps, 1e-6, TREAD_RANGE_NOT_NEGATIVE, "added inside both roots"),
    TREAD_REAL(tread_adadelta_options, weight_decay, 0, TREAD_RANGE_NOT_NEGATIVE, "L2 penalty, added to the gradient"),
    TREAD_FIELDS_OF_ALL(tread_adadelta_options),
};

const tread_optimizer_type tread_adadelta_type = {
    .table = TREAD_TABLE("adadelta", tread_adadelta_options, fields, NULL),
    .doc = "steps scaled by the moving size of earlier steps over that of the gradient",
    .slots = {{.name = "square_avg"}, {.name = "acc_delta"}},
    .n_slots = 2,
    .factors_size = sizeof(factors),
    .prepare = prepare,
    .update = update,
};

tread_adadelta_options tread_adadelta_defaults(void) {
    tread_adadelta_options o;
    tread_fields_defaults(&tread_adadelta_type.table, &o);
    return o;
}

tread_optimizer *tread_adadelta(const tread_context *context, tread_parameter_list params,
                                const tread_adadelta_options *options) {
    return tread_optimizer_create(context, &tread_adadelta_type, params, options);
}
