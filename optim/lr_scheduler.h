/* Layer: optim. What a scheduler is: one constant table at the end of its file, and one line in lr_schedulers_list.h.
 */
#ifndef TREAD_OPTIM_LR_SCHEDULER_H
#define TREAD_OPTIM_LR_SCHEDULER_H

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
    /* Optional: whether lists fit the number of groups. */
    tread_status (*check_groups)(const void *options, size_t n_groups);
} tread_lr_scheduler_type;

/* From lr_schedulers_list.h; NULL at the end. */
extern const tread_lr_scheduler_type *const tread_lr_scheduler_types[];

/* The public constructors are this with their type. */
tread_lr_scheduler *tread_lr_scheduler_create(tread_optimizer *optimizer, const tread_lr_scheduler_type *type,
                                              const void *options);

struct tread_lr_scheduler {
    const tread_lr_scheduler_type *type;
    tread_optimizer *optimizer; /* NULL: destroyed before the scheduler */
    tread_lr_scheduler *next;   /* of the same optimizer */
    void *options, *memory;
    int64_t last_step;
    double *lrs; /* n_lrs that the last step wrote, then as many for the step under way */
    size_t n_lrs;
};

/* TREAD_ERROR_STATE if the optimizer has been destroyed. */
tread_status tread_lr_scheduler_check_optimizer(const tread_lr_scheduler *scheduler);
/* Room for the lrs of groups that came since; fails where lists do not fit their number. */
tread_status tread_lr_scheduler_fit_groups(tread_lr_scheduler *scheduler);
/* The second half of lrs becomes the first, and the groups' lr. */
void tread_lr_scheduler_write(tread_lr_scheduler *scheduler);

#endif
