#include "core/isa.h"

#include <stdatomic.h>
#include <string.h>

#include "core/environment.h"
#include "core/status.h"

static const char *const names[TREAD_ISA_COUNT] = {"baseline", "avx2", "avx512"};
static atomic_int chosen = -1;

/* The features of x86-64-v3 and -v4 that compilers emit: gcc 12 cannot ask for the levels by name. */
tread_isa tread_isa_best(void) {
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma") || !__builtin_cpu_supports("bmi2"))
        return TREAD_ISA_BASELINE;
    if (!__builtin_cpu_supports("avx512f") || !__builtin_cpu_supports("avx512bw") ||
        !__builtin_cpu_supports("avx512cd") || !__builtin_cpu_supports("avx512dq") ||
        !__builtin_cpu_supports("avx512vl"))
        return TREAD_ISA_AVX2;
    return TREAD_ISA_AVX512;
#else
    return TREAD_ISA_BASELINE;
#endif
}

static tread_isa choose(void) {
    tread_isa isa = tread_isa_best();
    const char *wish = tread_environment_text("TREAD_ISA");
    for (int i = 0; wish != NULL && i < (int)isa; i++)
        if (strcmp(wish, names[i]) == 0)
            isa = (tread_isa)i;
    return isa;
}

tread_status tread_isa_check_environment(void) {
    int wish = 0, best = (int)tread_isa_best();
    TREAD_TRY(tread_environment_word("TREAD_ISA", names, TREAD_ISA_COUNT, &wish));
    if (wish > best)
        return tread_fail(TREAD_ERROR_ARGUMENT, "TREAD_ISA=%s is more than this CPU has, which is %s", names[wish],
                          names[best]);
    return TREAD_OK;
}

tread_isa tread_isa_chosen(void) {
    int isa = atomic_load_explicit(&chosen, memory_order_relaxed);
    if (isa < 0) {
        isa = (int)choose();
        atomic_store_explicit(&chosen, isa, memory_order_relaxed);
    }
    return (tread_isa)isa;
}

tread_isa tread_isa_use(tread_isa isa) {
    tread_isa before = tread_isa_chosen();
    if (isa <= tread_isa_best())
        atomic_store_explicit(&chosen, (int)isa, memory_order_relaxed);
    return before;
}

const char *tread_isa_name(tread_isa isa) { return (unsigned)isa < TREAD_ISA_COUNT ? names[isa] : "unknown"; }
