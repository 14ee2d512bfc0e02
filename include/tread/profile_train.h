/* Layer: engine. Where the time of training steps goes: by operation, by thread, and from step to step.
 *
 *     tread_train_profile *profile;
 *     if (tread_profile_train(trainer, NULL, &profile) != TREAD_OK) ...
 *     for (size_t i = 0; i < profile->n_parts; i++) ...
 *     tread_train_profile_write_trace(profile, "trace.json");       // for ui.perfetto.dev or chrome://tracing
 *     tread_train_profile_destroy(profile);
 *
 * docs/profiling.md has the formula of every figure. Times are in seconds, rates per second. NAN: not known. */
#ifndef TREAD_PROFILE_TRAIN_H
#define TREAD_PROFILE_TRAIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <tread/profile.h>
#include <tread/trainer.h>

TREAD_BEGIN_DECLS

typedef struct tread_profile_train_progress {
    int64_t steps, all_steps; /* done, and to be done if nothing ends the run before; 0: the machine is measured */
    double seconds;           /* since the call began */
} tread_profile_train_progress;
/* Before the machine is measured, between steps of warming up, and before every stretch of others, so never while a
 * step is timed. False ends the run, as tread_trainer_request_stop() does. */
typedef bool tread_profile_train_progress_fn(void *data, const tread_profile_train_progress *progress);

typedef struct tread_profile_train_options {
    size_t size;          /* sizeof, set by tread_profile_train_defaults() */
    int64_t warmup;       /* steps before anything is measured, >= 0 [20] */
    int64_t steps;        /* steps that are recorded, 1 to 1 000 000; as many are timed without being recorded [200] */
    size_t trace_events;  /* a thread keeps so many for the trace (48 bytes each); 0: no trace [0] */
    bool measure_machine; /* measure what the machine can do, which the shares need: about a second [true] */
    bool counters;        /* count instructions, cache misses and the like where the kernel allows [true] */
    tread_profile_train_progress_fn *progress; /* [NULL] */
    void *progress_data;
} tread_profile_train_options;
TREAD_API tread_profile_train_options tread_profile_train_defaults(void);

/* What limits a part by the count of its work: the one that alone would take longest. */
typedef enum tread_profile_ceiling {
    TREAD_CEILING_NONE = 0,         /* nothing was counted, or the machine was not measured */
    TREAD_CEILING_ARITHMETIC = 1,   /* peak_flops, or peak_bf16_flops */
    TREAD_CEILING_CACHE = 2,        /* cache_bandwidth: what a call moves fits into the cores' own caches, */
    TREAD_CEILING_SHARED_CACHE = 3, /* shared_cache_bandwidth: into the one that they share, */
    TREAD_CEILING_MEMORY = 4,       /* memory_bandwidth: into none */
} tread_profile_ceiling;
#define TREAD_CEILING_COUNT 5
TREAD_API const char *tread_profile_ceiling_name(tread_profile_ceiling ceiling); /* "memory"; NULL: no such one */

/* A part of the step, in the order of the step; parts within it follow it, one deeper. Where it has any, the last of
 * them is what is left of it ("rest"), so that those without parts add up to the step. */
typedef struct tread_profile_part {
    const char *name;  /* "linear", "gemm", "batch", "adam" */
    const char *phase; /* "forward" or "backward" of an operation; else "" */
    char detail[96]; /* the first parameter of an operation, "0.weight"; part and shape of a product, "dw 128x784x32" */
    int depth;       /* 0: the step */
    int parent;      /* index; -1: none */
    bool is_rest;
    bool has_parts;
    bool bf16;     /* a product of bfloat16, which is held against peak_bf16_flops */
    int64_t calls; /* in all recorded steps */
    double seconds, longest;
    double share; /* of the recorded steps' time */
    double flops, bytes;
    double flops_per_second, bytes_per_second; /* NAN where nothing was counted */
    tread_profile_ceiling ceiling;
    double ceiling_share;  /* the time that the ceiling alone would take, over the time it took */
    int64_t regions;       /* parallel regions of its own */
    double region_seconds; /* from fork to join */
    double busy;           /* what the threads worked in these, over threads times region_seconds; NAN: no regions */
} tread_profile_part;

/* What went on in or just before a step. */
enum {
    TREAD_STEP_FIRST_OF_EPOCH = 1,    /* the order of the samples was drawn */
    TREAD_STEP_SMALLER_BATCH = 2,     /* an epoch's last */
    TREAD_STEP_AFTER_EVALUATION = 4,  /* other data was in the caches */
    TREAD_STEP_LOST_CPU = 8,          /* the system took a CPU from a thread that wanted to go on */
    TREAD_STEP_PAGE_FAULTS = 16,      /* memory was touched for the first time */
    TREAD_STEP_FIRST_OF_STRETCH = 32, /* recording was just switched on or off, and no step before had that */
};
typedef struct tread_profile_step {
    int64_t step;   /* steps done before it, warm-up included */
    double seconds; /* from before its batch is taken to after the optimizer's and the scheduler's step */
    int64_t samples;
    unsigned events;  /* TREAD_STEP_... */
    int64_t switches; /* involuntary, of all threads */
    int64_t faults;   /* page faults, of all threads */
    bool recorded;
    bool is_outlier; /* not recorded, above the upper quartile by more than three times the quartiles' distance, and
                        above the median by more than a tenth of it */
} tread_profile_step;

typedef struct tread_profile_times {
    int64_t n;
    double least, p5, median, p95, p99, greatest, mean;
    double lower_quartile, upper_quartile;
} tread_profile_times;

#define TREAD_PROFILE_BINS 20
/* Bins of equal width from least to the 99th percentile, and what lies above. */
typedef struct tread_profile_histogram {
    double low, width;
    int64_t counts[TREAD_PROFILE_BINS];
    int64_t above;
} tread_profile_histogram;

/* Of the steps that were not recorded, of all threads of the process. */
typedef struct tread_profile_counter {
    const char *name; /* "instructions", "context-switches" */
    bool available;
    double total; /* where the kernel let it count for a part of the time, scaled up */
    double per_step;
    double counted;   /* that part, in [0, 1] */
    char source[32];  /* "hardware", "hardware, user space alone", "kernel", "getrusage" */
    char reason[200]; /* why it is not available; else "" */
} tread_profile_counter;

typedef struct tread_train_profile {
    int threads;
    int64_t n_steps; /* recorded, and as many not; fewer than asked for where the run ended before: */
    bool interrupted;
    int64_t warmup;
    int64_t batch_samples; /* of a full step */

    const tread_profile_part *parts; /* [0] is the step */
    size_t n_parts;
    uint64_t parts_lost;       /* spans of which there were too many kinds, counted together as "(others)" */
    double evaluation_seconds; /* while recording; not part of any step */

    const tread_profile_step *steps; /* in the order of the run, recorded ones and others */
    size_t n_all_steps;
    tread_profile_times times, recorded_times; /* of the others, and of the recorded ones, both of full batches */
    tread_profile_times smaller_times;         /* of the others whose batch is smaller */
    tread_profile_histogram histogram;         /* of the others */
    int64_t n_outliers;
    double samples_per_second; /* batch_samples / times.median */

    double overhead;                       /* recorded_times.median / times.median - 1, and the quartiles of that */
    double overhead_lower, overhead_upper; /* over neighbouring stretches; NAN where there is but one pair */

    double peak_flops;             /* of a large product in float32, the best of several */
    double peak_flops_later;       /* after the steps: a machine whose speed changed gives another */
    double peak_bf16_flops;        /* the same in bf16, where the trainer's precision is that; else NAN */
    double cache_bandwidth;        /* read-modify-write within half of the cores' own caches, */
    size_t cache_bytes;            /* which together hold so much, */
    double shared_cache_bandwidth; /* and within half of the one that they share; NAN: there is none that is larger */
    size_t shared_cache_bytes;
    double memory_bandwidth; /* read-modify-write of more than any cache holds */

    const tread_profile_counter *counters;
    size_t n_counters;
    double instructions_per_cycle; /* NAN: not counted */

    size_t n_trace_events;
    uint64_t n_trace_dropped; /* for want of room */

    tread_profile_noise noise;
    tread_profile_warnings warnings;
    struct tread_train_profile_private *own;
} tread_train_profile;

/* Trains for warmup and twice `steps` steps: stretches of up to ten steps take turns in being recorded, and a step
 * before each, of which nothing is taken, has what switching leaves in the caches (not where steps < 8). The trainer
 * goes on where it stood; its options' limits (epochs, steps, seconds, target, patience) do not count meanwhile,
 * nothing is restored at the end and no checkpoint is written. The bits of the training are those without recording. No
 * other thread may run with the trainer's context meanwhile.
 *
 * Errors: TREAD_ERROR_ARGUMENT (options), TREAD_ERROR_STATE (the trainer runs already, or cannot train),
 * TREAD_ERROR_MEMORY, and those of tread_trainer_run. A run that a callback ends after at least one step of either kind
 * gives a profile of what there is; before: TREAD_ERROR_STATE. */
TREAD_API tread_status tread_profile_train(tread_trainer *trainer, const tread_profile_train_options *options,
                                           tread_train_profile **ret_profile);
TREAD_API void tread_train_profile_destroy(tread_train_profile *profile); /* NULL is accepted */

/* The recorded steps in the Trace Event Format (JSON): a lane for each thread, spans of steps, phases, operations and
 * products on the calling thread's, and of each parallel region what each thread did in it. An older file of that name
 * is replaced when the new one is whole. TREAD_ERROR_STATE: no trace was asked for; TREAD_ERROR_IO. */
TREAD_API tread_status tread_train_profile_write_trace(const tread_train_profile *profile, const char *path);

TREAD_END_DECLS

#endif
