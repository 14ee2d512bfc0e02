#include "optim/lr_inner.h"
#include "optim/lr_schedulers_list.h"

/* Each one's lr is the next one's base. */
static double lr(const void *options, double base_lr, int64_t step, size_t group) {
    const tread_chained_scheduler_options *o = options;
    double result = base_lr;
    for (size_t i = 0; i < o->n_schedulers; i++)
        result = tread_inner_lr(o->schedulers[i], result, step, group);
    return result;
}

/* That of the last one that moves it. */
static double momentum(const void *options, int64_t step) {
    const tread_chained_scheduler_options *o = options;
    double result = NAN;
    for (size_t i = o->n_schedulers; i-- > 0 && isnan(result);)
        result = tread_inner_momentum(o->schedulers[i], step);
    return result;
}

static const tread_field fields[] = {
    {.name = "schedulers",
     .kind = TREAD_FIELD_SCHEDULERS,
     .offset = offsetof(tread_chained_scheduler_options, schedulers),
     .count_offset = offsetof(tread_chained_scheduler_options, n_schedulers),
     .required = true,
     .doc = "each on the last one's result"},
    TREAD_FIELDS_OF_SCHEDULERS(tread_chained_scheduler_options),
};

const tread_lr_scheduler_type tread_chained_scheduler_type = {
    .table = TREAD_TABLE("chained_scheduler", tread_chained_scheduler_options, fields, NULL),
    .doc = "schedulers on top of each other",
    .lr = lr,
    .momentum = momentum,
};

tread_chained_scheduler_options tread_chained_scheduler_defaults(void) {
    tread_chained_scheduler_options o;
    tread_fields_defaults(&tread_chained_scheduler_type.table, &o);
    return o;
}

tread_lr_scheduler *tread_chained_scheduler(tread_optimizer *optimizer,
                                            const tread_chained_scheduler_options *options) {
    return tread_lr_scheduler_create(optimizer, &tread_chained_scheduler_type, options);
}
