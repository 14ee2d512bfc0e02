#include <tread/gradcheck.h>

#include <math.h>
#include <string.h>

#include "core/memory.h"
#include "core/options.h"
#include "core/status.h"
#include "core/streams.h"
#include "core/tensor.h"

tread_gradcheck_options tread_gradcheck_defaults(void) {
    return (tread_gradcheck_options){.size = sizeof(tread_gradcheck_options), .eps = 1e-6, .atol = 1e-5, .rtol = 1e-3};
}

/* What was a leaf's before, to be put back. */
typedef struct saved_leaf {
    tread_grad_state state;
    double *grad; /* count values, where state is DENSE */
} saved_leaf;

typedef struct check {
    tread_gradcheck_options options;
    tread_gradcheck_fn function;
    void *data;
    tread_tensor *const *inputs;
    int n;
    tread_tape *tape;
    tread_rng rng;
    saved_leaf *saved;
    double **analytic;     /* per input: count values; NULL where none is required */
    tread_tensor *weights; /* of the output's shape */
    double *above;         /* the output at x + eps */
} check;

static tread_status check_arguments(const check *c) {
    const tread_gradcheck_options *o = &c->options;
    if (c->function == NULL || c->n < 0 || (c->inputs == NULL && c->n > 0))
        return tread_fail(TREAD_ERROR_ARGUMENT, "gradcheck: no %s", c->function == NULL ? "function" : "inputs");
    if (!(o->eps > 0) || !isfinite(o->eps))
        return tread_fail(TREAD_ERROR_ARGUMENT, "gradcheck: eps = %g is not positive and finite", o->eps);
    if (!(o->atol >= 0) || !(o->rtol >= 0) || !isfinite(o->atol) || !isfinite(o->rtol))
        return tread_fail(TREAD_ERROR_ARGUMENT, "gradcheck: atol = %g, rtol = %g: both must be finite and not negative",
                          o->atol, o->rtol);
    bool any = false;
    for (int i = 0; i < c->n; i++) {
        const tread_tensor *x = c->inputs[i];
        if (x == NULL)
            return tread_fail(TREAD_ERROR_ARGUMENT, "gradcheck: input %d is NULL", i);
        if (x->dtype != TREAD_FLOAT64)
            return tread_fail(TREAD_ERROR_DTYPE, "gradcheck: input %d is %s, not float64", i,
                              tread_dtype_name(x->dtype));
        if (x->tape != NULL)
            return tread_fail(TREAD_ERROR_ARGUMENT, "gradcheck: input %d is no leaf but a tape's", i);
        any |= x->requires_grad;
    }
    return any ? TREAD_OK : tread_fail(TREAD_ERROR_ARGUMENT, "gradcheck: no input requires a gradient");
}

static tread_status save_leaves(check *c) {
    for (int i = 0; i < c->n; i++) {
        tread_tensor *x = c->inputs[i];
        if (!x->requires_grad)
            continue;
        c->analytic[i] = tread_calloc((size_t)x->count, sizeof(double), "gradcheck's gradients");
        if (c->analytic[i] == NULL)
            return TREAD_ERROR_MEMORY;
        if (x->grad_state == TREAD_GRAD_DENSE) {
            c->saved[i].grad = tread_alloc(tread_tensor_bytes(x), "gradcheck's copy of a gradient");
            if (c->saved[i].grad == NULL)
                return TREAD_ERROR_MEMORY;
            memcpy(c->saved[i].grad, x->grad->data, tread_tensor_bytes(x));
        }
        c->saved[i].state = x->grad_state;
    }
    return TREAD_OK;
}

static tread_status run_function(check *c, tread_tensor **ret_y) {
    tread_tape_reset(c->tape);
    tread_tape_set_rng(c->tape, c->rng);
    tread_tensor *y = c->function(c->data, c->tape, c->inputs);
    if (tread_tape_status(c->tape) != TREAD_OK)
        return tread_fail(tread_tape_status(c->tape), "%s", tread_tape_error(c->tape));
    if (y == NULL)
        return tread_fail(TREAD_ERROR_ARGUMENT, "gradcheck: the function returned NULL though no operation failed");
    if (y->dtype != TREAD_FLOAT64)
        return tread_fail(TREAD_ERROR_DTYPE, "gradcheck: the function's result is %s, not float64",
                          tread_dtype_name(y->dtype));
    if (c->weights != NULL && !tread_tensor_same_shape(y, c->weights)) {
        char was[TREAD_SHAPE_TEXT], is[TREAD_SHAPE_TEXT];
        return tread_fail(TREAD_ERROR_SHAPE, "gradcheck: the function's result had shape %s, now %s",
                          tread_shape_text(was, c->weights->rank, c->weights->shape),
                          tread_shape_text(is, y->rank, y->shape));
    }
    *ret_y = y;
    return TREAD_OK;
}

/* Backward with fixed weights in [0.5, 1.5): no output element may be lost, none may cancel another by chance. */
static tread_status run_backward(check *c) {
    tread_tensor *y;
    TREAD_TRY(run_function(c, &y));
    c->weights = tread_tensor_create(TREAD_FLOAT64, y->rank, y->shape);
    c->above = tread_alloc(tread_tensor_bytes(y), "gradcheck's output");
    if (c->weights == NULL || c->above == NULL)
        return TREAD_ERROR_MEMORY;
    tread_rng rng = tread_rng_create(0, TREAD_STREAM_CHECK);
    for (int64_t i = 0; i < y->count; i++)
        ((double *)c->weights->data)[i] = 0.5 + tread_rng_uniform(&rng);
    for (int i = 0; i < c->n; i++)
        if (c->inputs[i]->requires_grad)
            c->inputs[i]->grad_state = TREAD_GRAD_NONE;
    tread_status status = tread_backward_from(c->tape, y, c->weights);
    for (int i = 0; i < c->n; i++) {
        tread_tensor *x = c->inputs[i];
        if (status == TREAD_OK && x->requires_grad && tread_tensor_grad(x) != NULL)
            memcpy(c->analytic[i], x->grad->data, tread_tensor_bytes(x));
    }
    for (int i = 0; i < c->n; i++) {
        tread_tensor *x = c->inputs[i];
        if (!x->requires_grad)
            continue;
        if (c->saved[i].grad != NULL)
            memcpy(x->grad->data, c->saved[i].grad, tread_tensor_bytes(x));
        x->grad_state = c->saved[i].state;
    }
    return status;
}

/* Sum of weights (f(x + eps) - f(x - eps)), in long double: the differences are tiny. *x is left at x - eps, since the
 * output may share its memory. */
static tread_status contract(check *c, double *x, double above, double below, long double *ret_sum) {
    tread_tensor *y;
    *x = above;
    TREAD_TRY(run_function(c, &y));
    memcpy(c->above, y->data, tread_tensor_bytes(y));
    *x = below;
    TREAD_TRY(run_function(c, &y));
    const double *weights = c->weights->data, *lower = y->data;
    *ret_sum = 0;
    for (int64_t i = 0; i < y->count; i++)
        *ret_sum += (long double)weights[i] * ((long double)c->above[i] - lower[i]);
    return TREAD_OK;
}

/* The central difference, divided by the distance that x really moved. */
static tread_status difference(check *c, double *x, double *ret_numeric) {
    const double before = *x, above = before + c->options.eps, below = before - c->options.eps;
    long double sum;
    const tread_status status = contract(c, x, above, below, &sum);
    *x = before;
    TREAD_TRY(status);
    *ret_numeric = (double)(sum / ((long double)above - below));
    return TREAD_OK;
}

static tread_status compare(check *c, tread_gradcheck_result *result) {
    *result = (tread_gradcheck_result){.passed = true, .input = -1, .element = -1, .error = -INFINITY};
    for (int i = 0; i < c->n; i++) {
        if (!c->inputs[i]->requires_grad)
            continue;
        double *x = c->inputs[i]->data;
        for (int64_t k = 0; k < c->inputs[i]->count; k++) {
            double numeric, analytic = c->analytic[i][k];
            TREAD_TRY(difference(c, &x[k], &numeric));
            double error = fabs(analytic - numeric) - c->options.rtol * fabs(numeric);
            if (isnan(error))
                error = INFINITY;
            if (error > result->error)
                *result = (tread_gradcheck_result){result->passed, i, k, analytic, numeric, error};
            result->passed &= error <= c->options.atol;
        }
    }
    return TREAD_OK;
}

static tread_status run(check *c, tread_context *context, tread_gradcheck_result *result) {
    c->saved = tread_calloc((size_t)c->n, sizeof *c->saved, "gradcheck's inputs");
    c->analytic = tread_calloc((size_t)c->n, sizeof *c->analytic, "gradcheck's inputs");
    c->tape = tread_tape_create(context);
    if (c->saved == NULL || c->analytic == NULL || c->tape == NULL)
        return TREAD_ERROR_MEMORY;
    c->rng = tread_tape_rng(c->tape);
    TREAD_TRY(save_leaves(c));
    bool enabled = tread_set_grad_enabled(true);
    tread_status status = run_backward(c);
    tread_set_grad_enabled(false);
    if (status == TREAD_OK)
        status = compare(c, result);
    tread_set_grad_enabled(enabled);
    return status;
}

tread_status tread_gradcheck(tread_context *context, tread_gradcheck_fn function, void *data,
                             tread_tensor *const *inputs, int n, const tread_gradcheck_options *options,
                             tread_gradcheck_result *ret_result) {
    check c = {.options = tread_gradcheck_defaults(), .function = function, .data = data, .inputs = inputs, .n = n};
    TREAD_TRY(tread_options_read("gradcheck", options, &c.options, sizeof c.options));
    TREAD_TRY(check_arguments(&c));
    tread_gradcheck_result result;
    tread_status status = run(&c, context, &result);
    tread_tape_destroy(c.tape);
    tread_tensor_destroy(c.weights);
    tread_free(c.above);
    for (int i = 0; i < n; i++) {
        if (c.saved != NULL)
            tread_free(c.saved[i].grad);
        if (c.analytic != NULL)
            tread_free(c.analytic[i]);
    }
    tread_free(c.saved);
    tread_free(c.analytic);
    if (status == TREAD_OK && ret_result != NULL)
        *ret_result = result;
    return status;
}
