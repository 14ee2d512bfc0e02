#include "engine/train/trainer.h"

#include <math.h>

#include "core/memory.h"
#include "core/options.h"
#include "core/recorder.h"
#include "core/status.h"

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
    case TREAD_STOP_STEPS: return "all steps done";
    case TREAD_STOP_SECONDS: return "time over";
    case TREAD_STOP_TARGET: return "target reached";
    case TREAD_STOP_PATIENCE: return "no better for too long";
    }
    return "unknown reason";
}

tread_callbacks tread_callbacks_defaults(void) { return (tread_callbacks){.size = sizeof(tread_callbacks)}; }

/* The parameters that averages and best weights are of. */
static tread_status gather_parameters(tread_trainer *trainer) {
    const tread_trainer_options *o = &trainer->options;
    const tread_parameter_list model = {0}, list = o->model != NULL ? tread_module_parameters(o->model) : model;
    size_t n = list.count, groups = o->model == NULL ? tread_optimizer_group_count(o->optimizer) : 0;
    for (size_t g = 0; g < groups; g++)
        n += tread_optimizer_group_params(o->optimizer, g).count;
    trainer->parameters = tread_calloc(n, sizeof *trainer->parameters, "list of parameters");
    if (trainer->parameters == NULL)
        return TREAD_ERROR_MEMORY;
    for (size_t i = 0; i < list.count; i++)
        trainer->parameters[trainer->n_parameters++] = list.items[i];
    for (size_t g = 0; g < groups; g++) {
        tread_parameter_list group = tread_optimizer_group_params(o->optimizer, g);
        for (size_t i = 0; i < group.count; i++)
            trainer->parameters[trainer->n_parameters++] = group.items[i];
    }
    return TREAD_OK;
}

static tread_status build(tread_trainer *trainer) {
    trainer->tape = tread_tape_create(trainer->context);
    trainer->evaluation_tape = trainer->tape == NULL ? NULL : tread_tape_create(trainer->context);
    if (trainer->evaluation_tape == NULL)
        return TREAD_ERROR_MEMORY;
    TREAD_TRY(tread_tape_set_precision(trainer->tape, trainer->options.precision));
    TREAD_TRY(tread_tape_set_precision(trainer->evaluation_tape, trainer->options.evaluation_precision));
    TREAD_TRY(gather_parameters(trainer));
    TREAD_TRY(tread_trainer_create_weights(trainer));
    trainer->batch_skipped = tread_calloc((size_t)trainer->options.accumulate, 1, "flags of a step's batches");
    if (trainer->batch_skipped == NULL)
        return TREAD_ERROR_MEMORY;
    return trainer->options.callbacks == NULL ? TREAD_OK
                                              : tread_trainer_add_callbacks(trainer, trainer->options.callbacks);
}

tread_trainer *tread_trainer_create(tread_context *context, const tread_trainer_options *options) {
    tread_trainer_options chosen;
    if (tread_trainer_read_options(options, &chosen) != TREAD_OK)
        return NULL;
    tread_trainer *trainer = tread_calloc(1, sizeof *trainer, "trainer");
    if (trainer == NULL)
        return NULL;
    trainer->context = context;
    trainer->options = chosen;
    trainer->progress.best = trainer->progress.target_best = NAN;
    trainer->batch_share = 1;
    trainer->saves = (tread_trainer_saves){.step = -1};
    tread_trainer_update_result(trainer);
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
    tread_tensor_destroy(trainer->share);
    tread_trainer_destroy_weights(trainer);
    tread_free(trainer->parameters);
    tread_free(trainer->batch_skipped);
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

void tread_trainer_update_result(tread_trainer *trainer) {
    const tread_trainer_progress *progress = &trainer->progress;
    tread_train_result *result = &trainer->result;
    result->epochs = progress->epoch;
    result->steps = progress->steps;
    result->samples = progress->samples;
    result->skipped = progress->skipped;
    result->best = progress->best;
    result->best_step = progress->best_step;
    result->best_epoch = progress->best_epoch;
    result->n_not_better = progress->n_not_better;
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
tread_weights_kind tread_trainer_held_weights(const tread_trainer *trainer) {
    return trainer != NULL ? trainer->held : TREAD_WEIGHTS_TRAINING;
}
