/* AdamW, LAMB, Adagrad and RMSprop against their formulas in double, each value within the bound on float32's error
 * that its own operations give; with the numbers of the specification. */
#include "tests/optim/bounded.h"
#include "tests/optim/helpers.h"

/* ---- The formulas in double with bounds on float32's error, a parameter at a time ---- */

#define MAX_VALUES 64

typedef struct reference {
    int n;
    int64_t t;
    bounded x[MAX_VALUES], slots[TREAD_MAX_SLOTS][MAX_VALUES];
} reference;

typedef void reference_fn(const void *options, reference *r, const bounded *g);

static bounded negated_if(bool maximize, bounded g) { return (bounded){maximize ? -g.value : g.value, g.error}; }
static bounded with_decay(bounded x, bounded g, double weight_decay) {
    return bounded_add(g, bounded_mul(bounded_factor(weight_decay), x));
}
static bounded average(double beta, bounded old, bounded now) {
    return bounded_add(bounded_mul(bounded_factor(beta), old), bounded_mul(bounded_factor(1 - beta), now));
}

/* m / (sqrt(v) / sqrt(c2) + eps) of element i, its moments brought up to date by g; slots as Adam's. */
static bounded adam_quotient(reference *r, int i, bounded g, const double *betas, double eps, bool corrected,
                             bool amsgrad) {
    bounded *m = &r->slots[0][i], *v = &r->slots[1][i], *largest = &r->slots[2][i];
    *m = average(betas[0], *m, g);
    *v = average(betas[1], *v, bounded_mul(g, g));
    *largest = amsgrad ? bounded_max(*largest, *v) : *v;
    double c2 = corrected ? 1 - pow(betas[1], (double)r->t) : 1;
    return bounded_div(
        *m, bounded_add(bounded_mul(bounded_sqrt(*largest), bounded_factor(1 / sqrt(c2))), bounded_factor(eps)));
}

static void reference_adamw(const void *options, reference *r, const bounded *g) {
    const tread_adamw_options *o = options;
    double c1 = o->do_bias_correction ? 1 - pow(o->betas[0], (double)r->t) : 1;
    for (int i = 0; i < r->n; i++) {
        bounded q =
            adam_quotient(r, i, negated_if(o->maximize, g[i]), o->betas, o->eps, o->do_bias_correction, o->amsgrad);
        bounded decay = bounded_mul(bounded_factor(o->lr * o->weight_decay), r->x[i]);
        r->x[i] = bounded_sub(r->x[i], bounded_add(decay, bounded_mul(bounded_factor(o->lr / c1), q)));
    }
}

/* The norm's terms are squared and summed in double: its error is that of the terms. */
static bounded norm_of(const bounded *values, int n) {
    double square = 0, error = 0;
    for (int i = 0; i < n; i++) {
        square += values[i].value * values[i].value;
        error += values[i].error * values[i].error;
    }
    return (bounded){sqrt(square), sqrt(error)};
}

static void reference_lamb(const void *options, reference *r, const bounded *g) {
    const tread_lamb_options *o = options;
    double c1 = o->do_bias_correction ? 1 - pow(o->betas[0], (double)r->t) : 1;
    bounded u[MAX_VALUES], ratio = bounded_exact(1);
    for (int i = 0; i < r->n; i++) {
        bounded slope = negated_if(o->maximize, g[i]);
        if (!o->adam_w_mode)
            slope = with_decay(r->x[i], slope, o->weight_decay);
        u[i] = adam_quotient(r, i, slope, o->betas, o->eps, o->do_bias_correction, o->amsgrad);
        u[i] = bounded_mul(bounded_factor(1 / c1), u[i]);
        if (o->decay_in_trust_ratio)
            u[i] = with_decay(r->x[i], u[i], o->weight_decay);
    }
    bounded x_norm = norm_of(r->x, r->n), u_norm = norm_of(u, r->n);
    if (x_norm.value > 0 && u_norm.value > 0)
        ratio = bounded_div(x_norm, u_norm);
    double outer = o->adam_w_mode && !o->decay_in_trust_ratio ? o->weight_decay : 0;
    for (int i = 0; i < r->n; i++) {
        bounded decay = bounded_mul(bounded_mul(ratio, bounded_factor(o->lr * outer)), r->x[i]);
        bounded step = bounded_mul(bounded_mul(ratio, bounded_factor(o->lr)), u[i]);
        r->x[i] = bounded_sub(r->x[i], bounded_add(step, decay));
    }
}

static bounded root(bounded square, double eps, tread_eps_placement placement) {
    return placement == TREAD_EPS_INSIDE ? bounded_sqrt(bounded_add(square, bounded_factor(eps)))
                                         : bounded_add(bounded_sqrt(square), bounded_factor(eps));
}

static void reference_adagrad(const void *options, reference *r, const bounded *g) {
    const tread_adagrad_options *o = options;
    double rate = o->lr / (1 + (double)(r->t - 1) * o->lr_decay);
    for (int i = 0; i < r->n; i++) {
        bounded slope = with_decay(r->x[i], negated_if(o->maximize, g[i]), o->weight_decay), *sum = &r->slots[0][i];
        if (r->t == 1)
            *sum = bounded_factor(o->initial_accumulator_value);
        *sum = bounded_add(*sum, bounded_mul(slope, slope));
        bounded quotient = bounded_div(bounded_mul(bounded_factor(rate), slope), root(*sum, o->eps, o->eps_placement));
        r->x[i] = bounded_sub(r->x[i], quotient);
    }
}

static void reference_rmsprop(const void *options, reference *r, const bounded *g) {
    const tread_rmsprop_options *o = options;
    const bool velocity = o->convention == TREAD_MOMENTUM_VELOCITY;
    for (int i = 0; i < r->n; i++) {
        bounded slope = with_decay(r->x[i], negated_if(o->maximize, g[i]), o->weight_decay);
        bounded *square = &r->slots[0][i], *mean = &r->slots[1][i], *momentum = &r->slots[2][i], spread;
        spread = *square = average(o->alpha, *square, bounded_mul(slope, slope));
        *mean = average(o->alpha, *mean, slope);
        if (o->centered)
            spread = bounded_max(bounded_sub(*square, bounded_mul(*mean, *mean)), bounded_exact(0));
        bounded step = bounded_div(slope, root(spread, o->eps, o->eps_placement));
        if (velocity)
            step = bounded_mul(bounded_factor(o->lr), step);
        *momentum = bounded_add(bounded_mul(bounded_factor(o->momentum), *momentum), step);
        r->x[i] = bounded_sub(r->x[i], velocity ? *momentum : bounded_mul(bounded_factor(o->lr), *momentum));
    }
}

static reference_fn *reference_of(const char *name) {
    static const struct {
        const char *name;
        reference_fn *run;
    } all[] = {{"adamw", reference_adamw},
               {"lamb", reference_lamb},
               {"adagrad", reference_adagrad},
               {"rmsprop", reference_rmsprop}};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (strcmp(name, all[i].name) == 0)
            return all[i].run;
    return NULL;
}

static tread_optimizer *make(const params *p, const char *spec) {
    tread_optimizer *optimizer = tread_optimizer_from_spec(NULL, params_list(p), spec);
    ck_assert_msg(optimizer != NULL, "%s", tread_last_error());
    return optimizer;
}

static void step(tread_optimizer *optimizer) { ck_assert_ok(tread_optimizer_step(optimizer, NULL)); }

static void check_within(const char *what, const reference *r, const float *x) {
    for (int i = 0; i < r->n; i++) {
        if (!(fabs(x[i] - r->x[i].value) <= r->x[i].error))
            ck_abort_msg("%s, step %d: x[%d] is %.9g, not %.9g within %.2g", what, (int)r->t, i, x[i], r->x[i].value,
                         r->x[i].error);
        /* A bound that says nothing would pass everything: 2e-4 of values up to 3 is still 4 digits. */
        if (!(r->x[i].error < 2e-4))
            ck_abort_msg("%s, step %d: the bound is %g", what, (int)r->t, r->x[i].error);
    }
}

/* ---- The numbers of the specification ---- */

/* The gradients there are not floats: what rounding them does is the error that they begin with here. */
static void section_7(const char *spec, const double *expected) {
    params p = params_make(2, (const int64_t[]){4, 2});
    reference r[2] = {{.n = 4}, {.n = 2}};
    static const double start[2][4] = {{1, -2, 3, 0.5}, {0.25, -0.75}};
    for (size_t k = 0; k < 2; k++)
        for (int i = 0; i < r[k].n; i++) {
            r[k].x[i] = bounded_exact(start[k][i]);
            param_data(&p, k)[i] = (float)start[k][i];
        }
    tread_optimizer *optimizer = make(&p, spec);
    reference_fn *run = reference_of(tread_optimizer_name(optimizer));
    for (int t = 1; t <= 5; t++) {
        const double g[2][4] = {{0.1 * t, -0.2, 0.3 / t, 0.05 * (t % 2 == 0 ? 1 : -1)}, {0.4 - 0.1 * t, 0.02 * t * t}};
        for (size_t k = 0; k < 2; k++) {
            float rounded[4];
            bounded near[4];
            for (int i = 0; i < r[k].n; i++) {
                rounded[i] = (float)g[k][i];
                near[i] = bounded_factor(g[k][i]);
            }
            param_set_grad(p.items[k], rounded);
            r[k].t = t;
            run(optimizer->groups[0].options, &r[k], near);
        }
        step(optimizer);
    }
    for (size_t k = 0; k < 2; k++) {
        for (int i = 0; i < r[k].n; i++) /* as many digits as the table gives */
            ck_assert_double_eq_tol(r[k].x[i].value, expected[4 * k + (size_t)i], 1e-12);
        check_within(spec, &r[k], param_data(&p, k));
    }
    tread_optimizer_destroy(optimizer);
    params_destroy(&p);
}

START_TEST(the_specified_numbers_come_out) {
    section_7("adamw:lr=0.01,weight_decay=0.1", (const double[]){0.946599304274, -1.940119882555, 2.941108907413,
                                                                 0.511809895603, 0.208321216928, -0.791098831431});
    section_7("adagrad:lr=0.1,eps=1e-3", (const double[]){0.595931665868, -1.679003793682, 2.790230628213,
                                                          0.569558336320, 0.094396140549, -1.148349117654});
    section_7("rmsprop:lr=0.01,weight_decay=0.1,centered=true,momentum=0.9",
              (const double[]){-0.089023442196, -1.059139831965, 2.152887486970, 0.084054791919, -0.384065457897,
                               -0.929752968084});
    section_7("lamb:lr=0.01,weight_decay=0.1", (const double[]){0.884431480924, -1.870290221218, 2.872898774881,
                                                                0.522944103649, 0.223163516205, -0.777185391525});
}
END_TEST

/* Every option and convention, with the learning rate moved on the way, where the conventions part. */
START_TEST(every_option_follows_its_formula) {
    int compared = 0;
    for (int s = 0; battery_specs[s] != NULL; s++) {
        params p = params_make_for(battery_specs[s], 2, (const int64_t[]){1, 50});
        tread_optimizer *optimizer = make(&p, battery_specs[s]);
        reference_fn *run = reference_of(tread_optimizer_name(optimizer));
        reference r[2] = {{.n = 1}, {.n = 50}};
        for (size_t k = 0; k < 2; k++)
            for (int i = 0; i < r[k].n; i++)
                r[k].x[i] = bounded_exact(param_value(k, i));
        for (int64_t t = 0; t < 9 && run != NULL; t++) {
            params_set_grads(&p, t, t < 2 ? 1u : 0); /* p0 comes late */
            if (t % 3 == 2)
                ck_assert_ok(tread_optimizer_set(optimizer, 0, "lr", tread_optimizer_lr(optimizer, 0) / 4));
            step(optimizer);
            for (size_t k = t < 2 ? 1 : 0; k < 2; k++) {
                bounded g[MAX_VALUES];
                for (int i = 0; i < r[k].n; i++)
                    g[i] = bounded_exact(param_grad(k, i, t));
                r[k].t++;
                run(optimizer->groups[0].options, &r[k], g);
                check_within(battery_specs[s], &r[k], param_data(&p, k));
            }
            compared++;
        }
        tread_optimizer_destroy(optimizer);
        params_destroy(&p);
    }
    ck_assert_int_gt(compared, 9 * 4);
}
END_TEST

TEST_MAIN("formulas", the_specified_numbers_come_out, every_option_follows_its_formula)
