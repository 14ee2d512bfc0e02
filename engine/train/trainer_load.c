#include <math.h>
#include <string.h>
#include <tread/state_diff.h>

#include "core/status.h"
#include "core/tensor.h"
#include "engine/checkpoint/run_state.h"
#include "engine/checkpoint/weights.h"
#include "engine/train/trainer_state.h"

/* Everything is read into this first; then the parts that tread_run_load knows are loaded, all or nothing; the rest is
 * copied, which cannot fail. */
typedef struct loading {
    tread_trainer *trainer;
    const tread_state *root;
    tread_report report; /* every difference */
    tread_trainer_progress progress;
    const tread_tensor *history, *times; /* NULL: no epoch is done */
    int64_t n_history;
    const tread_state *ema, *best; /* NULL: none */
} loading;

/* ---- What a resumed run must share ---- */

typedef struct part_report {
    loading *l;
    const char *part;
} part_report;

static bool report_difference(void *data, const tread_difference *difference) {
    const part_report *p = data;
    const bool both = difference->kind != TREAD_ONLY_IN_FIRST && difference->kind != TREAD_ONLY_IN_SECOND;
    const bool hash = both && strcmp(p->part, "data") == 0 && strcmp(difference->path, "hash") == 0;
    if (!both && strcmp(p->part, "options") == 0 && strcmp(difference->path, "precision") == 0) {
        const bool saved = difference->kind == TREAD_ONLY_IN_FIRST;
        tread_report_part(&p->l->report, "options.precision: %s in the checkpoint, %s in this run",
                          saved ? "bf16" : "float32", saved ? "float32" : "bf16");
        return true;
    }
    const char *also = hash                                       ? "the data set has other values"
                       : difference->kind == TREAD_ONLY_IN_FIRST  ? "is in the checkpoint alone"
                       : difference->kind == TREAD_ONLY_IN_SECOND ? "is in this run alone"
                                                                  : difference->text;
    tread_report_part(&p->l->report, "%s.%s: %s", p->part, difference->path, also);
    return true;
}

/* Both say the same: the part of the state, and what this trainer would write there. */
static tread_status compare(loading *l, const char *name,
                            tread_status (*add)(const tread_trainer *trainer, tread_state *root)) {
    tread_state *own = tread_state_create();
    if (own == NULL)
        return TREAD_ERROR_MEMORY;
    tread_status status = add(l->trainer, own);
    const tread_state *is = tread_state_find(own, name), *saved = tread_state_find(l->root, name);
    part_report data = {l, name};
    if (status == TREAD_OK && is != NULL && saved == NULL)
        tread_report_part(&l->report, "there is no %s", name);
    else if (status == TREAD_OK && is != NULL)
        status = tread_state_diff(saved, is, report_difference, &data, NULL);
    tread_state_destroy(own);
    return status;
}

/* ---- Place ---- */

static void read_fields(loading *l, const char *name, const tread_progress_field *fields, size_t n) {
    const tread_state *tree;
    if (tread_state_get(l->root, name, TREAD_STATE_TREE, &tree) != TREAD_OK) {
        tread_report_part(&l->report, "%s", tread_last_error());
        return;
    }
    for (size_t i = 0; i < n; i++) {
        char *member = (char *)&l->progress + fields[i].offset;
        tread_status status = TREAD_OK;
        if (!fields[i].real)
            status = tread_state_get_integer(tree, fields[i].name, (int64_t *)member);
        else if (fields[i].optional && tread_state_find(tree, fields[i].name) == NULL)
            *(double *)member = NAN;
        else
            status = tread_state_get_real(tree, fields[i].name, (double *)member);
        if (status == TREAD_OK && !fields[i].real && *(int64_t *)member < 0)
            tread_report_part(&l->report, "%s: %s is %lld, below 0", name, fields[i].name,
                              (long long)*(int64_t *)member);
        if (status != TREAD_OK)
            tread_report_part(&l->report, "%s: %s", name, tread_last_error());
    }
}

static const tread_tensor *read_table(loading *l, const tread_state *tree, const char *name, int64_t columns) {
    const tread_tensor *table;
    char text[TREAD_SHAPE_TEXT];
    if (l->n_history == 0)
        return NULL;
    if (tree == NULL || tread_state_get_tensor(tree, name, &table) != TREAD_OK) {
        tread_report_part(&l->report, "the history is missing");
        return NULL;
    }
    if (table->dtype == TREAD_FLOAT64 && table->rank == 2 && table->shape[0] == l->n_history &&
        table->shape[1] == columns)
        return table;
    tread_report_part(&l->report, "the history is %s %s, expected float64 (%lld, %lld)", tread_dtype_name(table->dtype),
                      tread_shape_text(text, table->rank, table->shape), (long long)l->n_history, (long long)columns);
    return NULL;
}

/* Counts are doubles in the table: what is none could not be made an integer again. */
static void check_counts(loading *l) {
    const double *row = l->history != NULL ? l->history->data : NULL;
    for (int64_t i = 0; row != NULL && i < l->n_history; i++, row += TREAD_HISTORY_COLUMNS)
        for (int k = 0; k < TREAD_HISTORY_COUNTS; k++)
            if (!(row[k] >= 0 && row[k] <= 0x1p53 && row[k] == floor(row[k]))) {
                tread_report_part(&l->report, "the history's row %lld has %g in column %d, which is no count",
                                  (long long)i, row[k], k);
                return;
            }
}

static void read_place(loading *l) {
    const tread_state *tree = tread_state_find(l->root, "trainer");
    read_fields(l, "trainer", tread_progress_fields, tread_n_progress_fields);
    read_fields(l, "time", tread_time_fields, tread_n_time_fields);
    if (tree == NULL || l->report.n_parts > 0)
        return;
    if (tread_state_get_integer(tree, "n_history", &l->n_history) != TREAD_OK || l->n_history < 0 ||
        l->n_history > l->progress.epoch)
        tread_report_part(&l->report, "trainer: n_history does not go with %lld epochs", (long long)l->progress.epoch);
    l->history = read_table(l, l->root, "history", TREAD_HISTORY_COLUMNS);
    l->times = read_table(l, tread_state_find(l->root, "time"), "history", TREAD_HISTORY_TIMES);
    check_counts(l);
    if (l->trainer->options.train != NULL && l->progress.step_in_epoch > tread_trainer_steps_per_epoch(l->trainer))
        tread_report_part(&l->report, "trainer: step_in_epoch is %lld, and an epoch has %lld",
                          (long long)l->progress.step_in_epoch, (long long)tread_trainer_steps_per_epoch(l->trainer));
}

/* ---- Averages and best weights ---- */

static const tread_state *read_weights(loading *l, const char *name) {
    const tread_trainer *trainer = l->trainer;
    const tread_state *tree;
    char number[TREAD_PARAMETER_NUMBER], is[TREAD_SHAPE_TEXT], should[TREAD_SHAPE_TEXT];
    if (tread_state_get(l->root, name, TREAD_STATE_TREE, &tree) != TREAD_OK) {
        tread_report_part(&l->report, "%s", tread_last_error());
        return NULL;
    }
    for (size_t i = 0; i < trainer->n_parameters; i++) {
        const tread_tensor *x = &trainer->parameters[i]->tensor, *saved;
        const char *parameter = tread_parameter_file_name(trainer->parameters[i], i, number);
        if (tread_state_get_tensor(tree, parameter, &saved) != TREAD_OK)
            tread_report_part(&l->report, "%s: %s", name, tread_last_error());
        else if (saved->dtype != TREAD_FLOAT32 || !tread_tensor_same_shape(saved, x))
            tread_report_part(&l->report, "%s: %s is %s %s, not float32 %s", name, parameter,
                              tread_dtype_name(saved->dtype), tread_shape_text(is, saved->rank, saved->shape),
                              tread_shape_text(should, x->rank, x->shape));
    }
    return tree;
}

static void take_weights(const tread_trainer *trainer, const tread_state *tree, float *to) {
    char number[TREAD_PARAMETER_NUMBER];
    for (size_t i = 0; tree != NULL && i < trainer->n_parameters; i++) {
        const tread_tensor *x = &trainer->parameters[i]->tensor, *saved;
        if (tread_state_get_tensor(tree, tread_parameter_file_name(trainer->parameters[i], i, number), &saved) ==
            TREAD_OK)
            memcpy(to, saved->data, (size_t)x->count * sizeof *to);
        to += x->count;
    }
}

/* ---- Taking ---- */

static void take(loading *l) {
    tread_trainer *trainer = l->trainer;
    trainer->progress = l->progress;
    for (int64_t i = 0; i < l->n_history; i++) {
        const double *row = (const double *)l->history->data + i * TREAD_HISTORY_COLUMNS;
        const double *times = (const double *)l->times->data + i * TREAD_HISTORY_TIMES;
        trainer->history[i] = (tread_epoch_metrics){.epoch = (int64_t)row[0],
                                                    .steps = (int64_t)row[1],
                                                    .closure_calls = (int64_t)row[2],
                                                    .train_loss = row[3],
                                                    .test_loss = row[4],
                                                    .test_accuracy = row[5],
                                                    .lr = row[6],
                                                    .samples_per_second = times[0],
                                                    .seconds = times[1]};
    }
    take_weights(trainer, l->ema, trainer->ema);
    take_weights(trainer, l->best, trainer->best_weights);
    trainer->held = TREAD_WEIGHTS_TRAINING;
    trainer->saves = (tread_trainer_saves){.step = -1};
    trainer->result.n_history = l->n_history;
    trainer->result.seconds = l->progress.seconds;
    trainer->result.stop_reason = TREAD_STOP_NONE;
    tread_trainer_update_result(trainer);
}

static tread_status load(loading *l) {
    tread_trainer *trainer = l->trainer;
    tread_trainer_parts parts;
    tread_weights_kind held;
    tread_trainer_hash_data(trainer);
    TREAD_TRY(compare(l, "options", tread_trainer_add_options));
    TREAD_TRY(compare(l, "data", tread_trainer_add_data));
    read_place(l);
    if (trainer->ema != NULL)
        l->ema = read_weights(l, "ema");
    if (trainer->best_weights != NULL && !isnan(l->progress.best))
        l->best = read_weights(l, "best");
    if (l->report.n_parts == 0)
        TREAD_TRY(tread_trainer_reserve_history(trainer, l->n_history));
    tread_trainer_fill_parts(trainer, &parts);
    tread_trainer_lay_bare(trainer, &held); /* what is loaded are weights of training */
    tread_status status = tread_run_load_reported(&parts.run, l->root, &l->report);
    if (status != TREAD_OK) {
        tread_trainer_cover(trainer, held);
        return status;
    }
    tread_tape_set_rng(trainer->tape, parts.rng);
    take(l);
    return TREAD_OK;
}

tread_status tread_trainer_load_state(tread_trainer *trainer, const tread_state *state) {
    TREAD_REFUSE_NULL("trainer load state", trainer);
    TREAD_REFUSE_NULL("trainer load state", state);
    if (trainer->running)
        return tread_fail(TREAD_ERROR_STATE, "trainer: no state can be loaded while it runs");
    TREAD_TRY(tread_trainer_refuse_evaluating(trainer));
    loading l = {.trainer = trainer, .root = state};
    return load(&l);
}
