#include "engine/profile/noise.h"

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "core/recorder.h"
#include "engine/file_system.h"
#include "engine/profile/bandwidth.h"

/* What the kernel shows as a file, cut to size - 1 bytes; false where it shows none. */
static bool read_text(const char *root, const char *path, char *ret_text, size_t size) {
    char name[512];
    snprintf(name, sizeof name, "%s%s", root, path);
    int fd = tread_fs_open(name, O_RDONLY | O_CLOEXEC, 0);
    if (fd < 0)
        return false;
    size_t length = 0;
    for (ssize_t n; length < size - 1 && (n = tread_fs_read(fd, ret_text + length, size - 1 - length)) > 0;)
        length += (size_t)n;
    ret_text[length] = '\0';
    tread_fs_close(fd);
    return length > 0;
}

/* One line of /proc/stat: "cpu3 user nice system idle iowait irq softirq steal guest guest_nice", in ticks; guests'
 * time is in user's and nice's already. Interrupts are nobody's, and work all the same. */
static void add_cpu_times(tread_cpu_times *times, const char *line, const tread_cpu_set *cpus) {
    const double tick = 1.0 / (double)sysconf(_SC_CLK_TCK);
    unsigned cpu;
    double user, nice, system, idle, wait, irq, soft, stolen;
    if (sscanf(line, "cpu%u %lf %lf %lf %lf %lf %lf %lf %lf", &cpu, &user, &nice, &system, &idle, &wait, &irq, &soft,
               &stolen) != 9 ||
        cpu >= TREAD_MAX_CPUS || !CPU_ISSET_S(cpu, sizeof *cpus, cpus->words))
        return;
    times->known = true;
    times->busy += tick * (user + nice + system + irq + soft);
    times->stolen += tick * stolen;
}

/* The lines of CPUs come first, in a file that may be long. */
static tread_cpu_times read_cpu_times(const char *root, const tread_cpu_set *cpus) {
    tread_cpu_times times = {.known = false};
    char name[512], text[4096];
    size_t length = 0;
    snprintf(name, sizeof name, "%s/proc/stat", root);
    int fd = tread_fs_open(name, O_RDONLY | O_CLOEXEC, 0);
    bool more = fd >= 0;
    for (ssize_t n; more && (n = tread_fs_read(fd, text + length, sizeof text - 1 - length)) > 0;) {
        length += (size_t)n;
        text[length] = '\0';
        char *line = text;
        for (char *end; more && (end = strchr(line, '\n')) != NULL; line = end + 1) {
            *end = '\0';
            more = strncmp(line, "cpu", 3) == 0;
            add_cpu_times(&times, line, cpus);
        }
        length -= (size_t)(line - text);
        memmove(text, line, length);
    }
    if (fd >= 0)
        tread_fs_close(fd);
    return times;
}

static double own_cpu_time(void) {
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) + 1e-6 * (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec);
}

/* "0.52 0.40 0.35 2/187 4242": those that run or want to, this thread among them. */
static double read_load(const char *root) {
    char text[128];
    double load;
    int running;
    if (!read_text(root, "/proc/loadavg", text, sizeof text) || sscanf(text, "%lf %*f %*f %d/", &load, &running) != 2)
        return NAN;
    return running > 1 ? running - 1 : 0;
}

/* The mean of the CPUs' frequencies in Hz, NAN where there is none: few virtual machines show any. */
static double read_frequency(const tread_noise_watch *watch) {
    double sum = 0;
    int n = 0;
    for (size_t cpu = 0; cpu < TREAD_MAX_CPUS; cpu++) {
        if (!CPU_ISSET_S(cpu, sizeof watch->cpus, watch->cpus.words))
            continue;
        char path[96], text[32];
        snprintf(path, sizeof path, "/sys/devices/system/cpu/cpu%zu/cpufreq/scaling_cur_freq", cpu);
        if (!read_text(watch->root, path, text, sizeof text))
            break;
        sum += 1e3 * strtod(text, NULL);
        n++;
    }
    return n > 0 ? sum / n : NAN;
}

/* A chain of multiplications, each of which waits for the last: it takes cycles alone, whatever memory does. The
 * fastest of a few, since one of them may be interrupted. */
#define LOOP_STEPS 50000
static double time_loop(void) {
    double fastest = INFINITY;
    for (int repeat = 0; repeat < 5; repeat++) {
        const double start = tread_clock_seconds();
        uint64_t x = 88172645463325252u;
        for (int i = 0; i < LOOP_STEPS; i++) {
            x = x * 6364136223846793005u + 1442695040888963407u;
            __asm__ volatile("" : "+r"(x)); /* so that no compiler finds the end of the chain by itself */
        }
        const double seconds = tread_clock_seconds() - start;
        fastest = seconds < fastest ? seconds : fastest;
    }
    return fastest;
}

void tread_noise_look(tread_noise_watch *watch) {
    tread_profile_noise *n = &watch->noise;
    const double loop = time_loop(), frequency = read_frequency(watch);
    n->loop_fastest = fmin(n->loop_fastest, loop); /* a NAN yields */
    n->loop_slowest = fmax(n->loop_slowest, loop);
    n->frequency_least = fmin(n->frequency_least, frequency);
    n->frequency_greatest = fmax(n->frequency_greatest, frequency);
}

void tread_noise_begin(tread_noise_watch *watch, const char *root) {
    memset(watch, 0, sizeof *watch);
    snprintf(watch->root, sizeof watch->root, "%s", root);
    tread_cpus_allowed(&watch->cpus);
    watch->noise = (tread_profile_noise){.load = read_load(root),
                                         .neighbours = NAN,
                                         .steal = NAN,
                                         .throttled_periods = NAN,
                                         .throttled_seconds = NAN,
                                         .frequency_least = NAN,
                                         .frequency_greatest = NAN,
                                         .loop_fastest = NAN,
                                         .loop_slowest = NAN};
    time_loop(); /* the first wakes the CPU */
    tread_noise_look(watch);
    watch->throttling = tread_cgroup_throttling(root);
    watch->times = read_cpu_times(root, &watch->cpus);
    watch->own = own_cpu_time();
    watch->began = tread_clock_seconds();
}

tread_profile_noise tread_noise_end(tread_noise_watch *watch) {
    tread_profile_noise n = watch->noise;
    const double seconds = tread_clock_seconds() - watch->began, own = own_cpu_time() - watch->own;
    const tread_cpu_times times = read_cpu_times(watch->root, &watch->cpus);
    const tread_throttling throttling = tread_cgroup_throttling(watch->root);
    n.seconds = seconds;
    if (times.known && watch->times.known && seconds > 0) {
        const double others = times.busy - watch->times.busy - own;
        n.neighbours = others > 0 ? others / seconds : 0;
        n.steal = (times.stolen - watch->times.stolen) / (seconds * tread_cpus_count(&watch->cpus));
    }
    if (throttling.known && watch->throttling.known) {
        n.throttled_periods = throttling.periods - watch->throttling.periods;
        n.throttled_seconds = throttling.seconds - watch->throttling.seconds;
    }
    tread_noise_look(watch);
    n.loop_fastest = watch->noise.loop_fastest;
    n.loop_slowest = watch->noise.loop_slowest;
    n.frequency_least = watch->noise.frequency_least;
    n.frequency_greatest = watch->noise.frequency_greatest;
    return n;
}

void tread_noise_say(tread_profile_warnings *warnings, const char *kind, const char *format, ...) {
    if (warnings->count == TREAD_PROFILE_MAX_WARNINGS)
        return;
    tread_profile_warning *w = &warnings->items[warnings->count++];
    va_list arguments;
    va_start(arguments, format);
    snprintf(w->kind, sizeof w->kind, "%s", kind);
    vsnprintf(w->text, sizeof w->text, format, arguments);
    va_end(arguments);
}

/* A comparison with NAN is false: what is not known is not said. */
void tread_noise_warn(const tread_profile_noise *n, tread_profile_warnings *warnings) {
    if (n->neighbours > TREAD_NOISE_NEIGHBOURS && n->neighbours * n->seconds > TREAD_NOISE_LEAST)
        tread_noise_say(warnings, "neighbours", "Other programs took %.2f CPUs' worth of time while this was measured.",
                        n->neighbours);
    if (isnan(n->neighbours) && n->load >= 1)
        tread_noise_say(warnings, "neighbours", "Beside this process %.0f more wanted to run when this began.",
                        n->load);
    if (n->steal > TREAD_NOISE_STEAL)
        tread_noise_say(warnings, "steal", "The hypervisor gave %.1f %% of the CPUs' time to other machines.",
                        100 * n->steal);
    if (n->throttled_periods > 0)
        tread_noise_say(warnings, "throttled",
                        "A control group's quota stopped this process %.0f times, for %.3g s in all.",
                        n->throttled_periods, n->throttled_seconds);
    if (n->frequency_greatest > TREAD_NOISE_FREQUENCY * n->frequency_least)
        tread_noise_say(warnings, "frequency", "The CPUs' frequency went from %.2f to %.2f GHz.",
                        1e-9 * n->frequency_least, 1e-9 * n->frequency_greatest);
    else if (n->loop_slowest > TREAD_NOISE_LOOP * n->loop_fastest)
        tread_noise_say(warnings, "frequency",
                        "A loop of fixed length took up to %.0f %% longer than at its fastest: the CPU's frequency "
                        "changed, or something else ran.",
                        100 * (n->loop_slowest / n->loop_fastest - 1));
}

void tread_noise_warn_threads(const tread_system_info *info, int threads, tread_profile_warnings *warnings) {
    if (threads > info->allowed_cpus)
        tread_noise_say(warnings, "threads", "There are more threads (%d) than CPUs they may run on (%d).", threads,
                        info->allowed_cpus);
    else if (info->physical_cores > 0 && threads > info->physical_cores)
        tread_noise_say(warnings, "cores",
                        "There are more threads (%d) than physical cores (%d), which two of them share.", threads,
                        info->physical_cores);
    if (info->cgroup_quota > 0 && threads > info->cgroup_quota)
        tread_noise_say(warnings, "quota",
                        "The control group grants %g CPUs' worth of time to %d threads, so they are stopped at times.",
                        info->cgroup_quota, threads);
    if (info->openmp_version > 0 && threads > 1 && *info->gomp_spincount == '\0' && *info->omp_wait_policy == '\0')
        tread_noise_say(warnings, "spin",
                        "OpenMP's idle threads spin, which is ruinous where other programs run: set "
                        "GOMP_SPINCOUNT=1000, or OMP_WAIT_POLICY=active on a machine of your own.");
}
