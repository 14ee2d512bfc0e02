#include <math.h>
#include <string.h>

#include "core/context.h"
#include "core/options.h"
#include "core/parallel.h"
#include "core/recorder.h"
#include "core/status.h"
#include "optim/clip.h"
#include "optim/optimizer.h"
#include "optim/step_run.h"

/* ---- One update ---- */

/* The parameters that are updated as a whole; first their directions, which may fail, then the updates. */
static tread_status update_whole(tread_optimizer *optimizer, bool directions) {
    const tread_optimizer_type *type = optimizer->type;
    for (size_t i = 0; i < optimizer->n_items; i++) {
        tread_optimizer_item *item = &optimizer->items[i];
        if (!item->whole || !item->active)
            continue;
        const tread_plan_piece *piece = &optimizer->plan.pieces[item->piece];
        void *factors = optimizer->plan.kinds[piece->kind].factors;
        tread_update u = tread_step_part(optimizer, piece, 0, item->n, directions || type->find_direction == NULL);
        if (directions)
            TREAD_TRY(type->find_direction(factors, &u, item->workspace));
        else
            type->whole_tensor(factors, &u, &item->parameter->tensor, item->workspace);
    }
    return TREAD_OK;
}

/* What gradients are multiplied by. */
static void set_scales(tread_optimizer *optimizer) {
    for (size_t g = 0; g < optimizer->n_groups; g++) {
        tread_param_group *group = &optimizer->groups[g];
        const bool maximize = *(const bool *)tread_group_option(optimizer, group, "maximize");
        group->scale = maximize ? -group->clip : group->clip;
    }
}

static void forget_clip(tread_optimizer *optimizer) {
    for (size_t g = 0; g < optimizer->n_groups; g++)
        optimizer->groups[g].clip = 1;
}

static void zero_all(tread_optimizer *optimizer, bool to_none) {
    for (size_t i = 0; i < optimizer->n_items; i++)
        tread_tensor_zero_grad(&optimizer->items[i].parameter->tensor, to_none);
}

static tread_status apply(tread_optimizer *optimizer, const tread_step_extras *extras) {
    const tread_optimizer_type *type = optimizer->type;
    set_scales(optimizer);
    if (!tread_step_plan_renew(optimizer, extras)) {
        TREAD_TRY(tread_step_plan_make(optimizer, extras));
        if (type->find_direction != NULL)
            TREAD_TRY(update_whole(optimizer, true));
        tread_step_plan_mark(optimizer, extras);
    }
    /* Nothing can fail from here on. */
    forget_clip(optimizer);
    tread_step_run(optimizer, extras);
    if (type->whole_tensor != NULL)
        TREAD_TRY(update_whole(optimizer, false));
    if (!optimizer->plan.is_kept) {
        tread_step_run_late(optimizer, extras, false);
        if (extras->zero)
            zero_all(optimizer, extras->to_none);
    }
    return TREAD_OK;
}

tread_status tread_optimizer_evaluate(tread_optimizer *optimizer, tread_closure *closure, double *ret_loss) {
    double loss = 0;
    optimizer->closure_calls++;
    TREAD_TRY(closure->evaluate(closure->data, &loss));
    TREAD_TRY(tread_optimizer_check_sparse(optimizer));
    *ret_loss = loss;
    return TREAD_OK;
}

/* ---- A step ---- */

tread_step_options tread_step_defaults(void) {
    return (tread_step_options){.size = sizeof(tread_step_options),
                                .grad_scale = 1,
                                .nonfinite = TREAD_NONFINITE_PROPAGATE,
                                .max_norm = INFINITY,
                                .norm_type = 2};
}

static tread_status check_options(const tread_optimizer *optimizer, const tread_step_options *o) {
    const char *name = optimizer->type->table.name;
    char number[TREAD_NUMBER_TEXT];
    TREAD_TRY(tread_clip_check("step", o->max_norm, o->norm_type, o->nonfinite));
    if (!(o->grad_scale > 0 && isfinite(o->grad_scale)))
        return tread_fail(TREAD_ERROR_ARGUMENT, "%s: step: grad_scale = %s is outside (0, inf)", name,
                          tread_number_text(number, o->grad_scale));
    if (!(o->ema_decay >= 0 && o->ema_decay < 1))
        return tread_fail(TREAD_ERROR_ARGUMENT, "%s: step: ema_decay = %s is outside [0, 1)", name,
                          tread_number_text(number, o->ema_decay));
    if (o->ema_decay > 0 && o->averages == NULL)
        return tread_fail(
            TREAD_ERROR_ARGUMENT,
            "%s: step: ema_decay = %s needs averages, an array for each of %zu parameters, which are NULL", name,
            tread_number_text(number, o->ema_decay), optimizer->n_items);
    if ((unsigned)o->zero_grad > TREAD_ZERO_GRAD_TO_ZEROS)
        return tread_fail(TREAD_ERROR_ARGUMENT,
                          "%s: step: zero_grad = %d is not one of keep (0), to none (1), to "
                          "zeros (2)",
                          name, (int)o->zero_grad);
    if (o->averages != NULL && o->n_averages != optimizer->n_items)
        return tread_fail(TREAD_ERROR_ARGUMENT, "%s: step: %zu averages for %zu parameters", name, o->n_averages,
                          optimizer->n_items);
    if (optimizer->type->solve != NULL &&
        (o->grad_scale != 1 || o->nonfinite != TREAD_NONFINITE_PROPAGATE || isfinite(o->max_norm) || o->clip_groups))
        return tread_fail(TREAD_ERROR_ARGUMENT,
                          "%s: step: gradients are neither scaled, clipped nor looked at within "
                          "the step, which needs them as they are",
                          name);
    return TREAD_OK;
}

static tread_step_extras extras_of(const tread_step_options *o) {
    return (tread_step_extras){.averages = o->averages,
                               .keep = (float)o->ema_decay,
                               .take = (float)(1 - o->ema_decay),
                               .zero = o->zero_grad != TREAD_ZERO_GRAD_KEEP,
                               .to_none = o->zero_grad == TREAD_ZERO_GRAD_TO_NONE};
}

/* One read pass over the gradients where one is asked for; what it found goes into the groups' clip. */
static tread_status look(tread_optimizer *optimizer, const tread_step_options *o, double *ret_norm) {
    const tread_clip_request all = {.call = "step",
                                    .max_norm = o->max_norm,
                                    .norm_type = o->norm_type,
                                    .unscale = 1 / o->grad_scale,
                                    .nonfinite = o->nonfinite,
                                    .fused = true};
    const bool checks = o->nonfinite != TREAD_NONFINITE_PROPAGATE;
    if (isfinite(o->max_norm) || checks)
        TREAD_TRY(tread_clip_all(optimizer, &all, ret_norm));
    else
        tread_clip_unscale(optimizer, all.unscale);
    if (!o->clip_groups || optimizer->skip_next)
        return TREAD_OK;
    tread_clip_request own = all;
    own.unscale = 1; /* that is pending, or done */
    const tread_status status = tread_clip_groups(optimizer, &own, NULL);
    if (status != TREAD_OK)
        forget_clip(optimizer); /* what the first pass found; what was pending before has been settled by it */
    return status;
}

/* What a fused clip left from before the step is of gradients that the closure computes anew. */
static tread_status solve(tread_optimizer *optimizer, tread_closure *closure, const tread_step_options *o) {
    if (closure == NULL)
        return tread_fail(TREAD_ERROR_ARGUMENT, "%s: a step needs a closure", optimizer->type->table.name);
    optimizer->groups[0].clip = 1;
    optimizer->solving = true;
    const tread_time_span_key key = {.name = optimizer->type->table.name, .phase = TREAD_TRACE_OTHER};
    const tread_time_span span = tread_time_span_within(optimizer->context, &key);
    tread_status status = optimizer->type->solve(optimizer, optimizer->solver, closure);
    tread_time_span_end(optimizer->context, span, (tread_cost){0});
    optimizer->solving = false;
    if (status != TREAD_OK || optimizer->skipped)
        return status;
    for (size_t i = 0; i < optimizer->n_items; i++)
        optimizer->items[i].progress.step++;
    const tread_step_extras extras = extras_of(o);
    tread_step_run_late(optimizer, &extras, true);
    if (extras.zero)
        zero_all(optimizer, extras.to_none);
    return TREAD_OK;
}

static bool looks(const tread_step_options *o) {
    return isfinite(o->max_norm) || o->clip_groups || o->nonfinite != TREAD_NONFINITE_PROPAGATE || o->grad_scale != 1;
}

static tread_status timed_apply(tread_optimizer *optimizer, const tread_step_options *o, double *ret_norm) {
    const tread_step_extras extras = extras_of(o);
    tread_status status = TREAD_OK;
    const tread_time_span_key key = {.name = optimizer->type->table.name, .phase = TREAD_TRACE_OTHER};
    const tread_time_span span = tread_time_span_begin(optimizer->context, &key);
    if (looks(o))
        status = look(optimizer, o, ret_norm);
    optimizer->skipped = status == TREAD_OK && optimizer->skip_next;
    if (status == TREAD_OK) {
        optimizer->skip_next = false;
        if (!optimizer->skipped)
            status = apply(optimizer, &extras);
        if (optimizer->skipped || (status != TREAD_OK && looks(o)))
            forget_clip(optimizer); /* what was found is of this step alone */
    }
    tread_time_span_end(optimizer->context, span, (tread_cost){0});
    if (status == TREAD_OK && optimizer->skipped && extras.zero)
        tread_optimizer_zero_grad(optimizer, extras.to_none);
    return status;
}

static tread_status update(tread_optimizer *optimizer, tread_closure *closure, const tread_step_options *o,
                           double *ret_norm) {
    double loss = 0;
    if (closure != NULL)
        TREAD_TRY(tread_optimizer_evaluate(optimizer, closure, &loss));
    else if (optimizer->skip_next || looks(o)) /* else the plan does */
        TREAD_TRY(tread_optimizer_check_sparse(optimizer));
    TREAD_TRY(timed_apply(optimizer, o, ret_norm));
    if (closure != NULL)
        closure->loss = loss;
    return TREAD_OK;
}

tread_status tread_optimizer_step_with(tread_optimizer *optimizer, tread_closure *closure,
                                       const tread_step_options *options, tread_step_result *ret_result) {
    TREAD_REFUSE_NULL("optimizer step", optimizer);
    const tread_optimizer_type *type = optimizer->type;
    tread_step_options o = tread_step_defaults();
    TREAD_TRY(tread_options_read("step", options, &o, sizeof o));
    TREAD_TRY(check_options(optimizer, &o));
    if (optimizer->evaluating)
        return tread_fail(TREAD_ERROR_STATE, "%s: a step in evaluation mode; call tread_optimizer_set_training first",
                          type->table.name);
    if (closure != NULL && closure->evaluate == NULL)
        return tread_fail(TREAD_ERROR_ARGUMENT, "%s: the closure's evaluate is NULL", type->table.name);
    if (optimizer->solving)
        return tread_fail(TREAD_ERROR_STATE, "%s: a step within a step", type->table.name);
    optimizer->closure_calls = 0;
    double norm = NAN;
    TREAD_TRY(type->solve != NULL ? solve(optimizer, closure, &o) : update(optimizer, closure, &o, &norm));
    if (ret_result != NULL)
        *ret_result = (tread_step_result){.norm = norm, .skipped = optimizer->skipped};
    return TREAD_OK;
}

tread_status tread_optimizer_step(tread_optimizer *optimizer, tread_closure *closure) {
    return tread_optimizer_step_with(optimizer, closure, NULL, NULL);
}

bool tread_optimizer_step_skipped(const tread_optimizer *optimizer) {
    return optimizer != NULL ? optimizer->skipped : false;
}

int64_t tread_optimizer_closure_calls(const tread_optimizer *optimizer) {
    return optimizer != NULL ? optimizer->closure_calls : 0;
}

void tread_optimizer_zero_grad(tread_optimizer *optimizer, bool set_to_none) {
    if (optimizer == NULL)
        return;
    zero_all(optimizer, set_to_none);
    optimizer->skip_next = false; /* what was clipped is gone */
    forget_clip(optimizer);
}

void tread_optimizer_touch(tread_optimizer *optimizer) {
    for (size_t i = 0; i < optimizer->n_items; i++)
        tread_tensor_touch(&optimizer->items[i].parameter->tensor);
}

tread_status tread_optimizer_set_training(tread_optimizer *optimizer, bool training) {
    TREAD_REFUSE_NULL("optimizer set training", optimizer);
    if (optimizer->type->set_training == NULL || optimizer->evaluating != training)
        return TREAD_OK;
    set_scales(optimizer);
    tread_step_plan_make_switch(optimizer);
    tread_step_run_switch(optimizer, training);
    optimizer->evaluating = !training;
    return TREAD_OK;
}

bool tread_optimizer_is_training(const tread_optimizer *optimizer) {
    return optimizer != NULL && !optimizer->evaluating;
}
