/* Layer: core. How many threads a context uses, and why. */
#ifndef TREAD_CORE_THREAD_COUNT_H
#define TREAD_CORE_THREAD_COUNT_H

#include <stdbool.h>
#include <tread/status.h>

#define TREAD_MAX_THREADS 1024

typedef struct tread_thread_count {
    int threads;
    bool crowded; /* there are more than CPUs for them */
    char reason[128];
} tread_thread_count;

/* An explicit number wins: option (0: none), TREAD_NUM_THREADS, OMP_NUM_THREADS; else the machine's. A build without
 * OpenMP has 1 thread whatever is asked for. TREAD_ERROR_ARGUMENT: option or a variable outside 1..1024. */
tread_status tread_thread_count_decide(int option, tread_thread_count *ret_count);

/* For tests, which try out more threads than this machine has CPUs: whether counts decided from now on may be crowded.
 * At first they may. */
void tread_thread_count_may_be_crowded(bool may);

/* The machine's: the least of allowed CPUs, quota (0: none) rounded up, and cores among the allowed; online is for
 * the reason alone. */
tread_thread_count tread_thread_count_of_machine(int allowed, int online, int cores, double quota);

#endif
