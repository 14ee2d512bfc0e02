#include "cli/specs.h"

#include <stdio.h>
#include <string.h>
#include <tread/lr_scheduler.h>
#include <tread/optimizer.h>

#include "cli/nearest.h"

#define MAX_TYPES 64

/* Whether the spec begins with a name of the table; complains otherwise. */
static bool check_name(const cli_command *command, const char *where, const char *spec,
                       const char *(*type_name)(size_t), size_t count) {
    const char *names[MAX_TYPES];
    char text[64], allowed[1024] = "";
    size_t length = 0;
    snprintf(text, sizeof text, "%.*s", (int)strcspn(spec, ":"), spec);
    count = count < MAX_TYPES ? count : MAX_TYPES;
    for (size_t i = 0; i < count; i++) {
        names[i] = type_name(i);
        if (strcmp(text, names[i]) == 0)
            return true;
        if (length < sizeof allowed)
            length += (size_t)snprintf(allowed + length, sizeof allowed - length, "%s%s", i > 0 ? ", " : "", names[i]);
    }
    cli_misuse(command, "%s: unknown name %s%s; allowed: %s", where, text, cli_hint(text, names, count), allowed);
    return false;
}

bool cli_check_scheduler_name(const cli_command *command, const char *where, const char *spec) {
    return check_name(command, where, spec, tread_lr_scheduler_type_name, tread_lr_scheduler_type_count());
}

bool cli_check_specs(const cli_command *command, tread_context *context, const char *optimizer_spec,
                     const char *scheduler_spec) {
    if (!check_name(command, "--optimizer", optimizer_spec, tread_optimizer_type_name, tread_optimizer_type_count()) ||
        (scheduler_spec != NULL && !cli_check_scheduler_name(command, "--scheduler", scheduler_spec)))
        return false;
    /* The library judges the rest; a matrix stands in for the model. */
    const char *what = "optimizer";
    tread_parameter *matrix = tread_parameter_create("matrix", 2, (const int64_t[]){2, 2});
    tread_optimizer *optimizer = NULL;
    tread_lr_scheduler *scheduler = NULL;
    bool good = matrix != NULL;
    if (good) {
        optimizer = tread_optimizer_from_spec(context, (tread_parameter_list){&matrix, 1}, optimizer_spec);
        good = optimizer != NULL;
    }
    if (good && scheduler_spec != NULL) {
        what = "scheduler";
        scheduler = tread_lr_scheduler_from_spec(optimizer, scheduler_spec);
        good = scheduler != NULL;
    }
    if (!good)
        cli_misuse(command, "--%s: %s", what, tread_last_error());
    tread_lr_scheduler_destroy(scheduler);
    tread_optimizer_destroy(optimizer);
    tread_parameter_destroy(matrix);
    return good;
}
