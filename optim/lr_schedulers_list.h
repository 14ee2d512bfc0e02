/* Layer: optim. The list of schedulers: a line here registers one. */
#ifndef TREAD_OPTIM_LR_SCHEDULERS_LIST_H
#define TREAD_OPTIM_LR_SCHEDULERS_LIST_H

#include "optim/lr_scheduler.h"

/* In the order of help texts; each is a `const tread_lr_scheduler_type tread_NAME_type` in the file of its family. */
#define TREAD_LR_SCHEDULERS(X)                                                                                         \
    X(step_lr)                                                                                                         \
    X(multi_step_lr)                                                                                                   \
    X(exponential_lr)                                                                                                  \
    X(lambda_lr)                                                                                                       \
    X(cosine_annealing_lr)                                                                                             \
    X(cosine_decay_lr)                                                                                                 \
    X(polynomial_lr)                                                                                                   \
    X(reduce_lr_on_plateau)                                                                                            \
    X(constant_lr)                                                                                                     \
    X(linear_lr)                                                                                                       \
    X(warmup_lr)                                                                                                       \
    X(sequential_lr)                                                                                                   \
    X(chained_scheduler)                                                                                               \
    X(multiplicative_lr)                                                                                               \
    X(cosine_annealing_warm_restarts)                                                                                  \
    X(one_cycle_lr)                                                                                                    \
    X(cyclic_lr)                                                                                                       \
    X(warmup_stable_decay_lr)

#define TREAD_DECLARE_LR_SCHEDULER(name) extern const tread_lr_scheduler_type tread_##name##_type;
TREAD_LR_SCHEDULERS(TREAD_DECLARE_LR_SCHEDULER)

#endif
