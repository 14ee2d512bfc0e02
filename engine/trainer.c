#include "engine/trainer.h"

#include <string.h>
#include <time.h>

#include "core/memory.h"
#include "core/options.h"
#include "core/status.h"
#include "engine/dataset.h"

double tread_clock_seconds(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

double tread_trainer_seconds(const tread_trainer *trainer) {
    return trainer->progress.seconds + (trainer->running ? tread_clock_seconds() - trainer->started : 0);
}

const char *tread_stop_reason_string(tread_stop_reason reason) {
    switch (reason) {
    case TREAD_STOP_NONE: return "not stopped";
    case TREAD_STOP_EPOCHS: return "all epochs done";
    case TREAD_STOP_CALLBACK: return "stopped by a callback";
    case TREAD_STOP_REQUESTED: return "stopped on request";
    case TREAD_STOP_NOT_FINITE: return "loss not finite";
    case TREAD_STOP_FAILED: return "failed";
    }
    return "unknown reason";
}

tread_trainer_options tread_trainer_defaults(void) {
    return (tread_trainer_options){.size = sizeof(tread_trainer_options), .epochs = 1, .evaluate_every = 1};
}

tread_callbacks tread_callbacks_defaults(void) { return (tread_callbacks){.size = sizeof(tread_callbacks)}; }

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

static tread_status check(const tread_trainer_options *options) {
    if (options->model == NULL && options->forward == NULL && options->closure == NULL)
        return tread_fail(TREAD_ERROR_ARGUMENT, "trainer: neither model nor forward is given");
    if (options->epochs < 0)
        return tread_fail(TREAD_ERROR_ARGUMENT, "trainer: epochs = %lld is below 0", (long long)options->epochs);
    if (options->evaluate_every < 0)
        return tread_fail(TREAD_ERROR_ARGUMENT, "trainer: evaluate_every = %lld is below 0",
                          (long long)options->evaluate_every);
    if (options->schedule_every != TREAD_EVERY_EPOCH && options->schedule_every != TREAD_EVERY_STEP)
        return tread_fail(TREAD_ERROR_ARGUMENT,
                          "trainer: schedule_every = %d is neither TREAD_EVERY_EPOCH nor TREAD_EVERY_STEP",
                          (int)options->schedule_every);
    if (options->scheduler != NULL && options->schedule_every == TREAD_EVERY_STEP &&
        tread_lr_scheduler_needs_metric(options->scheduler))
        return tread_fail(TREAD_ERROR_ARGUMENT,
                          "trainer: %s follows a metric, which there is every epoch, not every step",
                          tread_lr_scheduler_name(options->scheduler));
    return check_sets(options);
}

static tread_loss_fn default_loss(const tread_trainer_options *options) {
    const tread_batches *batches = options->train != NULL ? options->train : options->test;
    bool labels = batches != NULL && tread_dataset_classes(tread_batches_dataset(batches)) > 0;
    return labels ? tread_loss_cross_entropy : tread_loss_mse;
}

static tread_status build(tread_trainer *trainer) {
    trainer->tape = tread_tape_create(trainer->context);
    trainer->evaluation_tape = trainer->tape == NULL ? NULL : tread_tape_create(trainer->context);
    if (trainer->evaluation_tape == NULL)
        return TREAD_ERROR_MEMORY;
    return trainer->options.callbacks == NULL ? TREAD_OK
                                              : tread_trainer_add_callbacks(trainer, trainer->options.callbacks);
}

tread_trainer *tread_trainer_create(tread_context *context, const tread_trainer_options *options) {
    tread_trainer_options chosen = tread_trainer_defaults();
    if (tread_options_read("trainer", options, &chosen, sizeof chosen) != TREAD_OK || check(&chosen) != TREAD_OK)
        return NULL;
    tread_trainer *trainer = tread_calloc(1, sizeof *trainer, "trainer");
    if (trainer == NULL)
        return NULL;
    trainer->context = context;
    trainer->options = chosen;
    if (trainer->options.loss == NULL)
        trainer->options.loss = default_loss(&chosen);
    if (build(trainer) != TREAD_OK) {
        tread_trainer_destroy(trainer);
        return NULL;
    }
    trainer->options.callbacks = NULL; /* copied: the caller's may end */
    return trainer;
}

void tread_trainer_destroy(tread_trainer *trainer) {
    if (trainer == NULL)
        return;
    tread_tape_destroy(trainer->tape);
    tread_tape_destroy(trainer->evaluation_tape);
    tread_free(trainer->callbacks);
    tread_free(trainer->history);
    tread_free(trainer);
}

tread_status tread_trainer_add_callbacks(tread_trainer *trainer, const tread_callbacks *callbacks) {
    TREAD_REFUSE_NULL("trainer add callbacks", trainer);
    if (trainer->running)
        return tread_fail(TREAD_ERROR_STATE, "trainer: callbacks cannot be added while it runs");
    tread_callbacks known = tread_callbacks_defaults();
    TREAD_TRY(tread_options_read("trainer callbacks", callbacks, &known, sizeof known));
    size_t n = trainer->n_callbacks, size = sizeof known;
    tread_callbacks *grown = tread_realloc(trainer->callbacks, n * size, (n + 1) * size, "callbacks");
    if (grown == NULL)
        return TREAD_ERROR_MEMORY;
    grown[n] = known;
    trainer->callbacks = grown;
    trainer->n_callbacks = n + 1;
    return TREAD_OK;
}

const tread_train_result *tread_trainer_result(const tread_trainer *trainer) {
    return trainer != NULL ? &trainer->result : NULL;
}

/* A lock-free atomic: both a signal handler and another thread may store it. */
_Static_assert(ATOMIC_INT_LOCK_FREE == 2, "stop requests need a lock-free int");
void tread_trainer_request_stop(tread_trainer *trainer) {
    if (trainer != NULL)
        atomic_store(&trainer->stop_requested, 1);
}

tread_tape *tread_trainer_tape(const tread_trainer *trainer) { return trainer != NULL ? trainer->tape : NULL; }
tread_module *tread_trainer_model(const tread_trainer *trainer) {
    return trainer != NULL ? trainer->options.model : NULL;
}
tread_optimizer *tread_trainer_optimizer(const tread_trainer *trainer) {
    return trainer != NULL ? trainer->options.optimizer : NULL;
}
tread_context *tread_trainer_context(const tread_trainer *trainer) { return trainer != NULL ? trainer->context : NULL; }
