#include <math.h>
#include <tread/lr_scheduler.h>
#include <tread/module.h>
#include <tread/optimizer.h>

#include "core/status.h"
#include "core/tensor.h"
#include "engine/batches.h"
#include "engine/trainer.h"

static tread_status tape_failed(const tread_tape *tape, const char *what) {
    tread_status status = tread_tape_status(tape);
    if (status == TREAD_OK)
        return tread_fail(TREAD_ERROR_CALLBACK, "trainer: %s returned NULL without an error", what);
    return tread_fail(status, "%s", tread_tape_error(tape));
}

tread_status tread_trainer_forward(tread_trainer *trainer, tread_tape *tape, const tread_batch *batch,
                                   tread_tensor **ret_output, tread_tensor **ret_loss) {
    const tread_trainer_options *o = &trainer->options;
    tread_tape_reset(tape);
    if (o->model == NULL && o->forward == NULL)
        return tread_fail(TREAD_ERROR_STATE, "trainer: neither model nor forward is given");
    tread_tensor *output =
        o->forward != NULL ? o->forward(o->forward_data, tape, batch) : tread_forward(o->model, tape, batch->x);
    if (output == NULL)
        return tape_failed(tape, "forward");
    tread_tensor *loss = o->loss(o->loss_data, tape, output, batch);
    if (loss == NULL)
        return tape_failed(tape, "loss");
    *ret_output = output;
    *ret_loss = loss;
    return TREAD_OK;
}

tread_status tread_trainer_loss_value(const tread_tensor *loss, double *ret_value) {
    char text[TREAD_SHAPE_TEXT];
    if (loss->count != 1)
        return tread_fail(TREAD_ERROR_ARGUMENT, "trainer: the loss is %s, expected a scalar",
                          tread_shape_text(text, loss->rank, loss->shape));
    return tread_tensor_item(loss, ret_value);
}

static tread_status check_finite(const tread_trainer *trainer, const tread_batch *batch, double loss) {
    if (isfinite(loss))
        return TREAD_OK;
    return tread_fail(TREAD_ERROR_NUMERIC, "epoch %lld of %lld, batch %lld of %lld: the loss is %g",
                      (long long)trainer->progress.epoch + 1, (long long)trainer->options.epochs,
                      (long long)batch->index + 1, (long long)tread_batches_count(trainer->options.train),
                      isnan(loss) ? fabs(loss) : loss);
}

static void clear_gradients(const tread_trainer *trainer) {
    if (trainer->options.optimizer != NULL)
        tread_optimizer_zero_grad(trainer->options.optimizer, true);
    else if (trainer->options.model != NULL)
        tread_module_zero_grad(trainer->options.model, true);
}

tread_status tread_trainer_closure(tread_trainer *trainer, const tread_batch *batch, double *ret_loss) {
    TREAD_REFUSE_NULL("trainer closure", trainer);
    tread_tensor *output = NULL, *loss = NULL;
    double value;
    clear_gradients(trainer);
    TREAD_TRY(tread_trainer_forward(trainer, trainer->tape, batch, &output, &loss));
    TREAD_TRY(tread_trainer_loss_value(loss, &value));
    TREAD_TRY(tread_backward(trainer->tape, loss));
    *ret_loss = value;
    return TREAD_OK;
}

/* Groups that have no clip_grad_max_norm are left alone; the others' factor is applied by the optimizer's own pass. */
static tread_status clip(const tread_trainer *trainer) {
    tread_clip_options fused = tread_clip_defaults();
    fused.fused = true;
    return tread_optimizer_clip_grad(trainer->options.optimizer, &fused, NULL);
}

/* What the optimizer calls, as often as it needs. */
static tread_status evaluate_closure(void *data, double *ret_loss) {
    tread_trainer *trainer = data;
    const tread_trainer_options *o = &trainer->options;
    double loss = NAN;
    trainer->closure_calls++;
    tread_tape_set_rng(trainer->tape, trainer->step_rng); /* a line search needs one function, random parts and all */
    if (o->closure == NULL)
        TREAD_TRY(tread_trainer_closure(trainer, &trainer->batch, &loss));
    else
        TREAD_TRY(o->closure(o->closure_data, trainer, &trainer->batch, &loss));
    if (trainer->closure_calls == 1) /* of later ones, which a line search makes, the optimizer is the judge */
        TREAD_TRY(check_finite(trainer, &trainer->batch, loss));
    if (o->closure == NULL)
        TREAD_TRY(clip(trainer));
    *ret_loss = loss;
    return TREAD_OK;
}

tread_status tread_trainer_step(tread_trainer *trainer) {
    const tread_trainer_options *o = &trainer->options;
    tread_trainer_progress *progress = &trainer->progress;
    tread_closure step = {.evaluate = evaluate_closure, .data = trainer};
    double lr = tread_optimizer_lr(o->optimizer, 0);
    trainer->step_rng = tread_tape_rng(trainer->tape);
    trainer->closure_calls = 0;
    tread_status status = tread_optimizer_step(o->optimizer, &step);
    if (status != TREAD_OK) {
        tread_tape_set_rng(trainer->tape, trainer->step_rng); /* so that the step can be done again */
        trainer->not_finite |= status == TREAD_ERROR_NUMERIC;
        return status;
    }
    progress->lr = lr;
    progress->loss_sum += step.loss * (double)trainer->batch.count;
    progress->loss_samples += trainer->batch.count;
    progress->samples += trainer->batch.count;
    progress->closure_calls += trainer->closure_calls;
    progress->steps++;
    progress->step_in_epoch++;
    trainer->result.steps = progress->steps;
    trainer->result.samples = progress->samples;
    if (o->scheduler != NULL && o->schedule_every == TREAD_EVERY_STEP)
        TREAD_TRY(tread_lr_scheduler_step(o->scheduler));
    for (size_t i = 0; i < trainer->n_callbacks; i++)
        if (trainer->callbacks[i].on_step != NULL) {
            const tread_step_info info = {.epoch = progress->epoch,
                                          .epochs = o->epochs,
                                          .step = progress->steps,
                                          .step_in_epoch = progress->step_in_epoch,
                                          .steps_per_epoch = tread_batches_count(o->train),
                                          .samples = trainer->batch.count,
                                          .closure_calls = trainer->closure_calls,
                                          .loss = step.loss,
                                          .lr = lr,
                                          .seconds = tread_trainer_seconds(trainer)};
            TREAD_TRAINER_CALL(trainer, on_step, &info);
            break;
        }
    return TREAD_OK;
}

static tread_status plan_training(tread_trainer *trainer) {
    tread_rng before = tread_tape_rng(trainer->tape);
    tread_status status = TREAD_OK;
    tread_batch batch;
    double loss;
    for (int last = 0; last < 2 && status == TREAD_OK; last++)
        if (tread_batches_sample(trainer->options.train, last == 1, &batch))
            status = tread_trainer_closure(trainer, &batch, &loss);
        else
            status = tread_batches_status(trainer->options.train);
    tread_tape_set_rng(trainer->tape, before);
    clear_gradients(trainer);
    return status;
}

tread_status tread_trainer_plan(tread_trainer *trainer) {
    const tread_trainer_options *o = &trainer->options;
    tread_batch batch;
    if (o->closure == NULL) /* what a closure of the caller's does besides cannot be undone */
        TREAD_TRY(plan_training(trainer));
    if (o->test == NULL || o->evaluate_every == 0)
        return TREAD_OK;
    for (int last = 0; last < 2; last++)
        if (tread_batches_sample(o->test, last == 1, &batch))
            TREAD_TRY(tread_trainer_evaluate_sample(trainer, &batch));
        else
            TREAD_TRY(tread_batches_status(o->test));
    return TREAD_OK;
}
