/* L-BFGS in the trainer: MNIST as one batch, dropout that stands still within a step, clipping that finds nothing to
 * do, runs that are stopped, and values that are not finite. */
#include <math.h>
#include <string.h>
#include <tread/models.h>
#include <tread/ops.h>
#include <tread/optimizers.h>

#include "core/memory.h"
#include "core/status.h"
#include "tests/engine/world.h"
#include "tests/test.h"

/* ---- MNIST ---- */

enum { IMAGES = 2000, STEPS = 3, MOST_CALLS = 80 };

static tread_dataset *first_images(const tread_dataset *all) {
    tread_tensor *x = tread_tensor_rows(tread_dataset_x(all), 0, IMAGES);
    tread_tensor *y = tread_tensor_rows(tread_dataset_y(all), 0, IMAGES);
    tread_dataset *first = tread_dataset_from_tensors(x, y, 10);
    ck_assert_msg(first != NULL, "%s", tread_last_error());
    double mean, std;
    tread_dataset_normalization(all, &mean, &std);
    ck_assert_ok(tread_dataset_normalize(first, mean, std));
    tread_tensor_destroy(x);
    tread_tensor_destroy(y);
    return first;
}

static double train_on(tread_batches *batches, tread_module *model, int64_t steps, int64_t *ret_calls) {
    tread_lbfgs_options lbfgs = tread_lbfgs_defaults();
    lbfgs.line_search = TREAD_LINE_SEARCH_STRONG_WOLFE;
    tread_trainer_options o = tread_trainer_defaults();
    o.model = model;
    o.optimizer = tread_lbfgs(NULL, tread_module_parameters(model), &lbfgs);
    o.train = batches;
    o.epochs = steps; /* of one batch */
    tread_trainer *trainer = tread_trainer_create(NULL, &o);
    ck_assert_msg(trainer != NULL, "%s", tread_last_error());
    ck_assert_ok(tread_trainer_run(trainer));
    const tread_train_result *result = tread_trainer_result(trainer);
    ck_assert_int_eq(result->steps, steps);
    *ret_calls = 0;
    for (int64_t e = 0; e < steps; e++)
        *ret_calls += result->history[e].closure_calls;
    tread_evaluation evaluation;
    ck_assert_ok(tread_trainer_evaluate(trainer, batches, &evaluation));
    tread_trainer_destroy(trainer);
    tread_optimizer_destroy(o.optimizer);
    return evaluation.metric;
}

START_TEST(mnist_as_one_batch) {
    char folder[4096];
    tread_dataset *all, *test;
    ck_assert_ok(tread_data_locate(NULL, folder, sizeof folder));
    ck_assert_ok(tread_mnist_load(NULL, folder, &all, &test));
    tread_dataset *first = first_images(all);
    tread_batches_options one = tread_batches_defaults();
    one.batch_size = IMAGES;
    tread_batches *batches = tread_batches_create(NULL, first, &one);
    tread_mlp_options mlp = tread_mlp_defaults();
    mlp.n_inputs = 784;
    mlp.hidden = (int64_t[]){32};
    mlp.n_hidden = 1;
    mlp.n_outputs = 10;
    tread_module *model = tread_mlp(NULL, &mlp);
    int64_t calls;
    const double accuracy = train_on(batches, model, STEPS, &calls);
    ck_assert_msg(accuracy >= 0.99 && calls <= MOST_CALLS,
                  "%d steps of L-BFGS on %d images took %d closure calls, and the accuracy on them is %.2f %%", STEPS,
                  IMAGES, (int)calls, 100 * accuracy);
    tread_module_destroy(model);
    tread_batches_destroy(batches);
    tread_dataset_destroy(first);
    tread_dataset_destroy(all);
    tread_dataset_destroy(test);
}
END_TEST

/* ---- The small world of 5 batches ---- */

static void use_lbfgs(world *w, const char *spec) {
    tread_optimizer_destroy(w->optimizer);
    w->optimizer = tread_optimizer_from_spec(w->context, tread_module_parameters(w->model), spec);
    ck_assert_msg(w->optimizer != NULL, "%s", tread_last_error());
}

typedef struct seen {
    int64_t steps, calls, stop_at;
} seen;
static tread_action on_step(void *data, tread_trainer *trainer, const tread_step_info *step) {
    seen *s = data;
    ck_assert_int_eq(step->closure_calls, tread_optimizer_closure_calls(tread_trainer_optimizer(trainer)));
    s->calls += step->closure_calls;
    return ++s->steps == s->stop_at ? TREAD_STOP : TREAD_CONTINUE;
}

static uint64_t run_world(double dropout, const char *spec, int64_t stop_at, int64_t *ret_calls) {
    world w;
    world_build(&w, NULL, dropout);
    use_lbfgs(&w, spec);
    seen s = {.stop_at = stop_at};
    tread_callbacks callbacks = tread_callbacks_defaults();
    callbacks.data = &s;
    callbacks.on_step = on_step;
    tread_trainer_options o = world_options(&w, 3);
    o.callbacks = &callbacks;
    tread_trainer *trainer = tread_trainer_create(NULL, &o);
    ck_assert_msg(trainer != NULL, "%s", tread_last_error());
    ck_assert_ok(tread_trainer_run(trainer));
    if (stop_at > 0) {
        ck_assert_int_eq(tread_trainer_result(trainer)->steps, stop_at);
        ck_assert_ok(tread_trainer_run(trainer));
    }
    const tread_train_result *result = tread_trainer_result(trainer);
    ck_assert_int_eq(result->steps, 15);
    ck_assert_double_gt(result->history[2].test_accuracy, 0.9);
    *ret_calls = 0;
    for (int e = 0; e < 3; e++)
        *ret_calls += result->history[e].closure_calls;
    ck_assert_int_eq(*ret_calls, s.calls);
    const uint64_t hash = world_hash(&w);
    tread_trainer_destroy(trainer);
    world_destroy(&w);
    return hash;
}

START_TEST(it_trains_tells_its_calls_and_goes_on_after_a_stop) {
    static const char *const specs[] = {"lbfgs:line_search=strong_wolfe,max_iter=5", "lbfgs:max_iter=4,lr=0.5"};
    for (int s = 0; s < 2; s++) {
        int64_t calls, again;
        const uint64_t hash = run_world(0.25, specs[s], 0, &calls);
        ck_assert_int_gt(calls, 15);
        for (int64_t stop = 1; stop <= 15; stop += 4) {
            ck_assert_uint_eq(run_world(0.25, specs[s], stop, &again), hash);
            ck_assert_int_eq(again, calls);
        }
    }
    int64_t calls;
    run_world(0, "sgd:lr=0.5,momentum=0.9", 0, &calls);
    ck_assert_int_eq(calls, 15);
}
END_TEST

/* With dropout the parameters of a step that moves nothing have the same loss at each call. */
static double losses[8];
static int n_losses;
static tread_status recording(void *data, tread_trainer *trainer, const tread_batch *batch, double *ret_loss) {
    (void)data;
    TREAD_TRY(tread_trainer_closure(trainer, batch, ret_loss));
    losses[n_losses++ % 8] = *ret_loss;
    return TREAD_OK;
}

START_TEST(dropout_stands_still_within_a_step) {
    world w;
    world_build(&w, NULL, 0.5);
    use_lbfgs(&w, "lbfgs:lr=1e-30,tolerance_change=0,max_iter=4"); /* too short to move a float */
    tread_trainer_options o = world_options(&w, 1);
    o.closure = recording;
    tread_callbacks callbacks = tread_callbacks_defaults();
    seen s = {.stop_at = 2};
    callbacks.data = &s;
    callbacks.on_step = on_step;
    o.callbacks = &callbacks;
    tread_trainer *trainer = tread_trainer_create(NULL, &o);
    n_losses = 0;
    ck_assert_ok(tread_trainer_run(trainer));
    ck_assert_int_eq(n_losses, 8);
    for (int i = 0; i < 8; i++)
        ck_assert_double_eq(losses[i], losses[i / 4 * 4]);
    ck_assert_double_ne(losses[0], losses[4]);
    tread_trainer_destroy(trainer);
    world_destroy(&w);
}
END_TEST

/* A gradient of the batch's second call is NaN, and the loss of the third step's first. */
static tread_status breaking(void *data, tread_trainer *trainer, const tread_batch *batch, double *ret_loss) {
    int *calls = data;
    TREAD_TRY(tread_trainer_closure(trainer, batch, ret_loss));
    tread_parameter *first = tread_module_parameters(tread_trainer_model(trainer)).items[0];
    if (++*calls == 3 || *calls == 2)
        ((float *)tread_tensor_data(tread_tensor_grad(tread_parameter_tensor(first))))[1] = NAN;
    return TREAD_OK;
}

START_TEST(values_that_are_not_finite) {
    world w;
    world_build(&w, NULL, 0);
    use_lbfgs(&w, "lbfgs:line_search=strong_wolfe");
    int calls = 0;
    tread_trainer_options o = world_options(&w, 2);
    o.closure = breaking;
    o.closure_data = &calls;
    tread_trainer *trainer = tread_trainer_create(NULL, &o);
    const uint64_t hash = world_hash(&w);
    /* The first step leaves its only trial, the second cannot begin. */
    ck_assert_fails(tread_trainer_run(trainer), TREAD_ERROR_NUMERIC,
                    "lbfgs: the gradient where the step begins is not finite: parameter '0.weight', entry 1");
    ck_assert_int_eq(tread_trainer_result(trainer)->stop_reason, TREAD_STOP_NOT_FINITE);
    ck_assert_int_eq(tread_trainer_result(trainer)->steps, 1);
    ck_assert_uint_eq(world_hash(&w), hash);
    ck_assert_ok(tread_trainer_run(trainer));
    ck_assert_double_gt(tread_trainer_result(trainer)->history[1].test_accuracy, 0.9);
    tread_trainer_destroy(trainer);
    world_destroy(&w);
}
END_TEST

static tread_action count_allocations(void *data, tread_trainer *trainer, const tread_step_info *step) {
    uint64_t *calls = data;
    (void)trainer;
    if (step->step > 1)
        ck_assert_uint_eq(tread_memory_calls(), *calls);
    *calls = tread_memory_calls();
    return TREAD_CONTINUE;
}

START_TEST(steps_allocate_nothing) {
    world w;
    world_build(&w, NULL, 0);
    use_lbfgs(&w, "lbfgs:line_search=strong_wolfe");
    uint64_t calls = 0;
    tread_callbacks callbacks = tread_callbacks_defaults();
    callbacks.data = &calls;
    callbacks.on_step = count_allocations;
    tread_trainer_options o = world_options(&w, 1);
    o.test = NULL;
    o.callbacks = &callbacks;
    tread_trainer *trainer = tread_trainer_create(NULL, &o);
    ck_assert_ok(tread_trainer_run(trainer));
    tread_trainer_destroy(trainer);
    world_destroy(&w);
    ck_assert_uint_eq(tread_memory_live_blocks(), 0);
}
END_TEST

TEST_MAIN("lbfgs", it_trains_tells_its_calls_and_goes_on_after_a_stop, dropout_stands_still_within_a_step,
          values_that_are_not_finite, steps_allocate_nothing, mnist_as_one_batch)
