/* Layer: optim. What the two Schedule-Free optimizers share: the weights of the average, and the two modes. n is the
 * direction (Adam's, or the gradient itself), b the share of the average in y: b1, or the momentum.
 *     y += c (z - y) + a (b (1 - c) - 1) n;  z -= a n */
#ifndef TREAD_OPTIM_SCHEDULE_FREE_H
#define TREAD_OPTIM_SCHEDULE_FREE_H

#include "optim/type.h"

typedef struct tread_schedule_free_options {
    double lr, b, r, weight_lr_power, weight_decay;
    int64_t warmup_steps;
} tread_schedule_free_options;

/* The first member of both optimizers' factors. */
typedef struct tread_schedule_free_factors {
    float share; /* c */
    float push;  /* a (b (1 - c) - 1) */
    float rate;  /* a */
    float weight_decay;
    float to_average, from_average; /* 1 - 1 / b, and 1 - b */
} tread_schedule_free_factors;

/* correction: what the rate is multiplied by beside the warm-up. Sums up the weights in progress->scalars. */
void tread_schedule_free_prepare(const tread_schedule_free_options *o, double correction, tread_progress *progress,
                                 tread_schedule_free_factors *ret_factors);
/* Both types' set_training; slot 0 is z. */
void tread_schedule_free_set_training(const void *factors, const tread_update *u, bool training);

/* Both types' slot 0 and scalars: W and the largest a so far. */
#define TREAD_SCHEDULE_FREE_Z                                                                                          \
    { .name = "z", .starts_as_parameter = true }
#define TREAD_SCHEDULE_FREE_SCALARS                                                                                    \
    {                                                                                                                  \
        {"weight_sum", 0}, { "lr_max", 0 }                                                                             \
    }

/* Both tables' fields behind weight_decay. */
#define TREAD_SCHEDULE_FREE_FIELDS(struct_name)                                                                        \
    TREAD_REAL(struct_name, weight_decay, 0, TREAD_RANGE_NOT_NEGATIVE, "decoupled decay, at the point of training"),   \
        TREAD_INTEGER(struct_name, warmup_steps, 0, TREAD_RANGE_NOT_NEGATIVE, "updates over which lr rises from 0"),   \
        TREAD_REAL(struct_name, r, 0, TREAD_SCHEDULE_FREE_POWER, "power of the update's number in its weight"),        \
        TREAD_REAL(struct_name, weight_lr_power, 2, TREAD_SCHEDULE_FREE_POWER,                                         \
                   "power of the largest lr so far in an update's weight")
/* Beyond this a sum of weights might leave the range of double, and averages have no use for it. */
#define TREAD_SCHEDULE_FREE_POWER                                                                                      \
    { 0, 16, false, false, false, false } /* [0, 16] */

#endif
