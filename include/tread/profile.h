/* Layer: engine. Profilers: where the time of a step goes, and what bounds it on this machine. */
#ifndef TREAD_PROFILE_H
#define TREAD_PROFILE_H

#include <stdbool.h>
#include <tread/context.h>

TREAD_BEGIN_DECLS

/* ---- What spoils a measurement ---- */

/* What went on beside a measurement. NAN: the system does not say. */
typedef struct tread_profile_noise {
    double seconds;            /* how long it was looked at */
    double load;               /* processes that wanted to run beside this one when it began, from /proc/loadavg */
    double neighbours;         /* CPUs' worth of time that other programs took of the CPUs that this process may use */
    double steal;              /* share of those CPUs' time that the hypervisor gave to other machines, in [0, 1] */
    double throttled_periods;  /* how often a control group's quota stopped this process, */
    double throttled_seconds;  /* and for how long in all */
    double frequency_least;    /* the CPUs' mean frequency in Hz where the kernel tells it: least and greatest */
    double frequency_greatest; /* of what was seen */
    double loop_fastest; /* seconds that a loop of fixed length in registers took when it was fastest and slowest: */
    double loop_slowest; /* their ratio is the change in frequency, or the time that something else ran */
} tread_profile_noise;

/* In whole sentences, each with a word for programs: "neighbours", "steal", "throttled", "frequency", "threads",
 * "cores", "quota", "spin", "spread", "law", "steps". */
#define TREAD_PROFILE_MAX_WARNINGS 12
typedef struct tread_profile_warning {
    char kind[16];
    char text[256];
} tread_profile_warning;
typedef struct tread_profile_warnings {
    size_t count;
    tread_profile_warning items[TREAD_PROFILE_MAX_WARNINGS];
} tread_profile_warnings;

/* ---- How speed follows threads ---- */

/* The experimentally determined serial fraction e = (1/s - 1/p) / (1 - 1/p) of a speed-up s on p threads: by Amdahl's
 * law the share of the work that is not parallel; where it grows with p, the reason is overhead. (Karp and Flatt 1990,
 * "Measuring parallel processor performance", CACM 33(5).) NAN where threads < 2 or speedup <= 0. */
TREAD_API double tread_profile_karp_flatt(double speedup, int threads);

/* Laws fitted to times by least squares of the relative differences in time:
 *     Amdahl:                speedup(p) = p / (1 + sigma (p - 1))
 *     Universal Scalability: speedup(p) = p / (1 + sigma (p - 1) + kappa p (p - 1))
 * sigma is contention (what is serial), kappa coherency (what every thread waits for of every other), neither below 0.
 * (Amdahl 1967, AFIPS 30; Gunther 1993, "A simple capacity model of massively parallel transaction systems", CMG.) */
typedef struct tread_scaling_law {
    size_t points;       /* thread counts that it was fitted to, 1 among them */
    double sigma, kappa; /* of the Universal Scalability Law */
    double sigma_error;  /* standard errors; NAN where the parameter stands at 0, its bound, */
    double kappa_error;  /* or no point is left to tell */
    double r_squared;    /* 1 - (sum of squared differences in speed-up) / (the same from the mean); NAN where all
                            speed-ups are the same and the law misses them */
    double peak_threads; /* where the law's speed-up is greatest; INFINITY where it rises without end */
    double peak_speedup; /* there; INFINITY likewise, where sigma is 0 too */
    double amdahl_sigma, amdahl_error, amdahl_r_squared;
} tread_scaling_law;
/* From n times, of which [i] is with threads[i]. TREAD_ERROR_ARGUMENT: fewer than four thread counts, one of them there
 * twice or below 1, none of them 1, a time that is not positive and finite. */
TREAD_API tread_status tread_profile_fit_scaling(const int *threads, const double *seconds, size_t n,
                                                 tread_scaling_law *ret_law);

/* ---- Optimizers ---- */

/* What most of a step's time goes to; docs/profiling.md has the rule. */
typedef enum tread_profile_bound {
    TREAD_BOUND_UNKNOWN = 0,    /* the algorithm's traffic is not counted */
    TREAD_BOUND_MEMORY = 1,     /* moving its arrays from and to memory */
    TREAD_BOUND_CACHE = 2,      /* the same, faster than memory could */
    TREAD_BOUND_ARITHMETIC = 3, /* computing takes longer than moving */
    TREAD_BOUND_FORK = 4,       /* sharing the work out among threads */
    TREAD_BOUND_OTHER = 5,      /* none of these explains it: bookkeeping for each tensor, uneven parts, noise */
    TREAD_BOUND_ONE_THREAD = 6, /* it is too little work to be shared out: of several threads one did all of it */
} tread_profile_bound;
#define TREAD_BOUND_COUNT 7
TREAD_API const char *tread_profile_bound_name(tread_profile_bound bound); /* "memory"; static; NULL if there is none */

typedef struct tread_profile_progress {
    const char *layout;
    size_t layout_index, n_layouts;
    int round, rounds; /* 0: warming up */
    double seconds;    /* since the call began */
} tread_profile_progress;
/* Before every sample; false ends the measurement, with what there is. */
typedef bool tread_profile_progress_fn(void *data, const tread_profile_progress *progress);

#define TREAD_PROFILE_MAX_NAMES 64 /* optimizers, and layouts */
typedef struct tread_profile_optimizer_options {
    size_t size; /* sizeof, set by tread_profile_optimizer_defaults() */
    /* Specs as tread_optimizer_from_spec() takes them [NULL: sgd, sgd:momentum=0.9, adam, lamb]. With muon, what it is
     * not for goes to AdamW. Not lbfgs, whose step is mostly its closure. */
    const char *const *optimizers;
    size_t n_optimizers;
    /* Which tensors there are [NULL: big:16Mi, equal:256x64Ki, tiny:10000x256, mlp:784-512-256-10]:
     *     big:N            one tensor of N elements (4096, 1000k, 16Mi; k, M, G, T, Ki, Mi, Gi, Ti)
     *     equal:COUNTxN    COUNT tensors of N elements; tiny:COUNTxN is a synonym, for results to say what is looked
     * for mlp:A-B-...-Z    weights and biases of a multi-layer perceptron sizes:N+N+...    any tensors; COUNTxN stands
     * for several */
    const char *const *layouts;
    size_t n_layouts;
    const int *threads; /* [NULL: 1, 2, 4, ... below the context's thread count, and that; of 4: 1, 2, 3, 4] */
    size_t n_threads;
    int rounds;          /* [11] samples of each row, 1..1000 */
    double seconds;      /* [90] ends after a whole round when so many have passed, but not before one; 0: no limit */
    size_t memory_bytes; /* a working set that no cache holds [0: eight times the last cache, at least 256 MiB] */
    tread_profile_progress_fn *progress; /* [NULL] */
    void *progress_data;
} tread_profile_optimizer_options;
TREAD_API tread_profile_optimizer_options tread_profile_optimizer_defaults(void);

/* One optimizer on one layout with one thread count. Times are in seconds of one step. NAN: not known. */
typedef struct tread_profile_row {
    size_t optimizer, layout; /* into the result's lists */
    int threads;
    int steps_per_sample; /* a sample is the mean of so many steps */
    size_t n_samples;
    const double *samples; /* in the order of the rounds */
    int regions; /* parallel regions of a step, counted in one; -1: not known (products may fork in oneDNN). Where
                    threads > 1 and this is 0, the bound is ONE_THREAD, and all that is measured with several threads
                    or compares them is NAN. */
    double median, lower_quartile, upper_quartile;
    double mad;                  /* NAN of one sample */
    double ns_per_parameter;     /* from the median, as all that follows */
    double bytes_per_second;     /* by the optimizer's bytes_per_parameter */
    double rmw_bytes_per_second; /* of reading and writing in place, over as large a working set with as many threads */
    double memory_bytes_per_second;              /* the same over a working set that no cache holds */
    double bandwidth_share;                      /* bytes_per_second / rmw_bytes_per_second */
    double speedup, efficiency, serial_fraction; /* against the row of 1 thread; tread_profile_karp_flatt() */
    double traffic_seconds;    /* the optimizer's own reads and writes without its arithmetic, from one flat array */
    double arithmetic_seconds; /* as many parameters, one thread, in the cache, divided by the threads */
    double fork_seconds;       /* of as many parallel regions, empty */
    tread_profile_bound bound;
} tread_profile_row;

typedef struct tread_profile_optimizer_info {
    const char *spec;
    int bytes_per_parameter; /* moved by a step: each pass reads an array once, and writes it once where it changes it;
                                0: not counted (Muon's matrix products) */
    int arrays;              /* floats per parameter that are held: parameter, gradient, state */
    int regions;             /* passes, each of which is a parallel region where it is worth one; 0: not counted */
} tread_profile_optimizer_info;

typedef struct tread_profile_layout_info {
    const char *text;
    int64_t tensors, parameters;
} tread_profile_layout_info;

/* The scaling of one optimizer on one layout. */
typedef struct tread_profile_scaling {
    size_t optimizer, layout;
    tread_scaling_law law;
} tread_profile_scaling;

typedef struct tread_profile_optimizer_result {
    const tread_profile_optimizer_info *optimizers;
    size_t n_optimizers;
    const tread_profile_layout_info *layouts;
    size_t n_layouts;
    const int *threads; /* ascending */
    size_t n_threads;
    const tread_profile_row *rows; /* by layout, then optimizer, then threads; without those that were not reached */
    size_t n_rows;
    const tread_profile_scaling *scalings; /* where there were four thread counts, 1 among them, on CPUs of their own */
    size_t n_scalings;
    double seconds;   /* of the whole call */
    bool interrupted; /* progress ended it */
    bool out_of_time; /* fewer rounds than asked for, because of options.seconds */
    tread_profile_noise noise;
    tread_profile_warnings warnings;
} tread_profile_optimizer_result;

/* Measures steps with gradients that are there already. Within a layout all optimizers and thread counts take turns in
 * every round, beside loops of plain memory traffic, in an order that rotates; layouts follow one another. context
 * (NULL: the default) says which thread count is the greatest by default. *ret_result is the caller's, who destroys it.
 *
 * TREAD_ERROR_ARGUMENT: a spec, a layout, a number out of range (the sentence says what is allowed); a thread count
 * that is there twice, or above 1 in a build without OpenMP. TREAD_ERROR_SHAPE: the algorithm does not take a layout's
 * tensors. TREAD_ERROR_MEMORY: also where a layout needs more memory than there is, before any is taken. Progress that
 * ends the call is no error. */
TREAD_API tread_status tread_profile_optimizer(const tread_context *context,
                                               const tread_profile_optimizer_options *options,
                                               tread_profile_optimizer_result **ret_result);
TREAD_API void tread_profile_optimizer_destroy(tread_profile_optimizer_result *result); /* NULL is accepted */

TREAD_END_DECLS

#endif
