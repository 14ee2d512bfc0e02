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

TEST_MAIN("trainer_state", resumed_after_any_step_it_ends_with_the_same_bits)
