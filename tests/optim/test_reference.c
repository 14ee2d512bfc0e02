/* Every optimizer against a reference in double (reference.c), within the bound on float32's error that the reference
 * carries along (bounded.h): large parameters over thread counts, late and missing gradients, and the specified
 * numbers. */
#include "tests/optim/reference.h"

#include "tests/optim/helpers.h"

static double grads[200000]; /* one parameter's of one step */

static void fill_grads(size_t p, int64_t n, int64_t step) {
    for (int64_t i = 0; i < n; i++)
        grads[i] = param_grad(p, i, step);
}

/* A wide bound would pass everything: of 20 elements, 19 must have one below 1 % of what the parameter's elements
 * changed by, which is `typical`; a norm, one below 20 % of the change. */
static void check_bounds(const char *what, const reference *r, double of_norm, double typical) {
    int64_t wide = 0;
    for (int64_t i = 0; i < r->n; i++)
        wide += r->x[i].error > 0.01 * typical;
    if (r->norm_error == 0 && r->n >= 1000 && wide > r->n / 20)
        ck_abort_msg("%s: the bounds of %d in %d elements are wide", what, (int)wide, (int)r->n);
    if (r->norm_error > 0 && of_norm > 0.2 * typical * sqrt((double)r->n))
        ck_abort_msg("%s: the bound is %.2g of a change of %.2g", what, of_norm, typical * sqrt((double)r->n));
}

/* Check writes a file at each assertion, so none stands in a loop over elements. */
static void check_parameter(const char *what, size_t p, const reference *r, const float *got) {
    double squares = 0, errors = 0, changes = 0;
    for (int64_t i = 0; i < r->n; i++) {
        const bounded *x = &r->x[i];
        double off = fabs(got[i] - x->value), change = x->value - param_value(p, i);
        squares += off * off;
        errors += x->error * x->error;
        changes += change * change;
        if (r->norm_error == 0 && !(off <= x->error))
            ck_abort_msg("%s: parameter %zu [%d] is %.9g, not %.9g within %.2g, after %d updates", what, p, (int)i,
                         got[i], x->value, x->error, (int)r->t);
    }
    double bound = r->norm_error + sqrt(errors);
    if (r->norm_error > 0 && !(sqrt(squares) <= bound))
        ck_abort_msg("%s: parameter %zu is off by %.3g, not within %.2g, after %d updates", what, p, sqrt(squares),
                     bound, (int)r->t);
    check_bounds(what, r, bound, sqrt(changes / (double)r->n));
}

/* Runs spec for n_steps, the rate going down on the way, where the conventions of momentum part; parameter p misses its
 * gradient in step t where missing[t] says so. */
static void compare(const char *spec, size_t n_params, const int64_t *sizes, int64_t n_steps, const unsigned *missing) {
    params p = params_make_for(spec, n_params, sizes);
    tread_optimizer *optimizer = tread_optimizer_from_spec(NULL, params_list(&p), spec);
    ck_assert_msg(optimizer != NULL, "%s", tread_last_error());
    reference_fn *update = reference_of(tread_optimizer_name(optimizer));
    ck_assert_msg(update != NULL, "%s has no reference", spec);
    reference all[MAX_PARAMS];
    for (size_t i = 0; i < n_params; i++)
        all[i] = reference_create(&p.items[i]->tensor);
    for (int64_t t = 0; t < n_steps; t++) {
        params_set_grads(&p, t, missing[t]);
        if (t % 8 == 3)
            ck_assert_ok(tread_optimizer_set(optimizer, 0, "lr", tread_optimizer_lr(optimizer, 0) / 2));
        ck_assert_ok(tread_optimizer_step(optimizer, NULL));
        for (size_t i = 0; i < n_params; i++) {
            fill_grads(i, sizes[i], t);
            all[i].t += !(missing[t] >> i & 1);
            if (!(missing[t] >> i & 1))
                update(optimizer->groups[0].options, &all[i], grads);
            if (t == 0 || t == 4 || t == n_steps - 1)
                check_parameter(spec, i, &all[i], param_data(&p, i));
        }
    }
    for (size_t i = 0; i < n_params; i++)
        reference_destroy(&all[i]);
    tread_optimizer_destroy(optimizer);
    params_destroy(&p);
}

static const unsigned none_missing[20] = {0};

START_TEST(every_optimizer_has_a_reference) {
    for (int t = 0; tread_optimizer_types[t] != NULL; t++)
        if (tread_optimizer_types[t]->solve == NULL) /* what asks for gradients itself has tests of its own */
            ck_assert_msg(reference_of(tread_optimizer_types[t]->table.name) != NULL, "%s has no reference",
                          tread_optimizer_types[t]->table.name);
}
END_TEST

START_TEST(trajectories_follow_the_formulas) {
    for (int s = 0; battery_specs[s] != NULL; s++)
        if (type_of_spec(battery_specs[s])->solve == NULL)
            compare(battery_specs[s], 3, (const int64_t[]){1, 7, 1000}, 20, none_missing);
}
END_TEST

START_TEST(late_and_missing_gradients_are_not_steps) {
    /* p0 always; p1 joins at step 3; p2 misses steps 1, 4 and 5; p3 never. */
    static const unsigned missing[12] = {0xa, 0xe, 0xa, 0x8, 0xc, 0xc, 0x8, 0x8, 0x8, 0x8, 0x8, 0x8};
    for (int s = 0; battery_specs[s] != NULL; s++)
        if (type_of_spec(battery_specs[s])->solve == NULL)
            compare(battery_specs[s], 4, (const int64_t[]){5, 40, 17, 3}, 12, missing);
}
END_TEST

/* ---- Large ---- */

#define PRIME 100003 /* no thread count divides it, and no vector width */
#define MATRIX (317 * 311)

static params run_large(const char *spec, int64_t size, int threads) {
    tread_context *context = context_with_threads(threads);
    params p = params_make_for(spec, 1, &size);
    tread_optimizer *optimizer = tread_optimizer_from_spec(context, params_list(&p), spec);
    ck_assert_msg(optimizer != NULL, "%s", tread_last_error());
    for (int64_t t = 0; t < 20; t++) {
        params_set_grads(&p, t, 0);
        ck_assert_ok(tread_optimizer_step(optimizer, NULL));
    }
    tread_optimizer_destroy(optimizer);
    tread_context_destroy(context);
    return p;
}

static void check_large(const char *spec, int64_t size) {
    compare(spec, 1, &size, 20, none_missing);
    params first = run_large(spec, size, 1);
    static const int threads[] = {2, 3, 8};
    for (int i = 0; i < 3; i++) {
        params other = run_large(spec, size, threads[i]);
        ck_assert_msg(params_equal(&first, &other), "%s at %d threads", spec, threads[i]);
        params_destroy(&other);
    }
    params_destroy(&first);
}

START_TEST(large_parameters_follow_the_formulas_at_every_thread_count) {
    for (int t = 0; tread_optimizer_types[t] != NULL; t++) {
        const tread_optimizer_type *type = tread_optimizer_types[t];
        int settings = 0;
        for (int s = 0; battery_specs[s] != NULL && type->solve == NULL && settings < 4; s++)
            if (type_of_spec(battery_specs[s]) == type) {
                check_large(battery_specs[s], type->whole_tensor != NULL ? MATRIX : PRIME);
                settings++;
            }
        ck_assert_msg(type->solve != NULL || settings >= 2, "%s: battery_specs has %d settings", type->table.name,
                      settings);
    }
}
END_TEST

/* ---- The numbers of the specification, section 7 ---- */

static void grads_of_section_7(int t, double *g) {
    g[0] = 0.1 * t;
    g[1] = -0.2;
    g[2] = 0.3 / t;
    g[3] = 0.05 * (t % 2 == 0 ? 1 : -1);
    g[4] = 0.4 - 0.1 * t;
    g[5] = 0.02 * t * t;
}

/* The table's gradients are not floats: the reference gives its numbers from them, and the library's within the bound
 * from the rounded ones. */
static void section_7(const char *spec, const double *expected) {
    static const float start[6] = {1, -2, 3, 0.5f, 0.25f, -0.75f};
    params p = params_make(2, (const int64_t[]){4, 2});
    reference exact[2], rounded[2];
    for (int i = 0; i < 2; i++) {
        memcpy(param_data(&p, i), start + 4 * i, tread_tensor_bytes(&p.items[i]->tensor));
        exact[i] = reference_create(&p.items[i]->tensor);
        rounded[i] = reference_create(&p.items[i]->tensor);
    }
    tread_optimizer *optimizer = tread_optimizer_from_spec(NULL, params_list(&p), spec);
    ck_assert_msg(optimizer != NULL, "%s", tread_last_error());
    reference_fn *update = reference_of(tread_optimizer_name(optimizer));
    for (int t = 1; t <= 5; t++) {
        double g[6], as_float[6];
        float given[6];
        grads_of_section_7(t, g);
        for (int i = 0; i < 6; i++)
            as_float[i] = given[i] = (float)g[i];
        for (int i = 0; i < 2; i++) {
            param_set_grad(p.items[i], given + 4 * i);
            exact[i].t = rounded[i].t = t;
            update(optimizer->groups[0].options, &exact[i], g + 4 * i);
            update(optimizer->groups[0].options, &rounded[i], as_float + 4 * i);
        }
        ck_assert_ok(tread_optimizer_step(optimizer, NULL));
    }
    for (int i = 0; i < 6; i++) {
        const bounded *x = &rounded[i / 4].x[i % 4];
        ck_assert_double_eq_tol(exact[i / 4].x[i % 4].value, expected[i], 1e-12); /* as many digits as it has */
        ck_assert_double_eq_tol(param_data(&p, i / 4)[i % 4], x->value, x->error);
    }
    for (int i = 0; i < 2; i++) {
        reference_destroy(&exact[i]);
        reference_destroy(&rounded[i]);
    }
    tread_optimizer_destroy(optimizer);
    params_destroy(&p);
}

START_TEST(the_specified_numbers_come_out) {
    static const struct {
        const char *spec;
        double expected[6];
    } cases[] = {
        {"sgd:lr=0.1,momentum=0.9,weight_decay=0.01",
         {0.670361906845, -1.711511367669, 2.739568206989, 0.505719281441, 0.038721907535, -0.935240469758}},
        {"adam:lr=0.01",
         {0.951491693174, -1.950000002500, 2.955985393101, 0.514349449456, 0.209474514455, -0.794933754559}},
        {"adamw:lr=0.01,weight_decay=0.1",
         {0.946599304274, -1.940119882555, 2.941108907413, 0.511809895603, 0.208321216928, -0.791098831431}},
        {"adagrad:lr=0.1,eps=1e-3",
         {0.595931665868, -1.679003793682, 2.790230628213, 0.569558336320, 0.094396140549, -1.148349117654}},
        {"rmsprop:lr=0.01,weight_decay=0.1,centered=true,momentum=0.9",
         {-0.089023442196, -1.059139831965, 2.152887486970, 0.084054791919, -0.384065457897, -0.929752968084}},
        {"lamb:lr=0.01,weight_decay=0.1",
         {0.884431480924, -1.870290221218, 2.872898774881, 0.522944103649, 0.223163516205, -0.777185391525}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        section_7(cases[i].spec, cases[i].expected);
}
END_TEST

TEST_MAIN("reference", every_optimizer_has_a_reference, trajectories_follow_the_formulas,
          late_and_missing_gradients_are_not_steps, large_parameters_follow_the_formulas_at_every_thread_count,
          the_specified_numbers_come_out)
