#include "engine/profile/counters.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/memory.h"
#include "core/status.h"
#include "engine/file_system.h"

#define MAX_THREADS 2048

typedef struct counter_kind {
    const char *name;
    uint32_t type;
    uint64_t config;
} counter_kind;

static const counter_kind kinds[TREAD_N_COUNTERS] = {
    [TREAD_COUNT_CYCLES] = {"cycles", PERF_TYPE_HARDWARE, PERF_COUNT_HW_CPU_CYCLES},
    [TREAD_COUNT_INSTRUCTIONS] = {"instructions", PERF_TYPE_HARDWARE, PERF_COUNT_HW_INSTRUCTIONS},
    [TREAD_COUNT_CACHE_MISSES] = {"cache-misses", PERF_TYPE_HARDWARE, PERF_COUNT_HW_CACHE_MISSES},
    [TREAD_COUNT_BRANCH_MISSES] = {"branch-misses", PERF_TYPE_HARDWARE, PERF_COUNT_HW_BRANCH_MISSES},
    [TREAD_COUNT_CONTEXT_SWITCHES] = {"context-switches", PERF_TYPE_SOFTWARE, PERF_COUNT_SW_CONTEXT_SWITCHES},
    [TREAD_COUNT_PAGE_FAULTS] = {"page-faults", PERF_TYPE_SOFTWARE, PERF_COUNT_SW_PAGE_FAULTS},
};

typedef struct counter {
    int *files; /* one a thread */
    size_t n_files;
    bool user_alone; /* what the kernel does for the process is not counted */
    int error;       /* why there are none */
} counter;

struct tread_counters {
    const tread_counters_kernel *kernel;
    counter each[TREAD_N_COUNTERS];
    pid_t *threads;
    size_t n_threads;
    int *files; /* of all of them */
    int paranoid;
    bool on;
    struct rusage since; /* when they were last switched on */
    int64_t switches, faults;
};

/* ---- The system's kernel ---- */

static int system_open(struct perf_event_attr *attributes, pid_t thread) {
    return (int)syscall(SYS_perf_event_open, attributes, thread, -1, -1, PERF_FLAG_FD_CLOEXEC);
}

static int system_control(int file, unsigned long request) { return ioctl(file, request, 0); }

static bool system_read(int file, uint64_t ret_numbers[3]) {
    return tread_fs_read(file, ret_numbers, 3 * sizeof *ret_numbers) == 3 * (ssize_t)sizeof *ret_numbers;
}

static void system_close(int file) { tread_fs_close(file); }

static const tread_counters_kernel system_kernel = {system_open, system_control, system_read, system_close};

/* ---- Opening ---- */

static bool add_thread(void *data, const char *name) {
    tread_counters *counters = data;
    counters->threads[counters->n_threads++] = (pid_t)strtol(name, NULL, 10);
    return counters->n_threads < MAX_THREADS;
}

/* INT_MIN: not known. */
static int read_paranoid(const char *root) {
    char path[512], text[16] = "";
    snprintf(path, sizeof path, "%s/proc/sys/kernel/perf_event_paranoid", root);
    int file = tread_fs_open(path, O_RDONLY | O_CLOEXEC, 0);
    if (file < 0)
        return INT32_MIN;
    ssize_t got = tread_fs_read(file, text, sizeof text - 1);
    tread_fs_close(file);
    return got > 0 ? atoi(text) : INT32_MIN;
}

static void close_files(const tread_counters *counters, counter *one) {
    for (size_t i = 0; i < one->n_files; i++)
        counters->kernel->close(one->files[i]);
    one->n_files = 0;
}

/* A thread that has ended in the meantime is no loss. */
static bool open_on_threads(tread_counters *counters, counter *one, const counter_kind *kind, bool user_alone) {
    struct perf_event_attr attributes = {.type = kind->type,
                                         .size = sizeof attributes,
                                         .config = kind->config,
                                         .disabled = 1,
                                         .inherit = 1,
                                         .exclude_kernel = user_alone,
                                         .exclude_hv = user_alone,
                                         .read_format =
                                             PERF_FORMAT_TOTAL_TIME_ENABLED | PERF_FORMAT_TOTAL_TIME_RUNNING};
    for (size_t i = 0; i < counters->n_threads; i++) {
        int file = counters->kernel->open(&attributes, counters->threads[i]);
        if (file < 0 && errno == ESRCH)
            continue;
        if (file < 0) {
            one->error = errno;
            close_files(counters, one);
            return false;
        }
        one->files[one->n_files++] = file;
    }
    one->user_alone = user_alone;
    one->error = one->n_files > 0 ? 0 : ESRCH;
    return one->n_files > 0;
}

/* Context switches and page faults are the kernel's doing: of user space alone there are none. */
static void open_counter(tread_counters *counters, counter *one, const counter_kind *kind) {
    if (open_on_threads(counters, one, kind, false) || kind->type == PERF_TYPE_SOFTWARE)
        return;
    if (one->error == EACCES || one->error == EPERM)
        open_on_threads(counters, one, kind, true);
}

tread_status tread_counters_open(const tread_counters_kernel *kernel, const char *root, tread_counters **ret_counters) {
    tread_counters *counters = tread_calloc(1, sizeof *counters, "counters");
    if (counters == NULL)
        return TREAD_ERROR_MEMORY;
    counters->kernel = kernel != NULL ? kernel : &system_kernel;
    counters->threads = tread_calloc(MAX_THREADS, sizeof *counters->threads, "threads to be counted");
    if (counters->threads == NULL) {
        tread_counters_close(counters);
        return TREAD_ERROR_MEMORY;
    }
    char folder[512];
    snprintf(folder, sizeof folder, "%s/proc/self/task", root);
    if (tread_fs_list(folder, add_thread, counters) != 0 && counters->n_threads == 0)
        counters->threads[counters->n_threads++] = 0; /* the calling one, at least */
    counters->files = tread_calloc(TREAD_N_COUNTERS * counters->n_threads, sizeof(int), "files of counters");
    if (counters->files == NULL) {
        tread_counters_close(counters);
        return TREAD_ERROR_MEMORY;
    }
    counters->paranoid = read_paranoid(root);
    for (int i = 0; i < TREAD_N_COUNTERS; i++) {
        counters->each[i].files = counters->files + (size_t)i * counters->n_threads;
        open_counter(counters, &counters->each[i], &kinds[i]);
    }
    *ret_counters = counters;
    return TREAD_OK;
}

void tread_counters_close(tread_counters *counters) {
    if (counters == NULL)
        return;
    for (int i = 0; i < TREAD_N_COUNTERS; i++)
        close_files(counters, &counters->each[i]);
    tread_free(counters->threads);
    tread_free(counters->files);
    tread_free(counters);
}

/* ---- Counting ---- */

void tread_counters_switch(tread_counters *counters, bool on) {
    struct rusage now;
    if (counters == NULL || counters->on == on)
        return;
    counters->on = on;
    for (int i = 0; i < TREAD_N_COUNTERS; i++)
        for (size_t k = 0; k < counters->each[i].n_files; k++)
            counters->kernel->control(counters->each[i].files[k], on ? PERF_EVENT_IOC_ENABLE : PERF_EVENT_IOC_DISABLE);
    getrusage(RUSAGE_SELF, &now);
    if (!on) {
        const struct rusage *since = &counters->since;
        counters->switches += now.ru_nvcsw + now.ru_nivcsw - since->ru_nvcsw - since->ru_nivcsw;
        counters->faults += now.ru_minflt + now.ru_majflt - since->ru_minflt - since->ru_majflt;
    }
    counters->since = now;
}

/* Events that share too few registers take turns: value times enabled over running is what it would have been. */
static bool sum_files(const tread_counters *counters, const counter *one, double *ret_total, double *ret_counted) {
    double total = 0, enabled = 0, running = 0;
    for (size_t i = 0; i < one->n_files; i++) {
        uint64_t numbers[3];
        if (!counters->kernel->read(one->files[i], numbers))
            return false;
        if (numbers[1] == 0) /* a thread that slept all the time */
            continue;
        if (numbers[2] > 0)
            total += (double)numbers[0] * ((double)numbers[1] / (double)numbers[2]);
        enabled += (double)numbers[1];
        running += (double)numbers[2];
    }
    if (enabled > 0 && running == 0)
        return errno = EBUSY, false;
    *ret_total = total;
    *ret_counted = enabled > 0 ? running / enabled : 1;
    return true;
}

static void say_why(const tread_counters *counters, int error, char *reason, size_t size) {
    char paranoid[64] = "";
    if (counters->paranoid != INT32_MIN)
        snprintf(paranoid, sizeof paranoid, " (/proc/sys/kernel/perf_event_paranoid is %d)", counters->paranoid);
    if (error == ENOENT || error == EOPNOTSUPP || error == ENODEV || error == ENXIO)
        snprintf(reason, size, "this machine does not have it, as virtual machines often do not: %s",
                 strerrordesc_np(error));
    else if (error == ENOSYS)
        snprintf(reason, size, "the kernel, or a sandbox such as a container's seccomp filter, has no perf_event_open");
    else if (error == EBUSY)
        snprintf(reason, size, "other events held the CPU's counters all the time");
    else if ((error == EACCES || error == EPERM) && counters->paranoid != INT32_MIN && counters->paranoid <= 2)
        snprintf(reason, size, "refused%s, perhaps by a container's seccomp filter: %s", paranoid,
                 strerrordesc_np(error));
    else if (error == EACCES || error == EPERM)
        snprintf(reason, size, "refused%s: 2 or less, or CAP_PERFMON, lets a process count itself", paranoid);
    else
        snprintf(reason, size, "perf_event_open failed: %s", strerrordesc_np(error));
}

static void fill(const tread_counters *counters, int kind, tread_profile_counter *ret) {
    const counter *one = &counters->each[kind];
    double total = NAN, counted = 0;
    *ret = (tread_profile_counter){.name = kinds[kind].name, .total = NAN, .per_step = NAN};
    int error = one->error;
    if (one->n_files > 0 && !sum_files(counters, one, &total, &counted))
        error = errno != 0 ? errno : EIO;
    ret->available = one->n_files > 0 && error == 0;
    if (ret->available) {
        snprintf(ret->source, sizeof ret->source, "%s%s",
                 kinds[kind].type == PERF_TYPE_HARDWARE ? "hardware" : "kernel",
                 one->user_alone ? ", user space alone" : "");
        ret->total = total;
        ret->counted = counted;
        return;
    }
    if (kinds[kind].type == PERF_TYPE_SOFTWARE) { /* there is another way */
        ret->available = true;
        ret->counted = 1;
        ret->total = (double)(kind == TREAD_COUNT_PAGE_FAULTS ? counters->faults : counters->switches);
        snprintf(ret->source, sizeof ret->source, "getrusage");
        return;
    }
    say_why(counters, error, ret->reason, sizeof ret->reason);
}

void tread_counters_read(const tread_counters *counters, int64_t n_steps,
                         tread_profile_counter ret_counters[TREAD_N_COUNTERS]) {
    for (int i = 0; i < TREAD_N_COUNTERS; i++) {
        fill(counters, i, &ret_counters[i]);
        if (n_steps > 0)
            ret_counters[i].per_step = ret_counters[i].total / (double)n_steps;
    }
}
