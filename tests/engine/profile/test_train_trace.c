/* The trace file: that it is what viewers of the Trace Event Format read, and what becomes of a file that cannot be
 * written. */
#include <dirent.h>
#include <errno.h>
#include <jansson.h>
#include <string.h>
#include <tread/models.h>
#include <unistd.h>

#include "core/memory.h"
#include "core/parallel.h"
#include "engine/profile/train_profile.h"
#include "tests/engine/fault.h"
#include "tests/engine/files.h"
#include "tests/test.h"

enum { THREADS = 3, SAMPLES = 256, WIDE = 300 };

static float x[SAMPLES * WIDE];
static int32_t y[SAMPLES];
static tread_context *context;
static tread_dataset *set;
static tread_batches *batches;
static tread_module *model;
static tread_optimizer *optimizer;
static tread_trainer *trainer;
static tread_train_profile *profile;

/* Large enough that the optimizer and the batches are shared out among threads. */
static void start(size_t events) {
    tread_context_options co = tread_context_defaults();
    co.threads = THREADS;
    context = tread_context_create(&co);
    for (int i = 0; i < SAMPLES * WIDE; i++)
        x[i] = (float)(i % 13) / 13;
    set = tread_dataset_from_labels(SAMPLES, WIDE, x, 10, y);
    tread_batches_options bo = tread_batches_defaults();
    bo.batch_size = 128;
    batches = tread_batches_create(context, set, &bo);
    tread_mlp_options mo = tread_mlp_defaults();
    mo.n_inputs = WIDE;
    mo.hidden = (int64_t[]){300};
    mo.n_hidden = 1;
    mo.n_outputs = 10;
    model = tread_mlp(context, &mo);
    optimizer = tread_optimizer_from_spec(context, tread_module_parameters(model), "adam");
    tread_trainer_options o = tread_trainer_defaults();
    o.model = model;
    o.optimizer = optimizer;
    o.train = batches;
    trainer = tread_trainer_create(context, &o);
    ck_assert_msg(trainer != NULL, "%s", tread_last_error());
    tread_profile_train_options po = tread_profile_train_defaults();
    po.warmup = 1;
    po.steps = 10;
    po.measure_machine = po.counters = false;
    po.trace_events = events;
    ck_assert_ok(tread_profile_train(trainer, &po, &profile));
    test_folder_create();
}

static void end(void) {
    tread_train_profile_destroy(profile);
    tread_trainer_destroy(trainer);
    tread_optimizer_destroy(optimizer);
    tread_module_destroy(model);
    tread_batches_destroy(batches);
    tread_dataset_destroy(set);
    tread_context_destroy(context);
    test_folder_remove();
}

static json_t *load(const char *path) {
    json_error_t error;
    json_t *all = json_load_file(path, JSON_REJECT_DUPLICATES, &error);
    ck_assert_msg(all != NULL, "line %d: %s", error.line, error.text);
    return all;
}

typedef struct span {
    double begin, end; /* microseconds */
    const char *name, *category;
} span;

static span spans[THREADS][4096];
static size_t n_spans[THREADS];

/* Begins early first, and the longer of two that begin at once. */
static int compare(const void *a, const void *b) {
    const span *p = a, *q = b;
    if (p->begin != q->begin)
        return p->begin < q->begin ? -1 : 1;
    return (q->end > p->end) - (q->end < p->end);
}

static void read_spans(json_t *events) {
    size_t i;
    json_t *event;
    memset(n_spans, 0, sizeof n_spans);
    json_array_foreach(events, i, event) {
        const char *kind = json_string_value(json_object_get(event, "ph"));
        if (strcmp(kind, "X") != 0)
            continue;
        const json_int_t lane = json_integer_value(json_object_get(event, "tid"));
        ck_assert(lane >= 0 && lane < THREADS);
        const double begin = json_number_value(json_object_get(event, "ts"));
        const double length = json_number_value(json_object_get(event, "dur"));
        ck_assert(json_is_real(json_object_get(event, "ts")) && json_is_real(json_object_get(event, "dur")));
        ck_assert_double_ge(begin, 0);
        ck_assert_double_ge(length, 0);
        spans[lane][n_spans[lane]++] = (span){begin, begin + length, json_string_value(json_object_get(event, "name")),
                                              json_string_value(json_object_get(event, "cat"))};
    }
    for (int lane = 0; lane < THREADS; lane++)
        qsort(spans[lane], n_spans[lane], sizeof(span), compare);
}

/* Times are rounded to a nanosecond. */
#define ROUNDED 0.0021

static void check_nesting(int lane) {
    const span *open[TREAD_RECORDER_DEPTH + 1];
    int depth = 0;
    for (size_t i = 0; i < n_spans[lane]; i++) {
        const span *one = &spans[lane][i];
        while (depth > 0 && open[depth - 1]->end <= one->begin + ROUNDED)
            depth--;
        ck_assert_msg(depth == 0 || one->end <= open[depth - 1]->end + ROUNDED, "%s overlaps %s", one->name,
                      open[depth - 1]->name);
        ck_assert_int_le(depth, TREAD_RECORDER_DEPTH);
        open[depth++] = one;
    }
}

static bool lies_in_a_step(const span *one) {
    for (size_t i = 0; i < n_spans[0]; i++)
        if (strcmp(spans[0][i].category, "step") == 0 && spans[0][i].begin <= one->begin + ROUNDED &&
            one->end <= spans[0][i].end + ROUNDED)
            return true;
    return false;
}

static size_t count(int lane, const char *category) {
    size_t n = 0;
    for (size_t i = 0; i < n_spans[lane]; i++)
        n += strcmp(spans[lane][i].category, category) == 0;
    return n;
}

static void check_names_of_lanes(json_t *events) {
    bool named[THREADS] = {false};
    size_t i;
    json_t *event;
    json_array_foreach(events, i, event) {
        const char *name = json_string_value(json_object_get(event, "name"));
        if (strcmp(name, "thread_name") != 0)
            continue;
        const json_int_t lane = json_integer_value(json_object_get(event, "tid"));
        char expected[32];
        snprintf(expected, sizeof expected, "thread %d%s", (int)lane, lane == 0 ? " (main)" : "");
        ck_assert_str_eq(json_string_value(json_object_get(json_object_get(event, "args"), "name")), expected);
        named[lane] = true;
    }
    for (int lane = 0; lane < profile->threads; lane++)
        ck_assert(named[lane]);
}

START_TEST(lanes_hold_spans_that_nest) {
    start(4096);
    const char *path = test_path("trace.json");
    ck_assert_ok(tread_train_profile_write_trace(profile, path));
    json_t *all = load(path), *events = json_object_get(all, "traceEvents");
    ck_assert(json_is_array(events));
    check_names_of_lanes(events);
    read_spans(events);
    size_t n = 0;
    ck_assert_int_eq(profile->threads, tread_parallel_openmp_version() > 0 ? THREADS : 1);
    for (int lane = 0; lane < profile->threads; lane++) {
        check_nesting(lane);
        n += n_spans[lane];
        for (size_t i = 0; i < n_spans[lane]; i++)
            ck_assert_msg(lies_in_a_step(&spans[lane][i]), "%s of lane %d", spans[lane][i].name, lane);
    }
    ck_assert_uint_eq(n, profile->n_trace_events);
    ck_assert_uint_eq(profile->n_trace_dropped, 0);
    ck_assert_uint_eq(count(0, "step"), 10);
    ck_assert_uint_eq(count(0, "phase"), 10 * 5); /* batch, forward, loss, backward, adam */
    ck_assert_uint_eq(count(0, "operation"), 10 * 6);
    ck_assert_uint_eq(count(0, "product"), 10 * 5);
    const size_t regions = count(0, "region");
    for (int lane = 1; lane < profile->threads; lane++) {
        ck_assert_uint_eq(count(lane, "region"), regions);
        ck_assert_uint_eq(n_spans[lane], regions);
    }
    ck_assert(tread_parallel_openmp_version() == 0 || regions >= 10); /* adam's at least */
    json_decref(all);
    end();
}
END_TEST

START_TEST(durations_are_those_of_the_steps) {
    start(4096);
    const char *path = test_path("trace.json");
    ck_assert_ok(tread_train_profile_write_trace(profile, path));
    json_t *all = load(path);
    read_spans(json_object_get(all, "traceEvents"));
    double in_trace = 0;
    for (size_t i = 0; i < n_spans[0]; i++)
        in_trace += strcmp(spans[0][i].category, "step") == 0 ? spans[0][i].end - spans[0][i].begin : 0;
    ck_assert_double_eq_tol(1e-6 * in_trace / profile->parts[0].seconds, 1, 1e-3);
    json_decref(all);
    end();
}
END_TEST

START_TEST(what_finds_no_room_is_said) {
    start(20);
    ck_assert_uint_le(profile->n_trace_events, 20 * THREADS);
    ck_assert_uint_gt(profile->n_trace_dropped, 0);
    const char *path = test_path("trace.json");
    ck_assert_ok(tread_train_profile_write_trace(profile, path));
    json_t *all = load(path), *other = json_object_get(all, "otherData");
    ck_assert_uint_eq((uint64_t)json_integer_value(json_object_get(other, "dropped_events")), profile->n_trace_dropped);
    read_spans(json_object_get(all, "traceEvents"));
    check_nesting(0);
    json_decref(all);
    end();
}
END_TEST

START_TEST(names_are_quoted) {
    start(4096);
    snprintf(((tread_train_profile_private *)profile->own)->parts[0].detail, 96, "a \"b\" \\ \n \xc3\xa4");
    const char *path = test_path("trace.json");
    ck_assert_ok(tread_train_profile_write_trace(profile, path));
    json_t *all = load(path);
    read_spans(json_object_get(all, "traceEvents"));
    ck_assert_str_eq(spans[0][0].name, "step a \"b\" \\ \n \xc3\xa4");
    json_decref(all);
    snprintf(((tread_train_profile_private *)profile->own)->parts[0].detail, 96, "\xff");
    ck_assert_ok(tread_train_profile_write_trace(profile, path));
    all = load(path);
    read_spans(json_object_get(all, "traceEvents"));
    ck_assert_str_eq(spans[0][0].name, "?");
    json_decref(all);
    end();
}
END_TEST

static int count_files(void) {
    int n = 0;
    DIR *folder = opendir(test_path(""));
    ck_assert_ptr_nonnull(folder);
    for (const struct dirent *entry; (entry = readdir(folder)) != NULL;)
        n += entry->d_name[0] != '.';
    closedir(folder);
    return n;
}

START_TEST(a_file_that_cannot_be_written_leaves_the_old_one) {
    start(4096);
    const char *path = test_path("trace.json");
    test_write(path, "old", 3);
    ck_assert_fails(tread_train_profile_write_trace(profile, test_path("none/trace.json")), TREAD_ERROR_IO,
                    "No such file or directory");
    for (int n = 1;; n++) {
        fault_begin();
        fault_plan(FAULT_WRITE, n, ENOSPC, true);
        tread_status status = tread_train_profile_write_trace(profile, path);
        const bool happened = fault_happened();
        fault_end();
        if (!happened) {
            ck_assert_ok(status);
            ck_assert_int_gt(n, 1);
            break;
        }
        ck_assert_int_eq(status, TREAD_ERROR_IO);
        ck_assert_ptr_nonnull(strstr(tread_last_error(), "trace.json: cannot write: No space left on device"));
        size_t size;
        uint8_t *old = test_read(path, &size);
        ck_assert(size == 3 && memcmp(old, "old", 3) == 0);
        free(old);
        ck_assert_int_eq(count_files(), 1);
    }
    json_decref(load(path));
    end();
}
END_TEST

START_TEST(every_failing_allocation_is_reported) {
    start(64);
    const char *path = test_path("trace.json");
    for (uint64_t k = 1; k <= 3; k++) {
        const uint64_t blocks = tread_memory_live_blocks();
        tread_memory_fail_at(k);
        tread_status status = tread_train_profile_write_trace(profile, path);
        const bool failed = tread_memory_failed();
        tread_memory_fail_at(0);
        ck_assert(failed == (k < 3));
        ck_assert_int_eq(status, failed ? TREAD_ERROR_MEMORY : TREAD_OK);
        ck_assert_int_eq(access(path, F_OK) == 0, !failed);
        ck_assert_uint_eq(tread_memory_live_blocks(), blocks);
    }
    end();
}
END_TEST

START_TEST(without_events_there_is_no_trace) {
    start(0);
    ck_assert_uint_eq(profile->n_trace_events + profile->n_trace_dropped, 0);
    ck_assert_fails(tread_train_profile_write_trace(profile, test_path("trace.json")), TREAD_ERROR_STATE,
                    "no trace was asked for");
    end();
}
END_TEST

TEST_MAIN("train_trace", lanes_hold_spans_that_nest, durations_are_those_of_the_steps, what_finds_no_room_is_said,
          names_are_quoted, a_file_that_cannot_be_written_leaves_the_old_one, every_failing_allocation_is_reported,
          without_events_there_is_no_trace)
