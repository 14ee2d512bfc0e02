#include <stdio.h>
#include <string.h>

#include "core/memory.h"
#include "core/options.h"
#include "core/status.h"
#include "optim/optimizer.h"
#include "optim/split.h"

/* A parameter's group is told by the rule that chose it and by what tells parameters of one rule apart. */
enum { NO_DECAY = 1, NOT_SUITED = 2, KINDS = 4 };

typedef struct planner {
    const tread_optimizer_type *type;
    const void *defaults; /* of the spec */
    bool suits_all;       /* no parameter is set apart for the algorithm's sake */
    const tread_groups_options *o;
    tread_parameter_list params;
    size_t *keys;             /* of each parameter: KINDS * rule + kind; rule 0 is none, i + 1 is rules[i] */
    tread_parameter **sorted; /* by group */
    tread_new_group *groups;
    size_t n_groups;
} planner;

/* Whether "key=value,..." gives a field. */
static bool gives(const char *fields, const char *name) {
    size_t length = strlen(name);
    for (const char *at = fields; at != NULL; at = strchr(at, ','), at = at != NULL ? at + 1 : NULL)
        if (strncmp(at, name, length) == 0 && at[length] == '=')
            return true;
    return false;
}

static const char *fields_of(const planner *p, size_t rule) {
    const char *fields = rule > 0 ? p->o->rules[rule - 1].fields : NULL;
    return fields != NULL ? fields : "";
}

static size_t key_of(const planner *p, size_t i) {
    const tread_parameter *parameter = p->params.items[i];
    char buffer[TREAD_LIST_NAME];
    size_t rule = 0;
    for (size_t r = 0; r < p->o->n_rules && rule == 0; r++)
        if (tread_patterns_match(p->o->rules[r].patterns, tread_list_name(p->params, i, buffer)))
            rule = r + 1;
    size_t kind = 0;
    if (p->o->split_decay && !tread_parameter_decays(parameter) && !gives(fields_of(p, rule), "weight_decay"))
        kind |= NO_DECAY;
    if (!p->suits_all && !p->type->suits(parameter) && !gives(fields_of(p, rule), "rule"))
        kind |= NOT_SUITED;
    return KINDS * rule + kind;
}

/* The spec's values; over them what the algorithm needs for the others, then the rule's, then no decay. */
static tread_status make_options(const planner *p, size_t key, void **ret_options) {
    const tread_field_table *table = &p->type->table;
    const char *texts[4] = {"", "", fields_of(p, key / KINDS), ""};
    if (key & NOT_SUITED) {
        texts[0] = p->type->other_fields;
        texts[1] = p->o->other_fields != NULL ? p->o->other_fields : "";
    }
    if (key & NO_DECAY)
        texts[3] = "weight_decay=0";
    void *options;
    TREAD_TRY(tread_fields_clone(table, p->defaults, &options));
    tread_status status = TREAD_OK;
    for (int i = 0; i < 4 && status == TREAD_OK; i++)
        if ((status = tread_fields_parse(table, options, texts[i])) != TREAD_OK && i == 2 && key >= KINDS)
            tread_fail_prefix(status, "rule %zu ('%s'): ", key / KINDS, p->o->rules[key / KINDS - 1].patterns);
    if (status != TREAD_OK) {
        tread_fields_free(table, options);
        return status;
    }
    *ret_options = options;
    return TREAD_OK;
}

/* One group of what has this key, if there is any. */
static tread_status plan_group(planner *p, size_t key, size_t *first) {
    size_t n = 0;
    for (size_t i = 0; i < p->params.count; i++)
        if (p->keys[i] == key)
            p->sorted[*first + n++] = p->params.items[i];
    if (n == 0)
        return TREAD_OK;
    void *options;
    TREAD_TRY(make_options(p, key, &options));
    p->groups[p->n_groups++] = (tread_new_group){{p->sorted + *first, n}, options};
    *first += n;
    return TREAD_OK;
}

static tread_status plan_groups(planner *p) {
    const size_t n_keys = KINDS * (p->o->n_rules + 1), n = p->params.count;
    p->keys = tread_calloc(n, sizeof *p->keys, "a plan of groups");
    p->sorted = p->keys == NULL ? NULL : tread_calloc(n, sizeof(tread_parameter *), "a plan of groups");
    p->groups = p->sorted == NULL ? NULL : tread_calloc(n < n_keys ? n : n_keys, sizeof *p->groups, "a plan of groups");
    if (p->groups == NULL)
        return TREAD_ERROR_MEMORY;
    for (size_t i = 0; i < n; i++)
        p->keys[i] = key_of(p, i);
    size_t first = 0;
    for (size_t rule = 0; rule <= p->o->n_rules; rule++) {
        const size_t before = first;
        for (size_t kind = 0; kind < KINDS; kind++)
            TREAD_TRY(plan_group(p, KINDS * rule + kind, &first));
        if (rule > 0 && first == before)
            return tread_fail(TREAD_ERROR_ARGUMENT,
                              "%s: rule %zu of %zu: earlier rules have every parameter that '%s' matches",
                              p->type->table.name, rule, p->o->n_rules, p->o->rules[rule - 1].patterns);
    }
    return TREAD_OK;
}

static tread_status check(const planner *p) {
    const char *name = p->type->table.name;
    char what[96];
    TREAD_TRY(tread_list_check(name, p->params));
    if (p->o->n_rules > 0 && p->o->rules == NULL)
        return tread_fail(TREAD_ERROR_ARGUMENT, "%s: rules is NULL, and n_rules is %zu", name, p->o->n_rules);
    if (p->o->other_fields != NULL && p->suits_all)
        return tread_fail(TREAD_ERROR_ARGUMENT, "%s: one rule is for all parameters, and there is no use for '%s'",
                          name, p->o->other_fields);
    for (size_t r = 0; r < p->o->n_rules; r++) {
        snprintf(what, sizeof what, "%s: rule %zu of %zu", name, r + 1, p->o->n_rules);
        TREAD_TRY(tread_patterns_check(what, p->o->rules[r].patterns, p->params));
    }
    return TREAD_OK;
}

tread_groups_options tread_groups_defaults(void) {
    return (tread_groups_options){.size = sizeof(tread_groups_options)};
}

tread_optimizer *tread_optimizer_from_groups(const tread_context *context, tread_parameter_list params,
                                             const char *spec, const tread_groups_options *options) {
    tread_groups_options o = tread_groups_defaults();
    void *defaults;
    planner p = {.o = &o, .params = params};
    if (tread_options_read("groups", options, &o, sizeof o) != TREAD_OK ||
        tread_optimizer_read_spec(spec, &p.type, &defaults) != TREAD_OK)
        return NULL;
    p.defaults = defaults;
    p.suits_all = p.type->suits == NULL || gives(spec + strcspn(spec, ":") + (strchr(spec, ':') != NULL), "rule");
    tread_optimizer *optimizer = NULL;
    if (check(&p) == TREAD_OK && plan_groups(&p) == TREAD_OK)
        optimizer = tread_optimizer_create_groups(context, p.type, defaults, p.groups, p.n_groups);
    for (size_t g = 0; g < p.n_groups; g++)
        tread_fields_free(&p.type->table, (void *)p.groups[g].options);
    tread_free(p.groups);
    tread_free(p.sorted);
    tread_free(p.keys);
    tread_fields_free(&p.type->table, defaults);
    return optimizer;
}
