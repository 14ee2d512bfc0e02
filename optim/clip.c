#include <math.h>

#include "core/memory.h"
#include "core/options.h"
#include "core/parallel.h"
#include "core/status.h"
#include "optim/optimizer.h"

tread_clip_options tread_clip_defaults(void) { return (tread_clip_options){.size = sizeof(tread_clip_options)}; }

static tread_status check_request(const char *call, double max_norm, double norm_type, tread_nonfinite_policy policy) {
    if (!(max_norm >= 0))
        return tread_fail(TREAD_ERROR_ARGUMENT, "%s: max_norm = %g is outside [0, inf) or inf", call, max_norm);
    if (!(norm_type > 0) && norm_type != -INFINITY)
        return tread_fail(TREAD_ERROR_ARGUMENT, "%s: norm_type = %g is outside (0, inf), inf or -inf", call, norm_type);
    if ((unsigned)policy > TREAD_NONFINITE_PROPAGATE)
        return tread_fail(TREAD_ERROR_ARGUMENT, "%s: nonfinite = %d is not one of error (0), skip (1), propagate (2)",
                          call, (int)policy);
    return TREAD_OK;
}

static double coefficient(double norm, double max_norm) {
    double ratio = max_norm / (norm + 1e-6);
    return ratio >= 1 || isinf(max_norm) ? 1 : ratio; /* a NaN passes */
}

static tread_status fail_nonfinite(const char *call, const tread_leaves *leaves, size_t first, size_t n,
                                   tread_parameter *const *params, double norm) {
    size_t i = first;
    while (i + 1 < first + n && isfinite(leaves->items[i].norm))
        i++;
    const char *name = tread_parameter_name(params[i - first]);
    return tread_fail(TREAD_ERROR_NUMERIC, "%s: the norm is %g: parameter %zu ('%s') has a gradient of norm %g", call,
                      fabs(norm), i, name != NULL ? name : "no name",
                      fabs(leaves->items[i].norm)); /* of a NaN the sign is printed too */
}

/* What a fused clip left for the next step is done now, so that clipping twice is clipping twice. */
static void settle(tread_optimizer *optimizer) {
    for (size_t g = 0; g < optimizer->n_groups; g++) {
        tread_param_group *group = &optimizer->groups[g];
        if (group->clip != 1)
            tread_leaves_scale(optimizer->context, &optimizer->leaves, group->first, group->count, group->clip);
        group->clip = 1;
    }
}

static void apply(tread_optimizer *optimizer, tread_param_group *group, double by, bool fused) {
    if (by == 1)
        return;
    if (fused)
        group->clip = (float)by;
    else
        tread_leaves_scale(optimizer->context, &optimizer->leaves, group->first, group->count, (float)by);
}

static tread_status read_options(const tread_clip_options *options, const char *call, tread_clip_options *ret_options) {
    *ret_options = tread_clip_defaults();
    TREAD_TRY(tread_options_read(call, options, ret_options, sizeof *ret_options));
    return check_request(call, 0, 2, ret_options->nonfinite);
}

/* INFINITY where nothing is to be clipped; solvers do not even have the field. */
static double max_norm_of(const tread_optimizer *optimizer, const tread_param_group *group) {
    const double *max_norm = tread_group_option(optimizer, group, "clip_grad_max_norm");
    return max_norm != NULL ? *max_norm : INFINITY;
}

tread_status tread_optimizer_clip_grad(tread_optimizer *optimizer, const tread_clip_options *options,
                                       double *ret_norms) {
    TREAD_REFUSE_NULL("optimizer clip grad", optimizer);
    tread_clip_options o;
    TREAD_TRY(read_options(options, "clip_grad", &o));
    settle(optimizer);
    bool bad = false;
    for (size_t g = 0; g < optimizer->n_groups; g++) {
        tread_param_group *group = &optimizer->groups[g];
        double max_norm = max_norm_of(optimizer, group);
        group->norm = isfinite(max_norm)
                          ? tread_leaves_norm(optimizer->context, &optimizer->leaves, group->first, group->count,
                                              *(double *)tread_group_option(optimizer, group, "clip_grad_norm_type"))
                          : NAN;
        if (!isfinite(max_norm) || isfinite(group->norm))
            continue;
        if (o.nonfinite == TREAD_NONFINITE_ERROR)
            return fail_nonfinite("clip_grad", &optimizer->leaves, group->first, group->count, group->params,
                                  group->norm);
        bad = true;
    }
    bool skip = bad && o.nonfinite == TREAD_NONFINITE_SKIP;
    optimizer->skip_next |= skip;
    for (size_t g = 0; g < optimizer->n_groups; g++) {
        tread_param_group *group = &optimizer->groups[g];
        double max_norm = max_norm_of(optimizer, group);
        if (ret_norms != NULL)
            ret_norms[g] = group->norm;
        if (isfinite(max_norm) && !skip)
            apply(optimizer, group, coefficient(group->norm, max_norm), o.fused);
    }
    return TREAD_OK;
}

tread_status tread_optimizer_clip_grad_norm(tread_optimizer *optimizer, double max_norm, double norm_type,
                                            const tread_clip_options *options, double *ret_norm) {
    TREAD_REFUSE_NULL("optimizer clip grad norm", optimizer);
    tread_clip_options o;
    TREAD_TRY(read_options(options, "clip_grad_norm", &o));
    TREAD_TRY(check_request("clip_grad_norm", max_norm, norm_type, o.nonfinite));
    settle(optimizer);
    double norm = tread_leaves_norm(optimizer->context, &optimizer->leaves, 0, optimizer->n_items, norm_type);
    bool bad = !isfinite(norm), skip = bad && o.nonfinite == TREAD_NONFINITE_SKIP;
    if (bad && o.nonfinite == TREAD_NONFINITE_ERROR) {
        size_t g = 0; /* the first group with a bad parameter */
        while (g + 1 < optimizer->n_groups &&
               isfinite(tread_leaves_norm(optimizer->context, &optimizer->leaves, optimizer->groups[g].first,
                                          optimizer->groups[g].count, norm_type)))
            g++;
        return fail_nonfinite("clip_grad_norm", &optimizer->leaves, optimizer->groups[g].first,
                              optimizer->groups[g].count, optimizer->groups[g].params, norm);
    }
    optimizer->skip_next |= skip;
    for (size_t g = 0; g < optimizer->n_groups && !skip; g++)
        apply(optimizer, &optimizer->groups[g], coefficient(norm, max_norm), o.fused);
    if (ret_norm != NULL)
        *ret_norm = norm;
    return TREAD_OK;
}

/* ---- Without an optimizer ---- */

static tread_status make_leaves(const char *call, tread_parameter_list params, tread_leaves *ret_leaves) {
    tread_leaves leaves = {.count = params.count};
    for (size_t i = 0; i < params.count; i++)
        if (params.items == NULL || params.items[i] == NULL)
            return tread_fail(TREAD_ERROR_ARGUMENT, "%s: parameter %zu of %zu is NULL", call, i, params.count);
    leaves.items = tread_calloc(params.count, sizeof *leaves.items, "a list of gradients");
    if (leaves.items == NULL)
        return TREAD_ERROR_MEMORY;
    for (size_t i = 0; i < params.count; i++) {
        tread_tensor *x = &params.items[i]->tensor;
        leaves.items[i] = (tread_leaf){.tensor = x, .first_chunk = leaves.n_chunks};
        leaves.n_chunks += tread_chunk_count(x->count);
    }
    leaves.partial_sums = tread_calloc((size_t)leaves.n_chunks, sizeof(double), "partial sums of gradients");
    if (leaves.partial_sums == NULL) {
        tread_free(leaves.items);
        return TREAD_ERROR_MEMORY;
    }
    *ret_leaves = leaves;
    return TREAD_OK;
}

static void free_leaves(tread_leaves *leaves) {
    tread_free(leaves->items);
    tread_free(leaves->partial_sums);
}

tread_status tread_clip_grad_norm(const tread_context *context, tread_parameter_list params, double max_norm,
                                  double norm_type, tread_nonfinite_policy nonfinite, double *ret_norm) {
    TREAD_TRY(check_request("clip_grad_norm", max_norm, norm_type, nonfinite));
    tread_leaves leaves;
    TREAD_TRY(make_leaves("clip_grad_norm", params, &leaves));
    double norm = tread_leaves_norm(context, &leaves, 0, leaves.count, norm_type), by = coefficient(norm, max_norm);
    tread_status status = TREAD_OK;
    if (!isfinite(norm) && nonfinite == TREAD_NONFINITE_ERROR)
        status = fail_nonfinite("clip_grad_norm", &leaves, 0, leaves.count, params.items, norm);
    else if (by != 1 && (isfinite(norm) || nonfinite == TREAD_NONFINITE_PROPAGATE))
        tread_leaves_scale(context, &leaves, 0, leaves.count, (float)by);
    if (status == TREAD_OK && ret_norm != NULL)
        *ret_norm = norm;
    free_leaves(&leaves);
    return status;
}

tread_status tread_clip_grad_value(const tread_context *context, tread_parameter_list params, double limit) {
    if (!(limit >= 0 && isfinite(limit)))
        return tread_fail(TREAD_ERROR_ARGUMENT, "clip_grad_value: limit = %g is outside [0, inf)", limit);
    tread_leaves leaves;
    TREAD_TRY(make_leaves("clip_grad_value", params, &leaves));
    tread_leaves_clamp(context, &leaves, 0, leaves.count, (float)limit);
    free_leaves(&leaves);
    return TREAD_OK;
}
