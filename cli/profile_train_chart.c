#include <inttypes.h>

#include "cli/profile_train.h"

#define HEIGHT 640
#define MAX_POINTS 20000

/* Steps that were not recorded: number and microseconds; of very many the slowest of each stretch. */
static void print_steps(FILE *script, const tread_train_profile *p, bool outliers) {
    const size_t stretch = p->n_all_steps / MAX_POINTS + 1;
    fprintf(script, "$%s << end_of_points\n", outliers ? "outliers" : "steps");
    for (size_t begin = 0; begin < p->n_all_steps; begin += stretch) {
        const tread_profile_step *slowest = NULL;
        for (size_t i = begin; i < begin + stretch && i < p->n_all_steps; i++)
            if (!p->steps[i].recorded && p->steps[i].is_outlier == outliers &&
                (slowest == NULL || p->steps[i].seconds > slowest->seconds))
                slowest = &p->steps[i];
        if (slowest != NULL)
            fprintf(script, "%" PRId64 " %.3f\n", slowest->step, 1e6 * slowest->seconds);
    }
    fputs("end_of_points\n", script);
}

static void print_distribution(FILE *script, const tread_profile_histogram *h) {
    const double width = h->width > 0 ? 1e6 * h->width : 1, low = 1e6 * h->low;
    fputs("$bins << end_of_points\n", script);
    for (int i = 0; i < TREAD_PROFILE_BINS; i++)
        fprintf(script, "%.3f %" PRId64 "\n", low + (i + 0.5) * width, h->counts[i]);
    fputs("end_of_points\nunset title\nunset logscale y\nset yrange [0:*]\nset xlabel 'us'\nset ylabel 'steps'\n"
          "unset key\nset style fill solid 0.6\n",
          script);
    /* Left to itself the axis would begin below 0. */
    fprintf(script, "set xrange [%.9g:%.9g]\nset boxwidth %.6g\nplot $bins using 1:2 with boxes\n", low - width,
            low + (TREAD_PROFILE_BINS + 1) * width, width);
}

static void print_script(FILE *script, const void *data, cli_picture picture, int columns) {
    const cli_train_report *report = data;
    const tread_train_profile *p = report->profile;
    cli_gnuplot_terminal(script, picture, columns, HEIGHT);
    print_steps(script, p, false);
    print_steps(script, p, true);
    if (picture != CLI_PICTURE_TEXT)
        fputs("set multiplot layout 2,1\n", script);
    fputs("set title ", script);
    cli_gnuplot_quoted(script, report->training->setup.description, picture == CLI_PICTURE_TEXT ? 40 : 100);
    fputs("\nset xlabel 'step'\nset ylabel 'us'\nset logscale y\nset key top right\n", script);
    fprintf(script, "plot $steps using 1:2 with points pt %s title 'steps'",
            picture == CLI_PICTURE_TEXT ? "'.'" : "7 ps 0.4");
    if (p->n_outliers > 0)
        fprintf(script, ", $outliers using 1:2 with points pt %s title 'outliers'",
                picture == CLI_PICTURE_TEXT ? "'o'" : "6 ps 1");
    fputc('\n', script);
    if (picture == CLI_PICTURE_TEXT)
        return; /* the table has its distribution */
    if (p->times.n > 0)
        print_distribution(script, &p->histogram);
    fputs("unset multiplot\n", script);
}

tread_status cli_train_draw(const cli_train_report *report, cli_drawing *drawing) {
    bool missing;
    return cli_gnuplot_script(print_script, report, drawing->picture, cli_drawing_columns(), &drawing->file, &missing);
}
