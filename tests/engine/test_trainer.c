#include <math.h>
#include <signal.h>
#include <string.h>
#include <tread/lr_scheduler.h>
#include <tread/ops.h>

#include "core/memory.h"
#include "core/status.h"
#include "tests/engine/world.h"
#include "tests/test.h"

/* --- A whole run, and what callbacks see of it --- */

typedef struct seen {
    int begins, steps, evaluations, epochs, ends;
    double loss_sum; /* of the epoch */
    int64_t samples;
    int64_t stop_at_step, stop_at_epoch; /* 0: never */
    bool fail, request;
    tread_train_result result;
} seen;

static tread_action on_begin(void *data, tread_trainer *trainer) {
    ck_assert_int_eq(tread_trainer_run(trainer), TREAD_ERROR_STATE);
    ck_assert_int_eq(tread_trainer_add_callbacks(trainer, NULL), TREAD_ERROR_STATE);
    ((seen *)data)->begins++;
    return TREAD_CONTINUE;
}

static tread_action on_step(void *data, tread_trainer *trainer, const tread_step_info *step) {
    seen *s = data;
    s->steps++;
    ck_assert_int_eq(step->step, s->steps);
    ck_assert_int_eq(step->steps_per_epoch, 5);
    ck_assert_int_eq(step->step_in_epoch, (s->steps - 1) % 5 + 1);
    ck_assert_int_eq(step->epoch, (s->steps - 1) / 5);
    ck_assert_int_eq(step->samples, step->step_in_epoch == 5 ? 6 : 16);
    ck_assert(step->seconds >= 0 && isfinite(step->loss));
    s->loss_sum += step->loss * (double)step->samples;
    s->samples += step->samples;
    if (s->request && s->stop_at_step == s->steps)
        tread_trainer_request_stop(trainer);
    else if (s->stop_at_step == s->steps)
        return s->fail ? (tread_fail(TREAD_ERROR_CALLBACK, "the callback's own sentence"), TREAD_FAIL) : TREAD_STOP;
    return TREAD_CONTINUE;
}

static tread_action on_evaluation(void *data, tread_trainer *trainer, const tread_evaluation *evaluation) {
    seen *s = data;
    (void)trainer;
    s->evaluations++;
    ck_assert_int_eq(evaluation->samples, N_TEST);
    ck_assert(evaluation->metric >= 0 && evaluation->metric <= 1);
    return TREAD_CONTINUE;
}

static tread_action on_epoch(void *data, tread_trainer *trainer, const tread_epoch_metrics *metrics) {
    seen *s = data;
    (void)trainer;
    s->epochs++;
    ck_assert_int_eq(metrics->epoch, s->epochs);
    ck_assert_int_eq(metrics->steps, s->epochs * 5);
    ck_assert(metrics->train_loss == s->loss_sum / (double)s->samples);
    ck_assert_int_eq(s->samples, N_TRAIN);
    ck_assert(metrics->samples_per_second > 0 && metrics->seconds > 0);
    s->loss_sum = 0;
    s->samples = 0;
    return s->stop_at_epoch == s->epochs ? TREAD_STOP : TREAD_CONTINUE;
}

static tread_action on_end(void *data, tread_trainer *trainer, const tread_train_result *result) {
    (void)trainer;
    ((seen *)data)->ends++;
    ((seen *)data)->result = *result;
    tread_fail(TREAD_ERROR_ARGUMENT, "a sentence that must not replace the run's");
    return TREAD_CONTINUE;
}

static tread_callbacks callbacks_of(seen *s) {
    tread_callbacks callbacks = tread_callbacks_defaults();
    callbacks.data = s;
    callbacks.on_train_begin = on_begin;
    callbacks.on_step = on_step;
    callbacks.on_evaluation = on_evaluation;
    callbacks.on_epoch = on_epoch;
    callbacks.on_train_end = on_end;
    return callbacks;
}

START_TEST(a_run_learns_and_tells) {
    world w;
    world_build(&w, NULL, 0);
    seen s = {0}, also = {0};
    tread_callbacks callbacks = callbacks_of(&s), second = callbacks_of(&also);
    tread_trainer_options o = world_options(&w, 12);
    o.callbacks = &callbacks;
    tread_trainer *trainer = tread_trainer_create(NULL, &o);
    ck_assert_msg(trainer != NULL, "%s", tread_last_error());
    ck_assert_ok(tread_trainer_add_callbacks(trainer, &second));
    ck_assert_int_eq(tread_trainer_result(trainer)->stop_reason, TREAD_STOP_NONE);
    ck_assert_ok(tread_trainer_run(trainer));
    const tread_train_result *result = tread_trainer_result(trainer);
    ck_assert_int_eq(result->stop_reason, TREAD_STOP_EPOCHS);
    ck_assert(result->epochs == 12 && result->steps == 60 && result->samples == 12 * N_TRAIN &&
              result->n_history == 12);
    ck_assert(s.begins == 1 && s.steps == 60 && s.evaluations == 12 && s.epochs == 12 && s.ends == 1);
    ck_assert(also.steps == 60 && also.ends == 1 && s.result.steps == 60);
    ck_assert(result->history[11].test_accuracy > 0.9);
    ck_assert(result->history[11].train_loss < result->history[0].train_loss);
    ck_assert(result->history[3].lr == 0.02);
    /* nothing is left to do */
    ck_assert_ok(tread_trainer_run(trainer));
    ck_assert_int_eq(tread_trainer_result(trainer)->steps, 60);
    tread_trainer_destroy(trainer);
    world_destroy(&w);
    ck_assert_uint_eq(tread_memory_live_blocks(), 0);
}
END_TEST

START_TEST(evaluations_only_where_wanted) {
    for (int64_t every = 0; every <= 4; every++) {
        world w;
        world_build(&w, NULL, 0);
        tread_trainer_options o = world_options(&w, 7);
        o.evaluate_every = every;
        tread_trainer *trainer = tread_trainer_create(NULL, &o);
        ck_assert_ok(tread_trainer_run(trainer));
        const tread_train_result *result = tread_trainer_result(trainer);
        for (int64_t e = 1; e <= 7; e++) {
            bool wanted = every > 0 && (e % every == 0 || e == 7);
            ck_assert_int_eq(!isnan(result->history[e - 1].test_loss), wanted);
            ck_assert_int_eq(!isnan(result->history[e - 1].test_accuracy), wanted);
        }
        tread_trainer_destroy(trainer);
        world_destroy(&w);
    }
}
END_TEST

/* --- Stopping anywhere, and going on --- */

START_TEST(stopped_at_any_step_it_goes_on_to_the_same_bits) {
    double expected_loss, dropout = 0.25;
    uint64_t expected = world_uninterrupted(dropout, 3, &expected_loss);
    for (int64_t stop = 1; stop <= 15; stop++)
        for (int request = 0; request < 2; request++) {
            world w;
            world_build(&w, NULL, dropout);
            seen s = {.stop_at_step = stop, .request = request};
            tread_callbacks callbacks = callbacks_of(&s);
            tread_trainer_options o = world_options(&w, 3);
            o.callbacks = &callbacks;
            tread_trainer *trainer = tread_trainer_create(NULL, &o);
            ck_assert_ok(tread_trainer_run(trainer));
            ck_assert_int_eq(tread_trainer_result(trainer)->stop_reason,
                             request ? TREAD_STOP_REQUESTED : TREAD_STOP_CALLBACK);
            ck_assert_int_eq(tread_trainer_result(trainer)->steps, stop);
            ck_assert_ok(tread_trainer_run(trainer));
            ck_assert_int_eq(tread_trainer_result(trainer)->stop_reason, TREAD_STOP_EPOCHS);
            ck_assert_int_eq(tread_trainer_result(trainer)->steps, 15);
            ck_assert_int_eq(s.begins, 2);
            ck_assert(tread_trainer_result(trainer)->history[2].train_loss == expected_loss);
            ck_assert_uint_eq(world_hash(&w), expected);
            tread_trainer_destroy(trainer);
            world_destroy(&w);
        }
}
END_TEST

START_TEST(other_ways_to_stop) {
    world w;
    world_build(&w, NULL, 0);
    seen s = {.stop_at_epoch = 2};
    tread_callbacks callbacks = callbacks_of(&s);
    tread_trainer_options o = world_options(&w, 5);
    o.callbacks = &callbacks;
    tread_trainer *trainer = tread_trainer_create(NULL, &o);
    tread_trainer_request_stop(trainer); /* before the first step */
    ck_assert_ok(tread_trainer_run(trainer));
    ck_assert_int_eq(tread_trainer_result(trainer)->stop_reason, TREAD_STOP_REQUESTED);
    ck_assert_int_eq(tread_trainer_result(trainer)->steps, 0);
    ck_assert_ok(tread_trainer_run(trainer));
    ck_assert_int_eq(tread_trainer_result(trainer)->stop_reason, TREAD_STOP_CALLBACK);
    ck_assert_int_eq(tread_trainer_result(trainer)->epochs, 2);
    s.stop_at_epoch = 0;
    s.stop_at_step = 13;
    s.fail = true;
    ck_assert_fails(tread_trainer_run(trainer), TREAD_ERROR_CALLBACK, "the callback's own sentence");
    ck_assert_int_eq(tread_trainer_result(trainer)->stop_reason, TREAD_STOP_FAILED);
    ck_assert_int_eq(tread_trainer_result(trainer)->steps, 13);
    for (int reason = 0; reason <= TREAD_STOP_FAILED; reason++)
        ck_assert_str_ne(tread_stop_reason_string((tread_stop_reason)reason), "unknown reason");
    tread_trainer_destroy(trainer);
    world_destroy(&w);
}
END_TEST

static tread_trainer *signalled;
static void on_signal(int number) {
    (void)number;
    tread_trainer_request_stop(signalled);
}

static tread_action raise_it(void *data, tread_trainer *trainer, const tread_step_info *step) {
    (void)data;
    (void)trainer;
    if (step->step == 3)
        raise(SIGUSR1);
    return TREAD_CONTINUE;
}

START_TEST(a_signal_handler_may_stop_it) {
    world w;
    world_build(&w, NULL, 0);
    tread_callbacks callbacks = tread_callbacks_defaults();
    callbacks.on_step = raise_it;
    tread_trainer_options o = world_options(&w, 5);
    o.callbacks = &callbacks;
    signalled = tread_trainer_create(NULL, &o);
    signal(SIGUSR1, on_signal);
    ck_assert_ok(tread_trainer_run(signalled));
    signal(SIGUSR1, SIG_DFL);
    ck_assert_int_eq(tread_trainer_result(signalled)->stop_reason, TREAD_STOP_REQUESTED);
    ck_assert_int_eq(tread_trainer_result(signalled)->steps, 3);
    tread_trainer_destroy(signalled);
    world_destroy(&w);
}
END_TEST

/* --- The closure --- */

static int closure_calls;

static tread_status counting(void *data, tread_trainer *trainer, const tread_batch *batch, double *ret_loss) {
    closure_calls++;
    double again;
    TREAD_TRY(tread_trainer_closure(trainer, batch, &again));
    TREAD_TRY(tread_trainer_closure(trainer, batch, ret_loss)); /* evaluating anew gives the same loss and gradients */
    ck_assert(again == *ret_loss);
    return data == NULL ? TREAD_OK
                        : tread_fail(TREAD_ERROR_CALLBACK, "closure said no in batch %lld", (long long)batch->index);
}

START_TEST(the_closure_can_be_replaced_and_evaluated_again) {
    double expected_loss;
    uint64_t expected = world_uninterrupted(0, 2, &expected_loss);
    world w;
    world_build(&w, NULL, 0);
    tread_trainer_options o = world_options(&w, 2);
    o.closure = counting;
    closure_calls = 0;
    tread_trainer *trainer = tread_trainer_create(NULL, &o);
    ck_assert_ok(tread_trainer_run(trainer));
    ck_assert_int_eq(closure_calls, 10);
    ck_assert_uint_eq(world_hash(&w), expected);
    tread_trainer_destroy(trainer);
    o.closure_data = &w;
    trainer = tread_trainer_create(NULL, &o);
    ck_assert_fails(tread_trainer_run(trainer), TREAD_ERROR_CALLBACK, "closure said no in batch 0");
    ck_assert_uint_eq(world_hash(&w), expected);
    tread_trainer_destroy(trainer);
    world_destroy(&w);
}
END_TEST

static tread_status failing_once(void *data, tread_trainer *trainer, const tread_batch *batch, double *ret_loss) {
    int *calls = data;
    TREAD_TRY(tread_trainer_closure(trainer, batch, ret_loss));
    return ++*calls == 7 ? tread_fail(TREAD_ERROR_CALLBACK, "once") : TREAD_OK;
}

START_TEST(a_step_that_failed_can_be_done_again) {
    double expected_loss;
    uint64_t expected = world_uninterrupted(0.25, 3, &expected_loss);
    world w;
    world_build(&w, NULL, 0.25);
    int calls = 0;
    tread_trainer_options o = world_options(&w, 3);
    o.closure = failing_once;
    o.closure_data = &calls;
    tread_trainer *trainer = tread_trainer_create(NULL, &o);
    ck_assert_fails(tread_trainer_run(trainer), TREAD_ERROR_CALLBACK, "once");
    ck_assert_int_eq(tread_trainer_result(trainer)->steps, 6);
    ck_assert_ok(tread_trainer_run(trainer)); /* with the random numbers that the failed step had drawn */
    ck_assert(tread_trainer_result(trainer)->history[2].train_loss == expected_loss);
    ck_assert_uint_eq(world_hash(&w), expected);
    tread_trainer_destroy(trainer);
    world_destroy(&w);
}
END_TEST

static tread_tensor *bad_loss(void *data, tread_tape *tape, tread_tensor *output, const tread_batch *batch) {
    int *calls = data;
    tread_tensor *loss = tread_cross_entropy(tape, output, batch->y);
    if (++*calls != 7) /* two of planning the training, two of evaluation: the third step */
        return loss;
    tread_tensor *zero = tread_sub(tape, loss, loss);
    return tread_div(tape, zero, zero);
}

START_TEST(a_loss_that_is_not_finite_changes_nothing) {
    world w;
    world_build(&w, NULL, 0);
    int calls = 0;
    tread_trainer_options o = world_options(&w, 2);
    o.loss = bad_loss;
    o.loss_data = &calls;
    tread_trainer *trainer = tread_trainer_create(NULL, &o);
    ck_assert_fails(tread_trainer_run(trainer), TREAD_ERROR_NUMERIC, "epoch 1 of 2, batch 3 of 5: the loss is ");
    ck_assert_ptr_nonnull(strstr(tread_last_error(), "nan"));
    ck_assert_int_eq(tread_trainer_result(trainer)->stop_reason, TREAD_STOP_NOT_FINITE);
    ck_assert_int_eq(tread_trainer_result(trainer)->steps, 2);
    tread_trainer_destroy(trainer);
    uint64_t after = world_hash(&w);
    world_destroy(&w);

    world_build(&w, NULL, 0); /* two steps that went well leave the same */
    seen s = {.stop_at_step = 2};
    tread_callbacks callbacks = callbacks_of(&s);
    o = world_options(&w, 2);
    o.callbacks = &callbacks;
    trainer = tread_trainer_create(NULL, &o);
    ck_assert_ok(tread_trainer_run(trainer));
    ck_assert_uint_eq(world_hash(&w), after);
    tread_trainer_destroy(trainer);
    world_destroy(&w);
}
END_TEST

static tread_tensor *vector_loss(void *data, tread_tape *tape, tread_tensor *output, const tread_batch *batch) {
    (void)data;
    (void)batch;
    return tread_sum_axis(tape, output, 1, false);
}

static tread_tensor *no_forward(void *data, tread_tape *tape, const tread_batch *batch) {
    (void)data;
    (void)tape;
    (void)batch;
    return NULL;
}

START_TEST(what_is_refused) {
    world w;
    world_build(&w, NULL, 0);
    tread_trainer_options good = world_options(&w, 1), o = good;
    tread_trainer *trainer;
#define REFUSED(change, sentence)                                                                                      \
    o = good;                                                                                                          \
    change;                                                                                                            \
    ck_assert_ptr_null(tread_trainer_create(NULL, &o));                                                                \
    ck_assert_msg(strstr(tread_last_error(), sentence) != NULL, "%s", tread_last_error());
    REFUSED(o.model = NULL, "neither model nor forward is given");
    REFUSED(o.epochs = -1, "epochs = -1 is below 0");
    REFUSED(o.evaluate_every = -2, "evaluate_every = -2 is below 0");
    REFUSED(o.schedule_every = (tread_schedule_every)7, "schedule_every = 7");
    REFUSED(o.size = 0, "");
    tread_dataset *narrow = tread_dataset_from_labels(10, 2, world_test_x(), CLASSES, world_test_y());
    tread_batches *narrow_batches = tread_batches_create(NULL, narrow, NULL);
    REFUSED(o.test = narrow_batches, "train has 6 features a sample, test 2");

    o = good;
    o.train = narrow_batches;
    o.test = NULL;
    trainer = tread_trainer_create(NULL, &o); /* seen when it is planned, before the first step */
    ck_assert_fails(tread_trainer_run(trainer), TREAD_ERROR_SHAPE, "2");
    ck_assert_int_eq(tread_trainer_result(trainer)->stop_reason, TREAD_STOP_FAILED);
    tread_trainer_destroy(trainer);

    o = good;
    o.loss = vector_loss;
    trainer = tread_trainer_create(NULL, &o);
    ck_assert_fails(tread_trainer_run(trainer), TREAD_ERROR_ARGUMENT, "the loss is (16), expected a scalar");
    tread_trainer_destroy(trainer);

    o = good;
    o.forward = no_forward;
    trainer = tread_trainer_create(NULL, &o);
    ck_assert_fails(tread_trainer_run(trainer), TREAD_ERROR_CALLBACK, "forward returned NULL without an error");
    tread_trainer_destroy(trainer);

    o = good;
    o.optimizer = NULL;
    trainer = tread_trainer_create(NULL, &o);
    ck_assert_fails(tread_trainer_run(trainer), TREAD_ERROR_STATE, "it has no optimizer, so it can only evaluate");
    tread_evaluation evaluation;
    ck_assert_ok(tread_trainer_evaluate(trainer, NULL, &evaluation));
    ck_assert_int_eq(evaluation.samples, N_TEST);
    tread_trainer_destroy(trainer);
    tread_batches_destroy(narrow_batches);
    tread_dataset_destroy(narrow);
    world_destroy(&w);
}
END_TEST

/* --- Schedulers --- */

START_TEST(schedulers_step_when_told) {
    for (int every = TREAD_EVERY_EPOCH; every <= TREAD_EVERY_STEP; every++) {
        world w;
        world_build(&w, NULL, 0);
        tread_lr_scheduler *scheduler = tread_lr_scheduler_from_spec(w.optimizer, "step_lr:step_size=1,gamma=0.5");
        ck_assert_msg(scheduler != NULL, "%s", tread_last_error());
        tread_trainer_options o = world_options(&w, 3);
        o.scheduler = scheduler;
        o.schedule_every = (tread_schedule_every)every;
        tread_trainer *trainer = tread_trainer_create(NULL, &o);
        ck_assert_ok(tread_trainer_run(trainer));
        for (int e = 0; e < 3; e++) /* the lr of the epoch's last step, which no later scheduler step has changed */
            ck_assert(tread_trainer_result(trainer)->history[e].lr ==
                      ldexp(0.02, every == TREAD_EVERY_EPOCH ? -e : -(5 * e + 4)));
        tread_trainer_destroy(trainer);
        tread_lr_scheduler_destroy(scheduler);
        world_destroy(&w);
    }
}
END_TEST

/* What the lr becomes: halved after each epoch whose loss is not 5 % below the best. */
static double halved(const tread_train_result *result, bool tested) {
    double best = 1e9, lr = 0.02;
    for (int64_t e = 0; e < result->n_history; e++) {
        double loss = tested ? result->history[e].test_loss : result->history[e].train_loss;
        bool better = loss < best - best * 0.05;
        lr *= better ? 1 : 0.5;
        best = better ? loss : best;
    }
    return lr;
}

/* A metric is the test loss of the epoch, without a test set the train loss. */
START_TEST(schedulers_on_a_metric_follow_the_loss) {
    for (int tested = 0; tested < 2; tested++) {
        world w;
        world_build(&w, NULL, 0);
        const char *spec = "reduce_lr_on_plateau:patience=0,threshold=0.05,factor=0.5";
        tread_lr_scheduler *scheduler = tread_lr_scheduler_from_spec(w.optimizer, spec);
        tread_trainer_options o = world_options(&w, 25);
        o.scheduler = scheduler;
        if (!tested)
            o.test = NULL;
        tread_trainer *trainer = tread_trainer_create(NULL, &o);
        ck_assert_msg(trainer != NULL, "%s", tread_last_error());
        ck_assert_ok(tread_trainer_run(trainer));
        const tread_train_result *result = tread_trainer_result(trainer);
        ck_assert_double_eq(tread_optimizer_lr(w.optimizer, 0), halved(result, tested));
        ck_assert_double_lt(tread_optimizer_lr(w.optimizer, 0), 0.02);
        ck_assert(!tested || halved(result, true) != halved(result, false)); /* so that it matters */
        tread_trainer_destroy(trainer);
        o.schedule_every = TREAD_EVERY_STEP;
        ck_assert_ptr_null(tread_trainer_create(NULL, &o));
        ck_assert_ptr_nonnull(strstr(tread_last_error(), "reduce_lr_on_plateau follows a metric"));
        tread_lr_scheduler_destroy(scheduler);
        world_destroy(&w);
    }
}
END_TEST

START_TEST(composites_step_like_others) {
    world w;
    world_build(&w, NULL, 0);
    tread_lr_scheduler *scheduler = tread_lr_scheduler_from_spec(
        w.optimizer, "sequential_lr:schedulers=[linear_lr:start_factor=0.5,total_iters=5]/[exponential_lr:gamma=0.5],"
                     "milestones=5");
    tread_trainer_options o = world_options(&w, 3);
    o.scheduler = scheduler;
    o.schedule_every = TREAD_EVERY_STEP;
    tread_trainer *trainer = tread_trainer_create(NULL, &o);
    ck_assert_ok(tread_trainer_run(trainer));
    const double at_step_4_9_14[] = {0.02 * 0.9, 0.02 / 16, 0.02 / 512};
    for (int e = 0; e < 3; e++)
        ck_assert_double_eq_tol(tread_trainer_result(trainer)->history[e].lr, at_step_4_9_14[e], 1e-17);
    tread_trainer_destroy(trainer);
    tread_lr_scheduler_destroy(scheduler);
    world_destroy(&w);
}
END_TEST

static tread_action stop_at_once(void *data, tread_trainer *trainer, const tread_step_info *step) {
    (void)data, (void)trainer, (void)step;
    return TREAD_STOP;
}

/* One step of plain descent moves the weights by lr times the clipped gradient, whose norm is known. */
START_TEST(groups_that_ask_for_it_are_clipped) {
    world w;
    world_build(&w, NULL, 0);
    tread_optimizer_destroy(w.optimizer);
    tread_parameter_list list = tread_module_parameters(w.model);
    w.optimizer = tread_optimizer_from_spec(NULL, list, "sgd:lr=1,clip_grad_max_norm=0.01");
    ck_assert_ptr_nonnull(w.optimizer);
    float before[512];
    size_t n = 0;
    for (size_t i = 0; i < list.count; i++)
        for (int64_t k = 0; k < tread_tensor_count(tread_parameter_tensor(list.items[i])); k++) {
            ck_assert_uint_lt(n, 512);
            before[n++] = tread_tensor_float(tread_parameter_tensor(list.items[i]))[k];
        }
    tread_callbacks callbacks = tread_callbacks_defaults();
    callbacks.on_step = stop_at_once;
    tread_trainer_options o = world_options(&w, 1);
    o.callbacks = &callbacks;
    tread_trainer *trainer = tread_trainer_create(NULL, &o);
    ck_assert_ok(tread_trainer_run(trainer));
    double square = 0;
    n = 0;
    for (size_t i = 0; i < list.count; i++)
        for (int64_t k = 0; k < tread_tensor_count(tread_parameter_tensor(list.items[i])); k++) {
            double d = (double)tread_tensor_float(tread_parameter_tensor(list.items[i]))[k] - (double)before[n++];
            square += d * d;
        }
    /* the 1e-6 of the clip's denominator, and each weight's rounding: half an ulp of at most 1, n times */
    ck_assert_double_eq_tol(sqrt(square), 0.01, 1e-6 + sqrt((double)n) * 0x1p-25);
    tread_trainer_destroy(trainer);
    world_destroy(&w);
}
END_TEST

TEST_MAIN("trainer", groups_that_ask_for_it_are_clipped, a_run_learns_and_tells, evaluations_only_where_wanted,
          stopped_at_any_step_it_goes_on_to_the_same_bits, other_ways_to_stop, a_signal_handler_may_stop_it,
          the_closure_can_be_replaced_and_evaluated_again, a_step_that_failed_can_be_done_again,
          a_loss_that_is_not_finite_changes_nothing, what_is_refused, schedulers_step_when_told,
          schedulers_on_a_metric_follow_the_loss, composites_step_like_others)
