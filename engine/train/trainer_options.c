#include <math.h>

#include "core/options.h"
#include "core/status.h"
#include "engine/data/dataset.h"
#include "engine/train/trainer.h"
#include "optim/optimizer.h"

tread_trainer_options tread_trainer_defaults(void) {
    return (tread_trainer_options){.size = sizeof(tread_trainer_options),
                                   .epochs = 1,
                                   .evaluate_every = 1,
                                   .accumulate = 1,
                                   .clip_norm = INFINITY,
                                   .clip_value = INFINITY,
                                   .max_skipped = 10,
                                   .patience = -1,
                                   .target = NAN};
}

static tread_status check_sets(const tread_trainer_options *options) {
    const tread_dataset *train = options->train != NULL ? tread_batches_dataset(options->train) : NULL;
    const tread_dataset *test = options->test != NULL ? tread_batches_dataset(options->test) : NULL;
    if (train != NULL && test != NULL && train->features != test->features)
        return tread_fail(TREAD_ERROR_ARGUMENT, "trainer: train has %lld features a sample, test %lld",
                          (long long)train->features, (long long)test->features);
    const tread_dataset *any = train != NULL ? train : test;
    if (any != NULL && any->y_rank == 0 && options->loss == NULL && options->closure == NULL)
        return tread_fail(TREAD_ERROR_ARGUMENT,
                          "trainer: the data set has neither labels nor targets, and no loss is given");
    return TREAD_OK;
}

static tread_status check_counts(const tread_trainer_options *o) {
    const struct {
        const char *name;
        int64_t value, low;
    } counts[] = {{"epochs", o->epochs, 0},
                  {"evaluate_every", o->evaluate_every, 0},
                  {"accumulate", o->accumulate, 1},
                  {"max_skipped", o->max_skipped, 0},
                  {"evaluate_every_steps", o->evaluate_every_steps, 0},
                  {"patience", o->patience, -1},
                  {"max_steps", o->max_steps, 0},
                  {"checkpoint_every_steps", o->checkpoint_every_steps, 0},
                  {"checkpoint_every_epochs", o->checkpoint_every_epochs, 0}};
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++)
        if (counts[i].value < counts[i].low)
            return tread_fail(TREAD_ERROR_ARGUMENT, "trainer: %s = %lld is below %lld", counts[i].name,
                              (long long)counts[i].value, (long long)counts[i].low);
    return TREAD_OK;
}

static tread_status check_reals(const tread_trainer_options *o) {
    if (!(o->clip_norm > 0))
        return tread_fail(TREAD_ERROR_ARGUMENT, "trainer: clip_norm = %g is outside (0, inf]", o->clip_norm);
    if (!(o->clip_value > 0))
        return tread_fail(TREAD_ERROR_ARGUMENT, "trainer: clip_value = %g is outside (0, inf]", o->clip_value);
    if (!(o->min_delta >= 0) || isinf(o->min_delta))
        return tread_fail(TREAD_ERROR_ARGUMENT, "trainer: min_delta = %g is outside [0, inf)", o->min_delta);
    if (!(o->ema_decay >= 0 && o->ema_decay < 1))
        return tread_fail(TREAD_ERROR_ARGUMENT, "trainer: ema_decay = %g is outside [0, 1)", o->ema_decay);
    if (!(o->max_seconds >= 0))
        return tread_fail(TREAD_ERROR_ARGUMENT, "trainer: max_seconds = %g is below 0", o->max_seconds);
    if (!(o->checkpoint_every_seconds >= 0))
        return tread_fail(TREAD_ERROR_ARGUMENT, "trainer: checkpoint_every_seconds = %g is below 0",
                          o->checkpoint_every_seconds);
    return TREAD_OK;
}

static tread_status check_choices(const tread_trainer_options *o) {
    if ((unsigned)o->schedule_every > TREAD_EVERY_EVALUATION)
        return tread_fail(TREAD_ERROR_ARGUMENT,
                          "trainer: schedule_every = %d is neither TREAD_EVERY_EPOCH nor TREAD_EVERY_STEP nor "
                          "TREAD_EVERY_EVALUATION",
                          (int)o->schedule_every);
    if ((unsigned)o->monitor > TREAD_MONITOR_METRIC)
        return tread_fail(TREAD_ERROR_ARGUMENT, "trainer: monitor = %d is neither loss (0) nor metric (1)",
                          (int)o->monitor);
    if ((unsigned)o->nonfinite > TREAD_ON_NONFINITE_STOP)
        return tread_fail(TREAD_ERROR_ARGUMENT, "trainer: nonfinite = %d is not one of error (0), skip (1), stop (2)",
                          (int)o->nonfinite);
    return TREAD_OK;
}

static bool has_metric(const tread_trainer_options *o) {
    return o->test != NULL && (o->metric != NULL || tread_dataset_classes(tread_batches_dataset(o->test)) > 0);
}

static tread_status check_together(const tread_trainer_options *o) {
    const bool on_metric = o->scheduler != NULL && tread_lr_scheduler_needs_metric(o->scheduler);
    if (on_metric && o->schedule_every == TREAD_EVERY_STEP)
        return tread_fail(TREAD_ERROR_ARGUMENT,
                          "trainer: %s follows a metric, which there is every epoch, not every step",
                          tread_lr_scheduler_name(o->scheduler));
    if (o->monitor == TREAD_MONITOR_METRIC && !has_metric(o))
        return tread_fail(TREAD_ERROR_ARGUMENT, "trainer: the metric is monitored, and there is no %s",
                          o->test == NULL ? "test set" : "metric");
    if (o->optimizer == NULL)
        return TREAD_OK;
    const tread_optimizer_type *type = o->optimizer->type;
    if (type->solve != NULL && (isfinite(o->clip_norm) || isfinite(o->clip_value)))
        return tread_fail(TREAD_ERROR_ARGUMENT,
                          "trainer: %s = %g: %s searches along lines, which needs the gradient as it is",
                          isfinite(o->clip_norm) ? "clip_norm" : "clip_value",
                          isfinite(o->clip_norm) ? o->clip_norm : o->clip_value, type->table.name);
    if (type->set_training != NULL && o->ema_decay > 0)
        return tread_fail(TREAD_ERROR_ARGUMENT, "trainer: ema_decay = %g: %s has an average of its own", o->ema_decay,
                          type->table.name);
    return TREAD_OK;
}

static tread_loss_fn default_loss(const tread_trainer_options *options) {
    const tread_batches *batches = options->train != NULL ? options->train : options->test;
    bool labels = batches != NULL && tread_dataset_classes(tread_batches_dataset(batches)) > 0;
    return labels ? tread_loss_cross_entropy : tread_loss_mse;
}

tread_status tread_trainer_read_options(const tread_trainer_options *given, tread_trainer_options *ret_options) {
    tread_trainer_options o = tread_trainer_defaults();
    TREAD_TRY(tread_options_read("trainer", given, &o, sizeof o));
    if (o.model == NULL && o.forward == NULL && o.closure == NULL)
        return tread_fail(TREAD_ERROR_ARGUMENT, "trainer: neither model nor forward is given");
    TREAD_TRY(check_counts(&o));
    TREAD_TRY(check_reals(&o));
    TREAD_TRY(check_choices(&o));
    TREAD_TRY(check_together(&o));
    TREAD_TRY(check_sets(&o));
    if (o.loss == NULL)
        o.loss = default_loss(&o);
    *ret_options = o;
    return TREAD_OK;
}
