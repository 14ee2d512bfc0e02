#include <stdio.h>
#include <string.h>

#include "core/memory.h"
#include "core/status.h"
#include "optim/optimizer.h"

/* ---- Taking ---- */

/* Slots that no update has written are left out; where others have been written, "fresh" names them. */
static tread_status add_slots(const tread_optimizer *optimizer, const tread_param_group *group, size_t i,
                              tread_state *tree) {
    const tread_optimizer_type *type = optimizer->type;
    const tread_optimizer_item *item = &optimizer->items[i];
    const tread_progress *progress = tread_item_progress(optimizer, i);
    const tread_tensor *x = &item->parameter->tensor;
    tread_state *fresh = NULL;
    for (int s = 0; s < type->n_slots && progress->step > 0; s++) {
        if (group->memory.slots[s] == NULL)
            continue;
        if (progress->fresh >> s & 1) {
            if (fresh == NULL && (fresh = tread_state_add_list(tree, "fresh")) == NULL)
                return TREAD_ERROR_MEMORY;
            TREAD_TRY(tread_state_add_string(fresh, NULL, type->slots[s].name));
            continue;
        }
        tread_tensor *copy = tread_tensor_create(TREAD_FLOAT32, x->rank, x->shape);
        if (copy == NULL)
            return TREAD_ERROR_MEMORY;
        memcpy(copy->data, group->memory.slots[s] + item->offset, tread_tensor_bytes(copy));
        tread_status status = tread_state_add_tensor(tree, type->slots[s].name, copy);
        if (status != TREAD_OK) {
            tread_tensor_destroy(copy);
            return status;
        }
    }
    return TREAD_OK;
}

static tread_status add_item(const tread_optimizer *optimizer, const tread_param_group *group, size_t i,
                             tread_state *states, tread_state *names) {
    const tread_progress *progress = tread_item_progress(optimizer, i);
    char buffer[TREAD_ITEM_NAME];
    const char *name = tread_item_name(optimizer, i, buffer);
    if (tread_state_find(states, name) != NULL)
        return tread_fail(TREAD_ERROR_ARGUMENT, "%s: two parameters are named '%s'", optimizer->type->table.name, name);
    TREAD_TRY(tread_state_add_string(names, NULL, name));
    tread_state *tree = tread_state_add_tree(states, name);
    if (tree == NULL)
        return TREAD_ERROR_MEMORY;
    TREAD_TRY(tread_state_add_integer(tree, "step", (int64_t)progress->step));
    for (int s = 0; s < optimizer->type->n_scalars; s++)
        TREAD_TRY(tread_state_add_real(tree, optimizer->type->scalars[s].name, progress->scalars[s]));
    return add_slots(optimizer, group, i, tree);
}

static tread_status add_group(const tread_optimizer *optimizer, const tread_param_group *group, tread_state *states,
                              tread_state *groups) {
    tread_state *tree = tread_state_add_tree(groups, NULL);
    if (tree == NULL)
        return TREAD_ERROR_MEMORY;
    TREAD_TRY(tread_fields_to_state(&optimizer->type->table, group->options, tree));
    if (!isnan(group->initial_lr))
        TREAD_TRY(tread_state_add_real(tree, "initial_lr", group->initial_lr));
    tread_state *names = tread_state_add_list(tree, "params");
    if (names == NULL)
        return TREAD_ERROR_MEMORY;
    for (size_t i = group->first; i < group->first + group->count; i++)
        TREAD_TRY(add_item(optimizer, group, i, states, names));
    return TREAD_OK;
}

static tread_status fill(const tread_optimizer *optimizer, tread_state *root) {
    const tread_optimizer_type *type = optimizer->type;
    TREAD_TRY(tread_state_add_string(root, "algorithm", type->table.name));
    if (type->set_training != NULL)
        TREAD_TRY(tread_state_add_integer(root, "training", !optimizer->evaluating));
    tread_state *states = tread_state_add_tree(root, "state");
    tread_state *groups = states == NULL ? NULL : tread_state_add_list(root, "param_groups");
    if (groups == NULL)
        return TREAD_ERROR_MEMORY;
    for (size_t g = 0; g < optimizer->n_groups; g++)
        TREAD_TRY(add_group(optimizer, &optimizer->groups[g], states, groups));
    if (type->solver_to_state == NULL)
        return TREAD_OK;
    tread_state *solver = tread_state_add_tree(root, "solver");
    return solver == NULL ? TREAD_ERROR_MEMORY : type->solver_to_state(optimizer->solver, solver);
}

tread_state *tread_optimizer_state_dict(const tread_optimizer *optimizer) {
    if (optimizer == NULL)
        return tread_fail_null(TREAD_ERROR_ARGUMENT, "optimizer state dict: the optimizer is NULL");
    tread_state *root = tread_state_create();
    if (root != NULL && fill(optimizer, root) != TREAD_OK) {
        tread_state_destroy(root);
        root = NULL;
    }
    return root;
}

/* ---- Loading: first every check, each difference to the report ---- */

static const tread_state *part(const tread_state *tree, const char *name, tread_state_kind kind, const char *where,
                               tread_report *report) {
    const tread_state *found = NULL;
    if (tread_state_get(tree, name, kind, &found) != TREAD_OK)
        tread_report_part(report, "%s: %s", where, tread_last_error());
    return found;
}

/* The saved parts lie in the order of the parameters, as a rule. */
static const tread_state *find_near(const tread_state *tree, size_t i, const char *name) {
    const tread_state *guess = tread_state_at(tree, i);
    return guess != NULL && strcmp(tread_state_name(guess), name) == 0 ? guess : tread_state_find(tree, name);
}

static bool is_fresh(const tread_state *tree, const char *slot) {
    const tread_state *list = tread_state_find(tree, "fresh");
    const char *name;
    for (size_t i = 0; list != NULL && i < tread_state_count(list); i++)
        if (tread_state_as_string(tread_state_at(list, i), &name) == TREAD_OK && strcmp(name, slot) == 0)
            return true;
    return false;
}

/* One that starts as the parameter has been written since the first update. */
static void check_slot(const tread_optimizer_item *item, const tread_state *tree, const tread_slot *type,
                       const char *where, tread_report *report) {
    const tread_tensor *saved, *x = &item->parameter->tensor;
    const char *slot = type->name;
    char is[TREAD_SHAPE_TEXT], should[TREAD_SHAPE_TEXT];
    if (is_fresh(tree, slot) && !type->starts_as_parameter)
        return;
    if (tread_state_get_tensor(tree, slot, &saved) != TREAD_OK)
        tread_report_part(report, "%s: %s", where, tread_last_error());
    else if (saved->dtype != TREAD_FLOAT32)
        tread_report_part(report, "%s: %s is %s, not float32", where, slot, tread_dtype_name(saved->dtype));
    else if (!tread_tensor_same_shape(saved, x))
        tread_report_part(report, "%s: %s has shape %s, not %s", where, slot,
                          tread_shape_text(is, saved->rank, saved->shape), tread_shape_text(should, x->rank, x->shape));
}

/* Whatever is neither the step, nor a scalar, nor a slot that the saved options need. */
static void check_surplus(const tread_optimizer_type *type, const void *options, const tread_state *tree,
                          bool has_slots, const char *where, tread_report *report) {
    for (size_t i = 0; i < tread_state_count(tree); i++) {
        const char *name = tread_state_name(tread_state_at(tree, i));
        bool known = strcmp(name, "step") == 0 || (has_slots && strcmp(name, "fresh") == 0);
        for (int s = 0; s < type->n_scalars; s++)
            known |= strcmp(name, type->scalars[s].name) == 0;
        for (int s = 0; s < type->n_slots && has_slots; s++)
            known |= tread_slot_is_needed(&type->slots[s], options) && strcmp(name, type->slots[s].name) == 0;
        if (!known)
            tread_report_part(report, "%s: '%s' is not part of it", where, name);
    }
}

static void check_scalar(const tread_scalar *scalar, const tread_state *tree, const char *where, tread_report *report) {
    const double most = scalar->most > 0 ? scalar->most : INFINITY;
    char text[TREAD_NUMBER_TEXT], high[TREAD_NUMBER_TEXT];
    double number;
    if (tread_state_get_real(tree, scalar->name, &number) != TREAD_OK)
        tread_report_part(report, "%s: %s", where, tread_last_error());
    else if (!(number >= 0 && number <= most))
        tread_report_part(report, "%s: %s = %s is outside [0, %s%c", where, scalar->name,
                          tread_number_text(text, number), tread_number_text(high, most), isinf(most) ? ')' : ']');
}

static void check_item(const tread_optimizer *optimizer, const tread_param_group *group, size_t i,
                       const tread_state *states, tread_report *report) {
    const tread_optimizer_type *type = optimizer->type;
    char buffer[TREAD_ITEM_NAME];
    const char *name = tread_item_name(optimizer, i, buffer);
    const tread_state *tree = find_near(states, i, name);
    int64_t step = 0;
    if (tree == NULL || tread_state_kind_of(tree) != TREAD_STATE_TREE) {
        tread_report_part(report, "%s: there is no state", name);
        return;
    }
    if (tread_state_get_integer(tree, "step", &step) != TREAD_OK)
        tread_report_part(report, "%s: %s", name, tread_last_error());
    else if (step < 0 || step > (int64_t)TREAD_LARGEST_INTEGER)
        tread_report_part(report, "%s: step = %lld is %s", name, (long long)step,
                          step < 0 ? "negative" : "more than 2^53");
    for (int s = 0; s < type->n_scalars; s++)
        check_scalar(&type->scalars[s], tree, name, report);
    for (int s = 0; s < type->n_slots && step > 0; s++)
        if (tread_slot_is_needed(&type->slots[s], group->spare))
            check_slot(&optimizer->items[i], tree, &type->slots[s], name, report);
    check_surplus(type, group->spare, tree, step > 0, name, report);
}

#define GROUP_NAME 32
static const char *group_name(char buffer[GROUP_NAME], size_t g) {
    snprintf(buffer, GROUP_NAME, "group %zu", g);
    return buffer;
}

static void check_names(const tread_optimizer *optimizer, const tread_param_group *group, const tread_state *tree,
                        const char *where, tread_report *report) {
    const tread_state *names = part(tree, "params", TREAD_STATE_LIST, where, report);
    if (names == NULL)
        return;
    if (tread_state_count(names) != group->count)
        tread_report_part(report, "%s: %zu parameters, not %zu", where, tread_state_count(names), group->count);
    for (size_t i = 0; i < group->count && i < tread_state_count(names); i++) {
        char buffer[TREAD_ITEM_NAME];
        const char *is = "?", *should = tread_item_name(optimizer, group->first + i, buffer);
        if (tread_state_as_string(tread_state_at(names, i), &is) != TREAD_OK || strcmp(is, should) != 0)
            tread_report_part(report, "%s: parameter %zu is '%s', not '%s'", where, i, is, should);
    }
}

/* Fills group->spare. */
static tread_status check_group(const tread_optimizer *optimizer, size_t g, const tread_state *tree,
                                tread_report *report) {
    const tread_field_table *table = &optimizer->type->table;
    const tread_param_group *group = &optimizer->groups[g];
    char where[GROUP_NAME];
    group_name(where, g);
    if (tread_state_kind_of(tree) != TREAD_STATE_TREE) {
        tread_report_part(report, "%s: is no tree", where);
        return TREAD_OK;
    }
    memcpy(group->spare, group->options, table->size);
    static const char *const others[] = {"initial_lr", "params", NULL};
    TREAD_TRY(tread_fields_from_state(table, group->spare, tree, others, where, report));
    for (size_t f = 0; f < table->n_fields; f++) {
        const tread_field *field = &table->fields[f];
        tread_report is = {.length = 0}, should = {.length = 0};
        tread_field_text(field, group->spare, &is);
        tread_field_text(field, group->options, &should);
        if (field->identity && strcmp(is.text, should.text) != 0)
            tread_report_part(report, "%s: %s is %s, not %s", where, field->name, is.text, should.text);
    }
    const tread_state *initial_lr = tread_state_find(tree, "initial_lr");
    double number;
    if (initial_lr != NULL && (tread_state_as_real(initial_lr, &number) != TREAD_OK || !(number >= 0)))
        tread_report_part(report, "%s: initial_lr is no number in [0, inf)", where);
    check_names(optimizer, group, tree, where, report);
    return TREAD_OK;
}

/* Of groups and parameters. What is missing is NULL. */
static void check_counts(const tread_optimizer *optimizer, const tread_state *root, tread_report *report,
                         const tread_state **ret_groups, const tread_state **ret_states) {
    const char *own = optimizer->type->table.name;
    *ret_groups = part(root, "param_groups", TREAD_STATE_LIST, own, report);
    *ret_states = part(root, "state", TREAD_STATE_TREE, own, report);
    if (*ret_groups == NULL || *ret_states == NULL)
        return;
    if (tread_state_count(*ret_groups) != optimizer->n_groups)
        tread_report_part(report, "%zu groups, not %zu", tread_state_count(*ret_groups), optimizer->n_groups);
    if (tread_state_count(*ret_states) != optimizer->n_items)
        tread_report_part(report, "state of %zu parameters, not %zu", tread_state_count(*ret_states),
                          optimizer->n_items);
}

/* What a state of another algorithm can be compared by: the counts, and each group's parameters. */
static void check_shape(const tread_optimizer *optimizer, const tread_state *root, tread_report *report) {
    const tread_state *groups, *states;
    char where[GROUP_NAME];
    check_counts(optimizer, root, report, &groups, &states);
    for (size_t g = 0; groups != NULL && g < optimizer->n_groups && g < tread_state_count(groups); g++)
        if (tread_state_kind_of(tread_state_at(groups, g)) == TREAD_STATE_TREE)
            check_names(optimizer, &optimizer->groups[g], tread_state_at(groups, g), group_name(where, g), report);
}

static tread_status check_all(tread_optimizer *optimizer, const tread_state *root, tread_report *report,
                              void **ret_solver) {
    const char *algorithm, *own = optimizer->type->table.name;
    if (tread_state_get_string(root, "algorithm", &algorithm) != TREAD_OK) {
        tread_report_part(report, "%s", tread_last_error());
        return TREAD_OK;
    }
    if (strcmp(algorithm, own) != 0) {
        tread_report_part(report, "it is of %s", algorithm);
        check_shape(optimizer, root, report);
        return TREAD_OK;
    }
    static const char *const parts[] = {"algorithm", "state", "param_groups", "training", "solver", NULL};
    tread_report_surplus(root, parts, own, report);
    int64_t training = 0;
    if (optimizer->type->set_training != NULL && tread_state_get_integer(root, "training", &training) != TREAD_OK)
        tread_report_part(report, "%s", tread_last_error());
    else if (training != 0 && training != 1)
        tread_report_part(report, "training = %lld is not 0 or 1", (long long)training);
    const tread_state *groups, *states;
    check_counts(optimizer, root, report, &groups, &states);
    if (groups == NULL || states == NULL)
        return TREAD_OK;
    for (size_t g = 0; g < optimizer->n_groups && g < tread_state_count(groups); g++) {
        const tread_param_group *group = &optimizer->groups[g];
        size_t before = report->n_parts;
        TREAD_TRY(check_group(optimizer, g, tread_state_at(groups, g), report));
        if (report->n_parts != before) /* which slots there should be follows from the options */
            memcpy(group->spare, group->options, optimizer->type->table.size);
        for (size_t i = group->first; i < group->first + group->count; i++)
            check_item(optimizer, group, i, states, report);
    }
    if (optimizer->type->solver_from_state == NULL)
        return TREAD_OK;
    const tread_state *solver = part(root, "solver", TREAD_STATE_TREE, own, report);
    return solver == NULL ? TREAD_OK : optimizer->type->solver_from_state(optimizer, solver, report, ret_solver);
}

/* ---- then what cannot fail ---- */

static void take_item(tread_optimizer *optimizer, const tread_param_group *group, size_t i, const tread_state *states) {
    const tread_optimizer_type *type = optimizer->type;
    tread_optimizer_item *item = &optimizer->items[i];
    char buffer[TREAD_ITEM_NAME];
    const tread_state *tree = find_near(states, i, tread_item_name(optimizer, i, buffer));
    int64_t step = 0;
    tread_state_get_integer(tree, "step", &step);
    item->progress.step = (uint64_t)step;
    item->progress.fresh = step == 0 ? (uint32_t)-1 : 0;
    for (int s = 0; s < type->n_scalars; s++)
        tread_state_get_real(tree, type->scalars[s].name, &item->progress.scalars[s]);
    for (int s = 0; s < type->n_slots; s++) {
        float *slot = group->memory.slots[s];
        const tread_tensor *saved;
        if (slot == NULL)
            continue;
        slot += item->offset;
        if (step > 0 && !is_fresh(tree, type->slots[s].name)) {
            tread_state_get_tensor(tree, type->slots[s].name, &saved);
            memcpy(slot, saved->data, tread_tensor_bytes(saved));
            continue;
        }
        item->progress.fresh |= 1u << s;
        tread_slot_start(type, s, group->options, slot, item->n);
    }
}

static void take_all(tread_optimizer *optimizer, const tread_state *root) {
    const tread_state *groups = tread_state_find(root, "param_groups"), *states = tread_state_find(root, "state");
    int64_t training = 1;
    tread_step_plan_release(optimizer);
    if (optimizer->type->set_training != NULL)
        tread_state_get_integer(root, "training", &training);
    optimizer->evaluating = training == 0;
    for (size_t g = 0; g < optimizer->n_groups; g++) {
        tread_param_group *group = &optimizer->groups[g];
        const tread_state *initial_lr = tread_state_find(tread_state_at(groups, g), "initial_lr");
        if (initial_lr != NULL)
            tread_state_as_real(initial_lr, &group->initial_lr);
        group->clip = 1;
        for (size_t i = group->first; i < group->first + group->count; i++)
            take_item(optimizer, group, i, states);
    }
    optimizer->skip_next = optimizer->skipped = false;
}

/* Every check, and the solver's new state where there is one. */
static tread_status check_state(tread_optimizer *optimizer, const tread_state *state, void **ret_solver) {
    const tread_optimizer_type *type = optimizer->type;
    tread_report report = {.length = 0};
    void *solver = NULL;
    if (optimizer->solving)
        return tread_fail(TREAD_ERROR_STATE, "%s: a state cannot be loaded while a step is under way",
                          type->table.name);
    TREAD_TRY(check_all(optimizer, state, &report, &solver));
    if (report.n_parts == 0) {
        *ret_solver = solver;
        return TREAD_OK;
    }
    if (solver != NULL)
        type->destroy_solver(solver);
    return tread_fail(TREAD_ERROR_FORMAT, "%s: the state does not fit, %zu difference%s: %s", type->table.name,
                      report.n_parts, report.n_parts == 1 ? "" : "s", report.text);
}

tread_status tread_optimizer_check_state_dict(tread_optimizer *optimizer, const tread_state *state) {
    void *solver = NULL;
    TREAD_TRY(check_state(optimizer, state, &solver));
    if (solver != NULL)
        optimizer->type->destroy_solver(solver);
    return TREAD_OK;
}

tread_status tread_optimizer_load_state_dict(tread_optimizer *optimizer, const tread_state *state) {
    TREAD_REFUSE_NULL("optimizer load state dict", optimizer);
    TREAD_REFUSE_NULL("optimizer load state dict", state);
    const tread_optimizer_type *type = optimizer->type;
    void *solver = NULL;
    TREAD_TRY(check_state(optimizer, state, &solver));
    tread_status status = tread_groups_commit(optimizer, 0, optimizer->n_groups);
    if (status != TREAD_OK) {
        if (solver != NULL)
            type->destroy_solver(solver);
        return status;
    }
    if (solver != NULL) {
        type->destroy_solver(optimizer->solver);
        optimizer->solver = solver;
    }
    take_all(optimizer, state);
    return TREAD_OK;
}
