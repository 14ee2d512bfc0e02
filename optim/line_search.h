/* Layer: optim. Line searches: how far to go along a direction. */
#ifndef TREAD_OPTIM_LINE_SEARCH_H
#define TREAD_OPTIM_LINE_SEARCH_H

#include <stdbool.h>
#include <tread/status.h>

/* The loss as a function of t >= 0 along the direction. */
typedef struct tread_line_point {
    double t, loss, slope;
} tread_line_point;

typedef struct tread_line {
    void *data;
    /* Sets loss and slope at t, in double. A failure ends the search and is returned. */
    tread_status (*evaluate)(void *data, double t, tread_line_point *ret_point);
    /* The point that was evaluated last is the best so far, and may become the result. */
    void (*keep)(void *data);
    double largest; /* |d_i|: a bracket that moves no parameter by more than 1e-9 is small enough */
} tread_line;

/* The strong Wolfe conditions, loss(t) <= loss(0) + 1e-4 t slope(0) and |slope(t)| <= 0.9 |slope(0)|, by Nocedal and
 * Wright 2006, algorithms 3.5 and 3.6 with cubic interpolation (3.59), in at most 26 evaluations. start: t = 0, slope
 * below 0. first: the t to try first, above 0. ret_best: a point that satisfies them; where none is found, the lowest
 * that satisfies the first, which may be start. It is start or the point that was kept last. Loss and slope that are
 * not finite end the search, at the best point before them (ret_finite false).
 *
 * torch.optim.LBFGS goes the same way, except that it takes a trial which is lower than all others for the best even
 * where it does not decrease enough, and so may shut the minimum out of its bracket. */
tread_status tread_strong_wolfe(const tread_line *line, const tread_line_point *start, double first,
                                tread_line_point *ret_best, bool *ret_finite);

#endif
