/* Layer: tests. Functions to minimise, over parameters of any sizes, computed in double from their float32 values. */
#ifndef TREAD_TESTS_OPTIM_LBFGS_PROBLEM_H
#define TREAD_TESTS_OPTIM_LBFGS_PROBLEM_H

#include "tests/optim/helpers.h"

typedef double problem_fn(const double *x, int64_t n, double *ret_g);

typedef struct problem {
    params p;
    int64_t n;
    double *x, *g; /* of the last evaluation */
    problem_fn *function;
    tread_optimizer *optimizer;
    tread_closure closure;
    int64_t n_calls; /* of the closure, since problem_make */
    int64_t fail_at; /* this call fails; 0: none */
    int64_t bad_at;  /* this call's loss is NaN, or, with bad_gradient, its last gradient entry is infinite */
    bool bad_gradient;
    unsigned missing;                                    /* bit i: parameter i gets no gradient */
    void (*watch)(struct problem *problem, double loss); /* called after every good evaluation */
    void *watcher;
} problem;

/* Makes parameters, sets them to start (n values; NULL: zeros), and the optimizer from spec. */
void problem_make(problem *problem, const tread_context *context, problem_fn *function, size_t count,
                  const int64_t *sizes, const double *start, const char *spec);
void problem_destroy(problem *problem);
double problem_value(problem *problem); /* of the function at the parameters; no call of the closure */
tread_status problem_step(problem *problem);
/* Of the last step's solver, from the state dict. */
double problem_number(const problem *problem, const char *name);

problem_fn rosenbrock, parabola, quadratic, valley;
extern const double rosenbrock_start[2];
double quadratic_bound(int64_t n); /* of quadratic, where every x_i is an ulp from its best */

/* Whether two states are the same to the bit. */
bool states_equal(const tread_state *a, const tread_state *b);
/* A copy of state in which the part called name, wherever it is, is left out, or, where put is given, what put adds in
 * its place. */
tread_state *state_edited(const tread_state *state, const char *name, void (*put)(tread_state *whole));

#endif
