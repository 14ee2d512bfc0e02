/* Layer: core. What this library found and chose on this machine: what `tread info` shows, and what belongs beside any
 * figure that is measured. */
#ifndef TREAD_INFO_H
#define TREAD_INFO_H

#include <stdbool.h>
#include <tread/context.h>

TREAD_BEGIN_DECLS

typedef struct tread_system_info {
    size_t size;                /* sizeof, set by tread_system_info_defaults() */
    const char *version;        /* of the library that runs */
    int threads;                /* of the context, */
    const char *threads_reason; /* and why that many; lives as long as the context */
    tread_backend backend;      /* of the context */
    const char *backend_name;   /* "onednn" or "ref" */
    const char *onednn_version; /* "2.6.3"; NULL where oneDNN is not in this build */
    const char *onednn_isa;     /* the instruction set it uses; NULL likewise */
    const char *isa;            /* of Tread's own kernels: "baseline", "avx2" or "avx512", */
    const char *isa_best;       /* and the best that this CPU has */
    char cpu_model[128];        /* "" where unknown */
    int physical_cores;         /* of the machine; 0 where unknown */
    int logical_cpus;           /* likewise */
    int allowed_cpus;           /* that this process may run on */
    double cgroup_quota;        /* CPUs' worth of time that its control group grants; 0: no limit */
    size_t cache_l1d;           /* bytes of one such cache; 0 where there is none or it is unknown */
    size_t cache_l2;
    size_t cache_l3;
    int openmp_version;       /* as a date, 201511; 0 where OpenMP is not in this build */
    char omp_wait_policy[32]; /* the variables that say how long idle threads spin; "" where unset */
    char gomp_spincount[32];
    char warning[512];     /* what is set so that steps may be slow, in whole sentences; "" for nothing */
    bool bf16;             /* whether the context computes with TREAD_PRECISION_BF16; */
    char bf16_reason[256]; /* if not, why, in a sentence; else "" */
} tread_system_info;
TREAD_API tread_system_info tread_system_info_defaults(void);

/* Fills *ret_info, of which size must be set. The first call of a process takes some 10 ms to look at the hardware.
 * TREAD_ERROR_ARGUMENT: ret_info is NULL or its size is not one of this library's; what made the default context fail,
 * where context is NULL. */
TREAD_API tread_status tread_info(const tread_context *context, tread_system_info *ret_info);

TREAD_END_DECLS

#endif
