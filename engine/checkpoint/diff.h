/* Layer: engine. What the comparisons of states and of files share. */
#ifndef TREAD_ENGINE_DIFF_H
#define TREAD_ENGINE_DIFF_H

#include <tread/state_diff.h>

#include "engine/checkpoint/element.h"

typedef struct tread_diff {
    tread_difference_fn *fn;
    void *data;
    size_t n;
    bool ended; /* fn said so */
} tread_diff;

/* Counts one difference and hands it on. The sentence is made from the format. */
void tread_diff_report(tread_diff *diff, tread_difference_kind kind, const char *path, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* Equal bytes of two arrays of elements are passed over; of others the first place, what stands there, and the number
 * are gathered, over one part of the arrays after the other. */
typedef struct tread_values_diff {
    int64_t n, first, n_differ; /* elements so far */
    char is[TREAD_ELEMENT_TEXT], other[TREAD_ELEMENT_TEXT];
} tread_values_diff;
void tread_values_diff_add(tread_values_diff *values, const tread_element_type *type, const void *a, const void *b,
                           int64_t n);
/* Reports what there is. rank -1: without places on the axes. */
void tread_values_diff_report(const tread_values_diff *values, tread_diff *diff, const char *path, int rank,
                              const int64_t *shape);

#endif
