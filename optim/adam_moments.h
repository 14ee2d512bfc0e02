/* Layer: optim. What Adam and its relatives share: the factors of two averages, m of the gradient and v of its square,
 * and of their bias correction. */
#ifndef TREAD_OPTIM_ADAM_MOMENTS_H
#define TREAD_OPTIM_ADAM_MOMENTS_H

#include "optim/scalar.h"
#include "optim/type.h"

typedef struct tread_adam_factors {
    float beta1, beta2, rest1, rest2; /* rest: 1 - beta */
    float rate;                       /* lr / c1 */
    float root;                       /* 1 / sqrt(c2) */
    float eps;
    float decay; /* wd, or lr wd where it is decoupled */
} tread_adam_factors;

/* c = 1 - beta^step: what an average that started at 0 is too small by. */
static inline double tread_bias_correction(double beta, uint64_t step) { return 1 - tread_power(beta, step); }

static inline tread_adam_factors tread_adam_factors_of(double c1, double c2, double lr, const double betas[2],
                                                       double eps, double decay) {
    return (tread_adam_factors){.beta1 = (float)betas[0],
                                .beta2 = (float)betas[1],
                                .rest1 = (float)(1 - betas[0]),
                                .rest2 = (float)(1 - betas[1]),
                                .rate = (float)(lr / c1),
                                .root = (float)(1 / sqrt(c2)),
                                .eps = (float)eps,
                                .decay = (float)decay};
}

static inline tread_adam_factors tread_adam_factors_at(uint64_t step, double lr, const double betas[2], double eps,
                                                       double decay, bool bias_corrected) {
    const double c1 = bias_corrected ? tread_bias_correction(betas[0], step) : 1;
    const double c2 = bias_corrected ? tread_bias_correction(betas[1], step) : 1;
    return tread_adam_factors_of(c1, c2, lr, betas, eps, decay);
}

#define TREAD_FIELD_BETAS(struct_name, first, second, text)                                                            \
    {                                                                                                                  \
        .name = "betas", .offset = offsetof(struct_name, betas), .n_values = 2, .initial = {(first), (second)},        \
        .range = TREAD_RANGE_BELOW_ONE, .doc = (text)                                                                  \
    }
#define TREAD_FIELD_ADAM_BETAS(struct_name)                                                                            \
    TREAD_FIELD_BETAS(struct_name, 0.9, 0.999, "decay of the averages of the gradient and of its square")

#define TREAD_FIELD_EPS(struct_name)                                                                                   \
    TREAD_REAL(struct_name, eps, 1e-8, TREAD_RANGE_NOT_NEGATIVE, "added to the denominator")
#define TREAD_FIELD_AMSGRAD(struct_name) TREAD_BOOLEAN(struct_name, amsgrad, 0, "divide by the largest average so far")
#define TREAD_FIELD_BIAS_CORRECTION(struct_name)                                                                       \
    TREAD_BOOLEAN(struct_name, do_bias_correction, 1, "undo the averages' start at 0")

#endif
