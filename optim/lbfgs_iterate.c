#include <math.h>
#include <string.h>

#include "core/status.h"
#include "optim/lbfgs.h"
#include "optim/line_search.h"

#define LEAST_CURVATURE 1e-10 /* of y . s: a pair with less is left out, so that H stays positive definite */

static void swap(float **a, float **b) {
    float *kept = *a;
    *a = *b;
    *b = kept;
}

/* The next step starts as the first did. */
static void forget(tread_lbfgs_solver *solver) {
    solver->numbers.begun = false;
    solver->numbers.h_diag = 1;
    solver->numbers.t = 0;
    tread_lbfgs_history_clear(solver->history);
}

tread_status tread_lbfgs_evaluate(tread_lbfgs_step *p) {
    tread_lbfgs_solver *solver = p->solver;
    tread_optimizer *optimizer = solver->optimizer;
    TREAD_TRY(tread_optimizer_evaluate(optimizer, p->closure, &p->loss));
    solver->numbers.func_evals++;
    tread_flat_from_gradients(&solver->flat, optimizer, solver->trial);
    p->largest = tread_flat_largest(&solver->flat, solver->trial);
    p->skipped = optimizer->skip_next;
    optimizer->skip_next = false;
    return TREAD_OK;
}
bool tread_lbfgs_is_good(const tread_lbfgs_step *p) { return isfinite(p->loss) && isfinite(p->largest); }

/* What the last iteration showed of the curvature: s = t d, and y by which the gradient changed. */
static void add_pair(tread_lbfgs_solver *solver) {
    tread_flat *flat = &solver->flat;
    const tread_lbfgs_pair pair = tread_lbfgs_history_spare(solver->history);
    tread_flat_subtract(flat, pair.y, solver->trial, solver->gradient);
    tread_flat_scale(flat, pair.s, solver->numbers.t, solver->direction);
    const double ys = tread_flat_dot(flat, pair.y, pair.s), yy = tread_flat_dot(flat, pair.y, pair.y);
    if (!(ys > LEAST_CURVATURE) || !isfinite(yy))
        return;
    tread_lbfgs_history_push(solver->history, 1 / ys);
    solver->numbers.h_diag = ys / yy;
}

/* d = -H g for the gradient in solver->trial, by the two loops of algorithm 7.4. Each turn adds a vector and takes the
 * product with the next one in one pass. Returns d . g. */
static double find_direction(tread_lbfgs_solver *solver) {
    tread_flat *flat = &solver->flat;
    const float *g = solver->trial;
    float *d = solver->direction;
    tread_lbfgs_pair *pairs = solver->history->live;
    const size_t n = solver->history->n;
    tread_flat_scale(flat, d, -1, g);
    double product = n > 0 ? tread_flat_dot(flat, d, pairs[n - 1].s) : 0;
    for (size_t i = n; i-- > 0;) {
        pairs[i].weight = product * pairs[i].ro;
        product = tread_flat_add_dot(flat, d, -pairs[i].weight, pairs[i].y, i > 0 ? pairs[i - 1].s : pairs[i].y);
    }
    tread_flat_multiply(flat, d, solver->numbers.h_diag);
    product = tread_flat_dot(flat, d, n > 0 ? pairs[0].y : g);
    for (size_t i = 0; i < n; i++) {
        const double beta = product * pairs[i].ro;
        product = tread_flat_add_dot(flat, d, pairs[i].weight - beta, pairs[i].s, i + 1 < n ? pairs[i + 1].y : g);
    }
    return product;
}

static tread_status evaluate_at(void *data, double t, tread_line_point *ret_point) {
    tread_lbfgs_step *p = data;
    tread_lbfgs_solver *solver = p->solver;
    tread_flat_to_values(&solver->flat, solver->optimizer, solver->values, t, solver->direction);
    TREAD_TRY(tread_lbfgs_evaluate(p));
    ret_point->loss = tread_lbfgs_is_good(p) ? p->loss : NAN;
    ret_point->slope = tread_flat_dot(&solver->flat, solver->trial, solver->direction);
    return TREAD_OK;
}

static void keep_trial(void *data) {
    tread_lbfgs_step *p = data;
    swap(&p->solver->trial, &p->solver->best);
    p->best_largest = p->largest;
}

/* Moves to where the search along the direction ends, with its loss and gradient as those of the last evaluation. */
static tread_status search(tread_lbfgs_step *p, const tread_line_point *start, double first, double longest,
                           double *ret_t) {
    tread_lbfgs_solver *solver = p->solver;
    const tread_line line = {.data = p, .evaluate = evaluate_at, .keep = keep_trial, .largest = longest};
    tread_line_point best;
    bool finite;
    TREAD_TRY(tread_strong_wolfe(&line, start, first, &best, &finite));
    tread_flat_to_values(&solver->flat, solver->optimizer, solver->values, best.t,
                         best.t > 0 ? solver->direction : NULL);
    swap(&solver->trial, &solver->best);
    p->loss = best.loss;
    p->largest = p->best_largest;
    *ret_t = best.t;
    if (best.t == 0 && !finite)
        forget(solver);
    return TREAD_OK;
}

/* Without a search: a step of the given length, evaluated unless it is the last one. */
static tread_status move(tread_lbfgs_step *p, double t, bool last, double *ret_t) {
    tread_lbfgs_solver *solver = p->solver;
    tread_flat_to_values(&solver->flat, solver->optimizer, solver->values, t, solver->direction);
    *ret_t = t;
    if (last)
        return TREAD_OK;
    TREAD_TRY(tread_lbfgs_evaluate(p));
    if (tread_lbfgs_is_good(p))
        return TREAD_OK;
    tread_flat_to_values(&solver->flat, solver->optimizer, solver->values, 0, NULL);
    *ret_t = 0;
    forget(solver);
    return TREAD_OK;
}

tread_status tread_lbfgs_iterate(tread_lbfgs_step *p, bool last) {
    tread_lbfgs_solver *solver = p->solver;
    const tread_lbfgs_options *o = &p->options;
    const bool first = !solver->numbers.begun;
    if (!first)
        add_pair(solver);
    const tread_line_point start = {.loss = p->loss, .slope = find_direction(solver)};
    swap(&solver->gradient, &solver->trial);
    solver->numbers.begun = true;
    solver->numbers.n_iter++;
    solver->numbers.loss = p->loss;
    solver->numbers.t = 0;
    p->finished = true;
    if (!isfinite(start.slope))
        forget(solver);
    double t = o->lr;
    if (first)
        t *= fmin(1, 1 / tread_flat_sum_absolute(&solver->flat, solver->gradient));
    if (!isfinite(start.slope) || start.slope > -o->tolerance_change || start.slope >= 0 || t == 0)
        return TREAD_OK;
    const double longest = tread_flat_largest(&solver->flat, solver->direction);
    tread_flat_from_values(&solver->flat, solver->optimizer, solver->values);
    if (o->line_search == TREAD_LINE_SEARCH_STRONG_WOLFE)
        TREAD_TRY(search(p, &start, t, longest, &solver->numbers.t));
    else
        TREAD_TRY(move(p, t, last, &solver->numbers.t));
    p->finished = p->largest <= o->tolerance_grad || solver->numbers.t * longest <= o->tolerance_change ||
                  fabs(p->loss - start.loss) < o->tolerance_change;
    return TREAD_OK;
}
