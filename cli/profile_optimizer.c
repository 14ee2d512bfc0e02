/* tread profile optimizer: how optimizer steps scale over threads, and what bounds them. */
#include "cli/profile_optimizer.h"

#include <float.h>
#include <stdlib.h>
#include <string.h>

#include "cli/commands.h"
#include "cli/interrupt.h"
#include "cli/profile_output.h"
#include "cli/progress.h"
#include "cli/specs.h"

typedef struct profile_options {
    const char *optimizers, *layouts;
    cli_sizes threads;
    int64_t rounds;
    double seconds;
    int format;
    const char *output;
    const char *plot;
} profile_options;

static const cli_option options_table[] = {
    {.name = "optimizers",
     .value = "LIST",
     .initial = "sgd,sgd:momentum=0.9,adam,lamb",
     .doc = "specs with commas between, as of `tread train --optimizer`;\nall but lbfgs",
     .kind = CLI_TEXT,
     .offset = offsetof(profile_options, optimizers)},
    {.name = "layouts",
     .value = "LIST",
     .initial = "big:16Mi,equal:256x64Ki,tiny:10000x256,mlp:784-512-256-10",
     .doc = "which tensors there are, with commas between: big:N is\none of N elements (4096, 1000k, 64Ki, 16Mi), "
            "equal:COUNTxN\nare COUNT of them (tiny:COUNTxN is a synonym),\nmlp:A-B-...-Z the weights and "
            "biases of a network,\nsizes:N+COUNTxN+... any\n",
     .kind = CLI_TEXT,
     .offset = offsetof(profile_options, layouts)},
    {.name = "threads",
     .value = "LIST",
     .doc = "thread counts with commas between [1, 2, 4, ... and as\nmany as `tread info` says; of 4: 1, 2, 3, 4]",
     .kind = CLI_COUNTS,
     .offset = offsetof(profile_options, threads),
     .low = 1,
     .high = 1024},
    {.name = "rounds",
     .value = "N",
     .initial = "11",
     .doc = "samples of each row",
     .kind = CLI_INTEGER,
     .offset = offsetof(profile_options, rounds),
     .low = 1,
     .high = 1000},
    {.name = "seconds",
     .value = "X",
     .initial = "90",
     .doc = "ends with fewer rounds when so much time has passed,\nwith one at least; 0: no limit",
     .kind = CLI_REAL,
     .offset = offsetof(profile_options, seconds),
     .low_real = 0,
     .high_real = DBL_MAX},
    {.name = "format",
     .value = "NAME",
     .initial = "table",
     .doc = "json has everything, each sample too; with json and csv,\nwarnings go to standard error as well",
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
     .doc = "charts by gnuplot of speed-up and of time per parameter:\nterminal, or a file whose name ends in .png or "
            ".svg",
     .kind = CLI_TEXT,
     .offset = offsetof(profile_options, plot)},
};

/* ---- Lists ---- */

typedef struct names {
    char *text; /* what the items point into */
    const char *items[TREAD_PROFILE_MAX_NAMES];
    size_t count;
} names;

/* A comma within a spec stands before "field=value". */
static bool goes_on(const char *piece) { return piece[strcspn(piece, ",:=")] == '='; }

static bool split(const cli_command *command, const char *option, const char *list, bool specs, names *ret_names) {
    names n = {.text = strdup(list)};
    if (n.text == NULL)
        return cli_fail(command, "out of memory"), false;
    *ret_names = n;
    for (char *at = n.text; at != NULL;) {
        if (ret_names->count == TREAD_PROFILE_MAX_NAMES)
            return cli_misuse(command, "--%s: there are more than %d", option, TREAD_PROFILE_MAX_NAMES), false;
        ret_names->items[ret_names->count++] = at;
        char *comma = strchr(at, ',');
        while (comma != NULL && specs && goes_on(comma + 1))
            comma = strchr(comma + 1, ',');
        if (comma != NULL)
            *comma = '\0';
        if (*at == '\0')
            return cli_misuse(command, "--%s: %s has an empty entry", option, list), false;
        at = comma != NULL ? comma + 1 : NULL;
    }
    return true;
}

/* ---- Running ---- */

static volatile sig_atomic_t interrupted;

static bool on_progress(void *data, const tread_profile_progress *p) {
    cli_line *line = data;
    char round[32] = "warming up";
    if (cli_line_is_due(line, p->seconds)) {
        if (p->round > 0)
            snprintf(round, sizeof round, "round %d of %d", p->round, p->rounds);
        cli_line_write(line, "%.0f s  layout %zu/%zu  %s  %s", p->seconds, p->layout_index + 1, p->n_layouts, round,
                       p->layout);
    }
    return !interrupted;
}

static tread_status measure(const profile_options *o, const names *optimizers, const names *layouts,
                            tread_profile_optimizer_result **ret_result) {
    int threads[CLI_MAX_SIZES];
    cli_line line = cli_line_of_terminal();
    tread_profile_optimizer_options options = tread_profile_optimizer_defaults();
    for (size_t i = 0; i < o->threads.count; i++)
        threads[i] = (int)o->threads.values[i];
    options.optimizers = optimizers->items;
    options.n_optimizers = optimizers->count;
    options.layouts = layouts->items;
    options.n_layouts = layouts->count;
    options.threads = o->threads.count > 0 ? threads : NULL;
    options.n_threads = o->threads.count;
    options.rounds = (int)o->rounds;
    options.seconds = o->seconds;
    options.progress = on_progress;
    options.progress_data = &line;
    cli_interrupt_sets(&interrupted);
    tread_status status = tread_profile_optimizer(NULL, &options, ret_result);
    cli_interrupt_ends();
    cli_line_clear(&line);
    return status;
}

/* ---- Output ---- */

static bool print(FILE *file, int format, const void *report) {
    if (format == CLI_PROFILE_JSON)
        return cli_optimizer_print_json(file, report);
    if (format == CLI_PROFILE_CSV)
        cli_optimizer_print_csv(file, report);
    else
        cli_optimizer_print_table(file, report);
    return true;
}

static bool show(const profile_options *o, const cli_optimizer_report *report, cli_drawing *d) {
    CLI_TRY(cli_profile_write(o->output, o->format, print, report));
    if (!d->wanted)
        return true;
    CLI_TRY(cli_optimizer_draw(report, d) == TREAD_OK);
    return cli_drawing_write(d, "plot", o->format == CLI_PROFILE_TABLE || o->output != NULL) && cli_flush_output();
}

static int run_and_show(const cli_command *command, const profile_options *o, const names *optimizers,
                        const names *layouts, cli_drawing *d, cli_optimizer_report *report) {
    tread_profile_optimizer_result *result = NULL;
    const cli_profile_file files[] = {{"output", o->output}, {"plot", d->path}};
    if (!cli_profile_files_differ(command, files, 2))
        return CLI_USAGE;
    for (size_t i = 0; i < optimizers->count; i++)
        if (!cli_check_optimizer(command, "--optimizers", optimizers->items[i]))
            return CLI_USAGE;
    if (!cli_profile_files_can_be_made(files, 2) || tread_info(NULL, &report->info) != TREAD_OK)
        return cli_fail(command, "%s", tread_last_error());
    const tread_status status = measure(o, optimizers, layouts, &result);
    if (status == TREAD_ERROR_ARGUMENT || status == TREAD_ERROR_SHAPE) /* of what was asked for */
        return cli_misuse(command, "%s", tread_last_error());
    if (status != TREAD_OK)
        return cli_fail(command, "%s", tread_last_error());
    int code = CLI_DONE;
    report->result = result;
    if (result->n_rows == 0)
        code = cli_fail(command, "interrupted before anything was measured");
    else if (!show(o, report, d))
        code = cli_fail(command, "%s", tread_last_error());
    cli_profile_say_warnings(command, o->format, &result->warnings);
    tread_profile_optimizer_destroy(result);
    return code;
}

static int run_profile_optimizer(const cli_command *command, int argc, char **argv) {
    profile_options o = {.optimizers = NULL};
    names optimizers = {.text = NULL}, layouts = {.text = NULL};
    cli_drawing d;
    int code;
    if (!cli_parse(command, argc, argv, &o, &code))
        return code;
    if (!cli_profile_plan_drawing(command, o.format, o.output, o.plot, &d))
        return CLI_USAGE;
    code = CLI_USAGE;
    if (split(command, "optimizers", o.optimizers, true, &optimizers) &&
        split(command, "layouts", o.layouts, false, &layouts)) {
        cli_optimizer_report report = {.info = tread_system_info_defaults(), .argc = argc, .argv = argv};
        code = run_and_show(command, &o, &optimizers, &layouts, &d, &report);
    }
    if (d.file != NULL)
        fclose(d.file);
    free(optimizers.text);
    free(layouts.text);
    return code;
}

const cli_command cli_profile_optimizer = {
    .name = "profile optimizer",
    .summary = "How optimizer steps scale over threads, and what bounds them.",
    .usage = "[options]",
    .doc =
        "Steps of every optimizer on every layout with every thread count take turns, beside loops that only move\n"
        "memory. Each row has the time of a step (median, and the median distance from it), the bytes that its\n"
        "formula must move, that rate against the machine's own for as large a working set, speed-up, efficiency,\n"
        "Karp and Flatt's serial fraction, and what bounds it: memory, cache, arithmetic, fork or other; a step that "
        "is\n"
        "too little work to be shared out stays on \"one thread\". From four thread counts on, 1 among them and none\n"
        "above the number of CPUs, the Universal Scalability Law is fitted. docs/profiling.md explains how to read "
        "it.\n"
        "Ctrl-C ends it with what has been measured.",
    .run = run_profile_optimizer,
    .only_shows = true,
    .options = options_table,
    .n_options = sizeof options_table / sizeof *options_table,
};
