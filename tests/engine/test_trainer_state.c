/* The state of a run: taken after any step and loaded elsewhere, it goes on to the same bits. */
#include <math.h>
#include <string.h>
#include <tread/checkpoint.h>

#include "core/memory.h"
#include "core/tensor.h"
#include "tests/engine/files.h"
#include "tests/engine/run_case.h"
#include "tests/test.h"

typedef struct stopper {
    tread_callbacks callbacks;
    int64_t at;
} stopper;

static tread_action stop_there(void *data, tread_trainer *trainer, const tread_step_info *step) {
    (void)trainer;
    return step->step == ((stopper *)data)->at ? TREAD_STOP : TREAD_CONTINUE;
}

static void stop_at(void *data, tread_trainer_options *options) {
    stopper *s = data;
    s->callbacks = tread_callbacks_defaults();
    s->callbacks.data = s;
    s->callbacks.on_step = stop_there;
    options->callbacks = &s->callbacks;
}

/* What a run that nothing stops comes to, and how many steps it has. */
static uint64_t uninterrupted(const run_case *c, int64_t *ret_steps) {
    run r;
    run_open(&r, c, 1, NULL, NULL);
    ck_assert_ok(tread_trainer_run(r.trainer));
    *ret_steps = tread_trainer_result(r.trainer)->steps;
    uint64_t hash = run_hash(&r);
    run_close(&r);
    return hash;
}

/* Through a file; what is loaded into has gone another way until then. */
static uint64_t resumed(const run_case *c, int64_t at, int threads) {
    run r;
    stopper s = {.at = at};
    tread_state *state;
    run_open(&r, c, threads, stop_at, &s);
    ck_assert_ok(tread_trainer_run(r.trainer));
    ck_assert_int_eq(tread_trainer_result(r.trainer)->steps, at);
    state = tread_trainer_state(r.trainer);
    ck_assert_msg(state != NULL, "%s", tread_last_error());
    ck_assert_ok(tread_checkpoint_save(test_path("state.safetensors"), state));
    tread_state_destroy(state);
    run_close(&r);
    s.at = 3;
    run_open(&r, c, threads, stop_at, &s);
    ck_assert_ok(tread_trainer_run(r.trainer));
    s.at = -1;
    ck_assert_ok(tread_checkpoint_load(test_path("state.safetensors"), &state));
    ck_assert_ok(tread_trainer_load_state(r.trainer, state));
    ck_assert_int_eq(tread_trainer_result(r.trainer)->steps, at);
    ck_assert_uint_eq(run_hash(&r), run_state_hash(state));
    tread_state_destroy(state);
    ck_assert_ok(tread_trainer_run(r.trainer));
    uint64_t hash = run_hash(&r);
    run_close(&r);
    return hash;
}

START_TEST(resumed_after_any_step_it_ends_with_the_same_bits) {
    test_folder_create();
    for (size_t i = 0; i < run_case_count(); i++) {
        const run_case c = run_case_at(i);
        int64_t steps;
        const uint64_t expected = uninterrupted(&c, &steps);
        ck_assert_int_eq(steps, RUN_EPOCHS * (5 / c.accumulate + (5 % c.accumulate > 0)));
        for (int64_t at = 1; at <= steps; at++) {
            const uint64_t hash = resumed(&c, at, 1 + (int)(at % 2));
            ck_assert_msg(hash == expected, "case %zu, %s with %s, stopped at step %lld", i, c.optimizer,
                          c.scheduler != NULL ? c.scheduler : "no scheduler", (long long)at);
        }
    }
    test_folder_remove();
}
END_TEST

/* ---- With steps left out ---- */

/* Hooks that leave out the same steps and batches in every run, a sample that makes its step not finite, and an end by
 * patience. */
typedef struct hurdles {
    tread_callbacks callbacks;
    int64_t stop_at; /* before this step, those left out counted; -1: nowhere */
} hurdles;

static tread_action before_step(void *data, tread_trainer *trainer, const tread_step_info *step) {
    const int64_t number = step->epoch * step->steps_per_epoch + step->step_in_epoch;
    (void)trainer;
    if (number == ((hurdles *)data)->stop_at)
        return TREAD_STOP;
    return number % 7 == 3 ? TREAD_SKIP : TREAD_CONTINUE;
}
static tread_action before_batch(void *data, tread_trainer *trainer, const tread_batch *batch) {
    (void)data, (void)trainer;
    return (batch->rows[0] + batch->index) % 6 == 1 ? TREAD_SKIP : TREAD_CONTINUE;
}

static void with_hurdles(void *data, tread_trainer_options *options) {
    hurdles *h = data;
    h->callbacks = tread_callbacks_defaults();
    h->callbacks.data = h;
    h->callbacks.on_step_begin = before_step;
    h->callbacks.on_batch_begin = before_batch;
    ((float *)tread_dataset_x(tread_batches_dataset(options->train))->data)[40 * FEATURES] = INFINITY;
    options->callbacks = &h->callbacks;
    options->nonfinite = TREAD_ON_NONFINITE_SKIP;
    options->epochs = 40;
    options->patience = 4;
    options->min_delta = 0.02;
}

static void must_end_by_patience(const run *r) {
    const tread_train_result *result = tread_trainer_result(r->trainer);
    ck_assert_int_eq(result->stop_reason, TREAD_STOP_PATIENCE);
    ck_assert_int_gt(result->skipped, 2);
    ck_assert_int_lt(result->samples, result->epochs * N_TRAIN - 16 * result->skipped);
}

/* False where the run was over before. */
static bool stopped_before(const run_case *c, int64_t at, tread_state **ret_state) {
    run r;
    hurdles h = {.stop_at = at};
    run_open(&r, c, 1 + (int)(at % 2), with_hurdles, &h);
    ck_assert_ok(tread_trainer_run(r.trainer));
    const bool stopped = tread_trainer_result(r.trainer)->stop_reason == TREAD_STOP_CALLBACK;
    *ret_state = tread_trainer_state(r.trainer);
    ck_assert_msg(*ret_state != NULL, "%s", tread_last_error());
    if (!stopped)
        must_end_by_patience(&r);
    run_close(&r);
    return stopped;
}

START_TEST(with_steps_left_out_it_ends_with_the_same_bits_too) {
    for (int64_t accumulate = 1; accumulate <= 2; accumulate++) {
        const run_case c = {.optimizer = "adam:lr=0.02",
                            .scheduler = "reduce_lr_on_plateau:patience=1,factor=0.5",
                            .every = TREAD_EVERY_EVALUATION,
                            .dropout = 0.25,
                            .ema_decay = 0.9,
                            .clip_norm = INFINITY,
                            .accumulate = accumulate,
                            .evaluate_every_steps = 3,
                            .restore_best = true};
        int64_t at = 0;
        tread_state *state;
        stopped_before(&c, -1, &state);
        const uint64_t expected = run_state_hash(state);
        tread_state_destroy(state);
        for (; stopped_before(&c, at, &state); at++) {
            run r;
            hurdles h = {.stop_at = -1};
            run_open(&r, &c, 2 - (int)(at % 2), with_hurdles, &h);
            ck_assert_ok(tread_trainer_load_state(r.trainer, state));
            tread_state_destroy(state);
            ck_assert_ok(tread_trainer_run(r.trainer));
            must_end_by_patience(&r);
            ck_assert_msg(run_hash(&r) == expected, "stopped before step %lld, accumulate %lld", (long long)at,
                          (long long)accumulate);
            run_close(&r);
        }
        tread_state_destroy(state);
        ck_assert_int_gt(at, 10);
    }
}
END_TEST

static tread_action only_stop(void *data, tread_trainer *trainer, const tread_step_info *step) {
    (void)trainer;
    return step->step_in_epoch == ((hurdles *)data)->stop_at ? TREAD_STOP : TREAD_CONTINUE;
}

static void never_finite(void *data, tread_trainer_options *options) {
    with_hurdles(data, options);
    float *x = tread_dataset_x(tread_batches_dataset(options->train))->data;
    for (int i = 0; i < N_TRAIN; i++)
        x[i * FEATURES] = INFINITY;
    ((hurdles *)data)->callbacks.on_step_begin = only_stop;
    ((hurdles *)data)->callbacks.on_batch_begin = NULL;
    options->max_skipped = 3;
}

/* The steps in a row count across the resume. */
START_TEST(steps_skipped_in_a_row_are_counted_on) {
    const run_case c = {.optimizer = "adam", .clip_norm = INFINITY, .accumulate = 1};
    hurdles first = {.stop_at = 2}, second = {.stop_at = -1};
    run r;
    run_open(&r, &c, 1, never_finite, &first);
    ck_assert_ok(tread_trainer_run(r.trainer));
    ck_assert_int_eq(tread_trainer_result(r.trainer)->skipped, 2);
    tread_state *state = tread_trainer_state(r.trainer);
    ck_assert_msg(state != NULL, "%s", tread_last_error());
    run_close(&r);
    run_open(&r, &c, 1, never_finite, &second);
    ck_assert_ok(tread_trainer_load_state(r.trainer, state));
    ck_assert_fails(tread_trainer_run(r.trainer), TREAD_ERROR_NUMERIC, "3 steps in a row were skipped");
    ck_assert_int_eq(tread_trainer_result(r.trainer)->skipped, 3);
    tread_state_destroy(state);
    run_close(&r);
}
END_TEST

TEST_MAIN("trainer_state", steps_skipped_in_a_row_are_counted_on, resumed_after_any_step_it_ends_with_the_same_bits,
          with_steps_left_out_it_ends_with_the_same_bits_too)
