/* Layer: tests. What every test program shares: one suite from a table of cases, and a main. */
#ifndef TREAD_TEST_H
#define TREAD_TEST_H

#include <check.h>
#include <stdlib.h>
#include <tread/status.h>

#include "core/thread_count.h"

/* Fails with the library's own sentence. */
#define ck_assert_ok(expression)                                                                                       \
    do {                                                                                                               \
        tread_status ok_status_ = (expression);                                                                        \
        ck_assert_msg(ok_status_ == TREAD_OK, "%s: %s: %s", #expression, tread_status_string(ok_status_),              \
                      tread_last_error());                                                                             \
    } while (0)
/* Fails unless expression gives the status and the sentence contains `part`. */
#define ck_assert_fails(expression, expected, part)                                                                    \
    do {                                                                                                               \
        tread_status fails_status_ = (expression);                                                                     \
        ck_assert_msg(fails_status_ == (expected), "%s gave %s", #expression, tread_status_string(fails_status_));     \
        ck_assert_msg(strstr(tread_last_error(), (part)) != NULL, "%s: \"%s\" lacks \"%s\"", #expression,              \
                      tread_last_error(), (part));                                                                     \
    } while (0)

/* main() of a test program: TEST_MAIN("memory", test_a, test_b). Run without forking (CK_FORK=no): children of a
 * process that has used OpenMP hang. */
#define TEST_MAIN(name, ...)                                                                                           \
    TEST_SUITE(name, __VA_ARGS__)                                                                                      \
    int main(void) { return run_suite(); }

/* The same for programs with a main() of their own, which returns what run_suite() does. */
#define TEST_SUITE(name, ...)                                                                                          \
    static int run_suite(void) {                                                                                       \
        const TTest *const all[] = {__VA_ARGS__};                                                                      \
        Suite *suite = suite_create(name);                                                                             \
        TCase *cases = tcase_create(name);                                                                             \
        tcase_set_timeout(cases, 280);                                                                                 \
        for (size_t i = 0; i < sizeof all / sizeof *all; i++)                                                          \
            tcase_add_test(cases, all[i]);                                                                             \
        suite_add_tcase(suite, cases);                                                                                 \
        SRunner *runner = srunner_create(suite);                                                                       \
        srunner_set_fork_status(runner, CK_NOFORK);                                                                    \
        tread_thread_count_may_be_crowded(false); /* small work is to go to many threads here */                       \
        srunner_run_all(runner, CK_NORMAL);                                                                            \
        int failed = srunner_ntests_failed(runner);                                                                    \
        srunner_free(runner);                                                                                          \
        return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;                                                              \
    }

#endif
