/* Layer: tests. Golden trajectories of an optimizer, as tests/golden/optimizers.py writes and describes them. */
#ifndef TREAD_TESTS_OPTIM_GOLDEN_H
#define TREAD_TESTS_OPTIM_GOLDEN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <tread/tensor.h>

#define GOLDEN_MAX_GROUPS 4
#define GOLDEN_MAX_PARAMETERS 8
#define GOLDEN_MAX_STEPS 64
#define GOLDEN_MAX_SNAPSHOTS 8

typedef enum golden_gradient { GOLDEN_NONE, GOLDEN_NOISE, GOLDEN_ZEROS } golden_gradient;

typedef struct golden_parameter {
    uint32_t group, rank;
    int64_t shape[TREAD_MAX_RANK], n;
} golden_parameter;

/* A parameter after some step. */
typedef struct golden_values {
    bool of_norm;        /* there is one bound, on the norm of the error */
    const double *value; /* n */
    const float *bound;  /* n, or 1 */
} golden_values;

typedef struct golden_snapshot {
    uint32_t step; /* after this many */
    bool evaluation;
    golden_values parameters[GOLDEN_MAX_PARAMETERS];
} golden_snapshot;

typedef struct golden_setting {
    uint32_t n_groups, n_parameters, n_steps, n_snapshots;
    char specs[GOLDEN_MAX_GROUPS][256]; /* of the optimizer, and of the groups after the first */
    golden_parameter parameters[GOLDEN_MAX_PARAMETERS];
    double lr[GOLDEN_MAX_STEPS][GOLDEN_MAX_GROUPS];
    uint8_t gradient[GOLDEN_MAX_STEPS][GOLDEN_MAX_PARAMETERS]; /* golden_gradient */
    golden_snapshot snapshots[GOLDEN_MAX_SNAPSHOTS];
} golden_setting;

typedef struct golden {
    uint32_t n_settings;
    golden_setting *settings;
    void *values; /* of all snapshots */
} golden;

/* From bytes, which may be freed then. NULL, or why not, with the place; golden is then empty. */
const char *golden_parse(const void *bytes, size_t n, golden *ret_golden);
/* All of NAME.golden in the folder that TREAD_GOLDEN names, to be freed by the caller; NULL if there is no such file.
 */
void *golden_load(const char *name, size_t *ret_n);
void golden_free(golden *g);

#endif
