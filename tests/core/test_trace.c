#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/context.h"
#include "core/memory.h"
#include "tests/test.h"

static char file[64], text[65536];

static void begin_file(void) {
    strcpy(file, P_tmpdir "/tread-trace-XXXXXX");
    close(mkstemp(file));
}

static void read_file(void) {
    FILE *f = fopen(file, "r");
    ck_assert_ptr_nonnull(f);
    text[fread(text, 1, sizeof text - 1, f)] = '\0';
    fclose(f);
}

static void end_file(void) {
    read_file();
    unlink(file);
}

static void check_order(const char *const *parts, size_t n) {
    const char *at = text;
    for (size_t i = 0; i < n; i++) {
        const char *found = strstr(at, parts[i]);
        ck_assert_msg(found != NULL, "\"%s\" is not where it should be in\n%s", parts[i], text);
        at = found + strlen(parts[i]);
    }
}

START_TEST(rows_are_aligned_and_sorted_by_total) {
    begin_file();
    tread_trace *trace = NULL;
    ck_assert_ok(tread_trace_create(file, &trace));
    static const char other_address[] = "linear";
    uint64_t calls = tread_memory_calls();
    tread_trace_add(trace, "relu", TREAD_TRACE_FORWARD, 500000);
    tread_trace_add(trace, "linear", TREAD_TRACE_FORWARD, 1000000);
    tread_trace_add(trace, other_address, TREAD_TRACE_FORWARD, 3000000);
    tread_trace_add(trace, "linear", TREAD_TRACE_BACKWARD, 5000000);
    tread_trace_add(trace, "a name as long as this", TREAD_TRACE_PLAN, 500000);
    ck_assert_uint_eq(tread_memory_calls(), calls);
    ck_assert_ok(tread_trace_write(trace, "2 threads, ref"));
    tread_trace_destroy(trace);
    end_file();
    static const char *const lines[] = {
        "; 2 threads, ref\n",
        "operation               phase         calls     total ms     mean us      max us   share\n",
        "linear                  backward          1        5.000    5000.000    5000.000  50.0 %\n",
        "linear                  forward           2        4.000    2000.000    3000.000  40.0 %\n",
        "a name as long as this  plan              1        0.500     500.000     500.000   5.0 %\n",
        "relu                    forward           1        0.500     500.000     500.000   5.0 %\n",
    };
    check_order(lines, sizeof lines / sizeof *lines);
}
END_TEST

static char many_names[300][8];

START_TEST(past_the_last_row_names_are_counted_together) {
    begin_file();
    tread_trace *trace = NULL;
    ck_assert_ok(tread_trace_create(file, &trace));
    for (int i = 0; i < 300; i++) {
        snprintf(many_names[i], sizeof many_names[i], "op%d", i);
        tread_trace_add(trace, many_names[i], TREAD_TRACE_OTHER, 1000);
    }
    ck_assert_ok(tread_trace_write(trace, ""));
    tread_trace_destroy(trace);
    end_file();
    char expected[64];
    snprintf(expected, sizeof expected, "(others)   other           %d", 300 - TREAD_TRACE_NAMES);
    ck_assert_msg(strstr(text, expected) != NULL, "%s", text);
    ck_assert_ptr_nonnull(strstr(text, "op127 "));
    ck_assert_ptr_null(strstr(text, "op128 "));
}
END_TEST

static pthread_barrier_t barrier;

static void *add_many(void *trace) {
    static const char *const names[] = {"a", "b", "c"};
    pthread_barrier_wait(&barrier);
    for (int i = 0; i < 300000; i++)
        tread_trace_add(trace, names[i % 3], (tread_trace_phase)(i % 2), (uint64_t)i);
    return NULL;
}

START_TEST(threads_may_add_at_once) {
    begin_file();
    tread_trace *trace = NULL;
    ck_assert_ok(tread_trace_create(file, &trace));
    pthread_t threads[4];
    pthread_barrier_init(&barrier, NULL, 4);
    for (int i = 0; i < 4; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, add_many, trace), 0);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    pthread_barrier_destroy(&barrier);
    ck_assert_ok(tread_trace_write(trace, ""));
    tread_trace_destroy(trace);
    end_file();
    int rows = 0;
    for (const char *at = text; (at = strstr(at, "    200000 ")) != NULL; at++) /* 4 * 300000 / 6 calls each */
        rows++;
    ck_assert_int_eq(rows, 6);
    ck_assert_ptr_nonnull(strstr(text, "299.999")); /* the longest */
}
END_TEST

START_TEST(a_context_writes_its_table_when_destroyed) {
    begin_file();
    tread_context_options options = tread_context_defaults();
    options.trace = file;
    options.threads = 1;
    options.backend = TREAD_BACKEND_REF;
    tread_context *traced = tread_context_create(&options), *empty = tread_context_create(&options);
    options.trace = NULL;
    tread_context *off = tread_context_create(&options);
    ck_assert_uint_eq(tread_trace_start(off), 0);
    tread_trace_stop(off, 0, "softmax", TREAD_TRACE_FORWARD);
    uint64_t start = tread_trace_start(traced);
    ck_assert_uint_ne(start, 0);
    tread_trace_stop(traced, start, "softmax", TREAD_TRACE_FORWARD);
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        tread_context_destroy(traced); /* the parent's table: not the child's to write */
        _exit(0);
    }
    waitpid(child, NULL, 0);
    read_file();
    ck_assert_str_eq(text, "");
    tread_context_destroy(traced);
    tread_context_destroy(empty);
    tread_context_destroy(off);
    end_file();
    ck_assert_ptr_nonnull(strstr(text, "softmax    forward           1 "));
    ck_assert_ptr_nonnull(strstr(text, ", ref, "));
    ck_assert_ptr_null(strstr(strstr(text, "tread ") + 1, "tread 0")); /* one table: an empty one is not written */
}
END_TEST

START_TEST(the_default_context_writes_its_table_at_exit) {
    begin_file();
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        setenv("TREAD_TRACE", file, 1);
        uint64_t start = tread_trace_start(NULL);
        tread_trace_stop(NULL, start, "gelu", TREAD_TRACE_BACKWARD);
        exit(0);
    }
    int status = -1;
    waitpid(child, &status, 0);
    ck_assert_int_eq(status, 0);
    end_file();
    ck_assert_ptr_nonnull(strstr(text, "gelu       backward          1 "));
}
END_TEST

static void keep_line(void *data, const char *line) { strcpy(data, line); }

START_TEST(a_full_disk_is_logged) {
    char line[1024] = "";
    tread_context_options options = tread_context_defaults();
    options.trace = "/dev/full";
    options.log = keep_line;
    options.log_data = line;
    tread_context *context = tread_context_create(&options);
    tread_trace_stop(context, tread_trace_start(context), "gelu", TREAD_TRACE_FORWARD);
    tread_context_destroy(context);
    ck_assert_str_eq(line, "trace: cannot write /dev/full: No space left on device");
}
END_TEST

TEST_MAIN("trace", rows_are_aligned_and_sorted_by_total, past_the_last_row_names_are_counted_together,
          threads_may_add_at_once, the_default_context_writes_its_table_at_exit,
          a_context_writes_its_table_when_destroyed, a_full_disk_is_logged)
