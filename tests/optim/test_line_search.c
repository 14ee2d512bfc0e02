/* The strong Wolfe search on functions of one variable: what it returns satisfies the conditions, whatever the first
 * trial; where it cannot, the best point is returned; failures and values that are not finite end it. */
#include "optim/line_search.h"

#include <math.h>
#include <string.h>

#include "core/status.h"
#include "tests/test.h"

typedef struct function {
    double (*value)(double t);
    double (*slope)(double t);
    int n_calls, fail_at;
    int bad_at, bad_slope_at; /* this call's loss is infinite, or its slope NaN */
    double last, kept;
} function;

static tread_status evaluate(void *data, double t, tread_line_point *ret_point) {
    function *f = data;
    f->n_calls++;
    f->last = t;
    if (f->n_calls == f->fail_at)
        return tread_fail(TREAD_ERROR_CALLBACK, "call %d", f->n_calls);
    ret_point->loss = f->n_calls == f->bad_at ? INFINITY : f->value(t);
    ret_point->slope = f->n_calls == f->bad_slope_at ? NAN : f->slope(t);
    return TREAD_OK;
}
static void keep(void *data) {
    function *f = data;
    f->kept = f->last;
}

static double bowl(double t) { return 0.5 * (t - 2) * (t - 2); }
static double bowl_slope(double t) { return t - 2; }
static double quartic(double t) { return pow(t - 1, 4) - 0.3 * t; }
static double quartic_slope(double t) { return 4 * pow(t - 1, 3) - 0.3; }
/* More and Thuente 1994, their first and second functions. */
static double rational(double t) { return -t / (t * t + 2); }
static double rational_slope(double t) { return (t * t - 2) / ((t * t + 2) * (t * t + 2)); }
static double steep(double t) { return pow(t + 0.004, 5) - 2 * pow(t + 0.004, 4); }
static double steep_slope(double t) { return 5 * pow(t + 0.004, 4) - 8 * pow(t + 0.004, 3); }
static double waves(double t) { return 0.05 * t * t - 0.3 * t + 0.2 * cos(3 * t); }
static double waves_slope(double t) { return 0.1 * t - 0.3 - 0.6 * sin(3 * t); }
static double ramp(double t) { return -t; }
static double ramp_slope(double t) {
    (void)t;
    return -1;
}
/* Its slope says down, its values say up: no point decreases. */
static double rising(double t) { return t; }

static const struct {
    const char *name;
    double (*value)(double t);
    double (*slope)(double t);
    int most_calls; /* over all first trials */
} functions[] = {{"bowl", bowl, bowl_slope, 4},
                 {"quartic", quartic, quartic_slope, 8},
                 {"rational", rational, rational_slope, 4},
                 {"steep", steep, steep_slope, 14},
                 {"waves", waves, waves_slope, 5}};

static void search(function *f, double first, tread_line_point *ret_best, bool *ret_finite) {
    const tread_line_point start = {0, f->value(0), f->slope(0)};
    const tread_line line = {.data = f, .evaluate = evaluate, .keep = keep, .largest = 1};
    f->kept = 0;
    ck_assert_ok(tread_strong_wolfe(&line, &start, first, ret_best, ret_finite));
    ck_assert_double_eq(ret_best->loss, f->value(ret_best->t));
    ck_assert_double_eq(ret_best->slope, f->slope(ret_best->t));
    if (ret_best->t > 0)
        ck_assert_double_eq(ret_best->t, f->kept);
}

START_TEST(what_it_returns_satisfies_the_conditions) {
    for (size_t k = 0; k < sizeof functions / sizeof *functions; k++)
        for (double first = 1e-3; first < 2e3; first *= 10) {
            function f = {.value = functions[k].value, .slope = functions[k].slope};
            tread_line_point best;
            bool finite;
            search(&f, first, &best, &finite);
            ck_assert(finite);
            ck_assert_msg(best.loss <= f.value(0) + 1e-4 * best.t * f.slope(0) &&
                              fabs(best.slope) <= -0.9 * f.slope(0) && best.t > 0,
                          "%s from %g: t = %g", functions[k].name, first, best.t);
            ck_assert_msg(f.n_calls <= functions[k].most_calls, "%s from %g: %d calls", functions[k].name, first,
                          f.n_calls);
        }
}
END_TEST

START_TEST(a_cubic_through_a_parabola_hits_its_minimum) {
    function f = {.value = bowl, .slope = bowl_slope};
    tread_line_point best;
    bool finite;
    search(&f, 4.5, &best, &finite); /* too far: the second trial is the minimum */
    ck_assert_double_eq_tol(best.t, 2, 1e-12);
    ck_assert_int_eq(f.n_calls, 2);
}
END_TEST

START_TEST(without_an_end_it_gives_up) {
    function f = {.value = ramp, .slope = ramp_slope};
    tread_line_point best;
    bool finite;
    search(&f, 1, &best, &finite); /* down forever: the last of 26 trials, each at most ten times the one before */
    ck_assert(finite && best.t > 1 && best.t <= 1e25);
    ck_assert_int_eq(f.n_calls, 26);
    f = (function){.value = rising, .slope = ramp_slope};
    search(&f, 1, &best, &finite);
    ck_assert(finite && best.t == 0);
    ck_assert_int_le(f.n_calls, 26);
}
END_TEST

/* 1 - t, and from t = 1 on a thousand times as steep upwards. Nowhere is it flat enough, and the cubics, which the
 * slopes mislead, would hardly move: with a first trial of 3 the search would end at 0.04. */
static double kink(double t) { return t < 1 ? 1 - t : 1000 * (t - 1); }
static double kink_slope(double t) { return t < 1 ? -1 : 1000; }

START_TEST(misled_it_comes_near_all_the_same) {
    static const double firsts[] = {0.1, 0.5, 1.5, 2, 3, 10, 30, 100, 1000};
    for (int i = 0; i < 9; i++) {
        function f = {.value = kink, .slope = kink_slope};
        tread_line_point best;
        bool finite;
        search(&f, firsts[i], &best, &finite);
        ck_assert_msg(finite && best.t > 0.98 && best.t < 1.001, "from %g: t = %g", firsts[i], best.t);
        ck_assert_int_eq(f.n_calls, 26);
    }
}
END_TEST

START_TEST(what_is_not_finite_ends_it_at_the_best_point) {
    for (size_t k = 0; k < sizeof functions / sizeof *functions; k++)
        for (double first = 1e-3; first < 2e3; first *= 10) {
            function whole = {.value = functions[k].value, .slope = functions[k].slope};
            tread_line_point best;
            bool finite;
            search(&whole, first, &best, &finite);
            for (int bad = 2; bad <= 2 * whole.n_calls + 1; bad++) {
                function f = {.value = functions[k].value, .slope = functions[k].slope};
                *(bad % 2 == 0 ? &f.bad_at : &f.bad_slope_at) = bad / 2;
                search(&f, first, &best, &finite);
                ck_assert(!finite && f.n_calls == bad / 2);
                ck_assert(best.t == f.kept && best.loss <= f.value(0));
            }
        }
}
END_TEST

START_TEST(a_failure_is_handed_on) {
    for (int at = 1; at <= 3; at++) {
        function f = {.value = waves, .slope = waves_slope, .fail_at = at};
        const tread_line_point start = {0, waves(0), waves_slope(0)};
        const tread_line line = {.data = &f, .evaluate = evaluate, .keep = keep, .largest = 1};
        tread_line_point best = {.t = -1};
        bool finite;
        ck_assert_fails(tread_strong_wolfe(&line, &start, 1e-3, &best, &finite), TREAD_ERROR_CALLBACK, "call ");
        ck_assert_double_eq(best.t, -1);
        ck_assert_int_eq(f.n_calls, at);
    }
}
END_TEST

TEST_MAIN("line_search", what_it_returns_satisfies_the_conditions, a_cubic_through_a_parabola_hits_its_minimum,
          without_an_end_it_gives_up, misled_it_comes_near_all_the_same, what_is_not_finite_ends_it_at_the_best_point,
          a_failure_is_handed_on)
