#include "engine/data/csv_columns.h"

#include <stdlib.h>
#include <string.h>

#include "core/memory.h"
#include "core/status.h"
#include "engine/data/csv_scanner.h"
#include "engine/data/dataset.h"
#include "engine/data/decimal.h"

/* The header's names in order, since there may be a million. */
typedef struct named_column {
    const char *name;
    int64_t column;
} named_column;

typedef struct name_index {
    named_column *items;
    int64_t count;
} name_index;

static int by_name(const void *a, const void *b) {
    const named_column *x = a, *y = b;
    int order = strcmp(x->name, y->name);
    return order != 0 ? order : (x->column > y->column) - (x->column < y->column);
}

static tread_status index_names(const tread_names *header, name_index *ret_index) {
    ret_index->count = header->count;
    ret_index->items = tread_calloc((size_t)header->count + 1, sizeof(named_column), "names of columns");
    if (ret_index->items == NULL)
        return TREAD_ERROR_MEMORY;
    for (int64_t i = 0; i < header->count; i++)
        ret_index->items[i] = (named_column){header->items[i], i};
    qsort(ret_index->items, (size_t)header->count, sizeof(named_column), by_name);
    return TREAD_OK;
}

/* The first column of that name, or -1. */
static int64_t named(const name_index *index, const char *name) {
    int64_t low = 0, high = index->count;
    while (low < high) {
        int64_t middle = low + (high - low) / 2;
        if (strcmp(index->items[middle].name, name) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low < index->count && strcmp(index->items[low].name, name) == 0 ? index->items[low].column : -1;
}

/* The column that text means: a name, or a number from 1, or from -1 backwards. -1: none. */
static int64_t find(const name_index *header, int64_t count, const char *text) {
    int64_t i = named(header, text), number;
    if (i >= 0 || !tread_decimal_parse_integer(text, strlen(text), &number))
        return i;
    if (number >= 1 && number <= count)
        return number - 1;
    return number <= -1 && number >= -count ? count + number : -1;
}

/* What the functions below work on. */
typedef struct chooser {
    const tread_csv_options *options;
    const char *name; /* of the file */
    name_index header;
    tread_csv_columns *columns;
} chooser;

/* The fields of an option, which is written like a record. */
static tread_status read_list(const char *option, const char *list, tread_names *ret_names) {
    tread_csv_scanner scanner;
    bool more = true;
    tread_status status = tread_csv_open(&scanner, NULL, list, option, ',');
    while (status == TREAD_OK && more) {
        status = tread_csv_next(&scanner, &more);
        if (status == TREAD_OK && more)
            status = tread_names_add(ret_names, scanner.text, scanner.length);
    }
    tread_csv_close(&scanner);
    if (status == TREAD_OK && ret_names->count == 0)
        return tread_fail(TREAD_ERROR_ARGUMENT, "%s names no column", option);
    return status;
}

/* Gives the columns that an option names their role, in the order of its list. */
static tread_status assign(const chooser *c, const char *option, const tread_names *wanted, int64_t role) {
    for (int64_t i = 0; i < wanted->count; i++) {
        int64_t at = find(&c->header, c->columns->count, wanted->items[i]);
        if (at < 0)
            return tread_fail(TREAD_ERROR_ARGUMENT, "%s: no column \"%s\", which %s names, among %lld%s", c->name,
                              wanted->items[i], option, (long long)c->columns->count,
                              c->header.count > 0 ? "" : " without names");
        if (c->columns->roles[at] != 0)
            return tread_fail(TREAD_ERROR_ARGUMENT, "%s: %s names column %lld (\"%s\"), which is named before", c->name,
                              option, (long long)at + 1, wanted->items[i]);
        c->columns->roles[at] = role == TREAD_CSV_DROP ? role : role + i;
    }
    return TREAD_OK;
}

static tread_status assign_option(const chooser *c, const char *option, const char *list, int64_t role,
                                  int64_t *ret_n) {
    tread_names wanted = {0};
    tread_status status = read_list(option, list, &wanted);
    if (status == TREAD_OK)
        status = assign(c, option, &wanted, role);
    *ret_n = wanted.count;
    tread_names_destroy(&wanted);
    return status;
}

static tread_status choose(const chooser *c) {
    const tread_csv_options *options = c->options;
    tread_csv_columns *columns = c->columns;
    int64_t n_dropped;
    if (options->drop != NULL)
        TREAD_TRY(assign_option(c, "drop", options->drop, TREAD_CSV_DROP, &n_dropped));
    if (options->task != TREAD_TASK_NONE)
        TREAD_TRY(assign_option(c, "target", options->target != NULL ? options->target : "-1", TREAD_CSV_TARGET,
                                &columns->targets));
    if (columns->targets > 1 && options->task != TREAD_TASK_REGRESSION)
        return tread_fail(TREAD_ERROR_ARGUMENT, "%s: target names %lld columns; several targets are for regression",
                          c->name, (long long)columns->targets);
    for (int64_t i = 0; i < columns->count; i++)
        if (columns->roles[i] == 0)
            columns->roles[i] = columns->features++;
    return TREAD_OK;
}

static tread_status find_all(const chooser *c, const tread_names *names, int64_t role) {
    for (int64_t i = 0; i < names->count; i++) {
        int64_t at = named(&c->header, names->items[i]);
        if (at < 0)
            return tread_fail(TREAD_ERROR_FORMAT, "%s: no column \"%s\", which the other data set has", c->name,
                              names->items[i]);
        c->columns->roles[at] = role + i;
    }
    return TREAD_OK;
}

static tread_status choose_like(const chooser *c) {
    const tread_dataset *like = c->options->like;
    const tread_schema *schema = like->schema;
    tread_csv_columns *columns = c->columns;
    bool wanted = c->options->task != TREAD_TASK_NONE;
    columns->features = like->features;
    columns->targets = !wanted ? 0 : like->classes > 0 ? 1 : tread_dataset_targets(like);
    if (c->header.count > 0 && schema->features.count > 0) {
        for (int64_t i = 0; i < columns->count; i++)
            columns->roles[i] = TREAD_CSV_DROP;
        TREAD_TRY(find_all(c, &schema->features, 0));
        return wanted ? find_all(c, &schema->targets, TREAD_CSV_TARGET) : TREAD_OK;
    }
    /* Without names: as many columns, with the targets where the other file had them; or the features alone. */
    if (columns->count != schema->n_roles && (wanted || columns->count != like->features))
        return tread_fail(TREAD_ERROR_FORMAT, "%s: %lld columns, and the other data set's file had %lld", c->name,
                          (long long)columns->count, (long long)schema->n_roles);
    for (int64_t i = 0; i < columns->count; i++) {
        int64_t role = columns->count == schema->n_roles ? schema->roles[i] : i;
        columns->roles[i] = !wanted && role >= TREAD_CSV_TARGET ? TREAD_CSV_DROP : role;
    }
    return TREAD_OK;
}

static tread_status check_unique(const chooser *c) {
    const named_column *items = c->header.items;
    for (int64_t i = 1; i < c->header.count; i++)
        if (strcmp(items[i].name, items[i - 1].name) == 0 && c->columns->roles[items[i].column] != TREAD_CSV_DROP &&
            c->columns->roles[items[i - 1].column] != TREAD_CSV_DROP)
            return tread_fail(TREAD_ERROR_FORMAT, "%s: columns %lld and %lld are both named \"%s\"", c->name,
                              (long long)items[i - 1].column + 1, (long long)items[i].column + 1, items[i].name);
    return TREAD_OK;
}

static tread_status choose_all(const chooser *c) {
    TREAD_TRY(c->options->like != NULL ? choose_like(c) : choose(c));
    if (c->columns->features == 0 && c->columns->count == 1)
        return tread_fail(
            TREAD_ERROR_FORMAT, "%s: 1 column, and none is left for features; is the delimiter '%.*s' right?", c->name,
            c->options->delimiter == '\t' ? 2 : 1, c->options->delimiter == '\t' ? "\\t" : &c->options->delimiter);
    if (c->columns->features == 0)
        return tread_fail(TREAD_ERROR_FORMAT, "%s: %lld columns, and none is left for features", c->name,
                          (long long)c->columns->count);
    return check_unique(c);
}

tread_status tread_csv_columns_create(const tread_csv_options *options, const char *name, int64_t count,
                                      const tread_names *header, tread_csv_columns *columns) {
    *columns = (tread_csv_columns){.count = count};
    columns->roles = tread_calloc((size_t)count, sizeof *columns->roles, "columns of a CSV file");
    if (columns->roles == NULL)
        return TREAD_ERROR_MEMORY;
    chooser c = {.options = options, .name = name, .columns = columns};
    TREAD_TRY(index_names(header, &c.header));
    tread_status status = choose_all(&c);
    tread_free(c.header.items);
    return status;
}

void tread_csv_columns_destroy(tread_csv_columns *columns) {
    tread_free(columns->roles);
    *columns = (tread_csv_columns){0};
}
