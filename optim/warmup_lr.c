#include "optim/lr_inner.h"
#include "optim/lr_schedulers_list.h"
#include "optim/scalar.h"

/* The inner scheduler's step when the warm-up is over, at step n; that of its end is n = warmup_iters. */
static int64_t inner_step(const tread_warmup_lr_options *o, int64_t step) {
    return o->warmup_prefix ? step - o->warmup_iters : step;
}

static double lr(const void *options, double base_lr, int64_t step, size_t group) {
    const tread_warmup_lr_options *o = options;
    double first = base_lr * o->warmup_factor;
    if (step < o->warmup_iters && o->warmup_method == TREAD_WARMUP_CONSTANT)
        return first;
    int64_t to = step < o->warmup_iters ? o->warmup_iters : step;
    double after = o->scheduler != NULL ? tread_inner_lr(o->scheduler, base_lr, inner_step(o, to), group) : base_lr;
    return step < to ? tread_between(first, after, (double)step / (double)to) : after;
}

static double momentum(const void *options, int64_t step) {
    const tread_warmup_lr_options *o = options;
    int64_t to = step < o->warmup_iters ? o->warmup_iters : step;
    return o->scheduler != NULL ? tread_inner_momentum(o->scheduler, inner_step(o, to)) : NAN;
}

static const char *const methods[] = {"linear", "constant", NULL};
static const tread_field fields[] = {
    {.name = "scheduler",
     .kind = TREAD_FIELD_SCHEDULER,
     .offset = offsetof(tread_warmup_lr_options, scheduler),
     .doc = "what comes after; none: lr"},
    TREAD_REAL(tread_warmup_lr_options, warmup_factor, 1.0 / 3, TREAD_RANGE_UNIT, "of lr at step 0"),
    TREAD_INTEGER(tread_warmup_lr_options, warmup_iters, 5, TREAD_RANGE_FROM(0), "steps of the warm-up"),
    {.name = "warmup_method",
     .kind = TREAD_FIELD_CHOICE,
     .offset = offsetof(tread_warmup_lr_options, warmup_method),
     .choices = methods,
     .doc = "a line up, or level"},
    TREAD_BOOLEAN(tread_warmup_lr_options, warmup_prefix, 0, "the scheduler starts after the warm-up, not with it"),
    TREAD_FIELDS_OF_SCHEDULERS(tread_warmup_lr_options),
};

const tread_lr_scheduler_type tread_warmup_lr_type = {
    .table = TREAD_TABLE("warmup_lr", tread_warmup_lr_options, fields, NULL),
    .doc = "a warm-up before another scheduler",
    .lr = lr,
    .momentum = momentum,
};

tread_warmup_lr_options tread_warmup_lr_defaults(void) {
    tread_warmup_lr_options o;
    tread_fields_defaults(&tread_warmup_lr_type.table, &o);
    return o;
}

tread_lr_scheduler *tread_warmup_lr(tread_optimizer *optimizer, const tread_warmup_lr_options *options) {
    return tread_lr_scheduler_create(optimizer, &tread_warmup_lr_type, options);
}
