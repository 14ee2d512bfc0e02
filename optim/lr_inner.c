#include "optim/lr_inner.h"

#include <stdio.h>
#include <string.h>

#include "core/memory.h"
#include "core/status.h"

/* ---- Who is there ---- */

static tread_lr_scheduler **places(const tread_field *field, const void *options) {
    char *at = (char *)(uintptr_t)options + field->offset;
    return field->kind == TREAD_FIELD_SCHEDULERS ? *(tread_lr_scheduler ***)at : (tread_lr_scheduler **)at;
}

size_t tread_inner_count(const tread_field *field, const void *options) {
    if (field->kind == TREAD_FIELD_SCHEDULERS)
        return tread_field_count(field, options);
    return field->kind == TREAD_FIELD_SCHEDULER && *places(field, options) != NULL ? 1 : 0;
}

tread_lr_scheduler *tread_inner_at(const tread_field *field, const void *options, size_t i) {
    return places(field, options)[i];
}

/* "schedulers[1]", "scheduler" */
#define NAME_TEXT 64
static const char *name_of(const tread_field *field, size_t i, char *buffer) {
    if (field->kind == TREAD_FIELD_SCHEDULER)
        return field->name;
    snprintf(buffer, NAME_TEXT, "%s[%zu]", field->name, i);
    return buffer;
}

/* ---- Making and destroying ---- */

static void free_owned(tread_lr_scheduler **schedulers, size_t n, const void *owner) {
    for (size_t i = 0; i < n; i++)
        if (schedulers[i] != NULL && schedulers[i]->owner == owner) {
            schedulers[i]->owner = NULL;
            tread_lr_scheduler_destroy(schedulers[i]);
        }
}

void tread_inner_free(const tread_field *field, void *options) {
    if (tread_inner_count(field, options) > 0)
        free_owned(places(field, options), tread_inner_count(field, options), options);
}

tread_status tread_inner_copy(const tread_field *field, void *options) {
    bool failed = false;
    for (size_t i = 0; i < tread_inner_count(field, options); i++) {
        tread_lr_scheduler **place = &places(field, options)[i];
        const tread_lr_scheduler *from = *place;
        void *own = NULL;
        *place = NULL;
        if (!failed && tread_fields_copy(&from->type->table, from->options, &own) == TREAD_OK)
            *place = tread_lr_scheduler_detached(from->type, own, options);
        failed |= *place == NULL;
    }
    return failed ? TREAD_ERROR_MEMORY : TREAD_OK;
}

void tread_inner_take(const tread_field_table *table, void *options) {
    for (size_t f = 0; f < table->n_fields; f++)
        for (size_t i = 0; i < tread_inner_count(&table->fields[f], options); i++) {
            tread_lr_scheduler *inner = tread_inner_at(&table->fields[f], options, i);
            tread_lr_scheduler_leave(inner);
            inner->owner = options;
        }
}

void tread_inner_exchange(const tread_field_table *table, void *a, void *b) {
    for (size_t f = 0; f < table->n_fields; f++)
        for (size_t i = 0; i < tread_inner_count(&table->fields[f], a); i++) {
            tread_lr_scheduler **of_a = &places(&table->fields[f], a)[i], **of_b = &places(&table->fields[f], b)[i];
            tread_lr_scheduler *from_a = *of_a, *from_b = *of_b;
            tread_inner_exchange(&from_a->type->table, from_a->options, from_b->options);
            void *options = from_a->options;
            from_a->options = from_b->options;
            from_b->options = options;
            from_a->owner = b;
            from_b->owner = a;
            *of_a = from_b;
            *of_b = from_a;
        }
}

/* ---- Checks ---- */

static int depth_of(const tread_field_table *table, const void *options) {
    int depth = 0;
    for (size_t f = 0; f < table->n_fields; f++)
        for (size_t i = 0; i < tread_inner_count(&table->fields[f], options); i++) {
            const tread_lr_scheduler *inner = tread_inner_at(&table->fields[f], options, i);
            int below = 1 + depth_of(&inner->type->table, inner->options);
            depth = below > depth ? below : depth;
        }
    return depth;
}

static const char *fault_of(const tread_lr_scheduler *inner, const void *options, const tread_optimizer *optimizer) {
    if (inner == NULL)
        return "is NULL";
    if (inner->type->lr == NULL)
        return "follows a metric, and cannot be part of another scheduler";
    if (inner->owner == options)
        return NULL;
    if (inner->owner != NULL)
        return "is part of another scheduler already";
    return inner->optimizer == NULL        ? "has lost its optimizer, which has been destroyed"
           : inner->optimizer != optimizer ? "is a scheduler of another optimizer"
                                           : NULL;
}

static tread_status check_field(const char *name, const tread_field *field, const void *options,
                                const tread_optimizer *optimizer) {
    char buffer[NAME_TEXT];
    for (size_t i = 0; i < tread_inner_count(field, options); i++) {
        const tread_lr_scheduler *inner = tread_inner_at(field, options, i);
        const char *fault = fault_of(inner, options, optimizer);
        for (size_t j = 0; fault == NULL && j < i; j++)
            if (tread_inner_at(field, options, j) == inner)
                fault = "is there twice";
        if (fault != NULL)
            return tread_fail(TREAD_ERROR_ARGUMENT, "%s: %s%s%s%s %s", name, name_of(field, i, buffer),
                              inner != NULL ? " (" : "", inner != NULL ? inner->type->table.name : "",
                              inner != NULL ? ")" : "", fault);
    }
    return TREAD_OK;
}

tread_status tread_inner_check(const tread_field_table *table, const void *options, const tread_optimizer *optimizer) {
    for (size_t f = 0; f < table->n_fields; f++)
        TREAD_TRY(check_field(table->name, &table->fields[f], options, optimizer));
    if (depth_of(table, options) > TREAD_MAX_NESTING)
        return tread_fail(TREAD_ERROR_ARGUMENT, "%s: schedulers are nested %d deep, and %d is the most", table->name,
                          depth_of(table, options), TREAD_MAX_NESTING);
    return TREAD_OK;
}

tread_status tread_inner_fit_groups(const tread_field_table *table, const void *options, size_t n_groups,
                                    tread_status failure) {
    char buffer[NAME_TEXT];
    for (size_t f = 0; f < table->n_fields; f++) {
        const tread_field *field = &table->fields[f];
        if (field->per_group) {
            size_t n = tread_field_count(field, options);
            if (n > 1 && n != n_groups)
                return tread_fail(failure, "%s: %s has %zu entries for %zu group%s; give one, or one per group",
                                  table->name, field->name, n, n_groups, n_groups == 1 ? "" : "s");
        }
        for (size_t i = 0; i < tread_inner_count(field, options); i++) {
            const tread_lr_scheduler *inner = tread_inner_at(field, options, i);
            tread_status status = tread_inner_fit_groups(&inner->type->table, inner->options, n_groups, failure);
            if (status != TREAD_OK)
                return tread_fail_prefix(status, "%s: %s: ", table->name, name_of(field, i, buffer));
        }
    }
    return TREAD_OK;
}

bool tread_inner_cycles_momentum(const tread_field_table *table, const void *options) {
    for (size_t f = 0; f < table->n_fields; f++) {
        const tread_field *field = &table->fields[f];
        if (strcmp(field->name, "cycle_momentum") == 0 && *(const bool *)((const char *)options + field->offset))
            return true;
        for (size_t i = 0; i < tread_inner_count(field, options); i++) {
            const tread_lr_scheduler *inner = tread_inner_at(field, options, i);
            if (tread_inner_cycles_momentum(&inner->type->table, inner->options))
                return true;
        }
    }
    return false;
}

/* ---- Text ---- */

static void scheduler_text(const tread_lr_scheduler *scheduler, tread_report *ret_text) {
    const tread_field_table *table = &scheduler->type->table;
    tread_report_add(ret_text, "[%s", table->name);
    for (size_t f = 0, n = 0; f < table->n_fields; f++)
        if (!table->fields[f].unsaved) {
            tread_report_add(ret_text, "%c%s=", n++ == 0 ? ':' : ',', table->fields[f].name);
            tread_field_text(&table->fields[f], scheduler->options, ret_text);
        }
    tread_report_add(ret_text, "]");
}

void tread_inner_text(const tread_field *field, const void *options, tread_report *ret_text) {
    for (size_t i = 0; i < tread_inner_count(field, options); i++) {
        tread_report_add(ret_text, "%s", i > 0 ? "/" : "");
        scheduler_text(tread_inner_at(field, options, i), ret_text);
    }
}

/* Of the bracket that text begins with, up to its end; 0 if there is none. */
static size_t bracket_length(const char *text) {
    int depth = 0;
    for (size_t i = 0; text[i] != '\0'; i++) {
        depth += text[i] == '[' ? 1 : text[i] == ']' ? -1 : 0;
        if (depth == 0)
            return i > 0 ? i + 1 : 0;
    }
    return 0;
}

/* How many there are; false if text is anything else. */
static bool count_brackets(const char *text, size_t *ret_n) {
    *ret_n = 0;
    while (text[0] != '\0') {
        size_t length = bracket_length(text);
        if (length == 0 || (text[length] != '\0' && (text[length] != '/' || text[length + 1] == '\0')))
            return false;
        text += length + (text[length] == '/');
        ++*ret_n;
    }
    return true;
}

static tread_status read_one(const char *text, size_t length, const void *owner, tread_lr_scheduler **ret_scheduler) {
    char *spec = tread_strndup(text + 1, length - 2);
    if (spec == NULL)
        return TREAD_ERROR_MEMORY;
    tread_status status = tread_lr_scheduler_read_inner(spec, owner, ret_scheduler);
    tread_free(spec);
    return status;
}

tread_status tread_inner_set_text(const tread_field_table *table, void *options, const tread_field *field,
                                  const char *text) {
    size_t n = 0, i = 0;
    bool list = field->kind == TREAD_FIELD_SCHEDULERS;
    if (!count_brackets(text, &n) || (!list && n > 1)) {
        tread_field_info info;
        char quote[TREAD_QUOTE_TEXT];
        tread_field_describe(field, &info);
        return tread_fail(TREAD_ERROR_ARGUMENT, "%s: %s = '%s' is not %s", table->name, field->name,
                          tread_quote(quote, text, strlen(text)), info.range);
    }
    tread_lr_scheduler *single = NULL, **made = &single;
    if (list && n > 0 && (made = tread_calloc(n, sizeof(tread_lr_scheduler *), "an option's list")) == NULL)
        return TREAD_ERROR_MEMORY;
    tread_status status = TREAD_OK;
    char buffer[NAME_TEXT];
    for (; i < n && status == TREAD_OK; i++) {
        size_t length = bracket_length(text);
        status = read_one(text, length, options, &made[i]);
        if (status != TREAD_OK)
            tread_fail_prefix(status, "%s: %s: ", table->name, name_of(field, i, buffer));
        text += length + (text[length] == '/');
    }
    if (status != TREAD_OK) {
        free_owned(made, n, options);
        if (list)
            tread_free(made);
        return status;
    }
    tread_inner_free(field, options);
    void *at = (char *)options + field->offset;
    if (list) {
        tread_free(*(void **)at);
        *(tread_lr_scheduler ***)at = n > 0 ? made : NULL;
        *(size_t *)((char *)options + field->count_offset) = n;
    } else {
        *(tread_lr_scheduler **)at = single;
    }
    return TREAD_OK;
}

/* ---- State ---- */

static tread_status scheduler_to_state(const tread_lr_scheduler *scheduler, tread_state *tree) {
    TREAD_TRY(tread_state_add_string(tree, "algorithm", scheduler->type->table.name));
    tread_state *options = tread_state_add_tree(tree, "options");
    return options == NULL ? TREAD_ERROR_MEMORY
                           : tread_fields_to_state(&scheduler->type->table, scheduler->options, options);
}

tread_status tread_inner_to_state(const tread_field *field, const void *options, tread_state *tree) {
    bool list = field->kind == TREAD_FIELD_SCHEDULERS;
    tread_state *whole = list ? tread_state_add_list(tree, field->name) : tread_state_add_tree(tree, field->name);
    if (whole == NULL)
        return TREAD_ERROR_MEMORY;
    for (size_t i = 0; i < tread_inner_count(field, options); i++) {
        tread_state *one = list ? tread_state_add_tree(whole, NULL) : whole;
        if (one == NULL)
            return TREAD_ERROR_MEMORY;
        TREAD_TRY(scheduler_to_state(tread_inner_at(field, options, i), one));
    }
    return TREAD_OK;
}

static tread_status scheduler_from_state(tread_lr_scheduler *scheduler, const tread_state *tree, const char *where,
                                         tread_report *report) {
    const char *algorithm, *own = scheduler->type->table.name;
    const tread_state *options;
    tread_report_surplus(tree, (const char *[]){"algorithm", "options", NULL}, where, report);
    if (tread_state_get_string(tree, "algorithm", &algorithm) != TREAD_OK ||
        tread_state_get(tree, "options", TREAD_STATE_TREE, &options) != TREAD_OK)
        tread_report_part(report, "%s: %s", where, tread_last_error());
    else if (strcmp(algorithm, own) != 0)
        tread_report_part(report, "%s: is of %s, not %s", where, algorithm, own);
    else
        return tread_fields_from_state(&scheduler->type->table, scheduler->options, options, NULL, where, report);
    return TREAD_OK;
}

tread_status tread_inner_from_state(const tread_field *field, void *options, const tread_state *part, const char *where,
                                    tread_report *report) {
    bool list = field->kind == TREAD_FIELD_SCHEDULERS;
    size_t n = tread_inner_count(field, options), saved = tread_state_count(part);
    if (tread_state_kind_of(part) != (list ? TREAD_STATE_LIST : TREAD_STATE_TREE)) {
        tread_report_part(report, "%s: %s is of another kind", where, field->name);
        return TREAD_OK;
    }
    if (list ? saved != n : (saved > 0) != (n > 0)) {
        tread_report_part(report, "%s: %zu %s, not %zu", where, list ? saved : saved > 0, field->name, n);
        return TREAD_OK;
    }
    for (size_t i = 0; i < n; i++) {
        char buffer[NAME_TEXT], path[512];
        snprintf(path, sizeof path, "%.400s: %s", where, name_of(field, i, buffer));
        TREAD_TRY(scheduler_from_state(tread_inner_at(field, options, i), list ? tread_state_at(part, i) : part, path,
                                       report));
    }
    return TREAD_OK;
}

const tread_state *tread_inner_state(const tread_field *field, const tread_state *part, size_t i) {
    return tread_state_find(field->kind == TREAD_FIELD_SCHEDULERS ? tread_state_at(part, i) : part, "options");
}
