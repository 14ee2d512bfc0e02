/* Layer: optim. The algorithms: one options struct and one constructor each. What they have in common, and how they are
 * used, stands in optimizer.h; the arithmetic of each in optim/NAME.c.
 *
 *     tread_adamw_options o = tread_adamw_defaults();
 *     o.lr = 3e-4;
 *     o.weight_decay = 0.01;
 *     tread_optimizer *optimizer = tread_adamw(NULL, tread_module_parameters(net), &o);
 *
 * A constructor copies options (NULL: the defaults) and makes one group of params, whose order is kept. NULL on
 * failure: TREAD_ERROR_ARGUMENT (no parameters, one that is NULL or there twice, a value out of range, options not
 * begun by this algorithm's _defaults()), TREAD_ERROR_MEMORY. The caller destroys the optimizer.
 *
 * In the formulas x is the parameter, g its gradient, wd weight_decay, t = 1 at a parameter's first update; products,
 * roots and quotients are elementwise, and state starts at 0 unless said. In the structs the default stands in
 * brackets, the range behind it. size is set by the algorithm's _defaults() alone: it holds the struct's size and marks
 * it as that algorithm's, so that a struct of another one is refused. */
#ifndef TREAD_OPTIMIZERS_H
#define TREAD_OPTIMIZERS_H

#include <tread/optimizer.h>

TREAD_BEGIN_DECLS

/* ---- With momentum alone ---- */

/* Where lr stands in a momentum. While lr is constant the two agree; they differ as soon as a scheduler moves it. */
typedef enum tread_momentum_convention {
    TREAD_MOMENTUM_VELOCITY = 0, /* lr inside, as documented for OneFlow */
    TREAD_MOMENTUM_PYTORCH = 1,  /* lr outside, as in torch.optim */
} tread_momentum_convention;

/* Where eps stands in a denominator. */
typedef enum tread_eps_placement {
    TREAD_EPS_INSIDE = 0,  /* sqrt(v + eps), as documented for OneFlow */
    TREAD_EPS_OUTSIDE = 1, /* sqrt(v) + eps, as in torch.optim */
} tread_eps_placement;

/* g' = g + wd x. Without momentum: x -= lr g'. With it, in the velocity convention
 *     V = momentum V - lr (1 - dampening) g';  x += V      (nesterov: x += momentum V - lr (1 - dampening) g')
 * and in PyTorch's
 *     b = g' at first, then b = momentum b + (1 - dampening) g';  x -= lr b      (nesterov: x -= lr (g' + momentum b))
 * With dampening they differ from the first step on, which PyTorch does not damp. */
typedef struct tread_sgd_options {
    size_t size;                          /* set by tread_sgd_defaults() */
    double lr;                            /* [1e-3] >= 0 */
    double momentum;                      /* [0] >= 0 */
    double dampening;                     /* [0] >= 0 */
    double weight_decay;                  /* [0] >= 0 */
    bool nesterov;                        /* [false] needs momentum > 0 and dampening 0 */
    bool maximize;                        /* [false] negates gradients first */
    tread_momentum_convention convention; /* [TREAD_MOMENTUM_VELOCITY] fixed when the group is made */
    double clip_grad_max_norm;            /* [INFINITY: tread_optimizer_clip_grad() leaves the group alone] >= 0 */
    double clip_grad_norm_type;           /* [2] > 0, INFINITY (largest |g|) or -INFINITY (smallest |g|) */
} tread_sgd_options;
TREAD_API tread_sgd_options tread_sgd_defaults(void);
TREAD_API tread_optimizer *tread_sgd(const tread_context *context, tread_parameter_list params,
                                     const tread_sgd_options *options);

/* Chen and others, "Symbolic discovery of optimization algorithms" (Lion), 2023:
 *     x = (1 - lr wd) x;  x -= lr sign(b1 m + (1 - b1) g);  m = b2 m + (1 - b2) g,  sign(0) = 0 */
typedef struct tread_lion_options {
    size_t size;                /* set by tread_lion_defaults() */
    double lr;                  /* [1e-4] >= 0 */
    double betas[2];            /* [0.9, 0.99] each in [0, 1) */
    double weight_decay;        /* [0] >= 0 */
    bool maximize;              /* [false] negates gradients first */
    double clip_grad_max_norm;  /* [INFINITY: tread_optimizer_clip_grad() leaves the group alone] >= 0 */
    double clip_grad_norm_type; /* [2] > 0, INFINITY (largest |g|) or -INFINITY (smallest |g|) */
} tread_lion_options;
TREAD_API tread_lion_options tread_lion_defaults(void);
TREAD_API tread_optimizer *tread_lion(const tread_context *context, tread_parameter_list params,
                                      const tread_lion_options *options);

/* ---- Adam and its relatives ---- */

/* Kingma and Ba, "Adam: a method for stochastic optimization", 2015, with L2 decay in the gradient:
 *     g' = g + wd x;  m = b1 m + (1 - b1) g';  v = b2 v + (1 - b2) g'^2
 *     x -= (lr / c1) m / (sqrt(v) / sqrt(c2) + eps),  c1 = 1 - b1^t, c2 = 1 - b2^t (both 1 without bias correction)
 * amsgrad: vmax = max(vmax, v), on the uncorrected v, stands in place of v in the last line. */
typedef struct tread_adam_options {
    size_t size;                /* set by tread_adam_defaults() */
    double lr;                  /* [1e-3] >= 0 */
    double betas[2];            /* [0.9, 0.999] each in [0, 1) */
    double eps;                 /* [1e-8] >= 0 */
    double weight_decay;        /* [0] >= 0 */
    bool amsgrad;               /* [false] */
    bool do_bias_correction;    /* [true] */
    bool maximize;              /* [false] negates gradients first */
    double clip_grad_max_norm;  /* [INFINITY: tread_optimizer_clip_grad() leaves the group alone] >= 0 */
    double clip_grad_norm_type; /* [2] > 0, INFINITY (largest |g|) or -INFINITY (smallest |g|) */
} tread_adam_options;
TREAD_API tread_adam_options tread_adam_defaults(void);
TREAD_API tread_optimizer *tread_adam(const tread_context *context, tread_parameter_list params,
                                      const tread_adam_options *options);

/* Loshchilov and Hutter, "Decoupled weight decay regularization", 2019: Adam's m and v from g itself, then, with the x
 * from before the step in the decay,
 *     x = x - lr wd x - (lr / c1) m / (sqrt(v) / sqrt(c2) + eps) */
typedef struct tread_adamw_options {
    size_t size;                /* set by tread_adamw_defaults() */
    double lr;                  /* [1e-3] >= 0 */
    double betas[2];            /* [0.9, 0.999] each in [0, 1) */
    double eps;                 /* [1e-8] >= 0 */
    double weight_decay;        /* [0] >= 0 */
    bool amsgrad;               /* [false] as in Adam */
    bool do_bias_correction;    /* [true] */
    bool maximize;              /* [false] negates gradients first */
    double clip_grad_max_norm;  /* [INFINITY: tread_optimizer_clip_grad() leaves the group alone] >= 0 */
    double clip_grad_norm_type; /* [2] > 0, INFINITY (largest |g|) or -INFINITY (smallest |g|) */
} tread_adamw_options;
TREAD_API tread_adamw_options tread_adamw_defaults(void);
TREAD_API tread_optimizer *tread_adamw(const tread_context *context, tread_parameter_list params,
                                       const tread_adamw_options *options);

/* You and others, "Large batch optimization for deep learning: training BERT in 76 minutes" (LAMB), 2020, with the
 * decay outside the norm, as in OneFlow: Adam's m and v, of g + wd x where adam_w_mode is off, then
 *     u = (m / c1) / (sqrt(v) / sqrt(c2) + eps);  r = ||x|| / ||u|| over the whole parameter, 1 if either norm is 0
 *     x = x - lr r u - lr r wd x, with the x from before the step (without the last term where adam_w_mode is off)
 * decay_in_trust_ratio is the paper's form: u + wd x in place of u, in the norm too, and no last term. amsgrad as in
 * Adam. */
typedef struct tread_lamb_options {
    size_t size;                /* set by tread_lamb_defaults() */
    double lr;                  /* [1e-3] >= 0 */
    double betas[2];            /* [0.9, 0.999] each in [0, 1) */
    double eps;                 /* [1e-8] >= 0 */
    double weight_decay;        /* [0] >= 0 */
    bool adam_w_mode;           /* [true] decoupled decay; false: L2 in the gradient */
    bool do_bias_correction;    /* [true] */
    bool amsgrad;               /* [false] */
    bool decay_in_trust_ratio;  /* [false] needs adam_w_mode; fixed when the group is made */
    bool maximize;              /* [false] negates gradients first */
    double clip_grad_max_norm;  /* [INFINITY: tread_optimizer_clip_grad() leaves the group alone] >= 0 */
    double clip_grad_norm_type; /* [2] > 0, INFINITY (largest |g|) or -INFINITY (smallest |g|) */
} tread_lamb_options;
TREAD_API tread_lamb_options tread_lamb_defaults(void);
TREAD_API tread_optimizer *tread_lamb(const tread_context *context, tread_parameter_list params,
                                      const tread_lamb_options *options);

/* Kingma and Ba 2015, section 7.1, as in torch.optim.Adamax: g' = g + wd x;  m = b1 m + (1 - b1) g';
 *     u = max(b2 u, |g'| + eps);  x -= lr / (1 - b1^t) m / u */
typedef struct tread_adamax_options {
    size_t size;                /* set by tread_adamax_defaults() */
    double lr;                  /* [2e-3] >= 0 */
    double betas[2];            /* [0.9, 0.999] each in [0, 1) */
    double eps;                 /* [1e-8] >= 0 */
    double weight_decay;        /* [0] >= 0, added to the gradient */
    bool maximize;              /* [false] negates gradients first */
    double clip_grad_max_norm;  /* [INFINITY: tread_optimizer_clip_grad() leaves the group alone] >= 0 */
    double clip_grad_norm_type; /* [2] > 0, INFINITY (largest |g|) or -INFINITY (smallest |g|) */
} tread_adamax_options;
TREAD_API tread_adamax_options tread_adamax_defaults(void);
TREAD_API tread_optimizer *tread_adamax(const tread_context *context, tread_parameter_list params,
                                        const tread_adamax_options *options);

/* Dozat, "Incorporating Nesterov momentum into Adam", 2016: g' = g + wd x, Adam's m and v of it, then
 *     mu_t = b1 (1 - 0.96^(t momentum_decay) / 2);  P_t = P_(t-1) mu_t, P_0 = 1;  d = sqrt(v / (1 - b2^t)) + eps
 *     x -= lr (1 - mu_t) / (1 - P_t) g' / d + lr mu_(t+1) / (1 - P_t mu_(t+1)) m / d */
typedef struct tread_nadam_options {
    size_t size;                /* set by tread_nadam_defaults() */
    double lr;                  /* [2e-3] >= 0 */
    double betas[2];            /* [0.9, 0.999] each in [0, 1) */
    double eps;                 /* [1e-8] >= 0 */
    double weight_decay;        /* [0] >= 0, added to the gradient */
    double momentum_decay;      /* [4e-3] >= 0 */
    bool maximize;              /* [false] negates gradients first */
    double clip_grad_max_norm;  /* [INFINITY: tread_optimizer_clip_grad() leaves the group alone] >= 0 */
    double clip_grad_norm_type; /* [2] > 0, INFINITY (largest |g|) or -INFINITY (smallest |g|) */
} tread_nadam_options;
TREAD_API tread_nadam_options tread_nadam_defaults(void);
TREAD_API tread_optimizer *tread_nadam(const tread_context *context, tread_parameter_list params,
                                       const tread_nadam_options *options);

/* Liu and others, "On the variance of the adaptive learning rate and beyond" (RAdam), 2020: g' = g + wd x, Adam's m and
 * v of it, c1 = 1 - b1^t, c2 = 1 - b2^t; with rho_inf = 2 / (1 - b2) - 1 and rho_t = rho_inf - 2 t b2^t / c2
 *     rho_t > 5:  q = sqrt((rho_t - 4)(rho_t - 2) rho_inf / ((rho_inf - 4)(rho_inf - 2) rho_t))
 *                 x -= lr / c1 q sqrt(c2) m / (sqrt(v) + eps)
 *     else:       x -= lr / c1 m */
typedef struct tread_radam_options {
    size_t size;                /* set by tread_radam_defaults() */
    double lr;                  /* [1e-3] >= 0 */
    double betas[2];            /* [0.9, 0.999] each in [0, 1) */
    double eps;                 /* [1e-8] >= 0 */
    double weight_decay;        /* [0] >= 0, added to the gradient */
    bool maximize;              /* [false] negates gradients first */
    double clip_grad_max_norm;  /* [INFINITY: tread_optimizer_clip_grad() leaves the group alone] >= 0 */
    double clip_grad_norm_type; /* [2] > 0, INFINITY (largest |g|) or -INFINITY (smallest |g|) */
} tread_radam_options;
TREAD_API tread_radam_options tread_radam_defaults(void);
TREAD_API tread_optimizer *tread_radam(const tread_context *context, tread_parameter_list params,
                                       const tread_radam_options *options);

/* ---- Scaled by the gradient's size ---- */

/* Duchi, Hazan and Singer, "Adaptive subgradient methods for online learning and stochastic optimization", 2011:
 *     g' = g + wd x;  S += g'^2;  x -= lr / (1 + (t - 1) lr_decay) g' / sqrt(S + eps),  or / (sqrt(S) + eps) */
typedef struct tread_adagrad_options {
    size_t size;                       /* set by tread_adagrad_defaults() */
    double lr;                         /* [1e-3] >= 0 */
    double lr_decay;                   /* [0] >= 0 */
    double weight_decay;               /* [0] >= 0, added to the gradient */
    double initial_accumulator_value;  /* [0] >= 0, what S starts at */
    double eps;                        /* [1e-10] >= 0 */
    tread_eps_placement eps_placement; /* [TREAD_EPS_INSIDE] fixed when the group is made */
    bool maximize;                     /* [false] negates gradients first */
    double clip_grad_max_norm;         /* [INFINITY: tread_optimizer_clip_grad() leaves the group alone] >= 0 */
    double clip_grad_norm_type;        /* [2] > 0, INFINITY (largest |g|) or -INFINITY (smallest |g|) */
} tread_adagrad_options;
TREAD_API tread_adagrad_options tread_adagrad_defaults(void);
TREAD_API tread_optimizer *tread_adagrad(const tread_context *context, tread_parameter_list params,
                                         const tread_adagrad_options *options);

/* Tieleman and Hinton, "Lecture 6.5: rmsprop", 2012; the momentum is the heavy ball.
 *     g' = g + wd x;  r = alpha r + (1 - alpha) g'^2;  d = sqrt(r + eps)
 *     centered:  a = alpha a + (1 - alpha) g';  d = sqrt(max(r - a^2, 0) + eps)
 *     V = momentum V + lr g' / d;  x -= V,   or in PyTorch's convention  b = momentum b + g' / d;  x -= lr b
 * With eps outside, eps is added to the root instead. */
typedef struct tread_rmsprop_options {
    size_t size;                          /* set by tread_rmsprop_defaults() */
    double lr;                            /* [1e-3] >= 0 */
    double alpha;                         /* [0.99] in [0, 1) */
    double eps;                           /* [1e-8] >= 0 */
    double weight_decay;                  /* [0] >= 0, added to the gradient */
    double momentum;                      /* [0] >= 0 */
    bool centered;                        /* [false] divide by the standard deviation */
    tread_eps_placement eps_placement;    /* [TREAD_EPS_INSIDE] fixed when the group is made */
    tread_momentum_convention convention; /* [TREAD_MOMENTUM_VELOCITY] fixed when the group is made */
    bool maximize;                        /* [false] negates gradients first */
    double clip_grad_max_norm;            /* [INFINITY: tread_optimizer_clip_grad() leaves the group alone] >= 0 */
    double clip_grad_norm_type;           /* [2] > 0, INFINITY (largest |g|) or -INFINITY (smallest |g|) */
} tread_rmsprop_options;
TREAD_API tread_rmsprop_options tread_rmsprop_defaults(void);
TREAD_API tread_optimizer *tread_rmsprop(const tread_context *context, tread_parameter_list params,
                                         const tread_rmsprop_options *options);

/* Zeiler, "ADADELTA: an adaptive learning rate method", 2012: g' = g + wd x;
 *     s = rho s + (1 - rho) g'^2;  d = sqrt(a + eps) / sqrt(s + eps) g';  a = rho a + (1 - rho) d^2;  x -= lr d */
typedef struct tread_adadelta_options {
    size_t size;                /* set by tread_adadelta_defaults() */
    double lr;                  /* [1] >= 0 */
    double rho;                 /* [0.9] in [0, 1) */
    double eps;                 /* [1e-6] >= 0 */
    double weight_decay;        /* [0] >= 0, added to the gradient */
    bool maximize;              /* [false] negates gradients first */
    double clip_grad_max_norm;  /* [INFINITY: tread_optimizer_clip_grad() leaves the group alone] >= 0 */
    double clip_grad_norm_type; /* [2] > 0, INFINITY (largest |g|) or -INFINITY (smallest |g|) */
} tread_adadelta_options;
TREAD_API tread_adadelta_options tread_adadelta_defaults(void);
TREAD_API tread_optimizer *tread_adadelta(const tread_context *context, tread_parameter_list params,
                                          const tread_adadelta_options *options);

/* ---- On whole matrices ---- */

typedef enum tread_muon_rule {
    TREAD_MUON_RULE_MUON = 0,
    TREAD_MUON_RULE_ADAMW = 1, /* what Muon is not for: embeddings, output layers, biases, norms */
} tread_muon_rule;

/* Jordan and others, "Muon: an optimizer for hidden layers in neural networks", 2024, for parameters of two axes:
 *     B = momentum B + (1 - momentum) g;  U = nesterov ? (1 - momentum) g + momentum B : B
 *     X = U / max(||U||, 1e-7), transposed where it has more rows than columns
 *     ns_steps times:  A = X X^T;  X = a X + (b A + c A A) X,  a = 3.4445, b = -4.7750, c = 2.0315
 *     x = (1 - lr wd) x;  x -= lr sqrt(max(1, rows / columns)) X, transposed back
 * A group whose rule is adamw is updated as tread_adamw does, with lr, betas, eps and weight_decay; a group of rule
 * muon with a parameter that has not two axes is TREAD_ERROR_SHAPE that names it. See tread_muon_with_adamw (groups.h).
 */
typedef struct tread_muon_options {
    size_t size;                /* set by tread_muon_defaults() */
    double lr;                  /* [1e-3] >= 0 */
    tread_muon_rule rule;       /* [TREAD_MUON_RULE_MUON] fixed when the group is made */
    double weight_decay;        /* [0.1] >= 0 */
    double momentum;            /* [0.95] in [0, 1) */
    bool nesterov;              /* [true] */
    int64_t ns_steps;           /* [5] in [1, 100] */
    double betas[2];            /* [0.9, 0.999] each in [0, 1); of rule adamw */
    double eps;                 /* [1e-8] >= 0; of rule adamw */
    bool maximize;              /* [false] negates gradients first */
    double clip_grad_max_norm;  /* [INFINITY: tread_optimizer_clip_grad() leaves the group alone] >= 0 */
    double clip_grad_norm_type; /* [2] > 0, INFINITY (largest |g|) or -INFINITY (smallest |g|) */
} tread_muon_options;
TREAD_API tread_muon_options tread_muon_defaults(void);
TREAD_API tread_optimizer *tread_muon(const tread_context *context, tread_parameter_list params,
                                      const tread_muon_options *options);

/* ---- Without a schedule ---- */

/* Defazio and others, "The road less scheduled", 2024. In training mode the parameter holds y, the point where the
 * gradient is taken; z starts as the parameter.
 *     s = t <= warmup_steps ? t / warmup_steps : 1;  a = lr s sqrt(1 - b2^t);  amax = max(amax, a)
 *     w = t^r amax^weight_lr_power;  W += w;  c = w / W, 0 if W is 0
 *     v = b2 v + (1 - b2) g^2;  n = g / (sqrt(v) + eps) + wd y
 *     y = (1 - c) y + c z + a (b1 (1 - c) - 1) n;  z -= a n
 * The averaged point, for evaluation and for use, is x = y + (1 - 1 / b1) (z - y): tread_optimizer_set_training(
 * optimizer, false) puts it into the parameters, (optimizer, true) goes back by y = x + (1 - b1) (z - x). Since y was
 * made with b1, setters refuse another b1 once there were updates (TREAD_ERROR_STATE), and schedulers with
 * cycle_momentum refuse the optimizer; a state dict brings its own. */
typedef struct tread_schedule_free_adamw_options {
    size_t size;                /* set by tread_schedule_free_adamw_defaults() */
    double lr;                  /* [2.5e-3] >= 0 */
    double betas[2];            /* [0.9, 0.999] in (0, 1), fixed from the first update on; in [0, 1) */
    double eps;                 /* [1e-8] >= 0 */
    double weight_decay;        /* [0] >= 0, at y */
    int64_t warmup_steps;       /* [0] >= 0 */
    double r;                   /* [0] in [0, 16] */
    double weight_lr_power;     /* [2] in [0, 16] */
    bool maximize;              /* [false] negates gradients first */
    double clip_grad_max_norm;  /* [INFINITY: tread_optimizer_clip_grad() leaves the group alone] >= 0 */
    double clip_grad_norm_type; /* [2] > 0, INFINITY (largest |g|) or -INFINITY (smallest |g|) */
} tread_schedule_free_adamw_options;
TREAD_API tread_schedule_free_adamw_options tread_schedule_free_adamw_defaults(void);
TREAD_API tread_optimizer *tread_schedule_free_adamw(const tread_context *context, tread_parameter_list params,
                                                     const tread_schedule_free_adamw_options *options);

/* The same with a = lr s, n = g + wd y, momentum in place of b1, and no v. */
typedef struct tread_schedule_free_sgd_options {
    size_t size;                /* set by tread_schedule_free_sgd_defaults() */
    double lr;                  /* [1] >= 0 */
    double momentum;            /* [0.9] in (0, 1), fixed from the first update on */
    double weight_decay;        /* [0] >= 0, at y */
    int64_t warmup_steps;       /* [0] >= 0 */
    double r;                   /* [0] in [0, 16] */
    double weight_lr_power;     /* [2] in [0, 16] */
    bool maximize;              /* [false] negates gradients first */
    double clip_grad_max_norm;  /* [INFINITY: tread_optimizer_clip_grad() leaves the group alone] >= 0 */
    double clip_grad_norm_type; /* [2] > 0, INFINITY (largest |g|) or -INFINITY (smallest |g|) */
} tread_schedule_free_sgd_options;
TREAD_API tread_schedule_free_sgd_options tread_schedule_free_sgd_defaults(void);
TREAD_API tread_optimizer *tread_schedule_free_sgd(const tread_context *context, tread_parameter_list params,
                                                   const tread_schedule_free_sgd_options *options);

/* ---- With a closure ---- */

typedef enum tread_line_search {
    TREAD_LINE_SEARCH_NONE = 0,         /* steps of lr along the direction */
    TREAD_LINE_SEARCH_STRONG_WOLFE = 1, /* Nocedal and Wright 2006, algorithms 3.5 and 3.6, cubic interpolation */
} tread_line_search;

/* Limited-memory BFGS, Liu and Nocedal 1989 (Nocedal and Wright 2006, algorithm 7.4), as torch.optim.LBFGS: each step
 * is up to max_iter iterations, for which the closure is called again and again; tread_optimizer_step() without one is
 * TREAD_ERROR_ARGUMENT. tread_optimizer_closure_calls() says how many calls the last step took.
 *     d = -H g;  x += t d,  H being made of the last pairs s = t d, y = the change of g, with y . s > 1e-10
 * t is lr, or found by the line search that starts there; in the very first iteration lr min(1, 1 / sum |g|).
 * - A step ends after max_iter iterations, or max_eval calls (a line search under way is finished: up to 26 more);
 *   where no |g| is above tolerance_grad; where an iteration moves no value by more than tolerance_change, or changes
 *   the loss by less, or d . g > -tolerance_change. Without a line search the last of max_iter iterations moves
 *   unevaluated.
 * - One group only; a missing gradient counts as zeros. The loss should be that of all data: between two batches y is
 *   the difference of two functions.
 * - Where the closure gives a loss or gradient that is not finite the search ends at the last good point; where that is
 *   where it began, the step ends and the next one starts without history. If a step cannot begin for it:
 *   TREAD_ERROR_NUMERIC.
 * - A closure that fails leaves parameters and history as before the step.
 * - Memory for (8 + 2 history_size + 2 min(max_iter, history_size + 1)) values per parameter is taken when it is made
 *   or one of these two is set, and costs nothing until it is used; steps allocate nothing. */
typedef struct tread_lbfgs_options {
    size_t size;                   /* set by tread_lbfgs_defaults() */
    double lr;                     /* [1] >= 0, the first t tried */
    int64_t max_iter;              /* [20] >= 1, iterations a step */
    int64_t max_eval;              /* [0: max_iter * 5 / 4] closure calls after which no iteration begins */
    double tolerance_grad;         /* [1e-7] >= 0, of the largest |g|: converged */
    double tolerance_change;       /* [1e-9] >= 0, of the change of loss and parameters: converged */
    int64_t history_size;          /* [100] >= 1, pairs kept */
    tread_line_search line_search; /* [TREAD_LINE_SEARCH_NONE] */
} tread_lbfgs_options;
TREAD_API tread_lbfgs_options tread_lbfgs_defaults(void);
TREAD_API tread_optimizer *tread_lbfgs(const tread_context *context, tread_parameter_list params,
                                       const tread_lbfgs_options *options);

TREAD_END_DECLS

#endif
