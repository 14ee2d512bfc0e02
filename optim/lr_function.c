#include "optim/lr_function.h"

#include <string.h>

#include "core/memory.h"
#include "core/status.h"
#include "optim/lr_inner.h"

tread_lr_function *tread_lr_functions_copy(const tread_lr_function *functions, size_t n) {
    tread_lr_function *copy = tread_calloc(n, sizeof *copy + sizeof(tread_lr_product), "a scheduler's functions");
    if (copy == NULL)
        return NULL;
    memcpy(copy, functions, n * sizeof *copy);
    for (size_t i = 0; i < n; i++)
        tread_lr_products(copy, n)[i].value = 1;
    return copy;
}

tread_status tread_lr_functions_check(const char *name, const tread_lr_function *functions, size_t n) {
    for (size_t i = 0; i < n; i++) {
        if (functions[i].evaluate == NULL)
            return tread_fail(TREAD_ERROR_ARGUMENT, "%s: functions[%zu].evaluate is NULL", name, i);
        if ((functions[i].save == NULL) != (functions[i].load == NULL))
            return tread_fail(TREAD_ERROR_ARGUMENT, "%s: functions[%zu] has %s and no %s; they go together", name, i,
                              functions[i].save != NULL ? "save" : "load", functions[i].save != NULL ? "load" : "save");
    }
    return TREAD_OK;
}

static const tread_lr_function *functions_of(const tread_field *field, const void *options) {
    return *(const tread_lr_function *const *)((const char *)options + field->offset);
}

tread_status tread_lr_functions_to_state(const tread_field *field, const void *options, tread_state *tree) {
    const tread_lr_function *functions = functions_of(field, options);
    tread_state *list = tread_state_add_list(tree, field->name);
    if (list == NULL)
        return TREAD_ERROR_MEMORY;
    for (size_t i = 0; i < tread_field_count(field, options); i++) {
        tread_state *one = tread_state_add_tree(list, NULL);
        if (one == NULL)
            return TREAD_ERROR_MEMORY;
        if (functions[i].save == NULL)
            continue;
        tread_state *saved = functions[i].save(functions[i].context);
        if (saved == NULL)
            return tread_fail_prefix(TREAD_ERROR_CALLBACK, "%s[%zu].save: ", field->name, i);
        tread_status status = tread_state_add_state(one, "context", saved);
        if (status != TREAD_OK) {
            tread_state_destroy(saved);
            return status;
        }
    }
    return TREAD_OK;
}

void tread_lr_functions_compare(const tread_field *field, const void *options, const tread_state *part,
                                const char *where, tread_report *report) {
    const tread_lr_function *functions = functions_of(field, options);
    size_t n = tread_field_count(field, options);
    if (tread_state_kind_of(part) != TREAD_STATE_LIST || tread_state_count(part) != n) {
        tread_report_part(report, "%s: %zu %s, not %zu", where, tread_state_count(part), field->name, n);
        return;
    }
    for (size_t i = 0; i < n; i++) {
        bool has = tread_state_find(tread_state_at(part, i), "context") != NULL;
        if (has != (functions[i].load != NULL))
            tread_report_part(report, "%s: %s[%zu] %s", where, field->name, i,
                              has ? "has a saved context, and the function no load" : "has no saved context");
    }
}

/* ---- Loading contexts ---- */

size_t tread_context_loads(const tread_field_table *table, const void *options, const tread_state *tree,
                           tread_context_load *ret_loads) {
    size_t n = 0;
    for (size_t f = 0; f < table->n_fields; f++) {
        const tread_field *field = &table->fields[f];
        const tread_state *part = tread_state_find(tree, field->name);
        for (size_t i = 0; field->kind == TREAD_FIELD_FUNCTIONS && i < tread_field_count(field, options); i++) {
            const tread_lr_function *function = &functions_of(field, options)[i];
            if (function->load == NULL)
                continue;
            if (ret_loads != NULL)
                ret_loads[n] = (tread_context_load){.function = function,
                                                    .saved = tread_state_find(tread_state_at(part, i), "context")};
            n++;
        }
        for (size_t i = 0; i < tread_inner_count(field, options); i++) {
            const tread_lr_scheduler *inner = tread_inner_at(field, options, i);
            n += tread_context_loads(&inner->type->table, inner->options, tread_inner_state(field, part, i),
                                     ret_loads != NULL ? ret_loads + n : NULL);
        }
    }
    return n;
}

tread_status tread_contexts_load(tread_context_load *loads, size_t n) {
    for (size_t i = 0; i < n; i++) {
        loads[i].before = loads[i].function->save(loads[i].function->context);
        if (loads[i].before == NULL)
            return tread_fail_prefix(TREAD_ERROR_CALLBACK, "a function's save: ");
    }
    for (size_t i = 0; i < n; i++) {
        tread_status status = loads[i].function->load(loads[i].function->context, loads[i].saved);
        if (status != TREAD_OK) {
            tread_contexts_put_back(loads, i);
            return status;
        }
    }
    return TREAD_OK;
}

void tread_contexts_put_back(tread_context_load *loads, size_t n) {
    for (size_t i = n; i-- > 0;)
        loads[i].function->load(loads[i].function->context, loads[i].before);
}

void tread_context_loads_free(tread_context_load *loads, size_t n) {
    for (size_t i = 0; loads != NULL && i < n; i++)
        tread_state_destroy(loads[i].before);
    tread_free(loads);
}
