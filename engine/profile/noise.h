/* Layer: engine. What spoils a measurement: busy neighbours, a hypervisor that takes time, quotas, a frequency that
 * changes, more threads than CPUs.
 *
 *     tread_noise_watch watch;
 *     tread_noise_begin(&watch, "");
 *     ... measure, with tread_noise_look(&watch) between rounds ...
 *     tread_profile_noise noise = tread_noise_end(&watch);
 *     tread_noise_warn(&noise, &warnings); */
#ifndef TREAD_ENGINE_PROFILE_NOISE_H
#define TREAD_ENGINE_PROFILE_NOISE_H

#include <tread/info.h>
#include <tread/profile.h>

#include "core/topology.h"

/* Time that the allowed CPUs have spent since the system began, in seconds of one CPU. */
typedef struct tread_cpu_times {
    bool known;
    double busy, stolen;
} tread_cpu_times;

typedef struct tread_noise_watch {
    char root[256]; /* before every path: "" but for tests */
    tread_cpu_set cpus;
    double began;
    double own; /* seconds of CPU time of this process when it began */
    tread_cpu_times times;
    tread_throttling throttling;
    tread_profile_noise noise;
} tread_noise_watch;

void tread_noise_begin(tread_noise_watch *watch, const char *root);
/* Takes about a millisecond: frequency and the fixed loop. */
void tread_noise_look(tread_noise_watch *watch);
tread_profile_noise tread_noise_end(tread_noise_watch *watch);

/* From these on, something is said. */
#define TREAD_NOISE_NEIGHBOURS 0.05 /* CPUs, */
#define TREAD_NOISE_LEAST 0.05      /* seconds that they must have taken, since the kernel counts in ticks */
#define TREAD_NOISE_STEAL 0.01
#define TREAD_NOISE_FREQUENCY 1.03 /* greatest to least */
#define TREAD_NOISE_LOOP 1.1       /* slowest to fastest */

/* Adds a sentence; one too many is dropped. kind: see profile.h. */
void tread_noise_say(tread_profile_warnings *warnings, const char *kind, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* Adds what is wrong with these figures. */
void tread_noise_warn(const tread_profile_noise *noise, tread_profile_warnings *warnings);
/* Adds what is wrong with so many threads on this machine, as `tread info` sees it. */
void tread_noise_warn_threads(const tread_system_info *info, int threads, tread_profile_warnings *warnings);

#endif
