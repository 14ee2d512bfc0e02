/* Layer: autograd. What a tape is made of.
 *
 * A node is a plan with its buffers: it is bound to one place on the tape while the step's k-th operation asks for
 * what it was planned for (the key), and is parked in a bounded list otherwise. The tensors that callers see lie in
 * the tape's slots, which never move; each slot has a ring of them, so that a tensor of a recent step is recognised
 * as stale instead of turning into the new step's. */
#ifndef TREAD_AUTOGRAD_TAPE_INTERNAL_H
#define TREAD_AUTOGRAD_TAPE_INTERNAL_H

#include "autograd/op.h"

#define TREAD_TAPE_RING 8
#define TREAD_TAPE_PARKED_NODES 1024
#define TREAD_TAPE_PARKED_BYTES ((size_t)1 << 30)

/* What a plan depends on, per input. */
typedef struct tread_input_key {
    bool present;
    bool needs; /* its gradient is wanted */
    tread_dtype dtype;
    int rank;
    int64_t shape[TREAD_MAX_RANK];
} tread_input_key;

typedef struct tread_node_private {
    tread_node node;
    uint64_t hash; /* of op, attributes and keys */
    tread_input_key *keys;
    bool *needs;          /* what node.input_needs points to */
    bool *accumulate;     /* per input, set by the walk before backward */
    uint32_t *versions;   /* per input: the leaf's when it was used */
    tread_tensor planned; /* the output as plan() set it; data is the buffer, or NULL for an alias */
    tread_tensor grad;    /* the output's gradient; data NULL where none is needed */
    bool reached;         /* by the backward that is running, or the last one */
    bool used;            /* a backward has run through it in this step */
    bool grad_present;    /* grad.data holds the last backward's gradient */
    size_t bytes;
    struct tread_node_private *newer, *older; /* in the parked list */
} tread_node_private;

typedef struct tread_slot {
    tread_node_private *bound; /* NULL before the first use */
    tread_tensor ring[TREAD_TAPE_RING];
} tread_slot;

struct tread_tape {
    uint64_t generation; /* first: core reads it through tread_tensor.tape */
    tread_context *given;
    tread_slot **slots; /* each allocated by itself, so that tensors do not move */
    size_t n_slots, slot_capacity;
    size_t length; /* slots in use in this step */
    tread_node_private *newest, *oldest;
    size_t parked_nodes, parked_bytes;
    tread_rng rng;
    tread_precision precision;
    tread_status status;
    char error[1024];
};

/* Notes a failure, whose sentence is in tread_last_error(), as the tape's first error; returns status. */
tread_status tread_tape_note(tread_tape *tape, tread_status status);
/* The same for a tape that has one already: puts its sentence back as the thread's. */
tread_status tread_tape_repeat_error(const tread_tape *tape);
/* TREAD_ERROR_STATE unless x is a leaf, a constant, or this tape's tensor of this step. what names x in the error. */
tread_status tread_tape_check_tensor(const tread_tape *tape, const char *op, const char *what, const tread_tensor *x);

/* autograd/plan.c: binds a node planned for these inputs to slot `index`: the one bound there, a parked one, or a new
 * one. Fails as plan() does. */
tread_status tread_plan_bind(tread_tape *tape, size_t index, const tread_op *op, tread_tensor *const *inputs,
                             int n_inputs, const tread_attributes *attributes, bool record);
void tread_plan_free(tread_node_private *own);

/* autograd/cost.c: one call of an operation, to be measured. */
tread_time_span tread_node_span_begin(const tread_node *node, tread_trace_phase phase);
void tread_node_span_end(const tread_node *node, tread_time_span span);

static inline tread_node_private *tread_tape_node(const tread_tape *tape, size_t index) {
    return tape->slots[index]->bound;
}

#endif
