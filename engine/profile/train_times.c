#include <math.h>
#include <string.h>

#include "engine/profile/statistics.h"
#include "engine/profile/train_profile.h"

#define SLOW 1.1  /* times the median */
#define FAR_OUT 3 /* times the distance of the quartiles: Tukey, "Exploratory Data Analysis" (1977) */

tread_profile_times tread_profile_times_of(const double *seconds, size_t n, double *scratch) {
    if (n == 0)
        return (tread_profile_times){0, NAN, NAN, NAN, NAN, NAN, NAN, NAN, NAN, NAN};
    double sum = 0;
    memcpy(scratch, seconds, n * sizeof *scratch);
    tread_sort(scratch, n);
    for (size_t i = 0; i < n; i++)
        sum += scratch[i];
    return (tread_profile_times){.n = (int64_t)n,
                                 .least = scratch[0],
                                 .p5 = tread_quantile_of_sorted(scratch, n, 0.05),
                                 .lower_quartile = tread_quantile_of_sorted(scratch, n, 0.25),
                                 .median = tread_quantile_of_sorted(scratch, n, 0.5),
                                 .upper_quartile = tread_quantile_of_sorted(scratch, n, 0.75),
                                 .p95 = tread_quantile_of_sorted(scratch, n, 0.95),
                                 .p99 = tread_quantile_of_sorted(scratch, n, 0.99),
                                 .greatest = scratch[n - 1],
                                 .mean = sum / (double)n};
}

/* Where all times are alike, all lie in the first bin. */
tread_profile_histogram tread_profile_histogram_of(const double *seconds, size_t n, const tread_profile_times *times) {
    tread_profile_histogram h = {.low = times->least, .width = (times->p99 - times->least) / TREAD_PROFILE_BINS};
    for (size_t i = 0; i < n; i++) {
        if (seconds[i] > times->p99) {
            h.above++;
            continue;
        }
        const int bin = h.width > 0 ? (int)((seconds[i] - h.low) / h.width) : 0;
        h.counts[bin < TREAD_PROFILE_BINS ? bin : TREAD_PROFILE_BINS - 1]++;
    }
    return h;
}

/* A smaller batch is other work: it has no place in a distribution. */
static bool is_full(const tread_profile_step *step) { return (step->events & TREAD_STEP_SMALLER_BATCH) == 0; }

static size_t gather(const tread_train_profile_private *own, bool recorded, bool full, double *ret_seconds) {
    size_t n = 0;
    for (size_t i = 0; i < own->shown.n_all_steps; i++)
        if (own->steps[i].recorded == recorded && is_full(&own->steps[i]) == full)
            ret_seconds[n++] = own->steps[i].seconds;
    return n;
}

static void find_outliers(tread_train_profile_private *own) {
    const tread_profile_times *times = &own->shown.times;
    const double far = times->upper_quartile + FAR_OUT * (times->upper_quartile - times->lower_quartile);
    const double limit = fmax(far, SLOW * times->median);
    for (size_t i = 0; i < own->shown.n_all_steps; i++) {
        tread_profile_step *step = &own->steps[i];
        step->is_outlier = !step->recorded && is_full(step) && step->seconds > limit;
        own->shown.n_outliers += step->is_outlier;
    }
}

/* Each stretch against the one before it: what is slow for a while falls on both. */
static void compare_stretches(tread_train_profile_private *own) {
    double *seconds = own->scratch, *ratios = own->scratch + own->shown.n_all_steps;
    double last = NAN, room[2 * TREAD_PROFILE_STRETCH];
    size_t n = 0, n_ratios = 0;
    tread_train_profile *shown = &own->shown;
    for (size_t i = 0; i < shown->n_all_steps; i++) {
        const tread_profile_step *step = &own->steps[i];
        if (is_full(step) && n < 2 * TREAD_PROFILE_STRETCH) /* two stretches alike may follow each other */
            seconds[n++] = step->seconds;
        if (i + 1 < shown->n_all_steps && own->steps[i + 1].recorded == step->recorded)
            continue;
        const double median = tread_profile_times_of(seconds, n, room).median;
        if (!isnan(last) && !isnan(median))
            ratios[n_ratios++] = step->recorded ? median / last : last / median;
        last = median;
        n = 0;
    }
    shown->overhead = shown->recorded_times.median / shown->times.median - 1;
    shown->overhead_lower = shown->overhead_upper = NAN;
    if (n_ratios > 1) {
        tread_sort(ratios, n_ratios);
        shown->overhead = tread_quantile_of_sorted(ratios, n_ratios, 0.5) - 1;
        shown->overhead_lower = tread_quantile_of_sorted(ratios, n_ratios, 0.25) - 1;
        shown->overhead_upper = tread_quantile_of_sorted(ratios, n_ratios, 0.75) - 1;
    }
}

void tread_train_profile_fill_times(tread_train_profile_private *own) {
    tread_train_profile *shown = &own->shown;
    double *seconds = own->scratch, *room = own->scratch + shown->n_all_steps;
    size_t n = gather(own, false, false, seconds);
    shown->smaller_times = tread_profile_times_of(seconds, n, room);
    n = gather(own, true, true, seconds);
    shown->recorded_times = tread_profile_times_of(seconds, n, room);
    n = gather(own, false, true, seconds);
    shown->times = tread_profile_times_of(seconds, n, room);
    shown->histogram = tread_profile_histogram_of(seconds, n, &shown->times);
    shown->samples_per_second = (double)shown->batch_samples / shown->times.median;
    find_outliers(own);
    compare_stretches(own);
}
