/* tread schedule: shows the curve of a scheduler. */
#include <errno.h>
#include <float.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "cli/commands.h"
#include "cli/curve.h"
#include "cli/drawing.h"
#include "cli/help.h"
#include "cli/numbers.h"
#include "cli/paths.h"
#include "cli/progress.h"

typedef struct schedule_options {
    const char *spec;
    double base_lr;
    int64_t steps, every;
    const char *metrics;
    int format;
    const char *plot;
} schedule_options;

enum { TABLE, CSV };
static const char *const format_names[] = {"table", "csv", NULL};

static const cli_option options_table[] = {
    {.name = "base-lr",
     .value = "X",
     .initial = "0.1",
     .doc = "the optimizer's lr, which the scheduler starts from",
     .kind = CLI_REAL,
     .offset = offsetof(schedule_options, base_lr),
     .low_real = 0,
     .high_real = DBL_MAX},
    {.name = "steps",
     .value = "N",
     .doc = "steps to show, from 0 to N - 1 [100, or as many as\n--metrics gives]",
     .kind = CLI_INTEGER,
     .offset = offsetof(schedule_options, steps),
     .low = 1,
     .high = 10000000},
    {.name = "metrics",
     .value = "FILE",
     .doc = "for a scheduler that follows a metric: one number per\nline, the first is measured at the end of step 0;\n"
            "- is standard input; # begins a comment",
     .kind = CLI_TEXT,
     .offset = offsetof(schedule_options, metrics)},
    {.name = "format",
     .value = "NAME",
     .initial = "table",
     .doc = "csv has step,lr of every step, in full precision",
     .kind = CLI_CHOICE,
     .offset = offsetof(schedule_options, format),
     .names = format_names},
    {.name = "every",
     .value = "N",
     .doc = "rows of the table: every N-th step and the last\n[what shows a long curve best]",
     .kind = CLI_INTEGER,
     .offset = offsetof(schedule_options, every),
     .low = 1,
     .high = 10000000},
    {.name = "plot",
     .value = "WHERE",
     .doc = "a drawing by gnuplot: terminal, none, or a file\nwhose name ends in .png or .svg [terminal where the\n"
            "table goes to one and gnuplot is there]",
     .kind = CLI_TEXT,
     .offset = offsetof(schedule_options, plot)},
};

/* What to draw, and where to; complains of what cannot be. */
static bool plan_drawing(const cli_command *command, const schedule_options *o, cli_drawing *ret_drawing) {
    cli_drawing d = {.picture = CLI_PICTURE_TEXT, .asked = o->plot != NULL, .wanted = true};
    if (o->plot == NULL) {
        d.wanted = o->format == TABLE && isatty(STDOUT_FILENO) == 1;
    } else if (strcmp(o->plot, "none") == 0) {
        d.wanted = false;
    } else if (strcmp(o->plot, "terminal") == 0) {
        if (o->format == CSV)
            return cli_misuse(command, "--plot terminal would stand among the lines of --format csv"), false;
    } else if (!cli_drawing_to_file(&d, o->plot)) {
        return cli_misuse(command, "--plot: %s is not terminal, none, nor a file whose name ends in .png or .svg",
                          o->plot),
               false;
    }
    *ret_drawing = d;
    return true;
}

/* False where a drawing was asked for and cannot be made; one that was not asked for is left out then. */
static bool draw(const cli_command *command, const cli_curve *curve, cli_drawing *d) {
    bool missing;
    if (!d->wanted || cli_gnuplot(curve, d->picture, cli_drawing_columns(), &d->file, &missing) == TREAD_OK)
        return true;
    d->wanted = false;
    if (!d->asked && !missing)
        fprintf(stderr, "tread %s: %s\n", command->name, tread_last_error());
    return !d->asked;
}

static bool show(const cli_command *command, const schedule_options *o, const cli_curve *curve, cli_drawing *d) {
    CLI_TRY(draw(command, curve, d));
    if (o->format == CSV)
        cli_curve_print_csv(curve);
    else
        cli_curve_print_table(curve, o->every);
    CLI_TRY(cli_flush_output());
    CLI_TRY(cli_drawing_write(d, "plot", o->format == TABLE));
    return cli_flush_output();
}

static int run_schedule(const cli_command *command, int argc, char **argv) {
    schedule_options o = {.spec = NULL};
    cli_drawing d;
    int code;
    if (!cli_parse(command, argc, argv, &o, &code))
        return code;
    if (o.spec == NULL)
        return cli_misuse(command, "no scheduler is given");
    if (o.metrics != NULL && o.metrics[0] == '-' && o.metrics[1] != '\0')
        return cli_misuse(command, "--metrics: %s begins with a dash; a file of that name is ./%s", o.metrics,
                          o.metrics);
    if (o.every > 0 && o.format == CSV)
        return cli_misuse(command, "--every is for tables; --format csv has every step");
    if (!plan_drawing(command, &o, &d))
        return CLI_USAGE;
    double *metrics = NULL;
    cli_curve curve = {.spec = o.spec, .base_lr = o.base_lr, .n = o.steps};
    if ((d.path != NULL && cli_check_output("plot", d.path) != TREAD_OK) ||
        (o.metrics != NULL && cli_read_numbers(o.metrics, &metrics, &curve.n_metrics) != TREAD_OK))
        return cli_fail(command, "%s", tread_last_error());
    curve.metrics = metrics;
    code = cli_curve_compute(command, &curve);
    if (code == CLI_DONE && !show(command, &o, &curve, &d))
        code = cli_fail(command, "%s", tread_last_error());
    if (d.file != NULL)
        fclose(d.file);
    cli_curve_free(&curve);
    free(metrics);
    return code;
}

const cli_command cli_schedule = {
    .name = "schedule",
    .summary = "Shows the curve of a scheduler: the lr of each step, as a table, as csv, drawn by gnuplot.",
    .usage = "NAME[:key=value,...] [options]",
    .doc = "Step n has the lr that the optimizer uses after n steps of the scheduler.",
    .run = run_schedule,
    .only_shows = true,
    .n_operands = 1,
    .operand_offset = offsetof(schedule_options, spec),
    .options = options_table,
    .n_options = sizeof options_table / sizeof *options_table,
    .more_help = cli_print_schedulers,
    .help_on = cli_print_scheduler,
};
