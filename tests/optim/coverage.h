/* Layer: tests. Whether a list of settings uses all that an optimizer has: both values of each boolean, each choice,
 * and for numbers one that is not the default. */
#ifndef TREAD_TESTS_OPTIM_COVERAGE_H
#define TREAD_TESTS_OPTIM_COVERAGE_H

#include "optim/field.h"

typedef struct coverage {
    const tread_field_table *table;
    unsigned seen[64][TREAD_MAX_VALUES]; /* bit v: value v of a boolean or a choice; of a number, 1: not the default */
} coverage;

void coverage_add(coverage *c, const void *options);
/* The first field that is not covered, NULL if there is none. What concerns clipping is not asked for: it has no part
 * in a step. */
const char *coverage_gap(const coverage *c, bool numbers_too);

#endif
