/* Layer: engine. The rule that names what bounds a step. */
#ifndef TREAD_ENGINE_PROFILE_BOUND_H
#define TREAD_ENGINE_PROFILE_BOUND_H

#include <tread/profile.h>

/* All measured in one run, in seconds a step. */
typedef struct tread_bound_figures {
    int threads;
    double step;        /* with these threads, */
    double alone;       /* and with one; NAN: not measured */
    double fork;        /* the step's regions, empty; 0 with one thread */
    double traffic;     /* its reads and writes, without arithmetic */
    double arithmetic;  /* its share of the whole step in the cache */
    double rmw_rate;    /* read-modify-write in bytes a second: over the step's working set, */
    double memory_rate; /* and over one that no cache holds */
} tread_bound_figures;

/* The rule's limits. */
#define TREAD_BOUND_FORK_SHARE 0.25 /* of the step, or of the step of one thread perfectly shared out */
#define TREAD_BOUND_EXPLAINED 0.6   /* the greatest part must explain so much of the step */
#define TREAD_BOUND_SLOWER 1.1      /* arithmetic counts where it takes so many times what traffic takes */
#define TREAD_BOUND_CACHE_RATE 1.3  /* a cache is what is so many times as fast as memory */

/* 1. fork: the fork takes a quarter or more of the step, or would of one shared out perfectly.
 * 2. other: neither traffic nor arithmetic, with the fork, explains three fifths of the step.
 * 3. arithmetic: it takes more than 1.1 times what traffic takes.
 * 4. cache: the working set moves 1.3 times as fast as memory or faster; else memory. */
tread_profile_bound tread_bound_of(const tread_bound_figures *f);

#endif
