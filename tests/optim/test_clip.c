#include "tests/optim/helpers.h"

static const int64_t sizes[] = {1, 50, 70001, 16};

/* The norm by the definition, in long double. */
static double norm_of(const params *p, size_t first, size_t count, double type, unsigned missing) {
    long double sum = 0, largest = 0, smallest = INFINITY;
    for (size_t i = first; i < first + count; i++)
        for (int64_t e = 0; e < p->items[i]->tensor.count && !(missing >> i & 1); e++) {
            long double a = fabsf(((float *)p->items[i]->tensor.grad->data)[e]);
            largest = a > largest ? a : largest;
            smallest = a < smallest ? a : smallest;
            sum += isfinite(type) ? powl(a, type) : 0;
        }
    return (double)(type == INFINITY ? largest : type == -INFINITY ? smallest : powl(sum, 1 / (long double)type));
}

static void grads_copy(const params *p, float *to) {
    for (size_t i = 0; i < p->count; i++) {
        memcpy(to, p->items[i]->tensor.grad->data, tread_tensor_bytes(&p->items[i]->tensor));
        to += p->items[i]->tensor.count;
    }
}
#define N_VALUES (1 + 50 + 70001 + 16)
static float before[N_VALUES], after[N_VALUES];

START_TEST(norms_are_exact_and_independent_of_threads) {
    static const double types[] = {1, 2, 3.5, 0.5, 3, 40, INFINITY, -INFINITY};
    params p = params_make(4, sizes);
    for (size_t t = 0; t < sizeof types / sizeof *types; t++) {
        double first = 0, expected = 0;
        for (int threads = 1; threads <= 8; threads += threads == 3 ? 5 : 1)
            for (int isa = 0; isa < TREAD_ISA_COUNT; isa++) {
                tread_context *context = context_with_threads(threads);
                tread_isa isa_before = tread_isa_use((tread_isa)isa);
                double norm;
                params_set_grads(&p, 3, 1u << 1);
                ck_assert_ok(
                    tread_clip_grad_norm(context, params_list(&p), INFINITY, types[t], TREAD_NONFINITE_ERROR, &norm));
                if (threads == 1 && isa == 0) {
                    first = norm;
                    expected = norm_of(&p, 0, 4, types[t], 1u << 1);
                }
                /* Sums in double of 70 000 positive terms over 16 lanes: below 70 000 / 16 * 2^-53 = 5e-13 of it; the
                 * powers' own error is below 40 * 1e-15. */
                ck_assert_double_eq_tol(norm / expected, 1, 1e-12);
                ck_assert_msg(norm == first, "type %g, %d threads, isa %d", types[t], threads, isa);
                tread_isa_use(isa_before);
                tread_context_destroy(context);
            }
    }
    params_destroy(&p);
}
END_TEST

START_TEST(gradients_are_scaled_by_the_coefficient) {
    params p = params_make(4, sizes);
    double norm;
    params_set_grads(&p, 3, 0);
    double expected = norm_of(&p, 0, 4, 2, 0);
    grads_copy(&p, before);
    ck_assert_ok(tread_clip_grad_norm(NULL, params_list(&p), 0.75, 2, TREAD_NONFINITE_ERROR, &norm));
    grads_copy(&p, after);
    float by = (float)(0.75 / (expected + 1e-6));
    int wrong = 0;
    for (int i = 0; i < N_VALUES; i++)
        wrong += after[i] != before[i] * by;
    ck_assert_int_eq(wrong, 0);
    grads_copy(&p, before);
    ck_assert_ok(tread_clip_grad_norm(NULL, params_list(&p), 1, 2, TREAD_NONFINITE_ERROR, NULL)); /* short enough now */
    grads_copy(&p, after);
    ck_assert_mem_eq(before, after, sizeof before);
    ck_assert_ok(tread_clip_grad_norm(NULL, params_list(&p), 0, INFINITY, TREAD_NONFINITE_ERROR, NULL));
    ck_assert_double_eq(norm_of(&p, 0, 4, INFINITY, 0), 0);
    params_set_grads(&p, 3, 0xf);
    ck_assert_ok(tread_clip_grad_norm(NULL, params_list(&p), 1, -INFINITY, TREAD_NONFINITE_ERROR, &norm));
    ck_assert_double_eq(norm, 0); /* no gradient, no norm */
    /* Gradients that nobody wrote yet are zeros, and their memory may hold anything. */
    params_set_grads(&p, 3, 0);
    tread_tensor_zero_grad(&p.items[2]->tensor, false);
    ck_assert_ok(tread_clip_grad_norm(NULL, params_list(&p), 1e9, 1, TREAD_NONFINITE_ERROR, &norm));
    ck_assert_double_eq_tol(norm / norm_of(&p, 0, 4, 1, 1u << 2), 1, 1e-12);
    ck_assert_ok(tread_clip_grad_norm(NULL, params_list(&p), 1e9, -INFINITY, TREAD_NONFINITE_ERROR, &norm));
    ck_assert_double_eq(norm, 0);
    params_destroy(&p);
}
END_TEST

/* Each group on its own, only those that ask for it; fused or not, the parameters after the step are the same. */
START_TEST(groups_clip_on_their_own_fused_or_not) {
    for (int s = 0; battery_specs[s] != NULL; s++) {
        params a = params_make_for(battery_specs[s], 4, sizes), b = params_make_for(battery_specs[s], 4, sizes);
        params *both[] = {&a, &b};
        tread_optimizer *optimizers[2];
        double norms[2][3];
        for (int i = 0; i < 2; i++) {
            optimizers[i] = tread_optimizer_from_spec(NULL, params_part(both[i], 0, 2), battery_specs[s]);
            ck_assert_ok(tread_optimizer_add_param_group_spec(optimizers[i], params_part(both[i], 2, 1),
                                                              "clip_grad_max_norm=0.5,clip_grad_norm_type=2"));
            ck_assert_ok(tread_optimizer_add_param_group_spec(optimizers[i], params_part(both[i], 3, 1),
                                                              "clip_grad_max_norm=0.25,clip_grad_norm_type=inf"));
            for (int t = 0; t < 3; t++) {
                tread_clip_options o = tread_clip_defaults();
                o.fused = i == 1;
                params_set_grads(both[i], t, 0);
                double expected = norm_of(both[i], 2, 1, 2, 0);
                if (t == 2) /* twice is twice */
                    ck_assert_ok(tread_optimizer_clip_grad_norm(optimizers[i], 1.5, 2, &o, NULL));
                ck_assert_ok(tread_optimizer_clip_grad(optimizers[i], &o, norms[i]));
                if (t == 0) {
                    double most; /* of group 0: a setting may clip, too */
                    ck_assert_ok(tread_optimizer_get(optimizers[i], 0, "clip_grad_max_norm", &most));
                    ck_assert_msg(isnan(norms[i][0]) == isinf(most), "%s: norm %g, clip_grad_max_norm %g",
                                  battery_specs[s], norms[i][0], most);
                    ck_assert_double_eq_tol(norms[i][1] / expected, 1, 1e-12);
                }
                ck_assert_ok(tread_optimizer_step(optimizers[i], NULL));
            }
        }
        ck_assert_double_eq(norms[0][1], norms[1][1]);
        ck_assert_double_eq(norms[0][2], norms[1][2]);
        ck_assert_msg(params_equal(&a, &b), "%s", battery_specs[s]);
        for (int i = 0; i < 2; i++) {
            tread_optimizer_destroy(optimizers[i]);
            params_destroy(both[i]);
        }
    }
}
END_TEST

START_TEST(a_fused_coefficient_lasts_one_step) {
    params a = params_make(1, sizes + 1), b = params_make(1, sizes + 1);
    tread_optimizer *x = tread_optimizer_from_spec(NULL, params_list(&a), "sgd:lr=1");
    tread_optimizer *y = tread_optimizer_from_spec(NULL, params_list(&b), "sgd:lr=1");
    tread_clip_options o = tread_clip_defaults();
    o.fused = true;
    for (int t = 0; t < 4; t++) {
        params_set_grads(&a, t, 0);
        if (t == 1 || t == 3)
            ck_assert_ok(tread_optimizer_clip_grad_norm(x, 0.5, 2, &o, NULL));
        if (t == 3) { /* what is zeroed is no longer clipped */
            tread_optimizer_zero_grad(x, true);
            params_set_grads(&a, t, 0);
        }
        params_set_grads(&b, t, 0);
        if (t == 1)
            ck_assert_ok(tread_optimizer_clip_grad_norm(y, 0.5, 2, NULL, NULL));
        ck_assert_ok(tread_optimizer_step(x, NULL));
        ck_assert_ok(tread_optimizer_step(y, NULL));
        ck_assert_msg(params_equal(&a, &b), "step %d", t);
    }
    tread_optimizer_destroy(x);
    tread_optimizer_destroy(y);
    params_destroy(&a);
    params_destroy(&b);
}
END_TEST

START_TEST(non_finite_norms_follow_the_policy) {
    params p = params_make(4, sizes), old = params_make(4, sizes);
    tread_optimizer *optimizer = tread_optimizer_from_spec(NULL, params_part(&p, 0, 1), "sgd:clip_grad_max_norm=0.1");
    ck_assert_ok(tread_optimizer_add_param_group(optimizer, params_part(&p, 1, 3), NULL));
    for (int bad = 0; bad < 2; bad++) {
        tread_clip_options o = tread_clip_defaults();
        double norms[2] = {7, 7}, norm = 7;
        params_set_grads(&p, 1, 0);
        ((float *)p.items[2]->tensor.grad->data)[69999] = bad == 0 ? NAN : -INFINITY;
        grads_copy(&p, before);
        ck_assert_fails(tread_optimizer_clip_grad(optimizer, NULL, norms), TREAD_ERROR_NUMERIC, "parameter 2 ('p2')");
        ck_assert_fails(tread_optimizer_clip_grad_norm(optimizer, 1, 2, NULL, &norm), TREAD_ERROR_NUMERIC, "'p2'");
        ck_assert_fails(tread_clip_grad_norm(NULL, params_list(&p), 1, 1, TREAD_NONFINITE_ERROR, &norm),
                        TREAD_ERROR_NUMERIC, bad == 0 ? "norm nan" : "norm inf");
        o.nonfinite = TREAD_NONFINITE_SKIP;
        ck_assert_ok(tread_clip_grad_norm(NULL, params_list(&p), 1, 1, TREAD_NONFINITE_SKIP, NULL));
        ck_assert_double_eq(norms[0], 7);
        ck_assert_double_eq(norm, 7);
        ck_assert_ok(tread_optimizer_clip_grad(optimizer, &o, norms));
        grads_copy(&p, after);
        ck_assert_mem_eq(before, after, sizeof before);
        ck_assert(isfinite(norms[0]) && !isfinite(norms[1]));
        ck_assert_ok(tread_optimizer_step(optimizer, NULL));
        ck_assert(tread_optimizer_step_skipped(optimizer));
        ck_assert(params_equal(&p, &old));
        ck_assert_uint_eq(tread_item_progress(optimizer, 0)->step, 0);
        o.nonfinite = TREAD_NONFINITE_PROPAGATE;
        o.fused = bad == 1;
        ck_assert_ok(tread_optimizer_clip_grad_norm(optimizer, 1, 2, &o, &norm));
        ck_assert(!isfinite(norm));
    }
    ck_assert_ok(tread_optimizer_step(optimizer, NULL)); /* infinite norm: all zeros but the infinity itself, 0 * inf */
    ck_assert(!tread_optimizer_step_skipped(optimizer));
    ck_assert(isnan(param_data(&p, 2)[69999]));
    param_data(&p, 2)[69999] = param_value(2, 69999);
    ck_assert(params_equal(&p, &old));
    ck_assert_uint_eq(tread_item_progress(optimizer, 0)->step, 1);
    /* A NaN norm makes everything NaN, zeros that nobody wrote too. */
    params_set_grads(&p, 1, 0);
    ((float *)p.items[1]->tensor.grad->data)[3] = NAN;
    tread_tensor_zero_grad(&p.items[0]->tensor, false);
    ck_assert_ok(tread_clip_grad_norm(NULL, params_list(&p), 1, 2, TREAD_NONFINITE_PROPAGATE, NULL));
    ck_assert(isnan(*(float *)tread_tensor_grad(&p.items[0]->tensor)->data));
    tread_optimizer_destroy(optimizer);
    params_destroy(&p);
    params_destroy(&old);
}
END_TEST

START_TEST(a_norm_of_minus_infinity_sees_a_nan) {
    params p = params_make(1, sizes + 1);
    double norm;
    params_set_grads(&p, 1, 0);
    ((float *)p.items[0]->tensor.grad->data)[20] = NAN;
    ck_assert_fails(tread_clip_grad_norm(NULL, params_list(&p), 1, -INFINITY, TREAD_NONFINITE_ERROR, &norm),
                    TREAD_ERROR_NUMERIC, "norm nan");
    params_destroy(&p);
}
END_TEST

START_TEST(values_are_limited) {
    params p = params_make(4, sizes);
    params_set_grads(&p, 3, 0);
    float *g = p.items[1]->tensor.grad->data;
    g[7] = NAN;
    g[8] = -INFINITY;
    g[9] = 0.125f;
    grads_copy(&p, before);
    ck_assert_ok(tread_clip_grad_value(NULL, params_list(&p), 0.125));
    grads_copy(&p, after);
    int wrong = 0;
    for (int i = 0; i < N_VALUES; i++) {
        float limited = before[i] > 0.125f ? 0.125f : before[i] < -0.125f ? -0.125f : before[i];
        wrong += isnan(before[i]) ? !isnan(after[i]) : limited != after[i];
    }
    ck_assert_int_eq(wrong, 0);
    ck_assert_fails(tread_clip_grad_value(NULL, params_list(&p), -1), TREAD_ERROR_ARGUMENT,
                    "limit = -1 is outside [0, inf)");
    ck_assert_fails(tread_clip_grad_value(NULL, params_list(&p), NAN), TREAD_ERROR_ARGUMENT, "nan");
    ck_assert_ok(tread_clip_grad_value(NULL, (tread_parameter_list){NULL, 0}, 1));
    params_destroy(&p);
}
END_TEST

typedef struct clipping {
    params *p;
    bool value;
} clipping;
static void *clip(void *data) {
    clipping *c = data;
    tread_status status = c->value ? tread_clip_grad_value(NULL, params_list(c->p), 0.1)
                                   : tread_clip_grad_norm(NULL, params_list(c->p), 0.1, 2, TREAD_NONFINITE_ERROR, NULL);
    return status == TREAD_OK ? c : NULL;
}
static void keep(void *data, void *made) {
    (void)data;
    (void)made;
}

START_TEST(bad_requests_and_failing_allocations_change_nothing) {
    params p = params_make(4, sizes);
    params_set_grads(&p, 3, 0);
    grads_copy(&p, before);
    tread_optimizer *optimizer = tread_optimizer_from_spec(NULL, params_list(&p), "sgd");
    static const struct {
        double max_norm, type;
        const char *sentence;
    } bad[] = {{-1, 2, "max_norm = -1 is outside [0, inf)"},
               {-0.123456789, 2, "max_norm = -0.123456789 is"},
               {1, -0.123456789, "norm_type = -0.123456789 is"},
               {NAN, 2, "max_norm = nan"},
               {1, 0, "norm_type = 0 is outside (0, inf)"},
               {1, -2, "norm_type = -2"},
               {1, NAN, "norm_type = nan"}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        ck_assert_fails(
            tread_clip_grad_norm(NULL, params_list(&p), bad[i].max_norm, bad[i].type, TREAD_NONFINITE_SKIP, NULL),
            TREAD_ERROR_ARGUMENT, bad[i].sentence);
        ck_assert_fails(tread_optimizer_clip_grad_norm(optimizer, bad[i].max_norm, bad[i].type, NULL, NULL),
                        TREAD_ERROR_ARGUMENT, bad[i].sentence);
    }
    tread_clip_options o = tread_clip_defaults();
    o.nonfinite = (tread_nonfinite_policy)9;
    ck_assert_fails(tread_optimizer_clip_grad(optimizer, &o, NULL), TREAD_ERROR_ARGUMENT, "nonfinite = 9");
    tread_parameter *with_null[] = {p.items[0], NULL};
    ck_assert_fails(tread_clip_grad_value(NULL, (tread_parameter_list){with_null, 2}, 1), TREAD_ERROR_ARGUMENT,
                    "parameter 1 of 2 is NULL");
    grads_copy(&p, after);
    ck_assert_mem_eq(before, after, sizeof before);
    fail_every_allocation(clip, keep, &(clipping){&p, false});
    fail_every_allocation(clip, keep, &(clipping){&p, true});
    tread_optimizer_destroy(optimizer);
    params_destroy(&p);
}
END_TEST

/* Zeroing throws the bad gradients away, and with them the step that they would have cost. */
START_TEST(zeroing_takes_the_mark_to_skip_back) {
    params p = params_make(4, sizes), old = params_make(4, sizes);
    tread_optimizer *optimizer = tread_optimizer_from_spec(NULL, params_list(&p), "sgd");
    tread_clip_options o = tread_clip_defaults();
    o.nonfinite = TREAD_NONFINITE_SKIP;
    for (int none = 0; none < 2; none++) {
        params_set_grads(&p, 1, 0);
        ((float *)p.items[0]->tensor.grad->data)[0] = NAN;
        ck_assert_ok(tread_optimizer_clip_grad_norm(optimizer, 1, 2, &o, NULL));
        tread_optimizer_zero_grad(optimizer, none == 1);
        params_set_grads(&p, 2, 0);
        ck_assert_ok(tread_optimizer_clip_grad_norm(optimizer, 1, 2, &o, NULL));
        ck_assert_ok(tread_optimizer_step(optimizer, NULL));
        ck_assert(!tread_optimizer_step_skipped(optimizer));
        ck_assert(!params_equal(&p, &old));
    }
    tread_optimizer_destroy(optimizer);
    params_destroy(&p);
    params_destroy(&old);
}
END_TEST

/* An error leaves the gradients alone even where an earlier fused clip has left its coefficient. */
START_TEST(an_error_leaves_gradients_and_what_is_pending) {
    params p = params_make(4, sizes);
    tread_optimizer *optimizer = tread_optimizer_from_spec(NULL, params_list(&p), "sgd:clip_grad_max_norm=0.1");
    tread_clip_options o = tread_clip_defaults();
    o.fused = true;
    params_set_grads(&p, 1, 0);
    ck_assert_ok(tread_optimizer_clip_grad_norm(optimizer, 0.5, 2, &o, NULL));
    const float left = optimizer->groups[0].clip;
    ck_assert(left < 1);
    float *value = (float *)p.items[2]->tensor.grad->data + 7, good = *value;
    *value = INFINITY;
    grads_copy(&p, before);
    ck_assert_fails(tread_optimizer_clip_grad_norm(optimizer, 1, 2, NULL, NULL), TREAD_ERROR_NUMERIC, "'p2'");
    ck_assert_fails(tread_optimizer_clip_grad(optimizer, NULL, NULL), TREAD_ERROR_NUMERIC, "'p2'");
    grads_copy(&p, after);
    ck_assert_mem_eq(before, after, sizeof before);
    ck_assert_float_eq(optimizer->groups[0].clip, left);
    *value = good;
    double norm;
    ck_assert_ok(tread_optimizer_clip_grad_norm(optimizer, 1, 2, NULL, &norm));
    ck_assert_double_eq_tol(norm, 0.5, 1e-5); /* of what the first one left */
    tread_optimizer_destroy(optimizer);
    params_destroy(&p);
}
END_TEST

static void fill_with_ones(params *p) {
    params_set_grads(p, 1, 0);
    for (size_t i = 0; i < p->count; i++)
        for (int64_t e = 0; e < p->items[i]->tensor.count; e++)
            ((float *)p->items[i]->tensor.grad->data)[e] = 1;
}

/* Small p make large norms of many entries: here each parameter's is a number, and all together are none. */
START_TEST(a_norm_that_is_infinite_together_blames_no_parameter) {
    params p = params_make(2, (const int64_t[]){900, 900});
    tread_optimizer *optimizer = tread_optimizer_from_spec(NULL, params_part(&p, 0, 1), "sgd");
    ck_assert_ok(tread_optimizer_add_param_group(optimizer, params_part(&p, 1, 1), NULL));
    double norm;
    fill_with_ones(&p);
    ck_assert_ok(tread_clip_grad_norm(NULL, params_part(&p, 0, 1), 1, 0.00965, TREAD_NONFINITE_ERROR, &norm));
    ck_assert(isfinite(norm)); /* 900^(1 / 0.00965), about 1e306 */
    fill_with_ones(&p);
    static const char *const sentence = "the norm is inf: that of each parameter is finite";
    ck_assert_fails(tread_clip_grad_norm(NULL, params_list(&p), 1, 0.00965, TREAD_NONFINITE_ERROR, &norm),
                    TREAD_ERROR_NUMERIC, sentence);
    ck_assert_fails(tread_optimizer_clip_grad_norm(optimizer, 1, 0.00965, NULL, &norm), TREAD_ERROR_NUMERIC, sentence);
    tread_optimizer_destroy(optimizer);
    params_destroy(&p);
}
END_TEST

START_TEST(a_parameter_twice_is_refused) {
    params p = params_make(3, sizes);
    params_set_grads(&p, 3, 0);
    const float was = *(const float *)p.items[0]->tensor.grad->data;
    tread_parameter *twice[] = {p.items[0], p.items[1], p.items[0]};
    const tread_parameter_list list = {twice, 3};
    ck_assert_fails(tread_clip_grad_norm(NULL, list, 1e-3, 2, TREAD_NONFINITE_ERROR, NULL), TREAD_ERROR_ARGUMENT,
                    "clip_grad_norm: parameter 'p0' is there twice: 0 of 3, 2 of 3");
    ck_assert_fails(tread_clip_grad_value(NULL, list, 1e-3), TREAD_ERROR_ARGUMENT, "clip_grad_value: parameter 'p0'");
    ck_assert_float_eq(*(const float *)p.items[0]->tensor.grad->data, was);
    params_destroy(&p);
}
END_TEST

TEST_MAIN("clip", zeroing_takes_the_mark_to_skip_back, an_error_leaves_gradients_and_what_is_pending,
          a_norm_that_is_infinite_together_blames_no_parameter, a_parameter_twice_is_refused,
          norms_are_exact_and_independent_of_threads, gradients_are_scaled_by_the_coefficient,
          groups_clip_on_their_own_fused_or_not, a_fused_coefficient_lasts_one_step, non_finite_norms_follow_the_policy,
          a_norm_of_minus_infinity_sees_a_nan, values_are_limited, bad_requests_and_failing_allocations_change_nothing)
