/* Layer: optim. Options that are functions of the caller. */
#ifndef TREAD_OPTIM_LR_FUNCTION_H
#define TREAD_OPTIM_LR_FUNCTION_H

#include <stdint.h>
#include <tread/lr_schedulers.h>

#include "optim/field.h"

/* What multiplicative_lr remembers of a function, so that a run costs one call per step: the product of its results at
 * the steps 1 to step. Own copies of functions have as many of these behind them. */
typedef struct tread_lr_product {
    int64_t step;
    double value;
} tread_lr_product;

static inline tread_lr_product *tread_lr_products(const tread_lr_function *own_functions, size_t n) {
    return (tread_lr_product *)(uintptr_t)(own_functions + n);
}

/* Freed by tread_free(). NULL: TREAD_ERROR_MEMORY. */
tread_lr_function *tread_lr_functions_copy(const tread_lr_function *functions, size_t n);
/* Each has evaluate, and save and load or neither. `name`: of the scheduler. */
tread_status tread_lr_functions_check(const char *name, const tread_lr_function *functions, size_t n);

/* A list of trees, "context" in those whose function saves it. */
tread_status tread_lr_functions_to_state(const tread_field *field, const void *options, tread_state *tree);
/* Whether part has what these functions load; differences go to report. Nothing is loaded. */
void tread_lr_functions_compare(const tread_field *field, const void *options, const tread_state *part,
                                const char *where, tread_report *report);

/* The contexts that are to be loaded into the functions of options and of the schedulers in them. */
typedef struct tread_context_load {
    const tread_lr_function *function;
    const tread_state *saved;
    tread_state *before; /* to put it back */
} tread_context_load;

/* How many there are; writes them to ret_loads unless NULL. tree: the state of these options, compared before. */
size_t tread_context_loads(const tread_field_table *table, const void *options, const tread_state *tree,
                           tread_context_load *ret_loads);
/* Loads all of them or none. */
tread_status tread_contexts_load(tread_context_load *loads, size_t n);
/* Undoes that. */
void tread_contexts_put_back(tread_context_load *loads, size_t n);
void tread_context_loads_free(tread_context_load *loads, size_t n);

#endif
