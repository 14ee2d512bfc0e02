/* Whole profiles, small enough to take no time. */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <tread/info.h>
#include <tread/optimizer.h>
#include <tread/profile.h>

#include "core/memory.h"
#include "core/parallel.h"
#include "tests/optim/helpers.h"
#include "tests/test.h"

#define SMALL_MEMORY ((size_t)256 << 10)

static tread_profile_optimizer_options small(void) {
    static const char *const optimizers[] = {"sgd:momentum=0.9", "lamb"}, *const layouts[] = {"tiny:3x50", "mlp:9-5-2"};
    static const int threads[] = {2, 1};
    tread_profile_optimizer_options o = tread_profile_optimizer_defaults();
    o.optimizers = optimizers;
    o.n_optimizers = 2;
    o.layouts = layouts;
    o.n_layouts = 2;
    o.threads = threads;
    o.n_threads = tread_parallel_openmp_version() != 0 ? 2 : 1;
    if (o.n_threads == 1)
        o.threads++; /* this build has one */
    o.rounds = 2;
    o.memory_bytes = SMALL_MEMORY;
    return o;
}

static tread_profile_optimizer_result *profile(const tread_profile_optimizer_options *o) {
    tread_profile_optimizer_result *result = NULL;
    ck_assert_ok(tread_profile_optimizer(NULL, o, &result));
    return result;
}

static void must_be_near(double value, double expected) {
    ck_assert_msg(fabs(value - expected) <= 1e-9 * fabs(expected), "%.17g, not %.17g", value, expected);
}

static void check_row(const tread_profile_optimizer_result *r, const tread_profile_row *row, double alone) {
    const double n = (double)r->layouts[row->layout].parameters;
    const int bytes = r->optimizers[row->optimizer].bytes_per_parameter;
    ck_assert(row->lower_quartile <= row->median && row->median <= row->upper_quartile && row->lower_quartile > 0);
    must_be_near(row->ns_per_parameter, 1e9 * row->median / n);
    ck_assert_int_eq(row->bound == TREAD_BOUND_ONE_THREAD, row->threads > 1 && row->regions == 0);
    if (row->bound == TREAD_BOUND_ONE_THREAD) {
        ck_assert(isnan(row->speedup) && isnan(row->efficiency) && isnan(row->serial_fraction) &&
                  isnan(row->rmw_bytes_per_second) && isnan(row->bandwidth_share) && isnan(row->traffic_seconds) &&
                  isnan(row->arithmetic_seconds) && row->fork_seconds == 0 && row->memory_bytes_per_second > 0);
        must_be_near(row->bytes_per_second, bytes * n / row->median);
        return;
    }
    must_be_near(row->speedup, alone / row->median);
    must_be_near(row->efficiency, row->speedup / row->threads);
    if (row->threads == 1)
        ck_assert(isnan(row->serial_fraction) && row->fork_seconds == 0);
    else
        must_be_near(row->serial_fraction, tread_profile_karp_flatt(row->speedup, row->threads));
    ck_assert(row->rmw_bytes_per_second > 0 && row->memory_bytes_per_second > 0 && row->steps_per_sample >= 1);
    ck_assert_ptr_nonnull(tread_profile_bound_name(row->bound));
    if (bytes == 0) {
        ck_assert(isnan(row->bytes_per_second) && row->bound == TREAD_BOUND_UNKNOWN && row->regions == -1);
        return;
    }
    must_be_near(row->bytes_per_second, bytes * n / row->median);
    must_be_near(row->bandwidth_share, row->bytes_per_second / row->rmw_bytes_per_second);
    ck_assert(row->traffic_seconds > 0 && row->arithmetic_seconds > 0 && row->fork_seconds >= 0);
    ck_assert(row->bound != TREAD_BOUND_UNKNOWN);
}

START_TEST(a_profile_has_every_row_and_they_agree) {
    const tread_profile_optimizer_options o = small();
    tread_profile_optimizer_result *r = profile(&o);
    ck_assert(r->n_optimizers == 2 && r->n_layouts == 2 && r->n_threads == o.n_threads && r->threads[0] == 1);
    ck_assert_uint_eq(r->n_rows, 4 * o.n_threads);
    ck_assert(r->layouts[0].tensors == 3 && r->layouts[0].parameters == 150 && r->layouts[1].parameters == 62);
    ck_assert(r->optimizers[0].bytes_per_parameter == 20 && r->optimizers[1].regions == 2);
    ck_assert_str_eq(r->layouts[1].text, "mlp:9-5-2");
    ck_assert_str_eq(r->optimizers[0].spec, "sgd:momentum=0.9");
    double alone = 0;
    for (size_t i = 0; i < r->n_rows; i++) {
        const tread_profile_row *row = &r->rows[i];
        ck_assert_uint_eq(row->layout, i / (2 * o.n_threads));
        ck_assert_uint_eq(row->optimizer, i / o.n_threads % 2);
        ck_assert_int_eq(row->threads, r->threads[i % o.n_threads]);
        ck_assert_uint_eq(row->n_samples, 2);
        alone = row->threads == 1 ? row->median : alone;
        must_be_near(row->median, (row->samples[0] + row->samples[1]) / 2);
        check_row(r, row, alone);
    }
    ck_assert(r->n_scalings == 0 && !r->interrupted && !r->out_of_time && r->seconds > 0 && r->noise.seconds > 0);
    tread_profile_optimizer_destroy(r);
}
END_TEST

START_TEST(every_optimizer_is_profiled) {
    const char *const layouts[] = {"mlp:6-4-3"};
    tread_profile_optimizer_options o = small();
    o.layouts = layouts;
    o.n_layouts = 1;
    o.rounds = 1;
    for (size_t i = 0; battery_specs[i] != NULL; i++) {
        tread_profile_optimizer_result *r = NULL;
        o.optimizers = &battery_specs[i];
        o.n_optimizers = 1;
        if (strncmp(battery_specs[i], "lbfgs", 5) == 0) {
            ck_assert_fails(tread_profile_optimizer(NULL, &o, &r), TREAD_ERROR_ARGUMENT,
                            "lbfgs: a step is mostly its closure");
            continue;
        }
        if (strstr(battery_specs[i], "rule=muon") != NULL)
            continue;
        ck_assert_msg(tread_profile_optimizer(NULL, &o, &r) == TREAD_OK, "%s: %s", battery_specs[i],
                      tread_last_error());
        ck_assert_uint_eq(r->n_rows, o.n_threads);
        for (size_t k = 0; k < r->n_rows; k++)
            check_row(r, &r->rows[k], r->rows[0].median);
        tread_profile_optimizer_destroy(r);
    }
}
END_TEST

static int count_warnings(const tread_profile_optimizer_result *r, const char *kind) {
    int n = 0;
    for (size_t i = 0; i < r->warnings.count; i++)
        n += strcmp(r->warnings.items[i].kind, kind) == 0;
    return n;
}

START_TEST(four_thread_counts_give_a_law) {
    if (tread_parallel_openmp_version() == 0)
        return;
    const char *const optimizers[] = {"lamb"}, *const layouts[] = {"big:100", "tiny:1000x256"};
    const int threads[] = {1, 2, 3, 4};
    tread_profile_optimizer_options o = small();
    o.optimizers = optimizers;
    o.layouts = layouts;
    o.n_optimizers = 1;
    o.threads = threads;
    o.n_threads = 4;
    o.rounds = 1;
    tread_thread_count_may_be_crowded(true); /* as it is in programs that are no tests */
    tread_profile_optimizer_result *r = profile(&o);
    tread_thread_count_may_be_crowded(false);
    tread_system_info info = tread_system_info_defaults();
    ck_assert_ok(tread_info(NULL, &info));
    /* More threads than CPUs are measured, and said; no law is fitted to them, which is said, too. */
    ck_assert_int_eq(count_warnings(r, "threads"), info.allowed_cpus < 4);
    ck_assert_int_eq(count_warnings(r, "law"), info.allowed_cpus < 4);
    ck_assert_uint_eq(r->n_scalings, info.allowed_cpus < 4 ? 0 : 1); /* the small layout's stay on one thread */
    ck_assert_uint_eq(r->n_rows, 8);
    size_t forked = 0;
    for (size_t i = 0; i < r->n_rows; i++)
        if (r->rows[i].regions > 0) { /* of several threads, not a call: that takes a few nanoseconds */
            ck_assert_msg(r->rows[i].fork_seconds > 1e-7, "%d threads: %g s", r->rows[i].threads,
                          r->rows[i].fork_seconds);
            forked += r->rows[i].layout == 1;
        }
    ck_assert_uint_ge(forked, 2);
    tread_profile_optimizer_destroy(r);
}
END_TEST

/* Some tens of thousands of elements are worth two threads, some thousand are not. */
START_TEST(a_step_that_stays_on_one_thread_is_told_from_one_that_forks) {
    if (tread_parallel_openmp_version() == 0)
        return;
    const char *const layouts[] = {"big:1k", "big:1M"};
    tread_profile_optimizer_options o = small();
    o.layouts = layouts;
    o.rounds = 1;
    tread_profile_optimizer_result *r = profile(&o);
    tread_system_info info = tread_system_info_defaults();
    ck_assert_ok(tread_info(NULL, &info));
    ck_assert_uint_eq(r->n_rows, 8);
    for (size_t i = 0; i < r->n_rows; i++) {
        const tread_profile_row *row = &r->rows[i];
        ck_assert(isnan(row->mad)); /* of one sample */
        if (row->threads == 1 || row->layout == 0)
            ck_assert_int_eq(row->regions, 0);
        else if (info.allowed_cpus >= 2)
            ck_assert(row->regions >= 1 && row->fork_seconds > 0 && row->bound != TREAD_BOUND_ONE_THREAD);
        ck_assert_int_eq(row->bound == TREAD_BOUND_ONE_THREAD, row->threads > 1 && row->regions == 0);
    }
    tread_profile_optimizer_destroy(r);
}
END_TEST

/* More threads than CPUs share out large work only, which is no limit of OpenMP's. */
START_TEST(more_threads_than_cpus_are_all_given) {
    if (tread_parallel_openmp_version() == 0)
        return;
    tread_system_info info = tread_system_info_defaults();
    ck_assert_ok(tread_info(NULL, &info));
    const int threads[] = {1, 2 * info.allowed_cpus};
    tread_profile_optimizer_options o = small();
    o.threads = threads;
    o.n_threads = 2;
    o.rounds = 1;
    tread_thread_count_may_be_crowded(true);
    tread_profile_optimizer_result *r = profile(&o);
    tread_thread_count_may_be_crowded(false);
    bool crowded = false;
    for (size_t i = 0; i < r->warnings.count; i++) {
        crowded |= strstr(r->warnings.items[i].text, "There are more threads") != NULL;
        ck_assert_msg(strstr(r->warnings.items[i].text, "OpenMP gave") == NULL, "%s", r->warnings.items[i].text);
    }
    ck_assert(crowded);
    tread_profile_optimizer_destroy(r);
}
END_TEST

static void default_must_be(int most, const int *expected, size_t n) {
    tread_context_options c = tread_context_defaults();
    c.threads = most;
    tread_context *context = tread_context_create(&c);
    const char *const layouts[] = {"big:64"};
    tread_profile_optimizer_options o = small();
    o.layouts = layouts;
    o.n_layouts = o.n_optimizers = 1;
    o.threads = NULL;
    o.rounds = 1;
    tread_profile_optimizer_result *r = NULL;
    ck_assert_ok(tread_profile_optimizer(context, &o, &r));
    ck_assert_uint_eq(r->n_threads, n);
    ck_assert_mem_eq(r->threads, expected, n * sizeof *expected);
    tread_profile_optimizer_destroy(r);
    tread_context_destroy(context);
}

START_TEST(the_default_thread_counts_are_powers_of_two) {
    if (tread_parallel_openmp_version() == 0)
        return;
    default_must_be(1, (const int[]){1}, 1);
    default_must_be(3, (const int[]){1, 2, 3}, 3);
    default_must_be(4, (const int[]){1, 2, 3, 4}, 4); /* a law takes four */
    default_must_be(6, (const int[]){1, 2, 4, 6}, 4);
}
END_TEST

typedef struct stop {
    int calls, at, rounds_seen;
} stop;

static bool count_down(void *data, const tread_profile_progress *p) {
    stop *s = data;
    ck_assert(p->rounds == 2 && p->n_layouts == 2 && p->layout_index < 2 && p->seconds >= 0);
    s->rounds_seen |= 1 << p->round;
    return ++s->calls < s->at;
}

START_TEST(an_interrupted_profile_has_what_was_measured) {
    tread_profile_optimizer_options o = small();
    stop whole = {.at = 1 << 30};
    o.progress = count_down;
    o.progress_data = &whole;
    tread_profile_optimizer_result *r = profile(&o);
    ck_assert_int_eq(whole.rounds_seen, 7);
    tread_profile_optimizer_destroy(r);
    size_t before = 0;
    for (int at = 1; at <= whole.calls; at += 7) {
        stop s = {.at = at};
        o.progress_data = &s;
        r = profile(&o);
        ck_assert(r->interrupted && s.calls == at && r->n_rows >= before);
        before = r->n_rows;
        for (size_t i = 0; i < r->n_rows; i++)
            ck_assert(r->rows[i].n_samples >= 1 && r->rows[i].median > 0);
        if (at == 1)
            ck_assert_uint_eq(r->n_rows, 0);
        tread_profile_optimizer_destroy(r);
    }
    ck_assert_uint_ge(before, 4 * o.n_threads - 1);
}
END_TEST

START_TEST(when_time_is_up_there_is_one_round) {
    tread_profile_optimizer_options o = small();
    o.rounds = 1000;
    o.seconds = 1e-6;
    tread_profile_optimizer_result *r = profile(&o);
    ck_assert(r->out_of_time && !r->interrupted && r->n_rows == 4 * o.n_threads);
    for (size_t i = 0; i < r->n_rows; i++)
        ck_assert_uint_eq(r->rows[i].n_samples, 1);
    tread_profile_optimizer_destroy(r);
}
END_TEST

static void must_refuse(const tread_profile_optimizer_options *o, tread_status status, const char *part) {
    tread_profile_optimizer_result other, *r = &other;
    ck_assert_fails(tread_profile_optimizer(NULL, o, &r), status, part);
    ck_assert_ptr_eq(r, &other);
}

START_TEST(what_is_wrong_is_refused_before_anything_is_measured) {
    const char *names[65], *const unknown[] = {"adm"}, *const none[] = {NULL}, *const odd[] = {"big:x"};
    const char *const huge[] = {"big:64", "big:900Gi"}, *const flat[] = {"big:64"}, *const muon[] = {"muon:rule=muon"};
    const int twice[] = {1, 2, 1}, zero[] = {0}, many[] = {1025};
    for (int i = 0; i < 65; i++)
        names[i] = "sgd";
#define REFUSE(status, part, ...)                                                                                      \
    do {                                                                                                               \
        tread_profile_optimizer_options o = small();                                                                   \
        __VA_ARGS__;                                                                                                   \
        must_refuse(&o, status, part);                                                                                 \
    } while (0)
    REFUSE(TREAD_ERROR_ARGUMENT, "there is no optimizer 'adm'", o.optimizers = unknown, o.n_optimizers = 1);
    REFUSE(TREAD_ERROR_ARGUMENT, "optimizer 0 is NULL", o.optimizers = none, o.n_optimizers = 1);
    REFUSE(TREAD_ERROR_ARGUMENT, "65 optimizers are not from 1 to 64", o.optimizers = names, o.n_optimizers = 65);
    REFUSE(TREAD_ERROR_ARGUMENT, "0 layouts", o.n_layouts = 0);
    REFUSE(TREAD_ERROR_ARGUMENT, "\"x\" is not a number", o.layouts = odd, o.n_layouts = 1);
    REFUSE(TREAD_ERROR_ARGUMENT, "the text is NULL", o.layouts = none, o.n_layouts = 1);
    REFUSE(TREAD_ERROR_ARGUMENT, "threads: 1 is asked for twice", o.threads = twice, o.n_threads = 3);
    REFUSE(TREAD_ERROR_ARGUMENT, "threads[0] = 0 is outside 1..1024", o.threads = zero, o.n_threads = 1);
    REFUSE(TREAD_ERROR_ARGUMENT, "threads[0] = 1025", o.threads = many, o.n_threads = 1);
    REFUSE(TREAD_ERROR_ARGUMENT, "0 thread counts", o.n_threads = 0);
    REFUSE(TREAD_ERROR_ARGUMENT, "rounds = 0 is outside 1..1000", o.rounds = 0);
    REFUSE(TREAD_ERROR_ARGUMENT, "seconds = nan", o.seconds = NAN);
    REFUSE(TREAD_ERROR_ARGUMENT, "memory_bytes = 1 is below", o.memory_bytes = 1);
    REFUSE(TREAD_ERROR_ARGUMENT, "options.size", o.size = 1);
    REFUSE(TREAD_ERROR_MEMORY, "layout big:900Gi with the state of 2 optimizers takes", o.layouts = huge,
           o.n_layouts = 2);
    REFUSE(TREAD_ERROR_SHAPE, "layout big:64: muon:rule=muon is for matrices", o.layouts = flat, o.n_layouts = 1,
           o.optimizers = muon, o.n_optimizers = 1);
    ck_assert_fails(tread_profile_optimizer(NULL, NULL, NULL), TREAD_ERROR_ARGUMENT, "NULL");
    tread_profile_optimizer_destroy(NULL);
}
END_TEST

START_TEST(every_allocation_may_fail) {
    tread_profile_optimizer_options o = small();
    const char *const optimizers[] = {"adam", "muon"}, *const layouts[] = {"mlp:6-4-3"};
    o.optimizers = optimizers;
    o.layouts = layouts;
    o.n_layouts = 1;
    o.rounds = 1;
    uint64_t blocks = 0;
    bool done = false;
    tread_profile_optimizer_destroy(profile(&o)); /* what is kept for the process */
    for (uint64_t k = 1; !done; k++) {
        tread_profile_optimizer_result *r = NULL;
        blocks = tread_memory_live_blocks();
        tread_memory_fail_at(k);
        const tread_status status = tread_profile_optimizer(NULL, &o, &r);
        const bool failed = tread_memory_failed();
        tread_memory_fail_at(0);
        if (failed) {
            ck_assert_msg(status == TREAD_ERROR_MEMORY && r == NULL, "allocation %d: %s", (int)k,
                          tread_status_string(status));
            ck_assert(strstr(tread_last_error(), "out of memory") != NULL);
        } else {
            ck_assert_int_eq(status, TREAD_OK);
            tread_profile_optimizer_destroy(r);
            done = true;
        }
        ck_assert_msg(tread_memory_live_blocks() == blocks, "allocation %d leaks", (int)k);
        ck_assert(k < 10000);
    }
}
END_TEST

TEST_MAIN("profile optimizer", a_step_that_stays_on_one_thread_is_told_from_one_that_forks,
          a_profile_has_every_row_and_they_agree, an_interrupted_profile_has_what_was_measured,
          every_allocation_may_fail, every_optimizer_is_profiled, four_thread_counts_give_a_law,
          more_threads_than_cpus_are_all_given, the_default_thread_counts_are_powers_of_two,
          what_is_wrong_is_refused_before_anything_is_measured, when_time_is_up_there_is_one_round)
