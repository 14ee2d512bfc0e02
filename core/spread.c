#include "core/spread.h"

#include <sched.h>
#include <time.h>

#define REST_NS 5000000

static uint64_t now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC_COARSE, &time);
    return (uint64_t)time.tv_sec * 1000000000U + (uint64_t)time.tv_nsec;
}

static bool is_taken(tread_spread *spread, int cpu) {
    return atomic_load_explicit(&spread->taken[cpu / 64], memory_order_relaxed) >> cpu % 64 & 1;
}

/* To any CPU that is allowed to the thread and not taken. */
static bool leave(tread_spread *spread) {
    cpu_set_t allowed, elsewhere;
    if (sched_getaffinity(0, sizeof allowed, &allowed) != 0)
        return false;
    CPU_ZERO(&elsewhere);
    for (int cpu = 0; cpu < TREAD_SPREAD_CPUS; cpu++)
        if (CPU_ISSET(cpu, &allowed) && !is_taken(spread, cpu))
            CPU_SET(cpu, &elsewhere);
    if (CPU_COUNT(&elsewhere) == 0 || sched_setaffinity(0, sizeof elsewhere, &elsewhere) != 0)
        return false;
    sched_setaffinity(0, sizeof allowed, &allowed); /* cannot fail where the narrower one did not */
    return true;
}

bool tread_spread_out(tread_spread *spread) {
    static _Thread_local uint64_t last;
    int cpu = sched_getcpu();
    if (cpu < 0 || cpu >= TREAD_SPREAD_CPUS)
        return false;
    uint64_t bit = UINT64_C(1) << cpu % 64;
    if ((atomic_fetch_or_explicit(&spread->taken[cpu / 64], bit, memory_order_relaxed) & bit) == 0)
        return false;
    uint64_t time = now();
    if (time - last < REST_NS)
        return false;
    last = time;
    return leave(spread);
}
