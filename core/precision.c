#include <tread/precision.h>

#include "core/context.h"
#include "core/dnn.h"
#include "core/status.h"
#include "core/topology.h"
#include "tread_config.h"

static const char *const names[TREAD_PRECISION_COUNT] = {"float32", "bf16"};

const char *tread_precision_name(tread_precision precision) {
    return (unsigned)precision < TREAD_PRECISION_COUNT ? names[precision] : NULL;
}

#if TREAD_HAVE_ONEDNN
static bool cpu_has_bf16(void) {
#if defined(__x86_64__)
    __builtin_cpu_init();
    return __builtin_cpu_supports("avx512bf16");
#else
    return false;
#endif
}

static tread_status refuse(void) {
    const char *cpu = tread_hardware_get()->cpu_model;
    if (*cpu == '\0')
        cpu = "this CPU";
    if (!cpu_has_bf16())
        return tread_fail(TREAD_ERROR_BACKEND,
                          "%s has neither avx512_bf16 nor amx_bf16, and precision bf16 needs one of them", cpu);
    return tread_fail(TREAD_ERROR_BACKEND,
                      "%s has avx512_bf16, but oneDNN %s uses only %s of it (its version, or "
                      "ONEDNN_MAX_CPU_ISA), and precision bf16 needs avx512_bf16",
                      cpu, tread_dnn_version(), tread_dnn_isa());
}
#endif

tread_status tread_precision_check(const tread_context *context, tread_precision precision) {
    if ((unsigned)precision >= TREAD_PRECISION_COUNT)
        return tread_fail(TREAD_ERROR_ARGUMENT, "precision %d is not one of float32 (0), bf16 (1)", (int)precision);
    if (context == NULL)
        TREAD_TRY(tread_context_default_status());
    if (precision == TREAD_PRECISION_FLOAT32 || tread_context_resolve(context)->ref_by_name)
        return TREAD_OK;
#if TREAD_HAVE_ONEDNN
    return tread_dnn_has_bf16() ? TREAD_OK : refuse();
#else
    return tread_fail(TREAD_ERROR_BACKEND, "precision bf16 needs oneDNN, which is not in this build");
#endif
}
