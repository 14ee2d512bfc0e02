/* Layer: tests. Tables of rows with sparse gradients, for the optimizers' tests. */
#ifndef TREAD_TESTS_OPTIM_SPARSE_HELPERS_H
#define TREAD_TESTS_OPTIM_SPARSE_HELPERS_H

#include <tread/sparse_grad.h>

#include "core/sparse_grad.h"
#include "tests/optim/helpers.h"

/* What a backward leaves: n rows of a table by index, in any order, some indices more than once. */
typedef struct entries {
    int64_t n, width;
    int32_t *indices; /* (n) */
    float *rows;      /* (n, width) */
} entries;

/* Functions of (place, step) alone; indices lie in [0, rows). */
entries entries_make(size_t place, int64_t rows, int64_t width, int64_t n, int64_t step);
void entries_free(entries *e);
/* As the parameter's gradient: sparse, or a dense one of sums in the order of the entries. */
void entries_set_sparse(const entries *e, tread_parameter *parameter);
void entries_set_dense(const entries *e, tread_parameter *parameter);
/* The row's sum, in that order, into (width) floats; false where no entry is of that row. */
bool entries_sum(const entries *e, int64_t row, float *ret_sum);

/* A parameter of param_value(place, ...). */
tread_parameter *table_make(const char *name, size_t place, int64_t rows, int64_t width);
static inline float *table_data(const tread_parameter *table) { return table->tensor.data; }
bool tables_equal(const tread_parameter *a, const tread_parameter *b);
/* Slot s of an optimizer's parameter; NULL where its options need none. */
const float *slot_of(const tread_optimizer *optimizer, size_t item, int s);
/* Whether step counts and slots are the same, bit for bit. */
bool states_equal(const tread_optimizer *a, const tread_optimizer *b);

#endif
