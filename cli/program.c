#include <string.h>

#include "cli/train_options.h"

const char *const cli_every_names[] = {[TREAD_EVERY_EPOCH] = "epoch",
                                       [TREAD_EVERY_STEP] = "step",
                                       [TREAD_EVERY_EVALUATION] = "evaluation",
                                       [TREAD_EVERY_EVALUATION + 1] = NULL};

tread_schedule_every cli_train_schedule_every(const train_options *o) {
    return o->scheduler == NULL      ? TREAD_EVERY_STEP
           : o->schedule_every == -1 ? TREAD_EVERY_EPOCH
                                     : (tread_schedule_every)o->schedule_every;
}

/* Schedule-Free has its name from doing without. */
bool cli_train_has_scheduler(const train_options *o) {
    static const char without[] = "schedule_free_";
    if (o->scheduler == NULL)
        return strncmp(o->optimizer, without, sizeof without - 1) != 0;
    return strcmp(o->scheduler, "none") != 0;
}

static tread_status add_text(tread_state *tree, const char *name, const char *text) {
    return text != NULL ? tread_state_add_string(tree, name, text) : TREAD_OK;
}

/* 0 says that the option was not given. */
static tread_status add_real(tread_state *tree, const char *name, double value) {
    return value != 0 ? tread_state_add_real(tree, name, value) : TREAD_OK;
}

static bool add_data(tread_state *tree, const cli_data_options *o) {
    return add_text(tree, "data", o->data) == TREAD_OK && add_text(tree, "target", o->target) == TREAD_OK &&
           add_text(tree, "drop", o->drop) == TREAD_OK && add_text(tree, "delimiter", o->delimiter) == TREAD_OK &&
           add_text(tree, "test", o->test) == TREAD_OK &&
           (o->task < 0 || tread_state_add_string(tree, "task", cli_task_names[o->task]) == TREAD_OK) &&
           (o->validation < 0 || tread_state_add_real(tree, "validation", o->validation) == TREAD_OK) &&
           tread_state_add_integer(tree, "standardize", o->standardize) == TREAD_OK;
}

static bool add_model(tread_state *tree, const cli_setup_options *o) {
    tread_state *hidden;
    if (tread_state_add_string(tree, "model", cli_model_names[o->model]) != TREAD_OK ||
        tread_state_add_string(tree, "activation", cli_activation_names[o->activation]) != TREAD_OK ||
        tread_state_add_integer(tree, "batch-size", o->batch_size) != TREAD_OK ||
        tread_state_add_integer(tree, "seed", o->seed) != TREAD_OK ||
        (hidden = tread_state_add_list(tree, "hidden")) == NULL)
        return false;
    for (size_t i = 0; i < o->hidden.count; i++)
        if (tread_state_add_integer(hidden, NULL, o->hidden.values[i]) != TREAD_OK)
            return false;
    return true;
}

static bool add_optimizer(tread_state *tree, const train_options *o) {
    tread_state *groups;
    if (tread_state_add_string(tree, "optimizer", o->optimizer) != TREAD_OK ||
        add_text(tree, "adamw", o->groups.adamw) != TREAD_OK ||
        tread_state_add_integer(tree, "split-decay", o->groups.split_decay) != TREAD_OK ||
        (groups = tread_state_add_list(tree, "group")) == NULL)
        return false;
    for (size_t i = 0; i < o->groups.rules.count; i++)
        if (tread_state_add_string(groups, NULL, o->groups.rules.values[i]) != TREAD_OK)
            return false;
    if (o->scheduler == NULL && cli_train_has_scheduler(o)) /* its curve spans the run */
        return tread_state_add_integer(tree, "epochs", o->epochs) == TREAD_OK;
    return add_text(tree, "scheduler", o->scheduler) == TREAD_OK &&
           tread_state_add_string(tree, "schedule-every", cli_every_names[cli_train_schedule_every(o)]) == TREAD_OK;
}

static bool add_run(tread_state *tree, const cli_run_options *o) {
    return tread_state_add_integer(tree, "accumulate", o->accumulate) == TREAD_OK &&
           add_real(tree, "clip-norm", o->clip_norm) == TREAD_OK &&
           add_real(tree, "clip-value", o->clip_value) == TREAD_OK && add_real(tree, "ema", o->ema) == TREAD_OK &&
           tread_state_add_string(tree, "monitor", cli_monitor_names[o->monitor]) == TREAD_OK;
}

tread_state *cli_train_program(const train_options *o) {
    tread_state *tree = tread_state_create();
    if (tree != NULL && add_data(tree, &o->setup.data) && add_model(tree, &o->setup) && add_optimizer(tree, o) &&
        add_run(tree, &o->run))
        return tree;
    tread_state_destroy(tree);
    return NULL;
}
