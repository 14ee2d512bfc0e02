/* Layer: optim. The list of optimizers: a line here registers one. */
#ifndef TREAD_OPTIM_OPTIMIZERS_LIST_H
#define TREAD_OPTIM_OPTIMIZERS_LIST_H

#include "optim/type.h"

/* In the order of help texts; each is a `const tread_optimizer_type tread_NAME_type` in optim/NAME.c. */
#define TREAD_OPTIMIZERS(X)                                                                                            \
    X(sgd)                                                                                                             \
    X(lion)                                                                                                            \
    X(adam)                                                                                                            \
    X(adamw)                                                                                                           \
    X(lamb)                                                                                                            \
    X(adamax)                                                                                                          \
    X(nadam)                                                                                                           \
    X(radam)                                                                                                           \
    X(adagrad)                                                                                                         \
    X(rmsprop)                                                                                                         \
    X(adadelta)                                                                                                        \
    X(muon)                                                                                                            \
    X(schedule_free_adamw)                                                                                             \
    X(schedule_free_sgd)                                                                                               \
    X(lbfgs)

#define TREAD_DECLARE_OPTIMIZER(name) extern const tread_optimizer_type tread_##name##_type;
TREAD_OPTIMIZERS(TREAD_DECLARE_OPTIMIZER)

#endif
