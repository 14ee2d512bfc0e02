/* lambda_lr and multiplicative_lr: what they compute, how often they call, and what becomes of contexts. */
#include "tests/optim/helpers.h"

static const int64_t sizes[] = {3, 5, 2};

static tread_optimizer *make_optimizer(params *p) {
    *p = params_make(3, sizes);
    tread_optimizer *optimizer = tread_optimizer_from_spec(NULL, params_part(p, 0, 1), "sgd:lr=0.5");
    ck_assert_ok(tread_optimizer_add_param_group_spec(optimizer, params_part(p, 1, 1), "lr=2"));
    return optimizer;
}

/* A function with something to remember: the rate at which it falls. */
typedef struct falling {
    double rate;
    int calls, loads, load_fails_at, save_fails;
} falling;

static double fall(void *context, int64_t step) {
    falling *f = context;
    f->calls++;
    return 1 / (1 + f->rate * (double)step);
}
static tread_state *save(const void *context) {
    const falling *f = context;
    if (f->save_fails)
        tread_fail(TREAD_ERROR_CALLBACK, "falling: save fails");
    tread_state *state = f->save_fails ? NULL : tread_state_create();
    if (state != NULL && tread_state_add_real(state, "rate", f->rate) != TREAD_OK) {
        tread_state_destroy(state);
        return NULL;
    }
    return state;
}
static tread_status load(void *context, const tread_state *state) {
    falling *f = context;
    if (++f->loads == f->load_fails_at)
        return tread_fail(TREAD_ERROR_CALLBACK, "falling: load fails");
    return tread_state_get_real(state, "rate", &f->rate);
}
static double at_step(void *context, int64_t step) {
    (void)context;
    return (double)(2 - step);
}
static double not_a_number(void *context, int64_t step) {
    (void)context;
    return step < 2 ? 1 : NAN;
}

static tread_lr_function function_of(falling *f) {
    return (tread_lr_function){.evaluate = fall, .context = f, .save = save, .load = load};
}
static tread_lr_scheduler *lambda(tread_optimizer *optimizer, const tread_lr_function *functions, size_t n) {
    tread_lambda_lr_options o = tread_lambda_lr_defaults();
    o.functions = functions;
    o.n_functions = n;
    return tread_lambda_lr(optimizer, &o);
}
static tread_lr_scheduler *multiplicative(tread_optimizer *optimizer, const tread_lr_function *functions, size_t n) {
    tread_multiplicative_lr_options o = tread_multiplicative_lr_defaults();
    o.functions = functions;
    o.n_functions = n;
    return tread_multiplicative_lr(optimizer, &o);
}

START_TEST(lambdas_multiply_the_base) {
    params p;
    tread_optimizer *optimizer = make_optimizer(&p);
    falling slow = {.rate = 0.001}, fast = {.rate = 1};
    tread_lr_function functions[] = {function_of(&slow), function_of(&fast)};
    tread_lr_scheduler *two = lambda(optimizer, functions, 2);
    ck_assert_msg(two != NULL, "%s", tread_last_error());
    memset(functions, 0, sizeof functions); /* they were copied */
    for (int n = 0; n <= 10000; n++) {
        ck_assert_double_eq(tread_optimizer_lr(optimizer, 0), 0.5 * (1 / (1 + 0.001 * n)));
        ck_assert_double_eq(tread_optimizer_lr(optimizer, 1), 2 * (1 / (1 + 1.0 * n)));
        ck_assert_ok(tread_lr_scheduler_step(two));
    }
    tread_lr_scheduler_destroy(two);
    functions[0] = function_of(&slow);
    tread_lr_scheduler *one = lambda(optimizer, functions, 1);
    ck_assert_ok(tread_lr_scheduler_step(one));
    ck_assert_double_eq(tread_optimizer_lr(optimizer, 1), 2 * (1 / 1.001));
    ck_assert_ok(tread_optimizer_add_param_group_spec(optimizer, params_part(&p, 2, 1), "lr=4"));
    ck_assert_ok(tread_lr_scheduler_step(one));
    ck_assert_double_eq(tread_optimizer_lr(optimizer, 2), 4 * (1 / 1.002));
    tread_lr_scheduler_destroy(one);
    tread_optimizer_destroy(optimizer);
    params_destroy(&p);
}
END_TEST

/* The product from left to right, one call a step and group, whatever was asked for between. */
START_TEST(products_cost_one_call_a_step) {
    params p;
    tread_optimizer *optimizer = make_optimizer(&p);
    falling slow = {.rate = 0.0001}, fast = {.rate = 0.001};
    const tread_lr_function functions[] = {function_of(&slow), function_of(&fast)};
    tread_lr_scheduler *scheduler = multiplicative(optimizer, functions, 2);
    static double lrs[10001];
    double a = 1, b = 1;
    for (int n = 0; n <= 10000; n++) {
        if (n > 0) {
            a *= 1 / (1 + 0.0001 * n);
            b *= 1 / (1 + 0.001 * n);
            ck_assert_ok(tread_lr_scheduler_step(scheduler));
        }
        lrs[n] = tread_optimizer_lr(optimizer, 0);
        ck_assert_double_eq(lrs[n], 0.5 * a);
        ck_assert_double_eq(tread_optimizer_lr(optimizer, 1), 2 * b);
    }
    ck_assert_int_eq(slow.calls, 10000);
    ck_assert_int_eq(fast.calls, 10000);
    for (int i = 0, n = 17; i < 100; i++, n = (n + 3701) % 10000)
        ck_assert_double_eq(tread_lr_scheduler_get_lr(scheduler, 0.5, n), lrs[n]);
    uint64_t calls = tread_memory_calls();
    ck_assert_ok(tread_lr_scheduler_step(scheduler));
    ck_assert_uint_eq(tread_memory_calls(), calls);
    tread_lr_scheduler_destroy(scheduler);
    tread_optimizer_destroy(optimizer);
    params_destroy(&p);
}
END_TEST

START_TEST(bad_functions_and_results_are_refused) {
    params p;
    tread_optimizer *optimizer = make_optimizer(&p);
    falling f = {.rate = 1};
    tread_lr_function functions[] = {function_of(&f), function_of(&f), function_of(&f)};
    ck_assert_ptr_null(lambda(optimizer, functions, 3));
    ck_assert_str_eq(tread_last_error(), "lambda_lr: functions has 3 entries for 2 groups; give one, or one per group");
    ck_assert_ptr_null(multiplicative(optimizer, NULL, 0));
    ck_assert_str_eq(tread_last_error(), "multiplicative_lr: functions is empty, and there is no default");
    ck_assert_ptr_null(lambda(optimizer, NULL, 1));
    ck_assert_str_eq(tread_last_error(), "lambda_lr: functions is NULL, and its count 1");
    functions[1].evaluate = NULL;
    ck_assert_ptr_null(lambda(optimizer, functions, 2));
    ck_assert_str_eq(tread_last_error(), "lambda_lr: functions[1].evaluate is NULL");
    functions[0].load = NULL;
    ck_assert_ptr_null(multiplicative(optimizer, functions, 1));
    ck_assert_str_eq(tread_last_error(), "multiplicative_lr: functions[0] has save and no load; they go together");
    ck_assert_ptr_null(optimizer->schedulers);
    ck_assert(isnan(optimizer->groups[0].initial_lr));

    const tread_lr_function negative = {.evaluate = at_step}, nan = {.evaluate = not_a_number};
    tread_lr_scheduler *scheduler = lambda(optimizer, &negative, 1);
    for (int n = 0; n < 2; n++)
        ck_assert_ok(tread_lr_scheduler_step(scheduler));
    ck_assert_fails(tread_lr_scheduler_step(scheduler), TREAD_ERROR_NUMERIC,
                    "lambda_lr: lr of group 0 at step 3 is -0.5, outside [0, inf)");
    ck_assert_double_eq(tread_optimizer_lr(optimizer, 1), 0);
    ck_assert_int_eq(tread_lr_scheduler_last_step(scheduler), 2);
    tread_lr_scheduler_destroy(scheduler);
    scheduler = multiplicative(optimizer, &nan, 1);
    ck_assert_ok(tread_lr_scheduler_step(scheduler));
    ck_assert_fails(tread_lr_scheduler_step(scheduler), TREAD_ERROR_NUMERIC, "at step 2 is nan");
    tread_lr_scheduler_destroy(scheduler);
    tread_optimizer_destroy(optimizer);
    params_destroy(&p);
}
END_TEST

/* ---- Contexts in state dicts ---- */

/* Functions at two depths: a lambda for each group, and a product within a composite within a composite. */
typedef struct world {
    params p;
    tread_optimizer *optimizer;
    falling contexts[3];
    tread_lr_scheduler *scheduler;
} world;

static void world_make(world *w, double rate) {
    *w = (world){.contexts = {{.rate = rate}, {.rate = 2 * rate}, {.rate = 3 * rate}}};
    w->optimizer = make_optimizer(&w->p);
    tread_lr_function functions[3];
    for (int i = 0; i < 3; i++)
        functions[i] = function_of(&w->contexts[i]);
    tread_lr_scheduler *first = lambda(w->optimizer, functions, 2),
                       *second = multiplicative(w->optimizer, functions + 2, 1);
    tread_warmup_lr_options warm = tread_warmup_lr_defaults();
    warm.scheduler = second;
    second = tread_warmup_lr(w->optimizer, &warm);
    tread_lr_scheduler *const both[] = {first, second};
    tread_chained_scheduler_options o = tread_chained_scheduler_defaults();
    o.schedulers = both;
    o.n_schedulers = 2;
    w->scheduler = tread_chained_scheduler(w->optimizer, &o);
    ck_assert_msg(w->scheduler != NULL, "%s", tread_last_error());
}
static void world_destroy(world *w) {
    tread_lr_scheduler_destroy(w->scheduler);
    tread_optimizer_destroy(w->optimizer);
    params_destroy(&w->p);
}

START_TEST(contexts_are_saved_and_loaded) {
    world a, b;
    world_make(&a, 0.125);
    world_make(&b, 9);
    for (int n = 0; n < 7; n++)
        ck_assert_ok(tread_lr_scheduler_step(a.scheduler));
    tread_state *state = tread_lr_scheduler_state_dict(a.scheduler);
    ck_assert_msg(state != NULL, "%s", tread_last_error());
    ck_assert_ok(tread_lr_scheduler_load_state_dict(b.scheduler, state));
    ck_assert_double_eq(b.contexts[2].rate, 0.375);
    for (int n = 0; n < 5; n++) {
        for (size_t g = 0; g < 2; g++)
            ck_assert_double_eq(tread_optimizer_lr(b.optimizer, g), tread_optimizer_lr(a.optimizer, g));
        ck_assert_ok(tread_lr_scheduler_step(a.scheduler));
        ck_assert_ok(tread_lr_scheduler_step(b.scheduler));
    }
    tread_state_destroy(state);
    world_destroy(&a);
    world_destroy(&b);
}
END_TEST

static tread_state *state_to_load;
static void *load_state(void *data) {
    return tread_lr_scheduler_load_state_dict(data, state_to_load) == TREAD_OK ? data : NULL;
}
static void *take_state(void *data) { return tread_lr_scheduler_state_dict(data); }
static void unmake_state(void *data, void *made) {
    (void)data;
    tread_state_destroy(made);
}
static void keep(void *data, void *made) { ck_assert_ptr_eq(data, made); }

/* Whichever load fails, and whichever allocation: all contexts are as they were. */
START_TEST(contexts_load_all_or_none) {
    world a, b;
    world_make(&a, 0.125);
    world_make(&b, 8);
    ck_assert_ok(tread_lr_scheduler_step(a.scheduler));
    state_to_load = tread_lr_scheduler_state_dict(a.scheduler);
    double lr = tread_optimizer_lr(b.optimizer, 1);
    for (int failing = 0; failing < 3; failing++) {
        b.contexts[failing].load_fails_at = b.contexts[failing].loads + 1;
        ck_assert_fails(tread_lr_scheduler_load_state_dict(b.scheduler, state_to_load), TREAD_ERROR_CALLBACK,
                        "falling: load fails");
        for (int i = 0; i < 3; i++)
            ck_assert_double_eq(b.contexts[i].rate, 8.0 * (i + 1));
        ck_assert_double_eq(tread_optimizer_lr(b.optimizer, 1), lr);
        ck_assert_int_eq(tread_lr_scheduler_last_step(b.scheduler), 0);
        b.contexts[failing].load_fails_at = 0;
    }
    b.contexts[1].save_fails = 1;
    ck_assert_fails(tread_lr_scheduler_load_state_dict(b.scheduler, state_to_load), TREAD_ERROR_CALLBACK,
                    "a function's save: falling: save fails");
    ck_assert_ptr_null(tread_lr_scheduler_state_dict(b.scheduler));
    ck_assert_str_eq(tread_last_error(), "functions[1].save: falling: save fails");
    b.contexts[1].save_fails = 0;
    a.contexts[0].rate = -2; /* an lr below 0, as is seen when all are loaded */
    tread_state *bad = tread_lr_scheduler_state_dict(a.scheduler);
    ck_assert_fails(tread_lr_scheduler_load_state_dict(b.scheduler, bad), TREAD_ERROR_FORMAT,
                    "chained_scheduler: the state does not fit: lr of group 0 at step 1 is -");
    for (int i = 0; i < 3; i++)
        ck_assert_double_eq(b.contexts[i].rate, 8.0 * (i + 1));
    tread_state_destroy(bad);
    fail_every_allocation(take_state, unmake_state, b.scheduler);
    fail_every_allocation(load_state, keep, b.scheduler);
    ck_assert_double_eq(b.contexts[2].rate, 0.375); /* at last */
    ck_assert_double_eq(tread_optimizer_lr(b.optimizer, 1), tread_optimizer_lr(a.optimizer, 1));
    tread_state_destroy(state_to_load);
    world_destroy(&a);
    world_destroy(&b);
}
END_TEST

START_TEST(states_of_other_functions_are_refused) {
    params p;
    tread_optimizer *optimizer = make_optimizer(&p);
    falling f = {.rate = 1};
    const tread_lr_function with[] = {function_of(&f), function_of(&f)}, without = {.evaluate = fall, .context = &f};
    tread_lr_scheduler *one = lambda(optimizer, with, 1), *two = lambda(optimizer, with, 2);
    tread_lr_scheduler *bare = lambda(optimizer, &without, 1);
    tread_state *state = tread_lr_scheduler_state_dict(one), *none = tread_lr_scheduler_state_dict(bare);
    ck_assert_fails(tread_lr_scheduler_load_state_dict(two, state), TREAD_ERROR_FORMAT, "options: 1 functions, not 2");
    ck_assert_fails(tread_lr_scheduler_load_state_dict(bare, state), TREAD_ERROR_FORMAT,
                    "options: functions[0] has a saved context, and the function no load");
    ck_assert_fails(tread_lr_scheduler_load_state_dict(one, none), TREAD_ERROR_FORMAT,
                    "options: functions[0] has no saved context");
    ck_assert_ok(tread_lr_scheduler_load_state_dict(bare, none));
    ck_assert_int_eq(f.loads, 0);
    tread_state_destroy(state);
    tread_state_destroy(none);
    tread_lr_scheduler_destroy(one);
    tread_lr_scheduler_destroy(two);
    tread_lr_scheduler_destroy(bare);
    tread_optimizer_destroy(optimizer);
    params_destroy(&p);
}
END_TEST

TEST_MAIN("lr_function", lambdas_multiply_the_base, products_cost_one_call_a_step,
          bad_functions_and_results_are_refused, contexts_are_saved_and_loaded, contexts_load_all_or_none,
          states_of_other_functions_are_refused)
