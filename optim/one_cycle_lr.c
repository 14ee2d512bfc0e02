#include "core/status.h"
#include "optim/lr_schedulers_list.h"
#include "optim/scalar.h"

/* Where a step is: between two of these. */
typedef enum level { LOW, HIGH, END } level; /* peak / div_factor; the peak; peak / (div_factor final_div_factor) */
typedef struct place {
    level from, to;
    double share; /* 0 to 1, bent to the strategy */
} place;

/* Phases end at the steps pct_start total_steps - 1, with three_phase at twice that, and at total_steps - 1. */
static place place_of(const tread_one_cycle_lr_options *o, int64_t step) {
    double last = (double)(o->total_steps - 1), n = fmin((double)step, last), start = 0;
    double up = fmax(o->pct_start * (double)o->total_steps - 1, 0), end = up;
    place p = {.from = LOW, .to = HIGH};
    if (n > end && o->three_phase) {
        p = (place){.from = HIGH, .to = LOW};
        start = end;
        end = 2 * up;
    }
    if (n > end) {
        p = (place){.from = o->three_phase ? LOW : HIGH, .to = END};
        start = end;
        end = last;
    }
    double share = end > start ? (n - start) / (end - start) : 1;
    p.share = o->anneal_strategy == TREAD_ANNEAL_LINEAR ? share : 0.5 * (1 - tread_cos_pi_unit(share));
    return p;
}

static double lr(const void *options, double base_lr, int64_t step, size_t group) {
    const tread_one_cycle_lr_options *o = options;
    double peak = o->n_max_lr == 0 ? base_lr : o->max_lr[o->n_max_lr > 1 ? group : 0], low = peak / o->div_factor;
    const double levels[] = {[LOW] = low, [HIGH] = peak, [END] = low / o->final_div_factor};
    place p = place_of(o, step);
    return tread_between(levels[p.from], levels[p.to], p.share);
}

static double momentum(const void *options, int64_t step) {
    const tread_one_cycle_lr_options *o = options;
    const double levels[] = {[LOW] = o->max_momentum, [HIGH] = o->base_momentum, [END] = o->max_momentum};
    place p = place_of(o, step);
    return o->cycle_momentum ? tread_between(levels[p.from], levels[p.to], p.share) : NAN;
}

static tread_status check(const void *options) {
    const tread_one_cycle_lr_options *o = options;
    char number[TREAD_NUMBER_TEXT];
    if (o->three_phase && o->pct_start > 0.5)
        return tread_fail(
            TREAD_ERROR_ARGUMENT,
            "one_cycle_lr: three_phase = true needs pct_start <= 0.5, to come down as long as it went up; "
            "pct_start = %s",
            tread_number_text(number, o->pct_start));
    return TREAD_OK;
}

static const char *const strategies[] = {"cosine", "linear", NULL};
static const tread_field fields[] = {
    {.name = "max_lr",
     .kind = TREAD_FIELD_REAL_LIST,
     .offset = offsetof(tread_one_cycle_lr_options, max_lr),
     .count_offset = offsetof(tread_one_cycle_lr_options, n_max_lr),
     .range = TREAD_RANGE_NOT_NEGATIVE,
     .per_group = true,
     .doc = "the peak in place of lr, one for all groups or one per group; none: each group's lr"},
    {.name = "total_steps",
     .kind = TREAD_FIELD_INTEGER,
     .offset = offsetof(tread_one_cycle_lr_options, total_steps),
     .range = TREAD_RANGE_FROM(2),
     .required = true,
     .doc = "steps of the cycle"},
    TREAD_REAL(tread_one_cycle_lr_options, pct_start, 0.3, TREAD_RANGE_UNIT, "share of the steps that go up"),
    {.name = "anneal_strategy",
     .kind = TREAD_FIELD_CHOICE,
     .offset = offsetof(tread_one_cycle_lr_options, anneal_strategy),
     .choices = strategies,
     .doc = "half cosines, or lines"},
    TREAD_BOOLEAN(tread_one_cycle_lr_options, three_phase, 0, "down as long as it went up, then to the end"),
    TREAD_REAL(tread_one_cycle_lr_options, div_factor, 25, TREAD_RANGE_POSITIVE, "the peak over the first lr"),
    TREAD_REAL(tread_one_cycle_lr_options, final_div_factor, 1e4, TREAD_RANGE_POSITIVE, "the first lr over the last"),
    TREAD_FIELDS_OF_MOMENTUM(tread_one_cycle_lr_options, 0.85, 0.95),
    TREAD_FIELDS_OF_SCHEDULERS(tread_one_cycle_lr_options),
};

const tread_lr_scheduler_type tread_one_cycle_lr_type = {
    .table = TREAD_TABLE("one_cycle_lr", tread_one_cycle_lr_options, fields, check),
    .doc = "once up to a peak and down to nearly 0",
    .lr = lr,
    .momentum = momentum,
};

tread_one_cycle_lr_options tread_one_cycle_lr_defaults(void) {
    tread_one_cycle_lr_options o;
    tread_fields_defaults(&tread_one_cycle_lr_type.table, &o);
    return o;
}

tread_lr_scheduler *tread_one_cycle_lr(tread_optimizer *optimizer, const tread_one_cycle_lr_options *options) {
    return tread_lr_scheduler_create(optimizer, &tread_one_cycle_lr_type, options);
}
