/* tread plot: the curves of a run, from its log. */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cli/commands.h"
#include "cli/drawing.h"
#include "cli/history.h"
#include "cli/paths.h"
#include "cli/progress.h"

typedef struct plot_options {
    const char *log;
    const char *to;
    int what;
} plot_options;

enum { ALL, LOSS, ACCURACY, LR, N_WHATS };
static const char *const what_names[] = {"all", "loss", "accuracy", "lr", NULL};

static const cli_option options_table[] = {
    {.name = "what",
     .value = "NAME",
     .initial = "all",
     .doc = "which curves: all there are, each in a drawing of its own, or one",
     .kind = CLI_CHOICE,
     .offset = offsetof(plot_options, what),
     .names = what_names},
    {.name = "to",
     .value = "WHERE",
     .initial = "terminal",
     .doc = "terminal, or a file whose name ends in .png or .svg",
     .kind = CLI_TEXT,
     .offset = offsetof(plot_options, to)},
};

/* One line of a drawing. */
typedef struct line {
    const char *title;
    size_t offset; /* into cli_history_point */
} line;

typedef struct chart {
    const char *title;
    line lines[2]; /* title NULL: no second one */
} chart;

static const chart charts[N_WHATS] = {
    [LOSS] = {"loss",
              {{"train", offsetof(cli_history_point, train_loss)}, {"test", offsetof(cli_history_point, test_loss)}}},
    [ACCURACY] = {"accuracy", {{"test", offsetof(cli_history_point, metric)}}},
    [LR] = {"lr", {{"lr", offsetof(cli_history_point, lr)}}},
};

typedef struct request {
    const cli_history *history;
    const char *log;
    bool shows[N_WHATS];
} request;

static double value_of(const cli_history_point *point, const line *l) {
    return *(const double *)((const char *)point + l->offset);
}

static size_t count(const cli_history *history, const line *l) {
    size_t n = 0;
    for (size_t i = 0; l->title != NULL && i < history->n; i++)
        n += isfinite(value_of(&history->points[i], l)) != 0;
    return n;
}

static bool has_any(const cli_history *history, const chart *c) {
    return count(history, &c->lines[0]) + count(history, &c->lines[1]) > 0;
}

static void print_points(FILE *script, const cli_history *history, const chart *c, int what) {
    for (int k = 0; k < 2; k++) {
        if (count(history, &c->lines[k]) == 0)
            continue;
        fprintf(script, "$points%d_%d << end_of_points\n", what, k);
        for (size_t i = 0; i < history->n; i++) {
            double value = value_of(&history->points[i], &c->lines[k]);
            if (isfinite(value))
                fprintf(script, "%" PRId64 " %.17g\n", history->points[i].steps, value);
        }
        fprintf(script, "end_of_points\n");
    }
}

static void print_chart(FILE *script, const cli_history *history, const chart *c, int what, cli_picture picture) {
    bool first = true;
    fprintf(script, "set title '%s'\nset xlabel 'step'\nset key %s\n", c->title,
            c->lines[1].title != NULL ? "top right" : "off");
    for (int k = 0; k < 2; k++) {
        if (count(history, &c->lines[k]) == 0)
            continue;
        fprintf(script, "%s $points%d_%d using 1:2 with %s%s title '%s'", first ? "plot" : ",", what, k,
                picture == CLI_PICTURE_TEXT ? (k == 0 ? "points pt '*'" : "points pt 'o'") : "linespoints",
                picture == CLI_PICTURE_TEXT ? "" : " lw 2 pt 7 ps 0.5", c->lines[k].title);
        first = false;
    }
    fprintf(script, "\n");
}

/* In letters one drawing comes below the other; a picture has them in one. */
static void print_script(FILE *script, const void *data, cli_picture picture, int columns) {
    const request *r = data;
    int n = 0;
    for (int what = LOSS; what < N_WHATS; what++)
        n += r->shows[what];
    cli_gnuplot_terminal(script, picture, columns, n > 1 ? 360 * n : 540);
    fprintf(script, "set border back\n");
    for (int what = LOSS; what < N_WHATS; what++)
        if (r->shows[what])
            print_points(script, r->history, &charts[what], what);
    if (picture != CLI_PICTURE_TEXT) {
        fprintf(script, "set multiplot layout %d,1 title ", n);
        cli_gnuplot_quoted(script, r->log, 100);
        fprintf(script, "\n");
    }
    for (int what = LOSS; what < N_WHATS; what++)
        if (r->shows[what])
            print_chart(script, r->history, &charts[what], what, picture);
    if (picture != CLI_PICTURE_TEXT)
        fprintf(script, "unset multiplot\n");
}

static bool draw(const plot_options *o, const cli_history *history, cli_drawing *d) {
    request r = {.history = history, .log = o->log};
    bool any = false, missing;
    for (int what = LOSS; what < N_WHATS; what++) {
        r.shows[what] = (o->what == ALL || o->what == what) && has_any(history, &charts[what]);
        any |= r.shows[what];
    }
    if (!any) {
        tread_fail(TREAD_ERROR_FORMAT, "%s: it has no finite number of %s", o->log, what_names[o->what]);
        return false;
    }
    CLI_TRY(cli_gnuplot_script(print_script, &r, d->picture, cli_drawing_columns(), &d->file, &missing) == TREAD_OK);
    return cli_drawing_write(d, "to", true) && cli_flush_output();
}

static int run_plot(const cli_command *command, int argc, char **argv) {
    plot_options o = {.log = NULL};
    cli_drawing d = {.picture = CLI_PICTURE_TEXT, .wanted = true, .asked = true};
    cli_history history = {.n = 0};
    int code;
    if (!cli_parse(command, argc, argv, &o, &code))
        return code;
    if (o.log == NULL)
        return cli_misuse(command, "no log is given");
    if (strcmp(o.to, "terminal") != 0 && !cli_drawing_to_file(&d, o.to))
        return cli_misuse(command, "--to: %s is neither terminal nor a file whose name ends in .png or .svg", o.to);
    bool good = (d.path == NULL || cli_check_output("to", d.path) == TREAD_OK) &&
                cli_history_read(&history, o.log) == TREAD_OK && draw(&o, &history, &d);
    code = good ? CLI_DONE : cli_fail(command, "%s", tread_last_error());
    if (d.file != NULL)
        fclose(d.file);
    cli_history_free(&history);
    return code;
}

const cli_command cli_plot = {
    .name = "plot",
    .summary = "Draws loss, accuracy and lr of a run from its log, by gnuplot.",
    .usage = "RUN.jsonl [options]",
    .doc = "RUN.jsonl is what `tread train --log` writes, also while it is being written. The horizontal axis counts "
           "steps.",
    .run = run_plot,
    .only_shows = true,
    .n_operands = 1,
    .operand_offset = offsetof(plot_options, log),
    .options = options_table,
    .n_options = sizeof options_table / sizeof *options_table,
};
