/* Crash replay: saves are recorded, every state that a crash may leave of their folder (crash_disk.h says what the
 * model permits) is laid out, and a run that finds it goes on from the old checkpoint or the new one: nothing that a
 * save had finished is lost, nothing is half there, latest and best belong together, and the next save works. */
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <tread/checkpoint.h>
#include <tread/checkpoint_series.h>
#include <unistd.h>

#include "core/memory.h"
#include "engine/file_system.h"
#include "engine/file_writer.h"
#include "tests/engine/crash_disk.h"
#include "tests/engine/fault.h"
#include "tests/engine/files.h"
#include "tests/engine/series_world.h"
#include "tests/test.h"

enum { N_SAVES = 9, N_VALUES = 60, RANDOM_TRIES = 9, MAX_MASKS = 32, MAX_DISTINCT = 1 << 18 };

/* Of step i + 1; the smallest is the best. */
static const double metrics[N_SAVES] = {0.9, 0.7, 0.8, 0.8, 0.5, 0.4, 0.6, 0.3, 0.3};

static int best_of(int step) {
    int best = -1;
    for (int i = 0; i < step; i++)
        if (best < 0 || metrics[i] < metrics[best - 1])
            best = i + 1;
    return best;
}

static tread_checkpoint_series *open_series(const char *folder, int64_t keep, bool background) {
    tread_checkpoint_series_options o = tread_checkpoint_series_defaults();
    o.keep = keep;
    o.best = TREAD_BEST_MIN;
    o.background = background;
    return tread_checkpoint_series_open(folder, &o);
}

static tread_status save(tread_checkpoint_series *series, int step) {
    tread_state *state = series_state_sized(step, N_VALUES);
    tread_status status = tread_checkpoint_series_save(series, step, state, metrics[step - 1]);
    tread_state_destroy(state);
    return status == TREAD_OK ? tread_checkpoint_series_wait(series) : status;
}

/* --- Judging a state --- */

static int64_t step_of_and_free(tread_state *state) {
    int64_t step = state == NULL ? -1 : series_step_of(state);
    tread_state_destroy(state);
    return step;
}

static const char *judge_open(tread_checkpoint_series *series, int old, int new, int64_t *ret_latest) {
    static char text[256];
    tread_state *state;
    int64_t step;
    if (tread_checkpoint_series_latest(series, &state, &step) != TREAD_OK)
        return tread_last_error();
    int64_t latest = step_of_and_free(state);
    if (tread_checkpoint_series_rejected(series, 0) != NULL)
        return tread_checkpoint_series_rejected(series, 0);
    if (tread_checkpoint_series_best(series, &state, NULL, NULL) != TREAD_OK)
        return tread_last_error();
    int64_t best = step_of_and_free(state);
    *ret_latest = latest;
    if (latest == step && ((latest == old && best == best_of(old)) || (latest == new &&best == best_of(new))))
        return NULL;
    snprintf(text, sizeof text, "latest %lld (said %lld), best %lld; expected %d or %d", (long long)latest,
             (long long)step, (long long)best, old, new);
    return text;
}

/* Who only reads finds the old and the new, though perhaps the latest of one and the best of the other. */
static const char *judge_reading(const char *folder, int old, int new) {
    static char text[256];
    tread_checkpoint_series_options o = tread_checkpoint_series_defaults();
    o.read_only = true;
    tread_checkpoint_series *series = tread_checkpoint_series_open(folder, &o);
    tread_state *state = NULL, *best_state = NULL;
    bool loaded = series != NULL && tread_checkpoint_series_latest(series, &state, NULL) == TREAD_OK &&
                  tread_checkpoint_series_best(series, &best_state, NULL, NULL) == TREAD_OK;
    int64_t latest = step_of_and_free(state), best = step_of_and_free(best_state);
    tread_checkpoint_series_destroy(series);
    if (!loaded)
        return tread_last_error();
    if ((latest == old || latest == new) && (best == best_of(old) || best == best_of(new)))
        return NULL;
    snprintf(text, sizeof text, "reading: latest %lld, best %lld; expected %d or %d", (long long)latest,
             (long long)best, old, new);
    return text;
}

/* NULL: the folder holds step `old` or `new` (-1: none), and the run goes on from there. */
static const char *judge_resuming(const char *folder, int old, int new) {
    int64_t latest = 0;
    tread_checkpoint_series *series = open_series(folder, 2, false);
    if (series == NULL)
        return tread_last_error();
    const char *fault = judge_open(series, old, new, &latest);
    if (fault == NULL) {
        int go_on = latest == N_SAVES ? N_SAVES : latest < 0 ? 1 : (int)latest + 1;
        if (save(series, go_on) != TREAD_OK)
            fault = tread_last_error();
        else
            fault = judge_open(series, go_on, go_on, &latest);
        if (fault == NULL && (files_with(folder, ".tmp") > 0 || files_with(folder, "step-") > 2))
            fault = "files are left over";
    }
    tread_checkpoint_series_destroy(series);
    return fault;
}

static const char *judge_series(const char *folder, int old, int new) {
    const char *fault = judge_reading(folder, old, new);
    return fault != NULL ? fault : judge_resuming(folder, old, new);
}

/* One file, saved over and over. */
static const char *judge_file(const char *folder, int old, int new) {
    static char text[600];
    tread_state *state = NULL;
    snprintf(text, sizeof text, "%s/one", folder);
    bool there = access(text, F_OK) == 0;
    if (there && tread_checkpoint_load(text, &state) != TREAD_OK)
        return tread_last_error();
    int64_t step = step_of_and_free(state);
    return step == old || step == new ? NULL : "neither the old file nor the new one";
}

typedef const char *judge_fn(const char *folder, int old, int new);

/* --- Going through the states --- */

static uint64_t distinct[MAX_DISTINCT];

typedef struct replay {
    judge_fn *judge;
    char folder[512];
    int n_ways, n_states, n_bad; /* states are distinct */
    char first_bad[4096];
} replay;

static bool is_new(uint64_t hash) {
    uint64_t i = hash % MAX_DISTINCT;
    while (distinct[i] != 0 && distinct[i] != hash)
        i = (i + 1) % MAX_DISTINCT;
    bool new = distinct[i] == 0;
    distinct[i] = hash;
    return new;
}

static void try_state(replay *r, const crash_state *state, uint64_t mask, crash_data way, uint32_t random) {
    int new, old = crash_last_mark(state->p, &new);
    r->n_ways++;
    /* The same files with the same to be expected have been seen. */
    if (!is_new(crash_hash(state, mask, way, random) + (uint64_t)(old + 2) * 1000 + (uint64_t)(new + 2)))
        return;
    crash_lay_out(state, mask, way, random, r->folder);
    const char *fault = r->judge(r->folder, old, new < 0 ? old : new);
    r->n_states++;
    if (fault != NULL && r->n_bad++ == 0)
        snprintf(r->first_bad, sizeof r->first_bad, "%s: %s", crash_describe(state, mask, way, random), fault);
}

static void try_names(replay *r, const crash_state *state, uint64_t mask, uint32_t *random) {
    if (state->n_files == 0) {
        try_state(r, state, mask, CRASH_WHOLE, 0);
        return;
    }
    for (int way = 0; way < CRASH_DATA_WAYS; way++)
        for (int i = 0; i < (way >= CRASH_CUT ? RANDOM_TRIES : 1); i++)
            try_state(r, state, mask, (crash_data)way, (*random)++);
}

static replay replay_all(judge_fn *judge) {
    static replay r;
    r = (replay){.judge = judge};
    uint32_t random = 1;
    memset(distinct, 0, sizeof distinct);
    snprintf(r.folder, sizeof r.folder, "%s", test_path("replayed"));
    ck_assert_int_eq(mkdir(r.folder, 0777), 0);
    fault_begin(); /* fsync need not wait for the disk here */
    for (int p = 0; p <= crash_operations(); p++) {
        crash_state state = crash_after(p);
        uint64_t all = ((uint64_t)1 << state.n_names) - 1;
        if (all < MAX_MASKS)
            for (uint64_t mask = 0; mask <= all; mask++)
                try_names(&r, &state, mask, &random);
        else
            for (int i = 0; i < MAX_MASKS; i++) /* none, all, the first ones, and any */
                try_names(&r, &state,
                          i == 0               ? 0
                          : i <= state.n_names ? ((uint64_t)1 << i) - 1
                                               : (i * UINT64_C(0x9e3779b97f4a7c15) >> 20) & all,
                          &random);
    }
    fault_end();
    crash_lay_out(&(crash_state){.p = 0}, 0, CRASH_WHOLE, 0, r.folder); /* empty */
    unlink(test_path("replayed/.lock"));
    ck_assert_int_eq(rmdir(r.folder), 0);
    return r;
}

/* --- What is recorded --- */

static void remove_recorded(void) {
    for (int step = 1; step <= N_SAVES; step++) {
        char name[64];
        snprintf(name, sizeof name, "recorded/step-%012d.safetensors", step);
        unlink(test_path(name));
    }
    unlink(test_path("recorded/best.safetensors"));
    unlink(test_path("recorded/one"));
    unlink(test_path("recorded/.lock"));
    ck_assert_int_eq(rmdir(test_path("recorded")), 0);
}

static void record_series(int64_t keep, bool background, bool links) {
    ck_assert_int_eq(mkdir(test_path("recorded"), 0777), 0);
    crash_record(test_path("recorded"), links);
    tread_checkpoint_series *series = open_series(test_path("recorded"), keep, background);
    ck_assert_ptr_nonnull(series);
    for (int step = 1; step <= N_SAVES; step++) {
        ck_assert_ok(save(series, step));
        crash_mark(step);
    }
    tread_checkpoint_series_destroy(series);
    crash_record_end();
    remove_recorded();
}

/* Steps of a process that cared for no best and was killed in a save, and those of the next one, which does. */
static void record_resumed(void) {
    tread_checkpoint_series *series = NULL;
    tread_file_writer killed;
    char path[600];
    snprintf(path, sizeof path, "%s", test_path("recorded/step-000000000004.safetensors"));
    ck_assert_int_eq(mkdir(test_path("recorded"), 0777), 0);
    crash_record(test_path("recorded"), true);
    for (int step = 1; step <= N_SAVES; step++) {
        if (step == 1 || step == 4) {
            tread_checkpoint_series_options o = tread_checkpoint_series_defaults();
            o.best = step == 1 ? TREAD_BEST_NONE : TREAD_BEST_MIN;
            series = tread_checkpoint_series_open(test_path("recorded"), &o);
            ck_assert_ptr_nonnull(series);
        }
        ck_assert_ok(save(series, step));
        crash_mark(step);
        if (step != 3)
            continue;
        ck_assert_ok(tread_file_begin(&killed, path, 100));
        ck_assert_ok(tread_file_write(&killed, "half", 4));
        tread_fs_close(killed.fd);
        tread_checkpoint_series_destroy(series);
    }
    tread_checkpoint_series_destroy(series);
    crash_record_end();
    remove_recorded();
}

static void record_file(void) {
    ck_assert_int_eq(mkdir(test_path("recorded"), 0777), 0);
    crash_record(test_path("recorded"), true);
    for (int step = 1; step <= N_SAVES; step++) {
        tread_state *state = series_state_sized(step, N_VALUES);
        ck_assert_ok(tread_checkpoint_save(test_path("recorded/one"), state));
        tread_state_destroy(state);
        crash_mark(step);
    }
    crash_record_end();
    remove_recorded();
}

static int total;

static void expect_all_good(judge_fn *judge, const char *what) {
    replay r = replay_all(judge);
    ck_assert_msg(r.n_bad == 0, "%s: %d of %d states are bad: %s", what, r.n_bad, r.n_states, r.first_bad);
    printf("%s: %d ways to crash leave %d states\n", what, r.n_ways, r.n_states);
    total += r.n_states;
    crash_forget();
}

START_TEST(every_crash_leaves_the_old_state_or_the_new) {
    test_folder_create();
    for (int keep = 1; keep < 3; keep++)
        for (int background = 0; background < 2; background++) {
            record_series(keep, background, true);
            expect_all_good(judge_series, background ? "series, in the background" : "series");
        }
    record_series(2, false, false);
    expect_all_good(judge_series, "series without second names");
    record_resumed();
    expect_all_good(judge_resuming, "series, resumed");
    record_file();
    expect_all_good(judge_file, "a single file");
    printf("in all: %d states\n", total);
    ck_assert_int_ge(total, 10000);
    test_folder_remove();
    ck_assert_uint_eq(tread_memory_live_blocks(), 0);
}
END_TEST

/* The model must be able to see what it is there for. */
START_TEST(a_missing_sync_is_seen) {
    test_folder_create();
    record_series(2, false, true);
    crash_drop_file_syncs();
    ck_assert_int_gt(replay_all(judge_series).n_bad, 0);
    record_series(2, false, true);
    crash_drop_folder_syncs();
    ck_assert_int_gt(replay_all(judge_series).n_bad, 0);
    record_file();
    crash_drop_file_syncs();
    ck_assert_int_gt(replay_all(judge_file).n_bad, 0);
    record_file();
    crash_drop_folder_syncs();
    ck_assert_int_gt(replay_all(judge_file).n_bad, 0);
    crash_forget();
    test_folder_remove();
}
END_TEST

TEST_SUITE("crash_replay", every_crash_leaves_the_old_state_or_the_new, a_missing_sync_is_seen)

int main(void) {
    test_folders_in_memory();
    return run_suite();
}
