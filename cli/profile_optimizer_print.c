#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "cli/profile_optimizer.h"

/* ---- Table ---- */

static void print_time(FILE *file, double seconds) {
    if (seconds >= 1)
        fprintf(file, " %7.3f s ", seconds);
    else if (seconds >= 1e-3)
        fprintf(file, " %7.3f ms", 1e3 * seconds);
    else
        fprintf(file, " %7.3f us", 1e6 * seconds);
}

static void print_row(FILE *file, int name_width, const char *name, const tread_profile_row *r) {
    fprintf(file, "%-*s %7d", name_width, name, r->threads);
    print_time(file, r->median);
    cli_report_print_number(file, 5, 1, 100 * r->mad / r->median, " %");
    cli_report_print_number(file, 8, 3, r->ns_per_parameter, "");
    cli_report_print_number(file, 7, 1, 1e-9 * r->bytes_per_second, "");
    cli_report_print_number(file, 7, 1, 1e-9 * r->rmw_bytes_per_second, "");
    cli_report_print_number(file, 4, 0, 100 * r->bandwidth_share, " %");
    cli_report_print_number(file, 8, 2, r->speedup, "");
    cli_report_print_number(file, 4, 0, 100 * r->efficiency, " %");
    cli_report_print_number(file, 7, 3, r->serial_fraction, "");
    fprintf(file, "  %s\n", tread_profile_bound_name(r->bound));
}

static int widest_name(const tread_profile_optimizer_result *r) {
    int width = 9;
    for (size_t i = 0; i < r->n_optimizers; i++) {
        const int n = (int)strlen(r->optimizers[i].spec);
        width = n > width ? n : width;
    }
    return width;
}

static void print_parameter(FILE *file, const char *name, double value, double error) {
    fprintf(file, "%s %.4f", name, value);
    if (isfinite(error))
        fprintf(file, " +- %.4f", error);
}

static void print_scalings(FILE *file, const tread_profile_optimizer_result *r, size_t layout, int name_width) {
    bool first = true;
    for (size_t i = 0; i < r->n_scalings; i++) {
        const tread_scaling_law *l = &r->scalings[i].law;
        if (r->scalings[i].layout != layout)
            continue;
        if (first)
            fprintf(file, "%-*s law of scaling\n", name_width, "");
        first = false;
        fprintf(file, "%-*s", name_width, r->optimizers[r->scalings[i].optimizer].spec);
        print_parameter(file, " sigma", l->sigma, l->sigma_error);
        print_parameter(file, ", kappa", l->kappa, l->kappa_error);
        fprintf(file, ", R2 %.3f; ", l->r_squared);
        if (isfinite(l->peak_threads))
            fprintf(file, "peak %.2f times with %.0f threads", l->peak_speedup, l->peak_threads);
        else if (isfinite(l->peak_speedup))
            fprintf(file, "no peak, towards %.1f times", l->peak_speedup);
        else
            fprintf(file, "no peak, no limit");
        print_parameter(file, "; Amdahl's sigma", l->amdahl_sigma, l->amdahl_error);
        fprintf(file, ", R2 %.3f\n", l->amdahl_r_squared);
    }
}

static void print_layout(FILE *file, const tread_profile_optimizer_result *r, size_t layout, int name_width) {
    const tread_profile_layout_info *l = &r->layouts[layout];
    bool first = true;
    for (size_t i = 0; i < r->n_rows; i++) {
        const tread_profile_row *row = &r->rows[i];
        if (row->layout != layout)
            continue;
        if (first) {
            fprintf(file, "\n%s: %" PRId64 " tensor%s, %" PRId64 " parameters\n", l->text, l->tensors,
                    l->tensors == 1 ? "" : "s", l->parameters);
            fprintf(file,
                    "%-*s threads       time     MAD ns/param    GB/s machine  share speed-up    eff  serial  bound\n",
                    name_width, "optimizer");
        }
        first = false;
        print_row(file, name_width, r->optimizers[row->optimizer].spec, row);
    }
    print_scalings(file, r, layout, name_width);
}

/* One rate a thread count, which is the same in all rows. */
static void print_memory(FILE *file, const tread_profile_optimizer_result *r) {
    const char *before = "memory    ";
    for (size_t t = 0; t < r->n_threads; t++)
        for (size_t i = 0; i < r->n_rows; i++)
            if (r->rows[i].threads == r->threads[t] && isfinite(r->rows[i].memory_bytes_per_second)) {
                fprintf(file, "%s%.1f GB/s with %d", before, 1e-9 * r->rows[i].memory_bytes_per_second, r->threads[t]);
                before = ", ";
                break;
            }
    fprintf(file, " thread%s, read and written in place\n", r->n_threads == 1 && r->threads[0] == 1 ? "" : "s");
}

static size_t fewest_rounds(const tread_profile_optimizer_result *r) {
    size_t n = r->n_rows > 0 ? r->rows[0].n_samples : 0;
    for (size_t i = 1; i < r->n_rows; i++)
        n = r->rows[i].n_samples < n ? r->rows[i].n_samples : n;
    return n;
}

void cli_optimizer_print_table(FILE *file, const cli_optimizer_report *report) {
    const tread_profile_optimizer_result *r = report->result;
    const int width = widest_name(r);
    cli_report_print_machine(file, &report->info);
    print_memory(file, r);
    fprintf(file, "measured  medians of %zu round%s%s, in %.1f s%s\n", fewest_rounds(r),
            fewest_rounds(r) == 1 ? "" : "s", r->interrupted || r->out_of_time ? " or more" : "", r->seconds,
            r->interrupted   ? "; interrupted"
            : r->out_of_time ? "; the time was up (--seconds)"
                             : "");
    for (size_t i = 0; i < r->n_layouts; i++)
        print_layout(file, r, i, width);
    cli_report_print_warnings(file, &r->warnings);
}

/* ---- CSV ---- */

typedef struct column {
    const char *name;
    size_t offset;
} column;

#define COLUMN(field)                                                                                                  \
    { #field, offsetof(tread_profile_row, field) }
static const column columns[] = {
    COLUMN(median),
    COLUMN(lower_quartile),
    COLUMN(upper_quartile),
    COLUMN(mad),
    COLUMN(ns_per_parameter),
    COLUMN(bytes_per_second),
    COLUMN(rmw_bytes_per_second),
    COLUMN(memory_bytes_per_second),
    COLUMN(bandwidth_share),
    COLUMN(speedup),
    COLUMN(efficiency),
    COLUMN(serial_fraction),
    COLUMN(traffic_seconds),
    COLUMN(arithmetic_seconds),
    COLUMN(fork_seconds),
};
#define N_COLUMNS (sizeof columns / sizeof *columns)

static double value_of(const tread_profile_row *row, const column *c) {
    return *(const double *)(const void *)((const char *)row + c->offset);
}

void cli_optimizer_print_csv(FILE *file, const cli_optimizer_report *report) {
    const tread_profile_optimizer_result *r = report->result;
    fprintf(file,
            "optimizer,layout,tensors,parameters,bytes_per_parameter,threads,samples,steps_per_sample,bound,regions");
    for (size_t c = 0; c < N_COLUMNS; c++)
        fprintf(file, ",%s", columns[c].name);
    fputc('\n', file);
    for (size_t i = 0; i < r->n_rows; i++) {
        const tread_profile_row *row = &r->rows[i];
        const tread_profile_layout_info *layout = &r->layouts[row->layout];
        cli_report_print_quoted(file, r->optimizers[row->optimizer].spec);
        fputc(',', file);
        cli_report_print_quoted(file, layout->text);
        fprintf(file, ",%" PRId64 ",%" PRId64 ",", layout->tensors, layout->parameters);
        if (r->optimizers[row->optimizer].bytes_per_parameter > 0)
            fprintf(file, "%d", r->optimizers[row->optimizer].bytes_per_parameter);
        fprintf(file, ",%d,%zu,%d,%s,", row->threads, row->n_samples, row->steps_per_sample,
                tread_profile_bound_name(row->bound));
        if (row->regions >= 0)
            fprintf(file, "%d", row->regions);
        for (size_t c = 0; c < N_COLUMNS; c++)
            cli_report_print_field(file, value_of(row, &columns[c]));
        fputc('\n', file);
    }
}

/* ---- JSON ---- */

static json_t *row_json(const tread_profile_optimizer_result *r, const tread_profile_row *row) {
    json_t *samples = json_array();
    for (size_t i = 0; i < row->n_samples; i++)
        json_array_append_new(samples, json_real(row->samples[i]));
    json_t *object =
        json_pack("{s:s, s:s, s:i, s:s, s:o, s:i, s:o}", "optimizer", r->optimizers[row->optimizer].spec, "layout",
                  r->layouts[row->layout].text, "threads", row->threads, "bound", tread_profile_bound_name(row->bound),
                  "regions", row->regions >= 0 ? json_integer(row->regions) : json_null(), "steps_per_sample",
                  row->steps_per_sample, "samples", samples);
    for (size_t c = 0; c < N_COLUMNS; c++)
        json_object_set_new(object, columns[c].name, cli_report_number(value_of(row, &columns[c])));
    return object;
}

static json_t *scaling_json(const tread_profile_optimizer_result *r, const tread_profile_scaling *s) {
    const tread_scaling_law *l = &s->law;
    return json_pack("{s:s, s:s, s:I, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "optimizer",
                     r->optimizers[s->optimizer].spec, "layout", r->layouts[s->layout].text, "points",
                     (json_int_t)l->points, "sigma", cli_report_number(l->sigma), "sigma_error",
                     cli_report_number(l->sigma_error), "kappa", cli_report_number(l->kappa), "kappa_error",
                     cli_report_number(l->kappa_error), "r_squared", cli_report_number(l->r_squared), "peak_threads",
                     cli_report_number(l->peak_threads), "peak_speedup", cli_report_number(l->peak_speedup),
                     "amdahl_sigma", cli_report_number(l->amdahl_sigma), "amdahl_error",
                     cli_report_number(l->amdahl_error), "amdahl_r_squared", cli_report_number(l->amdahl_r_squared));
}

static json_t *counted(int n) { return n > 0 ? json_integer(n) : json_null(); }

static void add_lists(json_t *object, const tread_profile_optimizer_result *r) {
    json_t *optimizers = json_array(), *layouts = json_array(), *threads = json_array(), *rows = json_array();
    json_t *scalings = json_array();
    for (size_t i = 0; i < r->n_optimizers; i++) {
        const tread_profile_optimizer_info *o = &r->optimizers[i];
        json_array_append_new(optimizers, json_pack("{s:s, s:o, s:i, s:o}", "spec", o->spec, "bytes_per_parameter",
                                                    counted(o->bytes_per_parameter), "arrays", o->arrays, "regions",
                                                    counted(o->regions)));
    }
    for (size_t i = 0; i < r->n_layouts; i++)
        json_array_append_new(layouts, json_pack("{s:s, s:I, s:I}", "text", r->layouts[i].text, "tensors",
                                                 (json_int_t)r->layouts[i].tensors, "parameters",
                                                 (json_int_t)r->layouts[i].parameters));
    for (size_t i = 0; i < r->n_threads; i++)
        json_array_append_new(threads, json_integer(r->threads[i]));
    for (size_t i = 0; i < r->n_rows; i++)
        json_array_append_new(rows, row_json(r, &r->rows[i]));
    for (size_t i = 0; i < r->n_scalings; i++)
        json_array_append_new(scalings, scaling_json(r, &r->scalings[i]));
    json_object_set_new(object, "optimizers", optimizers);
    json_object_set_new(object, "layouts", layouts);
    json_object_set_new(object, "threads", threads);
    json_object_set_new(object, "rows", rows);
    json_object_set_new(object, "scalings", scalings);
}

bool cli_optimizer_print_json(FILE *file, const cli_optimizer_report *report) {
    const tread_profile_optimizer_result *r = report->result;
    json_t *object = cli_report_json("tread profile optimizer", report->argc, report->argv, &report->info);
    if (object == NULL)
        return false;
    json_object_set_new(object, "seconds", json_real(r->seconds));
    json_object_set_new(object, "interrupted", json_boolean(r->interrupted));
    json_object_set_new(object, "out_of_time", json_boolean(r->out_of_time));
    add_lists(object, r);
    json_object_set_new(object, "noise", cli_report_noise_json(&r->noise));
    json_object_set_new(object, "warnings", cli_report_warnings_json(&r->warnings));
    const bool good = cli_report_write_json(file, object);
    json_decref(object);
    return good;
}
