#include "core/isa.h"
#include "optim/optimizers_list.h"
#include "optim/schedule_free.h"

static void prepare(const void *options, tread_progress *progress, void *ret_factors) {
    const tread_schedule_free_sgd_options *o = options;
    const tread_schedule_free_options common = {.lr = o->lr,
                                                .b = o->momentum,
                                                .r = o->r,
                                                .weight_lr_power = o->weight_lr_power,
                                                .weight_decay = o->weight_decay,
                                                .warmup_steps = o->warmup_steps};
    tread_schedule_free_prepare(&common, 1, progress, ret_factors);
}

/* n = g + wd y;  y += c (z - y) + a (momentum (1 - c) - 1) n;  z -= a n */
TREAD_KERNEL_BODY void TREAD_BODY(step)(const tread_schedule_free_factors *pf, const tread_update *u) {
    const tread_schedule_free_factors f = *pf;
    const float scale = u->scale;
    float *restrict y = u->x, *restrict z = u->slots[0];
    const float *restrict g = u->g;
    for (int64_t i = 0; i < u->n; i++) {
        const float direction = scale * g[i] + f.weight_decay * y[i];
        y[i] += f.share * (z[i] - y[i]) + f.push * direction;
        z[i] -= f.rate * direction;
    }
}
TREAD_KERNEL(step, (const tread_schedule_free_factors *f, const tread_update *u), (f, u))

static void update(const void *f, const tread_update *u) { TREAD_CALL(step)(f, u); }

static const tread_field fields[] = {
    TREAD_FIELD_LR(tread_schedule_free_sgd_options, 1),
    {.name = "momentum",
     .offset = offsetof(tread_schedule_free_sgd_options, momentum),
     .initial = {0.9},
     .range = {0, 1, true, true, false, false},
     .in_parameters = true,
     .doc = "share of the average in the point of training"},
    TREAD_SCHEDULE_FREE_FIELDS(tread_schedule_free_sgd_options),
    TREAD_FIELDS_OF_ALL(tread_schedule_free_sgd_options),
};

const tread_optimizer_type tread_schedule_free_sgd_type = {
    .table = TREAD_TABLE("schedule_free_sgd", tread_schedule_free_sgd_options, fields, NULL),
    .doc = "SGD that averages its weights instead of following a schedule",
    .slots = {TREAD_SCHEDULE_FREE_Z},
    .n_slots = 1,
    .scalars = TREAD_SCHEDULE_FREE_SCALARS,
    .n_scalars = 2,
    .factors_size = sizeof(tread_schedule_free_factors),
    .prepare = prepare,
    .update = update,
    .set_training = tread_schedule_free_set_training,
};

tread_schedule_free_sgd_options tread_schedule_free_sgd_defaults(void) {
    tread_schedule_free_sgd_options o;
    tread_fields_defaults(&tread_schedule_free_sgd_type.table, &o);
    return o;
}

tread_optimizer *tread_schedule_free_sgd(const tread_context *context, tread_parameter_list params,
                                         const tread_schedule_free_sgd_options *options) {
    return tread_optimizer_create(context, &tread_schedule_free_sgd_type, params, options);
}
