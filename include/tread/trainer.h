/* Layer: engine. The training loop, with every part of it replaceable.
 *
 *     tread_trainer_options o = tread_trainer_defaults();
 *     o.model = net;
 *     o.optimizer = optimizer;
 *     o.train = train_batches;
 *     o.test = test_batches;
 *     o.epochs = 3;
 *     tread_trainer *trainer = tread_trainer_create(NULL, &o);
 *     if (tread_trainer_run(trainer) != TREAD_OK) ...
 *
 * One step takes a batch and hands the optimizer a closure that computes the loss and the gradients anew whenever it is
 * called: zero_grad, reset of the tape, forward, loss, backward; then the gradients of groups with a clip_grad_max_norm
 * are clipped (not after a closure of the caller's, which does as it likes). All calls within a step draw the same
 * random numbers (dropout), so that an optimizer that calls it again sees one function. Everything named in the options
 * belongs to the caller and must outlive the trainer.
 *
 * Evaluations see the weights that are for use: with Schedule-Free optimizers and with ema_decay the averaged ones.
 * Callbacks, and the end of a run, see those of training, so that the next run goes on from there. Whoever saves or
 * uses the weights calls tread_trainer_use_weights before; a run, and an evaluation, find those that they need by
 * themselves.
 *
 * The state of a run (tread_trainer_state), taken between any two steps and loaded into a trainer that was made
 * in the same way, goes on to the same bits as the run that nothing interrupted: weights, averages, optimizer,
 * scheduler, random stream, place in the data, sums, history, best value and patience. It does not hold what callbacks
 * remember, nor a forward, loss or closure with a memory. Seconds go on too, but are no promise.
 *
 * accumulate > 1 takes so many batches a step, and the gradient of the mean over all their samples: each batch counts
 * by its samples, and the last step of an epoch takes what there is. It is that of the one large batch but for
 * rounding (dropout draws other numbers). */
#ifndef TREAD_TRAINER_H
#define TREAD_TRAINER_H

#include <tread/checkpoint_series.h>
#include <tread/data.h>
#include <tread/lr_scheduler.h>
#include <tread/metrics.h>
#include <tread/module.h>
#include <tread/optimizer.h>
#include <tread/precision.h>
#include <tread/tape.h>

TREAD_BEGIN_DECLS

typedef struct tread_trainer tread_trainer;

/* --- What can be seen of a run --- */

typedef enum tread_stop_reason {
    TREAD_STOP_NONE = 0,       /* has not run, or is running */
    TREAD_STOP_EPOCHS = 1,     /* all epochs are done */
    TREAD_STOP_CALLBACK = 2,   /* a callback said stop */
    TREAD_STOP_REQUESTED = 3,  /* tread_trainer_request_stop */
    TREAD_STOP_NOT_FINITE = 4, /* a step's first loss, its gradient, or what else its optimizer cannot do without, is
                                  NaN or infinite; the run failed with TREAD_ERROR_NUMERIC, unless options.nonfinite
                                  says that it just ends */
    TREAD_STOP_FAILED = 5,     /* the run failed with another error */
    TREAD_STOP_STEPS = 6,      /* options.max_steps are done */
    TREAD_STOP_SECONDS = 7,    /* options.max_seconds are over */
    TREAD_STOP_TARGET = 8,     /* options.target is reached */
    TREAD_STOP_PATIENCE = 9,   /* options.patience is at its end */
} tread_stop_reason;
/* "all epochs done"; static. */
TREAD_API const char *tread_stop_reason_string(tread_stop_reason reason);

typedef struct tread_step_info {
    int64_t epoch; /* from 0 */
    int64_t epochs;
    int64_t step;          /* optimizer steps done since the run began, this one included */
    int64_t step_in_epoch; /* the same in this epoch, skipped ones included */
    int64_t steps_per_epoch;
    int64_t samples;       /* of this step */
    int64_t closure_calls; /* evaluations of the model in this step: 1, more with lbfgs */
    double loss;           /* of these samples, before the step; NaN in on_step_begin */
    double lr;             /* used in this step, of the first group */
    double seconds;        /* since the run began */
} tread_step_info;

typedef struct tread_evaluation {
    int64_t epoch; /* epochs done when it was made; 0 where none is */
    int64_t samples;
    double loss;    /* mean over samples */
    double metric;  /* of options.metric; NaN without one */
    double seconds; /* it took */
    int64_t step;   /* optimizer steps done when it was made */
    bool best;      /* it is better than all before it, by options.monitor and min_delta; in on_evaluation */
} tread_evaluation;

typedef struct tread_epoch_metrics {
    int64_t epoch;             /* epochs done: 1, 2, ... */
    int64_t steps;             /* optimizer steps since the run began */
    int64_t closure_calls;     /* evaluations of the model in the epoch's steps */
    double train_loss;         /* mean over the samples of the epoch, each at its own step */
    double test_loss;          /* NaN where this epoch was not evaluated */
    double test_accuracy;      /* options.metric; NaN likewise */
    double lr;                 /* of the first group, in the epoch's last step */
    double samples_per_second; /* of training, without evaluation */
    double seconds;            /* since the run began, evaluations included */
} tread_epoch_metrics;

/* A checkpoint that is about to be written, or was. */
typedef struct tread_checkpoint_info {
    int64_t epoch; /* epochs done */
    int64_t step;  /* optimizer steps done */
    double metric; /* the monitored value where the last evaluation is the best one so far, else NaN */
} tread_checkpoint_info;

typedef struct tread_train_result {
    tread_stop_reason stop_reason;
    int64_t epochs;                     /* done */
    int64_t steps;                      /* optimizer steps done */
    int64_t samples;                    /* seen by them */
    double seconds;                     /* of all runs of this trainer */
    const tread_epoch_metrics *history; /* one entry for each epoch done; owned by the trainer */
    int64_t n_history;
    int64_t skipped;      /* steps left out because something was not finite */
    double best;          /* monitored value of the best evaluation; NaN where there was none */
    int64_t best_step;    /* optimizer steps done at it */
    int64_t best_epoch;   /* epochs done at it */
    int64_t n_not_better; /* evaluations since then, for options.patience */
} tread_train_result;

/* --- Callbacks --- */

typedef enum tread_action {
    TREAD_CONTINUE = 0,
    TREAD_STOP = 1, /* end the run after this callback, without error */
    TREAD_FAIL = 2, /* end it with TREAD_ERROR_CALLBACK; the callback has set the sentence with tread_fail */
    TREAD_SKIP = 3, /* from those that end in _begin: leave out what would begin now; else as TREAD_CONTINUE */
} tread_action;

/* Each may be NULL. They run on the thread that called tread_trainer_run, between steps. */
typedef struct tread_callbacks {
    size_t size; /* sizeof, set by tread_callbacks_defaults() */
    void *data;
    tread_action (*on_train_begin)(void *data, tread_trainer *trainer);
    tread_action (*on_step)(void *data, tread_trainer *trainer, const tread_step_info *step);
    tread_action (*on_evaluation)(void *data, tread_trainer *trainer, const tread_evaluation *evaluation);
    tread_action (*on_epoch)(void *data, tread_trainer *trainer, const tread_epoch_metrics *metrics);
    /* Called once a run, whatever ended it; what it returns is not looked at. */
    tread_action (*on_train_end)(void *data, tread_trainer *trainer, const tread_train_result *result);
    /* Before an epoch's first step. A skipped epoch is done without a step, evaluation, history or on_epoch. */
    tread_action (*on_epoch_begin)(void *data, tread_trainer *trainer, int64_t epoch);
    /* Before a step, its batches not taken yet (samples 0, loss NaN); step is those done. A skipped step's batches are
     * passed over, and neither the optimizer nor the scheduler steps. TREAD_STOP ends the run before the step. */
    tread_action (*on_step_begin)(void *data, tread_trainer *trainer, const tread_step_info *step);
    /* For each batch of a step, before its step; the contents of its tensors may be changed, where accumulate is 1. A
     * skipped batch takes no part in its step, which is left out where it has no other. TREAD_STOP ends the run before
     * the step. */
    tread_action (*on_batch_begin)(void *data, tread_trainer *trainer, const tread_batch *batch);
    /* After a batch's forward and backward, before the optimizer's update; not again where an optimizer evaluates it
     * again. */
    tread_action (*on_batch)(void *data, tread_trainer *trainer, const tread_batch *batch, double loss);
    /* loss, metric and seconds are NaN. A skipped evaluation counts for nothing. */
    tread_action (*on_evaluation_begin)(void *data, tread_trainer *trainer, const tread_evaluation *evaluation);
    tread_action (*on_checkpoint_begin)(void *data, tread_trainer *trainer, const tread_checkpoint_info *checkpoint);
    /* With a series in the background it is being written now. */
    tread_action (*on_checkpoint)(void *data, tread_trainer *trainer, const tread_checkpoint_info *checkpoint);
} tread_callbacks;
TREAD_API tread_callbacks tread_callbacks_defaults(void);

/* --- Replaceable parts --- */

/* The model's output for a batch. NULL with the tape's error set on failure. */
typedef tread_tensor *(*tread_forward_fn)(void *data, tread_tape *tape, const tread_batch *batch);
/* A scalar, the mean over the samples of the batch. */
typedef tread_tensor *(*tread_loss_fn)(void *data, tread_tape *tape, tread_tensor *output, const tread_batch *batch);
/* Computes loss and gradients of batch anew; an optimizer with a line search calls it several times a step. Where the
 * first loss of a step is not finite, the run fails with TREAD_ERROR_NUMERIC. With accumulate > 1 it is called for each
 * batch, and must leave the work to tread_trainer_closure, which weighs and adds. See there. */
typedef tread_status (*tread_trainer_closure_fn)(void *data, tread_trainer *trainer, const tread_batch *batch,
                                                 double *ret_loss);

/* Losses for options.loss; data is not used. The target is batch->y. */
TREAD_API tread_tensor *tread_loss_cross_entropy(void *data, tread_tape *tape, tread_tensor *output,
                                                 const tread_batch *batch);
TREAD_API tread_tensor *tread_loss_mse(void *data, tread_tape *tape, tread_tensor *output, const tread_batch *batch);
TREAD_API tread_tensor *tread_loss_bce_with_logits(void *data, tread_tape *tape, tread_tensor *output,
                                                   const tread_batch *batch);

typedef enum tread_schedule_every {
    TREAD_EVERY_EPOCH = 0,
    TREAD_EVERY_STEP = 1,
    TREAD_EVERY_EVALUATION = 2, /* where the scheduler follows a metric: the monitored value */
} tread_schedule_every;

/* By which evaluations are compared: for the best one, patience, restore_best and checkpoint_best. */
typedef enum tread_monitor {
    TREAD_MONITOR_LOSS = 0,   /* the test loss; without a test set the train loss of the epoch */
    TREAD_MONITOR_METRIC = 1, /* options.metric on the test set */
} tread_monitor;

/* What to do with a step whose loss or gradient is not finite. It has changed nothing yet. */
typedef enum tread_on_nonfinite {
    TREAD_ON_NONFINITE_ERROR = 0, /* TREAD_ERROR_NUMERIC names batch, value and the first operation that gave it */
    TREAD_ON_NONFINITE_SKIP = 1,  /* leave it out, count it, go on with the next batch */
    TREAD_ON_NONFINITE_STOP = 2,  /* end the run before it, without error */
} tread_on_nonfinite;

typedef struct tread_trainer_options {
    size_t size;                   /* sizeof, set by tread_trainer_defaults() */
    tread_module *model;           /* may be NULL where forward is given and needs none */
    tread_optimizer *optimizer;    /* may be NULL for a trainer that only evaluates */
    tread_batches *train;          /* likewise */
    tread_batches *test;           /* NULL: no evaluation */
    int64_t epochs;                /* >= 0 [1] */
    int64_t evaluate_every;        /* epochs; the last one always is; 0: never [1] */
    const tread_metric *metric;    /* [tread_accuracy where the test set has labels, else NULL] */
    tread_lr_scheduler *scheduler; /* where it follows a metric: the test loss, without one the train loss [NULL] */
    tread_schedule_every schedule_every; /* when the scheduler steps [TREAD_EVERY_EPOCH] */
    const tread_callbacks *callbacks;    /* copied; more with tread_trainer_add_callbacks [NULL] */
    tread_forward_fn forward;            /* [the model on batch->x] */
    void *forward_data;
    tread_loss_fn loss; /* [tread_loss_cross_entropy for labels, tread_loss_mse for targets] */
    void *loss_data;
    tread_trainer_closure_fn closure; /* [tread_trainer_closure] */
    void *closure_data;

    int64_t accumulate;           /* batches a step, >= 1 [1] */
    double clip_norm;             /* limit of the 2-norm of all gradients together, before the groups' own; > 0. Solvers
                                     (lbfgs) refuse both, since a line search needs the gradient [INFINITY] */
    double clip_value;            /* limit of each entry's magnitude, before any norm; > 0 [INFINITY] */
    tread_on_nonfinite nonfinite; /* [TREAD_ON_NONFINITE_ERROR] */
    int64_t max_skipped;          /* steps left out in a row before the run fails, >= 0 [10] */
    bool check_gradients;         /* look at gradients that nobody clips, too; always where nonfinite is not
                                     TREAD_ON_NONFINITE_ERROR: one more pass over them [false] */

    int64_t evaluate_every_steps; /* optimizer steps, beside evaluate_every; 0: never [0] */
    tread_monitor monitor;        /* [TREAD_MONITOR_LOSS] */
    int64_t patience;             /* ends the run after so many evaluations in a row that are no better; -1: never [-1]
                                   */
    double min_delta;             /* better means by more than this, >= 0 [0] */
    bool restore_best;            /* a run that ends without error, and not on request or by a callback, leaves the
                                     weights of the best evaluation in the model (TREAD_WEIGHTS_BEST) [false] */
    double ema_decay;             /* in [0, 1): after each step average = decay average + (1 - decay) weights, from the
                                     initial weights on; 0: none. Not with Schedule-Free optimizers [0] */

    int64_t max_steps;  /* optimizer steps in all runs; 0: no limit [0] */
    double max_seconds; /* of one call of tread_trainer_run; 0: no limit [0] */
    double target;      /* ends the run when an evaluation's metric, without a metric its loss, is as good; NaN: none
                           [NaN] */

    tread_checkpoint_series *checkpoints; /* where states are saved; NULL: nowhere [NULL] */
    int64_t checkpoint_every_steps;       /* optimizer steps; 0: not by steps [0] */
    int64_t checkpoint_every_epochs;      /* [0] */
    double checkpoint_every_seconds;      /* since the last one [0] */
    bool checkpoint_best;                 /* at each evaluation that is the best so far [false] */
    const tread_state *program;           /* a tree of the caller's that goes into every state as "program" [NULL] */

    tread_precision precision;            /* of steps: see precision.h [TREAD_PRECISION_FLOAT32] */
    tread_precision evaluation_precision; /* of evaluations, whatever that of steps [TREAD_PRECISION_FLOAT32] */
} tread_trainer_options;
TREAD_API tread_trainer_options tread_trainer_defaults(void);

/* --- The trainer --- */

/* NULL: TREAD_ERROR_ARGUMENT (an option missing or out of range, or sets whose features differ), TREAD_ERROR_MEMORY,
 * TREAD_ERROR_BACKEND (a precision that this CPU, or this build, does not have). */
TREAD_API tread_trainer *tread_trainer_create(tread_context *context, const tread_trainer_options *options);
TREAD_API void tread_trainer_destroy(tread_trainer *trainer); /* NULL is accepted */

/* Adds callbacks (copied), called after those that are there. TREAD_ERROR_MEMORY; TREAD_ERROR_STATE while running. */
TREAD_API tread_status tread_trainer_add_callbacks(tread_trainer *trainer, const tread_callbacks *callbacks);

/* Trains until all epochs are done or something stops it; called again after a stop it goes on where it stopped, with
 * the next batch of the same epoch. The first call plans the full batch, the last short one and the evaluation, by
 * running forward and loss once for each and backward for the first two (not where the closure is the caller's);
 * parameters, random stream and optimizer stay as they were, gradients become none. Being stopped is TREAD_OK: see
 * stop_reason. Errors: TREAD_ERROR_NUMERIC names epoch, batch and loss, and that step changed nothing;
 * TREAD_ERROR_CALLBACK; TREAD_ERROR_STATE (called from a callback; no optimizer or no training set);
 * TREAD_ERROR_ARGUMENT (a loss that is not a scalar); what forward, loss, closure and optimizer fail with. */
TREAD_API tread_status tread_trainer_run(tread_trainer *trainer);

/* ---- State ----
 *
 * A tree: what tread_run_state gives ("model": the weights of training; "optimizer", "schedulers", "random"); "ema" and
 * "best": weights by name; "trainer": place, sums, best value, skipped steps; "history": a row for each epoch; "time":
 * what clocks said; "options": those that a resumed run must share; "data": how the training set is cut into batches,
 * its state dict, and a hash of its values (not of a source's), so that another set of the same size is refused;
 * "program". */

/* A copy, which the caller destroys; between steps, from callbacks too (but for on_batch_begin and on_batch, which are
 * within one), not from what an evaluation calls: metric, forward, loss (TREAD_ERROR_STATE). NULL: also as
 * tread_run_state. */
TREAD_API tread_state *tread_trainer_state(tread_trainer *trainer);
/* Takes a copy of it, all or nothing; "program" is left to the caller. The trainer's options may differ, but for
 * accumulate, clip_norm, clip_value, ema_decay, schedule_every, monitor, restore_best and precision; so may the test
 * set. TREAD_ERROR_FORMAT: the sentence lists every difference; TREAD_ERROR_STATE (while it runs);
 * TREAD_ERROR_MEMORY. */
TREAD_API tread_status tread_trainer_load_state(tread_trainer *trainer, const tread_state *state);

/* With options.checkpoints: the newest good one of the series is loaded; *ret_step is its step, or -1 where the series
 * is empty and nothing was loaded. What was passed over: tread_checkpoint_series_rejected. Errors as
 * tread_checkpoint_series_latest and tread_trainer_load_state. */
TREAD_API tread_status tread_trainer_resume(tread_trainer *trainer, int64_t *ret_step);

/* Saves the state now, outside of a run or from a callback between steps. TREAD_ERROR_STATE: there is no series. A run
 * does so by options.checkpoint_..., and at its end, if steps were done since; it waits for what is written in the
 * background, so that TREAD_OK means on disk. Where a run failed, nothing is saved. */
TREAD_API tread_status tread_trainer_checkpoint(tread_trainer *trainer);

/* Which weights the model holds. A run begins with those of training, and ends with them but for restore_best. */
typedef enum tread_weights_kind {
    TREAD_WEIGHTS_TRAINING = 0,
    TREAD_WEIGHTS_AVERAGED = 1, /* those for use: of ema_decay, of a Schedule-Free optimizer; else those of training */
    TREAD_WEIGHTS_BEST = 2,     /* those for use when the best evaluation was made; needs restore_best */
} tread_weights_kind;
/* Exchanges the model's weights. With Schedule-Free optimizers there and back is the same but for roundings (see
 * tread_optimizer_set_training), else to the bit. A run goes back to those of training before its next step, where a
 * callback left others. TREAD_ERROR_STATE: within a step or an evaluation, or best ones where there are none. */
TREAD_API tread_status tread_trainer_use_weights(tread_trainer *trainer, tread_weights_kind kind);
TREAD_API tread_weights_kind tread_trainer_held_weights(const tread_trainer *trainer);

/* What came of it so far, also after a failure; owned by the trainer. */
TREAD_API const tread_train_result *tread_trainer_result(const tread_trainer *trainer);

/* Ends the run after the step that is under way. May be called from a signal handler or another thread. */
TREAD_API void tread_trainer_request_stop(tread_trainer *trainer);

/* The default closure, for closures that do something before or after it: gradients to none (not for the later batches
 * of a step with accumulate), tape reset, forward, loss, backward of the loss times the batch's share of the step's
 * samples; ret_loss is without the share. Errors: as tread_trainer_run. (The trainer looks at the first loss of a step,
 * whichever closure gave it.)
 */
TREAD_API tread_status tread_trainer_closure(tread_trainer *trainer, const tread_batch *batch, double *ret_loss);

/* Goes once through batches without gradients and in the evaluation mode of model and optimizer (both put back
 * afterwards), with the weights for use, or the best ones where the model holds those. batches NULL means options.test.
 * The batches end at the start of the epoch they were in. */
TREAD_API tread_status tread_trainer_evaluate(tread_trainer *trainer, tread_batches *batches,
                                              tread_evaluation *ret_evaluation);

/* For callbacks and closures. */
TREAD_API tread_tape *tread_trainer_tape(const tread_trainer *trainer); /* the training tape */
TREAD_API tread_module *tread_trainer_model(const tread_trainer *trainer);
TREAD_API tread_optimizer *tread_trainer_optimizer(const tread_trainer *trainer);
TREAD_API tread_context *tread_trainer_context(const tread_trainer *trainer);

TREAD_END_DECLS

#endif
