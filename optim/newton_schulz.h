/* Layer: optim. A matrix with the singular vectors of another and singular values near 1, by the quintic Newton-Schulz
 * iteration of Muon (Jordan and others, 2024):
 *     X = U / max(||U||, 1e-7);   steps times  X = (a I + b A + c A A) X,   A = X X^T,
 *     a = 3.4445, b = -4.7750, c = 2.0315
 * A matrix with more rows than columns takes A = X^T X on the other side, which is the same on its transpose. Five
 * steps bring a singular value of at least 0.01 ||U|| into [0.68, 1.14]; these coefficients do not converge, they are
 * fast. float32; the bits depend on the shape and the back-end, never on the thread count. */
#ifndef TREAD_OPTIM_NEWTON_SCHULZ_H
#define TREAD_OPTIM_NEWTON_SCHULZ_H

#include "core/dnn.h"

typedef struct tread_newton_schulz {
    const tread_context *context;
    int64_t rows, columns, side; /* side: the smaller of the two */
    tread_gemm *gram, *square, *product;
    float *x;      /* (rows, columns): U before a run, the result after it */
    float *next;   /* (rows, columns) */
    float *a, *aa; /* (side, side) */
    double *sums;  /* one per chunk of x */
    float *memory; /* all of the above */
} tread_newton_schulz;

/* Plans it: the only part that allocates. TREAD_ERROR_SHAPE, TREAD_ERROR_MEMORY, TREAD_ERROR_BACKEND. */
tread_status tread_newton_schulz_create(const tread_context *context, int64_t rows, int64_t columns,
                                        tread_newton_schulz **ret_plan);
void tread_newton_schulz_destroy(tread_newton_schulz *plan); /* NULL is accepted */
/* TREAD_ERROR_BACKEND, TREAD_ERROR_MEMORY (oneDNN): x is undefined then. */
tread_status tread_newton_schulz_run(tread_newton_schulz *plan, int64_t steps);

#endif
