#include "optim/lr_schedulers_list.h"
#include "optim/scalar.h"

/* b gamma^(how many milestones are <= n) */
static double lr(const void *options, double base_lr, int64_t step, size_t group) {
    const tread_multi_step_lr_options *o = options;
    size_t passed = 0;
    (void)group;
    while (passed < o->n_milestones && o->milestones[passed] <= step)
        passed++;
    return base_lr * tread_power(o->gamma, passed);
}

tread_status tread_milestones_check(const char *name, const int64_t *milestones, size_t n) {
    for (size_t i = 1; i < n; i++)
        if (milestones[i] <= milestones[i - 1])
            return tread_fail(TREAD_ERROR_ARGUMENT,
                              "%s: milestones[%zu] = %lld is not more than milestones[%zu] = %lld", name, i,
                              (long long)milestones[i], i - 1, (long long)milestones[i - 1]);
    return TREAD_OK;
}

static tread_status check(const void *options) {
    const tread_multi_step_lr_options *o = options;
    return tread_milestones_check("multi_step_lr", o->milestones, o->n_milestones);
}

static const tread_field fields[] = {
    {.name = "milestones",
     .kind = TREAD_FIELD_INTEGER_LIST,
     .offset = offsetof(tread_multi_step_lr_options, milestones),
     .count_offset = offsetof(tread_multi_step_lr_options, n_milestones),
     .range = TREAD_RANGE_FROM(1),
     .doc = "steps of the changes, increasing"},
    TREAD_REAL(tread_multi_step_lr_options, gamma, 0.1, TREAD_RANGE_POSITIVE, "factor of each change"),
    TREAD_FIELDS_OF_SCHEDULERS(tread_multi_step_lr_options),
};

const tread_lr_scheduler_type tread_multi_step_lr_type = {
    .table = TREAD_TABLE("multi_step_lr", tread_multi_step_lr_options, fields, check),
    .doc = "times gamma at every milestone",
    .lr = lr,
};

tread_multi_step_lr_options tread_multi_step_lr_defaults(void) {
    tread_multi_step_lr_options o;
    tread_fields_defaults(&tread_multi_step_lr_type.table, &o);
    return o;
}

tread_lr_scheduler *tread_multi_step_lr(tread_optimizer *optimizer, const tread_multi_step_lr_options *options) {
    return tread_lr_scheduler_create(optimizer, &tread_multi_step_lr_type, options);
}
