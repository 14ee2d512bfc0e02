#include "optim/report.h"

#include <ctype.h>
#include <locale.h>
#include <math.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void add(tread_report *report, const char *format, va_list arguments) {
    size_t room = sizeof report->text - report->length;
    int length = vsnprintf(report->text + report->length, room, format, arguments);
    if (length > 0)
        report->length += (size_t)length < room ? (size_t)length : room - 1;
}

void tread_report_add(tread_report *report, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    add(report, format, arguments);
    va_end(arguments);
}

#define ROOM_FOR_COUNT 32 /* "; and 18446744073709551615 more" */

void tread_report_part(tread_report *report, const char *format, ...) {
    const size_t before = report->length;
    if (report->n_parts++ > 0 && report->n_left == 0)
        tread_report_add(report, "; ");
    if (report->n_left == 0) {
        va_list arguments;
        va_start(arguments, format);
        add(report, format, arguments);
        va_end(arguments);
    }
    if (report->n_left == 0 && report->length < sizeof report->text - ROOM_FOR_COUNT)
        return;
    if (report->n_parts == 1) { /* cut rather than left out */
        report->length = sizeof report->text - ROOM_FOR_COUNT - 1;
        report->text[report->length] = '\0';
        return;
    }
    if (report->n_left++ == 0)
        report->end = before;
    report->length = report->end;
    tread_report_add(report, "%sand %zu more", report->length > 0 ? "; " : "", report->n_left);
}

void tread_report_item(tread_report *report, const char *item) {
    tread_report_add(report, "%s%s", report->length > 0 ? ", " : "", item);
}

/* A host program may have set a locale with decimal commas; spec strings and errors must not change with it. */
static locale_t c_locale;
static void make_c_locale(void) { c_locale = newlocale(LC_ALL_MASK, "C", (locale_t)0); }
static locale_t use_c_locale(void) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, make_c_locale);
    return c_locale != (locale_t)0 ? uselocale(c_locale) : (locale_t)0;
}
static void put_back(locale_t before) {
    if (before != (locale_t)0)
        uselocale(before);
}

char *tread_number_text(char *buffer, double value) {
    locale_t before = use_c_locale();
    if (fabs(value) < 1e15 && value == floor(value)) /* "100", not "1e+02" */
        snprintf(buffer, TREAD_NUMBER_TEXT, "%.0f", value);
    else
        for (int digits = 1; digits <= 17; digits++) {
            snprintf(buffer, TREAD_NUMBER_TEXT, "%.*g", digits, value);
            if (strtod(buffer, NULL) == value)
                break;
        }
    put_back(before);
    return buffer;
}

char *tread_number_digits(char *buffer, double value, int digits) {
    locale_t before = use_c_locale();
    snprintf(buffer, TREAD_NUMBER_TEXT, "%.*g", digits, value);
    put_back(before);
    return buffer;
}

char *tread_quote(char buffer[TREAD_QUOTE_TEXT], const char *text, size_t length) {
    const size_t most = TREAD_QUOTE_TEXT - sizeof "...";
    size_t n = length <= most ? length : most;
    while (n < length && n > 0 && ((unsigned char)text[n] & 0xc0) == 0x80) /* a character of UTF-8 is kept whole */
        n--;
    snprintf(buffer, TREAD_QUOTE_TEXT, "%.*s%s", (int)n, text, n < length ? "..." : "");
    return buffer;
}

bool tread_number_parse(const char *text, size_t length, double *ret_value) {
    char copy[64];
    if (length == 0 || length >= sizeof copy || isspace((unsigned char)text[0]))
        return false;
    memcpy(copy, text, length);
    copy[length] = '\0';
    locale_t before = use_c_locale();
    char *end;
    double value = strtod(copy, &end);
    put_back(before);
    if (end != copy + length)
        return false;
    *ret_value = value;
    return true;
}
