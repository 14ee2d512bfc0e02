/* Layer: optim. What an optimizer is: one constant table at the end of its file, and one line in optimizers_list.h.
 *
 * The front (optimizer.c, step.c, state_dict.c, clip.c) does the rest from the table: groups, validation, state memory,
 * step counts, missing gradients, threads, clipping, state dicts, printing, spec strings.
 *
 * An algorithm has at least one of: update alone (elementwise); reduce, reduced and update (norms of the whole
 * parameter first); whole_tensor (one parameter at a time, with all threads); solve (all parameters with the closure).
 */
#ifndef TREAD_OPTIM_TYPE_H
#define TREAD_OPTIM_TYPE_H

#include <tread/optimizers.h>

#include "optim/field.h"

#define TREAD_MAX_SLOTS 4
#define TREAD_MAX_SCALARS 2
#define TREAD_MAX_SUMS 2

/* A float per element of a parameter: a moment, a momentum buffer. */
typedef struct tread_slot {
    const char *name;                       /* required: torch's where it means the same, else our own */
    bool (*needed)(const void *options);    /* optional: else always */
    double (*initial)(const void *options); /* optional: else 0 */
    bool starts_as_parameter;               /* filled with x just before the first update */
} tread_slot;

static inline bool tread_slot_is_needed(const tread_slot *slot, const void *options) {
    return slot->needed == NULL || slot->needed(options);
}

/* A number per parameter, kept in double from update to update: a running product of coefficients. */
typedef struct tread_scalar {
    const char *name;
    double initial;
    double most; /* a saved one is in [0, most]; 0: in [0, inf) */
} tread_scalar;

/* For prepare(): where one parameter stands. */
typedef struct tread_progress {
    uint64_t step;                     /* 1 at the first update */
    uint32_t fresh;                    /* bit s: no update has written slot s yet */
    double scalars[TREAD_MAX_SCALARS]; /* prepare() changes them; parameters that share a call have equal ones */
} tread_progress;

/* Part of a parameter, all arrays of n floats beginning at the same element. */
typedef struct tread_update {
    int64_t n;
    float *x;
    const float *g; /* as the backward left it (zeros too are an array) */
    float scale;    /* multiply g by it before anything else: 1, -1 for maximize, times a fused clip coefficient */
    float *slots[TREAD_MAX_SLOTS]; /* NULL where the slot is not needed */
} tread_update;

typedef struct tread_optimizer_type {
    tread_field_table table; /* required; lr must be in it, and TREAD_FIELDS_OF_ALL where there is no solve */
    const char *doc;         /* required: one line */
    tread_slot slots[TREAD_MAX_SLOTS];
    int n_slots;
    tread_scalar scalars[TREAD_MAX_SCALARS];
    int n_scalars;
    /* A gradient may be sparse: update is then given the rows that it holds, each with its part of the slots, and
     * nothing of the others. So an update of zeros must leave the parameter alone but for what momentum or decay do,
     * and there may be no reduce, no whole_tensor and no slot that starts_as_parameter. */
    bool support_sparse;
    /* With support_sparse: weight_decay goes into the gradient. That would fill every row, so that a sparse gradient is
     * refused unless it is 0. */
    bool l2_decay;

    /* Every scalar factor, in double, rounded to float once; once for all parameters of a group that stand alike (where
     * more than four step counts take turns within a group, again for some of them).
     * Required with update and whole_tensor. factors_size: at most TREAD_MAX_FACTORS. */
    size_t factors_size;
    void (*prepare)(const void *options, tread_progress *progress, void *ret_factors);
    /* The arithmetic. Elementwise: u may be any part. */
    void (*update)(const void *factors, const tread_update *u);

    /* Optional, before update: each call adds what it finds in u, a fixed chunk, to n_sums sums; those of a parameter
     * are added in order and given to reduced, which completes that parameter's own factors. */
    void (*reduce)(const void *factors, const tread_update *u, double *sums);
    void (*reduced)(const void *options, const double *sums, void *factors);
    int n_sums;

    /* Optional: parameters whose group's options say so (NULL: all) are updated as a whole. Before anything is changed
     * find_direction, which may be NULL, computes what may fail for each of them, into the workspace alone. */
    bool (*applies_whole)(const void *options);
    tread_status (*find_direction)(const void *factors, const tread_update *u, void *workspace);
    void (*whole_tensor)(const void *factors, const tread_update *u, const tread_tensor *shape, void *workspace);
    /* What they need for one parameter, made when the group is; also refuses shapes it cannot take (the sentence names
     * optimizer, parameter and shape). Required with whole_tensor. */
    tread_status (*create_workspace)(const tread_context *context, const void *options,
                                     const tread_parameter *parameter, void **ret_workspace);
    void (*destroy_workspace)(void *workspace);

    /* Optional: what the algorithm's own rule is for, and the fields of a group for the others (Muon); NULL: all. */
    bool (*suits)(const tread_parameter *parameter);
    const char *other_fields;

    /* Optional: the option that cycle_momentum moves in a group of such options; NULL: momentum, or else betas[0], but
     * never one that is in_parameters. */
    const char *(*momentum_field)(const void *options);

    /* Optional: the parameters for use instead of for training, and back (Schedule-Free). */
    void (*set_training)(const void *factors, const tread_update *u, bool training);

    /* Optional: instead of everything above. solver is made with the optimizer, knows its one group, and is
     * saved in the state dict. solve calls the closure through tread_optimizer_evaluate, and must leave parameters and
     * solver as before on failure. */
    tread_status (*create_solver)(tread_optimizer *optimizer, void **ret_solver);
    void (*destroy_solver)(void *solver);
    /* Optional: takes the memory that new options need, before they are set. On failure nothing has changed. */
    tread_status (*fit_solver)(void *solver, const void *options);
    size_t (*solver_bytes)(const void *solver); /* optional: of state, for people */
    tread_status (*solve)(tread_optimizer *optimizer, void *solver, tread_closure *closure);
    tread_status (*solver_to_state)(const void *solver, tread_state *tree);
    /* Checks tree against the group's spare options, adding differences to report; where there are none, gives a new
     * solver. TREAD_ERROR_MEMORY. */
    tread_status (*solver_from_state)(tread_optimizer *optimizer, const tread_state *tree, tread_report *report,
                                      void **ret_solver);
} tread_optimizer_type;

/* A group that is to be made. */
typedef struct tread_new_group {
    tread_parameter_list params;
    const void *options; /* NULL: the optimizer's */
} tread_new_group;

#define TREAD_MAX_FACTORS 64 /* bytes: a cache line for the factors of one parameter */

/* From optimizers_list.h; NULL at the end. */
extern const tread_optimizer_type *const tread_optimizer_types[];

/* The public constructors are this with their type. */
tread_optimizer *tread_optimizer_create(const tread_context *context, const tread_optimizer_type *type,
                                        tread_parameter_list params, const void *options);
/* With n groups at once, at least one; options (NULL: the defaults) are those of groups added later. */
tread_optimizer *tread_optimizer_create_groups(const tread_context *context, const tread_optimizer_type *type,
                                               const void *options, const tread_new_group *groups, size_t n);
/* "adam:lr=3e-4": the type, and options that the caller frees with tread_fields_free(). TREAD_ERROR_ARGUMENT,
 * TREAD_ERROR_MEMORY. */
tread_status tread_optimizer_read_spec(const char *spec, const tread_optimizer_type **ret_type, void **ret_options);

#endif
