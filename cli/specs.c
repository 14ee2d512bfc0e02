#include "cli/specs.h"

#include <stdio.h>
#include <string.h>
#include <tread/lr_scheduler.h>
#include <tread/optimizer.h>

#include "cli/nearest.h"

#define MAX_TYPES 64

bool cli_scheduler_needs_functions(size_t type) {
    tread_field_info field;
    for (size_t i = 0; i < tread_lr_scheduler_field_count(type); i++)
        if (tread_lr_scheduler_field(type, i, &field) == TREAD_OK && field.kind == TREAD_FIELD_FUNCTIONS)
            return true;
    return false;
}

static bool never(size_t type) {
    (void)type;
    return false;
}

/* Whether the spec begins with a name of the table; complains otherwise. hidden: types that are not offered then. */
static bool check_name(const cli_command *command, const char *where, const char *spec,
                       const char *(*type_name)(size_t), size_t count, bool (*hidden)(size_t)) {
    const char *names[MAX_TYPES];
    char text[64], allowed[1024] = "";
    size_t length = 0, n = 0;
    snprintf(text, sizeof text, "%.*s", (int)strcspn(spec, ":"), spec);
    count = count < MAX_TYPES ? count : MAX_TYPES;
    for (size_t i = 0; i < count; i++) {
        const char *name = type_name(i);
        if (strcmp(text, name) == 0)
            return true;
        if (hidden(i))
            continue;
        if (length < sizeof allowed)
            length += (size_t)snprintf(allowed + length, sizeof allowed - length, "%s%s", n > 0 ? ", " : "", name);
        names[n++] = name;
    }
    cli_misuse(command, "%s: unknown name %s%s; allowed: %s", where, text, cli_hint(text, names, n), allowed);
    return false;
}

bool cli_check_scheduler_name(const cli_command *command, const char *where, const char *spec) {
    return check_name(command, where, spec, tread_lr_scheduler_type_name, tread_lr_scheduler_type_count(),
                      cli_scheduler_needs_functions);
}

/* ---- Trials: the library judges the rest, with a matrix in each group instead of a model ---- */

#define MAX_GROUPS 64

typedef struct trial {
    tread_context *context;
    tread_parameter *matrices[MAX_GROUPS];
    size_t n_groups;
    tread_optimizer *optimizer;
} trial;

static bool add_group(trial *t, const char *optimizer_spec) {
    char name[32];
    snprintf(name, sizeof name, "matrix.%zu", t->n_groups);
    tread_parameter **matrix = &t->matrices[t->n_groups];
    *matrix = tread_parameter_create(name, 2, (const int64_t[]){2, 2});
    CLI_TRY(*matrix != NULL);
    tread_parameter_list list = {matrix, 1};
    t->n_groups++;
    if (t->optimizer != NULL)
        return tread_optimizer_add_param_group(t->optimizer, list, NULL) == TREAD_OK;
    t->optimizer = tread_optimizer_from_spec(t->context, list, optimizer_spec);
    return t->optimizer != NULL;
}

static void close_trial(trial *t) {
    tread_optimizer_destroy(t->optimizer);
    for (size_t i = 0; i < t->n_groups; i++)
        tread_parameter_destroy(t->matrices[i]);
    tread_context_destroy(t->context);
}

/* Lists have an entry per group, and how many groups there will be is not known before the model: any number is good
 * enough here. */
static bool try_scheduler(const cli_command *command, trial *t, const char *optimizer_spec,
                          const char *scheduler_spec) {
    char first[4096] = "";
    do {
        tread_lr_scheduler *scheduler = tread_lr_scheduler_from_spec(t->optimizer, scheduler_spec);
        if (scheduler != NULL) {
            tread_lr_scheduler_destroy(scheduler);
            return true;
        }
        if (first[0] == '\0')
            snprintf(first, sizeof first, "%s", tread_last_error());
    } while (t->n_groups < MAX_GROUPS && add_group(t, optimizer_spec));
    cli_misuse(command, "--scheduler: %s", first);
    return false;
}

static bool check_specs(const cli_command *command, const char *where, const char *optimizer_spec,
                        const char *scheduler_spec) {
    if (!check_name(command, where, optimizer_spec, tread_optimizer_type_name, tread_optimizer_type_count(), never) ||
        (scheduler_spec != NULL && !cli_check_scheduler_name(command, "--scheduler", scheduler_spec)))
        return false;
    trial t = {.n_groups = 0};
    tread_context_options quiet = tread_context_defaults(); /* a trial logs nothing */
    quiet.threads = 1;
    t.context = tread_context_create(&quiet);
    bool good = false;
    if (t.context == NULL || !add_group(&t, optimizer_spec))
        cli_misuse(command, "%s: %s", where, tread_last_error());
    else
        good = scheduler_spec == NULL || try_scheduler(command, &t, optimizer_spec, scheduler_spec);
    close_trial(&t);
    return good;
}

bool cli_check_optimizer(const cli_command *command, const char *where, const char *spec) {
    return check_specs(command, where, spec, NULL);
}

bool cli_check_specs(const cli_command *command, const char *optimizer_spec, const char *scheduler_spec) {
    return check_specs(command, "--optimizer", optimizer_spec, scheduler_spec);
}
