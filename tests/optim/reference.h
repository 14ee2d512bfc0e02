/* Layer: tests. Each optimizer's update once more, in double, with bounds on what float32 may differ by (bounded.h). */
#ifndef TREAD_TESTS_OPTIM_REFERENCE_H
#define TREAD_TESTS_OPTIM_REFERENCE_H

#include "core/tensor.h"
#include "optim/type.h"
#include "tests/optim/bounded.h"

/* A parameter, and what its optimizer knows of it. */
typedef struct reference {
    int64_t n, rows, columns;
    int64_t t; /* updates received */
    bounded *x, *slots[TREAD_MAX_SLOTS];
    double scalars[TREAD_MAX_SCALARS];
    double norm_error; /* what comes to x's errors, where only its norm is bounded: matrix products mix elements */
} reference;

/* One update by n gradients; t counts it already. options: the optimizer's struct. */
typedef void reference_fn(const void *options, reference *r, const double *grad);
/* Of an optimizer by its name; NULL if it has none. */
reference_fn *reference_of(const char *name);

/* Starts from a parameter's values. */
reference reference_create(const tread_tensor *parameter);
void reference_destroy(reference *r);

/* reference_muon.c: X is orthogonalised in place; returns a bound on the Frobenius norm of its error, given that of U.
 */
double reference_orthogonalise(double *x, int64_t rows, int64_t columns, int64_t steps, double error);
reference_fn reference_adamw, reference_muon;

#endif
