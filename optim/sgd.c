#include <math.h>

#include "core/isa.h"
#include "core/status.h"
#include "optim/conventions.h"
#include "optim/optimizers_list.h"

typedef struct factors {
    float lr, weight_decay, momentum;
    float gain; /* of g' in the velocity: lr (1 - dampening); in PyTorch's buffer: 1 - dampening */
    bool nesterov, pytorch;
} factors;

static void prepare(const void *options, tread_progress *progress, void *ret_factors) {
    const tread_sgd_options *o = options;
    factors *f = ret_factors;
    f->lr = (float)o->lr;
    f->weight_decay = (float)o->weight_decay;
    f->momentum = (float)o->momentum;
    f->nesterov = o->nesterov;
    f->pytorch = o->convention == TREAD_MOMENTUM_PYTORCH;
    f->gain = (float)(f->pytorch ? 1 - o->dampening : o->lr * (1 - o->dampening));
    if (f->pytorch && (progress->fresh >> 1 & 1))
        f->gain = 1; /* b = g' at first; b is 0 then */
}

/* x -= lr g' */
TREAD_KERNEL_BODY void TREAD_BODY(plain)(const factors *f, const tread_update *u) {
    const float lr = f->lr, decay = f->weight_decay, scale = u->scale;
    float *restrict x = u->x;
    const float *restrict g = u->g;
    for (int64_t i = 0; i < u->n; i++)
        x[i] -= lr * (scale * g[i] + decay * x[i]);
}
TREAD_KERNEL(plain, (const factors *f, const tread_update *u), (f, u))

/* V = momentum V - lr (1 - dampening) g';  x += V, or with nesterov x += momentum V - lr (1 - dampening) g' */
TREAD_KERNEL_BODY void TREAD_BODY(velocity)(const factors *f, const tread_update *u) {
    const float momentum = f->momentum, gain = f->gain, decay = f->weight_decay, scale = u->scale;
    const bool nesterov = f->nesterov;
    float *restrict x = u->x, *restrict v = u->slots[0];
    const float *restrict g = u->g;
    for (int64_t i = 0; i < u->n; i++) {
        const float push = gain * (scale * g[i] + decay * x[i]), next = momentum * v[i] - push;
        v[i] = next;
        x[i] += nesterov ? momentum * next - push : next;
    }
}
TREAD_KERNEL(velocity, (const factors *f, const tread_update *u), (f, u))

/* b = momentum b + (1 - dampening) g';  x -= lr b, or with nesterov x -= lr (g' + momentum b) */
TREAD_KERNEL_BODY void TREAD_BODY(buffer)(const factors *f, const tread_update *u) {
    const float lr = f->lr, momentum = f->momentum, gain = f->gain, decay = f->weight_decay, scale = u->scale;
    const bool nesterov = f->nesterov;
    float *restrict x = u->x, *restrict b = u->slots[1];
    const float *restrict g = u->g;
    for (int64_t i = 0; i < u->n; i++) {
        const float slope = scale * g[i] + decay * x[i], next = momentum * b[i] + gain * slope;
        b[i] = next;
        x[i] -= lr * (nesterov ? slope + momentum * next : next);
    }
}
TREAD_KERNEL(buffer, (const factors *f, const tread_update *u), (f, u))

static void update(const void *f, const tread_update *u) {
    if (u->slots[0] != NULL)
        TREAD_CALL(velocity)(f, u);
    else if (u->slots[1] != NULL)
        TREAD_CALL(buffer)(f, u);
    else
        TREAD_CALL(plain)(f, u);
}

static tread_status check(const void *options) {
    const tread_sgd_options *o = options;
    char momentum[TREAD_NUMBER_TEXT], dampening[TREAD_NUMBER_TEXT];
    if (o->nesterov && !(o->momentum > 0 && o->dampening == 0))
        return tread_fail(TREAD_ERROR_ARGUMENT,
                          "sgd: nesterov = true needs momentum > 0 and dampening = 0; momentum = %s, dampening = %s",
                          tread_number_text(momentum, o->momentum), tread_number_text(dampening, o->dampening));
    return TREAD_OK;
}

static bool has_velocity(const void *options) {
    const tread_sgd_options *o = options;
    return o->momentum != 0 && o->convention == TREAD_MOMENTUM_VELOCITY;
}
static bool has_buffer(const void *options) {
    const tread_sgd_options *o = options;
    return o->momentum != 0 && o->convention == TREAD_MOMENTUM_PYTORCH;
}

static const tread_field fields[] = {
    TREAD_FIELD_LR(tread_sgd_options, 1e-3),
    TREAD_REAL(tread_sgd_options, momentum, 0, TREAD_RANGE_NOT_NEGATIVE, "share of the last change that is kept"),
    TREAD_REAL(tread_sgd_options, dampening, 0, TREAD_RANGE_NOT_NEGATIVE, "what momentum takes off the gradient"),
    TREAD_REAL(tread_sgd_options, weight_decay, 0, TREAD_RANGE_NOT_NEGATIVE, "L2 penalty, added to the gradient"),
    TREAD_BOOLEAN(tread_sgd_options, nesterov, 0, "Nesterov's momentum"),
    TREAD_FIELD_MOMENTUM_CONVENTION(tread_sgd_options),
    TREAD_FIELDS_OF_ALL(tread_sgd_options),
};

const tread_optimizer_type tread_sgd_type = {
    .table = TREAD_TABLE("sgd", tread_sgd_options, fields, check),
    .doc = "stochastic gradient descent, with momentum",
    .slots = {{.name = "velocity", .needed = has_velocity}, {.name = "momentum_buffer", .needed = has_buffer}},
    .n_slots = 2,
    .support_sparse = true,
    .l2_decay = true,
    .factors_size = sizeof(factors),
    .prepare = prepare,
    .update = update,
};

tread_sgd_options tread_sgd_defaults(void) {
    tread_sgd_options o;
    tread_fields_defaults(&tread_sgd_type.table, &o);
    return o;
}

tread_optimizer *tread_sgd(const tread_context *context, tread_parameter_list params,
                           const tread_sgd_options *options) {
    return tread_optimizer_create(context, &tread_sgd_type, params, options);
}
