#include <math.h>
#include <string.h>

#include "core/isa.h"
#include "core/memory.h"
#include "core/parallel.h"
#include "core/status.h"
#include "core/tensor.h"
#include "engine/train/trainer.h"
#include "optim/optimizer.h"

/* Floats averaged in the 2 us or so that a fork must be worth. */
#define GRAIN_FLOATS 32768

size_t tread_trainer_n_floats(const tread_trainer *trainer) {
    size_t n = 0;
    for (size_t i = 0; i < trainer->n_parameters; i++)
        n += (size_t)trainer->parameters[i]->tensor.count;
    return n;
}

/* The weights as they are now. */
static void copy_weights(const tread_trainer *trainer, float *ret_values) {
    for (size_t i = 0; i < trainer->n_parameters; i++) {
        const tread_tensor *x = &trainer->parameters[i]->tensor;
        memcpy(ret_values, x->data, (size_t)x->count * sizeof *ret_values);
        ret_values += x->count;
    }
}

void tread_trainer_begin_average(tread_trainer *trainer) {
    if (trainer->ema != NULL)
        copy_weights(trainer, trainer->ema);
}

tread_status tread_trainer_create_weights(tread_trainer *trainer) {
    size_t n = tread_trainer_n_floats(trainer);
    if (trainer->options.ema_decay > 0) {
        trainer->ema = tread_calloc(n, sizeof(float), "averages of weights");
        if (trainer->ema == NULL)
            return TREAD_ERROR_MEMORY;
        tread_trainer_begin_average(trainer);
    }
    if (!trainer->options.restore_best)
        return TREAD_OK;
    trainer->best_weights = tread_calloc(n, sizeof(float), "best weights");
    return trainer->best_weights != NULL ? TREAD_OK : TREAD_ERROR_MEMORY;
}

void tread_trainer_destroy_weights(tread_trainer *trainer) {
    tread_free(trainer->ema);
    tread_free(trainer->best_weights);
}

TREAD_KERNEL_BODY void average_body(const float *restrict x, int64_t n, float keep, float take,
                                    float *restrict average) {
    for (int64_t i = 0; i < n; i++)
        average[i] = keep * average[i] + take * x[i];
}
TREAD_KERNEL(average, (const float *x, int64_t n, float keep, float take, float *average), (x, n, keep, take, average))

typedef struct average_job {
    const float *x;
    float *average, keep, take;
} average_job;

static void average_part(void *argument, int64_t begin, int64_t end) {
    const average_job *job = argument;
    TREAD_CALL(average)(job->x + begin, end - begin, job->keep, job->take, job->average + begin);
}

void tread_trainer_average(tread_trainer *trainer) {
    const double decay = trainer->options.ema_decay;
    average_job job = {.average = trainer->ema, .keep = (float)decay, .take = (float)(1 - decay)};
    for (size_t i = 0; i < trainer->n_parameters && trainer->ema != NULL; i++) {
        const tread_tensor *x = &trainer->parameters[i]->tensor;
        job.x = x->data;
        tread_parallel_for(trainer->context, x->count, GRAIN_FLOATS, 16, average_part, &job);
        job.average += x->count;
    }
}

void tread_trainer_keep_best(tread_trainer *trainer) {
    if (trainer->best_weights != NULL)
        copy_weights(trainer, trainer->best_weights);
}

static void exchange(const tread_trainer *trainer, float *values) {
    for (size_t i = 0; i < trainer->n_parameters; i++) {
        tread_tensor *x = &trainer->parameters[i]->tensor;
        float *weights = x->data;
        for (int64_t k = 0; k < x->count; k++) {
            float weight = weights[k];
            weights[k] = values[k];
            values[k] = weight;
        }
        tread_tensor_touch(x);
        values += x->count;
    }
}

void tread_trainer_exchange_ema(tread_trainer *trainer) {
    if (trainer->ema != NULL)
        exchange(trainer, trainer->ema);
}
void tread_trainer_exchange_best(tread_trainer *trainer) { exchange(trainer, trainer->best_weights); }

/* Up or down by one kind. */
static tread_status averaged(tread_trainer *trainer, bool averaged) {
    if (trainer->options.optimizer != NULL)
        TREAD_TRY(tread_optimizer_set_training(trainer->options.optimizer, !averaged));
    if (averaged != (trainer->held == TREAD_WEIGHTS_AVERAGED))
        tread_trainer_exchange_ema(trainer);
    trainer->held = averaged ? TREAD_WEIGHTS_AVERAGED : TREAD_WEIGHTS_TRAINING;
    return TREAD_OK;
}

tread_status tread_trainer_use_weights(tread_trainer *trainer, tread_weights_kind kind) {
    TREAD_REFUSE_NULL("trainer use weights", trainer);
    if ((unsigned)kind > TREAD_WEIGHTS_BEST)
        return tread_fail(TREAD_ERROR_ARGUMENT, "trainer: there are no weights of kind %d", (int)kind);
    if (trainer->stepping)
        return tread_fail(TREAD_ERROR_STATE, "trainer: the weights cannot be exchanged within a step");
    TREAD_TRY(tread_trainer_refuse_evaluating(trainer));
    if (kind == TREAD_WEIGHTS_BEST && (trainer->best_weights == NULL || isnan(trainer->progress.best)))
        return tread_fail(TREAD_ERROR_STATE, "trainer: there are no best weights: %s",
                          trainer->best_weights == NULL ? "restore_best is not set" : "no evaluation was made");
    if (trainer->held == TREAD_WEIGHTS_BEST && kind != TREAD_WEIGHTS_BEST) {
        tread_trainer_exchange_best(trainer);
        trainer->held = TREAD_WEIGHTS_AVERAGED;
    }
    if (trainer->held == TREAD_WEIGHTS_BEST)
        return TREAD_OK;
    TREAD_TRY(averaged(trainer, kind != TREAD_WEIGHTS_TRAINING));
    if (kind == TREAD_WEIGHTS_BEST) {
        tread_trainer_exchange_best(trainer);
        trainer->held = TREAD_WEIGHTS_BEST;
    }
    return TREAD_OK;
}
