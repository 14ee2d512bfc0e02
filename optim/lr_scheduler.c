#include "optim/lr_scheduler.h"

#include <string.h>

#include "core/context.h"
#include "core/memory.h"
#include "core/status.h"
#include "optim/lr_inner.h"
#include "optim/optimizer.h"

static const void *option(const tread_lr_scheduler *scheduler, const char *name) {
    const tread_field_table *table = &scheduler->type->table;
    for (size_t f = 0; f < table->n_fields; f++)
        if (strcmp(table->fields[f].name, name) == 0)
            return (const char *)scheduler->options + table->fields[f].offset;
    return NULL;
}

static const char *name_of(const tread_lr_scheduler *scheduler) { return scheduler->type->table.name; }

tread_status tread_lr_scheduler_check_optimizer(const tread_lr_scheduler *scheduler) {
    if (scheduler->owner != NULL)
        return tread_fail(TREAD_ERROR_STATE, "%s: it is part of another scheduler", name_of(scheduler));
    if (scheduler->optimizer == NULL)
        return tread_fail(TREAD_ERROR_STATE, "%s: its optimizer has been destroyed", name_of(scheduler));
    return TREAD_OK;
}

tread_status tread_lr_scheduler_fit_groups(tread_lr_scheduler *scheduler) {
    size_t n = scheduler->optimizer->n_groups;
    if (n == scheduler->n_lrs)
        return TREAD_OK;
    double *lrs = tread_alloc(2 * n * sizeof *lrs, "a scheduler's learning rates");
    if (lrs == NULL)
        return TREAD_ERROR_MEMORY;
    for (size_t g = 0; g < n; g++)
        lrs[g] = g < scheduler->n_lrs ? scheduler->lrs[g] : tread_optimizer_lr(scheduler->optimizer, g);
    tread_free(scheduler->lrs);
    scheduler->lrs = lrs;
    scheduler->n_lrs = n;
    return TREAD_OK;
}

/* The groups' lrs at a step, into the second half of scheduler->lrs. */
static tread_status compute(tread_lr_scheduler *scheduler, int64_t step) {
    for (size_t g = 0; g < scheduler->n_lrs; g++) {
        const tread_param_group *group = &scheduler->optimizer->groups[g];
        double base = isnan(group->initial_lr) ? tread_optimizer_lr(scheduler->optimizer, g) : group->initial_lr;
        double lr = scheduler->type->lr(scheduler->options, base, step, g);
        char number[TREAD_NUMBER_TEXT];
        if (!tread_is_lr(lr))
            return tread_fail(TREAD_ERROR_NUMERIC, "%s: lr of group %zu at step %lld is %s, %s", name_of(scheduler), g,
                              (long long)step, tread_number_text(number, lr),
                              isfinite(lr) && lr > 0 ? "above " TREAD_LARGEST_FLOAT_TEXT : "outside [0, inf)");
        scheduler->lrs[scheduler->n_lrs + g] = lr;
    }
    return TREAD_OK;
}

tread_status tread_lr_scheduler_check_momentum(const tread_optimizer *optimizer, const tread_field_table *table,
                                               const void *options) {
    for (size_t g = 0; g < optimizer->n_groups && tread_inner_cycles_momentum(table, options); g++)
        if (tread_group_momentum_field(optimizer, &optimizer->groups[g]) == NULL)
            return tread_fail(TREAD_ERROR_ARGUMENT,
                              "%s: cycle_momentum is true, and %s has neither momentum nor betas that may change",
                              table->name, optimizer->type->table.name);
    return TREAD_OK;
}

tread_status tread_lr_scheduler_write_momentum(const tread_lr_scheduler *scheduler, const void *options, int64_t step) {
    const tread_lr_scheduler_type *type = scheduler->type;
    double momentum = type->momentum != NULL ? type->momentum(options, step) : NAN;
    if (isnan(momentum))
        return TREAD_OK;
    return tread_groups_set_momentum(scheduler->optimizer, momentum);
}

void tread_lr_scheduler_write(tread_lr_scheduler *scheduler) {
    for (size_t g = 0; g < scheduler->n_lrs; g++) {
        scheduler->lrs[g] = scheduler->lrs[scheduler->n_lrs + g];
        tread_group_set_lr(scheduler->optimizer, &scheduler->optimizer->groups[g], scheduler->lrs[g]);
    }
}

static void write_and_log(tread_lr_scheduler *scheduler) {
    const bool *verbose = option(scheduler, "verbose");
    char number[TREAD_NUMBER_TEXT];
    tread_lr_scheduler_write(scheduler);
    for (size_t g = 0; g < scheduler->n_lrs && verbose != NULL && *verbose; g++)
        tread_context_log(scheduler->optimizer->context, "%s: step %lld: lr of group %zu is %s", name_of(scheduler),
                          (long long)scheduler->last_step, g, tread_number_digits(number, scheduler->lrs[g], 5));
}

/* A schedule on a metric changes the lr that is there; one that computes it anew would undo that. */
static tread_status check_company(const tread_optimizer *optimizer, const tread_lr_scheduler_type *type) {
    for (const tread_lr_scheduler *other = optimizer->schedulers; other != NULL; other = other->next)
        if (type->lr_on_metric != NULL || other->type->lr_on_metric != NULL)
            return tread_fail(TREAD_ERROR_STATE,
                              "%s: the optimizer has a %s already, and the two would undo each other", type->table.name,
                              name_of(other));
    return TREAD_OK;
}

static tread_status start(tread_lr_scheduler *scheduler) {
    tread_optimizer *optimizer = scheduler->optimizer;
    const tread_field_table *table = &scheduler->type->table;
    const int64_t *last_step = option(scheduler, "last_step");
    TREAD_TRY(check_company(optimizer, scheduler->type));
    TREAD_TRY(tread_inner_check(table, scheduler->options, optimizer));
    TREAD_TRY(tread_inner_fit_groups(table, scheduler->options, optimizer->n_groups, TREAD_ERROR_ARGUMENT));
    TREAD_TRY(tread_lr_scheduler_check_momentum(optimizer, table, scheduler->options));
    TREAD_TRY(tread_lr_scheduler_fit_groups(scheduler));
    if (scheduler->type->lr_on_metric != NULL) {
        scheduler->memory = tread_alloc(scheduler->type->memory->size, "a scheduler's state");
        if (scheduler->memory == NULL)
            return TREAD_ERROR_MEMORY;
        tread_fields_defaults(scheduler->type->memory, scheduler->memory);
        return TREAD_OK;
    }
    for (size_t g = 0; g < optimizer->n_groups && *last_step >= 0; g++)
        if (isnan(optimizer->groups[g].initial_lr))
            return tread_fail(
                TREAD_ERROR_STATE,
                "%s: last_step = %lld goes on with an earlier run, and group %zu has no initial_lr; load the "
                "optimizer's state first",
                name_of(scheduler), (long long)*last_step, g);
    scheduler->last_step = *last_step + 1;
    TREAD_TRY(compute(scheduler, scheduler->last_step));
    TREAD_TRY(tread_lr_scheduler_write_momentum(scheduler, scheduler->options, scheduler->last_step));
    tread_inner_take(table, scheduler->options);
    for (size_t g = 0; g < optimizer->n_groups; g++)
        if (isnan(optimizer->groups[g].initial_lr))
            optimizer->groups[g].initial_lr = tread_optimizer_lr(optimizer, g);
    write_and_log(scheduler);
    return TREAD_OK;
}

tread_lr_scheduler *tread_lr_scheduler_detached(const tread_lr_scheduler_type *type, void *own_options,
                                                const void *owner) {
    tread_lr_scheduler *scheduler = tread_calloc(1, sizeof *scheduler, "a scheduler");
    if (scheduler == NULL) {
        tread_fields_free(&type->table, own_options);
        return NULL;
    }
    scheduler->type = type;
    scheduler->options = own_options;
    scheduler->owner = owner;
    return scheduler;
}

tread_lr_scheduler *tread_lr_scheduler_adopt(tread_optimizer *optimizer, const tread_lr_scheduler_type *type,
                                             void *own_options) {
    tread_lr_scheduler *scheduler = tread_lr_scheduler_detached(type, own_options, NULL);
    if (scheduler == NULL)
        return NULL;
    scheduler->optimizer = optimizer;
    if (start(scheduler) != TREAD_OK) {
        scheduler->optimizer = NULL;
        tread_lr_scheduler_destroy(scheduler);
        return NULL;
    }
    scheduler->next = optimizer->schedulers;
    optimizer->schedulers = scheduler;
    return scheduler;
}

tread_lr_scheduler *tread_lr_scheduler_create(tread_optimizer *optimizer, const tread_lr_scheduler_type *type,
                                              const void *options) {
    void *own;
    if (optimizer == NULL)
        return tread_fail_null(TREAD_ERROR_ARGUMENT, "%s: the optimizer is NULL", type->table.name);
    return tread_fields_clone(&type->table, options, &own) == TREAD_OK ? tread_lr_scheduler_adopt(optimizer, type, own)
                                                                       : NULL;
}

void tread_lr_scheduler_leave(tread_lr_scheduler *scheduler) {
    if (scheduler->optimizer == NULL)
        return;
    tread_lr_scheduler **link = &scheduler->optimizer->schedulers;
    while (*link != scheduler)
        link = &(*link)->next;
    *link = scheduler->next;
    scheduler->optimizer = NULL;
}

void tread_lr_scheduler_destroy(tread_lr_scheduler *scheduler) {
    if (scheduler == NULL || scheduler->owner != NULL) /* an inner one goes with the outer one */
        return;
    tread_lr_scheduler_leave(scheduler);
    tread_fields_free(&scheduler->type->table, scheduler->options);
    if (scheduler->memory != NULL)
        tread_fields_free(scheduler->type->memory, scheduler->memory);
    tread_free(scheduler->lrs);
    tread_free(scheduler);
}

bool tread_lr_schedulers_have_base(const tread_optimizer *optimizer) {
    return optimizer->schedulers != NULL && optimizer->schedulers->type->lr != NULL; /* one on a metric is alone */
}

void tread_lr_schedulers_detach(tread_optimizer *optimizer) {
    for (tread_lr_scheduler *s = optimizer->schedulers; s != NULL; s = s->next)
        s->optimizer = NULL;
}

static tread_status step(tread_lr_scheduler *scheduler, double metric) {
    TREAD_TRY(tread_lr_scheduler_check_optimizer(scheduler));
    TREAD_TRY(tread_inner_fit_groups(&scheduler->type->table, scheduler->options, scheduler->optimizer->n_groups,
                                     TREAD_ERROR_STATE));
    TREAD_TRY(tread_lr_scheduler_fit_groups(scheduler));
    if (scheduler->type->lr_on_metric != NULL) {
        double *lrs = scheduler->lrs + scheduler->n_lrs;
        for (size_t g = 0; g < scheduler->n_lrs; g++)
            lrs[g] = tread_optimizer_lr(scheduler->optimizer, g);
        scheduler->type->lr_on_metric(scheduler->options, scheduler->memory, metric, scheduler->n_lrs, lrs);
    } else {
        TREAD_TRY(compute(scheduler, scheduler->last_step + 1));
        TREAD_TRY(tread_lr_scheduler_write_momentum(scheduler, scheduler->options, scheduler->last_step + 1));
    }
    scheduler->last_step++;
    write_and_log(scheduler);
    return TREAD_OK;
}

tread_status tread_lr_scheduler_step(tread_lr_scheduler *scheduler) {
    TREAD_REFUSE_NULL("lr scheduler step", scheduler);
    if (scheduler->type->lr_on_metric != NULL)
        return tread_fail(TREAD_ERROR_STATE, "%s: a step needs a metric; call tread_lr_scheduler_step_metric",
                          name_of(scheduler));
    return step(scheduler, NAN);
}

tread_status tread_lr_scheduler_step_metric(tread_lr_scheduler *scheduler, double metric) {
    TREAD_REFUSE_NULL("lr scheduler step metric", scheduler);
    return step(scheduler, metric);
}

bool tread_lr_scheduler_needs_metric(const tread_lr_scheduler *scheduler) {
    if (scheduler == NULL)
        return false;
    return scheduler->type->lr_on_metric != NULL;
}

double tread_lr_scheduler_get_last_lr(const tread_lr_scheduler *scheduler, size_t group) {
    if (scheduler == NULL)
        return NAN;
    return group < scheduler->n_lrs ? scheduler->lrs[group] : NAN;
}

int64_t tread_lr_scheduler_last_step(const tread_lr_scheduler *scheduler) {
    return scheduler != NULL ? scheduler->last_step : -1;
}

double tread_lr_scheduler_get_lr(const tread_lr_scheduler *scheduler, double base_lr, int64_t at) {
    return tread_lr_scheduler_get_lr_of_group(scheduler, 0, base_lr, at);
}

double tread_lr_scheduler_get_lr_of_group(const tread_lr_scheduler *scheduler, size_t group, double base_lr,
                                          int64_t at) {
    if (scheduler == NULL || scheduler->type->lr == NULL)
        return NAN;
    bool is_step = at >= 0 && at <= (int64_t)TREAD_LARGEST_INTEGER;
    bool is_group = group == 0 || group < scheduler->n_lrs; /* for so many its lists were found to fit */
    return is_step && is_group ? scheduler->type->lr(scheduler->options, base_lr, at, group) : NAN;
}

const char *tread_lr_scheduler_name(const tread_lr_scheduler *scheduler) {
    return scheduler != NULL ? name_of(scheduler) : NULL;
}
