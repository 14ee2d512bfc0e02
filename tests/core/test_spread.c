#include "core/spread.h"

#include <sched.h>
#include <string.h>
#include <time.h>

#include "core/parallel.h"
#include "tests/test.h"

static cpu_set_t mask_now(void) {
    cpu_set_t mask;
    CPU_ZERO(&mask);
    ck_assert_int_eq(sched_getaffinity(0, sizeof mask, &mask), 0);
    return mask;
}

static void take(tread_spread *spread, int cpu) {
    if (cpu >= 0 && cpu < TREAD_SPREAD_CPUS)
        atomic_fetch_or(&spread->taken[cpu / 64], UINT64_C(1) << cpu % 64);
}

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

/* Longer than a thread that was moved is left alone. */
static void wait_a_little(void) { nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL); }

START_TEST(a_cpu_of_ones_own_is_kept) {
    tread_spread spread = {0};
    ck_assert(!tread_spread_out(&spread));
    int taken = 0;
    for (int cpu = 0; cpu < TREAD_SPREAD_CPUS; cpu++)
        taken += atomic_load(&spread.taken[cpu / 64]) >> cpu % 64 & 1;
    ck_assert_int_eq(taken, 1);
}
END_TEST

START_TEST(a_taken_cpu_is_left_and_the_mask_stays) {
    cpu_set_t before = mask_now();
    bool moved = false;
    double start = 0;
    for (int i = 0; i < 100 && !moved; i++) { /* the kernel may move the thread between these lines, too */
        wait_a_little();
        tread_spread spread = {0};
        take(&spread, sched_getcpu());
        start = now();
        moved = tread_spread_out(&spread);
        cpu_set_t after = mask_now();
        ck_assert(CPU_EQUAL(&before, &after));
    }
    ck_assert_int_eq(moved, CPU_COUNT(&before) > 1);
    if (!moved)
        return;
    tread_spread spread = {0};
    for (int cpu = 0; cpu < TREAD_SPREAD_CPUS; cpu++)
        if (cpu % 2 == sched_getcpu() % 2)
            take(&spread, cpu);
    moved = tread_spread_out(&spread);
    ck_assert_msg(!moved || now() - start > 0.004, "moved twice within 5 ms");
}
END_TEST

START_TEST(where_all_are_taken_one_stays) {
    cpu_set_t before = mask_now();
    tread_spread spread = {0};
    for (int cpu = 0; cpu < TREAD_SPREAD_CPUS; cpu++)
        take(&spread, cpu);
    wait_a_little();
    ck_assert(!tread_spread_out(&spread));
    cpu_set_t after = mask_now();
    ck_assert(CPU_EQUAL(&before, &after));
}
END_TEST

/* A host that has bound a thread to one CPU finds it there. */
START_TEST(a_bound_thread_stays) {
    cpu_set_t before = mask_now(), one;
    CPU_ZERO(&one);
    CPU_SET(sched_getcpu(), &one);
    ck_assert_int_eq(sched_setaffinity(0, sizeof one, &one), 0);
    wait_a_little();
    tread_spread spread = {0};
    take(&spread, sched_getcpu());
    ck_assert(!tread_spread_out(&spread));
    cpu_set_t after = mask_now();
    ck_assert(CPU_EQUAL(&one, &after));
    ck_assert_int_eq(sched_setaffinity(0, sizeof before, &before), 0);
}
END_TEST

typedef struct masks {
    cpu_set_t expected;
    atomic_int others;
} masks;

static void compare_masks(void *argument, int64_t begin, int64_t end) {
    masks *m = argument;
    cpu_set_t mine;
    CPU_ZERO(&mine);
    (void)begin, (void)end;
    if (sched_getaffinity(0, sizeof mine, &mine) != 0 || !CPU_EQUAL(&mine, &m->expected))
        atomic_fetch_add(&m->others, 1);
}

START_TEST(regions_leave_every_thread_its_mask) {
    tread_context_options options = tread_context_defaults();
    options.threads = 2;
    tread_context *context = tread_context_create(&options);
    ck_assert_ptr_nonnull(context);
    masks m = {.expected = mask_now()};
    for (int i = 0; i < 2000; i++)
        tread_parallel_for(context, 2, 1, 1, compare_masks, &m);
    ck_assert_int_eq(atomic_load(&m.others), 0);
    tread_context_destroy(context);
}
END_TEST

TEST_MAIN("spread", a_cpu_of_ones_own_is_kept, a_taken_cpu_is_left_and_the_mask_stays, where_all_are_taken_one_stays,
          a_bound_thread_stays, regions_leave_every_thread_its_mask)
