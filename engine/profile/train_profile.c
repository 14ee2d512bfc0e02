#include "engine/profile/train_profile.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>
#include <tread/info.h>

#include "core/memory.h"
#include "core/options.h"
#include "core/recorder.h"
#include "core/status.h"
#include "engine/profile/bandwidth.h"
#include "engine/profile/peak.h"
#include "engine/profile/step_traffic.h"
#include "optim/optimizer.h"

#define MAX_STEPS 1000000
#define MAX_EVENTS ((size_t)1 << 26)
#define PEAK_SECONDS 0.2
#define BANDWIDTH_SECONDS 0.2
#define FEW_STEPS 20     /* fewer say next to nothing */
#define PEAK_CHANGED 0.1 /* what the machine may differ by from before to after */

tread_profile_train_options tread_profile_train_defaults(void) {
    return (tread_profile_train_options){.size = sizeof(tread_profile_train_options),
                                         .warmup = 20,
                                         .steps = 200,
                                         .measure_machine = true,
                                         .counters = true};
}

const char *tread_profile_ceiling_name(tread_profile_ceiling ceiling) {
    static const char *const names[] = {"none", "arithmetic", "cache", "shared cache", "memory"};
    return (unsigned)ceiling < TREAD_CEILING_COUNT ? names[ceiling] : NULL;
}

static tread_status read_options(const tread_profile_train_options *given, tread_profile_train_options *ret_options) {
    *ret_options = tread_profile_train_defaults();
    TREAD_TRY(tread_options_read("profile train", given, ret_options, sizeof *ret_options));
    if (ret_options->warmup < 0 || ret_options->warmup > MAX_STEPS)
        return tread_fail(TREAD_ERROR_ARGUMENT, "profile train: warmup = %" PRId64 " is outside [0, %d]",
                          ret_options->warmup, MAX_STEPS);
    if (ret_options->steps < 1 || ret_options->steps > MAX_STEPS)
        return tread_fail(TREAD_ERROR_ARGUMENT, "profile train: steps = %" PRId64 " is outside [1, %d]",
                          ret_options->steps, MAX_STEPS);
    if (ret_options->trace_events > MAX_EVENTS)
        return tread_fail(TREAD_ERROR_ARGUMENT, "profile train: trace_events = %zu is more than %zu",
                          ret_options->trace_events, MAX_EVENTS);
    return TREAD_OK;
}

static tread_status check_trainer(const tread_trainer *trainer) {
    if (trainer->running)
        return tread_fail(TREAD_ERROR_STATE, "profile train: the trainer runs already");
    if (trainer->options.optimizer == NULL || trainer->options.train == NULL)
        return tread_fail(TREAD_ERROR_STATE, "profile train: the trainer has no %s, so it can only evaluate",
                          trainer->options.optimizer == NULL ? "optimizer" : "training set");
    return TREAD_OK;
}

/* Everything that the run needs is taken before it. */
static tread_status create(tread_trainer *trainer, const tread_profile_train_options *options,
                           tread_train_profile_private **ret_own) {
    tread_train_profile_private *own = *ret_own = tread_calloc(1, sizeof *own, "profile of a training");
    if (own == NULL)
        return TREAD_ERROR_MEMORY;
    const size_t steps = 2 * (size_t)options->steps;
    own->options = *options;
    own->trainer = trainer;
    own->shown.own = own;
    own->stretch = -1;
    own->shown.threads = tread_context_threads(trainer->context);
    own->steps = tread_calloc(steps, sizeof *own->steps, "steps of a profile");
    own->scratch = tread_calloc(2 * steps, sizeof *own->scratch, "times of a profile");
    own->parts = tread_calloc(TREAD_PROFILE_PARTS, sizeof *own->parts, "parts of a profile");
    own->part_of_row = tread_calloc(TREAD_RECORDER_ROWS + 1, sizeof *own->part_of_row, "parts of a profile by row");
    if (own->steps == NULL || own->scratch == NULL || own->parts == NULL || own->part_of_row == NULL)
        return TREAD_ERROR_MEMORY;
    own->shown.steps = own->steps;
    own->shown.parts = own->parts;
    own->shown.counters = own->counters;
    return tread_recorder_create(own->shown.threads, options->trace_events, &own->recorder);
}

/* What a step of the optimizer moves where every gradient is dense; 0: not counted. */
static double optimizer_bytes(const tread_optimizer *optimizer) {
    double bytes = 0;
    for (size_t g = 0; g < optimizer->n_groups; g++) {
        const tread_param_group *group = &optimizer->groups[g];
        const tread_step_traffic traffic = tread_step_traffic_of(optimizer->type, group->options);
        if (traffic.n_passes == 0)
            return 0;
        for (size_t i = group->first; i < group->first + group->count; i++)
            bytes += (double)traffic.bytes * (double)optimizer->items[i].n;
    }
    return bytes;
}

static tread_status measure_machine(tread_train_profile_private *own, bool later) {
    const tread_context *context = own->trainer->context;
    tread_train_profile *shown = &own->shown;
    shown->peak_bf16_flops = later ? shown->peak_bf16_flops : (double)NAN;
    if (!own->options.measure_machine) {
        shown->peak_flops = shown->peak_flops_later = shown->cache_bandwidth = shown->shared_cache_bandwidth =
            shown->memory_bandwidth = NAN;
        return TREAD_OK;
    }
    if (later) {
        TREAD_TRY(tread_peak_measure(context, TREAD_PRECISION_FLOAT32, PEAK_SECONDS, &shown->peak_flops_later));
        const double ratio = shown->peak_flops_later / shown->peak_flops;
        if (ratio > 1 + PEAK_CHANGED || ratio < 1 / (1 + PEAK_CHANGED))
            tread_noise_say(&shown->warnings, "frequency",
                            "Products ran at %.3g GFLOP/s before the steps and at %.3g after them: the machine's speed "
                            "changed in between.",
                            1e-9 * shown->peak_flops, 1e-9 * shown->peak_flops_later);
        shown->peak_flops = fmax(shown->peak_flops, shown->peak_flops_later);
        return TREAD_OK;
    }
    const size_t l2 = tread_hardware_get()->cache_l2, l3 = tread_hardware_get()->cache_l3;
    shown->cache_bytes = (l2 > 0 ? l2 : (size_t)1 << 18) * (size_t)shown->threads;
    TREAD_TRY(tread_peak_measure(context, TREAD_PRECISION_FLOAT32, PEAK_SECONDS, &shown->peak_flops));
    if (own->trainer->options.precision == TREAD_PRECISION_BF16)
        TREAD_TRY(tread_peak_measure(context, TREAD_PRECISION_BF16, PEAK_SECONDS, &shown->peak_bf16_flops));
    TREAD_TRY(tread_bandwidth_measure(context, tread_traffic_rmw, shown->cache_bytes / 2, BANDWIDTH_SECONDS,
                                      &shown->cache_bandwidth));
    shown->shared_cache_bandwidth = NAN;
    if (l3 >= 2 * shown->cache_bytes) {
        shown->shared_cache_bytes = l3;
        TREAD_TRY(tread_bandwidth_measure(context, tread_traffic_rmw, l3 / 2, BANDWIDTH_SECONDS,
                                          &shown->shared_cache_bandwidth));
    }
    return tread_bandwidth_measure(context, tread_traffic_rmw, tread_bandwidth_enough(), BANDWIDTH_SECONDS,
                                   &shown->memory_bandwidth);
}

static void count_trace(tread_train_profile_private *own) {
    for (int lane = 0; own->options.trace_events > 0 && lane < tread_recorder_lanes(own->recorder); lane++) {
        const tread_time_span_lane events = tread_recorder_lane(own->recorder, lane);
        own->shown.n_trace_events += events.n;
        own->shown.n_trace_dropped += events.dropped;
    }
}

static void read_counters(tread_train_profile_private *own) {
    tread_train_profile *shown = &own->shown;
    shown->instructions_per_cycle = NAN;
    if (own->counting == NULL)
        return;
    tread_counters_read(own->counting, own->n_counted, own->counters);
    shown->n_counters = TREAD_N_COUNTERS;
    const tread_profile_counter *cycles = &own->counters[TREAD_COUNT_CYCLES];
    const tread_profile_counter *instructions = &own->counters[TREAD_COUNT_INSTRUCTIONS];
    if (cycles->available && instructions->available && cycles->total > 0)
        shown->instructions_per_cycle = instructions->total / cycles->total;
}

static tread_status run(tread_train_profile_private *own) {
    tread_train_profile *shown = &own->shown;
    tread_noise_watch watch;
    own->call_began = tread_clock_seconds();
    tread_train_profile_report(own);
    TREAD_TRY(measure_machine(own, false)); /* starts the context's threads, which are then counted */
    if (own->options.counters)
        TREAD_TRY(tread_counters_open(NULL, "", &own->counting));
    own->watch = &watch;
    tread_noise_begin(&watch, "");
    tread_noise_look(&watch);
    tread_status status = tread_train_profile_run(own);
    tread_noise_look(&watch);
    shown->noise = tread_noise_end(&watch);
    TREAD_TRY(status);
    if (own->n_done[0] == 0 || own->n_done[1] == 0)
        return tread_fail(TREAD_ERROR_STATE,
                          "profile train: the run was ended after %" PRId64 " steps of warming up and %" PRId64
                          " that were measured",
                          own->warmed_up, own->n_done[0] + own->n_done[1]);
    TREAD_TRY(measure_machine(own, true));
    tread_system_info info = tread_system_info_defaults();
    TREAD_TRY(tread_info(own->trainer->context, &info));
    tread_noise_warn(&shown->noise, &shown->warnings);
    tread_noise_warn_threads(&info, shown->threads, &shown->warnings);
    shown->n_steps = own->n_done[0] < own->n_done[1] ? own->n_done[0] : own->n_done[1];
    shown->interrupted = own->n_done[0] < own->options.steps || own->n_done[1] < own->options.steps;
    shown->warmup = own->warmed_up;
    read_counters(own);
    count_trace(own);
    tread_train_profile_fill_times(own);
    if (shown->n_steps < FEW_STEPS) {
        shown->overhead = shown->overhead_lower = shown->overhead_upper = NAN;
        tread_noise_say(&shown->warnings, "steps",
                        "Only %" PRId64
                        " steps were recorded: chance is in every figure, and what recording costs cannot "
                        "be told from it.",
                        shown->n_steps);
    }
    tread_train_profile_fill_parts(own);
    return TREAD_OK;
}

/* Samples of a step that is not an epoch's last. */
static int64_t full_step(const tread_trainer *trainer) {
    const int64_t full = tread_batches_batch_size(trainer->options.train) * trainer->options.accumulate;
    const int64_t all = tread_batches_samples(trainer->options.train);
    return full < all ? full : all;
}

tread_status tread_profile_train(tread_trainer *trainer, const tread_profile_train_options *options,
                                 tread_train_profile **ret_profile) {
    tread_profile_train_options chosen;
    TREAD_REFUSE_NULL("profile train", trainer);
    TREAD_REFUSE_NULL("profile train: ret_profile", ret_profile);
    TREAD_TRY(read_options(options, &chosen));
    TREAD_TRY(check_trainer(trainer));
    tread_train_profile_private *own = NULL;
    tread_status status = create(trainer, &chosen, &own);
    if (status == TREAD_OK) {
        own->shown.batch_samples = full_step(trainer);
        own->optimizer = trainer->options.optimizer->type->table.name;
        own->optimizer_bytes = optimizer_bytes(trainer->options.optimizer);
        status = run(own);
        tread_counters_close(own->counting);
        own->counting = NULL;
    }
    if (status != TREAD_OK) {
        tread_train_profile_destroy(own != NULL ? &own->shown : NULL);
        return status;
    }
    *ret_profile = &own->shown;
    return TREAD_OK;
}

void tread_train_profile_destroy(tread_train_profile *profile) {
    if (profile == NULL)
        return;
    tread_train_profile_private *own = profile->own;
    tread_recorder_destroy(own->recorder);
    tread_free(own->steps);
    tread_free(own->scratch);
    tread_free(own->parts);
    tread_free(own->part_of_row);
    tread_free(own);
}
