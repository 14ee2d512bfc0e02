/* Muon; the iteration itself is in newton_schulz.c. */
#include <math.h>

#include "core/isa.h"
#include "core/parallel.h"
#include "core/status.h"
#include "core/tensor.h"
#include "optim/adam_moments.h"
#include "optim/newton_schulz.h"
#include "optim/optimizers_list.h"
#include "optim/split.h"
#include "optim/vector.h"

#define GRAIN (1 << 14)

/* Of rule muon. */
typedef struct muon_factors {
    float momentum, rest; /* rest: 1 - momentum */
    float shrink;         /* 1 - lr wd */
    bool nesterov;
    double lr;
    int64_t steps;
} muon_factors;

static bool is_muon(const void *options) { return ((const tread_muon_options *)options)->rule == TREAD_MUON_RULE_MUON; }
static bool is_adamw(const void *options) { return !is_muon(options); }

/* Rule adamw is adamw itself, whose slots stand where Muon's do. */
static void prepare_adamw(const tread_muon_options *o, tread_progress *progress, void *ret_factors) {
    const tread_adamw_options adamw = {.size = sizeof adamw,
                                       .lr = o->lr,
                                       .betas = {o->betas[0], o->betas[1]},
                                       .eps = o->eps,
                                       .weight_decay = o->weight_decay,
                                       .do_bias_correction = true};
    tread_adamw_type.prepare(&adamw, progress, ret_factors);
}
static void update(const void *f, const tread_update *u) { tread_adamw_type.update(f, u); }

static void prepare(const void *options, tread_progress *progress, void *ret_factors) {
    const tread_muon_options *o = options;
    if (is_adamw(o)) {
        prepare_adamw(o, progress, ret_factors);
        return;
    }
    *(muon_factors *)ret_factors = (muon_factors){.momentum = (float)o->momentum,
                                                  .rest = (float)(1 - o->momentum),
                                                  .shrink = (float)(1 - o->lr * o->weight_decay),
                                                  .nesterov = o->nesterov,
                                                  .lr = o->lr,
                                                  .steps = o->ns_steps};
}

/* ---- Rule muon ---- */

/* A pass over a whole matrix, by all threads. */
typedef struct pass {
    const muon_factors *f;
    const tread_update *u;
    float *direction; /* U, then X */
    float step;       /* lr sqrt(max(1, rows / columns)) */
} pass;

/* B = momentum B + (1 - momentum) g, not kept yet;  U = nesterov ? (1 - momentum) g + momentum B : B */
TREAD_KERNEL_BODY void TREAD_BODY(look_ahead)(const pass *p, int64_t begin, int64_t end) {
    const float momentum = p->f->momentum, rest = p->f->rest, scale = p->u->scale;
    const bool nesterov = p->f->nesterov;
    const float *restrict g = p->u->g, *restrict b = p->u->slots[2];
    float *restrict direction = p->direction;
    for (int64_t i = begin; i < end; i++) {
        const float slope = rest * (scale * g[i]), next = momentum * b[i] + slope;
        direction[i] = nesterov ? slope + momentum * next : next;
    }
}
TREAD_KERNEL(look_ahead, (const pass *p, int64_t begin, int64_t end), (p, begin, end))

/* B as above;  x = (1 - lr wd) x - lr sqrt(max(1, rows / columns)) X */
TREAD_KERNEL_BODY void TREAD_BODY(move)(const pass *p, int64_t begin, int64_t end) {
    const float momentum = p->f->momentum, rest = p->f->rest, shrink = p->f->shrink, step = p->step;
    const float scale = p->u->scale;
    const float *restrict g = p->u->g, *restrict direction = p->direction;
    float *restrict x = p->u->x, *restrict b = p->u->slots[2];
    for (int64_t i = begin; i < end; i++) {
        b[i] = momentum * b[i] + rest * (scale * g[i]);
        x[i] = shrink * x[i] - step * direction[i];
    }
}
TREAD_KERNEL(move, (const pass *p, int64_t begin, int64_t end), (p, begin, end))

static void look_ahead_range(void *p, int64_t begin, int64_t end) { TREAD_CALL(look_ahead)(p, begin, end); }
static void move_range(void *p, int64_t begin, int64_t end) { TREAD_CALL(move)(p, begin, end); }

static tread_status find_direction(const void *f, const tread_update *u, void *workspace) {
    tread_newton_schulz *plan = workspace;
    pass p = {.f = f, .u = u, .direction = plan->x};
    tread_parallel_for(plan->context, u->n, GRAIN, TREAD_LINE_FLOATS, look_ahead_range, &p);
    return tread_newton_schulz_run(plan, p.f->steps);
}

static void whole_tensor(const void *f, const tread_update *u, const tread_tensor *shape, void *workspace) {
    const tread_newton_schulz *plan = workspace;
    const muon_factors *muon = f;
    const double ratio = (double)shape->shape[0] / (double)shape->shape[1];
    pass p = {.f = muon, .u = u, .direction = plan->x, .step = (float)(muon->lr * sqrt(ratio > 1 ? ratio : 1))};
    tread_parallel_for(plan->context, u->n, GRAIN, TREAD_LINE_FLOATS, move_range, &p);
}

static const char *momentum_field(const void *options) { return is_muon(options) ? "momentum" : "betas[0]"; }

static tread_status create_workspace(const tread_context *context, const void *options,
                                     const tread_parameter *parameter, void **ret_workspace) {
    (void)options;
    const tread_tensor *x = &parameter->tensor;
    char text[TREAD_SHAPE_TEXT];
    if (x->rank != 2)
        return tread_fail(
            TREAD_ERROR_SHAPE, "muon: parameter '%s' of shape %s has not two axes; groups of such take rule=adamw",
            parameter->name != NULL ? parameter->name : "(no name)", tread_shape_text(text, x->rank, x->shape));
    return tread_newton_schulz_create(context, x->shape[0], x->shape[1], (tread_newton_schulz **)ret_workspace);
}

static void destroy_workspace(void *workspace) { tread_newton_schulz_destroy(workspace); }

static const char *const rules[] = {"muon", "adamw", NULL};
static const tread_field fields[] = {
    TREAD_FIELD_LR(tread_muon_options, 1e-3),
    {.name = "rule",
     .kind = TREAD_FIELD_CHOICE,
     .offset = offsetof(tread_muon_options, rule),
     .choices = rules,
     .identity = true,
     .doc = "for matrices, or what the other parameters take"},
    TREAD_REAL(tread_muon_options, weight_decay, 0.1, TREAD_RANGE_NOT_NEGATIVE, "decoupled decay"),
    TREAD_REAL(tread_muon_options, momentum, 0.95, TREAD_RANGE_BELOW_ONE, "decay of the average of the gradient"),
    TREAD_BOOLEAN(tread_muon_options, nesterov, 1, "look ahead by one more gradient"),
    {.name = "ns_steps",
     .kind = TREAD_FIELD_INTEGER,
     .offset = offsetof(tread_muon_options, ns_steps),
     .initial = {5},
     .range = {1, 100, false, false, false, false},
     .doc = "Newton-Schulz steps"},
    TREAD_FIELD_BETAS(tread_muon_options, 0.9, 0.999, "of rule adamw: as adamw's"),
    TREAD_REAL(tread_muon_options, eps, 1e-8, TREAD_RANGE_NOT_NEGATIVE, "of rule adamw: as adamw's"),
    TREAD_FIELDS_OF_ALL(tread_muon_options),
};

const tread_optimizer_type tread_muon_type = {
    .table = TREAD_TABLE("muon", tread_muon_options, fields, NULL),
    .doc = "momentum made orthogonal, for matrices; AdamW for the rest",
    .slots = {{.name = "exp_avg", .needed = is_adamw},
              {.name = "exp_avg_sq", .needed = is_adamw},
              {.name = "momentum_buffer", .needed = is_muon}},
    .n_slots = 3,
    .factors_size = TREAD_MAX_FACTORS,
    .prepare = prepare,
    .update = update,
    .applies_whole = is_muon,
    .find_direction = find_direction,
    .whole_tensor = whole_tensor,
    .create_workspace = create_workspace,
    .destroy_workspace = destroy_workspace,
    .suits = tread_parameter_suits_muon,
    .momentum_field = momentum_field,
    .other_fields = "rule=adamw,lr=1e-3",
};

tread_muon_options tread_muon_defaults(void) {
    tread_muon_options o;
    tread_fields_defaults(&tread_muon_type.table, &o);
    return o;
}

tread_optimizer *tread_muon_with_adamw(const tread_context *context, tread_parameter_list params,
                                       const tread_muon_options *muon, const tread_muon_options *adamw) {
    const tread_field_table *table = &tread_muon_type.table;
    tread_parameter_split split;
    tread_muon_options *matrices = NULL, *others = NULL; /* copies, whole even if the caller's are of an older header */
    tread_optimizer *optimizer = NULL;
    if (tread_list_check(table->name, params) != TREAD_OK || tread_parameters_split_muon(params, &split) != TREAD_OK)
        return NULL;
    if (tread_fields_clone(table, muon, (void **)&matrices) == TREAD_OK &&
        tread_fields_clone(table, adamw, (void **)&others) == TREAD_OK) {
        others->rule = TREAD_MUON_RULE_ADAMW;
        const tread_new_group groups[] = {{split.chosen, matrices}, {split.rest, others}};
        size_t first = split.chosen.count > 0 ? 0 : 1, n = (split.chosen.count > 0) + (split.rest.count > 0);
        optimizer = tread_optimizer_create_groups(context, &tread_muon_type, matrices, groups + first, n);
    }
    tread_fields_free(table, matrices);
    tread_fields_free(table, others);
    tread_parameter_split_free(&split);
    return optimizer;
}

tread_optimizer *tread_muon(const tread_context *context, tread_parameter_list params,
                            const tread_muon_options *options) {
    return tread_optimizer_create(context, &tread_muon_type, params, options);
}
