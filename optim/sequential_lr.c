#include "core/status.h"
#include "optim/lr_inner.h"
#include "optim/lr_schedulers_list.h"

/* The scheduler of a step, and its own step. */
static const tread_lr_scheduler *active(const tread_sequential_lr_options *o, int64_t *step) {
    size_t i = o->n_milestones;
    while (i > 0 && o->milestones[i - 1] > *step)
        i--;
    *step -= i > 0 ? o->milestones[i - 1] : 0;
    return o->schedulers[i];
}

static double lr(const void *options, double base_lr, int64_t step, size_t group) {
    const tread_lr_scheduler *inner = active(options, &step);
    return tread_inner_lr(inner, base_lr, step, group);
}

static double momentum(const void *options, int64_t step) {
    const tread_lr_scheduler *inner = active(options, &step);
    return tread_inner_momentum(inner, step);
}

static tread_status check(const void *options) {
    const tread_sequential_lr_options *o = options;
    if (o->n_milestones + 1 != o->n_schedulers)
        return tread_fail(TREAD_ERROR_ARGUMENT,
                          "sequential_lr: %zu milestones for %zu schedulers; there is one between any two",
                          o->n_milestones, o->n_schedulers);
    return tread_milestones_check("sequential_lr", o->milestones, o->n_milestones);
}

static const tread_field fields[] = {
    {.name = "schedulers",
     .kind = TREAD_FIELD_SCHEDULERS,
     .offset = offsetof(tread_sequential_lr_options, schedulers),
     .count_offset = offsetof(tread_sequential_lr_options, n_schedulers),
     .required = true,
     .doc = "one after the other"},
    {.name = "milestones",
     .kind = TREAD_FIELD_INTEGER_LIST,
     .offset = offsetof(tread_sequential_lr_options, milestones),
     .count_offset = offsetof(tread_sequential_lr_options, n_milestones),
     .range = TREAD_RANGE_FROM(1),
     .doc = "the first step of each but the first"},
    TREAD_FIELDS_OF_SCHEDULERS(tread_sequential_lr_options),
};

const tread_lr_scheduler_type tread_sequential_lr_type = {
    .table = TREAD_TABLE("sequential_lr", tread_sequential_lr_options, fields, check),
    .doc = "schedulers one after the other",
    .lr = lr,
    .momentum = momentum,
};

tread_sequential_lr_options tread_sequential_lr_defaults(void) {
    tread_sequential_lr_options o;
    tread_fields_defaults(&tread_sequential_lr_type.table, &o);
    return o;
}

tread_lr_scheduler *tread_sequential_lr(tread_optimizer *optimizer, const tread_sequential_lr_options *options) {
    return tread_lr_scheduler_create(optimizer, &tread_sequential_lr_type, options);
}
