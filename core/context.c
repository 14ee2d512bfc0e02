#include "core/context.h"

#include <sched.h>

static int affinity_count(void) {
    cpu_set_t set;
    return sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
}

/* Threads of the default context; contexts of their own are not made yet. */
int tread_context_threads(const tread_context *context) {
    (void)context;
    static int count;
    if (count == 0)
        count = affinity_count();
    return count;
}
