/* Layer: optim. What the L-BFGS solver keeps: vectors, and the pairs of its history. */
#ifndef TREAD_OPTIM_LBFGS_H
#define TREAD_OPTIM_LBFGS_H

#include "optim/flat.h"

/* ---- History ---- */

/* y, how the gradient changed, and s, by what the parameters did. */
typedef struct tread_lbfgs_pair {
    float *y, *s;
    double ro;     /* 1 / (y . s) */
    double weight; /* scratch of the two loops */
} tread_lbfgs_pair;

/* The newest pairs, and those that a step which fails must bring back: memory for history_size of them and for as many
 * as a step can add. It is taken when the history is made, and the operating system backs it page by page as pairs come
 * to be: a long history costs what is in use of it, and no step allocates. */
typedef struct tread_lbfgs_history {
    int64_t n_floats; /* of y, and of s */
    float *block;
    size_t n_buffers, n_used; /* pairs that block has room for; those written so far */
    tread_lbfgs_pair *live;   /* oldest first */
    size_t n, history_size;
    tread_lbfgs_pair *before; /* live, at the start of the step */
    size_t n_before, n_old;   /* pairs of before that still live: the first n_old of live */
    tread_lbfgs_pair *idle;   /* buffers, used before, that neither needs */
    size_t n_idle;
    unsigned char *is_live; /* scratch, one per buffer */
} tread_lbfgs_history;

/* TREAD_ERROR_MEMORY */
tread_status tread_lbfgs_history_create(const tread_lbfgs_options *options, int64_t n_floats,
                                        tread_lbfgs_history **ret_history);
void tread_lbfgs_history_destroy(tread_lbfgs_history *history);
bool tread_lbfgs_history_fits(const tread_lbfgs_history *history, const tread_lbfgs_options *options);
/* Takes over the newest pairs of another. */
void tread_lbfgs_history_copy(tread_lbfgs_history *to, const tread_lbfgs_history *from);

/* A step brackets its changes with begin and end. */
void tread_lbfgs_history_begin(tread_lbfgs_history *history);
void tread_lbfgs_history_end(tread_lbfgs_history *history, bool failed);
/* Memory for one more pair, which push, given its ro, adds; the oldest goes where there are history_size. */
tread_lbfgs_pair tread_lbfgs_history_spare(tread_lbfgs_history *history);
void tread_lbfgs_history_push(tread_lbfgs_history *history, double ro);
void tread_lbfgs_history_clear(tread_lbfgs_history *history); /* as a step's last change */

/* ---- Solver ---- */

/* The numbers that one step leaves to the next. */
typedef struct tread_lbfgs_numbers {
    bool begun;    /* there are a direction and a gradient: the last iteration's */
    double t;      /* what it moved along the direction: 0 where it did not move */
    double loss;   /* where it began */
    double h_diag; /* H_0 = h_diag I */
    int64_t n_iter, func_evals;
} tread_lbfgs_numbers;

typedef struct tread_lbfgs_solver {
    tread_optimizer *optimizer;
    tread_flat flat;
    tread_lbfgs_history *history;
    tread_lbfgs_numbers numbers, numbers_before;
    float *vectors; /* all of the following, in one block */
    float *direction, *direction_before;
    float *gradient, *gradient_before; /* where the last iteration began */
    float *values, *values_before;     /* the parameters there, and at the start of the step */
    float *trial, *best;               /* gradients: of the last evaluation, of the line search's best one */
} tread_lbfgs_solver;

/* For one group with these options. TREAD_ERROR_MEMORY */
tread_status tread_lbfgs_create(tread_optimizer *optimizer, const tread_lbfgs_options *options,
                                tread_lbfgs_solver **ret_solver);
void tread_lbfgs_destroy(void *solver);

/* ---- A step ---- */

typedef struct tread_lbfgs_step {
    tread_lbfgs_solver *solver;
    tread_lbfgs_options options; /* a copy: the closure may set some */
    tread_closure *closure;
    double loss, largest; /* of the last evaluation, whose gradient is in solver->trial; |g_i| */
    double best_largest;  /* of solver->best */
    bool skipped;         /* clipping said so: of the first evaluation; later ones are not good then */
    bool finished;        /* no further iteration */
} tread_lbfgs_step;

/* Loss and gradient where the parameters are; good: finite. */
tread_status tread_lbfgs_evaluate(tread_lbfgs_step *step);
bool tread_lbfgs_is_good(const tread_lbfgs_step *step);
/* A direction from the last evaluation, and the move along it. last: of the step. */
tread_status tread_lbfgs_iterate(tread_lbfgs_step *step, bool last);

/* ---- State ---- */

tread_status tread_lbfgs_to_state(const void *solver, tread_state *tree);
tread_status tread_lbfgs_from_state(tread_optimizer *optimizer, const tread_state *tree, tread_report *report,
                                    void **ret_solver);

#endif
