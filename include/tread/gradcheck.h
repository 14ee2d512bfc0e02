/* Layer: autograd. Checks gradients against central differences, in float64. */
#ifndef TREAD_GRADCHECK_H
#define TREAD_GRADCHECK_H

#include <tread/tape.h>

TREAD_BEGIN_DECLS

/* Computes a tensor of any shape from inputs on tape, with operations only; NULL on failure. */
typedef tread_tensor *(*tread_gradcheck_fn)(void *data, tread_tape *tape, tread_tensor *const *inputs);

typedef struct tread_gradcheck_options {
    size_t size;
    double eps;  /* step of the difference [1e-6] */
    double atol; /* [1e-5] */
    double rtol; /* [1e-3]; an element passes where |analytic - numeric| <= atol + rtol |numeric| */
} tread_gradcheck_options;
TREAD_API tread_gradcheck_options tread_gradcheck_defaults(void);

typedef struct tread_gradcheck_result {
    bool passed;
    int input;       /* the worst element: of which input, */
    int64_t element; /* at which flat index, */
    double analytic; /* what backward says, */
    double numeric;  /* what the difference says, */
    double error;    /* and |analytic - numeric| - rtol |numeric| there */
} tread_gradcheck_result;

/* inputs: n float64 leaves; those with requires_grad are checked element by element, and their values and gradients
 * are as before afterwards. The output is contracted with fixed random weights so that every element of it counts.
 * The random stream of the tape is put back before every run, so dropout may be checked. options may be NULL.
 * Returns TREAD_OK when it could be computed (see passed), TREAD_ERROR_DTYPE (an input not float64),
 * TREAD_ERROR_ARGUMENT (no input requires a gradient; an option out of range), or what function's operations failed
 * with. */
TREAD_API tread_status tread_gradcheck(tread_context *context, tread_gradcheck_fn function, void *data,
                                       tread_tensor *const *inputs, int n, const tread_gradcheck_options *options,
                                       tread_gradcheck_result *ret_result);

TREAD_END_DECLS

#endif
