#include "engine/data/csv_labels.h"

#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "core/memory.h"
#include "engine/data/decimal.h"

/* The place of the text in the table, or the free one where it would be. */
static int64_t place(const tread_csv_labels *labels, const char *text, size_t length) {
    int64_t i = (int64_t)XXH3_64bits(text, length) & (labels->capacity - 1);
    for (; labels->table[i] >= 0; i = (i + 1) & (labels->capacity - 1)) {
        const char *name = labels->names.items[labels->table[i]];
        if (strncmp(name, text, length) == 0 && name[length] == '\0')
            break;
    }
    return i;
}

static tread_status grow(tread_csv_labels *labels) {
    int64_t capacity = labels->capacity < 64 ? 64 : 2 * labels->capacity;
    int32_t *table = tread_alloc((size_t)capacity * sizeof *table, "table of labels");
    if (table == NULL)
        return TREAD_ERROR_MEMORY;
    memset(table, 0xff, (size_t)capacity * sizeof *table);
    tread_free(labels->table);
    labels->table = table;
    labels->capacity = capacity;
    for (int32_t i = 0; i < labels->names.count; i++)
        table[place(labels, labels->names.items[i], strlen(labels->names.items[i]))] = i;
    return TREAD_OK;
}

tread_status tread_csv_labels_number(tread_csv_labels *labels, const char *text, size_t length, int32_t *ret_number) {
    if (2 * labels->names.count >= labels->capacity) {
        tread_status status = grow(labels);
        if (status != TREAD_OK)
            return status;
    }
    int64_t i = place(labels, text, length);
    if (labels->table[i] < 0) {
        tread_status status = tread_names_add(&labels->names, text, length);
        if (status != TREAD_OK)
            return status;
        labels->table[i] = (int32_t)(labels->names.count - 1);
    }
    *ret_number = labels->table[i];
    return TREAD_OK;
}

int32_t tread_csv_labels_find(const tread_csv_labels *labels, const char *text, size_t length) {
    return labels->capacity == 0 ? -1 : labels->table[place(labels, text, length)];
}

typedef struct entry {
    char *name;
    int64_t value; /* of a label that is an integer */
    int32_t number;
} entry;

static int by_value(const void *a, const void *b) {
    int64_t x = ((const entry *)a)->value, y = ((const entry *)b)->value;
    return x != y ? (x > y) - (x < y) : strcmp(((const entry *)a)->name, ((const entry *)b)->name); /* 1 and 01 */
}

static int by_name(const void *a, const void *b) { return strcmp(((const entry *)a)->name, ((const entry *)b)->name); }

tread_status tread_csv_labels_sort(tread_csv_labels *labels, int32_t *numbers, int64_t n) {
    int64_t count = labels->names.count;
    bool integers = true;
    entry *entries = tread_calloc((size_t)count, sizeof *entries, "order of classes");
    int32_t *class_of = entries == NULL ? NULL : tread_calloc((size_t)count, sizeof *class_of, "order of classes");
    if (class_of == NULL) {
        tread_free(entries);
        return TREAD_ERROR_MEMORY;
    }
    for (int32_t i = 0; i < count; i++) {
        char *name = labels->names.items[i];
        entries[i] = (entry){.name = name, .number = i};
        integers = integers && tread_decimal_parse_integer(name, strlen(name), &entries[i].value);
    }
    qsort(entries, (size_t)count, sizeof *entries, integers ? by_value : by_name);
    for (int32_t i = 0; i < count; i++) {
        labels->names.items[i] = entries[i].name;
        class_of[entries[i].number] = i;
    }
    for (int64_t i = 0; i < n; i++)
        numbers[i] = class_of[numbers[i]];
    tread_free(entries);
    tread_free(class_of);
    return TREAD_OK;
}

void tread_csv_labels_destroy(tread_csv_labels *labels) {
    tread_names_destroy(&labels->names);
    tread_free(labels->table);
    *labels = (tread_csv_labels){0};
}
