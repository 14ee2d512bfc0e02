/* Layer: engine. Decimal numbers from text and back, the same in every locale. */
#ifndef TREAD_ENGINE_DECIMAL_H
#define TREAD_ENGINE_DECIMAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The whole text, length bytes, as a number: sign, digits with a point among them, exponent; or inf, infinity, nan in
 * any case. Spaces and tabs round it do not count. Rounded to the nearest double; beyond it infinite. A byte must be
 * readable behind the text, and not be part of a number. False: it is something else. */
bool tread_decimal_parse(const char *text, size_t length, double *ret_value);
/* The whole text as an integer without spaces. False: it is none, or beyond int64. */
bool tread_decimal_parse_integer(const char *text, size_t length, int64_t *ret_value);

/* The fewest digits from which the same float, or double, is read again. Returns the length. */
#define TREAD_DECIMAL_TEXT 32
size_t tread_decimal_print_float(char *text, float value);
size_t tread_decimal_print_double(char *text, double value);

#endif
