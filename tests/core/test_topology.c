#include "core/topology.h"

#include <math.h>

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/thread_count.h"
#include "tests/core/machine.h"
#include "tests/test.h"

static void check_quota(double expected) {
    double quota = tread_cgroup_quota(machine_root);
    ck_assert_msg(quota == expected, "quota %g, not %g", quota, expected);
}

START_TEST(the_least_limit_up_the_v2_hierarchy_counts) {
    machine_begin();
    check_quota(0); /* nothing there at all */
    machine_put("/proc/self/mountinfo", OTHER_MOUNT V2_MOUNT);
    machine_put("/proc/self/cgroup", "0::/user.slice/job/step\n");
    check_quota(0);
    machine_put("/sys/fs/cgroup/user.slice/job/step/cpu.max", "max 100000\n");
    machine_put("/sys/fs/cgroup/user.slice/cpu.max", "400000 100000\n");
    check_quota(4);
    machine_put("/sys/fs/cgroup/user.slice/job/cpu.max", "75000 50000\n");
    check_quota(1.5);
    machine_put("/sys/fs/cgroup/user.slice/job/step/cpu.max", "200000 100000\n");
    check_quota(1.5);
    machine_put("/sys/fs/cgroup/cpu.max", "50000 100000\n"); /* of the root of a namespace */
    check_quota(0.5);
    machine_put("/sys/fs/cgroup/cpu.max", "nonsense\n");
    check_quota(1.5);
    machine_end();
}
END_TEST

START_TEST(v1_quotas_are_found_beside_v2) {
    machine_begin();
    machine_put("/proc/self/mountinfo", OTHER_MOUNT "33 31 0:30 / /cg/cpuset rw - cgroup cgroup rw,cpuset\n"
                                                    "34 31 0:31 /docker/abc /cg/cpu rw - cgroup cgroup rw,cpu,cpuacct\n"
                                                    "38 31 0:37 / /cg/unified rw - cgroup2 cgroup2 rw\n");
    machine_put("/proc/self/cgroup", "9:cpuset:/\n2:cpu,cpuacct:/docker/abc/inner\n0::/\n");
    machine_put("/cg/cpu/cpu.cfs_quota_us", "300000\n");
    machine_put("/cg/cpu/cpu.cfs_period_us", "100000\n");
    check_quota(3);
    machine_put("/cg/cpu/inner/cpu.cfs_quota_us", "-1\n");
    machine_put("/cg/cpu/inner/cpu.cfs_period_us", "100000\n");
    check_quota(3);
    machine_put("/cg/cpu/inner/cpu.cfs_quota_us", "250000\n");
    check_quota(2.5);
    machine_put("/cg/unified/cpu.max", "100000 100000\n");
    check_quota(1);
    machine_put("/proc/self/cgroup", "2:cpu,cpuacct:/docker/abcdef\n"); /* not below what is mounted */
    check_quota(3);
    machine_end();
}
END_TEST

START_TEST(throttling_adds_up_over_the_groups) {
    machine_begin();
    ck_assert(!tread_cgroup_throttling(machine_root).known);
    machine_put("/proc/self/mountinfo", OTHER_MOUNT V2_MOUNT);
    machine_put("/proc/self/cgroup", "0::/job/step\n");
    machine_put("/sys/fs/cgroup/job/step/cpu.stat", "usage_usec 9\nuser_usec 5\nnr_periods 7\nnr_throttled 3\n"
                                                    "throttled_usec 2500000\n");
    machine_put("/sys/fs/cgroup/job/cpu.stat", "usage_usec 9\nnr_periods 7\nnr_throttled 1\nthrottled_usec 500000\n");
    machine_put("/sys/fs/cgroup/cpu.stat", "usage_usec 9\nuser_usec 5\n"); /* the root has no quota */
    tread_throttling t = tread_cgroup_throttling(machine_root);
    ck_assert(t.known && t.periods == 4 && t.seconds == 3);
    machine_put("/proc/self/mountinfo", "34 31 0:31 / /cg/cpu rw - cgroup cgroup rw,cpu,cpuacct\n");
    machine_put("/proc/self/cgroup", "2:cpu,cpuacct:/\n");
    machine_put("/cg/cpu/cpu.stat", "nr_periods 10\nnr_throttled 5\nthrottled_time 1500000000\n");
    t = tread_cgroup_throttling(machine_root);
    ck_assert(t.known && t.periods == 5 && t.seconds == 1.5);
    machine_end();
}
END_TEST

START_TEST(memory_is_what_the_tightest_group_has_left) {
    machine_begin();
    ck_assert(isinf(tread_memory_available(machine_root)));
    machine_put("/proc/meminfo", "MemTotal:       16000 kB\nMemFree:         100 kB\nMemAvailable:    8000 kB\n");
    ck_assert(tread_memory_available(machine_root) == 8000 * 1024);
    machine_put("/proc/self/mountinfo", OTHER_MOUNT V2_MOUNT);
    machine_put("/proc/self/cgroup", "0::/job\n");
    machine_put("/sys/fs/cgroup/job/memory.max", "max\n");
    machine_put("/sys/fs/cgroup/job/memory.current", "500\n");
    ck_assert(tread_memory_available(machine_root) == 8000 * 1024);
    machine_put("/sys/fs/cgroup/memory.max", "5000\n");
    machine_put("/sys/fs/cgroup/memory.current", "4000\n");
    ck_assert(tread_memory_available(machine_root) == 1000);
    machine_put("/sys/fs/cgroup/memory.stat", "anon 3000\nfile 900\ninactive_file 700\n"); /* would be dropped */
    ck_assert(tread_memory_available(machine_root) == 1700);
    machine_put("/sys/fs/cgroup/memory.current", "9000\n"); /* above a limit that was lowered */
    ck_assert(tread_memory_available(machine_root) == 0);
    machine_put("/proc/self/mountinfo", "34 31 0:31 / /cg/memory rw - cgroup cgroup rw,memory\n");
    machine_put("/proc/self/cgroup", "4:memory:/\n");
    machine_put("/cg/memory/memory.limit_in_bytes", "6000\n");
    machine_put("/cg/memory/memory.usage_in_bytes", "1000\n");
    ck_assert(tread_memory_available(machine_root) == 5000);
    machine_end();
}
END_TEST

START_TEST(cores_are_counted_among_the_allowed) {
    machine_begin();
    machine_put("/sys/devices/system/cpu/online", "0-5,8\n");
    for (int cpu = 0; cpu < 6; cpu++) {
        char path[128], text[32];
        snprintf(path, sizeof path, "/sys/devices/system/cpu/cpu%d/topology/thread_siblings_list", cpu);
        snprintf(text, sizeof text, cpu % 2 == 0 ? "%d,%d\n" : "%d-%d\n", cpu / 2 * 2, cpu / 2 * 2 + 1);
        machine_put(path, text);
    }
    tread_cpu_set cpus;
    tread_cpus_read(machine_root, "/sys/devices/system/cpu/online", &cpus);
    ck_assert_int_eq(tread_cpus_count(&cpus), 7);
    ck_assert_int_eq(tread_cpus_cores(machine_root, &cpus), 4); /* (0 1) (2 3) (4 5), and 8 whose core is not known */
    machine_put("/mask", "1,3-4\n");
    tread_cpus_read(machine_root, "/mask", &cpus);
    ck_assert_int_eq(tread_cpus_cores(machine_root, &cpus), 3);
    machine_put("/mask", "4-5\n");
    tread_cpus_read(machine_root, "/mask", &cpus);
    ck_assert_int_eq(tread_cpus_cores(machine_root, &cpus), 1);
    tread_cpus_read(machine_root, "/absent", &cpus);
    ck_assert_int_eq(tread_cpus_count(&cpus), 0);
    machine_end();
}
END_TEST

START_TEST(the_machine_s_count_says_why) {
    static const struct {
        int allowed, online, cores;
        double quota;
        int threads;
        const char *reason;
    } cases[] = {
        {8, 8, 4, 0, 4, "4 physical cores"},
        {1, 1, 1, 0, 1, "1 physical core"},
        {2, 8, 1, 0, 1, "1 physical core in the affinity mask of 2 of 8 CPUs"},
        {8, 8, 4, 2.1, 3, "the control group's quota of 2.1 CPUs"},
        {8, 8, 4, 0.25, 1, "the control group's quota of 0.25 CPUs"},
        {8, 8, 4, 3.5, 4, "4 physical cores"},
        {4096, 4096, 2048, 0, 1024, "2048 physical cores"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        tread_thread_count count =
            tread_thread_count_of_machine(cases[i].allowed, cases[i].online, cases[i].cores, cases[i].quota);
        ck_assert_int_eq(count.threads, cases[i].threads);
        ck_assert_str_eq(count.reason, cases[i].reason);
    }
}
END_TEST

/* The mask is put back: other threads of libgomp would inherit it. */
START_TEST(this_machine_is_counted) {
    tread_cpu_set before, one = {0};
    ck_assert_int_eq(sched_getaffinity(0, sizeof before, before.words), 0);
    int allowed = tread_cpus_count(&before), cores = tread_cpus_cores("", &before);
    ck_assert_int_ge(allowed, 1);
    ck_assert(cores >= 1 && cores <= allowed);
    const tread_hardware *hardware = tread_hardware_get();
    ck_assert_int_le(cores, hardware->cores);
    ck_assert_int_ge(hardware->cpus, hardware->cores);
    int first = 0;
    while (!CPU_ISSET_S(first, sizeof before, before.words))
        first++;
    CPU_SET_S(first, sizeof one, one.words);
    ck_assert_int_eq(sched_setaffinity(0, sizeof one, one.words), 0);
    tread_cpu_set now;
    tread_cpus_allowed(&now);
    ck_assert_int_eq(sched_setaffinity(0, sizeof before, before.words), 0);
    ck_assert_int_eq(tread_cpus_count(&now), 1);
    ck_assert_int_eq(tread_cpus_cores("", &now), 1);
}
END_TEST

TEST_MAIN("topology", throttling_adds_up_over_the_groups, memory_is_what_the_tightest_group_has_left,
          the_least_limit_up_the_v2_hierarchy_counts, v1_quotas_are_found_beside_v2,
          cores_are_counted_among_the_allowed, the_machine_s_count_says_why, this_machine_is_counted)
