#include "optim/lr_schedulers_list.h"
#include "optim/scalar.h"

/* How far up: 0 at the ends of a cycle, at its top 1 times what the mode leaves of it. */
static double height(const tread_cyclic_lr_options *o, int64_t step) {
    int64_t up = o->step_size_up, down = o->step_size_down > 0 ? o->step_size_down : up;
    int64_t cycle = step / (up + down), into = step % (up + down);
    double share = into <= up ? (double)into / (double)up : (double)(up + down - into) / (double)down;
    switch (o->mode) {
    case TREAD_CYCLIC_TRIANGULAR2: return share * tread_power(0.5, (uint64_t)cycle);
    case TREAD_CYCLIC_EXP_RANGE: return share * tread_power(o->gamma, (uint64_t)step);
    default: return share;
    }
}

static double lr(const void *options, double base_lr, int64_t step, size_t group) {
    const tread_cyclic_lr_options *o = options;
    return tread_between(base_lr, o->max_lr[o->n_max_lr > 1 ? group : 0], height(o, step));
}

static double momentum(const void *options, int64_t step) {
    const tread_cyclic_lr_options *o = options;
    return o->cycle_momentum ? tread_between(o->max_momentum, o->base_momentum, height(o, step)) : NAN;
}

static const char *const modes[] = {"triangular", "triangular2", "exp_range", NULL};
static const tread_field fields[] = {
    {.name = "max_lr",
     .kind = TREAD_FIELD_REAL_LIST,
     .offset = offsetof(tread_cyclic_lr_options, max_lr),
     .count_offset = offsetof(tread_cyclic_lr_options, n_max_lr),
     .range = TREAD_RANGE_NOT_NEGATIVE,
     .required = true,
     .per_group = true,
     .doc = "the peak, one for all groups or one per group"},
    TREAD_INTEGER(tread_cyclic_lr_options, step_size_up, 2000, TREAD_RANGE_FROM(1), "steps up to the peak"),
    TREAD_INTEGER(tread_cyclic_lr_options, step_size_down, 0, TREAD_RANGE_FROM(0),
                  "steps down to lr; 0: as many as up"),
    {.name = "mode",
     .kind = TREAD_FIELD_CHOICE,
     .offset = offsetof(tread_cyclic_lr_options, mode),
     .choices = modes,
     .doc = "cycles alike, each half as high, or times gamma^n"},
    TREAD_REAL(tread_cyclic_lr_options, gamma, 1, TREAD_RANGE_UP_TO_ONE, "of exp_range"),
    TREAD_FIELDS_OF_MOMENTUM(tread_cyclic_lr_options, 0.8, 0.9),
    TREAD_FIELDS_OF_SCHEDULERS(tread_cyclic_lr_options),
};

const tread_lr_scheduler_type tread_cyclic_lr_type = {
    .table = TREAD_TABLE("cyclic_lr", tread_cyclic_lr_options, fields, NULL),
    .doc = "up to a peak and back, over and over",
    .lr = lr,
    .momentum = momentum,
};

tread_cyclic_lr_options tread_cyclic_lr_defaults(void) {
    tread_cyclic_lr_options o;
    tread_fields_defaults(&tread_cyclic_lr_type.table, &o);
    return o;
}

tread_lr_scheduler *tread_cyclic_lr(tread_optimizer *optimizer, const tread_cyclic_lr_options *options) {
    return tread_lr_scheduler_create(optimizer, &tread_cyclic_lr_type, options);
}
