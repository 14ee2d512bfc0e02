#include "optim/clip.h"

#include <math.h>
#include <string.h>

#include "core/memory.h"
#include "core/options.h"
#include "core/parallel.h"
#include "core/status.h"
#include "optim/split.h"

tread_clip_options tread_clip_defaults(void) { return (tread_clip_options){.size = sizeof(tread_clip_options)}; }

tread_status tread_clip_check(const char *call, double max_norm, double norm_type, tread_nonfinite_policy policy) {
    char number[TREAD_NUMBER_TEXT];
    if (!(max_norm >= 0))
        return tread_fail(TREAD_ERROR_ARGUMENT, "%s: max_norm = %s is outside [0, inf) or inf", call,
                          tread_number_text(number, max_norm));
    if (!(norm_type > 0) && norm_type != -INFINITY)
        return tread_fail(TREAD_ERROR_ARGUMENT, "%s: norm_type = %s is outside (0, inf), inf or -inf", call,
                          tread_number_text(number, norm_type));
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
    char whole[TREAD_NUMBER_TEXT], own[TREAD_NUMBER_TEXT];
    tread_number_text(whole, fabs(norm)); /* of a NaN the sign is printed too */
    while (i < first + n && isfinite(leaves->items[i].norm))
        i++;
    if (i == first + n)
        return tread_fail(TREAD_ERROR_NUMERIC,
                          "%s: the norm is %s: that of each parameter is finite, and together they are no number", call,
                          whole);
    const char *name = tread_parameter_name(params[i - first]);
    return tread_fail(TREAD_ERROR_NUMERIC, "%s: the norm is %s: parameter %zu ('%s') has a gradient of norm %s", call,
                      whole, i, name != NULL ? name : "no name", tread_number_text(own, fabs(leaves->items[i].norm)));
}

/* What a fused clip left for the next step is done now, so that clipping twice is clipping twice; norms taken before
 * are then to be taken anew. Returns whether there was anything. */
static bool settle(tread_optimizer *optimizer) {
    bool any = false;
    for (size_t g = 0; g < optimizer->n_groups; g++) {
        tread_param_group *group = &optimizer->groups[g];
        if (group->clip != 1)
            tread_leaves_scale(optimizer->context, &optimizer->leaves, group->first, group->count, group->clip);
        any |= group->clip != 1;
        group->clip = 1;
    }
    return any;
}

/* A number that is finite where the pending coefficients are. */
static double pending(const tread_optimizer *optimizer) {
    double all = 1;
    for (size_t g = 0; g < optimizer->n_groups; g++)
        all *= optimizer->groups[g].clip;
    return all;
}

static void apply(tread_optimizer *optimizer, tread_param_group *group, double by, bool fused) {
    if (by == 1)
        return;
    if (fused)
        group->clip = (float)by;
    else
        tread_leaves_scale(optimizer->context, &optimizer->leaves, group->first, group->count, (float)by);
}

void tread_clip_unscale(tread_optimizer *optimizer, double unscale) {
    for (size_t g = 0; g < optimizer->n_groups; g++)
        optimizer->groups[g].clip = (float)(optimizer->groups[g].clip * unscale);
}

static tread_status read_options(const tread_clip_options *options, const char *call, tread_clip_options *ret_options) {
    *ret_options = tread_clip_defaults();
    TREAD_TRY(tread_options_read(call, options, ret_options, sizeof *ret_options));
    return tread_clip_check(call, 0, 2, ret_options->nonfinite);
}

/* INFINITY where nothing is to be clipped; solvers do not even have the field. */
static double max_norm_of(const tread_optimizer *optimizer, const tread_param_group *group) {
    const double *max_norm = tread_group_option(optimizer, group, "clip_grad_max_norm");
    return max_norm != NULL ? *max_norm : INFINITY;
}

/* Sets each group's norm: NAN where nothing is to be clipped. Returns the first whose norm is not finite, n_groups if
 * there is none. */
static size_t take_norms(tread_optimizer *optimizer) {
    size_t bad = optimizer->n_groups;
    for (size_t g = 0; g < optimizer->n_groups; g++) {
        tread_param_group *group = &optimizer->groups[g];
        group->norm = NAN;
        if (!isfinite(max_norm_of(optimizer, group)))
            continue;
        group->norm = tread_leaves_norm(optimizer->context, &optimizer->leaves, group->first, group->count,
                                        *(double *)tread_group_option(optimizer, group, "clip_grad_norm_type"));
        if (!isfinite(group->norm * group->clip) && bad == optimizer->n_groups)
            bad = g;
    }
    return bad;
}

tread_status tread_clip_groups(tread_optimizer *optimizer, const tread_clip_request *request, double *ret_norms) {
    const size_t bad = take_norms(optimizer);
    if (bad < optimizer->n_groups && request->nonfinite == TREAD_NONFINITE_ERROR) {
        const tread_param_group *group = &optimizer->groups[bad];
        return fail_nonfinite(request->call, &optimizer->leaves, group->first, group->count, group->params,
                              group->norm * group->clip);
    }
    if (settle(optimizer))
        take_norms(optimizer);
    bool skip = bad < optimizer->n_groups && request->nonfinite == TREAD_NONFINITE_SKIP;
    optimizer->skip_next |= skip;
    for (size_t g = 0; g < optimizer->n_groups; g++) {
        tread_param_group *group = &optimizer->groups[g];
        double max_norm = max_norm_of(optimizer, group);
        if (ret_norms != NULL)
            ret_norms[g] = group->norm;
        if (isfinite(max_norm) && !skip)
            apply(optimizer, group, coefficient(group->norm, max_norm), request->fused);
    }
    return TREAD_OK;
}

tread_status tread_optimizer_clip_grad(tread_optimizer *optimizer, const tread_clip_options *options,
                                       double *ret_norms) {
    TREAD_REFUSE_NULL("optimizer clip grad", optimizer);
    tread_clip_options o;
    TREAD_TRY(read_options(options, "clip_grad", &o));
    const tread_clip_request request = {.call = "clip_grad", .unscale = 1, .nonfinite = o.nonfinite, .fused = o.fused};
    return tread_clip_groups(optimizer, &request, ret_norms);
}

/* The first group whose norm is not finite; n_groups if each one's is. */
static size_t first_bad_group(tread_optimizer *optimizer, double norm_type) {
    for (size_t g = 0; g < optimizer->n_groups; g++) {
        const tread_param_group *group = &optimizer->groups[g];
        if (!isfinite(group->clip *
                      tread_leaves_norm(optimizer->context, &optimizer->leaves, group->first, group->count, norm_type)))
            return g;
    }
    return optimizer->n_groups;
}

tread_status tread_clip_all(tread_optimizer *optimizer, const tread_clip_request *request, double *ret_norm) {
    const size_t n = optimizer->n_items;
    double norm = tread_leaves_norm(optimizer->context, &optimizer->leaves, 0, n, request->norm_type);
    if (request->nonfinite == TREAD_NONFINITE_ERROR && !isfinite(norm * pending(optimizer))) {
        const size_t g = first_bad_group(optimizer, request->norm_type);
        if (g == optimizer->n_groups)
            return fail_nonfinite(request->call, &optimizer->leaves, 0, 0, NULL, norm);
        const tread_param_group *group = &optimizer->groups[g];
        return fail_nonfinite(request->call, &optimizer->leaves, group->first, group->count, group->params,
                              norm * pending(optimizer));
    }
    if (settle(optimizer))
        norm = tread_leaves_norm(optimizer->context, &optimizer->leaves, 0, n, request->norm_type);
    norm *= request->unscale;
    const bool skip = !isfinite(norm) && request->nonfinite == TREAD_NONFINITE_SKIP;
    optimizer->skip_next |= skip;
    for (size_t g = 0; g < optimizer->n_groups && !skip; g++)
        apply(optimizer, &optimizer->groups[g], coefficient(norm, request->max_norm) * request->unscale,
              request->fused);
    if (ret_norm != NULL)
        *ret_norm = norm;
    return TREAD_OK;
}

tread_status tread_optimizer_clip_grad_norm(tread_optimizer *optimizer, double max_norm, double norm_type,
                                            const tread_clip_options *options, double *ret_norm) {
    TREAD_REFUSE_NULL("optimizer clip grad norm", optimizer);
    tread_clip_options o;
    TREAD_TRY(read_options(options, "clip_grad_norm", &o));
    TREAD_TRY(tread_clip_check("clip_grad_norm", max_norm, norm_type, o.nonfinite));
    const tread_clip_request request = {.call = "clip_grad_norm",
                                        .max_norm = max_norm,
                                        .norm_type = norm_type,
                                        .unscale = 1,
                                        .nonfinite = o.nonfinite,
                                        .fused = o.fused};
    return tread_clip_all(optimizer, &request, ret_norm);
}

/* ---- Without an optimizer ---- */

/* It would be scaled twice. */
static tread_status check_twice(const char *call, tread_parameter_list params) {
    if (params.count < 2)
        return TREAD_OK;
    tread_parameter **all = tread_alloc(params.count * sizeof *all, "a list of parameters");
    if (all == NULL)
        return TREAD_ERROR_MEMORY;
    memcpy(all, params.items, params.count * sizeof *all);
    const tread_parameter *twice = tread_find_twice(all, params.count);
    tread_free(all);
    if (twice == NULL)
        return TREAD_OK;
    tread_report places = {.length = 0};
    tread_list_places(params, twice, &places);
    return tread_fail_twice(call, twice, &places);
}

static tread_status make_leaves(const char *call, tread_parameter_list params, tread_leaves *ret_leaves) {
    tread_leaves leaves = {.count = params.count};
    for (size_t i = 0; i < params.count; i++)
        if (params.items == NULL || params.items[i] == NULL)
            return tread_fail(TREAD_ERROR_ARGUMENT, "%s: parameter %zu of %zu is NULL", call, i, params.count);
    TREAD_TRY(check_twice(call, params));
    leaves.items = tread_calloc(params.count, sizeof *leaves.items, "a list of gradients");
    if (leaves.items == NULL)
        return TREAD_ERROR_MEMORY;
    for (size_t i = 0; i < params.count; i++) {
        tread_tensor *x = &params.items[i]->tensor;
        leaves.items[i] = (tread_leaf){.tensor = x, .first_chunk = leaves.n_chunks};
        leaves.n_chunks += tread_leaf_chunk_count(x->count);
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
    TREAD_TRY(tread_clip_check("clip_grad_norm", max_norm, norm_type, nonfinite));
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
    char number[TREAD_NUMBER_TEXT];
    if (!(limit >= 0 && isfinite(limit)))
        return tread_fail(TREAD_ERROR_ARGUMENT, "clip_grad_value: limit = %s is outside [0, inf)",
                          tread_number_text(number, limit));
    tread_leaves leaves;
    TREAD_TRY(make_leaves("clip_grad_value", params, &leaves));
    tread_leaves_clamp(context, &leaves, 0, leaves.count, (float)limit);
    free_leaves(&leaves);
    return TREAD_OK;
}
