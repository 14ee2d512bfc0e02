#include "optim/lr_schedulers_list.h"
#include "optim/scalar.h"

/* b gamma^floor(n / step_size) */
static double lr(const void *options, double base_lr, int64_t step, size_t group) {
    const tread_step_lr_options *o = options;
    (void)group;
    return base_lr * tread_power(o->gamma, (uint64_t)(step / o->step_size));
}

static const tread_field fields[] = {
    {.name = "step_size",
     .kind = TREAD_FIELD_INTEGER,
     .offset = offsetof(tread_step_lr_options, step_size),
     .range = TREAD_RANGE_FROM(1),
     .required = true,
     .doc = "steps between two changes"},
    TREAD_REAL(tread_step_lr_options, gamma, 0.1, TREAD_RANGE_POSITIVE, "factor of each change"),
    TREAD_FIELDS_OF_SCHEDULERS(tread_step_lr_options),
};

const tread_lr_scheduler_type tread_step_lr_type = {
    .table = TREAD_TABLE("step_lr", tread_step_lr_options, fields, NULL),
    .doc = "times gamma every step_size steps",
    .lr = lr,
};

tread_step_lr_options tread_step_lr_defaults(void) {
    tread_step_lr_options o;
    tread_fields_defaults(&tread_step_lr_type.table, &o);
    return o;
}

tread_lr_scheduler *tread_step_lr(tread_optimizer *optimizer, const tread_step_lr_options *options) {
    return tread_lr_scheduler_create(optimizer, &tread_step_lr_type, options);
}
