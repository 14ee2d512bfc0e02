#include <math.h>
#include <signal.h>
#include <string.h>
#include <tread/lr_scheduler.h>
#include <tread/models.h>
#include <tread/ops.h>
#include <tread/trainer.h>

#include "core/memory.h"
#include "core/status.h"
#include "core/tensor.h"
#include "engine/trainer.h"
#include "tests/test.h"

/* A problem of 70 samples of 6 features in 3 classes that a small network learns. */
enum { N_TRAIN = 70, N_TEST = 25, FEATURES = 6, CLASSES = 3 };

typedef struct world {
    tread_context *context;
    tread_dataset *train_set, *test_set;
    tread_batches *train, *test;
    tread_module *model;
    tread_optimizer *optimizer;
} world;

static float train_x[N_TRAIN * FEATURES], test_x[N_TEST * FEATURES];
static int32_t train_y[N_TRAIN], test_y[N_TEST];

static void draw(float *x, int32_t *y, int n, uint64_t seed) {
    tread_rng rng = tread_rng_create(seed, 1);
    for (int i = 0; i < n; i++) {
        y[i] = i % CLASSES;
        for (int j = 0; j < FEATURES; j++)
            x[i * FEATURES + j] = (float)(0.3 * tread_rng_normal(&rng) + (j % CLASSES == y[i] ? 1 : 0));
    }
}

static void build_with(world *w, tread_context *context, double dropout) {
    memset(w, 0, sizeof *w);
    draw(train_x, train_y, N_TRAIN, 1);
    draw(test_x, test_y, N_TEST, 2);
    w->context = context;
    w->train_set = tread_dataset_from_labels(N_TRAIN, FEATURES, train_x, CLASSES, train_y);
    w->test_set = tread_dataset_from_labels(N_TEST, FEATURES, test_x, CLASSES, test_y);
    tread_batches_options options = tread_batches_defaults();
    options.batch_size = 16; /* 5 batches, the last of 6 */
    w->train = tread_batches_create(context, w->train_set, &options);
    w->test = tread_batches_create(context, w->test_set, &options);
    tread_mlp_options mlp = tread_mlp_defaults();
    mlp.n_inputs = FEATURES;
    mlp.hidden = (int64_t[]){8};
    mlp.n_hidden = 1;
    mlp.n_outputs = CLASSES;
    mlp.dropout = dropout;
    w->model = tread_mlp(context, &mlp);
    ck_assert_msg(w->model != NULL, "%s", tread_last_error());
    w->optimizer = tread_optimizer_from_spec(context, tread_module_parameters(w->model), "adam:lr=0.02");
    ck_assert_msg(w->train && w->test && w->optimizer, "%s", tread_last_error());
}

static void build(world *w) { build_with(w, NULL, 0); }

static void destroy(world *w) {
    tread_optimizer_destroy(w->optimizer);
    tread_module_destroy(w->model);
    tread_batches_destroy(w->train);
    tread_batches_destroy(w->test);
    tread_dataset_destroy(w->train_set);
    tread_dataset_destroy(w->test_set);
}

static tread_trainer_options options_of(const world *w, int64_t epochs) {
    tread_trainer_options o = tread_trainer_defaults();
    o.model = w->model;
    o.optimizer = w->optimizer;
    o.train = w->train;
    o.test = w->test;
    o.epochs = epochs;
    return o;
}

static uint64_t hash_weights(const world *w) {
    uint64_t hash = 14695981039346656037u;
    tread_parameter_list list = tread_module_parameters(w->model);
    for (size_t p = 0; p < list.count; p++) {
        const tread_tensor *tensor = tread_parameter_tensor(list.items[p]);
        for (size_t i = 0; i < tread_tensor_bytes(tensor); i++)
            hash = (hash ^ ((const uint8_t *)tensor->data)[i]) * 1099511628211u;
    }
    return hash;
}

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
    build(&w);
    seen s = {0}, also = {0};
    tread_callbacks callbacks = callbacks_of(&s), second = callbacks_of(&also);
    tread_trainer_options o = options_of(&w, 12);
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
    destroy(&w);
    ck_assert_uint_eq(tread_memory_live_blocks(), 0);
}
END_TEST

START_TEST(evaluations_only_where_wanted) {
    for (int64_t every = 0; every <= 4; every++) {
        world w;
        build(&w);
        tread_trainer_options o = options_of(&w, 7);
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
        destroy(&w);
    }
}
END_TEST

/* --- Stopping anywhere, and going on --- */

static uint64_t uninterrupted(double dropout, int64_t epochs, double *ret_loss) {
    world w;
    build_with(&w, NULL, dropout);
    tread_trainer_options o = options_of(&w, epochs);
    tread_trainer *trainer = tread_trainer_create(NULL, &o);
    ck_assert_ok(tread_trainer_run(trainer));
    *ret_loss = tread_trainer_result(trainer)->history[epochs - 1].train_loss;
    uint64_t hash = hash_weights(&w);
    tread_trainer_destroy(trainer);
    destroy(&w);
    return hash;
}

START_TEST(stopped_at_any_step_it_goes_on_to_the_same_bits) {
    double expected_loss, dropout = 0.25;
    uint64_t expected = uninterrupted(dropout, 3, &expected_loss);
    for (int64_t stop = 1; stop <= 15; stop++)
        for (int request = 0; request < 2; request++) {
            world w;
            build_with(&w, NULL, dropout);
            seen s = {.stop_at_step = stop, .request = request};
            tread_callbacks callbacks = callbacks_of(&s);
            tread_trainer_options o = options_of(&w, 3);
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
            ck_assert_uint_eq(hash_weights(&w), expected);
            tread_trainer_destroy(trainer);
            destroy(&w);
        }
}
END_TEST

START_TEST(other_ways_to_stop) {
    world w;
    build(&w);
    seen s = {.stop_at_epoch = 2};
    tread_callbacks callbacks = callbacks_of(&s);
    tread_trainer_options o = options_of(&w, 5);
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
    destroy(&w);
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
    build(&w);
    tread_callbacks callbacks = tread_callbacks_defaults();
    callbacks.on_step = raise_it;
    tread_trainer_options o = options_of(&w, 5);
    o.callbacks = &callbacks;
    signalled = tread_trainer_create(NULL, &o);
    signal(SIGUSR1, on_signal);
    ck_assert_ok(tread_trainer_run(signalled));
    signal(SIGUSR1, SIG_DFL);
    ck_assert_int_eq(tread_trainer_result(signalled)->stop_reason, TREAD_STOP_REQUESTED);
    ck_assert_int_eq(tread_trainer_result(signalled)->steps, 3);
    tread_trainer_destroy(signalled);
    destroy(&w);
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
    uint64_t expected = uninterrupted(0, 2, &expected_loss);
    world w;
    build(&w);
    tread_trainer_options o = options_of(&w, 2);
    o.closure = counting;
    closure_calls = 0;
    tread_trainer *trainer = tread_trainer_create(NULL, &o);
    ck_assert_ok(tread_trainer_run(trainer));
    ck_assert_int_eq(closure_calls, 10);
    ck_assert_uint_eq(hash_weights(&w), expected);
    tread_trainer_destroy(trainer);
    o.closure_data = &w;
    trainer = tread_trainer_create(NULL, &o);
    ck_assert_fails(tread_trainer_run(trainer), TREAD_ERROR_CALLBACK, "closure said no in batch 0");
    ck_assert_uint_eq(hash_weights(&w), expected);
    tread_trainer_destroy(trainer);
    destroy(&w);
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
    build(&w);
    int calls = 0;
    tread_trainer_options o = options_of(&w, 2);
    o.loss = bad_loss;
    o.loss_data = &calls;
    tread_trainer *trainer = tread_trainer_create(NULL, &o);
    ck_assert_fails(tread_trainer_run(trainer), TREAD_ERROR_NUMERIC, "epoch 1 of 2, batch 3 of 5: the loss is ");
    ck_assert_ptr_nonnull(strstr(tread_last_error(), "nan"));
    ck_assert_int_eq(tread_trainer_result(trainer)->stop_reason, TREAD_STOP_NOT_FINITE);
    ck_assert_int_eq(tread_trainer_result(trainer)->steps, 2);
    tread_trainer_destroy(trainer);
    uint64_t after = hash_weights(&w);
    destroy(&w);

    build(&w); /* two steps that went well leave the same */
    seen s = {.stop_at_step = 2};
    tread_callbacks callbacks = callbacks_of(&s);
    o = options_of(&w, 2);
    o.callbacks = &callbacks;
    trainer = tread_trainer_create(NULL, &o);
    ck_assert_ok(tread_trainer_run(trainer));
    ck_assert_uint_eq(hash_weights(&w), after);
    tread_trainer_destroy(trainer);
    destroy(&w);
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
    build(&w);
    tread_trainer_options good = options_of(&w, 1), o = good;
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
    tread_dataset *narrow = tread_dataset_from_labels(10, 2, test_x, CLASSES, test_y);
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
    destroy(&w);
}
END_TEST

/* --- Evaluation --- */

START_TEST(evaluation_leaves_everything_as_it_was) {
    world w;
    build_with(&w, NULL, 0.5);
    tread_trainer_options o = options_of(&w, 1);
    tread_trainer *trainer = tread_trainer_create(NULL, &o);
    ck_assert_ok(tread_trainer_run(trainer));
    uint64_t weights = hash_weights(&w);
    tread_rng rng = tread_tape_rng(tread_trainer_tape(trainer));
    tread_evaluation first, second, third;
    ck_assert_ok(tread_batches_seek(w.test, 4, 1));
    ck_assert_ok(tread_trainer_evaluate(trainer, NULL, &first));
    int64_t epoch, index;
    tread_batches_position(w.test, &epoch, &index);
    ck_assert(epoch == 4 && index == 0);
    ck_assert_ok(tread_trainer_evaluate(trainer, w.test, &second));
    ck_assert(first.loss == second.loss && first.metric == second.metric);
    ck_assert_ok(tread_trainer_evaluate(trainer, w.train, &third));
    ck_assert_int_eq(third.samples, N_TRAIN);
    ck_assert(tread_module_is_training(w.model));
    ck_assert(tread_grad_enabled());
    ck_assert_uint_eq(hash_weights(&w), weights);
    tread_rng after = tread_tape_rng(tread_trainer_tape(trainer));
    ck_assert_mem_eq(&rng, &after, sizeof rng);
    tread_trainer_destroy(trainer);
    destroy(&w);
}
END_TEST

START_TEST(planning_changes_nothing) {
    world w;
    build_with(&w, NULL, 0.5);
    tread_trainer_options o = options_of(&w, 1);
    tread_trainer *trainer = tread_trainer_create(NULL, &o);
    uint64_t weights = hash_weights(&w);
    tread_rng before = tread_tape_rng(tread_trainer_tape(trainer));
    ck_assert_ok(tread_trainer_plan(trainer));
    tread_rng after = tread_tape_rng(tread_trainer_tape(trainer));
    ck_assert_mem_eq(&before, &after, sizeof before);
    ck_assert_uint_eq(hash_weights(&w), weights);
    int64_t epoch, index;
    tread_batches_position(w.train, &epoch, &index);
    ck_assert(epoch == 0 && index == 0);
    tread_parameter_list list = tread_module_parameters(w.model);
    for (size_t i = 0; i < list.count; i++)
        ck_assert_ptr_null(tread_tensor_grad(tread_parameter_tensor(list.items[i])));
    tread_trainer_destroy(trainer);
    destroy(&w);
}
END_TEST

START_TEST(accuracy_counts) {
    float logits[5 * 3] = {1, 2, 3, 3, 2, 1, 2, 2, 1, NAN, 5, 1, 0, 0, 0};
    int32_t labels[5] = {2, 1, 0, 1, 0};
    tread_tensor *output = tread_tensor_wrap(TREAD_FLOAT32, 2, (int64_t[]){5, 3}, logits);
    tread_tensor *y = tread_tensor_wrap(TREAD_INT32, 1, (int64_t[]){5}, labels);
    tread_batch batch = {.y = y, .count = 5};
    double sum, weight;
    ck_assert_ok(tread_accuracy.batch(NULL, output, &batch, &sum, &weight));
    ck_assert(sum == 3 && weight == 5); /* rows 0, 2 (first of equals), 4; a NaN is wrong */
    batch.count = 4;
    ck_assert_fails(tread_accuracy.batch(NULL, output, &batch, &sum, &weight), TREAD_ERROR_SHAPE, "(4, classes)");
    batch.y = NULL;
    ck_assert_fails(tread_accuracy.batch(NULL, output, &batch, &sum, &weight), TREAD_ERROR_DTYPE, "no class labels");
    tread_tensor_destroy(output);
    tread_tensor_destroy(y);
}
END_TEST

/* --- Schedulers --- */

START_TEST(schedulers_step_when_told) {
    for (int every = TREAD_EVERY_EPOCH; every <= TREAD_EVERY_STEP; every++) {
        world w;
        build(&w);
        tread_lr_scheduler *scheduler = tread_lr_scheduler_from_spec(w.optimizer, "step_lr:step_size=1,gamma=0.5");
        ck_assert_msg(scheduler != NULL, "%s", tread_last_error());
        tread_trainer_options o = options_of(&w, 3);
        o.scheduler = scheduler;
        o.schedule_every = (tread_schedule_every)every;
        tread_trainer *trainer = tread_trainer_create(NULL, &o);
        ck_assert_ok(tread_trainer_run(trainer));
        for (int e = 0; e < 3; e++) /* the lr of the epoch's last step, which no later scheduler step has changed */
            ck_assert(tread_trainer_result(trainer)->history[e].lr ==
                      ldexp(0.02, every == TREAD_EVERY_EPOCH ? -e : -(5 * e + 4)));
        tread_trainer_destroy(trainer);
        tread_lr_scheduler_destroy(scheduler);
        destroy(&w);
    }
}
END_TEST

/* --- Determinism and memory --- */

static uint64_t run_with_threads(int threads, double *ret_losses) {
    tread_context_options co = tread_context_defaults();
    co.threads = threads;
    co.seed = 5;
    tread_context *context = tread_context_create(&co);
    world w;
    build_with(&w, context, 0.25);
    tread_trainer_options o = options_of(&w, 3);
    tread_trainer *trainer = tread_trainer_create(context, &o);
    ck_assert_ok(tread_trainer_run(trainer));
    for (int e = 0; e < 3; e++) {
        ret_losses[2 * e] = tread_trainer_result(trainer)->history[e].train_loss;
        ret_losses[2 * e + 1] = tread_trainer_result(trainer)->history[e].test_loss;
    }
    uint64_t hash = hash_weights(&w);
    tread_trainer_destroy(trainer);
    destroy(&w);
    tread_context_destroy(context);
    return hash;
}

START_TEST(same_seed_same_bits_at_any_thread_count) {
    double expected_losses[6], losses[6];
    uint64_t expected = run_with_threads(1, expected_losses);
    const int counts[] = {1, 2, 3, 8};
    for (int i = 0; i < 4; i++) {
        ck_assert_uint_eq(run_with_threads(counts[i], losses), expected);
        ck_assert_mem_eq(losses, expected_losses, sizeof losses);
    }
}
END_TEST

/* Sizes at which kernels, products and the optimizer do run on several threads. */
static uint64_t run_images(int threads, double *ret_losses) {
    enum { N = 600, PIXELS = 784 };
    static uint8_t images[N * PIXELS];
    static int32_t labels[N];
    tread_context_options co = tread_context_defaults();
    co.threads = threads;
    tread_context *context = tread_context_create(&co);
    world w = {.context = context};
    for (int i = 0; i < N * PIXELS; i++)
        images[i] = (uint8_t)((i / PIXELS % 10 * 37 + i % PIXELS) * (i % 13) % 256);
    for (int i = 0; i < N; i++)
        labels[i] = i % 10;
    tread_tensor *x = tread_tensor_wrap(TREAD_UINT8, 3, (int64_t[]){N, 28, 28}, images);
    tread_tensor *y = tread_tensor_wrap(TREAD_INT32, 1, (int64_t[]){N}, labels);
    w.train_set = tread_dataset_from_tensors(x, y, 10);
    tread_tensor_destroy(x);
    tread_tensor_destroy(y);
    tread_batches_options options = tread_batches_defaults();
    options.batch_size = 256;
    w.train = tread_batches_create(context, w.train_set, &options);
    w.test = tread_batches_create(context, w.train_set, &options);
    tread_mlp_options mlp = tread_mlp_defaults();
    mlp.n_inputs = PIXELS;
    mlp.hidden = (int64_t[]){512, 256};
    mlp.n_hidden = 2;
    mlp.n_outputs = 10;
    mlp.dropout = 0.1;
    w.model = tread_mlp(context, &mlp);
    w.optimizer = tread_optimizer_from_spec(context, tread_module_parameters(w.model), "adam");
    tread_trainer_options o = options_of(&w, 2);
    tread_trainer *trainer = tread_trainer_create(context, &o);
    ck_assert_ok(tread_trainer_run(trainer));
    for (int e = 0; e < 2; e++) {
        ret_losses[2 * e] = tread_trainer_result(trainer)->history[e].train_loss;
        ret_losses[2 * e + 1] = tread_trainer_result(trainer)->history[e].test_loss;
    }
    uint64_t hash = hash_weights(&w);
    tread_trainer_destroy(trainer);
    destroy(&w);
    tread_context_destroy(context);
    return hash;
}

START_TEST(images_give_the_same_bits_at_any_thread_count) {
    double expected_losses[4], losses[4];
    uint64_t expected = run_images(1, expected_losses);
    const int counts[] = {1, 2, 3, 8};
    for (int i = 0; i < 4; i++) {
        ck_assert_uint_eq(run_images(counts[i], losses), expected);
        ck_assert_mem_eq(losses, expected_losses, sizeof losses);
    }
}
END_TEST

typedef struct counter {
    uint64_t calls;
} counter;

static tread_action count_allocations(void *data, tread_trainer *trainer, const tread_step_info *step) {
    counter *c = data;
    (void)trainer;
    if (step->step == 1)
        c->calls = tread_memory_calls();
    ck_assert_msg(tread_memory_calls() == c->calls, "step %lld allocated", (long long)step->step);
    return TREAD_CONTINUE;
}

START_TEST(nothing_is_allocated_after_the_first_step) {
    world w;
    build(&w);
    counter c = {0};
    tread_callbacks callbacks = tread_callbacks_defaults();
    callbacks.data = &c;
    callbacks.on_step = count_allocations;
    tread_trainer_options o = options_of(&w, 4);
    o.callbacks = &callbacks;
    tread_trainer *trainer = tread_trainer_create(NULL, &o);
    ck_assert_ok(tread_trainer_run(trainer)); /* short batches, evaluations and all */
    ck_assert_uint_eq(tread_memory_calls(), c.calls);
    tread_trainer_destroy(trainer);
    destroy(&w);
}
END_TEST

START_TEST(every_allocation_failing_in_creation_and_first_steps) {
    double loss;
    uint64_t expected = uninterrupted(0.25, 1, &loss);
    world w;
    build_with(&w, NULL, 0.25);
    uint64_t before = tread_memory_live_blocks();
    tread_trainer *trainer = NULL;
    seen s = {0};
    tread_callbacks callbacks = callbacks_of(&s);
    tread_trainer_options o = options_of(&w, 1);
    o.callbacks = &callbacks;
    for (uint64_t k = 1; trainer == NULL; k++) {
        tread_memory_fail_at(k);
        trainer = tread_trainer_create(NULL, &o);
        tread_memory_fail_at(0);
        ck_assert(trainer != NULL || tread_memory_live_blocks() == before);
        ck_assert_uint_lt(k, 100);
    }
    /* Each failure in planning, first step or history leaves a trainer that goes on as if nothing had been. */
    for (uint64_t k = 1, failed = 1; failed; k++) {
        tread_memory_fail_at(k);
        tread_status status = tread_trainer_run(trainer);
        failed = tread_memory_failed();
        tread_memory_fail_at(0);
        ck_assert_int_eq(status, failed ? TREAD_ERROR_MEMORY : TREAD_OK);
        ck_assert_uint_lt(k, 1000);
    }
    ck_assert_int_eq(tread_trainer_result(trainer)->steps, 5);
    ck_assert_uint_eq(hash_weights(&w), expected);
    tread_trainer_destroy(trainer);
    destroy(&w);
    ck_assert_uint_eq(tread_memory_live_blocks(), 0);
}
END_TEST

TEST_MAIN("trainer", a_run_learns_and_tells, evaluations_only_where_wanted,
          stopped_at_any_step_it_goes_on_to_the_same_bits, other_ways_to_stop, a_signal_handler_may_stop_it,
          the_closure_can_be_replaced_and_evaluated_again, a_loss_that_is_not_finite_changes_nothing, what_is_refused,
          evaluation_leaves_everything_as_it_was, planning_changes_nothing, accuracy_counts, schedulers_step_when_told,
          same_seed_same_bits_at_any_thread_count, images_give_the_same_bits_at_any_thread_count,
          nothing_is_allocated_after_the_first_step, every_allocation_failing_in_creation_and_first_steps)
