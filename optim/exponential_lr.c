#include "optim/lr_schedulers_list.h"
#include "optim/scalar.h"

/* b gamma^n */
static double lr(const void *options, double base_lr, int64_t step, size_t group) {
    const tread_exponential_lr_options *o = options;
    (void)group;
    return base_lr * tread_power(o->gamma, (uint64_t)step);
}

static const tread_field fields[] = {
    {.name = "gamma",
     .offset = offsetof(tread_exponential_lr_options, gamma),
     .range = TREAD_RANGE_POSITIVE,
     .required = true,
     .doc = "factor of each step"},
    TREAD_FIELDS_OF_SCHEDULERS(tread_exponential_lr_options),
};

const tread_lr_scheduler_type tread_exponential_lr_type = {
    .table = TREAD_TABLE("exponential_lr", tread_exponential_lr_options, fields, NULL),
    .doc = "times gamma every step",
    .lr = lr,
};

tread_exponential_lr_options tread_exponential_lr_defaults(void) {
    tread_exponential_lr_options o;
    tread_fields_defaults(&tread_exponential_lr_type.table, &o);
    return o;
}

tread_lr_scheduler *tread_exponential_lr(tread_optimizer *optimizer, const tread_exponential_lr_options *options) {
    return tread_lr_scheduler_create(optimizer, &tread_exponential_lr_type, options);
}
