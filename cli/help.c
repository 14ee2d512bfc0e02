#include "cli/help.h"

#include <stdio.h>
#include <string.h>
#include <tread/lr_scheduler.h>
#include <tread/optimizer.h>

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
    if (command->more_help != NULL)
        command->more_help();
}

static void print_field(const tread_field_info *field) {
    char value[64];
    snprintf(value, sizeof value, "%s%s", field->required ? "required" : "default ",
             field->required ? "" : field->default_text);
    printf("    %-22s %-26s %-24s %s\n", field->name, value, field->range, field->doc);
}

/* No spec string can give those that need functions. */
static bool needs_functions(size_t scheduler_type) {
    tread_field_info field;
    for (size_t i = 0; i < tread_lr_scheduler_field_count(scheduler_type); i++)
        if (tread_lr_scheduler_field(scheduler_type, i, &field) == TREAD_OK && field.kind == TREAD_FIELD_FUNCTIONS)
            return true;
    return false;
}

static bool is_of_all(const tread_field_info *field) {
    return strcmp(field->name, "last_step") == 0 || strcmp(field->name, "verbose") == 0;
}

void cli_print_algorithms(void) {
    tread_field_info field;
    printf("\nOptimizers and their fields; several values of one field are written with slashes (betas=0.9/0.99):\n");
    for (size_t type = 0; type < tread_optimizer_type_count(); type++) {
        printf("\n  %s: %s\n", tread_optimizer_type_name(type), tread_optimizer_type_doc(type));
        for (size_t i = 0; i < tread_optimizer_field_count(type); i++)
            if (tread_optimizer_field(type, i, &field) == TREAD_OK)
                print_field(&field);
    }
    cli_print_schedulers();
}

void cli_print_schedulers(void) {
    tread_field_info field;
    printf("\nSchedulers and their fields, beside which all have verbose [false], and those that need no metric "
           "last_step\n"
           "[-1: from the start]; schedulers within one stand in brackets (scheduler=[step_lr:step_size=3]):\n");
    for (size_t type = 0; type < tread_lr_scheduler_type_count(); type++) {
        if (needs_functions(type))
            continue;
        printf("\n  %s: %s\n", tread_lr_scheduler_type_name(type), tread_lr_scheduler_type_doc(type));
        for (size_t i = 0; i < tread_lr_scheduler_field_count(type); i++)
            if (tread_lr_scheduler_field(type, i, &field) == TREAD_OK && !is_of_all(&field))
                print_field(&field);
    }
    printf("\n");
    for (size_t type = 0; type < tread_lr_scheduler_type_count(); type++)
        if (needs_functions(type))
            printf("  %s: %s\n", tread_lr_scheduler_type_name(type), tread_lr_scheduler_type_doc(type));
}
