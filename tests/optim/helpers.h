/* Layer: tests. Parameters with gradients for the optimizers' tests, and the battery's list of settings. */
#ifndef TREAD_TESTS_OPTIM_HELPERS_H
#define TREAD_TESTS_OPTIM_HELPERS_H

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <tread/lr_schedulers.h>

#include "core/isa.h"
#include "core/memory.h"
#include "core/tensor.h"
#include "optim/optimizer.h"
#include "tests/test.h"

#define MAX_PARAMS 8

/* Vectors "p0", "p1", ... with values and gradients that are functions of (place, index, step) alone. */
typedef struct params {
    tread_parameter *items[MAX_PARAMS];
    size_t count;
} params;

params params_make(size_t count, const int64_t *sizes);
/* The same for the optimizer of a spec: where it updates whole tensors they are matrices, as nearly square as their
 * sizes allow, wide and tall in turn. */
params params_make_for(const char *spec, size_t count, const int64_t *sizes);
/* The type that a spec begins with; fails if there is none. */
const tread_optimizer_type *type_of_spec(const char *spec);
void params_destroy(params *p);
static inline tread_parameter_list params_list(const params *p) { return (tread_parameter_list){p->items, p->count}; }
static inline tread_parameter_list params_part(const params *p, size_t first, size_t count) {
    return (tread_parameter_list){p->items + first, count};
}
float param_value(size_t parameter, int64_t i);
float param_grad(size_t parameter, int64_t i, int64_t step);
void params_set_values(params *p);
/* Sets every gradient; those whose bit is in `missing` become none. */
void params_set_grads(params *p, int64_t step, unsigned missing);
static inline float *param_data(const params *p, size_t i) { return p->items[i]->tensor.data; }
/* Whether all values are the same, bit for bit. */
bool params_equal(const params *a, const params *b);
void param_set_grad(tread_parameter *parameter, const float *values);

/* Fails with the library's sentence. */
tread_lr_scheduler *make_scheduler(tread_optimizer *optimizer, const char *spec);
/* The end of a run. */
void destroy_run(tread_lr_scheduler *scheduler, tread_optimizer *optimizer, params *p);

/* NULL at the end: every registered optimizer with its defaults, and with settings that take other ways through it. */
extern const char *const battery_specs[];

tread_context *context_with_threads(int threads);
/* Asserts that make() fails without effect for every k-th allocation failing, and works in the end. make returns what
 * it made, NULL on failure; `unmake` takes it back. */
void fail_every_allocation(void *(*make)(void *data), void (*unmake)(void *data, void *made), void *data);
/* All of file's text so far, in a static buffer. */
const char *text_of(FILE *file);

#endif
