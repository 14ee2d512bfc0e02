/* Layer: optim. Optimizers: they change parameters by their gradients.
 *
 *     tread_adam_options o = tread_adam_defaults();
 *     o.lr = 3e-4;
 *     tread_optimizer *optimizer = tread_adam(NULL, tread_module_parameters(net), &o);
 *     ...
 *     tread_backward(tape, loss);
 *     tread_optimizer_clip_grad(optimizer, NULL, NULL);      where clip_grad_max_norm is set
 *     tread_optimizer_step(optimizer, NULL);
 *     tread_optimizer_zero_grad(optimizer, false);
 *
 * Elementwise work is float32. Every scalar factor (1 - beta, bias corrections, clip coefficients) is computed in
 * double from the options, which are doubles, and rounded once. Results are the same to the bit at every
 * thread count and vector width, and a step allocates nothing.
 *
 * - The step count t is each parameter's own: how many updates it received. A parameter without a gradient is
 *   skipped whole: no decay of its moments or weights, no count. A gradient of zeros is a real step.
 * - Parameter groups have their own value of every option. Those of the constructor are group 0.
 * - Gradients may be sparse where the algorithm can take them ("Sparse gradients" below).
 * - A context, parameters and the arrays they lie in must outlive the optimizer. Parameters may join a larger module
 *   after the optimizer was made. One optimizer is used by one thread at a time.
 *
 * Option values are checked strictly: NaN, infinity and what is above the largest float are refused everywhere except
 * where noted, and the error names optimizer, field, value and range ("adam: betas[1] = 1.5 is outside [0, 1)"). */
#ifndef TREAD_OPTIMIZER_H
#define TREAD_OPTIMIZER_H

#include <stdio.h>
#include <tread/context.h>
#include <tread/field.h>
#include <tread/parameter.h>
#include <tread/state.h>

TREAD_BEGIN_DECLS

typedef struct tread_optimizer tread_optimizer;

/* Any optimizer by its name, with options over its defaults: "adam", "adam:lr=3e-4,betas=0.9/0.99". Unknown names and
 * values out of range are refused with what is allowed. NULL: as the constructors. */
TREAD_API tread_optimizer *tread_optimizer_from_spec(const tread_context *context, tread_parameter_list params,
                                                     const char *spec);
/* NULL is accepted. Schedulers of this optimizer may be destroyed before or after. */
TREAD_API void tread_optimizer_destroy(tread_optimizer *optimizer);

/* ---- Stepping ---- */

/* Evaluates the model anew: zeroes gradients, computes the loss, back-propagates, and gives the loss. On failure it
 * sets the sentence (tread_fail) and returns the status. */
typedef tread_status tread_closure_fn(void *data, double *ret_loss);
typedef struct tread_closure {
    tread_closure_fn *evaluate;
    void *data;
    double loss; /* set by step: the first loss that evaluate gave */
} tread_closure;

/* One update of every parameter that has a gradient. With a closure (NULL: none) evaluate is called first, once, before
 * any gradient is read; only lbfgs calls it more often, for each point that it tries. Errors: what evaluate returned,
 * TREAD_ERROR_STATE for a sparse gradient that cannot be taken (see below), or the algorithm's (TREAD_ERROR_ARGUMENT
 * where it needs a closure; TREAD_ERROR_BACKEND and TREAD_ERROR_MEMORY where oneDNN refuses one of Muon's products);
 * parameters and state are then as before the step, gradients as evaluate left them. */
TREAD_API tread_status tread_optimizer_step(tread_optimizer *optimizer, tread_closure *closure);
/* How often the last step called its closure, also where the step failed. 0: without one, or before the first step. */
TREAD_API int64_t tread_optimizer_closure_calls(const tread_optimizer *optimizer);
/* Whether the last step applied nothing because clipping had met a non-finite norm under TREAD_NONFINITE_SKIP. */
TREAD_API bool tread_optimizer_step_skipped(const tread_optimizer *optimizer);
/* Makes every gradient zeros, or none. Costs nothing: memory stays, the next backward writes instead of adding.
 * What clipping left for the next step, a fused coefficient or the mark to skip it, goes with them. */
TREAD_API void tread_optimizer_zero_grad(tread_optimizer *optimizer, bool set_to_none);

/* For algorithms whose parameters differ between training and use (Schedule-Free): in evaluation mode the parameters
 * hold the weights to use and to save, and tread_optimizer_step() is TREAD_ERROR_STATE. No effect on the others, which
 * are always training. Starts as training. There and back is the same but for roundings, a few units in the last place
 * of the parameter and of z; a trainer switches round its evaluations, so that with these algorithms alone evaluating
 * more often may change the last bits of a run. The state dict has the mode: save the parameters in the same one. */
TREAD_API tread_status tread_optimizer_set_training(tread_optimizer *optimizer, bool training);
TREAD_API bool tread_optimizer_is_training(const tread_optimizer *optimizer); /* false where NULL */

/* ---- Groups ---- */

/* Adds a group at any time. options: the struct that the optimizer's constructor takes, begun with that
 * algorithm's _defaults(); NULL: the values of its constructor. Errors as the constructor's, and a parameter that
 * another group has; nothing has changed then. */
TREAD_API tread_status tread_optimizer_add_param_group(tread_optimizer *optimizer, tread_parameter_list params,
                                                       const void *options);
/* The same with "lr=1e-4,weight_decay=0" over the values of the constructor. */
TREAD_API tread_status tread_optimizer_add_param_group_spec(tread_optimizer *optimizer, tread_parameter_list params,
                                                            const char *spec);
TREAD_API size_t tread_optimizer_group_count(const tread_optimizer *optimizer);
/* The group's parameters; the array belongs to the optimizer and lasts until it is destroyed. Empty past the end. */
TREAD_API tread_parameter_list tread_optimizer_group_params(const tread_optimizer *optimizer, size_t group);

#define TREAD_ALL_GROUPS ((size_t)-1)

/* One option of a group as a number: a real, an integer, 0 or 1 for a boolean, the index of a choice. An array's
 * entries are "betas[0]". Setting takes TREAD_ALL_GROUPS too, allocates state that the new value needs (and drops what
 * it no longer needs), and changes all or nothing. TREAD_ERROR_ARGUMENT: no such group or field (those there are are
 * listed), value out of range; TREAD_ERROR_STATE: a convention, which is fixed when the group is made, or b1 of
 * Schedule-Free once there were updates; TREAD_ERROR_MEMORY. */
TREAD_API tread_status tread_optimizer_get(const tread_optimizer *optimizer, size_t group, const char *field,
                                           double *ret_value);
TREAD_API tread_status tread_optimizer_set(tread_optimizer *optimizer, size_t group, const char *field, double value);
/* The same as text, a whole field: "0.9/0.99", "true", "pytorch". get writes at most size bytes with the end mark
 * (TREAD_ERROR_ARGUMENT if that is too few). */
TREAD_API tread_status tread_optimizer_get_text(const tread_optimizer *optimizer, size_t group, const char *field,
                                                char *ret_text, size_t size);
TREAD_API tread_status tread_optimizer_set_text(tread_optimizer *optimizer, size_t group, const char *field,
                                                const char *text);
/* The group's learning rate; NAN if there is no such group. */
TREAD_API double tread_optimizer_lr(const tread_optimizer *optimizer, size_t group);
/* The lr that its schedules start from; NAN if no scheduler has set one, or there is no such group. */
TREAD_API double tread_optimizer_initial_lr(const tread_optimizer *optimizer, size_t group);

TREAD_API const char *tread_optimizer_name(const tread_optimizer *optimizer); /* "adam"; static */
/* Whether a gradient may be sparse; see below. */
TREAD_API bool tread_optimizer_support_sparse(const tread_optimizer *optimizer);
/* Writes, for people, a table of the groups' values, with a line for each field and a column for each group, in which a
 * star marks the fields whose values differ between groups; then each group's parameters with role, shape and step. The
 * layout may change. TREAD_ERROR_IO. */
TREAD_API tread_status tread_optimizer_print(const tread_optimizer *optimizer, FILE *file);

/* ---- Sparse gradients ----
 *
 * The gradient of a (rows, width) parameter may be sparse: the rows that a batch touched (sparse_grad.h), as an
 * embedding leaves it. The optimizers for which tread_optimizer_support_sparse() is true take such gradients, beside
 * dense ones, at a cost that follows the rows that are there. They are lazy:
 *
 * - Entries of one row are summed first. Then the rows that are there are updated, and their part of the state, by the
 *   formulas for dense gradients. All other rows and their state stay as they are to the bit: no momentum moves them,
 *   no average decays.
 * - The step count, which bias correction and lr_decay follow, is the parameter's and not the row's. So is the start of
 *   PyTorch's momentum_buffer: it is 0 in rows that the parameter's first update did not touch.
 * - amsgrad's maximum is each row's own. Decoupled decay (adamw) shrinks the rows that are there.
 * - A sparse gradient of no rows is a step: it counts, and changes nothing.
 * - sgd without momentum, and adagrad with eps > 0, change a parameter of finite values exactly as by the same gradient
 *   made dense. The others differ from that in the rows that are not there.
 *
 * Anything else is refused before anything has changed, by tread_optimizer_step() with TREAD_ERROR_STATE: a sparse
 * gradient for another optimizer, and one in a group whose weight_decay is added to the gradient (L2: sgd, adam,
 * adagrad) and not 0, since that would fill every row. tread_tensor_densify_grad() makes such a gradient acceptable.
 *
 * Clipping takes sparse gradients for any optimizer. Their norm is that of the same gradient made dense, to the bit:
 * the smallest |g| is 0 unless every row is there. Only rows that are there are scaled or limited. */

/* ---- Clipping ----
 *
 * A step does not clip: the option clip_grad_max_norm says what tread_optimizer_clip_grad() limits norms to. A trainer
 * calls it before each step; a loop of your own must do so itself.
 *
 * The norm of several tensors is the p-norm of their p-norms, summed in double in an order that depends on sizes
 * alone. Gradients are multiplied by min(1, max_norm / (norm + 1e-6)). Missing gradients do not count. */

typedef enum tread_nonfinite_policy {
    TREAD_NONFINITE_ERROR = 0,     /* TREAD_ERROR_NUMERIC names the first bad parameter; gradients are untouched */
    TREAD_NONFINITE_SKIP = 1,      /* the optimizer's next step applies and counts nothing, unless gradients are
                                      zeroed before it */
    TREAD_NONFINITE_PROPAGATE = 2, /* gradients are scaled all the same: NaN, or zeros where the norm is infinite */
} tread_nonfinite_policy;

typedef struct tread_clip_options {
    size_t size;                      /* sizeof, set by tread_clip_defaults() */
    tread_nonfinite_policy nonfinite; /* [TREAD_NONFINITE_ERROR] */
    bool fused; /* [false] leave gradients as they are and let the next step multiply: the same parameters, one pass
                   less */
} tread_clip_options;
TREAD_API tread_clip_options tread_clip_defaults(void);

/* Clips each group that has clip_grad_max_norm set, on its own; lbfgs has no such field. ret_norms (may be NULL): the
 * unclipped norms, one per group, NAN where nothing was to be clipped. options NULL: the defaults. Allocates nothing.
 * TREAD_ERROR_NUMERIC. */
TREAD_API tread_status tread_optimizer_clip_grad(tread_optimizer *optimizer, const tread_clip_options *options,
                                                 double *ret_norms);
/* Clips all groups as one, whatever their own fields say. TREAD_ERROR_ARGUMENT (max_norm, norm_type out of range),
 * TREAD_ERROR_NUMERIC. */
TREAD_API tread_status tread_optimizer_clip_grad_norm(tread_optimizer *optimizer, double max_norm, double norm_type,
                                                      const tread_clip_options *options, double *ret_norm);
/* The same for any parameters, without an optimizer; under TREAD_NONFINITE_SKIP a non-finite norm leaves the gradients
 * alone, and the caller sees it in ret_norm. Also TREAD_ERROR_ARGUMENT for a parameter that is NULL or there twice, and
 * TREAD_ERROR_MEMORY. */
TREAD_API tread_status tread_clip_grad_norm(const tread_context *context, tread_parameter_list params, double max_norm,
                                            double norm_type, tread_nonfinite_policy nonfinite, double *ret_norm);
/* Limits each entry of the gradients to [-limit, limit]; NaN stays. TREAD_ERROR_ARGUMENT (limit < 0 or not finite; a
 * parameter that is NULL or there twice), TREAD_ERROR_MEMORY. */
TREAD_API tread_status tread_clip_grad_value(const tread_context *context, tread_parameter_list params, double limit);

/* ---- One pass for all of it ----
 *
 * Clipping, the look for what is not finite, unscaling, averages of the weights and zeroing of gradients, each asked
 * for by its own call, go over the same memory again and again. tread_optimizer_step_with() does what is asked of it in
 * the step's own pass, or marks it there; only norms and the look need gradients whole, for which they are read once
 * before. Leaves in bfloat16 (mixed precision) are written in this pass too, unasked.
 *
 *     tread_step_options o = tread_step_defaults();
 *     o.max_norm = 1;
 *     o.zero_grad = TREAD_ZERO_GRAD_TO_NONE;
 *     ...
 *     tread_optimizer_step_with(optimizer, &closure, &o, NULL);
 *
 * The result is the same to the bit as by the calls in this order: gradients divided by grad_scale (a power of two; of
 * another one the product with the clip coefficient is rounded once instead of twice),
 * tread_optimizer_clip_grad_norm(max_norm), tread_optimizer_clip_grad() with clip_groups, tread_optimizer_step(),
 * averages, tread_optimizer_zero_grad(). */

typedef enum tread_zero_grad {
    TREAD_ZERO_GRAD_KEEP = 0,
    TREAD_ZERO_GRAD_TO_NONE = 1,  /* as tread_optimizer_zero_grad(optimizer, true) */
    TREAD_ZERO_GRAD_TO_ZEROS = 2, /* (optimizer, false) */
} tread_zero_grad;

typedef struct tread_step_options {
    size_t size;       /* sizeof, set by tread_step_defaults() */
    double grad_scale; /* what the loss was multiplied by: gradients are divided by it. In (0, inf) [1] */
    tread_nonfinite_policy nonfinite; /* what is done where a gradient, or their norm, is not finite; other than
                                         PROPAGATE costs the read pass [TREAD_NONFINITE_PROPAGATE] */
    double max_norm;                  /* all groups as one are clipped to this norm, in [0, inf]; inf: not [INFINITY] */
    double norm_type;                 /* of that norm, as in tread_optimizer_clip_grad_norm(). The look for what is not
                                         finite goes by it, too [2] */
    bool clip_groups;                 /* then, each group by its own clip_grad_max_norm. Beside max_norm that costs two
                                         more passes [false] */
    tread_zero_grad zero_grad;        /* gradients after the step, also after one that was skipped
                                         [TREAD_ZERO_GRAD_KEEP] */
    double ema_decay;                 /* in [0, 1): average = ema_decay average + (1 - ema_decay) weight, with the
                                         weights that the step gives, also those of parameters without a gradient. Above 0
                                         it needs averages [0] */
    float *const *averages;           /* one array for each parameter, over all groups in order: as many floats as it
                                         has values, begun by the caller, as a rule with the weights; NULL entries: not
                                         of this one. The caller's, who also saves them. NULL: none [NULL] */
    size_t n_averages;                /* as many as there are parameters; not looked at without averages [0] */
} tread_step_options;
TREAD_API tread_step_options tread_step_defaults(void);

typedef struct tread_step_result {
    double norm;  /* of all gradients, unscaled, before clipping; NAN where it was not taken */
    bool skipped; /* as tread_optimizer_step_skipped(): a loss scale is to be lowered then */
} tread_step_result;

/* tread_optimizer_step() with more in its pass. options NULL: the defaults, which make it tread_optimizer_step().
 * ret_result may be NULL, and is written on success only. Errors beside those of tread_optimizer_step():
 * TREAD_ERROR_ARGUMENT (a value out of its range; ema_decay without averages; n_averages; for lbfgs, whose line search
 * needs gradients as they are, anything but averages and zero_grad); TREAD_ERROR_NUMERIC under TREAD_NONFINITE_ERROR:
 * nothing has been written, and the sentence names the first bad parameter. */
TREAD_API tread_status tread_optimizer_step_with(tread_optimizer *optimizer, tread_closure *closure,
                                                 const tread_step_options *options, tread_step_result *ret_result);

/* Exchanges weights and averages (as in tread_step_options), to evaluate or save with the averages; called again it
 * puts both back, to the bit. Entries that are NULL stay. Layers in bf16 keep the fast way for their weights, which
 * they lose where one writes through tread_tensor_data(). TREAD_ERROR_ARGUMENT (averages NULL, or another number of
 * them than of parameters); TREAD_ERROR_STATE within a step. Nothing has changed then. */
TREAD_API tread_status tread_optimizer_exchange_averages(tread_optimizer *optimizer, float *const *averages,
                                                         size_t n_averages);

/* ---- State ----
 *
 * A tree: "algorithm"; "state", by parameter name its "step" and its slots (exp_avg, momentum_buffer, ...: tensors);
 * "param_groups", a list of every option, "initial_lr" where a scheduler set it, and the names in "params". A parameter
 * without a name is called param.<index over all groups>. Slots that no update has touched are left out. */

/* A copy, which the caller destroys. NULL: TREAD_ERROR_ARGUMENT (two parameters of one name), TREAD_ERROR_MEMORY. */
TREAD_API tread_state *tread_optimizer_state_dict(const tread_optimizer *optimizer);
/* Takes a copy of it. Everything is checked first: algorithm, conventions, groups, names, shapes, types, values. On
 * failure nothing has changed and the sentence lists every difference, or as many as it has room for and how many more
 * there are. TREAD_ERROR_FORMAT, TREAD_ERROR_MEMORY, TREAD_ERROR_STATE (while a step of lbfgs is under way). */
TREAD_API tread_status tread_optimizer_load_state_dict(tread_optimizer *optimizer, const tread_state *state);

/* ---- What there is, for help texts ---- */

TREAD_API size_t tread_optimizer_type_count(void);
TREAD_API const char *tread_optimizer_type_name(size_t type); /* "sgd"; static; NULL past the end */
TREAD_API const char *tread_optimizer_type_doc(size_t type);  /* one line; static; NULL past the end */
TREAD_API size_t tread_optimizer_field_count(size_t type);    /* 0 past the end */
TREAD_API tread_status tread_optimizer_field(size_t type, size_t field,
                                             tread_field_info *ret_info); /* TREAD_ERROR_ARGUMENT */

TREAD_END_DECLS

#endif
