/* Layer: core. Run-time choice of the instruction set, so that one binary is fast on any x86-64.
 *
 * A kernel is written once, as an always-inline body in plain C that the compiler vectorises; TREAD_KERNEL makes
 * one copy of it for each instruction set and a table of the copies. -ffp-contract=off and the fixed order of
 * sums keep all copies equal to the bit. (Own dispatch rather than target_clones: a test can choose, gcc's
 * thread sanitizer survives it, and clang has it too.) */
#ifndef TREAD_CORE_ISA_H
#define TREAD_CORE_ISA_H

#include <tread/status.h>

typedef enum tread_isa { TREAD_ISA_BASELINE, TREAD_ISA_AVX2, TREAD_ISA_AVX512, TREAD_ISA_COUNT } tread_isa;

/* The best one that this CPU has. */
tread_isa tread_isa_best(void);
/* The best one, or the lower one that TREAD_ISA (baseline, avx2, avx512) names. */
tread_isa tread_isa_chosen(void);
/* TREAD_ERROR_ARGUMENT: TREAD_ISA names none of them, or one that this CPU lacks. For whoever makes a context: kernels
 * cannot fail, and use the best one then. */
tread_status tread_isa_check_environment(void);
const char *tread_isa_name(tread_isa isa);
/* For tests: use this one, if the CPU has it, from now on; returns what was in use before. */
tread_isa tread_isa_use(tread_isa isa);

#define TREAD_KERNEL_BODY static inline __attribute__((always_inline))

#if defined(__x86_64__) && defined(__clang__)
#define TREAD_TARGET_AVX2 __attribute__((target("arch=x86-64-v3")))
#define TREAD_TARGET_AVX512 __attribute__((target("arch=x86-64-v4")))
#elif defined(__x86_64__)
#define TREAD_TARGET_AVX2 __attribute__((target("arch=x86-64-v3")))
#define TREAD_TARGET_AVX512 __attribute__((target("arch=x86-64-v4,prefer-vector-width=512")))
#else
#define TREAD_TARGET_AVX2
#define TREAD_TARGET_AVX512
#endif

/* TREAD_KERNEL(name, (parameters), (arguments)) defines `name`, an array of the copies of its body, which returns void
 * and is called TREAD_BODY(name); call it as TREAD_CALL(name)(arguments). name may be a macro's result, as in
 * TREAD_KERNEL(T(scale), ...) with TREAD_KERNEL_BODY void TREAD_BODY(T(scale))(...) above it. */
#define TREAD_BODY(name) TREAD_BODY_PASTE(name)
#define TREAD_BODY_PASTE(name) name##_body
#define TREAD_KERNEL(name, parameters, arguments) TREAD_KERNEL_PASTE(name, parameters, arguments)
#define TREAD_KERNEL_PASTE(name, parameters, arguments) TREAD_KERNEL_OF(name, parameters, name##_body arguments)
/* The same for one way through a body of any name, whose other arguments are constants:
 * TREAD_KERNEL_OF(amsgrad, (const factors *f, const tread_update *u), apply(f, u, true)). */
#define TREAD_KERNEL_OF(name, parameters, call)                                                                        \
    static void name##_baseline parameters { call; }                                                                   \
    TREAD_TARGET_AVX2 static void name##_avx2 parameters { call; }                                                     \
    TREAD_TARGET_AVX512 static void name##_avx512 parameters { call; }                                                 \
    static void(*const name[TREAD_ISA_COUNT]) parameters = {name##_baseline, name##_avx2, name##_avx512};

#define TREAD_CALL(name) name[tread_isa_chosen()]

#endif
