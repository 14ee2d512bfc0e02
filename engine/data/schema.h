/* Layer: engine. The names that a table brings along: of its features, targets and classes. */
#ifndef TREAD_ENGINE_SCHEMA_H
#define TREAD_ENGINE_SCHEMA_H

#include <stddef.h>
#include <stdint.h>
#include <tread/status.h>

typedef struct tread_names {
    char **items; /* NULL: no names */
    int64_t count;
    int64_t capacity;
} tread_names;

typedef struct tread_schema {
    tread_names features, targets, classes;
    int64_t *roles; /* of a CSV file's columns (engine/data/csv_columns.h), or NULL */
    int64_t n_roles;
} tread_schema;

/* Adds a copy of length bytes of text. TREAD_ERROR_MEMORY. */
tread_status tread_names_add(tread_names *names, const char *text, size_t length);
const char *tread_names_at(const tread_names *names, int64_t i);      /* NULL outside */
int64_t tread_names_find(const tread_names *names, const char *text); /* -1: absent */
void tread_names_destroy(tread_names *names);

tread_schema *tread_schema_create(void);
void tread_schema_destroy(tread_schema *schema); /* NULL is accepted */

#endif
