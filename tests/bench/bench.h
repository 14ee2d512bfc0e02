/* What the benchmark programs share: options with a --help, the clock, order statistics, and the one form of JSON file.
 *
 *     static settings s = {.rounds = 7};
 *     static const bench_option options[] = {
 *         {"rounds", BENCH_COUNT, &s.rounds, "N", "rounds, of which the figures are medians", 1, 1000}, {0}};
 *     bench *b = bench_begin(argc, argv, "Times one thing against another.", options);
 *     json_t *row = bench_row(b, "one thing", 2);
 *     bench_value(row, "step_us", bench_summarize(values, n));
 *     return bench_end(b);
 *
 * The file of --json FILE, which every program has:
 *
 *     {"schema": 1, "program": "bench_...", "date": "2026-11-27T14:05:00Z", "command": ["bench_...", "--rounds", "9"],
 *      "machine": {"cpu", "physical_cores", "logical_cpus", "allowed_cpus", "quota", "memory_bytes", "l1d_bytes",
 *                  "l2_bytes", "l3_bytes", "isa", "kernel", "load"},
 *      "versions": {"tread", "compiler", "onednn", "onednn_isa", "libc"},
 *      "environment": {every variable that changes speed and is set},
 *      "rows": [{"name": "B64", "threads": 2, ...facts that are one number or text each,
 *                "step_us": {"median", "lower_quartile", "upper_quartile", "least", "greatest", "n"}}]}
 *
 * A measured value's unit is the end of its name: _us, _ns, _ms, _seconds, _gb_per_second, _per_second, _share. */
#ifndef TREAD_TESTS_BENCH_BENCH_H
#define TREAD_TESTS_BENCH_BENCH_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <tread/context.h>

/* ---- Options ---- */

typedef enum bench_kind {
    BENCH_FLAG,   /* bool */
    BENCH_COUNT,  /* int64_t */
    BENCH_REAL,   /* double */
    BENCH_TEXT,   /* const char * */
    BENCH_COUNTS, /* bench_counts: "1,2" */
} bench_kind;

typedef struct bench_counts {
    int64_t values[16];
    int n;
} bench_counts;

typedef struct bench_option {
    const char *name; /* without dashes; NULL ends a table */
    bench_kind kind;
    void *value;             /* where it goes; the default is what stands there */
    const char *placeholder; /* "N"; NULL for a flag */
    const char *help;
    double low, high; /* bounds of numbers, both allowed; none where both are 0 */
} bench_option;

/* "A32,B64" contains "B64", and not "B6". NULL contains everything. */
bool bench_listed(const char *list, const char *name);
/* Ends with 2 and a sentence where a word of the list is none of `words`, "A32,B64"; NULL has none. */
void bench_check_list(const char *option, const char *list, const char *words);

/* ---- A run ---- */

typedef struct bench bench;

/* Parses the command line. --help prints text and the options, with their defaults, and ends with 0; a wrong option,
 * and words that are none, end with 2. GOMP_SPINCOUNT=1000 is set where the user set neither it nor OMP_WAIT_POLICY, as
 * the tread command does: the program starts itself anew once. */
bench *bench_begin(int argc, char **argv, const char *text, const bench_option *options);

/* A row of the JSON file, the run's; more is added to it with bench_value, or as jansson's json_object_set_new. */
json_t *bench_row(bench *b, const char *name, int threads);

/* Writes the file where one was asked for, and frees; what main returns. */
int bench_end(bench *b);

/* Ends the program with 1 and "PROGRAM: what: the library's sentence" unless good. */
void bench_must(bool good, const char *what);
/* Ends it with a sentence of its own. */
_Noreturn void bench_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* A context with that many threads (0: the library's own choice); the caller destroys it. */
tread_context *bench_context(int threads);

/* Seconds on a clock that never goes back. */
double bench_clock(void);

/* ---- Figures ---- */

typedef struct bench_summary {
    double median, lower_quartile, upper_quartile, least, greatest;
    int n;
} bench_summary;

/* Of n values, n >= 1, which are sorted. A quantile between two values lies on the line between them. */
bench_summary bench_summarize(double *values, int n);
double bench_median(double *values, int n);

/* All of it times factor, such as 1e6 from seconds to us; factor > 0. */
bench_summary bench_scale(bench_summary summary, double factor);
/* From seconds a step to what is done a second, where a step does `work`: what was lower becomes upper. */
bench_summary bench_rate(bench_summary seconds, double work);

void bench_value(json_t *row, const char *name, bench_summary summary);

#endif
