/* When a trainer evaluates and ends, and what its hooks may do. */
#include <math.h>
#include <string.h>

#include "core/memory.h"
#include "tests/engine/world.h"
#include "tests/test.h"

enum { MAX_SEEN = 128 };

/* Evaluations whose values the test sets: a metric that reads them from a list. */
typedef struct script {
    tread_metric metric;
    double values[MAX_SEEN];
    int n, at;
    int64_t steps[MAX_SEEN], epochs[MAX_SEEN]; /* where they were made */
    bool best[MAX_SEEN];
    uint64_t hashes[MAX_SEEN];
    const world *w;
    tread_callbacks callbacks;
} script;

static tread_status next_value(void *data, const tread_tensor *output, const tread_batch *batch, double *ret_sum,
                               double *ret_weight) {
    const script *s = data;
    (void)output;
    *ret_sum = s->values[s->at < s->n ? s->at : s->n - 1] * (double)batch->count;
    *ret_weight = (double)batch->count;
    return TREAD_OK;
}

static tread_action note_evaluation(void *data, tread_trainer *trainer, const tread_evaluation *evaluation) {
    script *s = data;
    (void)trainer;
    ck_assert_int_lt(s->at, MAX_SEEN);
    s->steps[s->at] = evaluation->step;
    s->epochs[s->at] = evaluation->epoch;
    s->best[s->at] = evaluation->best;
    s->hashes[s->at++] = world_hash(s->w);
    return TREAD_CONTINUE;
}

static tread_trainer_options scripted(script *s, const world *w, int64_t epochs, const double *values, int n) {
    *s = (script){.metric = {.name = "scripted", .higher_is_better = true, .batch = next_value}, .n = n, .w = w};
    s->metric.data = s;
    memcpy(s->values, values, (size_t)n * sizeof *values);
    s->callbacks = tread_callbacks_defaults();
    s->callbacks.data = s;
    s->callbacks.on_evaluation = note_evaluation;
    tread_trainer_options o = world_options(w, epochs);
    o.metric = &s->metric;
    o.monitor = TREAD_MONITOR_METRIC;
    o.callbacks = &s->callbacks;
    return o;
}

START_TEST(evaluations_by_steps_and_by_epochs) {
    world w;
    script s;
    world_build(&w, NULL, 0);
    tread_trainer_options o = scripted(&s, &w, 3, (const double[]){0}, 1);
    o.evaluate_every_steps = 5; /* an epoch has 5 steps: its own evaluation is enough */
    o.evaluate_every = 2;
    tread_trainer *trainer = tread_trainer_create(NULL, &o);
    ck_assert_ok(tread_trainer_run(trainer));
    ck_assert_int_eq(s.at, 3);
    ck_assert(s.steps[0] == 5 && s.steps[1] == 10 && s.steps[2] == 15);
    ck_assert(s.epochs[0] == 0 && s.epochs[1] == 2 && s.epochs[2] == 3);
    ck_assert(isnan(tread_trainer_result(trainer)->history[0].test_loss));
    tread_trainer_destroy(trainer);
    o.evaluate_every_steps = 3;
    o.evaluate_every = 0;
    s.at = 0;
    trainer = tread_trainer_create(NULL, &o);
    ck_assert_ok(tread_trainer_run(trainer));
    ck_assert_int_eq(s.at, 5);
    for (int i = 0; i < 5; i++)
        ck_assert(s.steps[i] == 3 * (i + 1) && s.epochs[i] == 3 * (i + 1) / 5 - (i == 4));
    tread_trainer_destroy(trainer);
    world_destroy(&w);
}
END_TEST

START_TEST(patience_ends_the_run_with_the_best_weights) {
    const double values[] = {0.2, 0.5, 0.505, 0.4, 0.51, 0.5, 0.9};
    for (int restore = 0; restore < 2; restore++) {
        world w;
        script s;
        world_build(&w, NULL, 0);
        tread_trainer_options o = scripted(&s, &w, 20, values, 7);
        o.patience = 4;
        o.min_delta = 0.02;
        o.restore_best = restore;
        tread_trainer *trainer = tread_trainer_create(NULL, &o);
        ck_assert_ok(tread_trainer_run(trainer));
        const tread_train_result *result = tread_trainer_result(trainer);
        ck_assert_int_eq(result->stop_reason, TREAD_STOP_PATIENCE);
        ck_assert(result->epochs == 6 && result->best == 0.5 && result->best_epoch == 2 && result->best_step == 10);
        ck_assert_int_eq(result->n_not_better, 4);
        const bool best[] = {true, true, false, false, false, false};
        ck_assert_mem_eq(s.best, best, sizeof best);
        ck_assert_uint_eq(world_hash(&w), s.hashes[restore ? 1 : 5]);
        ck_assert_int_eq(tread_trainer_held_weights(trainer), restore ? TREAD_WEIGHTS_BEST : TREAD_WEIGHTS_TRAINING);
        ck_assert_ok(tread_trainer_run(trainer)); /* it is at its end already, and stays so */
        ck_assert_int_eq(result->stop_reason, TREAD_STOP_PATIENCE);
        ck_assert_int_eq(result->steps, 30);
        ck_assert_uint_eq(world_hash(&w), s.hashes[restore ? 1 : 5]);
        ck_assert_ok(tread_trainer_use_weights(trainer, TREAD_WEIGHTS_TRAINING));
        ck_assert_uint_eq(world_hash(&w), s.hashes[5]);
        tread_trainer_destroy(trainer);
        world_destroy(&w);
    }
}
END_TEST

/* Without a test set it is the train loss, and less is better. */
START_TEST(the_train_loss_is_monitored_without_a_test_set) {
    world w;
    world_build(&w, NULL, 0);
    tread_trainer_options o = world_options(&w, 50);
    o.test = NULL;
    o.patience = 0;
    o.min_delta = 0.05;
    o.ema_decay = 0.5;
    o.restore_best = true;
    tread_trainer *trainer = tread_trainer_create(NULL, &o);
    ck_assert_ok(tread_trainer_run(trainer));
    const tread_train_result *result = tread_trainer_result(trainer);
    ck_assert_int_eq(result->stop_reason, TREAD_STOP_PATIENCE);
    ck_assert_int_gt(result->epochs, 2);
    for (int64_t e = 1; e < result->epochs; e++) /* the first one that is no better ends it */
        ck_assert_int_eq(result->history[e].train_loss < result->history[e - 1].train_loss - 0.05,
                         e + 1 < result->epochs);
    ck_assert(result->best == result->history[result->epochs - 2].train_loss);
    tread_trainer_destroy(trainer);
    world_destroy(&w);
}
END_TEST

START_TEST(limits_and_targets_end_runs) {
    world w;
    script s;
    world_build(&w, NULL, 0);
    tread_trainer_options o = scripted(&s, &w, 9, (const double[]){0.1, 0.6, 0.7, 0.8}, 4);
    o.target = 0.65;
    tread_trainer *trainer = tread_trainer_create(NULL, &o);
    ck_assert_ok(tread_trainer_run(trainer));
    ck_assert_int_eq(tread_trainer_result(trainer)->stop_reason, TREAD_STOP_TARGET);
    ck_assert_int_eq(tread_trainer_result(trainer)->epochs, 3);
    tread_trainer_destroy(trainer);

    o = world_options(&w, 9);
    o.max_steps = 12;
    trainer = tread_trainer_create(NULL, &o);
    ck_assert_ok(tread_trainer_run(trainer));
    ck_assert_int_eq(tread_trainer_result(trainer)->stop_reason, TREAD_STOP_STEPS);
    ck_assert(tread_trainer_result(trainer)->steps == 12 && tread_trainer_result(trainer)->epochs == 2);
    tread_trainer_destroy(trainer);
    o.max_steps = 10; /* with the second epoch, whose evaluation is made */
    trainer = tread_trainer_create(NULL, &o);
    ck_assert_ok(tread_trainer_run(trainer));
    ck_assert_int_eq(tread_trainer_result(trainer)->stop_reason, TREAD_STOP_STEPS);
    ck_assert(tread_trainer_result(trainer)->steps == 10 && tread_trainer_result(trainer)->n_history == 2);
    tread_trainer_destroy(trainer);

    o = world_options(&w, 1000000);
    o.max_seconds = 0.05;
    trainer = tread_trainer_create(NULL, &o);
    for (int i = 0; i < 2; i++) { /* each run has its own time */
        int64_t before = tread_trainer_result(trainer)->steps;
        ck_assert_ok(tread_trainer_run(trainer));
        ck_assert_int_eq(tread_trainer_result(trainer)->stop_reason, TREAD_STOP_SECONDS);
        ck_assert_int_gt(tread_trainer_result(trainer)->steps, before);
        ck_assert_double_ge(tread_trainer_result(trainer)->seconds, 0.05 * (i + 1));
        ck_assert_double_lt(tread_trainer_result(trainer)->seconds, 30);
    }
    tread_trainer_destroy(trainer);
    for (int reason = 0; reason <= TREAD_STOP_PATIENCE; reason++)
        ck_assert_str_ne(tread_stop_reason_string((tread_stop_reason)reason), "unknown reason");
    world_destroy(&w);
}
END_TEST

START_TEST(schedulers_may_follow_evaluations) {
    world w;
    script s;
    world_build(&w, NULL, 0);
    tread_lr_scheduler *scheduler =
        tread_lr_scheduler_from_spec(w.optimizer, "reduce_lr_on_plateau:mode=max,patience=0,factor=0.5");
    ck_assert_msg(scheduler != NULL, "%s", tread_last_error());
    tread_trainer_options o = scripted(&s, &w, 2, (const double[]){0.5, 0.4, 0.6, 0.6, 0.1}, 5);
    o.scheduler = scheduler;
    o.schedule_every = TREAD_EVERY_EVALUATION;
    o.evaluate_every_steps = 2; /* at 2, 4, 5, 6, 8, 10 */
    tread_trainer *trainer = tread_trainer_create(NULL, &o);
    ck_assert_ok(tread_trainer_run(trainer));
    ck_assert_int_eq(s.at, 6);
    ck_assert_int_eq(tread_lr_scheduler_last_step(scheduler), 6);
    ck_assert(tread_optimizer_lr(w.optimizer, 0) == 0.02 / 16); /* worse or equal four times */
    tread_trainer_destroy(trainer);
    tread_lr_scheduler_destroy(scheduler);
    world_destroy(&w);
}
END_TEST

static tread_action request_at_the_end(void *data, tread_trainer *trainer, const tread_epoch_metrics *metrics) {
    if (metrics->epoch == *(const int64_t *)data)
        tread_trainer_request_stop(trainer);
    return TREAD_CONTINUE;
}

START_TEST(a_request_after_the_last_epoch_has_nothing_to_stop) {
    for (int64_t at = 2; at <= 3; at++) {
        world w;
        world_build(&w, NULL, 0);
        tread_trainer_options o = world_options(&w, 3);
        tread_callbacks callbacks = tread_callbacks_defaults();
        callbacks.data = &at;
        callbacks.on_epoch = request_at_the_end;
        o.callbacks = &callbacks;
        o.restore_best = true;
        tread_trainer *trainer = tread_trainer_create(NULL, &o);
        ck_assert_ok(tread_trainer_run(trainer));
        ck_assert_int_eq(tread_trainer_result(trainer)->stop_reason,
                         at == 3 ? TREAD_STOP_EPOCHS : TREAD_STOP_REQUESTED);
        ck_assert_int_eq(tread_trainer_held_weights(trainer), at == 3 ? TREAD_WEIGHTS_BEST : TREAD_WEIGHTS_TRAINING);
        ck_assert_ok(tread_trainer_run(trainer));
        ck_assert_int_eq(tread_trainer_result(trainer)->stop_reason, TREAD_STOP_EPOCHS);
        tread_trainer_destroy(trainer);
        world_destroy(&w);
    }
}
END_TEST

static tread_action skip_second_epoch(void *data, tread_trainer *trainer, const tread_step_info *step) {
    (void)data, (void)trainer;
    return step->epoch == 1 ? TREAD_SKIP : TREAD_CONTINUE;
}

/* It has no loss: nothing to monitor, and nothing for a scheduler that follows one. */
START_TEST(an_epoch_without_steps_is_not_judged) {
    world w;
    world_build(&w, NULL, 0);
    tread_lr_scheduler *scheduler =
        tread_lr_scheduler_from_spec(w.optimizer, "reduce_lr_on_plateau:patience=0,factor=0.5");
    ck_assert_msg(scheduler != NULL, "%s", tread_last_error());
    tread_trainer_options o = world_options(&w, 3);
    tread_callbacks callbacks = tread_callbacks_defaults();
    callbacks.on_step_begin = skip_second_epoch;
    o.callbacks = &callbacks;
    o.test = NULL;
    o.scheduler = scheduler;
    o.schedule_every = TREAD_EVERY_EPOCH;
    tread_trainer *trainer = tread_trainer_create(NULL, &o);
    ck_assert_ok(tread_trainer_run(trainer));
    const tread_train_result *result = tread_trainer_result(trainer);
    ck_assert(result->steps == 10 && result->n_history == 3);
    ck_assert(isnan(result->history[1].train_loss));
    ck_assert(result->best == result->history[2].train_loss && result->n_not_better == 0);
    ck_assert_int_eq(tread_lr_scheduler_last_step(scheduler), 2);
    ck_assert(tread_optimizer_lr(w.optimizer, 0) == 0.02);
    tread_trainer_destroy(trainer);
    tread_lr_scheduler_destroy(scheduler);
    world_destroy(&w);
}
END_TEST

static tread_action fail_at_length(void *data, tread_trainer *trainer, const tread_epoch_metrics *metrics) {
    (void)trainer, (void)metrics;
    return tread_fail(TREAD_ERROR_CALLBACK, "%s", (const char *)data), TREAD_FAIL;
}

START_TEST(a_long_sentence_comes_whole) {
    world w;
    char sentence[4001];
    memset(sentence, 'x', sizeof sentence - 1);
    sentence[sizeof sentence - 1] = '\0';
    world_build(&w, NULL, 0);
    tread_trainer_options o = world_options(&w, 3);
    tread_callbacks callbacks = tread_callbacks_defaults();
    callbacks.data = sentence;
    callbacks.on_epoch = fail_at_length;
    o.callbacks = &callbacks;
    tread_trainer *trainer = tread_trainer_create(NULL, &o);
    ck_assert_int_eq(tread_trainer_run(trainer), TREAD_ERROR_CALLBACK);
    ck_assert_ptr_nonnull(strstr(tread_last_error(), sentence)); /* too long to be shown */
    tread_trainer_destroy(trainer);
    world_destroy(&w);
}
END_TEST

/* ---- Within an evaluation ---- */

typedef struct caller {
    tread_metric metric;
    tread_trainer *trainer;
    int calls;
} caller;

static tread_status call_back(void *data, const tread_tensor *output, const tread_batch *batch, double *ret_sum,
                              double *ret_weight) {
    caller *c = data;
    tread_evaluation evaluation;
    (void)output;
    *ret_sum = *ret_weight = (double)batch->count;
    if (c->trainer == NULL) /* planning */
        return TREAD_OK;
    c->calls++;
    ck_assert_ptr_null(tread_trainer_state(c->trainer));
    ck_assert_ptr_nonnull(strstr(tread_last_error(), "within an evaluation"));
    ck_assert_int_eq(tread_trainer_use_weights(c->trainer, TREAD_WEIGHTS_AVERAGED), TREAD_ERROR_STATE);
    ck_assert_int_eq(tread_trainer_evaluate(c->trainer, NULL, &evaluation), TREAD_ERROR_STATE);
    ck_assert_int_eq(tread_trainer_run(c->trainer), TREAD_ERROR_STATE);
    return TREAD_OK;
}

/* The weights and their averages have changed places: a state would hold one for the other. */
START_TEST(a_metric_cannot_take_the_state) {
    world w;
    caller c = {.metric = {.name = "calls", .batch = call_back}};
    tread_evaluation evaluation;
    world_build(&w, NULL, 0);
    tread_trainer_options o = world_options(&w, 2);
    c.metric.data = &c;
    o.metric = &c.metric;
    o.ema_decay = 0.5;
    tread_trainer *trainer = tread_trainer_create(NULL, &o);
    c.trainer = trainer;
    ck_assert_ok(tread_trainer_run(trainer));
    ck_assert_int_eq(c.calls, 2 * 2);
    ck_assert_ok(tread_trainer_evaluate(trainer, NULL, &evaluation));
    ck_assert_int_eq(c.calls, 3 * 2);
    tread_state *state = tread_trainer_state(trainer);
    ck_assert_msg(state != NULL, "%s", tread_last_error());
    ck_assert_ok(tread_trainer_load_state(trainer, state));
    tread_state_destroy(state);
    tread_trainer_destroy(trainer);
    world_destroy(&w);
}
END_TEST

/* ---- Hooks ---- */

typedef struct hooks {
    tread_callbacks callbacks;
    char order[1024];                                           /* a letter for each call */
    int64_t skip_epoch, skip_step, skip_batch, skip_evaluation; /* -1: none */
    int64_t stop_step, stop_batch;                              /* -1: none; at its begin, once */
    bool fail_batch;
    int64_t rows; /* of batches that were trained on */
} hooks;

static void note(hooks *h, char letter) {
    size_t n = strlen(h->order);
    ck_assert_uint_lt(n + 1, sizeof h->order);
    h->order[n] = letter;
    h->order[n + 1] = '\0';
}
static tread_action epoch_begins(void *data, tread_trainer *trainer, int64_t epoch) {
    hooks *h = data;
    (void)trainer;
    note(h, 'E');
    return epoch == h->skip_epoch ? TREAD_SKIP : TREAD_CONTINUE;
}
static tread_action step_begins(void *data, tread_trainer *trainer, const tread_step_info *step) {
    hooks *h = data;
    note(h, 'S');
    tread_state *state = tread_trainer_state(trainer); /* between two steps */
    ck_assert_ptr_nonnull(state);
    tread_state_destroy(state);
    ck_assert(isnan(step->loss) && step->samples == 0);
    const int64_t number = step->epoch * step->steps_per_epoch + step->step_in_epoch;
    if (number == h->stop_step) {
        h->stop_step = -1;
        return TREAD_STOP;
    }
    return number == h->skip_step ? TREAD_SKIP : TREAD_CONTINUE;
}
static tread_action batch_begins(void *data, tread_trainer *trainer, const tread_batch *batch) {
    hooks *h = data;
    note(h, 'B');
    ck_assert_ptr_null(tread_trainer_state(trainer)); /* within a step */
    ck_assert_int_eq(tread_trainer_use_weights(trainer, TREAD_WEIGHTS_AVERAGED), TREAD_ERROR_STATE);
    if (batch->index == h->stop_batch) {
        h->stop_batch = -1;
        return TREAD_STOP;
    }
    return batch->index == h->skip_batch ? TREAD_SKIP : TREAD_CONTINUE;
}
static tread_action batch_ends(void *data, tread_trainer *trainer, const tread_batch *batch, double loss) {
    hooks *h = data;
    (void)trainer;
    note(h, 'b');
    ck_assert(isfinite(loss));
    h->rows += batch->count;
    if (h->fail_batch)
        return tread_fail(TREAD_ERROR_CALLBACK, "no more of batch %lld", (long long)batch->index), TREAD_FAIL;
    return TREAD_CONTINUE;
}
static tread_action step_ends(void *data, tread_trainer *trainer, const tread_step_info *step) {
    (void)trainer, (void)step;
    return note(data, 's'), TREAD_CONTINUE;
}
static tread_action evaluation_begins(void *data, tread_trainer *trainer, const tread_evaluation *evaluation) {
    hooks *h = data;
    (void)trainer;
    note(h, 'V');
    ck_assert(isnan(evaluation->loss));
    return evaluation->epoch == h->skip_evaluation ? TREAD_SKIP : TREAD_CONTINUE;
}
static tread_action evaluation_ends(void *data, tread_trainer *trainer, const tread_evaluation *evaluation) {
    (void)trainer, (void)evaluation;
    return note(data, 'v'), TREAD_CONTINUE;
}
static tread_action epoch_ends(void *data, tread_trainer *trainer, const tread_epoch_metrics *metrics) {
    (void)trainer, (void)metrics;
    return note(data, 'e'), TREAD_CONTINUE;
}

static tread_trainer *hooked(world *w, hooks *h, int64_t epochs, int64_t accumulate) {
    world_build(w, NULL, 0);
    *h = (hooks){.skip_epoch = -1,
                 .skip_step = -1,
                 .skip_batch = -1,
                 .skip_evaluation = -1,
                 .stop_step = -1,
                 .stop_batch = -1,
                 .callbacks = tread_callbacks_defaults()};
    h->callbacks.data = h;
    h->callbacks.on_epoch_begin = epoch_begins;
    h->callbacks.on_step_begin = step_begins;
    h->callbacks.on_batch_begin = batch_begins;
    h->callbacks.on_batch = batch_ends;
    h->callbacks.on_step = step_ends;
    h->callbacks.on_evaluation_begin = evaluation_begins;
    h->callbacks.on_evaluation = evaluation_ends;
    h->callbacks.on_epoch = epoch_ends;
    tread_trainer_options o = world_options(w, epochs);
    o.callbacks = &h->callbacks;
    o.accumulate = accumulate;
    tread_trainer *trainer = tread_trainer_create(NULL, &o);
    ck_assert_msg(trainer != NULL, "%s", tread_last_error());
    return trainer;
}

START_TEST(hooks_come_in_order_and_leave_the_run_alone) {
    double loss;
    uint64_t expected = world_uninterrupted(0, 2, &loss);
    world w;
    hooks h;
    tread_trainer *trainer = hooked(&w, &h, 2, 1);
    ck_assert_ok(tread_trainer_run(trainer));
    ck_assert_str_eq(h.order, "ESBbsSBbsSBbsSBbsSBbsVve"
                              "ESBbsSBbsSBbsSBbsSBbsVve");
    ck_assert_uint_eq(world_hash(&w), expected);
    tread_trainer_destroy(trainer);
    world_destroy(&w);
    trainer = hooked(&w, &h, 1, 2);
    ck_assert_ok(tread_trainer_run(trainer));
    ck_assert_str_eq(h.order, "ESBBbbsSBBbbsSBbsVve");
    tread_trainer_destroy(trainer);
    world_destroy(&w);
}
END_TEST

START_TEST(hooks_may_skip) {
    world w;
    hooks h;
    tread_trainer *trainer = hooked(&w, &h, 3, 2);
    h.skip_epoch = 1;
    h.skip_step = 1;
    h.skip_batch = 4; /* alone in its step */
    h.skip_evaluation = 3;
    ck_assert_ok(tread_trainer_run(trainer));
    ck_assert_str_eq(h.order, "ESBBbbsSSBVve"
                              "E"
                              "ESBBbbsSBBbbsSBVe");
    const tread_train_result *result = tread_trainer_result(trainer);
    ck_assert(result->epochs == 3 && result->n_history == 2 && result->steps == 3);
    ck_assert_int_eq(result->samples, 3 * 32);
    ck_assert_int_eq(result->samples, h.rows);
    ck_assert_int_eq(result->history[1].epoch, 3);
    ck_assert(!isnan(result->history[0].test_loss) && isnan(result->history[1].test_loss));
    tread_trainer_destroy(trainer);
    world_destroy(&w);
}
END_TEST

/* Of a step's batches one: the others weigh as if it had never been there. */
START_TEST(a_skipped_batch_has_no_weight) {
    world w;
    hooks h;
    tread_trainer *trainer = hooked(&w, &h, 1, 2);
    h.skip_batch = 1;
    ck_assert_ok(tread_trainer_run(trainer));
    ck_assert_str_eq(h.order, "ESBBbsSBBbbsSBbsVve");
    ck_assert_int_eq(tread_trainer_result(trainer)->samples, N_TRAIN - 16);
    tread_trainer_destroy(trainer);
    world_destroy(&w);
    uint64_t first[2];
    for (int k = 0; k < 2; k++) { /* the first step is that of batch 0 alone */
        trainer = hooked(&w, &h, 1, k == 0 ? 2 : 1);
        h.skip_batch = k == 0 ? 1 : -1;
        h.stop_step = 1;
        ck_assert_ok(tread_trainer_run(trainer));
        ck_assert_int_eq(tread_trainer_result(trainer)->steps, 1);
        first[k] = world_hash(&w);
        tread_trainer_destroy(trainer);
        world_destroy(&w);
    }
    ck_assert_uint_eq(first[0], first[1]);
}
END_TEST

START_TEST(hooks_may_stop_before_a_step_and_it_goes_on_the_same) {
    double loss;
    uint64_t expected = world_uninterrupted(0, 2, &loss);
    for (int k = 0; k < 3; k++) {
        world w;
        hooks h;
        tread_trainer *trainer = hooked(&w, &h, 2, 1);
        h.stop_step = k == 0 ? 3 : -1;
        h.stop_batch = k == 1 ? 2 : -1;
        h.fail_batch = k == 2;
        if (k < 2) {
            ck_assert_ok(tread_trainer_run(trainer));
            ck_assert_int_eq(tread_trainer_result(trainer)->stop_reason, TREAD_STOP_CALLBACK);
        } else {
            ck_assert_fails(tread_trainer_run(trainer), TREAD_ERROR_CALLBACK, "no more of batch 0");
        }
        ck_assert_int_eq(tread_trainer_result(trainer)->steps, k == 0 ? 3 : k == 1 ? 2 : 0);
        h.fail_batch = false;
        ck_assert_ok(tread_trainer_run(trainer));
        ck_assert_int_eq(tread_trainer_result(trainer)->steps, 10);
        ck_assert_uint_eq(world_hash(&w), expected);
        tread_trainer_destroy(trainer);
        world_destroy(&w);
    }
}
END_TEST

TEST_MAIN("trainer_loop", evaluations_by_steps_and_by_epochs, patience_ends_the_run_with_the_best_weights,
          the_train_loss_is_monitored_without_a_test_set, limits_and_targets_end_runs,
          schedulers_may_follow_evaluations, a_request_after_the_last_epoch_has_nothing_to_stop,
          an_epoch_without_steps_is_not_judged, a_long_sentence_comes_whole, a_metric_cannot_take_the_state,
          hooks_come_in_order_and_leave_the_run_alone, hooks_may_skip, a_skipped_batch_has_no_weight,
          hooks_may_stop_before_a_step_and_it_goes_on_the_same)
