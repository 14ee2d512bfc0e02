#include <math.h>
#include <string.h>

#include "core/memory.h"
#include "core/parallel.h"
#include "core/status.h"
#include "core/tensor.h"
#include "engine/train/trainer.h"
#include "optim/optimizer.h"
#include "optim/vector.h"

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

/* Its place among the trainer's, or n_parameters; as a rule the one that was expected. */
static size_t place_of(const tread_trainer *trainer, const tread_parameter *parameter, size_t expected) {
    if (expected < trainer->n_parameters && trainer->parameters[expected] == parameter)
        return expected;
    size_t p = 0;
    while (p < trainer->n_parameters && trainer->parameters[p] != parameter)
        p++;
    return p;
}

/* Where the averages of the optimizer's parameters are, for its pass; made anew when it has got more groups. */
static tread_status bind_averages(tread_trainer *trainer) {
    const tread_optimizer *optimizer = trainer->options.optimizer;
    if (trainer->ema == NULL || optimizer == NULL || trainer->n_averages == optimizer->n_items)
        return TREAD_OK;
    float **averages = tread_calloc(optimizer->n_items, sizeof *averages, "places of averages");
    size_t *offsets = averages == NULL ? NULL : tread_calloc(trainer->n_parameters, sizeof *offsets, "places");
    if (offsets == NULL) {
        tread_free(averages);
        return TREAD_ERROR_MEMORY;
    }
    for (size_t p = 0, offset = 0; p < trainer->n_parameters; offset += (size_t)trainer->parameters[p++]->tensor.count)
        offsets[p] = offset;
    memset(trainer->is_folded, 0, trainer->n_parameters * sizeof *trainer->is_folded);
    for (size_t i = 0, p = 0; i < optimizer->n_items; i++, p++) {
        p = place_of(trainer, optimizer->items[i].parameter, p);
        if (p == trainer->n_parameters)
            continue;
        averages[i] = trainer->ema + offsets[p];
        trainer->is_folded[p] = true;
    }
    tread_free(offsets);
    tread_free(trainer->averages);
    trainer->averages = averages;
    trainer->n_averages = optimizer->n_items;
    return TREAD_OK;
}

tread_status tread_trainer_create_weights(tread_trainer *trainer) {
    size_t n = tread_trainer_n_floats(trainer);
    if (trainer->options.ema_decay > 0) {
        trainer->ema = tread_calloc(n, sizeof(float), "averages of weights");
        trainer->is_folded =
            trainer->ema == NULL ? NULL : tread_calloc(trainer->n_parameters, sizeof(bool), "marks of averages");
        if (trainer->is_folded == NULL)
            return TREAD_ERROR_MEMORY;
        tread_trainer_begin_average(trainer);
        TREAD_TRY(bind_averages(trainer));
    }
    if (!trainer->options.restore_best)
        return TREAD_OK;
    trainer->best_weights = tread_calloc(n, sizeof(float), "best weights");
    return trainer->best_weights != NULL ? TREAD_OK : TREAD_ERROR_MEMORY;
}

void tread_trainer_destroy_weights(tread_trainer *trainer) {
    tread_free(trainer->ema);
    tread_free(trainer->averages);
    tread_free(trainer->is_folded);
    tread_free(trainer->best_weights);
}

tread_status tread_trainer_fold_average(tread_trainer *trainer, tread_step_options *step) {
    TREAD_TRY(bind_averages(trainer));
    step->averages = trainer->averages;
    step->n_averages = trainer->n_averages;
    step->ema_decay = trainer->options.ema_decay;
    return TREAD_OK;
}

typedef struct average_job {
    const float *x;
    float *average, keep, take;
} average_job;

static void average_part(void *argument, int64_t begin, int64_t end) {
    const average_job *job = argument;
    tread_vector_average(job->x + begin, end - begin, job->keep, job->take, job->average + begin);
}

void tread_trainer_average(tread_trainer *trainer) {
    const double decay = trainer->options.ema_decay;
    const bool skipped = tread_optimizer_step_skipped(trainer->options.optimizer);
    average_job job = {.average = trainer->ema, .keep = (float)decay, .take = (float)(1 - decay)};
    for (size_t i = 0; i < trainer->n_parameters && trainer->ema != NULL; i++) {
        const tread_tensor *x = &trainer->parameters[i]->tensor;
        job.x = x->data;
        if (skipped || !trainer->is_folded[i])
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
        tread_parameter_exchange(trainer->parameters[i], values);
        values += trainer->parameters[i]->tensor.count;
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
