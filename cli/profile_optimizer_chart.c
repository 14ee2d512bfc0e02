#include <math.h>

#include "cli/profile_optimizer.h"

#define HEIGHT 360 /* of a pair of charts */
#define IDEAL_POINTS 40

typedef enum chart { SPEEDUP, TIME } chart;

static const char letters[] = "abcdefghijklmnopqrstuvwxyz"; /* in text, a mark for each optimizer */

static double value_of(const tread_profile_row *row, chart what) {
    return what == SPEEDUP ? row->speedup : row->ns_per_parameter;
}

/* A block of points for each pair of layout and optimizer that has any: threads, speed-up, ns per parameter. */
static bool has_points(const tread_profile_optimizer_result *r, size_t layout, size_t optimizer, chart what) {
    for (size_t i = 0; i < r->n_rows; i++)
        if (r->rows[i].layout == layout && r->rows[i].optimizer == optimizer && isfinite(value_of(&r->rows[i], what)))
            return true;
    return false;
}

static void print_points(FILE *script, const tread_profile_optimizer_result *r, size_t layout, chart what) {
    for (size_t o = 0; o < r->n_optimizers; o++) {
        if (!has_points(r, layout, o, what))
            continue;
        fprintf(script, "$points%d_%zu_%zu << end_of_points\n", what, layout, o);
        for (size_t i = 0; i < r->n_rows; i++)
            if (r->rows[i].layout == layout && r->rows[i].optimizer == o && isfinite(value_of(&r->rows[i], what)))
                fprintf(script, "%d %.9g\n", r->rows[i].threads, value_of(&r->rows[i], what));
        fprintf(script, "end_of_points\n");
    }
}

static void print_chart(FILE *script, const tread_profile_optimizer_result *r, size_t layout, chart what,
                        cli_picture picture, int columns) {
    const int most = r->threads[r->n_threads - 1];
    const char *name = what == SPEEDUP ? "speed-up" : "ns per parameter";
    fprintf(script, "set title '%s, '.", name); /* two strings joined */
    cli_gnuplot_quoted(script, r->layouts[layout].text, picture == CLI_PICTURE_TEXT ? (size_t)columns - 40 : 40);
    fprintf(script,
            "\nset xlabel 'threads'\nset key default\nset key %s\nset xrange [0.5:%d.5]\nset yrange "
            "[0:*]\n",
            picture == CLI_PICTURE_TEXT ? "below"
            : what == SPEEDUP           ? "top left"
                                        : "outside right top",
            most);
    if (picture != CLI_PICTURE_TEXT) /* the names stand beside the right one */
        fprintf(script, "set lmargin at screen %s\nset rmargin at screen %s\n", what == SPEEDUP ? "0.05" : "0.42",
                what == SPEEDUP ? "0.36" : "0.73");
    fprintf(script, "set xtics (");
    for (size_t t = 0; t < r->n_threads; t++)
        fprintf(script, "%s%d", t > 0 ? ", " : "", r->threads[t]);
    fprintf(script, ")\nplot ");
    bool first = true;
    if (what == SPEEDUP) {
        fprintf(script, "$ideal using 1:2 with %s title 'ideal'",
                picture == CLI_PICTURE_TEXT ? "points pt '.'" : "lines dt 2 lc 'gray40'");
        first = false;
    }
    for (size_t o = 0; o < r->n_optimizers; o++) {
        if (!has_points(r, layout, o, what))
            continue;
        fprintf(script, "%s$points%d_%zu_%zu using 1:2 with ", first ? "" : ", ", what, layout, o);
        if (picture == CLI_PICTURE_TEXT)
            fprintf(script, "points pt '%c'", letters[o % (sizeof letters - 1)]);
        else
            fprintf(script, "linespoints lw 2 pt 7 ps 0.7 lc %zu", o + 1);
        fprintf(script, " title ");
        /* In a picture both charts of a row have the same colours, and the right one has room beside it. */
        cli_gnuplot_quoted(script,
                           picture != CLI_PICTURE_TEXT && what == SPEEDUP && has_points(r, layout, o, TIME)
                               ? ""
                               : r->optimizers[o].spec,
                           40);
        first = false;
    }
    fprintf(script, "\n");
}

/* In letters one chart comes below the other; a picture has a row of two for each layout. */
static void print_script(FILE *script, const void *data, cli_picture picture, int columns) {
    const tread_profile_optimizer_result *r = data;
    size_t n = 0;
    bool shows[2][TREAD_PROFILE_MAX_NAMES] = {{false}};
    for (size_t l = 0; l < r->n_layouts; l++) {
        for (size_t o = 0; o < r->n_optimizers; o++) {
            shows[SPEEDUP][l] |= has_points(r, l, o, SPEEDUP);
            shows[TIME][l] |= has_points(r, l, o, TIME);
        }
        n += shows[TIME][l];
    }
    cli_gnuplot_terminal(script, picture, columns, HEIGHT * (int)n);
    fprintf(script, "set border back\n$ideal << end_of_points\n");
    for (int i = 0; i <= IDEAL_POINTS; i++) {
        const double x = 1 + (double)i / IDEAL_POINTS * (r->threads[r->n_threads - 1] - 1);
        fprintf(script, "%.9g %.9g\n", x, x);
    }
    fprintf(script, "end_of_points\n");
    for (size_t l = 0; l < r->n_layouts; l++)
        for (chart what = SPEEDUP; what <= TIME; what++)
            if (shows[what][l])
                print_points(script, r, l, what);
    if (picture != CLI_PICTURE_TEXT)
        fprintf(script, "set multiplot layout %zu,2\n", n);
    for (size_t l = 0; l < r->n_layouts; l++)
        for (chart what = SPEEDUP; what <= TIME; what++)
            if (shows[what][l])
                print_chart(script, r, l, what, picture, columns);
            else if (picture != CLI_PICTURE_TEXT && shows[TIME][l])
                fprintf(script, "set multiplot next\n");
    if (picture != CLI_PICTURE_TEXT)
        fprintf(script, "unset multiplot\n");
}

tread_status cli_optimizer_draw(const cli_optimizer_report *report, cli_drawing *drawing) {
    bool missing;
    return cli_gnuplot_script(print_script, report->result, drawing->picture, cli_drawing_columns(), &drawing->file,
                              &missing);
}
