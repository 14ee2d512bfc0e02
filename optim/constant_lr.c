#include "optim/lr_schedulers_list.h"

/* b factor while n < total_iters, then b */
static double lr(const void *options, double base_lr, int64_t step, size_t group) {
    const tread_constant_lr_options *o = options;
    (void)group;
    return step < o->total_iters ? base_lr * o->factor : base_lr;
}

static const tread_field fields[] = {
    TREAD_REAL(tread_constant_lr_options, factor, 1.0 / 3, TREAD_RANGE_NOT_NEGATIVE, "of lr at first"),
    TREAD_INTEGER(tread_constant_lr_options, total_iters, 5, TREAD_RANGE_FROM(0), "steps with it"),
    TREAD_FIELDS_OF_SCHEDULERS(tread_constant_lr_options),
};

const tread_lr_scheduler_type tread_constant_lr_type = {
    .table = TREAD_TABLE("constant_lr", tread_constant_lr_options, fields, NULL),
    .doc = "times factor for the first total_iters steps",
    .lr = lr,
};

tread_constant_lr_options tread_constant_lr_defaults(void) {
    tread_constant_lr_options o;
    tread_fields_defaults(&tread_constant_lr_type.table, &o);
    return o;
}

tread_lr_scheduler *tread_constant_lr(tread_optimizer *optimizer, const tread_constant_lr_options *options) {
    return tread_lr_scheduler_create(optimizer, &tread_constant_lr_type, options);
}
