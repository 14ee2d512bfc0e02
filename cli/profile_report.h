/* Layer: cli. What the outputs of all profilers share: where, when and how it was measured, and what spoilt it. */
#ifndef TREAD_CLI_PROFILE_REPORT_H
#define TREAD_CLI_PROFILE_REPORT_H

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <tread/info.h>
#include <tread/profile.h>

/* Objects are the caller's; NULL: out of memory. */

/* argc and argv are those of the words behind "tread profile". Members:
 * "format" and its version, "date" (UTC), "command" (its words), "version",
 * "kernel" and "machine": everything that `tread info` shows. */
json_t *cli_report_json(const char *format, int argc, char **argv, const tread_system_info *info);
json_t *cli_report_noise_json(const tread_profile_noise *noise);
json_t *cli_report_warnings_json(const tread_profile_warnings *warnings);
/* A number, or null where it is not finite. */
json_t *cli_report_number(double value);
/* False: out of memory. A file that cannot be written shows in ferror(). */
bool cli_report_write_json(FILE *file, const json_t *object);

/* A blank, and the number in so many columns with its unit behind them, or a dash where it is not known. */
void cli_report_print_number(FILE *file, int width, int digits, double value, const char *unit);
/* A field of csv that may hold commas. */
void cli_report_print_quoted(FILE *file, const char *text);
/* One more of these, or nothing where it is not finite, after a comma. */
void cli_report_print_field(FILE *file, double value);

/* For people: a line of the machine; a line for each warning, or none. */
void cli_report_print_machine(FILE *file, const tread_system_info *info);
void cli_report_print_warnings(FILE *file, const tread_profile_warnings *warnings);

#endif
