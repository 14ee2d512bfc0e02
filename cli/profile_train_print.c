#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "cli/profile_train.h"

#define BAR 50     /* columns of the longest bar */
#define MOSTLY 0.5 /* of a part's time must be in regions, for these to say something about it */
#define LEAST_SHARE 0.0005
#define MOST_SHOWN 10 /* outliers */

const char *cli_part_text(const tread_profile_part *part, char text[CLI_PART_TEXT]) {
    snprintf(text, CLI_PART_TEXT, "%s%s%s%s%s", part->name, part->detail[0] != '\0' ? " " : "", part->detail,
             part->phase[0] != '\0' ? " " : "", part->phase);
    return text;
}

const char *cli_step_events(const tread_profile_step *step, char text[CLI_EVENTS_TEXT]) {
    static const struct {
        unsigned event;
        const char *words;
    } all[] = {{TREAD_STEP_FIRST_OF_EPOCH, "first of an epoch"},
               {TREAD_STEP_SMALLER_BATCH, "smaller batch"},
               {TREAD_STEP_AFTER_EVALUATION, "after an evaluation"},
               {TREAD_STEP_LOST_CPU, "lost a CPU"},
               {TREAD_STEP_PAGE_FAULTS, "page faults"},
               {TREAD_STEP_FIRST_OF_STRETCH, "first of a stretch"}};
    size_t n = 0;
    text[0] = '\0';
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (step->events & all[i].event)
            n += (size_t)snprintf(text + n, CLI_EVENTS_TEXT - n, "%s%s", n > 0 ? ", " : "", all[i].words);
    return text;
}

/* ---- The parts ---- */

static int widest_part(const tread_train_profile *p) {
    char text[CLI_PART_TEXT];
    int width = 4;
    for (size_t i = 0; i < p->n_parts; i++) {
        const int n = (int)strlen(cli_part_text(&p->parts[i], text)) + 2 * p->parts[i].depth;
        width = n > width ? n : width;
    }
    return width;
}

static void print_parts(FILE *file, const tread_train_profile *p) {
    const int width = widest_part(p);
    const double steps = (double)p->parts[0].calls;
    fprintf(file, "%-*s %8s %9s %9s %8s %8s %7s  %-18s %6s\n", width, "part", "calls", "us/step", "us/call", "share",
            "GFLOP/s", "GB/s", "of what bounds it", "busy");
    size_t n_hidden = 0;
    for (size_t i = 0; i < p->n_parts; i++) {
        const tread_profile_part *part = &p->parts[i];
        char text[CLI_PART_TEXT], ceiling[32] = "";
        if (part->share < LEAST_SHARE && !part->has_parts) {
            n_hidden++;
            continue;
        }
        fprintf(file, "%*s%-*s", 2 * part->depth, "", width - 2 * part->depth, cli_part_text(part, text));
        cli_report_print_number(file, 8, 2, (double)part->calls / steps, "");
        cli_report_print_number(file, 9, 1, 1e6 * part->seconds / steps, "");
        cli_report_print_number(file, 9, 1, 1e6 * part->seconds / (double)part->calls, "");
        cli_report_print_number(file, 6, 1, 100 * part->share, " %");
        cli_report_print_number(file, 8, 1, 1e-9 * part->flops_per_second, "");
        cli_report_print_number(file, 7, 1, 1e-9 * part->bytes_per_second, "");
        if (isfinite(part->ceiling_share))
            snprintf(ceiling, sizeof ceiling, "%.0f %% %s", 100 * part->ceiling_share,
                     tread_profile_ceiling_name(part->ceiling));
        fprintf(file, "  %-17s", ceiling);
        const double busy = part->region_seconds >= MOSTLY * part->seconds ? part->busy : (double)NAN;
        cli_report_print_number(file, 5, 1, 100 * busy, isfinite(busy) ? " %" : "");
        fputc('\n', file);
    }
    if (n_hidden > 0)
        fprintf(file, "%zu parts of less than %g %% are not shown; csv and json have them\n", n_hidden,
                100 * LEAST_SHARE);
    if (p->parts_lost > 0)
        fprintf(file, "%" PRIu64 " spans of more kinds than there is room for stand under (others)\n", p->parts_lost);
    if (p->evaluation_seconds > 0)
        fprintf(file, "evaluations between the steps took %.3f s besides\n", p->evaluation_seconds);
}

/* ---- The steps ---- */

/* A unit in which the times of a distribution have few digits. */
static double choose_unit(double seconds, const char **ret_name) {
    *ret_name = seconds >= 1 ? "s" : seconds >= 1e-3 ? "ms" : "us";
    return seconds >= 1 ? 1 : seconds >= 1e-3 ? 1e3 : 1e6;
}

static void print_bars(FILE *file, const tread_profile_histogram *h, double unit, const char *name) {
    int64_t most = h->above;
    for (int i = 0; i < TREAD_PROFILE_BINS; i++)
        most = h->counts[i] > most ? h->counts[i] : most;
    for (int i = 0; i <= TREAD_PROFILE_BINS; i++) {
        const int64_t count = i < TREAD_PROFILE_BINS ? h->counts[i] : h->above;
        const double low = unit * (h->low + i * h->width);
        if (i < TREAD_PROFILE_BINS && h->width == 0 && i > 0)
            continue;
        fprintf(file, "%s %9.2f %s %7" PRId64 " ", i == TREAD_PROFILE_BINS ? "above" : "     ", low, name, count);
        for (int64_t k = 0; k < (count * BAR + most - 1) / most; k++)
            fputc('#', file);
        fputc('\n', file);
    }
}

static void print_times(FILE *file, const tread_train_profile *p) {
    const tread_profile_times *t = &p->times;
    const char *name;
    const double unit = choose_unit(t->median, &name);
    if (t->n == 0) {
        fprintf(file, "\nno step of a full batch was timed\n");
        return;
    }
    fprintf(file, "\n%" PRId64 " steps of full batches that were not recorded, in %s\n%9s %9s %9s %9s %9s %9s %9s\n",
            t->n, name, "min", "p5", "median", "p95", "p99", "max", "mean");
    const double values[] = {t->least, t->p5, t->median, t->p95, t->p99, t->greatest, t->mean};
    for (size_t i = 0; i < sizeof values / sizeof *values; i++)
        fprintf(file, "%s%9.2f", i > 0 ? " " : "", unit * values[i]);
    fprintf(file, "\n%.0f samples/s at the median\n", p->samples_per_second);
    if (p->smaller_times.n > 0)
        fprintf(file, "%" PRId64 " of smaller batches besides, %.2f %s at the median\n", p->smaller_times.n,
                unit * p->smaller_times.median, name);
    fputc('\n', file);
    print_bars(file, &p->histogram, unit, name);
}

/* The slowest ones, each with what is known of it. */
static void print_outliers(FILE *file, const tread_train_profile *p) {
    const char *name;
    const double unit = choose_unit(p->times.median, &name);
    double last = INFINITY;
    if (p->n_outliers == 0)
        return;
    fprintf(file, "\n%" PRId64 " outlier%s: steps far above the upper quartile%s\n", p->n_outliers,
            p->n_outliers == 1 ? "" : "s", p->n_outliers > MOST_SHOWN ? "; the slowest" : "");
    for (int shown = 0; shown < MOST_SHOWN; shown++) {
        const tread_profile_step *worst = NULL;
        char text[CLI_EVENTS_TEXT];
        for (size_t i = 0; i < p->n_all_steps; i++)
            if (p->steps[i].is_outlier && p->steps[i].seconds < last &&
                (worst == NULL || p->steps[i].seconds > worst->seconds))
                worst = &p->steps[i];
        if (worst == NULL)
            break;
        last = worst->seconds;
        cli_step_events(worst, text);
        fprintf(file, "  step %-8" PRId64 " %9.2f %s  %s\n", worst->step, unit * worst->seconds, name,
                text[0] != '\0' ? text : "nothing is known of it");
    }
}

static void print_counters(FILE *file, const tread_train_profile *p) {
    const char *refused = NULL;
    if (p->n_counters == 0)
        return;
    fprintf(file, "\n%-18s %16s  %s\n", "counter", "per step", "counted by");
    for (size_t i = 0; i < p->n_counters; i++) {
        const tread_profile_counter *c = &p->counters[i];
        if (!c->available) {
            fprintf(file, "%-18s %16s  %s\n", c->name, "-",
                    refused != NULL && strcmp(refused, c->reason) == 0 ? "likewise" : c->reason);
            refused = c->reason;
            continue;
        }
        fprintf(file, "%-18s %16.*f  %s", c->name, c->per_step < 1000 ? 2 : 0, c->per_step, c->source);
        if (c->counted < 0.999)
            fprintf(file, ", %.0f %% of the time and scaled up", 100 * c->counted);
        fputc('\n', file);
    }
    if (isfinite(p->instructions_per_cycle))
        fprintf(file, "%-18s %16.2f\n", "IPC", p->instructions_per_cycle);
}

/* ---- All of it ---- */

static void print_head(FILE *file, const cli_train_report *r) {
    const tread_train_profile *p = r->profile;
    const train_options *o = r->training->options;
    cli_report_print_machine(file, &r->info);
    fprintf(file, "training  %s, %s, batch size %" PRId64 "%s, %s, %d thread%s, %s\n", r->training->setup.description,
            o->optimizer, o->setup.batch_size, o->run.accumulate > 1 ? " accumulated" : "",
            cli_precision_names[o->setup.precision], p->threads, p->threads == 1 ? "" : "s",
            cli_training_backend(r->training));
    if (isfinite(p->peak_flops)) {
        fprintf(file, "limits    %.1f GFLOP/s (product of 1024x1024x1024", 1e-9 * p->peak_flops);
        if (isfinite(p->peak_bf16_flops))
            fprintf(file, "; in bf16 %.1f", 1e-9 * p->peak_bf16_flops);
        fprintf(file, ")\n          %.1f GB/s within the cores' own caches of %.3g MiB, ", 1e-9 * p->cache_bandwidth,
                (double)p->cache_bytes / (1 << 20));
        if (isfinite(p->shared_cache_bandwidth))
            fprintf(file, "%.1f within the shared one of %.3g MiB, ", 1e-9 * p->shared_cache_bandwidth,
                    (double)p->shared_cache_bytes / (1 << 20));
        fprintf(file, "%.1f in memory\n", 1e-9 * p->memory_bandwidth);
    }
    fprintf(file, "steps     %" PRId64 " recorded, %" PRId64 " not, in turns, after %" PRId64 " of warming up%s",
            p->parts[0].calls, (int64_t)p->n_all_steps - p->parts[0].calls, p->warmup,
            p->interrupted ? "; interrupted" : "");
    if (isfinite(p->overhead))
        fprintf(file, "; recording costs %.1f %%", 100 * p->overhead);
    if (isfinite(p->overhead_lower))
        fprintf(file, " (quartiles %.1f and %.1f)", 100 * p->overhead_lower, 100 * p->overhead_upper);
    fputs("\n\n", file);
}

void cli_train_print_table(FILE *file, const cli_train_report *report) {
    print_head(file, report);
    print_parts(file, report->profile);
    print_times(file, report->profile);
    print_outliers(file, report->profile);
    print_counters(file, report->profile);
    cli_report_print_warnings(file, &report->profile->warnings);
}

void cli_train_print_csv(FILE *file, const cli_train_report *report) {
    const tread_train_profile *p = report->profile;
    fputs("index,parent,name,detail,phase,rest,calls,seconds,longest,share,flops,bytes,flops_per_second,"
          "bytes_per_second,ceiling,ceiling_share,regions,region_seconds,busy\n",
          file);
    for (size_t i = 0; i < p->n_parts; i++) {
        const tread_profile_part *part = &p->parts[i];
        fprintf(file, "%zu,%d", i, part->parent);
        fputc(',', file);
        cli_report_print_quoted(file, part->name);
        fputc(',', file);
        cli_report_print_quoted(file, part->detail);
        fputc(',', file);
        cli_report_print_quoted(file, part->phase);
        fprintf(file, ",%d,%" PRId64, part->is_rest, part->calls);
        const double before[] = {part->seconds, part->longest,          part->share,           part->flops,
                                 part->bytes,   part->flops_per_second, part->bytes_per_second};
        for (size_t k = 0; k < sizeof before / sizeof *before; k++)
            cli_report_print_field(file, before[k]);
        fprintf(file, ",%s", tread_profile_ceiling_name(part->ceiling));
        cli_report_print_field(file, part->ceiling_share);
        fprintf(file, ",%" PRId64, part->regions);
        cli_report_print_field(file, part->region_seconds);
        cli_report_print_field(file, part->busy);
        fputc('\n', file);
    }
}
