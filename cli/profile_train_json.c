#include "cli/profile_train.h"

static json_t *times_json(const tread_profile_times *t) {
    return json_pack("{s:I, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "n", (json_int_t)t->n, "min",
                     cli_report_number(t->least), "p5", cli_report_number(t->p5), "lower_quartile",
                     cli_report_number(t->lower_quartile), "median", cli_report_number(t->median), "upper_quartile",
                     cli_report_number(t->upper_quartile), "p95", cli_report_number(t->p95), "p99",
                     cli_report_number(t->p99), "max", cli_report_number(t->greatest), "mean",
                     cli_report_number(t->mean));
}

static json_t *part_json(const tread_profile_part *p) {
    json_t *detail = json_string(p->detail); /* NULL where a parameter's name is not UTF-8 */
    return json_pack("{s:s, s:o, s:s, s:i, s:i, s:b, s:I, s:f, s:o, s:o, s:f, s:f, s:o, s:o, s:s, s:o, s:I, s:f, s:o}",
                     "name", p->name, "detail", detail != NULL ? detail : json_null(), "phase", p->phase, "depth",
                     p->depth, "parent", p->parent, "rest", (int)p->is_rest, "calls", (json_int_t)p->calls, "seconds",
                     p->seconds, "longest", cli_report_number(p->longest), "share", cli_report_number(p->share),
                     "flops", p->flops, "bytes", p->bytes, "flops_per_second", cli_report_number(p->flops_per_second),
                     "bytes_per_second", cli_report_number(p->bytes_per_second), "ceiling",
                     tread_profile_ceiling_name(p->ceiling), "ceiling_share", cli_report_number(p->ceiling_share),
                     "regions", (json_int_t)p->regions, "region_seconds", p->region_seconds, "busy",
                     cli_report_number(p->busy));
}

static json_t *step_json(const tread_profile_step *s) {
    char text[CLI_EVENTS_TEXT];
    return json_pack("{s:I, s:f, s:I, s:s, s:I, s:I, s:b, s:b}", "step", (json_int_t)s->step, "seconds", s->seconds,
                     "samples", (json_int_t)s->samples, "events", cli_step_events(s, text), "switches",
                     (json_int_t)s->switches, "faults", (json_int_t)s->faults, "recorded", (int)s->recorded, "outlier",
                     (int)s->is_outlier);
}

static json_t *counter_json(const tread_profile_counter *c) {
    if (!c->available)
        return json_pack("{s:s, s:b, s:s}", "name", c->name, "available", 0, "reason", c->reason);
    return json_pack("{s:s, s:b, s:o, s:o, s:f, s:s}", "name", c->name, "available", 1, "total",
                     cli_report_number(c->total), "per_step", cli_report_number(c->per_step), "counted", c->counted,
                     "source", c->source);
}

static json_t *histogram_json(const tread_profile_histogram *h) {
    json_t *counts = json_array();
    for (int i = 0; i < TREAD_PROFILE_BINS; i++)
        json_array_append_new(counts, json_integer(h->counts[i]));
    return json_pack("{s:o, s:o, s:o, s:I}", "low", cli_report_number(h->low), "width", cli_report_number(h->width),
                     "counts", counts, "above", (json_int_t)h->above);
}

static json_t *limits_json(const tread_train_profile *p) {
    return json_pack("{s:o, s:o, s:o, s:o, s:I, s:o, s:I, s:o}", "flops_per_second", cli_report_number(p->peak_flops),
                     "bf16_flops_per_second", cli_report_number(p->peak_bf16_flops), "flops_per_second_after",
                     cli_report_number(p->peak_flops_later), "cache_bytes_per_second",
                     cli_report_number(p->cache_bandwidth), "cache_bytes", (json_int_t)p->cache_bytes,
                     "shared_cache_bytes_per_second", cli_report_number(p->shared_cache_bandwidth),
                     "shared_cache_bytes", (json_int_t)p->shared_cache_bytes, "memory_bytes_per_second",
                     cli_report_number(p->memory_bandwidth));
}

static json_t *training_json(const cli_training *t) {
    const train_options *o = t->options;
    return json_pack("{s:s, s:I, s:s, s:s, s:s, s:I, s:I, s:I, s:s, s:s}", "model", t->setup.description, "parameters",
                     (json_int_t)t->setup.parameters, "optimizer", o->optimizer, "scheduler", cli_training_scheduler(t),
                     "precision", cli_precision_names[o->setup.precision], "batch_size",
                     (json_int_t)o->setup.batch_size, "accumulate", (json_int_t)o->run.accumulate, "seed",
                     (json_int_t)o->setup.seed, "data", t->setup.data.source, "backend", cli_training_backend(t));
}

#define LIST(ret_list, n, one)                                                                                         \
    json_t *ret_list = json_array();                                                                                   \
    for (size_t i = 0; i < (n); i++)                                                                                   \
    json_array_append_new(ret_list, one)

bool cli_train_print_json(FILE *file, const cli_train_report *report) {
    const tread_train_profile *p = report->profile;
    json_t *all = cli_report_json("tread profile train", report->argc, report->argv, &report->info);
    LIST(parts, p->n_parts, part_json(&p->parts[i]));
    LIST(steps, p->n_all_steps, step_json(&p->steps[i]));
    LIST(counters, p->n_counters, counter_json(&p->counters[i]));
    json_t *rest = json_pack(
        "{s:o, s:i, s:I, s:I, s:b, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:I, s:o, s:I, s:I, s:f, s:o, s:o, "
        "s:o}",
        "training", training_json(report->training), "threads", p->threads, "warmup", (json_int_t)p->warmup, "steps",
        (json_int_t)p->n_steps, "interrupted", (int)p->interrupted, "limits", limits_json(p), "times",
        times_json(&p->times), "recorded_times", times_json(&p->recorded_times), "smaller_times",
        times_json(&p->smaller_times), "histogram", histogram_json(&p->histogram), "overhead",
        cli_report_number(p->overhead), "overhead_lower", cli_report_number(p->overhead_lower), "overhead_upper",
        cli_report_number(p->overhead_upper), "samples_per_second", cli_report_number(p->samples_per_second),
        "outliers", (json_int_t)p->n_outliers, "instructions_per_cycle", cli_report_number(p->instructions_per_cycle),
        "trace_events", (json_int_t)p->n_trace_events, "trace_dropped", (json_int_t)p->n_trace_dropped,
        "evaluation_seconds", p->evaluation_seconds, "counters", counters, "parts", parts, "step_list", steps);
    const bool good = all != NULL && rest != NULL && json_object_update(all, rest) == 0 &&
                      json_object_set_new(all, "noise", cli_report_noise_json(&p->noise)) == 0 &&
                      json_object_set_new(all, "warnings", cli_report_warnings_json(&p->warnings)) == 0 &&
                      cli_report_write_json(file, all);
    json_decref(all);
    json_decref(rest);
    return good;
}
