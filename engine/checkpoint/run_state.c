#include <math.h>
#include <stdio.h>
#include <string.h>
#include <tread/checkpoint.h>

#include "core/memory.h"
#include "core/options.h"
#include "core/status.h"
#include "core/tensor.h"
#include "engine/checkpoint/run_state.h"
#include "engine/checkpoint/weights.h"
#include "optim/lr_scheduler.h"
#include "optim/optimizer.h"

tread_run_parts tread_run_parts_defaults(void) { return (tread_run_parts){.size = sizeof(tread_run_parts)}; }

/* ---- Taking ---- */

static tread_status add_model(const tread_run_parts *parts, tread_state *root) {
    char number[TREAD_PARAMETER_NUMBER];
    if (parts->parameters.count == 0)
        return TREAD_OK;
    tread_state *model = tread_state_add_tree(root, "model");
    if (model == NULL)
        return TREAD_ERROR_MEMORY;
    for (size_t i = 0; i < parts->parameters.count; i++) {
        const tread_parameter *parameter = parts->parameters.items[i];
        TREAD_TRY(tread_state_add_tensor_copy(model, tread_parameter_file_name(parameter, i, number),
                                              tread_parameter_tensor(parameter)));
    }
    return TREAD_OK;
}

/* Takes part, on failure too. */
static tread_status add_state(tread_state *whole, const char *name, tread_state *part) {
    tread_status status = tread_state_add_state(whole, name, part);
    if (status != TREAD_OK)
        tread_state_destroy(part);
    return status;
}

static tread_status add_optimizer(const tread_run_parts *parts, tread_state *root) {
    if (parts->optimizer != NULL)
        TREAD_TRY(add_state(root, "optimizer", tread_optimizer_state_dict(parts->optimizer)));
    if (parts->n_schedulers == 0)
        return TREAD_OK;
    tread_state *schedulers = tread_state_add_list(root, "schedulers");
    if (schedulers == NULL)
        return TREAD_ERROR_MEMORY;
    for (size_t i = 0; i < parts->n_schedulers; i++)
        TREAD_TRY(add_state(schedulers, NULL, tread_lr_scheduler_state_dict(parts->schedulers[i])));
    return TREAD_OK;
}

static tread_status add_random(const tread_run_parts *parts, tread_state *root) {
    if (parts->n_rngs == 0)
        return TREAD_OK;
    tread_state *random = tread_state_add_tree(root, "random");
    if (random == NULL)
        return TREAD_ERROR_MEMORY;
    for (size_t i = 0; i < parts->n_rngs; i++) {
        const tread_rng *rng = parts->rngs[i].rng;
        tread_state *tree = tread_state_add_tree(random, parts->rngs[i].name);
        if (tree == NULL)
            return TREAD_ERROR_MEMORY;
        TREAD_TRY(tread_state_add_integer(tree, "seed", (int64_t)rng->seed));
        TREAD_TRY(tread_state_add_integer(tree, "stream", (int64_t)rng->stream));
        TREAD_TRY(tread_state_add_integer(tree, "next", (int64_t)rng->next));
    }
    return TREAD_OK;
}

static tread_status check_parts(const tread_run_parts *given, tread_run_parts *ret_parts) {
    tread_run_parts parts = tread_run_parts_defaults();
    if (given == NULL)
        return tread_fail(TREAD_ERROR_ARGUMENT, "run state: the parts is NULL");
    TREAD_TRY(tread_options_read("run state", given, &parts, sizeof parts));
    for (size_t i = 0; i < parts.n_schedulers; i++) {
        TREAD_TRY(parts.schedulers[i] != NULL
                      ? tread_lr_scheduler_check_optimizer(parts.schedulers[i])
                      : tread_fail(TREAD_ERROR_ARGUMENT, "run state: scheduler %zu is NULL", i));
        if (parts.schedulers[i]->optimizer != parts.optimizer)
            return tread_fail(TREAD_ERROR_STATE, "run state: scheduler %zu, %s, is of another optimizer", i,
                              tread_lr_scheduler_name(parts.schedulers[i]));
    }
    *ret_parts = parts;
    return TREAD_OK;
}

tread_state *tread_run_state(const tread_run_parts *given) {
    tread_run_parts parts;
    if (check_parts(given, &parts) != TREAD_OK)
        return NULL;
    tread_state *root = tread_state_create();
    if (root == NULL)
        return NULL;
    if (add_model(&parts, root) == TREAD_OK && add_optimizer(&parts, root) == TREAD_OK &&
        add_random(&parts, root) == TREAD_OK)
        return root;
    tread_state_destroy(root);
    return NULL;
}

/* ---- Loading ----
 *
 * Parameters and streams are checked, and copied at the end, which cannot fail. Schedulers and the optimizer check and
 * take in one: each changes all or nothing, so schedulers go first, the optimizer last, and when one refuses, those
 * that took are given back what they had. What schedulers wrote into the optimizer's options goes back as bytes. */

typedef struct loading {
    const tread_run_parts *parts;
    tread_report report;    /* every difference */
    tread_state **before;   /* of schedulers */
    unsigned char *options; /* of all groups, as they were */
    double *initial_lrs;
    size_t n_loaded; /* schedulers that have been given the new state */
} loading;

static const tread_state *part(loading *l, const tread_state *tree, const char *name, tread_state_kind kind) {
    const tread_state *found = NULL;
    if (tread_state_get(tree, name, kind, &found) != TREAD_OK)
        tread_report_part(&l->report, "%s", tread_last_error());
    return found;
}

/* The saved parts lie in the order of the parameters, as a rule. */
static const tread_state *find_parameter(const tread_state *model, const tread_parameter *parameter, size_t i) {
    char number[TREAD_PARAMETER_NUMBER];
    const char *name = tread_parameter_file_name(parameter, i, number);
    const tread_state *guess = tread_state_at(model, i);
    return guess != NULL && strcmp(tread_state_name(guess), name) == 0 ? guess : tread_state_find(model, name);
}

static void check_parameter(loading *l, const tread_state *saved, const tread_tensor *x, const char *name) {
    const tread_tensor *values = NULL;
    char is[TREAD_SHAPE_TEXT], should[TREAD_SHAPE_TEXT];
    if (saved == NULL)
        tread_report_part(&l->report, "model: there is no %s", name);
    else if (tread_state_as_tensor(saved, &values) != TREAD_OK)
        tread_report_part(&l->report, "model: %s is no tensor, but of kind %s", name,
                          tread_state_kind_name(tread_state_kind_of(saved)));
    else if (values->dtype != x->dtype)
        tread_report_part(&l->report, "model: %s is %s, not %s", name, tread_dtype_name(values->dtype),
                          tread_dtype_name(x->dtype));
    else if (!tread_tensor_same_shape(values, x))
        tread_report_part(&l->report, "model: %s has shape %s, not %s", name,
                          tread_shape_text(is, values->rank, values->shape),
                          tread_shape_text(should, x->rank, x->shape));
}

static void check_model(loading *l, const tread_state *root) {
    const tread_parameter_list list = l->parts->parameters;
    const tread_state *model = list.count == 0 ? NULL : part(l, root, "model", TREAD_STATE_TREE);
    size_t n_found = 0;
    char number[TREAD_PARAMETER_NUMBER];
    if (model == NULL)
        return;
    for (size_t i = 0; i < list.count; i++) {
        const tread_state *saved = find_parameter(model, list.items[i], i);
        check_parameter(l, saved, &list.items[i]->tensor, tread_parameter_file_name(list.items[i], i, number));
        n_found += saved != NULL;
    }
    for (size_t s = 0; s < tread_state_count(model) && n_found != tread_state_count(model); s++) {
        const char *name = tread_state_name(tread_state_at(model, s));
        bool known = false;
        for (size_t i = 0; i < list.count && !known; i++)
            known = strcmp(name, tread_parameter_file_name(list.items[i], i, number)) == 0;
        if (!known)
            tread_report_part(&l->report, "model: it has no %s", name);
    }
}

static bool read_rng(const tread_state *random, const char *name, tread_rng *ret_rng) {
    const tread_state *tree;
    int64_t seed, stream, next;
    if (tread_state_get(random, name, TREAD_STATE_TREE, &tree) != TREAD_OK ||
        tread_state_get_integer(tree, "seed", &seed) != TREAD_OK ||
        tread_state_get_integer(tree, "stream", &stream) != TREAD_OK ||
        tread_state_get_integer(tree, "next", &next) != TREAD_OK)
        return false;
    *ret_rng = (tread_rng){(uint64_t)seed, (uint64_t)stream, (uint64_t)next};
    return true;
}

static void check_random(loading *l, const tread_state *root) {
    tread_rng rng;
    const tread_state *random = l->parts->n_rngs == 0 ? NULL : part(l, root, "random", TREAD_STATE_TREE);
    for (size_t i = 0; i < l->parts->n_rngs && random != NULL; i++)
        if (!read_rng(random, l->parts->rngs[i].name, &rng))
            tread_report_part(&l->report, "random: %s: %s", l->parts->rngs[i].name, tread_last_error());
}

static tread_status remember(loading *l) {
    const tread_run_parts *parts = l->parts;
    if (parts->n_schedulers == 0)
        return TREAD_OK;
    const tread_optimizer *optimizer = parts->optimizer;
    size_t size = optimizer->type->table.size, n = optimizer->n_groups;
    l->before = tread_calloc(parts->n_schedulers, sizeof(tread_state *), "schedulers' states");
    l->options = l->before == NULL ? NULL : tread_calloc(n, size, "an optimizer's options");
    l->initial_lrs = l->options == NULL ? NULL : tread_calloc(n, sizeof *l->initial_lrs, "learning rates");
    if (l->initial_lrs == NULL)
        return TREAD_ERROR_MEMORY;
    for (size_t g = 0; g < n; g++) {
        memcpy(l->options + g * size, optimizer->groups[g].options, size);
        l->initial_lrs[g] = optimizer->groups[g].initial_lr;
    }
    for (size_t i = 0; i < parts->n_schedulers; i++) {
        l->before[i] = tread_lr_scheduler_state_dict(parts->schedulers[i]);
        if (l->before[i] == NULL)
            return TREAD_ERROR_MEMORY;
    }
    return TREAD_OK;
}

static void forget(loading *l) {
    for (size_t i = 0; i < l->parts->n_schedulers && l->before != NULL; i++)
        tread_state_destroy(l->before[i]);
    tread_free(l->before);
    tread_free(l->options);
    tread_free(l->initial_lrs);
}

/* The scheduler's own state fits it, so that only memory can be lacking, which loading it took and gave back. */
static tread_status put_back(loading *l) {
    tread_optimizer *optimizer = l->parts->optimizer;
    tread_status status = TREAD_OK;
    while (l->n_loaded > 0 && status == TREAD_OK) {
        l->n_loaded--;
        status = tread_lr_scheduler_load_state_dict(l->parts->schedulers[l->n_loaded], l->before[l->n_loaded]);
    }
    size_t size = optimizer == NULL ? 0 : optimizer->type->table.size;
    for (size_t g = 0; optimizer != NULL && l->options != NULL && g < optimizer->n_groups; g++) {
        memcpy(optimizer->groups[g].options, l->options + g * size, size);
        optimizer->groups[g].initial_lr = l->initial_lrs[g];
    }
    return status;
}

/* A part's refusal joins the report; other failures end the loading. */
static tread_status gather(loading *l, tread_status status, const char *what) {
    if (status != TREAD_ERROR_FORMAT)
        return status;
    tread_report_part(&l->report, "%s: %s", what, tread_last_error());
    return TREAD_OK;
}

static tread_status load_schedulers(loading *l, const tread_state *root) {
    size_t n = l->parts->n_schedulers;
    const tread_state *list = n == 0 ? NULL : part(l, root, "schedulers", TREAD_STATE_LIST);
    if (list == NULL)
        return TREAD_OK;
    if (tread_state_count(list) != n)
        tread_report_part(&l->report, "%zu schedulers, not %zu", tread_state_count(list), n);
    for (size_t i = 0; i < n && i < tread_state_count(list); i++) {
        char what[32];
        snprintf(what, sizeof what, "scheduler %zu", i);
        tread_status status = tread_lr_scheduler_load_state_dict(l->parts->schedulers[i], tread_state_at(list, i));
        TREAD_TRY(gather(l, status, what));
        l->n_loaded = i + 1; /* a refused one is put back too, to what it has */
    }
    return TREAD_OK;
}

static tread_status load_optimizer(loading *l, const tread_state *root) {
    const tread_state *saved = l->parts->optimizer == NULL ? NULL : part(l, root, "optimizer", TREAD_STATE_TREE);
    if (saved == NULL)
        return TREAD_OK;
    if (l->report.n_parts == 0)
        return gather(l, tread_optimizer_load_state_dict(l->parts->optimizer, saved), "optimizer");
    return gather(l, tread_optimizer_check_state_dict(l->parts->optimizer, saved), "optimizer");
}

static void take(const tread_run_parts *parts, const tread_state *root) {
    const tread_state *model = tread_state_find(root, "model"), *random = tread_state_find(root, "random");
    const tread_tensor *values = NULL;
    for (size_t i = 0; i < parts->parameters.count; i++) {
        tread_tensor *x = &parts->parameters.items[i]->tensor;
        tread_state_as_tensor(find_parameter(model, parts->parameters.items[i], i), &values);
        memcpy(x->data, values->data, tread_tensor_bytes(x));
        tread_tensor_touch(x);
    }
    for (size_t i = 0; i < parts->n_rngs; i++)
        read_rng(random, parts->rngs[i].name, parts->rngs[i].rng);
}

static tread_status load(loading *l, const tread_state *root) {
    check_model(l, root);
    check_random(l, root);
    TREAD_TRY(remember(l));
    tread_status status = load_schedulers(l, root);
    if (status == TREAD_OK)
        status = load_optimizer(l, root);
    if (status == TREAD_OK && l->report.n_parts == 0)
        return TREAD_OK;
    if (status == TREAD_OK)
        status = tread_fail(TREAD_ERROR_FORMAT, "the state does not fit the run: %s%s", l->report.text,
                            l->report.n_left == 0 ? "" : " (tread_state_diff has all)");
    char sentence[4096];
    snprintf(sentence, sizeof sentence, "%s", tread_last_error());
    tread_status undone = put_back(l);
    return undone == TREAD_OK ? tread_fail(status, "%s", sentence)
                              : tread_fail_prefix(undone, "%s; and a scheduler could not be put back: ", sentence);
}

tread_status tread_run_load(const tread_run_parts *given, const tread_state *state) {
    return tread_run_load_reported(given, state, NULL);
}

tread_status tread_run_load_reported(const tread_run_parts *given, const tread_state *state,
                                     const tread_report *differences) {
    tread_run_parts parts;
    TREAD_REFUSE_NULL("run load", state);
    TREAD_TRY(check_parts(given, &parts));
    loading l = {.parts = &parts};
    if (differences != NULL)
        l.report = *differences;
    tread_status status = load(&l, state);
    forget(&l);
    if (status == TREAD_OK)
        take(&parts, state);
    return status;
}
