#include "engine/data/schema.h"

#include <string.h>

#include "core/memory.h"

tread_status tread_names_add(tread_names *names, const char *text, size_t length) {
    if (names->count == names->capacity) {
        size_t old = (size_t)names->capacity, grown = old < 8 ? 8 : 2 * old;
        char **items = tread_realloc(names->items, old * sizeof *items, grown * sizeof *items, "names of columns");
        if (items == NULL)
            return TREAD_ERROR_MEMORY;
        names->items = items;
        names->capacity = (int64_t)grown;
    }
    char *copy = tread_strndup(text, length);
    if (copy == NULL)
        return TREAD_ERROR_MEMORY;
    names->items[names->count++] = copy;
    return TREAD_OK;
}

const char *tread_names_at(const tread_names *names, int64_t i) {
    return i >= 0 && i < names->count ? names->items[i] : NULL;
}

void tread_names_destroy(tread_names *names) {
    for (int64_t i = 0; i < names->count; i++)
        tread_free(names->items[i]);
    tread_free(names->items);
    *names = (tread_names){0};
}

tread_schema *tread_schema_create(void) { return tread_calloc(1, sizeof(tread_schema), "names of columns"); }

void tread_schema_destroy(tread_schema *schema) {
    if (schema == NULL)
        return;
    tread_names_destroy(&schema->features);
    tread_names_destroy(&schema->targets);
    tread_names_destroy(&schema->classes);
    tread_free(schema->roles);
    tread_free(schema);
}
