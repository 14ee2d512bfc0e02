/* What the options of a trainer do to its steps: accumulation, clipping, averages, values that are not finite. */
#include <math.h>
#include <string.h>
#include <tread/ops.h>

#include "core/memory.h"
#include "core/tensor.h"
#include "tests/engine/world.h"
#include "tests/test.h"

enum { MAX_FLOATS = 512 };

static size_t weights_of(const world *w, float *ret_values) {
    tread_parameter_list list = tread_module_parameters(w->model);
    size_t n = 0;
    for (size_t i = 0; i < list.count; i++) {
        const tread_tensor *x = tread_parameter_tensor(list.items[i]);
        ck_assert_uint_le(n + (size_t)x->count, MAX_FLOATS);
        memcpy(ret_values + n, x->data, (size_t)x->count * sizeof *ret_values);
        n += (size_t)x->count;
    }
    return n;
}

static void with_optimizer(world *w, const char *spec) {
    tread_optimizer_destroy(w->optimizer);
    w->optimizer = tread_optimizer_from_spec(w->context, tread_module_parameters(w->model), spec);
    ck_assert_msg(w->optimizer != NULL, "%s", tread_last_error());
}

static void with_batches(world *w, int64_t size, bool shuffle) {
    tread_batches_options o = tread_batches_defaults();
    o.batch_size = size;
    o.shuffle = shuffle;
    tread_batches_destroy(w->train);
    w->train = tread_batches_create(w->context, w->train_set, &o);
    ck_assert_ptr_nonnull(w->train);
}

static void run_to_the_end(const tread_trainer_options *o, tread_train_result *ret_result) {
    tread_trainer *trainer = tread_trainer_create(NULL, o);
    ck_assert_msg(trainer != NULL, "%s", tread_last_error());
    ck_assert_ok(tread_trainer_run(trainer));
    if (ret_result != NULL)
        *ret_result = *tread_trainer_result(trainer);
    tread_trainer_destroy(trainer);
}

/* ---- Accumulation ---- */

/* Weights after 3 epochs of 70 samples in batches of `size`, `accumulate` of them a step. */
static size_t accumulated(const char *spec, int64_t size, int64_t accumulate, float *ret_weights,
                          tread_train_result *ret_result) {
    world w;
    world_build(&w, NULL, 0);
    with_optimizer(&w, spec);
    with_batches(&w, size, true);
    tread_trainer_options o = world_options(&w, 3);
    o.accumulate = accumulate;
    run_to_the_end(&o, ret_result);
    size_t n = weights_of(&w, ret_weights);
    world_destroy(&w);
    return n;
}

/* Steps of 32 samples: 32, 32 and 6. In batches of 8 the last one is 6, alone in its step; in batches of 4 the last
 * step is 4 and 2, which a mean of means would weigh alike. */
START_TEST(accumulated_steps_are_those_of_the_large_batch) {
    static const char *const specs[] = {"sgd:lr=0.2", "adam:lr=0.02", "lbfgs:lr=0.5,max_iter=3"};
    for (size_t s = 0; s < 3; s++) {
        float whole[MAX_FLOATS], parts[MAX_FLOATS], start[MAX_FLOATS], again[MAX_FLOATS];
        tread_train_result expected, result;
        world w;
        world_build(&w, NULL, 0);
        weights_of(&w, start);
        world_destroy(&w);
        size_t n = accumulated(specs[s], 32, 1, whole, &expected);
        const int64_t sizes[] = {16, 8, 4, 5};
        for (int k = 0; k < 3; k++) {
            accumulated(specs[s], sizes[k], 32 / sizes[k], parts, &result);
            ck_assert_int_eq(result.steps, 9);
            ck_assert_int_eq(result.samples, 3 * N_TRAIN);
            double moved = 0, apart = 0;
            for (size_t i = 0; i < n; i++) {
                moved = fmax(moved, fabs((double)whole[i] - (double)start[i]));
                apart = fmax(apart, fabs((double)whole[i] - (double)parts[i]));
            }
            /* 9 steps of sums in float32: some units of 2^-24 each, which adam's and the line search's division
             * stretch. */
            ck_assert_msg(apart < 2e-5 * moved * (s == 0 ? 1 : 50) && moved > 0.05, "%s, batches of %d: %g of %g",
                          specs[s], (int)sizes[k], apart, moved);
        }
        accumulated(specs[s], 4, 8, again, &result);
        ck_assert_mem_eq(parts, again, n * sizeof *again);
    }
}
END_TEST

/* A line search goes back to the first batch for each point that it tries, which a thread that is ahead must follow. */
START_TEST(batches_made_ahead_are_the_same) {
    static const char *const specs[] = {"adam:lr=0.02", "lbfgs:lr=0.5,max_iter=3"};
    for (int s = 0; s < 2; s++) {
        uint64_t hashes[2];
        for (int ahead = 0; ahead < 2; ahead++) {
            world w;
            world_build(&w, NULL, 0.25);
            with_optimizer(&w, specs[s]);
            tread_batches_options bo = tread_batches_defaults();
            bo.batch_size = 16;
            bo.prefetch = ahead;
            tread_batches_destroy(w.train);
            w.train = tread_batches_create(NULL, w.train_set, &bo);
            tread_trainer_options o = world_options(&w, 3);
            o.accumulate = 2;
            run_to_the_end(&o, NULL);
            hashes[ahead] = world_hash(&w);
            world_destroy(&w);
        }
        ck_assert_uint_eq(hashes[0], hashes[1]);
    }
}
END_TEST

/* A source that fails in the middle of a step's batches: nothing has changed, and the step can be done again. */
typedef struct flaky {
    const float *x;
    const int32_t *y;
    int calls, fails_at;
} flaky;

static tread_status read_flaky(void *data, const int32_t *rows, int64_t n, void *ret_x, void *ret_y) {
    flaky *f = data;
    if (++f->calls == f->fails_at)
        return tread_fail(TREAD_ERROR_IO, "the disk is gone");
    for (int64_t i = 0; i < n; i++) {
        memcpy((float *)ret_x + i * FEATURES, f->x + (ptrdiff_t)rows[i] * FEATURES, FEATURES * sizeof(float));
        ((int32_t *)ret_y)[i] = f->y[rows[i]];
    }
    return TREAD_OK;
}

START_TEST(a_source_that_fails_leaves_the_run_as_it_was) {
    uint64_t expected = 0;
    for (int fails = 0; fails <= 12; fails++) { /* two calls of planning and ten batches; 0: never */
        world w;
        world_build(&w, NULL, 0.25);
        flaky f = {.x = tread_tensor_float(tread_dataset_x(w.train_set)),
                   .y = tread_dataset_y(w.train_set)->data,
                   .fails_at = fails};
        tread_source source = tread_source_defaults();
        source.count = N_TRAIN;
        source.x_rank = 1;
        source.x_shape[0] = FEATURES;
        source.classes = CLASSES;
        source.read = read_flaky;
        source.data = &f;
        tread_dataset *set = tread_dataset_from_source(&source);
        tread_batches_options bo = tread_batches_defaults();
        bo.batch_size = 16;
        tread_batches *batches = tread_batches_create(NULL, set, &bo);
        ck_assert_msg(batches != NULL, "%s", tread_last_error());
        tread_trainer_options o = world_options(&w, 2);
        o.train = batches;
        o.accumulate = 2;
        tread_trainer *trainer = tread_trainer_create(NULL, &o);
        ck_assert_msg(trainer != NULL, "%s", tread_last_error());
        if (fails > 0) {
            ck_assert_fails(tread_trainer_run(trainer), TREAD_ERROR_IO, "the disk is gone");
            ck_assert_int_lt(tread_trainer_result(trainer)->steps, 6);
        }
        ck_assert_ok(tread_trainer_run(trainer));
        ck_assert_int_eq(tread_trainer_result(trainer)->steps, 6);
        expected = fails == 0 ? world_hash(&w) : expected;
        ck_assert_uint_eq(world_hash(&w), expected);
        tread_trainer_destroy(trainer);
        tread_batches_destroy(batches);
        tread_dataset_destroy(set);
        world_destroy(&w);
    }
}
END_TEST

typedef struct losses {
    double loss[16];
    int64_t samples[16], steps_per_epoch;
    int n;
} losses;

static tread_action note_loss(void *data, tread_trainer *trainer, const tread_step_info *step) {
    losses *l = data;
    (void)trainer;
    l->loss[l->n] = step->loss;
    l->samples[l->n++] = step->samples;
    l->steps_per_epoch = step->steps_per_epoch;
    return TREAD_CONTINUE;
}

START_TEST(the_loss_of_a_step_is_the_mean_over_its_samples) {
    losses l[2] = {{.n = 0}};
    for (int k = 0; k < 2; k++) { /* the same weights for all: a learning rate of next to nothing */
        world w;
        world_build(&w, NULL, 0);
        with_optimizer(&w, "sgd:lr=1e-30");
        with_batches(&w, k == 0 ? 28 : 7, false);
        tread_callbacks callbacks = tread_callbacks_defaults();
        callbacks.on_step = note_loss;
        callbacks.data = &l[k];
        tread_trainer_options o = world_options(&w, 1);
        o.accumulate = k == 0 ? 1 : 4;
        o.callbacks = &callbacks;
        run_to_the_end(&o, NULL);
        world_destroy(&w);
    }
    ck_assert(l[0].n == 3 && l[1].n == 3 && l[0].steps_per_epoch == 3 && l[1].steps_per_epoch == 3);
    for (int i = 0; i < 3; i++) {
        ck_assert_int_eq(l[0].samples[i], i < 2 ? 28 : 14);
        ck_assert_int_eq(l[1].samples[i], l[0].samples[i]);
        ck_assert_double_eq_tol(l[0].loss[i], l[1].loss[i], 1e-6);
    }
}
END_TEST

/* ---- Clipping ---- */

/* One step of plain descent with lr 1 moves the weights by the clipped gradient. */
static size_t moved_by(double clip_norm, double clip_value, int64_t accumulate, float *ret_moved) {
    world w;
    float before[MAX_FLOATS];
    world_build(&w, NULL, 0);
    with_optimizer(&w, "sgd:lr=1");
    size_t n = weights_of(&w, before);
    tread_trainer_options o = world_options(&w, 1);
    o.test = NULL;
    o.clip_norm = clip_norm;
    o.clip_value = clip_value;
    o.accumulate = accumulate;
    o.max_steps = 1;
    tread_train_result result;
    run_to_the_end(&o, &result);
    ck_assert(result.steps == 1 && result.stop_reason == TREAD_STOP_STEPS);
    weights_of(&w, ret_moved);
    for (size_t i = 0; i < n; i++)
        ret_moved[i] -= before[i];
    world_destroy(&w);
    return n;
}

static double norm_of(const float *x, size_t n) {
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += (double)x[i] * (double)x[i];
    return sqrt(sum);
}

START_TEST(gradients_are_clipped_once_they_are_whole) {
    for (int64_t accumulate = 1; accumulate <= 3; accumulate++) {
        float free[MAX_FLOATS], clipped[MAX_FLOATS], limited[MAX_FLOATS];
        size_t n = moved_by(INFINITY, INFINITY, accumulate, free);
        double norm = norm_of(free, n), limit = norm / 3;
        moved_by(limit, INFINITY, accumulate, clipped);
        for (size_t i = 0; i < n; i++) /* one direction, a third of the way; the weights' own rounding is 2^-25 */
            ck_assert_double_eq_tol((double)clipped[i], (double)free[i] * limit / (norm + 1e-6), 2e-7);
        moved_by(norm * 2, INFINITY, accumulate, clipped);
        ck_assert_mem_eq(clipped, free, n * sizeof *free);
        moved_by(INFINITY, 0.02, accumulate, limited);
        bool any = false;
        for (size_t i = 0; i < n; i++) {
            double expected = fmax(-0.02, fmin(0.02, (double)free[i]));
            any |= fabs((double)free[i]) > 0.02;
            ck_assert_double_eq_tol((double)limited[i], expected, 2e-7);
        }
        ck_assert(any);
        moved_by(0.01, 0.02, accumulate, clipped); /* entries first, then the norm */
        double of_limited = norm_of(limited, n);
        for (size_t i = 0; i < n; i++)
            ck_assert_double_eq_tol((double)clipped[i], (double)limited[i] * 0.01 / of_limited, 2e-7);
    }
}
END_TEST

/* ---- Averages ---- */

typedef struct averaged {
    const world *w;
    double average[MAX_FLOATS];
    double decay;
    tread_trainer *trainer;
    uint64_t at_step;
} averaged;

static tread_action average_too(void *data, tread_trainer *trainer, const tread_step_info *step) {
    averaged *a = data;
    float now[MAX_FLOATS];
    (void)step;
    size_t n = weights_of(a->w, now);
    a->at_step = world_hash(a->w);
    ck_assert_ok(tread_trainer_use_weights(trainer, TREAD_WEIGHTS_AVERAGED)); /* and left so: the run finds its own */
    for (size_t i = 0; i < n; i++)
        a->average[i] = a->decay * a->average[i] + (1 - a->decay) * (double)now[i];
    return TREAD_CONTINUE;
}

START_TEST(averages_follow_the_weights_and_are_evaluated) {
    world w;
    world_build(&w, NULL, 0.25);
    averaged a = {.w = &w, .decay = 0.75};
    float start[MAX_FLOATS], now[MAX_FLOATS];
    size_t n = weights_of(&w, start);
    for (size_t i = 0; i < n; i++)
        a.average[i] = (double)start[i];
    tread_callbacks callbacks = tread_callbacks_defaults();
    callbacks.data = &a;
    callbacks.on_step = average_too;
    tread_trainer_options o = world_options(&w, 3);
    o.callbacks = &callbacks;
    o.ema_decay = 0.75;
    tread_trainer *trainer = tread_trainer_create(NULL, &o);
    ck_assert_ok(tread_trainer_run(trainer));
    ck_assert_ok(tread_trainer_use_weights(trainer, TREAD_WEIGHTS_TRAINING));
    ck_assert_uint_eq(world_hash(&w), a.at_step);
    double loss;
    ck_assert_uint_eq(a.at_step, world_uninterrupted(0.25, 3, &loss)); /* which averaging leaves alone */
    ck_assert_ok(tread_trainer_use_weights(trainer, TREAD_WEIGHTS_AVERAGED));
    ck_assert_int_eq(tread_trainer_held_weights(trainer), TREAD_WEIGHTS_AVERAGED);
    weights_of(&w, now);
    for (size_t i = 0; i < n; i++)
        ck_assert_double_eq_tol((double)now[i], a.average[i], 1e-6);
    tread_evaluation evaluation;
    ck_assert_ok(tread_trainer_evaluate(trainer, NULL, &evaluation));
    ck_assert(evaluation.loss == tread_trainer_result(trainer)->history[2].test_loss);
    ck_assert_ok(tread_trainer_use_weights(trainer, TREAD_WEIGHTS_TRAINING));
    ck_assert_uint_eq(world_hash(&w), a.at_step);
    ck_assert_ok(tread_trainer_evaluate(trainer, NULL, &evaluation)); /* finds the averages by itself */
    ck_assert(evaluation.loss == tread_trainer_result(trainer)->history[2].test_loss);
    ck_assert_uint_eq(world_hash(&w), a.at_step);
    ck_assert_fails(tread_trainer_use_weights(trainer, TREAD_WEIGHTS_BEST), TREAD_ERROR_STATE, "restore_best");
    tread_trainer_destroy(trainer);
    world_destroy(&w);
}
END_TEST

/* ---- What is not finite ---- */

typedef struct trouble {
    int64_t first, last; /* steps (from 1, tried ones) whose loss, or gradient, is bad */
    int64_t tried;
    bool gradient;
    int64_t batch; /* above 0: it is bad in this one of each epoch, in place of the above */
} trouble;

static tread_action count_batch(void *data, tread_trainer *trainer, const tread_batch *batch) {
    (void)trainer, (void)batch;
    ((trouble *)data)->tried++;
    return TREAD_CONTINUE;
}

/* Where it is bad: 0 / 0; or a gradient of sqrt at 0, which the loss does not show. */
static tread_tensor *troubled_loss(void *data, tread_tape *tape, tread_tensor *output, const tread_batch *batch) {
    const trouble *t = data;
    tread_tensor *loss = tread_cross_entropy(tape, output, batch->y);
    if (t->batch > 0 ? batch->index != t->batch : t->tried < t->first || t->tried > t->last)
        return loss;
    tread_tensor *zero = tread_sub(tape, loss, loss);
    return t->gradient ? tread_add(tape, loss, tread_sqrt(tape, zero))
                       : tread_add(tape, loss, tread_div(tape, zero, zero));
}

static tread_trainer *troubled(world *w, trouble *t, tread_callbacks *callbacks, tread_on_nonfinite policy,
                               int64_t accumulate) {
    world_build(w, NULL, 0);
    *callbacks = tread_callbacks_defaults();
    callbacks->data = t;
    callbacks->on_batch_begin = count_batch;
    tread_trainer_options o = world_options(w, 2);
    o.test = NULL;
    o.loss = troubled_loss;
    o.loss_data = t;
    o.callbacks = callbacks;
    o.nonfinite = policy;
    o.accumulate = accumulate;
    o.check_gradients = true;
    o.max_skipped = 2;
    tread_trainer *trainer = tread_trainer_create(NULL, &o);
    ck_assert_msg(trainer != NULL, "%s", tread_last_error());
    return trainer;
}

START_TEST(errors_name_batch_and_operation) {
    for (int gradient = 0; gradient < 2; gradient++) {
        world w;
        tread_callbacks callbacks;
        trouble t = {.first = 3, .last = 3, .gradient = gradient};
        tread_trainer *trainer = troubled(&w, &t, &callbacks, TREAD_ON_NONFINITE_ERROR, 1);
        ck_assert_fails(tread_trainer_run(trainer), TREAD_ERROR_NUMERIC, "epoch 1 of 2, batch 3 of 5: the ");
        const char *part = gradient ? "the gradient of 0.weight has the norm " : "the loss is nan";
        ck_assert_msg(strstr(tread_last_error(), part) != NULL, "%s", tread_last_error());
        part = gradient ? "the first operation whose backward gives such values is sqrt"
                        : "the first operation whose output is not finite is div";
        ck_assert_msg(strstr(tread_last_error(), part) != NULL, "%s", tread_last_error());
        ck_assert_int_eq(tread_trainer_result(trainer)->steps, 2);
        tread_trainer_destroy(trainer);
        world_destroy(&w);
    }
}
END_TEST

START_TEST(skipped_steps_are_counted_and_change_nothing) {
    for (int gradient = 0; gradient < 2; gradient++) {
        world w;
        tread_callbacks callbacks;
        trouble t = {.first = 3, .last = 4, .gradient = gradient};
        tread_trainer *trainer = troubled(&w, &t, &callbacks, TREAD_ON_NONFINITE_SKIP, 1);
        ck_assert_ok(tread_trainer_run(trainer));
        const tread_train_result *result = tread_trainer_result(trainer);
        ck_assert(result->stop_reason == TREAD_STOP_EPOCHS && result->skipped == 2 && result->steps == 8);
        ck_assert_int_eq(result->samples, 2 * N_TRAIN - 32);
        ck_assert(isfinite(result->history[0].train_loss) && result->history[0].steps == 3);
        tread_trainer_destroy(trainer);
        world_destroy(&w);
        t = (trouble){.batch = 2, .gradient = gradient}; /* four in all, and never two in a row */
        world_build(&w, NULL, 0);
        tread_trainer_options o = world_options(&w, 4);
        o.loss = troubled_loss;
        o.loss_data = &t;
        o.nonfinite = TREAD_ON_NONFINITE_SKIP;
        o.max_skipped = 1;
        o.test = NULL;
        tread_train_result all;
        run_to_the_end(&o, &all);
        ck_assert(all.skipped == 4 && all.steps == 16);
        world_destroy(&w);
        t = (trouble){.first = 3, .last = 5, .gradient = gradient}; /* one more in a row than max_skipped */
        trainer = troubled(&w, &t, &callbacks, TREAD_ON_NONFINITE_SKIP, 1);
        ck_assert_fails(tread_trainer_run(trainer), TREAD_ERROR_NUMERIC, "2 steps in a row were skipped before");
        ck_assert_int_eq(tread_trainer_result(trainer)->steps, 2);
        tread_trainer_destroy(trainer);
        world_destroy(&w);
    }
}
END_TEST

START_TEST(a_run_can_end_before_such_a_step) {
    world w;
    tread_callbacks callbacks;
    trouble t = {.first = 4, .last = 4};
    tread_trainer *trainer = troubled(&w, &t, &callbacks, TREAD_ON_NONFINITE_STOP, 1);
    ck_assert_ok(tread_trainer_run(trainer));
    ck_assert_int_eq(tread_trainer_result(trainer)->stop_reason, TREAD_STOP_NOT_FINITE);
    ck_assert_int_eq(tread_trainer_result(trainer)->steps, 3);
    ck_assert_ok(tread_trainer_run(trainer)); /* by then it is gone, and the batch is taken */
    ck_assert_int_eq(tread_trainer_result(trainer)->steps, 10);
    tread_trainer_destroy(trainer);
    world_destroy(&w);
}
END_TEST

/* The gradient of the step's second batch is bad: the tape of the third knows nothing of it. */
START_TEST(of_several_batches_the_bad_one_is_named) {
    world w;
    tread_callbacks callbacks;
    trouble t = {.batch = 1, .gradient = true};
    tread_trainer *trainer = troubled(&w, &t, &callbacks, TREAD_ON_NONFINITE_ERROR, 3);
    ck_assert_int_eq(tread_trainer_run(trainer), TREAD_ERROR_NUMERIC);
    ck_assert_msg(strstr(tread_last_error(), "epoch 1 of 2, batch 2 of 5") != NULL, "%s", tread_last_error());
    ck_assert_msg(strstr(tread_last_error(), "is sqrt") != NULL, "%s", tread_last_error());
    tread_trainer_destroy(trainer);
    world_destroy(&w);
}
END_TEST

/* ---- Refusals ---- */

START_TEST(options_out_of_range_are_refused) {
    world w;
    world_build(&w, NULL, 0);
    tread_trainer_options good = world_options(&w, 1), o = good;
#define REFUSED(change, sentence)                                                                                      \
    o = good;                                                                                                          \
    change;                                                                                                            \
    ck_assert_ptr_null(tread_trainer_create(NULL, &o));                                                                \
    ck_assert_msg(strstr(tread_last_error(), sentence) != NULL, "%s", tread_last_error());
    REFUSED(o.accumulate = 0, "accumulate = 0 is below 1");
    REFUSED(o.clip_norm = 0, "clip_norm = 0 is outside (0, inf]");
    REFUSED(o.clip_value = -1, "clip_value = -1 is outside (0, inf]");
    REFUSED(o.clip_value = NAN, "clip_value = ");
    REFUSED(o.nonfinite = (tread_on_nonfinite)3, "nonfinite = 3");
    REFUSED(o.max_skipped = -1, "max_skipped = -1");
    REFUSED(o.evaluate_every_steps = -1, "evaluate_every_steps = -1");
    REFUSED(o.monitor = (tread_monitor)2, "monitor = 2");
    REFUSED((o.monitor = TREAD_MONITOR_METRIC, o.test = NULL), "there is no test set");
    REFUSED(o.patience = -2, "patience = -2 is below -1");
    REFUSED(o.min_delta = INFINITY, "min_delta = inf");
    REFUSED(o.ema_decay = 1, "ema_decay = 1 is outside [0, 1)");
    REFUSED(o.max_steps = -1, "max_steps = -1");
    REFUSED(o.max_seconds = -1, "max_seconds = -1");
    REFUSED(o.checkpoint_every_steps = -1, "checkpoint_every_steps = -1");
    REFUSED(o.checkpoint_every_epochs = -1, "checkpoint_every_epochs = -1");
    REFUSED(o.checkpoint_every_seconds = NAN, "checkpoint_every_seconds");
    with_optimizer(&w, "lbfgs");
    good.optimizer = w.optimizer;
    REFUSED(o.clip_norm = 1, "clip_norm = 1: lbfgs searches along lines");
    with_optimizer(&w, "schedule_free_sgd");
    good.optimizer = w.optimizer;
    REFUSED(o.ema_decay = 0.9, "schedule_free_sgd has an average of its own");
    world_destroy(&w);
}
END_TEST

/* ---- Memory ---- */

static uint64_t calls_after_first;
static tread_action same_calls(void *data, tread_trainer *trainer, const tread_step_info *step) {
    (void)data, (void)trainer;
    if (step->step == 1)
        calls_after_first = tread_memory_calls();
    ck_assert_msg(tread_memory_calls() == calls_after_first, "step %lld allocated", (long long)step->step);
    return TREAD_CONTINUE;
}

START_TEST(nothing_is_allocated_after_the_first_step) {
    world w;
    world_build(&w, NULL, 0.25);
    tread_callbacks callbacks = tread_callbacks_defaults();
    callbacks.on_step = same_calls;
    callbacks.on_batch_begin = count_batch;
    trouble t = {.first = 0};
    callbacks.data = &t;
    tread_trainer_options o = world_options(&w, 4);
    o.callbacks = &callbacks;
    o.accumulate = 2;
    o.clip_norm = 0.5;
    o.clip_value = 0.1;
    o.ema_decay = 0.9;
    o.restore_best = true;
    o.patience = 3;
    o.evaluate_every_steps = 2;
    o.check_gradients = true;
    tread_trainer *trainer = tread_trainer_create(NULL, &o);
    ck_assert_ok(tread_trainer_run(trainer));
    ck_assert_uint_eq(tread_memory_calls(), calls_after_first);
    tread_trainer_destroy(trainer);
    world_destroy(&w);
}
END_TEST

TEST_MAIN("trainer_options", accumulated_steps_are_those_of_the_large_batch, batches_made_ahead_are_the_same,
          a_source_that_fails_leaves_the_run_as_it_was, the_loss_of_a_step_is_the_mean_over_its_samples,
          gradients_are_clipped_once_they_are_whole, averages_follow_the_weights_and_are_evaluated,
          errors_name_batch_and_operation, skipped_steps_are_counted_and_change_nothing,
          a_run_can_end_before_such_a_step, of_several_batches_the_bad_one_is_named, options_out_of_range_are_refused,
          nothing_is_allocated_after_the_first_step)
