#include "core/isa.h"
#include "optim/adam_moments.h"
#include "optim/optimizers_list.h"

typedef struct factors {
    float beta1, beta2, rest1, rest2; /* rest: 1 - beta */
    float lr, decay;                  /* decay: lr wd */
} factors;

static void prepare(const void *options, tread_progress *progress, void *ret_factors) {
    (void)progress;
    const tread_lion_options *o = options;
    *(factors *)ret_factors = (factors){.beta1 = (float)o->betas[0],
                                        .beta2 = (float)o->betas[1],
                                        .rest1 = (float)(1 - o->betas[0]),
                                        .rest2 = (float)(1 - o->betas[1]),
                                        .lr = (float)o->lr,
                                        .decay = (float)(o->lr * o->weight_decay)};
}

/* x -= lr wd x + lr sign(b1 m + (1 - b1) g);  m = b2 m + (1 - b2) g */
TREAD_KERNEL_BODY void TREAD_BODY(lion)(const factors *pf, const tread_update *u) {
    const factors f = *pf;
    const float scale = u->scale;
    float *restrict x = u->x, *restrict m = u->slots[0];
    const float *restrict g = u->g;
    for (int64_t i = 0; i < u->n; i++) {
        const float slope = scale * g[i], mi = m[i];
        const float push = f.beta1 * mi + f.rest1 * slope;
        const float sign = push > 0 ? 1 : push < 0 ? -1 : push; /* 0 stays 0, a NaN passes */
        m[i] = f.beta2 * mi + f.rest2 * slope;
        x[i] -= f.decay * x[i] + f.lr * sign;
    }
}
TREAD_KERNEL(lion, (const factors *f, const tread_update *u), (f, u))

static void update(const void *f, const tread_update *u) { TREAD_CALL(lion)(f, u); }

static const tread_field fields[] = {
    TREAD_FIELD_LR(tread_lion_options, 1e-4),
    TREAD_FIELD_BETAS(tread_lion_options, 0.9, 0.99, "share of the average in the step, and its own decay"),
    TREAD_REAL(tread_lion_options, weight_decay, 0, TREAD_RANGE_NOT_NEGATIVE,
               "decoupled decay: the step takes off lr times this share of x"),
    TREAD_FIELDS_OF_ALL(tread_lion_options),
};

const tread_optimizer_type tread_lion_type = {
    .table = TREAD_TABLE("lion", tread_lion_options, fields, NULL),
    .doc = "steps of one size, along the sign of a momentum",
    .slots = {{.name = "exp_avg"}},
    .n_slots = 1,
    .factors_size = sizeof(factors),
    .prepare = prepare,
    .update = update,
};

tread_lion_options tread_lion_defaults(void) {
    tread_lion_options o;
    tread_fields_defaults(&tread_lion_type.table, &o);
    return o;
}

tread_optimizer *tread_lion(const tread_context *context, tread_parameter_list params,
                            const tread_lion_options *options) {
    return tread_optimizer_create(context, &tread_lion_type, params, options);
}
