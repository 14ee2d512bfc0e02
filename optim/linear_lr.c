#include "optim/lr_schedulers_list.h"
#include "optim/scalar.h"

/* b (start_factor + (end_factor - start_factor) min(n, total_iters) / total_iters) */
static double lr(const void *options, double base_lr, int64_t step, size_t group) {
    const tread_linear_lr_options *o = options;
    double share = step < o->total_iters ? (double)step / (double)o->total_iters : 1;
    (void)group;
    return base_lr * tread_between(o->start_factor, o->end_factor, share);
}

static const tread_field fields[] = {
    TREAD_REAL(tread_linear_lr_options, start_factor, 1.0 / 3, TREAD_RANGE_NOT_NEGATIVE, "of lr at step 0"),
    TREAD_REAL(tread_linear_lr_options, end_factor, 1, TREAD_RANGE_NOT_NEGATIVE, "of lr from total_iters on"),
    TREAD_INTEGER(tread_linear_lr_options, total_iters, 5, TREAD_RANGE_FROM(1), "steps from one to the other"),
    TREAD_FIELDS_OF_SCHEDULERS(tread_linear_lr_options),
};

const tread_lr_scheduler_type tread_linear_lr_type = {
    .table = TREAD_TABLE("linear_lr", tread_linear_lr_options, fields, NULL),
    .doc = "a line between two factors of lr",
    .lr = lr,
};

tread_linear_lr_options tread_linear_lr_defaults(void) {
    tread_linear_lr_options o;
    tread_fields_defaults(&tread_linear_lr_type.table, &o);
    return o;
}

tread_lr_scheduler *tread_linear_lr(tread_optimizer *optimizer, const tread_linear_lr_options *options) {
    return tread_lr_scheduler_create(optimizer, &tread_linear_lr_type, options);
}
