#include "cli/checkpoints.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tread/state_diff.h>

bool cli_checkpoints_check(const cli_command *command, cli_checkpoint_options *options) {
    char *end;
    errno = 0;
    const double value = strtod(options->every, &end);
    const bool seconds = strcmp(end, "s") == 0, steps = strcmp(end, "steps") == 0 || *end == '\0';
    if (options->folder == NULL && (options->resume || options->background || strcmp(options->every, "1epochs") != 0))
        return cli_misuse(command, "--%s is for --checkpoint FOLDER, which is not given",
                          options->resume       ? "resume"
                          : options->background ? "checkpoint-background"
                                                : "checkpoint-every"),
               false;
    if (end == options->every || !(value > 0) || value > 1e15 || (!seconds && value != floor(value)) ||
        (!seconds && !steps && strcmp(end, "epochs") != 0))
        return cli_misuse(command, "--checkpoint-every: %s is not a number above 0 with s, steps or epochs behind it",
                          options->every),
               false;
    if (seconds)
        options->every_seconds = value;
    else if (steps)
        options->every_steps = (int64_t)value;
    else
        options->every_epochs = (int64_t)value;
    return true;
}

bool cli_checkpoints_open(cli_checkpoints *checkpoints, const cli_checkpoint_options *options, tread_state *program,
                          tread_trainer_options *trainer) {
    *checkpoints = (cli_checkpoints){.program = program, .step = -1, .epoch = -1, .evaluated_step = -1};
    if (options->folder == NULL)
        return true;
    tread_checkpoint_series_options o = tread_checkpoint_series_defaults();
    o.keep = options->keep;
    o.best = trainer->monitor == TREAD_MONITOR_METRIC ? TREAD_BEST_MAX : TREAD_BEST_MIN;
    o.background = options->background;
    checkpoints->series = tread_checkpoint_series_open(options->folder, &o);
    trainer->checkpoints = checkpoints->series;
    trainer->checkpoint_every_steps = options->every_steps;
    trainer->checkpoint_every_epochs = options->every_epochs;
    trainer->checkpoint_every_seconds = options->every_seconds;
    trainer->checkpoint_best = true;
    trainer->program = program;
    return checkpoints->series != NULL;
}

/* ---- Options that differ ---- */

typedef struct differences {
    char text[3500];
    size_t length;
} differences;

static bool add_difference(void *data, const tread_difference *difference) {
    differences *d = data;
    const char *text = difference->kind == TREAD_ONLY_IN_FIRST    ? "given in the checkpoint alone"
                       : difference->kind == TREAD_ONLY_IN_SECOND ? "given here alone"
                                                                  : difference->text;
    if (d->length < sizeof d->text)
        d->length += (size_t)snprintf(d->text + d->length, sizeof d->text - d->length, "%s--%s: %s",
                                      d->length > 0 ? "; " : "", difference->path, text);
    return true;
}

static bool compare(const cli_checkpoints *checkpoints, const tread_state *state, int64_t step) {
    const tread_state *program;
    differences d = {.length = 0};
    size_t n;
    CLI_TRY(tread_state_get(state, "program", TREAD_STATE_TREE, &program) == TREAD_OK);
    CLI_TRY(tread_state_diff(program, checkpoints->program, add_difference, &d, &n) == TREAD_OK);
    if (n == 0)
        return true;
    tread_fail(TREAD_ERROR_FORMAT,
               "the checkpoint of step %" PRId64
               " is of a run with other options (the checkpoint's, not those here): %s",
               step, d.text);
    return false;
}

/* ---- Resuming ---- */

static bool load(cli_checkpoints *checkpoints, const cli_checkpoint_options *options, tread_trainer *trainer,
                 const tread_state *state, int64_t step) {
    const tread_state *place;
    if (!options->resume) {
        tread_fail(TREAD_ERROR_STATE,
                   "--checkpoint: %s has the checkpoints of a run at step %" PRId64
                   "; --resume goes on with it, another folder begins a new one",
                   options->folder, step);
        return false;
    }
    CLI_TRY(compare(checkpoints, state, step));
    CLI_TRY(tread_trainer_load_state(trainer, state) == TREAD_OK);
    CLI_TRY(tread_state_get(state, "trainer", TREAD_STATE_TREE, &place) == TREAD_OK);
    CLI_TRY(tread_state_get_integer(place, "evaluated_step", &checkpoints->evaluated_step) == TREAD_OK);
    checkpoints->step = step;
    checkpoints->epoch = tread_trainer_result(trainer)->epochs;
    return true;
}

bool cli_checkpoints_resume(cli_checkpoints *checkpoints, const cli_checkpoint_options *options,
                            tread_trainer *trainer) {
    tread_state *state;
    int64_t step;
    if (checkpoints->series == NULL)
        return true;
    const tread_status status = tread_checkpoint_series_latest(checkpoints->series, &state, &step);
    const char *rejected;
    for (size_t i = 0; (rejected = tread_checkpoint_series_rejected(checkpoints->series, i)) != NULL; i++)
        fprintf(stderr, "passed over: %s\n", rejected);
    CLI_TRY(status == TREAD_OK);
    if (state == NULL)
        return true;
    bool good = load(checkpoints, options, trainer, state, step);
    tread_state_destroy(state);
    return good;
}

void cli_checkpoints_close(cli_checkpoints *checkpoints) {
    tread_checkpoint_series_destroy(checkpoints->series);
    tread_state_destroy(checkpoints->program);
}
