#include "optim/optimizer.h"

#include <stdio.h>
#include <string.h>

#include "core/context.h"
#include "core/memory.h"
#include "core/parallel.h"
#include "core/status.h"
#include "optim/split.h"
#include "optim/vector.h"

/* The arrays that grow with every group; made anew, then put in place of the old ones. */
typedef struct tables {
    tread_param_group *groups;
    tread_optimizer_item *items;
    tread_leaves leaves;
    unsigned char *factors;
    tread_step_plan plan;
} tables;

static void free_tables(tables *t) {
    tread_free(t->groups);
    tread_free(t->items);
    tread_free(t->leaves.items);
    tread_free(t->leaves.partial_sums);
    tread_free(t->factors);
    tread_step_plan_free(&t->plan);
}

static void free_workspaces(const tread_optimizer *optimizer, tread_optimizer_item *items, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (items[i].workspace != NULL)
            optimizer->type->destroy_workspace(items[i].workspace);
}

static void free_group(const tread_optimizer *optimizer, tread_param_group *group) {
    tread_fields_free(&optimizer->type->table, group->options);
    tread_free(group->spare);
    tread_free(group->params);
    tread_free(group->memory.data);
}

/* The places of the list and the group that have a parameter: "0 of 4, 3 of 4", "0 of 1, group 2". */
static void list_places(const tread_optimizer *optimizer, tread_parameter_list params, const tread_parameter *parameter,
                        tread_report *ret_places) {
    char place[64];
    tread_list_places(params, parameter, ret_places);
    for (size_t g = 0; g < optimizer->n_groups; g++)
        for (size_t i = 0; i < optimizer->groups[g].count; i++)
            if (optimizer->groups[g].params[i] == parameter) {
                snprintf(place, sizeof place, "group %zu", g);
                tread_report_item(ret_places, place);
            }
}

/* Not empty, none NULL, none twice, here or in another group. */
static tread_status check_params(const tread_optimizer *optimizer, tread_parameter_list params) {
    const char *name = optimizer->type->table.name;
    TREAD_TRY(tread_list_check(name, params));
    size_t n = optimizer->n_items + params.count;
    tread_parameter **all = tread_alloc(n * sizeof *all, "a list of parameters");
    if (all == NULL)
        return TREAD_ERROR_MEMORY;
    for (size_t i = 0; i < optimizer->n_items; i++)
        all[i] = optimizer->items[i].parameter;
    memcpy(all + optimizer->n_items, params.items, params.count * sizeof *all);
    const tread_parameter *twice = tread_find_twice(all, n);
    tread_free(all);
    if (twice == NULL)
        return TREAD_OK;
    tread_report places = {.length = 0};
    list_places(optimizer, params, twice, &places);
    return tread_fail_twice(name, twice, &places);
}

/* Items of the new group, without their workspaces. */
static void fill_items(const tread_optimizer *optimizer, tread_param_group *group, tread_parameter_list params,
                       tables *t) {
    for (size_t i = 0; i < params.count; i++) {
        tread_tensor *x = &params.items[i]->tensor;
        tread_optimizer_item *item = &t->items[group->first + i];
        *item = (tread_optimizer_item){.parameter = params.items[i], .n = x->count, .offset = group->n_floats};
        item->progress.fresh = (uint32_t)-1;
        for (int s = 0; s < optimizer->type->n_scalars; s++)
            item->progress.scalars[s] = optimizer->type->scalars[s].initial;
        group->n_floats += tread_line_padded(x->count);
        t->leaves.items[group->first + i] = (tread_leaf){.tensor = x, .first_chunk = t->leaves.n_chunks};
        t->leaves.n_chunks += tread_leaf_chunk_count(x->count);
    }
    t->leaves.count = group->first + params.count;
}

static tread_status make_workspaces(const tread_optimizer *optimizer, const tread_param_group *group,
                                    tread_optimizer_item *items) {
    const tread_optimizer_type *type = optimizer->type;
    bool whole = type->whole_tensor != NULL && (type->applies_whole == NULL || type->applies_whole(group->options));
    for (size_t i = 0; whole && i < group->count; i++) {
        tread_optimizer_item *item = &items[group->first + i];
        item->whole = true;
        TREAD_TRY(type->create_workspace(optimizer->context, group->options, item->parameter, &item->workspace));
    }
    return TREAD_OK;
}

static tread_status make_tables(const tread_optimizer *optimizer, size_t count, tables *t) {
    size_t n_items = optimizer->n_items + count;
    t->groups = tread_calloc(optimizer->n_groups + 1, sizeof *t->groups, "an optimizer's groups");
    t->items = t->groups == NULL ? NULL : tread_calloc(n_items, sizeof *t->items, "an optimizer's parameters");
    t->leaves.items = t->items == NULL ? NULL : tread_calloc(n_items, sizeof(tread_leaf), "an optimizer's gradients");
    t->factors = t->leaves.items == NULL ? NULL : tread_calloc(n_items, TREAD_MAX_FACTORS, "an optimizer's factors");
    if (t->factors == NULL || tread_step_plan_create(n_items, &t->plan) != TREAD_OK)
        return TREAD_ERROR_MEMORY;
    if (optimizer->n_groups > 0) {
        memcpy(t->groups, optimizer->groups, optimizer->n_groups * sizeof *t->groups);
        memcpy(t->items, optimizer->items, optimizer->n_items * sizeof *t->items);
        memcpy(t->leaves.items, optimizer->leaves.items, optimizer->n_items * sizeof(tread_leaf));
        t->leaves.n_chunks = optimizer->leaves.n_chunks;
    }
    return TREAD_OK;
}

/* Fills the new group in t, which frees nothing on failure. Takes options on success only. */
static tread_status make_group(const tread_optimizer *optimizer, tread_parameter_list params, void *options,
                               tables *t) {
    const tread_optimizer_type *type = optimizer->type;
    tread_param_group *group = &t->groups[optimizer->n_groups];
    *group = (tread_param_group){.first = optimizer->n_items, .count = params.count, .initial_lr = NAN, .clip = 1};
    fill_items(optimizer, group, params, t);
    int n_sums = type->n_sums > 1 ? type->n_sums : 1;
    t->leaves.partial_sums =
        tread_calloc((size_t)(t->leaves.n_chunks * n_sums), sizeof(double), "partial sums of gradients");
    group->spare = t->leaves.partial_sums == NULL ? NULL : tread_alloc(type->table.size, "options");
    group->params =
        group->spare == NULL ? NULL : tread_alloc(params.count * sizeof *group->params, "a list of parameters");
    if (group->params == NULL)
        return TREAD_ERROR_MEMORY;
    memcpy(group->params, params.items, params.count * sizeof *group->params);
    memcpy(group->spare, options, type->table.size);
    TREAD_TRY(tread_group_plan(optimizer, group, &group->memory));
    group->options = options;
    tread_status status = make_workspaces(optimizer, group, t->items);
    if (status != TREAD_OK)
        group->options = NULL;
    return status;
}

/* Takes options, checked and ours, whatever comes of it. */
static tread_status add_group(tread_optimizer *optimizer, tread_parameter_list params, void *options) {
    tables t = {0};
    tread_step_plan_release(optimizer); /* its items are copied */
    tread_status status = check_params(optimizer, params);
    if (status == TREAD_OK && optimizer->type->solve != NULL && optimizer->n_groups > 0)
        status = tread_fail(TREAD_ERROR_ARGUMENT, "%s: there can be one group only", optimizer->type->table.name);
    if (status == TREAD_OK)
        status = make_tables(optimizer, params.count, &t);
    if (status == TREAD_OK) {
        status = make_group(optimizer, params, options, &t);
        if (status != TREAD_OK) {
            free_workspaces(optimizer, t.items + optimizer->n_items, params.count);
            free_group(optimizer, &t.groups[optimizer->n_groups]);
        }
    }
    if (status != TREAD_OK) {
        free_tables(&t);
        tread_fields_free(&optimizer->type->table, options);
        return status;
    }
    tables old = {optimizer->groups, optimizer->items, optimizer->leaves, optimizer->factors, optimizer->plan};
    optimizer->groups = t.groups;
    optimizer->items = t.items;
    optimizer->leaves = t.leaves;
    optimizer->factors = t.factors;
    optimizer->plan = t.plan;
    optimizer->n_items += params.count;
    tread_param_group *group = &optimizer->groups[optimizer->n_groups++];
    if (tread_lr_schedulers_have_base(optimizer)) /* it takes part from now on */
        group->initial_lr = *(double *)tread_group_option(optimizer, group, "lr");
    free_tables(&old);
    return TREAD_OK;
}

static tread_status make_groups(tread_optimizer *optimizer, const tread_new_group *groups, size_t n) {
    const tread_optimizer_type *type = optimizer->type;
    for (size_t i = 0; i < n; i++) {
        void *own;
        const void *options = groups[i].options != NULL ? groups[i].options : optimizer->defaults;
        TREAD_TRY(tread_fields_clone(&type->table, options, &own));
        TREAD_TRY(add_group(optimizer, groups[i].params, own));
    }
    return type->create_solver != NULL ? type->create_solver(optimizer, &optimizer->solver) : TREAD_OK;
}

tread_optimizer *tread_optimizer_create_groups(const tread_context *context, const tread_optimizer_type *type,
                                               const void *options, const tread_new_group *groups, size_t n) {
    void *defaults;
    if ((context == NULL && tread_context_default_status() != TREAD_OK) ||
        tread_fields_clone(&type->table, options, &defaults) != TREAD_OK)
        return NULL;
    tread_optimizer *optimizer = tread_calloc(1, sizeof *optimizer, "an optimizer");
    if (optimizer == NULL) {
        tread_fields_free(&type->table, defaults);
        return NULL;
    }
    optimizer->context = context;
    optimizer->type = type;
    optimizer->defaults = defaults;
    if (make_groups(optimizer, groups, n) != TREAD_OK) {
        tread_optimizer_destroy(optimizer);
        return NULL;
    }
    return optimizer;
}

tread_optimizer *tread_optimizer_create(const tread_context *context, const tread_optimizer_type *type,
                                        tread_parameter_list params, const void *options) {
    return tread_optimizer_create_groups(context, type, options, &(tread_new_group){params, NULL}, 1);
}

void tread_optimizer_destroy(tread_optimizer *optimizer) {
    if (optimizer == NULL)
        return;
    tread_lr_schedulers_detach(optimizer);
    if (optimizer->solver != NULL)
        optimizer->type->destroy_solver(optimizer->solver);
    free_workspaces(optimizer, optimizer->items, optimizer->n_items);
    for (size_t g = 0; g < optimizer->n_groups; g++)
        free_group(optimizer, &optimizer->groups[g]);
    free_tables(&(tables){optimizer->groups, optimizer->items, optimizer->leaves, optimizer->factors, optimizer->plan});
    tread_fields_free(&optimizer->type->table, optimizer->defaults);
    tread_free(optimizer);
}

tread_status tread_optimizer_add_param_group(tread_optimizer *optimizer, tread_parameter_list params,
                                             const void *options) {
    TREAD_REFUSE_NULL("optimizer add param group", optimizer);
    void *own;
    TREAD_TRY(tread_fields_clone(&optimizer->type->table, options != NULL ? options : optimizer->defaults, &own));
    return add_group(optimizer, params, own);
}

tread_status tread_optimizer_add_param_group_spec(tread_optimizer *optimizer, tread_parameter_list params,
                                                  const char *spec) {
    TREAD_REFUSE_NULL("optimizer add param group spec", optimizer);
    const tread_field_table *table = &optimizer->type->table;
    void *own;
    TREAD_TRY(tread_fields_clone(table, optimizer->defaults, &own));
    tread_status status = tread_fields_parse(table, own, spec != NULL ? spec : "");
    if (status != TREAD_OK) {
        tread_fields_free(table, own);
        return status;
    }
    return add_group(optimizer, params, own);
}

size_t tread_optimizer_group_count(const tread_optimizer *optimizer) {
    return optimizer != NULL ? optimizer->n_groups : 0;
}

tread_parameter_list tread_optimizer_group_params(const tread_optimizer *optimizer, size_t group) {
    if (optimizer == NULL)
        return (tread_parameter_list){NULL, 0};
    if (group >= optimizer->n_groups)
        return (tread_parameter_list){NULL, 0};
    return (tread_parameter_list){optimizer->groups[group].params, optimizer->groups[group].count};
}

const char *tread_optimizer_name(const tread_optimizer *optimizer) {
    return optimizer != NULL ? optimizer->type->table.name : NULL;
}
bool tread_optimizer_support_sparse(const tread_optimizer *optimizer) {
    return optimizer != NULL ? optimizer->type->support_sparse : false;
}
