#include "cli/run_options.h"

#include <math.h>
#include <stdlib.h>

const char *const cli_nonfinite_names[] = {[TREAD_ON_NONFINITE_ERROR] = "error",
                                           [TREAD_ON_NONFINITE_SKIP] = "skip",
                                           [TREAD_ON_NONFINITE_STOP] = "stop",
                                           [TREAD_ON_NONFINITE_STOP + 1] = NULL};
const char *const cli_monitor_names[] = {
    [TREAD_MONITOR_LOSS] = "loss", [TREAD_MONITOR_METRIC] = "accuracy", [TREAD_MONITOR_METRIC + 1] = NULL};

bool cli_run_check(const cli_command *command, cli_run_options *options) {
    char *end;
    options->has_target = options->target_text != NULL;
    if (options->has_target) {
        options->target_metric = strtod(options->target_text, &end);
        if (end == options->target_text || *end != '\0' || !isfinite(options->target_metric))
            return cli_misuse(command, "--target-metric: %s is not a finite number", options->target_text), false;
    }
    if (!(options->ema < 1))
        return cli_misuse(command, "--ema: a decay of 1 would keep the initial weights for ever"), false;
    if (options->min_delta > 0 && options->early_stop < 0)
        return cli_misuse(command, "--min-delta is for --early-stop, which is not given"), false;
    return true;
}

void cli_run_apply(const cli_run_options *options, tread_trainer_options *trainer) {
    trainer->accumulate = options->accumulate;
    if (options->clip_norm > 0)
        trainer->clip_norm = options->clip_norm;
    if (options->clip_value > 0)
        trainer->clip_value = options->clip_value;
    trainer->ema_decay = options->ema;
    trainer->nonfinite = (tread_on_nonfinite)options->nonfinite;
    trainer->evaluate_every_steps = options->evaluate_steps;
    trainer->monitor = (tread_monitor)options->monitor;
    trainer->patience = options->early_stop;
    trainer->restore_best = options->early_stop >= 0;
    trainer->min_delta = options->min_delta;
    if (options->has_target)
        trainer->target = options->target_metric;
    trainer->max_steps = options->max_steps;
    trainer->max_seconds = options->max_time;
}
