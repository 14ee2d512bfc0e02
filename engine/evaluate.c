#include <math.h>
#include <tread/module.h>
#include <tread/optimizer.h>

#include "core/status.h"
#include "engine/batches.h"
#include "engine/trainer.h"

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

tread_status tread_trainer_evaluate(tread_trainer *trainer, tread_batches *batches, tread_evaluation *ret_evaluation) {
    TREAD_REFUSE_NULL("trainer evaluate", trainer);
    evaluation_sums sums = {0};
    int64_t epoch, index;
    tread_batches *chosen = batches != NULL ? batches : trainer->options.test;
    if (chosen == NULL)
        return tread_fail(TREAD_ERROR_ARGUMENT, "trainer: there are no batches to evaluate on");
    double start = tread_clock_seconds();
    tread_batches_position(chosen, &epoch, &index);
    TREAD_TRY(tread_batches_start(chosen, epoch));
    const bool training = tread_optimizer_is_training(trainer->options.optimizer);
    TREAD_TRY(set_optimizer(trainer, false));
    evaluation_mode before = enter(trainer);
    tread_status status = add_all(trainer, chosen, &sums);
    leave(trainer, before);
    tread_status left = set_optimizer(trainer, training);
    tread_status back = tread_batches_start(chosen, epoch);
    TREAD_TRY(status);
    TREAD_TRY(left);
    TREAD_TRY(back);
    *ret_evaluation = (tread_evaluation){.epoch = trainer->progress.epoch,
                                         .samples = sums.samples,
                                         .loss = sums.loss / (double)sums.samples,
                                         .metric = sums.weight > 0 ? sums.metric / sums.weight : (double)NAN,
                                         .seconds = tread_clock_seconds() - start};
    return TREAD_OK;
}

tread_status tread_trainer_evaluate_sample(tread_trainer *trainer, const tread_batch *batch) {
    tread_tensor *output = NULL, *loss = NULL;
    evaluation_mode before = enter(trainer);
    tread_status status = tread_trainer_forward(trainer, trainer->evaluation_tape, batch, &output, &loss);
    leave(trainer, before);
    return status;
}
