#include "core/environment.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "core/isa.h"
#include "core/options.h"
#include "tests/test.h"

#define NAME "TREAD_TEST_VARIABLE"

START_TEST(integers_are_read_strictly) {
    static const char *const bad[] = {"abc", "3x", "0",  "1025", "-1", "3,4", "0x10", "2.0", "99999999999999999999",
                                      " ",   "+3", "- 3"};
    long value = -7;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        setenv(NAME, bad[i], 1);
        ck_assert_fails(tread_environment_integer(NAME, 1, 1024, &value), TREAD_ERROR_ARGUMENT, bad[i]);
        ck_assert_int_eq(value, -7);
    }
    setenv(NAME, "abc", 1);
    ck_assert_fails(tread_environment_integer(NAME, 1, 1024, &value), TREAD_ERROR_ARGUMENT,
                    NAME "=abc is not a whole number from 1 to 1024");
    static const char *const unset[] = {NULL, ""};
    for (size_t i = 0; i < 2; i++) {
        unset[i] != NULL ? setenv(NAME, unset[i], 1) : unsetenv(NAME);
        ck_assert_ok(tread_environment_integer(NAME, 1, 1024, &value));
        ck_assert_int_eq(value, -7);
        ck_assert_ptr_null(tread_environment_text(NAME));
    }
    setenv(NAME, " 1024 ", 1);
    ck_assert_ok(tread_environment_integer(NAME, 1, 1024, &value));
    ck_assert_int_eq(value, 1024);
    setenv(NAME, "-5", 1);
    ck_assert_ok(tread_environment_integer(NAME, -5, 0, &value));
    ck_assert_int_eq(value, -5);
    setenv(NAME, "9223372036854775808", 1);
    ck_assert_fails(tread_environment_integer(NAME, 0, LONG_MAX, &value), TREAD_ERROR_ARGUMENT, "9223372036854775808");
    unsetenv(NAME);
}
END_TEST

START_TEST(a_list_gives_its_first_entry) {
    static const struct {
        const char *text;
        long value;
    } good[] = {{"4,2", 4}, {"3", 3}, {" 8 , 2", 8}};
    for (size_t i = 0; i < 3; i++) {
        long value = 0;
        setenv(NAME, good[i].text, 1);
        ck_assert_ok(tread_environment_first_integer(NAME, 1, 1024, &value));
        ck_assert_int_eq(value, good[i].value);
    }
    static const char *const bad[] = {",4", "4;2", "x,2", "0,2"};
    for (size_t i = 0; i < 4; i++) {
        long value = -7;
        setenv(NAME, bad[i], 1);
        ck_assert_fails(tread_environment_first_integer(NAME, 1, 1024, &value), TREAD_ERROR_ARGUMENT, bad[i]);
        ck_assert_int_eq(value, -7);
    }
    unsetenv(NAME);
}
END_TEST

START_TEST(words_are_listed_in_the_error) {
    static const char *const words[] = {"onednn", "ref", "auto"};
    int index = -7;
    ck_assert_ok(tread_environment_word(NAME, words, 3, &index));
    ck_assert_int_eq(index, -7);
    setenv(NAME, "Ref", 1);
    ck_assert_fails(tread_environment_word(NAME, words, 3, &index), TREAD_ERROR_ARGUMENT,
                    NAME "=Ref is not one of onednn, ref, auto");
    ck_assert_int_eq(index, -7);
    setenv(NAME, "auto", 1);
    ck_assert_ok(tread_environment_word(NAME, words, 3, &index));
    ck_assert_int_eq(index, 2);
    unsetenv(NAME);
}
END_TEST

START_TEST(an_isa_that_is_not_is_refused) {
    unsetenv("TREAD_ISA");
    ck_assert_ok(tread_isa_check_environment());
    setenv("TREAD_ISA", "sse9", 1);
    ck_assert_fails(tread_isa_check_environment(), TREAD_ERROR_ARGUMENT,
                    "TREAD_ISA=sse9 is not one of baseline, avx2, avx512");
    for (int i = 0; i < TREAD_ISA_COUNT; i++) {
        setenv("TREAD_ISA", tread_isa_name((tread_isa)i), 1);
        if (i <= (int)tread_isa_best())
            ck_assert_ok(tread_isa_check_environment());
        else
            ck_assert_fails(tread_isa_check_environment(), TREAD_ERROR_ARGUMENT, "more than this CPU has");
    }
    unsetenv("TREAD_ISA");
}
END_TEST

typedef struct options_here {
    size_t size;
    int a;
    int b;
} options_here;

START_TEST(options_of_other_versions_are_read) {
    struct {
        options_here common;
        long more;
    } newer = {{sizeof newer, 3, 4}, 0};
    options_here defaults = {sizeof defaults, 1, 2}, read = defaults;
    ck_assert_ok(tread_options_read("adam", NULL, &read, sizeof read));
    ck_assert_mem_eq(&read, &defaults, sizeof read);
    ck_assert_ok(tread_options_read("adam", &newer, &read, sizeof read));
    ck_assert(read.size == sizeof read && read.a == 3 && read.b == 4);
    read = defaults;
    newer.more = 5;
    ck_assert_fails(tread_options_read("adam", &newer, &read, sizeof read), TREAD_ERROR_ARGUMENT,
                    "adam: options.size is 24");
    ck_assert_mem_eq(&read, &defaults, sizeof read);
    struct {
        size_t size;
        int a;
    } older = {offsetof(options_here, b), 7};
    ck_assert_ok(tread_options_read("adam", &older, &read, sizeof read));
    ck_assert(read.size == sizeof read && read.a == 7 && read.b == 2);
    read = defaults;
    older.size = 0;
    ck_assert_fails(tread_options_read("adam", &older, &read, sizeof read), TREAD_ERROR_ARGUMENT, "options.size is 0");
    ck_assert_mem_eq(&read, &defaults, sizeof read);
}
END_TEST

TEST_MAIN("environment", integers_are_read_strictly, a_list_gives_its_first_entry, words_are_listed_in_the_error,
          an_isa_that_is_not_is_refused, options_of_other_versions_are_read)
