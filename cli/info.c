/* tread info: what the library found and chose on this machine. */
#include <stdio.h>
#include <tread/info.h>

#include "cli/commands.h"
#include "cli/progress.h"
#include "cli/setup.h"

typedef struct info_options {
    int64_t threads;
} info_options;

static const cli_option options_table[] = {
    {.name = "threads",
     .value = "N",
     .initial = "0",
     .doc = "as for `tread train`",
     .kind = CLI_INTEGER,
     .offset = offsetof(info_options, threads),
     .low = 0,
     .high = 1024},
};

static void print_size(const char *name, size_t bytes) {
    if (bytes == 0)
        printf("%-16s unknown\n", name);
    else if (bytes % (1024 * 1024) == 0)
        printf("%-16s %zu MiB\n", name, bytes / (1024 * 1024));
    else
        printf("%-16s %zu KiB\n", name, bytes / 1024);
}

static const char *or_else(const char *text, const char *other) { return text != NULL && *text != '\0' ? text : other; }

static void print_cpu(const tread_system_info *info) {
    printf("%-16s %s\n", "cpu", or_else(info->cpu_model, "unknown"));
    printf("%-16s %d physical, %d logical, %d allowed", "cores", info->physical_cores, info->logical_cpus,
           info->allowed_cpus);
    if (info->cgroup_quota > 0)
        printf(", control group grants %.2f", info->cgroup_quota);
    putchar('\n');
    print_size("cache L1d", info->cache_l1d);
    print_size("cache L2", info->cache_l2);
    print_size("cache L3", info->cache_l3);
}

static void print_info(const tread_system_info *info) {
    printf("%-16s %s\n", "version", info->version);
    printf("%-16s %d (%s)\n", "threads", info->threads, cli_threads_reason(info->threads_reason));
    printf("%-16s %s of %s\n", "instruction set", info->isa, info->isa_best);
    printf("%-16s %s\n", "back-end", info->backend_name);
    if (info->onednn_version != NULL)
        printf("%-16s %s, %s\n", "oneDNN", info->onednn_version, or_else(info->onednn_isa, "instruction set unknown"));
    else
        printf("%-16s not in this build\n", "oneDNN");
    printf("%-16s %s\n", "bf16", info->bf16 ? "yes" : info->bf16_reason);
    if (info->openmp_version != 0)
        printf("%-16s %d; GOMP_SPINCOUNT %s, OMP_WAIT_POLICY %s\n", "OpenMP", info->openmp_version,
               or_else(info->gomp_spincount, "not set"), or_else(info->omp_wait_policy, "not set"));
    else
        printf("%-16s not in this build\n", "OpenMP");
    print_cpu(info);
    if (*info->warning != '\0')
        printf("%-16s %s\n", "warning", info->warning);
}

static int run_info(const cli_command *command, int argc, char **argv) {
    info_options options = {.threads = 0};
    int code;
    if (!cli_parse(command, argc, argv, &options, &code))
        return code;
    tread_context_options o = tread_context_defaults();
    o.threads = (int)options.threads;
    tread_context *context = tread_context_create(&o);
    tread_system_info info = tread_system_info_defaults();
    if (context == NULL || tread_info(context, &info) != TREAD_OK) {
        code = cli_fail(command, "%s", tread_last_error());
    } else {
        print_info(&info);
        code = cli_flush_output() ? CLI_DONE : cli_fail(command, "%s", tread_last_error());
    }
    tread_context_destroy(context);
    return code;
}

const cli_command cli_info = {
    .name = "info",
    .summary =
        "Says what Tread found and chose on this machine: threads and why that many, instruction set, oneDNN, caches.",
    .usage = "[options]",
    .run = run_info,
    .only_shows = true,
    .options = options_table,
    .n_options = sizeof options_table / sizeof *options_table,
};
