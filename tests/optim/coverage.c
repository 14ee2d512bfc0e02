#include "tests/optim/coverage.h"

#include <stdio.h>
#include <string.h>

static bool is_number(const tread_field *field) {
    return field->kind == TREAD_FIELD_REAL || field->kind == TREAD_FIELD_INTEGER;
}

void coverage_add(coverage *c, const void *options) {
    for (size_t f = 0; f < c->table->n_fields; f++) {
        const tread_field *field = &c->table->fields[f];
        for (size_t i = 0; i < tread_field_values(field); i++) {
            char name[64];
            double value = 0;
            snprintf(name, sizeof name, tread_field_values(field) > 1 ? "%s[%zu]" : "%s", field->name, i);
            if (tread_fields_get(c->table, options, name, &value) == TREAD_OK)
                c->seen[f][i] |= 1u << (is_number(field) ? value != field->initial[i] : (unsigned)value);
        }
    }
}

const char *coverage_gap(const coverage *c, bool numbers_too) {
    for (size_t f = 0; f < c->table->n_fields; f++) {
        const tread_field *field = &c->table->fields[f];
        unsigned wanted = 3;
        if (field->kind == TREAD_FIELD_CHOICE)
            for (unsigned v = 0; field->choices[v] != NULL; v++)
                wanted |= 1u << v;
        if (is_number(field))
            wanted = numbers_too && strncmp(field->name, "clip_", 5) != 0 ? 2 : 0;
        for (size_t i = 0; i < tread_field_values(field); i++)
            if ((c->seen[f][i] & wanted) != wanted)
                return field->name;
    }
    return NULL;
}
