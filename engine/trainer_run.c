#include <math.h>
#include <string.h>

#include "core/memory.h"
#include "core/status.h"
#include "engine/trainer.h"

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

/* Whether the run is to end here, with the reason noted. */
static bool stops(tread_trainer *trainer) {
    if (trainer->callback_stop)
        trainer->result.stop_reason = TREAD_STOP_CALLBACK;
    else if (atomic_exchange(&trainer->stop_requested, 0))
        trainer->result.stop_reason = TREAD_STOP_REQUESTED;
    return trainer->result.stop_reason != TREAD_STOP_NONE;
}

static tread_status reserve_history(tread_trainer *trainer) {
    int64_t n = trainer->result.n_history, capacity = trainer->history_capacity;
    if (n < capacity)
        return TREAD_OK;
    int64_t grown = capacity > 0                              ? 2 * capacity
                    : trainer->options.epochs < FIRST_HISTORY ? trainer->options.epochs
                                                              : FIRST_HISTORY;
    size_t size = sizeof *trainer->history;
    tread_epoch_metrics *history =
        tread_realloc(trainer->history, (size_t)n * size, (size_t)(grown > 0 ? grown : 1) * size, "history of a run");
    if (history == NULL)
        return TREAD_ERROR_MEMORY;
    trainer->history = history;
    trainer->history_capacity = grown;
    trainer->result.history = history;
    return TREAD_OK;
}

static bool evaluates(const tread_trainer *trainer, int64_t epochs_done) {
    const tread_trainer_options *o = &trainer->options;
    return o->test != NULL && o->evaluate_every > 0 &&
           (epochs_done % o->evaluate_every == 0 || epochs_done == o->epochs);
}

static tread_status evaluate(tread_trainer *trainer, tread_epoch_metrics *metrics) {
    tread_evaluation evaluation;
    TREAD_TRY(tread_trainer_evaluate(trainer, NULL, &evaluation));
    evaluation.epoch = metrics->epoch;
    metrics->test_loss = evaluation.loss;
    metrics->test_accuracy = evaluation.metric;
    TREAD_TRAINER_CALL(trainer, on_evaluation, &evaluation);
    return TREAD_OK;
}

static tread_status schedule(const tread_trainer *trainer, const tread_epoch_metrics *metrics) {
    const tread_trainer_options *o = &trainer->options;
    if (o->scheduler == NULL || o->schedule_every != TREAD_EVERY_EPOCH)
        return TREAD_OK;
    if (!tread_lr_scheduler_needs_metric(o->scheduler))
        return tread_lr_scheduler_step(o->scheduler);
    return tread_lr_scheduler_step_metric(o->scheduler,
                                          isnan(metrics->test_loss) ? metrics->train_loss : metrics->test_loss);
}

/* The end of an epoch whose steps are done. Where it fails, the next run does it again. */
static tread_status finish_epoch(tread_trainer *trainer) {
    tread_trainer_progress *progress = &trainer->progress;
    tread_epoch_metrics metrics = {.epoch = progress->epoch + 1,
                                   .steps = progress->steps,
                                   .closure_calls = progress->closure_calls,
                                   .train_loss = progress->loss_sum / (double)progress->loss_samples,
                                   .test_loss = NAN,
                                   .test_accuracy = NAN,
                                   .lr = progress->lr,
                                   .samples_per_second = (double)progress->loss_samples / progress->train_seconds};
    TREAD_TRY(reserve_history(trainer));
    if (evaluates(trainer, metrics.epoch))
        TREAD_TRY(evaluate(trainer, &metrics));
    TREAD_TRY(schedule(trainer, &metrics));
    metrics.seconds = tread_trainer_seconds(trainer);
    progress->epoch++;
    progress->step_in_epoch = 0;
    progress->loss_sum = 0;
    progress->closure_calls = 0;
    progress->loss_samples = 0;
    progress->train_seconds = 0;
    trainer->history[trainer->result.n_history++] = metrics;
    trainer->result.epochs = progress->epoch;
    trainer->result.seconds = metrics.seconds;
    TREAD_TRAINER_CALL(trainer, on_epoch, &metrics);
    return TREAD_OK;
}

static tread_status train_steps(tread_trainer *trainer, bool *ret_done) {
    *ret_done = false;
    while (!stops(trainer)) {
        if (!tread_batches_next(trainer->options.train, &trainer->batch)) {
            *ret_done = true;
            return tread_batches_status(trainer->options.train);
        }
        TREAD_TRY(tread_trainer_step(trainer));
    }
    return TREAD_OK;
}

static tread_status train_epoch(tread_trainer *trainer) {
    tread_trainer_progress *progress = &trainer->progress;
    TREAD_TRY(tread_batches_seek(trainer->options.train, progress->epoch, progress->step_in_epoch));
    if (trainer->options.model != NULL)
        tread_module_train(trainer->options.model, true);
    double start = tread_clock_seconds();
    bool done;
    tread_status status = train_steps(trainer, &done);
    progress->train_seconds += tread_clock_seconds() - start;
    TREAD_TRY(status);
    return done ? finish_epoch(trainer) : TREAD_OK;
}

static tread_status train(tread_trainer *trainer) {
    TREAD_TRY(tread_optimizer_set_training(trainer->options.optimizer, true));
    if (!trainer->planned) {
        TREAD_TRY(reserve_history(trainer));
        TREAD_TRY(tread_trainer_plan(trainer));
    }
    trainer->planned = true;
    TREAD_TRY(train_begin(trainer));
    while (trainer->progress.epoch < trainer->options.epochs && trainer->result.stop_reason == TREAD_STOP_NONE)
        TREAD_TRY(train_epoch(trainer));
    if (trainer->result.stop_reason == TREAD_STOP_NONE && !stops(trainer))
        trainer->result.stop_reason = TREAD_STOP_EPOCHS;
    return TREAD_OK;
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
    if (trainer->options.optimizer == NULL || trainer->options.train == NULL)
        return tread_fail(TREAD_ERROR_STATE, "trainer: it has no %s, so it can only evaluate",
                          trainer->options.optimizer == NULL ? "optimizer" : "training set");
    trainer->running = true;
    trainer->callback_stop = trainer->not_finite = false;
    trainer->result.stop_reason = TREAD_STOP_NONE;
    trainer->started = tread_clock_seconds();
    tread_status status = train(trainer);
    if (status != TREAD_OK)
        trainer->result.stop_reason = trainer->not_finite ? TREAD_STOP_NOT_FINITE : TREAD_STOP_FAILED;
    trainer->result.seconds = tread_trainer_seconds(trainer);
    char sentence[1024] = "";
    if (status != TREAD_OK) /* a callback's calls may set another */
        memcpy(sentence, tread_last_error(), strnlen(tread_last_error(), sizeof sentence - 1));
    train_end(trainer);
    trainer->progress.seconds = tread_trainer_seconds(trainer);
    trainer->running = false;
    return status == TREAD_OK ? TREAD_OK : tread_fail(status, "%s", sentence);
}
