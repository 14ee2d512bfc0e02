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
 * Evaluations see the weights that are for use: with Schedule-Free optimizers the averaged ones. Callbacks, and the end
 * of a run, see those of training, so that the next run goes on from there. Whoever saves or uses the weights of
 * such an optimizer calls tread_optimizer_set_training(optimizer, false) before; a run, and an evaluation, find the
 * mode that they need by themselves. */
#ifndef TREAD_TRAINER_H
#define TREAD_TRAINER_H

#include <tread/data.h>
#include <tread/lr_scheduler.h>
#include <tread/metrics.h>
#include <tread/module.h>
#include <tread/optimizer.h>
#include <tread/tape.h>

TREAD_BEGIN_DECLS

typedef struct tread_trainer tread_trainer;

/* --- What can be seen of a run --- */

typedef enum tread_stop_reason {
    TREAD_STOP_NONE = 0,       /* has not run, or is running */
    TREAD_STOP_EPOCHS = 1,     /* all epochs are done */
    TREAD_STOP_CALLBACK = 2,   /* a callback said stop */
    TREAD_STOP_REQUESTED = 3,  /* tread_trainer_request_stop */
    TREAD_STOP_NOT_FINITE = 4, /* a step's first loss, its gradient norm to clip, or what else its optimizer cannot do
                                  without, is NaN or infinite; the run failed with TREAD_ERROR_NUMERIC */
    TREAD_STOP_FAILED = 5,     /* the run failed with another error */
} tread_stop_reason;
/* "all epochs done"; static. */
TREAD_API const char *tread_stop_reason_string(tread_stop_reason reason);

typedef struct tread_step_info {
    int64_t epoch; /* from 0 */
    int64_t epochs;
    int64_t step;          /* optimizer steps done since the run began, this one included */
    int64_t step_in_epoch; /* the same in this epoch */
    int64_t steps_per_epoch;
    int64_t samples;       /* of this batch */
    int64_t closure_calls; /* evaluations of the model in this step: 1, more with lbfgs */
    double loss;           /* of this batch, before the step */
    double lr;             /* used in this step, of the first group */
    double seconds;        /* since the run began */
} tread_step_info;

typedef struct tread_evaluation {
    int64_t epoch; /* epochs done when it was made; 0 where none is */
    int64_t samples;
    double loss;    /* mean over samples */
    double metric;  /* of options.metric; NaN without one */
    double seconds; /* it took */
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

typedef struct tread_train_result {
    tread_stop_reason stop_reason;
    int64_t epochs;                     /* done */
    int64_t steps;                      /* optimizer steps done */
    int64_t samples;                    /* seen by them */
    double seconds;                     /* of all runs of this trainer */
    const tread_epoch_metrics *history; /* one entry an epoch done; owned by the trainer */
    int64_t n_history;
} tread_train_result;

/* --- Callbacks --- */

typedef enum tread_action {
    TREAD_CONTINUE = 0,
    TREAD_STOP = 1, /* end the run after this callback, without error */
    TREAD_FAIL = 2, /* end it with TREAD_ERROR_CALLBACK; the callback has set the sentence with tread_fail */
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
} tread_callbacks;
TREAD_API tread_callbacks tread_callbacks_defaults(void);

/* --- Replaceable parts --- */

/* The model's output for a batch. NULL with the tape's error set on failure. */
typedef tread_tensor *(*tread_forward_fn)(void *data, tread_tape *tape, const tread_batch *batch);
/* A scalar, the mean over the samples of the batch. */
typedef tread_tensor *(*tread_loss_fn)(void *data, tread_tape *tape, tread_tensor *output, const tread_batch *batch);
/* Computes loss and gradients of batch anew; an optimizer with a line search calls it several times a step. Where the
 * first loss of a step is not finite, the run fails with TREAD_ERROR_NUMERIC. See tread_trainer_closure. */
typedef tread_status (*tread_trainer_closure_fn)(void *data, tread_trainer *trainer, const tread_batch *batch,
                                                 double *ret_loss);

/* Losses for options.loss; data is not used. The target is batch->y. */
TREAD_API tread_tensor *tread_loss_cross_entropy(void *data, tread_tape *tape, tread_tensor *output,
                                                 const tread_batch *batch);
TREAD_API tread_tensor *tread_loss_mse(void *data, tread_tape *tape, tread_tensor *output, const tread_batch *batch);
TREAD_API tread_tensor *tread_loss_bce_with_logits(void *data, tread_tape *tape, tread_tensor *output,
                                                   const tread_batch *batch);

typedef enum tread_schedule_every { TREAD_EVERY_EPOCH = 0, TREAD_EVERY_STEP = 1 } tread_schedule_every;

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
} tread_trainer_options;
TREAD_API tread_trainer_options tread_trainer_defaults(void);

/* --- The trainer --- */

/* NULL: TREAD_ERROR_ARGUMENT (an option missing or out of range, or sets whose features differ), TREAD_ERROR_MEMORY. */
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

/* What came of it so far, also after a failure; owned by the trainer. */
TREAD_API const tread_train_result *tread_trainer_result(const tread_trainer *trainer);

/* Ends the run after the step that is under way. May be called from a signal handler or another thread. */
TREAD_API void tread_trainer_request_stop(tread_trainer *trainer);

/* The default closure, for closures that do something before or after it: gradients to none, tape reset, forward, loss,
 * backward. Errors: as tread_trainer_run. (The trainer looks at the first loss of a step, whichever closure gave it.)
 */
TREAD_API tread_status tread_trainer_closure(tread_trainer *trainer, const tread_batch *batch, double *ret_loss);

/* Goes once through batches without gradients and in the evaluation mode of model and optimizer (both put back
 * afterwards). batches NULL means options.test. The batches end at the start of the epoch they were in. */
TREAD_API tread_status tread_trainer_evaluate(tread_trainer *trainer, tread_batches *batches,
                                              tread_evaluation *ret_evaluation);

/* For callbacks and closures. */
TREAD_API tread_tape *tread_trainer_tape(const tread_trainer *trainer); /* the training tape */
TREAD_API tread_module *tread_trainer_model(const tread_trainer *trainer);
TREAD_API tread_optimizer *tread_trainer_optimizer(const tread_trainer *trainer);
TREAD_API tread_context *tread_trainer_context(const tread_trainer *trainer);

TREAD_END_DECLS

#endif
