/* Layer: optim. The schedules: one options struct and one constructor each. What they have in common, and how they are
 * used, stands in lr_scheduler.h.
 *
 *     tread_cosine_annealing_lr_options o = tread_cosine_annealing_lr_defaults();
 *     o.T_max = 1000;
 *     tread_lr_scheduler *schedule = tread_cosine_annealing_lr(optimizer, &o);
 *
 * A constructor copies options, lists too. Fields without a default must be set. NULL: TREAD_ERROR_ARGUMENT (a value
 * out of range, named with the range; a list that has neither one entry nor one per group), TREAD_ERROR_STATE
 * (last_step >= 0 and a group without initial_lr; or schedulers that cannot share an optimizer), TREAD_ERROR_NUMERIC (a
 * first lr that is negative, not finite or above the largest float), TREAD_ERROR_MEMORY; the optimizer is untouched
 * then. The caller destroys the scheduler.
 *
 * In the formulas b is the base lr and n the step: n = 0 from construction to the first step. Every one of them is
 * evaluated as it stands for any n, not from the lr before, by arithmetic whose bits no C library changes, and is exact
 * at its ends: b at the start of a descent, the least lr at its end. last_step = k goes on after step k: the scheduler
 * begins at n = k + 1. verbose: each step logs a line for each group through the context's log callback. In the structs
 * the default stands in brackets, the range behind it; whole numbers go up to 2^53. size is set by the schedule's
 * _defaults() alone: it holds the struct's size and marks it as that schedule's, so that a struct of another one is
 * refused.
 *
 * Schedules that OneFlow's documentation has follow it; the others follow torch.optim, but for what is said at each. */
#ifndef TREAD_LR_SCHEDULERS_H
#define TREAD_LR_SCHEDULERS_H

#include <tread/lr_scheduler.h>

TREAD_BEGIN_DECLS

/* ---- Stepwise ---- */

/* b gamma^floor(n / step_size) */
typedef struct tread_step_lr_options {
    size_t size;       /* set by tread_step_lr_defaults() */
    int64_t step_size; /* required, >= 1 */
    double gamma;      /* [0.1] > 0 */
    int64_t last_step; /* [-1] >= -1 */
    bool verbose;      /* [false] */
} tread_step_lr_options;
TREAD_API tread_step_lr_options tread_step_lr_defaults(void);
TREAD_API tread_lr_scheduler *tread_step_lr(tread_optimizer *optimizer, const tread_step_lr_options *options);

/* b gamma^(how many milestones are <= n) */
typedef struct tread_multi_step_lr_options {
    size_t size;               /* set by tread_multi_step_lr_defaults() */
    const int64_t *milestones; /* n_milestones steps, strictly increasing, each >= 1 [NULL: none] */
    size_t n_milestones;
    double gamma;      /* [0.1] > 0 */
    int64_t last_step; /* [-1] >= -1 */
    bool verbose;      /* [false] */
} tread_multi_step_lr_options;
TREAD_API tread_multi_step_lr_options tread_multi_step_lr_defaults(void);
TREAD_API tread_lr_scheduler *tread_multi_step_lr(tread_optimizer *optimizer,
                                                  const tread_multi_step_lr_options *options);

/* b factor while n < total_iters, then b */
typedef struct tread_constant_lr_options {
    size_t size;         /* set by tread_constant_lr_defaults() */
    double factor;       /* [1/3] >= 0 */
    int64_t total_iters; /* [5] >= 0 */
    int64_t last_step;   /* [-1] >= -1 */
    bool verbose;        /* [false] */
} tread_constant_lr_options;
TREAD_API tread_constant_lr_options tread_constant_lr_defaults(void);
TREAD_API tread_lr_scheduler *tread_constant_lr(tread_optimizer *optimizer, const tread_constant_lr_options *options);

/* ---- Smooth ---- */

/* b gamma^n */
typedef struct tread_exponential_lr_options {
    size_t size;       /* set by tread_exponential_lr_defaults() */
    double gamma;      /* required, > 0 */
    int64_t last_step; /* [-1] >= -1 */
    bool verbose;      /* [false] */
} tread_exponential_lr_options;
TREAD_API tread_exponential_lr_options tread_exponential_lr_defaults(void);
TREAD_API tread_lr_scheduler *tread_exponential_lr(tread_optimizer *optimizer,
                                                   const tread_exponential_lr_options *options);

/* b (start_factor + (end_factor - start_factor) min(n, total_iters) / total_iters) */
typedef struct tread_linear_lr_options {
    size_t size;         /* set by tread_linear_lr_defaults() */
    double start_factor; /* [1/3] >= 0 */
    double end_factor;   /* [1] >= 0 */
    int64_t total_iters; /* [5] >= 1 */
    int64_t last_step;   /* [-1] >= -1 */
    bool verbose;        /* [false] */
} tread_linear_lr_options;
TREAD_API tread_linear_lr_options tread_linear_lr_defaults(void);
TREAD_API tread_lr_scheduler *tread_linear_lr(tread_optimizer *optimizer, const tread_linear_lr_options *options);

/* c = min(n, steps), D = steps; with cycle c = max(n, 1), D = steps ceil(c / steps):
 *     (b - end_learning_rate) (1 - c / D)^power + end_learning_rate
 * The power is exact to a few rounding errors where 2 power is whole, else to a relative
 * (3 |power ln(1 - c / D)| + 2) 2^-53. torch's PolynomialLR has end_learning_rate 0 and no cycle. */
typedef struct tread_polynomial_lr_options {
    size_t size;              /* set by tread_polynomial_lr_defaults() */
    int64_t steps;            /* required, >= 1 */
    double end_learning_rate; /* [1e-4] >= 0 */
    double power;             /* [1] >= 0 */
    bool cycle;               /* [false] */
    int64_t last_step;        /* [-1] >= -1 */
    bool verbose;             /* [false] */
} tread_polynomial_lr_options;
TREAD_API tread_polynomial_lr_options tread_polynomial_lr_defaults(void);
TREAD_API tread_lr_scheduler *tread_polynomial_lr(tread_optimizer *optimizer,
                                                  const tread_polynomial_lr_options *options);

/* eta_min + (b - eta_min) (1 + cos(pi n / T_max)) / 2, for all n: it rises again after T_max. Loshchilov and Hutter,
 * "SGDR", 2017, without the restarts. (torch's recursion is the same up to its rounding errors.) */
typedef struct tread_cosine_annealing_lr_options {
    size_t size;       /* set by tread_cosine_annealing_lr_defaults() */
    int64_t T_max;     /* required, >= 1 */
    double eta_min;    /* [0] >= 0 */
    int64_t last_step; /* [-1] >= -1 */
    bool verbose;      /* [false] */
} tread_cosine_annealing_lr_options;
TREAD_API tread_cosine_annealing_lr_options tread_cosine_annealing_lr_defaults(void);
TREAD_API tread_lr_scheduler *tread_cosine_annealing_lr(tread_optimizer *optimizer,
                                                        const tread_cosine_annealing_lr_options *options);

/* b ((1 - alpha) (1 + cos(pi n / decay_steps)) / 2 + alpha) until decay_steps, then b alpha */
typedef struct tread_cosine_decay_lr_options {
    size_t size;         /* set by tread_cosine_decay_lr_defaults() */
    int64_t decay_steps; /* required, >= 1 */
    double alpha;        /* [0] >= 0 */
    int64_t last_step;   /* [-1] >= -1 */
    bool verbose;        /* [false] */
} tread_cosine_decay_lr_options;
TREAD_API tread_cosine_decay_lr_options tread_cosine_decay_lr_defaults(void);
TREAD_API tread_lr_scheduler *tread_cosine_decay_lr(tread_optimizer *optimizer,
                                                    const tread_cosine_decay_lr_options *options);

/* Loshchilov and Hutter, "SGDR", 2017, with its restarts. Cycle i is T = T_0 T_mult^i steps long and begins at the peak
 * b decay_rate^i; j steps into it the lr is eta_min + (peak - eta_min) (1 + cos(pi j / T)) / 2. After restart_limit
 * cycles (0: never) it stays at eta_min. torch has neither decay_rate nor restart_limit. */
typedef struct tread_cosine_annealing_warm_restarts_options {
    size_t size;           /* set by tread_cosine_annealing_warm_restarts_defaults() */
    int64_t T_0;           /* required, >= 1 */
    int64_t T_mult;        /* [1] >= 1 */
    double eta_min;        /* [0] >= 0 */
    double decay_rate;     /* [1] > 0 */
    int64_t restart_limit; /* [0] >= 0 */
    int64_t last_step;     /* [-1] >= -1 */
    bool verbose;          /* [false] */
} tread_cosine_annealing_warm_restarts_options;
TREAD_API tread_cosine_annealing_warm_restarts_options tread_cosine_annealing_warm_restarts_defaults(void);
TREAD_API tread_lr_scheduler *
tread_cosine_annealing_warm_restarts(tread_optimizer *optimizer,
                                     const tread_cosine_annealing_warm_restarts_options *options);

/* ---- Warm-up and cycles ---- */

typedef enum tread_warmup_method { TREAD_WARMUP_LINEAR = 0, TREAD_WARMUP_CONSTANT = 1 } tread_warmup_method;

/* As in OneFlow: for n < warmup_iters constant b warmup_factor, or linear from there; then the inner schedule, or b
 * where there is none. Without warmup_prefix the linear warm-up ends at the inner schedule's lr(warmup_iters), which
 * goes on from there; with it it ends at the inner one's lr(0), which starts then (OneFlow ends it at b, which is the
 * same for most). Inner schedules: see below. */
typedef struct tread_warmup_lr_options {
    size_t size;                       /* set by tread_warmup_lr_defaults() */
    tread_lr_scheduler *scheduler;     /* the inner one, taken over [NULL: none] */
    double warmup_factor;              /* [1/3] in [0, 1] */
    int64_t warmup_iters;              /* [5] >= 0 */
    tread_warmup_method warmup_method; /* [TREAD_WARMUP_LINEAR] */
    bool warmup_prefix;                /* [false] */
    int64_t last_step;                 /* [-1] >= -1 */
    bool verbose;                      /* [false] */
} tread_warmup_lr_options;
TREAD_API tread_warmup_lr_options tread_warmup_lr_defaults(void);
TREAD_API tread_lr_scheduler *tread_warmup_lr(tread_optimizer *optimizer, const tread_warmup_lr_options *options);

typedef enum tread_decay_shape {
    TREAD_DECAY_LINEAR = 0,      /* 1 - p */
    TREAD_DECAY_COSINE = 1,      /* (1 + cos(pi p)) / 2 */
    TREAD_DECAY_INVERSE_SQRT = 2 /* 1 - sqrt(p) */
} tread_decay_shape;

/* Warm-up, stable, decay; Haegele and others, "Scaling laws and compute-optimal training beyond fixed training
 * durations", 2024: linear from 0 to b in warmup_steps, b for stable_steps, then in decay_steps along the shape, p
 * being the share of the decay done, to b min_factor, where it stays. Step n of the warm-up has b (n + 1) /
 * (warmup_steps + 1). */
typedef struct tread_warmup_stable_decay_lr_options {
    size_t size;                   /* set by tread_warmup_stable_decay_lr_defaults() */
    int64_t warmup_steps;          /* [0] >= 0 */
    int64_t stable_steps;          /* required, >= 0 */
    int64_t decay_steps;           /* required, >= 1 */
    tread_decay_shape decay_shape; /* [TREAD_DECAY_LINEAR] */
    double min_factor;             /* [0] in [0, 1] */
    int64_t last_step;             /* [-1] >= -1 */
    bool verbose;                  /* [false] */
} tread_warmup_stable_decay_lr_options;
TREAD_API tread_warmup_stable_decay_lr_options tread_warmup_stable_decay_lr_defaults(void);
TREAD_API tread_lr_scheduler *tread_warmup_stable_decay_lr(tread_optimizer *optimizer,
                                                           const tread_warmup_stable_decay_lr_options *options);

typedef enum tread_anneal_strategy { TREAD_ANNEAL_COSINE = 0, TREAD_ANNEAL_LINEAR = 1 } tread_anneal_strategy;

/* Smith and Topin, "Super-convergence", 2018, with the phases of torch.optim's OneCycleLR: from peak / div_factor up to
 * the peak in pct_start of the steps, then down to peak / (div_factor final_div_factor); three_phase goes down to peak
 * / div_factor first, as long as it went up. A phase is up at step pct_start total_steps - 1, or at once where that is
 * negative (torch begins a little below the peak then). After total_steps lr stays at its last value (torch: an
 * error). The peak is max_lr, one for all groups or one per group: it takes the place of every group's b, whatever lr
 * the groups had, such as one by a rule for some parameters or that of Muon's AdamW. Where the list is empty each
 * group's peak is its own b. b is not changed (torch sets it to the first lr). With cycle_momentum, off unless asked
 * for, every group's momentum (betas[0] where it has no use for momentum) goes the other way, from max_momentum to
 * base_momentum and back; it is as pure as lr, and stays where it is when the scheduler is destroyed. An optimizer that
 * has neither, or where it is fixed (Schedule-Free), is TREAD_ERROR_ARGUMENT. */
typedef struct tread_one_cycle_lr_options {
    size_t size;          /* set by tread_one_cycle_lr_defaults() */
    const double *max_lr; /* n_max_lr peaks, each >= 0 [NULL: b] */
    size_t n_max_lr;
    int64_t total_steps;                   /* required, >= 2 */
    double pct_start;                      /* [0.3] in [0, 1]; at most 0.5 with three_phase */
    tread_anneal_strategy anneal_strategy; /* [TREAD_ANNEAL_COSINE] */
    bool three_phase;                      /* [false] */
    double div_factor;                     /* [25] > 0 */
    double final_div_factor;               /* [1e4] > 0 */
    bool cycle_momentum;                   /* [false] */
    double base_momentum;                  /* [0.85] in (0, 1): at the peak */
    double max_momentum;                   /* [0.95] in (0, 1): at the start and the end */
    int64_t last_step;                     /* [-1] >= -1 */
    bool verbose;                          /* [false] */
} tread_one_cycle_lr_options;
TREAD_API tread_one_cycle_lr_options tread_one_cycle_lr_defaults(void);
TREAD_API tread_lr_scheduler *tread_one_cycle_lr(tread_optimizer *optimizer, const tread_one_cycle_lr_options *options);

typedef enum tread_cyclic_mode {
    TREAD_CYCLIC_TRIANGULAR = 0,  /* every cycle alike */
    TREAD_CYCLIC_TRIANGULAR2 = 1, /* each half as high as the last */
    TREAD_CYCLIC_EXP_RANGE = 2,   /* times gamma^n */
} tread_cyclic_mode;

/* Smith, "Cyclical learning rates for training neural networks", 2017: from b up to max_lr in step_size_up steps and
 * back in step_size_down, over and over. cycle_momentum as in one_cycle_lr; what the mode takes off the height it takes
 * off the momentum's too. */
typedef struct tread_cyclic_lr_options {
    size_t size;          /* set by tread_cyclic_lr_defaults() */
    const double *max_lr; /* required: n_max_lr peaks, one for all groups or one per group, each >= 0 */
    size_t n_max_lr;
    int64_t step_size_up;   /* [2000] >= 1 */
    int64_t step_size_down; /* [0: step_size_up] >= 0 */
    tread_cyclic_mode mode; /* [TREAD_CYCLIC_TRIANGULAR] */
    double gamma;           /* [1] in (0, 1], of exp_range */
    bool cycle_momentum;    /* [false] */
    double base_momentum;   /* [0.8] in (0, 1) */
    double max_momentum;    /* [0.9] in (0, 1) */
    int64_t last_step;      /* [-1] >= -1 */
    bool verbose;           /* [false] */
} tread_cyclic_lr_options;
TREAD_API tread_cyclic_lr_options tread_cyclic_lr_defaults(void);
TREAD_API tread_lr_scheduler *tread_cyclic_lr(tread_optimizer *optimizer, const tread_cyclic_lr_options *options);

/* ---- By functions of the caller ----
 *
 * These are for C programs only: no spec string can name a function. */

/* A function of the step and the caller's context, which must outlive the scheduler. A state dict holds the step, never
 * the function: whoever loads it makes the scheduler with the same functions first. Where save and load are set, which
 * go together, it holds the context's own state too. load changes all or nothing, and takes whatever save gave: that is
 * how contexts are put back when a later one fails. */
typedef struct tread_lr_function {
    double (*evaluate)(void *context, int64_t step); /* pure: the same step, the same number */
    void *context;
    tread_state *(*save)(const void *context); /* a new whole; NULL: it failed, and said why by tread_fail() */
    tread_status (*load)(void *context, const tread_state *state);
} tread_lr_function;

/* b function(n). A result that is negative or not finite is TREAD_ERROR_NUMERIC at that step. */
typedef struct tread_lambda_lr_options {
    size_t size;                        /* set by tread_lambda_lr_defaults() */
    const tread_lr_function *functions; /* required: one, or one per group; copied */
    size_t n_functions;
    int64_t last_step; /* [-1] >= -1 */
    bool verbose;      /* [false] */
} tread_lambda_lr_options;
TREAD_API tread_lambda_lr_options tread_lambda_lr_defaults(void);
TREAD_API tread_lr_scheduler *tread_lambda_lr(tread_optimizer *optimizer, const tread_lambda_lr_options *options);

/* b function(1) function(2) ... function(n). A step costs one call of the function; going back begins anew. */
typedef struct tread_multiplicative_lr_options {
    size_t size;                        /* set by tread_multiplicative_lr_defaults() */
    const tread_lr_function *functions; /* required: one, or one per group; copied */
    size_t n_functions;
    int64_t last_step; /* [-1] >= -1 */
    bool verbose;      /* [false] */
} tread_multiplicative_lr_options;
TREAD_API tread_multiplicative_lr_options tread_multiplicative_lr_defaults(void);
TREAD_API tread_lr_scheduler *tread_multiplicative_lr(tread_optimizer *optimizer,
                                                      const tread_multiplicative_lr_options *options);

/* ---- Of other schedules ----
 *
 * The inner schedulers are made on the same optimizer first, and taken over on success: they leave the optimizer, are
 * destroyed with the outer one, and may not be used any more; while the outer one lives, steps of an inner one are
 * TREAD_ERROR_STATE and destroying it does nothing. Their own last_step, verbose and steps so far no longer count: the
 * outer one's do. TREAD_ERROR_ARGUMENT, with all as before: one that follows a metric, is on another optimizer, is part
 * of another scheduler, is there twice, or is NULL; more than 64 within each other. Where no inner one moves momentum
 * at a step, it stays as it is.
 *
 * In a spec string they stand in brackets, to any of these depths:
 *     "sequential_lr:schedulers=[linear_lr:total_iters=5]/[cosine_annealing_lr:T_max=95],milestones=5"
 * A state dict holds the inner ones' algorithms and options; it fits a scheduler of the same algorithms. */

/* Each schedule until its milestone, from step 0 of its own on: schedule i at n - milestones[i - 1]. All have the base
 * lr b. (torch does the same; OneFlow's schedules go on counting unless told to rescale.) */
typedef struct tread_sequential_lr_options {
    size_t size;                           /* set by tread_sequential_lr_defaults() */
    tread_lr_scheduler *const *schedulers; /* required: n_schedulers, at least 1 */
    size_t n_schedulers;
    const int64_t *milestones; /* n_schedulers - 1 of them, strictly increasing, each >= 1 */
    size_t n_milestones;
    int64_t last_step; /* [-1] >= -1 */
    bool verbose;      /* [false] */
} tread_sequential_lr_options;
TREAD_API tread_sequential_lr_options tread_sequential_lr_defaults(void);
TREAD_API tread_lr_scheduler *tread_sequential_lr(tread_optimizer *optimizer,
                                                  const tread_sequential_lr_options *options);

/* Each one's lr is the next one's base, all at the same n. Of momentum that of the last one that moves it. */
typedef struct tread_chained_scheduler_options {
    size_t size;                           /* set by tread_chained_scheduler_defaults() */
    tread_lr_scheduler *const *schedulers; /* required: n_schedulers, at least 1 */
    size_t n_schedulers;
    int64_t last_step; /* [-1] >= -1 */
    bool verbose;      /* [false] */
} tread_chained_scheduler_options;
TREAD_API tread_chained_scheduler_options tread_chained_scheduler_defaults(void);
TREAD_API tread_lr_scheduler *tread_chained_scheduler(tread_optimizer *optimizer,
                                                      const tread_chained_scheduler_options *options);

/* ---- On a metric ---- */

typedef enum tread_plateau_mode { TREAD_PLATEAU_MIN = 0, TREAD_PLATEAU_MAX = 1 } tread_plateau_mode;
typedef enum tread_threshold_mode { TREAD_THRESHOLD_REL = 0, TREAD_THRESHOLD_ABS = 1 } tread_threshold_mode;

/* lr is multiplied by factor once more than patience metrics in a row were not better than the best, down to min_lr,
 * where that changes it by more than eps; then cooldown metrics do not count. Better is strictly less than best -
 * |best| threshold (mode min, rel), best - threshold (min, abs), or more than best + the same (max). NaN is never
 * better, and the first metric that is not NaN always is; where the best is infinite the threshold is left out, so that
 * a run can recover. It works on the lr that the groups have: there is no base lr, no last_step, and no other scheduler
 * beside it. Step it by tread_lr_scheduler_step_metric(). torch and OneFlow take best - best threshold, so that with a
 * negative best a worse metric may be better there. */
typedef struct tread_reduce_lr_on_plateau_options {
    size_t size;                         /* set by tread_reduce_lr_on_plateau_defaults() */
    tread_plateau_mode mode;             /* [TREAD_PLATEAU_MIN] */
    double factor;                       /* [0.1] in (0, 1) */
    int64_t patience;                    /* [10] >= 0 */
    double threshold;                    /* [1e-4] >= 0 */
    tread_threshold_mode threshold_mode; /* [TREAD_THRESHOLD_REL] */
    int64_t cooldown;                    /* [0] >= 0 */
    const double *min_lr;                /* n_min_lr floors, one for all groups or one per group, each >= 0 [NULL: 0] */
    size_t n_min_lr;
    double eps;   /* [1e-8] >= 0 */
    bool verbose; /* [false] */
} tread_reduce_lr_on_plateau_options;
TREAD_API tread_reduce_lr_on_plateau_options tread_reduce_lr_on_plateau_defaults(void);
TREAD_API tread_lr_scheduler *tread_reduce_lr_on_plateau(tread_optimizer *optimizer,
                                                         const tread_reduce_lr_on_plateau_options *options);

/* Of a scheduler on a metric; false for others. */
TREAD_API bool tread_lr_scheduler_in_cooldown(const tread_lr_scheduler *scheduler);
/* Whether the metric a counts as better than best under the scheduler's mode and threshold; best NaN: there is none
 * yet. */
TREAD_API bool tread_lr_scheduler_is_better(const tread_lr_scheduler *scheduler, double a, double best);

TREAD_END_DECLS

#endif
