#include "optim/lr_schedulers_list.h"
#include "optim/scalar.h"

/* What is left of 1 after i of n steps of the decay. */
static double shape(tread_decay_shape decay_shape, int64_t i, int64_t n) {
    switch (decay_shape) {
    case TREAD_DECAY_COSINE: return 0.5 * (1 + tread_cos_pi(i, n));
    case TREAD_DECAY_INVERSE_SQRT: return 1 - sqrt((double)i / (double)n);
    default: return (double)(n - i) / (double)n;
    }
}

/* b (n + 1) / (warmup_steps + 1); b; then from b to b min_factor along the shape */
static double lr(const void *options, double base_lr, int64_t step, size_t group) {
    const tread_warmup_stable_decay_lr_options *o = options;
    (void)group;
    if (step < o->warmup_steps)
        return base_lr * ((double)(step + 1) / (double)(o->warmup_steps + 1));
    int64_t decayed = step - o->warmup_steps - o->stable_steps;
    if (decayed <= 0)
        return base_lr;
    if (decayed > o->decay_steps)
        decayed = o->decay_steps;
    return base_lr * tread_between(o->min_factor, 1, shape(o->decay_shape, decayed, o->decay_steps));
}

static const char *const shapes[] = {"linear", "cosine", "inverse_sqrt", NULL};
static const tread_field fields[] = {
    TREAD_INTEGER(tread_warmup_stable_decay_lr_options, warmup_steps, 0, TREAD_RANGE_FROM(0), "steps up to lr"),
    {.name = "stable_steps",
     .kind = TREAD_FIELD_INTEGER,
     .offset = offsetof(tread_warmup_stable_decay_lr_options, stable_steps),
     .range = TREAD_RANGE_FROM(0),
     .required = true,
     .doc = "steps at lr"},
    {.name = "decay_steps",
     .kind = TREAD_FIELD_INTEGER,
     .offset = offsetof(tread_warmup_stable_decay_lr_options, decay_steps),
     .range = TREAD_RANGE_FROM(1),
     .required = true,
     .doc = "steps down from lr"},
    {.name = "decay_shape",
     .kind = TREAD_FIELD_CHOICE,
     .offset = offsetof(tread_warmup_stable_decay_lr_options, decay_shape),
     .choices = shapes,
     .doc = "a line, half a cosine, or 1 - sqrt(share)"},
    TREAD_REAL(tread_warmup_stable_decay_lr_options, min_factor, 0, TREAD_RANGE_UNIT, "share of lr that stays"),
    TREAD_FIELDS_OF_SCHEDULERS(tread_warmup_stable_decay_lr_options),
};

const tread_lr_scheduler_type tread_warmup_stable_decay_lr_type = {
    .table = TREAD_TABLE("warmup_stable_decay_lr", tread_warmup_stable_decay_lr_options, fields, NULL),
    .doc = "up, level, and down",
    .lr = lr,
};

tread_warmup_stable_decay_lr_options tread_warmup_stable_decay_lr_defaults(void) {
    tread_warmup_stable_decay_lr_options o;
    tread_fields_defaults(&tread_warmup_stable_decay_lr_type.table, &o);
    return o;
}

tread_lr_scheduler *tread_warmup_stable_decay_lr(tread_optimizer *optimizer,
                                                 const tread_warmup_stable_decay_lr_options *options) {
    return tread_lr_scheduler_create(optimizer, &tread_warmup_stable_decay_lr_type, options);
}
