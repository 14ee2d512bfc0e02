#include "optim/lr_function.h"
#include "optim/lr_schedulers_list.h"

/* b function(n) */
static double lr(const void *options, double base_lr, int64_t step, size_t group) {
    const tread_lambda_lr_options *o = options;
    const tread_lr_function *function = &o->functions[o->n_functions > 1 ? group : 0];
    return base_lr * function->evaluate(function->context, step);
}

static tread_status check(const void *options) {
    const tread_lambda_lr_options *o = options;
    return tread_lr_functions_check("lambda_lr", o->functions, o->n_functions);
}

static const tread_field fields[] = {
    {.name = "functions",
     .kind = TREAD_FIELD_FUNCTIONS,
     .offset = offsetof(tread_lambda_lr_options, functions),
     .count_offset = offsetof(tread_lambda_lr_options, n_functions),
     .required = true,
     .per_group = true,
     .doc = "of the step, one for all groups or one per group"},
    TREAD_FIELDS_OF_SCHEDULERS(tread_lambda_lr_options),
};

const tread_lr_scheduler_type tread_lambda_lr_type = {
    .table = TREAD_TABLE("lambda_lr", tread_lambda_lr_options, fields, check),
    .doc = "times a function of the step (in C only)",
    .lr = lr,
};

tread_lambda_lr_options tread_lambda_lr_defaults(void) {
    tread_lambda_lr_options o;
    tread_fields_defaults(&tread_lambda_lr_type.table, &o);
    return o;
}

tread_lr_scheduler *tread_lambda_lr(tread_optimizer *optimizer, const tread_lambda_lr_options *options) {
    return tread_lr_scheduler_create(optimizer, &tread_lambda_lr_type, options);
}
