/* Layer: optim. What a scheduler is: one constant table at the end of its file, and one line in lr_schedulers_list.h.
 */
#ifndef TREAD_OPTIM_LR_SCHEDULER_H
#define TREAD_OPTIM_LR_SCHEDULER_H

#include <float.h>
#include <tread/lr_schedulers.h>

#include "optim/field.h"

typedef struct tread_lr_scheduler_type {
    tread_field_table table; /* required; last_step and verbose are known by these names */
    const char *doc;         /* required: one line */
    /* One of the two. lr is pure; what it gives is checked (finite, not negative). group: for lists of one entry a
     * group. */
    double (*lr)(const void *options, double base_lr, int64_t step, size_t group);
    /* memory: a struct of the type's own, described by the table below; lrs: the groups' current ones, to be changed.
     */
    void (*lr_on_metric)(const void *options, void *memory, double metric, size_t n_groups, double *lrs);
    const tread_field_table *memory; /* with lr_on_metric: initial values and names in the state dict */
    /* Optional, with lr: the groups' momentum at a step, pure too; NAN leaves it as it is. */
    double (*momentum)(const void *options, int64_t step);
} tread_lr_scheduler_type;

/* Kernels take it as a float. */
static inline bool tread_is_lr(double lr) { return lr >= 0 && lr <= (double)FLT_MAX; }

/* From lr_schedulers_list.h; NULL at the end. */
extern const tread_lr_scheduler_type *const tread_lr_scheduler_types[];

/* For table.check: strictly increasing, or the sentence begins with the scheduler's name. */
tread_status tread_milestones_check(const char *name, const int64_t *milestones, size_t n);

/* The public constructors are this with their type. */
tread_lr_scheduler *tread_lr_scheduler_create(tread_optimizer *optimizer, const tread_lr_scheduler_type *type,
                                              const void *options);
/* The same from checked options of our own, which it takes, or frees on failure. */
tread_lr_scheduler *tread_lr_scheduler_adopt(tread_optimizer *optimizer, const tread_lr_scheduler_type *type,
                                             void *own_options);

struct tread_lr_scheduler {
    const tread_lr_scheduler_type *type;
    tread_optimizer *optimizer; /* NULL: destroyed before the scheduler */
    tread_lr_scheduler *next;   /* of the same optimizer */
    const void *owner;          /* inner ones (lr_inner.h): the options that hold it, else NULL */
    void *options, *memory;
    int64_t last_step;
    double *lrs; /* n_lrs that the last step wrote, then as many for the step under way */
    size_t n_lrs;
};

/* An inner one; takes the options, or frees them on failure. NULL: TREAD_ERROR_MEMORY. */
tread_lr_scheduler *tread_lr_scheduler_detached(const tread_lr_scheduler_type *type, void *own_options,
                                                const void *owner);
/* An inner one from a spec string. TREAD_ERROR_ARGUMENT, TREAD_ERROR_MEMORY. */
tread_status tread_lr_scheduler_read_inner(const char *spec, const void *owner, tread_lr_scheduler **ret_scheduler);
/* From its optimizer's list; without an optimizer nothing happens. */
void tread_lr_scheduler_leave(tread_lr_scheduler *scheduler);

/* TREAD_ERROR_STATE if the optimizer has been destroyed, or the scheduler is an inner one. */
tread_status tread_lr_scheduler_check_optimizer(const tread_lr_scheduler *scheduler);
/* Room for the lrs of groups that came since. */
tread_status tread_lr_scheduler_fit_groups(tread_lr_scheduler *scheduler);
/* The momentum of options at a step to every group, or to none. TREAD_ERROR_ARGUMENT, TREAD_ERROR_MEMORY. */
tread_status tread_lr_scheduler_write_momentum(const tread_lr_scheduler *scheduler, const void *options, int64_t step);
/* Where cycle_momentum is true, whether every group has an option for it to move. TREAD_ERROR_ARGUMENT. */
tread_status tread_lr_scheduler_check_momentum(const tread_optimizer *optimizer, const tread_field_table *table,
                                               const void *options);
/* The second half of lrs becomes the first, and the groups' lr. */
void tread_lr_scheduler_write(tread_lr_scheduler *scheduler);

#endif
