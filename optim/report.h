/* Layer: optim. Text gathered in a fixed buffer: lists for error sentences, and numbers written the same in every
 * locale. */
#ifndef TREAD_OPTIM_REPORT_H
#define TREAD_OPTIM_REPORT_H

#include <stdbool.h>
#include <stddef.h>

typedef struct tread_report {
    char text[3800]; /* what no longer fits is cut: a sentence holds 4095 bytes */
    size_t length;
    size_t n_parts; /* parts added by tread_report_part, those too for which there was no room */
    size_t n_left;  /* of these */
    size_t end;     /* of the parts before them */
} tread_report;

/* Begin with tread_report r = {.length = 0}; */
void tread_report_add(tread_report *report, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* The same with "; " before it, except at the start; the first that does not fit whole, and all after it, are left out,
 * and the text ends in how many they are: "; and 12 more". */
void tread_report_part(tread_report *report, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* "a, b, c" */
void tread_report_item(tread_report *report, const char *item);

/* The shortest text that reads back as the same double. */
#define TREAD_NUMBER_TEXT 32
char *tread_number_text(char *buffer, double value);
/* With so many significant digits at most: "0.0031416". */
char *tread_number_digits(char *buffer, double value, int digits);
/* The whole of text as a number, as C writes it, "inf" and "nan" too. */
bool tread_number_parse(const char *text, size_t length, double *ret_value);

/* At most the first 60 bytes of what somebody wrote, for a sentence; "..." stands for the rest. Returns buffer. */
#define TREAD_QUOTE_TEXT 64
char *tread_quote(char buffer[TREAD_QUOTE_TEXT], const char *text, size_t length);

#endif
