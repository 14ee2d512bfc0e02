#include "engine/data/decimal.h"

#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

/* What strtod and printf do in the C locale: the program's may write commas. glibc and musl have it without taking
 * memory. */
static locale_t c_locale(void) { return newlocale(LC_ALL_MASK, "C", (locale_t)0); }

static double slow_parse(const char *text, char **ret_end) {
    locale_t locale = c_locale();
    double value = strtod_l(text, ret_end, locale);
    freelocale(locale);
    return value;
}

static bool is_space(char c) { return c == ' ' || c == '\t'; }
static bool is_digit(char c) { return c >= '0' && c <= '9'; }

/* The digits of a number without its sign. */
typedef struct decimal {
    uint64_t digits;  /* the first 19 */
    int64_t exponent; /* value = digits * 10^exponent, if there were no more */
    bool any;
} decimal;

static const char *parse_digits(const char *c, const char *end, decimal *d) {
    int count = 0;
    bool point = false;
    for (; c < end && (is_digit(*c) || (*c == '.' && !point)); c++) {
        if (*c == '.') {
            point = true;
            continue;
        }
        d->any = true;
        if (count == 19) /* more than a double holds: the exponent is not needed */
            continue;
        d->digits = 10 * d->digits + (uint64_t)(*c - '0');
        count += d->digits > 0; /* zeros in front do not count */
        d->exponent -= point;
    }
    return c;
}

/* NULL: an e without digits behind it. */
static const char *parse_exponent(const char *c, const char *end, decimal *d) {
    if (c == end || (*c != 'e' && *c != 'E'))
        return c;
    bool negative = ++c < end && *c == '-';
    if (c < end && (*c == '-' || *c == '+'))
        c++;
    if (c == end || !is_digit(*c))
        return NULL;
    int64_t value = 0;
    for (; c < end && is_digit(*c); c++)
        value = value < 100000 ? 10 * value + (*c - '0') : value;
    d->exponent += negative ? -value : value;
    return c;
}

static bool parse_word(const char *text, size_t length, double *ret_value) {
    if (length == 3 && strncasecmp(text, "nan", 3) == 0)
        *ret_value = NAN;
    else if ((length == 3 && strncasecmp(text, "inf", 3) == 0) ||
             (length == 8 && strncasecmp(text, "infinity", 8) == 0))
        *ret_value = INFINITY;
    else
        return false;
    return true;
}

bool tread_decimal_parse(const char *text, size_t length, double *ret_value) {
    static const double powers[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
                                    1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
    const char *begin = text, *end = text + length;
    while (begin < end && is_space(*begin))
        begin++;
    while (end > begin && is_space(end[-1]))
        end--;
    bool negative = begin < end && *begin == '-';
    const char *unsigned_text = begin + (begin < end && (*begin == '-' || *begin == '+'));
    decimal d = {0};
    const char *c = parse_digits(unsigned_text, end, &d);
    double value;
    if (!d.any) {
        if (!parse_word(unsigned_text, (size_t)(end - unsigned_text), &value))
            return false;
    } else {
        c = parse_exponent(c, end, &d);
        if (c != end)
            return false;
        /* 16 digits at most: both factors are exact in double, and one rounding is all there is. */
        if (d.digits <= (uint64_t)1 << 53 && d.exponent >= -22 && d.exponent <= 22)
            value = d.exponent < 0 ? (double)d.digits / powers[-d.exponent] : (double)d.digits * powers[d.exponent];
        else
            value = slow_parse(unsigned_text, &(char *){NULL});
    }
    *ret_value = negative ? -value : value;
    return true;
}

bool tread_decimal_parse_integer(const char *text, size_t length, int64_t *ret_value) {
    bool negative = length > 0 && text[0] == '-';
    size_t i = length > 0 && (text[0] == '-' || text[0] == '+');
    int64_t value = 0;
    if (i == length)
        return false;
    for (; i < length; i++) {
        int64_t digit = text[i] - '0';
        if (!is_digit(text[i]) || __builtin_mul_overflow(value, (int64_t)10, &value) ||
            __builtin_sub_overflow(value, digit, &value)) /* negative, where there is one number more */
            return false;
    }
    if (!negative && value == INT64_MIN)
        return false;
    *ret_value = negative ? value : -value;
    return true;
}

static size_t print(char *text, double value, int least, int most, bool as_float) {
    if (isnan(value))
        value = fabs((double)NAN);
    locale_t locale = c_locale(), before = uselocale(locale);
    int length = 0;
    for (int digits = least; digits <= most; digits++) {
        length = snprintf(text, TREAD_DECIMAL_TEXT, "%.*g", digits, value);
        double again = strtod(text, NULL);
        if (as_float ? (float)again == (float)value : again == value)
            break;
    }
    uselocale(before);
    freelocale(locale);
    return (size_t)length;
}

size_t tread_decimal_print_float(char *text, float value) { return print(text, value, 6, 9, true); }
size_t tread_decimal_print_double(char *text, double value) { return print(text, value, 15, 17, false); }
