#include "optim/lr_schedulers_list.h"
#include "optim/scalar.h"

/* Cycle i has T_0 T_mult^i steps and the peak b decay_rate^i; j steps into one that is T long:
 *     eta_min + (peak - eta_min) (1 + cos(pi j / T)) / 2
 * After restart_limit cycles (0: never) eta_min. */
static double lr(const void *options, double base_lr, int64_t step, size_t group) {
    const tread_cosine_annealing_warm_restarts_options *o = options;
    const int64_t far = INT64_MAX / 4; /* no step gets there */
    int64_t into = step, length = o->T_0, cycle = 0;
    (void)group;
    if (o->T_mult == 1) {
        cycle = step / length;
        into = step % length;
    } else {
        for (; into >= length; cycle++) {
            into -= length;
            length = length > far / o->T_mult ? far : length * o->T_mult;
        }
    }
    if (o->restart_limit > 0 && cycle >= o->restart_limit)
        return o->eta_min;
    double peak = base_lr * tread_power(o->decay_rate, (uint64_t)cycle);
    return tread_between(o->eta_min, peak, 0.5 * (1 + tread_cos_pi(into, length)));
}

static const tread_field fields[] = {
    {.name = "T_0",
     .kind = TREAD_FIELD_INTEGER,
     .offset = offsetof(tread_cosine_annealing_warm_restarts_options, T_0),
     .range = TREAD_RANGE_FROM(1),
     .required = true,
     .doc = "steps of the first cycle"},
    TREAD_INTEGER(tread_cosine_annealing_warm_restarts_options, T_mult, 1, TREAD_RANGE_FROM(1),
                  "each cycle is so many times as long as the last"),
    TREAD_REAL(tread_cosine_annealing_warm_restarts_options, eta_min, 0, TREAD_RANGE_NOT_NEGATIVE, "least lr"),
    TREAD_REAL(tread_cosine_annealing_warm_restarts_options, decay_rate, 1, TREAD_RANGE_POSITIVE,
               "factor of the peak at each restart"),
    TREAD_INTEGER(tread_cosine_annealing_warm_restarts_options, restart_limit, 0, TREAD_RANGE_FROM(0),
                  "cycles until lr stays at eta_min; 0: never"),
    TREAD_FIELDS_OF_SCHEDULERS(tread_cosine_annealing_warm_restarts_options),
};

const tread_lr_scheduler_type tread_cosine_annealing_warm_restarts_type = {
    .table = TREAD_TABLE("cosine_annealing_warm_restarts", tread_cosine_annealing_warm_restarts_options, fields, NULL),
    .doc = "half a cosine down, over and over",
    .lr = lr,
};

tread_cosine_annealing_warm_restarts_options tread_cosine_annealing_warm_restarts_defaults(void) {
    tread_cosine_annealing_warm_restarts_options o;
    tread_fields_defaults(&tread_cosine_annealing_warm_restarts_type.table, &o);
    return o;
}

tread_lr_scheduler *tread_cosine_annealing_warm_restarts(tread_optimizer *optimizer,
                                                         const tread_cosine_annealing_warm_restarts_options *options) {
    return tread_lr_scheduler_create(optimizer, &tread_cosine_annealing_warm_restarts_type, options);
}
