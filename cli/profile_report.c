#include "cli/profile_report.h"

#include <math.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>
#include <tread/version.h>

#include "cli/numbers.h"

json_t *cli_report_number(double value) { return isfinite(value) ? json_real(value) : json_null(); }

bool cli_report_write_json(FILE *file, const json_t *object) {
    const bool written = json_dumpf(object, file, JSON_INDENT(1)) == 0 && fputc('\n', file) != EOF;
    return written || ferror(file);
}

static json_t *text_or_null(const char *text) {
    return text != NULL && *text != '\0' ? json_string(text) : json_null();
}

static json_t *machine_json(const tread_system_info *i) {
    return json_pack(
        "{s:o, s:i, s:i, s:i, s:o, s:I, s:I, s:I, s:s, s:s, s:s, s:s, s:o, s:o, s:i, s:o, s:o, s:o, s:b}", "cpu",
        text_or_null(i->cpu_model), "physical_cores", i->physical_cores, "logical_cpus", i->logical_cpus,
        "allowed_cpus", i->allowed_cpus, "cgroup_quota", i->cgroup_quota > 0 ? json_real(i->cgroup_quota) : json_null(),
        "cache_l1d", (json_int_t)i->cache_l1d, "cache_l2", (json_int_t)i->cache_l2, "cache_l3", (json_int_t)i->cache_l3,
        "isa", i->isa, "isa_best", i->isa_best, "backend", i->backend_name, "threads_reason", i->threads_reason,
        "onednn", text_or_null(i->onednn_version), "onednn_isa", text_or_null(i->onednn_isa), "openmp",
        i->openmp_version, "omp_wait_policy", text_or_null(i->omp_wait_policy), "gomp_spincount",
        text_or_null(i->gomp_spincount), "warning", text_or_null(i->warning), "bf16", (int)i->bf16);
}

static json_t *words(int argc, char **argv) {
    json_t *list = json_pack("[s, s]", "tread", "profile");
    for (int i = 0; i < argc; i++) {
        json_t *word = json_string(argv[i]); /* NULL where it is not UTF-8 */
        json_array_append_new(list, word != NULL ? word : json_null());
    }
    return list;
}

json_t *cli_report_json(const char *format, int argc, char **argv, const tread_system_info *info) {
    char date[32];
    time_t now = time(NULL);
    struct tm utc;
    struct utsname system;
    strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&now, &utc));
    return json_pack("{s:s, s:i, s:s, s:o, s:s, s:o, s:o}", "format", format, "format_version", 1, "date", date,
                     "command", words(argc, argv), "version", tread_version(), "kernel",
                     uname(&system) == 0 ? json_string(system.release) : json_null(), "machine", machine_json(info));
}

json_t *cli_report_noise_json(const tread_profile_noise *n) {
    return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "seconds", cli_report_number(n->seconds),
                     "load", cli_report_number(n->load), "neighbours", cli_report_number(n->neighbours), "steal",
                     cli_report_number(n->steal), "throttled_periods", cli_report_number(n->throttled_periods),
                     "throttled_seconds", cli_report_number(n->throttled_seconds), "frequency_least",
                     cli_report_number(n->frequency_least), "frequency_greatest",
                     cli_report_number(n->frequency_greatest), "loop_fastest", cli_report_number(n->loop_fastest),
                     "loop_slowest", cli_report_number(n->loop_slowest));
}

json_t *cli_report_warnings_json(const tread_profile_warnings *warnings) {
    json_t *list = json_array();
    for (size_t i = 0; i < warnings->count; i++)
        json_array_append_new(
            list, json_pack("{s:s, s:s}", "kind", warnings->items[i].kind, "text", warnings->items[i].text));
    return list;
}

void cli_report_print_number(FILE *file, int width, int digits, double value, const char *unit) {
    if (isfinite(value))
        fprintf(file, " %*.*f%s", width, digits, value, unit);
    else
        fprintf(file, " %*s%*s", width, "-", (int)strlen(unit), "");
}

void cli_report_print_quoted(FILE *file, const char *text) {
    fputc('"', file);
    for (; *text != '\0'; text++) {
        if (*text == '"')
            fputc('"', file);
        fputc(*text, file);
    }
    fputc('"', file);
}

void cli_report_print_field(FILE *file, double value) {
    char text[CLI_NUMBER_TEXT];
    fprintf(file, ",%s", isfinite(value) ? cli_number_text(text, value) : "");
}

static void print_size(FILE *file, const char *name, size_t bytes) {
    if (bytes >= 1 << 20)
        fprintf(file, ", %s %.3g MiB", name, (double)bytes / (1 << 20));
    else if (bytes > 0)
        fprintf(file, ", %s %.3g KiB", name, (double)bytes / 1024);
}

void cli_report_print_machine(FILE *file, const tread_system_info *i) {
    fprintf(file, "machine   %s, %d cores, %d CPUs allowed", *i->cpu_model != '\0' ? i->cpu_model : "unknown CPU",
            i->physical_cores, i->allowed_cpus);
    print_size(file, "L1d", i->cache_l1d);
    print_size(file, "L2", i->cache_l2);
    print_size(file, "L3", i->cache_l3);
    fprintf(file, "; %s; tread %s\n", i->isa, tread_version());
}

void cli_report_print_warnings(FILE *file, const tread_profile_warnings *warnings) {
    for (size_t i = 0; i < warnings->count; i++)
        fprintf(file, "%swarning   %s\n", i == 0 ? "\n" : "", warnings->items[i].text);
}
