#include "core/context.h"

#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <tread/info.h>
#include <tread/version.h>
#include <unistd.h>

#include "core/isa.h"
#include "core/memory.h"
#include "core/parallel.h"
#include "tests/test.h"
#include "tread_config.h"

static const char *const variables[] = {"TREAD_NUM_THREADS", "OMP_NUM_THREADS", "TREAD_BACKEND", "TREAD_ISA",
                                        "TREAD_TRACE"};

static void clear_environment(void) {
    for (size_t i = 0; i < sizeof variables / sizeof *variables; i++)
        unsetenv(variables[i]);
}

#define ck_assert_refused(options, part)                                                                               \
    do {                                                                                                               \
        tread_context *refused_ = tread_context_create(options);                                                       \
        ck_assert_ptr_null(refused_);                                                                                  \
        ck_assert_msg(strstr(tread_last_error(), (part)) != NULL, "\"%s\" lacks \"%s\"", tread_last_error(), (part));  \
    } while (0)

/* Creates with one variable set, and compares. */
static void check_threads(const char *variable, const char *value, int option, int threads, const char *reason) {
    if (variable != NULL)
        setenv(variable, value, 1);
    tread_context_options options = tread_context_defaults();
    options.threads = option;
    tread_context *context = tread_context_create(&options);
    ck_assert_msg(context != NULL, "%s", tread_last_error());
    if (tread_parallel_openmp_version() == 0) {
        threads = 1;
        reason = "this build has no OpenMP";
    }
    ck_assert_int_eq(tread_context_threads(context), threads);
    ck_assert_str_eq(tread_context_threads_reason(context), reason);
    tread_context_destroy(context);
}

START_TEST(explicit_thread_counts_win_in_order) {
    clear_environment();
    tread_context *context = tread_context_create(NULL);
    ck_assert_int_ge(tread_context_threads(context), 1);
    tread_context_destroy(context);
    check_threads("OMP_NUM_THREADS", "5,2", 0, 5, "OMP_NUM_THREADS");
    check_threads("TREAD_NUM_THREADS", "3", 0, 3, "TREAD_NUM_THREADS");
    check_threads(NULL, NULL, 7, 7, "context option");
    check_threads("OMP_NUM_THREADS", "nonsense that nobody reads", 0, 3, "TREAD_NUM_THREADS");
    clear_environment();
}
END_TEST

START_TEST(nonsense_is_refused_with_name_and_value) {
    static const struct {
        const char *variable, *value, *part;
    } cases[] = {
        {"TREAD_NUM_THREADS", "abc", "TREAD_NUM_THREADS=abc is not a whole number from 1 to 1024"},
        {"OMP_NUM_THREADS", "4;2", "OMP_NUM_THREADS=4;2 is not a whole number"},
        {"TREAD_BACKEND", "mkl", "TREAD_BACKEND=mkl is not one of auto, onednn, ref"},
        {"TREAD_ISA", "neon", "TREAD_ISA=neon is not one of baseline, avx2, avx512"},
        {"TREAD_TRACE", "/nowhere/trace", "cannot open /nowhere/trace: No such file"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        clear_environment();
        setenv(cases[i].variable, cases[i].value, 1);
        ck_assert_refused(NULL, cases[i].part);
    }
    clear_environment();
    tread_context_options options = tread_context_defaults();
    options.threads = 1025;
    ck_assert_refused(&options, "threads = 1025 is outside 0..1024");
    options.threads = -1;
    ck_assert_refused(&options, "threads = -1");
    options = tread_context_defaults();
    options.backend = (tread_backend)3;
    ck_assert_refused(&options, "backend 3");
    options = tread_context_defaults();
    options.size = 0;
    ck_assert_refused(&options, "options.size is 0");
}
END_TEST

START_TEST(the_backend_is_chosen) {
    clear_environment();
    tread_backend built = TREAD_HAVE_ONEDNN ? TREAD_BACKEND_ONEDNN : TREAD_BACKEND_REF;
    tread_context_options options = tread_context_defaults();
    options.seed = 42;
    tread_context *context = tread_context_create(&options);
    ck_assert_int_eq(tread_context_backend(context), built);
    ck_assert_uint_eq(tread_context_seed(context), 42);
    tread_context_destroy(context);
    setenv("TREAD_BACKEND", "ref", 1);
    context = tread_context_create(NULL);
    ck_assert_int_eq(tread_context_backend(context), TREAD_BACKEND_REF);
    tread_context_destroy(context);
    options.backend = TREAD_BACKEND_ONEDNN; /* the option wins */
    context = tread_context_create(&options);
    if (TREAD_HAVE_ONEDNN)
        ck_assert_int_eq(tread_context_backend(context), TREAD_BACKEND_ONEDNN);
    else
        ck_assert_ptr_nonnull(strstr(tread_last_error(), "not in this build"));
    tread_context_destroy(context);
    clear_environment();
}
END_TEST

static void keep_line(void *data, const char *line) { strcpy(data, line); }

START_TEST(log_lines_reach_the_callback) {
    char line[2048] = "";
    tread_context_options options = tread_context_defaults();
    options.log = keep_line;
    options.log_data = line;
    tread_context *context = tread_context_create(&options);
    tread_context_log(context, "planned %d ops", 7);
    ck_assert_str_eq(line, "planned 7 ops");
    tread_context_log(context, "%2000d", 1);
    ck_assert_uint_eq(strlen(line), 1023);
    tread_context_destroy(context);
    tread_context_log(NULL, "nobody hears %d", 1);
}
END_TEST

START_TEST(every_allocation_may_fail) {
    char file[] = P_tmpdir "/tread-context-XXXXXX";
    close(mkstemp(file));
    tread_context_options options = tread_context_defaults();
    options.trace = file;
    uint64_t live = tread_memory_live_blocks(), k = 1;
    for (tread_context *context = NULL; context == NULL; k++) {
        tread_memory_fail_at(k);
        context = tread_context_create(&options);
        ck_assert(tread_memory_failed() == (context == NULL));
        tread_memory_fail_at(0);
        tread_context_destroy(context);
        ck_assert_uint_eq(tread_memory_live_blocks(), live);
    }
    ck_assert_uint_eq(k - 1, 4); /* table, its file's name, context; then success */
    unlink(file);
}
END_TEST

/* Runs body in a child that leaves through exit(), so that the library's destructors run; its value is the exit code.
 */
static int in_child(int (*body)(void)) {
    fflush(NULL);
    pid_t child = fork();
    if (child == 0)
        exit(body());
    int status = -1;
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static int default_from_nonsense(void) {
    setenv("TREAD_NUM_THREADS", "abc", 1);
    const tread_context *context = tread_context_resolve(NULL);
    if (context == NULL || tread_context_threads(NULL) != 1 || tread_context_backend(NULL) != TREAD_BACKEND_REF)
        return 1;
    for (int i = 0; i < 2; i++) {
        tread_fail(TREAD_ERROR_IO, "something else");
        if (tread_context_default_status() != TREAD_ERROR_ARGUMENT ||
            strstr(tread_last_error(), "TREAD_NUM_THREADS=abc") == NULL)
            return 2;
    }
    tread_system_info info = tread_system_info_defaults();
    return tread_info(NULL, &info) == TREAD_ERROR_ARGUMENT && info.threads == 0 ? 0 : 3;
}

static int default_from_environment(void) {
    setenv("TREAD_NUM_THREADS", "3", 1);
    int expected = tread_parallel_openmp_version() > 0 ? 3 : 1;
    tread_context_destroy((tread_context *)tread_context_resolve(NULL)); /* left alone */
    return tread_context_default_status() == TREAD_OK && tread_context_threads(NULL) == expected ? 0 : 1;
}

START_TEST(the_default_context_stands_in_for_a_bad_environment) {
    clear_environment();
    ck_assert_int_eq(in_child(default_from_nonsense), 0);
    ck_assert_int_eq(in_child(default_from_environment), 0);
}
END_TEST

START_TEST(info_tells_what_was_chosen) {
    clear_environment();
    setenv("GOMP_SPINCOUNT", "1000", 1);
    tread_context_options options = tread_context_defaults();
    options.threads = 1000;
    options.backend = TREAD_BACKEND_REF;
    tread_context *context = tread_context_create(&options);
    tread_system_info info = tread_system_info_defaults();
    ck_assert_ok(tread_info(context, &info));
    bool openmp = tread_parallel_openmp_version() > 0;
    ck_assert_int_eq(info.threads, openmp ? 1000 : 1);
    ck_assert_str_eq(info.version, TREAD_VERSION_STRING);
    ck_assert_str_eq(info.backend_name, "ref");
    ck_assert((info.onednn_version != NULL) == TREAD_HAVE_ONEDNN && (info.onednn_isa != NULL) == TREAD_HAVE_ONEDNN);
    ck_assert_str_eq(info.isa_best, tread_isa_name(tread_isa_best()));
    ck_assert_int_ge(info.allowed_cpus, 1);
    ck_assert_str_eq(info.gomp_spincount, "1000");
    ck_assert_str_eq(info.omp_wait_policy, "");
    ck_assert((strstr(info.warning, "more threads (1000) than CPUs") != NULL) == openmp);
    ck_assert_ptr_null(strstr(info.warning, "spin"));
    unsetenv("GOMP_SPINCOUNT");
    ck_assert_ok(tread_info(context, &info));
#if !defined(__clang__)
    ck_assert((strstr(info.warning, "set GOMP_SPINCOUNT=1000") != NULL) == openmp);
#endif
    setenv("OMP_WAIT_POLICY", "passive", 1);
    ck_assert_ok(tread_info(context, &info));
    ck_assert_ptr_null(strstr(info.warning, "spin"));
    ck_assert_str_eq(info.omp_wait_policy, "passive");
    unsetenv("OMP_WAIT_POLICY");
    ck_assert_fails(tread_info(context, NULL), TREAD_ERROR_ARGUMENT, "NULL");
    info.size = 0;
    ck_assert_fails(tread_info(context, &info), TREAD_ERROR_ARGUMENT, "size 0");
    info.size = sizeof info + 8;
    ck_assert_fails(tread_info(context, &info), TREAD_ERROR_ARGUMENT, "tread_system_info_defaults");
    tread_context_destroy(context);
}
END_TEST

TEST_MAIN("context", the_default_context_stands_in_for_a_bad_environment, explicit_thread_counts_win_in_order,
          nonsense_is_refused_with_name_and_value, the_backend_is_chosen, log_lines_reach_the_callback,
          every_allocation_may_fail, info_tells_what_was_chosen)
