/* Layer: optim. Learning-rate schedulers: they set the lr of an optimizer's groups, step by step.
 *
 *     tread_cosine_decay_lr_options o = tread_cosine_decay_lr_defaults();
 *     o.decay_steps = 1000;
 *     tread_lr_scheduler *schedule = tread_cosine_decay_lr(optimizer, &o);
 *     ... each step: tread_optimizer_step(optimizer, NULL); tread_lr_scheduler_step(schedule);
 *
 * lr is a pure function of (options, base lr, n): n is last_step, the base lr is what the group had when it came
 * to its first scheduler ("initial_lr", kept in the optimizer's state dict). Making a scheduler writes lr(0); each step
 * adds 1 to last_step and writes lr(last_step) to every group. A scheduler owns lr: what others set is overwritten at
 * its next step. So of two schedulers on one optimizer the one that steps last decides, and the other has no effect;
 * chained_scheduler puts schedules on top of each other, sequential_lr one after the other. A group added later takes
 * part from then on, with its lr at that moment as base.
 *
 * Resuming: load the optimizer's state and the scheduler's, in either order. Or give last_step = k, which needs groups
 * that have an initial_lr: the constructor itself then takes step k + 1 and writes lr(k + 1), as PyTorch's does with
 * last_epoch. To go on where tread_lr_scheduler_last_step() gave n, pass n - 1. */
#ifndef TREAD_LR_SCHEDULER_H
#define TREAD_LR_SCHEDULER_H

#include <tread/optimizer.h>

TREAD_BEGIN_DECLS

typedef struct tread_lr_scheduler tread_lr_scheduler;

/* Any schedule by name: "step_lr:step_size=30,gamma=0.5"; schedules within it stand in brackets, see lr_schedulers.h.
 * Unknown names, missing and bad values are refused with what is allowed, and so are schedules that need functions,
 * which exist in C only. NULL: as the constructors. */
TREAD_API tread_lr_scheduler *tread_lr_scheduler_from_spec(tread_optimizer *optimizer, const char *spec);
/* NULL is accepted. The optimizer keeps the lr it has. Nothing happens to one that is part of another. */
TREAD_API void tread_lr_scheduler_destroy(tread_lr_scheduler *scheduler);

/* ---- Use ---- */

/* The next step. TREAD_ERROR_NUMERIC: the schedule gave a value that is not finite or negative; TREAD_ERROR_STATE: the
 * schedule needs a metric or is part of another, the optimizer is gone, or a list no longer fits the number of groups
 * (both numbers are named); TREAD_ERROR_MEMORY: there are new groups, or momentum that needs state. No lr has changed
 * then, nor last_step. */
TREAD_API tread_status tread_lr_scheduler_step(tread_lr_scheduler *scheduler);
/* The next step of a schedule that follows a metric; others ignore the metric. Errors as tread_lr_scheduler_step. */
TREAD_API tread_status tread_lr_scheduler_step_metric(tread_lr_scheduler *scheduler, double metric);
/* Whether the schedule follows a metric. */
TREAD_API bool tread_lr_scheduler_needs_metric(const tread_lr_scheduler *scheduler);

/* The lr that the last step wrote to a group; NAN if there is no such group. */
TREAD_API double tread_lr_scheduler_get_last_lr(const tread_lr_scheduler *scheduler, size_t group);
TREAD_API int64_t tread_lr_scheduler_last_step(const tread_lr_scheduler *scheduler);
/* The pure function itself, for group 0; NAN for a schedule that follows a metric, and where step is not in
 * [0, 2^53]. */
TREAD_API double tread_lr_scheduler_get_lr(const tread_lr_scheduler *scheduler, double base_lr, int64_t step);
/* The same for another group, which differs where a list has one entry a group; also NAN where the last step knew no
 * such group. tread_optimizer_initial_lr() has its base_lr. */
TREAD_API double tread_lr_scheduler_get_lr_of_group(const tread_lr_scheduler *scheduler, size_t group, double base_lr,
                                                    int64_t step);
TREAD_API const char *tread_lr_scheduler_name(const tread_lr_scheduler *scheduler); /* "step_lr"; static */

/* Algorithm, options, base lrs, last_step and the last lr of every group; of one on a metric its memory instead of base
 * lrs, and the lrs as they are now. A copy, which the caller destroys. NULL: TREAD_ERROR_STATE (the optimizer is gone,
 * or the schedule is part of another), TREAD_ERROR_MEMORY, TREAD_ERROR_CALLBACK (a function's save failed). */
TREAD_API tread_state *tread_lr_scheduler_state_dict(const tread_lr_scheduler *scheduler);
/* Replaces all of these and puts the groups' lr right at once. TREAD_ERROR_FORMAT (another algorithm, another number of
 * groups, a value out of range or unknown), TREAD_ERROR_STATE as above, TREAD_ERROR_MEMORY, or what a function's load
 * returned: nothing has changed. */
TREAD_API tread_status tread_lr_scheduler_load_state_dict(tread_lr_scheduler *scheduler, const tread_state *state);

/* ---- What there is, for help texts ---- */

TREAD_API size_t tread_lr_scheduler_type_count(void);
TREAD_API const char *tread_lr_scheduler_type_name(size_t type); /* "step_lr"; static; NULL past the end */
TREAD_API const char *tread_lr_scheduler_type_doc(size_t type);  /* one line; static; NULL past the end */
TREAD_API size_t tread_lr_scheduler_field_count(size_t type);    /* 0 past the end */
TREAD_API tread_status tread_lr_scheduler_field(size_t type, size_t field, tread_field_info *ret_info);

TREAD_END_DECLS

#endif
