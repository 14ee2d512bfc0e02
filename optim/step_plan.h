/* Layer: optim. What a step is to do: found once, and kept while it stays true.
 *
 * A step with thousands of small parameters costs what looking at each of them costs. So the plan holds, side by side,
 * all that a step needs; a later step only compares one cache line of each parameter with what the plan rests on
 * (tread_plan_check), and with the data untouched by anybody else goes straight to the arithmetic. */
#ifndef TREAD_OPTIM_STEP_PLAN_H
#define TREAD_OPTIM_STEP_PLAN_H

#include "core/sparse_grad.h"
#include "core/tensor.h"
#include "optim/type.h"

/* Items of one group that stand alike, so that they share progress and factors. */
typedef struct tread_plan_kind {
    size_t group;
    tread_progress before, progress; /* this step */
    void *factors;
} tread_plan_kind;

/* An array of floats that is updated in one go: one item, or several that lie side by side. */
typedef struct tread_plan_piece {
    float *x;
    const float *g;   /* NULL: not updated, only averaged */
    int64_t n;        /* elements; of a sparse gradient the entries that it holds */
    int64_t offset;   /* in each of its group's slots */
    int64_t position; /* bytes that the pieces before it move */
    uint32_t kind;    /* without a meaning where g is NULL */
    uint32_t moves;   /* bytes an element: each array read, and each written, once */
} tread_plan_piece;

/* What few pieces have, apart, so that the others are not slowed down by it. */
typedef struct tread_plan_extra {
    const tread_sparse_grad *rows; /* what rows g holds; NULL: it is dense */
    float *average;                /* NULL: none is kept */
    uint16_t *bf16;                /* NULL: no copy is kept */
} tread_plan_extra;

/* What the plan of an item rests on. */
typedef struct tread_plan_check {
    tread_tensor *tensor;
    const uint16_t *bf16;
    const float *average;
    uint32_t version; /* that the last step left: whoever changes or moves data, or moves the gradient, raises it */
    tread_grad_state state;
} tread_plan_check;

typedef struct tread_step_plan {
    void *memory; /* of the arrays: room for one entry an item in each */
    tread_plan_check *checks;
    tread_plan_kind *kinds;
    tread_plan_piece *pieces;
    tread_plan_extra *extras;
    size_t n_kinds, n_pieces;
    int64_t n_bytes; /* that all pieces move */
    bool holds;      /* kinds hold the progress of the items; it is not in these */
    bool is_kept;    /* and the next step may begin with it */
    bool has_extras;
} tread_step_plan;

/* What is asked of a step beside the update. */
typedef struct tread_step_extras {
    float *const *averages; /* one for each item, or NULL; and there where there is none */
    float keep, take;       /* average = keep average + take x */
    bool zero, to_none;     /* gradients become zeros; none */
} tread_step_extras;

/* TREAD_ERROR_MEMORY. */
tread_status tread_step_plan_create(size_t n_items, tread_step_plan *ret_plan);
void tread_step_plan_free(tread_step_plan *plan);

/* Brings the plan to the next step: marks every parameter that is updated as changed, and its gradient as zeroed where
 * that is asked for, and computes the factors. Returns false, with nothing changed, where the plan no longer holds. */
bool tread_step_plan_renew(tread_optimizer *optimizer, const tread_step_extras *extras);
/* A new plan for the gradients as they are; nothing else is changed. TREAD_ERROR_STATE: a sparse gradient that cannot
 * be taken. */
tread_status tread_step_plan_make(tread_optimizer *optimizer, const tread_step_extras *extras);
/* What tread_step_plan_renew does besides, for a plan that was just made. */
void tread_step_plan_mark(tread_optimizer *optimizer, const tread_step_extras *extras);
/* For a change of mode: all parameters that were ever updated, with their factors and no gradient. The plan holds for
 * this once, and no progress is made. */
void tread_step_plan_make_switch(tread_optimizer *optimizer);

/* For whoever changes items or groups: their progress is in the items again, and the next step plans anew. */
void tread_step_plan_release(tread_optimizer *optimizer);

#endif
