/* Layer: engine. What a trainer is made of. */
#ifndef TREAD_ENGINE_TRAINER_H
#define TREAD_ENGINE_TRAINER_H

#include <stdatomic.h>
#include <tread/trainer.h>

#include "engine/checkpoint/hash.h"

/* The place of a run, between two steps: all that goes on with the next step needs, beside model, optimizer, scheduler
 * and the tape's random stream. */
typedef struct tread_trainer_progress {
    int64_t epoch;          /* under way; epochs done */
    int64_t step_in_epoch;  /* steps of it done or skipped: accumulate batches each */
    int64_t steps, samples; /* since the beginning */
    double loss_sum;        /* of the epoch: loss times samples, over its steps */
    int64_t loss_samples;
    int64_t closure_calls; /* of the epoch */
    double lr;             /* used in the last step */
    int64_t skipped, skipped_in_row;
    int64_t evaluated_step;                      /* the last one that an evaluation by steps was made at */
    double best;                                 /* monitored value of the best evaluation; NaN: none yet */
    int64_t best_step, best_epoch, n_not_better; /* as in the result */
    double target_best;                          /* the best that options.target has been compared with; NaN: none */
    double train_seconds;                        /* of the epoch, in steps */
    double seconds;                              /* of earlier runs */
} tread_trainer_progress;

/* When states were saved. */
typedef struct tread_trainer_saves {
    int64_t step, epoch, step_in_epoch; /* of the last one; -1: none */
    double seconds;                     /* of the clock, at the last one or at the run's begin */
    bool wanted;                        /* the last evaluation was the best, and its state is to be saved */
} tread_trainer_saves;

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

    tread_parameter **parameters; /* of the model, else of the optimizer: those that averages are of */
    size_t n_parameters;
    float *ema, *best_weights; /* all parameters one behind the other; NULL: none */
    float **averages;          /* those in ema of the optimizer's parameters, by its order; NULL where it has none */
    size_t n_averages;
    bool *is_folded;              /* by parameter: the optimizer's step averages it */
    tread_weights_kind held;      /* by the model; the arrays hold in exchange what it would hold one kind before */
    unsigned char *batch_skipped; /* of the step under way, a flag for each of accumulate batches */
    tread_tensor *share;          /* a batch's share of its step, of the loss's shape and type; NULL before the first */
    tread_trainer_saves saves;
    char data_hash[TREAD_HASH_DIGITS + 1]; /* "": not computed yet, or the training set is a source's */

    bool planned, running;
    bool evaluating;    /* the weights may be exchanged, and the batches are under way: no state, and no other use */
    double started;     /* clock of the run under way */
    bool callback_stop; /* a callback of this run said stop */
    bool callback_skip; /* the callback that was just called said skip */
    bool not_finite;    /* this run failed with TREAD_ERROR_NUMERIC */
    atomic_int stop_requested;

    /* The step under way. */
    bool stepping;
    int64_t first_batch, n_batches; /* in the epoch; those skipped included */
    int64_t taken;                  /* index in the epoch of `batch`; -1: it is not of this step */
    int64_t step_samples;           /* of those that are not skipped */
    tread_batch batch;              /* the one that was taken last */
    bool adds;                      /* its gradient is added to that of earlier ones */
    double batch_share;             /* of it in the step; 1: the gradient is left as it is */
    tread_rng step_rng;             /* of the tape, when the step began */
    int64_t closure_calls;          /* evaluations of the step */
    bool has_gradients;             /* one of them was whole */
};

/* The whole duration of the run so far, earlier runs included. */
double tread_trainer_seconds(const tread_trainer *trainer);

/* Calls one callback of all that are there, and notes what they say. on: an expression in `callbacks` and the
 * arguments. */
#define TREAD_TRAINER_CALL(trainer, on, ...)                                                                           \
    do {                                                                                                               \
        (trainer)->callback_skip = false;                                                                              \
        for (size_t call_ = 0; call_ < (trainer)->n_callbacks; call_++) {                                              \
            const tread_callbacks *one_ = &(trainer)->callbacks[call_];                                                \
            tread_action action_ = one_->on == NULL ? TREAD_CONTINUE : one_->on(one_->data, (trainer), __VA_ARGS__);   \
            if (action_ == TREAD_FAIL)                                                                                 \
                return TREAD_ERROR_CALLBACK;                                                                           \
            (trainer)->callback_stop |= action_ == TREAD_STOP;                                                         \
            (trainer)->callback_skip |= action_ == TREAD_SKIP;                                                         \
        }                                                                                                              \
    } while (0)
/* Whether any of them has that callback. */
#define TREAD_TRAINER_HAS(trainer, on, ret_has)                                                                        \
    do {                                                                                                               \
        *(ret_has) = false;                                                                                            \
        for (size_t has_ = 0; has_ < (trainer)->n_callbacks; has_++)                                                   \
            *(ret_has) |= (trainer)->callbacks[has_].on != NULL;                                                       \
    } while (0)

/* Options: filled in by defaults, and refused where they are out of range or do not fit each other. */
tread_status tread_trainer_read_options(const tread_trainer_options *given, tread_trainer_options *ret_options);

/* Steps an epoch. */
int64_t tread_trainer_steps_per_epoch(const tread_trainer *trainer);

/* Runs what can be planned: forward, loss and backward for the full and the last short batch, forward and loss for
 * evaluation. Parameters, random stream and optimizer stay; gradients become none. */
tread_status tread_trainer_plan(tread_trainer *trainer);

/* One step: its batches, the optimizer's and the scheduler's step, and what the progress adds up. *ret_done: whether it
 * is over, be it skipped; false where a callback or nonfinite = stop ends the run before it. */
tread_status tread_trainer_step(tread_trainer *trainer, bool *ret_done);

/* Asks the optimizer's step to look at the gradients, and to clip them, where that is one pass. */
void tread_trainer_fold_clip(const tread_trainer *trainer, tread_step_options *step);
/* Else the gradients of the step are clipped before it, as options and groups ask. TREAD_ERROR_NUMERIC: they are not
 * finite. */
bool tread_trainer_clips_apart(const tread_trainer *trainer);
tread_status tread_trainer_clip(tread_trainer *trainer);
/* TREAD_ERROR_NUMERIC for gradients that are not finite: with the batch, the norm, and the operation they come from. */
tread_status tread_trainer_fail_gradient(tread_trainer *trainer);
/* TREAD_ERROR_NUMERIC with the batch, the value, and the first operation that gave such a one. */
tread_status tread_trainer_fail_loss(const tread_trainer *trainer, const tread_batch *batch, double loss);

/* Takes batch number index of the epoch, which is the next one as a rule, or the one that was taken last. */
tread_status tread_trainer_take(tread_trainer *trainer, int64_t index);

/* Forward and loss on a tape; sets the outputs, or fails with the tape's error. */
tread_status tread_trainer_forward(tread_trainer *trainer, tread_tape *tape, const tread_batch *batch,
                                   tread_tensor **ret_output, tread_tensor **ret_loss);
/* The number in a loss tensor. TREAD_ERROR_ARGUMENT where it is not a scalar. */
tread_status tread_trainer_loss_value(const tread_tensor *loss, double *ret_value);

/* Forward and loss of one batch without gradients, in evaluation mode, for planning. */
tread_status tread_trainer_evaluate_sample(tread_trainer *trainer, const tread_batch *batch);

/* ---- Evaluations ---- */

/* What one says of the run; taken into its progress when all that follows it went well. */
typedef struct tread_verdict {
    bool judged;   /* there was something to be monitored */
    double value;  /* that */
    double target; /* what options.target is compared with; NaN: nothing */
    bool best;
} tread_verdict;

/* Those that count: with callbacks, and compared with the best. The epoch's fills in its metrics, and judges the train
 * loss where there is no test set. */
bool tread_trainer_evaluates(const tread_trainer *trainer, int64_t epochs_done);
tread_status tread_trainer_evaluate_epoch(tread_trainer *trainer, tread_epoch_metrics *metrics,
                                          tread_verdict *ret_verdict);
tread_status tread_trainer_evaluate_step(tread_trainer *trainer, tread_verdict *ret_verdict);
void tread_trainer_take_verdict(tread_trainer *trainer, const tread_verdict *verdict, int64_t epochs_done);
/* One evaluation without callbacks; where ret_verdict is not NULL and it is the best, its weights are kept. */
tread_status tread_trainer_measure(tread_trainer *trainer, tread_batches *batches, tread_evaluation *ret_evaluation,
                                   tread_verdict *ret_verdict);
/* The same for the train loss of an epoch. */
tread_status tread_trainer_judge_train_loss(tread_trainer *trainer, double loss, tread_verdict *ret_verdict);
/* TREAD_ERROR_STATE within an evaluation, where metric, forward or loss may call the trainer. */
tread_status tread_trainer_refuse_evaluating(const tread_trainer *trainer);
/* Whether target or patience end the run. */
tread_stop_reason tread_trainer_verdict_stops(const tread_trainer *trainer);

/* ---- Weights ---- */

size_t tread_trainer_n_floats(const tread_trainer *trainer); /* of all parameters */
tread_status tread_trainer_create_weights(tread_trainer *trainer);
void tread_trainer_destroy_weights(tread_trainer *trainer);
/* Asks the optimizer's step for the averages of its parameters. TREAD_ERROR_MEMORY. */
tread_status tread_trainer_fold_average(tread_trainer *trainer, tread_step_options *step);
/* After a step, those that it did not bring on. */
void tread_trainer_average(tread_trainer *trainer);
/* The weights that the model holds become the best ones. */
void tread_trainer_keep_best(tread_trainer *trainer);
/* Exchanges what the model holds with the averages; nothing without them. */
void tread_trainer_exchange_ema(tread_trainer *trainer);
/* The same with the best weights. */
void tread_trainer_exchange_best(tread_trainer *trainer);
/* The averages begin with the weights as they are. */
void tread_trainer_begin_average(tread_trainer *trainer);

/* ---- Checkpoints ---- */

/* Saves where one is due. at_epoch: an epoch has just ended. */
tread_status tread_trainer_save_if_due(tread_trainer *trainer, bool at_epoch);
/* At the end of a run without error: what is not saved yet, and waits for it. */
tread_status tread_trainer_save_last(tread_trainer *trainer);

/* Makes room for one more entry of the history. */
tread_status tread_trainer_reserve_history(tread_trainer *trainer, int64_t n);
/* Brings the result up to the progress. */
void tread_trainer_update_result(tread_trainer *trainer);

#endif
