#include <math.h>

#include "core/isa.h"
#include "core/lanes.h"
#include "core/status.h"
#include "optim/adam_moments.h"
#include "optim/optimizers_list.h"

typedef struct factors {
    tread_adam_factors adam; /* rate: 1 / c1; decay: wd in the gradient, where adam_w_mode is off */
    float inner_decay;       /* wd in u, where decay_in_trust_ratio is on */
    float rate;              /* lr r, once r is known */
    float outer_decay;       /* lr r wd, where neither of the others is */
} factors;

static void prepare(const void *options, tread_progress *progress, void *ret_factors) {
    const tread_lamb_options *o = options;
    factors *f = ret_factors;
    f->adam = tread_adam_factors_at(progress->step, 1, o->betas, o->eps, o->adam_w_mode ? 0 : o->weight_decay,
                                    o->do_bias_correction);
    f->inner_decay = o->decay_in_trust_ratio ? (float)o->weight_decay : 0;
    f->rate = f->outer_decay = 0;
}

/* u = (m / c1) / (sqrt(v) / sqrt(c2) + eps), with decay_in_trust_ratio + wd x. The norm is taken of the same floats
 * that the update then applies. */
TREAD_KERNEL_BODY float direction(const factors *f, float x, float m, float square) {
    return f->adam.rate * m / (sqrtf(square) * f->adam.root + f->adam.eps) + f->inner_decay * x;
}

TREAD_KERNEL_BODY double squared(float value) { return (double)value * value; }

/* So many elements go through all sums before the next are looked at: memory is waited for once, and not for each. */
#define PART 128

/* m = b1 m + (1 - b1) g';  v = b2 v + (1 - b2) g'^2;  with amsgrad vmax = max(vmax, v) for v;  sums of x^2 and u^2 */
TREAD_KERNEL_BODY void moments_and_norms(const factors *pf, const tread_update *part, double *sums, bool amsgrad) {
    const factors f = *pf;
    const float scale = part->scale;
    double x_lanes[TREAD_LANES] = {0}, u_lanes[TREAD_LANES] = {0};
    for (int64_t at = 0; at < part->n; at += PART) {
        const int64_t n = part->n - at < PART ? part->n - at : PART;
        const float *restrict x = part->x + at, *restrict g = part->g + at;
        float *restrict m = part->slots[0] + at, *restrict v = part->slots[1] + at,
                        *restrict vmax = amsgrad ? part->slots[2] + at : NULL;
        float own[PART], *restrict u = own;
        for (int64_t i = 0; i < n; i++) {
            const float slope = scale * g[i] + f.adam.decay * x[i];
            const float mi = f.adam.beta1 * m[i] + f.adam.rest1 * slope;
            const float vi = f.adam.beta2 * v[i] + f.adam.rest2 * (slope * slope);
            float square = vi;
            if (amsgrad)
                square = vmax[i] = vi <= vmax[i] ? vmax[i] : vi; /* a NaN passes */
            m[i] = mi;
            v[i] = vi;
            u[i] = direction(&f, x[i], mi, square);
        }
        TREAD_LANE_ADD(x_lanes, n, i, squared(x[i]));
        TREAD_LANE_ADD(u_lanes, n, i, squared(u[i]));
    }
    sums[0] += tread_lanes_fold(x_lanes);
    sums[1] += tread_lanes_fold(u_lanes);
}
TREAD_KERNEL_OF(norms, (const factors *f, const tread_update *u, double *sums), moments_and_norms(f, u, sums, false))
TREAD_KERNEL_OF(norms_amsgrad, (const factors *f, const tread_update *u, double *sums),
                moments_and_norms(f, u, sums, true))

static void reduce(const void *f, const tread_update *u, double *sums) {
    if (u->slots[2] != NULL)
        TREAD_CALL(norms_amsgrad)(f, u, sums);
    else
        TREAD_CALL(norms)(f, u, sums);
}

/* r = ||x|| / ||u||, 1 where either is 0 */
static void reduced(const void *options, const double *sums, void *ret_factors) {
    const tread_lamb_options *o = options;
    factors *f = ret_factors;
    const double ratio = sums[0] == 0 || sums[1] == 0 ? 1 : sqrt(sums[0]) / sqrt(sums[1]);
    f->rate = (float)(o->lr * ratio);
    if (o->adam_w_mode && !o->decay_in_trust_ratio)
        f->outer_decay = (float)(o->lr * ratio * o->weight_decay);
}

/* x -= lr r u + lr r wd x */
TREAD_KERNEL_BODY void TREAD_BODY(lamb)(const factors *pf, const tread_update *u) {
    const factors f = *pf;
    float *restrict x = u->x;
    const float *restrict m = u->slots[0], *restrict square = u->slots[2] != NULL ? u->slots[2] : u->slots[1];
    for (int64_t i = 0; i < u->n; i++)
        x[i] -= f.rate * direction(&f, x[i], m[i], square[i]) + f.outer_decay * x[i];
}
TREAD_KERNEL(lamb, (const factors *f, const tread_update *u), (f, u))

static void update(const void *f, const tread_update *u) { TREAD_CALL(lamb)(f, u); }

static tread_status check(const void *options) {
    const tread_lamb_options *o = options;
    if (o->decay_in_trust_ratio && !o->adam_w_mode)
        return tread_fail(TREAD_ERROR_ARGUMENT, "lamb: decay_in_trust_ratio = true needs adam_w_mode = true");
    return TREAD_OK;
}

static bool has_vmax(const void *options) { return ((const tread_lamb_options *)options)->amsgrad; }

static const tread_field fields[] = {
    TREAD_FIELD_LR(tread_lamb_options, 1e-3),
    TREAD_FIELD_ADAM_BETAS(tread_lamb_options),
    TREAD_FIELD_EPS(tread_lamb_options),
    TREAD_REAL(tread_lamb_options, weight_decay, 0, TREAD_RANGE_NOT_NEGATIVE,
               "share of x that goes, times lr and ratio"),
    TREAD_BOOLEAN(tread_lamb_options, adam_w_mode, 1, "decoupled decay; false: L2 penalty, added to the gradient"),
    TREAD_FIELD_BIAS_CORRECTION(tread_lamb_options),
    TREAD_FIELD_AMSGRAD(tread_lamb_options),
    {.name = "decay_in_trust_ratio",
     .kind = TREAD_FIELD_BOOLEAN,
     .offset = offsetof(tread_lamb_options, decay_in_trust_ratio),
     .identity = true,
     .doc = "the paper's form: decay inside the norm; needs adam_w_mode"},
    TREAD_FIELDS_OF_ALL(tread_lamb_options),
};

const tread_optimizer_type tread_lamb_type = {
    .table = TREAD_TABLE("lamb", tread_lamb_options, fields, check),
    .doc = "Adam with each parameter's step scaled to its norm, for large batches",
    .slots = {{.name = "exp_avg"}, {.name = "exp_avg_sq"}, {.name = "max_exp_avg_sq", .needed = has_vmax}},
    .n_slots = 3,
    .factors_size = sizeof(factors),
    .prepare = prepare,
    .update = update,
    .reduce = reduce,
    .reduced = reduced,
    .n_sums = 2,
};

tread_lamb_options tread_lamb_defaults(void) {
    tread_lamb_options o;
    tread_fields_defaults(&tread_lamb_type.table, &o);
    return o;
}

tread_optimizer *tread_lamb(const tread_context *context, tread_parameter_list params,
                            const tread_lamb_options *options) {
    return tread_optimizer_create(context, &tread_lamb_type, params, options);
}
