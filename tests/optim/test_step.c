/* The arithmetic of each algorithm against a reference in double, and what step() promises whatever the algorithm. */
#include "tests/optim/bounded.h"
#include "tests/optim/helpers.h"

/* ---- The formulas of OPTIM-SPEC, in double with error bounds, one element at a time ---- */

typedef struct element {
    bounded x, slots[TREAD_MAX_SLOTS];
    int64_t t;
} element;

typedef void reference_fn(const void *options, element *e, double grad);

static bounded with_decay(bounded x, double grad, bool maximize, double weight_decay) {
    return bounded_add(bounded_exact(maximize ? -grad : grad), bounded_mul(bounded_factor(weight_decay), x));
}

static void reference_sgd(const void *options, element *e, double grad) {
    const tread_sgd_options *o = options;
    bounded g = with_decay(e->x, grad, o->maximize, o->weight_decay), lr = bounded_factor(o->lr);
    bounded mu = bounded_factor(o->momentum), *v = &e->slots[0];
    e->t++;
    if (o->momentum == 0) {
        e->x = bounded_sub(e->x, bounded_mul(lr, g));
    } else if (o->convention == TREAD_MOMENTUM_VELOCITY) {
        bounded push = bounded_mul(bounded_factor(o->lr * (1 - o->dampening)), g);
        *v = bounded_sub(bounded_mul(mu, *v), push);
        e->x = bounded_add(e->x, o->nesterov ? bounded_sub(bounded_mul(mu, *v), push) : *v);
    } else {
        bounded gain = bounded_factor(e->t == 1 ? 1 : 1 - o->dampening);
        *v = bounded_add(bounded_mul(mu, *v), bounded_mul(gain, g));
        e->x = bounded_sub(e->x, bounded_mul(lr, o->nesterov ? bounded_add(g, bounded_mul(mu, *v)) : *v));
    }
}

static void reference_adam(const void *options, element *e, double grad) {
    const tread_adam_options *o = options;
    bounded g = with_decay(e->x, grad, o->maximize, o->weight_decay), *m = &e->slots[0], *v = &e->slots[1];
    e->t++;
    double c1 = o->do_bias_correction ? 1 - pow(o->betas[0], (double)e->t) : 1;
    double c2 = o->do_bias_correction ? 1 - pow(o->betas[1], (double)e->t) : 1;
    *m = bounded_add(bounded_mul(bounded_factor(o->betas[0]), *m), bounded_mul(bounded_factor(1 - o->betas[0]), g));
    *v = bounded_add(bounded_mul(bounded_factor(o->betas[1]), *v),
                     bounded_mul(bounded_factor(1 - o->betas[1]), bounded_mul(g, g)));
    bounded largest = *v;
    if (o->amsgrad)
        largest = e->slots[2] = bounded_max(e->slots[2], *v);
    bounded divisor =
        bounded_add(bounded_mul(bounded_sqrt(largest), bounded_factor(1 / sqrt(c2))), bounded_factor(o->eps));
    e->x = bounded_sub(e->x, bounded_div(bounded_mul(bounded_factor(o->lr / c1), *m), divisor));
}

static reference_fn *reference_of(const char *name) {
    return strcmp(name, "sgd") == 0 ? reference_sgd : strcmp(name, "adam") == 0 ? reference_adam : NULL;
}

/* Check writes a file at each assertion, so none stands in a loop over elements. */
static void check_element(const char *what, size_t p, int64_t i, const element *e, float got) {
    if (!(fabs(got - e->x.value) <= e->x.error))
        ck_abort_msg("%s: parameter %zu [%lld] is %.9g, not %.9g within %.2g", what, p, (long long)i, got, e->x.value,
                     e->x.error);
    /* A bound that says nothing would pass everything: 2e-4 of values up to 1 is still 4 digits. */
    if (!(e->x.error < 2e-4))
        ck_abort_msg("%s: the bound is %g", what, e->x.error);
}

/* Runs spec for n_steps; parameter p misses its gradient in step t where missing[t] says so. */
static void compare(const char *spec, size_t n_params, const int64_t *sizes, int64_t n_steps, const unsigned *missing) {
    params p = params_make_for(spec, n_params, sizes);
    element *all[MAX_PARAMS];
    for (size_t i = 0; i < n_params; i++) {
        all[i] = calloc((size_t)sizes[i], sizeof(element));
        for (int64_t e = 0; e < sizes[i]; e++)
            all[i][e].x = bounded_exact(param_value(i, e));
    }
    tread_optimizer *optimizer = tread_optimizer_from_spec(NULL, params_list(&p), spec);
    ck_assert_msg(optimizer != NULL, "%s", tread_last_error());
    reference_fn *reference = reference_of(tread_optimizer_name(optimizer));
    for (int64_t t = 0; t < n_steps && reference != NULL; t++) { /* else a test of its own has one */
        params_set_grads(&p, t, missing[t]);
        ck_assert_ok(tread_optimizer_step(optimizer, NULL));
        for (size_t i = 0; i < n_params; i++)
            for (int64_t e = 0; e < sizes[i]; e++) {
                if (!(missing[t] >> i & 1))
                    reference(optimizer->groups[0].options, &all[i][e], param_grad(i, e, t));
                if (t == 0 || t == 4 || t == n_steps - 1)
                    check_element(spec, i, e, &all[i][e], param_data(&p, i)[e]);
            }
    }
    for (size_t i = 0; i < n_params; i++)
        free(all[i]);
    tread_optimizer_destroy(optimizer);
    params_destroy(&p);
}

START_TEST(trajectories_follow_the_formulas) {
    static const unsigned missing[20] = {0};
    for (int s = 0; battery_specs[s] != NULL; s++) {
        compare(battery_specs[s], 3, (const int64_t[]){1, 7, 1000}, 20, missing);
        compare(battery_specs[s], 1, (const int64_t[]){100003}, 6, missing);
    }
}
END_TEST

START_TEST(late_and_missing_gradients_are_not_steps) {
    /* p0 always; p1 joins at step 3; p2 misses steps 1, 4 and 5; p3 never. */
    static const unsigned missing[12] = {0xa, 0xe, 0xa, 0x8, 0xc, 0xc, 0x8, 0x8, 0x8, 0x8, 0x8, 0x8};
    for (int s = 0; battery_specs[s] != NULL; s++)
        compare(battery_specs[s], 4, (const int64_t[]){5, 40, 17, 3}, 12, missing);
}
END_TEST

/* ---- The numbers of OPTIM-SPEC, section 7 ---- */

static void grads_of_section_7(int t, double *g1, double *g2) {
    g1[0] = 0.1 * t;
    g1[1] = -0.2;
    g1[2] = 0.3 / t;
    g1[3] = 0.05 * (t % 2 == 0 ? 1 : -1);
    g2[0] = 0.4 - 0.1 * t;
    g2[1] = 0.02 * t * t;
}

static void section_7(const char *spec, const double *expected) {
    static const double start[6] = {1, -2, 3, 0.5, 0.25, -0.75};
    params p = params_make(2, (const int64_t[]){4, 2});
    element all[6];
    memset(all, 0, sizeof all);
    for (int i = 0; i < 6; i++) {
        all[i].x = bounded_exact(start[i]);
        param_data(&p, i / 4)[i % 4] = (float)start[i];
    }
    tread_optimizer *optimizer = tread_optimizer_from_spec(NULL, params_list(&p), spec);
    reference_fn *reference = reference_of(tread_optimizer_name(optimizer));
    for (int t = 1; t <= 5; t++) {
        double g[6];
        float rounded[6];
        grads_of_section_7(t, g, g + 4);
        for (int i = 0; i < 6; i++)
            rounded[i] = (float)g[i];
        param_set_grad(p.items[0], rounded);
        param_set_grad(p.items[1], rounded + 4);
        ck_assert_ok(tread_optimizer_step(optimizer, NULL));
        for (int i = 0; i < 6; i++)
            reference(optimizer->groups[0].options, &all[i], g[i]);
    }
    for (int i = 0; i < 6; i++) {
        ck_assert_double_eq_tol(all[i].x.value, expected[i], 1e-12); /* as many digits as the table gives */
        /* Here the gradients were rounded too: each is off by u of it at most, as an operand of value g. The bounds of
         * two references, from g and from the rounded g, are not needed: u |g| passes through the update with a factor
         * of at most 1 for SGD (lr / (1 - momentum) = 1); for Adam by the relative change of m / sqrt(v), 2 u, times
         * lr * t. Both lie below 5 steps * 2 u * 1. */
        ck_assert_double_eq_tol(param_data(&p, i / 4)[i % 4], expected[i], all[i].x.error + 10 * BOUNDED_U);
    }
    tread_optimizer_destroy(optimizer);
    params_destroy(&p);
}

START_TEST(the_specified_numbers_come_out) {
    section_7("sgd:lr=0.1,momentum=0.9,weight_decay=0.01",
              (const double[]){0.670361906845, -1.711511367669, 2.739568206989, 0.505719281441, 0.038721907535,
                               -0.935240469758});
    section_7("adam:lr=0.01", (const double[]){0.951491693174, -1.950000002500, 2.955985393101, 0.514349449456,
                                               0.209474514455, -0.794933754559});
}
END_TEST

/* ---- What step() promises ---- */

static const int64_t sizes[] = {1, 100, 40000, 17, 4096};
#define N_SIZES 5

static void run_steps(tread_optimizer *optimizer, params *p, int64_t from, int64_t to) {
    for (int64_t t = from; t < to; t++) {
        params_set_grads(p, t, t % 4 == 2 ? 1u << 1 : 0);
        ck_assert_ok(tread_optimizer_step(optimizer, NULL));
    }
}

START_TEST(threads_and_instruction_sets_change_no_bit) {
    for (int s = 0; battery_specs[s] != NULL; s++) {
        params first = params_make_for(battery_specs[s], N_SIZES, sizes);
        tread_context *one = context_with_threads(1);
        tread_optimizer *optimizer = tread_optimizer_from_spec(one, params_list(&first), battery_specs[s]);
        run_steps(optimizer, &first, 0, 5);
        tread_optimizer_destroy(optimizer);
        static const struct {
            int threads;
            tread_isa isa;
        } ways[] = {{1, TREAD_ISA_BASELINE}, {2, TREAD_ISA_AVX2}, {3, TREAD_ISA_AVX512}, {8, TREAD_ISA_AVX2}};
        for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
            tread_context *context = context_with_threads(ways[i].threads);
            tread_isa before = tread_isa_use(ways[i].isa);
            params p = params_make_for(battery_specs[s], N_SIZES, sizes);
            optimizer = tread_optimizer_from_spec(context, params_list(&p), battery_specs[s]);
            run_steps(optimizer, &p, 0, 5);
            ck_assert_msg(params_equal(&first, &p), "%s at %d threads", battery_specs[s], ways[i].threads);
            tread_optimizer_destroy(optimizer);
            params_destroy(&p);
            tread_isa_use(before);
            tread_context_destroy(context);
        }
        tread_context_destroy(one);
        params_destroy(&first);
    }
}
END_TEST

START_TEST(equal_groups_equal_one_group) {
    for (int s = 0; battery_specs[s] != NULL; s++) {
        params a = params_make_for(battery_specs[s], N_SIZES, sizes),
               b = params_make_for(battery_specs[s], N_SIZES, sizes);
        tread_optimizer *one = tread_optimizer_from_spec(NULL, params_list(&a), battery_specs[s]);
        tread_optimizer *three = tread_optimizer_from_spec(NULL, params_part(&b, 0, 2), battery_specs[s]);
        ck_assert_ok(tread_optimizer_add_param_group(three, params_part(&b, 2, 1), NULL));
        ck_assert_ok(tread_optimizer_add_param_group_spec(three, params_part(&b, 3, 2), ""));
        run_steps(one, &a, 0, 6);
        run_steps(three, &b, 0, 6);
        ck_assert_msg(params_equal(&a, &b), "%s", battery_specs[s]);
        tread_optimizer_destroy(one);
        tread_optimizer_destroy(three);
        params_destroy(&a);
        params_destroy(&b);
    }
}
END_TEST

START_TEST(a_rate_of_0_changes_nothing_and_groups_have_their_own) {
    for (int s = 0; battery_specs[s] != NULL; s++) {
        params a = params_make_for(battery_specs[s], 2, sizes), b = params_make_for(battery_specs[s], 2, sizes);
        tread_optimizer *optimizer = tread_optimizer_from_spec(NULL, params_part(&a, 0, 1), battery_specs[s]);
        ck_assert_ok(tread_optimizer_add_param_group_spec(optimizer, params_part(&a, 1, 1), "lr=0"));
        ck_assert_ok(tread_optimizer_set(optimizer, 1, "lr", 0.5));
        ck_assert_ok(tread_optimizer_set(optimizer, 1, "lr", 0));
        run_steps(optimizer, &a, 0, 2);
        ck_assert_float_ne(param_data(&a, 0)[0], param_data(&b, 0)[0]);
        ck_assert_mem_eq(param_data(&a, 1), param_data(&b, 1), 400);
        tread_optimizer_destroy(optimizer);
        params_destroy(&a);
        params_destroy(&b);
    }
}
END_TEST

/* In a model's block, where parameters lie side by side, several are updated in one go. */
START_TEST(parameters_in_one_block_are_updated_alike) {
    static const int64_t counts[] = {16, 32, 40000, 48, 100, 5, 16, 4096};
    for (int s = 0; battery_specs[s] != NULL; s++)
        for (int threads = 1; threads <= 3; threads += 2) {
            params alone = params_make_for(battery_specs[s], 8, counts),
                   p = params_make_for(battery_specs[s], 8, counts);
            tread_context *context = context_with_threads(threads);
            tread_parameter_block block;
            ck_assert_ok(tread_parameter_block_create(p.items, 8, &block));
            tread_optimizer *x = tread_optimizer_from_spec(context, params_part(&alone, 0, 7), battery_specs[s]);
            tread_optimizer *y = tread_optimizer_from_spec(context, params_part(&p, 0, 7), battery_specs[s]);
            ck_assert_ok(tread_optimizer_add_param_group_spec(x, params_part(&alone, 7, 1), "lr=0.2"));
            ck_assert_ok(tread_optimizer_add_param_group_spec(y, params_part(&p, 7, 1), "lr=0.2"));
            for (int64_t t = 0; t < 7; t++) {
                /* all; without p1; without p1 and p6; all with p3 and p4 zeros; ... */
                unsigned missing = t == 1 ? 2 : t == 2 ? 0x42 : 0;
                params_set_grads(&alone, t, missing);
                params_set_grads(&p, t, missing);
                for (int i = 3; i < 5 && t == 3; i++) {
                    tread_tensor_zero_grad(&alone.items[i]->tensor, false);
                    tread_tensor_zero_grad(&p.items[i]->tensor, false);
                }
                ck_assert_ok(tread_optimizer_step(x, NULL));
                ck_assert_ok(tread_optimizer_step(y, NULL));
                ck_assert_msg(params_equal(&alone, &p), "%s, %d threads, step %d", battery_specs[s], threads, (int)t);
            }
            int padding = 0;
            for (size_t i = 0; i < 8; i++)
                for (int64_t e = counts[i]; e % 16 != 0; e++)
                    padding += param_data(&p, i)[e] != 0;
            ck_assert_int_eq(padding, 0);
            tread_optimizer_destroy(x);
            tread_optimizer_destroy(y);
            tread_parameter_block_destroy(&block);
            tread_context_destroy(context);
            params_destroy(&alone);
        }
}
END_TEST

/* Zeros that nobody wrote are a step of zeros; none is no step. */
START_TEST(zero_and_none_differ) {
    for (int s = 0; battery_specs[s] != NULL; s++) {
        params a = params_make_for(battery_specs[s], N_SIZES, sizes),
               b = params_make_for(battery_specs[s], N_SIZES, sizes),
               c = params_make_for(battery_specs[s], N_SIZES, sizes);
        tread_optimizer *x = tread_optimizer_from_spec(NULL, params_list(&a), battery_specs[s]);
        tread_optimizer *y = tread_optimizer_from_spec(NULL, params_list(&b), battery_specs[s]);
        tread_optimizer *z = tread_optimizer_from_spec(NULL, params_list(&c), battery_specs[s]);
        run_steps(x, &a, 0, 2);
        run_steps(y, &b, 0, 2);
        run_steps(z, &c, 0, 2);
        tread_optimizer_zero_grad(x, false);
        for (size_t i = 0; i < N_SIZES; i++) {
            ck_assert_int_eq(a.items[i]->tensor.grad_state, TREAD_GRAD_ZERO);
            memset(b.items[i]->tensor.grad->data, 0, tread_tensor_bytes(&b.items[i]->tensor));
        }
        tread_optimizer_zero_grad(z, true);
        params before = params_make_for(battery_specs[s], N_SIZES, sizes);
        for (size_t i = 0; i < N_SIZES; i++) {
            ck_assert_ptr_null(tread_tensor_grad(&c.items[i]->tensor));
            memcpy(param_data(&before, i), param_data(&c, i), tread_tensor_bytes(&c.items[i]->tensor));
        }
        ck_assert_ok(tread_optimizer_step(x, NULL));
        ck_assert_ok(tread_optimizer_step(y, NULL));
        ck_assert_ok(tread_optimizer_step(z, NULL));
        ck_assert_msg(params_equal(&a, &b), "%s", battery_specs[s]);
        ck_assert_msg(params_equal(&before, &c), "%s", battery_specs[s]);
        run_steps(x, &a, 3, 5);
        run_steps(y, &b, 3, 5);
        run_steps(z, &c, 3, 5);
        ck_assert_msg(params_equal(&a, &b), "%s", battery_specs[s]);
        ck_assert_uint_eq(x->items[0].progress.step, 5);
        ck_assert_uint_eq(z->items[0].progress.step, 4);
        tread_optimizer_destroy(x);
        tread_optimizer_destroy(y);
        tread_optimizer_destroy(z);
        params_destroy(&a);
        params_destroy(&b);
        params_destroy(&c);
        params_destroy(&before);
    }
}
END_TEST

START_TEST(a_step_allocates_nothing_and_counts_versions) {
    for (int s = 0; battery_specs[s] != NULL; s++) {
        params p = params_make_for(battery_specs[s], N_SIZES, sizes);
        tread_optimizer *optimizer = tread_optimizer_from_spec(NULL, params_part(&p, 0, 3), battery_specs[s]);
        ck_assert_ok(tread_optimizer_add_param_group_spec(optimizer, params_part(&p, 3, 2), "clip_grad_max_norm=0.1"));
        uint64_t calls = tread_memory_calls();
        uint32_t version = p.items[0]->tensor.version, other = p.items[1]->tensor.version;
        run_steps(optimizer, &p, 0, 3); /* p1 misses step 2 */
        ck_assert_ok(tread_optimizer_clip_grad(optimizer, NULL, NULL));
        ck_assert_ok(tread_optimizer_clip_grad_norm(optimizer, 0.1, 3, NULL, NULL));
        tread_optimizer_zero_grad(optimizer, false);
        ck_assert_ok(tread_optimizer_set(optimizer, TREAD_ALL_GROUPS, "lr", 0.2));
        ck_assert_uint_eq(tread_memory_calls(), calls);
        ck_assert_uint_eq(p.items[0]->tensor.version, version + 3);
        ck_assert_uint_eq(p.items[1]->tensor.version, other + 2);
        tread_optimizer_destroy(optimizer);
        params_destroy(&p);
    }
}
END_TEST

/* ---- Closures ---- */

typedef struct closure_data {
    params *p;
    int calls;
    bool fails;
} closure_data;

static tread_status evaluate(void *data, double *ret_loss) {
    closure_data *c = data;
    params_set_grads(c->p, c->calls++, 0);
    if (c->fails)
        return tread_fail(TREAD_ERROR_CALLBACK, "batch %d is bad", c->calls);
    *ret_loss = 0.125 * c->calls;
    return TREAD_OK;
}

START_TEST(closures_run_first_and_failing_ones_change_nothing) {
    for (int s = 0; battery_specs[s] != NULL; s++) {
        params a = params_make_for(battery_specs[s], N_SIZES, sizes),
               b = params_make_for(battery_specs[s], N_SIZES, sizes);
        tread_optimizer *x = tread_optimizer_from_spec(NULL, params_list(&a), battery_specs[s]);
        tread_optimizer *y = tread_optimizer_from_spec(NULL, params_list(&b), battery_specs[s]);
        closure_data data = {.p = &a};
        tread_closure closure = {.evaluate = evaluate, .data = &data};
        for (int t = 0; t < 3; t++) {
            ck_assert_ok(tread_optimizer_step(x, &closure));
            ck_assert_double_eq(closure.loss, 0.125 * (t + 1));
            params_set_grads(&b, t, 0);
            ck_assert_ok(tread_optimizer_step(y, NULL));
        }
        ck_assert_int_eq(data.calls, 3);
        ck_assert_msg(params_equal(&a, &b), "%s", battery_specs[s]);
        data.fails = true;
        ck_assert_fails(tread_optimizer_step(x, &closure), TREAD_ERROR_CALLBACK, "batch 4 is bad");
        ck_assert_double_eq(closure.loss, 0.375);
        ck_assert_msg(params_equal(&a, &b), "%s", battery_specs[s]);
        data = (closure_data){.p = &a, .calls = 7};
        ck_assert_ok(tread_optimizer_step(x, &closure));
        params_set_grads(&b, 7, 0);
        ck_assert_ok(tread_optimizer_step(y, NULL));
        ck_assert_msg(params_equal(&a, &b), "%s", battery_specs[s]);
        closure.evaluate = NULL;
        ck_assert_fails(tread_optimizer_step(x, &closure), TREAD_ERROR_ARGUMENT, "evaluate is NULL");
        tread_optimizer_destroy(x);
        tread_optimizer_destroy(y);
        params_destroy(&a);
        params_destroy(&b);
    }
}
END_TEST

/* With dampening 0 and a constant rate the two conventions are one method; a scheduler parts them. */
START_TEST(conventions_of_sgd_agree_while_the_rate_is_constant) {
    params a = params_make(1, (const int64_t[]){50}), b = params_make(1, (const int64_t[]){50});
    tread_optimizer *x = tread_optimizer_from_spec(NULL, params_list(&a), "sgd:lr=0.1,momentum=0.9");
    tread_optimizer *y = tread_optimizer_from_spec(NULL, params_list(&b), "sgd:lr=0.1,momentum=0.9,convention=pytorch");
    for (int round = 0; round < 2; round++) {
        double furthest = 0;
        run_steps(x, &a, 0, 3);
        run_steps(y, &b, 0, 3);
        for (int i = 0; i < 50; i++)
            furthest = fmax(furthest, fabs(param_data(&a, 0)[i] - param_data(&b, 0)[i]));
        if (round == 0) /* 3 steps of 4 roundings, of values below 2 */
            ck_assert_double_lt(furthest, 3 * 4 * 2 * 2 * BOUNDED_U);
        else /* V kept lr 0.1 and b takes 0.01: they part by 0.09 of a buffer that is about 1 */
            ck_assert_double_gt(furthest, 0.01);
        ck_assert_ok(tread_optimizer_set(x, 0, "lr", 0.01));
        ck_assert_ok(tread_optimizer_set(y, 0, "lr", 0.01));
    }
    tread_optimizer_destroy(x);
    tread_optimizer_destroy(y);
    params_destroy(&a);
    params_destroy(&b);
}
END_TEST

TEST_MAIN("step", trajectories_follow_the_formulas, late_and_missing_gradients_are_not_steps,
          the_specified_numbers_come_out, threads_and_instruction_sets_change_no_bit, equal_groups_equal_one_group,
          parameters_in_one_block_are_updated_alike, a_rate_of_0_changes_nothing_and_groups_have_their_own,
          zero_and_none_differ, a_step_allocates_nothing_and_counts_versions,
          closures_run_first_and_failing_ones_change_nothing, conventions_of_sgd_agree_while_the_rate_is_constant)
