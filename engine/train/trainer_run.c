#include <math.h>
#include <string.h>

#include "core/memory.h"
#include "core/recorder.h"
#include "core/status.h"
#include "engine/train/trainer.h"

#define FIRST_HISTORY 1024

static tread_status train_begin(tread_trainer *trainer) {
    for (size_t i = 0; i < trainer->n_callbacks; i++) {
        const tread_callbacks *one = &trainer->callbacks[i];
        tread_action action = one->on_train_begin == NULL ? TREAD_CONTINUE : one->on_train_begin(one->data, trainer);
        if (action == TREAD_FAIL)
            return TREAD_ERROR_CALLBACK;
        trainer->callback_stop |= action == TREAD_STOP;
    }
    return TREAD_OK;
}

/* Whether the run is to end before anything else is done, with the reason noted. */
static bool is_stopped(tread_trainer *trainer) {
    if (trainer->result.stop_reason != TREAD_STOP_NONE)
        return true;
    if (trainer->callback_stop)
        trainer->result.stop_reason = TREAD_STOP_CALLBACK;
    else if (atomic_exchange(&trainer->stop_requested, 0))
        trainer->result.stop_reason = TREAD_STOP_REQUESTED;
    return trainer->result.stop_reason != TREAD_STOP_NONE;
}

/* Whether it is to end before the next step. */
static bool is_over(tread_trainer *trainer) {
    const tread_trainer_options *o = &trainer->options;
    if (is_stopped(trainer))
        return true;
    trainer->result.stop_reason = tread_trainer_verdict_stops(trainer);
    if (trainer->result.stop_reason != TREAD_STOP_NONE)
        return true;
    if (o->max_steps > 0 && trainer->progress.steps >= o->max_steps)
        trainer->result.stop_reason = TREAD_STOP_STEPS;
    else if (o->max_seconds > 0 && tread_clock_seconds() - trainer->started >= o->max_seconds)
        trainer->result.stop_reason = TREAD_STOP_SECONDS;
    return trainer->result.stop_reason != TREAD_STOP_NONE;
}

tread_status tread_trainer_reserve_history(tread_trainer *trainer, int64_t n) {
    int64_t capacity = trainer->history_capacity;
    if (n < capacity)
        return TREAD_OK;
    int64_t grown = capacity > 0                              ? 2 * capacity
                    : trainer->options.epochs < FIRST_HISTORY ? trainer->options.epochs
                                                              : FIRST_HISTORY;
    grown = grown > n ? grown : n + 1;
    size_t size = sizeof *trainer->history;
    tread_epoch_metrics *history = tread_realloc(trainer->history, (size_t)trainer->result.n_history * size,
                                                 (size_t)grown * size, "history of a run");
    if (history == NULL)
        return TREAD_ERROR_MEMORY;
    trainer->history = history;
    trainer->history_capacity = grown;
    trainer->result.history = history;
    return TREAD_OK;
}

static tread_status schedule(const tread_trainer *trainer, tread_schedule_every every, double metric) {
    const tread_trainer_options *o = &trainer->options;
    if (o->scheduler == NULL || o->schedule_every != every)
        return TREAD_OK;
    return tread_lr_scheduler_needs_metric(o->scheduler) ? tread_lr_scheduler_step_metric(o->scheduler, metric)
                                                         : tread_lr_scheduler_step(o->scheduler);
}

/* NaN where all steps of the epoch were skipped. */
static double mean_loss(const tread_trainer_progress *progress) {
    return progress->loss_samples > 0 ? progress->loss_sum / (double)progress->loss_samples : (double)NAN;
}

/* After an epoch that has neither a train nor a test loss, what follows a metric is left alone. */
static tread_status schedule_epoch(const tread_trainer *trainer, const tread_epoch_metrics *metrics) {
    const double metric = isnan(metrics->test_loss) ? metrics->train_loss : metrics->test_loss;
    return isnan(metric) && tread_lr_scheduler_needs_metric(trainer->options.scheduler)
               ? TREAD_OK
               : schedule(trainer, TREAD_EVERY_EPOCH, metric);
}

/* The end of an epoch whose steps are done. Where it fails, the next run does it again. */
static tread_status finish_epoch(tread_trainer *trainer) {
    tread_trainer_progress *progress = &trainer->progress;
    tread_verdict verdict;
    tread_epoch_metrics metrics = {.epoch = progress->epoch + 1,
                                   .steps = progress->steps,
                                   .closure_calls = progress->closure_calls,
                                   .train_loss = mean_loss(progress),
                                   .test_loss = NAN,
                                   .test_accuracy = NAN,
                                   .lr = progress->lr,
                                   .samples_per_second = (double)progress->loss_samples / progress->train_seconds};
    TREAD_TRY(tread_trainer_reserve_history(trainer, trainer->result.n_history));
    TREAD_TRY(tread_trainer_evaluate_epoch(trainer, &metrics, &verdict));
    TREAD_TRY(schedule_epoch(trainer, &metrics));
    if (verdict.judged)
        TREAD_TRY(schedule(trainer, TREAD_EVERY_EVALUATION, verdict.value));
    tread_trainer_take_verdict(trainer, &verdict, metrics.epoch);
    if (tread_trainer_evaluates(trainer, metrics.epoch))
        progress->evaluated_step = progress->steps;
    metrics.seconds = tread_trainer_seconds(trainer);
    progress->epoch++;
    progress->step_in_epoch = 0;
    progress->loss_sum = 0;
    progress->closure_calls = 0;
    progress->loss_samples = 0;
    progress->train_seconds = 0;
    trainer->history[trainer->result.n_history++] = metrics;
    tread_trainer_update_result(trainer);
    trainer->result.seconds = metrics.seconds;
    TREAD_TRAINER_CALL(trainer, on_epoch, &metrics);
    return TREAD_OK;
}

int64_t tread_trainer_steps_per_epoch(const tread_trainer *trainer) {
    int64_t count = tread_batches_count(trainer->options.train), a = trainer->options.accumulate;
    return count / a + (count % a > 0);
}

static bool at_epoch_end(const tread_trainer *trainer) {
    return trainer->progress.step_in_epoch >= tread_trainer_steps_per_epoch(trainer);
}

/* Where the epoch's own evaluation comes at the same step, that is enough. */
static tread_status evaluate_if_due(tread_trainer *trainer) {
    tread_trainer_progress *progress = &trainer->progress;
    const tread_trainer_options *o = &trainer->options;
    tread_verdict verdict;
    if (o->test == NULL || o->evaluate_every_steps == 0 || progress->steps % o->evaluate_every_steps != 0 ||
        progress->evaluated_step >= progress->steps ||
        (at_epoch_end(trainer) && tread_trainer_evaluates(trainer, progress->epoch + 1)))
        return TREAD_OK;
    TREAD_TRY(tread_trainer_evaluate_step(trainer, &verdict));
    if (verdict.judged)
        TREAD_TRY(schedule(trainer, TREAD_EVERY_EVALUATION, verdict.value));
    tread_trainer_take_verdict(trainer, &verdict, progress->epoch);
    progress->evaluated_step = progress->steps;
    return TREAD_OK;
}

/* Between two steps of an epoch. */
static tread_status train_steps(tread_trainer *trainer, bool *ret_done) {
    bool goes_on = true;
    *ret_done = false;
    while (goes_on && !is_stopped(trainer)) {
        TREAD_TRY(evaluate_if_due(trainer));
        if (at_epoch_end(trainer)) {
            *ret_done = !is_stopped(trainer);
            return TREAD_OK;
        }
        TREAD_TRY(tread_trainer_save_if_due(trainer, false));
        if (is_over(trainer))
            return TREAD_OK;
        if (trainer->held != TREAD_WEIGHTS_TRAINING) /* a callback looked at others */
            TREAD_TRY(tread_trainer_use_weights(trainer, TREAD_WEIGHTS_TRAINING));
        double start = tread_clock_seconds();
        tread_status status = tread_trainer_step(trainer, &goes_on);
        trainer->progress.train_seconds += tread_clock_seconds() - start;
        TREAD_TRY(status);
    }
    is_stopped(trainer);
    return TREAD_OK;
}

static tread_status begin_epoch(tread_trainer *trainer, bool *ret_skipped) {
    *ret_skipped = false;
    if (trainer->progress.step_in_epoch > 0)
        return TREAD_OK;
    TREAD_TRAINER_CALL(trainer, on_epoch_begin, trainer->progress.epoch);
    *ret_skipped = trainer->callback_skip;
    return TREAD_OK;
}

static tread_status train_epoch(tread_trainer *trainer) {
    tread_trainer_progress *progress = &trainer->progress;
    const tread_trainer_options *o = &trainer->options;
    bool done, skipped;
    TREAD_TRY(begin_epoch(trainer, &skipped));
    if (skipped) {
        progress->epoch++;
        tread_trainer_update_result(trainer);
        return TREAD_OK;
    }
    const int64_t batch = progress->step_in_epoch * o->accumulate, count = tread_batches_count(o->train);
    TREAD_TRY(tread_batches_seek(o->train, progress->epoch, batch < count ? batch : count));
    if (o->model != NULL)
        tread_module_train(o->model, true);
    TREAD_TRY(train_steps(trainer, &done));
    if (!done)
        return TREAD_OK;
    TREAD_TRY(finish_epoch(trainer));
    return tread_trainer_save_if_due(trainer, true);
}

/* A request that comes now has nothing to stop, here or in a later run. */
static void all_epochs_done(tread_trainer *trainer) {
    const tread_stop_reason verdict = tread_trainer_verdict_stops(trainer);
    atomic_store(&trainer->stop_requested, 0);
    trainer->result.stop_reason = trainer->callback_stop       ? TREAD_STOP_CALLBACK
                                  : verdict != TREAD_STOP_NONE ? verdict
                                                               : TREAD_STOP_EPOCHS;
}

static tread_status train(tread_trainer *trainer) {
    TREAD_TRY(tread_trainer_use_weights(trainer, TREAD_WEIGHTS_TRAINING));
    if (!trainer->planned) {
        TREAD_TRY(tread_trainer_reserve_history(trainer, trainer->result.n_history));
        TREAD_TRY(tread_trainer_plan(trainer));
    }
    trainer->planned = true;
    if (trainer->progress.steps == 0)
        tread_trainer_begin_average(trainer);
    TREAD_TRY(train_begin(trainer));
    while (trainer->progress.epoch < trainer->options.epochs && !is_over(trainer))
        TREAD_TRY(train_epoch(trainer));
    if (trainer->result.stop_reason == TREAD_STOP_NONE)
        all_epochs_done(trainer);
    return tread_trainer_save_last(trainer);
}

/* A run that came to an end of its own. */
static tread_status restore_best(tread_trainer *trainer) {
    const tread_stop_reason reason = trainer->result.stop_reason;
    if (!trainer->options.restore_best || isnan(trainer->progress.best) || reason == TREAD_STOP_CALLBACK ||
        reason == TREAD_STOP_REQUESTED)
        return TREAD_OK;
    return tread_trainer_use_weights(trainer, TREAD_WEIGHTS_BEST);
}

static void train_end(tread_trainer *trainer) {
    for (size_t i = 0; i < trainer->n_callbacks; i++)
        if (trainer->callbacks[i].on_train_end != NULL)
            trainer->callbacks[i].on_train_end(trainer->callbacks[i].data, trainer, &trainer->result);
}

tread_status tread_trainer_run(tread_trainer *trainer) {
    TREAD_REFUSE_NULL("trainer run", trainer);
    if (trainer->running)
        return tread_fail(TREAD_ERROR_STATE, "trainer: it runs already; a callback cannot run it again");
    TREAD_TRY(tread_trainer_refuse_evaluating(trainer));
    if (trainer->options.optimizer == NULL || trainer->options.train == NULL)
        return tread_fail(TREAD_ERROR_STATE, "trainer: it has no %s, so it can only evaluate",
                          trainer->options.optimizer == NULL ? "optimizer" : "training set");
    trainer->running = true;
    trainer->callback_stop = trainer->callback_skip = trainer->not_finite = false;
    trainer->result.stop_reason = TREAD_STOP_NONE;
    trainer->started = trainer->saves.seconds = tread_clock_seconds();
    tread_status status = train(trainer);
    if (status == TREAD_OK)
        status = restore_best(trainer);
    if (status != TREAD_OK)
        trainer->result.stop_reason = trainer->not_finite ? TREAD_STOP_NOT_FINITE : TREAD_STOP_FAILED;
    trainer->result.seconds = tread_trainer_seconds(trainer);
    char sentence[TREAD_ERROR_BYTES] = "";
    if (status != TREAD_OK) /* a callback's calls may set another */
        memcpy(sentence, tread_last_error(), strnlen(tread_last_error(), sizeof sentence - 1));
    train_end(trainer);
    trainer->progress.seconds = tread_trainer_seconds(trainer);
    trainer->running = false;
    return status == TREAD_OK ? TREAD_OK : tread_fail(status, "%s", sentence);
}
