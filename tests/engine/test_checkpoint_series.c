#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <tread/checkpoint.h>
#include <tread/checkpoint_series.h>
#include <unistd.h>

#include "core/memory.h"
#include "engine/file_system.h"
#include "tests/engine/files.h"
#include "tests/engine/series_world.h"
#include "tests/test.h"

static tread_checkpoint_series *open_series(int64_t keep, tread_best best, bool background) {
    tread_checkpoint_series_options o = tread_checkpoint_series_defaults();
    o.keep = keep;
    o.best = best;
    o.background = background;
    tread_checkpoint_series *series = tread_checkpoint_series_open(test_path("run"), &o);
    ck_assert_msg(series != NULL, "%s", tread_last_error());
    return series;
}

static tread_checkpoint_series *open_read_only(void) {
    tread_checkpoint_series_options o = tread_checkpoint_series_defaults();
    o.read_only = true;
    return tread_checkpoint_series_open(test_path("run"), &o);
}

static void save(tread_checkpoint_series *series, int64_t step, double metric) {
    tread_state *state = series_state(step);
    ck_assert_ok(tread_checkpoint_series_save(series, step, state, metric));
    tread_state_destroy(state);
}

static void check_latest(tread_checkpoint_series *series, int64_t expected) {
    tread_state *state;
    int64_t step = 77;
    ck_assert_ok(tread_checkpoint_series_latest(series, &state, &step));
    ck_assert_int_eq(step, expected);
    ck_assert_int_eq(state == NULL ? -1 : series_step_of(state), expected);
    tread_state_destroy(state);
}

static void check_best(tread_checkpoint_series *series, int64_t expected, double expected_metric) {
    tread_state *state;
    int64_t step = 77;
    double metric = 77;
    ck_assert_ok(tread_checkpoint_series_best(series, &state, &step, &metric));
    ck_assert_int_eq(step, expected);
    ck_assert(metric == expected_metric || (isnan(metric) && isnan(expected_metric)));
    ck_assert_int_eq(state == NULL ? -1 : series_step_of(state), expected);
    tread_state_destroy(state);
}

static const char *step_path(int step) {
    char name[64];
    snprintf(name, sizeof name, "run/step-%012d.safetensors", step);
    return test_path(name);
}

static void damage(const char *path) {
    size_t n;
    uint8_t *bytes = test_read(path, &n);
    bytes[n - 3] ^= 1;
    test_write(path, bytes, n);
    free(bytes);
}

static void finish(tread_checkpoint_series *series) {
    tread_checkpoint_series_destroy(series);
    for (int step = 0; step < 2000; step++)
        unlink(step_path(step));
    unlink(test_path("run/best.safetensors"));
    unlink(test_path("run/.lock"));
    ck_assert_int_eq(rmdir(test_path("run")), 0);
    test_folder_remove();
    ck_assert_uint_eq(tread_memory_live_blocks(), 0);
}

START_TEST(the_newest_and_the_best_stay) {
    for (int background = 0; background < 2; background++) {
        const double metrics[] = {0.9, 0.4, NAN, 0.4, 0.7, INFINITY};
        test_folder_create();
        tread_checkpoint_series *series = open_series(2, TREAD_BEST_MIN, background);
        check_latest(series, -1);
        check_best(series, -1, NAN);
        for (int i = 0; i < 6; i++)
            save(series, 100 * (i + 1), metrics[i]);
        ck_assert_ok(tread_checkpoint_series_wait(series));
        ck_assert_int_eq(files_with(test_path("run"), "step-"), 2);
        ck_assert_int_eq(files_with(test_path("run"), ""), 4); /* and best.safetensors and .lock */
        check_latest(series, 600);
        check_best(series, 200, 0.4);
        tread_checkpoint_series_destroy(series);
        series = open_series(1, TREAD_BEST_MIN, background);
        save(series, 700, 0.5); /* the best of before is known */
        save(series, 800, 0.3);
        check_latest(series, 800);
        check_best(series, 800, 0.3);
        ck_assert_int_eq(files_with(test_path("run"), "step-"), 1);
        finish(series);
    }
}
END_TEST

START_TEST(largest_metric_and_every_step) {
    test_folder_create();
    tread_checkpoint_series *series = open_series(0, TREAD_BEST_MAX, false);
    for (int i = 0; i < 5; i++)
        save(series, i, i == 3 ? 1 : -i);
    check_best(series, 3, 1);
    save(series, 4, 2); /* a step again */
    check_best(series, 4, 2);
    ck_assert_int_eq(files_with(test_path("run"), "step-"), 5);
    finish(series);
}
END_TEST

START_TEST(a_background_save_is_the_synchronous_one) {
    test_folder_create();
    tread_checkpoint_series *series = open_series(0, TREAD_BEST_NONE, false);
    save(series, 1, 0.25);
    tread_checkpoint_series_destroy(series);
    size_t n, n_again;
    uint8_t *bytes = test_read(step_path(1), &n);
    unlink(step_path(1));

    series = open_series(0, TREAD_BEST_NONE, true);
    tread_state *state = series_state(1);
    const tread_tensor *values;
    ck_assert_ok(tread_state_get_tensor(state, "values", &values));
    ck_assert_ok(tread_checkpoint_series_save(series, 1, state, 0.25));
    memset(tread_tensor_data(values), 0xff, 300 * sizeof(float)); /* the program goes on */
    tread_state_destroy(state);
    ck_assert_ok(tread_checkpoint_series_wait(series));
    uint8_t *again = test_read(step_path(1), &n_again);
    ck_assert_uint_eq(n, n_again);
    ck_assert(memcmp(bytes, again, n) == 0);
    free(again);

    tread_state *loaded; /* what was loaded and is saved again has the part once */
    ck_assert_ok(tread_checkpoint_series_latest(series, &loaded, NULL));
    ck_assert_ok(tread_checkpoint_series_save(series, 1, loaded, 0.25));
    tread_state_destroy(loaded);
    ck_assert_ok(tread_checkpoint_series_wait(series));
    again = test_read(step_path(1), &n_again);
    ck_assert(n == n_again && memcmp(bytes, again, n) == 0);
    free(bytes);
    free(again);
    finish(series);
}
END_TEST

START_TEST(a_snapshot_takes_its_memory_once) {
    test_folder_create();
    tread_checkpoint_series *series = open_series(1, TREAD_BEST_NONE, true);
    tread_state *state = series_state_sized(1, 1 << 20);
    ck_assert_ok(tread_checkpoint_series_save(series, 1, state, NAN));
    ck_assert_ok(tread_checkpoint_series_wait(series));
    uint64_t blocks = tread_memory_live_blocks();
    for (int i = 2; i < 5; i++) {
        ck_assert_ok(tread_checkpoint_series_save(series, i, state, NAN));
        ck_assert_ok(tread_checkpoint_series_wait(series));
        ck_assert_uint_eq(tread_memory_live_blocks(), blocks);
    }
    tread_state_destroy(state);
    finish(series);
}
END_TEST

START_TEST(damaged_files_are_named_and_passed_over) {
    test_folder_create();
    tread_checkpoint_series *series = open_series(4, TREAD_BEST_MIN, false);
    for (int i = 1; i <= 4; i++)
        save(series, i, i == 1 ? 0 : 1);
    damage(step_path(4));
    ck_assert_int_eq(truncate(step_path(3), 100), 0);
    ck_assert_int_eq(tread_fail(TREAD_OK, "earlier"), TREAD_OK);
    check_latest(series, 2);
    ck_assert_str_eq(tread_last_error(), "earlier");
    ck_assert_ptr_nonnull(strstr(tread_checkpoint_series_rejected(series, 0), "step-000000000004.safetensors: "));
    ck_assert_ptr_nonnull(strstr(tread_checkpoint_series_rejected(series, 1), "step-000000000003.safetensors: "));
    ck_assert_ptr_null(tread_checkpoint_series_rejected(series, 2));

    tread_state *state = series_state(3);
    save(series, 3, 1); /* a later step that was rejected is not in the way, and stays until it is behind */
    ck_assert_int_eq(access(step_path(4), F_OK), 0);
    save(series, 5, 1);
    ck_assert_int_ne(access(step_path(4), F_OK), 0);
    ck_assert_fails(tread_checkpoint_series_save(series, 4, state, NAN), TREAD_ERROR_STATE,
                    "run: holds step 5, which is later than step 4");
    tread_state_destroy(state);

    ck_assert_int_eq(rename(step_path(5), step_path(9)), 0);
    check_latest(series, 3);
    ck_assert_ptr_nonnull(strstr(tread_checkpoint_series_rejected(series, 0), "holds step 5, its name says 9"));
    for (int i = 1; i <= 9; i++)
        if (access(step_path(i), F_OK) == 0)
            test_write(step_path(i), "no", 2);
    check_latest(series, 1); /* best.safetensors: those are its bytes, under a name of its own */
    test_write(test_path("run/best.safetensors"), "no", 2);
    state = NULL;
    ck_assert_fails(tread_checkpoint_series_latest(series, &state, NULL), TREAD_ERROR_FORMAT, "checkpoints is good: ");
    ck_assert_ptr_null(state);
    ck_assert_fails(tread_checkpoint_series_best(series, &state, NULL, NULL), TREAD_ERROR_FORMAT, "best.safetensors");
    finish(series);
}
END_TEST

START_TEST(the_best_is_made_up_for) {
    for (int bad = 0; bad < 2; bad++) {
        test_folder_create();
        tread_checkpoint_series *series = open_series(5, TREAD_BEST_NONE, false);
        save(series, 1, 0.5);
        save(series, 2, 0.3);
        save(series, 3, 0.4);
        if (bad)
            test_write(test_path("run/best.safetensors"), "damaged", 7);
        tread_checkpoint_series_destroy(series);
        series = open_series(5, TREAD_BEST_MIN, false);
        check_best(series, 2, 0.3);
        ck_assert_int_eq(files_with(test_path("run"), ".tmp"), 0);
        finish(series);
    }
}
END_TEST

START_TEST(one_writer_and_many_readers) {
    test_folder_create();
    ck_assert_ptr_null(open_read_only());
    ck_assert_msg(strstr(tread_last_error(), "run: cannot look at: No such file") != NULL, "%s", tread_last_error());
    tread_checkpoint_series *series = open_series(1, TREAD_BEST_NONE, false), *reader;
    save(series, 1, NAN);
    ck_assert_ptr_null(tread_checkpoint_series_open(test_path("run"), NULL));
    char expected[64];
    snprintf(expected, sizeof expected, "run: is in use by process %ld", (long)getpid());
    ck_assert_msg(strstr(tread_last_error(), expected) != NULL, "%s", tread_last_error());
    reader = open_read_only();
    check_latest(reader, 1);
    ck_assert_fails(tread_checkpoint_series_save(reader, 2, NULL, NAN), TREAD_ERROR_ARGUMENT, "state is NULL");
    tread_state *state = series_state(2);
    ck_assert_fails(tread_checkpoint_series_save(reader, 2, state, NAN), TREAD_ERROR_STATE, "for reading only");
    tread_state_destroy(state);
    tread_checkpoint_series_destroy(reader);
    tread_checkpoint_series_destroy(series);
    series = open_series(1, TREAD_BEST_NONE, false);
    finish(series);
}
END_TEST

/* What a user who is not root meets. */
static int open_as_user(const char *path, int flags, mode_t mode) {
    struct stat status;
    if ((flags & O_ACCMODE) == O_WRONLY && stat(path, &status) == 0 && (status.st_mode & S_IWUSR) == 0) {
        errno = EACCES;
        return -1;
    }
    return open(path, flags, mode);
}

/* Of a target that its owner may only read. */
START_TEST(a_dead_writers_file_without_write_permission_is_removed) {
    test_folder_create();
    tread_checkpoint_series *series = open_series(1, TREAD_BEST_NONE, false);
    const char *dead = test_path("run/step-000000000001.safetensors.1-0.tmp");
    test_write(dead, "half", 4);
    ck_assert_int_eq(chmod(dead, 0400), 0);
    tread_file_system table = tread_file_system_default;
    table.open = open_as_user;
    tread_file_system_set(&table);
    save(series, 5, NAN);
    tread_file_system_set(NULL);
    ck_assert_int_ne(access(dead, F_OK), 0);
    finish(series);
}
END_TEST

START_TEST(files_of_dead_writers_are_removed_and_no_others) {
    const char *const dead[] = {"run/step-000000000001.safetensors.1-0.tmp", "run/best.safetensors.99999999-12.tmp"};
    const char *const others[] = {"run/weights.1-0.tmp", "run/step-000000000001.safetensors.tmp",
                                  "run/step-1.safetensors.1-0.tmp", "run/step-000000000001.safetensors.a-0.tmp"};
    test_folder_create();
    tread_checkpoint_series *series = open_series(1, TREAD_BEST_NONE, false);
    for (int i = 0; i < 2; i++)
        test_write(test_path(dead[i]), "half", 4);
    for (int i = 0; i < 4; i++)
        test_write(test_path(others[i]), "half", 4);
    const char *alive = test_path("run/step-000000000002.safetensors.1-0.tmp");
    int ready[2], end[2];
    ck_assert_int_eq(pipe(ready) | pipe(end), 0);
    pid_t child = fork(); /* a writer that lives, whatever its name says */
    if (child == 0) {
        close(end[1]); /* so that the test's own end ends it too */
        int fd = open(alive, O_WRONLY | O_CREAT, 0666);
        bool held = fd >= 0 && flock(fd, LOCK_EX) == 0 && write(ready[1], "x", 1) == 1;
        _exit(held && read(end[0], &(char){0}, 1) == 1 ? 0 : 1);
    }
    char byte;
    ck_assert_int_eq(read(ready[0], &byte, 1), 1);
    save(series, 5, NAN);
    for (int i = 0; i < 2; i++)
        ck_assert_int_ne(access(test_path(dead[i]), F_OK), 0);
    for (int i = 0; i < 4; i++)
        ck_assert_int_eq(unlink(test_path(others[i])), 0);
    ck_assert_int_eq(access(alive, F_OK), 0);
    ck_assert_int_eq(write(end[1], "\n", 1), 1);
    ck_assert_int_eq(waitpid(child, NULL, 0), child);
    save(series, 6, NAN);
    ck_assert_int_ne(access(alive, F_OK), 0);
    for (int i = 0; i < 2; i++)
        close(ready[i]), close(end[i]);
    finish(series);
}
END_TEST

START_TEST(bad_arguments) {
    test_folder_create();
    tread_checkpoint_series_options o = tread_checkpoint_series_defaults();
    ck_assert_ptr_null(tread_checkpoint_series_open(NULL, NULL));
    ck_assert_ptr_null(tread_checkpoint_series_open("", NULL));
    ck_assert_ptr_null(tread_checkpoint_series_open(test_path("no/such"), NULL));
    ck_assert_ptr_nonnull(strstr(tread_last_error(), "no/such: cannot create the folder: No such file"));
    test_write(test_path("file"), "x", 1);
    ck_assert_ptr_null(tread_checkpoint_series_open(test_path("file"), NULL));
    ck_assert_ptr_nonnull(strstr(tread_last_error(), "file: is not a folder"));
    o.keep = -1;
    ck_assert_ptr_null(tread_checkpoint_series_open(test_path("run"), &o));
    ck_assert_ptr_nonnull(strstr(tread_last_error(), "keep = -1"));
    o = tread_checkpoint_series_defaults();
    o.best = (tread_best)3;
    ck_assert_ptr_null(tread_checkpoint_series_open(test_path("run"), &o));
    tread_checkpoint_series_destroy(NULL);
    ck_assert_ptr_null(tread_checkpoint_series_rejected(NULL, 0));
    ck_assert_fails(tread_checkpoint_series_wait(NULL), TREAD_ERROR_ARGUMENT, "the series is NULL");
    tread_checkpoint_series *series = tread_checkpoint_series_open(test_path("run/"), NULL);
    ck_assert_ptr_nonnull(series);
    tread_state *state = series_state(1), *list = tread_state_create();
    ck_assert_fails(tread_checkpoint_series_save(series, -1, state, NAN), TREAD_ERROR_ARGUMENT, "step = -1");
    ck_assert_fails(tread_checkpoint_series_save(series, 1, tread_state_find(state, "list"), NAN), TREAD_ERROR_ARGUMENT,
                    "the state is a list");
    tread_state_destroy(list);
    tread_state_destroy(state);
    finish(series);
}
END_TEST

TEST_MAIN("checkpoint_series", the_newest_and_the_best_stay, largest_metric_and_every_step,
          a_background_save_is_the_synchronous_one, a_snapshot_takes_its_memory_once,
          damaged_files_are_named_and_passed_over, the_best_is_made_up_for, one_writer_and_many_readers,
          a_dead_writers_file_without_write_permission_is_removed, files_of_dead_writers_are_removed_and_no_others,
          bad_arguments)
