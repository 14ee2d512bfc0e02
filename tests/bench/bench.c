#include "tests/bench/bench.h"

#include <errno.h>
#include <getopt.h>
#include <gnu/libc-version.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>
#include <tread/info.h>
#include <tread/status.h>
#include <tread/version.h>
#include <unistd.h>

#include "core/recorder.h"
#include "engine/profile/statistics.h"

#define MAX_OPTIONS 32

struct bench {
    const char *json; /* the file; NULL: none */
    json_t *document, *rows;
};

/* ---- Options ---- */

static void say_default(const bench_option *o) {
    const bench_counts *counts = o->value;
    switch (o->kind) {
    case BENCH_FLAG: break;
    case BENCH_COUNT: printf(" [%" PRId64 "]", *(const int64_t *)o->value); break;
    case BENCH_REAL: printf(" [%g]", *(const double *)o->value); break;
    case BENCH_TEXT:
        if (*(const char *const *)o->value != NULL)
            printf(" [%s]", *(const char *const *)o->value);
        break;
    case BENCH_COUNTS:
        for (int i = 0; i < counts->n; i++)
            printf("%s%" PRId64 "%s", i == 0 ? " [" : ",", counts->values[i], i == counts->n - 1 ? "]" : "");
        break;
    }
}

static void print_help(const char *text, const bench_option *options) {
    printf("usage: %s [options]\n\n%s\n\n", program_invocation_short_name, text);
    for (const bench_option *o = options; o->name != NULL; o++) {
        char left[64];
        snprintf(left, sizeof left, "--%s%s%s", o->name, o->placeholder ? " " : "",
                 o->placeholder ? o->placeholder : "");
        printf("  %-22s %s", left, o->help);
        say_default(o);
        putchar('\n');
    }
    printf("  %-22s %s\n", "--json FILE", "write the figures, with machine, versions and date, as JSON too");
    printf("  %-22s %s\n", "--help", "this text");
}

static _Noreturn void refuse(const bench_option *o, const char *value) {
    fprintf(stderr, "%s: --%s: \"%s\" is no %s", program_invocation_short_name, o->name, value,
            o->kind == BENCH_REAL     ? "number"
            : o->kind == BENCH_COUNTS ? "list of at most 16 whole numbers"
                                      : "whole number");
    if (o->low != 0 || o->high != 0)
        fprintf(stderr, " from %g to %g", o->low, o->high);
    fprintf(stderr, "\n");
    exit(2);
}

static bool inside(const bench_option *o, double value) {
    return (o->low == 0 && o->high == 0) || (value >= o->low && value <= o->high);
}

static int64_t parse_count(const bench_option *o, const char *text, const char **ret_end) {
    char *end;
    errno = 0;
    long long value = strtoll(text, &end, 10);
    if (end == text || errno != 0 || (*end != '\0' && *end != ',') || !inside(o, (double)value))
        refuse(o, text);
    *ret_end = end;
    return value;
}

static void parse_counts(const bench_option *o, const char *text) {
    bench_counts *counts = o->value;
    counts->n = 0;
    for (const char *at = text;; at++) {
        if (counts->n == 16)
            refuse(o, text);
        counts->values[counts->n++] = parse_count(o, at, &at);
        if (*at == '\0')
            return;
    }
}

static void take(const bench_option *o, const char *text) {
    const char *end;
    char *real_end;
    switch (o->kind) {
    case BENCH_FLAG: *(bool *)o->value = true; break;
    case BENCH_TEXT: *(const char **)o->value = text; break;
    case BENCH_COUNTS: parse_counts(o, text); break;
    case BENCH_COUNT:
        *(int64_t *)o->value = parse_count(o, text, &end);
        if (*end != '\0')
            refuse(o, text);
        break;
    case BENCH_REAL:
        *(double *)o->value = strtod(text, &real_end);
        if (real_end == text || *real_end != '\0' || !inside(o, *(double *)o->value))
            refuse(o, text);
        break;
    }
}

static void parse(int argc, char **argv, const char *text, const bench_option *options, const char **ret_json) {
    struct option known[MAX_OPTIONS + 3] = {{0}};
    int n = 0;
    for (; options[n].name != NULL && n < MAX_OPTIONS; n++)
        known[n] = (struct option){options[n].name, options[n].kind == BENCH_FLAG ? 0 : 1, NULL, 0};
    known[n] = (struct option){"json", 1, NULL, 0};
    known[n + 1] = (struct option){"help", 0, NULL, 0};
    optind = 1; /* tests parse several times */
    for (int at = 0, c; (c = getopt_long(argc, argv, "", known, &at)) != -1;) {
        if (c != 0)
            exit(2);
        if (at == n + 1) {
            print_help(text, options);
            exit(0);
        }
        if (at == n)
            *ret_json = optarg;
        else
            take(&options[at], optarg);
    }
    if (optind < argc) {
        fprintf(stderr, "%s: \"%s\" is no option\n", program_invocation_short_name, argv[optind]);
        exit(2);
    }
}

bool bench_listed(const char *list, const char *name) {
    size_t length = strlen(name);
    for (const char *at = list; at != NULL; at = strchr(at, ',') ? strchr(at, ',') + 1 : NULL)
        if (strncmp(at, name, length) == 0 && (at[length] == ',' || at[length] == '\0'))
            return true;
    return list == NULL;
}

void bench_check_list(const char *option, const char *list, const char *words) {
    char word[64];
    for (const char *at = list; at != NULL; at = strchr(at, ',') ? strchr(at, ',') + 1 : NULL) {
        snprintf(word, sizeof word, "%.*s", (int)strcspn(at, ","), at);
        if (bench_listed(words, word))
            continue;
        fprintf(stderr, "%s: --%s: \"%s\" is none of %s\n", program_invocation_short_name, option, word, words);
        exit(2);
    }
}

/* ---- What belongs beside figures ---- */

static json_t *text_or_null(const char *text) {
    return text != NULL && *text != '\0' ? json_string(text) : json_null();
}

static json_t *describe_machine(const tread_system_info *info) {
    struct utsname name;
    double load = -1;
    json_t *machine = json_object();
    json_object_set_new(machine, "cpu", text_or_null(info->cpu_model));
    json_object_set_new(machine, "physical_cores", json_integer(info->physical_cores));
    json_object_set_new(machine, "logical_cpus", json_integer(info->logical_cpus));
    json_object_set_new(machine, "allowed_cpus", json_integer(info->allowed_cpus));
    json_object_set_new(machine, "quota", info->cgroup_quota > 0 ? json_real(info->cgroup_quota) : json_null());
    json_object_set_new(machine, "memory_bytes",
                        json_integer((json_int_t)sysconf(_SC_PHYS_PAGES) * sysconf(_SC_PAGESIZE)));
    json_object_set_new(machine, "l1d_bytes", json_integer((json_int_t)info->cache_l1d));
    json_object_set_new(machine, "l2_bytes", json_integer((json_int_t)info->cache_l2));
    json_object_set_new(machine, "l3_bytes", json_integer((json_int_t)info->cache_l3));
    json_object_set_new(machine, "isa", text_or_null(info->isa));
    json_object_set_new(machine, "kernel", uname(&name) == 0 ? json_string(name.release) : json_null());
    json_object_set_new(machine, "load", getloadavg(&load, 1) == 1 ? json_real(load) : json_null());
    return machine;
}

static json_t *describe_versions(const tread_system_info *info) {
    char libc[64];
    json_t *versions = json_object();
#ifdef __clang__
    json_object_set_new(versions, "compiler", json_string("clang " __clang_version__));
#else
    json_object_set_new(versions, "compiler", json_string("gcc " __VERSION__));
#endif
    snprintf(libc, sizeof libc, "glibc %s", gnu_get_libc_version());
    json_object_set_new(versions, "tread", json_string(tread_version()));
    json_object_set_new(versions, "onednn", text_or_null(info->onednn_version));
    json_object_set_new(versions, "onednn_isa", text_or_null(info->onednn_isa));
    json_object_set_new(versions, "libc", json_string(libc));
    return versions;
}

static json_t *describe_environment(void) {
    static const char *const names[] = {
        "GOMP_SPINCOUNT",     "GOMP_CPU_AFFINITY",      "OMP_NUM_THREADS",
        "OMP_PROC_BIND",      "OMP_WAIT_POLICY",        "TREAD_BACKEND",
        "TREAD_ISA",          "TREAD_NUM_THREADS",      "TREAD_TRACE",
        "ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA",       "LD_PRELOAD",
        "GLIBC_TUNABLES",     "MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_",
    };
    json_t *environment = json_object();
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (getenv(names[i]) != NULL)
            json_object_set_new(environment, names[i], json_string(getenv(names[i])));
    return environment;
}

static json_t *describe(int argc, char *const *argv) {
    char date[32];
    time_t now = time(NULL);
    tread_system_info info = tread_system_info_defaults();
    bench_must(tread_info(NULL, &info) == TREAD_OK, "machine");
    strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%SZ", gmtime(&now));
    json_t *command = json_array();
    json_array_append_new(command, json_string(program_invocation_short_name));
    for (int i = 1; i < argc; i++)
        json_array_append_new(command, json_string(argv[i]));
    json_t *document =
        json_pack("{s:i, s:s, s:s, s:o, s:o, s:o, s:o}", "schema", 1, "program", program_invocation_short_name, "date",
                  date, "command", command, "machine", describe_machine(&info), "versions", describe_versions(&info),
                  "environment", describe_environment());
    bench_must(document != NULL, "JSON");
    return document;
}

/* ---- A run ---- */

/* libgomp reads its variables before main. */
static void start_anew_with_short_spins(char **argv) {
    if (getenv("GOMP_SPINCOUNT") != NULL || getenv("OMP_WAIT_POLICY") != NULL)
        return;
    if (setenv("GOMP_SPINCOUNT", "1000", 0) == 0)
        execv("/proc/self/exe", argv); /* on failure it runs as it is; "environment" shows that */
}

bench *bench_begin(int argc, char **argv, const char *text, const bench_option *options) {
    bench *b = calloc(1, sizeof *b);
    bench_must(b != NULL, "memory");
    parse(argc, argv, text, options, &b->json);
    start_anew_with_short_spins(argv);
    b->document = describe(argc, argv);
    b->rows = json_array();
    json_object_set_new(b->document, "rows", b->rows);
    return b;
}

json_t *bench_row(bench *b, const char *name, int threads) {
    json_t *row = json_pack("{s:s, s:i}", "name", name, "threads", threads);
    bench_must(row != NULL && json_array_append_new(b->rows, row) == 0, name);
    return row;
}

int bench_end(bench *b) {
    if (b->json != NULL && json_dump_file(b->document, b->json, JSON_INDENT(1) | JSON_REAL_PRECISION(7)) != 0)
        bench_fail("%s cannot be written", b->json);
    json_decref(b->document);
    free(b);
    return fflush(stdout) == 0 ? 0 : 1;
}

void bench_must(bool good, const char *what) {
    if (!good)
        bench_fail("%s: %s", what, tread_last_error());
}

void bench_fail(const char *format, ...) {
    va_list arguments;
    fprintf(stderr, "%s: ", program_invocation_short_name);
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
    exit(1);
}

tread_context *bench_context(int threads) {
    tread_context_options o = tread_context_defaults();
    o.threads = threads;
    tread_context *context = tread_context_create(&o);
    bench_must(context != NULL, "context");
    return context;
}

double bench_clock(void) { return tread_clock_seconds(); }

/* ---- Figures ---- */

bench_summary bench_summarize(double *values, int n) {
    tread_sort(values, (size_t)n);
    return (bench_summary){.median = tread_quantile_of_sorted(values, (size_t)n, 0.5),
                           .lower_quartile = tread_quantile_of_sorted(values, (size_t)n, 0.25),
                           .upper_quartile = tread_quantile_of_sorted(values, (size_t)n, 0.75),
                           .least = values[0],
                           .greatest = values[n - 1],
                           .n = n};
}

double bench_median(double *values, int n) { return bench_summarize(values, n).median; }

bench_summary bench_scale(bench_summary s, double factor) {
    return (bench_summary){s.median * factor, s.lower_quartile * factor, s.upper_quartile * factor,
                           s.least * factor,  s.greatest * factor,       s.n};
}

bench_summary bench_rate(bench_summary s, double work) {
    return (bench_summary){work / s.median,   work / s.upper_quartile, work / s.lower_quartile,
                           work / s.greatest, work / s.least,          s.n};
}

void bench_value(json_t *row, const char *name, bench_summary s) {
    json_t *value = json_pack("{s:f, s:f, s:f, s:f, s:f, s:i}", "median", s.median, "lower_quartile", s.lower_quartile,
                              "upper_quartile", s.upper_quartile, "least", s.least, "greatest", s.greatest, "n", s.n);
    if (value == NULL || json_object_set_new(row, name, value) != 0)
        bench_fail("%s is no finite number", name);
}
