/* Real powers against the C library's in long double. */
#include "optim/scalar.h"
#include "tests/optim/helpers.h"

static double off(double base, double exponent) {
    long double exact = powl(base, exponent);
    return exact == 0 ? tread_real_power(base, exponent) : fabs((double)(tread_real_power(base, exponent) / exact - 1));
}

START_TEST(real_powers_keep_their_bound) {
    static const double bases[] = {1e-300, 1e-5, 0.03, 0.5, 0.96, 0.9999, 1, 1.0001, 2, 33.3, 1e6};
    double worst = 0, worst_whole = 0;
    for (size_t b = 0; b < sizeof bases / sizeof *bases; b++)
        for (int i = 1; i <= 4000; i++) {
            double exponent = i * 0.0127, change = fabs(exponent * log(bases[b]));
            if (change > 700) /* subnormal or out of range */
                continue;
            worst = fmax(worst, off(bases[b], exponent) / ((3 * change + 2) * 0x1p-53));
            if (i < 100 && i / 2.0 * fabs(log(bases[b])) < 700) /* squaring, and a square root for the halves */
                worst_whole = fmax(worst_whole, off(bases[b], i / 2.0) / ((i / 2.0 + 2) * 0x1p-53));
        }
    ck_assert_double_lt(worst, 1);
    ck_assert_double_lt(worst_whole, 1);
}
END_TEST

START_TEST(the_ends_are_exact) {
    ck_assert_double_eq(tread_real_power(0, 0), 1);
    ck_assert_double_eq(tread_real_power(0.3, 0), 1);
    ck_assert_double_eq(tread_real_power(0, 0.3), 0);
    ck_assert_double_eq(tread_real_power(0, 2), 0);
    ck_assert_double_eq(tread_real_power(1, 0.3), 1);
    ck_assert_double_eq(tread_real_power(0.3, 1), 0.3);
    ck_assert_double_eq(tread_real_power(0.3, 0.5), sqrt(0.3));
    ck_assert_double_eq(tread_real_power(3, 5), 243);
    ck_assert_double_eq(tread_real_power(0.5, 1e9), 0);
    ck_assert_double_eq(tread_real_power(0.5, 1e9 + 0.25), 0);
}
END_TEST

TEST_MAIN("scalar", real_powers_keep_their_bound, the_ends_are_exact)
