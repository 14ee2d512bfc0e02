#include <stdlib.h>
#include <string.h>

#include "core/memory.h"
#include "core/status.h"
#include "optim/lr_function.h"
#include "optim/lr_inner.h"

/* The numbers of a field as they lie, and how many. */
static size_t numbers_of(const tread_field *field, const void *options, const double **ret_reals,
                         const int64_t **ret_integers) {
    const void *at = (const char *)options + field->offset;
    size_t n = tread_field_values(field);
    *ret_reals = NULL;
    *ret_integers = NULL;
    if (tread_field_is_list(field)) {
        at = *(const void *const *)at;
        n = *(const size_t *)((const char *)options + field->count_offset);
    }
    if (field->kind == TREAD_FIELD_REAL || field->kind == TREAD_FIELD_REAL_LIST)
        *ret_reals = at;
    else
        *ret_integers = at;
    return n;
}

void tread_field_text(const tread_field *field, const void *options, tread_report *ret_text) {
    const void *at = (const char *)options + field->offset;
    if (field->kind == TREAD_FIELD_BOOLEAN) {
        tread_report_add(ret_text, *(const bool *)at ? "true" : "false");
    } else if (field->kind == TREAD_FIELD_CHOICE) {
        tread_report_add(ret_text, "%s", field->choices[*(const int *)at]);
    } else if (field->kind == TREAD_FIELD_FUNCTIONS) {
        tread_report_add(ret_text, "%zu", tread_field_count(field, options));
    } else if (tread_field_has_schedulers(field)) {
        tread_inner_text(field, options, ret_text);
    } else {
        const double *reals;
        const int64_t *integers;
        size_t n = numbers_of(field, options, &reals, &integers);
        char number[TREAD_NUMBER_TEXT];
        for (size_t i = 0; i < n; i++)
            if (reals != NULL)
                tread_report_add(ret_text, "%s%s", i > 0 ? "/" : "", tread_number_text(number, reals[i]));
            else
                tread_report_add(ret_text, "%s%lld", i > 0 ? "/" : "", (long long)integers[i]);
    }
}

/* ---- Reading text ---- */

/* In terms of what the range says, since that is what the reader needs. */
static tread_status fail_text(const tread_field_table *table, const tread_field *field, const char *text,
                              const char *what) {
    tread_field_info info;
    char quote[TREAD_QUOTE_TEXT];
    tread_field_describe(field, &info);
    return tread_fail(TREAD_ERROR_ARGUMENT, "%s: %s = '%s' is not %s%s", table->name, field->name,
                      tread_quote(quote, text, strlen(text)), what, info.range);
}

static bool parse_integer(const char *text, size_t length, int64_t *ret_value) {
    double value;
    if (!tread_number_parse(text, length, &value) || !tread_is_integer(value))
        return false;
    *ret_value = (int64_t)value;
    return true;
}

/* "1/2/3" into n places of reals or integers. */
static bool parse_values(const char *text, size_t n, double *reals, int64_t *integers) {
    for (size_t i = 0; i < n; i++) {
        size_t length = strcspn(text, "/");
        if (reals != NULL ? !tread_number_parse(text, length, &reals[i]) : !parse_integer(text, length, &integers[i]))
            return false;
        if (text[length] != (i + 1 < n ? '/' : '\0'))
            return false;
        text += length + 1;
    }
    return true;
}

static tread_status set_list_text(const tread_field_table *table, void *options, const tread_field *field,
                                  const char *text) {
    bool real = field->kind == TREAD_FIELD_REAL_LIST;
    size_t n = text[0] != '\0' ? 1 : 0;
    for (const char *c = text; *c != '\0'; c++)
        n += *c == '/';
    void *list = n > 0 ? tread_alloc(n * sizeof(double), "an option's list") : NULL;
    if (n > 0 && list == NULL)
        return TREAD_ERROR_MEMORY;
    if (!parse_values(text, n, real ? list : NULL, real ? NULL : list)) {
        tread_free(list);
        return fail_text(table, field, text,
                         real ? "numbers with / between, each in " : "whole numbers with / between, each in ");
    }
    void **own = (void **)((char *)options + field->offset);
    tread_free(*own);
    *own = list;
    *(size_t *)((char *)options + field->count_offset) = n;
    return TREAD_OK;
}

static tread_status fail_functions(const tread_field_table *table, const tread_field *field) {
    return tread_fail(TREAD_ERROR_ARGUMENT,
                      "%s: its %s are C functions, which no text can name; in a C program call tread_%s()", table->name,
                      field->name, table->name);
}

tread_status tread_fields_set_text(const tread_field_table *table, void *options, const tread_field *field,
                                   const char *text) {
    void *at = (char *)options + field->offset;
    switch (field->kind) {
    case TREAD_FIELD_REAL: {
        double values[TREAD_MAX_VALUES] = {0};
        size_t n = tread_field_values(field);
        if (!parse_values(text, n, values, NULL))
            return fail_text(table, field, text, n > 1 ? "two numbers with / between, each in " : "a number in ");
        memcpy(at, values, n * sizeof *values);
        return TREAD_OK;
    }
    case TREAD_FIELD_INTEGER:
        return parse_integer(text, strlen(text), at) ? TREAD_OK : fail_text(table, field, text, "a whole number in ");
    case TREAD_FIELD_BOOLEAN:
        if (strcmp(text, "true") != 0 && strcmp(text, "false") != 0)
            return fail_text(table, field, text, "");
        *(bool *)at = text[0] == 't';
        return TREAD_OK;
    case TREAD_FIELD_CHOICE:
        for (int i = 0; field->choices[i] != NULL; i++)
            if (strcmp(text, field->choices[i]) == 0) {
                *(int *)at = i;
                return TREAD_OK;
            }
        return fail_text(table, field, text, "");
    case TREAD_FIELD_REAL_LIST:
    case TREAD_FIELD_INTEGER_LIST: return set_list_text(table, options, field, text);
    case TREAD_FIELD_FUNCTIONS: return fail_functions(table, field);
    case TREAD_FIELD_SCHEDULER:
    case TREAD_FIELD_SCHEDULERS: return tread_inner_set_text(table, options, field, text);
    }
    return TREAD_OK;
}

/* Up to the next comma outside brackets. */
static size_t part_length(const char *text) {
    int depth = 0;
    size_t length = 0;
    for (; text[length] != '\0' && (text[length] != ',' || depth > 0); length++)
        depth += text[length] == '[' ? 1 : text[length] == ']' ? -1 : 0;
    return length;
}

/* part: "key=value", ours to change. */
static tread_status parse_part(const tread_field_table *table, void *options, char *part, uint64_t *given) {
    char *equals = strchr(part, '=');
    if (equals == NULL || equals == part) {
        char quote[TREAD_QUOTE_TEXT];
        return tread_fail(TREAD_ERROR_ARGUMENT, "%s: '%s' is not of the form field=value", table->name,
                          tread_quote(quote, part, strlen(part)));
    }
    *equals = '\0';
    const tread_field *field = tread_fields_find(table, part);
    if (field == NULL)
        return TREAD_ERROR_ARGUMENT;
    uint64_t bit = (uint64_t)1 << (field - table->fields);
    if (*given & bit)
        return tread_fail(TREAD_ERROR_ARGUMENT, "%s: %s is given twice", table->name, field->name);
    *given |= bit;
    return tread_fields_set_text(table, options, field, equals + 1);
}

tread_status tread_fields_parse(const tread_field_table *table, void *options, const char *text) {
    uint64_t given = 0;
    for (size_t f = 0; f < table->n_fields; f++) /* whatever else is given */
        if (table->fields[f].kind == TREAD_FIELD_FUNCTIONS)
            return fail_functions(table, &table->fields[f]);
    while (text[0] != '\0') {
        size_t length = part_length(text);
        char *part = tread_strndup(text, length);
        if (part == NULL)
            return TREAD_ERROR_MEMORY;
        tread_status status = parse_part(table, options, part, &given);
        tread_free(part);
        TREAD_TRY(status);
        text += length;
        if (text[0] == ',' && text[1] == '\0')
            return tread_fail(TREAD_ERROR_ARGUMENT, "%s: nothing stands after the last comma", table->name);
        text += text[0] == ',';
    }
    for (size_t f = 0; f < table->n_fields; f++)
        if (table->fields[f].required && !(given >> f & 1)) {
            tread_field_info info;
            tread_field_describe(&table->fields[f], &info);
            return tread_fail(TREAD_ERROR_ARGUMENT, "%s: %s must be given, in %s", table->name, info.name, info.range);
        }
    return tread_fields_check(table, options);
}

/* ---- States ---- */

/* Files hold no infinities: those are strings. */
static tread_status add_real(tread_state *whole, const char *name, double value) {
    char number[TREAD_NUMBER_TEXT];
    return isfinite(value) ? tread_state_add_real(whole, name, value)
                           : tread_state_add_string(whole, name, tread_number_text(number, value));
}

static tread_status field_to_state(const tread_field *field, const void *options, tread_state *tree) {
    const void *at = (const char *)options + field->offset;
    if (field->kind == TREAD_FIELD_BOOLEAN)
        return tread_state_add_integer(tree, field->name, *(const bool *)at);
    if (field->kind == TREAD_FIELD_CHOICE)
        return tread_state_add_string(tree, field->name, field->choices[*(const int *)at]);
    if (field->kind == TREAD_FIELD_FUNCTIONS)
        return tread_lr_functions_to_state(field, options, tree);
    if (tread_field_has_schedulers(field))
        return tread_inner_to_state(field, options, tree);
    if (field->may_be_absent && isnan(*(const double *)at))
        return TREAD_OK;
    const double *reals;
    const int64_t *integers;
    size_t n = numbers_of(field, options, &reals, &integers);
    tread_state *whole = tree;
    const char *name = field->name;
    if (tread_field_is_list(field) || field->n_values > 1) {
        whole = tread_state_add_list(tree, field->name);
        name = NULL;
        if (whole == NULL)
            return TREAD_ERROR_MEMORY;
    }
    for (size_t i = 0; i < n; i++)
        TREAD_TRY(reals != NULL ? add_real(whole, name, reals[i]) : tread_state_add_integer(whole, name, integers[i]));
    return TREAD_OK;
}

tread_status tread_fields_to_state(const tread_field_table *table, const void *options, tread_state *tree) {
    for (size_t f = 0; f < table->n_fields; f++)
        if (!table->fields[f].unsaved)
            TREAD_TRY(field_to_state(&table->fields[f], options, tree));
    return TREAD_OK;
}

static bool read_real(const tread_state *part, double *ret_value) {
    const char *text;
    if (tread_state_kind_of(part) == TREAD_STATE_STRING)
        return tread_state_as_string(part, &text) == TREAD_OK && tread_number_parse(text, strlen(text), ret_value);
    return tread_state_as_real(part, ret_value) == TREAD_OK;
}

static bool read_numbers(const tread_state *part, bool list, size_t n, double *reals, int64_t *integers) {
    for (size_t i = 0; i < n; i++) {
        const tread_state *one = list ? tread_state_at(part, i) : part;
        if (reals != NULL ? !read_real(one, &reals[i]) : tread_state_as_integer(one, &integers[i]) != TREAD_OK)
            return false;
    }
    return true;
}

static tread_status list_from_state(const tread_field *field, void *options, const tread_state *part, bool *ret_fits) {
    size_t n = tread_state_count(part);
    bool real = field->kind == TREAD_FIELD_REAL_LIST;
    void *list = n > 0 ? tread_alloc(n * sizeof(double), "an option's list") : NULL;
    if (n > 0 && list == NULL)
        return TREAD_ERROR_MEMORY;
    *ret_fits = tread_state_kind_of(part) == TREAD_STATE_LIST &&
                read_numbers(part, true, n, real ? list : NULL, real ? NULL : list);
    void **own = (void **)((char *)options + field->offset);
    tread_free(*own);
    *own = list;
    *(size_t *)((char *)options + field->count_offset) = n;
    return TREAD_OK;
}

static bool scalar_from_state(const tread_field_table *table, const tread_field *field, void *options,
                              const tread_state *part) {
    void *at = (char *)options + field->offset;
    int64_t integer = 0;
    const char *text;
    switch (field->kind) {
    case TREAD_FIELD_BOOLEAN:
        if (tread_state_as_integer(part, &integer) != TREAD_OK || (integer != 0 && integer != 1))
            return false;
        *(bool *)at = integer == 1;
        return true;
    case TREAD_FIELD_CHOICE:
        return tread_state_as_string(part, &text) == TREAD_OK &&
               tread_fields_set_text(table, options, field, text) == TREAD_OK;
    case TREAD_FIELD_INTEGER: return read_numbers(part, false, 1, NULL, at);
    default: break;
    }
    size_t n = tread_field_values(field);
    return (n == 1 || tread_state_count(part) == n) && read_numbers(part, n > 1, n, at, NULL);
}

static bool is_among(const char *const *names, const char *name) {
    while (names != NULL && *names != NULL && strcmp(*names, name) != 0)
        names++;
    return names != NULL && *names != NULL;
}

static bool is_saved_field(const tread_field_table *table, const char *name) {
    for (size_t f = 0; f < table->n_fields; f++)
        if (!table->fields[f].unsaved && strcmp(table->fields[f].name, name) == 0)
            return true;
    return false;
}

static void report_surplus(const tread_field_table *table, const tread_state *tree, const char *const *others,
                           const char *where, tread_report *report) {
    for (size_t i = 0; i < tread_state_count(tree); i++) {
        const char *name = tread_state_name(tread_state_at(tree, i));
        if (!is_among(others, name) && (table == NULL || !is_saved_field(table, name)))
            tread_report_part(report, "%s: '%s' is not part of it", where, name);
    }
}

void tread_report_surplus(const tread_state *tree, const char *const *names, const char *where, tread_report *report) {
    report_surplus(NULL, tree, names, where, report);
}

tread_status tread_fields_from_state(const tread_field_table *table, void *options, const tread_state *tree,
                                     const char *const *others, const char *where, tread_report *report) {
    size_t before = report->n_parts;
    for (size_t f = 0; f < table->n_fields; f++) {
        const tread_field *field = &table->fields[f];
        const tread_state *part = tread_state_find(tree, field->name);
        if (field->unsaved)
            continue;
        bool fits = part != NULL;
        if (!fits && field->may_be_absent) {
            *(double *)((char *)options + field->offset) = NAN;
            continue;
        }
        if (fits && field->kind == TREAD_FIELD_FUNCTIONS)
            tread_lr_functions_compare(field, options, part, where, report);
        else if (fits && tread_field_has_schedulers(field))
            TREAD_TRY(tread_inner_from_state(field, options, part, where, report));
        else if (fits && tread_field_is_list(field))
            TREAD_TRY(list_from_state(field, options, part, &fits));
        else if (fits)
            fits = scalar_from_state(table, field, options, part);
        if (!fits) {
            tread_field_info info;
            tread_field_describe(field, &info);
            tread_report_part(report, "%s: %s is %s, and should be in %s", where, field->name,
                              part == NULL ? "missing" : "of another kind", info.range);
        }
    }
    report_surplus(table, tree, others, where, report);
    if (report->n_parts == before && tread_fields_check(table, options) != TREAD_OK)
        tread_report_part(report, "%s: %s", where, tread_last_error());
    return TREAD_OK;
}
