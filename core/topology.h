/* Layer: core. What the machine gives this process: CPUs, physical cores, the control group's quota, caches.
 *
 * The thread count reads the system's files itself, since loading hwloc's topology takes 4 ms with two CPUs and more
 * with each; hwloc serves what only `tread info` shows. */
#ifndef TREAD_CORE_TOPOLOGY_H
#define TREAD_CORE_TOPOLOGY_H

#include <sched.h>
#include <stdbool.h>
#include <stddef.h>

#define TREAD_MAX_CPUS 8192
typedef struct tread_cpu_set {
    cpu_set_t words[TREAD_MAX_CPUS / CPU_SETSIZE];
} tread_cpu_set;

/* The CPUs that this process may use: the calling thread's affinity mask, or all that are online where OMP_PROC_BIND
 * has narrowed that to one place. */
void tread_cpus_allowed(tread_cpu_set *ret_cpus);
int tread_cpus_count(const tread_cpu_set *cpus);

/* In what follows root stands before every path: "" but for tests. */

/* Reads "0-3,8" (a kernel's list of CPUs) from a file; empty where it cannot be read. */
void tread_cpus_read(const char *root, const char *path, tread_cpu_set *ret_cpus);
/* Cores with at least one of cpus; a CPU whose core is not known counts as one. */
int tread_cpus_cores(const char *root, const tread_cpu_set *cpus);
/* CPUs' worth of time that the tightest control group above this process grants (v2 cpu.max, v1 cpu.cfs_quota_us);
 * 0: no limit. */
double tread_cgroup_quota(const char *root);
/* How often, and how long, those quotas have stopped the groups since these began: counters, whose differences say
 * something. */
typedef struct tread_throttling {
    bool known; /* false: no group of ours counts */
    double periods, seconds;
} tread_throttling;
tread_throttling tread_cgroup_throttling(const char *root);
/* Bytes that can be taken before the system or a control group runs out: the least of MemAvailable and what each group
 * above this process has left. INFINITY where nothing says. */
double tread_memory_available(const char *root);

/* From hwloc, read once a process; 0 or "" where unknown. Cache sizes are of one cache, in bytes. */
typedef struct tread_hardware {
    char cpu_model[128];
    int cores;
    int cpus;
    size_t cache_l1d;
    size_t cache_l2;
    size_t cache_l3;
} tread_hardware;
const tread_hardware *tread_hardware_get(void);

#endif
