#include "cli/help.h"

#include <stdio.h>
#include <string.h>
#include <tread/lr_scheduler.h>
#include <tread/optimizer.h>

#include "cli/nearest.h"
#include "cli/specs.h"

#define DOC_COLUMN 34

static void print_option(const cli_option *option) {
    int length = printf("  --%s %s", option->name, option->kind == CLI_SWITCH ? "" : option->value);
    const char *line = option->doc;
    if (length >= DOC_COLUMN) {
        putchar('\n');
        length = 0;
    }
    for (;;) {
        size_t end = strcspn(line, "\n");
        printf("%*s%.*s", DOC_COLUMN - length, "", (int)end, line);
        if (line[end] == '\0')
            break;
        putchar('\n');
        length = 0;
        line += end + 1;
    }
    if (option->kind == CLI_CHOICE) {
        printf(": ");
        for (int i = 0; option->names[i] != NULL; i++)
            printf("%s%s", i > 0 ? ", " : "", option->names[i]);
    }
    if (option->initial != NULL)
        printf(" [%s]", option->initial);
    putchar('\n');
}

void cli_print_help(const cli_command *command) {
    printf("usage: tread %s %s\n\n%s\n", command->name, command->usage, command->summary);
    if (command->doc != NULL)
        printf("\n%s\n", command->doc);
    printf("\nOptions, with defaults in brackets:\n");
    for (size_t i = 0; i < command->n_options; i++)
        print_option(&command->options[i]);
    printf("  --help%*sprint this\n", DOC_COLUMN - 8, "");
    if (command->help_on != NULL)
        printf("  --help NAME%*sprint what is said below of that name alone\n", DOC_COLUMN - 13, "");
    if (command->more_help != NULL)
        command->more_help();
}

/* ---- Optimizers and schedulers ---- */

/* One of the library's two tables of algorithms. */
typedef struct catalogue {
    const char *title;
    size_t (*count)(void);
    const char *(*name)(size_t);
    const char *(*doc)(size_t);
    size_t (*field_count)(size_t);
    tread_status (*field)(size_t, size_t, tread_field_info *);
    bool (*hidden)(size_t); /* not for specs, and so without fields here */
} catalogue;

static bool none_is_hidden(size_t type) {
    (void)type;
    return false;
}

static const catalogue optimizers = {
    "Optimizers",
    tread_optimizer_type_count,
    tread_optimizer_type_name,
    tread_optimizer_type_doc,
    tread_optimizer_field_count,
    tread_optimizer_field,
    none_is_hidden,
};
static const catalogue schedulers = {
    "Schedulers",
    tread_lr_scheduler_type_count,
    tread_lr_scheduler_type_name,
    tread_lr_scheduler_type_doc,
    tread_lr_scheduler_field_count,
    tread_lr_scheduler_field,
    cli_scheduler_needs_functions,
};

static bool find_field(const catalogue *c, size_t type, const char *name, tread_field_info *ret_field) {
    for (size_t i = 0; i < c->field_count(type); i++)
        if (c->field(type, i, ret_field) == TREAD_OK && strcmp(ret_field->name, name) == 0)
            return true;
    return false;
}

/* Whether type has the very same field. */
static bool has(const catalogue *c, size_t type, const tread_field_info *field) {
    tread_field_info own;
    return find_field(c, type, field->name, &own) && strcmp(own.doc, field->doc) == 0 &&
           strcmp(own.default_text, field->default_text) == 0 && strcmp(own.range, field->range) == 0;
}

/* Whether all types but one, or all, have the very same field: such a field is printed once. */
static bool is_common(const catalogue *c, const tread_field_info *field) {
    size_t lacking = 0;
    for (size_t type = 0; type < c->count(); type++)
        lacking += !c->hidden(type) && !has(c, type, field);
    return lacking <= 1;
}

#define WIDE 120 /* columns of a line, at most */

typedef struct columns {
    int name, value, range;
} columns;

static const char *value_text(const tread_field_info *field) {
    return field->required ? "required" : field->default_text;
}

static int longer(int width, const char *text) {
    int length = (int)strlen(text);
    return length > width ? length : width;
}

/* The fields of a type that are common, or those that are not, or all. */
typedef enum fields { COMMON, OWN, ALL } fields;

static bool is_meant(const catalogue *c, fields which, const tread_field_info *field) {
    return which == ALL || is_common(c, field) == (which == COMMON);
}

static void print_fields(const catalogue *c, size_t type, fields which) {
    columns widths = {0, 0, 0};
    tread_field_info field;
    for (size_t i = 0; i < c->field_count(type); i++)
        if (c->field(type, i, &field) == TREAD_OK && is_meant(c, which, &field))
            widths = (columns){longer(widths.name, field.name), longer(widths.value, value_text(&field)),
                               longer(widths.range, field.range)};
    for (size_t i = 0; i < c->field_count(type); i++)
        if (c->field(type, i, &field) == TREAD_OK && is_meant(c, which, &field)) {
            printf("    %-*s  %-*s  ", widths.name, field.name, widths.value, value_text(&field));
            const int before = 10 + widths.name + widths.value + widths.range;
            if (before + (int)strlen(field.doc) <= WIDE)
                printf("%-*s  %s\n", widths.range, field.range, field.doc);
            else
                printf("%s\n      %s\n", field.range, field.doc);
        }
}

static void print_names(const catalogue *c, bool hidden) {
    int length = 0;
    const char *before = "  ";
    for (size_t type = 0; type < c->count(); type++) {
        if (c->hidden(type) != hidden)
            continue;
        if (length + (int)strlen(c->name(type)) + 2 > WIDE) {
            before = ",\n  ";
            length = 0;
        }
        length += printf("%s%s", before, c->name(type));
        before = ", ";
    }
    printf("\n");
}

static size_t count_common(const catalogue *c, size_t type) {
    tread_field_info field;
    size_t n = 0;
    for (size_t i = 0; i < c->field_count(type); i++)
        n += c->field(type, i, &field) == TREAD_OK && is_common(c, &field);
    return n;
}

/* What every type has, and which one has not. */
static void print_common(const catalogue *c) {
    size_t fullest = 0, lacking = c->count();
    for (size_t type = 0; type < c->count(); type++)
        if (!c->hidden(type) && count_common(c, type) > count_common(c, fullest))
            fullest = type;
    for (size_t type = 0; type < c->count(); type++)
        if (!c->hidden(type) && count_common(c, type) < count_common(c, fullest))
            lacking = type;
    if (lacking < c->count())
        printf("\n  all but %s have, beside their own:\n", c->name(lacking));
    else
        printf("\n  all have, beside their own:\n");
    print_fields(c, fullest, COMMON);
}

static void print_entry(const catalogue *c, size_t type, fields which) {
    printf("  %s: %s\n", c->name(type), c->doc(type));
    if (!c->hidden(type))
        print_fields(c, type, which);
}

static void print_catalogue(const catalogue *c) {
    printf("\n%s, each with its fields, their defaults and their ranges:\n", c->title);
    print_common(c);
    for (size_t type = 0; type < c->count(); type++)
        if (!c->hidden(type)) {
            printf("\n");
            print_entry(c, type, OWN);
        }
    for (size_t type = 0, n = 0; type < c->count(); type++)
        if (c->hidden(type)) {
            printf("%s", n++ == 0 ? "\n" : "");
            print_entry(c, type, OWN);
        }
}

static const char how_to_write[] =
    "\nA spec is a name with fields behind a colon: adamw:lr=3e-4,betas=0.9/0.98. Several "
    "values of a field have slashes\nbetween, schedulers within one stand in brackets: "
    "warmup_lr:scheduler=[step_lr:step_size=3].\n";

void cli_print_algorithms(void) {
    printf("\nOptimizers:\n");
    print_names(&optimizers, false);
    printf("\nSchedulers:\n");
    print_names(&schedulers, false);
    printf("%s`tread help NAME` prints one of them alone.\n", how_to_write);
    print_catalogue(&optimizers);
    print_catalogue(&schedulers);
}

void cli_print_schedulers(void) {
    printf("\nSchedulers:\n");
    print_names(&schedulers, false);
    printf("%s`tread help NAME` prints one of them alone.\n", how_to_write);
    print_catalogue(&schedulers);
}

/* ---- One of them ---- */

static bool print_one(const catalogue *c, const char *name) {
    for (size_t type = 0; type < c->count(); type++)
        if (strcmp(c->name(type), name) == 0) {
            print_entry(c, type, ALL);
            return true;
        }
    return false;
}

static bool is_in(const catalogue *c, const char *name) {
    for (size_t type = 0; type < c->count(); type++)
        if (strcmp(c->name(type), name) == 0)
            return true;
    return false;
}

bool cli_is_algorithm(const char *name) { return is_in(&optimizers, name) || is_in(&schedulers, name); }

static bool complain(const cli_command *command, const char *name, bool with_optimizers) {
    const char *names[128];
    size_t n = 0;
    for (size_t type = 0; with_optimizers && type < optimizers.count(); type++)
        names[n++] = optimizers.name(type);
    for (size_t type = 0; type < schedulers.count(); type++)
        names[n++] = schedulers.name(type);
    return cli_misuse(command, "--help: there is no %sscheduler %s%s", with_optimizers ? "optimizer or " : "", name,
                      cli_hint(name, names, n)),
           false;
}

bool cli_print_algorithm(const cli_command *command, const char *name) {
    return print_one(&optimizers, name) || print_one(&schedulers, name) || complain(command, name, true);
}

bool cli_print_scheduler(const cli_command *command, const char *name) {
    return print_one(&schedulers, name) || complain(command, name, false);
}
