#include "core/topology.h"

#include <hwloc.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/parallel.h"

#define SET(cpus) ((cpus)->words)

int tread_cpus_count(const tread_cpu_set *cpus) { return CPU_COUNT_S(sizeof *cpus, SET(cpus)); }

void tread_cpus_read(const char *root, const char *path, tread_cpu_set *ret_cpus) {
    memset(ret_cpus, 0, sizeof *ret_cpus);
    char name[512], text[4096] = "";
    snprintf(name, sizeof name, "%s%s", root, path);
    FILE *file = fopen(name, "re");
    if (file == NULL)
        return;
    char *at = fgets(text, sizeof text, file);
    fclose(file);
    while (at != NULL) {
        char *end;
        unsigned long first = strtoul(at, &end, 10), last = first;
        if (end == at)
            return;
        if (*end == '-')
            last = strtoul(end + 1, &end, 10);
        for (unsigned long cpu = first; cpu <= last && cpu < TREAD_MAX_CPUS; cpu++)
            CPU_SET_S(cpu, sizeof *ret_cpus, SET(ret_cpus));
        at = *end == ',' ? end + 1 : NULL;
    }
}

void tread_cpus_allowed(tread_cpu_set *ret_cpus) {
    memset(ret_cpus, 0, sizeof *ret_cpus);
    int known = sched_getaffinity(0, sizeof *ret_cpus, SET(ret_cpus)) == 0 ? tread_cpus_count(ret_cpus) : 0;
    if (known == 0 || tread_parallel_processors() > known) {
        tread_cpu_set online;
        tread_cpus_read("", "/sys/devices/system/cpu/online", &online);
        if (tread_cpus_count(&online) > 0)
            *ret_cpus = online;
        else if (known == 0)
            CPU_SET_S(0, sizeof *ret_cpus, SET(ret_cpus));
    }
}

int tread_cpus_cores(const char *root, const tread_cpu_set *cpus) {
    int cores = 0;
    for (int cpu = 0; cpu < TREAD_MAX_CPUS; cpu++) {
        if (!CPU_ISSET_S(cpu, sizeof *cpus, SET(cpus)))
            continue;
        char path[128];
        tread_cpu_set siblings, both;
        snprintf(path, sizeof path, "/sys/devices/system/cpu/cpu%d/topology/thread_siblings_list", cpu);
        tread_cpus_read(root, path, &siblings);
        CPU_AND_S(sizeof both, SET(&both), SET(&siblings), SET(cpus));
        /* The first of a core's CPUs stands for it. */
        int first = 0;
        while (first < cpu && !CPU_ISSET_S(first, sizeof both, SET(&both)))
            first++;
        cores += first == cpu;
    }
    return cores;
}

static tread_hardware hardware;

static size_t cache_size(hwloc_topology_t topology, hwloc_obj_type_t type) {
    hwloc_obj_t cache = hwloc_get_obj_by_type(topology, type, 0);
    return cache != NULL ? (size_t)cache->attr->cache.size : 0;
}

static void load_hardware(void) {
    hwloc_topology_t topology;
    long cpus_online = sysconf(_SC_NPROCESSORS_ONLN);
    hardware.cores = hardware.cpus = cpus_online > 0 ? (int)cpus_online : 0;
    /* Where sysfs is missing, as in a chroot, hwloc would print so, and find no more than this. */
    if (access("/sys/devices/system/cpu", F_OK) != 0 || hwloc_topology_init(&topology) != 0)
        return;
    hwloc_topology_set_all_types_filter(topology, HWLOC_TYPE_FILTER_KEEP_NONE);
    hwloc_topology_set_type_filter(topology, HWLOC_OBJ_PACKAGE, HWLOC_TYPE_FILTER_KEEP_ALL);
    hwloc_topology_set_type_filter(topology, HWLOC_OBJ_CORE, HWLOC_TYPE_FILTER_KEEP_ALL);
    hwloc_topology_set_cache_types_filter(topology, HWLOC_TYPE_FILTER_KEEP_ALL);
    if (hwloc_topology_load(topology) == 0) {
        int cores = hwloc_get_nbobjs_by_type(topology, HWLOC_OBJ_CORE);
        int cpus = hwloc_get_nbobjs_by_type(topology, HWLOC_OBJ_PU);
        hwloc_obj_t package = hwloc_get_obj_by_type(topology, HWLOC_OBJ_PACKAGE, 0);
        const char *model = package != NULL ? hwloc_obj_get_info_by_name(package, "CPUModel") : NULL;
        if (model == NULL)
            model = hwloc_obj_get_info_by_name(hwloc_get_root_obj(topology), "CPUModel");
        snprintf(hardware.cpu_model, sizeof hardware.cpu_model, "%s", model != NULL ? model : "");
        hardware.cores = cores > 0 ? cores : 0;
        hardware.cpus = cpus > 0 ? cpus : 0;
        hardware.cache_l1d = cache_size(topology, HWLOC_OBJ_L1CACHE);
        hardware.cache_l2 = cache_size(topology, HWLOC_OBJ_L2CACHE);
        hardware.cache_l3 = cache_size(topology, HWLOC_OBJ_L3CACHE);
    }
    hwloc_topology_destroy(topology);
}

const tread_hardware *tread_hardware_get(void) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, load_hardware);
    return &hardware;
}
