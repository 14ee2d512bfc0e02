#include <math.h>
#include <string.h>

#include "core/context.h"
#include "core/memory.h"
#include "core/options.h"
#include "core/recorder.h"
#include "core/status.h"
#include "engine/profile/optimizer_sweep.h"

#define CALL "profile optimizer"
#define MOST_ROUNDS 1000
#define LEAST_MEMORY ((size_t)64 << 10)
#define LAW_POINTS 4 /* that a law is fitted to, at least */
#define SPREAD 0.1   /* of the quartiles, against the median: from here on something is said */

static const char *const default_optimizers[] = {"sgd", "sgd:momentum=0.9", "adam", "lamb"};
static const char *const default_layouts[] = {"big:16Mi", "equal:256x64Ki", "tiny:10000x256", "mlp:784-512-256-10"};

tread_profile_optimizer_options tread_profile_optimizer_defaults(void) {
    return (tread_profile_optimizer_options){
        .size = sizeof(tread_profile_optimizer_options), .rounds = 11, .seconds = 90};
}

/* What a caller sees comes first. */
typedef struct owned_result {
    tread_profile_optimizer_result shown;
    tread_profile_optimizer_info *optimizers;
    tread_profile_layout_info *layouts;
    int *threads;
    tread_profile_row *rows;
    double *samples;
    tread_profile_scaling *scalings;
} owned_result;

void tread_profile_optimizer_destroy(tread_profile_optimizer_result *result) {
    owned_result *r = (owned_result *)result;
    if (r == NULL)
        return;
    for (size_t i = 0; r->optimizers != NULL && i < r->shown.n_optimizers; i++)
        tread_free((char *)r->optimizers[i].spec);
    for (size_t i = 0; r->layouts != NULL && i < r->shown.n_layouts; i++)
        tread_free((char *)r->layouts[i].text);
    tread_free(r->optimizers);
    tread_free(r->layouts);
    tread_free(r->threads);
    tread_free(r->rows);
    tread_free(r->samples);
    tread_free(r->scalings);
    tread_free(r);
}

/* ---- What is asked for ---- */

static tread_status check(tread_profile_optimizer_options *o) {
    if (o->optimizers == NULL) {
        o->optimizers = default_optimizers;
        o->n_optimizers = sizeof default_optimizers / sizeof *default_optimizers;
    }
    if (o->layouts == NULL) {
        o->layouts = default_layouts;
        o->n_layouts = sizeof default_layouts / sizeof *default_layouts;
    }
    if (o->n_optimizers < 1 || o->n_optimizers > TREAD_PROFILE_MAX_NAMES)
        return tread_fail(TREAD_ERROR_ARGUMENT, CALL ": %zu optimizers are not from 1 to %d", o->n_optimizers,
                          TREAD_PROFILE_MAX_NAMES);
    if (o->n_layouts < 1 || o->n_layouts > TREAD_PROFILE_MAX_NAMES)
        return tread_fail(TREAD_ERROR_ARGUMENT, CALL ": %zu layouts are not from 1 to %d", o->n_layouts,
                          TREAD_PROFILE_MAX_NAMES);
    if (o->threads != NULL && (o->n_threads < 1 || o->n_threads > TREAD_MAX_THREADS))
        return tread_fail(TREAD_ERROR_ARGUMENT, CALL ": %zu thread counts are not from 1 to %d", o->n_threads,
                          TREAD_MAX_THREADS);
    if (o->rounds < 1 || o->rounds > MOST_ROUNDS)
        return tread_fail(TREAD_ERROR_ARGUMENT, CALL ": rounds = %d is outside 1..%d", o->rounds, MOST_ROUNDS);
    if (!(o->seconds >= 0) || !isfinite(o->seconds))
        return tread_fail(TREAD_ERROR_ARGUMENT, CALL ": seconds = %g is not finite and at least 0", o->seconds);
    if (o->memory_bytes == 0)
        o->memory_bytes = tread_bandwidth_enough();
    if (o->memory_bytes < LEAST_MEMORY)
        return tread_fail(TREAD_ERROR_ARGUMENT, CALL ": memory_bytes = %zu is below %zu", o->memory_bytes,
                          LEAST_MEMORY);
    return TREAD_OK;
}

static tread_status read_specs(const tread_profile_optimizer_options *o, tread_sweep *sweep, owned_result *r) {
    for (size_t i = 0; i < o->n_optimizers; i++) {
        tread_sweep_spec *spec = &sweep->specs[i];
        if (o->optimizers[i] == NULL)
            return tread_fail(TREAD_ERROR_ARGUMENT, CALL ": optimizer %zu is NULL", i);
        char *text = tread_strdup(o->optimizers[i]);
        if (text == NULL)
            return TREAD_ERROR_MEMORY;
        r->optimizers[i].spec = spec->text = text;
        TREAD_TRY(tread_optimizer_read_spec(text, &spec->type, &spec->options));
        if (spec->type->solve != NULL)
            return tread_fail(TREAD_ERROR_ARGUMENT,
                              "%s: a step is mostly its closure, which is the model's: profile a training",
                              spec->type->table.name);
        spec->traffic = tread_step_traffic_of(spec->type, spec->options);
        r->optimizers[i].bytes_per_parameter = spec->traffic.bytes;
        r->optimizers[i].arrays = spec->traffic.arrays;
        r->optimizers[i].regions = spec->traffic.n_passes;
    }
    return TREAD_OK;
}

static tread_status read_layouts(const tread_profile_optimizer_options *o, tread_sweep *sweep, owned_result *r) {
    for (size_t i = 0; i < o->n_layouts; i++) {
        TREAD_TRY(tread_tensor_layout_read(o->layouts[i], &sweep->layouts[i]));
        char *text = tread_strdup(o->layouts[i]);
        if (text == NULL)
            return TREAD_ERROR_MEMORY;
        r->layouts[i].text = sweep->layouts[i].text = text;
        r->layouts[i].tensors = sweep->layouts[i].tensors;
        r->layouts[i].parameters = sweep->layouts[i].elements;
    }
    return TREAD_OK;
}

/* Powers of two below the context's count, and that; with four all of them, since a law takes four. Or the caller's, in
 * order. */
static tread_status read_threads(const tread_context *context, const tread_profile_optimizer_options *o,
                                 owned_result *r) {
    int *threads = r->threads;
    size_t n = 0;
    if (o->threads == NULL) {
        const int most = tread_context_threads(context);
        for (int t = 1; t < most; t = most == LAW_POINTS ? t + 1 : 2 * t)
            threads[n++] = t;
        threads[n++] = most;
    }
    for (size_t i = 0; o->threads != NULL && i < o->n_threads; i++) {
        const int t = o->threads[i];
        if (t < 1 || t > TREAD_MAX_THREADS)
            return tread_fail(TREAD_ERROR_ARGUMENT, CALL ": threads[%zu] = %d is outside 1..%d", i, t,
                              TREAD_MAX_THREADS);
        size_t at = n++;
        for (; at > 0 && threads[at - 1] > t; at--)
            threads[at] = threads[at - 1];
        if (at > 0 && threads[at - 1] == t)
            return tread_fail(TREAD_ERROR_ARGUMENT, "threads: %d is asked for twice", t);
        threads[at] = t;
    }
    r->shown.n_threads = n;
    return TREAD_OK;
}

static tread_status create_contexts(const tread_context *context, tread_sweep *sweep) {
    tread_context_options o = tread_context_defaults();
    o.backend = tread_context_backend(context);
    o.seed = tread_context_seed(context);
    for (size_t t = 0; t <= sweep->n_threads; t++) {
        o.threads = t < sweep->n_threads ? sweep->threads[t] : 1;
        tread_context *made = tread_context_create(&o);
        *(t < sweep->n_threads ? &sweep->contexts[t] : &sweep->alone) = made;
        if (made == NULL)
            return TREAD_ERROR_MEMORY;
        if (tread_context_threads(made) != o.threads)
            return tread_fail(TREAD_ERROR_ARGUMENT, "threads: %d is asked for, and %s", o.threads,
                              tread_context_threads_reason(made));
    }
    return TREAD_OK;
}

/* Before any of it is taken. */
static tread_status check_memory(const tread_sweep *sweep) {
    const double gibi = 1 << 30, available = tread_memory_available("");
    for (size_t i = 0; i < sweep->n_layouts; i++) {
        const double bytes = tread_sweep_bytes(sweep, &sweep->layouts[i]);
        if (bytes > available)
            return tread_fail(TREAD_ERROR_MEMORY,
                              "layout %s with the state of %zu optimizer%s takes %.2f GiB, and %.2f GiB are available",
                              sweep->layouts[i].text, sweep->n_specs, sweep->n_specs == 1 ? "" : "s", bytes / gibi,
                              available / gibi);
    }
    return TREAD_OK;
}

/* ---- What comes of it ---- */

static void fit_scalings(owned_result *r, int cpus) {
    int threads[TREAD_MAX_THREADS];
    double seconds[TREAD_MAX_THREADS];
    for (size_t i = 0; i < r->shown.n_rows;) {
        const tread_profile_row *first = &r->rows[i];
        size_t n = 0;
        for (; i < r->shown.n_rows && r->rows[i].optimizer == first->optimizer && r->rows[i].layout == first->layout;
             i++)
            if (r->rows[i].threads <= cpus && r->rows[i].bound != TREAD_BOUND_ONE_THREAD) {
                threads[n] = r->rows[i].threads;
                seconds[n++] = r->rows[i].median;
            }
        tread_profile_scaling *scaling = &r->scalings[r->shown.n_scalings];
        *scaling = (tread_profile_scaling){.optimizer = first->optimizer, .layout = first->layout};
        if (n >= LAW_POINTS && threads[0] == 1 &&
            tread_profile_fit_scaling(threads, seconds, n, &scaling->law) == TREAD_OK)
            r->shown.n_scalings++;
    }
}

/* Who asked for as many thread counts as a law takes waits for one. */
static void warn_of_no_law(owned_result *r, int cpus) {
    size_t n = 0;
    while (n < r->shown.n_threads && r->threads[n] <= cpus)
        n++;
    if (r->shown.n_threads < LAW_POINTS || r->shown.n_rows == 0)
        return;
    if (n < LAW_POINTS)
        tread_noise_say(&r->shown.warnings, "law",
                        "No law of scaling is fitted: it takes %d thread counts of at most %d, the number of CPUs, and "
                        "here are %zu.",
                        LAW_POINTS, cpus, n);
    else if (r->threads[0] != 1)
        tread_noise_say(&r->shown.warnings, "law", "No law of scaling is fitted: it takes the time with 1 thread.");
}

static void warn_of_spread(owned_result *r) {
    const tread_profile_row *widest = NULL;
    double most = 0;
    size_t wide = 0;
    for (size_t i = 0; i < r->shown.n_rows; i++) {
        const tread_profile_row *row = &r->rows[i];
        const double spread = (row->upper_quartile - row->lower_quartile) / row->median;
        wide += spread > SPREAD;
        if (spread > most) {
            most = spread;
            widest = row;
        }
    }
    if (wide > 0)
        tread_noise_say(&r->shown.warnings, "spread",
                        "In %zu of %zu rows the quartiles lie more than %.0f %% of the median apart, most in %s on %s "
                        "with %d thread%s: %.0f %%.",
                        wide, r->shown.n_rows, 100 * SPREAD, r->optimizers[widest->optimizer].spec,
                        r->layouts[widest->layout].text, widest->threads, widest->threads == 1 ? "" : "s", 100 * most);
}

static tread_status warn(owned_result *r, const tread_sweep *sweep) {
    tread_system_info info = tread_system_info_defaults();
    const int most = r->threads[r->shown.n_threads - 1];
    TREAD_TRY(tread_info(sweep->contexts[sweep->n_threads - 1], &info));
    tread_noise_warn_threads(&info, most, &r->shown.warnings);
    if (sweep->fewest_threads > 0)
        tread_noise_say(&r->shown.warnings, "threads",
                        "OpenMP gave %d thread%s where more were asked for; OMP_THREAD_LIMIT or OMP_DYNAMIC does that.",
                        sweep->fewest_threads, sweep->fewest_threads == 1 ? "" : "s");
    tread_noise_warn(&r->shown.noise, &r->shown.warnings);
    warn_of_spread(r);
    fit_scalings(r, info.allowed_cpus);
    warn_of_no_law(r, info.allowed_cpus);
    return TREAD_OK;
}

static tread_status run(owned_result *r, tread_sweep *sweep) {
    tread_noise_begin(&sweep->noise, "");
    const size_t rows = sweep->n_specs * sweep->n_threads;
    for (size_t i = 0; i < sweep->n_layouts && !sweep->stopped; i++)
        TREAD_TRY(
            tread_sweep_layout(sweep, i, r->samples + i * rows * (size_t)sweep->rounds, r->rows, &r->shown.n_rows));
    r->shown.noise = tread_noise_end(&sweep->noise);
    r->shown.seconds = tread_clock_seconds() - sweep->began;
    r->shown.interrupted = sweep->stopped;
    r->shown.out_of_time = sweep->out_of_time;
    return warn(r, sweep);
}

/* The lists' memory, and what they say. */
static tread_status prepare(const tread_context *context, const tread_profile_optimizer_options *o, tread_sweep *sweep,
                            owned_result *r) {
    r->shown.n_optimizers = sweep->n_specs = o->n_optimizers;
    r->shown.n_layouts = sweep->n_layouts = o->n_layouts;
    r->shown.optimizers = r->optimizers = tread_calloc(o->n_optimizers, sizeof *r->optimizers, CALL);
    r->shown.layouts = r->layouts = tread_calloc(o->n_layouts, sizeof *r->layouts, CALL);
    r->shown.threads = r->threads = tread_calloc(TREAD_MAX_THREADS, sizeof *r->threads, CALL);
    sweep->specs = tread_calloc(o->n_optimizers, sizeof *sweep->specs, CALL);
    sweep->layouts = tread_calloc(o->n_layouts, sizeof *sweep->layouts, CALL);
    if (r->optimizers == NULL || r->layouts == NULL || r->threads == NULL || sweep->specs == NULL ||
        sweep->layouts == NULL)
        return TREAD_ERROR_MEMORY;
    TREAD_TRY(read_specs(o, sweep, r));
    TREAD_TRY(read_layouts(o, sweep, r));
    TREAD_TRY(read_threads(context, o, r));
    sweep->threads = r->threads;
    sweep->n_threads = r->shown.n_threads;
    sweep->contexts = tread_calloc(sweep->n_threads, sizeof(tread_context *), CALL);
    if (sweep->contexts == NULL)
        return TREAD_ERROR_MEMORY;
    TREAD_TRY(create_contexts(context, sweep));
    TREAD_TRY(check_memory(sweep));
    const size_t pairs = sweep->n_specs * sweep->n_layouts, rows = pairs * sweep->n_threads;
    r->shown.rows = r->rows = tread_calloc(rows, sizeof *r->rows, CALL);
    r->shown.scalings = r->scalings = tread_calloc(pairs, sizeof *r->scalings, CALL);
    r->samples = tread_calloc(rows, (size_t)sweep->rounds * sizeof *r->samples, "the samples of a profile");
    sweep->bandwidth = tread_bandwidth_create(sweep->memory_bytes);
    return r->rows != NULL && r->scalings != NULL && r->samples != NULL && sweep->bandwidth != NULL
               ? TREAD_OK
               : TREAD_ERROR_MEMORY;
}

static void clean_up(tread_sweep *sweep) {
    for (size_t i = 0; sweep->specs != NULL && i < sweep->n_specs; i++)
        if (sweep->specs[i].type != NULL)
            tread_fields_free(&sweep->specs[i].type->table, sweep->specs[i].options);
    for (size_t t = 0; sweep->contexts != NULL && t < sweep->n_threads; t++)
        tread_context_destroy(sweep->contexts[t]);
    tread_context_destroy(sweep->alone);
    tread_bandwidth_destroy(sweep->bandwidth);
    tread_free(sweep->specs);
    tread_free(sweep->layouts);
    tread_free(sweep->contexts);
}

tread_status tread_profile_optimizer(const tread_context *context, const tread_profile_optimizer_options *options,
                                     tread_profile_optimizer_result **ret_result) {
    TREAD_REFUSE_NULL(CALL, ret_result);
    tread_profile_optimizer_options o = tread_profile_optimizer_defaults();
    TREAD_TRY(tread_options_read(CALL, options, &o, sizeof o));
    TREAD_TRY(check(&o));
    if (context == NULL)
        TREAD_TRY(tread_context_default_status());
    const double now = tread_clock_seconds();
    tread_sweep sweep = {.rounds = o.rounds,
                         .memory_bytes = o.memory_bytes,
                         .began = now,
                         .end = o.seconds > 0 ? now + o.seconds : INFINITY,
                         .progress = o.progress,
                         .progress_data = o.progress_data};
    owned_result *r = tread_calloc(1, sizeof *r, "the result of a profile");
    tread_status status = r != NULL ? TREAD_OK : TREAD_ERROR_MEMORY;
    if (status == TREAD_OK)
        status = prepare(context, &o, &sweep, r);
    if (status == TREAD_OK)
        status = run(r, &sweep);
    clean_up(&sweep);
    if (status == TREAD_OK)
        *ret_result = &r->shown;
    else
        tread_profile_optimizer_destroy(r != NULL ? &r->shown : NULL);
    return status;
}
