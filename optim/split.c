#include "optim/split.h"

#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/memory.h"
#include "core/status.h"
#include "core/tensor.h"

/* ---- Names and patterns ---- */

const char *tread_list_name(tread_parameter_list params, size_t i, char buffer[TREAD_LIST_NAME]) {
    if (params.items[i]->name != NULL)
        return params.items[i]->name;
    snprintf(buffer, TREAD_LIST_NAME, "param.%zu", i);
    return buffer;
}

tread_status tread_list_check(const char *what, tread_parameter_list params) {
    if (params.count == 0 || params.items == NULL)
        return tread_fail(TREAD_ERROR_ARGUMENT, "%s: the list of parameters is empty", what);
    for (size_t i = 0; i < params.count; i++)
        if (params.items[i] == NULL)
            return tread_fail(TREAD_ERROR_ARGUMENT, "%s: parameter %zu of %zu is NULL", what, i, params.count);
    return TREAD_OK;
}

static int by_address(const void *a, const void *b) {
    const tread_parameter *x = *(tread_parameter *const *)a, *y = *(tread_parameter *const *)b;
    return x < y ? -1 : x > y;
}

const tread_parameter *tread_find_twice(tread_parameter **all, size_t n) {
    qsort(all, n, sizeof *all, by_address);
    for (size_t i = 1; i < n; i++)
        if (all[i] == all[i - 1])
            return all[i];
    return NULL;
}

void tread_list_places(tread_parameter_list params, const tread_parameter *parameter, tread_report *ret_places) {
    char place[64];
    for (size_t i = 0; i < params.count; i++)
        if (params.items[i] == parameter) {
            snprintf(place, sizeof place, "%zu of %zu", i, params.count);
            tread_report_item(ret_places, place);
        }
}

tread_status tread_fail_twice(const char *what, const tread_parameter *parameter, const tread_report *places) {
    const char *name = tread_parameter_name(parameter);
    return tread_fail(TREAD_ERROR_ARGUMENT, "%s: parameter '%s' is there twice: %s", what,
                      name != NULL ? name : "(no name)", places->text);
}

#define MAX_PATTERN 256 /* with the end mark */

/* Copies the pattern at the start of `patterns`; returns what follows it, NULL at the end. */
static const char *next_pattern(const char *patterns, char ret_pattern[MAX_PATTERN]) {
    size_t length = strcspn(patterns, ",");
    snprintf(ret_pattern, MAX_PATTERN, "%.*s", (int)(length < MAX_PATTERN ? length : MAX_PATTERN - 1), patterns);
    return patterns[length] == ',' ? patterns + length + 1 : NULL;
}

static tread_status check_pattern(const char *what, const char *pattern, tread_parameter_list params) {
    char buffer[TREAD_LIST_NAME];
    if (pattern[0] == '\0')
        return tread_fail(TREAD_ERROR_ARGUMENT, "%s: a pattern is empty", what);
    for (size_t i = 0; i < params.count; i++)
        if (fnmatch(pattern, tread_list_name(params, i, buffer), 0) == 0)
            return TREAD_OK;
    tread_report names = {.length = 0};
    for (size_t i = 0; i < params.count; i++)
        tread_report_item(&names, tread_list_name(params, i, buffer));
    return tread_fail(TREAD_ERROR_ARGUMENT, "%s: '%s' matches none of %s", what, pattern, names.text);
}

tread_status tread_patterns_check(const char *what, const char *patterns, tread_parameter_list params) {
    char pattern[MAX_PATTERN];
    if (patterns == NULL)
        return tread_fail(TREAD_ERROR_ARGUMENT, "%s: the patterns are NULL", what);
    for (const char *at = patterns; at != NULL;) {
        if (strcspn(at, ",") >= MAX_PATTERN)
            return tread_fail(TREAD_ERROR_ARGUMENT, "%s: a pattern has %zu bytes, and at most %d are allowed", what,
                              strcspn(at, ","), MAX_PATTERN - 1);
        at = next_pattern(at, pattern);
        TREAD_TRY(check_pattern(what, pattern, params));
    }
    return TREAD_OK;
}

bool tread_patterns_match(const char *patterns, const char *name) {
    char pattern[MAX_PATTERN];
    for (const char *at = patterns; at != NULL;) {
        at = next_pattern(at, pattern);
        if (fnmatch(pattern, name, 0) == 0)
            return true;
    }
    return false;
}

/* ---- Roles ---- */

bool tread_parameter_decays(const tread_parameter *parameter) {
    return parameter->tensor.rank >= 2 && parameter->role != TREAD_ROLE_BIAS && parameter->role != TREAD_ROLE_NORM;
}

bool tread_parameter_suits_muon(const tread_parameter *parameter) {
    return parameter->tensor.rank == 2 && parameter->role == TREAD_ROLE_WEIGHT;
}

/* ---- Splitting ---- */

/* Chosen are those whose name patterns match, or, where they are NULL, those that `suits` says. */
static tread_status split(tread_parameter_list params, const char *patterns,
                          bool (*suits)(const tread_parameter *parameter), tread_parameter_split *ret_split) {
    char buffer[TREAD_LIST_NAME];
    tread_parameter **list = tread_alloc(params.count * sizeof *list, "a list of parameters");
    if (list == NULL)
        return TREAD_ERROR_MEMORY;
    size_t n = 0, n_chosen = 0;
    for (int pass = 0; pass < 2; pass++) {
        for (size_t i = 0; i < params.count; i++) {
            bool chosen = patterns != NULL ? tread_patterns_match(patterns, tread_list_name(params, i, buffer))
                                           : suits(params.items[i]);
            if (chosen == (pass == 0))
                list[n++] = params.items[i];
        }
        n_chosen = pass == 0 ? n : n_chosen;
    }
    *ret_split = (tread_parameter_split){{list, n_chosen}, {list + n_chosen, n - n_chosen}};
    return TREAD_OK;
}

tread_status tread_parameters_split(tread_parameter_list params, const char *patterns,
                                    tread_parameter_split *ret_split) {
    TREAD_TRY(tread_list_check("parameters split", params));
    TREAD_TRY(tread_patterns_check("parameters split", patterns, params));
    return split(params, patterns, NULL, ret_split);
}

tread_status tread_parameters_split_decay(tread_parameter_list params, tread_parameter_split *ret_split) {
    TREAD_TRY(tread_list_check("parameters split decay", params));
    return split(params, NULL, tread_parameter_decays, ret_split);
}

tread_status tread_parameters_split_muon(tread_parameter_list params, tread_parameter_split *ret_split) {
    TREAD_TRY(tread_list_check("parameters split muon", params));
    return split(params, NULL, tread_parameter_suits_muon, ret_split);
}

void tread_parameter_split_free(tread_parameter_split *split) {
    if (split == NULL)
        return;
    tread_free((void *)split->chosen.items); /* the start of the one array */
    *split = (tread_parameter_split){0};
}
