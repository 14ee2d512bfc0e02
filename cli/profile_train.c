/* tread profile train: where the time of training steps goes. */
#include "cli/profile_train.h"

#include <stdlib.h>

#include "cli/commands.h"
#include "cli/help.h"
#include "cli/interrupt.h"
#include "cli/profile_output.h"
#include "cli/progress.h"

#define EPOCHS 5 /* that the default scheduler is made for, as train's */

typedef struct profile_options {
    train_options train;
    int64_t steps, warmup, trace_events;
    bool no_counters;
    int format;
    const char *output, *trace, *plot;
} profile_options;

static const cli_option options_table[] = {
    {.name = "steps",
     .value = "N",
     .initial = "200",
     .doc = "steps that are recorded; as many are timed besides",
     .kind = CLI_INTEGER,
     .offset = offsetof(profile_options, steps),
     .low = 1,
     .high = 1000000},
    {.name = "warmup",
     .value = "N",
     .initial = "20",
     .doc = "steps before them",
     .kind = CLI_INTEGER,
     .offset = offsetof(profile_options, warmup),
     .low = 0,
     .high = 1000000},
    {.name = "trace",
     .value = "FILE.json",
     .doc = "write what each thread did and when, for\nhttps://ui.perfetto.dev or chrome://tracing",
     .kind = CLI_FILE,
     .offset = offsetof(profile_options, trace)},
    {.name = "trace-events",
     .value = "N",
     .initial = "65536",
     .doc = "that a thread keeps at most, of 48 bytes each; the first ones",
     .kind = CLI_INTEGER,
     .offset = offsetof(profile_options, trace_events),
     .low = 1,
     .high = 1 << 26},
    {.name = "no-counters",
     .doc = "leave the kernel's counters alone",
     .kind = CLI_SWITCH,
     .offset = offsetof(profile_options, no_counters)},
    {.name = "format",
     .value = "NAME",
     .initial = "table",
     .doc = "json has everything, each step too; csv the parts of the step",
     .kind = CLI_CHOICE,
     .offset = offsetof(profile_options, format),
     .names = cli_profile_formats},
    {.name = "output",
     .value = "FILE",
     .doc = "where the table, json or csv goes [standard output]",
     .kind = CLI_FILE,
     .offset = offsetof(profile_options, output)},
    {.name = "plot",
     .value = "WHERE",
     .doc = "the steps' times and their distribution by gnuplot: terminal,\nor a file whose name ends in .png or .svg",
     .kind = CLI_TEXT,
     .offset = offsetof(profile_options, plot)},
    CLI_TRAINING_OPTIONS(profile_options, train.),
};

static bool on_progress(void *data, const tread_profile_train_progress *p) {
    cli_line *line = data;
    if (p->steps == 0)
        cli_line_write(line, "measuring the machine");
    else if (cli_line_is_due(line, p->seconds))
        cli_line_write(line, "%.0f s  step %lld of %lld", p->seconds, (long long)p->steps, (long long)p->all_steps);
    return true;
}

static tread_status measure(const profile_options *o, cli_training *training, tread_train_profile **ret_profile) {
    tread_profile_train_options options = tread_profile_train_defaults();
    options.steps = o->steps;
    options.warmup = o->warmup;
    options.counters = !o->no_counters;
    options.trace_events = o->trace != NULL ? (size_t)o->trace_events : 0;
    cli_line line = cli_line_of_terminal();
    options.progress = on_progress;
    options.progress_data = &line;
    tread_trainer *trainer = tread_trainer_create(training->setup.context, &training->trainer);
    if (trainer == NULL)
        return TREAD_ERROR_ARGUMENT;
    cli_interrupt_stops(trainer);
    tread_status status = tread_profile_train(trainer, &options, ret_profile);
    cli_interrupt_ends();
    cli_line_clear(&line);
    tread_trainer_destroy(trainer);
    return status;
}

static bool print(FILE *file, int format, const void *report) {
    if (format == CLI_PROFILE_JSON)
        return cli_train_print_json(file, report);
    if (format == CLI_PROFILE_CSV)
        cli_train_print_csv(file, report);
    else
        cli_train_print_table(file, report);
    return true;
}

static bool write_trace(const profile_options *o, const tread_train_profile *profile) {
    CLI_TRY(tread_train_profile_write_trace(profile, o->trace) == TREAD_OK);
    FILE *file = o->format == CLI_PROFILE_TABLE || o->output != NULL ? stdout : stderr;
    fprintf(file, "\nwrote  %s: %zu events", o->trace, profile->n_trace_events);
    if (profile->n_trace_dropped > 0)
        fprintf(file, "; %llu later ones found no room: see --trace-events",
                (unsigned long long)profile->n_trace_dropped);
    fputc('\n', file);
    return true;
}

static bool run(const profile_options *o, cli_train_report *report, cli_training *training, cli_drawing *d,
                tread_train_profile **ret_profile) {
    CLI_TRY(cli_training_open(training));
    if (o->train.groups.show)
        CLI_TRY(tread_optimizer_print(training->optimizer, stderr) == TREAD_OK);
    CLI_TRY(measure(o, training, ret_profile) == TREAD_OK);
    report->profile = *ret_profile;
    report->info = tread_system_info_defaults();
    CLI_TRY(tread_info(training->setup.context, &report->info) == TREAD_OK);
    CLI_TRY(cli_profile_write(o->output, o->format, print, report));
    CLI_TRY(o->trace == NULL || write_trace(o, *ret_profile));
    if (d->wanted) {
        CLI_TRY(cli_train_draw(report, d) == TREAD_OK);
        CLI_TRY(cli_drawing_write(d, "plot", o->format == CLI_PROFILE_TABLE || o->output != NULL));
    }
    return cli_flush_output();
}

static int run_profile_train(const cli_command *command, int argc, char **argv) {
    profile_options o = {
        .train = {.schedule_every = -1, .epochs = EPOCHS, .setup.data = CLI_DATA_UNSET, .run = CLI_RUN_UNSET}};
    cli_drawing d;
    int code;
    if (!cli_parse(command, argc, argv, &o, &code))
        return code;
    if (!cli_training_check(command, &o.train) || !cli_run_check(command, &o.train.run) ||
        !cli_profile_plan_drawing(command, o.format, o.output, o.plot, &d))
        return CLI_USAGE;
    const cli_profile_file files[] = {{"output", o.output}, {"trace", o.trace}, {"plot", d.path}};
    if (!cli_profile_files_differ(command, files, 3))
        return CLI_USAGE;
    if (!cli_profile_files_can_be_made(files, 3))
        return cli_fail(command, "%s", tread_last_error());
    cli_training training = {.options = &o.train};
    cli_train_report report = {.training = &training, .argc = argc, .argv = argv};
    tread_train_profile *profile = NULL;
    code = cli_training_begin(command, &training);
    if (code == CLI_DONE && !run(&o, &report, &training, &d, &profile))
        code = cli_training_fail(command, &training);
    if (d.file != NULL)
        fclose(d.file);
    tread_train_profile_destroy(profile);
    cli_training_close(&training);
    return code;
}

const cli_command cli_profile_train = {
    .name = "profile train",
    .summary = "Where the time of training steps goes: by operation, by thread, and from step to step.",
    .usage = "[options]",
    .doc = "Trains as `tread train` would, without writing anything of it. Stretches of up to ten steps take turns in "
           "being\nrecorded: their parts come from the recorded ones, their times from the others, and what the\n"
           "recording costs is the difference. docs/profiling.md explains every figure.",
    .run = run_profile_train,
    .options = options_table,
    .n_options = sizeof options_table / sizeof *options_table,
    .more_help = cli_print_algorithms,
    .help_on = cli_print_algorithm,
};
