#include "cli/curve.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <tread/lr_schedulers.h>
#include <tread/optimizers.h>

#include "cli/specs.h"

static void log_line(void *data, const char *line) {
    (void)data;
    fprintf(stderr, "%s\n", line);
}

/* What a scheduler needs to be stepped: an optimizer, of one parameter. */
typedef struct stage {
    tread_context *context;
    tread_parameter *parameter;
    tread_optimizer *optimizer;
    tread_lr_scheduler *scheduler;
} stage;

static bool open_stage(stage *s, double base_lr) {
    tread_context_options co = tread_context_defaults();
    co.log = log_line; /* verbose=true */
    co.threads = 1;
    CLI_TRY((s->context = tread_context_create(&co)) != NULL);
    CLI_TRY((s->parameter = tread_parameter_create("parameter", 1, (const int64_t[]){1})) != NULL);
    tread_sgd_options so = tread_sgd_defaults();
    so.lr = base_lr;
    s->optimizer = tread_sgd(s->context, (tread_parameter_list){&s->parameter, 1}, &so);
    return s->optimizer != NULL;
}

static void close_stage(stage *s) {
    tread_lr_scheduler_destroy(s->scheduler);
    tread_optimizer_destroy(s->optimizer);
    tread_parameter_destroy(s->parameter);
    tread_context_destroy(s->context);
}

/* How many steps there are to show; complains where the metrics do not fit the scheduler or the number of steps. */
static bool count_steps(const cli_command *command, cli_curve *curve, const tread_lr_scheduler *scheduler) {
    const char *name = tread_lr_scheduler_name(scheduler);
    bool follows = tread_lr_scheduler_needs_metric(scheduler);
    if (follows && curve->metrics == NULL)
        return cli_misuse(command, "%s follows a metric: give a file of them, --metrics FILE", name), false;
    if (!follows && curve->metrics != NULL)
        return cli_misuse(command, "%s follows no metric, and --metrics gives some", name), false;
    if (curve->n == 0)
        curve->n = follows ? curve->n_metrics + 1 : CLI_CURVE_STEPS;
    if (follows && curve->n > curve->n_metrics + 1)
        return cli_misuse(command, "--steps %" PRId64 " needs %" PRId64 " metrics, and --metrics gives %" PRId64,
                          curve->n, curve->n - 1, curve->n_metrics),
               false;
    return true;
}

static bool follow(cli_curve *curve, stage *s) {
    curve->lr = malloc((size_t)curve->n * sizeof *curve->lr);
    curve->momentum = malloc((size_t)curve->n * sizeof *curve->momentum);
    if (curve->lr == NULL || curve->momentum == NULL) {
        tread_fail(TREAD_ERROR_MEMORY, "out of memory: a curve of %" PRId64 " steps", curve->n);
        return false;
    }
    bool moves = false;
    for (int64_t i = 0;; i++) {
        curve->lr[i] = tread_lr_scheduler_get_last_lr(s->scheduler, 0);
        CLI_TRY(tread_optimizer_get(s->optimizer, 0, "momentum", &curve->momentum[i]) == TREAD_OK);
        moves = moves || curve->momentum[i] != tread_sgd_defaults().momentum;
        if (i + 1 == curve->n)
            break;
        CLI_TRY(tread_lr_scheduler_step_metric(s->scheduler, curve->metrics != NULL ? curve->metrics[i] : 0) ==
                TREAD_OK);
    }
    if (!moves) {
        free(curve->momentum);
        curve->momentum = NULL;
    }
    return true;
}

cli_exit cli_curve_compute(const cli_command *command, cli_curve *curve) {
    if (!cli_check_scheduler_name(command, "scheduler", curve->spec))
        return CLI_USAGE;
    stage s = {.context = NULL};
    cli_exit code = CLI_DONE;
    if (!open_stage(&s, curve->base_lr)) {
        code = cli_fail(command, "%s", tread_last_error());
    } else {
        s.scheduler = tread_lr_scheduler_from_spec(s.optimizer, curve->spec);
        if (s.scheduler == NULL)
            code = cli_misuse(command, "%s", tread_last_error());
        else if (!count_steps(command, curve, s.scheduler))
            code = CLI_USAGE;
        else if (!follow(curve, &s))
            code = cli_fail(command, "%s", tread_last_error());
    }
    close_stage(&s);
    return code;
}

void cli_curve_free(cli_curve *curve) {
    free(curve->lr);
    free(curve->momentum);
}
