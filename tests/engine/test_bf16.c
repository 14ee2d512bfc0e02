/* Training in bf16: bits, resuming, memory, and that no optimizer, average or file leaves a copy of a weight behind
 * that is not the weight rounded. */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <tread/tread.h>

#include "core/bf16.h"
#include "core/memory.h"
#include "engine/train/trainer.h"
#include "tests/core/gemm_operands.h"
#include "tests/engine/files.h"
#include "tests/test.h"

/* Layers wide enough for bf16, but for the last. */
enum { SAMPLES = 150, INPUTS = 40, OUTPUTS = 5, BATCH = 32 };

typedef struct wide_world {
    tread_dataset *set;
    tread_batches *train, *test;
    tread_module *model;
    tread_optimizer *optimizer;
    tread_trainer *trainer;
    int64_t fresh; /* copies in use that check_copies has seen */
} wide_world;

static float inputs[SAMPLES * INPUTS];
static int32_t labels[SAMPLES];

/* Whenever the model runs, every copy that would be used holds its weight rounded. */
static tread_tensor *check_copies(void *data, tread_tape *tape, const tread_batch *batch) {
    wide_world *w = data;
    tread_parameter_list list = tread_module_parameters(w->model);
    for (size_t i = 0; i < list.count; i++) {
        const tread_tensor *x = tread_parameter_tensor(list.items[i]);
        if (!tread_bf16_is_fresh(x))
            continue;
        w->fresh++;
        for (int64_t k = 0; k < x->count; k++)
            ck_assert_msg(x->bf16[k] == tread_bf16_from_f32(((const float *)x->data)[k]),
                          "%s[%d]: the copy is 0x%04x, the weight %g", tread_parameter_name(list.items[i]), (int)k,
                          x->bf16[k], (double)((const float *)x->data)[k]);
    }
    return tread_forward(w->model, tape, batch->x);
}

static void wide_build(wide_world *w, tread_context *context, const char *optimizer) {
    tread_rng rng = tread_rng_create(3, 1);
    for (int i = 0; i < SAMPLES; i++) {
        labels[i] = i % OUTPUTS;
        for (int j = 0; j < INPUTS; j++)
            inputs[i * INPUTS + j] = (float)(tread_rng_normal(&rng) + (j % OUTPUTS == labels[i] ? 1 : 0));
    }
    *w = (wide_world){.set = tread_dataset_from_labels(SAMPLES, INPUTS, inputs, OUTPUTS, labels)};
    tread_batches_options bo = tread_batches_defaults();
    bo.batch_size = BATCH;
    w->train = tread_batches_create(context, w->set, &bo);
    w->test = tread_batches_create(context, w->set, &bo);
    tread_mlp_options mo = tread_mlp_defaults();
    mo.n_inputs = INPUTS;
    mo.hidden = (int64_t[]){48, 33};
    mo.n_hidden = 2;
    mo.n_outputs = OUTPUTS;
    mo.dropout = 0.1;
    w->model = tread_mlp(context, &mo);
    ck_assert_msg(w->train && w->test && w->model, "%s", tread_last_error());
    w->optimizer = tread_optimizer_from_groups(context, tread_module_parameters(w->model), optimizer, NULL);
    ck_assert_msg(w->optimizer != NULL, "%s: %s", optimizer, tread_last_error());
}

static tread_trainer_options wide_options(wide_world *w, tread_precision precision) {
    tread_trainer_options o = tread_trainer_defaults();
    o.model = w->model;
    o.optimizer = w->optimizer;
    o.train = w->train;
    o.test = w->test;
    o.epochs = 3;
    o.forward = check_copies;
    o.forward_data = w;
    o.precision = precision;
    return o;
}

static void wide_destroy(wide_world *w) {
    tread_trainer_destroy(w->trainer);
    tread_optimizer_destroy(w->optimizer);
    tread_module_destroy(w->model);
    tread_batches_destroy(w->train);
    tread_batches_destroy(w->test);
    tread_dataset_destroy(w->set);
}

static uint64_t wide_hash(const wide_world *w) {
    uint64_t hash = 14695981039346656037u;
    tread_parameter_list list = tread_module_parameters(w->model);
    for (size_t p = 0; p < list.count; p++) {
        const tread_tensor *x = tread_parameter_tensor(list.items[p]);
        for (size_t i = 0; i < tread_tensor_bytes(x); i++)
            hash = (hash ^ ((const uint8_t *)x->data)[i]) * 1099511628211u;
    }
    return hash;
}

static void start(wide_world *w, tread_context *context, const tread_trainer_options *o) {
    w->trainer = tread_trainer_create(context, o);
    ck_assert_msg(w->trainer != NULL, "%s", tread_last_error());
}

static uint64_t train(tread_context *context, const char *optimizer, tread_precision precision) {
    wide_world w;
    wide_build(&w, context, optimizer);
    tread_trainer_options o = wide_options(&w, precision);
    start(&w, context, &o);
    ck_assert_ok(tread_trainer_run(w.trainer));
    uint64_t hash = wide_hash(&w);
    wide_destroy(&w);
    return hash;
}

static bool has_bf16(const tread_context *context) {
    return tread_precision_check(context, TREAD_PRECISION_BF16) == TREAD_OK;
}

START_TEST(same_seed_same_bits_at_any_thread_count) {
    static const int counts[] = {1, 2, 3, 8};
    static const tread_backend backends[] = {TREAD_BACKEND_REF, TREAD_BACKEND_AUTO};
    for (int b = 0; b < 2; b++) {
        uint64_t first = 0;
        for (int i = 0; i < 4; i++) {
            tread_context *context = make_context(counts[i], backends[b]);
            if (has_bf16(context)) {
                uint64_t hash = train(context, "adam:lr=0.01", TREAD_PRECISION_BF16);
                first = i == 0 ? hash : first;
                ck_assert_msg(hash == first, "%d threads, back-end %d", counts[i], b);
                ck_assert_uint_ne(hash, train(context, "adam:lr=0.01", TREAD_PRECISION_FLOAT32));
            }
            tread_context_destroy(context);
        }
    }
}
END_TEST

/* Other weights, each with a copy that is up to date. */
static void set_with_copies(const wide_world *w, double value) {
    tread_parameter_list list = tread_module_parameters(w->model);
    for (size_t i = 0; i < list.count; i++) {
        tread_tensor *x = tread_parameter_tensor(list.items[i]);
        ck_assert_ok(tread_tensor_fill(x, value));
        ck_assert_ok(tread_bf16_ensure(x));
        tread_bf16_convert(NULL, x->data, x->bf16, x->count);
        tread_bf16_touch(x);
    }
}

START_TEST(every_optimizer_leaves_copies_that_are_right) {
    tread_context *context = make_context(2, TREAD_BACKEND_REF);
    test_folder_create();
    for (size_t type = 0; type < tread_optimizer_type_count(); type++) {
        const char *name = tread_optimizer_type_name(type);
        const bool solver = strcmp(name, "lbfgs") == 0, averages = strncmp(name, "schedule_free", 13) == 0;
        wide_world w;
        wide_build(&w, context, name);
        tread_trainer_options o = wide_options(&w, TREAD_PRECISION_BF16);
        o.evaluation_precision = TREAD_PRECISION_BF16;
        o.evaluate_every_steps = 2;
        o.ema_decay = averages ? 0 : 0.9;
        o.restore_best = true;
        o.clip_norm = solver ? INFINITY : 0.5;
        o.accumulate = 2;
        start(&w, context, &o);
        ck_assert_msg(tread_trainer_run(w.trainer) == TREAD_OK, "%s: %s", name, tread_last_error());
        tread_evaluation evaluation;
        for (int kind = 0; kind <= TREAD_WEIGHTS_BEST; kind++) {
            ck_assert_ok(tread_trainer_use_weights(w.trainer, (tread_weights_kind)kind));
            ck_assert_ok(tread_trainer_evaluate(w.trainer, NULL, &evaluation));
        }
        ck_assert_ok(tread_weights_save(tread_module_parameters(w.model), test_path("w.safetensors")));
        set_with_copies(&w, 0.01);
        ck_assert_ok(tread_weights_load(tread_module_parameters(w.model), test_path("w.safetensors"), NULL));
        ck_assert_ok(tread_trainer_evaluate(w.trainer, NULL, &evaluation));
        ck_assert_msg(w.fresh > 0, "%s: no copy was ever in use", name);
        wide_destroy(&w);
    }
    test_folder_remove();
    tread_context_destroy(context);
}
END_TEST

/* After k steps, in another model and trainer. */
START_TEST(a_resumed_run_ends_with_the_same_bits) {
    static const char *const specs[] = {"adam:lr=0.01", "sgd:lr=0.1,momentum=0.9", "schedule_free_adamw:lr=0.01",
                                        "muon:lr=0.01"};
    tread_context *context = make_context(2, has_bf16(NULL) ? TREAD_BACKEND_AUTO : TREAD_BACKEND_REF);
    for (size_t s = 0; s < sizeof specs / sizeof *specs; s++) {
        uint64_t expected = train(context, specs[s], TREAD_PRECISION_BF16);
        for (int64_t steps = 1; steps < 15; steps += 3) {
            wide_world one, two;
            wide_build(&one, context, specs[s]);
            tread_trainer_options o = wide_options(&one, TREAD_PRECISION_BF16);
            o.max_steps = steps;
            start(&one, context, &o);
            ck_assert_ok(tread_trainer_run(one.trainer));
            tread_state *state = tread_trainer_state(one.trainer);
            ck_assert_ptr_nonnull(state);
            wide_build(&two, context, specs[s]);
            o = wide_options(&two, TREAD_PRECISION_BF16);
            start(&two, context, &o);
            ck_assert_ok(tread_trainer_plan(two.trainer)); /* copies of other weights are there */
            ck_assert_ok(tread_trainer_load_state(two.trainer, state));
            ck_assert_ok(tread_trainer_run(two.trainer));
            ck_assert_msg(wide_hash(&two) == expected, "%s resumed at step %d", specs[s], (int)steps);
            tread_state_destroy(state);
            wide_destroy(&one);
            wide_destroy(&two);
        }
    }
    tread_context_destroy(context);
}
END_TEST

START_TEST(a_state_says_its_precision) {
    static const char *const sentences[] = {"options.precision: float32 in the checkpoint, bf16 in this run",
                                            "options.precision: bf16 in the checkpoint, float32 in this run"};
    tread_context *context = make_context(1, TREAD_BACKEND_REF);
    for (int saved = 0; saved < 2; saved++) {
        wide_world one, two;
        wide_build(&one, context, "adam");
        wide_build(&two, context, "adam");
        tread_trainer_options o = wide_options(&one, (tread_precision)saved);
        start(&one, context, &o);
        tread_state *state = tread_trainer_state(one.trainer);
        o = wide_options(&two, (tread_precision)!saved);
        start(&two, context, &o);
        ck_assert_fails(tread_trainer_load_state(two.trainer, state), TREAD_ERROR_FORMAT, sentences[saved]);
        tread_state_destroy(state);
        wide_destroy(&one);
        wide_destroy(&two);
    }
    tread_context_destroy(context);
}
END_TEST

START_TEST(evaluations_are_float32_unless_asked) {
    tread_context *context = make_context(1, TREAD_BACKEND_REF);
    wide_world w;
    wide_build(&w, context, "adam:lr=0.01");
    tread_trainer_options o = wide_options(&w, TREAD_PRECISION_BF16);
    start(&w, context, &o);
    ck_assert_ok(tread_trainer_run(w.trainer));
    tread_evaluation evaluations[3];
    ck_assert_ok(tread_trainer_evaluate(w.trainer, NULL, &evaluations[0]));
    for (int i = 1; i < 3; i++) {
        tread_trainer_destroy(w.trainer);
        o = wide_options(&w, TREAD_PRECISION_FLOAT32);
        o.evaluation_precision = (tread_precision)(i - 1);
        start(&w, context, &o);
        ck_assert_ok(tread_trainer_evaluate(w.trainer, NULL, &evaluations[i]));
    }
    ck_assert(evaluations[0].loss == evaluations[1].loss);
    ck_assert(evaluations[0].loss != evaluations[2].loss);
    ck_assert_double_eq_tol(evaluations[0].loss, evaluations[2].loss, 0.05 * evaluations[0].loss);
    wide_destroy(&w);
    tread_context_destroy(context);
}
END_TEST

START_TEST(a_precision_may_be_refused) {
    wide_world w;
    wide_build(&w, NULL, "adam");
    tread_trainer_options o = wide_options(&w, (tread_precision)7);
    ck_assert_ptr_null(tread_trainer_create(NULL, &o));
    ck_assert_msg(strstr(tread_last_error(), "precision 7") != NULL, "%s", tread_last_error());
    o = wide_options(&w, TREAD_PRECISION_BF16);
    if (!has_bf16(NULL)) {
        ck_assert_ptr_null(tread_trainer_create(NULL, &o));
        ck_assert_msg(strstr(tread_last_error(), "precision bf16") != NULL, "%s", tread_last_error());
    }
    wide_destroy(&w);
}
END_TEST

static tread_action count_allocations(void *data, tread_trainer *trainer, const tread_step_info *step) {
    uint64_t *calls = data;
    (void)trainer;
    if (step->step == 1)
        *calls = tread_memory_calls();
    ck_assert_msg(tread_memory_calls() == *calls, "step %d allocated", (int)step->step);
    return TREAD_CONTINUE;
}

START_TEST(nothing_is_allocated_after_the_first_step) {
    tread_context *context = make_context(2, has_bf16(NULL) ? TREAD_BACKEND_AUTO : TREAD_BACKEND_REF);
    wide_world w;
    uint64_t calls = 0;
    wide_build(&w, context, "adam");
    tread_callbacks callbacks = tread_callbacks_defaults();
    callbacks.data = &calls;
    callbacks.on_step = count_allocations;
    tread_trainer_options o = wide_options(&w, TREAD_PRECISION_BF16);
    o.evaluation_precision = TREAD_PRECISION_BF16;
    o.callbacks = &callbacks;
    start(&w, context, &o);
    ck_assert_ok(tread_trainer_run(w.trainer)); /* short batches, evaluations and all */
    ck_assert_uint_eq(tread_memory_calls(), calls);
    wide_destroy(&w);
    tread_context_destroy(context);
}
END_TEST

/* Each failure in creation, planning or the first steps leaves a run that goes on as if nothing had been. */
START_TEST(every_allocation_may_fail) {
    tread_context *context = make_context(1, TREAD_BACKEND_REF);
    uint64_t expected = train(context, "adam", TREAD_PRECISION_BF16);
    wide_world w;
    wide_build(&w, context, "adam");
    tread_trainer_options o = wide_options(&w, TREAD_PRECISION_BF16);
    for (uint64_t k = 1; w.trainer == NULL; k++) {
        tread_memory_fail_at(k);
        w.trainer = tread_trainer_create(context, &o);
        tread_memory_fail_at(0);
        ck_assert_uint_lt(k, 100);
    }
    uint64_t k = 1;
    for (bool failed = true; failed; k++) {
        tread_memory_fail_at(k);
        tread_status status = tread_trainer_run(w.trainer);
        failed = tread_memory_failed();
        tread_memory_fail_at(0);
        ck_assert_int_eq(status, failed ? TREAD_ERROR_MEMORY : TREAD_OK);
        ck_assert_uint_lt(k, 1000);
    }
    ck_assert_uint_gt(k, 20);
    ck_assert_uint_eq(wide_hash(&w), expected);
    wide_destroy(&w);
    tread_context_destroy(context);
}
END_TEST

TEST_MAIN("bf16", same_seed_same_bits_at_any_thread_count, every_optimizer_leaves_copies_that_are_right,
          a_resumed_run_ends_with_the_same_bits, a_state_says_its_precision, evaluations_are_float32_unless_asked,
          a_precision_may_be_refused, nothing_is_allocated_after_the_first_step, every_allocation_may_fail)
