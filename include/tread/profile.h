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
 * "cores", "quota", "spin", "spread". */
#define TREAD_PROFILE_MAX_WARNINGS 12
typedef struct tread_profile_warning {
    char kind[16];
    char text[256];
} tread_profile_warning;
typedef struct tread_profile_warnings {
    size_t count;
    tread_profile_warning items[TREAD_PROFILE_MAX_WARNINGS];
} tread_profile_warnings;

TREAD_END_DECLS

#endif
