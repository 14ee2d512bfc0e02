/* What is particular to each elementwise algorithm: its first steps, its conventions, what it does at 0 and at a NaN.
 */
#include "tests/optim/bounded.h"
#include "tests/optim/helpers.h"

static tread_optimizer *make(const params *p, const char *spec) {
    tread_optimizer *optimizer = tread_optimizer_from_spec(NULL, params_list(p), spec);
    ck_assert_msg(optimizer != NULL, "%s", tread_last_error());
    return optimizer;
}

static void step(tread_optimizer *optimizer) { ck_assert_ok(tread_optimizer_step(optimizer, NULL)); }

static float slot_value(const tread_optimizer *optimizer, int slot, size_t parameter, int64_t i) {
    return optimizer->groups[0].memory.slots[slot][optimizer->items[parameter].offset + i];
}

/* ---- AdamW ---- */

START_TEST(adamw_decays_the_old_x_outside_the_moments) {
    params p = params_make(1, (const int64_t[]){2});
    param_data(&p, 0)[0] = param_data(&p, 0)[1] = 2;
    tread_optimizer *optimizer = make(&p, "adamw:lr=0.125,weight_decay=0.5,eps=0");
    param_set_grad(p.items[0], (const float[]){1, -4});
    step(optimizer);
    /* 2 - 0.125 * 0.5 * 2 -+ 0.125, where m / sqrt(v) is 1 but for the roundings of three factors and of m, v, root and
     * quotient; decaying the new x would give 1.7578 and 1.9922. */
    ck_assert_double_eq_tol(param_data(&p, 0)[0], 1.75, 0.125 * 8 * BOUNDED_U + BOUNDED_U);
    ck_assert_double_eq_tol(param_data(&p, 0)[1], 2, 0.125 * 8 * BOUNDED_U + BOUNDED_U);
    ck_assert_float_eq(slot_value(optimizer, 0, 0, 0), (float)(1 - 0.9)); /* of g alone */
    tread_optimizer_destroy(optimizer);
    params_destroy(&p);
}
END_TEST

START_TEST(adamw_without_decay_is_adam) {
    params a = params_make(2, (const int64_t[]){3, 100}), b = params_make(2, (const int64_t[]){3, 100});
    tread_optimizer *x = make(&a, "adam:amsgrad=true"), *y = make(&b, "adamw:amsgrad=true");
    for (int64_t t = 0; t < 5; t++) {
        params_set_grads(&a, t, 0);
        params_set_grads(&b, t, 0);
        step(x);
        step(y);
    }
    ck_assert(params_equal(&a, &b));
    ck_assert_ok(tread_optimizer_set(x, 0, "weight_decay", 0.5));
    ck_assert_ok(tread_optimizer_set(y, 0, "weight_decay", 0.5));
    step(x);
    step(y);
    ck_assert(!params_equal(&a, &b));
    tread_optimizer_destroy(x);
    tread_optimizer_destroy(y);
    params_destroy(&a);
    params_destroy(&b);
}
END_TEST

/* ---- LAMB ---- */

static double norm_of_floats(const float *x, const float *minus, int64_t n) {
    double sum = 0;
    for (int64_t i = 0; i < n; i++) {
        double d = (double)x[i] - (minus != NULL ? minus[i] : 0);
        sum += d * d;
    }
    return sqrt(sum);
}

/* ||change|| = lr ||x||, whatever the gradient's size, and for each parameter by itself. */
START_TEST(lamb_moves_each_parameter_by_its_own_norm) {
    static const char *const specs[] = {"lamb:lr=0.25", "lamb:lr=0.25,weight_decay=0.5,adam_w_mode=false",
                                        "lamb:lr=0.25,weight_decay=0.5,decay_in_trust_ratio=true",
                                        "lamb:lr=0.25,amsgrad=true,do_bias_correction=false"};
    int64_t sizes[] = {5, 4300000, 300}; /* a norm whose chunks are longer than a block of the step */
    for (size_t s = 0; s < sizeof specs / sizeof *specs; s++, sizes[1] = 40000) {
        params p = params_make(3, sizes), before = params_make(3, sizes);
        for (int64_t i = 0; i < 300; i++)
            param_data(&p, 2)[i] *= 1000;
        tread_optimizer *optimizer = make(&p, specs[s]);
        for (int64_t t = 0; t < 3; t++) {
            for (size_t k = 0; k < 3; k++)
                memcpy(param_data(&before, k), param_data(&p, k), (size_t)sizes[k] * sizeof(float));
            params_set_grads(&p, t, 0);
            step(optimizer);
            for (size_t k = 0; k < 3; k++) {
                double norm = norm_of_floats(param_data(&before, k), NULL, sizes[k]);
                double moved = norm_of_floats(param_data(&p, k), param_data(&before, k), sizes[k]);
                /* The rate, product and difference are rounded: u of the step for two of them, u of x for the last. */
                if (!(fabs(moved - 0.25 * norm) <= (2 * 0.25 + 1.25) * norm * BOUNDED_U))
                    ck_abort_msg("%s, parameter %zu: moved %.9g of %.9g", specs[s], k, moved, norm);
            }
        }
        tread_optimizer_destroy(optimizer);
        params_destroy(&p);
        params_destroy(&before);
    }
}
END_TEST

START_TEST(lamb_has_ratio_1_where_a_norm_is_0) {
    params p = params_make(2, (const int64_t[]){3, 2});
    for (int i = 0; i < 3; i++)
        param_data(&p, 0)[i] = 0;
    param_data(&p, 1)[0] = 4;
    param_data(&p, 1)[1] = -8;
    tread_optimizer *optimizer = make(&p, "lamb:lr=0.25,weight_decay=0.5,eps=0.5,do_bias_correction=false");
    param_set_grad(p.items[0], (const float[]){1, -4, 0});
    param_set_grad(p.items[1], (const float[]){0, 0});
    step(optimizer);
    for (int i = 0; i < 2; i++) { /* x = 0: u itself, with 7 roundings */
        double g = i == 0 ? 1 : -4, u = 0.1 * g / (sqrt(0.001 * g * g) + 0.5);
        ck_assert_double_eq_tol(param_data(&p, 0)[i], -0.25 * u, 8 * 0.25 * fabs(u) * BOUNDED_U);
    }
    ck_assert_float_eq(param_data(&p, 0)[2], 0);
    ck_assert_float_eq(param_data(&p, 1)[0], 4 - 0.25f * 0.5f * 4); /* u = 0: the decay alone */
    ck_assert_float_eq(param_data(&p, 1)[1], -8 + 0.25f * 0.5f * 8);
    tread_optimizer_destroy(optimizer);
    params_destroy(&p);
}
END_TEST

/* ---- Adagrad and RMSprop ---- */

START_TEST(adagrad_starts_at_its_accumulator_and_slows_down) {
    params p = params_make(2, (const int64_t[]){1, 1});
    param_data(&p, 0)[0] = param_data(&p, 1)[0] = 0;
    tread_optimizer *optimizer = make(&p, "adagrad:lr=1,eps=0,initial_accumulator_value=3,lr_decay=1");
    for (int t = 1; t <= 2; t++) {
        param_set_grad(p.items[0], (const float[]){1});
        p.items[1]->tensor.grad_state = TREAD_GRAD_NONE;
        step(optimizer);
    }
    param_set_grad(p.items[0], (const float[]){2});
    param_set_grad(p.items[1], (const float[]){1});
    step(optimizer);
    ck_assert_float_eq(slot_value(optimizer, 0, 0, 0), 3 + 1 + 1 + 4);
    ck_assert_float_eq(slot_value(optimizer, 0, 1, 0), 4);
    /* Rates 1, 1/2, 1/3 over roots of 4, 5 and 9: 1/2 + 1/(2 sqrt 5) + 2/9, three steps of 4 roundings each. */
    ck_assert_double_eq_tol(param_data(&p, 0)[0], -(0.5 + 0.5 / sqrt(5) + 2.0 / 9), 12 * BOUNDED_U);
    ck_assert_float_eq(param_data(&p, 1)[0], -0.5f); /* its own first step */
    tread_optimizer_destroy(optimizer);
    params_destroy(&p);
}
END_TEST

START_TEST(centered_rmsprop_outlives_constant_gradients) {
    static const char *const specs[] = {"rmsprop:centered=true", "rmsprop:centered=true,momentum=0.9",
                                        "rmsprop:centered=true,eps_placement=outside"};
    for (size_t s = 0; s < sizeof specs / sizeof *specs; s++) {
        params p = params_make(1, (const int64_t[]){1000});
        tread_optimizer *optimizer = make(&p, specs[s]);
        params_set_grads(&p, 0, 0);
        for (int t = 0; t < 5000; t++)
            step(optimizer);
        int bad = 0, clamped = 0;
        for (int64_t i = 0; i < 1000; i++) {
            float mean = slot_value(optimizer, 1, 0, i);
            bad += !isfinite(param_data(&p, 0)[i]);
            clamped += slot_value(optimizer, 0, 0, i) - mean * mean < 0;
        }
        ck_assert_int_eq(bad, 0);
        ck_assert_int_gt(clamped, 100); /* there was something to outlive */
        tread_optimizer_destroy(optimizer);
        params_destroy(&p);
    }
}
END_TEST

/* One step from 0, with numbers whose roots are exact: 0.25 * 4^2 + 2.25 = 2.5^2, 4^2 + 9 = 5^2. */
START_TEST(eps_stands_where_the_convention_says) {
    static const struct {
        const char *spec;
        double divisor;
    } all[] = {{"rmsprop:lr=1,alpha=0.75,eps=2.25", 2.5},
               {"rmsprop:lr=1,alpha=0.75,eps=2.25,eps_placement=outside", 4.25},
               {"adagrad:lr=1,eps=9", 5},
               {"adagrad:lr=1,eps=9,eps_placement=outside", 13},
               {"adadelta:lr=1,rho=0.75,eps=2.25", 2.5 / 1.5}};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        params p = params_make(1, (const int64_t[]){1});
        param_data(&p, 0)[0] = 0;
        tread_optimizer *optimizer = make(&p, all[i].spec);
        param_set_grad(p.items[0], (const float[]){4});
        step(optimizer);
        ck_assert_double_eq_tol(param_data(&p, 0)[0], -4 / all[i].divisor, 4 * 4 / all[i].divisor * BOUNDED_U);
        tread_optimizer_destroy(optimizer);
        params_destroy(&p);
    }
}
END_TEST

/* ---- Adamax, NAdam, RAdam, Lion ---- */

START_TEST(adamax_divides_by_a_decaying_largest) {
    params p = params_make(1, (const int64_t[]){1});
    param_data(&p, 0)[0] = 0;
    tread_optimizer *optimizer = make(&p, "adamax:lr=1,betas=0.5/0.5,eps=0.25");
    param_set_grad(p.items[0], (const float[]){4});
    step(optimizer); /* m = 2, u = 4.25, c = 0.5 */
    ck_assert_float_eq(slot_value(optimizer, 1, 0, 0), 4.25f);
    ck_assert_float_eq(param_data(&p, 0)[0], -4 / 4.25f);
    param_set_grad(p.items[0], (const float[]){-1});
    step(optimizer); /* m = 0.5, u = 2.125 > 1.25, c = 0.75 */
    ck_assert_float_eq(slot_value(optimizer, 1, 0, 0), 2.125f);
    ck_assert_double_eq_tol(param_data(&p, 0)[0], -4 / 4.25 - 0.5 / 0.75 / 2.125, 5 * BOUNDED_U);
    tread_optimizer_destroy(optimizer);
    params_destroy(&p);
}
END_TEST

static double mu(double t, double decay) { return 0.9 * (1 - 0.5 * pow(0.96, t * decay)); }

START_TEST(nadam_keeps_the_product_of_its_momenta) {
    params p = params_make(2, (const int64_t[]){1, 1});
    param_data(&p, 0)[0] = 0;
    tread_optimizer *optimizer = make(&p, "nadam:lr=1,momentum_decay=0.3");
    params_set_grads(&p, 0, 2); /* p1 comes late */
    param_set_grad(p.items[0], (const float[]){2});
    step(optimizer);
    /* m = 0.2, sqrt(v / c2) = 2: the gradient's share, with P_1 = mu_1, is 1, the momentum's mu_2 / (1 - mu_1 mu_2) */
    double expected = 1 + mu(2, 0.3) / (1 - mu(1, 0.3) * mu(2, 0.3)) * 0.1;
    ck_assert_double_eq_tol(param_data(&p, 0)[0], -expected, 10 * BOUNDED_U * expected);
    ck_assert_ok(tread_optimizer_set(optimizer, 0, "momentum_decay", 7));
    params_set_grads(&p, 1, 0);
    step(optimizer);
    params_set_grads(&p, 2, 0);
    step(optimizer);
    double first = mu(1, 0.3) * mu(2, 7) * mu(3, 7), late = mu(1, 7) * mu(2, 7);
    ck_assert_double_eq_tol(tread_item_progress(optimizer, 0)->scalars[0], first, 1e-14);
    ck_assert_double_eq_tol(tread_item_progress(optimizer, 1)->scalars[0], late, 1e-14);
    tread_state *state = tread_optimizer_state_dict(optimizer);
    const tread_state *states, *one;
    double saved;
    ck_assert_ok(tread_state_get(state, "state", TREAD_STATE_TREE, &states));
    ck_assert_ok(tread_state_get(states, "p1", TREAD_STATE_TREE, &one));
    ck_assert_ok(tread_state_get_real(one, "mu_product", &saved));
    ck_assert(saved == tread_item_progress(optimizer, 1)->scalars[0]);
    tread_state_destroy(state);
    tread_optimizer_destroy(optimizer);
    params_destroy(&p);
}
END_TEST

/* Momentum scales with the gradient, Adam's step does not. Everything here is scaled by a power of two and begins at 0,
 * so that the scaled momentum is exact. With b2 = 0.999, rho_t passes 5 at t = 6. */
START_TEST(radam_begins_as_momentum) {
    params p = params_make(2, (const int64_t[]){7, 7});
    memset(param_data(&p, 0), 0, 7 * sizeof(float));
    memset(param_data(&p, 1), 0, 7 * sizeof(float));
    tread_optimizer *optimizer = make(&p, "radam");
    double m = 0, x = 0;
    for (int t = 1; t <= 8; t++) {
        float small[7], large[7], before[2] = {param_data(&p, 0)[3], param_data(&p, 1)[3]};
        for (int i = 0; i < 7; i++) {
            small[i] = param_grad(0, i, 3);
            large[i] = 1024 * small[i];
        }
        param_set_grad(p.items[0], small);
        param_set_grad(p.items[1], large);
        step(optimizer);
        m = 0.9 * m + 0.1 * small[3];
        x -= 1e-3 * m / (1 - pow(0.9, t));
        double moved = (double)param_data(&p, 0)[3] - before[0], scaled = (double)param_data(&p, 1)[3] - before[1];
        if (t <= 5) {
            ck_assert(scaled == 1024 * moved);
            ck_assert_double_eq_tol(param_data(&p, 0)[3], x, 8 * t * fabs(x) * BOUNDED_U);
        } else { /* equal but for eps 1e-8 beside |g| of 0.1 and more, and for roundings of x */
            ck_assert_double_eq_tol(scaled, moved, 1e-6 * fabs(moved) + 2 * fabs(param_data(&p, 1)[3]) * BOUNDED_U);
        }
    }
    tread_optimizer_destroy(optimizer);
    params_destroy(&p);
}
END_TEST

START_TEST(lion_steps_by_the_sign_alone) {
    params p = params_make(1, (const int64_t[]){4});
    static const float start[] = {1, 1, 1, -0.5f};
    memcpy(param_data(&p, 0), start, sizeof start);
    tread_optimizer *optimizer = make(&p, "lion:lr=0.125,betas=0.5/0.75");
    param_set_grad(p.items[0], (const float[]){1e-30f, -1e30f, 0, -0.0f});
    step(optimizer);
    static const float first[] = {0.875f, 1.125f, 1, -0.5f};
    ck_assert_mem_eq(param_data(&p, 0), first, sizeof first); /* sign(0) = 0 */
    ck_assert_float_eq(slot_value(optimizer, 0, 0, 1), -0.25f * 1e30f);
    param_set_grad(p.items[0], (const float[]){0, 0.25f * 1e30f, 2, -2});
    step(optimizer); /* the momentum's sign; 0.5 m + 0.5 g = 0; m = 0 */
    static const float second[] = {0.75f, 1.125f, 0.875f, -0.375f};
    ck_assert_mem_eq(param_data(&p, 0), second, sizeof second);
    ck_assert_ok(tread_optimizer_set(optimizer, 0, "weight_decay", 2));
    param_set_grad(p.items[0], (const float[]){1, 1, 1, 1});
    param_data(&p, 0)[1] = 4;
    step(optimizer); /* (1 - 0.125 * 2) 4 - 0.125 s; the sign of 0.5 m + 0.5, m = -1.25e29, is -1 */
    ck_assert_float_eq(param_data(&p, 0)[1], 3.125f);
    tread_optimizer_destroy(optimizer);
    params_destroy(&p);
}
END_TEST

/* ---- All of them ---- */

static bool is_elementwise(const char *spec) {
    size_t length = strcspn(spec, ":");
    for (int t = 0; tread_optimizer_types[t] != NULL; t++) {
        const tread_optimizer_type *type = tread_optimizer_types[t];
        if (strlen(type->table.name) == length && strncmp(type->table.name, spec, length) == 0)
            return type->update != NULL && type->whole_tensor == NULL;
    }
    ck_abort_msg("%s is of no optimizer", spec);
}

/* A NaN shows in its parameter at once and stays, and reaches nothing else; LAMB's norm takes the parameter along. */
START_TEST(a_nan_shows_where_it_is_and_nowhere_else) {
    for (int s = 0; battery_specs[s] != NULL; s++) {
        if (!is_elementwise(battery_specs[s]))
            continue;
        params a = params_make(2, (const int64_t[]){40, 20}), b = params_make(2, (const int64_t[]){40, 20});
        tread_optimizer *x = make(&a, battery_specs[s]), *y = make(&b, battery_specs[s]);
        bool whole = x->type->reduce != NULL;
        for (int64_t t = 0; t < 8; t++) {
            params_set_grads(&a, t, 0);
            params_set_grads(&b, t, 0);
            if (t == 1)
                ((float *)a.items[0]->tensor.grad->data)[17] = NAN;
            step(x);
            step(y);
            for (int i = 0; i < 40; i++) {
                bool is_nan = isnan(param_data(&a, 0)[i]);
                if (is_nan != (t >= 1 && (whole || i == 17)))
                    ck_abort_msg("%s, step %d: [%d] is %g", battery_specs[s], (int)t, i, param_data(&a, 0)[i]);
                if (!is_nan && param_data(&a, 0)[i] != param_data(&b, 0)[i])
                    ck_abort_msg("%s, step %d: [%d] has changed", battery_specs[s], (int)t, i);
            }
            ck_assert_mem_eq(param_data(&a, 1), param_data(&b, 1), 20 * sizeof(float));
            for (int slot = 0; slot < x->type->n_slots && t == 1; slot++)
                ck_assert(x->groups[0].memory.slots[slot] == NULL || isnan(slot_value(x, slot, 0, 17)));
        }
        tread_optimizer_destroy(x);
        tread_optimizer_destroy(y);
        params_destroy(&a);
        params_destroy(&b);
    }
}
END_TEST

/* What a sparse gradient needs: rows of any width, one by one, are the same as all at once. */
START_TEST(rows_one_by_one_are_the_whole) {
    enum { WIDTH = 7, ROWS = 11, N = WIDTH * ROWS };
    int compared = 0;
    for (int s = 0; battery_specs[s] != NULL; s++) {
        if (!is_elementwise(battery_specs[s]))
            continue;
        params p = params_make(1, (const int64_t[]){N});
        tread_optimizer *optimizer = make(&p, battery_specs[s]);
        const tread_optimizer_type *type = optimizer->type;
        unsigned char factors[TREAD_MAX_FACTORS] __attribute__((aligned(16)));
        tread_progress progress = {.step = 3, .scalars = {0.5, 0.5}};
        type->prepare(optimizer->groups[0].options, &progress, factors);
        float g[N], x[2][N], slots[2][TREAD_MAX_SLOTS][N];
        for (int i = 0; i < N; i++) {
            g[i] = param_grad(0, i, 2);
            for (int k = 0; k < 2; k++) {
                x[k][i] = param_value(0, i);
                for (int slot = 0; slot < TREAD_MAX_SLOTS; slot++)
                    slots[k][slot][i] = (float)(i + 1) / 128;
            }
        }
        for (int k = 0; k < 2; k++)
            for (int at = 0; at < N; at += k == 0 ? N : WIDTH) {
                tread_update u = {.n = k == 0 ? N : WIDTH, .x = x[k] + at, .g = g + at, .scale = 0.5f};
                for (int slot = 0; slot < type->n_slots; slot++)
                    if (optimizer->groups[0].memory.slots[slot] != NULL)
                        u.slots[slot] = slots[k][slot] + at;
                type->update(factors, &u);
            }
        ck_assert_msg(memcmp(x[0], x[1], sizeof g) == 0 && memcmp(slots[0], slots[1], sizeof slots[0]) == 0, "%s",
                      battery_specs[s]);
        ck_assert(memcmp(x[0], param_data(&p, 0), sizeof g) != 0 || type->reduce != NULL);
        compared += type->support_sparse;
        tread_optimizer_destroy(optimizer);
        params_destroy(&p);
    }
    ck_assert_int_gt(compared, 10);
}
END_TEST

TEST_MAIN("algorithms", adamw_decays_the_old_x_outside_the_moments, adamw_without_decay_is_adam,
          lamb_moves_each_parameter_by_its_own_norm, lamb_has_ratio_1_where_a_norm_is_0,
          adagrad_starts_at_its_accumulator_and_slows_down, centered_rmsprop_outlives_constant_gradients,
          eps_stands_where_the_convention_says, adamax_divides_by_a_decaying_largest,
          nadam_keeps_the_product_of_its_momenta, radam_begins_as_momentum, lion_steps_by_the_sign_alone,
          a_nan_shows_where_it_is_and_nowhere_else, rows_one_by_one_are_the_whole)
