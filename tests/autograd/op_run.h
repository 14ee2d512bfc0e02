/* Layer: tests. One case of an op's record, run on a tape. */
#ifndef TREAD_TESTS_OP_RUN_H
#define TREAD_TESTS_OP_RUN_H

#include "tests/autograd/op_records.h"

/* u of a type. */
#define UNIT_ROUNDOFF(dtype) ((dtype) == TREAD_FLOAT32 ? 0x1p-24L : 0x1p-53L)

typedef struct op_run {
    const op_record *record;
    const op_case *c;
    tread_dtype dtype;
    tread_tensor *inputs[OP_CASE_INPUTS];
    tread_tensor *weights; /* the gradient that backward starts from; made by the first op_run_forward */
    tread_tape *tape;
    tread_tensor *y;
} op_run;

#define ALL_INPUTS 0xff

/* A cached context; NULL where the back-end is not built. */
tread_context *op_context(tread_backend backend, int threads);
/* Whether input i is one that a gradient may be asked for. */
bool op_takes_gradient(const op_case *c, int i);
/* Makes inputs (those in the mask `needs` with requires_grad, where they take one) and a tape. */
op_run op_run_start(const op_record *record, const op_case *c, tread_context *context, tread_dtype dtype,
                    unsigned needs);
void op_run_forward(op_run *run);  /* reset, and the op */
void op_run_backward(op_run *run); /* from the weights; nothing where no input takes a gradient */
void op_run_step(op_run *run);     /* both */
void op_run_end(op_run *run);
double op_value(const tread_tensor *x, int64_t i);

/* y and all gradients, byte for byte. The caller frees it. */
typedef struct op_bytes {
    size_t size;
    unsigned char *data;
} op_bytes;
op_bytes op_run_bytes(const op_run *run);

/* Calls visit for every case of every record in tread_op_table's order. */
void op_for_each_case(void (*visit)(const op_record *record, const op_case *c, int number));

#endif
