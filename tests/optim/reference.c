#include "tests/optim/reference.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* g' = g + wd x */
static bounded slope(const reference *r, int64_t i, double grad, bool maximize, double weight_decay) {
    bounded g = bounded_exact(maximize ? -grad : grad);
    return weight_decay == 0 ? g : bounded_add(g, bounded_mul(bounded_factor(weight_decay), r->x[i]));
}

/* average = beta average + (1 - beta) next */
static bounded average(bounded *slot, double beta, bounded next) {
    return *slot = bounded_mix(beta, *slot, 1 - beta, next);
}

static bounded times(double factor, bounded b) { return bounded_mul(bounded_factor(factor), b); }
static bounded plus(bounded a, double term) { return term == 0 ? a : bounded_add(a, bounded_factor(term)); }
static bounded square(bounded a) { return bounded_mul(a, a); }

static double correction(double beta, int64_t t) { return 1 - pow(beta, (double)t); }

static void reference_sgd(const void *options, reference *r, const double *grad) {
    const tread_sgd_options *o = options;
    double mu = o->momentum, damped = 1 - o->dampening;
    for (int64_t i = 0; i < r->n; i++) {
        bounded g = slope(r, i, grad[i], o->maximize, o->weight_decay), *x = &r->x[i], *v = &r->slots[0][i];
        if (mu == 0) {
            *x = bounded_sub(*x, times(o->lr, g));
        } else if (o->convention == TREAD_MOMENTUM_VELOCITY) {
            bounded push = times(o->lr * damped, g);
            *v = bounded_sub(times(mu, *v), push);
            *x = bounded_add(*x, o->nesterov ? bounded_sub(times(mu, *v), push) : *v);
        } else {
            *v = bounded_mix(mu, *v, r->t == 1 ? 1 : damped, g);
            *x = bounded_sub(*x, times(o->lr, o->nesterov ? bounded_add(g, times(mu, *v)) : *v));
        }
    }
}

static void reference_lion(const void *options, reference *r, const double *grad) {
    const tread_lion_options *o = options;
    for (int64_t i = 0; i < r->n; i++) {
        bounded g = slope(r, i, grad[i], o->maximize, 0), *m = &r->slots[0][i];
        bounded direction = bounded_sign(bounded_mix(o->betas[0], *m, 1 - o->betas[0], g));
        average(m, o->betas[1], g);
        r->x[i] = bounded_sub(times(1 - o->lr * o->weight_decay, r->x[i]), times(o->lr, direction));
    }
}

/* rate m / (sqrt(v) / sqrt(c2) + eps), the moments being brought up to date by g first */
static bounded adam_direction(reference *r, int64_t i, bounded g, const double *betas, double rate, double c2,
                              double eps, bool amsgrad) {
    bounded m = average(&r->slots[0][i], betas[0], g), v = average(&r->slots[1][i], betas[1], square(g));
    if (amsgrad)
        v = r->slots[2][i] = bounded_max(r->slots[2][i], v);
    return bounded_div(times(rate, m), plus(times(1 / sqrt(c2), bounded_sqrt(v)), eps));
}

static void reference_adam(const void *options, reference *r, const double *grad) {
    const tread_adam_options *o = options;
    double c1 = o->do_bias_correction ? correction(o->betas[0], r->t) : 1;
    double c2 = o->do_bias_correction ? correction(o->betas[1], r->t) : 1;
    for (int64_t i = 0; i < r->n; i++) {
        bounded g = slope(r, i, grad[i], o->maximize, o->weight_decay);
        r->x[i] = bounded_sub(r->x[i], adam_direction(r, i, g, o->betas, o->lr / c1, c2, o->eps, o->amsgrad));
    }
}

void reference_adamw(const void *options, reference *r, const double *grad) {
    const tread_adamw_options *o = options;
    double c1 = o->do_bias_correction ? correction(o->betas[0], r->t) : 1;
    double c2 = o->do_bias_correction ? correction(o->betas[1], r->t) : 1;
    for (int64_t i = 0; i < r->n; i++) {
        bounded d =
            adam_direction(r, i, slope(r, i, grad[i], o->maximize, 0), o->betas, o->lr / c1, c2, o->eps, o->amsgrad);
        r->x[i] = bounded_sub(bounded_sub(r->x[i], times(o->lr * o->weight_decay, r->x[i])), d);
    }
}

/* Summed in double: a norm moves by no more than the norm of its elements' errors. */
static bounded norm(const bounded *values, int64_t n) {
    double squares = 0, errors = 0;
    for (int64_t i = 0; i < n; i++) {
        squares += values[i].value * values[i].value;
        errors += values[i].error * values[i].error;
    }
    return bounded_round(sqrt(squares), sqrt(errors));
}

static void reference_lamb(const void *options, reference *r, const double *grad) {
    const tread_lamb_options *o = options;
    double c1 = o->do_bias_correction ? correction(o->betas[0], r->t) : 1;
    double c2 = o->do_bias_correction ? correction(o->betas[1], r->t) : 1;
    double inner = o->decay_in_trust_ratio ? o->weight_decay : 0;
    double outer = o->adam_w_mode && !o->decay_in_trust_ratio ? o->weight_decay : 0;
    bounded *u = r->slots[3];
    for (int64_t i = 0; i < r->n; i++) {
        bounded g = slope(r, i, grad[i], o->maximize, o->adam_w_mode ? 0 : o->weight_decay);
        u[i] = adam_direction(r, i, g, o->betas, 1 / c1, c2, o->eps, o->amsgrad);
        if (inner != 0)
            u[i] = bounded_add(u[i], times(inner, r->x[i]));
    }
    bounded of_x = norm(r->x, r->n), of_u = norm(u, r->n);
    bounded ratio = of_x.value > 0 && of_u.value > 0 ? bounded_div(of_x, of_u) : bounded_exact(1);
    bounded rate = times(o->lr, ratio);
    for (int64_t i = 0; i < r->n; i++)
        r->x[i] = bounded_sub(r->x[i], bounded_mul(rate, bounded_add(u[i], times(outer, r->x[i]))));
}

static void reference_adamax(const void *options, reference *r, const double *grad) {
    const tread_adamax_options *o = options;
    for (int64_t i = 0; i < r->n; i++) {
        bounded g = slope(r, i, grad[i], o->maximize, o->weight_decay), *u = &r->slots[1][i];
        bounded m = average(&r->slots[0][i], o->betas[0], g);
        *u = bounded_max(times(o->betas[1], *u), plus(bounded_abs(g), o->eps));
        r->x[i] = bounded_sub(r->x[i], bounded_div(times(o->lr / correction(o->betas[0], r->t), m), *u));
    }
}

static void reference_nadam(const void *options, reference *r, const double *grad) {
    const tread_nadam_options *o = options;
    double mu[2], *product = &r->scalars[0]; /* of all mu so far */
    for (int k = 0; k < 2; k++)
        mu[k] = o->betas[0] * (1 - 0.5 * pow(0.96, (double)(r->t + k) * o->momentum_decay));
    *product = (r->t == 1 ? 1 : *product) * mu[0];
    double of_g = o->lr * (1 - mu[0]) / (1 - *product), of_m = o->lr * mu[1] / (1 - *product * mu[1]);
    for (int64_t i = 0; i < r->n; i++) {
        bounded g = slope(r, i, grad[i], o->maximize, o->weight_decay);
        bounded m = average(&r->slots[0][i], o->betas[0], g), v = average(&r->slots[1][i], o->betas[1], square(g));
        bounded d = plus(times(1 / sqrt(correction(o->betas[1], r->t)), bounded_sqrt(v)), o->eps);
        r->x[i] = bounded_sub(r->x[i], bounded_div(times(of_g, g), d));
        r->x[i] = bounded_sub(r->x[i], bounded_div(times(of_m, m), d));
    }
}

static void reference_radam(const void *options, reference *r, const double *grad) {
    const tread_radam_options *o = options;
    double c1 = correction(o->betas[0], r->t), c2 = correction(o->betas[1], r->t), most = 2 / (1 - o->betas[1]) - 1;
    double rho = most - 2 * (double)r->t * pow(o->betas[1], (double)r->t) / c2;
    double rectified = rho > 5 ? sqrt((rho - 4) * (rho - 2) * most / ((most - 4) * (most - 2) * rho)) * sqrt(c2) : 0;
    for (int64_t i = 0; i < r->n; i++) {
        bounded g = slope(r, i, grad[i], o->maximize, o->weight_decay);
        bounded m = average(&r->slots[0][i], o->betas[0], g), v = average(&r->slots[1][i], o->betas[1], square(g));
        bounded d = rho > 5 ? bounded_div(times(o->lr / c1 * rectified, m), plus(bounded_sqrt(v), o->eps))
                            : times(o->lr / c1, m);
        r->x[i] = bounded_sub(r->x[i], d);
    }
}

/* The divisor sqrt(v + eps), or sqrt(v) + eps. */
static bounded root(bounded v, double eps, tread_eps_placement placement) {
    return placement == TREAD_EPS_INSIDE ? bounded_sqrt(plus(v, eps)) : plus(bounded_sqrt(v), eps);
}

static void reference_adagrad(const void *options, reference *r, const double *grad) {
    const tread_adagrad_options *o = options;
    double lr = o->lr / (1 + (double)(r->t - 1) * o->lr_decay);
    for (int64_t i = 0; i < r->n; i++) {
        bounded g = slope(r, i, grad[i], o->maximize, o->weight_decay), *sum = &r->slots[0][i];
        *sum = bounded_add(r->t == 1 ? bounded_factor(o->initial_accumulator_value) : *sum, square(g));
        r->x[i] = bounded_sub(r->x[i], bounded_div(times(lr, g), root(*sum, o->eps, o->eps_placement)));
    }
}

static void reference_rmsprop(const void *options, reference *r, const double *grad) {
    const tread_rmsprop_options *o = options;
    bool lr_inside = o->convention == TREAD_MOMENTUM_VELOCITY;
    for (int64_t i = 0; i < r->n; i++) {
        bounded g = slope(r, i, grad[i], o->maximize, o->weight_decay), *v = &r->slots[2][i];
        bounded of_square = average(&r->slots[0][i], o->alpha, square(g));
        if (o->centered)
            of_square =
                bounded_max(bounded_sub(of_square, square(average(&r->slots[1][i], o->alpha, g))), bounded_exact(0));
        *v = bounded_add(times(o->momentum, *v),
                         bounded_div(lr_inside ? times(o->lr, g) : g, root(of_square, o->eps, o->eps_placement)));
        r->x[i] = bounded_sub(r->x[i], lr_inside ? *v : times(o->lr, *v));
    }
}

static void reference_adadelta(const void *options, reference *r, const double *grad) {
    const tread_adadelta_options *o = options;
    for (int64_t i = 0; i < r->n; i++) {
        bounded g = slope(r, i, grad[i], o->maximize, o->weight_decay), *a = &r->slots[1][i];
        bounded s = average(&r->slots[0][i], o->rho, square(g));
        bounded d = bounded_mul(bounded_div(bounded_sqrt(plus(*a, o->eps)), bounded_sqrt(plus(s, o->eps))), g);
        average(a, o->rho, square(d));
        r->x[i] = bounded_sub(r->x[i], times(o->lr, d));
    }
}

/* ---- Schedule-Free: y is the parameter, z slot 0 ---- */

typedef struct schedule {
    double a, c, of_n; /* of_n: a (momentum (1 - c) - 1) */
} schedule;

static schedule schedule_at(reference *r, double rate, int64_t warmup, double power_of_t, double power_of_a,
                            double momentum) {
    double *largest = &r->scalars[0], *weights = &r->scalars[1];
    double a = rate * (r->t <= warmup ? (double)r->t / (double)warmup : 1);
    *largest = fmax(*largest, a);
    double weight = pow((double)r->t, power_of_t) * pow(*largest, power_of_a);
    *weights += weight;
    double c = *weights > 0 ? weight / *weights : 0;
    return (schedule){a, c, a * (momentum * (1 - c) - 1)};
}

static void schedule_step(reference *r, int64_t i, const schedule *s, bounded n, double weight_decay) {
    bounded *y = &r->x[i], *z = &r->slots[0][i];
    if (r->t == 1)
        *z = *y;
    if (weight_decay != 0)
        n = bounded_add(n, times(weight_decay, *y));
    *y = bounded_add(bounded_mix(1 - s->c, *y, s->c, *z), times(s->of_n, n));
    *z = bounded_sub(*z, times(s->a, n));
}

static void reference_schedule_free_adamw(const void *options, reference *r, const double *grad) {
    const tread_schedule_free_adamw_options *o = options;
    schedule s = schedule_at(r, o->lr * sqrt(correction(o->betas[1], r->t)), o->warmup_steps, o->r, o->weight_lr_power,
                             o->betas[0]);
    for (int64_t i = 0; i < r->n; i++) {
        bounded g = slope(r, i, grad[i], o->maximize, 0), v = average(&r->slots[1][i], o->betas[1], square(g));
        schedule_step(r, i, &s, bounded_div(g, plus(bounded_sqrt(v), o->eps)), o->weight_decay);
    }
}

static void reference_schedule_free_sgd(const void *options, reference *r, const double *grad) {
    const tread_schedule_free_sgd_options *o = options;
    schedule s = schedule_at(r, o->lr, o->warmup_steps, o->r, o->weight_lr_power, o->momentum);
    for (int64_t i = 0; i < r->n; i++)
        schedule_step(r, i, &s, slope(r, i, grad[i], o->maximize, 0), o->weight_decay);
}

reference_fn *reference_of(const char *name) {
    static const struct {
        const char *name;
        reference_fn *step;
    } all[] = {
        {"sgd", reference_sgd},
        {"lion", reference_lion},
        {"adam", reference_adam},
        {"adamw", reference_adamw},
        {"lamb", reference_lamb},
        {"adamax", reference_adamax},
        {"nadam", reference_nadam},
        {"radam", reference_radam},
        {"adagrad", reference_adagrad},
        {"rmsprop", reference_rmsprop},
        {"adadelta", reference_adadelta},
        {"muon", reference_muon},
        {"schedule_free_adamw", reference_schedule_free_adamw},
        {"schedule_free_sgd", reference_schedule_free_sgd},
    };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (strcmp(all[i].name, name) == 0)
            return all[i].step;
    return NULL;
}

reference reference_create(const tread_tensor *parameter) {
    reference r = {
        .n = parameter->count, .rows = parameter->shape[0], .columns = parameter->count / parameter->shape[0]};
    r.x = calloc((size_t)r.n, sizeof *r.x);
    for (int64_t i = 0; i < r.n; i++)
        r.x[i] = bounded_exact(((const float *)parameter->data)[i]);
    for (int s = 0; s < TREAD_MAX_SLOTS; s++)
        r.slots[s] = calloc((size_t)r.n, sizeof *r.x);
    return r;
}

void reference_destroy(reference *r) {
    free(r->x);
    for (int s = 0; s < TREAD_MAX_SLOTS; s++)
        free(r->slots[s]);
}
