/* Layer: engine. The kernel's counters of what the process does (perf_event_open(2)), all of its threads together.
 *
 * Each thread that there is when they are opened is counted by itself, and threads that those begin later are counted
 * with them. */
#ifndef TREAD_ENGINE_PROFILE_COUNTERS_H
#define TREAD_ENGINE_PROFILE_COUNTERS_H

#include <linux/perf_event.h>
#include <sys/types.h>
#include <tread/profile_train.h>

enum {
    TREAD_COUNT_CYCLES,
    TREAD_COUNT_INSTRUCTIONS,
    TREAD_COUNT_CACHE_MISSES,
    TREAD_COUNT_BRANCH_MISSES,
    TREAD_COUNT_CONTEXT_SWITCHES,
    TREAD_COUNT_PAGE_FAULTS,
    TREAD_N_COUNTERS
};

/* The kernel, or what a test puts in its place. */
typedef struct tread_counters_kernel {
    /* As perf_event_open for one thread: a file, or -1 with errno. */
    int (*open)(struct perf_event_attr *attributes, pid_t thread);
    int (*control)(int file, unsigned long request);
    /* value, time enabled and time running, in ns, since it was opened. False with errno. */
    bool (*read)(int file, uint64_t ret_numbers[3]);
    void (*close)(int file);
} tread_counters_kernel;

typedef struct tread_counters tread_counters;

/* What the kernel refuses is not counted; tread_counters_read() says why. kernel NULL: the system's; root stands before
 * /proc: "" but for tests. TREAD_ERROR_MEMORY. They are off at first. */
tread_status tread_counters_open(const tread_counters_kernel *kernel, const char *root, tread_counters **ret_counters);
void tread_counters_close(tread_counters *counters); /* NULL is accepted */

void tread_counters_switch(tread_counters *counters, bool on);
/* Fills in what was counted while they were on, and, for n_steps > 0, that by step. */
void tread_counters_read(const tread_counters *counters, int64_t n_steps,
                         tread_profile_counter ret_counters[TREAD_N_COUNTERS]);

#endif
