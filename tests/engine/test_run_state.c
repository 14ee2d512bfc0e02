/* The state of a run, through a file and back: every optimizer and scheduler goes on bit for bit, and a state that does
 * not fit leaves everything as it was. */
#include <stdio.h>
#include <string.h>
#include <tread/checkpoint.h>
#include <tread/state_diff.h>

#include "tests/engine/files.h"
#include "tests/optim/helpers.h"

static const int64_t sizes[] = {3, 50, 16};

/* For every scheduler that a spec can make. */
static const char *const scheduler_specs[] = {
    "step_lr:step_size=2,gamma=0.7",
    "multi_step_lr:milestones=2/4,gamma=0.3",
    "exponential_lr:gamma=0.9",
    "cosine_annealing_lr:T_max=5",
    "cosine_decay_lr:decay_steps=7,alpha=0.1",
    "polynomial_lr:steps=6,power=2",
    "reduce_lr_on_plateau:patience=1,factor=0.5",
    "constant_lr:factor=0.5,total_iters=3",
    "linear_lr:start_factor=0.3,total_iters=4",
    "warmup_lr:warmup_iters=3,scheduler=[exponential_lr:gamma=0.9]",
    "sequential_lr:schedulers=[constant_lr:total_iters=2]/[exponential_lr:gamma=0.5],milestones=3",
    "chained_scheduler:schedulers=[constant_lr:total_iters=2]/[exponential_lr:gamma=0.5]",
    "cosine_annealing_warm_restarts:T_0=3",
    "one_cycle_lr:max_lr=0.5,total_steps=12",
    "cyclic_lr:max_lr=0.1,step_size_up=2",
    "warmup_stable_decay_lr:warmup_steps=2,stable_steps=3,decay_steps=4",
};
/* These take a function of the program's. */
static bool has_no_spec(const char *name) {
    return strcmp(name, "lambda_lr") == 0 || strcmp(name, "multiplicative_lr") == 0;
}
static const char *scheduler_spec(size_t type) {
    const char *name = tread_lr_scheduler_type_name(type);
    for (size_t i = 0; i < sizeof scheduler_specs / sizeof *scheduler_specs; i++)
        if (strncmp(scheduler_specs[i], name, strlen(name)) == 0 && scheduler_specs[i][strlen(name)] == ':')
            return scheduler_specs[i];
    ck_assert_msg(has_no_spec(name), "%s lacks a spec here", name);
    return NULL;
}

/* A run in small: the gradients are functions of the step, and of numbers drawn from its stream. */
typedef struct run {
    params p;
    tread_lr_scheduler *scheduler;
    tread_rng rng;
    tread_named_rng named;
    tread_run_parts parts;
} run;

static void run_start(run *r, const char *optimizer, const char *scheduler, uint64_t seed) {
    *r = (run){.p = params_make_for(optimizer, 3, sizes), .rng = tread_rng_create(seed, UINT64_MAX - seed)};
    r->named = (tread_named_rng){"dropout", &r->rng};
    r->parts = tread_run_parts_defaults();
    r->parts.parameters = params_list(&r->p);
    r->parts.optimizer = tread_optimizer_from_spec(NULL, params_part(&r->p, 0, 2), optimizer);
    ck_assert_msg(r->parts.optimizer != NULL, "%s", tread_last_error());
    ck_assert_ok(tread_optimizer_add_param_group_spec(r->parts.optimizer, params_part(&r->p, 2, 1), "lr=0.02"));
    r->parts.rngs = &r->named;
    r->parts.n_rngs = 1;
    if (scheduler == NULL)
        return;
    r->scheduler = tread_lr_scheduler_from_spec(r->parts.optimizer, scheduler);
    ck_assert_msg(r->scheduler != NULL, "%s", tread_last_error());
    r->parts.schedulers = &r->scheduler;
    r->parts.n_schedulers = 1;
}

static void run_end(run *r) {
    tread_lr_scheduler_destroy(r->scheduler);
    tread_optimizer_destroy(r->parts.optimizer);
    params_destroy(&r->p);
}

static void run_steps(run *r, int64_t from, int64_t to) {
    for (int64_t t = from; t < to; t++) {
        params_set_grads(&r->p, t, t == 2 ? 2 : 0);
        ((float *)r->p.items[0]->tensor.grad->data)[0] = (float)tread_rng_uniform(&r->rng);
        ck_assert_ok(tread_optimizer_step(r->parts.optimizer, NULL));
        if (r->scheduler != NULL)
            ck_assert_ok(tread_lr_scheduler_needs_metric(r->scheduler)
                             ? tread_lr_scheduler_step_metric(r->scheduler, (double)(t % 4))
                             : tread_lr_scheduler_step(r->scheduler));
    }
}

static tread_state *state_of(const run *r) {
    tread_state *state = tread_run_state(&r->parts);
    ck_assert_msg(state != NULL, "%s", tread_last_error());
    return state;
}

static bool print(void *data, const tread_difference *d) {
    (void)data;
    fprintf(stderr, "%s: %s\n", d->path, d->text);
    return true;
}

static void check_same(const tread_state *a, const tread_state *b, const char *what) {
    size_t n = 0;
    ck_assert_ok(tread_state_diff(a, b, print, NULL, &n));
    ck_assert_msg(n == 0, "%s: %zu differences", what, n);
}

static void check_runs_same(const run *a, const run *b, const char *what) {
    tread_state *x = state_of(a), *y = state_of(b);
    check_same(x, y, what);
    tread_state_destroy(x);
    tread_state_destroy(y);
}

static void resume(const char *optimizer, const char *scheduler, int64_t stop) {
    run a, b;
    tread_state *loaded;
    run_start(&a, optimizer, scheduler, 3);
    run_start(&b, optimizer, scheduler, 4);
    run_steps(&a, 0, stop);
    tread_state *state = state_of(&a);
    ck_assert_ok(tread_checkpoint_save(test_path("c"), state));
    ck_assert_ok(tread_checkpoint_load(test_path("c"), &loaded));
    check_same(state, loaded, optimizer);
    run_steps(&b, 0, 3); /* something to be replaced */
    uint32_t version = b.p.items[1]->tensor.version;
    ck_assert_ok(tread_run_load(&b.parts, loaded));
    ck_assert_uint_ne(b.p.items[1]->tensor.version, version); /* a tape that used the old values would say so */
    check_runs_same(&a, &b, optimizer);
    tread_state_destroy(state);
    tread_state_destroy(loaded);
    run_steps(&a, stop, 9);
    run_steps(&b, stop, 9);
    check_runs_same(&a, &b, optimizer);
    run_end(&a);
    run_end(&b);
}

START_TEST(every_optimizer_goes_on) {
    test_folder_create();
    for (int s = 0; battery_specs[s] != NULL; s++)
        for (int64_t stop = 0; stop < 6; stop += stop == 0 ? 1 : 2)
            resume(battery_specs[s], NULL, stop);
    test_folder_remove();
}
END_TEST

/* L-BFGS, whose steps evaluate a closure and whose state is a history of vectors. */
static tread_status bowl(void *data, double *ret_loss) {
    params *p = data;
    params_set_grads(p, 0, 0);
    *ret_loss = 0;
    for (size_t i = 0; i < p->count; i++)
        for (int64_t e = 0; e < p->items[i]->tensor.count; e++) {
            float x = param_data(p, i)[e];
            ((float *)p->items[i]->tensor.grad->data)[e] = x * x * x + x * (float)(e % 3) - 0.25f;
            *ret_loss += x * x * x * x / 4 + x * x * (float)(e % 3) / 2 - 0.25f * x;
        }
    return TREAD_OK;
}

START_TEST(lbfgs_goes_on) {
    test_folder_create();
    for (int stop = 0; stop < 5; stop++) {
        params a = params_make(3, sizes), b = params_make(3, sizes);
        tread_run_parts x = tread_run_parts_defaults(), y = tread_run_parts_defaults();
        tread_closure at_a = {.evaluate = bowl, .data = &a}, at_b = {.evaluate = bowl, .data = &b};
        const char *spec = "lbfgs:line_search=strong_wolfe,history_size=3,max_iter=2";
        x.parameters = params_list(&a);
        y.parameters = params_list(&b);
        x.optimizer = tread_optimizer_from_spec(NULL, x.parameters, spec);
        y.optimizer = tread_optimizer_from_spec(NULL, y.parameters, spec);
        for (int i = 0; i < stop; i++)
            ck_assert_ok(tread_optimizer_step(x.optimizer, &at_a));
        ck_assert_ok(tread_optimizer_step(y.optimizer, &at_b));
        tread_state *state = tread_run_state(&x), *loaded;
        ck_assert_ok(tread_checkpoint_save(test_path("c"), state));
        ck_assert_ok(tread_checkpoint_load(test_path("c"), &loaded));
        check_same(state, loaded, spec);
        ck_assert_ok(tread_run_load(&y, loaded));
        for (int i = 0; i < 4; i++) {
            ck_assert_ok(tread_optimizer_step(x.optimizer, &at_a));
            ck_assert_ok(tread_optimizer_step(y.optimizer, &at_b));
            ck_assert(params_equal(&a, &b));
        }
        tread_state_destroy(state);
        tread_state_destroy(loaded);
        tread_optimizer_destroy(x.optimizer);
        tread_optimizer_destroy(y.optimizer);
        params_destroy(&a);
        params_destroy(&b);
    }
    test_folder_remove();
}
END_TEST

/* The lists above leave nothing out. */
START_TEST(every_registered_optimizer_is_tried) {
    for (size_t type = 0; type < tread_optimizer_type_count(); type++) {
        const char *name = tread_optimizer_type_name(type);
        bool tried = strcmp(name, "lbfgs") == 0;
        for (int s = 0; battery_specs[s] != NULL; s++)
            tried |= strncmp(battery_specs[s], name, strlen(name)) == 0 && strchr(":", battery_specs[s][strlen(name)]);
        ck_assert_msg(tried, "%s", name);
    }
}
END_TEST

START_TEST(every_scheduler_goes_on) {
    test_folder_create();
    for (size_t type = 0; type < tread_lr_scheduler_type_count(); type++)
        for (int64_t stop = 0; stop < 8 && scheduler_spec(type) != NULL; stop++)
            resume(stop % 2 ? "adam:amsgrad=true" : "sgd:momentum=0.9", scheduler_spec(type), stop);
    test_folder_remove();
}
END_TEST

/* The state of a fresh run of these parts, changed by `change`, is refused by one of sgd with momentum and step_lr. */
static void refuse(const char *optimizer, const char *scheduler, size_t n_parameters, const char *const *parts) {
    run a, b;
    run_start(&a, optimizer, scheduler, 3);
    run_steps(&a, 0, 4);
    a.parts.parameters.count = n_parameters;
    run_start(&b, "sgd:momentum=0.9", "step_lr:step_size=2,gamma=0.7", 4);
    run_steps(&b, 0, 3);
    ck_assert_ok(tread_optimizer_set(b.parts.optimizer, 1, "lr", 0.123)); /* not what the scheduler wrote */
    tread_state *state = state_of(&a), *before = state_of(&b);
    tread_status status = tread_run_load(&b.parts, state);
    ck_assert_int_eq(status, TREAD_ERROR_FORMAT);
    for (; *parts != NULL; parts++)
        ck_assert_msg(strstr(tread_last_error(), *parts) != NULL, "\"%s\" lacks \"%s\"", tread_last_error(), *parts);
    tread_state *after = state_of(&b);
    check_same(before, after, tread_last_error());
    tread_state_destroy(before);
    tread_state_destroy(after);
    tread_state_destroy(state);
    run_end(&a);
    run_end(&b);
}

START_TEST(what_does_not_fit_changes_nothing) {
    const char *const step = "step_lr:step_size=5";
    refuse("adam", step, 3,
           (const char *[]){"the state does not fit the run: optimizer: sgd: the state does not fit", "it is of adam",
                            NULL});
    refuse("sgd:momentum=0.9", "cosine_decay_lr:decay_steps=7", 3,
           (const char *[]){"scheduler 0: step_lr: the state does not fit", "it is of cosine_decay_lr", NULL});
    refuse("sgd:momentum=0.9", NULL, 3, (const char *[]){"there is no list 'schedulers'", NULL});
    refuse("sgd:momentum=0.9", step, 2, (const char *[]){"model: there is no p2", NULL});
    refuse("adam", "cosine_decay_lr:decay_steps=7", 1,
           (const char *[]){"model: there is no p1; model: there is no p2; scheduler 0: ", "it is of cosine_decay_lr",
                            "optimizer: sgd: ", "it is of adam", NULL});
}
END_TEST

START_TEST(models_are_compared_by_name_shape_and_type) {
    params p = params_make(3, sizes), q = params_make(3, (const int64_t[]){3, 51, 16});
    tread_run_parts one = tread_run_parts_defaults(), other = tread_run_parts_defaults();
    one.parameters = params_list(&p);
    other.parameters = params_list(&q);
    ck_assert_ok(tread_parameter_rename(q.items[2], "w"));
    tread_state *state = tread_run_state(&one);
    params_set_grads(&q, 0, 0);
    ck_assert_fails(
        tread_run_load(&other, state), TREAD_ERROR_FORMAT,
        "the state does not fit the run: model: p1 has shape (50), not (51); model: there is no w; model: it "
        "has no p2");
    tread_state_destroy(state);
    state = tread_state_create();
    tread_state *model = tread_state_add_tree(state, "model");
    ck_assert_ok(tread_state_add_tensor(model, "p0", tread_tensor_create(TREAD_FLOAT64, 1, sizes)));
    ck_assert_ok(tread_state_add_integer(model, "p1", 1));
    ck_assert_fails(
        tread_run_load(&one, state), TREAD_ERROR_FORMAT,
        "model: p0 is float64, not float32; model: p1 is no tensor, but of kind integer; model: there is no p2");
    tread_state_destroy(state);
    params_destroy(&p);
    params_destroy(&q);
}
END_TEST

START_TEST(a_long_list_of_differences_is_cut) {
    enum { n = 200 };
    static tread_parameter *many[n];
    for (int i = 0; i < n; i++) {
        char name[64];
        snprintf(name, sizeof name, "a.rather.long.name.of.a.parameter.%d", i);
        many[i] = tread_parameter_create(name, 1, (int64_t[]){1});
    }
    tread_run_parts parts = tread_run_parts_defaults();
    parts.parameters = (tread_parameter_list){many, 1};
    tread_state *state = tread_run_state(&parts);
    parts.parameters.count = n;
    ck_assert_fails(tread_run_load(&parts, state), TREAD_ERROR_FORMAT, "; and 133 more (tread_state_diff has all)");
    tread_state *own = tread_run_state(&parts);
    size_t n_differences = 0;
    ck_assert_ok(tread_state_diff(state, own, NULL, NULL, &n_differences));
    ck_assert_uint_eq(n_differences, n - 1);
    tread_state_destroy(own);
    tread_state_destroy(state);
    for (int i = 0; i < n; i++)
        tread_parameter_destroy(many[i]);
}
END_TEST

START_TEST(parts_that_are_wrong) {
    run a, b;
    run_start(&a, "sgd", "step_lr:step_size=2", 3);
    run_start(&b, "sgd", "step_lr:step_size=2", 3);
    tread_state *state = state_of(&a);
    tread_run_parts mixed = a.parts;
    mixed.schedulers = b.parts.schedulers;
    ck_assert_ptr_null(tread_run_state(&mixed));
    ck_assert_fails(tread_run_load(&mixed, state), TREAD_ERROR_STATE, "scheduler 0, step_lr, is of another optimizer");
    ck_assert_fails(tread_run_load(NULL, state), TREAD_ERROR_ARGUMENT, "NULL");
    ck_assert_fails(tread_run_load(&a.parts, NULL), TREAD_ERROR_ARGUMENT, "NULL");
    mixed = a.parts;
    mixed.schedulers = &(tread_lr_scheduler *){NULL};
    ck_assert_fails(tread_run_load(&mixed, state), TREAD_ERROR_ARGUMENT, "scheduler 0 is NULL");
    tread_rng rng = a.rng;
    mixed = a.parts;
    mixed.rngs = (tread_named_rng[]){{"dropout", &rng}, {"noise", &rng}};
    mixed.n_rngs = 2;
    ck_assert_fails(tread_run_load(&mixed, state), TREAD_ERROR_FORMAT,
                    "random: noise: state: there is no tree 'noise'");
    tread_state_destroy(state);
    run_end(&a);
    run_end(&b);
}
END_TEST

typedef struct loading {
    run *r;
    tread_state *state, *before;
} loading;
static void *take(void *data) { return tread_run_state(&((loading *)data)->r->parts); }
static void drop(void *data, void *made) {
    (void)data;
    tread_state_destroy(made);
}
static void *load(void *data) {
    loading *l = data;
    if (tread_run_load(&l->r->parts, l->state) == TREAD_OK)
        return l;
    char sentence[400];
    snprintf(sentence, sizeof sentence, "%s", tread_last_error());
    bool failed = tread_memory_failed();
    tread_memory_fail_at(0);
    ck_assert(failed);
    tread_state *after = state_of(l->r);
    check_same(l->before, after, sentence);
    tread_state_destroy(after);
    tread_memory_fail_at(1); /* puts the count's flag back, as whoever counts expects it */
    ck_assert_ptr_null(tread_state_create());
    ck_assert_fails(tread_fail(TREAD_ERROR_MEMORY, "%s", sentence), TREAD_ERROR_MEMORY, "");
    return NULL;
}
static void keep(void *data, void *made) {
    (void)data;
    (void)made;
}

/* Slots that the new options need, too, at each place where memory may be lacking. */
START_TEST(failing_allocations_change_nothing) {
    run a, b;
    run_start(&a, "adam:amsgrad=true", "step_lr:step_size=2", 3);
    run_steps(&a, 0, 4);
    run_start(&b, "adam", "step_lr:step_size=3", 4);
    run_steps(&b, 0, 3);
    loading l = {&b, state_of(&a), state_of(&b)};
    fail_every_allocation(take, drop, &l);
    fail_every_allocation(load, keep, &l);
    check_runs_same(&a, &b, "loaded in the end");
    tread_state_destroy(l.state);
    tread_state_destroy(l.before);
    run_end(&a);
    run_end(&b);
}
END_TEST

TEST_MAIN("run_state", every_optimizer_goes_on, lbfgs_goes_on, every_registered_optimizer_is_tried,
          every_scheduler_goes_on, what_does_not_fit_changes_nothing, models_are_compared_by_name_shape_and_type,
          a_long_list_of_differences_is_cut, parts_that_are_wrong, failing_allocations_change_nothing)
