#include "optim/lr_schedulers_list.h"
#include "optim/scalar.h"

/* b ((1 - alpha) (1 + cos(pi n / decay_steps)) / 2 + alpha) until decay_steps, then b alpha */
static double lr(const void *options, double base_lr, int64_t step, size_t group) {
    const tread_cosine_decay_lr_options *o = options;
    (void)group;
    if (step >= o->decay_steps)
        return base_lr * o->alpha;
    return base_lr * tread_between(o->alpha, 1, 0.5 * (1 + tread_cos_pi(step, o->decay_steps)));
}

static const tread_field fields[] = {
    {.name = "decay_steps",
     .kind = TREAD_FIELD_INTEGER,
     .offset = offsetof(tread_cosine_decay_lr_options, decay_steps),
     .range = TREAD_RANGE_FROM(1),
     .required = true,
     .doc = "steps until lr stays"},
    TREAD_REAL(tread_cosine_decay_lr_options, alpha, 0, TREAD_RANGE_NOT_NEGATIVE, "share of lr that stays"),
    TREAD_FIELDS_OF_SCHEDULERS(tread_cosine_decay_lr_options),
};

const tread_lr_scheduler_type tread_cosine_decay_lr_type = {
    .table = TREAD_TABLE("cosine_decay_lr", tread_cosine_decay_lr_options, fields, NULL),
    .doc = "half a cosine from lr down to alpha lr",
    .lr = lr,
};

tread_cosine_decay_lr_options tread_cosine_decay_lr_defaults(void) {
    tread_cosine_decay_lr_options o;
    tread_fields_defaults(&tread_cosine_decay_lr_type.table, &o);
    return o;
}

tread_lr_scheduler *tread_cosine_decay_lr(tread_optimizer *optimizer, const tread_cosine_decay_lr_options *options) {
    return tread_lr_scheduler_create(optimizer, &tread_cosine_decay_lr_type, options);
}
