/* Layer: optim. The table of an options struct, from which validation, error texts, spec strings, setters, state dicts,
 * printing and help all come. */
#ifndef TREAD_OPTIM_FIELD_H
#define TREAD_OPTIM_FIELD_H

#include <math.h>
#include <stddef.h>
#include <tread/field.h>
#include <tread/state.h>

#include "optim/report.h"

#define TREAD_MAX_VALUES 2           /* of an array field */
#define TREAD_LARGEST_INTEGER 0x1p53 /* of an integer field: doubles hold it, and sums of a few do not overflow */

#define TREAD_LARGEST_FLOAT_TEXT "the largest float, 3.4028234663852886e+38"

/* Whether an int64_t holds it; how large one may be is checked with its range. */
static inline bool tread_is_integer(double value) { return fabs(value) < 0x1p63 && value == floor(value); }

typedef struct tread_range {
    double low, high;
    bool low_open, high_open;
    bool infinity;       /* INFINITY is allowed beside it */
    bool minus_infinity; /* and -INFINITY */
} tread_range;

#define TREAD_RANGE_NOT_NEGATIVE                                                                                       \
    { 0, INFINITY, false, true, false, false } /* [0, inf) */
#define TREAD_RANGE_POSITIVE                                                                                           \
    { 0, INFINITY, true, true, false, false } /* (0, inf) */
#define TREAD_RANGE_BELOW_ONE                                                                                          \
    { 0, 1, false, true, false, false } /* [0, 1) */
#define TREAD_RANGE_UNIT                                                                                               \
    { 0, 1, false, false, false, false } /* [0, 1] */
#define TREAD_RANGE_UP_TO_ONE                                                                                          \
    { 0, 1, true, false, false, false } /* (0, 1] */
#define TREAD_RANGE_INSIDE(below, above)                                                                               \
    { (below), (above), true, true, false, false } /* (below, above) */
#define TREAD_RANGE_FROM(first)                                                                                        \
    { (first), INFINITY, false, true, false, false } /* [first, inf) */

typedef struct tread_field {
    const char *name;
    tread_field_kind kind;
    size_t offset;                    /* in the options struct; of the pointer, for a list */
    size_t count_offset;              /* lists: of their size_t count */
    int n_values;                     /* arrays: more than 1; 0 counts as 1 */
    double initial[TREAD_MAX_VALUES]; /* default: numbers, 0 or 1 for a boolean, the index of a choice; lists start
                                         empty */
    tread_range range;                /* numbers, and each entry of a list */
    const char *const *choices;       /* NULL at the end */
    bool required;                    /* no default: a spec string must give it, and a list may not be empty */
    bool identity;                    /* part of what the algorithm is: fixed once state exists */
    bool in_parameters; /* of reals: the parameters hold a blend by its first value, so that setters may not
                           change that once there were updates; loading replaces both */
    bool unsaved;       /* not in a state dict */
    bool per_group;     /* lists: one entry, or one per group (or none, where not required) */
    bool may_be_absent; /* reals: NAN is "none yet", and left out of a state dict */
    const char *doc;
} tread_field;

typedef struct tread_field_table {
    const char *name; /* of the algorithm, "adam": begins every sentence */
    size_t size;      /* of the struct, whose first member is size_t size: this and a mark of the name */
    const tread_field *fields;
    size_t n_fields;
    tread_status (*check)(
        const void *options); /* NULL, or the rules that join several fields, each field being in range */
} tread_field_table;

#define TREAD_TABLE(table_name, struct_name, field_array, check_function)                                              \
    {                                                                                                                  \
        .name = (table_name), .size = sizeof(struct_name), .fields = (field_array),                                    \
        .n_fields = sizeof(field_array) / sizeof *(field_array), .check = (check_function)                             \
    }

/* One line of a table. */
#define TREAD_REAL(struct_name, member, value, bounds, text)                                                           \
    {                                                                                                                  \
        .name = #member, .kind = TREAD_FIELD_REAL, .offset = offsetof(struct_name, member), .initial = {value},        \
        .range = bounds, .doc = (text)                                                                                 \
    }
#define TREAD_INTEGER(struct_name, member, value, bounds, text)                                                        \
    {                                                                                                                  \
        .name = #member, .kind = TREAD_FIELD_INTEGER, .offset = offsetof(struct_name, member), .initial = {value},     \
        .range = bounds, .doc = (text)                                                                                 \
    }
#define TREAD_BOOLEAN(struct_name, member, value, text)                                                                \
    {                                                                                                                  \
        .name = #member, .kind = TREAD_FIELD_BOOLEAN, .offset = offsetof(struct_name, member), .initial = {value},     \
        .doc = (text)                                                                                                  \
    }

/* What every optimizer has. */
#define TREAD_FIELD_LR(struct_name, value) TREAD_REAL(struct_name, lr, value, TREAD_RANGE_NOT_NEGATIVE, "learning rate")
#define TREAD_FIELDS_OF_ALL(struct_name)                                                                               \
    TREAD_BOOLEAN(struct_name, maximize, 0, "negate gradients first"),                                                 \
        {.name = "clip_grad_max_norm",                                                                                 \
         .offset = offsetof(struct_name, clip_grad_max_norm),                                                          \
         .initial = {INFINITY},                                                                                        \
         .range = {0, INFINITY, false, true, true, false},                                                             \
         .doc = "largest norm of the group's gradients, clipped by the trainer; inf: any"},                            \
    {                                                                                                                  \
        .name = "clip_grad_norm_type", .offset = offsetof(struct_name, clip_grad_norm_type), .initial = {2},           \
        .range = {0, INFINITY, true, true, true, true}, .doc = "p of that norm; inf: largest, -inf: smallest"          \
    }

/* What every scheduler but those on a metric has. */
#define TREAD_FIELDS_OF_SCHEDULERS(struct_name)                                                                        \
    {.name = "last_step",                                                                                              \
     .kind = TREAD_FIELD_INTEGER,                                                                                      \
     .offset = offsetof(struct_name, last_step),                                                                       \
     .initial = {-1},                                                                                                  \
     .range = TREAD_RANGE_FROM(-1),                                                                                    \
     .unsaved = true,                                                                                                  \
     .doc = "the step to go on after; -1: from the start"},                                                            \
        TREAD_BOOLEAN(struct_name, verbose, 0, "log each new learning rate")

/* Of those that move momentum too. Not 0: that would drop the optimizer's momentum buffer. */
#define TREAD_FIELDS_OF_MOMENTUM(struct_name, base, max)                                                               \
    TREAD_BOOLEAN(struct_name, cycle_momentum, 0, "move momentum or betas[0] against lr"),                             \
        TREAD_REAL(struct_name, base_momentum, base, TREAD_RANGE_INSIDE(0, 1), "momentum at the peak"),                \
        TREAD_REAL(struct_name, max_momentum, max, TREAD_RANGE_INSIDE(0, 1), "momentum away from it")

/* Numbers, to be written with slashes between. */
static inline bool tread_field_is_list(const tread_field *field) {
    return field->kind == TREAD_FIELD_REAL_LIST || field->kind == TREAD_FIELD_INTEGER_LIST;
}
/* A pointer and a count, which also functions and schedulers are. */
static inline bool tread_field_is_counted(const tread_field *field) {
    return tread_field_is_list(field) || field->kind == TREAD_FIELD_FUNCTIONS || field->kind == TREAD_FIELD_SCHEDULERS;
}
static inline bool tread_field_has_schedulers(const tread_field *field) {
    return field->kind == TREAD_FIELD_SCHEDULER || field->kind == TREAD_FIELD_SCHEDULERS;
}
/* In range or not: all but functions and schedulers. */
static inline bool tread_field_has_numbers(const tread_field *field) {
    return field->kind != TREAD_FIELD_FUNCTIONS && !tread_field_has_schedulers(field);
}
static inline size_t tread_field_count(const tread_field *field, const void *options) {
    return *(const size_t *)((const char *)options + field->count_offset);
}
static inline size_t tread_field_values(const tread_field *field) {
    return field->n_values > 1 ? (size_t)field->n_values : 1;
}

/* The tables of all optimizers, then of all schedulers; NULL past the end. */
const tread_field_table *tread_table_at(size_t i);

/* Sets size, with the mark of whose options they are, and every default. */
void tread_fields_defaults(const tread_field_table *table, void *ret_options);
/* A checked copy of a caller's struct (NULL: defaults), which tread_fields_defaults() of this table has begun; lists
 * copied too, but of schedulers only their handles; options of an older, shorter struct get the defaults of what they
 * lack. Freed by tread_fields_free(). TREAD_ERROR_ARGUMENT, TREAD_ERROR_MEMORY. */
tread_status tread_fields_clone(const tread_field_table *table, const void *options, void **ret_options);
/* A copy of options of our own, with the schedulers in them. TREAD_ERROR_MEMORY. */
tread_status tread_fields_copy(const tread_field_table *table, const void *options, void **ret_options);
/* With the schedulers that options own. NULL is accepted. */
void tread_fields_free(const tread_field_table *table, void *options);
/* Each field in its range, and what becomes a float below infinity then too, then table->check. The sentence names
 * table, field, value and range. */
tread_status tread_fields_check(const tread_field_table *table, const void *options);

/* NULL: TREAD_ERROR_ARGUMENT lists the fields. */
const tread_field *tread_fields_find(const tread_field_table *table, const char *name);
/* A field or one entry of it ("betas[1]") as a number; nothing is checked but what the type can hold. */
tread_status tread_fields_get(const tread_field_table *table, const void *options, const char *name, double *ret_value);
tread_status tread_fields_set(const tread_field_table *table, void *options, const char *name, double value);
/* The same as text. set_text of a list replaces the options' own copy. */
void tread_field_text(const tread_field *field, const void *options, tread_report *ret_text);
tread_status tread_fields_set_text(const tread_field_table *table, void *options, const tread_field *field,
                                   const char *text);
/* "key=value,key=value" over what options hold; commas within [] do not divide. Required fields must be there. */
tread_status tread_fields_parse(const tread_field_table *table, void *options, const char *text);

tread_status tread_fields_to_state(const tread_field_table *table, const void *options, tread_state *tree);
/* Every field that tree gives; differences (missing, of another kind, out of range, neither a field nor one of
 * `others`) go to report with `where` before them. others: names with NULL at the end, or NULL. options must be thrown
 * away if there were any. TREAD_ERROR_MEMORY. */
tread_status tread_fields_from_state(const tread_field_table *table, void *options, const tread_state *tree,
                                     const char *const *others, const char *where, tread_report *report);
/* Parts of tree whose name is not in `names`, as differences. */
void tread_report_surplus(const tread_state *tree, const char *const *names, const char *where, tread_report *report);

void tread_field_describe(const tread_field *field, tread_field_info *ret_info);

#endif
