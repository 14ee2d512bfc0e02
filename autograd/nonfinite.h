/* Layer: autograd. Where on a tape values stopped being finite; for error sentences. */
#ifndef TREAD_AUTOGRAD_NONFINITE_H
#define TREAD_AUTOGRAD_NONFINITE_H

#include <tread/tape.h>

typedef struct tread_nonfinite_place {
    const char *op; /* static */
    size_t index;   /* on the tape, from 0 */
    size_t length;  /* of the tape */
    int input;      /* of that operation; -1: its output */
} tread_nonfinite_place;

/* The first operation since the last reset that took finite values and gave one that is not; else, of several that took
 * such values, the first. False where every output is finite. */
bool tread_tape_find_nonfinite(const tread_tape *tape, tread_nonfinite_place *ret_place);
/* Of the last backward: the first operation, in its order, whose output has a finite gradient and one of whose inputs
 * has not. */
bool tread_tape_find_nonfinite_grad(const tread_tape *tape, tread_nonfinite_place *ret_place);
/* Whether all are finite; true for integers. */
bool tread_values_finite(const void *values, tread_dtype dtype, int64_t n);

#endif
