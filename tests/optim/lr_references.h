/* Layer: tests. Every scheduler that a spec string can make, with its formula written anew in long double. */
#ifndef TREAD_TESTS_OPTIM_LR_REFERENCES_H
#define TREAD_TESTS_OPTIM_LR_REFERENCES_H

#include <stdint.h>

/* The bound on |lr - formula|, in units of 2^-53: absolute * scale * b + relative(n) * formula. It counts roundings:
 * see lr_references.c. */
typedef struct lr_reference {
    const char *spec;
    long double (*formula)(long double b, int64_t n);
    double absolute;
    double (*relative)(int64_t n); /* NULL: 0 */
    double scale;                  /* 0 counts as 1 */
} lr_reference;

extern const lr_reference lr_references[]; /* spec NULL at the end */

#define LR_UNIT 0x1p-53
double lr_reference_bound(const lr_reference *reference, double b, int64_t n);

#endif
