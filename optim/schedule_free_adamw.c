#include <math.h>

#include "core/isa.h"
#include "core/status.h"
#include "optim/optimizers_list.h"
#include "optim/scalar.h"
#include "optim/schedule_free.h"

typedef struct factors {
    tread_schedule_free_factors common;
    float beta2, rest2, eps;
} factors;

static void prepare(const void *options, tread_progress *progress, void *ret_factors) {
    const tread_schedule_free_adamw_options *o = options;
    const tread_schedule_free_options common = {.lr = o->lr,
                                                .b = o->betas[0],
                                                .r = o->r,
                                                .weight_lr_power = o->weight_lr_power,
                                                .weight_decay = o->weight_decay,
                                                .warmup_steps = o->warmup_steps};
    factors *f = ret_factors;
    tread_schedule_free_prepare(&common, sqrt(1 - tread_power(o->betas[1], progress->step)), progress, &f->common);
    f->beta2 = (float)o->betas[1];
    f->rest2 = (float)(1 - o->betas[1]);
    f->eps = (float)o->eps;
}

/* v = b2 v + (1 - b2) g^2;  n = g / (sqrt(v) + eps) + wd y;  y += c (z - y) + a (b1 (1 - c) - 1) n;  z -= a n */
TREAD_KERNEL_BODY void TREAD_BODY(step)(const factors *pf, const tread_update *u) {
    const factors f = *pf;
    const float scale = u->scale;
    float *restrict y = u->x, *restrict z = u->slots[0], *restrict v = u->slots[1];
    const float *restrict g = u->g;
    for (int64_t i = 0; i < u->n; i++) {
        const float slope = scale * g[i];
        const float vi = f.beta2 * v[i] + f.rest2 * (slope * slope);
        const float direction = slope / (sqrtf(vi) + f.eps) + f.common.weight_decay * y[i];
        v[i] = vi;
        y[i] += f.common.share * (z[i] - y[i]) + f.common.push * direction;
        z[i] -= f.common.rate * direction;
    }
}
TREAD_KERNEL(step, (const factors *f, const tread_update *u), (f, u))

static void update(const void *f, const tread_update *u) { TREAD_CALL(step)(f, u); }

static const tread_field fields[] = {
    TREAD_FIELD_LR(tread_schedule_free_adamw_options, 2.5e-3),
    {.name = "betas",
     .offset = offsetof(tread_schedule_free_adamw_options, betas),
     .n_values = 2,
     .initial = {0.9, 0.999},
     .range = TREAD_RANGE_BELOW_ONE,
     .in_parameters = true,
     .doc = "share of the average at the point of training, above 0; decay of the square's average"},
    TREAD_REAL(tread_schedule_free_adamw_options, eps, 1e-8, TREAD_RANGE_NOT_NEGATIVE, "added to the denominator"),
    TREAD_SCHEDULE_FREE_FIELDS(tread_schedule_free_adamw_options),
    TREAD_FIELDS_OF_ALL(tread_schedule_free_adamw_options),
};

/* The averaged point is found by dividing by it. */
static tread_status check(const void *options) {
    const tread_schedule_free_adamw_options *o = options;
    if (o->betas[0] == 0)
        return tread_fail(TREAD_ERROR_ARGUMENT, "schedule_free_adamw: betas[0] = 0 is outside (0, 1)");
    return TREAD_OK;
}

const tread_optimizer_type tread_schedule_free_adamw_type = {
    .table = TREAD_TABLE("schedule_free_adamw", tread_schedule_free_adamw_options, fields, check),
    .doc = "AdamW that averages its weights instead of following a schedule",
    .slots = {TREAD_SCHEDULE_FREE_Z, {.name = "exp_avg_sq"}},
    .n_slots = 2,
    .scalars = TREAD_SCHEDULE_FREE_SCALARS,
    .n_scalars = 2,
    .factors_size = sizeof(factors),
    .prepare = prepare,
    .update = update,
    .set_training = tread_schedule_free_set_training,
};

tread_schedule_free_adamw_options tread_schedule_free_adamw_defaults(void) {
    tread_schedule_free_adamw_options o;
    tread_fields_defaults(&tread_schedule_free_adamw_type.table, &o);
    return o;
}

tread_optimizer *tread_schedule_free_adamw(const tread_context *context, tread_parameter_list params,
                                           const tread_schedule_free_adamw_options *options) {
    return tread_optimizer_create(context, &tread_schedule_free_adamw_type, params, options);
}
