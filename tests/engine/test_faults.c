/* Every single file call of a save and of a load failing, in every way that it can, alone and with allocations. */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <tread/checkpoint.h>
#include <tread/checkpoint_series.h>
#include <tread/weights.h>
#include <unistd.h>

#include "core/memory.h"
#include "tests/engine/fault.h"
#include "tests/engine/files.h"
#include "tests/engine/series_world.h"
#include "tests/test.h"

static const int reasons[] = {EIO, ENOSPC, EINTR, FAULT_SHORT};

/* The folder of a series of which step 1 is saved, and what must be as it was when all is over. */
static char folder[512];
static uint64_t blocks;
static int descriptors, n_cases, n_noticed[FAULT_KINDS + 1];

static tread_checkpoint_series *open_series(bool background) {
    tread_checkpoint_series_options o = tread_checkpoint_series_defaults();
    o.keep = 1;
    o.best = TREAD_BEST_MIN;
    o.background = background;
    return tread_checkpoint_series_open(folder, &o);
}

static tread_status save(tread_checkpoint_series *series, int64_t step) {
    tread_state *state = series_state(step);
    if (state == NULL)
        return TREAD_ERROR_MEMORY;
    tread_status status = tread_checkpoint_series_save(series, step, state, 1.0 / (double)step);
    tread_state_destroy(state);
    return status;
}

static void begin(void) {
    test_folder_create();
    snprintf(folder, sizeof folder, "%s", test_path("run"));
    fault_begin();
}

static void reset(void) {
    char command[600];
    static const char *const names[] = {"step-000000000001.safetensors", "step-000000000002.safetensors",
                                        "step-000000000003.safetensors", "best.safetensors", ".lock"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        snprintf(command, sizeof command, "%s/%s", folder, names[i]);
        unlink(command);
    }
    rmdir(folder);
}

static void end(void) {
    fault_end();
    reset();
    test_folder_remove();
}

/* What is loaded without faults: *ret_best is -1 where there is none. */
static void load_both(int64_t *ret_latest, int64_t *ret_best) {
    tread_checkpoint_series_options o = tread_checkpoint_series_defaults();
    o.read_only = true;
    tread_state *state;
    tread_checkpoint_series *series = tread_checkpoint_series_open(folder, &o);
    ck_assert_msg(series != NULL, "%s", tread_last_error());
    int64_t step;
    ck_assert_ok(tread_checkpoint_series_latest(series, &state, &step));
    *ret_latest = state == NULL ? -1 : series_step_of(state);
    ck_assert_int_eq(*ret_latest, step);
    ck_assert_ptr_null(tread_checkpoint_series_rejected(series, 0)); /* no file is damaged, old ones neither */
    tread_state_destroy(state);
    ck_assert_ok(tread_checkpoint_series_best(series, &state, &step, NULL));
    *ret_best = state == NULL ? -1 : series_step_of(state);
    ck_assert_int_eq(*ret_best, step);
    tread_state_destroy(state);
    tread_checkpoint_series_destroy(series);
}

static void check_sentence(int reason) {
    ck_assert_msg(strstr(tread_last_error(), folder) != NULL, "\"%s\" does not name the folder", tread_last_error());
    ck_assert_msg(strstr(tread_last_error(), ": cannot ") != NULL, "\"%s\" does not name the step", tread_last_error());
    ck_assert_msg(strstr(tread_last_error(), strerror(reason)) != NULL, "\"%s\" does not say why", tread_last_error());
}

/* After a save of step 2 over step 1 under a fault, whatever came of it. */
static void check_folder(tread_status status, bool may_leave_files) {
    int64_t latest, best;
    fault_plan(FAULT_ANY, 0, 0, false);
    load_both(&latest, &best);
    ck_assert(latest == 1 || latest == 2);
    ck_assert(best == 1 || best == 2);
    ck_assert_int_ge(latest, best);
    if (status == TREAD_OK)
        ck_assert(latest == 2 && best == 2 && files_with(folder, "step-") == 1);
    if (!may_leave_files)
        ck_assert_int_eq(files_with(folder, ".tmp"), 0);
    tread_checkpoint_series *series = open_series(false); /* and the run goes on */
    ck_assert_msg(series != NULL, "%s", tread_last_error());
    ck_assert_ok(save(series, 3));
    tread_checkpoint_series_destroy(series);
    load_both(&latest, &best);
    ck_assert(latest == 3 && best == 3);
    ck_assert_int_eq(files_with(folder, ""), 3); /* that step, the best, the lock */
    ck_assert_int_eq(open_descriptors(), descriptors);
    ck_assert_uint_eq(tread_memory_live_blocks(), blocks);
    n_cases++;
}

static void start_case(void) {
    reset();
    blocks = tread_memory_live_blocks();
    descriptors = open_descriptors();
    tread_checkpoint_series *series = open_series(false);
    ck_assert_msg(series != NULL, "%s", tread_last_error());
    ck_assert_ok(save(series, 1));
    tread_checkpoint_series_destroy(series);
}

/* Whether a save may go well though a call of this kind failed for good: closing what was only read or locked, and
 * removing what is not there. */
static bool is_hard(fault_kind kind) {
    return kind == FAULT_WRITE || kind == FAULT_FALLOCATE || kind == FAULT_FSYNC || kind == FAULT_RENAME ||
           kind == FAULT_LINK;
}

static bool fault_in_save(fault_kind kind, int n, int reason, bool lasting, bool background) {
    start_case();
    tread_checkpoint_series *series = open_series(background);
    ck_assert_ptr_nonnull(series);
    fault_plan(kind, n, reason, lasting);
    tread_status status = save(series, 2);
    if (status == TREAD_OK)
        status = tread_checkpoint_series_wait(series);
    bool happened = fault_happened();
    fault_plan(FAULT_ANY, 0, 0, false);
    ck_assert_msg(status == TREAD_OK || status == TREAD_ERROR_IO, "%s %d: %s", fault_names[kind], n,
                  tread_last_error());
    if (!happened || reason == EINTR || reason == FAULT_SHORT)
        ck_assert_msg(status == TREAD_OK, "%s %d: %s", fault_names[kind], n, tread_last_error());
    else if (is_hard(kind))
        ck_assert_msg(status == TREAD_ERROR_IO, "%s %d was not noticed", fault_names[kind], n);
    n_noticed[kind] += status != TREAD_OK;
    if (status != TREAD_OK)
        check_sentence(reason);
    ck_assert_ok(tread_checkpoint_series_wait(series)); /* an error is told once */
    tread_checkpoint_series_destroy(series);
    check_folder(status, lasting && (kind == FAULT_UNLINK || kind == FAULT_ANY));
    return happened;
}

START_TEST(every_call_of_a_save) {
    begin();
    n_cases = 0;
    for (int background = 0; background < 2; background++)
        for (int lasting = 0; lasting < 2; lasting++)
            for (int kind = 0; kind <= FAULT_ANY; kind++)
                for (size_t r = 0; r < sizeof reasons / sizeof *reasons; r++)
                    for (int n = 1; reasons[r] != EINTR || !lasting; n++) /* signals end some time */
                        if (!fault_in_save((fault_kind)kind, n, reasons[r], lasting, background))
                            break;
    end();
    ck_assert_int_gt(n_cases, 1000);
    for (int kind = 0; kind <= FAULT_ANY; kind++) /* a save reads nothing, and goes on without locks */
        ck_assert_msg((n_noticed[kind] > 0) == (kind != FAULT_READ && kind != FAULT_LOCK), "%s: %d noticed",
                      fault_names[kind], n_noticed[kind]);
}
END_TEST

static bool fault_in_open(fault_kind kind, int n, int reason) {
    start_case();
    fault_plan(kind, n, reason, false);
    tread_checkpoint_series *series = open_series(false);
    bool happened = fault_happened();
    tread_status status = TREAD_ERROR_IO;
    fault_plan(FAULT_ANY, 0, 0, false);
    if (!happened || reason == EINTR || reason == FAULT_SHORT)
        ck_assert_msg(series != NULL, "%s %d: %s", fault_names[kind], n, tread_last_error());
    if (series == NULL)
        check_sentence(reason);
    else
        status = save(series, 2);
    ck_assert(series == NULL || status == TREAD_OK);
    tread_checkpoint_series_destroy(series);
    check_folder(status, false);
    return happened;
}

START_TEST(every_call_of_opening) {
    begin();
    for (int kind = 0; kind <= FAULT_ANY; kind++)
        for (size_t r = 0; r < sizeof reasons / sizeof *reasons; r++)
            for (int n = 1; fault_in_open((fault_kind)kind, n, reasons[r]); n++)
                ;
    end();
}
END_TEST

START_TEST(a_best_that_was_not_linked_is_made_up_for) {
    begin();
    start_case();
    tread_checkpoint_series *series = open_series(false);
    ck_assert_ptr_nonnull(series);
    fault_plan(FAULT_LINK, 1, EIO, false);
    ck_assert_int_eq(save(series, 2), TREAD_ERROR_IO);
    tread_state *state = series_state(3);
    int64_t latest, best;
    ck_assert_ok(tread_checkpoint_series_save(series, 3, state, 0.75)); /* worse than step 2, better than step 1 */
    tread_state_destroy(state);
    tread_checkpoint_series_destroy(series);
    load_both(&latest, &best);
    ck_assert(latest == 3 && best == 2);
    end();
}
END_TEST

/* On a file system without second names, the best is a copy. */
static bool fault_in_copy(fault_kind kind, int n, int reason) {
    start_case();
    tread_checkpoint_series *series = open_series(false);
    ck_assert_ptr_nonnull(series);
    fault_plan(kind, n, reason, false);
    tread_status status = save(series, 2);
    bool happened = fault_happened();
    fault_plan(FAULT_ANY, 0, 0, false);
    if (!happened || reason != EIO)
        ck_assert_ok(status);
    tread_checkpoint_series_destroy(series);
    check_folder(status, false);
    return happened;
}

START_TEST(file_systems_without_links_or_space_to_reserve) {
    begin();
    fault_in_copy(FAULT_LINK, 1, EPERM);
    fault_in_copy(FAULT_LINK, 1, EOPNOTSUPP);
    fault_in_copy(FAULT_FALLOCATE, 1, EOPNOTSUPP);
    fault_in_copy(FAULT_LOCK, 1, ENOLCK);
    end();
}
END_TEST

/* A failing allocation k beside a failing call n. */
static bool fault_with_allocation(int n, uint64_t k, bool *ret_allocation_failed) {
    start_case();
    tread_checkpoint_series *series = open_series(k % 2 == 0);
    ck_assert_ptr_nonnull(series);
    tread_state *state = series_state(2);
    fault_plan(FAULT_ANY, n, EIO, false);
    tread_memory_fail_at(k);
    tread_status status = tread_checkpoint_series_save(series, 2, state, 0.5);
    if (status == TREAD_OK)
        status = tread_checkpoint_series_wait(series);
    bool happened = fault_happened();
    *ret_allocation_failed = tread_memory_failed();
    tread_memory_fail_at(0);
    fault_plan(FAULT_ANY, 0, 0, false);
    tread_state_destroy(state);
    if (*ret_allocation_failed)
        ck_assert_msg(status == TREAD_ERROR_MEMORY || (happened && status == TREAD_ERROR_IO), "%d %llu: %s", n,
                      (unsigned long long)k, tread_status_string(status));
    else if (!happened)
        ck_assert_ok(status);
    tread_checkpoint_series_destroy(series);
    check_folder(status, happened);
    return happened;
}

START_TEST(every_allocation_beside_calls) {
    begin();
    bool allocation_failed = true;
    for (uint64_t k = 1; allocation_failed; k++) {
        int n = (int)(k * 7 % 40) + 1;
        bool never, happened = fault_with_allocation(0, k, &allocation_failed);
        ck_assert(!happened);
        fault_with_allocation(n, k, &never);
        fault_with_allocation(n % 3 + 1, k, &never);
    }
    end();
}
END_TEST

static bool fault_in_latest(fault_kind kind, int n, int reason) {
    tread_checkpoint_series_options o = tread_checkpoint_series_defaults();
    o.read_only = true;
    tread_checkpoint_series *series = tread_checkpoint_series_open(folder, &o);
    ck_assert_ptr_nonnull(series);
    tread_state *state = NULL;
    int64_t step = 77;
    fault_plan(kind, n, reason, false);
    tread_status status = tread_checkpoint_series_latest(series, &state, &step);
    bool happened = fault_happened();
    fault_plan(FAULT_ANY, 0, 0, false);
    if (!happened || reason == EINTR || reason == FAULT_SHORT)
        ck_assert_msg(status == TREAD_OK && step == 3, "%s %d: %s", fault_names[kind], n, tread_last_error());
    if (status == TREAD_OK) {
        ck_assert_int_eq(series_step_of(state), step);
        ck_assert(step == 3 || step == 2);
        const char *why = tread_checkpoint_series_rejected(series, 0);
        ck_assert((step == 2) == (why != NULL));
        ck_assert(why == NULL || (strstr(why, "step-000000000003") != NULL && strstr(why, strerror(reason)) != NULL));
    } else {
        ck_assert_int_eq(step, 77);
        ck_assert_ptr_null(state);
        check_sentence(reason);
    }
    tread_state_destroy(state);
    tread_checkpoint_series_destroy(series);
    ck_assert_int_eq(open_descriptors(), descriptors);
    ck_assert_uint_eq(tread_memory_live_blocks(), blocks);
    return happened;
}

START_TEST(every_call_of_loading) {
    begin();
    reset();
    blocks = tread_memory_live_blocks();
    descriptors = open_descriptors();
    tread_checkpoint_series *series = tread_checkpoint_series_open(folder, NULL);
    ck_assert_ok(save(series, 2));
    ck_assert_ok(save(series, 3));
    tread_checkpoint_series_destroy(series);
    for (int kind = 0; kind <= FAULT_ANY; kind++)
        for (size_t r = 0; r < sizeof reasons / sizeof *reasons; r++)
            for (int n = 1; fault_in_latest((fault_kind)kind, n, reasons[r]); n++)
                ;
    end();
}
END_TEST

static bool fault_in_weights(tread_parameter *parameter, const char *path, fault_kind kind, int n, int reason) {
    tread_parameter_list list = {&parameter, 1};
    tread_tensor *tensor = tread_parameter_tensor(parameter);
    for (int load = 0; load < 2; load++) {
        ck_assert_ok(tread_tensor_fill(tensor, 1));
        ck_assert_ok(tread_weights_save(list, path));
        ck_assert_ok(tread_tensor_fill(tensor, 2));
        fault_plan(kind, n, reason, false);
        tread_status status = load ? tread_weights_load(list, path, NULL) : tread_weights_save(list, path);
        bool happened = fault_happened();
        fault_plan(FAULT_ANY, 0, 0, false);
        if (!happened || reason == EINTR || reason == FAULT_SHORT)
            ck_assert_ok(status);
        if (status != TREAD_OK) {
            ck_assert_int_eq(status, TREAD_ERROR_IO);
            ck_assert_ptr_nonnull(strstr(tread_last_error(), strerror(reason)));
            if (load)
                ck_assert(tread_tensor_float(tensor)[0] == 2 && tread_tensor_float(tensor)[8] == 2);
        }
        if (!load || status == TREAD_OK)
            ck_assert_ok(tread_weights_load(list, path, NULL));
        float first = tread_tensor_float(tensor)[0];
        for (int i = 0; i < 9; i++)
            ck_assert(tread_tensor_float(tensor)[i] == first);
        ck_assert(first == 1 || first == 2);
        ck_assert(load || status != TREAD_OK || first == 2);
        ck_assert_int_eq(files_with(test_path("."), ".tmp"), 0);
        ck_assert_int_eq(open_descriptors(), descriptors);
        if (happened)
            return true;
    }
    return false;
}

START_TEST(every_call_of_weights) {
    begin();
    char path[600];
    snprintf(path, sizeof path, "%s", test_path("weights"));
    descriptors = open_descriptors();
    tread_parameter *parameter = tread_parameter_create("w", 2, (int64_t[]){3, 3});
    for (int kind = 0; kind <= FAULT_ANY; kind++)
        for (size_t r = 0; r < sizeof reasons / sizeof *reasons; r++)
            for (int n = 1; fault_in_weights(parameter, path, (fault_kind)kind, n, reasons[r]); n++)
                ;
    tread_parameter_destroy(parameter);
    end();
}
END_TEST

TEST_SUITE("faults", every_call_of_a_save, every_call_of_opening, a_best_that_was_not_linked_is_made_up_for,
           file_systems_without_links_or_space_to_reserve, every_allocation_beside_calls, every_call_of_loading,
           every_call_of_weights)

int main(void) {
    test_folders_in_memory();
    return run_suite();
}
