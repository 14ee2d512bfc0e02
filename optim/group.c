#include <stdio.h>
#include <string.h>

#include "core/memory.h"
#include "core/status.h"
#include "optim/optimizer.h"

void *tread_group_option(const tread_optimizer *optimizer, const tread_param_group *group, const char *field) {
    const tread_field_table *table = &optimizer->type->table;
    for (size_t f = 0; f < table->n_fields; f++)
        if (strcmp(table->fields[f].name, field) == 0)
            return (char *)group->options + table->fields[f].offset;
    return NULL;
}

void tread_group_set_lr(const tread_optimizer *optimizer, tread_param_group *group, double lr) {
    *(double *)tread_group_option(optimizer, group, "lr") = lr;
}

const char *tread_group_momentum_field(const tread_optimizer *optimizer, const tread_param_group *group) {
    const tread_field_table *table = &optimizer->type->table;
    const char *name = NULL;
    if (optimizer->type->momentum_field != NULL)
        return optimizer->type->momentum_field(group->options);
    for (size_t f = 0; f < table->n_fields; f++)
        if (table->fields[f].in_parameters)
            continue;
        else if (strcmp(table->fields[f].name, "momentum") == 0)
            return "momentum";
        else if (strcmp(table->fields[f].name, "betas") == 0)
            name = "betas[0]";
    return name;
}

const char *tread_item_name(const tread_optimizer *optimizer, size_t item, char *buffer) {
    const char *name = tread_parameter_name(optimizer->items[item].parameter);
    if (name != NULL)
        return name;
    snprintf(buffer, TREAD_ITEM_NAME, "param.%zu", item);
    return buffer;
}

/* ---- Slot memory ---- */

/* A load waits for an earlier store to the same place of another page, so arrays that run side by side should not begin
 * at the same place of theirs: measured, Adam takes 0.31 ns a value where they do and 0.27 where they lie a quarter of
 * a page apart. The parameter and its gradient begin alike; the slots follow by quarters. */
#define PAGE ((size_t)4096)

static size_t slot_bytes(int64_t n_floats) {
    size_t bytes = (size_t)n_floats * sizeof(float);
    return bytes < PAGE ? bytes : bytes + PAGE;
}

static float *slot_start(char *at, int64_t n_floats, const float *x, int slot) {
    size_t skew =
        ((uintptr_t)x + (size_t)(slot + 1) * (PAGE / 4) - (uintptr_t)at) % PAGE / TREAD_ALIGNMENT * TREAD_ALIGNMENT;
    return (float *)(at + (slot_bytes(n_floats) < PAGE ? 0 : skew));
}

void tread_slot_start(const tread_optimizer_type *type, int s, const void *options, float *slot, int64_t n) {
    const float initial = type->slots[s].initial != NULL ? (float)type->slots[s].initial(options) : 0;
    for (int64_t i = 0; i < n; i++)
        slot[i] = initial;
}

tread_status tread_group_plan(const tread_optimizer *optimizer, const tread_param_group *group,
                              tread_slot_memory *ret_memory) {
    const tread_optimizer_type *type = optimizer->type;
    tread_slot_memory memory = {0};
    const float *x = group->params[0]->tensor.data;
    size_t n_slots = 0;
    for (int s = 0; s < type->n_slots; s++)
        if (tread_slot_is_needed(&type->slots[s], group->spare)) {
            memory.mask |= 1u << s;
            n_slots++;
        }
    if (memory.mask == group->memory.mask) {
        *ret_memory = group->memory;
        return TREAD_OK;
    }
    if (n_slots > 0) {
        memory.data = tread_alloc(n_slots * slot_bytes(group->n_floats), "an optimizer's state");
        if (memory.data == NULL)
            return TREAD_ERROR_MEMORY;
    }
    char *at = (char *)memory.data;
    for (int s = 0; s < type->n_slots; s++) {
        if (!(memory.mask >> s & 1))
            continue;
        float *next = slot_start(at, group->n_floats, x, s);
        if (group->memory.slots[s] != NULL)
            memcpy(next, group->memory.slots[s], (size_t)group->n_floats * sizeof(float));
        else
            tread_slot_start(type, s, group->spare, next, group->n_floats);
        memory.slots[s] = next;
        at += slot_bytes(group->n_floats);
    }
    *ret_memory = memory;
    return TREAD_OK;
}

/* What no update has written yet starts at what the options now say. */
static void start_fresh_slots(const tread_optimizer *optimizer, const tread_param_group *group) {
    const tread_optimizer_type *type = optimizer->type;
    for (int s = 0; s < type->n_slots; s++)
        for (size_t i = group->first; i < group->first + group->count; i++) {
            const tread_optimizer_item *item = &optimizer->items[i];
            if (type->slots[s].initial != NULL && group->memory.slots[s] != NULL &&
                (tread_item_progress(optimizer, i)->fresh >> s & 1))
                tread_slot_start(type, s, group->options, group->memory.slots[s] + item->offset, item->n);
        }
}

static void swap(tread_optimizer *optimizer, tread_param_group *group) {
    const tread_slot_memory memory = group->planned;
    uint32_t added = memory.mask & ~group->memory.mask, dropped = group->memory.mask & ~memory.mask;
    if (memory.data != group->memory.data)
        tread_free(group->memory.data);
    group->memory = memory;
    void *options = group->options;
    group->options = group->spare;
    group->spare = options;
    if ((added | dropped) != 0)
        tread_step_plan_release(optimizer);
    for (size_t i = 0; (added | dropped) != 0 && i < group->count; i++)
        optimizer->items[group->first + i].progress.fresh |= added | dropped;
    start_fresh_slots(optimizer, group);
}

tread_status tread_groups_commit(tread_optimizer *optimizer, size_t first, size_t end) {
    for (size_t g = first; g < end; g++)
        if (tread_group_plan(optimizer, &optimizer->groups[g], &optimizer->groups[g].planned) != TREAD_OK) {
            for (size_t i = first; i < g; i++)
                if (optimizer->groups[i].planned.data != optimizer->groups[i].memory.data)
                    tread_free(optimizer->groups[i].planned.data);
            return TREAD_ERROR_MEMORY;
        }
    for (size_t g = first; g < end; g++)
        swap(optimizer, &optimizer->groups[g]);
    return TREAD_OK;
}

/* ---- One option ---- */

static tread_status check_group(const tread_optimizer *optimizer, size_t group) {
    if (group >= optimizer->n_groups)
        return tread_fail(TREAD_ERROR_ARGUMENT, "%s: there is no group %zu; there are %zu", optimizer->type->table.name,
                          group, optimizer->n_groups);
    return TREAD_OK;
}

tread_status tread_optimizer_get(const tread_optimizer *optimizer, size_t group, const char *field, double *ret_value) {
    TREAD_REFUSE_NULL("optimizer get", optimizer);
    TREAD_REFUSE_NULL("optimizer get", field);
    TREAD_REFUSE_NULL("optimizer get", ret_value);
    TREAD_TRY(check_group(optimizer, group));
    return tread_fields_get(&optimizer->type->table, optimizer->groups[group].options, field, ret_value);
}

tread_status tread_optimizer_get_text(const tread_optimizer *optimizer, size_t group, const char *field, char *ret_text,
                                      size_t size) {
    TREAD_REFUSE_NULL("optimizer get text", optimizer);
    TREAD_REFUSE_NULL("optimizer get text", field);
    TREAD_REFUSE_NULL("optimizer get text", ret_text);
    TREAD_TRY(check_group(optimizer, group));
    const tread_field *found = tread_fields_find(&optimizer->type->table, field);
    if (found == NULL)
        return TREAD_ERROR_ARGUMENT;
    tread_report text = {.length = 0};
    tread_field_text(found, optimizer->groups[group].options, &text);
    if (text.length >= size)
        return tread_fail(TREAD_ERROR_ARGUMENT,
                          "%s: the text of %s has %zu bytes and the end mark, there is room for %zu",
                          optimizer->type->table.name, field, text.length, size);
    memcpy(ret_text, text.text, text.length + 1);
    return TREAD_OK;
}

double tread_optimizer_lr(const tread_optimizer *optimizer, size_t group) {
    if (optimizer == NULL)
        return NAN;
    return group < optimizer->n_groups ? *(double *)tread_group_option(optimizer, &optimizer->groups[group], "lr")
                                       : NAN;
}

double tread_optimizer_initial_lr(const tread_optimizer *optimizer, size_t group) {
    return optimizer != NULL && group < optimizer->n_groups ? optimizer->groups[group].initial_lr : NAN;
}

/* One field as a number, or as text where text is not NULL. */
typedef struct assignment {
    const char *field;
    double value;
    const char *text;
} assignment;

static bool has_updates(const tread_optimizer *optimizer, const tread_param_group *group) {
    for (size_t i = group->first; i < group->first + group->count; i++)
        if (tread_item_progress(optimizer, i)->step > 0)
            return true;
    return false;
}

/* The group's spare options with the new value, checked. Optimizers have no lists, so that a byte copy is whole. */
static tread_status assign(const tread_optimizer *optimizer, const tread_param_group *group, const assignment *a) {
    const tread_field_table *table = &optimizer->type->table;
    memcpy(group->spare, group->options, table->size);
    char name[64]; /* of a number it may be one of several; text is of all */
    snprintf(name, sizeof name, "%.*s", (int)strcspn(a->field, a->text == NULL ? "[" : ""), a->field);
    const tread_field *field = tread_fields_find(table, name);
    if (field == NULL)
        return TREAD_ERROR_ARGUMENT;
    if (a->text != NULL)
        TREAD_TRY(tread_fields_set_text(table, group->spare, field, a->text));
    else
        TREAD_TRY(tread_fields_set(table, group->spare, a->field, a->value));
    TREAD_TRY(tread_fields_check(table, group->spare));
    const char *was = (const char *)group->options + field->offset, *is = (const char *)group->spare + field->offset;
    if (field->identity && memcmp(was, is, sizeof(int)) != 0) /* choices */
        return tread_fail(TREAD_ERROR_STATE, "%s: %s is fixed when the group is made", table->name, field->name);
    if (field->in_parameters && *(const double *)was != *(const double *)is && has_updates(optimizer, group))
        return tread_fail(TREAD_ERROR_STATE,
                          "%s: %s%s is fixed once there were updates: the parameters were made with it", table->name,
                          field->name, tread_field_values(field) > 1 ? "[0]" : "");
    return TREAD_OK;
}

tread_status tread_groups_set_momentum(tread_optimizer *optimizer, double momentum) {
    for (size_t g = 0; g < optimizer->n_groups; g++) {
        const tread_param_group *group = &optimizer->groups[g];
        TREAD_TRY(
            assign(optimizer, group, &(assignment){tread_group_momentum_field(optimizer, group), momentum, NULL}));
    }
    return tread_groups_commit(optimizer, 0, optimizer->n_groups);
}

static tread_status set(tread_optimizer *optimizer, size_t group, const assignment *a) {
    size_t first = 0, end = optimizer->n_groups;
    if (group != TREAD_ALL_GROUPS) {
        TREAD_TRY(check_group(optimizer, group));
        first = group;
        end = group + 1;
    }
    for (size_t g = first; g < end; g++)
        TREAD_TRY(assign(optimizer, &optimizer->groups[g], a));
    if (optimizer->type->fit_solver != NULL)
        TREAD_TRY(optimizer->type->fit_solver(optimizer->solver, optimizer->groups[0].spare));
    /* Memory last: with one new value every group that needs some needs it for that value. */
    return tread_groups_commit(optimizer, first, end);
}

tread_status tread_optimizer_set(tread_optimizer *optimizer, size_t group, const char *field, double value) {
    TREAD_REFUSE_NULL("optimizer set", optimizer);
    TREAD_REFUSE_NULL("optimizer set", field);
    return set(optimizer, group, &(assignment){field, value, NULL});
}

tread_status tread_optimizer_set_text(tread_optimizer *optimizer, size_t group, const char *field, const char *text) {
    TREAD_REFUSE_NULL("optimizer set text", optimizer);
    TREAD_REFUSE_NULL("optimizer set text", field);
    TREAD_REFUSE_NULL("optimizer set text", text);
    return set(optimizer, group, &(assignment){field, 0, text});
}
