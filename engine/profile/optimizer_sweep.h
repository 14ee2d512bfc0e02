/* Layer: engine. The measurements of `tread profile optimizer`: all that is asked for on one layout, in turns. */
#ifndef TREAD_ENGINE_PROFILE_OPTIMIZER_SWEEP_H
#define TREAD_ENGINE_PROFILE_OPTIMIZER_SWEEP_H

#include <tread/profile.h>

#include "engine/profile/noise.h"
#include "engine/profile/step_traffic.h"
#include "engine/profile/tensor_layout.h"

typedef struct tread_sweep_spec {
    const char *text;
    const tread_optimizer_type *type;
    void *options; /* the type's struct; the sweep's owner frees it */
    tread_step_traffic traffic;
} tread_sweep_spec;

typedef struct tread_sweep {
    tread_sweep_spec *specs;
    size_t n_specs;
    tread_tensor_layout *layouts;
    size_t n_layouts;
    const int *threads; /* ascending */
    size_t n_threads;
    tread_context **contexts;   /* one for each thread count, */
    tread_context *alone;       /* and one of one thread */
    tread_bandwidth *bandwidth; /* of memory_bytes: a working set that no cache holds */
    size_t memory_bytes;
    int rounds;
    double began, end; /* of the whole; end is INFINITY without a limit */
    tread_profile_progress_fn *progress;
    void *progress_data;
    tread_noise_watch noise;
    bool stopped, out_of_time; /* how it ended */
    int fewest_threads;        /* that OpenMP gave where sweep->threads asked for more; 0: it gave all */
} tread_sweep;

/* Bytes that measuring a layout takes at its peak. */
double tread_sweep_bytes(const tread_sweep *sweep, const tread_tensor_layout *layout);

/* Measures one layout, and fills in rows from *ret_n_rows on, in the order of specs and threads, without those that
 * were not reached. samples: room for n_specs * n_threads * rounds. Errors as those of tread_profile_optimizer(). */
tread_status tread_sweep_layout(tread_sweep *sweep, size_t layout, double *samples, tread_profile_row *rows,
                                size_t *ret_n_rows);

#endif
