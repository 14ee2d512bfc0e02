#include "optim/lr_schedulers_list.h"
#include "optim/scalar.h"

/* eta_min + (b - eta_min) (1 + cos(pi n / T_max)) / 2 */
static double lr(const void *options, double base_lr, int64_t step, size_t group) {
    const tread_cosine_annealing_lr_options *o = options;
    (void)group;
    return tread_between(o->eta_min, base_lr, 0.5 * (1 + tread_cos_pi(step, o->T_max)));
}

static const tread_field fields[] = {
    {.name = "T_max",
     .kind = TREAD_FIELD_INTEGER,
     .offset = offsetof(tread_cosine_annealing_lr_options, T_max),
     .range = TREAD_RANGE_FROM(1),
     .required = true,
     .doc = "steps down, and as many up again"},
    TREAD_REAL(tread_cosine_annealing_lr_options, eta_min, 0, TREAD_RANGE_NOT_NEGATIVE, "least lr"),
    TREAD_FIELDS_OF_SCHEDULERS(tread_cosine_annealing_lr_options),
};

const tread_lr_scheduler_type tread_cosine_annealing_lr_type = {
    .table = TREAD_TABLE("cosine_annealing_lr", tread_cosine_annealing_lr_options, fields, NULL),
    .doc = "a cosine from lr down to eta_min and up again",
    .lr = lr,
};

tread_cosine_annealing_lr_options tread_cosine_annealing_lr_defaults(void) {
    tread_cosine_annealing_lr_options o;
    tread_fields_defaults(&tread_cosine_annealing_lr_type.table, &o);
    return o;
}

tread_lr_scheduler *tread_cosine_annealing_lr(tread_optimizer *optimizer,
                                              const tread_cosine_annealing_lr_options *options) {
    return tread_lr_scheduler_create(optimizer, &tread_cosine_annealing_lr_type, options);
}
