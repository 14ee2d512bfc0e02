#include <math.h>
#include <tread/module.h>
#include <tread/optimizer.h>

#include "core/recorder.h"
#include "core/status.h"
#include "engine/data/batches.h"
#include "engine/train/trainer.h"

typedef struct evaluation_sums {
    double loss, metric, weight;
    int64_t samples;
} evaluation_sums;

/* What evaluation mode replaces, to be put back. The optimizer's mode is apart: planning has no use for its weights. */
typedef struct evaluation_mode {
    bool grad, training;
} evaluation_mode;

static evaluation_mode enter(const tread_trainer *trainer) {
    tread_module *model = trainer->options.model;
    evaluation_mode before = {.grad = tread_set_grad_enabled(false),
                              .training = model != NULL && tread_module_is_training(model)};
    if (model != NULL)
        tread_module_train(model, false);
    return before;
}

static void leave(const tread_trainer *trainer, evaluation_mode before) {
    tread_set_grad_enabled(before.grad);
    if (trainer->options.model != NULL)
        tread_module_train(trainer->options.model, before.training);
}

static tread_status set_optimizer(const tread_trainer *trainer, bool training) {
    tread_optimizer *optimizer = trainer->options.optimizer;
    return optimizer != NULL ? tread_optimizer_set_training(optimizer, training) : TREAD_OK;
}

static const tread_metric *metric_of(const tread_trainer *trainer, const tread_batches *batches) {
    if (trainer->options.metric != NULL)
        return trainer->options.metric;
    return tread_dataset_classes(tread_batches_dataset(batches)) > 0 ? &tread_accuracy : NULL;
}

static tread_status add_batch(tread_trainer *trainer, const tread_metric *metric, const tread_batch *batch,
                              evaluation_sums *sums) {
    tread_tensor *output = NULL, *loss = NULL;
    double value, metric_sum, weight;
    TREAD_TRY(tread_trainer_forward(trainer, trainer->evaluation_tape, batch, &output, &loss));
    TREAD_TRY(tread_trainer_loss_value(loss, &value));
    sums->loss += value * (double)batch->count;
    sums->samples += batch->count;
    if (metric == NULL)
        return TREAD_OK;
    TREAD_TRY(metric->batch(metric->data, output, batch, &metric_sum, &weight));
    sums->metric += metric_sum;
    sums->weight += weight;
    return TREAD_OK;
}

static tread_status add_all(tread_trainer *trainer, tread_batches *batches, evaluation_sums *sums) {
    const tread_metric *metric = metric_of(trainer, batches);
    tread_batch batch;
    while (tread_batches_next(batches, &batch))
        TREAD_TRY(add_batch(trainer, metric, &batch, sums));
    return tread_batches_status(batches);
}

/* The weights are those for use. */
static tread_status measure(tread_trainer *trainer, tread_batches *batches, tread_evaluation *ret_evaluation) {
    evaluation_sums sums = {0};
    double start = tread_clock_seconds();
    evaluation_mode before = enter(trainer);
    tread_status status = add_all(trainer, batches, &sums);
    leave(trainer, before);
    TREAD_TRY(status);
    *ret_evaluation = (tread_evaluation){.epoch = trainer->progress.epoch,
                                         .samples = sums.samples,
                                         .loss = sums.loss / (double)sums.samples,
                                         .metric = sums.weight > 0 ? sums.metric / sums.weight : (double)NAN,
                                         .seconds = tread_clock_seconds() - start,
                                         .step = trainer->progress.steps};
    return TREAD_OK;
}

static bool higher_is_better(const tread_trainer *trainer, bool metric) {
    return metric && metric_of(trainer, trainer->options.test)->higher_is_better;
}

static void judge(const tread_trainer *trainer, double value, double target, tread_verdict *ret_verdict) {
    const tread_trainer_options *o = &trainer->options;
    const double best = trainer->progress.best, delta = o->min_delta;
    const bool higher = higher_is_better(trainer, o->monitor == TREAD_MONITOR_METRIC);
    *ret_verdict = (tread_verdict){.judged = true,
                                   .value = value,
                                   .target = target,
                                   .best = isfinite(value) &&
                                           (isnan(best) || (higher ? value > best + delta : value < best - delta))};
}

/* Runs judged with the weights for use, which the best ones are copied from. */
static tread_status with_weights_for_use(tread_trainer *trainer, tread_batches *batches,
                                         tread_evaluation *ret_evaluation, tread_verdict *ret_verdict, double loss) {
    const bool training = tread_optimizer_is_training(trainer->options.optimizer);
    const bool exchanged = trainer->held == TREAD_WEIGHTS_TRAINING;
    TREAD_TRY(set_optimizer(trainer, false));
    if (exchanged)
        tread_trainer_exchange_ema(trainer);
    tread_status status = TREAD_OK;
    if (batches != NULL) {
        trainer->evaluating = true;
        status = measure(trainer, batches, ret_evaluation);
        trainer->evaluating = false;
        if (status == TREAD_OK && ret_verdict != NULL)
            judge(trainer,
                  trainer->options.monitor == TREAD_MONITOR_METRIC ? ret_evaluation->metric : ret_evaluation->loss,
                  metric_of(trainer, batches) != NULL ? ret_evaluation->metric : ret_evaluation->loss, ret_verdict);
    } else {
        judge(trainer, loss, loss, ret_verdict);
    }
    if (status == TREAD_OK && ret_verdict != NULL && ret_verdict->best)
        tread_trainer_keep_best(trainer);
    if (exchanged)
        tread_trainer_exchange_ema(trainer);
    tread_status left = set_optimizer(trainer, training);
    TREAD_TRY(status);
    return left;
}

tread_status tread_trainer_refuse_evaluating(const tread_trainer *trainer) {
    return !trainer->evaluating ? TREAD_OK
                                : tread_fail(TREAD_ERROR_STATE, "trainer: not within an evaluation, by a metric, "
                                                                "forward or loss");
}

tread_status tread_trainer_judge_train_loss(tread_trainer *trainer, double loss, tread_verdict *ret_verdict) {
    if (trainer->best_weights != NULL)
        return with_weights_for_use(trainer, NULL, NULL, ret_verdict, loss);
    judge(trainer, loss, loss, ret_verdict);
    return TREAD_OK;
}

tread_status tread_trainer_measure(tread_trainer *trainer, tread_batches *batches, tread_evaluation *ret_evaluation,
                                   tread_verdict *ret_verdict) {
    int64_t epoch, index;
    tread_batches *chosen = batches != NULL ? batches : trainer->options.test;
    TREAD_TRY(tread_trainer_refuse_evaluating(trainer));
    if (chosen == NULL)
        return tread_fail(TREAD_ERROR_ARGUMENT, "trainer: there are no batches to evaluate on");
    tread_batches_position(chosen, &epoch, &index);
    TREAD_TRY(tread_batches_start(chosen, epoch));
    tread_status status = with_weights_for_use(trainer, chosen, ret_evaluation, ret_verdict, 0);
    tread_status back = tread_batches_start(chosen, epoch);
    TREAD_TRY(status);
    return back;
}

tread_status tread_trainer_evaluate(tread_trainer *trainer, tread_batches *batches, tread_evaluation *ret_evaluation) {
    TREAD_REFUSE_NULL("trainer evaluate", trainer);
    return tread_trainer_measure(trainer, batches, ret_evaluation, NULL);
}

void tread_trainer_take_verdict(tread_trainer *trainer, const tread_verdict *verdict, int64_t epochs_done) {
    tread_trainer_progress *progress = &trainer->progress;
    if (!verdict->judged)
        return;
    const bool higher = trainer->options.test != NULL && metric_of(trainer, trainer->options.test) != NULL &&
                        higher_is_better(trainer, true);
    if (isnan(progress->target_best) ||
        (higher ? verdict->target > progress->target_best : verdict->target < progress->target_best))
        progress->target_best = verdict->target;
    if (verdict->best) {
        progress->best = verdict->value;
        progress->best_step = progress->steps;
        progress->best_epoch = epochs_done;
        progress->n_not_better = 0;
        trainer->saves.wanted = true;
    } else {
        progress->n_not_better++;
    }
    tread_trainer_update_result(trainer);
}

tread_stop_reason tread_trainer_verdict_stops(const tread_trainer *trainer) {
    const tread_trainer_options *o = &trainer->options;
    const tread_trainer_progress *progress = &trainer->progress;
    const double reached = progress->target_best;
    const bool higher = o->test != NULL && metric_of(trainer, o->test) != NULL && higher_is_better(trainer, true);
    if (!isnan(o->target) && !isnan(reached) && (higher ? reached >= o->target : reached <= o->target))
        return TREAD_STOP_TARGET;
    if (o->patience >= 0 && progress->n_not_better > 0 && progress->n_not_better >= o->patience)
        return TREAD_STOP_PATIENCE;
    return TREAD_STOP_NONE;
}

tread_status tread_trainer_evaluate_sample(tread_trainer *trainer, const tread_batch *batch) {
    tread_tensor *output = NULL, *loss = NULL;
    evaluation_mode before = enter(trainer);
    tread_status status = tread_trainer_forward(trainer, trainer->evaluation_tape, batch, &output, &loss);
    leave(trainer, before);
    return status;
}

/* ---- Those that count ---- */

bool tread_trainer_evaluates(const tread_trainer *trainer, int64_t epochs_done) {
    const tread_trainer_options *o = &trainer->options;
    return o->test != NULL && o->evaluate_every > 0 &&
           (epochs_done % o->evaluate_every == 0 || epochs_done == o->epochs);
}

static tread_status evaluate_with_callbacks(tread_trainer *trainer, int64_t epochs_done,
                                            tread_evaluation *ret_evaluation, tread_verdict *ret_verdict) {
    const tread_evaluation nothing = {
        .epoch = epochs_done, .loss = NAN, .metric = NAN, .seconds = NAN, .step = trainer->progress.steps};
    *ret_evaluation = nothing;
    TREAD_TRAINER_CALL(trainer, on_evaluation_begin, &nothing);
    if (trainer->callback_skip)
        return TREAD_OK;
    TREAD_TRY(tread_trainer_measure(trainer, NULL, ret_evaluation, ret_verdict));
    ret_evaluation->epoch = epochs_done;
    ret_evaluation->best = ret_verdict->best;
    TREAD_TRAINER_CALL(trainer, on_evaluation, ret_evaluation);
    return TREAD_OK;
}

tread_status tread_trainer_evaluate_epoch(tread_trainer *trainer, tread_epoch_metrics *metrics,
                                          tread_verdict *ret_verdict) {
    tread_evaluation evaluation;
    *ret_verdict = (tread_verdict){.judged = false};
    if (trainer->options.test == NULL && isnan(metrics->train_loss)) /* all steps were skipped */
        return TREAD_OK;
    if (trainer->options.test == NULL)
        return tread_trainer_judge_train_loss(trainer, metrics->train_loss, ret_verdict);
    if (!tread_trainer_evaluates(trainer, metrics->epoch))
        return TREAD_OK;
    TREAD_TRY(evaluate_with_callbacks(trainer, metrics->epoch, &evaluation, ret_verdict));
    metrics->test_loss = evaluation.loss;
    metrics->test_accuracy = evaluation.metric;
    return TREAD_OK;
}

tread_status tread_trainer_evaluate_step(tread_trainer *trainer, tread_verdict *ret_verdict) {
    tread_evaluation evaluation;
    *ret_verdict = (tread_verdict){.judged = false};
    return evaluate_with_callbacks(trainer, trainer->progress.epoch, &evaluation, ret_verdict);
}
