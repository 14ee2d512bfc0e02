#include "core/topology.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/thread_count.h"
#include "tests/test.h"

/* A made-up machine: a folder with the files that the kernel would show. */
static char root[64];

static void begin_machine(void) {
    strcpy(root, P_tmpdir "/tread-topology-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(root));
}

static void end_machine(void) {
    char command[128];
    snprintf(command, sizeof command, "rm -r '%s'", root);
    ck_assert_int_eq(system(command), 0);
}

static void put(const char *path, const char *text) {
    char name[512];
    snprintf(name, sizeof name, "%s%s", root, path);
    for (char *at = strchr(name + strlen(root) + 1, '/'); at != NULL; at = strchr(at + 1, '/')) {
        *at = '\0';
        mkdir(name, 0777);
        *at = '/';
    }
    FILE *file = fopen(name, "w");
    ck_assert_ptr_nonnull(file);
    fputs(text, file);
    fclose(file);
}

#define V2_MOUNT "30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n"
#define OTHER_MOUNT "22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n"

static void check_quota(double expected) {
    double quota = tread_cgroup_quota(root);
    ck_assert_msg(quota == expected, "quota %g, not %g", quota, expected);
}

START_TEST(the_least_limit_up_the_v2_hierarchy_counts) {
    begin_machine();
    check_quota(0); /* nothing there at all */
    put("/proc/self/mountinfo", OTHER_MOUNT V2_MOUNT);
    put("/proc/self/cgroup", "0::/user.slice/job/step\n");
    check_quota(0);
    put("/sys/fs/cgroup/user.slice/job/step/cpu.max", "max 100000\n");
    put("/sys/fs/cgroup/user.slice/cpu.max", "400000 100000\n");
    check_quota(4);
    put("/sys/fs/cgroup/user.slice/job/cpu.max", "75000 50000\n");
    check_quota(1.5);
    put("/sys/fs/cgroup/user.slice/job/step/cpu.max", "200000 100000\n");
    check_quota(1.5);
    put("/sys/fs/cgroup/cpu.max", "50000 100000\n"); /* of the root of a namespace */
    check_quota(0.5);
    put("/sys/fs/cgroup/cpu.max", "nonsense\n");
    check_quota(1.5);
    end_machine();
}
END_TEST

START_TEST(v1_quotas_are_found_beside_v2) {
    begin_machine();
    put("/proc/self/mountinfo", OTHER_MOUNT "33 31 0:30 / /cg/cpuset rw - cgroup cgroup rw,cpuset\n"
                                            "34 31 0:31 /docker/abc /cg/cpu rw - cgroup cgroup rw,cpu,cpuacct\n"
                                            "38 31 0:37 / /cg/unified rw - cgroup2 cgroup2 rw\n");
    put("/proc/self/cgroup", "9:cpuset:/\n2:cpu,cpuacct:/docker/abc/inner\n0::/\n");
    put("/cg/cpu/cpu.cfs_quota_us", "300000\n");
    put("/cg/cpu/cpu.cfs_period_us", "100000\n");
    check_quota(3);
    put("/cg/cpu/inner/cpu.cfs_quota_us", "-1\n");
    put("/cg/cpu/inner/cpu.cfs_period_us", "100000\n");
    check_quota(3);
    put("/cg/cpu/inner/cpu.cfs_quota_us", "250000\n");
    check_quota(2.5);
    put("/cg/unified/cpu.max", "100000 100000\n");
    check_quota(1);
    put("/proc/self/cgroup", "2:cpu,cpuacct:/docker/abcdef\n"); /* not below what is mounted */
    check_quota(3);
    end_machine();
}
END_TEST

START_TEST(cores_are_counted_among_the_allowed) {
    begin_machine();
    put("/sys/devices/system/cpu/online", "0-5,8\n");
    for (int cpu = 0; cpu < 6; cpu++) {
        char path[128], text[32];
        snprintf(path, sizeof path, "/sys/devices/system/cpu/cpu%d/topology/thread_siblings_list", cpu);
        snprintf(text, sizeof text, cpu % 2 == 0 ? "%d,%d\n" : "%d-%d\n", cpu / 2 * 2, cpu / 2 * 2 + 1);
        put(path, text);
    }
    tread_cpu_set cpus;
    tread_cpus_read(root, "/sys/devices/system/cpu/online", &cpus);
    ck_assert_int_eq(tread_cpus_count(&cpus), 7);
    ck_assert_int_eq(tread_cpus_cores(root, &cpus), 4); /* (0 1) (2 3) (4 5), and 8 whose core is not known */
    put("/mask", "1,3-4\n");
    tread_cpus_read(root, "/mask", &cpus);
    ck_assert_int_eq(tread_cpus_cores(root, &cpus), 3);
    put("/mask", "4-5\n");
    tread_cpus_read(root, "/mask", &cpus);
    ck_assert_int_eq(tread_cpus_cores(root, &cpus), 1);
    tread_cpus_read(root, "/absent", &cpus);
    ck_assert_int_eq(tread_cpus_count(&cpus), 0);
    end_machine();
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

TEST_MAIN("topology", the_least_limit_up_the_v2_hierarchy_counts, v1_quotas_are_found_beside_v2,
          cores_are_counted_among_the_allowed, the_machine_s_count_says_why, this_machine_is_counted)
