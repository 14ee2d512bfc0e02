#include <stdio.h>
#include <string.h>
#include <tread/info.h>
#include <tread/precision.h>
#include <tread/version.h>

#include "core/context.h"
#include "core/dnn.h"
#include "core/environment.h"
#include "core/isa.h"
#include "core/parallel.h"
#include "core/status.h"
#include "core/topology.h"

tread_system_info tread_system_info_defaults(void) { return (tread_system_info){.size = sizeof(tread_system_info)}; }

static void copy_variable(const char *name, char *buffer, size_t size) {
    const char *text = tread_environment_text(name);
    snprintf(buffer, size, "%s", text != NULL ? text : "");
}

/* libgomp's idle threads spin for some milliseconds each time unless told otherwise: beside a busy neighbour they then
 * hold the CPU that the working thread waits for, and a step takes up to 100 times as long. */
static bool spins(const tread_system_info *info) {
#if defined(__clang__)
    (void)info;
    return false; /* libomp's threads sleep after KMP_BLOCKTIME and yield meanwhile */
#else
    return info->openmp_version > 0 && info->threads > 1 && *info->gomp_spincount == '\0' &&
           *info->omp_wait_policy == '\0';
#endif
}

static void warn(tread_system_info *info) {
    size_t at = 0, size = sizeof info->warning;
    if (spins(info))
        at += (size_t)snprintf(
            info->warning, size,
            "OpenMP's idle threads spin, which is ruinous where other programs run: set GOMP_SPINCOUNT=1000, "
            "or OMP_WAIT_POLICY=active on a machine of your own.");
    if (info->threads > info->allowed_cpus)
        at += (size_t)snprintf(info->warning + at, size - at,
                               "%sThere are more threads (%d) than CPUs they may run on (%d).", at > 0 ? " " : "",
                               info->threads, info->allowed_cpus);
    if (info->cgroup_quota > 0 && info->threads > info->cgroup_quota)
        snprintf(info->warning + at, size - at,
                 "%sThe control group grants %g CPUs' worth of time to %d threads, so they will be stopped at times.",
                 at > 0 ? " " : "", info->cgroup_quota, info->threads);
}

tread_status tread_info(const tread_context *context, tread_system_info *ret_info) {
    if (ret_info == NULL)
        return tread_fail(TREAD_ERROR_ARGUMENT, "info: the struct to fill is NULL");
    if (ret_info->size < sizeof ret_info->size || ret_info->size > sizeof *ret_info)
        return tread_fail(TREAD_ERROR_ARGUMENT,
                          "info: size %zu is not from %zu to %zu; begin with tread_system_info_defaults()",
                          ret_info->size, sizeof ret_info->size, sizeof *ret_info);
    if (context == NULL)
        TREAD_TRY(tread_context_default_status());
    const tread_hardware *hardware = tread_hardware_get();
    tread_cpu_set allowed;
    tread_cpus_allowed(&allowed);
    tread_system_info info = {
        .size = ret_info->size,
        .version = tread_version(),
        .threads = tread_context_threads(context),
        .threads_reason = tread_context_threads_reason(context),
        .backend = tread_context_backend(context),
        .backend_name = tread_context_backend(context) == TREAD_BACKEND_ONEDNN ? "onednn" : "ref",
        .onednn_version = tread_dnn_version(),
        .onednn_isa = tread_dnn_version() != NULL ? tread_dnn_isa() : NULL,
        .isa = tread_isa_name(tread_isa_chosen()),
        .isa_best = tread_isa_name(tread_isa_best()),
        .physical_cores = hardware->cores,
        .logical_cpus = hardware->cpus,
        .allowed_cpus = tread_cpus_count(&allowed),
        .cgroup_quota = tread_cgroup_quota(""),
        .cache_l1d = hardware->cache_l1d,
        .cache_l2 = hardware->cache_l2,
        .cache_l3 = hardware->cache_l3,
        .openmp_version = tread_parallel_openmp_version(),
        .bf16 = tread_precision_check(context, TREAD_PRECISION_BF16) == TREAD_OK,
    };
    if (!info.bf16)
        snprintf(info.bf16_reason, sizeof info.bf16_reason, "%s", tread_last_error());
    memcpy(info.cpu_model, hardware->cpu_model, sizeof info.cpu_model);
    copy_variable("OMP_WAIT_POLICY", info.omp_wait_policy, sizeof info.omp_wait_policy);
    copy_variable("GOMP_SPINCOUNT", info.gomp_spincount, sizeof info.gomp_spincount);
    warn(&info);
    memcpy(ret_info, &info, info.size);
    return TREAD_OK;
}
