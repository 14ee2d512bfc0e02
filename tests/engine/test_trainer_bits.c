/* What a run leaves alone, the same bits at any thread count, and memory. */
#include <math.h>
#include <string.h>

#include "core/memory.h"
#include "core/tensor.h"
#include "engine/train/trainer.h"
#include "tests/engine/world.h"
#include "tests/test.h"

/* --- Evaluation --- */

START_TEST(evaluation_leaves_everything_as_it_was) {
    world w;
    world_build(&w, NULL, 0.5);
    tread_trainer_options o = world_options(&w, 1);
    tread_trainer *trainer = tread_trainer_create(NULL, &o);
    ck_assert_ok(tread_trainer_run(trainer));
    uint64_t weights = world_hash(&w);
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
    ck_assert_uint_eq(world_hash(&w), weights);
    tread_rng after = tread_tape_rng(tread_trainer_tape(trainer));
    ck_assert_mem_eq(&rng, &after, sizeof rng);
    tread_trainer_destroy(trainer);
    world_destroy(&w);
}
END_TEST

START_TEST(planning_changes_nothing) {
    world w;
    world_build(&w, NULL, 0.5);
    tread_trainer_options o = world_options(&w, 1);
    tread_trainer *trainer = tread_trainer_create(NULL, &o);
    uint64_t weights = world_hash(&w);
    tread_rng before = tread_tape_rng(tread_trainer_tape(trainer));
    ck_assert_ok(tread_trainer_plan(trainer));
    tread_rng after = tread_tape_rng(tread_trainer_tape(trainer));
    ck_assert_mem_eq(&before, &after, sizeof before);
    ck_assert_uint_eq(world_hash(&w), weights);
    int64_t epoch, index;
    tread_batches_position(w.train, &epoch, &index);
    ck_assert(epoch == 0 && index == 0);
    tread_parameter_list list = tread_module_parameters(w.model);
    for (size_t i = 0; i < list.count; i++)
        ck_assert_ptr_null(tread_tensor_grad(tread_parameter_tensor(list.items[i])));
    tread_trainer_destroy(trainer);
    world_destroy(&w);
}
END_TEST

/* ---- Optimizers whose weights for use are others than those of training ---- */

typedef struct seen {
    const world *w;
    const tread_optimizer *optimizer;
    uint64_t at_step, at_forward, at_evaluation; /* hashes of the weights */
    bool training;                               /* at each callback */
} seen;

static tread_action see_step(void *data, tread_trainer *trainer, const tread_step_info *step) {
    seen *s = data;
    (void)trainer;
    (void)step;
    s->at_step = world_hash(s->w);
    s->training &= tread_optimizer_is_training(s->optimizer);
    return TREAD_CONTINUE;
}
static tread_action see_evaluation(void *data, tread_trainer *trainer, const tread_evaluation *evaluation) {
    seen *s = data;
    (void)trainer;
    (void)evaluation;
    s->at_evaluation = s->at_forward;
    s->training &= tread_optimizer_is_training(s->optimizer);
    return TREAD_CONTINUE;
}
static tread_tensor *see_forward(void *data, tread_tape *tape, const tread_batch *batch) {
    seen *s = data;
    s->at_forward = world_hash(s->w);
    return tread_forward(s->w->model, tape, batch->x);
}

START_TEST(evaluations_have_the_averaged_weights) {
    world w;
    world_build(&w, NULL, 0);
    tread_optimizer_destroy(w.optimizer);
    w.optimizer =
        tread_optimizer_from_spec(NULL, tread_module_parameters(w.model), "schedule_free_adamw:lr=0.02,warmup_steps=3");
    seen s = {.w = &w, .optimizer = w.optimizer, .training = true};
    tread_callbacks callbacks = tread_callbacks_defaults();
    callbacks.data = &s;
    callbacks.on_step = see_step;
    callbacks.on_evaluation = see_evaluation;
    tread_trainer_options o = world_options(&w, 3);
    o.callbacks = &callbacks;
    o.forward = see_forward;
    o.forward_data = &s;
    tread_trainer *trainer = tread_trainer_create(NULL, &o);
    uint64_t start = world_hash(&w);
    ck_assert_ok(tread_trainer_plan(trainer));
    ck_assert_uint_eq(world_hash(&w), start);
    ck_assert_ok(tread_trainer_run(trainer));
    ck_assert(s.training && tread_optimizer_is_training(w.optimizer));
    ck_assert_uint_ne(s.at_evaluation, s.at_step);
    /* What is saved is what was evaluated, and evaluating it again leaves it. */
    ck_assert_ok(tread_optimizer_set_training(w.optimizer, false));
    uint64_t averaged = world_hash(&w);
    tread_evaluation evaluation;
    ck_assert_ok(tread_trainer_evaluate(trainer, NULL, &evaluation));
    ck_assert_uint_eq(s.at_forward, averaged);
    ck_assert(!tread_optimizer_is_training(w.optimizer));
    ck_assert_uint_eq(world_hash(&w), averaged);
    double last = tread_trainer_result(trainer)->history[2].test_loss; /* of weights some roundings away */
    ck_assert_double_eq_tol(evaluation.loss, last, 1e-5 * last);
    /* Planning in mid-run, and a run that follows, which finds its mode. */
    ck_assert_ok(tread_trainer_plan(trainer));
    ck_assert_uint_eq(world_hash(&w), averaged);
    tread_trainer_destroy(trainer);
    trainer = tread_trainer_create(NULL, &o);
    ck_assert_ok(tread_trainer_run(trainer));
    ck_assert(s.training && tread_optimizer_is_training(w.optimizer));
    tread_trainer_destroy(trainer);
    world_destroy(&w);
}
END_TEST

START_TEST(accuracy_counts) {
    float logits[5 * 3] = {1, 2, 3, 3, 2, 1, 2, 2, 1, NAN, 5, 1, 0, 0, 0};
    int32_t labels[5] = {2, 1, 0, 0, 0};
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

/* --- Determinism and memory --- */

/* Trains, gives both losses of each epoch and the hash of the weights, and takes world and context down. */
static uint64_t run_and_destroy(tread_context *context, world *w, int epochs, double *ret_losses) {
    tread_trainer_options o = world_options(w, epochs);
    tread_trainer *trainer = tread_trainer_create(context, &o);
    ck_assert_ok(tread_trainer_run(trainer));
    for (int e = 0; e < epochs; e++) {
        ret_losses[2 * e] = tread_trainer_result(trainer)->history[e].train_loss;
        ret_losses[2 * e + 1] = tread_trainer_result(trainer)->history[e].test_loss;
    }
    uint64_t hash = world_hash(w);
    tread_trainer_destroy(trainer);
    world_destroy(w);
    tread_context_destroy(context);
    return hash;
}

static uint64_t run_with_threads(int threads, double *ret_losses) {
    tread_context_options co = tread_context_defaults();
    co.threads = threads;
    co.seed = 5;
    tread_context *context = tread_context_create(&co);
    world w;
    world_build(&w, context, 0.25);
    return run_and_destroy(context, &w, 3, ret_losses);
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
    return run_and_destroy(context, &w, 2, ret_losses);
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
    world_build(&w, NULL, 0);
    counter c = {0};
    tread_callbacks callbacks = tread_callbacks_defaults();
    callbacks.data = &c;
    callbacks.on_step = count_allocations;
    tread_trainer_options o = world_options(&w, 4);
    o.callbacks = &callbacks;
    tread_trainer *trainer = tread_trainer_create(NULL, &o);
    ck_assert_ok(tread_trainer_run(trainer)); /* short batches, evaluations and all */
    ck_assert_uint_eq(tread_memory_calls(), c.calls);
    tread_trainer_destroy(trainer);
    world_destroy(&w);
}
END_TEST

START_TEST(every_allocation_failing_in_creation_and_first_steps) {
    double loss;
    uint64_t expected = world_uninterrupted(0.25, 1, &loss);
    world w;
    world_build(&w, NULL, 0.25);
    uint64_t before = tread_memory_live_blocks();
    tread_trainer *trainer = NULL;
    tread_callbacks callbacks = tread_callbacks_defaults();
    tread_trainer_options o = world_options(&w, 1);
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
    ck_assert_uint_eq(world_hash(&w), expected);
    tread_trainer_destroy(trainer);
    world_destroy(&w);
    ck_assert_uint_eq(tread_memory_live_blocks(), 0);
}
END_TEST

TEST_MAIN("trainer_bits", evaluation_leaves_everything_as_it_was, planning_changes_nothing,
          evaluations_have_the_averaged_weights, accuracy_counts, same_seed_same_bits_at_any_thread_count,
          images_give_the_same_bits_at_any_thread_count, nothing_is_allocated_after_the_first_step,
          every_allocation_failing_in_creation_and_first_steps)
