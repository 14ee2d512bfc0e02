#include "cli/counting.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

/* A field that is a number of steps. */
typedef struct found {
    const char *scheduler, *field;
    int64_t value;
} found;

static bool is_steps(const char *field) {
    static const char *const names[] = {"steps", "total_steps", "decay_steps",  "warmup_steps", "stable_steps", "T_max",
                                        "T_0",   "step_size",   "step_size_up", "total_iters",  "warmup_iters"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(field, names[i]) == 0)
            return true;
    return false;
}

/* Finds the largest in a scheduler's state, which has an "algorithm" and "options" wherever there is a scheduler. */
static void find_largest(const tread_state *tree, const char *scheduler, found *largest) {
    const tread_state *algorithm =
        tread_state_kind_of(tree) == TREAD_STATE_TREE ? tread_state_find(tree, "algorithm") : NULL;
    if (algorithm != NULL && tread_state_as_string(algorithm, &scheduler) != TREAD_OK)
        return;
    for (size_t i = 0; i < tread_state_count(tree); i++) {
        const tread_state *part = tread_state_at(tree, i);
        const char *name = tread_state_name(part);
        int64_t value;
        find_largest(part, scheduler, largest);
        if (tread_state_kind_of(part) == TREAD_STATE_INTEGER && name != NULL && is_steps(name) &&
            tread_state_as_integer(part, &value) == TREAD_OK && value > largest->value)
            *largest = (found){scheduler, name, value};
    }
}

void cli_note_counting(const tread_lr_scheduler *scheduler, int64_t epochs) {
    tread_state *state = tread_lr_scheduler_state_dict(scheduler);
    if (state == NULL) /* a note is not worth a failure */
        return;
    found largest = {.value = epochs};
    find_largest(state, "scheduler", &largest);
    if (largest.field != NULL)
        fprintf(stderr,
                "note: %s counts epochs here (%" PRId64 " in all), and %s = %" PRId64
                "; with --schedule-every step it counts steps\n",
                largest.scheduler, epochs, largest.field, largest.value);
    tread_state_destroy(state);
}
