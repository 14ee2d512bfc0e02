#include <math.h>
#include <tread/lr_scheduler.h>
#include <tread/module.h>
#include <tread/optimizer.h>

#include "core/recorder.h"
#include "core/status.h"
#include "core/tensor.h"
#include "engine/data/batches.h"
#include "engine/train/trainer.h"

static tread_status tape_failed(const tread_tape *tape, const char *what) {
    tread_status status = tread_tape_status(tape);
    if (status == TREAD_OK)
        return tread_fail(TREAD_ERROR_CALLBACK, "trainer: %s returned NULL without an error", what);
    return tread_fail(status, "%s", tread_tape_error(tape));
}

static tread_time_span begin_part(const tread_trainer *trainer, const char *name) {
    const tread_time_span_key key = {.name = name, .phase = TREAD_TRACE_OTHER};
    return tread_time_span_within(trainer->context, &key);
}

static void end_part(const tread_trainer *trainer, tread_time_span span) {
    tread_time_span_end(trainer->context, span, (tread_cost){0});
}

tread_status tread_trainer_forward(tread_trainer *trainer, tread_tape *tape, const tread_batch *batch,
                                   tread_tensor **ret_output, tread_tensor **ret_loss) {
    const tread_trainer_options *o = &trainer->options;
    tread_tape_reset(tape);
    if (o->model == NULL && o->forward == NULL)
        return tread_fail(TREAD_ERROR_STATE, "trainer: neither model nor forward is given");
    tread_time_span span = begin_part(trainer, "forward");
    tread_tensor *output =
        o->forward != NULL ? o->forward(o->forward_data, tape, batch) : tread_forward(o->model, tape, batch->x);
    if (output == NULL)
        return tape_failed(tape, "forward");
    end_part(trainer, span);
    span = begin_part(trainer, "loss");
    tread_tensor *loss = o->loss(o->loss_data, tape, output, batch);
    if (loss == NULL)
        return tape_failed(tape, "loss");
    end_part(trainer, span);
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

static void clear_gradients(const tread_trainer *trainer) {
    if (trainer->options.optimizer != NULL)
        tread_optimizer_zero_grad(trainer->options.optimizer, true);
    else if (trainer->options.model != NULL)
        tread_module_zero_grad(trainer->options.model, true);
}

/* A batch that is the whole step goes the straight way. */
static tread_status backward(tread_trainer *trainer, tread_tensor *loss) {
    if (trainer->batch_share == 1)
        return tread_backward(trainer->tape, loss);
    tread_tensor *share = trainer->share;
    if (share == NULL || share->dtype != loss->dtype || !tread_tensor_same_shape(share, loss)) {
        tread_tensor_destroy(share);
        share = trainer->share = tread_tensor_create(loss->dtype, loss->rank, loss->shape);
        if (share == NULL)
            return TREAD_ERROR_MEMORY;
    }
    TREAD_TRY(tread_tensor_fill(share, trainer->batch_share));
    return tread_backward_from(trainer->tape, loss, share);
}

tread_status tread_trainer_closure(tread_trainer *trainer, const tread_batch *batch, double *ret_loss) {
    TREAD_REFUSE_NULL("trainer closure", trainer);
    tread_tensor *output = NULL, *loss = NULL;
    double value;
    if (!trainer->adds)
        clear_gradients(trainer);
    TREAD_TRY(tread_trainer_forward(trainer, trainer->tape, batch, &output, &loss));
    TREAD_TRY(tread_trainer_loss_value(loss, &value));
    const tread_time_span span = begin_part(trainer, "backward");
    TREAD_TRY(backward(trainer, loss));
    end_part(trainer, span);
    *ret_loss = value;
    return TREAD_OK;
}

tread_status tread_trainer_take(tread_trainer *trainer, int64_t index) {
    tread_batches *train = trainer->options.train;
    int64_t epoch, next;
    if (trainer->taken == index)
        return TREAD_OK;
    tread_batches_position(train, &epoch, &next);
    if (epoch != trainer->progress.epoch || next != index)
        TREAD_TRY(tread_batches_seek(train, trainer->progress.epoch, index));
    if (!tread_batches_next(train, &trainer->batch)) {
        TREAD_TRY(tread_batches_status(train));
        return tread_fail(TREAD_ERROR_STATE, "trainer: there is no batch %lld", (long long)index);
    }
    trainer->taken = index;
    return TREAD_OK;
}

/* One batch's part of the loss and of the gradients. */
static tread_status evaluate_batch(tread_trainer *trainer, double *ret_loss) {
    const tread_trainer_options *o = &trainer->options;
    double loss = NAN;
    trainer->batch_share = (double)trainer->batch.count / (double)trainer->step_samples;
    if (o->closure == NULL)
        TREAD_TRY(tread_trainer_closure(trainer, &trainer->batch, &loss));
    else
        TREAD_TRY(o->closure(o->closure_data, trainer, &trainer->batch, &loss));
    *ret_loss = loss;
    if (trainer->closure_calls > 1) /* of later ones, which a line search makes, the optimizer is the judge */
        return TREAD_OK;
    if (!isfinite(loss))
        return tread_trainer_fail_loss(trainer, &trainer->batch, loss);
    TREAD_TRAINER_CALL(trainer, on_batch, &trainer->batch, loss);
    return TREAD_OK;
}

/* What the optimizer calls, as often as it needs. */
static tread_status evaluate_closure(void *data, double *ret_loss) {
    tread_trainer *trainer = data;
    double sum = 0, loss;
    trainer->closure_calls++;
    tread_tape_set_rng(trainer->tape, trainer->step_rng); /* a line search needs one function, random parts and all */
    trainer->adds = false;
    for (int64_t i = 0; i < trainer->n_batches; i++) {
        if (trainer->batch_skipped[i])
            continue;
        TREAD_TRY(tread_trainer_take(trainer, trainer->first_batch + i));
        TREAD_TRY(evaluate_batch(trainer, &loss));
        sum += trainer->batch_share * loss;
        trainer->adds = true;
    }
    if (tread_trainer_clips_apart(trainer)) {
        const tread_time_span span = begin_part(trainer, "clip");
        TREAD_TRY(tread_trainer_clip(trainer));
        end_part(trainer, span);
    }
    trainer->has_gradients = true;
    *ret_loss = sum;
    return TREAD_OK;
}

static tread_step_info step_info(const tread_trainer *trainer, double loss, double lr) {
    const tread_trainer_progress *progress = &trainer->progress;
    return (tread_step_info){.epoch = progress->epoch,
                             .epochs = trainer->options.epochs,
                             .step = progress->steps,
                             .step_in_epoch = progress->step_in_epoch,
                             .steps_per_epoch = tread_trainer_steps_per_epoch(trainer),
                             .samples = trainer->step_samples,
                             .closure_calls = trainer->closure_calls,
                             .loss = loss,
                             .lr = lr,
                             .seconds = tread_trainer_seconds(trainer)};
}

/* Which batches the step has; none: it is left out. */
static tread_status choose_batches(tread_trainer *trainer) {
    const tread_batches *train = trainer->options.train;
    const int64_t count = tread_batches_count(train), size = tread_batches_batch_size(train);
    const int64_t all = tread_batches_samples(train);
    bool asks;
    TREAD_TRAINER_HAS(trainer, on_batch_begin, &asks);
    for (int64_t i = 0; i < trainer->n_batches && !trainer->callback_stop; i++) {
        int64_t index = trainer->first_batch + i;
        trainer->callback_skip = false;
        if (asks) {
            TREAD_TRY(tread_trainer_take(trainer, index));
            TREAD_TRAINER_CALL(trainer, on_batch_begin, &trainer->batch);
        }
        trainer->batch_skipped[i] = trainer->callback_skip;
        if (!trainer->callback_skip)
            trainer->step_samples += index < count - 1 ? size : all - (count - 1) * size;
    }
    return TREAD_OK;
}

/* *ret_left_out: nothing is to be done, but to go on behind it. */
static tread_status begin_step(tread_trainer *trainer, bool *ret_left_out) {
    const tread_trainer_options *o = &trainer->options;
    const int64_t left = tread_batches_count(o->train) - trainer->progress.step_in_epoch * o->accumulate;
    trainer->first_batch = trainer->progress.step_in_epoch * o->accumulate;
    trainer->n_batches = left < o->accumulate ? left : o->accumulate;
    trainer->taken = -1;
    trainer->step_samples = trainer->closure_calls = 0;
    bool asks;
    TREAD_TRAINER_HAS(trainer, on_step_begin, &asks);
    if (asks) {
        const tread_step_info info = step_info(trainer, NAN, tread_optimizer_lr(o->optimizer, 0));
        TREAD_TRAINER_CALL(trainer, on_step_begin, &info);
    }
    *ret_left_out = asks && trainer->callback_skip;
    if (*ret_left_out || trainer->callback_stop)
        return TREAD_OK;
    trainer->stepping = true;
    TREAD_TRY(choose_batches(trainer));
    *ret_left_out = trainer->step_samples == 0;
    return TREAD_OK;
}

/* The optimizer has refused numbers that are not finite. */
static tread_status not_finite(tread_trainer *trainer, bool *ret_done) {
    tread_trainer_progress *progress = &trainer->progress;
    const tread_trainer_options *o = &trainer->options;
    if (o->nonfinite == TREAD_ON_NONFINITE_SKIP) {
        if (progress->skipped_in_row >= o->max_skipped) {
            trainer->not_finite = true;
            return tread_fail_prefix(TREAD_ERROR_NUMERIC, "%lld steps in a row were skipped before this one: ",
                                     (long long)progress->skipped_in_row);
        }
        progress->skipped++;
        progress->skipped_in_row++;
        progress->step_in_epoch++;
        tread_trainer_update_result(trainer);
        *ret_done = true;
        return TREAD_OK;
    }
    tread_tape_set_rng(trainer->tape, trainer->step_rng);
    if (o->nonfinite == TREAD_ON_NONFINITE_STOP) {
        trainer->result.stop_reason = TREAD_STOP_NOT_FINITE;
        return TREAD_OK;
    }
    trainer->not_finite = true;
    return TREAD_ERROR_NUMERIC;
}

static tread_status finish_step(tread_trainer *trainer, double loss, double lr) {
    const tread_trainer_options *o = &trainer->options;
    tread_trainer_progress *progress = &trainer->progress;
    progress->lr = lr;
    progress->loss_sum += loss * (double)trainer->step_samples;
    progress->loss_samples += trainer->step_samples;
    progress->samples += trainer->step_samples;
    progress->closure_calls += trainer->closure_calls;
    progress->skipped_in_row = 0;
    progress->steps++;
    progress->step_in_epoch++;
    tread_trainer_update_result(trainer);
    if (o->ema_decay > 0) {
        const tread_time_span span = begin_part(trainer, "average");
        tread_trainer_average(trainer);
        end_part(trainer, span);
    }
    if (o->scheduler != NULL && o->schedule_every == TREAD_EVERY_STEP)
        TREAD_TRY(tread_lr_scheduler_step(o->scheduler));
    bool asks;
    TREAD_TRAINER_HAS(trainer, on_step, &asks);
    if (asks) {
        const tread_step_info info = step_info(trainer, loss, lr);
        TREAD_TRAINER_CALL(trainer, on_step, &info);
    }
    return TREAD_OK;
}

static tread_status update(tread_trainer *trainer, tread_closure *step) {
    tread_step_options how = tread_step_defaults();
    trainer->has_gradients = false;
    tread_trainer_fold_clip(trainer, &how);
    TREAD_TRY(tread_trainer_fold_average(trainer, &how));
    const tread_status status = tread_optimizer_step_with(trainer->options.optimizer, step, &how, NULL);
    if (status == TREAD_ERROR_NUMERIC && trainer->has_gradients && how.nonfinite == TREAD_NONFINITE_ERROR)
        return tread_trainer_fail_gradient(trainer);
    return status;
}

tread_status tread_trainer_step(tread_trainer *trainer, bool *ret_done) {
    tread_closure step = {.evaluate = evaluate_closure, .data = trainer};
    double lr = tread_optimizer_lr(trainer->options.optimizer, 0);
    bool left_out = false;
    *ret_done = false;
    trainer->step_rng = tread_tape_rng(trainer->tape);
    tread_status status = begin_step(trainer, &left_out);
    if (status == TREAD_OK && !left_out && !trainer->callback_stop)
        status = update(trainer, &step);
    trainer->stepping = false;
    trainer->adds = false;
    trainer->batch_share = 1;
    if (status == TREAD_ERROR_NUMERIC)
        return not_finite(trainer, ret_done);
    if (status != TREAD_OK)
        tread_tape_set_rng(trainer->tape, trainer->step_rng); /* so that the step can be done again */
    TREAD_TRY(status);
    if (trainer->closure_calls == 0) { /* it has not been made */
        trainer->progress.step_in_epoch += left_out;
        *ret_done = left_out;
        return TREAD_OK;
    }
    *ret_done = true;
    return finish_step(trainer, step.loss, lr);
}

static tread_status plan_training(tread_trainer *trainer) {
    tread_rng before = tread_tape_rng(trainer->tape);
    tread_status status = TREAD_OK;
    tread_batch batch;
    double loss;
    const int times = trainer->options.accumulate > 1 ? 2 : 1; /* the second one is added */
    for (int last = 0; last < 2 && status == TREAD_OK; last++)
        if (tread_batches_sample(trainer->options.train, last == 1, &batch)) {
            trainer->batch_share = 1.0 / times;
            for (int i = 0; i < times && status == TREAD_OK; i++) {
                trainer->adds = i > 0;
                status = tread_trainer_closure(trainer, &batch, &loss);
            }
        } else {
            status = tread_batches_status(trainer->options.train);
        }
    trainer->adds = false;
    trainer->batch_share = 1;
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
