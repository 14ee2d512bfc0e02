#include "optim/lr_schedulers_list.h"
#include "optim/scalar.h"

/* c = min(n, steps), D = steps; with cycle c = max(n, 1), D = steps ceil(c / steps):
 *     (b - end_learning_rate) (1 - c / D)^power + end_learning_rate */
static double lr(const void *options, double base_lr, int64_t step, size_t group) {
    const tread_polynomial_lr_options *o = options;
    int64_t done = step < o->steps ? step : o->steps, all = o->steps;
    (void)group;
    if (o->cycle) {
        done = step > 1 ? step : 1;
        all = o->steps * ((done - 1) / o->steps + 1);
    }
    double left = (double)(all - done) / (double)all;
    return tread_between(o->end_learning_rate, base_lr, tread_real_power(left, o->power));
}

static const tread_field fields[] = {
    {.name = "steps",
     .kind = TREAD_FIELD_INTEGER,
     .offset = offsetof(tread_polynomial_lr_options, steps),
     .range = TREAD_RANGE_FROM(1),
     .required = true,
     .doc = "steps until lr stays, or begins anew"},
    TREAD_REAL(tread_polynomial_lr_options, end_learning_rate, 1e-4, TREAD_RANGE_NOT_NEGATIVE, "lr after steps"),
    TREAD_REAL(tread_polynomial_lr_options, power, 1, TREAD_RANGE_NOT_NEGATIVE, "of the share that is left; 1: a line"),
    TREAD_BOOLEAN(tread_polynomial_lr_options, cycle, 0, "begin anew, each time stretched to the steps so far"),
    TREAD_FIELDS_OF_SCHEDULERS(tread_polynomial_lr_options),
};

const tread_lr_scheduler_type tread_polynomial_lr_type = {
    .table = TREAD_TABLE("polynomial_lr", tread_polynomial_lr_options, fields, NULL),
    .doc = "a power of the share of steps that is left",
    .lr = lr,
};

tread_polynomial_lr_options tread_polynomial_lr_defaults(void) {
    tread_polynomial_lr_options o;
    tread_fields_defaults(&tread_polynomial_lr_type.table, &o);
    return o;
}

tread_lr_scheduler *tread_polynomial_lr(tread_optimizer *optimizer, const tread_polynomial_lr_options *options) {
    return tread_lr_scheduler_create(optimizer, &tread_polynomial_lr_type, options);
}
