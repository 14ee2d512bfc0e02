#include <pthread.h>
#include <string.h>
#include <time.h>

#include "core/dnn.h"
#include "core/memory.h"
#include "core/parallel.h"
#include "core/recorder.h"
#include "tests/test.h"

static tread_context *context;
static tread_recorder *recorder;

static void start(int threads, size_t events) {
    tread_context_options options = tread_context_defaults();
    options.threads = threads;
    context = tread_context_create(&options);
    ck_assert_ptr_nonnull(context);
    ck_assert_ok(tread_recorder_create(threads, events, &recorder));
    ck_assert_ptr_null(tread_context_record(context, recorder));
}

static void end(void) {
    tread_context_record(context, NULL);
    tread_recorder_destroy(recorder);
    tread_context_destroy(context);
}

static tread_time_span begin(const char *name) {
    return tread_time_span_begin(context, &(tread_time_span_key){.name = name, .phase = TREAD_TRACE_OTHER});
}

static const tread_time_span_row *row(size_t i) {
    size_t n;
    const tread_time_span_row *rows = tread_recorder_rows(recorder, &n);
    ck_assert_uint_lt(i, n);
    return &rows[i];
}

START_TEST(spans_lie_in_each_other) {
    start(1, 64);
    const uint64_t calls = tread_memory_calls();
    for (int i = 0; i < 3; i++) {
        tread_time_span step = begin("step"), inner = begin("inner"), innermost = begin("innermost");
        tread_time_span_end(context, innermost, (tread_cost){2, 3});
        tread_time_span_end(context, inner, (tread_cost){10, 20});
        tread_time_span again = begin("innermost"); /* elsewhere in the tree: another row */
        tread_time_span_end(context, again, (tread_cost){0});
        tread_time_span_end(context, step, (tread_cost){0});
    }
    ck_assert_uint_eq(tread_memory_calls(), calls);
    size_t n;
    tread_recorder_rows(recorder, &n);
    ck_assert_uint_eq(n, 4);
    ck_assert_str_eq(row(0)->key.name, "step");
    ck_assert_int_eq(row(0)->parent, -1);
    ck_assert_int_eq(row(1)->parent, 0);
    ck_assert_int_eq(row(2)->parent, 1);
    ck_assert_int_eq(row(3)->parent, 0);
    ck_assert_int_eq(row(2)->depth, 2);
    for (size_t i = 0; i < n; i++)
        ck_assert_int_eq(row(i)->calls, 3);
    ck_assert_double_eq(row(2)->cost.flops, 6);
    ck_assert_double_eq(row(1)->inner_cost.bytes, 9);
    ck_assert_double_eq(row(1)->cost.bytes, 60);
    ck_assert_uint_eq(row(0)->inner_ns, row(1)->ns + row(3)->ns);
    ck_assert_uint_ge(row(0)->ns, row(0)->inner_ns);
    tread_time_span_lane lane = tread_recorder_lane(recorder, 0);
    ck_assert_uint_eq(lane.n, 12);
    ck_assert_uint_eq(lane.dropped, 0);
    for (size_t i = 0; i < 12; i += 4) { /* in the order of their ends */
        const tread_time_span_event *e = &lane.events[i];
        ck_assert(e[3].begin <= e[1].begin && e[1].begin <= e[0].begin && e[0].end <= e[1].end && e[1].end <= e[3].end);
        ck_assert(e[2].begin >= e[1].end);
        ck_assert_int_eq(e[0].row, 2);
        ck_assert_int_eq(e[2].row, 3);
    }
    end();
}
END_TEST

START_TEST(the_longest_is_kept) {
    start(1, 64);
    for (int i = 0; i < 3; i++) {
        tread_time_span span = begin("x");
        if (i == 1)
            nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
        tread_time_span_end(context, span, (tread_cost){0});
    }
    ck_assert_uint_ge(row(0)->longest, 20000000);
    ck_assert_uint_le(row(0)->longest, row(0)->ns);
    end();
}
END_TEST

START_TEST(rows_differ_by_every_part_of_the_key) {
    start(1, 64);
    static const int a, b;
    const tread_time_span_key keys[] = {
        {.name = "x", .phase = TREAD_TRACE_FORWARD},
        {.name = "y", .phase = TREAD_TRACE_FORWARD},
        {.name = "x", .phase = TREAD_TRACE_BACKWARD},
        {.name = "x", .phase = TREAD_TRACE_FORWARD, .part = "dx"},
        {.name = "x", .phase = TREAD_TRACE_FORWARD, .subject = &a},
        {.name = "x", .phase = TREAD_TRACE_FORWARD, .subject = &b},
        {.name = "x", .phase = TREAD_TRACE_FORWARD, .extents = {0, 1, 0}},
        {.name = "x", .phase = TREAD_TRACE_FORWARD, .place = 1},
        {.name = "x", .phase = TREAD_TRACE_FORWARD, .bf16 = true},
    };
    const size_t n_keys = sizeof keys / sizeof *keys;
    for (size_t i = 0; i < 2 * n_keys; i++)
        tread_time_span_end(context, tread_time_span_begin(context, &keys[i % n_keys]), (tread_cost){0});
    size_t n;
    tread_recorder_rows(recorder, &n);
    ck_assert_uint_eq(n, n_keys);
    for (size_t i = 0; i < n; i++)
        ck_assert_int_eq(row(i)->calls, 2);
    end();
}
END_TEST

START_TEST(what_finds_no_room_is_counted) {
    start(1, 8);
    for (int i = 0; i < TREAD_RECORDER_ROWS + 100; i++) {
        const tread_time_span_key key = {.name = "x", .phase = TREAD_TRACE_OTHER, .place = i};
        tread_time_span_end(context, tread_time_span_begin(context, &key), (tread_cost){1, 0});
    }
    size_t n;
    tread_recorder_rows(recorder, &n);
    ck_assert_uint_eq(n, TREAD_RECORDER_ROWS + 1);
    ck_assert_str_eq(row(TREAD_RECORDER_ROWS)->key.name, "(others)");
    ck_assert_int_eq(row(TREAD_RECORDER_ROWS)->calls, 100);
    tread_time_span_lane lane = tread_recorder_lane(recorder, 0);
    ck_assert_uint_eq(lane.n, 8);
    ck_assert_uint_eq(lane.dropped, TREAD_RECORDER_ROWS + 100 - 8);
    end();
}
END_TEST

START_TEST(what_a_failure_leaves_open_ends_with_its_parent) {
    start(1, 64);
    tread_time_span step = begin("step");
    begin("left open");
    tread_time_span_end(context, step, (tread_cost){0});
    tread_time_span next = begin("step");
    ck_assert_int_eq(next.level, 0);
    tread_time_span_end(context, next, (tread_cost){0});
    ck_assert_int_eq(row(0)->calls, 2);
    ck_assert_int_eq(row(1)->calls, 0);
    begin("left open");
    tread_recorder_abandon(recorder);
    ck_assert_int_eq(begin("step").level, 0);
    tread_recorder_abandon(recorder);
    for (int i = 0; i < TREAD_RECORDER_DEPTH; i++)
        ck_assert_int_eq(begin("deeper").level, i);
    tread_time_span deepest = begin("too deep");
    ck_assert_int_eq(deepest.level, -1);
    tread_time_span_end(context, deepest, (tread_cost){0});
    end();
}
END_TEST

static void *use_from_another_thread(void *argument) {
    (void)argument;
    tread_time_span_end(context, begin("elsewhere"), (tread_cost){0});
    ck_assert_ptr_null(tread_recorder_of_region(context));
    return NULL;
}

START_TEST(only_its_own_thread_is_recorded) {
    start(2, 64);
    tread_time_span step = begin("step");
    pthread_t thread;
    ck_assert_int_eq(pthread_create(&thread, NULL, use_from_another_thread, NULL), 0);
    pthread_join(thread, NULL);
    tread_time_span_end(context, step, (tread_cost){0});
    size_t n;
    tread_recorder_rows(recorder, &n);
    ck_assert_uint_eq(n, 1);
    ck_assert_ptr_eq(tread_context_record(context, NULL), recorder);
    ck_assert_int_eq((int)begin("off").begin, 0);
    end();
}
END_TEST

static void fill(void *argument, int64_t begin_, int64_t end_) {
    for (int64_t i = begin_; i < end_; i++)
        ((double *)argument)[i] = (double)i;
}

START_TEST(regions_have_a_piece_a_thread) {
    static double values[100000];
    start(3, 64);
    tread_parallel_for(context, 100000, 1000, 8, fill, values); /* in no span: nobody's */
    tread_time_span step = begin("step");
    tread_parallel_for(context, 100000, 1000, 8, fill, values);
    tread_parallel_for(context, 100, 1000, 8, fill, values); /* on one thread: no region */
    tread_time_span_end(context, step, (tread_cost){0});
    int pieces = 0;
    for (int i = 0; i < tread_recorder_lanes(recorder); i++) {
        tread_time_span_lane lane = tread_recorder_lane(recorder, i);
        for (size_t k = 0; k < lane.n; k++)
            if (lane.events[k].is_piece) {
                pieces++;
                ck_assert_int_eq(lane.events[k].row, 0);
                ck_assert_uint_ge(lane.events[k].end, lane.events[k].begin);
            }
    }
    const int expected = tread_parallel_openmp_version() > 0 ? 3 : 0;
    ck_assert_int_eq(pieces, expected);
    ck_assert_int_eq(row(0)->regions, expected > 0);
    ck_assert_uint_le(row(0)->busy_ns, 3 * row(0)->region_ns);
    ck_assert(expected == 0 || row(0)->busy_ns > 0);
    ck_assert_uint_le(row(0)->region_ns, row(0)->ns);
    end();
}
END_TEST

START_TEST(products_are_recorded_with_shape_and_cost) {
    start(1, 64);
    tread_gemm *gemm = NULL;
    const tread_gemm_shape shape = {.dtype = TREAD_FLOAT32, .m = 3, .n = 7, .k = 5, .batch = 2, .bias = true};
    ck_assert_ok(tread_gemm_create(context, &shape, &gemm));
    tread_gemm_set_part(gemm, "dx");
    float a[30] = {0}, b[70] = {0}, bias[7] = {0}, c[42];
    ck_assert_ok(tread_gemm_run(gemm, a, b, bias, c, false));
    ck_assert_str_eq(row(0)->key.name, "gemm");
    ck_assert_str_eq(row(0)->key.part, "dx");
    ck_assert_int_eq(row(0)->key.extents[0], 3);
    ck_assert_int_eq(row(0)->key.extents[1], 7);
    ck_assert_int_eq(row(0)->key.extents[2], 5);
    ck_assert_double_eq(row(0)->cost.flops, 2 * 3 * 7 * (2 * 5 + 1));
    ck_assert_double_eq(row(0)->cost.bytes, 4 * (2 * (15 + 35 + 21) + 7));
    ck_assert_double_eq(tread_gemm_cost(gemm, true).bytes, 4 * (2 * (15 + 35 + 42) + 7));
    tread_gemm_destroy(gemm);
    const tread_gemm_shape halves = {.dtype = TREAD_FLOAT32, .m = 3, .n = 7, .k = 5, .batch = 1, .bf16 = true};
    if (tread_gemm_create(context, &halves, &gemm) == TREAD_OK) { /* where the CPU has it */
        ck_assert_double_eq(tread_gemm_cost(gemm, false).bytes, 2 * (15 + 35) + 4 * 21);
        tread_gemm_destroy(gemm);
    }
    end();
}
END_TEST

START_TEST(every_failing_allocation_is_reported) {
    for (uint64_t k = 1;; k++) {
        const uint64_t blocks = tread_memory_live_blocks();
        recorder = NULL;
        tread_memory_fail_at(k);
        tread_status status = tread_recorder_create(3, 16, &recorder);
        const bool failed = tread_memory_failed();
        tread_memory_fail_at(0);
        if (!failed) {
            ck_assert_ok(status);
            tread_recorder_destroy(recorder);
            ck_assert_uint_gt(k, 4);
            return;
        }
        ck_assert_int_eq(status, TREAD_ERROR_MEMORY);
        ck_assert_ptr_null(recorder);
        ck_assert_uint_eq(tread_memory_live_blocks(), blocks);
    }
}
END_TEST

TEST_MAIN("recorder", spans_lie_in_each_other, the_longest_is_kept, rows_differ_by_every_part_of_the_key,
          what_finds_no_room_is_counted, what_a_failure_leaves_open_ends_with_its_parent,
          only_its_own_thread_is_recorded, regions_have_a_piece_a_thread, products_are_recorded_with_shape_and_cost,
          every_failing_allocation_is_reported)
