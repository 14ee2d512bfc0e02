#include "optim/line_search.h"

#include <math.h>

#include "core/status.h"

#define DECREASE 1e-4
#define CURVATURE 0.9
#define MAX_MORE 25 /* evaluations after the first */
#define SMALL 1e-9

typedef struct search {
    const tread_line *line;
    tread_line_point start, low, high; /* low: the best so far, which decreases enough; high: the bracket's other end */
    int n_more;
    bool done, finite;
} search;

static bool is_finite(const tread_line_point *p) { return isfinite(p->loss) && isfinite(p->slope); }

static bool decreases(const search *s, const tread_line_point *p) {
    return p->loss <= s->start.loss + DECREASE * p->t * s->start.slope;
}
static bool is_flat(const search *s, const tread_line_point *p) {
    return fabs(p->slope) <= -CURVATURE * s->start.slope;
}

static tread_status evaluate(search *s, double t, tread_line_point *ret_point) {
    *ret_point = (tread_line_point){.t = t};
    TREAD_TRY(s->line->evaluate(s->line->data, t, ret_point));
    s->finite = is_finite(ret_point);
    return TREAD_OK;
}

/* Where the cubic through both points, with their slopes, is least, within [least, most]; the middle where it has no
 * minimum. */
static double interpolate(const tread_line_point *a, const tread_line_point *b, double least, double most) {
    const tread_line_point *left = a->t <= b->t ? a : b, *right = a->t <= b->t ? b : a;
    const double d1 = left->slope + right->slope - 3 * (left->loss - right->loss) / (left->t - right->t);
    const double square = d1 * d1 - left->slope * right->slope;
    if (!(square >= 0))
        return (least + most) / 2;
    const double d2 = sqrt(square);
    const double t =
        right->t - (right->t - left->t) * ((right->slope + d2 - d1) / (right->slope - left->slope + 2 * d2));
    if (!isfinite(t))
        return (least + most) / 2;
    return t < least ? least : t > most ? most : t;
}

static void keep(search *s, const tread_line_point *now) {
    s->low = *now;
    s->line->keep(s->line->data);
}

/* Algorithm 3.5: goes on, at most tenfold each time, until a minimum lies behind. */
static tread_status go_on(search *s, double t) {
    tread_line_point before = s->start, now;
    for (;; s->n_more++) {
        TREAD_TRY(evaluate(s, t, &now));
        if (!s->finite)
            return TREAD_OK;
        if (!decreases(s, &now) || now.loss >= before.loss) {
            s->high = now;
            return TREAD_OK;
        }
        keep(s, &now);
        s->high = before;
        s->done = is_flat(s, &now) || s->n_more == MAX_MORE;
        if (s->done || now.slope >= 0)
            return TREAD_OK;
        t = interpolate(&before, &now, now.t + 0.01 * (now.t - before.t), 10 * now.t);
        before = now;
    }
}

/* A trial near an end of the bracket makes it little smaller: the second in a row, and one at the end itself, is moved
 * a tenth inwards. */
static double away_from_ends(double t, double left, double right, bool *near_before) {
    const double tenth = 0.1 * (right - left);
    const bool near = fmin(right - t, t - left) < tenth, moves = near && (*near_before || t >= right || t <= left);
    *near_before = near && !moves;
    if (!moves)
        return t;
    return right - t < t - left ? right - tenth : left + tenth;
}

/* Algorithm 3.6: makes the bracket smaller. */
static tread_status zoom(search *s) {
    bool near = false;
    while (!s->done && s->n_more < MAX_MORE) {
        const double left = fmin(s->low.t, s->high.t), right = fmax(s->low.t, s->high.t);
        if ((right - left) * s->line->largest < SMALL)
            break;
        tread_line_point now;
        TREAD_TRY(evaluate(s, away_from_ends(interpolate(&s->low, &s->high, left, right), left, right, &near), &now));
        s->n_more++;
        if (!s->finite)
            break;
        if (!decreases(s, &now) || now.loss >= s->low.loss) {
            s->high = now;
            continue;
        }
        s->done = is_flat(s, &now);
        if (now.slope * (s->high.t - s->low.t) >= 0)
            s->high = s->low;
        keep(s, &now);
    }
    return TREAD_OK;
}

tread_status tread_strong_wolfe(const tread_line *line, const tread_line_point *start, double first,
                                tread_line_point *ret_best, bool *ret_finite) {
    search s = {.line = line, .start = *start, .low = *start};
    TREAD_TRY(go_on(&s, first));
    if (s.finite)
        TREAD_TRY(zoom(&s));
    *ret_best = s.low;
    *ret_finite = s.finite;
    return TREAD_OK;
}
