/* What L-BFGS keeps from step to step: put back whole after a closure that failed, saved and loaded, the same to the
 * bit at every thread count, and memory that is all taken when it is made. */
#include "core/status.h"
#include "tests/optim/lbfgs_problem.h"

static const int64_t sizes[] = {3, 17, 1, 9};
static const char *const specs[] = {
    "lbfgs",
    "lbfgs:line_search=strong_wolfe",
    "lbfgs:line_search=strong_wolfe,history_size=2,max_iter=3",
    "lbfgs:history_size=3,max_iter=12,max_eval=1000", /* a step replaces every pair, some twice */
    "lbfgs:history_size=1,max_iter=1,line_search=strong_wolfe",
    "lbfgs:history_size=4,max_iter=5,lr=0.5",
    NULL,
};

static double start_at(int64_t i) { return (double)(i * 7 % 11) / 8 - 0.5; }
static problem make(const char *spec, const tread_context *context) {
    double start[30];
    for (int64_t i = 0; i < 30; i++)
        start[i] = start_at(i);
    problem q;
    problem_make(&q, context, valley, 4, sizes, start, spec);
    return q;
}
static void run_steps(problem *q, int n) {
    for (int i = 0; i < n; i++)
        ck_assert_ok(problem_step(q));
}
static tread_state *state_of(const problem *q) {
    tread_state *state = tread_optimizer_state_dict(q->optimizer);
    ck_assert_msg(state != NULL, "%s", tread_last_error());
    return state;
}

/* ---- A closure that fails ---- */

START_TEST(a_failing_call_leaves_all_as_before) {
    for (int s = 0; specs[s] != NULL; s++)
        for (int steps = 0; steps < 4; steps++) {
            problem smooth = make(specs[s], NULL);
            run_steps(&smooth, steps);
            ck_assert_ok(problem_step(&smooth));
            const int64_t n_calls = tread_optimizer_closure_calls(smooth.optimizer);
            problem q = make(specs[s], NULL), copy = make(specs[s], NULL);
            run_steps(&q, steps);
            run_steps(&copy, steps);
            tread_state *before = state_of(&q);
            for (int64_t k = 1; k <= n_calls; k++) { /* one after the other, so that undoing adds up, too */
                const double loss = q.closure.loss;
                q.fail_at = q.n_calls + k;
                ck_assert_fails(problem_step(&q), TREAD_ERROR_CALLBACK, "says no");
                ck_assert_int_eq(tread_optimizer_closure_calls(q.optimizer), k);
                tread_state *after = state_of(&q);
                ck_assert_msg(states_equal(before, after) && params_equal(&q.p, &copy.p), "%s: step %d, call %d",
                              specs[s], steps, (int)k);
                ck_assert_double_eq(q.closure.loss, loss);
                tread_state_destroy(after);
            }
            ck_assert_ok(problem_step(&q));
            tread_state *after = state_of(&q), *other = state_of(&smooth);
            ck_assert(params_equal(&q.p, &smooth.p) && states_equal(after, other));
            tread_state_destroy(before);
            tread_state_destroy(after);
            tread_state_destroy(other);
            problem_destroy(&smooth);
            problem_destroy(&q);
            problem_destroy(&copy);
        }
}
END_TEST

/* What would change the solver under its own step. */
typedef struct meddling {
    problem q;
    tread_closure_fn *evaluate;
    tread_state *state;
    int refused;
} meddling;
static tread_status meddle(void *data, double *ret_loss) {
    meddling *m = data;
    tread_closure again = {.evaluate = meddle, .data = m};
    m->refused += tread_optimizer_step(m->q.optimizer, &again) == TREAD_ERROR_STATE;
    m->refused += tread_optimizer_load_state_dict(m->q.optimizer, m->state) == TREAD_ERROR_STATE;
    m->refused += tread_optimizer_set(m->q.optimizer, 0, "history_size", 7) == TREAD_ERROR_STATE;
    ck_assert_ok(tread_optimizer_set(m->q.optimizer, 0, "lr", 0.5)); /* for the next step */
    return m->evaluate(&m->q, ret_loss);
}

START_TEST(a_closure_cannot_change_the_solver) {
    meddling m = {.q = make("lbfgs", NULL)};
    problem other = make("lbfgs", NULL);
    m.evaluate = m.q.closure.evaluate;
    m.state = state_of(&m.q);
    tread_closure closure = {.evaluate = meddle, .data = &m};
    ck_assert_ok(tread_optimizer_step(m.q.optimizer, &closure));
    ck_assert_int_eq(m.refused, 3 * (int)m.q.n_calls);
    run_steps(&other, 1);
    ck_assert(params_equal(&m.q.p, &other.p));
    ck_assert_double_eq(tread_optimizer_lr(m.q.optimizer, 0), 0.5);
    tread_state_destroy(m.state);
    problem_destroy(&m.q);
    problem_destroy(&other);
}
END_TEST

/* ---- State dicts ---- */

START_TEST(a_resumed_run_is_the_same_run) {
    for (int s = 0; specs[s] != NULL; s++)
        for (int stop = 0; stop < 5; stop++) {
            tread_context *context = context_with_threads(3);
            problem a = make(specs[s], NULL), b = make("lbfgs:lr=7,history_size=9,max_iter=2", context);
            run_steps(&a, stop);
            tread_state *state = state_of(&a);
            for (size_t i = 0; i < 4; i++)
                memcpy(param_data(&b.p, i), param_data(&a.p, i), tread_tensor_bytes(&a.p.items[i]->tensor));
            ck_assert_ok(tread_optimizer_load_state_dict(b.optimizer, state));
            tread_state *loaded = state_of(&b);
            ck_assert(states_equal(state, loaded));
            run_steps(&a, 4);
            run_steps(&b, 4);
            tread_state *end_a = state_of(&a), *end_b = state_of(&b);
            ck_assert_msg(params_equal(&a.p, &b.p) && states_equal(end_a, end_b), "%s stopped at %d", specs[s], stop);
            tread_state_destroy(state);
            tread_state_destroy(loaded);
            tread_state_destroy(end_a);
            tread_state_destroy(end_b);
            problem_destroy(&a);
            problem_destroy(&b);
            tread_context_destroy(context);
        }
}
END_TEST

START_TEST(its_names_and_what_stands_before_the_first_step) {
    problem q = make("lbfgs", NULL);
    tread_state *state = state_of(&q);
    const tread_state *solver = tread_state_find(state, "solver");
    ck_assert_uint_eq(tread_state_count(solver), 3);
    tread_state_destroy(state);
    run_steps(&q, 1);
    state = state_of(&q);
    solver = tread_state_find(state, "solver");
    static const char *const names[] = {"n_iter", "func_evals",     "sizes", "t",        "prev_loss", "H_diag",
                                        "d",      "prev_flat_grad", "ro",    "old_dirs", "old_stps"};
    for (size_t i = 0; i < 11; i++)
        ck_assert_str_eq(tread_state_name(tread_state_at(solver, i)), names[i]);
    const tread_tensor *pairs;
    ck_assert_ok(tread_state_get_tensor(solver, "old_stps", &pairs));
    ck_assert(pairs->rank == 2 && pairs->shape[1] == 30);
    ck_assert_int_eq(pairs->shape[0], (int64_t)tread_state_count(tread_state_find(solver, "ro")));
    int64_t step;
    ck_assert_ok(tread_state_get_integer(tread_state_find(tread_state_find(state, "state"), "p1"), "step", &step));
    ck_assert_int_eq(step, 1);
    tread_state_destroy(state);
    problem_destroy(&q);
}
END_TEST

static void put_text_t(tread_state *whole) { ck_assert_ok(tread_state_add_string(whole, "t", "long")); }
static void put_negative_t(tread_state *whole) { ck_assert_ok(tread_state_add_real(whole, "t", -0.123456789)); }
static void put_zero_h(tread_state *whole) { ck_assert_ok(tread_state_add_real(whole, "H_diag", 0)); }
static void put_negative_n(tread_state *whole) { ck_assert_ok(tread_state_add_integer(whole, "n_iter", -2)); }
static void put_short_d(tread_state *whole) {
    ck_assert_ok(tread_state_add_tensor(whole, "d", tread_tensor_create(TREAD_FLOAT32, 1, (const int64_t[]){29})));
}
static void put_double_d(tread_state *whole) {
    ck_assert_ok(tread_state_add_tensor(whole, "d", tread_tensor_create(TREAD_FLOAT64, 1, (const int64_t[]){30})));
}
static void put_ro(tread_state *whole) {
    tread_state *list = tread_state_add_list(whole, "ro");
    for (int i = 0; i < 5; i++)
        ck_assert_ok(tread_state_add_real(list, NULL, i - 1.0));
}
static void put_sizes(tread_state *whole) {
    tread_state *list = tread_state_add_list(whole, "sizes");
    for (int64_t i = 0; i < 4; i++)
        ck_assert_ok(tread_state_add_integer(list, NULL, sizes[3 - i]));
}
static void put_stranger(tread_state *whole) { ck_assert_ok(tread_state_add_integer(whole, "al", 3)); }

/* Every edit of a good state is refused with its sentence, and changes nothing. */
START_TEST(states_that_do_not_fit) {
    static const struct {
        const char *name;
        void (*put)(tread_state *whole);
        const char *parts[4];
    } edits[] = {
        {"solver", NULL, {"'solver'"}},
        {"n_iter", NULL, {"solver: ", "'n_iter'"}},
        {"n_iter", put_negative_n, {"solver: n_iter = -2 is negative"}},
        {"func_evals", NULL, {"solver: ", "'func_evals'"}},
        {"sizes", NULL, {"'sizes'"}},
        {"sizes", put_sizes, {"parameter 'p0' had 9 values, not 3", "parameter 'p1' had 1 values, not 17"}},
        {"t", NULL, {"'t'"}},
        {"t", put_text_t, {"'t'"}},
        {"t", put_negative_t, {"solver: t = -0.123456789 is outside [0, inf)"}},
        {"prev_loss", NULL, {"'prev_loss'"}},
        {"H_diag", put_zero_h, {"solver: H_diag = 0 is outside (0, inf)"}},
        {"d", put_short_d, {"solver: d has shape (29), not (30)"}},
        {"d", put_double_d, {"solver: d is float64, not float32"}},
        {"d", NULL, {"solver: 't' is not part of it", "solver: 'ro' is not part of it"}},
        {"prev_flat_grad", NULL, {"'prev_flat_grad'"}},
        {"ro", NULL, {"'ro'"}},
        {"ro",
         put_ro,
         {"solver: ro has 5 entries; history_size is 4", "entry 0 of ro is no number above 0",
          "solver: old_dirs has shape (4, 30), not (5, 30)", "solver: old_stps has shape (4, 30), not (5, 30)"}},
        {"old_dirs", NULL, {"'old_dirs'"}},
        {"old_stps", NULL, {"'old_stps'"}},
        {"func_evals", put_stranger, {"'func_evals'", "solver: 'al' is not part of it"}},
        {"lr", NULL, {"lr"}},
        {"params", NULL, {"params"}},
    };
    problem q = make(specs[5], NULL), other = make(specs[5], NULL);
    run_steps(&q, 3);
    run_steps(&other, 3);
    tread_state *good = state_of(&q);
    for (size_t e = 0; e < sizeof edits / sizeof *edits; e++) {
        tread_state *bad = state_edited(good, edits[e].name, edits[e].put);
        uint64_t live = tread_memory_live_blocks();
        ck_assert_int_eq(tread_optimizer_load_state_dict(q.optimizer, bad), TREAD_ERROR_FORMAT);
        ck_assert_uint_eq(tread_memory_live_blocks(), live);
        for (int i = 0; i < 4 && edits[e].parts[i] != NULL; i++)
            ck_assert_msg(strstr(tread_last_error(), edits[e].parts[i]) != NULL, "\"%s\" lacks \"%s\"",
                          tread_last_error(), edits[e].parts[i]);
        tread_state *after = state_of(&q);
        ck_assert(states_equal(good, after));
        tread_state_destroy(after);
        tread_state_destroy(bad);
    }
    /* Differences of the front and of the solver are told together. */
    tread_state *one = state_edited(good, "lr", NULL), *two = state_edited(one, "t", put_negative_t);
    ck_assert_fails(tread_optimizer_load_state_dict(q.optimizer, two), TREAD_ERROR_FORMAT, "2 differences: group 0: ");
    ck_assert_ptr_nonnull(strstr(tread_last_error(), "; solver: t = -0.123456789"));
    tread_state_destroy(one);
    tread_state_destroy(two);
    run_steps(&q, 2);
    run_steps(&other, 2);
    ck_assert(params_equal(&q.p, &other.p));
    tread_state_destroy(good);
    problem_destroy(&q);
    problem_destroy(&other);
}
END_TEST

/* ---- Threads ---- */

/* 70000 values: several chunks, and enough for more than one thread. */
START_TEST(threads_change_no_bit) {
    static const int64_t large[] = {40000, 29999, 1};
    double *start = calloc(70000, sizeof *start);
    for (int64_t i = 0; i < 70000; i++)
        start[i] = start_at(i);
    for (int search = 0; search < 2; search++) {
        const char *spec = search ? "lbfgs:line_search=strong_wolfe,max_iter=6" : "lbfgs:max_iter=6,lr=0.5";
        static const int threads[] = {1, 2, 3, 8};
        problem first;
        problem_make(&first, NULL, valley, 3, large, start, spec);
        tread_state *expected = NULL;
        for (int t = 0; t < 4; t++)
            for (tread_isa isa = TREAD_ISA_BASELINE; isa <= tread_isa_best(); isa++) {
                tread_context *context = context_with_threads(threads[t]);
                problem q;
                problem_make(&q, context, valley, 3, large, start, spec);
                tread_isa usual = tread_isa_use(isa);
                run_steps(&q, 2);
                tread_isa_use(usual);
                tread_state *state = state_of(&q);
                if (expected == NULL) {
                    expected = state;
                    for (size_t i = 0; i < 3; i++)
                        memcpy(param_data(&first.p, i), param_data(&q.p, i), tread_tensor_bytes(&q.p.items[i]->tensor));
                } else {
                    ck_assert_msg(params_equal(&first.p, &q.p) && states_equal(expected, state), "%d threads, %s",
                                  threads[t], tread_isa_name(isa));
                    tread_state_destroy(state);
                }
                problem_destroy(&q);
                tread_context_destroy(context);
            }
        tread_state_destroy(expected);
        problem_destroy(&first);
    }
    free(start);
}
END_TEST

/* ---- Memory ---- */

static void *make_optimizer(void *data) {
    return tread_optimizer_from_spec(NULL, params_list(data), "lbfgs:history_size=5");
}
static void unmake_optimizer(void *data, void *made) {
    (void)data;
    tread_optimizer_destroy(made);
}
static void *take_state(void *data) { return tread_optimizer_state_dict(((problem *)data)->optimizer); }
static void drop_state(void *data, void *made) {
    (void)data;
    tread_state_destroy(made);
}
typedef struct loading {
    problem *q;
    tread_state *state;
} loading;
static void *load_state(void *data) {
    loading *l = data;
    return tread_optimizer_load_state_dict(l->q->optimizer, l->state) == TREAD_OK ? l : NULL;
}
static void *set_history(void *data) {
    problem *q = data;
    return tread_optimizer_set(q->optimizer, 0, "history_size", 2) == TREAD_OK ? q : NULL;
}
static void keep(void *data, void *made) {
    (void)data;
    (void)made;
}

START_TEST(memory_is_taken_when_it_is_made) {
    params p = params_make(4, sizes);
    fail_every_allocation(make_optimizer, unmake_optimizer, &p);
    params_destroy(&p);
    problem q = make(specs[2], NULL);
    uint64_t calls = tread_memory_calls();
    run_steps(&q, 4);
    q.fail_at = q.n_calls + 3;
    ck_assert_fails(problem_step(&q), TREAD_ERROR_CALLBACK, "says no");
    ck_assert_uint_eq(tread_memory_calls(), calls);
    fail_every_allocation(take_state, drop_state, &q);
    loading l = {&q, state_of(&q)};
    fail_every_allocation(load_state, keep, &l);
    tread_state *after = state_of(&q);
    ck_assert(states_equal(l.state, after));
    tread_state_destroy(after);
    tread_state_destroy(l.state);
    problem_destroy(&q);
}
END_TEST

/* The newest pairs stay; a failure to get memory changes nothing. */
START_TEST(a_setter_changes_the_history) {
    problem q = make("lbfgs:max_iter=6", NULL);
    run_steps(&q, 1);
    tread_state *before = state_of(&q);
    fail_every_allocation(set_history, keep, &q);
    tread_state *after = state_of(&q);
    const tread_state *old = tread_state_find(before, "solver"), *new = tread_state_find(after, "solver");
    const tread_tensor *was, *is;
    ck_assert_ok(tread_state_get_tensor(old, "old_stps", &was));
    ck_assert_ok(tread_state_get_tensor(new, "old_stps", &is));
    ck_assert(was->shape[0] > 2 && is->shape[0] == 2);
    ck_assert_mem_eq(is->data, (const float *)was->data + 30 * (was->shape[0] - 2), 60 * sizeof(float));
    double value;
    ck_assert_ok(tread_optimizer_get(q.optimizer, 0, "history_size", &value));
    ck_assert_double_eq(value, 2);
    run_steps(&q, 2);
    ck_assert_ok(tread_optimizer_set(q.optimizer, 0, "history_size", 50));
    ck_assert_ok(tread_optimizer_set(q.optimizer, 0, "max_iter", 40));
    uint64_t calls = tread_memory_calls();
    run_steps(&q, 2);
    ck_assert_uint_eq(tread_memory_calls(), calls);
    tread_state_destroy(before);
    tread_state_destroy(after);
    problem_destroy(&q);
}
END_TEST

START_TEST(printing_counts_what_is_in_use) {
    problem q = make("lbfgs", NULL);
    FILE *file = tmpfile();
    ck_assert_ok(tread_optimizer_print(q.optimizer, file));
    /* 8 vectors of 16 + 32 + 16 + 16 floats, no pair yet */
    ck_assert_msg(strstr(text_of(file),
                         "lbfgs: groups 1, parameters 4, values 30, bytes of state 2560, sparse gradients refused\n") !=
                      NULL,
                  "%s", text_of(file));
    const char *row = strstr(text_of(file), "  history_size ");
    ck_assert(row != NULL && strncmp(row + strcspn(row, "\n") - 4, " 100\n", 5) == 0);
    fclose(file);
    problem_destroy(&q);
}
END_TEST

TEST_MAIN("lbfgs_state", a_failing_call_leaves_all_as_before, a_closure_cannot_change_the_solver,
          a_resumed_run_is_the_same_run, its_names_and_what_stands_before_the_first_step, states_that_do_not_fit,
          threads_change_no_bit, memory_is_taken_when_it_is_made, a_setter_changes_the_history,
          printing_counts_what_is_in_use)
