/* cycle_momentum: the other way from lr, in every group, also from within other schedulers. */
#include "tests/optim/helpers.h"

static const int64_t sizes[] = {3, 5};

static tread_optimizer *make_optimizer(params *p, const char *spec) {
    *p = params_make(2, sizes);
    tread_optimizer *optimizer = tread_optimizer_from_spec(NULL, params_part(p, 0, 1), spec);
    ck_assert_msg(optimizer != NULL, "%s", tread_last_error());
    ck_assert_ok(tread_optimizer_add_param_group(optimizer, params_part(p, 1, 1), NULL));
    return optimizer;
}

static double momentum_of(const tread_optimizer *optimizer, size_t group, const char *field) {
    double value = NAN;
    ck_assert_ok(tread_optimizer_get(optimizer, group, field, &value));
    return value;
}

#define ONE_CYCLE "one_cycle_lr:total_steps=9,pct_start=0.5555555555555556,anneal_strategy=linear,cycle_momentum=true,"
#define LEVELS "base_momentum=0.5,max_momentum=0.75"
/* At steps 0, 1, ...: steps 0 to 4 up in lr, down in momentum. */
static const double one_cycle[] = {0.75, 0.6875, 0.625, 0.5625, 0.5, 0.5625, 0.625, 0.6875, 0.75, 0.75};
static const double three_phase[] = {0.75, 0.625, 0.5, 0.625, 0.75, 0.75, 0.75, 0.75, 0.75, 0.75};
static const double triangular2[] = {0.75, 0.625, 0.5, 0.625, 0.75, 0.6875, 0.625, 0.6875, 0.75, 0.71875};
static const double after_line[] = {NAN, NAN, 0.75, 0.625, 0.5, 0.625, 0.75, 0.6875, 0.625, 0.6875};
static const double until_3[] = {0.75, 0.625, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5};
#define CYCLIC "cyclic_lr:max_lr=1,step_size_up=2,mode=triangular2,cycle_momentum=true," LEVELS
static const struct {
    const char *spec;
    const double *values; /* NAN: as it was made */
} moves[] = {
    {ONE_CYCLE LEVELS, one_cycle},
    {"one_cycle_lr:total_steps=9,pct_start=0.3333333333333333,three_phase=true,cycle_momentum=true,anneal_strategy="
     "linear," LEVELS,
     three_phase},
    {CYCLIC, triangular2},
    {"sequential_lr:schedulers=[linear_lr]/[" CYCLIC "],milestones=2", after_line},
    {"sequential_lr:schedulers=[" CYCLIC "]/[linear_lr],milestones=3", until_3},
    {"warmup_lr:warmup_iters=2,scheduler=[chained_scheduler:schedulers=[" CYCLIC "]/[constant_lr]]", NULL},
    {"warmup_lr:warmup_iters=2,warmup_prefix=true,scheduler=[chained_scheduler:schedulers=[" CYCLIC "]/[constant_lr]]",
     NULL},
};

START_TEST(momentum_goes_against_lr) {
    static const char *const optimizers[][2] = {{"sgd:momentum=0.9", "momentum"},
                                                {"sgd", "momentum"},
                                                {"sgd:momentum=0.9,nesterov=true,convention=pytorch", "momentum"},
                                                {"adam", "betas[0]"}};
    for (size_t i = 0; i < 5; i++)
        for (size_t k = 0; k < 4; k++) {
            params p;
            tread_optimizer *optimizer = make_optimizer(&p, optimizers[k][0]);
            double before = momentum_of(optimizer, 1, optimizers[k][1]);
            tread_lr_scheduler *scheduler = make_scheduler(optimizer, moves[i].spec);
            uint64_t calls = 0;
            for (int n = 0; n < 10; n++) {
                double want = isnan(moves[i].values[n]) ? before : moves[i].values[n];
                for (size_t g = 0; g < 2; g++)
                    ck_assert_msg(momentum_of(optimizer, g, optimizers[k][1]) == want, "%s of %s: step %d: %g, not %g",
                                  moves[i].spec, optimizers[k][0], n, momentum_of(optimizer, g, optimizers[k][1]),
                                  want);
                if (n == 3)
                    calls = tread_memory_calls();
                ck_assert_ok(tread_lr_scheduler_step(scheduler));
            }
            ck_assert_uint_eq(tread_memory_calls(), calls);
            if (k == 3)
                ck_assert_double_eq(momentum_of(optimizer, 0, "betas[1]"), 0.999);
            double last = momentum_of(optimizer, 0, optimizers[k][1]);
            tread_lr_scheduler_destroy(scheduler); /* it stays where it is */
            ck_assert_double_eq(momentum_of(optimizer, 0, optimizers[k][1]), last);
            tread_optimizer_destroy(optimizer);
            params_destroy(&p);
        }
}
END_TEST

START_TEST(composites_hand_it_on) {
    params p;
    tread_optimizer *optimizer = make_optimizer(&p, "sgd:momentum=0.9");
    for (int prefix = 0; prefix < 2; prefix++) {
        tread_lr_scheduler *scheduler = make_scheduler(optimizer, moves[5 + prefix].spec);
        for (int n = 0; n < 8; n++) {
            int at = n < 2 ? 2 : n; /* during the warm-up, where its end is */
            ck_assert_double_eq(momentum_of(optimizer, 0, "momentum"), triangular2[prefix ? at - 2 : at]);
            ck_assert_ok(tread_lr_scheduler_step(scheduler));
        }
        tread_lr_scheduler_destroy(scheduler);
    }
    tread_optimizer_destroy(optimizer);
    params_destroy(&p);
}
END_TEST

/* A velocity survives the whole cycle, and a resumed run goes on alike whatever is loaded first. */
START_TEST(resuming_keeps_momentum) {
    for (int order = 0; order < 3; order++) { /* 2: the scheduler alone */
        params p, q;
        tread_optimizer *a = make_optimizer(&p, "sgd"), *b = make_optimizer(&q, "sgd");
        tread_lr_scheduler *x = make_scheduler(a, ONE_CYCLE LEVELS),
                           *y = make_scheduler(b, "one_cycle_lr:total_steps=3");
        for (int n = 0; n < 4; n++) {
            params_set_grads(&p, n, 0);
            ck_assert_ok(tread_optimizer_step(a, NULL));
            ck_assert_ok(tread_lr_scheduler_step(x));
        }
        tread_state *optimizer = tread_optimizer_state_dict(a), *scheduler = tread_lr_scheduler_state_dict(x);
        if (order == 0)
            ck_assert_ok(tread_optimizer_load_state_dict(b, optimizer));
        ck_assert_ok(tread_lr_scheduler_load_state_dict(y, scheduler));
        if (order == 1)
            ck_assert_ok(tread_optimizer_load_state_dict(b, optimizer));
        for (size_t i = 0; i < 2; i++)
            memcpy(param_data(&q, i), param_data(&p, i), (size_t)sizes[i] * sizeof(float));
        for (int n = 4; n < 9; n++) {
            ck_assert_double_eq(momentum_of(b, 1, "momentum"), one_cycle[n]);
            ck_assert_double_eq(tread_optimizer_lr(b, 1), tread_optimizer_lr(a, 1));
            params_set_grads(&p, n, 0);
            params_set_grads(&q, n, 0);
            ck_assert_ok(tread_optimizer_step(a, NULL));
            ck_assert_ok(tread_optimizer_step(b, NULL));
            ck_assert(order == 2 || params_equal(&p, &q));
            ck_assert_ok(tread_lr_scheduler_step(x));
            ck_assert_ok(tread_lr_scheduler_step(y));
        }
        tread_state_destroy(optimizer);
        tread_state_destroy(scheduler);
        destroy_run(x, a, &p);
        destroy_run(y, b, &q);
    }
}
END_TEST

/* ---- An optimizer that has neither ---- */

typedef struct plain_options {
    size_t size;
    double lr, clip_grad_max_norm, clip_grad_norm_type;
    bool maximize;
} plain_options;
static const tread_field plain_fields[] = {TREAD_FIELD_LR(plain_options, 0.5), TREAD_FIELDS_OF_ALL(plain_options)};
static void prepare(const void *options, tread_progress *progress, void *ret_factors) {
    (void)options, (void)progress, (void)ret_factors;
}
static void update(const void *factors, const tread_update *u) { (void)factors, (void)u; }
static const tread_optimizer_type plain = {.table = TREAD_TABLE("plain", plain_options, plain_fields, NULL),
                                           .doc = "nothing",
                                           .prepare = prepare,
                                           .update = update};

START_TEST(an_optimizer_without_momentum_is_refused) {
    params p = params_make(1, sizes);
    tread_optimizer *optimizer = tread_optimizer_create(NULL, &plain, params_list(&p), NULL);
    ck_assert_msg(optimizer != NULL, "%s", tread_last_error());
    ck_assert_ptr_null(tread_lr_scheduler_from_spec(optimizer, ONE_CYCLE LEVELS));
    ck_assert_str_eq(tread_last_error(),
                     "one_cycle_lr: cycle_momentum is true, and plain has neither momentum nor betas that may change");
    ck_assert_ptr_null(tread_lr_scheduler_from_spec(optimizer, "warmup_lr:scheduler=[" CYCLIC "]"));
    ck_assert_str_eq(tread_last_error(),
                     "warmup_lr: cycle_momentum is true, and plain has neither momentum nor betas that may change");
    ck_assert(isnan(optimizer->groups[0].initial_lr));
    tread_lr_scheduler *scheduler = make_scheduler(optimizer, "one_cycle_lr:total_steps=9"); /* lr alone is fine */
    params q;
    tread_optimizer *other = make_optimizer(&q, "sgd");
    tread_lr_scheduler *cycles = make_scheduler(other, ONE_CYCLE LEVELS);
    tread_state *state = tread_lr_scheduler_state_dict(cycles);
    ck_assert_fails(tread_lr_scheduler_load_state_dict(scheduler, state), TREAD_ERROR_FORMAT,
                    "last_lr has 2 groups, not 1; base_lrs has 2 groups, not 1; one_cycle_lr: cycle_momentum "
                    "is true, and plain has neither momentum nor betas that may change");
    tread_lr_scheduler *stairs = make_scheduler(optimizer, "step_lr:step_size=2");
    ck_assert_fails(tread_lr_scheduler_load_state_dict(stairs, state), TREAD_ERROR_FORMAT,
                    "2 differences: it is of one_cycle_lr; last_lr has 2 groups, not 1");
    tread_lr_scheduler_destroy(stairs);
    tread_state_destroy(state);
    tread_lr_scheduler_destroy(scheduler);
    tread_lr_scheduler_destroy(cycles);
    tread_optimizer_destroy(optimizer);
    tread_optimizer_destroy(other);
    params_destroy(&p);
    params_destroy(&q);
}
END_TEST

/* Muon's groups of rule adamw have no use for momentum. */
START_TEST(each_group_has_the_momentum_of_its_rule) {
    params p = params_make_for("muon", 2, sizes);
    tread_optimizer *optimizer = tread_optimizer_from_spec(NULL, params_part(&p, 0, 1), "muon");
    ck_assert_ok(tread_optimizer_add_param_group_spec(optimizer, params_part(&p, 1, 1), "rule=adamw"));
    tread_lr_scheduler *scheduler = make_scheduler(optimizer, ONE_CYCLE LEVELS);
    for (int n = 0; n < 9; n++) {
        ck_assert_double_eq(momentum_of(optimizer, 0, "momentum"), one_cycle[n]);
        ck_assert_double_eq(momentum_of(optimizer, 0, "betas[0]"), 0.9);
        ck_assert_double_eq(momentum_of(optimizer, 1, "betas[0]"), one_cycle[n]);
        ck_assert_double_eq(momentum_of(optimizer, 1, "momentum"), 0.95);
        ck_assert_ok(tread_lr_scheduler_step(scheduler));
    }
    tread_lr_scheduler_destroy(scheduler);
    tread_optimizer_destroy(optimizer);
    params_destroy(&p);
}
END_TEST

TEST_MAIN("lr_momentum", each_group_has_the_momentum_of_its_rule, momentum_goes_against_lr, composites_hand_it_on,
          resuming_keeps_momentum, an_optimizer_without_momentum_is_refused)
