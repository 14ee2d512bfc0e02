/* Checkpoints in the loop: when they are written, going on from them, and what is refused. */
#include <math.h>
#include <string.h>
#include <tread/checkpoint.h>

#include "core/memory.h"
#include "core/tensor.h"
#include "engine/checkpoint/snapshot.h"
#include "tests/engine/files.h"
#include "tests/engine/run_case.h"
#include "tests/engine/series_world.h"
#include "tests/test.h"

typedef struct saves {
    tread_checkpoint_series *series;
    tread_callbacks callbacks;
    int64_t every_steps, every_epochs, keep;
    double every_seconds;
    bool best, background, skip;
    tread_state *program;
    int64_t begun[64], n_begun, n_done, max_steps;
    double metrics[64];
} saves;

static tread_action begins(void *data, tread_trainer *trainer, const tread_checkpoint_info *checkpoint) {
    saves *s = data;
    (void)trainer;
    ck_assert_int_lt(s->n_begun, 64);
    s->metrics[s->n_begun] = checkpoint->metric;
    s->begun[s->n_begun++] = checkpoint->step;
    return s->skip ? TREAD_SKIP : TREAD_CONTINUE;
}
static tread_action done(void *data, tread_trainer *trainer, const tread_checkpoint_info *checkpoint) {
    (void)trainer, (void)checkpoint;
    ((saves *)data)->n_done++;
    return TREAD_CONTINUE;
}

static void change(void *data, tread_trainer_options *o) {
    saves *s = data;
    tread_checkpoint_series_options so = tread_checkpoint_series_defaults();
    so.keep = s->keep;
    so.best = TREAD_BEST_MIN;
    so.background = s->background;
    s->series = tread_checkpoint_series_open(test_path("."), &so);
    ck_assert_msg(s->series != NULL, "%s", tread_last_error());
    s->callbacks = tread_callbacks_defaults();
    s->callbacks.data = s;
    s->callbacks.on_checkpoint_begin = begins;
    s->callbacks.on_checkpoint = done;
    o->callbacks = &s->callbacks;
    o->checkpoints = s->series;
    o->checkpoint_every_steps = s->every_steps;
    o->checkpoint_every_epochs = s->every_epochs;
    o->checkpoint_every_seconds = s->every_seconds;
    o->checkpoint_best = s->best;
    o->program = s->program;
    o->max_steps = s->max_steps;
}

static void close_all(run *r, saves *s) {
    run_close(r);
    tread_checkpoint_series_destroy(s->series);
    s->series = NULL;
}

/* 20 steps in 4 epochs of 5. */
static void run_once(const run_case *c, saves *s) {
    run r;
    run_open(&r, c, 1, change, s);
    ck_assert_ok(tread_trainer_run(r.trainer));
    close_all(&r, s);
}

static const run_case plain = {.optimizer = "adam", .clip_norm = INFINITY, .accumulate = 1, .dropout = 0.25};

static void must_begin(const saves *s, const int64_t *steps, int64_t n) {
    ck_assert_int_eq(s->n_begun, n);
    ck_assert_int_eq(s->n_done, s->skip ? 0 : n);
    for (int64_t i = 0; i < n; i++)
        ck_assert_msg(s->begun[i] == steps[i], "checkpoint %lld at step %lld, not %lld", (long long)i,
                      (long long)s->begun[i], (long long)steps[i]);
}

START_TEST(they_are_written_when_told) {
    for (int background = 0; background < 2; background++) {
        test_folder_create();
        saves s = {.every_steps = 3, .keep = 2, .background = background};
        run_once(&plain, &s);
        must_begin(&s, (const int64_t[]){3, 6, 9, 12, 15, 18, 20}, 7); /* the last one at the end */
        ck_assert_int_eq(files_with(test_path("."), "step-"), 2);
        ck_assert_int_eq(files_with(test_path("."), "step-000000000020"), 1);
        test_folder_remove();
        test_folder_create();
        s = (saves){.every_epochs = 2, .every_steps = 5, .background = background};
        run_once(&plain, &s);
        must_begin(&s, (const int64_t[]){5, 10, 15, 20}, 4); /* one where both are due */
        ck_assert_int_eq(files_with(test_path("."), "step-"), 4);
        test_folder_remove();
    }
    test_folder_create();
    saves s = {.every_seconds = 1e-9};
    run_once(&plain, &s);
    ck_assert_int_ge(s.n_begun, 20);
    test_folder_remove();
    test_folder_create();
    s = (saves){.every_steps = 4, .skip = true};
    run_once(&plain, &s);
    must_begin(&s, (const int64_t[]){4, 8, 12, 16, 20}, 5);
    ck_assert_int_eq(files_with(test_path("."), "step-"), 0);
    test_folder_remove();
}
END_TEST

START_TEST(the_best_one_stays) {
    test_folder_create();
    saves s = {.best = true, .keep = 1};
    run r;
    run_open(&r, &plain, 1, change, &s);
    ck_assert_ok(tread_trainer_run(r.trainer));
    const tread_train_result *result = tread_trainer_result(r.trainer);
    tread_state *best;
    int64_t step;
    double metric;
    ck_assert_ok(tread_checkpoint_series_best(s.series, &best, &step, &metric));
    ck_assert_ptr_nonnull(best);
    ck_assert(step == result->best_step && metric == result->best);
    /* One at each evaluation that is the best so far, and one at the end. */
    int64_t n = 0, last = 0;
    double lowest = INFINITY;
    for (int64_t e = 0; e < result->n_history; e++) {
        if (result->history[e].test_loss >= lowest)
            continue;
        lowest = result->history[e].test_loss;
        ck_assert(s.begun[n] == result->history[e].steps && s.metrics[n] == result->history[e].test_loss);
        last = s.begun[n++];
    }
    ck_assert_int_ge(n, 2);
    ck_assert_int_eq(s.n_begun, n + (last < result->steps));
    tread_state_destroy(best);
    close_all(&r, &s);
    test_folder_remove();
    /* Between evaluations a checkpoint has nothing to be compared by. */
    test_folder_create();
    s = (saves){.best = true, .every_steps = 1, .keep = 1};
    run_once(&plain, &s);
    ck_assert_int_eq(s.n_begun, 20);
    for (int64_t i = 0; i < 20; i++)
        ck_assert_int_eq(isfinite(s.metrics[i]) != 0, (i + 1) % 5 == 0);
    test_folder_remove();
}
END_TEST

START_TEST(the_newest_good_one_is_gone_on_from) {
    run r;
    run_open(&r, &plain, 1, NULL, NULL);
    ck_assert_ok(tread_trainer_run(r.trainer));
    const uint64_t expected = run_hash(&r);
    int64_t step = 7;
    ck_assert_fails(tread_trainer_resume(r.trainer, &step), TREAD_ERROR_STATE, "no series of checkpoints");
    ck_assert_fails(tread_trainer_checkpoint(r.trainer), TREAD_ERROR_STATE, "no series of checkpoints");
    run_close(&r);
    test_folder_create();
    saves s = {.every_steps = 3, .max_steps = 13};
    run_open(&r, &plain, 1, change, &s);
    ck_assert_ok(tread_trainer_resume(r.trainer, &step));
    ck_assert_int_eq(step, -1);
    ck_assert_ok(tread_trainer_run(r.trainer));
    close_all(&r, &s);
    size_t n;
    uint8_t *bytes = test_read(test_path("step-000000000013.safetensors"), &n);
    test_write(test_path("step-000000000013.safetensors"), bytes, n - 1); /* the newest is not good */
    free(bytes);
    s = (saves){.every_steps = 3};
    run_open(&r, &plain, 2, change, &s);
    ck_assert_ok(tread_trainer_resume(r.trainer, &step));
    ck_assert_int_eq(step, 12);
    ck_assert_ptr_nonnull(tread_checkpoint_series_rejected(s.series, 0));
    ck_assert_int_eq(tread_trainer_result(r.trainer)->steps, 12);
    ck_assert_int_eq(tread_trainer_result(r.trainer)->n_history, 2);
    ck_assert_ok(tread_trainer_run(r.trainer));
    ck_assert_uint_eq(run_hash(&r), expected);
    ck_assert_int_eq(s.begun[0], 15);
    close_all(&r, &s);
    const run_case other = {.optimizer = "adamw", .clip_norm = INFINITY, .accumulate = 1};
    s = (saves){.every_steps = 3};
    run_open(&r, &other, 1, change, &s);
    step = 7;
    ck_assert_int_eq(tread_trainer_resume(r.trainer, &step), TREAD_ERROR_FORMAT);
    ck_assert_int_eq(step, 7);
    ck_assert_fails(tread_trainer_resume(r.trainer, NULL), TREAD_ERROR_ARGUMENT, "NULL");
    close_all(&r, &s);
    test_folder_remove();
}
END_TEST

/* ---- Refusals ---- */

static tread_state *state_after(const run_case *c) {
    run r;
    run_open(&r, c, 1, NULL, NULL);
    ck_assert_ok(tread_trainer_run(r.trainer));
    tread_state *state = tread_trainer_state(r.trainer);
    ck_assert_msg(state != NULL, "%s", tread_last_error());
    run_close(&r);
    return state;
}

START_TEST(another_run_is_refused_with_every_difference) {
    tread_state *state = state_after(&plain);
    run_case other = {.optimizer = "adamw",
                      .scheduler = "exponential_lr:gamma=0.9",
                      .every = TREAD_EVERY_STEP,
                      .clip_norm = 0.5,
                      .accumulate = 2,
                      .ema_decay = 0.9,
                      .restore_best = true};
    run r;
    run_open(&r, &other, 1, NULL, NULL);
    uint64_t before = run_hash(&r);
    ck_assert_int_eq(tread_trainer_load_state(r.trainer, state), TREAD_ERROR_FORMAT);
    const char *const parts[] = {"options.accumulate: 1, not 2",
                                 "options.clip_norm: is in this run alone",
                                 "options.ema_decay: ",
                                 "options.schedule_every: -1, not 1",
                                 "options.restore_best: 0, not 1",
                                 "ema",
                                 "best",
                                 "schedulers",
                                 "adamw"};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        ck_assert_msg(strstr(tread_last_error(), parts[i]) != NULL, "\"%s\" lacks \"%s\"", tread_last_error(),
                      parts[i]);
    ck_assert_uint_eq(run_hash(&r), before);
    ck_assert_ok(tread_trainer_run(r.trainer)); /* as if nothing had been */
    uint64_t after = run_hash(&r);
    run_close(&r);
    tread_state *expected = state_after(&other);
    ck_assert_uint_eq(after, run_state_hash(expected));
    tread_state_destroy(expected);
    tread_state_destroy(state);
}
END_TEST

static void other_data(void *data, tread_trainer_options *o) { o->train = data; }

START_TEST(other_data_is_refused) {
    tread_state *state = state_after(&plain);
    world w;
    world_build(&w, NULL, 0);
    ck_assert_ok(tread_dataset_normalize(w.train_set, 0.5, 2));
    tread_batches_options bo = tread_batches_defaults();
    bo.batch_size = 14;
    bo.seed = 99;
    tread_batches *batches = tread_batches_create(NULL, w.train_set, &bo);
    run r;
    run_open(&r, &plain, 1, other_data, batches);
    ck_assert_int_eq(tread_trainer_load_state(r.trainer, state), TREAD_ERROR_FORMAT);
    const char *const parts[] = {"data.batch_size: 16, not 14", "data.seed: 7, not 99", "data.set.mean",
                                 "data.set.std"};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        ck_assert_msg(strstr(tread_last_error(), parts[i]) != NULL, "\"%s\" lacks \"%s\"", tread_last_error(),
                      parts[i]);
    run_close(&r);
    tread_batches_destroy(batches);
    world_destroy(&w);
    tread_state_destroy(state);
}
END_TEST

/* As many samples of the same shape, of which one value is another, in x or in y, or which stand in another order. */
START_TEST(other_values_are_refused) {
    tread_state *state = state_after(&plain);
    world w;
    int32_t order[N_TRAIN];
    for (int32_t i = 0; i < N_TRAIN; i++)
        order[i] = N_TRAIN - 1 - i;
    world_build(&w, NULL, 0);
    tread_dataset *reversed = tread_dataset_subset(w.train_set, order, N_TRAIN);
    tread_batches_options bo = tread_batches_defaults();
    bo.batch_size = 16;
    bo.seed = 7;
    tread_batches *batches = tread_batches_create(NULL, reversed, &bo);
    for (int k = 0; k < 4; k++) {
        run r;
        run_open(&r, &plain, 1, k == 3 ? other_data : NULL, batches);
        ((float *)tread_dataset_x(r.w.train_set)->data)[N_TRAIN * FEATURES - 1] += k == 1 ? 0.25f : 0;
        ((int32_t *)tread_dataset_y(r.w.train_set)->data)[N_TRAIN - 1] += k == 2 ? 1 : 0;
        if (k == 0)
            ck_assert_ok(tread_trainer_load_state(r.trainer, state));
        else
            ck_assert_fails(tread_trainer_load_state(r.trainer, state), TREAD_ERROR_FORMAT,
                            "data.hash: the data set has other values");
        run_close(&r);
    }
    tread_batches_destroy(batches);
    tread_dataset_destroy(reversed);
    world_destroy(&w);
    tread_state_destroy(state);
}
END_TEST

/* The state with another number in one of its parts, or with none for value NULL. */
static tread_state *with_number(const tread_state *state, const char *part, const char *name, const int64_t *value) {
    tread_snapshot rest = {.state = NULL}, changed = {.state = NULL};
    ck_assert_ok(tread_snapshot_take(&rest, state, part, false));
    ck_assert_ok(tread_snapshot_take(&changed, tread_state_find(state, part), name, false));
    if (value != NULL)
        ck_assert_ok(tread_state_add_integer(changed.state, name, *value));
    ck_assert_ok(tread_state_add_state(rest.state, part, changed.state));
    return rest.state;
}

static void must_refuse(const tread_state *state, const char *part) {
    run r;
    run_open(&r, &plain, 1, NULL, NULL);
    uint64_t before = run_hash(&r);
    ck_assert_fails(tread_trainer_load_state(r.trainer, state), TREAD_ERROR_FORMAT, part);
    ck_assert_uint_eq(run_hash(&r), before);
    run_close(&r);
}

/* Each part missing, or a number that cannot be. */
START_TEST(damaged_states_are_refused) {
    static const char *const names[] = {"model", "optimizer", "random", "trainer",
                                        "time",  "options",   "data",   "history"};
    tread_state *state = state_after(&plain);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        tread_snapshot without = {.state = NULL};
        ck_assert_ok(tread_snapshot_take(&without, state, names[i], true));
        must_refuse(without.state, names[i]);
        tread_snapshot_free(&without);
    }
    const struct {
        const char *name;
        int64_t value;
        const char *part;
    } numbers[] = {{"steps", -1, "steps is -1, below 0"},
                   {"step_in_epoch", 6, "step_in_epoch is 6, and an epoch has 5"},
                   {"n_history", 9, "n_history does not go with 4 epochs"},
                   {"n_history", 3, "the history is float64 (4, 7), expected float64 (3, 7)"}};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        tread_state *changed = with_number(state, "trainer", numbers[i].name, &numbers[i].value);
        must_refuse(changed, numbers[i].part);
        tread_state_destroy(changed);
    }
    static const char *const fields[] = {"loss_sum", "lr", "steps", "best_step"};
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
        tread_state *changed = with_number(state, "trainer", fields[i], NULL);
        must_refuse(changed, fields[i]);
        tread_state_destroy(changed);
    }
    tread_state *timeless = with_number(state, "time", "train_seconds", NULL);
    must_refuse(timeless, "train_seconds");
    tread_state_destroy(timeless);
    const tread_tensor *history;
    const double wrong[] = {NAN, INFINITY, -1, 0.5, 1e300};
    ck_assert_ok(tread_state_get_tensor(state, "history", &history));
    for (int i = 0; i < 15; i++) { /* in each of epoch, steps and closure calls */
        double *at = (double *)history->data + 7 + i % 3, before = *at;
        *at = wrong[i / 3];
        must_refuse(state, "the history's row 1 has ");
        *at = before;
    }
    tread_state_destroy(state);
}
END_TEST

/* ---- Program, memory ---- */

START_TEST(the_programs_own_options_travel_along) {
    test_folder_create();
    saves s = {.every_steps = 10, .program = tread_state_create()};
    ck_assert_ok(tread_state_add_string(s.program, "name", "mine"));
    tread_state *inner = tread_state_add_list(s.program, "sizes");
    ck_assert_ok(tread_state_add_integer(inner, NULL, 512));
    run_once(&plain, &s);
    tread_state *state;
    const tread_state *program;
    const char *name;
    ck_assert_ok(tread_checkpoint_load(test_path("step-000000000020.safetensors"), &state));
    ck_assert_ok(tread_state_get(state, "program", TREAD_STATE_TREE, &program));
    ck_assert_ok(tread_state_get_string(program, "name", &name));
    ck_assert_str_eq(name, "mine");
    ck_assert_int_eq(tread_state_count(tread_state_find(program, "sizes")), 1);
    tread_state_destroy(state);
    tread_state_destroy(s.program);
    test_folder_remove();
}
END_TEST

START_TEST(every_allocation_failing_leaves_the_run_as_it_was) {
    const run_case c = {.optimizer = "adam",
                        .scheduler = "exponential_lr:gamma=0.9",
                        .every = TREAD_EVERY_STEP,
                        .clip_norm = INFINITY,
                        .accumulate = 2,
                        .ema_decay = 0.9,
                        .restore_best = true};
    tread_state *state = state_after(&c), *taken = NULL;
    run r;
    run_open(&r, &c, 1, NULL, NULL);
    const uint64_t before = run_hash(&r), after = run_state_hash(state);
    const uint64_t blocks = tread_memory_live_blocks();
    for (uint64_t k = 1; taken == NULL; k++) {
        tread_memory_fail_at(k);
        taken = tread_trainer_state(r.trainer);
        tread_memory_fail_at(0);
        ck_assert(taken != NULL || tread_memory_live_blocks() == blocks);
        ck_assert_uint_lt(k, 5000);
    }
    ck_assert_uint_eq(run_state_hash(taken), before);
    tread_state_destroy(taken);
    bool failed = true;
    for (uint64_t k = 1; failed; k++) {
        tread_memory_fail_at(k);
        tread_status status = tread_trainer_load_state(r.trainer, state);
        failed = tread_memory_failed();
        tread_memory_fail_at(0);
        ck_assert_int_eq(status, failed ? TREAD_ERROR_MEMORY : TREAD_OK);
        ck_assert_uint_eq(run_hash(&r), failed ? before : after);
        ck_assert_uint_lt(k, 5000);
    }
    run_close(&r);
    tread_state_destroy(state);
    ck_assert_uint_eq(tread_memory_live_blocks(), 0);
}
END_TEST

/* Wherever memory is short, the run fails, and goes on when asked again. */
START_TEST(every_allocation_failing_in_a_run_that_saves) {
    const run_case c = {.optimizer = "adam",
                        .clip_norm = INFINITY,
                        .accumulate = 2,
                        .ema_decay = 0.9,
                        .restore_best = true,
                        .dropout = 0.25,
                        .evaluate_every_steps = 2};
    tread_state *state = state_after(&c);
    const uint64_t expected = run_state_hash(state);
    tread_state_destroy(state);
    test_folder_create();
    saves s = {.every_steps = 1, .best = true, .keep = 1};
    run r;
    run_open(&r, &c, 1, change, &s);
    bool failed = true;
    int failures = 0;
    for (uint64_t k = 1; failed; k += 1 + k / 4) {
        tread_memory_fail_at(k);
        tread_status status = tread_trainer_run(r.trainer);
        failed = tread_memory_failed();
        tread_memory_fail_at(0);
        ck_assert_int_eq(status, failed ? TREAD_ERROR_MEMORY : TREAD_OK);
        failures += failed;
        s.n_begun = 0;
    }
    ck_assert_int_ge(failures, 10);
    ck_assert_uint_eq(run_hash(&r), expected);
    close_all(&r, &s);
    saves again = {.keep = 1}; /* and what was saved last is that */
    int64_t step;
    run_open(&r, &c, 1, change, &again);
    ck_assert_ok(tread_trainer_resume(r.trainer, &step));
    ck_assert_uint_eq(run_hash(&r), expected);
    close_all(&r, &again);
    test_folder_remove();
}
END_TEST

/* Taken while the model holds other weights than those of training, it is the same. */
START_TEST(states_are_the_same_whatever_the_model_holds) {
    const run_case c = {
        .optimizer = "adam", .clip_norm = INFINITY, .accumulate = 1, .ema_decay = 0.5, .restore_best = true};
    run r;
    run_open(&r, &c, 1, NULL, NULL);
    ck_assert_ok(tread_trainer_run(r.trainer));
    ck_assert_int_eq(tread_trainer_held_weights(r.trainer), TREAD_WEIGHTS_BEST);
    const uint64_t best = run_hash(&r), weights = world_hash(&r.w);
    ck_assert_uint_eq(world_hash(&r.w), weights);
    ck_assert_ok(tread_trainer_use_weights(r.trainer, TREAD_WEIGHTS_AVERAGED));
    ck_assert_uint_eq(run_hash(&r), best);
    ck_assert_ok(tread_trainer_use_weights(r.trainer, TREAD_WEIGHTS_TRAINING));
    ck_assert_uint_eq(run_hash(&r), best);
    ck_assert_ok(tread_trainer_use_weights(r.trainer, TREAD_WEIGHTS_BEST));
    ck_assert_uint_eq(world_hash(&r.w), weights);
    tread_state *state = state_after(&plain); /* one that is refused changes nothing of that */
    ck_assert_int_eq(tread_trainer_load_state(r.trainer, state), TREAD_ERROR_FORMAT);
    ck_assert_int_eq(tread_trainer_held_weights(r.trainer), TREAD_WEIGHTS_BEST);
    ck_assert_uint_eq(world_hash(&r.w), weights);
    tread_state_destroy(state);
    state = tread_trainer_state(r.trainer);
    ck_assert_ok(tread_trainer_load_state(r.trainer, state));
    ck_assert_int_eq(tread_trainer_held_weights(r.trainer), TREAD_WEIGHTS_TRAINING);
    ck_assert_uint_eq(run_hash(&r), best);
    tread_state_destroy(state);
    run_close(&r);
}
END_TEST

TEST_MAIN("trainer_checkpoints", they_are_written_when_told, the_best_one_stays, the_newest_good_one_is_gone_on_from,
          another_run_is_refused_with_every_difference, other_data_is_refused, other_values_are_refused,
          damaged_states_are_refused, the_programs_own_options_travel_along,
          every_allocation_failing_leaves_the_run_as_it_was, every_allocation_failing_in_a_run_that_saves,
          states_are_the_same_whatever_the_model_holds)
