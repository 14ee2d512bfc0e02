/* Which precisions there are, and who refuses them. Meson runs it with ONEDNN_MAX_CPU_ISA set, too. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <tread/info.h>
#include <tread/precision.h>
#include <unistd.h>

#include "core/dnn.h"
#include "tests/core/gemm_operands.h"
#include "tests/test.h"

static bool is_refused(tread_precision precision, const char *part) {
    return tread_precision_check(NULL, precision) == TREAD_ERROR_ARGUMENT && strstr(tread_last_error(), part) != NULL;
}

/* The first test, since a process asks the environment for its default context once; in a child, for the others. */
START_TEST(what_made_the_default_context_fail_is_the_reason) {
    int status;
    const pid_t child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0) {
        setenv("TREAD_NUM_THREADS", "many", 1);
        _exit(is_refused(TREAD_PRECISION_BF16, "TREAD_NUM_THREADS=many") &&
                      is_refused(TREAD_PRECISION_FLOAT32, "TREAD_NUM_THREADS=many") &&
                      is_refused((tread_precision)2, "precision 2 is not one of")
                  ? 0
                  : 1);
    }
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}
END_TEST

START_TEST(precisions_have_names) {
    ck_assert_str_eq(tread_precision_name(TREAD_PRECISION_FLOAT32), "float32");
    ck_assert_str_eq(tread_precision_name(TREAD_PRECISION_BF16), "bf16");
    ck_assert_ptr_null(tread_precision_name((tread_precision)TREAD_PRECISION_COUNT));
    ck_assert_ptr_null(tread_precision_name((tread_precision)-1));
    ck_assert_fails(tread_precision_check(NULL, (tread_precision)2), TREAD_ERROR_ARGUMENT, "precision 2 is not one of");
}
END_TEST

START_TEST(float32_is_everywhere_and_bf16_in_plain_c_by_name) {
    tread_context *contexts[] = {make_context(1, TREAD_BACKEND_REF), make_context(1, TREAD_BACKEND_AUTO)};
    for (int i = 0; i < 2; i++)
        ck_assert_ok(tread_precision_check(contexts[i], TREAD_PRECISION_FLOAT32));
    ck_assert_ok(tread_precision_check(NULL, TREAD_PRECISION_FLOAT32));
    ck_assert_ok(tread_precision_check(contexts[0], TREAD_PRECISION_BF16));
    for (int i = 0; i < 2; i++)
        tread_context_destroy(contexts[i]);
}
END_TEST

/* What Linux says of the CPU. */
static bool cpu_lists(const char *flag) {
    char line[8192];
    bool found = false;
    FILE *file = fopen("/proc/cpuinfo", "r");
    ck_assert_ptr_nonnull(file);
    while (!found && fgets(line, sizeof line, file) != NULL)
        found = strstr(line, flag) != NULL;
    fclose(file);
    return found;
}

START_TEST(a_refusal_says_what_is_missing) {
    tread_context_options options = tread_context_defaults();
    tread_context *context = tread_context_create(&options);
    tread_system_info info = tread_system_info_defaults();
    ck_assert_ok(tread_info(context, &info));
    if (info.backend == TREAD_BACKEND_REF && info.onednn_version != NULL) { /* TREAD_BACKEND=ref: by name */
        ck_assert(info.bf16);
    } else if (info.onednn_version == NULL) {
        ck_assert_fails(tread_precision_check(context, TREAD_PRECISION_BF16), TREAD_ERROR_BACKEND,
                        "oneDNN, which is not in this build");
    } else if (tread_dnn_has_bf16()) {
        ck_assert_ok(tread_precision_check(context, TREAD_PRECISION_BF16));
    } else {
        const char *cpu = *info.cpu_model != '\0' ? info.cpu_model : "this CPU";
        ck_assert_fails(tread_precision_check(context, TREAD_PRECISION_BF16), TREAD_ERROR_BACKEND, "avx512_bf16");
        const char *const sentence = tread_last_error();
        ck_assert_msg(strncmp(sentence, cpu, strlen(cpu)) == 0, "\"%s\" does not begin with %s", sentence, cpu);
        ck_assert_msg((strstr(sentence, "has neither") == NULL) == cpu_lists("avx512_bf16"), "%s", sentence);
        ck_assert_msg((strstr(sentence, tread_dnn_isa()) != NULL) == cpu_lists("avx512_bf16"), "%s", sentence);
    }
    ck_assert_int_eq(info.bf16, tread_precision_check(context, TREAD_PRECISION_BF16) == TREAD_OK);
    ck_assert_str_eq(info.bf16_reason, info.bf16 ? "" : tread_last_error());
    tread_context_destroy(context);
}
END_TEST

TEST_MAIN("precision", what_made_the_default_context_fail_is_the_reason, precisions_have_names,
          float32_is_everywhere_and_bf16_in_plain_c_by_name, a_refusal_says_what_is_missing)
