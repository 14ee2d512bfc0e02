#include <stdio.h>
#include <string.h>

#include "engine/data/decimal.h"
#include "tests/test.h"

/* Against strtod, which rounds correctly; bits compared. */
START_TEST(decimals_round_as_strtod) {
    static const char *const texts[] = {"0",
                                        "-0",
                                        "1",
                                        "0.1",
                                        "123456789012345678",
                                        "9007199254740993",
                                        "1e22",
                                        "1e23",
                                        "0.000001",
                                        "4.9e-324",
                                        "2.4703282292062328e-324",
                                        "1.7976931348623157e308",
                                        "8.5e-5",
                                        "00000000000000000000000001",
                                        "0.00000000000000000000000000012345678901234567890123",
                                        "12345678901234567890123456789e-10",
                                        "1e400",
                                        "1e-400",
                                        "9007199254740992e22",
                                        "1e99999999999999999999",
                                        "3.141592653589793238462643383279502884197169399375105820974944"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        double value, expected = strtod(texts[i], NULL);
        ck_assert_msg(tread_decimal_parse(texts[i], strlen(texts[i]), &value), "%s", texts[i]);
        ck_assert_msg(memcmp(&value, &expected, sizeof value) == 0, "%s: %.17g, expected %.17g", texts[i], value,
                      expected);
    }
    uint64_t bits = 88172645463325252u;
    for (int i = 0; i < 200000; i++) {
        char text[64];
        double expected, value;
        bits ^= bits << 13, bits ^= bits >> 7, bits ^= bits << 17;
        int digits = 1 + (int)(bits % 20), exponent = (int)(bits >> 20) % 60 - 30;
        snprintf(text, sizeof text, "%.*ge%d", digits, (double)(bits >> 11) * 1e-9, exponent);
        if (strchr(text, 'e') != strrchr(text, 'e'))
            continue;
        expected = strtod(text, NULL);
        ck_assert(tread_decimal_parse(text, strlen(text), &value));
        ck_assert_msg(memcmp(&value, &expected, sizeof value) == 0, "%s: %.17g, expected %.17g", text, value, expected);
    }
    int64_t integer;
    ck_assert(tread_decimal_parse_integer("-9223372036854775808", 20, &integer) && integer == INT64_MIN);
    ck_assert(tread_decimal_parse_integer("9223372036854775807", 19, &integer) && integer == INT64_MAX);
    ck_assert(!tread_decimal_parse_integer("9223372036854775808", 19, &integer));
    ck_assert(!tread_decimal_parse_integer("-", 1, &integer) && !tread_decimal_parse_integer("", 0, &integer));
    ck_assert(!tread_decimal_parse_integer("1 ", 2, &integer) && !tread_decimal_parse_integer("1.0", 3, &integer));
}
END_TEST

TEST_MAIN("decimal", decimals_round_as_strtod)
