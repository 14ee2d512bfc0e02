#include <float.h>
#include <math.h>
#include <string.h>
#include <tread/files.h>

#include "core/memory.h"
#include "core/options.h"
#include "core/status.h"
#include "core/tensor.h"
#include "engine/checkpoint/safetensors.h"
#include "engine/data/csv_columns.h"
#include "engine/data/csv_labels.h"
#include "engine/data/csv_scanner.h"
#include "engine/data/dataset.h"
#include "engine/data/decimal.h"

/* An array that grows. */
typedef struct values {
    void *data; /* of float or int32_t */
    int64_t count, capacity;
} values;

typedef struct table {
    tread_csv_options options;
    tread_csv_scanner scanner;
    tread_names first; /* the fields of the first record */
    bool has_header;   /* they are names */
    int64_t replayed;  /* else: how many of them have been taken as values */
    tread_csv_columns columns;
    bool labels_known; /* those of options.like */
    tread_csv_labels labels;
    values x, y;
    int64_t samples;
    bool classification;
} table;

tread_csv_options tread_csv_defaults(void) {
    return (tread_csv_options){.size = sizeof(tread_csv_options), .delimiter = ','};
}

static tread_status check(const tread_csv_options *o) {
    /* Whatever could be part of a number or a line would be read as both. */
    if ((unsigned char)o->delimiter >= 0x7f || strchr("\r\n\"+-._?", o->delimiter) != NULL ||
        (o->delimiter >= '0' && o->delimiter <= '9') || ((o->delimiter | 32) >= 'a' && (o->delimiter | 32) <= 'z'))
        return tread_fail(TREAD_ERROR_ARGUMENT, "csv: delimiter = '%c' (%d) is not a comma, semicolon, tab or the like",
                          o->delimiter >= ' ' && o->delimiter < 0x7f ? o->delimiter : '?', o->delimiter);
    if ((unsigned)o->header > TREAD_CSV_HEADER_NO)
        return tread_fail(TREAD_ERROR_ARGUMENT, "csv: header = %d is outside 0..2", (int)o->header);
    if ((unsigned)o->task > TREAD_TASK_NONE)
        return tread_fail(TREAD_ERROR_ARGUMENT, "csv: task = %d is outside 0..3", (int)o->task);
    if ((unsigned)o->missing > TREAD_MISSING_FILL)
        return tread_fail(TREAD_ERROR_ARGUMENT, "csv: missing = %d is outside 0..2", (int)o->missing);
    if (o->missing == TREAD_MISSING_FILL && !o->allow_not_finite && !isfinite((float)o->missing_value))
        return tread_fail(TREAD_ERROR_ARGUMENT, "csv: missing_value = %g is not finite", o->missing_value);
    if (o->task == TREAD_TASK_NONE && o->target != NULL)
        return tread_fail(TREAD_ERROR_ARGUMENT, "csv: target = \"%s\", and the task is to have none", o->target);
    if (o->like == NULL)
        return TREAD_OK;
    if (o->target != NULL || o->drop != NULL)
        return tread_fail(TREAD_ERROR_ARGUMENT, "csv: %s is given, and like, which settles it",
                          o->target != NULL ? "target" : "drop");
    if (o->like->schema == NULL || o->like->schema->roles == NULL)
        return tread_fail(TREAD_ERROR_ARGUMENT, "csv: like is not of a CSV file");
    bool labels = o->like->classes > 0, targets = o->like->y_float;
    if ((o->task == TREAD_TASK_CLASSIFICATION && !labels) || (o->task == TREAD_TASK_REGRESSION && !targets))
        return tread_fail(TREAD_ERROR_ARGUMENT, "csv: task is %s, and like has %s",
                          o->task == TREAD_TASK_REGRESSION ? "regression" : "classification",
                          labels    ? "labels"
                          : targets ? "targets"
                                    : "neither labels nor targets");
    return TREAD_OK;
}

/* Room for n more. The arrays double, and so are never more than twice what they hold. */
static tread_status reserve(values *v, int64_t n, const char *what) {
    int64_t needed = v->count + n, capacity = v->capacity;
    if (needed <= capacity)
        return TREAD_OK;
    if ((uint64_t)needed * sizeof(float) > TREAD_CSV_MAX_BYTES)
        return tread_fail(TREAD_ERROR_FORMAT, "csv: more than the %llu bytes of values that are accepted",
                          (unsigned long long)TREAD_CSV_MAX_BYTES);
    while (capacity < needed)
        capacity = capacity < 1024 ? 1024 : 2 * capacity;
    void *grown = tread_realloc(v->data, (size_t)v->capacity * sizeof(float), (size_t)capacity * sizeof(float), what);
    if (grown == NULL)
        return TREAD_ERROR_MEMORY;
    v->data = grown;
    v->capacity = capacity;
    return TREAD_OK;
}

static tread_status shrink(values *v, const char *what) {
    if (v->count == v->capacity || v->data == NULL)
        return TREAD_OK;
    void *exact = tread_realloc(v->data, (size_t)v->capacity * sizeof(float), (size_t)v->count * sizeof(float), what);
    if (exact == NULL)
        return TREAD_ERROR_MEMORY;
    v->data = exact;
    v->capacity = v->count;
    return TREAD_OK;
}

/* The next field: first those of the first record, where that is no header. */
static tread_status next_field(table *t, bool *ret_more) {
    if (t->has_header || t->replayed == t->first.count)
        return tread_csv_next(&t->scanner, ret_more);
    tread_csv_scanner *field = &t->scanner;
    field->text = t->first.items[t->replayed++];
    field->length = strlen(field->text);
    field->field_line = 1;
    field->column = t->replayed;
    field->blank = false;
    field->ends_record = t->replayed == t->first.count;
    *ret_more = true;
    return TREAD_OK;
}

static bool is_missing(const tread_csv_scanner *field) {
    size_t n = field->length;
    const char *text = field->text;
    for (; n > 0 && (*text == ' ' || *text == '\t'); n--)
        text++;
    while (n > 0 && (text[n - 1] == ' ' || text[n - 1] == '\t'))
        n--;
    return n == 0 || (n == 1 && *text == '?') || (n == 2 && text[0] == 'N' && text[1] == 'A');
}

/* A number in digits, not inf or nan. */
static bool has_digits(const tread_csv_scanner *field) {
    for (size_t i = 0; i < field->length; i++)
        if (field->text[i] >= '0' && field->text[i] <= '9')
            return true;
    return false;
}

/* A feature or a target. *ret_skip: the sample is to be left out. */
static tread_status take_number(const table *t, bool feature, float *ret_value, bool *ret_skip) {
    const tread_csv_scanner *field = &t->scanner;
    double value;
    if (is_missing(field)) {
        if (t->options.missing == TREAD_MISSING_ERROR)
            return tread_csv_field_fails(field, "\"%s\": the value is missing", NULL);
        *ret_skip |= t->options.missing == TREAD_MISSING_SKIP || !feature;
        *ret_value = (float)t->options.missing_value;
        return TREAD_OK;
    }
    if (!tread_decimal_parse(field->text, field->length, &value))
        return tread_csv_field_fails(field,
                                     !t->has_header && t->replayed > 0 && t->samples == 0 && field->field_line == 1
                                         ? "\"%s\" is not a number; the line is no header, as another of its fields is"
                                         : "\"%s\" is not a number",
                                     NULL);
    *ret_value = (float)value;
    if (!isfinite(*ret_value) && !t->options.allow_not_finite)
        return tread_csv_field_fails(field, has_digits(field) ? "\"%s\" is beyond float32" : "\"%s\" is not finite",
                                     NULL);
    return TREAD_OK;
}

static tread_status take_label(table *t, int32_t *ret_label, bool *ret_skip) {
    const tread_csv_scanner *field = &t->scanner;
    int64_t integer;
    double number;
    if (field->length == 0) {
        *ret_skip |= t->options.missing != TREAD_MISSING_ERROR;
        return t->options.missing == TREAD_MISSING_ERROR
                   ? tread_csv_field_fails(field, "\"%s\": the label is missing", NULL)
                   : TREAD_OK;
    }
    if (t->labels_known) {
        *ret_label = tread_csv_labels_find(&t->labels, field->text, field->length);
        return *ret_label >= 0 ? TREAD_OK
                               : tread_csv_field_fails(field, "\"%s\" is none of the other data set's classes", NULL);
    }
    if (!tread_decimal_parse_integer(field->text, field->length, &integer) &&
        tread_decimal_parse(field->text, field->length, &number))
        return tread_csv_field_fails(field, "\"%s\" is no label, but a number: for those the task is regression", NULL);
    const int64_t n_before = t->labels.names.count;
    TREAD_TRY(tread_csv_labels_number(&t->labels, field->text, field->length, ret_label));
    if (t->labels.names.count > n_before && !tread_is_utf8(t->labels.names.items[n_before])) /* no checkpoint has it */
        return tread_csv_field_fails(field, "\"%s\" is not UTF-8, which names of classes are", NULL);
    if (t->labels.names.count > TREAD_CSV_MAX_CLASSES)
        return tread_csv_field_fails(field, "\"%s\": more than 65536 different labels", NULL);
    return TREAD_OK;
}

static tread_status count_fails(const table *t, bool too_many) {
    const tread_csv_scanner *field = &t->scanner;
    return tread_fail(TREAD_ERROR_FORMAT, "%s:%lld: %s%lld columns, expected %lld", field->name,
                      (long long)field->field_line, too_many ? "more than " : "",
                      too_many ? (long long)t->columns.count : (long long)field->column, (long long)t->columns.count);
}

/* The record that begins with the scanner's field. */
static tread_status take_record(table *t) {
    const tread_csv_columns *columns = &t->columns;
    TREAD_TRY(reserve(&t->x, columns->features, "features of a CSV file"));
    TREAD_TRY(reserve(&t->y, columns->targets, "targets of a CSV file"));
    float *x = (float *)t->x.data + t->x.count, *y = columns->targets > 0 ? (float *)t->y.data + t->y.count : NULL;
    bool skip = false, more = true;
    for (int64_t i = 0;; i++) {
        if (i == columns->count || !more)
            return count_fails(t, i == columns->count);
        int64_t role = columns->roles[i];
        if (role >= TREAD_CSV_TARGET && t->classification)
            TREAD_TRY(take_label(t, (int32_t *)t->y.data + t->y.count, &skip));
        else if (role >= TREAD_CSV_TARGET)
            TREAD_TRY(take_number(t, false, &y[role - TREAD_CSV_TARGET], &skip));
        else if (role != TREAD_CSV_DROP)
            TREAD_TRY(take_number(t, true, &x[role], &skip));
        if (t->scanner.ends_record && i + 1 < columns->count)
            return count_fails(t, false);
        if (t->scanner.ends_record)
            break;
        TREAD_TRY(next_field(t, &more));
    }
    if (skip)
        return TREAD_OK;
    if (t->samples == INT32_MAX)
        return tread_fail(TREAD_ERROR_FORMAT, "%s: more than %d samples", t->scanner.name, INT32_MAX);
    t->samples++;
    t->x.count += columns->features;
    t->y.count += columns->targets;
    return TREAD_OK;
}

/* All the records that are left. Blank lines may stand at the end alone. */
static tread_status take_records(table *t) {
    int64_t blank = 0;
    for (;;) {
        bool more;
        TREAD_TRY(next_field(t, &more));
        if (!more)
            return TREAD_OK;
        if (t->scanner.blank) {
            blank = blank > 0 ? blank : t->scanner.field_line;
            continue;
        }
        if (blank > 0)
            return tread_fail(TREAD_ERROR_FORMAT, "%s:%lld: the line is blank, and records follow it", t->scanner.name,
                              (long long)blank);
        TREAD_TRY(take_record(t));
    }
}

/* The first record's fields, and whether one of them is a number. */
static tread_status read_first(table *t, tread_names *ret_fields, bool *ret_number) {
    bool more;
    double value;
    size_t bytes = 0;
    *ret_number = false;
    do {
        TREAD_TRY(tread_csv_next(&t->scanner, &more));
        if (!more || (t->scanner.blank && t->scanner.column == 1))
            return tread_fail(TREAD_ERROR_FORMAT, "%s: %s", t->scanner.name,
                              more ? "the first line is blank" : "the file is empty");
        bytes += t->scanner.length;
        if (bytes > TREAD_CSV_MAX_RECORD)
            return tread_csv_field_fails(&t->scanner, "\"%s\": a first record of more than 64 MiB", NULL);
        if (ret_fields->count == TREAD_CSV_MAX_COLUMNS)
            return tread_csv_field_fails(&t->scanner, "\"%s\": more than a million columns", NULL);
        TREAD_TRY(tread_names_add(ret_fields, t->scanner.text, t->scanner.length));
        *ret_number |= tread_decimal_parse(t->scanner.text, t->scanner.length, &value);
    } while (!t->scanner.ends_record);
    return TREAD_OK;
}

static tread_status know_labels(table *t) {
    const tread_dataset *like = t->options.like;
    t->labels_known = true;
    for (int64_t i = 0; i < like->schema->classes.count; i++) {
        const char *name = like->schema->classes.items[i];
        int32_t number;
        TREAD_TRY(tread_csv_labels_number(&t->labels, name, strlen(name), &number));
    }
    return TREAD_OK;
}

static tread_status read_table(table *t, const char *path) {
    const tread_dataset *like = t->options.like;
    tread_names none = {0};
    bool number;
    TREAD_TRY(tread_csv_open(&t->scanner, path, NULL, path, t->options.delimiter));
    TREAD_TRY(read_first(t, &t->first, &number));
    t->has_header = t->options.header == TREAD_CSV_HEADER_AUTO ? !number : t->options.header == TREAD_CSV_HEADER_YES;
    TREAD_TRY(
        tread_csv_columns_create(&t->options, path, t->first.count, t->has_header ? &t->first : &none, &t->columns));
    t->classification =
        t->columns.targets > 0 && (like != NULL ? like->classes > 0 : t->options.task != TREAD_TASK_REGRESSION);
    if (t->classification && like != NULL)
        TREAD_TRY(know_labels(t));
    TREAD_TRY(take_records(t));
    if (t->samples == 0)
        return tread_fail(TREAD_ERROR_FORMAT, "%s: %s", path,
                          t->options.missing == TREAD_MISSING_ERROR ? "there are no samples"
                                                                    : "there are no samples, or each lacks a value");
    if (t->classification && !t->labels_known)
        TREAD_TRY(tread_csv_labels_sort(&t->labels, t->y.data, t->samples));
    TREAD_TRY(shrink(&t->x, "features of a CSV file"));
    return shrink(&t->y, "targets of a CSV file");
}

/* Takes names and roles of the table. */
static tread_status name_columns(table *t, tread_schema *schema) {
    const tread_csv_columns *columns = &t->columns;
    for (int64_t want = 0; t->has_header && want < 2; want++) {
        tread_names *names = want == 0 ? &schema->features : &schema->targets;
        int64_t n = want == 0 ? columns->features : columns->targets, first = want == 0 ? 0 : TREAD_CSV_TARGET;
        if (n == 0)
            continue;
        names->items = tread_calloc((size_t)n, sizeof *names->items, "names of columns");
        if (names->items == NULL)
            return TREAD_ERROR_MEMORY;
        names->count = names->capacity = n;
        for (int64_t i = 0; i < columns->count; i++)
            if (columns->roles[i] >= first && columns->roles[i] < first + n) {
                names->items[columns->roles[i] - first] = t->first.items[i];
                t->first.items[i] = NULL;
            }
    }
    schema->classes = t->labels.names;
    t->labels.names = (tread_names){0};
    schema->roles = t->columns.roles;
    schema->n_roles = t->columns.count;
    t->columns.roles = NULL;
    return TREAD_OK;
}

/* Takes the values of the table on success. */
static tread_status make_set(table *t, tread_dataset **ret_dataset) {
    const int64_t x_shape[] = {t->samples, t->columns.features}, y_shape[] = {t->samples, t->columns.targets};
    tread_schema *schema = tread_schema_create();
    if (schema == NULL)
        return TREAD_ERROR_MEMORY;
    tread_tensor *x = tread_tensor_wrap(TREAD_FLOAT32, 2, x_shape, t->x.data);
    tread_tensor *y = x == NULL || t->columns.targets == 0 ? NULL
                      : t->classification                  ? tread_tensor_wrap(TREAD_INT32, 1, y_shape, t->y.data)
                                                           : tread_tensor_wrap(TREAD_FLOAT32, 2, y_shape, t->y.data);
    int classes = t->classification ? (int)t->labels.names.count : 0;
    tread_dataset *dataset = NULL;
    tread_status status = x == NULL || (y == NULL && t->columns.targets > 0) ? TREAD_ERROR_MEMORY : TREAD_OK;
    if (status == TREAD_OK)
        status = tread_dataset_create(x, y, classes, NULL, NULL, &dataset);
    if (status == TREAD_OK)
        status = name_columns(t, schema);
    tread_tensor_destroy(x);
    tread_tensor_destroy(y);
    if (status != TREAD_OK) {
        tread_dataset_destroy(dataset);
        tread_schema_destroy(schema);
        return status;
    }
    dataset->x_data = t->x.data;
    dataset->y_data = t->y.data;
    t->x.data = t->y.data = NULL;
    dataset->schema = dataset->own_schema = schema;
    *ret_dataset = dataset;
    return TREAD_OK;
}

tread_dataset *tread_csv_load(const char *path, const tread_csv_options *options) {
    tread_csv_options chosen = tread_csv_defaults();
    if (path == NULL)
        return tread_fail_null(TREAD_ERROR_ARGUMENT, "csv: the path is NULL");
    if (tread_options_read("csv", options, &chosen, sizeof chosen) != TREAD_OK || check(&chosen) != TREAD_OK)
        return NULL;
    if (chosen.like != NULL && chosen.like->y_rank == 0)
        chosen.task = TREAD_TASK_NONE;
    table t = {.options = chosen};
    tread_dataset *dataset = NULL;
    tread_status status = read_table(&t, path);
    if (status == TREAD_OK)
        status = make_set(&t, &dataset);
    tread_csv_close(&t.scanner);
    tread_names_destroy(&t.first);
    tread_csv_columns_destroy(&t.columns);
    tread_csv_labels_destroy(&t.labels);
    tread_free(t.x.data);
    tread_free(t.y.data);
    return status == TREAD_OK ? dataset : NULL;
}
