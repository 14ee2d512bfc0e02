#include "engine/profile/optimizer_sweep.h"

#include <math.h>
#include <stdatomic.h>
#include <string.h>

#include "core/context.h"
#include "core/memory.h"
#include "core/parallel.h"
#include "core/recorder.h"
#include "core/status.h"
#include "engine/profile/bound.h"
#include "engine/profile/statistics.h"
#include "engine/profile/sweep_world.h"

#define SAMPLE_SECONDS 5e-3 /* a sample lasts about so long, or one step */
#define WARM_SECONDS 1e-2   /* what is shorter runs untimed first: others have had the cache, and the threads */
#define MOST_REPEATS 100000

/* What takes its turn in a round. */
typedef enum what {
    STEP,    /* of optimizer `index` */
    TRAFFIC, /* of optimizer `index`, and of all with the same passes */
    RMW,     /* over working set `index` */
    FORK,    /* an empty region */
    SMALL,   /* a step of optimizer `index` on one small tensor */
} what;

typedef struct variant {
    what kind;
    size_t index, t; /* t: thread count */
    int repeats;
    bool warm;
    double *samples; /* seconds of one step, pass, region */
    size_t n_samples;
    double median;   /* NAN: there is no sample */
    int64_t regions; /* of a step, that forked */
} variant;

typedef struct turns {
    tread_sweep *sweep;
    size_t layout;
    tread_sweep_world world;
    variant *variants;
    size_t n;
    double *samples; /* of all but steps */
    double *scratch; /* for medians */
    size_t *sets;    /* working sets, the last of them memory_bytes */
    size_t n_sets;
    size_t *first_alike; /* by spec: the first one whose passes are the same */
    tread_recorder *recorder;
} turns;

/* ---- What there is to measure ---- */

static size_t set_of(const turns *w, size_t spec) {
    const size_t bytes = tread_sweep_working_set(&w->sweep->specs[spec], w->sweep->layouts[w->layout].elements);
    return bytes < w->sweep->memory_bytes ? bytes : w->sweep->memory_bytes;
}

static size_t find_set(const turns *w, size_t bytes) {
    size_t i = 0;
    while (i < w->n_sets && w->sets[i] != bytes)
        i++;
    return i;
}

static void find_alike(turns *w) {
    const tread_sweep *sweep = w->sweep;
    for (size_t s = 0; s < sweep->n_specs; s++) {
        size_t first = 0;
        while (memcmp(&sweep->specs[first].traffic, &sweep->specs[s].traffic, sizeof sweep->specs[s].traffic) != 0)
            first++;
        w->first_alike[s] = first;
        if (find_set(w, set_of(w, s)) == w->n_sets)
            w->sets[w->n_sets++] = set_of(w, s);
    }
    if (find_set(w, sweep->memory_bytes) == w->n_sets)
        w->sets[w->n_sets++] = sweep->memory_bytes;
}

static void add(turns *w, what kind, size_t index, size_t t, double *samples) {
    w->variants[w->n] = (variant){.kind = kind, .index = index, .t = t, .repeats = 1, .median = NAN};
    w->variants[w->n].samples = samples != NULL ? samples : w->samples + w->n * (size_t)w->sweep->rounds;
    w->n++;
}

/* Those of one thread count stand together, so that a round starts each team of threads once. */
static void add_all(turns *w, double *step_samples) {
    const tread_sweep *sweep = w->sweep;
    for (size_t t = 0; t < sweep->n_threads; t++) {
        for (size_t s = 0; s < sweep->n_specs; s++)
            add(w, STEP, s, t, step_samples + (s * sweep->n_threads + t) * (size_t)sweep->rounds);
        for (size_t s = 0; s < sweep->n_specs; s++)
            if (sweep->specs[s].traffic.n_passes > 0 && w->first_alike[s] == s)
                add(w, TRAFFIC, s, t, NULL);
        for (size_t i = 0; i < w->n_sets; i++)
            add(w, RMW, i, t, NULL);
        if (sweep->threads[t] > 1)
            add(w, FORK, 0, t, NULL);
    }
    for (size_t s = 0; s < sweep->n_specs; s++)
        if (w->world.small[s] != NULL)
            add(w, SMALL, s, 0, NULL);
}

static tread_status prepare(turns *w, double *step_samples) {
    const tread_sweep *sweep = w->sweep;
    const size_t most = sweep->n_threads * (3 * sweep->n_specs + 2) + sweep->n_specs;
    w->variants = tread_calloc(most, sizeof *w->variants, "what a sweep measures");
    w->samples = tread_calloc(most, (size_t)sweep->rounds * sizeof *w->samples, "the samples of a sweep");
    w->scratch = tread_calloc((size_t)sweep->rounds, sizeof *w->scratch, "the samples of a sweep");
    w->sets = tread_calloc(sweep->n_specs + 1, sizeof *w->sets, "the working sets of a sweep");
    w->first_alike = tread_calloc(sweep->n_specs, sizeof *w->first_alike, "a sweep");
    if (w->variants == NULL || w->samples == NULL || w->scratch == NULL || w->sets == NULL || w->first_alike == NULL)
        return TREAD_ERROR_MEMORY;
    TREAD_TRY(tread_recorder_create(1, 0, &w->recorder)); /* counts regions alone */
    TREAD_TRY(tread_sweep_world_create(&w->world, sweep, &sweep->layouts[w->layout]));
    find_alike(w);
    add_all(w, step_samples);
    return TREAD_OK;
}

static void clean_up(turns *w) {
    tread_sweep_world_destroy(&w->world);
    tread_free(w->variants);
    tread_free(w->samples);
    tread_free(w->scratch);
    tread_free(w->sets);
    tread_free(w->first_alike);
    tread_recorder_destroy(w->recorder);
}

/* ---- Measuring ---- */

/* An empty region's range: so long that it is forked for with more threads than CPUs, too. */
static int64_t region_items(const tread_sweep *sweep, size_t t) {
    return 2 * TREAD_CROWDED_GRAINS * (int64_t)sweep->threads[t];
}

static void do_nothing(void *argument, int64_t begin, int64_t end) { (void)argument, (void)begin, (void)end; }

static void count_calls(void *argument, int64_t begin, int64_t end) {
    (void)begin, (void)end;
    atomic_fetch_add_explicit((atomic_int *)argument, 1, memory_order_relaxed);
}

/* Moves what a step moves; *ret_scale: how many times as much it would have been, were there memory for it. */
static void move_as(const turns *w, const variant *v, double *ret_scale) {
    const tread_step_traffic *traffic = &w->sweep->specs[v->index].traffic;
    const double elements = (double)w->sweep->layouts[w->layout].elements;
    double moved = 0;
    for (int i = 0; i < traffic->n_passes; i++) {
        const tread_traffic pass = traffic->passes[i];
        const size_t set = sizeof(float) * (size_t)elements * (size_t)(pass.changed + pass.read);
        moved += tread_bandwidth_run(w->sweep->bandwidth, w->sweep->contexts[v->t], pass, set);
    }
    *ret_scale = moved > 0 ? traffic->bytes * elements / moved : 1;
}

/* One step, pass or region. *ret_scale: what its time is to be multiplied by. */
static tread_status run_once(const turns *w, const variant *v, double *ret_scale) {
    const tread_sweep *sweep = w->sweep;
    const tread_context *context = sweep->contexts[v->t];
    *ret_scale = 1;
    switch (v->kind) {
    case STEP: {
        tread_optimizer *optimizer = w->world.optimizers[v->index * sweep->n_threads + v->t];
        optimizer->context = context;
        return tread_optimizer_step(optimizer, NULL);
    }
    case SMALL: return tread_optimizer_step(w->world.small[v->index], NULL);
    case TRAFFIC: move_as(w, v, ret_scale); break;
    case RMW: tread_bandwidth_run(sweep->bandwidth, context, tread_traffic_rmw, w->sets[v->index]); break;
    case FORK: tread_parallel_for(context, region_items(sweep, v->t), 1, 1, do_nothing, NULL); break;
    }
    return TREAD_OK;
}

static tread_status time_once(const turns *w, const variant *v, int repeats, double *ret_seconds) {
    double scale = 1;
    const double start = tread_clock_seconds();
    for (int i = 0; i < repeats; i++)
        TREAD_TRY(run_once(w, v, &scale));
    *ret_seconds = (tread_clock_seconds() - start) / repeats * scale;
    return TREAD_OK;
}

static void see_threads(const turns *w, const variant *v) {
    tread_sweep *sweep = w->sweep;
    atomic_int calls = 0;
    tread_parallel_for(sweep->contexts[v->t], region_items(sweep, v->t), 1, 1, count_calls, &calls);
    if (calls < sweep->threads[v->t] && (sweep->fewest_threads == 0 || calls < sweep->fewest_threads))
        sweep->fewest_threads = calls;
}

static int64_t regions_so_far(const tread_recorder *recorder) {
    size_t n;
    const tread_time_span_row *rows = tread_recorder_rows(recorder, &n);
    int64_t regions = 0;
    for (size_t i = 0; i < n; i++)
        regions += rows[i].regions;
    return regions;
}

/* Whether a step forks is the optimizer's choice, so it is seen and not guessed. */
static tread_status count_regions(const turns *w, variant *v) {
    tread_context *context = w->sweep->contexts[v->t];
    const int64_t before = regions_so_far(w->recorder);
    double scale;
    tread_recorder *other = tread_context_record(context, w->recorder);
    const tread_time_span span =
        tread_time_span_within(context, &(tread_time_span_key){.name = "step", .phase = TREAD_TRACE_OTHER});
    const tread_status status = run_once(w, v, &scale);
    tread_time_span_end(context, span, (tread_cost){0});
    tread_context_record(context, other);
    tread_recorder_abandon(w->recorder);
    v->regions = regions_so_far(w->recorder) - before;
    return status;
}

static tread_status warm_up(const turns *w, variant *v) {
    double once, scale;
    TREAD_TRY(run_once(w, v, &scale)); /* fills the state, starts the threads */
    TREAD_TRY(time_once(w, v, 1, &once));
    v->warm = once < WARM_SECONDS;
    if (v->warm) {
        TREAD_TRY(time_once(w, v, 1, &once));
        v->repeats = once * MOST_REPEATS < SAMPLE_SECONDS ? MOST_REPEATS
                     : once < SAMPLE_SECONDS              ? (int)(SAMPLE_SECONDS / once)
                                                          : 1;
    }
    if (v->kind == STEP)
        TREAD_TRY(count_regions(w, v));
    if (v->kind == FORK)
        see_threads(w, v);
    return TREAD_OK;
}

static tread_status take_sample(const turns *w, variant *v) {
    double untimed;
    /* Half a sample's worth: after a change of team it takes some regions until each thread has a CPU of its own. */
    if (v->warm)
        TREAD_TRY(time_once(w, v, (v->repeats + 1) / 2, &untimed));
    TREAD_TRY(time_once(w, v, v->repeats, &v->samples[v->n_samples]));
    v->n_samples++;
    return TREAD_OK;
}

static bool may_go_on(turns *w, int round) {
    tread_sweep *sweep = w->sweep;
    const tread_profile_progress progress = {.layout = sweep->layouts[w->layout].text,
                                             .layout_index = w->layout,
                                             .n_layouts = sweep->n_layouts,
                                             .round = round,
                                             .rounds = sweep->rounds,
                                             .seconds = tread_clock_seconds() - sweep->began};
    sweep->stopped = sweep->progress != NULL && !sweep->progress(sweep->progress_data, &progress);
    return !sweep->stopped;
}

/* Round 0 warms up. Each begins with another variant, and every other one goes backwards, so that none always follows
 * the same one. */
static tread_status take_turns(turns *w, int round) {
    for (size_t i = 0; i < w->n; i++) {
        const size_t turned = (i + (size_t)round * w->n / (size_t)(w->sweep->rounds + 1)) % w->n;
        variant *v = &w->variants[round % 2 == 0 ? turned : w->n - 1 - turned];
        if (!may_go_on(w, round))
            return TREAD_OK;
        TREAD_TRY(round == 0 ? warm_up(w, v) : take_sample(w, v));
    }
    return TREAD_OK;
}

static tread_status measure(turns *w) {
    tread_sweep *sweep = w->sweep;
    const double now = tread_clock_seconds(), end = now + (sweep->end - now) / (double)(sweep->n_layouts - w->layout);
    double began = now;
    TREAD_TRY(take_turns(w, 0));
    for (int round = 1; round <= sweep->rounds && !sweep->stopped; round++) {
        const double last = tread_clock_seconds() - began;
        began += last;
        if (round > 1 && began + last > end) {
            sweep->out_of_time = true;
            break;
        }
        tread_noise_look(&sweep->noise);
        TREAD_TRY(take_turns(w, round));
    }
    for (size_t i = 0; i < w->n; i++)
        if (w->variants[i].n_samples > 0)
            w->variants[i].median =
                tread_order_statistics_of(w->variants[i].samples, w->variants[i].n_samples, w->scratch).median;
    return TREAD_OK;
}

/* ---- What it says ---- */

static const variant *find(const turns *w, what kind, size_t index, size_t t) {
    for (size_t i = 0; i < w->n; i++)
        if (w->variants[i].kind == kind && w->variants[i].index == index && w->variants[i].t == t)
            return &w->variants[i];
    return NULL;
}

static double median_of(const turns *w, what kind, size_t index, size_t t) {
    const variant *v = find(w, kind, index, t);
    return v != NULL ? v->median : NAN;
}

/* NAN where there is no row of one thread. */
static double alone(const turns *w, size_t spec) {
    return w->sweep->threads[0] == 1 ? median_of(w, STEP, spec, 0) : NAN;
}

static double rmw_rate(const turns *w, size_t bytes, size_t t) {
    return 2 * (double)bytes / median_of(w, RMW, find_set(w, bytes), t);
}

/* Of threads that had no part in a step nothing is to be told. */
static void stay_on_one_thread(tread_profile_row *r) {
    r->bound = TREAD_BOUND_ONE_THREAD;
    r->rmw_bytes_per_second = r->bandwidth_share = r->traffic_seconds = r->arithmetic_seconds = NAN;
    r->speedup = r->efficiency = r->serial_fraction = NAN;
}

static tread_profile_row row_of(const turns *w, const variant *v) {
    const tread_sweep *sweep = w->sweep;
    const tread_step_traffic *traffic = &sweep->specs[v->index].traffic;
    const double n = (double)sweep->layouts[w->layout].elements;
    const tread_order_statistics s = tread_order_statistics_of(v->samples, v->n_samples, w->scratch);
    const int threads = sweep->threads[v->t];
    const double small_n = w->world.small[v->index] != NULL ? (double)w->world.small_params[v->index].elements : NAN;
    tread_profile_row r = {
        .optimizer = v->index,
        .layout = w->layout,
        .threads = threads,
        .steps_per_sample = v->repeats,
        .n_samples = v->n_samples,
        .samples = v->samples,
        .median = s.median,
        .lower_quartile = s.lower_quartile,
        .upper_quartile = s.upper_quartile,
        .mad = v->n_samples > 1 ? s.mad : (double)NAN,
        .ns_per_parameter = 1e9 * s.median / n,
        .bytes_per_second = traffic->n_passes > 0 ? traffic->bytes * n / s.median : NAN,
        .rmw_bytes_per_second = rmw_rate(w, set_of(w, v->index), v->t),
        .memory_bytes_per_second = rmw_rate(w, sweep->memory_bytes, v->t),
        .speedup = alone(w, v->index) / s.median,
        .traffic_seconds = median_of(w, TRAFFIC, w->first_alike[v->index], v->t),
        .arithmetic_seconds = median_of(w, SMALL, v->index, 0) / small_n * n / threads,
        .regions = traffic->n_passes > 0 ? (int)v->regions : -1,
        .fork_seconds = 0,
    };
    if (threads > 1)
        r.fork_seconds = r.regions >= 0 ? r.regions * median_of(w, FORK, 0, v->t) : (double)NAN;
    r.bandwidth_share = r.bytes_per_second / r.rmw_bytes_per_second;
    r.efficiency = r.speedup / threads;
    r.serial_fraction = tread_profile_karp_flatt(r.speedup, threads);
    const tread_bound_figures figures = {.threads = threads,
                                         .step = r.median,
                                         .alone = alone(w, v->index),
                                         .fork = r.fork_seconds,
                                         .traffic = r.traffic_seconds,
                                         .arithmetic = r.arithmetic_seconds,
                                         .rmw_rate = r.rmw_bytes_per_second,
                                         .memory_rate = r.memory_bytes_per_second};
    r.bound = tread_bound_of(&figures);
    if (threads > 1 && r.regions == 0)
        stay_on_one_thread(&r);
    return r;
}

tread_status tread_sweep_layout(tread_sweep *sweep, size_t layout, double *samples, tread_profile_row *rows,
                                size_t *ret_n_rows) {
    turns w = {.sweep = sweep, .layout = layout};
    tread_status status = prepare(&w, samples);
    if (status == TREAD_OK)
        status = measure(&w);
    for (size_t s = 0; s < sweep->n_specs && status == TREAD_OK; s++)
        for (size_t t = 0; t < sweep->n_threads; t++) {
            const variant *v = find(&w, STEP, s, t);
            if (v->n_samples > 0)
                rows[(*ret_n_rows)++] = row_of(&w, v);
        }
    clean_up(&w);
    return status;
}
