#include <math.h>
#include <stdio.h>

#include "autograd/nonfinite.h"
#include "core/status.h"
#include "engine/train/trainer.h"
#include "optim/optimizer.h"

/* "; first at ..." or nothing, where the tape knows no more. */
static const char *place_text(char *buffer, size_t size, bool found, const tread_nonfinite_place *place) {
    buffer[0] = '\0';
    if (found && place->input < 0)
        snprintf(buffer, size, "; the first operation whose output is not finite is %s (%zu of %zu)", place->op,
                 place->index + 1, place->length);
    else if (found)
        snprintf(buffer, size,
                 "; the first operation whose backward gives such values is %s (%zu of %zu), at its input %d",
                 place->op, place->index + 1, place->length, place->input);
    return buffer;
}

#define PLACE "epoch %lld of %lld, batch %lld of %lld: "
#define PLACE_OF(trainer, batch)                                                                                       \
    (long long)(trainer)->progress.epoch + 1, (long long)(trainer)->options.epochs, (long long)(batch)->index + 1,     \
        (long long)tread_batches_count((trainer)->options.train)

tread_status tread_trainer_fail_loss(const tread_trainer *trainer, const tread_batch *batch, double loss) {
    char text[256];
    tread_nonfinite_place place;
    bool found = tread_tape_find_nonfinite(trainer->tape, &place);
    return tread_fail(TREAD_ERROR_NUMERIC, PLACE "the loss is %g%s", PLACE_OF(trainer, batch),
                      isnan(loss) ? fabs(loss) : loss, place_text(text, sizeof text, found, &place));
}

/* Several batches: each one's gradient anew, until one is not finite. Its tape says where; false where none is, so that
 * their sum must have grown too large. */
static tread_status find_batch(tread_trainer *trainer, tread_nonfinite_place *ret_place, bool *ret_found) {
    double loss;
    *ret_found = false;
    tread_tape_set_rng(trainer->tape, trainer->step_rng);
    trainer->adds = false;
    for (int64_t i = 0; i < trainer->n_batches && !*ret_found; i++) {
        if (trainer->batch_skipped[i])
            continue;
        TREAD_TRY(tread_trainer_take(trainer, trainer->first_batch + i));
        TREAD_TRY(tread_trainer_closure(trainer, &trainer->batch, &loss));
        *ret_found = tread_tape_find_nonfinite_grad(trainer->tape, ret_place);
    }
    return TREAD_OK;
}

/* The first whose own norm is not finite; of the sum alone that may be no one. */
static const char *first_bad_parameter(const tread_optimizer *optimizer, char buffer[TREAD_ITEM_NAME]) {
    for (size_t i = 0; i < optimizer->n_items; i++)
        if (!isfinite(optimizer->leaves.items[i].norm))
            return tread_item_name(optimizer, i, buffer);
    return "all parameters";
}

static tread_status fail_gradient(tread_trainer *trainer, double norm) {
    char text[256], buffer[TREAD_ITEM_NAME];
    tread_nonfinite_place place;
    bool found = false;
    const char *name = first_bad_parameter(trainer->options.optimizer, buffer);
    if (trainer->options.closure == NULL && trainer->n_batches > 1)
        TREAD_TRY(find_batch(trainer, &place, &found));
    else if (trainer->options.closure == NULL)
        found = tread_tape_find_nonfinite_grad(trainer->tape, &place);
    return tread_fail(TREAD_ERROR_NUMERIC, PLACE "the gradient of %s has the norm %g%s",
                      PLACE_OF(trainer, &trainer->batch), name, fabs(norm),
                      place_text(text, sizeof text, found, &place));
}

/* The leaves' own norms are computed with it. */
static double norm_of(const tread_trainer *trainer) {
    tread_optimizer *optimizer = trainer->options.optimizer;
    return tread_leaves_norm(optimizer->context, &optimizer->leaves, 0, optimizer->n_items, 2);
}

tread_status tread_trainer_fail_gradient(tread_trainer *trainer) { return fail_gradient(trainer, norm_of(trainer)); }

static bool group_clips(const tread_optimizer *optimizer) {
    for (size_t g = 0; g < optimizer->n_groups; g++) {
        const double *max_norm = tread_group_option(optimizer, &optimizer->groups[g], "clip_grad_max_norm");
        if (max_norm != NULL && isfinite(*max_norm))
            return true;
    }
    return false;
}

static bool looks(const tread_trainer_options *o) {
    return o->check_gradients || o->nonfinite != TREAD_ON_NONFINITE_ERROR || isfinite(o->clip_norm) ||
           isfinite(o->clip_value);
}

/* Whether the optimizer's step does it all with one read pass. A solver's closure is evaluated again and again, and
 * what comes between two norms takes passes of its own. */
static bool is_one_pass(const tread_trainer_options *o) {
    return o->optimizer->type->solve == NULL && !isfinite(o->clip_value) &&
           !(o->closure == NULL && group_clips(o->optimizer));
}

void tread_trainer_fold_clip(const tread_trainer *trainer, tread_step_options *step) {
    const tread_trainer_options *o = &trainer->options;
    if (!is_one_pass(o) || !looks(o))
        return;
    step->nonfinite = TREAD_NONFINITE_ERROR;
    step->max_norm = o->clip_norm;
}

bool tread_trainer_clips_apart(const tread_trainer *trainer) { return !is_one_pass(&trainer->options); }

/* A last factor is applied by the optimizer's own pass. */
tread_status tread_trainer_clip(tread_trainer *trainer) {
    const tread_trainer_options *o = &trainer->options;
    tread_optimizer *optimizer = o->optimizer;
    tread_clip_options fused = tread_clip_defaults();
    fused.fused = true;
    if (looks(o)) {
        double norm = norm_of(trainer);
        if (!isfinite(norm))
            return fail_gradient(trainer, norm);
    }
    if (isfinite(o->clip_value))
        tread_leaves_clamp(optimizer->context, &optimizer->leaves, 0, optimizer->n_items, (float)o->clip_value);
    if (isfinite(o->clip_norm))
        TREAD_TRY(tread_optimizer_clip_grad_norm(optimizer, o->clip_norm, 2, &fused, NULL));
    const bool groups = o->closure == NULL && group_clips(optimizer);
    return groups ? tread_optimizer_clip_grad(optimizer, &fused, NULL) : TREAD_OK;
}
