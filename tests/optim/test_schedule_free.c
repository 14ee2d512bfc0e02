/* Schedule-Free AdamW and SGD against their formulas in double, and the switch between the point of training and the
 * averaged one. */
#include "tests/optim/bounded.h"
#include "tests/optim/helpers.h"

static const char *const specs[] = {
    "schedule_free_adamw:lr=0.01",
    "schedule_free_adamw:lr=0.01,warmup_steps=3,r=1,weight_decay=0.1,betas=0.8/0.9,eps=1e-3",
    "schedule_free_adamw:lr=0.02,weight_lr_power=0.5,r=0.3,maximize=true",
    "schedule_free_sgd:lr=0.1",
    "schedule_free_sgd:lr=0.05,momentum=0.5,warmup_steps=4,r=0.5,weight_lr_power=1,weight_decay=0.1,maximize=true",
    "schedule_free_sgd:lr=0.2,momentum=0.99,weight_lr_power=0,warmup_steps=100",
};
#define N_SPECS (sizeof specs / sizeof *specs)

/* ---- The reference: one element ---- */

typedef struct setting {
    double lr, b, beta2, eps, weight_decay, warmup_steps, r, power, maximize;
    bool adam;
} setting;

static setting setting_of(const tread_optimizer *optimizer) {
    setting s = {.adam = strcmp(tread_optimizer_name(optimizer), "schedule_free_adamw") == 0};
    ck_assert_ok(tread_optimizer_get(optimizer, 0, "lr", &s.lr));
    ck_assert_ok(tread_optimizer_get(optimizer, 0, s.adam ? "betas[0]" : "momentum", &s.b));
    if (s.adam) {
        ck_assert_ok(tread_optimizer_get(optimizer, 0, "betas[1]", &s.beta2));
        ck_assert_ok(tread_optimizer_get(optimizer, 0, "eps", &s.eps));
    }
    ck_assert_ok(tread_optimizer_get(optimizer, 0, "weight_decay", &s.weight_decay));
    ck_assert_ok(tread_optimizer_get(optimizer, 0, "warmup_steps", &s.warmup_steps));
    ck_assert_ok(tread_optimizer_get(optimizer, 0, "r", &s.r));
    ck_assert_ok(tread_optimizer_get(optimizer, 0, "weight_lr_power", &s.power));
    ck_assert_ok(tread_optimizer_get(optimizer, 0, "maximize", &s.maximize));
    return s;
}

typedef struct element {
    bounded y, z, v;
    int k; /* updates received */
    double sum, largest;
} element;

/* As OPTIM-SPEC writes it, with k from 0. */
static void reference(const setting *s, element *e, double grad) {
    int k = e->k++;
    double warm = k < s->warmup_steps ? (k + 1) / s->warmup_steps : 1;
    double a = s->lr * warm * (s->adam ? sqrt(1 - pow(s->beta2, k + 1)) : 1);
    e->largest = fmax(e->largest, a);
    double w = pow(k + 1, s->r) * pow(e->largest, s->power);
    e->sum += w;
    double c = e->sum > 0 ? w / e->sum : 0;
    bounded n = bounded_exact(s->maximize ? -grad : grad);
    if (s->adam) {
        e->v = bounded_add(bounded_mul(bounded_factor(s->beta2), e->v),
                           bounded_mul(bounded_factor(1 - s->beta2), bounded_mul(n, n)));
        n = bounded_div(n, bounded_add(bounded_sqrt(e->v), bounded_factor(s->eps)));
    }
    n = bounded_add(n, bounded_mul(bounded_factor(s->weight_decay), e->y));
    bounded pull = bounded_mul(bounded_factor(c), bounded_sub(e->z, e->y));
    bounded push = bounded_mul(bounded_factor(a * (s->b * (1 - c) - 1)), n);
    e->y = bounded_add(e->y, bounded_add(pull, push));
    e->z = bounded_sub(e->z, bounded_mul(bounded_factor(a), n));
}

static double average_of(const setting *s, const element *e) {
    return e->y.value + (1 - 1 / s->b) * (e->z.value - e->y.value);
}

/* Check writes a file at each assertion, so none stands in a loop over elements. */
static void check(const char *spec, size_t i, int64_t index, float got, double value, double error) {
    if (!(fabs(got - value) <= error))
        ck_abort_msg("%s: parameter %zu [%lld] is %.9g, not %.9g within %.2g", spec, i, (long long)index, got, value,
                     error);
    if (!(error < 2e-4)) /* a bound that says nothing would pass everything */
        ck_abort_msg("%s: the bound is %g", spec, error);
}

#define N 3
static const int64_t sizes[N] = {1, 7, 1000};

/* p1 joins late and misses steps. */
static unsigned missing_at(int64_t t) { return t < 2 || t % 5 == 3 ? 1u << 1 : 0; }

static void check_trajectory(const char *spec) {
    params p = params_make(N, sizes);
    tread_optimizer *optimizer = tread_optimizer_from_spec(NULL, params_list(&p), spec);
    ck_assert_msg(optimizer != NULL, "%s", tread_last_error());
    const setting s = setting_of(optimizer);
    element *all[N];
    for (size_t i = 0; i < N; i++) {
        all[i] = calloc((size_t)sizes[i], sizeof(element));
        for (int64_t e = 0; e < sizes[i]; e++)
            all[i][e].y = all[i][e].z = bounded_exact(param_value(i, e));
    }
    for (int64_t t = 0; t < 20; t++) {
        params_set_grads(&p, t, missing_at(t));
        ck_assert_ok(tread_optimizer_step(optimizer, NULL));
        for (size_t i = 0; i < N; i++)
            for (int64_t e = 0; e < sizes[i]; e++) {
                if (!(missing_at(t) >> i & 1))
                    reference(&s, &all[i][e], param_grad(i, e, t));
                check(spec, i, e, param_data(&p, i)[e], all[i][e].y.value, all[i][e].y.error);
            }
    }
    double sum = tread_item_progress(optimizer, 1)->scalars[0], largest = tread_item_progress(optimizer, 1)->scalars[1];
    ck_assert_double_eq_tol(sum, all[1][0].sum, 1e-13 * fabs(sum)); /* the reference's pow, against our own */
    ck_assert_double_eq_tol(largest, all[1][0].largest, 1e-14);
    ck_assert_ok(tread_optimizer_set_training(optimizer, false));
    for (size_t i = 0; i < N; i++)
        for (int64_t e = 0; e < sizes[i]; e++) { /* the factor, at most 1 in size, of both errors; three roundings */
            const element *one = &all[i][e];
            double by = fabs(1 - 1 / s.b), error = (1 + by) * one->y.error + by * one->z.error;
            double size = fabs(one->y.value) + 2 * by * (fabs(one->z.value) + fabs(one->y.value));
            check(spec, i, e, param_data(&p, i)[e], average_of(&s, one), error + 3 * BOUNDED_U * size);
        }
    for (size_t i = 0; i < N; i++)
        free(all[i]);
    tread_optimizer_destroy(optimizer);
    params_destroy(&p);
}

START_TEST(trajectories_follow_the_formulas) {
    for (size_t s = 0; s < N_SPECS; s++)
        check_trajectory(specs[s]);
}
END_TEST

/* With equal weights (power 0) the evaluation point of SGD is the plain mean of the z's. */
START_TEST(the_averaged_point_is_the_average_of_z) {
    const int64_t n = 5;
    params p = params_make(1, &n);
    tread_optimizer *optimizer =
        tread_optimizer_from_spec(NULL, params_list(&p), "schedule_free_sgd:lr=0.1,weight_lr_power=0,momentum=0.75");
    double z[5], mean[5] = {0};
    for (int64_t e = 0; e < n; e++)
        z[e] = param_value(0, e);
    for (int64_t t = 0; t < 9; t++) {
        params_set_grads(&p, t, 0);
        ck_assert_ok(tread_optimizer_step(optimizer, NULL));
        for (int64_t e = 0; e < n; e++) {
            z[e] -= (double)0.1f * param_grad(0, e, t);
            mean[e] += z[e] / 9;
        }
    }
    ck_assert_ok(tread_optimizer_set_training(optimizer, false));
    for (int64_t e = 0; e < n; e++) /* 9 steps and the switch of some 8 roundings of numbers below 2 */
        ck_assert_double_eq_tol(param_data(&p, 0)[e], mean[e], 10 * 8 * 2 * BOUNDED_U);
    tread_optimizer_destroy(optimizer);
    params_destroy(&p);
}
END_TEST

/* ---- Modes ---- */

static void run(tread_optimizer *optimizer, params *p, int64_t from, int64_t to) {
    for (int64_t t = from; t < to; t++) {
        params_set_grads(p, t, 1u << 2);
        ck_assert_ok(tread_optimizer_step(optimizer, NULL));
    }
}

/* There and back is not the same to the bit: six roundings, three of them of the differences. Repeated, it does not
 * drift. */
START_TEST(there_and_back_is_within_roundings) {
    for (size_t s = 0; s < N_SPECS; s++) {
        params p = params_make(N, sizes), q = params_make(N, sizes);
        tread_optimizer *optimizer = tread_optimizer_from_spec(NULL, params_list(&p), specs[s]);
        ck_assert(tread_optimizer_is_training(optimizer));
        ck_assert_ok(tread_optimizer_set_training(optimizer, false)); /* before any update: one point */
        ck_assert(!tread_optimizer_is_training(optimizer));
        ck_assert(params_equal(&p, &q));
        ck_assert_ok(tread_optimizer_set_training(optimizer, true));
        ck_assert(params_equal(&p, &q));
        run(optimizer, &p, 0, 7);
        for (size_t i = 0; i < N; i++)
            memcpy(param_data(&q, i), param_data(&p, i), (size_t)sizes[i] * sizeof(float));
        const float *z = optimizer->groups[0].memory.slots[0] + optimizer->items[1].offset;
        for (int again = 0; again < 5; again++) {
            ck_assert_ok(tread_optimizer_set_training(optimizer, false));
            ck_assert_float_ne(param_data(&p, 1)[3], param_data(&q, 1)[3]);
            ck_assert_fails(tread_optimizer_step(optimizer, NULL), TREAD_ERROR_STATE, "a step in evaluation mode");
            ck_assert_ok(tread_optimizer_set_training(optimizer, true));
        }
        for (int64_t e = 0; e < sizes[1]; e++) {
            float y = param_data(&q, 1)[e], size = fabsf(y) + fabsf(z[e]);
            ck_assert_float_eq_tol(param_data(&p, 1)[e], y, 5 * 6 * (float)BOUNDED_U * size);
        }
        ck_assert_mem_eq(param_data(&p, 2), param_data(&q, 2), 4000); /* never updated */
        tread_optimizer_destroy(optimizer);
        params_destroy(&p);
        params_destroy(&q);
    }
}
END_TEST

/* Taken and loaded in either mode: what follows has the same bits. */
START_TEST(the_state_dict_has_the_mode) {
    for (size_t s = 0; s < N_SPECS; s++)
        for (int evaluating = 0; evaluating < 2; evaluating++) {
            params p = params_make(N, sizes), q = params_make(N, sizes);
            tread_optimizer *x = tread_optimizer_from_spec(NULL, params_list(&p), specs[s]);
            run(x, &p, 0, 5);
            ck_assert_ok(tread_optimizer_set_training(x, evaluating == 0));
            tread_state *state = tread_optimizer_state_dict(x);
            for (size_t i = 0; i < N; i++) /* a checkpoint has the parameters too */
                memcpy(param_data(&q, i), param_data(&p, i), (size_t)sizes[i] * sizeof(float));
            char other[64];
            snprintf(other, sizeof other, "%s", tread_optimizer_name(x));
            tread_optimizer *y = tread_optimizer_from_spec(NULL, params_list(&q), other);
            ck_assert_ok(tread_optimizer_load_state_dict(y, state));
            ck_assert_int_eq(tread_optimizer_is_training(y), evaluating == 0);
            ck_assert_ok(tread_optimizer_set_training(x, true));
            ck_assert_ok(tread_optimizer_set_training(y, true));
            run(x, &p, 5, 9);
            run(y, &q, 5, 9);
            ck_assert_msg(params_equal(&p, &q), "%s", specs[s]);
            ck_assert_ok(tread_optimizer_set_training(x, false));
            ck_assert_ok(tread_optimizer_set_training(y, false));
            ck_assert_msg(params_equal(&p, &q), "%s", specs[s]);
            tread_state_destroy(state);
            tread_optimizer_destroy(x);
            tread_optimizer_destroy(y);
            params_destroy(&p);
            params_destroy(&q);
        }
}
END_TEST

/* A rate of 0 at first has W = 0 and must not give 0 / 0; one that is 0 later moves y to z only. */
START_TEST(a_rate_of_0_is_no_division_by_0) {
    static const char *const all[] = {"schedule_free_adamw:lr=0", "schedule_free_sgd:lr=0",
                                      "schedule_free_sgd:lr=0,weight_lr_power=0,r=1.5"};
    for (size_t s = 0; s < sizeof all / sizeof *all; s++) {
        params p = params_make(N, sizes), q = params_make(N, sizes);
        tread_optimizer *optimizer = tread_optimizer_from_spec(NULL, params_list(&p), all[s]);
        run(optimizer, &p, 0, 3);
        ck_assert_msg(params_equal(&p, &q), "%s", all[s]);
        ck_assert_ok(tread_optimizer_set_training(optimizer, false));
        ck_assert_msg(params_equal(&p, &q), "%s", all[s]);
        ck_assert_ok(tread_optimizer_set_training(optimizer, true));
        ck_assert_ok(tread_optimizer_set(optimizer, 0, "lr", 0.5));
        run(optimizer, &p, 3, 5);
        ck_assert(isfinite(param_data(&p, 0)[0]) && param_data(&p, 0)[0] != param_data(&q, 0)[0]);
        tread_optimizer_destroy(optimizer);
        params_destroy(&p);
        params_destroy(&q);
    }
}
END_TEST

/* Switching runs over all groups and threads, and other optimizers take no notice. */
START_TEST(switching_has_the_same_bits_at_any_thread_count) {
    static const int64_t large[] = {70000, 33, 40000};
    float *expected = NULL;
    for (int threads = 1; threads <= 8; threads = threads == 3 ? 8 : threads + 1) {
        tread_context *context = context_with_threads(threads);
        params p = params_make(3, large);
        tread_optimizer *optimizer = tread_optimizer_from_spec(context, params_part(&p, 0, 1), specs[1]);
        ck_assert_ok(tread_optimizer_add_param_group_spec(optimizer, params_part(&p, 1, 2), "lr=0.3,betas=0.5/0.5"));
        for (int64_t t = 0; t < 3; t++) {
            params_set_grads(&p, t, 0);
            ck_assert_ok(tread_optimizer_step(optimizer, NULL));
        }
        ck_assert_ok(tread_optimizer_set_training(optimizer, false));
        if (expected == NULL) {
            expected = malloc(110000 * sizeof(float));
            memcpy(expected, param_data(&p, 0), 70000 * sizeof(float));
            memcpy(expected + 70000, param_data(&p, 2), 40000 * sizeof(float));
        }
        ck_assert_mem_eq(param_data(&p, 0), expected, 70000 * sizeof(float));
        ck_assert_mem_eq(param_data(&p, 2), expected + 70000, 40000 * sizeof(float));
        tread_optimizer_destroy(optimizer);
        params_destroy(&p);
        tread_context_destroy(context);
    }
    free(expected);
    params p = params_make(3, large);
    tread_optimizer *adam = tread_optimizer_from_spec(NULL, params_list(&p), "adam");
    ck_assert_ok(tread_optimizer_set_training(adam, false));
    ck_assert(tread_optimizer_is_training(adam));
    ck_assert_ok(tread_optimizer_step(adam, NULL));
    ck_assert(!tread_optimizer_is_training(NULL));
    tread_optimizer_destroy(adam);
    params_destroy(&p);
}
END_TEST

/* y is a blend by b1, from which another b1 would find another average. */
START_TEST(the_share_of_the_average_is_fixed_by_the_first_update) {
    static const char *const fields[][3] = {{"schedule_free_adamw", "betas[0]", "betas"},
                                            {"schedule_free_sgd", "momentum", "momentum"}};
    for (size_t i = 0; i < 2; i++) {
        params p = params_make(2, (const int64_t[]){3, 20});
        tread_optimizer *optimizer = tread_optimizer_from_spec(NULL, params_list(&p), fields[i][0]);
        ck_assert_ok(tread_optimizer_set(optimizer, 0, fields[i][1], 0.75)); /* nothing was made with it yet */
        params_set_grads(&p, 0, 2);
        ck_assert_ok(tread_optimizer_step(optimizer, NULL));
        double value;
        ck_assert_fails(tread_optimizer_set(optimizer, 0, fields[i][1], 0.5), TREAD_ERROR_STATE, fields[i][1]);
        ck_assert_ptr_nonnull(strstr(tread_last_error(), "is fixed once there were updates"));
        ck_assert_fails(tread_optimizer_set_text(optimizer, 0, fields[i][2], i == 0 ? "0.5/0.999" : "0.5"),
                        TREAD_ERROR_STATE, "is fixed once there were updates");
        ck_assert_ok(tread_optimizer_get(optimizer, 0, fields[i][1], &value));
        ck_assert_double_eq(value, 0.75);
        ck_assert_ok(tread_optimizer_set(optimizer, 0, fields[i][1], 0.75));
        if (i == 0)
            ck_assert_ok(tread_optimizer_set(optimizer, 0, "betas[1]", 0.5));
        ck_assert_ptr_null(tread_lr_scheduler_from_spec(optimizer, "one_cycle_lr:total_steps=9,cycle_momentum=true"));
        ck_assert_ptr_nonnull(strstr(tread_last_error(), "neither momentum nor betas that may change"));
        /* A state dict brings b1 and, with the parameters that were saved beside it, y. */
        tread_state *state = tread_optimizer_state_dict(optimizer);
        params q = params_make(2, (const int64_t[]){3, 20});
        tread_optimizer *other = tread_optimizer_from_spec(NULL, params_list(&q), fields[i][0]);
        ck_assert_ok(tread_optimizer_load_state_dict(other, state));
        for (size_t k = 0; k < 2; k++)
            memcpy(param_data(&q, k), param_data(&p, k), (size_t)(k == 0 ? 3 : 20) * sizeof(float));
        ck_assert_ok(tread_optimizer_set_training(optimizer, false));
        ck_assert_ok(tread_optimizer_set_training(other, false));
        ck_assert(params_equal(&p, &q));
        tread_state_destroy(state);
        tread_optimizer_destroy(other);
        tread_optimizer_destroy(optimizer);
        params_destroy(&p);
        params_destroy(&q);
    }
}
END_TEST

/* b2 = 0 is in range: sqrt(1 - 0^t) is 1, and v is the square itself. b1 = 0 is not, for x is found by 1 / b1. */
START_TEST(without_an_average_of_squares_the_direction_is_a_sign) {
    params p = params_make(1, (const int64_t[]){2});
    ck_assert_ptr_null(tread_optimizer_from_spec(NULL, params_list(&p), "schedule_free_adamw:betas=0/0.5"));
    ck_assert_str_eq(tread_last_error(), "schedule_free_adamw: betas[0] = 0 is outside (0, 1)");
    tread_optimizer *optimizer =
        tread_optimizer_from_spec(NULL, params_list(&p), "schedule_free_adamw:betas=0.5/0,eps=0,lr=0.25");
    ck_assert_msg(optimizer != NULL, "%s", tread_last_error());
    float *x = param_data(&p, 0);
    x[0] = 1, x[1] = 1;
    for (int k = 0; k < 2; k++) {
        param_set_grad(p.items[0], (const float[]){3, -0.5f});
        ck_assert_ok(tread_optimizer_step(optimizer, NULL));
    }
    /* By hand: a = 1/4; k = 0: c = 1, y = z = 1, y = 1 - 1/4, z = 3/4; k = 1: c = 1/2, y = 3/4 + 1/4 (1/4 - 1). */
    ck_assert_float_eq(x[0], 0.5625f);
    ck_assert_float_eq(x[1], 1.4375f);
    tread_optimizer_destroy(optimizer);
    params_destroy(&p);
}
END_TEST

TEST_MAIN("schedule_free", the_share_of_the_average_is_fixed_by_the_first_update,
          without_an_average_of_squares_the_direction_is_a_sign, trajectories_follow_the_formulas,
          the_averaged_point_is_the_average_of_z, there_and_back_is_within_roundings, the_state_dict_has_the_mode,
          a_rate_of_0_is_no_division_by_0, switching_has_the_same_bits_at_any_thread_count)
