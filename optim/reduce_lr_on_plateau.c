#include "optim/lr_schedulers_list.h"

typedef struct memory {
    size_t size;
    double best;              /* NAN: none yet */
    int64_t bad;              /* metrics in a row that were not better */
    int64_t cooldown_counter; /* metrics to come that do not count as bad */
} memory;

static bool is_better(const tread_reduce_lr_on_plateau_options *o, double a, double best) {
    if (isnan(best))
        return !isnan(a);
    double margin = o->threshold_mode == TREAD_THRESHOLD_REL ? fabs(best) * o->threshold : o->threshold;
    if (isinf(best)) /* any finite metric is better than that of a run that had diverged */
        margin = 0;
    return o->mode == TREAD_PLATEAU_MIN ? a < best - margin : a > best + margin;
}

static void lr_on_metric(const void *options, void *own, double metric, size_t n_groups, double *lrs) {
    const tread_reduce_lr_on_plateau_options *o = options;
    memory *m = own;
    if (is_better(o, metric, m->best)) {
        m->best = metric;
        m->bad = 0;
    } else {
        m->bad++;
    }
    if (m->cooldown_counter > 0) {
        m->cooldown_counter--;
        m->bad = 0;
    }
    if (m->bad <= o->patience)
        return;
    for (size_t g = 0; g < n_groups; g++) {
        double least = o->n_min_lr == 0 ? 0 : o->min_lr[o->n_min_lr > 1 ? g : 0], lr = fmax(lrs[g] * o->factor, least);
        if (lrs[g] - lr > o->eps)
            lrs[g] = lr;
    }
    m->cooldown_counter = o->cooldown;
    m->bad = 0;
}

static const char *const modes[] = {"min", "max", NULL}, *const threshold_modes[] = {"rel", "abs", NULL};
static const tread_field fields[] = {
    {.name = "mode",
     .kind = TREAD_FIELD_CHOICE,
     .offset = offsetof(tread_reduce_lr_on_plateau_options, mode),
     .choices = modes,
     .doc = "whether small or large metrics are good"},
    TREAD_REAL(tread_reduce_lr_on_plateau_options, factor, 0.1, TREAD_RANGE_INSIDE(0, 1), "of each change"),
    TREAD_INTEGER(tread_reduce_lr_on_plateau_options, patience, 10, TREAD_RANGE_FROM(0),
                  "metrics in a row that may be no better"),
    TREAD_REAL(tread_reduce_lr_on_plateau_options, threshold, 1e-4, TREAD_RANGE_NOT_NEGATIVE, "how much better"),
    {.name = "threshold_mode",
     .kind = TREAD_FIELD_CHOICE,
     .offset = offsetof(tread_reduce_lr_on_plateau_options, threshold_mode),
     .choices = threshold_modes,
     .doc = "threshold times the best metric, or threshold itself"},
    TREAD_INTEGER(tread_reduce_lr_on_plateau_options, cooldown, 0, TREAD_RANGE_FROM(0),
                  "metrics after a change that do not count"),
    {.name = "min_lr",
     .kind = TREAD_FIELD_REAL_LIST,
     .offset = offsetof(tread_reduce_lr_on_plateau_options, min_lr),
     .count_offset = offsetof(tread_reduce_lr_on_plateau_options, n_min_lr),
     .range = TREAD_RANGE_NOT_NEGATIVE,
     .per_group = true,
     .doc = "least lr, one for all groups or one per group; none: 0"},
    TREAD_REAL(tread_reduce_lr_on_plateau_options, eps, 1e-8, TREAD_RANGE_NOT_NEGATIVE,
               "changes up to this are not made"),
    TREAD_BOOLEAN(tread_reduce_lr_on_plateau_options, verbose, 0, "log each new learning rate"),
};

static const tread_field memory_fields[] = {
    {.name = "best",
     .offset = offsetof(memory, best),
     .initial = {NAN},
     .range = {-INFINITY, INFINITY, false, false, true, true},
     .may_be_absent = true,
     .doc = "best metric so far"},
    TREAD_INTEGER(memory, bad, 0, TREAD_RANGE_FROM(0), "metrics in a row that were not better"),
    TREAD_INTEGER(memory, cooldown_counter, 0, TREAD_RANGE_FROM(0), "metrics to come that do not count"),
};
static const tread_field_table memory_table = TREAD_TABLE("reduce_lr_on_plateau", memory, memory_fields, NULL);

const tread_lr_scheduler_type tread_reduce_lr_on_plateau_type = {
    .table = TREAD_TABLE("reduce_lr_on_plateau", tread_reduce_lr_on_plateau_options, fields, NULL),
    .doc = "times factor when a metric is no better for a while",
    .lr_on_metric = lr_on_metric,
    .memory = &memory_table,
};

bool tread_lr_scheduler_in_cooldown(const tread_lr_scheduler *scheduler) {
    return scheduler != NULL && scheduler->type == &tread_reduce_lr_on_plateau_type &&
           ((const memory *)scheduler->memory)->cooldown_counter > 0;
}

bool tread_lr_scheduler_is_better(const tread_lr_scheduler *scheduler, double a, double best) {
    return scheduler != NULL && scheduler->type == &tread_reduce_lr_on_plateau_type &&
           is_better(scheduler->options, a, best);
}

tread_reduce_lr_on_plateau_options tread_reduce_lr_on_plateau_defaults(void) {
    tread_reduce_lr_on_plateau_options o;
    tread_fields_defaults(&tread_reduce_lr_on_plateau_type.table, &o);
    return o;
}

tread_lr_scheduler *tread_reduce_lr_on_plateau(tread_optimizer *optimizer,
                                               const tread_reduce_lr_on_plateau_options *options) {
    return tread_lr_scheduler_create(optimizer, &tread_reduce_lr_on_plateau_type, options);
}
