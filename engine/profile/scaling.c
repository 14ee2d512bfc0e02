#include <math.h>
#include <tread/profile.h>

#include "core/status.h"

double tread_profile_karp_flatt(double speedup, int threads) {
    if (threads < 2 || !(speedup > 0))
        return NAN;
    const double per_thread = 1.0 / threads;
    return (1 / speedup - per_thread) / (1 - per_thread);
}

static tread_status check(const int *threads, const double *seconds, size_t n, double *ret_alone) {
    if (n < 4)
        return tread_fail(TREAD_ERROR_ARGUMENT, "scaling law: %zu thread counts are too few, four are needed", n);
    *ret_alone = 0;
    for (size_t i = 0; i < n; i++) {
        if (threads[i] < 1)
            return tread_fail(TREAD_ERROR_ARGUMENT, "scaling law: threads[%zu] = %d is below 1", i, threads[i]);
        if (!(seconds[i] > 0) || !isfinite(seconds[i]))
            return tread_fail(TREAD_ERROR_ARGUMENT, "scaling law: seconds[%zu] = %g is not positive and finite", i,
                              seconds[i]);
        for (size_t j = 0; j < i; j++)
            if (threads[i] == threads[j])
                return tread_fail(TREAD_ERROR_ARGUMENT, "scaling law: %d threads are there twice", threads[i]);
        if (threads[i] == 1)
            *ret_alone = seconds[i];
    }
    if (*ret_alone == 0)
        return tread_fail(TREAD_ERROR_ARGUMENT, "scaling law: the time with 1 thread is missing");
    return TREAD_OK;
}

/* With s = t(1) / t(p) both laws say p / s = 1 + sigma (p - 1) + kappa p (p - 1), which is linear in what is sought.
 * Divided by p / s the differences are relative ones in time: each point weighs alike, as its measurement does. */
typedef struct sums {
    double aa, ab, bb, ay, by, yy;
    double points; /* but the one of 1 thread, which says nothing */
} sums;

static sums add_up(const int *threads, const double *seconds, size_t n, double alone) {
    sums s = {0};
    for (size_t i = 0; i < n; i++) {
        if (threads[i] == 1)
            continue;
        const double p = threads[i], relative = p * seconds[i] / alone;
        const double a = (p - 1) / relative, b = p * (p - 1) / relative, y = 1 - 1 / relative;
        s.aa += a * a, s.ab += a * b, s.bb += b * b, s.ay += a * y, s.by += b * y, s.yy += y * y;
        s.points++;
    }
    return s;
}

typedef struct fit {
    double sigma, kappa, sigma_error, kappa_error;
} fit;

static double residual(const sums *s, double sigma, double kappa) {
    const double sum = s->yy - 2 * (sigma * s->ay + kappa * s->by) + sigma * sigma * s->aa + 2 * sigma * kappa * s->ab +
                       kappa * kappa * s->bb;
    return sum > 0 ? sum : 0; /* rounding may leave it just below */
}

/* One parameter alone, the other at 0. */
static fit fit_one(const sums *s, bool is_sigma) {
    const double square = is_sigma ? s->aa : s->bb, product = is_sigma ? s->ay : s->by;
    const double value = product > 0 ? product / square : 0;
    const double left = residual(s, is_sigma ? value : 0, is_sigma ? 0 : value);
    const double error = value > 0 && s->points > 1 ? sqrt(left / (s->points - 1) / square) : NAN;
    return is_sigma ? (fit){value, 0, error, NAN} : (fit){0, value, NAN, error};
}

/* Where the best pair has a negative one, the best that is allowed has a zero. */
static fit fit_both(const sums *s) {
    const double determinant = s->aa * s->bb - s->ab * s->ab;
    const fit best = {.sigma = (s->ay * s->bb - s->by * s->ab) / determinant,
                      .kappa = (s->by * s->aa - s->ay * s->ab) / determinant};
    if (!(best.sigma >= 0) || !(best.kappa >= 0)) {
        const fit a = fit_one(s, true), b = fit_one(s, false);
        return residual(s, a.sigma, 0) <= residual(s, 0, b.kappa) ? a : b;
    }
    const double variance = s->points > 2 ? residual(s, best.sigma, best.kappa) / (s->points - 2) : NAN;
    return (fit){best.sigma, best.kappa, sqrt(variance * s->bb / determinant), sqrt(variance * s->aa / determinant)};
}

static double law(double p, double sigma, double kappa) { return p / (1 + sigma * (p - 1) + kappa * p * (p - 1)); }

static double r_squared(const int *threads, const double *seconds, size_t n, double alone, const fit *f) {
    double mean = 0, missed = 0, spread = 0;
    for (size_t i = 0; i < n; i++)
        mean += alone / seconds[i] / (double)n;
    for (size_t i = 0; i < n; i++) {
        const double s = alone / seconds[i], m = s - law(threads[i], f->sigma, f->kappa);
        missed += m * m;
        spread += (s - mean) * (s - mean);
    }
    return spread > 0 ? 1 - missed / spread : missed > 0 ? NAN : 1;
}

tread_status tread_profile_fit_scaling(const int *threads, const double *seconds, size_t n,
                                       tread_scaling_law *ret_law) {
    TREAD_REFUSE_NULL("scaling law", threads);
    TREAD_REFUSE_NULL("scaling law", seconds);
    TREAD_REFUSE_NULL("scaling law", ret_law);
    double alone = 0;
    TREAD_TRY(check(threads, seconds, n, &alone));
    const sums s = add_up(threads, seconds, n, alone);
    const fit usl = fit_both(&s), amdahl = fit_one(&s, true);
    tread_scaling_law l = {
        .points = n,
        .sigma = usl.sigma,
        .kappa = usl.kappa,
        .sigma_error = usl.sigma_error,
        .kappa_error = usl.kappa_error,
        .r_squared = r_squared(threads, seconds, n, alone, &usl),
        .peak_threads = INFINITY,
        .peak_speedup = usl.sigma > 0 ? 1 / usl.sigma : INFINITY,
        .amdahl_sigma = amdahl.sigma,
        .amdahl_error = amdahl.sigma_error,
        .amdahl_r_squared = r_squared(threads, seconds, n, alone, &amdahl),
    };
    if (usl.kappa > 0) {
        l.peak_threads = usl.sigma < 1 ? fmax(1, sqrt((1 - usl.sigma) / usl.kappa)) : 1;
        l.peak_speedup = law(l.peak_threads, usl.sigma, usl.kappa);
    } else if (usl.sigma >= 1) {
        l.peak_threads = l.peak_speedup = 1;
    }
    *ret_law = l;
    return TREAD_OK;
}
