#include "engine/train/trainer_state.h"

#include <math.h>
#include <string.h>

#include "core/status.h"
#include "core/tensor.h"
#include "engine/checkpoint/hash.h"
#include "engine/checkpoint/snapshot.h"
#include "engine/checkpoint/weights.h"
#include "engine/data/batches.h"
#include "engine/data/dataset.h"

#define INTEGER(member)                                                                                                \
    { #member, false, false, offsetof(tread_trainer_progress, member) }
#define REAL(member)                                                                                                   \
    { #member, true, false, offsetof(tread_trainer_progress, member) }
#define OPTIONAL_REAL(member)                                                                                          \
    { #member, true, true, offsetof(tread_trainer_progress, member) }

const tread_progress_field tread_progress_fields[] = {
    INTEGER(epoch),        INTEGER(step_in_epoch),  INTEGER(steps),          INTEGER(samples),
    INTEGER(loss_samples), REAL(loss_sum),          INTEGER(closure_calls),  REAL(lr),
    INTEGER(skipped),      INTEGER(skipped_in_row), INTEGER(evaluated_step), OPTIONAL_REAL(best),
    INTEGER(best_step),    INTEGER(best_epoch),     INTEGER(n_not_better),   OPTIONAL_REAL(target_best),
};
const size_t tread_n_progress_fields = sizeof tread_progress_fields / sizeof *tread_progress_fields;
const tread_progress_field tread_time_fields[] = {REAL(seconds), REAL(train_seconds)};
const size_t tread_n_time_fields = sizeof tread_time_fields / sizeof *tread_time_fields;

void tread_trainer_fill_parts(const tread_trainer *trainer, tread_trainer_parts *ret_parts) {
    tread_trainer_parts *p = ret_parts;
    *p = (tread_trainer_parts){.run = tread_run_parts_defaults(),
                               .schedulers = {trainer->options.scheduler},
                               .rngs = {{"dropout", &p->rng}},
                               .rng = tread_tape_rng(trainer->tape)};
    p->run.parameters = (tread_parameter_list){trainer->parameters, trainer->n_parameters};
    p->run.optimizer = trainer->options.optimizer;
    p->run.schedulers = p->schedulers;
    p->run.n_schedulers = trainer->options.scheduler != NULL;
    p->run.rngs = p->rngs;
    p->run.n_rngs = 1;
}

/* ---- Options ---- */

/* A limit that is infinite is none, which a state says by leaving it out. */
static tread_status add_limit(tread_state *tree, const char *name, double value) {
    return isfinite(value) ? tread_state_add_real(tree, name, value) : TREAD_OK;
}

tread_status tread_trainer_add_options(const tread_trainer *trainer, tread_state *root) {
    const tread_trainer_options *o = &trainer->options;
    tread_state *tree = tread_state_add_tree(root, "options");
    if (tree == NULL)
        return TREAD_ERROR_MEMORY;
    TREAD_TRY(tread_state_add_integer(tree, "accumulate", o->accumulate));
    TREAD_TRY(add_limit(tree, "clip_norm", o->clip_norm));
    TREAD_TRY(add_limit(tree, "clip_value", o->clip_value));
    TREAD_TRY(tread_state_add_real(tree, "ema_decay", o->ema_decay));
    TREAD_TRY(tread_state_add_integer(tree, "schedule_every", o->scheduler != NULL ? (int64_t)o->schedule_every : -1));
    TREAD_TRY(tread_state_add_integer(tree, "monitor", o->monitor));
    if (o->precision != TREAD_PRECISION_FLOAT32) /* states of before there were others do not say it */
        TREAD_TRY(tread_state_add_string(tree, "precision", tread_precision_name(o->precision)));
    return tread_state_add_integer(tree, "restore_best", o->restore_best);
}

void tread_trainer_hash_data(tread_trainer *trainer) {
    char parts[3][TREAD_HASH_DIGITS + 1] = {""};
    const tread_dataset *set = trainer->options.train != NULL ? tread_batches_dataset(trainer->options.train) : NULL;
    if (set == NULL || set->x == NULL || trainer->data_hash[0] != '\0')
        return;
    tread_hash_text(set->x->data, tread_tensor_bytes(set->x), parts[0]);
    if (set->y != NULL)
        tread_hash_text(set->y->data, tread_tensor_bytes(set->y), parts[1]);
    if (set->rows != NULL)
        tread_hash_text(set->rows, (size_t)set->n * sizeof *set->rows, parts[2]);
    tread_hash_text(parts, sizeof parts, trainer->data_hash);
}

tread_status tread_trainer_add_data(const tread_trainer *trainer, tread_state *root) {
    const tread_batches *train = trainer->options.train;
    if (train == NULL)
        return TREAD_OK;
    tread_state *tree = tread_state_add_tree(root, "data");
    if (tree == NULL)
        return TREAD_ERROR_MEMORY;
    bool shuffle;
    uint64_t seed = tread_batches_seed(train, &shuffle);
    TREAD_TRY(tread_state_add_integer(tree, "samples", tread_dataset_count(tread_batches_dataset(train))));
    TREAD_TRY(tread_state_add_integer(tree, "samples_per_epoch", tread_batches_samples(train)));
    TREAD_TRY(tread_state_add_integer(tree, "batch_size", tread_batches_batch_size(train)));
    TREAD_TRY(tread_state_add_integer(tree, "classes", tread_dataset_classes(tread_batches_dataset(train))));
    TREAD_TRY(tread_state_add_integer(tree, "shuffle", shuffle));
    if (shuffle)
        TREAD_TRY(tread_state_add_integer(tree, "seed", (int64_t)seed));
    if (trainer->data_hash[0] != '\0')
        TREAD_TRY(tread_state_add_string(tree, "hash", trainer->data_hash));
    tread_state *set = tread_dataset_state_dict(tread_batches_dataset(train));
    tread_status status = tread_state_add_state(tree, "set", set);
    if (status != TREAD_OK)
        tread_state_destroy(set);
    return status;
}

/* ---- Weights ---- */

void tread_trainer_lay_bare(tread_trainer *trainer, tread_weights_kind *ret_held) {
    *ret_held = trainer->held;
    if (trainer->held == TREAD_WEIGHTS_BEST)
        tread_trainer_exchange_best(trainer);
    if (trainer->held != TREAD_WEIGHTS_TRAINING)
        tread_trainer_exchange_ema(trainer);
    trainer->held = TREAD_WEIGHTS_TRAINING;
}

void tread_trainer_cover(tread_trainer *trainer, tread_weights_kind held) {
    if (held != TREAD_WEIGHTS_TRAINING)
        tread_trainer_exchange_ema(trainer);
    if (held == TREAD_WEIGHTS_BEST)
        tread_trainer_exchange_best(trainer);
    trainer->held = held;
}

static tread_status add_weights(const tread_trainer *trainer, const char *name, float *values, tread_state *root) {
    char number[TREAD_PARAMETER_NUMBER];
    if (values == NULL)
        return TREAD_OK;
    tread_state *tree = tread_state_add_tree(root, name);
    if (tree == NULL)
        return TREAD_ERROR_MEMORY;
    for (size_t i = 0; i < trainer->n_parameters; i++) {
        const tread_tensor *x = &trainer->parameters[i]->tensor;
        tread_tensor *wrap = tread_tensor_wrap(TREAD_FLOAT32, x->rank, x->shape, values);
        if (wrap == NULL)
            return TREAD_ERROR_MEMORY;
        tread_status status =
            tread_state_add_tensor_copy(tree, tread_parameter_file_name(trainer->parameters[i], i, number), wrap);
        tread_tensor_destroy(wrap);
        TREAD_TRY(status);
        values += x->count;
    }
    return TREAD_OK;
}

/* ---- Place ---- */

static tread_status add_fields(const tread_trainer_progress *progress, const tread_progress_field *fields, size_t n,
                               tread_state *tree) {
    for (size_t i = 0; i < n; i++) {
        const char *member = (const char *)progress + fields[i].offset;
        double real = fields[i].real ? *(const double *)member : 0;
        if (!fields[i].real)
            TREAD_TRY(tread_state_add_integer(tree, fields[i].name, *(const int64_t *)member));
        else if (!fields[i].optional || isfinite(real))
            TREAD_TRY(tread_state_add_real(tree, fields[i].name, real));
    }
    return TREAD_OK;
}

static tread_status add_table(tread_state *whole, const char *name, int64_t rows, int64_t columns,
                              const tread_trainer *trainer,
                              void (*fill)(const tread_epoch_metrics *metrics, double *ret_row)) {
    if (rows == 0)
        return TREAD_OK;
    tread_tensor *table = tread_tensor_create(TREAD_FLOAT64, 2, (int64_t[]){rows, columns});
    if (table == NULL)
        return TREAD_ERROR_MEMORY;
    for (int64_t i = 0; i < rows; i++)
        fill(&trainer->history[i], (double *)table->data + i * columns);
    tread_status status = tread_state_add_tensor(whole, name, table);
    if (status != TREAD_OK)
        tread_tensor_destroy(table);
    return status;
}

static void fill_history(const tread_epoch_metrics *m, double *ret_row) {
    const double row[TREAD_HISTORY_COLUMNS] = {(double)m->epoch,
                                               (double)m->steps,
                                               (double)m->closure_calls,
                                               m->train_loss,
                                               m->test_loss,
                                               m->test_accuracy,
                                               m->lr};
    memcpy(ret_row, row, sizeof row);
}
static void fill_times(const tread_epoch_metrics *m, double *ret_row) {
    ret_row[0] = m->samples_per_second;
    ret_row[1] = m->seconds;
}

static tread_status add_place(const tread_trainer *trainer, tread_state *root) {
    tread_trainer_progress progress = trainer->progress;
    const int64_t n = trainer->result.n_history;
    progress.seconds = tread_trainer_seconds(trainer);
    tread_state *tree = tread_state_add_tree(root, "trainer");
    if (tree == NULL)
        return TREAD_ERROR_MEMORY;
    TREAD_TRY(add_fields(&progress, tread_progress_fields, tread_n_progress_fields, tree));
    TREAD_TRY(tread_state_add_integer(tree, "n_history", n));
    TREAD_TRY(add_table(root, "history", n, TREAD_HISTORY_COLUMNS, trainer, fill_history));
    tree = tread_state_add_tree(root, "time");
    if (tree == NULL)
        return TREAD_ERROR_MEMORY;
    TREAD_TRY(add_fields(&progress, tread_time_fields, tread_n_time_fields, tree));
    return add_table(tree, "history", n, TREAD_HISTORY_TIMES, trainer, fill_times);
}

static tread_status add_program(const tread_trainer *trainer, tread_state *root) {
    tread_snapshot copy = {.state = NULL};
    if (trainer->options.program == NULL)
        return TREAD_OK;
    /* Its tensors are borrowed: the program's tree outlives its states as it does the trainer. */
    TREAD_TRY(tread_snapshot_take(&copy, trainer->options.program, NULL, false));
    tread_status status = tread_state_add_state(root, "program", copy.state);
    if (status == TREAD_OK)
        copy.state = NULL;
    tread_snapshot_free(&copy);
    return status;
}

static tread_status add_all(const tread_trainer *trainer, tread_state *root) {
    TREAD_TRY(add_weights(trainer, "ema", trainer->ema, root));
    if (!isnan(trainer->progress.best))
        TREAD_TRY(add_weights(trainer, "best", trainer->best_weights, root));
    TREAD_TRY(add_place(trainer, root));
    TREAD_TRY(tread_trainer_add_options(trainer, root));
    TREAD_TRY(tread_trainer_add_data(trainer, root));
    return add_program(trainer, root);
}

tread_state *tread_trainer_state(tread_trainer *trainer) {
    tread_trainer_parts parts;
    tread_weights_kind held;
    if (trainer == NULL)
        return tread_fail_null(TREAD_ERROR_ARGUMENT, "trainer state: the trainer is NULL");
    if (trainer->stepping)
        return tread_fail_null(TREAD_ERROR_STATE, "trainer: it has no state to be saved within a step");
    if (tread_trainer_refuse_evaluating(trainer) != TREAD_OK)
        return NULL;
    tread_trainer_hash_data(trainer);
    tread_trainer_fill_parts(trainer, &parts);
    tread_trainer_lay_bare(trainer, &held);
    tread_state *root = tread_run_state(&parts.run);
    if (root != NULL && add_all(trainer, root) != TREAD_OK) {
        tread_state_destroy(root);
        root = NULL;
    }
    tread_trainer_cover(trainer, held);
    return root;
}
