#include "core/thread_count.h"

#include <math.h>
#include <stdio.h>

#include "core/environment.h"
#include "core/parallel.h"
#include "core/status.h"
#include "core/topology.h"

tread_thread_count tread_thread_count_of_machine(int allowed, int online, int cores, double quota) {
    tread_thread_count count = {.threads = cores < allowed ? cores : allowed};
    const char *plural = count.threads == 1 ? "" : "s";
    if (allowed < online)
        snprintf(count.reason, sizeof count.reason, "%d physical core%s in the affinity mask of %d of %d CPUs",
                 count.threads, plural, allowed, online);
    else
        snprintf(count.reason, sizeof count.reason, "%d physical core%s", count.threads, plural);
    if (quota > 0 && ceil(quota) < count.threads) {
        count.threads = (int)ceil(quota);
        snprintf(count.reason, sizeof count.reason, "the control group's quota of %g CPUs", quota);
    }
    if (count.threads > TREAD_MAX_THREADS)
        count.threads = TREAD_MAX_THREADS;
    return count;
}

static bool may_be_crowded = true;

void tread_thread_count_may_be_crowded(bool may) { may_be_crowded = may; }

static bool is_crowded(int threads) {
    tread_cpu_set allowed;
    tread_cpus_allowed(&allowed);
    return may_be_crowded && threads > tread_cpus_count(&allowed);
}

static tread_thread_count count_machine(void) {
    tread_cpu_set allowed, online;
    tread_cpus_allowed(&allowed);
    tread_cpus_read("", "/sys/devices/system/cpu/online", &online);
    return tread_thread_count_of_machine(tread_cpus_count(&allowed), tread_cpus_count(&online),
                                         tread_cpus_cores("", &allowed), tread_cgroup_quota(""));
}

tread_status tread_thread_count_decide(int option, tread_thread_count *ret_count) {
    tread_thread_count count = {.threads = 0};
    long ours = 0, openmp = 0;
    if (option < 0 || option > TREAD_MAX_THREADS)
        return tread_fail(TREAD_ERROR_ARGUMENT, "context: threads = %d is outside 0..%d", option, TREAD_MAX_THREADS);
    TREAD_TRY(tread_environment_integer("TREAD_NUM_THREADS", 1, TREAD_MAX_THREADS, &ours));
    if (option == 0 && ours == 0)
        TREAD_TRY(tread_environment_first_integer("OMP_NUM_THREADS", 1, TREAD_MAX_THREADS, &openmp));
    const char *reason = option > 0 ? "context option" : ours > 0 ? "TREAD_NUM_THREADS" : "OMP_NUM_THREADS";
    count.threads = (int)(option > 0 ? option : ours > 0 ? ours : openmp);
    if (tread_parallel_openmp_version() == 0) {
        count.threads = 1;
        reason = "this build has no OpenMP";
    }
    snprintf(count.reason, sizeof count.reason, "%s", reason);
    count.crowded = count.threads > 1 && is_crowded(count.threads);
    *ret_count = count.threads > 0 ? count : count_machine();
    return TREAD_OK;
}
