#include <tread/checkpoint_series.h>

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <tread/checkpoint.h>

#include "core/memory.h"
#include "core/options.h"
#include "core/status.h"
#include "engine/checkpoint/checkpoint_series.h"
#include "engine/file_system.h"
#include "engine/file_writer.h"

tread_checkpoint_series_options tread_checkpoint_series_defaults(void) {
    return (tread_checkpoint_series_options){.size = sizeof(tread_checkpoint_series_options), .keep = 3};
}

/* --- Files of a series --- */

static tread_status read_label(const char *path, const tread_state *state, int64_t step, series_label *ret_label) {
    const tread_state *part = tread_state_find(state, SERIES_PART);
    series_label label = {.step = step, .metric = NAN};
    if (part != NULL) {
        const tread_state *metric = tread_state_find(part, "metric");
        tread_status status = tread_state_get_integer(part, "step", &label.step);
        if (status == TREAD_OK && metric != NULL)
            status = tread_state_as_real(metric, &label.metric);
        if (status != TREAD_OK)
            return tread_fail_prefix(status, "%s: ", path);
    }
    if (step >= 0 && label.step != step)
        return tread_fail(TREAD_ERROR_FORMAT, "%s: holds step %lld, its name says %lld", path, (long long)label.step,
                          (long long)step);
    *ret_label = label;
    return TREAD_OK;
}

/* step < 0: whatever it holds. */
static tread_status load_file(const char *path, int64_t step, tread_state **ret_state, series_label *ret_label) {
    tread_state *state;
    TREAD_TRY(tread_checkpoint_load(path, &state));
    tread_status status = read_label(path, state, step, ret_label);
    if (status == TREAD_OK)
        *ret_state = state;
    else
        tread_state_destroy(state);
    return status;
}

static tread_status load_step(const char *folder, int64_t step, tread_state **ret_state, series_label *ret_label) {
    char path[PATH_MAX];
    TREAD_TRY(tread_series_step_path(folder, step, path));
    return load_file(path, step, ret_state, ret_label);
}

/* *ret_state is NULL where there is no such file. */
static tread_status load_best(const char *folder, tread_state **ret_state, series_label *ret_label) {
    char path[PATH_MAX];
    struct stat status;
    TREAD_TRY(tread_series_best_path(folder, path));
    *ret_state = NULL;
    if (tread_fs_stat(path, &status) != 0 && errno == ENOENT)
        return TREAD_OK;
    return load_file(path, -1, ret_state, ret_label);
}

/* --- The best --- */

static bool is_better(tread_best kind, double metric, series_label best) {
    if (kind == TREAD_BEST_NONE || !isfinite(metric))
        return false;
    return best.step < 0 || (kind == TREAD_BEST_MIN ? metric < best.metric : metric > best.metric);
}

static tread_status make_best(tread_checkpoint_series *series, series_label label) {
    char from[PATH_MAX], path[PATH_MAX];
    TREAD_TRY(tread_series_step_path(series->folder, label.step, from));
    TREAD_TRY(tread_series_best_path(series->folder, path));
    TREAD_TRY(tread_file_link(from, path));
    series->best = label;
    return TREAD_OK;
}

/* Checkpoints later than best.safetensors were written, but a crash or an error came before they were compared with it;
 * without one that can be read, all are compared. */
static tread_status settle_best_of(tread_checkpoint_series *series, const tread_series_steps *steps) {
    series_label winner = series->best;
    for (size_t i = steps->n; i-- > 0;) {
        tread_state *state;
        series_label label = {.step = -1};
        if (steps->items[i] <= series->best.step)
            continue;
        tread_status status = load_step(series->folder, steps->items[i], &state, &label);
        if (status == TREAD_ERROR_MEMORY)
            return status;
        if (status != TREAD_OK)
            continue;
        tread_state_destroy(state);
        if (is_better(series->options.best, label.metric, winner))
            winner = label;
    }
    return winner.step != series->best.step ? make_best(series, winner) : TREAD_OK;
}

static tread_status settle_best(tread_checkpoint_series *series) {
    tread_state *state = NULL;
    tread_series_steps steps;
    series_label best = series->best;
    tread_status status = load_best(series->folder, &state, &best);
    if (status == TREAD_ERROR_MEMORY)
        return status;
    tread_state_destroy(state);
    if (status == TREAD_OK && isfinite(best.metric))
        series->best = best;
    TREAD_TRY(tread_series_list(series->folder, &steps));
    status = settle_best_of(series, &steps);
    tread_series_steps_free(&steps);
    return status;
}

/* --- Saving --- */

static bool was_rejected(const tread_checkpoint_series *series, int64_t step) {
    for (size_t i = 0; i < series->n_rejected; i++)
        if (series->rejected[i].step == step)
            return true;
    return false;
}

static tread_status check_order(const tread_checkpoint_series *series, const tread_series_steps *steps, int64_t step) {
    for (size_t i = 0; i < steps->n && steps->items[i] > step; i++)
        if (!was_rejected(series, steps->items[i]))
            return tread_fail(TREAD_ERROR_STATE,
                              "%s: holds step %lld, which is later than step %lld: go on from it, or save elsewhere",
                              series->folder, (long long)steps->items[i], (long long)step);
    return TREAD_OK;
}

/* steps: those before this save. A file that was rejected and is now behind is removed as well, and does not count. */
static tread_status remove_old(const tread_checkpoint_series *series, const tread_series_steps *steps, int64_t step) {
    int64_t kept = 1;
    tread_status status = TREAD_OK;
    for (size_t i = 0; i < steps->n && series->options.keep > 0; i++) {
        char path[PATH_MAX];
        bool bad = was_rejected(series, steps->items[i]);
        if (steps->items[i] >= step || (!bad && kept++ < series->options.keep))
            continue;
        TREAD_TRY(tread_series_step_path(series->folder, steps->items[i], path));
        if (tread_fs_unlink(path) != 0 && errno != ENOENT && status == TREAD_OK)
            status = tread_fail(TREAD_ERROR_IO, "%s: cannot remove: %s", path, strerror(errno));
    }
    return status;
}

/* The file of that step is good again. */
static void take_back(tread_checkpoint_series *series, int64_t step) {
    for (size_t i = 0; i < series->n_rejected; i++)
        if (series->rejected[i].step == step)
            series->rejected[i].step = -1;
}

static tread_status write_listed(tread_checkpoint_series *series, const tread_series_steps *steps) {
    char path[PATH_MAX];
    series_label label = series->label;
    TREAD_TRY(check_order(series, steps, label.step));
    TREAD_TRY(tread_series_step_path(series->folder, label.step, path));
    TREAD_TRY(tread_checkpoint_save(path, series->snapshot.state));
    take_back(series, label.step);
    if (is_better(series->options.best, label.metric, series->best))
        TREAD_TRY(make_best(series, label));
    return remove_old(series, steps, label.step);
}

tread_status tread_series_write(tread_checkpoint_series *series) {
    tread_series_steps steps;
    tread_file_remove_abandoned(series->folder, tread_series_is_ours);
    if (series->unsettled)
        TREAD_TRY(settle_best(series));
    series->unsettled = series->options.best != TREAD_BEST_NONE;
    TREAD_TRY(tread_series_list(series->folder, &steps));
    tread_status status = write_listed(series, &steps);
    tread_series_steps_free(&steps);
    if (status == TREAD_OK)
        series->unsettled = false;
    return status;
}

static tread_status add_label(tread_state *state, series_label label) {
    tread_state *part = tread_state_add_tree(state, SERIES_PART);
    if (part == NULL)
        return TREAD_ERROR_MEMORY;
    TREAD_TRY(tread_state_add_integer(part, "step", label.step));
    return isfinite(label.metric) ? tread_state_add_real(part, "metric", label.metric) : TREAD_OK;
}

tread_status tread_checkpoint_series_save(tread_checkpoint_series *series, int64_t step, const tread_state *state,
                                          double metric) {
    TREAD_REFUSE_NULL("checkpoint series save", series);
    TREAD_REFUSE_NULL("checkpoint series save", state);
    if (tread_state_kind_of(state) != TREAD_STATE_TREE)
        return tread_fail(TREAD_ERROR_ARGUMENT, "checkpoint series save: the state is a %s, expected a tree",
                          tread_state_kind_name(tread_state_kind_of(state)));
    if (step < 0)
        return tread_fail(TREAD_ERROR_ARGUMENT, "checkpoint series save: step = %lld is below 0", (long long)step);
    if (series->options.read_only)
        return tread_fail(TREAD_ERROR_STATE, "%s: the series is open for reading only", series->folder);
    TREAD_TRY(tread_checkpoint_series_wait(series));
    TREAD_TRY(tread_snapshot_take(&series->snapshot, state, SERIES_PART, series->options.background));
    series->label = (series_label){.step = step, .metric = metric};
    TREAD_TRY(add_label(series->snapshot.state, series->label));
    return series->options.background ? tread_series_start(series) : tread_series_write(series);
}

/* --- Loading --- */

static void forget_rejected(tread_checkpoint_series *series) {
    for (size_t i = 0; i < series->n_rejected; i++)
        tread_free(series->rejected[i].reason);
    tread_free(series->rejected);
    series->rejected = NULL;
    series->n_rejected = 0;
}

/* With the sentence of the last failure. */
static tread_status reject(tread_checkpoint_series *series, int64_t step) {
    char *reason = tread_strdup(tread_last_error());
    if (reason == NULL)
        return TREAD_ERROR_MEMORY;
    series->rejected[series->n_rejected++] = (series_rejected){.step = step, .reason = reason};
    return TREAD_OK;
}

/* The steps from the newest on, and best.safetensors after them. */
static tread_status load_first_good(tread_checkpoint_series *series, const tread_series_steps *steps,
                                    tread_state **ret_state, series_label *ret_label) {
    series->rejected = tread_calloc(steps->n + 1, sizeof *series->rejected, "list of checkpoints");
    if (series->rejected == NULL)
        return TREAD_ERROR_MEMORY;
    for (size_t i = 0; i <= steps->n; i++) {
        tread_status status = i < steps->n ? load_step(series->folder, steps->items[i], ret_state, ret_label)
                                           : load_best(series->folder, ret_state, ret_label);
        bool absent = status == TREAD_OK && *ret_state == NULL && series->n_rejected > 0;
        if (status == TREAD_ERROR_MEMORY || (status == TREAD_OK && !absent))
            return status;
        if (status != TREAD_OK)
            TREAD_TRY(reject(series, i < steps->n ? steps->items[i] : -1));
    }
    return tread_fail(TREAD_ERROR_FORMAT, "%s: none of %zu checkpoints is good: %s%s", series->folder,
                      series->n_rejected, series->rejected[0].reason, series->n_rejected > 1 ? "; and more" : "");
}

tread_status tread_checkpoint_series_latest(tread_checkpoint_series *series, tread_state **ret_state,
                                            int64_t *ret_step) {
    TREAD_REFUSE_NULL("checkpoint series latest", series);
    TREAD_TRY(tread_checkpoint_series_wait(series));
    tread_series_steps steps;
    tread_state *state = NULL;
    series_label label = {.step = -1};
    char before[SERIES_SENTENCE];
    snprintf(before, sizeof before, "%s", tread_last_error());
    forget_rejected(series);
    TREAD_TRY(tread_series_list(series->folder, &steps));
    tread_status status = load_first_good(series, &steps, &state, &label);
    tread_series_steps_free(&steps);
    if (status != TREAD_OK)
        return status;
    tread_fail(TREAD_OK, "%s", before); /* success leaves the sentence alone */
    *ret_state = state;
    if (ret_step != NULL)
        *ret_step = label.step;
    return TREAD_OK;
}

const char *tread_checkpoint_series_rejected(const tread_checkpoint_series *series, size_t i) {
    return series != NULL && i < series->n_rejected ? series->rejected[i].reason : NULL;
}

tread_status tread_checkpoint_series_best(tread_checkpoint_series *series, tread_state **ret_state, int64_t *ret_step,
                                          double *ret_metric) {
    TREAD_REFUSE_NULL("checkpoint series best", series);
    TREAD_TRY(tread_checkpoint_series_wait(series));
    series_label label = {.step = -1, .metric = NAN};
    tread_state *state;
    TREAD_TRY(load_best(series->folder, &state, &label));
    *ret_state = state;
    if (ret_step != NULL)
        *ret_step = label.step;
    if (ret_metric != NULL)
        *ret_metric = label.metric;
    return TREAD_OK;
}

/* --- Opening --- */

static tread_status open_folder(tread_checkpoint_series *series) {
    struct stat status;
    if (series->options.read_only)
        return tread_fs_stat(series->folder, &status) == 0
                   ? TREAD_OK
                   : tread_fail(TREAD_ERROR_IO, "%s: cannot look at: %s", series->folder, strerror(errno));
    TREAD_TRY(tread_series_create_folder(series->folder));
    TREAD_TRY(tread_series_lock(series->folder, &series->lock));
    return series->options.best != TREAD_BEST_NONE ? settle_best(series) : TREAD_OK;
}

static tread_status check_options(const tread_checkpoint_series_options *options) {
    if (options->keep < 0)
        return tread_fail(TREAD_ERROR_ARGUMENT, "checkpoint series: keep = %lld is below 0", (long long)options->keep);
    if ((unsigned)options->best > TREAD_BEST_MAX)
        return tread_fail(TREAD_ERROR_ARGUMENT, "checkpoint series: best = %d is unknown", (int)options->best);
    return TREAD_OK;
}

tread_checkpoint_series *tread_checkpoint_series_open(const char *folder,
                                                      const tread_checkpoint_series_options *options) {
    tread_checkpoint_series_options chosen = tread_checkpoint_series_defaults();
    char before[SERIES_SENTENCE];
    if (folder == NULL || folder[0] == '\0')
        return tread_fail_null(TREAD_ERROR_ARGUMENT, "checkpoint series: the folder is missing");
    if (tread_options_read("checkpoint series", options, &chosen, sizeof chosen) != TREAD_OK ||
        check_options(&chosen) != TREAD_OK)
        return NULL;
    tread_checkpoint_series *series = tread_calloc(1, sizeof *series, "checkpoint series");
    if (series == NULL)
        return NULL;
    series->lock = -1;
    series->best = (series_label){.step = -1, .metric = NAN};
    series->options = chosen;
    series->folder = tread_strdup(folder);
    snprintf(before, sizeof before, "%s", tread_last_error());
    if (series->folder == NULL || open_folder(series) != TREAD_OK) {
        tread_checkpoint_series_destroy(series);
        return NULL;
    }
    tread_fail(TREAD_OK, "%s", before); /* success leaves the sentence alone */
    return series;
}

void tread_checkpoint_series_destroy(tread_checkpoint_series *series) {
    if (series == NULL)
        return;
    tread_series_join(series);
    if (series->lock >= 0)
        tread_fs_close(series->lock);
    forget_rejected(series);
    tread_snapshot_free(&series->snapshot);
    tread_free(series->folder);
    tread_free(series);
}
