/* Counters with a kernel made up, and with the one there is. */
#include <errno.h>
#include <math.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/memory.h"
#include "engine/profile/counters.h"
#include "tests/engine/files.h"
#include "tests/test.h"

static tread_counters *counters;
static tread_profile_counter got[TREAD_N_COUNTERS];

/* ---- A kernel made up ---- */

static int hardware_error, software_error; /* 0: it can */
static bool user_space_is_allowed;
static uint64_t numbers[3];
static int n_open, n_on, next_file;
enum { ENDED = 12 }; /* a thread that is in the list, and over */

static int fake_open(struct perf_event_attr *attributes, pid_t thread) {
    const bool is_software = attributes->type == PERF_TYPE_SOFTWARE;
    const int error = is_software ? software_error : hardware_error;
    ck_assert(attributes->disabled && attributes->inherit);
    ck_assert_int_eq(attributes->size, sizeof *attributes);
    if (thread == ENDED)
        return errno = ESRCH, -1;
    if (error != 0 && !(attributes->exclude_kernel && user_space_is_allowed))
        return errno = error, -1;
    n_open++;
    return 1000 + next_file++;
}
static int fake_control(int file, unsigned long request) {
    ck_assert_int_ge(file, 1000);
    n_on += request == PERF_EVENT_IOC_ENABLE ? 1 : -1;
    return 0;
}
static bool fake_read(int file, uint64_t ret_numbers[3]) {
    ck_assert_int_ge(file, 1000);
    memcpy(ret_numbers, numbers, sizeof numbers);
    return true;
}
static void fake_close(int file) {
    ck_assert_int_ge(file, 1000);
    n_open--;
}
static const tread_counters_kernel fake = {fake_open, fake_control, fake_read, fake_close};

/* With this kernel and this root, 10 steps. */
static void count(const char *root) {
    n_open = n_on = 0;
    ck_assert_ok(tread_counters_open(&fake, root, &counters));
    tread_counters_switch(counters, true);
    tread_counters_switch(counters, true); /* nothing */
    ck_assert_int_eq(n_on, n_open);
    tread_counters_switch(counters, false);
    ck_assert_int_eq(n_on, 0);
    tread_counters_read(counters, 10, got);
    tread_counters_close(counters);
    ck_assert_int_eq(n_open, 0);
}

static void write_paranoid(const char *text) {
    mkdir(test_path("proc"), 0777);
    mkdir(test_path("proc/sys"), 0777);
    mkdir(test_path("proc/sys/kernel"), 0777);
    test_write(test_path("proc/sys/kernel/perf_event_paranoid"), text, strlen(text));
}

static void remove_paranoid(void) {
    unlink(test_path("proc/sys/kernel/perf_event_paranoid"));
    rmdir(test_path("proc/sys/kernel"));
    rmdir(test_path("proc/sys"));
    rmdir(test_path("proc"));
}

START_TEST(what_counted_a_part_of_the_time_is_scaled_up) {
    hardware_error = software_error = 0;
    memcpy(numbers, (uint64_t[]){100, 1000, 250}, sizeof numbers);
    count("/nowhere"); /* no list of threads there: one */
    for (int i = 0; i < TREAD_N_COUNTERS; i++) {
        ck_assert(got[i].available);
        ck_assert_double_eq(got[i].total, 400);
        ck_assert_double_eq(got[i].per_step, 40);
        ck_assert_double_eq(got[i].counted, 0.25);
        ck_assert_str_eq(got[i].source, i < TREAD_COUNT_CONTEXT_SWITCHES ? "hardware" : "kernel");
        ck_assert_str_eq(got[i].reason, "");
    }
    memcpy(numbers, (uint64_t[]){0, 1000, 0}, sizeof numbers);
    count("/nowhere");
    ck_assert(!got[TREAD_COUNT_CYCLES].available);
    ck_assert_ptr_nonnull(strstr(got[TREAD_COUNT_CYCLES].reason, "other events held"));
    memcpy(numbers, (uint64_t[]){0, 0, 0}, sizeof numbers); /* it slept */
    count("/nowhere");
    ck_assert(got[TREAD_COUNT_CYCLES].available && got[TREAD_COUNT_CYCLES].total == 0);
}
END_TEST

START_TEST(what_is_refused_says_why) {
    char root[4096];
    test_folder_create();
    snprintf(root, sizeof root, "%s", test_path(""));
    memcpy(numbers, (uint64_t[]){100, 1000, 1000}, sizeof numbers);
    const struct {
        int error;
        const char *paranoid, *part;
    } cases[] = {{ENOENT, "2\n", "this machine does not have it"},
                 {EOPNOTSUPP, "2\n", "this machine does not have it"},
                 {ENOSYS, "2\n", "seccomp"},
                 {EACCES, "4\n", "perf_event_paranoid is 4): 2 or less"},
                 {EPERM, "1\n", "perf_event_paranoid is 1), perhaps by a container's seccomp filter"},
                 {EPERM, "", "refused: 2 or less"},
                 {EMFILE, "2\n", "perf_event_open failed: Too many open files"}};
    user_space_is_allowed = false;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        if (cases[i].paranoid[0] != '\0')
            write_paranoid(cases[i].paranoid);
        else
            remove_paranoid();
        hardware_error = software_error = cases[i].error;
        count(root);
        ck_assert(!got[TREAD_COUNT_INSTRUCTIONS].available && isnan(got[TREAD_COUNT_INSTRUCTIONS].per_step));
        ck_assert_msg(strstr(got[TREAD_COUNT_INSTRUCTIONS].reason, cases[i].part) != NULL, "\"%s\" lacks \"%s\"",
                      got[TREAD_COUNT_INSTRUCTIONS].reason, cases[i].part);
        ck_assert(got[TREAD_COUNT_PAGE_FAULTS].available);
        ck_assert_str_eq(got[TREAD_COUNT_PAGE_FAULTS].source, "getrusage");
    }
    remove_paranoid();
    test_folder_remove();
}
END_TEST

START_TEST(user_space_alone_is_better_than_nothing) {
    hardware_error = software_error = EACCES;
    user_space_is_allowed = true;
    memcpy(numbers, (uint64_t[]){100, 1000, 1000}, sizeof numbers);
    count("/nowhere");
    ck_assert_str_eq(got[TREAD_COUNT_CYCLES].source, "hardware, user space alone");
    ck_assert_double_eq(got[TREAD_COUNT_CYCLES].per_step, 10);
    ck_assert_str_eq(got[TREAD_COUNT_CONTEXT_SWITCHES].source, "getrusage"); /* of which user space has none */
}
END_TEST

START_TEST(threads_are_counted_one_by_one) {
    hardware_error = software_error = 0;
    memcpy(numbers, (uint64_t[]){100, 1000, 1000}, sizeof numbers);
    count("");
    ck_assert_double_eq(got[TREAD_COUNT_CYCLES].total, 100); /* this process has one */
    static const char *const folders[] = {
        "proc", "proc/self", "proc/self/task", "proc/self/task/11", "proc/self/task/12", "proc/self/task/13"};
    char root[4096];
    test_folder_create();
    snprintf(root, sizeof root, "%s", test_path(""));
    for (size_t i = 0; i < sizeof folders / sizeof *folders; i++)
        ck_assert_int_eq(mkdir(test_path(folders[i]), 0777), 0);
    count(root);
    ck_assert(got[TREAD_COUNT_CYCLES].available);
    ck_assert_double_eq(got[TREAD_COUNT_CYCLES].total, 200);
    for (size_t i = sizeof folders / sizeof *folders; i-- > 0;)
        rmdir(test_path(folders[i]));
    test_folder_remove();
}
END_TEST

/* ---- The kernel there is ---- */

START_TEST(page_faults_are_seen) {
    enum { PAGES = 300 };
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    ck_assert_ok(tread_counters_open(NULL, "", &counters));
    char *memory = mmap(NULL, PAGES * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    ck_assert(memory != MAP_FAILED);
    madvise(memory, PAGES * page, MADV_NOHUGEPAGE);
    for (int i = 0; i < PAGES / 3; i++) /* before: not counted */
        memory[(size_t)i * page] = 1;
    tread_counters_switch(counters, true);
    for (int i = PAGES / 3; i < PAGES; i++)
        memory[(size_t)i * page] = 1;
    tread_counters_switch(counters, false);
    tread_counters_read(counters, 0, got);
    tread_counters_close(counters);
    munmap(memory, PAGES * page);
    ck_assert(got[TREAD_COUNT_PAGE_FAULTS].available);
    ck_assert_double_ge(got[TREAD_COUNT_PAGE_FAULTS].total, PAGES * 2 / 3);
    ck_assert_double_lt(got[TREAD_COUNT_PAGE_FAULTS].total, PAGES * 2 / 3 + 50);
    ck_assert(isnan(got[TREAD_COUNT_PAGE_FAULTS].per_step));
    for (int i = 0; i < TREAD_N_COUNTERS; i++)
        ck_assert_msg(got[i].available == (got[i].reason[0] == '\0'), "%s: %s", got[i].name, got[i].reason);
}
END_TEST

START_TEST(every_failing_allocation_is_reported) {
    hardware_error = software_error = 0;
    for (uint64_t k = 1;; k++) {
        const uint64_t blocks = tread_memory_live_blocks();
        counters = NULL;
        tread_memory_fail_at(k);
        tread_status status = tread_counters_open(&fake, "", &counters);
        const bool failed = tread_memory_failed();
        tread_memory_fail_at(0);
        if (!failed) {
            ck_assert_ok(status);
            tread_counters_close(counters);
            ck_assert_uint_eq(k, 4);
            return;
        }
        ck_assert_int_eq(status, TREAD_ERROR_MEMORY);
        ck_assert_uint_eq(tread_memory_live_blocks(), blocks);
    }
}
END_TEST

TEST_MAIN("counters", what_counted_a_part_of_the_time_is_scaled_up, what_is_refused_says_why,
          user_space_alone_is_better_than_nothing, threads_are_counted_one_by_one, page_faults_are_seen,
          every_failing_allocation_is_reported)
