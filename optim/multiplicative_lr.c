#include "optim/lr_function.h"
#include "optim/lr_schedulers_list.h"

/* b function(1) function(2) ... function(n), multiplied in that order whichever step is asked for when; a step after
 * the last one goes on from its product. */
static double lr(const void *options, double base_lr, int64_t step, size_t group) {
    const tread_multiplicative_lr_options *o = options;
    size_t i = o->n_functions > 1 ? group : 0;
    const tread_lr_function *function = &o->functions[i];
    tread_lr_product *product = &tread_lr_products(o->functions, o->n_functions)[i];
    if (step < product->step)
        *product = (tread_lr_product){.step = 0, .value = 1};
    while (product->step < step)
        product->value *= function->evaluate(function->context, ++product->step);
    return base_lr * product->value;
}

static tread_status check(const void *options) {
    const tread_multiplicative_lr_options *o = options;
    return tread_lr_functions_check("multiplicative_lr", o->functions, o->n_functions);
}

static const tread_field fields[] = {
    {.name = "functions",
     .kind = TREAD_FIELD_FUNCTIONS,
     .offset = offsetof(tread_multiplicative_lr_options, functions),
     .count_offset = offsetof(tread_multiplicative_lr_options, n_functions),
     .required = true,
     .per_group = true,
     .doc = "of the step, one for all groups or one per group"},
    TREAD_FIELDS_OF_SCHEDULERS(tread_multiplicative_lr_options),
};

const tread_lr_scheduler_type tread_multiplicative_lr_type = {
    .table = TREAD_TABLE("multiplicative_lr", tread_multiplicative_lr_options, fields, check),
    .doc = "times a function of each step so far (in C only)",
    .lr = lr,
};

tread_multiplicative_lr_options tread_multiplicative_lr_defaults(void) {
    tread_multiplicative_lr_options o;
    tread_fields_defaults(&tread_multiplicative_lr_type.table, &o);
    return o;
}

tread_lr_scheduler *tread_multiplicative_lr(tread_optimizer *optimizer,
                                            const tread_multiplicative_lr_options *options) {
    return tread_lr_scheduler_create(optimizer, &tread_multiplicative_lr_type, options);
}
