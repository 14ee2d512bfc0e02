/* L-BFGS: functions it minimises and what it takes, every way a step can end, the two loops against a reference in
 * double, values that are not finite, and options. */
#include "core/status.h"
#include "tests/optim/bounded.h"
#include "tests/optim/lbfgs_problem.h"

static const int64_t pair_of[] = {1, 1};

static problem make_rosenbrock(const char *spec) {
    problem q;
    problem_make(&q, NULL, rosenbrock, 2, pair_of, rosenbrock_start, spec);
    return q;
}
/* f = x^2 / 2 from x = 3. */
static problem make_parabola(const char *spec) {
    problem q;
    problem_make(&q, NULL, parabola, 1, pair_of, (const double[]){3}, spec);
    return q;
}

/* ---- What it minimises ---- */

/* f is computed in double from the float32 parameters, which can reach it: at x = (1, 1) f is 0, and at its neighbours
 * some 1e-12. torch.optim.LBFGS, in float64, takes 45 calls with the search. Without one the way is chaotic: moving the
 * start by 1e-7 changes its f after 60 calls from 4e-8 to 8e-2. */
START_TEST(rosenbrock_in_few_calls) {
    static const struct {
        const char *spec;
        int steps, most_calls;
    } ways[] = {{"lbfgs:lr=1,line_search=strong_wolfe", 3, 60}, {"lbfgs:lr=1", 10, 200}};
    for (int w = 0; w < 2; w++) {
        problem q = make_rosenbrock(ways[w].spec);
        int64_t counted = 0;
        for (int step = 0; step < ways[w].steps; step++) {
            const double before = problem_value(&q);
            ck_assert_ok(problem_step(&q));
            ck_assert_double_eq(q.closure.loss, before);
            counted += tread_optimizer_closure_calls(q.optimizer);
        }
        ck_assert_int_eq(counted, q.n_calls);
        ck_assert_double_eq(problem_number(&q, "func_evals"), (double)counted);
        const double f = problem_value(&q);
        ck_assert_msg(f < 1e-9 && counted <= ways[w].most_calls, "%s: f = %g after %d calls", ways[w].spec, f,
                      (int)counted);
        problem_destroy(&q);
    }
}
END_TEST

/* Condition number 1000. The bound is f where every x_i is an ulp from its best value. */
START_TEST(a_quadratic_in_1000_dimensions) {
    static const int64_t sizes[] = {1, 499, 500};
    static const char *const specs[] = {
        "lbfgs:line_search=strong_wolfe,tolerance_change=0,tolerance_grad=0",
        "lbfgs:line_search=strong_wolfe,tolerance_change=0,tolerance_grad=0,history_size=10",
        "lbfgs:tolerance_change=0,tolerance_grad=0"};
    for (int s = 0; s < 3; s++) {
        problem q;
        problem_make(&q, NULL, quadratic, 3, sizes, NULL, specs[s]);
        const double bound = quadratic_bound(q.n);
        double f = INFINITY;
        for (int step = 0; step < 20 && f > bound; step++) {
            ck_assert_ok(problem_step(&q));
            f = problem_value(&q);
        }
        ck_assert_msg(f <= bound && q.n_calls <= 330, "%s: f = %g (bound %g) after %d closure calls", specs[s], f,
                      bound, (int)q.n_calls);
        problem_destroy(&q);
    }
}
END_TEST

/* ---- How a step ends ---- */

/* On f = x^2 / 2 from 3 the first iteration moves by min(1, 1/3) lr 3, the second, whose secant is exact, by lr x. */
START_TEST(every_way_to_end) {
    static const struct {
        const char *what, *spec;
        int n_iter, calls;
        float x;
    } ways[] = {
        {"gradient at the start", "lbfgs:tolerance_grad=3", 0, 1, 3},
        {"gradient after an iteration", "lbfgs:tolerance_grad=2", 1, 2, 2},
        {"gradient of zero", "lbfgs:tolerance_grad=0,tolerance_change=0", 2, 3, 0},
        {"slope", "lbfgs:tolerance_change=9.5", 1, 1, 3},
        {"move", "lbfgs:tolerance_change=1", 1, 2, 2},
        {"change of the loss", "lbfgs:lr=6,tolerance_change=0.5", 1, 2, -3},
        {"iterations", "lbfgs:max_iter=1", 1, 1, 2}, /* the last one's point is not evaluated */
        {"calls", "lbfgs:max_eval=2", 1, 2, 2},
        {"no length", "lbfgs:lr=0", 1, 1, 3},
        {"gradient, with a search", "lbfgs:tolerance_grad=0,tolerance_change=0,line_search=strong_wolfe", 2, 3, 0},
        {"iterations, with a search", "lbfgs:max_iter=1,line_search=strong_wolfe", 1, 2, 2},
        {"no length, with a search", "lbfgs:lr=0,line_search=strong_wolfe", 1, 1, 3},
    };
    for (size_t w = 0; w < sizeof ways / sizeof *ways; w++) {
        problem q = make_parabola(ways[w].spec);
        ck_assert_ok(problem_step(&q));
        ck_assert_msg(problem_number(&q, "n_iter") == ways[w].n_iter && q.n_calls == ways[w].calls &&
                          param_data(&q.p, 0)[0] == ways[w].x,
                      "%s: %g iterations, %d calls, x = %g", ways[w].what, problem_number(&q, "n_iter"), (int)q.n_calls,
                      param_data(&q.p, 0)[0]);
        problem_destroy(&q);
    }
}
END_TEST

/* Steps of one iteration each move as the iterations of one step do; both end where the gradient is small enough. */
START_TEST(many_short_steps_are_one_long_one) {
    float largest[40];
    problem small = make_rosenbrock("lbfgs:line_search=strong_wolfe,max_iter=1,tolerance_change=0,tolerance_grad=0");
    for (int k = 0; k < 40; k++) {
        ck_assert_ok(problem_step(&small));
        problem_value(&small);
        largest[k] = (float)fmax(fabs(small.g[0]), fabs(small.g[1]));
    }
    problem_destroy(&small);
    for (int k = 0; k < 40 && largest[k] > 1e-6f; k++) {
        char spec[160];
        snprintf(spec, sizeof spec,
                 "lbfgs:line_search=strong_wolfe,max_iter=100,max_eval=1000,tolerance_change=0,tolerance_grad=%.17g",
                 largest[k]);
        int expected = 0;
        while (largest[expected] > largest[k])
            expected++;
        problem q = make_rosenbrock(spec);
        ck_assert_ok(problem_step(&q));
        ck_assert_double_eq(problem_number(&q, "n_iter"), expected + 1);
        problem_destroy(&q);
    }
}
END_TEST

START_TEST(max_eval_is_honoured) {
    for (int max_eval = 1; max_eval <= 30; max_eval++)
        for (int search = 0; search < 2; search++) {
            char spec[120];
            snprintf(spec, sizeof spec, "lbfgs:max_iter=100,max_eval=%d,line_search=%s", max_eval,
                     search ? "strong_wolfe" : "none");
            problem q = make_rosenbrock(spec);
            ck_assert_ok(problem_step(&q));
            if (search) /* the search that is under way is ended: here at most 4 calls more */
                ck_assert(q.n_calls >= max_eval && q.n_calls <= max_eval + 4);
            else
                ck_assert_int_eq(q.n_calls, max_eval > 1 ? max_eval : 2);
            problem_destroy(&q);
        }
    static const char *const same[] = {"lbfgs:line_search=strong_wolfe", "lbfgs:line_search=strong_wolfe,max_eval=25"};
    problem q[2];
    for (int i = 0; i < 2; i++) {
        q[i] = make_rosenbrock(same[i]);
        ck_assert_ok(problem_step(&q[i]));
    }
    ck_assert(params_equal(&q[0].p, &q[1].p) && q[0].n_calls == q[1].n_calls);
    ck_assert_double_lt(problem_number(&q[0], "n_iter"), 20); /* the calls ended it */
    problem_destroy(&q[0]);
    problem_destroy(&q[1]);
}
END_TEST

/* ---- The two loops ---- */

#define WATCHED 64
typedef struct watched {
    int n;
    double x[WATCHED][20], g[WATCHED][20];
} watched;
static void watch(problem *q, double loss) {
    watched *w = q->watcher;
    (void)loss;
    memcpy(w->x[w->n], q->x, sizeof w->x[0]);
    memcpy(w->g[w->n++], q->g, sizeof w->g[0]);
}

static const float *vector_of(const tread_state *solver, const char *name) {
    const tread_tensor *x;
    ck_assert_ok(tread_state_get_tensor(solver, name, &x));
    return x->data;
}

/* -H g by the two loops in double, with a bound of what float32 does otherwise: e grows with every rounding of q (u of
 * what is computed) and with the error that q gives the factors. */
static void reference_direction(int n_pairs, const float *y, const float *s, const double *ro, double h, const float *g,
                                double *q, double *e) {
    const double u = BOUNDED_U;
    double weight[3], error[3];
    for (int i = 0; i < 20; i++) {
        q[i] = -(double)g[i];
        e[i] = 0;
    }
    for (int turn = 0; turn < 2 * n_pairs; turn++) {
        const bool back = turn < n_pairs;
        const int k = back ? n_pairs - 1 - turn : turn - n_pairs;
        const float *with = (back ? s : y) + 20 * k, *add = (back ? y : s) + 20 * k;
        if (turn == n_pairs)
            for (int i = 0; i < 20; i++) {
                q[i] *= h;
                e[i] = h * e[i] + 2 * u * fabs(q[i]);
            }
        double product = 0, off = 0;
        for (int i = 0; i < 20; i++) {
            product += with[i] * q[i];
            off += fabs(with[i]) * e[i];
        }
        const double by = back ? -ro[k] * product : weight[k] - ro[k] * product;
        const double by_off = back ? ro[k] * off : error[k] + ro[k] * off;
        weight[k] = ro[k] * product;
        error[k] = ro[k] * off;
        for (int i = 0; i < 20; i++) {
            q[i] += by * add[i];
            e[i] += fabs(add[i]) * (by_off + 2 * u * fabs(by)) + u * fabs(q[i]);
        }
    }
}

/* Steps of 1 to 12 iterations with room for three pairs: the pairs are the last three changes that were seen, oldest
 * first, and the direction is theirs. */
START_TEST(three_pairs_and_the_direction_they_give) {
    static const int64_t sizes[] = {3, 17};
    int n_full = 0;
    for (int iterations = 1; iterations <= 12; iterations++) {
        char spec[120];
        snprintf(spec, sizeof spec, "lbfgs:history_size=3,max_iter=%d,max_eval=1000,lr=0.5,tolerance_change=0",
                 iterations);
        watched w = {.n = 0};
        problem q;
        problem_make(&q, NULL, quadratic, 2, sizes, NULL, spec);
        q.watch = watch;
        q.watcher = &w;
        ck_assert_ok(problem_step(&q));
        ck_assert_int_eq(w.n, iterations);
        tread_state *state = tread_optimizer_state_dict(q.optimizer);
        const tread_state *solver = tread_state_find(state, "solver"), *list = tread_state_find(solver, "ro");
        const int n_pairs = (int)tread_state_count(list);
        ck_assert_int_eq(n_pairs, iterations - 1 < 3 ? iterations - 1 : 3);
        n_full += n_pairs == 3;
        const float *g = vector_of(solver, "prev_flat_grad"), *d = vector_of(solver, "d");
        const float *y = n_pairs > 0 ? vector_of(solver, "old_dirs") : NULL;
        const float *s = n_pairs > 0 ? vector_of(solver, "old_stps") : NULL;
        double ro[3], h, ys = 1, yy = 1, direction[20], bound[20];
        for (int k = 0; k < n_pairs; k++) {
            const int at = w.n - n_pairs + k; /* evaluations at - 1 and at */
            ys = yy = 0;
            for (int i = 0; i < 20; i++) {
                ck_assert_float_eq(y[20 * k + i], (float)w.g[at][i] - (float)w.g[at - 1][i]);
                const double moved = w.x[at][i] - w.x[at - 1][i]; /* s and x: one rounding each beside t's */
                ck_assert_double_le(fabs(s[20 * k + i] - moved), BOUNDED_U * (fabs(w.x[at][i]) + 2 * fabs(moved)));
                ys += (double)y[20 * k + i] * s[20 * k + i];
                yy += (double)y[20 * k + i] * y[20 * k + i];
            }
            ck_assert_ok(tread_state_as_real(tread_state_at(list, (size_t)k), &ro[k]));
            ck_assert_double_eq_tol(ro[k] * ys, 1, 1e-12);
        }
        ck_assert_ok(tread_state_get_real(solver, "H_diag", &h));
        ck_assert_double_eq_tol(h / (ys / yy), 1, 1e-12);
        reference_direction(n_pairs, y, s, ro, h, g, direction, bound);
        for (int i = 0; i < 20; i++) {
            ck_assert_float_eq(g[i], (float)w.g[w.n - 1][i]);
            ck_assert_msg(fabs(d[i] - direction[i]) <= 1.01 * bound[i], "%d iterations: d[%d] = %g, not %g +- %g",
                          iterations, i, d[i], direction[i], bound[i]);
        }
        tread_state_destroy(state);
        problem_destroy(&q);
    }
    ck_assert_int_eq(n_full, 9);
}
END_TEST

/* ---- Missing gradients, and values that are not finite ---- */

START_TEST(a_missing_gradient_is_zeros) {
    static const int64_t sizes[] = {4, 3, 5};
    problem q;
    problem_make(&q, NULL, valley, 3, sizes, NULL, "lbfgs:line_search=strong_wolfe");
    q.missing = 1u << 1;
    const uint32_t version = q.p.items[0]->tensor.version;
    ck_assert_ok(problem_step(&q));
    ck_assert_uint_gt(q.p.items[0]->tensor.version, version); /* a backward through old values would be refused */
    for (int e = 0; e < 3; e++)
        ck_assert_float_eq(param_data(&q.p, 1)[e], 0);
    ck_assert_float_ne(param_data(&q.p, 0)[0], 0);
    ck_assert_float_ne(param_data(&q.p, 2)[0], 0);
    q.missing = 0;
    ck_assert_ok(tread_optimizer_set(q.optimizer, 0, "max_iter", 2));
    ck_assert_ok(problem_step(&q));
    q.missing = 1u << 1; /* what was there before does not come back */
    ck_assert_ok(problem_step(&q));
    tread_state *state = tread_optimizer_state_dict(q.optimizer);
    const float *g = vector_of(tread_state_find(state, "solver"), "prev_flat_grad");
    ck_assert(g[3] != 0 && g[4] == 0 && g[5] == 0 && g[6] == 0 && g[7] != 0);
    tread_state_destroy(state);
    problem_destroy(&q);
}
END_TEST

/* Every point that was evaluated and finite. */
typedef struct good_points {
    int n;
    float x[200][2];
    double loss[200];
} good_points;
static void note(problem *q, double loss) {
    good_points *good = q->watcher;
    for (int i = 0; i < 2; i++)
        good->x[good->n][i] = (float)q->x[i];
    good->loss[good->n++] = loss;
}

START_TEST(a_point_that_is_not_finite_is_left) {
    for (int way = 0; way < 4; way++)
        for (int bad = 2; bad <= 24; bad++) {
            good_points good = {.n = 0};
            problem q = make_rosenbrock(way & 1 ? "lbfgs:line_search=strong_wolfe,max_eval=24"
                                                : "lbfgs:max_iter=100,max_eval=24");
            q.watch = note;
            q.watcher = &good;
            q.bad_at = bad;
            q.bad_gradient = way >> 1;
            ck_assert_ok(problem_step(&q));
            ck_assert_int_ge(q.n_calls, bad);
            int at = 0;
            while (at < good.n && memcmp(&good.x[at][0], param_data(&q.p, 0), sizeof(float)) +
                                          memcmp(&good.x[at][1], param_data(&q.p, 1), sizeof(float)) !=
                                      0)
                at++;
            ck_assert_msg(at < good.n, "way %d, call %d: it ends where no good call was", way, bad);
            if (way & 1)
                ck_assert(good.loss[at] <= good.loss[0]);
            else
                ck_assert(at == bad - 2 && q.n_calls == bad); /* the step ends there */
            problem_destroy(&q);
        }
}
END_TEST

/* The gradient at the best point counts, not the one that was met last. */
START_TEST(it_converges_where_the_search_was_broken_off) {
    problem q = make_parabola("lbfgs:line_search=strong_wolfe,lr=0.03,tolerance_grad=2.98");
    q.bad_at = 3; /* the first trial, 2.97, is too near, the second is bad */
    q.bad_gradient = true;
    ck_assert_ok(problem_step(&q));
    ck_assert_int_eq(q.n_calls, 3);
    ck_assert_double_eq(problem_number(&q, "n_iter"), 1);
    ck_assert_float_eq(param_data(&q.p, 0)[0], 2.97f);
    problem_destroy(&q);
}
END_TEST

/* A bowl with a wall: the first trial of lr 1 lies behind it. */
static double wall(const double *x, int64_t n, double *ret_g) {
    (void)n;
    ret_g[0] = 200 * (x[0] - 0.45);
    return x[0] > 0.4 ? 100 * (x[0] - 0.45) * (x[0] - 0.45) : NAN;
}

START_TEST(after_a_wall_it_begins_anew) {
    for (int search = 0; search < 2; search++) {
        problem q;
        problem_make(&q, NULL, wall, 1, pair_of, (const double[]){0.5},
                     search ? "lbfgs:line_search=strong_wolfe" : "lbfgs");
        for (int step = 0; step < 2; step++) {
            ck_assert_ok(problem_step(&q));
            ck_assert_float_eq(param_data(&q.p, 0)[0], 0.5f);
            ck_assert_int_eq(tread_optimizer_closure_calls(q.optimizer), 2);
        }
        ck_assert_ok(tread_optimizer_set(q.optimizer, 0, "lr", 0.05));
        for (int step = 0; step < 8; step++)
            ck_assert_ok(problem_step(&q));
        ck_assert_double_eq_tol(param_data(&q.p, 0)[0], 0.45, 1e-6);
        problem_destroy(&q);
    }
}
END_TEST

START_TEST(a_start_that_is_not_finite_is_an_error) {
    problem q = make_rosenbrock("lbfgs");
    ck_assert_ok(problem_step(&q));
    const float x = param_data(&q.p, 0)[0], y = param_data(&q.p, 1)[0];
    tread_state *before = tread_optimizer_state_dict(q.optimizer);
    q.closure.loss = -7;
    q.bad_at = q.n_calls + 1;
    ck_assert_fails(problem_step(&q), TREAD_ERROR_NUMERIC, "lbfgs: the loss where the step begins is nan");
    q.bad_at = q.n_calls + 1;
    q.bad_gradient = true;
    ck_assert_fails(problem_step(&q), TREAD_ERROR_NUMERIC,
                    "lbfgs: the gradient where the step begins is not finite: parameter 'p1', entry 0");
    tread_state *after = tread_optimizer_state_dict(q.optimizer);
    ck_assert(states_equal(before, after) && param_data(&q.p, 0)[0] == x && param_data(&q.p, 1)[0] == y);
    ck_assert_double_eq(q.closure.loss, -7);
    tread_state_destroy(before);
    tread_state_destroy(after);
    problem_destroy(&q);
}
END_TEST

/* ---- Options, clipping, schedules ---- */

START_TEST(values_that_are_refused) {
    static const char *const refused[][2] = {
        {"lr=-1", "lbfgs: lr = -1 is outside [0, inf)"},
        {"lr=nan", "lbfgs: lr = nan"},
        {"lr=inf", "lbfgs: lr = inf"},
        {"max_iter=0", "lbfgs: max_iter = 0 is outside [1, 2^53]"},
        {"max_iter=1.5", "lbfgs: max_iter = '1.5'"},
        {"max_eval=-1", "lbfgs: max_eval = -1 is outside [0, 2^53]"},
        {"tolerance_grad=-1e-9", "lbfgs: tolerance_grad = -1e-09 is outside [0, inf)"},
        {"tolerance_change=nan", "lbfgs: tolerance_change = nan"},
        {"history_size=0", "lbfgs: history_size = 0 is outside [1, 2^53]"},
        {"line_search=armijo", "lbfgs: line_search = 'armijo'"},
        {"momentum=0.9", "lbfgs"},
    };
    problem q = make_parabola("lbfgs");
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        char spec[64], key[32];
        snprintf(spec, sizeof spec, "lbfgs:%s", refused[i][0]);
        snprintf(key, sizeof key, "%.*s", (int)strcspn(refused[i][0], "="), refused[i][0]);
        ck_assert_ptr_null(tread_optimizer_from_spec(NULL, params_list(&q.p), spec));
        ck_assert_msg(strstr(tread_last_error(), refused[i][1]) != NULL, "%s: %s", spec, tread_last_error());
        ck_assert_fails(tread_optimizer_set_text(q.optimizer, 0, key, strchr(refused[i][0], '=') + 1),
                        TREAD_ERROR_ARGUMENT, refused[i][1]);
    }
    ck_assert_fails(tread_optimizer_step(q.optimizer, NULL), TREAD_ERROR_ARGUMENT, "lbfgs: a step needs a closure");
    ck_assert_fails(tread_optimizer_add_param_group(q.optimizer, params_list(&q.p), NULL), TREAD_ERROR_ARGUMENT,
                    "lbfgs: ");
    params other = params_make(1, pair_of);
    ck_assert_fails(tread_optimizer_add_param_group(q.optimizer, params_list(&other), NULL), TREAD_ERROR_ARGUMENT,
                    "lbfgs: there can be one group only");
    params_destroy(&other);
    tread_lbfgs_options o = tread_lbfgs_defaults();
    ck_assert(o.lr == 1 && o.max_iter == 20 && o.max_eval == 0 && o.tolerance_grad == 1e-7 &&
              o.tolerance_change == 1e-9 && o.history_size == 100 && o.line_search == TREAD_LINE_SEARCH_NONE);
    o.history_size = INT64_C(1) << 52;
    ck_assert_ptr_null(tread_lbfgs(NULL, params_list(&q.p), &o));
    ck_assert_ptr_nonnull(strstr(tread_last_error(), "out of memory"));
    ck_assert(!tread_optimizer_support_sparse(q.optimizer));
    problem_destroy(&q);
}
END_TEST

/* It has no fields for it, so clip_grad does nothing; clipping as one, by the closure, is its own affair. */
typedef struct clipping {
    problem q;
    tread_closure_fn *evaluate;
    tread_clip_options options;
} clipping;
static tread_status evaluate_and_clip(void *data, double *ret_loss) {
    clipping *c = data;
    TREAD_TRY(c->evaluate(&c->q, ret_loss));
    return tread_optimizer_clip_grad_norm(c->q.optimizer, 0.5, 2, &c->options, NULL);
}

START_TEST(clipping_within_a_closure) {
    clipping c[2];
    for (int fused = 0; fused < 2; fused++) {
        c[fused] = (clipping){.options = tread_clip_defaults()};
        c[fused].options.fused = fused;
        c[fused].options.nonfinite = TREAD_NONFINITE_SKIP;
        problem *q = &c[fused].q;
        problem_make(q, NULL, rosenbrock, 2, pair_of, rosenbrock_start, "lbfgs:line_search=strong_wolfe");
        double norm = 0;
        params_set_grads(&q->p, 0, 0);
        ck_assert_ok(tread_optimizer_clip_grad(q->optimizer, NULL, &norm));
        ck_assert(isnan(norm) && ((float *)q->p.items[0]->tensor.grad->data)[0] == param_grad(0, 0, 0));
        c[fused].evaluate = q->closure.evaluate;
        tread_closure closure = {.evaluate = evaluate_and_clip, .data = &c[fused]};
        for (int step = 0; step < 3; step++)
            ck_assert_ok(tread_optimizer_step(q->optimizer, &closure));
        const float x = param_data(&q->p, 0)[0];
        tread_state *before = tread_optimizer_state_dict(q->optimizer);
        q->bad_at = q->n_calls + 1;
        q->bad_gradient = true;
        ck_assert_ok(tread_optimizer_step(q->optimizer, &closure));
        ck_assert(tread_optimizer_step_skipped(q->optimizer));
        tread_state *after = tread_optimizer_state_dict(q->optimizer);
        ck_assert(states_equal(before, after) && param_data(&q->p, 0)[0] == x);
        tread_state_destroy(before);
        tread_state_destroy(after);
        ck_assert_ok(tread_optimizer_step(q->optimizer, &closure));
        ck_assert(!tread_optimizer_step_skipped(q->optimizer));
    }
    ck_assert(params_equal(&c[0].q.p, &c[1].q.p));
    ck_assert_float_ne(param_data(&c[0].q.p, 0)[0], -1.2f);
    problem_destroy(&c[0].q);
    problem_destroy(&c[1].q);
}
END_TEST

START_TEST(a_schedule_moves_lr) {
    problem q = make_parabola("lbfgs:max_iter=1");
    tread_lr_scheduler *scheduler = tread_lr_scheduler_from_spec(q.optimizer, "step_lr:step_size=1,gamma=0.25");
    ck_assert_ok(problem_step(&q)); /* to 2, by lr / 3 */
    ck_assert_double_eq_tol(problem_number(&q, "t"), 1.0 / 3, 1e-15);
    ck_assert_ok(tread_lr_scheduler_step(scheduler));
    ck_assert_ok(problem_step(&q)); /* to 1.5, by lr = 1/4 */
    ck_assert_double_eq(problem_number(&q, "t"), 0.25);
    ck_assert_float_eq(param_data(&q.p, 0)[0], 1.5f);
    tread_lr_scheduler_destroy(scheduler);
    problem_destroy(&q);
}
END_TEST

TEST_MAIN("lbfgs", rosenbrock_in_few_calls, a_quadratic_in_1000_dimensions, every_way_to_end,
          many_short_steps_are_one_long_one, max_eval_is_honoured, three_pairs_and_the_direction_they_give,
          a_missing_gradient_is_zeros, a_point_that_is_not_finite_is_left, it_converges_where_the_search_was_broken_off,
          after_a_wall_it_begins_anew, a_start_that_is_not_finite_is_an_error, values_that_are_refused,
          clipping_within_a_closure, a_schedule_moves_lr)
