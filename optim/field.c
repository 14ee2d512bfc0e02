#include "optim/field.h"

#include <float.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/memory.h"
#include "core/options.h"
#include "core/status.h"
#include "optim/lr_function.h"
#include "optim/lr_inner.h"

static double value_at(const tread_field *field, const void *options, size_t i) {
    const void *at = (const char *)options + field->offset;
    switch (field->kind) {
    case TREAD_FIELD_REAL: return ((const double *)at)[i];
    case TREAD_FIELD_INTEGER: return (double)*(const int64_t *)at;
    case TREAD_FIELD_BOOLEAN: return *(const bool *)at ? 1 : 0;
    case TREAD_FIELD_CHOICE: return *(const int *)at; /* an enum of the options' header, which is an int here */
    case TREAD_FIELD_REAL_LIST: return (*(const double *const *)at)[i];
    case TREAD_FIELD_INTEGER_LIST: return (double)(*(const int64_t *const *)at)[i];
    default: return NAN;
    }
}

static void set_value(const tread_field *field, void *options, size_t i, double value) {
    void *at = (char *)options + field->offset;
    switch (field->kind) {
    case TREAD_FIELD_REAL: ((double *)at)[i] = value; break;
    case TREAD_FIELD_INTEGER: *(int64_t *)at = (int64_t)value; break;
    case TREAD_FIELD_BOOLEAN: *(bool *)at = value != 0; break;
    case TREAD_FIELD_CHOICE: *(int *)at = (int)value; break;
    default: break; /* replaced whole, as text */
    }
}

/* The member `size` of options holds the struct's size below, and above it the mark of whose options they are: structs
 * of other algorithms come through `const void *` too, and many begin alike. */
_Static_assert(sizeof(size_t) == 8, "room for a mark above the size");
#define MARK_SHIFT 32

/* FNV-1a of the name; never 0, which is the mark of a size that no _defaults() has set. */
static size_t mark_of(const tread_field_table *table) {
    uint32_t hash = 2166136261u;
    for (const char *c = table->name; *c != '\0'; c++)
        hash = (hash ^ (unsigned char)*c) * 16777619u;
    return (size_t)(hash != 0 ? hash : 1) << MARK_SHIFT;
}

static const char *owner_of(size_t mark) {
    for (size_t i = 0; tread_table_at(i) != NULL; i++)
        if (mark_of(tread_table_at(i)) == mark)
            return tread_table_at(i)->name;
    return NULL;
}

/* Whether options are of this table, and in ret_size how long they are. */
static tread_status check_mark(const tread_field_table *table, const void *options, size_t *ret_size) {
    const size_t marked = *(const size_t *)options, size = marked & (((size_t)1 << MARK_SHIFT) - 1);
    const size_t mark = marked - size;
    *ret_size = size;
    if (mark == mark_of(table))
        return TREAD_OK;
    const char *owner = owner_of(mark);
    if (owner != NULL)
        return tread_fail(TREAD_ERROR_ARGUMENT, "%s: the options are those of %s; begin with tread_%s_defaults()",
                          table->name, owner, table->name);
    return tread_fail(TREAD_ERROR_ARGUMENT,
                      "%s: options.size is %zu, which no _defaults() function has set; begin with tread_%s_defaults()",
                      table->name, marked, table->name);
}

void tread_fields_defaults(const tread_field_table *table, void *ret_options) {
    memset(ret_options, 0, table->size);
    *(size_t *)ret_options = mark_of(table) | table->size;
    for (size_t f = 0; f < table->n_fields; f++)
        for (size_t i = 0; i < tread_field_values(&table->fields[f]); i++)
            set_value(&table->fields[f], ret_options, i, table->fields[f].initial[i]);
}

static void **pointer_of(const tread_field *field, void *options) { return (void **)((char *)options + field->offset); }

void tread_fields_free(const tread_field_table *table, void *options) {
    for (size_t f = 0; options != NULL && f < table->n_fields; f++) {
        tread_inner_free(&table->fields[f], options);
        if (tread_field_is_counted(&table->fields[f]))
            tread_free(*pointer_of(&table->fields[f], options));
    }
    tread_free(options);
}

static void *copy_list(const tread_field *field, const void *list, size_t n) {
    if (field->kind == TREAD_FIELD_FUNCTIONS)
        return tread_lr_functions_copy(list, n);
    size_t size = field->kind == TREAD_FIELD_SCHEDULERS ? sizeof(tread_lr_scheduler *) : sizeof(double);
    void *copy = tread_calloc(n, size, "an option's list");
    if (copy != NULL)
        memcpy(copy, list, n * size);
    return copy;
}

/* The caller's lists become the copy's own. On failure those not copied yet are empty, so that free is safe. */
static tread_status own_lists(const tread_field_table *table, void *options) {
    tread_status status = TREAD_OK;
    for (size_t f = 0; f < table->n_fields; f++) {
        const tread_field *field = &table->fields[f];
        if (!tread_field_is_counted(field))
            continue;
        void **list = pointer_of(field, options), *copy = NULL;
        size_t *count = (size_t *)((char *)options + field->count_offset);
        if (status == TREAD_OK && *count > 0 && *list == NULL)
            status =
                tread_fail(TREAD_ERROR_ARGUMENT, "%s: %s is NULL, and its count %zu", table->name, field->name, *count);
        if (status == TREAD_OK && *count > 0 && (copy = copy_list(field, *list, *count)) == NULL)
            status = TREAD_ERROR_MEMORY;
        if (copy == NULL)
            *count = 0;
        *list = copy;
    }
    return status;
}

tread_status tread_fields_clone(const tread_field_table *table, const void *options, void **ret_options) {
    size_t size = 0;
    if (options != NULL)
        TREAD_TRY(check_mark(table, options, &size));
    void *copy = tread_alloc(table->size, "options");
    if (copy == NULL)
        return TREAD_ERROR_MEMORY;
    tread_fields_defaults(table, copy);
    tread_status status = options != NULL ? tread_options_lay(table->name, options, size, copy, table->size) : TREAD_OK;
    *(size_t *)copy = mark_of(table) | table->size;
    if (status != TREAD_OK) {
        tread_free(copy); /* its lists, if any, are the caller's */
        return status;
    }
    status = own_lists(table, copy);
    if (status == TREAD_OK)
        status = tread_fields_check(table, copy);
    if (status != TREAD_OK)
        tread_fields_free(table, copy);
    else
        *ret_options = copy;
    return status;
}

tread_status tread_fields_copy(const tread_field_table *table, const void *options, void **ret_options) {
    void *copy = tread_alloc(table->size, "options");
    if (copy == NULL)
        return TREAD_ERROR_MEMORY;
    memcpy(copy, options, table->size);
    tread_status status = own_lists(table, copy);
    for (size_t f = 0; f < table->n_fields && status == TREAD_OK; f++)
        status = tread_inner_copy(&table->fields[f], copy);
    if (status != TREAD_OK)
        tread_fields_free(table, copy); /* schedulers not copied yet have another owner */
    else
        *ret_options = copy;
    return status;
}

static bool in_range(const tread_range *range, double value) {
    if (isinf(value))
        return value > 0 ? range->infinity : range->minus_infinity;
    return (range->low_open ? value > range->low : value >= range->low) &&
           (range->high_open ? value < range->high : value <= range->high);
}

static bool is_whole(const tread_field *field) {
    return field->kind == TREAD_FIELD_INTEGER || field->kind == TREAD_FIELD_INTEGER_LIST;
}

/* Whole numbers end at 2^53 where the table names no end. */
static tread_range range_of(const tread_field *field) {
    tread_range range = field->range;
    if (is_whole(field) && isinf(range.high)) {
        range.high = TREAD_LARGEST_INTEGER;
        range.high_open = false;
    }
    return range;
}

/* Reals up to infinity become floats in a kernel, as does the lr that they are a part of. */
static bool is_above_floats(const tread_field *field, double value) {
    const bool real = field->kind == TREAD_FIELD_REAL || field->kind == TREAD_FIELD_REAL_LIST;
    return real && isinf(field->range.high) && !field->range.infinity && !field->may_be_absent && value > FLT_MAX;
}

/* "[0, 1)" and the like */
static void range_text(const tread_field *field, tread_report *text) {
    char low[TREAD_NUMBER_TEXT], high[TREAD_NUMBER_TEXT];
    const tread_range range = range_of(field);
    if (field->kind == TREAD_FIELD_BOOLEAN) {
        tread_report_add(text, "true or false");
    } else if (field->kind == TREAD_FIELD_CHOICE) {
        for (int i = 0; field->choices[i] != NULL; i++)
            tread_report_add(text, "%s%s",
                             i == 0                          ? ""
                             : field->choices[i + 1] == NULL ? " or "
                                                             : ", ",
                             field->choices[i]);
    } else if (field->kind == TREAD_FIELD_FUNCTIONS) {
        tread_report_add(text, "functions, in C only");
    } else if (tread_field_has_schedulers(field)) {
        tread_report_add(text, field->kind == TREAD_FIELD_SCHEDULER ? "[a scheduler]" : "[a scheduler]/[another]/...");
    } else {
        tread_report_add(text, "%c%s, %s%c", range.low_open ? '(' : '[', tread_number_text(low, range.low),
                         range.high == TREAD_LARGEST_INTEGER ? "2^53" : tread_number_text(high, range.high),
                         range.high_open ? ')' : ']');
        if (range.infinity)
            tread_report_add(text, range.minus_infinity ? ", inf or -inf" : " or inf");
    }
}

static tread_status check_value(const tread_field_table *table, const tread_field *field, const void *options, size_t i,
                                bool many) {
    double value = value_at(field, options, i);
    bool fine = true;
    if (field->kind == TREAD_FIELD_CHOICE) {
        int n_choices = 0;
        while (field->choices[n_choices] != NULL)
            n_choices++;
        fine = value >= 0 && value < n_choices;
    } else if (field->kind != TREAD_FIELD_BOOLEAN) {
        const tread_range bounds = range_of(field);
        fine = in_range(&bounds, value) || (field->may_be_absent && isnan(value));
    }
    const bool above = fine && is_above_floats(field, value);
    if (fine && !above)
        return TREAD_OK;
    tread_report range = {.length = 0};
    char number[TREAD_NUMBER_TEXT], index[32] = "";
    range_text(field, &range);
    if (many)
        snprintf(index, sizeof index, "[%zu]", i);
    if (above)
        return tread_fail(TREAD_ERROR_ARGUMENT, "%s: %s%s = %s is above " TREAD_LARGEST_FLOAT_TEXT, table->name,
                          field->name, index, tread_number_text(number, value));
    return tread_fail(TREAD_ERROR_ARGUMENT, "%s: %s%s = %s is outside %s%s", table->name, field->name, index,
                      tread_number_text(number, value), range.text, field->required ? ", and there is no default" : "");
}

tread_status tread_fields_check(const tread_field_table *table, const void *options) {
    for (size_t f = 0; f < table->n_fields; f++) {
        const tread_field *field = &table->fields[f];
        size_t n = tread_field_is_counted(field) ? tread_field_count(field, options) : tread_field_values(field);
        if (n == 0 && field->required)
            return tread_fail(TREAD_ERROR_ARGUMENT, "%s: %s is empty, and there is no default", table->name,
                              field->name);
        for (size_t i = 0; i < n && tread_field_has_numbers(field); i++)
            TREAD_TRY(check_value(table, field, options, i, tread_field_is_list(field) || n > 1));
    }
    return table->check != NULL ? table->check(options) : TREAD_OK;
}

static const tread_field *find(const tread_field_table *table, const char *name, size_t length) {
    for (size_t f = 0; f < table->n_fields; f++)
        if (strlen(table->fields[f].name) == length && memcmp(table->fields[f].name, name, length) == 0)
            return &table->fields[f];
    tread_report names = {.length = 0};
    for (size_t f = 0; f < table->n_fields; f++)
        tread_report_item(&names, table->fields[f].name);
    char quote[TREAD_QUOTE_TEXT];
    return tread_fail_null(TREAD_ERROR_ARGUMENT, "%s: there is no field '%s'; there are %s", table->name,
                           tread_quote(quote, name, length), names.text);
}

const tread_field *tread_fields_find(const tread_field_table *table, const char *name) {
    return find(table, name, strlen(name));
}

/* "betas[1]" to field and 1. */
static tread_status find_value(const tread_field_table *table, const char *name, const tread_field **ret_field,
                               size_t *ret_i) {
    const char *bracket = strchr(name, '[');
    const tread_field *field = find(table, name, bracket != NULL ? (size_t)(bracket - name) : strlen(name));
    if (field == NULL)
        return TREAD_ERROR_ARGUMENT;
    if (tread_field_is_counted(field) || field->kind == TREAD_FIELD_SCHEDULER)
        return tread_fail(TREAD_ERROR_ARGUMENT, "%s: %s is a %s, and no number", table->name, field->name,
                          tread_field_is_counted(field) ? "list" : "scheduler");
    int n = (int)tread_field_values(field);
    if (n == 1 && bracket == NULL) {
        *ret_field = field;
        *ret_i = 0;
        return TREAD_OK;
    }
    char *end = NULL;
    long i = bracket != NULL && bracket[1] >= '0' && bracket[1] <= '9' ? strtol(bracket + 1, &end, 10) : -1;
    if (n == 1 || i < 0 || i >= n || strcmp(end, "]") != 0) {
        char quote[TREAD_QUOTE_TEXT];
        tread_quote(quote, name, strlen(name));
        return n == 1 ? tread_fail(TREAD_ERROR_ARGUMENT, "%s: '%s' has an index, and %s is one value", table->name,
                                   quote, field->name)
                      : tread_fail(TREAD_ERROR_ARGUMENT, "%s: '%s' is not one of the values of %s, [0] to [%d]",
                                   table->name, quote, field->name, n - 1);
    }
    *ret_field = field;
    *ret_i = (size_t)i;
    return TREAD_OK;
}

tread_status tread_fields_get(const tread_field_table *table, const void *options, const char *name,
                              double *ret_value) {
    const tread_field *field = NULL;
    size_t i = 0;
    TREAD_TRY(find_value(table, name, &field, &i));
    *ret_value = value_at(field, options, i);
    return TREAD_OK;
}

tread_status tread_fields_set(const tread_field_table *table, void *options, const char *name, double value) {
    const tread_field *field = NULL;
    size_t i = 0;
    TREAD_TRY(find_value(table, name, &field, &i));
    bool fits = field->kind == TREAD_FIELD_REAL || tread_is_integer(value);
    if (field->kind == TREAD_FIELD_BOOLEAN)
        fits = value == 0 || value == 1;
    if (!fits) {
        char number[TREAD_NUMBER_TEXT];
        tread_report range = {.length = 0};
        if (field->kind == TREAD_FIELD_INTEGER)
            range_text(field, &range);
        return tread_fail(TREAD_ERROR_ARGUMENT, "%s: %s = %s is not %s%s%s", table->name, field->name,
                          tread_number_text(number, value),
                          field->kind == TREAD_FIELD_BOOLEAN ? "0 (false) or 1 (true)" : "a whole number",
                          range.length > 0 ? " in " : "", range.text);
    }
    if (field->kind == TREAD_FIELD_CHOICE && fabs(value) > 1000)
        value = -1; /* no choice, and small enough for its int */
    set_value(field, options, i, value);
    return TREAD_OK;
}

void tread_field_describe(const tread_field *field, tread_field_info *ret_info) {
    tread_report initial = {.length = 0}, range = {.length = 0};
    bool single = !tread_field_is_counted(field) && field->kind != TREAD_FIELD_SCHEDULER;
    if (!field->required && !single) {
        tread_report_add(&initial, "none");
    } else if (!field->required) {
        tread_field alone = *field;
        alone.offset = 0;
        _Alignas(double) char storage[TREAD_MAX_VALUES * sizeof(double)] = {0};
        for (size_t i = 0; i < tread_field_values(field); i++)
            set_value(&alone, storage, i, field->initial[i]);
        tread_field_text(&alone, storage, &initial);
    }
    range_text(field, &range);
    *ret_info = (tread_field_info){.name = field->name,
                                   .kind = field->kind,
                                   .n_values = single ? (int)tread_field_values(field) : 0,
                                   .required = field->required,
                                   .doc = field->doc,
                                   .low = field->range.low,
                                   .high = range_of(field).high};
    snprintf(ret_info->default_text, sizeof ret_info->default_text, "%.*s", (int)sizeof ret_info->default_text - 1,
             initial.text);
    snprintf(ret_info->range, sizeof ret_info->range, "%.*s", (int)sizeof ret_info->range - 1, range.text);
}
