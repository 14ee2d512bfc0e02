/* State dicts of schedulers: resuming every one at any step in any order, and states that do not fit. */
#include "tests/optim/helpers.h"

#include "tests/optim/lr_references.h"

static const int64_t sizes[] = {3, 5};

static tread_optimizer *make_optimizer(params *p, double first, double second) {
    *p = params_make(2, sizes);
    tread_optimizer *optimizer = tread_optimizer_from_spec(NULL, params_part(p, 0, 1), "sgd:momentum=0.5");
    ck_assert_ok(tread_optimizer_add_param_group(optimizer, params_part(p, 1, 1), NULL));
    ck_assert_ok(tread_optimizer_set(optimizer, 0, "lr", first));
    ck_assert_ok(tread_optimizer_set(optimizer, 1, "lr", second));
    return optimizer;
}

/* ---- Resuming ---- */

enum order { OPTIMIZER_FIRST, SCHEDULER_FIRST, SCHEDULER_ALONE, LAST_STEP, N_ORDERS };

static tread_lr_scheduler *resume(enum order order, tread_optimizer *optimizer, const char *spec, int64_t step,
                                  const tread_state *of_optimizer, const tread_state *of_scheduler) {
    if (order == LAST_STEP) { /* the constructor's: step - 1 was the last one */
        char text[500];
        ck_assert_ok(tread_optimizer_load_state_dict(optimizer, of_optimizer));
        snprintf(text, sizeof text, "%s%clast_step=%lld", spec, strchr(spec, ':') != NULL ? ',' : ':',
                 (long long)step - 1);
        return make_scheduler(optimizer, text);
    }
    tread_lr_scheduler *scheduler = make_scheduler(optimizer, spec);
    ck_assert_ok(tread_lr_scheduler_step(scheduler));
    if (order == OPTIMIZER_FIRST)
        ck_assert_ok(tread_optimizer_load_state_dict(optimizer, of_optimizer));
    ck_assert_ok(tread_lr_scheduler_load_state_dict(scheduler, of_scheduler));
    if (order == SCHEDULER_FIRST)
        ck_assert_ok(tread_optimizer_load_state_dict(optimizer, of_optimizer));
    return scheduler;
}

static void resume_at(const char *spec, int64_t step, enum order order) {
    params p, q;
    tread_optimizer *a = make_optimizer(&p, 0.1, 0.2), *b = make_optimizer(&q, 5, 6);
    tread_lr_scheduler *x = make_scheduler(a, spec);
    for (int64_t n = 0; n < step; n++)
        ck_assert_ok(tread_lr_scheduler_step(x));
    tread_state *optimizer = tread_optimizer_state_dict(a), *scheduler = tread_lr_scheduler_state_dict(x);
    tread_lr_scheduler *y = resume(order, b, spec, step, optimizer, scheduler);
    for (int64_t n = step; n < step + 20; n++) {
        ck_assert_int_eq(tread_lr_scheduler_last_step(y), n);
        for (size_t g = 0; g < 2; g++) {
            ck_assert_msg(tread_optimizer_lr(b, g) == tread_optimizer_lr(a, g), "%s: step %lld: %.17g, not %.17g", spec,
                          (long long)n, tread_optimizer_lr(b, g), tread_optimizer_lr(a, g));
            ck_assert_double_eq(tread_lr_scheduler_get_last_lr(y, g), tread_optimizer_lr(a, g));
        }
        ck_assert_ok(tread_lr_scheduler_step(x));
        ck_assert_ok(tread_lr_scheduler_step(y));
    }
    tread_state_destroy(optimizer);
    tread_state_destroy(scheduler);
    destroy_run(x, a, &p);
    destroy_run(y, b, &q);
}

START_TEST(every_scheduler_resumes_at_any_step_in_any_order) {
    static const int64_t steps[] = {0, 1, 6, 390, 1995};
    for (const lr_reference *r = lr_references; r->spec != NULL; r++)
        for (size_t i = 0; i < sizeof steps / sizeof *steps; i++)
            for (int order = 0; order < N_ORDERS; order++)
                resume_at(r->spec, steps[i], (enum order)order);
}
END_TEST

/* All options that a state holds replace what is there, at every depth. */
START_TEST(loading_replaces_inner_options) {
    params p, q;
    tread_optimizer *a = make_optimizer(&p, 0.5, 2), *b = make_optimizer(&q, 0.5, 2);
    tread_lr_scheduler *x =
        make_scheduler(a, "warmup_lr:warmup_iters=3,scheduler=[sequential_lr:schedulers=[multi_step_lr:milestones="
                          "2/4,gamma=0.25]/[cyclic_lr:max_lr=4/8,step_size_up=2],milestones=7]");
    tread_lr_scheduler *y =
        make_scheduler(b, "warmup_lr:warmup_method=constant,scheduler=[sequential_lr:schedulers=[multi_step_lr]/"
                          "[cyclic_lr:max_lr=1,mode=exp_range,gamma=0.5],milestones=1]");
    tread_state *state = tread_lr_scheduler_state_dict(x);
    ck_assert_ok(tread_lr_scheduler_load_state_dict(y, state));
    ck_assert_ok(tread_lr_scheduler_load_state_dict(y, state)); /* and once more over the loaded ones */
    for (int n = 0; n < 20; n++) {
        ck_assert_double_eq(tread_optimizer_lr(b, 0), tread_optimizer_lr(a, 0));
        ck_assert_double_eq(tread_optimizer_lr(b, 1), tread_optimizer_lr(a, 1));
        ck_assert_ok(tread_lr_scheduler_step(x));
        ck_assert_ok(tread_lr_scheduler_step(y));
    }
    tread_state_destroy(state);
    destroy_run(x, a, &p);
    destroy_run(y, b, &q);
}
END_TEST

/* Loading replaces options, not the handles that the caller has: those stay what the header says of inner ones. */
START_TEST(handles_outlive_loading) {
    params p;
    tread_optimizer *optimizer = make_optimizer(&p, 0.5, 2);
    tread_lr_scheduler *inner = make_scheduler(optimizer, "step_lr:step_size=3"), *middle, *outer;
    tread_warmup_lr_options w = tread_warmup_lr_defaults();
    w.scheduler = inner;
    middle = tread_warmup_lr(optimizer, &w);
    tread_chained_scheduler_options c = tread_chained_scheduler_defaults();
    c.schedulers = &middle;
    c.n_schedulers = 1;
    outer = tread_chained_scheduler(optimizer, &c);
    tread_state *state = tread_lr_scheduler_state_dict(outer);
    for (int i = 0; i < 2; i++) {
        ck_assert_ok(tread_lr_scheduler_load_state_dict(outer, state));
        ck_assert_fails(tread_lr_scheduler_step(inner), TREAD_ERROR_STATE, "step_lr: it is part of another scheduler");
        ck_assert_fails(tread_lr_scheduler_step(middle), TREAD_ERROR_STATE, "warmup_lr: it is part of another");
        tread_lr_scheduler_destroy(inner); /* nothing happens */
        tread_lr_scheduler_destroy(middle);
        ck_assert_double_eq(tread_lr_scheduler_get_lr(outer, 0.5, 6), 0.5 * (0.1 * 0.1));
    }
    tread_state_destroy(state);
    tread_lr_scheduler_destroy(outer);
    tread_optimizer_destroy(optimizer);
    params_destroy(&p);
}
END_TEST

/* ---- States that do not fit ---- */

START_TEST(states_of_other_composites_are_refused) {
    static const struct {
        const char *of, *sentence;
    } bad[] = {
        {"sequential_lr:schedulers=[linear_lr]/[step_lr:step_size=2],milestones=3", "it is of sequential_lr"},
        {"warmup_lr", "warmup_lr: the state does not fit, 1 difference: options: 0 scheduler, not 1"},
        {"warmup_lr:scheduler=[linear_lr]",
         "warmup_lr: the state does not fit, 1 difference: options: scheduler: is of linear_lr, not sequential_lr"},
        {"warmup_lr:scheduler=[sequential_lr:schedulers=[linear_lr],milestones=]",
         "1 difference: options: scheduler: 1 schedulers, not 2"},
        {"warmup_lr:scheduler=[sequential_lr:schedulers=[step_lr:step_size=2]/[linear_lr],milestones=3]",
         "2 differences: options: scheduler: schedulers[0]: is of step_lr, not linear_lr; options: scheduler: "
         "schedulers[1]: is of linear_lr, not step_lr"},
    };
    params p, q;
    tread_optimizer *optimizer = make_optimizer(&p, 0.5, 2), *other = make_optimizer(&q, 0.5, 2);
    tread_lr_scheduler *scheduler = make_scheduler(
        optimizer, "warmup_lr:scheduler=[sequential_lr:schedulers=[linear_lr]/[step_lr:step_size=2],milestones=3]");
    ck_assert_ok(tread_lr_scheduler_step(scheduler));
    double lr = tread_optimizer_lr(optimizer, 1);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        tread_lr_scheduler *from = make_scheduler(other, bad[i].of);
        tread_state *state = tread_lr_scheduler_state_dict(from);
        uint64_t live = tread_memory_live_blocks();
        ck_assert_fails(tread_lr_scheduler_load_state_dict(scheduler, state), TREAD_ERROR_FORMAT, bad[i].sentence);
        ck_assert_uint_eq(tread_memory_live_blocks(), live);
        ck_assert_double_eq(tread_optimizer_lr(optimizer, 1), lr);
        ck_assert_int_eq(tread_lr_scheduler_last_step(scheduler), 1);
        tread_state_destroy(state);
        tread_lr_scheduler_destroy(from);
    }
    tread_lr_scheduler_destroy(scheduler);
    tread_optimizer_destroy(optimizer);
    tread_optimizer_destroy(other);
    params_destroy(&p);
    params_destroy(&q);
}
END_TEST

/* The state of linear_lr within warmup_lr, as it should be but for one thing. */
enum fault {
    NONE,
    NO_ALGORITHM,
    NO_OPTIONS,
    OPTIONS_A_LIST,
    VALUE_OUT_OF_RANGE,
    VALUE_MISSING,
    SCHEDULER_A_LIST,
    FAR,
    SURPLUS,
    FAULTS
};

static tread_state *state_with(enum fault fault) {
    tread_state *root = tread_state_create(), *options, *inner, *of_inner;
    ck_assert_ok(tread_state_add_string(root, "algorithm", "warmup_lr"));
    ck_assert_ok(tread_state_add_integer(root, "last_step", fault == FAR ? INT64_MAX : 2));
    for (int list = 0; list < 2; list++) {
        tread_state *lrs = tread_state_add_list(root, list == 0 ? "last_lr" : "base_lrs");
        for (int g = 0; g < 2; g++)
            ck_assert_ok(tread_state_add_real(lrs, NULL, 0.5));
    }
    options = tread_state_add_tree(root, "options");
    ck_assert_ok(tread_state_add_real(options, "warmup_factor", 0.5));
    ck_assert_ok(tread_state_add_integer(options, "warmup_iters", 4));
    ck_assert_ok(tread_state_add_string(options, "warmup_method", "linear"));
    ck_assert_ok(tread_state_add_integer(options, "warmup_prefix", 0));
    ck_assert_ok(tread_state_add_integer(options, "verbose", 0));
    inner = fault == SCHEDULER_A_LIST ? tread_state_add_list(options, "scheduler")
                                      : tread_state_add_tree(options, "scheduler");
    if (fault == SCHEDULER_A_LIST)
        return root;
    if (fault == SURPLUS) {
        ck_assert_ok(tread_state_add_integer(root, "first", 0));
        ck_assert_ok(tread_state_add_integer(options, "last_step", 0)); /* a field, but none that is saved */
        ck_assert_ok(tread_state_add_integer(inner, "third", 0));
    }
    if (fault == NO_ALGORITHM)
        ck_assert_ok(tread_state_add_integer(inner, "spare", 0)); /* not empty: that is no scheduler */
    else
        ck_assert_ok(tread_state_add_string(inner, "algorithm", "linear_lr"));
    if (fault == NO_OPTIONS)
        return root;
    of_inner =
        fault == OPTIONS_A_LIST ? tread_state_add_list(inner, "options") : tread_state_add_tree(inner, "options");
    if (fault == OPTIONS_A_LIST)
        return root;
    ck_assert_ok(tread_state_add_real(of_inner, "start_factor", 0.5));
    if (fault != VALUE_MISSING)
        ck_assert_ok(tread_state_add_real(of_inner, "end_factor", fault == VALUE_OUT_OF_RANGE ? -1 : 1));
    ck_assert_ok(tread_state_add_integer(of_inner, "total_iters", 4));
    ck_assert_ok(tread_state_add_integer(of_inner, "verbose", 0));
    return root;
}

START_TEST(damaged_states_are_refused) {
    static const char *const sentences[FAULTS] = {
        [NO_ALGORITHM] = "options: scheduler: state: there is no string 'algorithm'",
        [NO_OPTIONS] = "options: scheduler: state: there is no tree 'options'",
        [OPTIONS_A_LIST] = "options: scheduler: state: 'options'",
        [VALUE_OUT_OF_RANGE] = "options: scheduler: linear_lr: end_factor = -1 is outside [0, inf)",
        [VALUE_MISSING] = "options: scheduler: end_factor is missing, and should be in [0, inf)",
        [SCHEDULER_A_LIST] = "options: scheduler is of another kind",
        [SURPLUS] = "3 differences: warmup_lr: 'first' is not part of it; options: scheduler: 'third' is not part of "
                    "it; options: 'last_step' is not part of it",
        [FAR] = "last_step = 9223372036854775807 is more than 2^53",
    };
    params p;
    tread_optimizer *optimizer = make_optimizer(&p, 4, 2);
    tread_lr_scheduler *scheduler = make_scheduler(optimizer, "warmup_lr:scheduler=[linear_lr]");
    double lr = tread_optimizer_lr(optimizer, 0);
    for (int fault = FAULTS - 1; fault >= NONE; fault--) {
        tread_state *state = state_with((enum fault)fault);
        if (fault == NONE)
            ck_assert_ok(tread_lr_scheduler_load_state_dict(scheduler, state));
        else
            ck_assert_fails(tread_lr_scheduler_load_state_dict(scheduler, state), TREAD_ERROR_FORMAT, sentences[fault]);
        ck_assert_double_eq(tread_optimizer_lr(optimizer, 0),
                            fault == NONE ? 0.375 : lr); /* 0.5 (0.5 + (1 - 0.5) / 2) */
        tread_state_destroy(state);
    }
    tread_lr_scheduler_destroy(scheduler);
    tread_optimizer_destroy(optimizer);
    params_destroy(&p);
}
END_TEST

/* ---- Allocations ---- */

typedef struct loading {
    tread_optimizer *optimizer;
    tread_lr_scheduler *scheduler;
    tread_state *state;
    double lr;
} loading;
static void *take_state(void *data) { return tread_lr_scheduler_state_dict(((loading *)data)->scheduler); }
static void unmake_state(void *data, void *made) {
    (void)data;
    tread_state_destroy(made);
}
static void *load_state(void *data) {
    loading *l = data;
    ck_assert_double_eq(tread_optimizer_lr(l->optimizer, 0), l->lr); /* after the failures so far */
    ck_assert_int_eq(tread_lr_scheduler_last_step(l->scheduler), 3);
    return tread_lr_scheduler_load_state_dict(l->scheduler, l->state) == TREAD_OK ? l : NULL;
}
static void keep(void *data, void *made) { ck_assert_ptr_eq(data, made); }

START_TEST(failing_allocations_change_nothing) {
    params p;
    loading l = {.optimizer = make_optimizer(&p, 0.5, 2)};
    l.scheduler =
        make_scheduler(l.optimizer, "warmup_lr:scheduler=[sequential_lr:schedulers=[multi_step_lr:milestones=2/3]/"
                                    "[one_cycle_lr:total_steps=9,max_lr=1/2,cycle_momentum=true],milestones=4]");
    l.state = take_state(&l);
    for (int n = 0; n < 3; n++)
        ck_assert_ok(tread_lr_scheduler_step(l.scheduler));
    l.lr = tread_optimizer_lr(l.optimizer, 0);
    fail_every_allocation(take_state, unmake_state, &l);
    fail_every_allocation(load_state, keep, &l);
    ck_assert_int_eq(tread_lr_scheduler_last_step(l.scheduler), 0);
    tread_state_destroy(l.state);
    tread_lr_scheduler_destroy(l.scheduler);
    tread_optimizer_destroy(l.optimizer);
    params_destroy(&p);
}
END_TEST

TEST_MAIN("lr_state", every_scheduler_resumes_at_any_step_in_any_order, loading_replaces_inner_options,
          handles_outlive_loading, states_of_other_composites_are_refused, damaged_states_are_refused,
          failing_allocations_change_nothing)
