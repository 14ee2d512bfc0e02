#include <math.h>

#include "core/isa.h"
#include "optim/conventions.h"
#include "optim/optimizers_list.h"

typedef struct factors {
    float rate;                    /* lr / (1 + (t - 1) lr_decay) */
    float eps_inside, eps_outside; /* of the root; one of them is 0 */
    float weight_decay;
} factors;

static void prepare(const void *options, tread_progress *progress, void *ret_factors) {
    const tread_adagrad_options *o = options;
    const bool inside = o->eps_placement == TREAD_EPS_INSIDE;
    *(factors *)ret_factors = (factors){.rate = (float)(o->lr / (1 + (double)(progress->step - 1) * o->lr_decay)),
                                        .eps_inside = inside ? (float)o->eps : 0,
                                        .eps_outside = inside ? 0 : (float)o->eps,
                                        .weight_decay = (float)o->weight_decay};
}

/* S += g'^2;  x -= rate g' / sqrt(S + eps), or / (sqrt(S) + eps) */
TREAD_KERNEL_BODY void TREAD_BODY(adagrad)(const factors *pf, const tread_update *u) {
    const factors f = *pf;
    const float scale = u->scale;
    float *restrict x = u->x, *restrict sum = u->slots[0];
    const float *restrict g = u->g;
    for (int64_t i = 0; i < u->n; i++) {
        const float slope = scale * g[i] + f.weight_decay * x[i];
        const float si = sum[i] + slope * slope;
        sum[i] = si;
        x[i] -= f.rate * slope / (sqrtf(si + f.eps_inside) + f.eps_outside);
    }
}
TREAD_KERNEL(adagrad, (const factors *f, const tread_update *u), (f, u))

static void update(const void *f, const tread_update *u) { TREAD_CALL(adagrad)(f, u); }

static double initial_sum(const void *options) {
    return ((const tread_adagrad_options *)options)->initial_accumulator_value;
}

static const tread_field fields[] = {
    TREAD_FIELD_LR(tread_adagrad_options, 1e-3),
    TREAD_REAL(tread_adagrad_options, lr_decay, 0, TREAD_RANGE_NOT_NEGATIVE, "lr is divided by 1 + (t - 1) lr_decay"),
    TREAD_REAL(tread_adagrad_options, weight_decay, 0, TREAD_RANGE_NOT_NEGATIVE, "L2 penalty, added to the gradient"),
    TREAD_REAL(tread_adagrad_options, initial_accumulator_value, 0, TREAD_RANGE_NOT_NEGATIVE,
               "what the sum of squares starts at"),
    TREAD_REAL(tread_adagrad_options, eps, 1e-10, TREAD_RANGE_NOT_NEGATIVE, "added in the denominator"),
    TREAD_FIELD_EPS_PLACEMENT(tread_adagrad_options),
    TREAD_FIELDS_OF_ALL(tread_adagrad_options),
};

const tread_optimizer_type tread_adagrad_type = {
    .table = TREAD_TABLE("adagrad", tread_adagrad_options, fields, NULL),
    .doc = "steps divided by the root of the sum of squared gradients",
    .slots = {{.name = "sum", .initial = initial_sum}},
    .n_slots = 1,
    .support_sparse = true,
    .l2_decay = true,
    .factors_size = sizeof(factors),
    .prepare = prepare,
    .update = update,
};

tread_adagrad_options tread_adagrad_defaults(void) {
    tread_adagrad_options o;
    tread_fields_defaults(&tread_adagrad_type.table, &o);
    return o;
}

tread_optimizer *tread_adagrad(const tread_context *context, tread_parameter_list params,
                               const tread_adagrad_options *options) {
    return tread_optimizer_create(context, &tread_adagrad_type, params, options);
}
