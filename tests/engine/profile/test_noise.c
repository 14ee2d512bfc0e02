#include "engine/profile/noise.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "engine/profile/bandwidth.h"
#include "engine/profile/statistics.h"
#include "tests/core/machine.h"
#include "tests/test.h"

static const tread_profile_noise quiet = {.seconds = 10,
                                          .load = 0,
                                          .neighbours = 0.01,
                                          .steal = 0,
                                          .throttled_periods = 0,
                                          .throttled_seconds = 0,
                                          .frequency_least = 3e9,
                                          .frequency_greatest = 3.01e9,
                                          .loop_fastest = 1e-4,
                                          .loop_slowest = 1.01e-4};

/* Whether these figures give exactly one warning, of that kind and with that part. */
static void must_warn(const tread_profile_noise *noise, const char *kind, const char *part) {
    tread_profile_warnings warnings = {.count = 0};
    tread_noise_warn(noise, &warnings);
    ck_assert_msg(warnings.count == 1, "%s: %zu warnings", kind, warnings.count);
    ck_assert_str_eq(warnings.items[0].kind, kind);
    ck_assert_msg(strstr(warnings.items[0].text, part) != NULL, "%s", warnings.items[0].text);
}

START_TEST(each_kind_of_noise_is_said) {
    tread_profile_warnings warnings = {.count = 0};
    tread_noise_warn(&quiet, &warnings);
    ck_assert_uint_eq(warnings.count, 0);
    tread_profile_noise n = quiet;
    n.neighbours = 0.5;
    must_warn(&n, "neighbours", "0.50 CPUs");
    n.seconds = 0.01; /* one tick is no finding */
    tread_noise_warn(&n, &warnings);
    ck_assert_uint_eq(warnings.count, 0);
    n = quiet;
    n.neighbours = NAN;
    n.load = 2;
    must_warn(&n, "neighbours", "2 more wanted to run");
    n = quiet;
    n.steal = 0.125;
    must_warn(&n, "steal", "12.5 %");
    n = quiet;
    n.throttled_periods = 4;
    n.throttled_seconds = 0.25;
    must_warn(&n, "throttled", "4 times, for 0.25 s");
    n = quiet;
    n.frequency_least = 2e9;
    must_warn(&n, "frequency", "from 2.00 to 3.01 GHz");
    n = quiet;
    n.loop_slowest = 2e-4;
    must_warn(&n, "frequency", "up to 100 % longer");
    n = (tread_profile_noise){10, NAN, NAN, NAN, NAN, NAN, NAN, NAN, NAN, NAN};
    tread_noise_warn(&n, &warnings);
    ck_assert_uint_eq(warnings.count, 0); /* what is not known is not said */
}
END_TEST

START_TEST(threads_that_do_not_fit_are_said) {
    tread_system_info info = tread_system_info_defaults();
    info.allowed_cpus = 8;
    info.physical_cores = 4;
    info.cgroup_quota = 2.5;
    info.openmp_version = 201511;
    strcpy(info.gomp_spincount, "1000");
    tread_profile_warnings warnings = {.count = 0};
    tread_noise_warn_threads(&info, 2, &warnings);
    ck_assert_uint_eq(warnings.count, 0);
    tread_noise_warn_threads(&info, 9, &warnings);
    ck_assert_uint_eq(warnings.count, 2);
    ck_assert_str_eq(warnings.items[0].kind, "threads");
    ck_assert_str_eq(warnings.items[1].kind, "quota");
    warnings.count = 0;
    info.cgroup_quota = 0;
    *info.gomp_spincount = '\0';
    tread_noise_warn_threads(&info, 8, &warnings);
    ck_assert_uint_eq(warnings.count, 2);
    ck_assert_str_eq(warnings.items[0].kind, "cores");
    ck_assert_str_eq(warnings.items[1].kind, "spin");
    for (int i = 0; i < 20; i++)
        tread_noise_say(&warnings, "spread", "%d", i);
    ck_assert_uint_eq(warnings.count, TREAD_PROFILE_MAX_WARNINGS);
}
END_TEST

/* The files as the kernel writes them, before and after; only the allowed CPUs count, of which this test knows but
 * the number: it gives every CPU the same times. */
static void put_machine(int user, int stolen, int throttled, int kilohertz) {
    static char text[1 << 16];
    size_t at = (size_t)sprintf(text, "cpu  1 2 3 4 5 6 7 8 9 10\n");
    for (int cpu = 0; cpu < 300; cpu++)
        at += (size_t)sprintf(text + at, "cpu%d %d 0 0 0 0 0 0 %d 0 0\n", cpu, user, stolen);
    sprintf(text + at, "intr 9 9 9\ncpu0 %d 0 0 0 0 0 0 0 0 0\n", 100 * user);
    machine_put("/proc/stat", text);
    machine_put("/proc/loadavg", "0.50 0.25 0.10 3/120 4711\n");
    machine_put("/proc/self/mountinfo", V2_MOUNT);
    machine_put("/proc/self/cgroup", "0::/\n");
    sprintf(text, "nr_throttled %d\nthrottled_usec %d\n", throttled, 1000 * throttled);
    machine_put("/sys/fs/cgroup/cpu.stat", text);
    sprintf(text, "%d\n", kilohertz);
    for (int cpu = 0; cpu < 300; cpu++) {
        char path[96];
        snprintf(path, sizeof path, "/sys/devices/system/cpu/cpu%d/cpufreq/scaling_cur_freq", cpu);
        machine_put(path, text);
    }
}

START_TEST(the_kernel_s_files_are_read) {
    machine_begin();
    tread_noise_watch watch;
    put_machine(1000, 50, 7, 3000000);
    tread_noise_begin(&watch, machine_root);
    put_machine(1000 + 200 * 100, 50 + 100 * 100, 10, 2000000); /* 200 s of work, 100 s stolen, at 100 ticks a second */
    watch.began -= 99;
    tread_profile_noise n = tread_noise_end(&watch);
    double cpus = tread_cpus_count(&watch.cpus);
    ck_assert(n.seconds >= 99 && n.seconds < 110);
    ck_assert_double_eq_tol(n.neighbours * n.seconds, 200 * cpus, 10);
    ck_assert_double_eq_tol(n.steal * n.seconds, 100, 1e-6);
    ck_assert(n.load == 2 && n.throttled_periods == 3 && fabs(n.throttled_seconds - 0.003) < 1e-9);
    ck_assert(n.frequency_least == 2e9 && n.frequency_greatest == 3e9);
    ck_assert(n.loop_fastest > 0 && n.loop_slowest >= n.loop_fastest);
    machine_end();
}
END_TEST

START_TEST(where_there_is_nothing_to_read_nothing_is_known) {
    machine_begin();
    tread_noise_watch watch;
    tread_noise_begin(&watch, machine_root);
    tread_profile_noise n = tread_noise_end(&watch);
    ck_assert(isnan(n.load) && isnan(n.neighbours) && isnan(n.steal) && isnan(n.throttled_periods));
    ck_assert(isnan(n.frequency_least) && isnan(n.frequency_greatest) && n.loop_fastest > 0);
    tread_noise_begin(&watch, "");
    n = tread_noise_end(&watch);
    ck_assert(n.neighbours >= 0 && n.steal >= 0); /* this machine */
    machine_end();
}
END_TEST

START_TEST(quartiles_lie_between_samples) {
    double scratch[5];
    tread_order_statistics s = tread_order_statistics_of((double[]){3}, 1, scratch);
    ck_assert(s.least == 3 && s.lower_quartile == 3 && s.median == 3 && s.upper_quartile == 3 && s.mad == 0);
    s = tread_order_statistics_of((double[]){4, 1, 2, 3}, 4, scratch);
    ck_assert(s.least == 1 && s.lower_quartile == 1.75 && s.median == 2.5 && s.upper_quartile == 3.25);
    ck_assert(s.greatest == 4 && s.mad == 1);
    s = tread_order_statistics_of((double[]){9, 1, 2, 100, 4}, 5, scratch);
    ck_assert(s.lower_quartile == 2 && s.median == 4 && s.upper_quartile == 9 && s.mad == 3);
}
END_TEST

START_TEST(bandwidth_counts_what_it_moves) {
    tread_context *context = tread_context_create(NULL);
    const size_t bytes = 1 << 20;
    tread_bandwidth *b = tread_bandwidth_create(bytes);
    ck_assert_ptr_nonnull(b);
    ck_assert(tread_bandwidth_run(b, context, tread_traffic_rmw, bytes) == 2 * bytes);
    ck_assert(tread_bandwidth_run(b, context, tread_traffic_rmw, 10 * bytes) == 2 * bytes); /* no more than there is */
    ck_assert(tread_bandwidth_run(b, context, (tread_traffic){3, 1}, bytes) == 7 * bytes / 4);
    for (int changed = 1; changed <= TREAD_TRAFFIC_CHANGED; changed++)
        for (int read = 0; read <= TREAD_TRAFFIC_READ; read++) {
            double n = (double)(bytes / 4 / (size_t)(changed + read));
            ck_assert(tread_bandwidth_run(b, context, (tread_traffic){changed, read}, bytes) ==
                      4 * n * (2 * changed + read));
        }
    tread_bandwidth_destroy(b);
    double rate = 0;
    ck_assert_ok(tread_bandwidth_measure(context, (tread_traffic){2, 1}, bytes, 0.01, &rate));
    ck_assert_msg(rate > 1e8 && rate < 1e14, "%g", rate);
    ck_assert_uint_ge(tread_bandwidth_enough(), (size_t)256 << 20);
    tread_context_destroy(context);
}
END_TEST

TEST_MAIN("profile noise", bandwidth_counts_what_it_moves, each_kind_of_noise_is_said, quartiles_lie_between_samples,
          the_kernel_s_files_are_read, threads_that_do_not_fit_are_said,
          where_there_is_nothing_to_read_nothing_is_known)
