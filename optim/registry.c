#include <string.h>
#include <tread/lr_scheduler.h>

#include "core/memory.h"
#include "core/status.h"
#include "optim/lr_inner.h"
#include "optim/lr_schedulers_list.h"
#include "optim/optimizer.h"
#include "optim/optimizers_list.h"

#define ENTRY(name) &tread_##name##_type,
const tread_optimizer_type *const tread_optimizer_types[] = {TREAD_OPTIMIZERS(ENTRY) NULL};
const tread_lr_scheduler_type *const tread_lr_scheduler_types[] = {TREAD_LR_SCHEDULERS(ENTRY) NULL};

static const tread_field_table *optimizer_table(size_t type) {
    return type < tread_optimizer_type_count() ? &tread_optimizer_types[type]->table : NULL;
}

static const tread_field_table *scheduler_table(size_t type) {
    return type < tread_lr_scheduler_type_count() ? &tread_lr_scheduler_types[type]->table : NULL;
}

const tread_field_table *tread_table_at(size_t i) {
    const size_t n = tread_optimizer_type_count();
    return i < n ? optimizer_table(i) : scheduler_table(i - n);
}

size_t tread_optimizer_type_count(void) { return sizeof tread_optimizer_types / sizeof *tread_optimizer_types - 1; }
size_t tread_lr_scheduler_type_count(void) {
    return sizeof tread_lr_scheduler_types / sizeof *tread_lr_scheduler_types - 1;
}

const char *tread_optimizer_type_name(size_t type) {
    return optimizer_table(type) != NULL ? optimizer_table(type)->name : NULL;
}
const char *tread_lr_scheduler_type_name(size_t type) {
    return scheduler_table(type) != NULL ? scheduler_table(type)->name : NULL;
}

const char *tread_optimizer_type_doc(size_t type) {
    return optimizer_table(type) != NULL ? tread_optimizer_types[type]->doc : NULL;
}
const char *tread_lr_scheduler_type_doc(size_t type) {
    return scheduler_table(type) != NULL ? tread_lr_scheduler_types[type]->doc : NULL;
}

size_t tread_optimizer_field_count(size_t type) {
    return optimizer_table(type) != NULL ? optimizer_table(type)->n_fields : 0;
}
size_t tread_lr_scheduler_field_count(size_t type) {
    return scheduler_table(type) != NULL ? scheduler_table(type)->n_fields : 0;
}

static tread_status describe(const tread_field_table *table, const char *what, size_t field,
                             tread_field_info *ret_info) {
    if (table == NULL || field >= table->n_fields)
        return tread_fail(TREAD_ERROR_ARGUMENT, "%s: there is no field %zu%s", table == NULL ? what : table->name,
                          field, table == NULL ? ", nor that type" : "");
    tread_field_describe(&table->fields[field], ret_info);
    return TREAD_OK;
}

tread_status tread_optimizer_field(size_t type, size_t field, tread_field_info *ret_info) {
    return describe(optimizer_table(type), "optimizer", field, ret_info);
}
tread_status tread_lr_scheduler_field(size_t type, size_t field, tread_field_info *ret_info) {
    return describe(scheduler_table(type), "scheduler", field, ret_info);
}

static bool needs_functions(const tread_field_table *table) {
    for (size_t i = 0; i < table->n_fields; i++)
        if (table->fields[i].kind == TREAD_FIELD_FUNCTIONS)
            return true;
    return false;
}

/* Splits "name:fields" over one of the two registries, and makes options of its fields. */
static tread_status read_spec(const char *what, const char *spec, const tread_field_table *(*table_of)(size_t),
                              size_t *ret_type, void **ret_options) {
    if (spec == NULL)
        return tread_fail(TREAD_ERROR_ARGUMENT, "%s: the spec string is NULL", what);
    size_t length = strcspn(spec, ":"), type = 0;
    tread_report names = {.length = 0};
    for (; table_of(type) != NULL; type++) {
        const char *name = table_of(type)->name;
        if (strlen(name) == length && memcmp(name, spec, length) == 0)
            break;
        if (!needs_functions(table_of(type))) /* no spec can make it: it is not offered */
            tread_report_item(&names, name);
    }
    const tread_field_table *table = table_of(type);
    char quote[TREAD_QUOTE_TEXT];
    if (table == NULL)
        return tread_fail(TREAD_ERROR_ARGUMENT, "there is no %s '%s'; there are %s", what,
                          tread_quote(quote, spec, length), names.text);
    void *options = tread_alloc(table->size, "options");
    if (options == NULL)
        return TREAD_ERROR_MEMORY;
    tread_fields_defaults(table, options);
    tread_status status = tread_fields_parse(table, options, spec[length] == ':' ? spec + length + 1 : "");
    if (status != TREAD_OK) {
        tread_fields_free(table, options);
        return status;
    }
    *ret_type = type;
    *ret_options = options;
    return TREAD_OK;
}

tread_status tread_optimizer_read_spec(const char *spec, const tread_optimizer_type **ret_type, void **ret_options) {
    size_t type;
    TREAD_TRY(read_spec("optimizer", spec, optimizer_table, &type, ret_options));
    *ret_type = tread_optimizer_types[type];
    return TREAD_OK;
}

tread_optimizer *tread_optimizer_from_spec(const tread_context *context, tread_parameter_list params,
                                           const char *spec) {
    const tread_optimizer_type *type;
    void *options;
    if (tread_optimizer_read_spec(spec, &type, &options) != TREAD_OK)
        return NULL;
    tread_optimizer *optimizer = tread_optimizer_create(context, type, params, options);
    tread_fields_free(&type->table, options);
    return optimizer;
}

/* Before anything recurses into it. */
static tread_status check_nesting(const char *spec) {
    int depth = 0, deepest = 0;
    for (; spec != NULL && *spec != '\0'; spec++) {
        depth += *spec == '[' ? 1 : *spec == ']' ? -1 : 0;
        deepest = depth > deepest ? depth : deepest;
    }
    if (deepest > TREAD_MAX_NESTING)
        return tread_fail(TREAD_ERROR_ARGUMENT, "scheduler: brackets are nested %d deep, and %d is the most", deepest,
                          TREAD_MAX_NESTING);
    return TREAD_OK;
}

tread_lr_scheduler *tread_lr_scheduler_from_spec(tread_optimizer *optimizer, const char *spec) {
    size_t type;
    void *options;
    if (check_nesting(spec) != TREAD_OK || read_spec("scheduler", spec, scheduler_table, &type, &options) != TREAD_OK)
        return NULL;
    if (optimizer != NULL)
        return tread_lr_scheduler_adopt(optimizer, tread_lr_scheduler_types[type], options);
    tread_fields_free(&tread_lr_scheduler_types[type]->table, options);
    return tread_fail_null(TREAD_ERROR_ARGUMENT, "%s: the optimizer is NULL",
                           tread_lr_scheduler_types[type]->table.name);
}

tread_status tread_lr_scheduler_read_inner(const char *spec, const void *owner, tread_lr_scheduler **ret_scheduler) {
    size_t type;
    void *options;
    double last_step = -1, verbose = 0;
    TREAD_TRY(read_spec("scheduler", spec, scheduler_table, &type, &options));
    const tread_lr_scheduler_type *found = tread_lr_scheduler_types[type];
    const tread_field_table *table = &found->table;
    tread_status status = TREAD_OK;
    if (found->lr == NULL)
        status = tread_fail(TREAD_ERROR_ARGUMENT, "%s follows a metric, and cannot be part of another scheduler",
                            table->name);
    if (status == TREAD_OK)
        status = tread_fields_get(table, options, "last_step", &last_step);
    if (status == TREAD_OK)
        status = tread_fields_get(table, options, "verbose", &verbose);
    if (status == TREAD_OK && (last_step != -1 || verbose != 0))
        status = tread_fail(TREAD_ERROR_ARGUMENT, "%s: %s is given to the outer scheduler", table->name,
                            last_step != -1 ? "last_step" : "verbose");
    if (status != TREAD_OK) {
        tread_fields_free(table, options);
        return status;
    }
    *ret_scheduler = tread_lr_scheduler_detached(found, options, owner);
    return *ret_scheduler != NULL ? TREAD_OK : TREAD_ERROR_MEMORY;
}
