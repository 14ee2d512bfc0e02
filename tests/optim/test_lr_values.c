/* What schedulers compute: against formulas in long double, the numbers of the specification, and exact ends. */
#include "optim/lr_scheduler.h"
#include "optim/scalar.h"
#include "tests/optim/helpers.h"
#include "tests/optim/lr_references.h"

static const int64_t sizes[] = {3, 5};

static tread_optimizer *make_optimizer(params *p, double lr) {
    *p = params_make(1, sizes);
    tread_optimizer *optimizer = tread_optimizer_from_spec(NULL, params_list(p), "sgd:momentum=0.5");
    ck_assert_ok(tread_optimizer_set(optimizer, 0, "lr", lr));
    return optimizer;
}

START_TEST(ten_thousand_steps_follow_the_formula) {
    for (const lr_reference *r = lr_references; r->spec != NULL; r++) {
        params p;
        tread_optimizer *optimizer = make_optimizer(&p, 0.3);
        tread_lr_scheduler *scheduler = make_scheduler(optimizer, r->spec);
        for (int64_t n = 0; n <= 10000; n++) {
            double lr = tread_optimizer_lr(optimizer, 0), off = (double)fabsl(lr - r->formula(0.3, n));
            ck_assert_msg(off <= lr_reference_bound(r, 0.3, n), "%s: lr(%lld) = %.17g, off by %g, bound %g", r->spec,
                          (long long)n, lr, off, lr_reference_bound(r, 0.3, n));
            ck_assert_int_eq(tread_lr_scheduler_last_step(scheduler), n);
            ck_assert_ok(tread_lr_scheduler_step(scheduler));
        }
        tread_lr_scheduler_destroy(scheduler);
        tread_optimizer_destroy(optimizer);
        params_destroy(&p);
    }
}
END_TEST

/* Every lr as it stands, whichever step was asked for before; steps allocate nothing. */
START_TEST(any_order_of_steps_gives_the_same_bits) {
    for (const lr_reference *r = lr_references; r->spec != NULL; r++) {
        params p;
        tread_optimizer *optimizer = make_optimizer(&p, 0.3);
        tread_lr_scheduler *scheduler = make_scheduler(optimizer, r->spec), *other = make_scheduler(optimizer, r->spec);
        static double lrs[3000];
        ck_assert_ok(tread_lr_scheduler_step(other)); /* its lr is overwritten below */
        lrs[0] = tread_lr_scheduler_get_last_lr(scheduler, 0);
        uint64_t calls = tread_memory_calls();
        for (int n = 1; n < 3000; n++) {
            ck_assert_ok(tread_lr_scheduler_step(scheduler));
            lrs[n] = tread_optimizer_lr(optimizer, 0);
            ck_assert_double_eq(tread_lr_scheduler_get_last_lr(scheduler, 0), lrs[n]);
        }
        ck_assert_uint_eq(tread_memory_calls(), calls);
        for (int i = 0, n = 17; i < 3000; i++, n = (n + 1237) % 3000) {
            ck_assert_double_eq(tread_lr_scheduler_get_lr(other, 0.3, n), lrs[n]);
            ck_assert_double_eq(tread_lr_scheduler_get_lr(scheduler, 0.3, n), lrs[n]);
        }
        ck_assert(isnan(tread_lr_scheduler_get_lr(scheduler, 0.3, -1)));
        tread_lr_scheduler_destroy(scheduler);
        tread_lr_scheduler_destroy(other);
        tread_optimizer_destroy(optimizer);
        params_destroy(&p);
    }
}
END_TEST

/* At n = 0, 1, T - 1, T, T + 1, 2 T with b = 1: no tolerance where the value is a double, 4 ulp where it is not. */
#define R8 0.35355339059327376 /* sqrt(1 / 8) */
static const struct {
    const char *spec;
    int64_t t;
    double values[6];
} points[] = {
    {"step_lr:step_size=4,gamma=0.5", 4, {1, 1, 1, 0.5, 0.5, 0.25}},
    {"multi_step_lr:milestones=4/8,gamma=0.5", 4, {1, 1, 1, 0.5, 0.5, 0.25}},
    {"exponential_lr:gamma=0.5", 4, {1, 0.5, 0.125, 0.0625, 0.03125, 0.00390625}},
    {"cosine_annealing_lr:T_max=4", 4, {1, 0.5 + R8, 0.5 - R8, 0, 0.5 - R8, 1}},
    {"cosine_annealing_lr:T_max=4,eta_min=0.1", 4, {1, 0.55 + 0.9 * R8, 0.55 - 0.9 * R8, 0.1, 0.55 - 0.9 * R8, 1}},
    {"cosine_decay_lr:decay_steps=4,alpha=0.25", 4, {1, 0.625 + 0.75 * R8, 0.625 - 0.75 * R8, 0.25, 0.25, 0.25}},
    {"polynomial_lr:steps=4,end_learning_rate=0.1", 4, {1, 0.775, 0.325, 0.1, 0.1, 0.1}},
    {"polynomial_lr:steps=4,end_learning_rate=0,power=2", 4, {1, 0.5625, 0.0625, 0, 0, 0}},
    {"polynomial_lr:steps=4,end_learning_rate=0,power=0.5", 4, {1, 0.8660254037844386, 0.5, 0, 0, 0}},
    {"polynomial_lr:steps=4,end_learning_rate=0,cycle=true", 4, {0.75, 0.75, 0.25, 0, 0.375, 0}},
    {"constant_lr:factor=0.5,total_iters=4", 4, {0.5, 0.5, 0.5, 1, 1, 1}},
    {"linear_lr:start_factor=0.5,end_factor=0.3,total_iters=4", 4, {0.5, 0.45, 0.35, 0.3, 0.3, 0.3}},
    {"warmup_lr:warmup_factor=0.5,warmup_iters=4", 4, {0.5, 0.625, 0.875, 1, 1, 1}},
    {"warmup_lr:warmup_factor=0.5,warmup_iters=4,warmup_method=constant", 4, {0.5, 0.5, 0.5, 1, 1, 1}},
    {"warmup_lr:warmup_factor=0,warmup_iters=4,scheduler=[step_lr:step_size=4,gamma=0.5]",
     4,
     {0, 0.125, 0.375, 0.5, 0.5, 0.25}},
    {"warmup_lr:warmup_factor=0,warmup_iters=4,warmup_prefix=true,scheduler=[step_lr:step_size=4,gamma=0.5]",
     4,
     {0, 0.25, 0.75, 1, 1, 0.5}},
    {"warmup_lr:warmup_iters=0,scheduler=[step_lr:step_size=4,gamma=0.5]", 4, {1, 1, 1, 0.5, 0.5, 0.25}},
    {"sequential_lr:schedulers=[constant_lr:factor=0.5]/[step_lr:step_size=4,gamma=0.125],milestones=4",
     4,
     {0.5, 0.5, 0.5, 1, 1, 0.125}},
    {"chained_scheduler:schedulers=[constant_lr:factor=0.5,total_iters=4]/[step_lr:step_size=4,gamma=0.125]",
     4,
     {0.5, 0.5, 0.5, 0.125, 0.125, 0.015625}},
    {"cosine_annealing_warm_restarts:T_0=4", 4, {1, 0.5 + R8, 0.5 - R8, 1, 0.5 + R8, 1}},
    {"cosine_annealing_warm_restarts:T_0=4,T_mult=2,decay_rate=0.5,restart_limit=2",
     4,
     {1, 0.5 + R8, 0.5 - R8, 0.5, 0.48096988312782168, 0.25}},
    {"one_cycle_lr:total_steps=5,pct_start=0.6,div_factor=4,final_div_factor=2",
     5,
     {0.25, 0.625, 0.125, 0.125, 0.125, 0.125}},
    {"one_cycle_lr:total_steps=9,pct_start=0.3333333333333333,div_factor=4,three_phase=true,anneal_strategy=linear",
     9,
     {0.25, 0.625, 0.25 / 1e4, 0.25 / 1e4, 0.25 / 1e4, 0.25 / 1e4}},
    {"one_cycle_lr:total_steps=5,pct_start=0", 5, {1, 4e-6 + (1 - 4e-6) * (0.5 + R8), 4e-6, 4e-6, 4e-6, 4e-6}},
    {"cyclic_lr:max_lr=2,step_size_up=1,step_size_down=3", 4, {1, 2, 4.0 / 3, 1, 2, 1}},
    {"cyclic_lr:max_lr=2,step_size_up=2,mode=triangular2", 4, {1, 1.5, 1.5, 1, 1.25, 1}},
    {"cyclic_lr:max_lr=2,step_size_up=2,mode=exp_range,gamma=0.5", 4, {1, 1.25, 1.0625, 1, 1.015625, 1}},
    {"warmup_stable_decay_lr:warmup_steps=3,stable_steps=1,decay_steps=4,min_factor=0.5",
     4,
     {0.25, 0.5, 1, 1, 0.875, 0.5}},
};

START_TEST(values_at_the_ends_are_exact) {
    params p;
    tread_optimizer *optimizer = make_optimizer(&p, 1);
    for (size_t i = 0; i < sizeof points / sizeof *points; i++) {
        const int64_t t = points[i].t, at[] = {0, 1, t - 1, t, t + 1, 2 * t};
        tread_lr_scheduler *scheduler = make_scheduler(optimizer, points[i].spec);
        for (int k = 0; k < 6; k++) {
            double lr = tread_lr_scheduler_get_lr(scheduler, 1, at[k]), want = points[i].values[k];
            bool exact = ldexp(want, 20) == floor(ldexp(want, 20)) || want == 0.1 || want == 0.3;
            ck_assert_msg(fabs(lr - want) <= (exact ? 0 : 8 * LR_UNIT), "%s: lr(%lld) = %.17g, not %.17g",
                          points[i].spec, (long long)at[k], lr, want);
        }
        tread_lr_scheduler_destroy(scheduler);
    }
    tread_optimizer_destroy(optimizer);
    params_destroy(&p);
}
END_TEST

START_TEST(the_specifications_numbers) {
    static const double cosine[] = {0.1, 0.092360679775, 0.072360679775, 0.047639320225, 0.027639320225, 0.02, 0.02};
    static const double polynomial[] = {0.06436, 0.06436, 0.03664, 0.01684, 0.00496, 0.001, 0.01684};
    params p;
    tread_optimizer *optimizer = make_optimizer(&p, 0.1);
    tread_lr_scheduler *a = make_scheduler(optimizer, "cosine_decay_lr:decay_steps=5,alpha=0.2");
    tread_lr_scheduler *b =
        make_scheduler(optimizer, "polynomial_lr:steps=5,end_learning_rate=1e-3,power=2,cycle=true");
    for (int n = 0; n <= 6; n++) {
        ck_assert_double_eq_tol(tread_lr_scheduler_get_lr(a, 0.1, n), cosine[n], 5e-13); /* 12 decimals are given */
        ck_assert_double_eq_tol(tread_lr_scheduler_get_lr(b, 0.1, n), polynomial[n], 2e-17);
    }
    tread_lr_scheduler_destroy(a);
    tread_lr_scheduler_destroy(b);
    tread_optimizer_destroy(optimizer);
    params_destroy(&p);
}
END_TEST

/* Far steps neither overflow nor take long. */
START_TEST(steps_may_be_far) {
    params p;
    tread_optimizer *optimizer = make_optimizer(&p, 1);
    const int64_t far = (int64_t)1 << 53;
    for (const lr_reference *r = lr_references; r->spec != NULL; r++) {
        tread_lr_scheduler *scheduler = make_scheduler(optimizer, r->spec);
        double lr = tread_lr_scheduler_get_lr(scheduler, 1, far);
        ck_assert_msg(lr >= 0, "%s: %g", r->spec, lr); /* gamma 1.001 has become infinite */
        ck_assert(isnan(tread_lr_scheduler_get_lr(scheduler, 1, far + 1)));
        ck_assert(isnan(tread_lr_scheduler_get_lr(scheduler, 1, INT64_MAX)));
        tread_lr_scheduler_destroy(scheduler);
    }
    tread_step_lr_options o = tread_step_lr_defaults();
    tread_lr_scheduler_destroy(make_scheduler(optimizer, "step_lr:step_size=9007199254740992"));
    ck_assert_ptr_null(tread_lr_scheduler_from_spec(optimizer, "step_lr:step_size=9007199254740994"));
    ck_assert_str_eq(tread_last_error(),
                     "step_lr: step_size = 9007199254740994 is outside [1, 2^53], and there is no default");
    ck_assert_ptr_null(tread_lr_scheduler_from_spec(optimizer, "multi_step_lr:milestones=1/1e18"));
    ck_assert_str_eq(tread_last_error(), "multi_step_lr: milestones[1] = 1e+18 is outside [1, 2^53]");
    o.step_size = far + 2;
    ck_assert_ptr_null(tread_step_lr(optimizer, &o));
    ck_assert_str_eq(tread_last_error(),
                     "step_lr: step_size = 9007199254740994 is outside [1, 2^53], and there is no default");
    o.step_size = far;
    o.last_step = INT64_MAX;
    ck_assert_ptr_null(tread_step_lr(optimizer, &o));
    ck_assert_str_eq(tread_last_error(), "step_lr: last_step = 9.223372036854776e+18 is outside [-1, 2^53]");
    tread_optimizer_destroy(optimizer);
    params_destroy(&p);
}
END_TEST

START_TEST(scalar_functions_keep_their_bounds) {
    double cosine = 0, worst = 0;
    for (int i = 0; i <= 100000; i++) {
        double t = i / 100000.0;
        cosine = fmax(cosine, (double)fabsl(tread_cos_pi_unit(t) - cosl(3.14159265358979323846264338L * t)));
    }
    ck_assert_double_lt(cosine, 4 * LR_UNIT);
    ck_assert_double_eq(tread_cos_pi_unit(0), 1);
    ck_assert_double_eq(tread_cos_pi_unit(0.5), 0);
    ck_assert_double_eq(tread_cos_pi_unit(1), -1);
    static const double exponents[] = {0, 0.1, 0.5, 0.9, 1, 1.5, 2, 2.25, 3, 4.5, 17, 123.456};
    for (size_t e = 0; e < sizeof exponents / sizeof *exponents; e++)
        for (int i = 1; i <= 10000; i++) {
            double x = i / 10000.0, y = exponents[e], got = tread_real_power(x, y);
            long double want = powl(x, y), bound = (3 * fabsl(y * logl(x)) + 2) * LR_UNIT;
            if (2 * y == floor(2 * y)) /* squarings, the root and its product */
                bound = (y + 2) * LR_UNIT;
            if (want < 1e-300L) /* it becomes subnormal */
                continue;
            worst = fmax(worst, (double)(fabsl(got - want) / want / bound));
        }
    ck_assert_double_le(worst, 1);
    ck_assert_double_eq(tread_real_power(0, 0), 1);
    ck_assert_double_eq(tread_real_power(0, 0.3), 0);
    ck_assert_double_eq(tread_real_power(1, 0.3), 1);
    ck_assert_double_eq(tread_between(0.1, 0.7, 0), 0.1);
    ck_assert_double_eq(tread_between(0.3, 0.9, 1), 0.9); /* 0.3 + (0.9 - 0.3) is not */
}
END_TEST

TEST_MAIN("lr_values", ten_thousand_steps_follow_the_formula, any_order_of_steps_gives_the_same_bits,
          values_at_the_ends_are_exact, the_specifications_numbers, steps_may_be_far,
          scalar_functions_keep_their_bounds)
