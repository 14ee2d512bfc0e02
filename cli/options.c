#include "cli/options.h"

#include <errno.h>
#include <float.h>
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/help.h"
#include "cli/nearest.h"
#include "cli/progress.h"

static void complain(const cli_command *command, const char *format, va_list arguments) {
    fflush(stdout);
    fprintf(stderr, "tread %s: ", command->name);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
}

int cli_misuse(const cli_command *command, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    complain(command, format, arguments);
    va_end(arguments);
    fprintf(stderr, "`tread %s --help` lists what there is\n", command->name);
    return CLI_USAGE;
}

int cli_fail(const cli_command *command, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    complain(command, format, arguments);
    va_end(arguments);
    return CLI_FAILED;
}

/* A whole decimal number in low..high, ending at a character of `ends` or at the end of the text. */
static bool read_integer(const char *text, int64_t low, int64_t high, const char *ends, int64_t *ret_value,
                         const char **ret_end) {
    char *end;
    errno = 0;
    long long value = strtoll(text, &end, 10);
    if (end == text || errno != 0 || value < low || value > high || (*end != '\0' && strchr(ends, *end) == NULL))
        return false;
    *ret_value = value;
    *ret_end = end;
    return true;
}

/* A decimal number in low..high. */
static bool read_real(const char *text, double low, double high, double *ret_value) {
    char *end;
    double value = strtod(text, &end);
    if (end == text || *end != '\0' || !isfinite(value) || value < low || value > high)
        return false;
    *ret_value = value;
    return true;
}

static bool read_sizes(const char *text, int64_t low, int64_t high, cli_sizes *ret_sizes) {
    cli_sizes sizes = {.count = 0};
    if (strcmp(text, "none") != 0)
        for (;; text++) {
            if (sizes.count == CLI_MAX_SIZES || !read_integer(text, low, high, ",", &sizes.values[sizes.count], &text))
                return false;
            sizes.count++;
            if (*text == '\0')
                break;
        }
    *ret_sizes = sizes;
    return true;
}

static int misuse_choice(const cli_command *command, const cli_option *option, const char *text) {
    char allowed[1024] = "";
    size_t length = 0, count = 0;
    for (; option->names[count] != NULL && length < sizeof allowed; count++)
        length += (size_t)snprintf(allowed + length, sizeof allowed - length, "%s%s", count > 0 ? ", " : "",
                                   option->names[count]);
    const char *advice = option->advice != NULL ? option->advice(text) : NULL;
    return cli_misuse(command, "--%s: unknown name %s%s; allowed: %s", option->name, text,
                      advice != NULL ? advice : cli_hint(text, option->names, count), allowed);
}

/* Stores text as the option's value. */
static bool store(const cli_command *command, const cli_option *option, const char *text, void *options) {
    void *target = (char *)options + option->offset;
    const char *end;
    cli_texts *texts = target;
    switch (option->kind) {
    case CLI_SWITCH: *(bool *)target = true; return true;
    case CLI_TEXT:
    case CLI_TEXTS:
    case CLI_FILE:
        if (*text == '\0')
            return cli_misuse(command, "--%s: the value is empty", option->name), false;
        if (option->kind == CLI_TEXTS && texts->count == CLI_MAX_TEXTS)
            return cli_misuse(command, "--%s: it is given more than %d times", option->name, CLI_MAX_TEXTS), false;
        if (option->kind == CLI_FILE && *text == '-')
            return cli_misuse(command, "--%s: %s begins with a dash; a file of that name is ./%s", option->name, text,
                              text),
                   false;
        *(option->kind == CLI_TEXTS ? &texts->values[texts->count++] : (const char **)target) = text;
        return true;
    case CLI_INTEGER:
        if (!read_integer(text, option->low, option->high, "", target, &end))
            return cli_misuse(command, "--%s: %s is not a whole number from %" PRId64 " to %" PRId64, option->name,
                              text, option->low, option->high),
                   false;
        return true;
    case CLI_REAL:
        if (read_real(text, option->low_real, option->high_real, target))
            return true;
        if (option->high_real >= DBL_MAX)
            return cli_misuse(command, "--%s: %s is not a finite number of at least %g", option->name, text,
                              option->low_real),
                   false;
        return cli_misuse(command, "--%s: %s is not a number from %g to %g", option->name, text, option->low_real,
                          option->high_real),
               false;
    case CLI_SIZES:
    case CLI_COUNTS:
        if ((option->kind == CLI_COUNTS && strcmp(text, "none") == 0) ||
            !read_sizes(text, option->low, option->high, target))
            return cli_misuse(command,
                              "--%s: %s is not a list of at most %d whole numbers from %" PRId64 " to %" PRId64
                              " with commas between, such as %s",
                              option->name, text, CLI_MAX_SIZES, option->low, option->high,
                              option->kind == CLI_SIZES ? "512,256, nor none" : "1,2,4"),
                   false;
        return true;
    case CLI_CHOICE:
        for (int i = 0; option->names[i] != NULL; i++)
            if (strcmp(text, option->names[i]) == 0) {
                *(int *)target = i;
                return true;
            }
        misuse_choice(command, option, text);
        return false;
    }
    return false;
}

#define MAX_OPTIONS 64

static int misuse_unknown(const cli_command *command, const char *argument) {
    char text[64], dashed[MAX_OPTIONS][32], list[MAX_OPTIONS * 34] = "";
    const char *names[MAX_OPTIONS + 1];
    size_t count = 0, used = 0;
    snprintf(text, sizeof text, "%.*s", (int)strcspn(argument, "="), argument);
    for (; count < command->n_options && count < MAX_OPTIONS; count++) {
        snprintf(dashed[count], sizeof dashed[count], "--%s", command->options[count].name);
        names[count] = dashed[count];
        used += (size_t)snprintf(list + used, sizeof list - used, "%s, ", names[count]);
    }
    names[count++] = "--help";
    return cli_misuse(command, "unknown option %s%s; allowed: %s--help", text, cli_hint(text, names, count), list);
}

static const cli_option *find(const cli_command *command, const char *name, size_t length) {
    for (size_t i = 0; i < command->n_options; i++)
        if (strlen(command->options[i].name) == length && strncmp(command->options[i].name, name, length) == 0)
            return &command->options[i];
    return NULL;
}

bool cli_parse(const cli_command *command, int argc, char **argv, void *ret_options, int *ret_exit) {
    bool given[MAX_OPTIONS] = {false};
    size_t n_operands = 0;
    *ret_exit = CLI_USAGE;
    for (size_t i = 0; i < command->n_options; i++)
        if (command->options[i].initial != NULL &&
            !store(command, &command->options[i], command->options[i].initial, ret_options))
            return false;
    for (int i = 1; i < argc; i++) {
        const char *argument = argv[i];
        if (strcmp(argument, "--help") == 0 || strcmp(argument, "-h") == 0) {
            cli_reader_may_leave();
            *ret_exit = CLI_DONE;
            if (command->help_on == NULL || i + 1 == argc || argv[i + 1][0] == '-')
                cli_print_help(command);
            else if (!command->help_on(command, argv[i + 1]))
                *ret_exit = CLI_USAGE;
            return false;
        }
        if (argument[0] != '-' && n_operands < command->n_operands) {
            ((const char **)(void *)((char *)ret_options + command->operand_offset))[n_operands++] = argument;
            continue;
        }
        if (strncmp(argument, "--", 2) != 0)
            return cli_misuse(command, "unexpected argument %s", argument), false;
        const char *name = argument + 2, *value = strchr(name, '=');
        size_t length = value != NULL ? (size_t)(value - name) : strlen(name);
        const cli_option *option = find(command, name, length);
        if (option == NULL)
            return misuse_unknown(command, argument), false;
        bool *twice = &given[option - command->options];
        if (*twice && option->kind != CLI_TEXTS)
            return cli_misuse(command, "--%s is given twice", option->name), false;
        *twice = true;
        if (option->kind == CLI_SWITCH) {
            if (value != NULL)
                return cli_misuse(command, "--%s takes no value", option->name), false;
        } else if (value != NULL) {
            value++;
        } else if (i + 1 == argc) {
            return cli_misuse(command, "--%s needs a value: %s", option->name, option->value), false;
        } else {
            value = argv[++i];
        }
        if (!store(command, option, value, ret_options))
            return false;
    }
    *ret_exit = CLI_DONE;
    return true;
}
