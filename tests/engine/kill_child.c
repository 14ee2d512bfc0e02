/* A tiny run with checkpoints, for test_kill.c, which kills it and starts it again until it is done:
 *
 *     kill_child CASE THREADS FOLDER sync|background
 *
 * FOLDER "-": no checkpoints. Writes to descriptor 3 "+" when a checkpoint begins, and in the end "=" and the hash of
 * the state. It is a suite of its own, since what it shares with tests asserts. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/engine/run_case.h"
#include "tests/test.h"

#define MARKS 3

typedef struct child {
    tread_checkpoint_series *series;
    tread_callbacks callbacks;
    size_t number;
} child;

static tread_action tell(void *data, tread_trainer *trainer, const tread_checkpoint_info *checkpoint) {
    (void)data, (void)trainer, (void)checkpoint;
    return write(MARKS, "+", 1) == 1 ? TREAD_CONTINUE : TREAD_STOP;
}

static void save_often(void *data, tread_trainer_options *options) {
    child *c = data;
    c->callbacks = tread_callbacks_defaults();
    c->callbacks.on_checkpoint_begin = tell;
    options->callbacks = &c->callbacks;
    options->checkpoints = c->series;
    options->checkpoint_every_steps = 1 + (int64_t)(c->number % 3);
    options->checkpoint_every_epochs = 1;
    options->checkpoint_best = c->number % 2 == 0;
}

static char **arguments;

START_TEST(run_on) {
    child c = {.number = (size_t)atoi(arguments[1])};
    const run_case kind = run_case_at(c.number);
    const bool saves = strcmp(arguments[3], "-") != 0;
    tread_checkpoint_series_options options = tread_checkpoint_series_defaults();
    options.best = TREAD_BEST_MIN;
    options.keep = 2;
    options.background = strcmp(arguments[4], "background") == 0;
    if (saves)
        c.series = tread_checkpoint_series_open(arguments[3], &options);
    ck_assert_msg(!saves || c.series != NULL, "%s", tread_last_error());
    run r;
    int64_t step;
    char line[32];
    run_open(&r, &kind, atoi(arguments[2]), saves ? save_often : NULL, &c);
    if (saves) {
        ck_assert_ok(tread_trainer_resume(r.trainer, &step));
        const char *rejected = tread_checkpoint_series_rejected(c.series, 0);
        ck_assert_msg(rejected == NULL, "rejected: %s", rejected);
    }
    ck_assert_ok(tread_trainer_run(r.trainer));
    int length = snprintf(line, sizeof line, "=%016" PRIx64, run_hash(&r));
    tread_checkpoint_series_destroy(c.series);
    run_close(&r);
    ck_assert_int_eq(write(MARKS, line, (size_t)length), length);
}
END_TEST

TEST_SUITE("kill_child", run_on)

int main(int argc, char **argv) {
    arguments = argv;
    return argc == 5 ? run_suite() : EXIT_FAILURE;
}
