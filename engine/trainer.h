/* Layer: engine. What a trainer is made of. */
#ifndef TREAD_ENGINE_TRAINER_H
#define TREAD_ENGINE_TRAINER_H

#include <stdatomic.h>
#include <tread/trainer.h>

/* The place of a run, between two steps: all that goes on with the next step needs, beside model, optimizer, scheduler
 * and the tape's random stream. */
typedef struct tread_trainer_progress {
    int64_t epoch;          /* under way; epochs done */
    int64_t step_in_epoch;  /* steps of it done, and the index of the next batch */
    int64_t steps, samples; /* since the beginning */
    double loss_sum;        /* of the epoch: loss times samples, over its steps */
    int64_t loss_samples;
    int64_t closure_calls; /* of the epoch */
    double lr;             /* used in the last step */
    double train_seconds;  /* of the epoch, in steps */
    double seconds;        /* of earlier runs */
} tread_trainer_progress;

struct tread_trainer {
    tread_context *context;
    tread_trainer_options options; /* loss filled in */
    tread_callbacks *callbacks;
    size_t n_callbacks;
    tread_tape *tape, *evaluation_tape; /* apart, so that each keeps its plans at hand */

    tread_trainer_progress progress;
    tread_epoch_metrics *history;
    int64_t history_capacity;
    tread_train_result result;

    bool planned, running;
    double started;     /* clock of the run under way */
    bool callback_stop; /* a callback of this run said stop */
    bool not_finite;    /* this run failed with TREAD_ERROR_NUMERIC */
    atomic_int stop_requested;

    tread_batch batch;     /* of the step under way */
    tread_rng step_rng;    /* of the tape, when it began */
    int64_t closure_calls; /* in the step under way */
};

/* Seconds of a clock that only goes forward. */
double tread_clock_seconds(void);

/* The whole duration of the run so far, earlier runs included. */
double tread_trainer_seconds(const tread_trainer *trainer);

/* Calls one callback of all that are there. on: an expression in `callbacks` and the arguments. */
#define TREAD_TRAINER_CALL(trainer, on, ...)                                                                           \
    do {                                                                                                               \
        for (size_t call_ = 0; call_ < (trainer)->n_callbacks; call_++) {                                              \
            const tread_callbacks *one_ = &(trainer)->callbacks[call_];                                                \
            tread_action action_ = one_->on == NULL ? TREAD_CONTINUE : one_->on(one_->data, (trainer), __VA_ARGS__);   \
            if (action_ == TREAD_FAIL)                                                                                 \
                return TREAD_ERROR_CALLBACK;                                                                           \
            (trainer)->callback_stop |= action_ == TREAD_STOP;                                                         \
        }                                                                                                              \
    } while (0)

/* Runs what can be planned: forward, loss and backward for the full and the last short batch, forward and loss for
 * evaluation. Parameters, random stream and optimizer stay; gradients become none. */
tread_status tread_trainer_plan(tread_trainer *trainer);

/* One batch: the step, and what the progress adds up. */
tread_status tread_trainer_step(tread_trainer *trainer);

/* Forward and loss on a tape; sets the outputs, or fails with the tape's error. */
tread_status tread_trainer_forward(tread_trainer *trainer, tread_tape *tape, const tread_batch *batch,
                                   tread_tensor **ret_output, tread_tensor **ret_loss);
/* The number in a loss tensor. TREAD_ERROR_ARGUMENT where it is not a scalar. */
tread_status tread_trainer_loss_value(const tread_tensor *loss, double *ret_value);

/* Forward and loss of one batch without gradients, in evaluation mode, for planning. */
tread_status tread_trainer_evaluate_sample(tread_trainer *trainer, const tread_batch *batch);

#endif
