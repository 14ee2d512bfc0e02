/* Layer: optim. What an optimizer object is made of. */
#ifndef TREAD_OPTIM_OPTIMIZER_H
#define TREAD_OPTIM_OPTIMIZER_H

#include "core/sparse_grad.h"
#include "optim/norm.h"
#include "optim/step_plan.h"
#include "optim/type.h"

/* One parameter. */
typedef struct tread_optimizer_item {
    tread_parameter *parameter;
    int64_t n;               /* elements */
    int64_t offset;          /* in each of its group's slots */
    tread_progress progress; /* step: updates received. Read through tread_item_progress */
    void *workspace;
    bool whole; /* updated by whole_tensor */

    /* By the plan of the last step: */
    bool active;   /* it had a gradient */
    uint32_t kind; /* then: what it shares with those that stand alike */
    size_t piece;  /* then: the one that it is, or is part of */
} tread_optimizer_item;

/* The slots of a group: as many arrays of stride floats as its options need, each parameter's part aligned. */
typedef struct tread_slot_memory {
    uint32_t mask; /* bit s: slot s is there */
    float *data;
    float *slots[TREAD_MAX_SLOTS];
} tread_slot_memory;

typedef struct tread_param_group {
    void *options;            /* the type's struct */
    void *spare;              /* the same, for changes that must succeed whole: filled, checked, then swapped */
    tread_parameter **params; /* for callers */
    size_t first, count;      /* its items */
    int64_t n_floats;         /* of one slot */
    tread_slot_memory memory, planned;
    double initial_lr; /* NAN: no scheduler yet */
    double norm;       /* of the clipping under way */
    float clip;        /* fused clip coefficient for the next step, else 1 */
    float scale;       /* of gradients in the step under way: clip, or -clip to maximize */
} tread_param_group;

typedef struct tread_lr_scheduler tread_lr_scheduler; /* lr_scheduler.h */

struct tread_optimizer {
    const tread_context *context;
    const tread_optimizer_type *type;
    void *defaults; /* the constructor's options */
    tread_param_group *groups;
    size_t n_groups;
    tread_optimizer_item *items; /* of all groups in order */
    size_t n_items;
    tread_leaves leaves;    /* one per item */
    unsigned char *factors; /* n_items * TREAD_MAX_FACTORS: one for each kind of the plan */
    tread_step_plan plan;
    bool skip_next, skipped, evaluating;
    bool solving;          /* a solver's step is under way */
    int64_t closure_calls; /* of the last step */
    void *solver;
    tread_lr_scheduler *schedulers; /* attached ones */
};

static inline const tread_field_table *tread_optimizer_table(const tread_optimizer *optimizer) {
    return &optimizer->type->table;
}

/* Any option of a group by name, for the front. NULL: there is no such field. */
void *tread_group_option(const tread_optimizer *optimizer, const tread_param_group *group, const char *field);
void tread_group_set_lr(const tread_optimizer *optimizer, tread_param_group *group, double lr);
/* "momentum", "betas[0]", or NULL: the option of the group that cycle_momentum moves. */
const char *tread_group_momentum_field(const tread_optimizer *optimizer, const tread_param_group *group);
/* That option of every group, or of none. TREAD_ERROR_ARGUMENT, TREAD_ERROR_MEMORY. */
tread_status tread_groups_set_momentum(tread_optimizer *optimizer, double momentum);
/* Where an item stands, which a plan may hold for it. */
const tread_progress *tread_item_progress(const tread_optimizer *optimizer, size_t i);
/* "0.weight", or "param.<index>" into buffer. */
#define TREAD_ITEM_NAME 32
const char *tread_item_name(const tread_optimizer *optimizer, size_t item, char *buffer);

/* Fills n floats of slot s with what it starts at. */
void tread_slot_start(const tread_optimizer_type *type, int s, const void *options, float *slot, int64_t n);
/* Slot memory that group->spare needs: the old where it fits (no allocation), else new with the kept slots copied and
 * new ones at their start. */
tread_status tread_group_plan(const tread_optimizer *optimizer, const tread_param_group *group,
                              tread_slot_memory *ret_memory);
/* Takes the spare options of groups [first, end) into use, all or none. TREAD_ERROR_MEMORY. */
tread_status tread_groups_commit(tread_optimizer *optimizer, size_t first, size_t end);

/* Whether every gradient is one that its group's update can take. TREAD_ERROR_STATE: a sparse one goes to a type
 * without support_sparse, or to a group with L2 decay. */
tread_status tread_optimizer_check_sparse(const tread_optimizer *optimizer);

/* Every evaluation of a step's closure: counts it, and refuses gradients as tread_optimizer_check_sparse. */
tread_status tread_optimizer_evaluate(tread_optimizer *optimizer, tread_closure *closure, double *ret_loss);

/* Whether tread_optimizer_load_state_dict would take the state: its checks and refusals, without the loading. */
tread_status tread_optimizer_check_state_dict(tread_optimizer *optimizer, const tread_state *state);

/* For solvers: marks every parameter's data as changed. */
void tread_optimizer_touch(tread_optimizer *optimizer);

/* Schedulers. Whether there is one that works from a base lr. */
bool tread_lr_schedulers_have_base(const tread_optimizer *optimizer);
void tread_lr_schedulers_detach(tread_optimizer *optimizer);

#endif
