/* Layer: autograd. What an operation is: one constant table entry, and the node that a recorded call of it becomes.
 *
 * To add one: write its file (see op_unary.c), declare its function in tread/ops.h, add it to the list below,
 * and add its record to tests/autograd/op_records.c, without which the test battery fails. */
#ifndef TREAD_AUTOGRAD_OP_H
#define TREAD_AUTOGRAD_OP_H

#include <tread/ops.h>

#include "core/recorder.h"
#include "core/tensor.h"

typedef struct tread_node tread_node;

/* plan() may fail and allocate; the others of a planned node may not, except forward and backward where a
 * back-end's execution fails or a value (a label) is refused. */
typedef struct tread_op {
    const char *name;
    /* Inputs and attributes are set: check them, fill node->output with tread_node_set_output(), and take what
     * forward and backward need (tread_node_workspace(), node->plan). Everything it reads is part of the plan's key
     * except data, so the result holds for every later call with equal shapes, types, flags and attributes. */
    tread_status (*plan)(tread_node *node);
    tread_status (*forward)(tread_node *node);
    /* Adds the inputs' gradients: for each i, take tread_node_grad_target(node, i) and, if its data is not NULL, write
     * there, or add if accumulate is set. Finish input i before taking the target of i + 1: two inputs may be one
     * tensor. NULL: no gradient passes (detach). */
    tread_status (*backward)(tread_node *node);
    /* Called before any backward of the graph runs, with the targets' accumulate flags already true to what backward
     * will get, for plans that differ by them and for room in sparse gradients. May fail and allocate. NULL: nothing to
     * do. */
    tread_status (*prepare_backward)(tread_node *node, const bool *accumulate);
    void (*release)(tread_node *node); /* frees node->plan; NULL: nothing to free */
    /* What one forward or backward of the planned node computes and moves, by a formula that stands above it and
     * depends on shapes, attributes and input_needs, in bf16 also on which copies there were: see tread_cost. Asked for
     * after it has run. A workspace counts only where forward keeps something for backward; gradients that are added to
     * count as if written. NULL: no arithmetic and no bytes. */
    tread_cost (*cost)(const tread_node *node, bool backward);
} tread_op;

/* An op's options, zeroed past what the op uses, so that they compare by memcmp. */
typedef struct tread_attributes {
    double real[2];
    int64_t integer[TREAD_MAX_RANK + 2];
} tread_attributes;

typedef struct tread_grad_target {
    void *data; /* NULL: nobody needs it */
    bool accumulate;
} tread_grad_target;

struct tread_node {
    const tread_op *op;
    tread_tape *tape;
    const tread_context *context;
    tread_attributes attributes;
    int n_inputs;
    tread_tensor **inputs;   /* an optional input that is absent is NULL */
    tread_tensor *output;    /* data: the plan's buffer, or an alias the op sets in forward (alias_output) */
    bool requires_grad;      /* whether backward may come here */
    const bool *input_needs; /* per input: whether its gradient is wanted */
    void *workspace;         /* from tread_node_workspace(); contents last from forward to backward */
    void *plan;              /* the op's own, for release() */
    bool alias_output;       /* set by plan(): no buffer; forward sets output->data */
    const void *grad;        /* in backward: the gradient of output, dense, of its shape and type */
    /* The rest is the tape's business (tape_internal.h). */
    struct tread_node_private *own;
};

/* Records and runs: checks the tape and the inputs (NULL, stale, other tape, mixed dtypes unless any_dtype), plans or
 * reuses a plan, calls forward. Returns the output or NULL with the tape's error set. */
tread_tensor *tread_tape_apply(tread_tape *tape, const tread_op *op, tread_tensor *const *inputs, int n_inputs,
                               const tread_attributes *attributes);
/* Sets the tape's error and returns NULL, for checks that come before apply. If the tape has an error already, that one
 * stays. */
tread_tensor *tread_tape_fail(tread_tape *tape, tread_status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* For plan(). */
tread_status tread_node_set_output(tread_node *node, tread_dtype dtype, int rank, const int64_t *shape);
tread_status tread_node_workspace(tread_node *node, size_t bytes); /* at most once a plan */
/* For backward(). The first write to a target in a backward overwrites, later ones add. */
tread_grad_target tread_node_grad_target(tread_node *node, int input);
/* Whether the gradient of input may be left as rows (core/sparse_grad.h) in place of a target: it is wanted, and the
 * input is a leaf that has none or a sparse one. For prepare_backward(), which then reserves, and for backward(), where
 * another operation may have made the gradient dense since. */
bool tread_node_takes_sparse(const tread_node *node, int input);
/* For forward() of ops that draw: n numbers of the tape's stream; returns where they begin. Backward must not draw. */
tread_rng tread_node_draw(tread_node *node, uint64_t n);

/* Turns a possibly negative axis into 0..rank-1. TREAD_ERROR_ARGUMENT names op, axis and rank. */
tread_status tread_op_axis(const tread_node *node, int64_t axis, int rank, int *ret_axis);
/* TREAD_ERROR_DTYPE unless every given input is float32 or float64, all alike. */
tread_status tread_op_check_float(const tread_node *node);

/* For cost(): passes over n elements of the node's type, each read or written once, and flops for each of n. */
tread_cost tread_op_cost(const tread_node *node, double n, double flops, double passes);
/* How many of the first n inputs want a gradient. */
int tread_op_count_needs(const tread_node *node, int n);

/* Every op, in the order of tread/ops.h, NULL at the end; the tests walk it. */
extern const tread_op *const tread_op_table[];

#endif
