#include "optim/lbfgs.h"

#include <math.h>
#include <string.h>

#include "core/memory.h"
#include "core/status.h"
#include "optim/optimizers_list.h"

#define N_VECTORS 8

/* ---- Making ---- */

tread_status tread_lbfgs_create(tread_optimizer *optimizer, const tread_lbfgs_options *options,
                                tread_lbfgs_solver **ret_solver) {
    const int64_t n = optimizer->groups[0].n_floats;
    tread_lbfgs_solver *solver = tread_calloc(1, sizeof *solver, "an L-BFGS solver");
    if (solver == NULL)
        return TREAD_ERROR_MEMORY;
    solver->optimizer = optimizer;
    solver->flat = (tread_flat){.context = optimizer->context, .n = n};
    solver->numbers.h_diag = 1;
    solver->vectors = tread_calloc((size_t)n, N_VECTORS * sizeof(float), "the vectors of L-BFGS");
    if (solver->vectors == NULL || tread_lbfgs_history_create(options, n, &solver->history) != TREAD_OK) {
        tread_lbfgs_destroy(solver);
        return TREAD_ERROR_MEMORY;
    }
    float **const vectors[N_VECTORS] = {
        &solver->direction, &solver->direction_before, &solver->gradient, &solver->gradient_before,
        &solver->values,    &solver->values_before,    &solver->trial,    &solver->best};
    for (int v = 0; v < N_VECTORS; v++)
        *vectors[v] = solver->vectors + v * n;
    *ret_solver = solver;
    return TREAD_OK;
}

void tread_lbfgs_destroy(void *memory) {
    tread_lbfgs_solver *solver = memory;
    tread_free(solver->vectors);
    tread_lbfgs_history_destroy(solver->history);
    tread_free(solver);
}

static tread_status create_solver(tread_optimizer *optimizer, void **ret_solver) {
    tread_lbfgs_solver *solver;
    TREAD_TRY(tread_lbfgs_create(optimizer, optimizer->groups[0].options, &solver));
    *ret_solver = solver;
    return TREAD_OK;
}

static tread_status fit_solver(void *memory, const void *options) {
    tread_lbfgs_solver *solver = memory;
    tread_lbfgs_history *fitting;
    if (tread_lbfgs_history_fits(solver->history, options))
        return TREAD_OK;
    if (solver->optimizer->solving)
        return tread_fail(TREAD_ERROR_STATE, "lbfgs: history_size and max_iter are fixed while a step is under way");
    TREAD_TRY(tread_lbfgs_history_create(options, solver->flat.n, &fitting));
    tread_lbfgs_history_copy(fitting, solver->history);
    tread_lbfgs_history_destroy(solver->history);
    solver->history = fitting;
    return TREAD_OK;
}

static size_t solver_bytes(const void *memory) {
    const tread_lbfgs_solver *solver = memory;
    return (N_VECTORS + 2 * solver->history->n_used) * (size_t)solver->flat.n * sizeof(float);
}

/* ---- A step, whole or undone ---- */

static void begin(tread_lbfgs_solver *solver) {
    const size_t bytes = (size_t)solver->flat.n * sizeof(float);
    solver->numbers_before = solver->numbers;
    memcpy(solver->direction_before, solver->direction, bytes);
    memcpy(solver->gradient_before, solver->gradient, bytes);
    tread_flat_from_values(&solver->flat, solver->optimizer, solver->values_before);
    tread_lbfgs_history_begin(solver->history);
}

static void undo(tread_lbfgs_solver *solver) {
    const size_t bytes = (size_t)solver->flat.n * sizeof(float);
    solver->numbers = solver->numbers_before;
    memcpy(solver->direction, solver->direction_before, bytes);
    memcpy(solver->gradient, solver->gradient_before, bytes);
    tread_flat_to_values(&solver->flat, solver->optimizer, solver->values_before, 0, NULL);
}

static tread_status fail_start(const tread_lbfgs_step *p) {
    const tread_lbfgs_solver *solver = p->solver;
    const tread_optimizer *optimizer = solver->optimizer;
    char number[TREAD_NUMBER_TEXT];
    if (!isfinite(p->loss))
        return tread_fail(TREAD_ERROR_NUMERIC, "lbfgs: the loss where the step begins is %s",
                          tread_number_text(number, isnan(p->loss) ? fabs(p->loss) : p->loss));
    char name[TREAD_ITEM_NAME];
    for (size_t i = 0; i < optimizer->n_items; i++)
        for (int64_t e = 0; e < optimizer->items[i].n; e++)
            if (!isfinite(solver->trial[optimizer->items[i].offset + e]))
                return tread_fail(TREAD_ERROR_NUMERIC,
                                  "lbfgs: the gradient where the step begins is not finite: parameter '%s', entry %lld",
                                  tread_item_name(optimizer, i, name), (long long)e);
    return TREAD_ERROR_NUMERIC;
}

static int64_t most_calls(const tread_lbfgs_options *o) {
    return o->max_eval > 0 ? o->max_eval : o->max_iter > INT64_MAX / 2 ? INT64_MAX : o->max_iter + o->max_iter / 4;
}

static tread_status run(tread_lbfgs_step *p, double *ret_loss) {
    tread_optimizer *optimizer = p->solver->optimizer;
    TREAD_TRY(tread_lbfgs_evaluate(p));
    *ret_loss = p->loss;
    optimizer->skipped = p->skipped;
    if (p->skipped)
        return TREAD_OK;
    if (!tread_lbfgs_is_good(p))
        return fail_start(p);
    p->finished = p->largest <= p->options.tolerance_grad;
    for (int64_t i = 1; i <= p->options.max_iter && !p->finished; i++) {
        TREAD_TRY(tread_lbfgs_iterate(p, i == p->options.max_iter));
        p->finished |= optimizer->closure_calls >= most_calls(&p->options);
    }
    return TREAD_OK;
}

static tread_status solve(tread_optimizer *optimizer, void *memory, tread_closure *closure) {
    tread_lbfgs_solver *solver = memory;
    tread_lbfgs_step p = {
        .solver = solver, .options = *(tread_lbfgs_options *)optimizer->groups[0].options, .closure = closure};
    double loss;
    begin(solver);
    tread_status status = run(&p, &loss);
    if (status != TREAD_OK)
        undo(solver);
    else if (optimizer->skipped)
        solver->numbers = solver->numbers_before;
    if (status == TREAD_OK)
        closure->loss = loss;
    tread_lbfgs_history_end(solver->history, status != TREAD_OK);
    return status;
}

/* ---- The table ---- */

static const char *const line_searches[] = {"none", "strong_wolfe", NULL};
static const tread_field fields[] = {
    TREAD_FIELD_LR(tread_lbfgs_options, 1),
    TREAD_INTEGER(tread_lbfgs_options, max_iter, 20, TREAD_RANGE_FROM(1), "iterations a step"),
    TREAD_INTEGER(tread_lbfgs_options, max_eval, 0, TREAD_RANGE_FROM(0),
                  "closure calls after which no iteration begins; 0: max_iter * 5 / 4"),
    TREAD_REAL(tread_lbfgs_options, tolerance_grad, 1e-7, TREAD_RANGE_NOT_NEGATIVE, "of the largest gradient entry"),
    TREAD_REAL(tread_lbfgs_options, tolerance_change, 1e-9, TREAD_RANGE_NOT_NEGATIVE,
               "of the change of loss and parameters"),
    TREAD_INTEGER(tread_lbfgs_options, history_size, 100, TREAD_RANGE_FROM(1), "pairs kept"),
    {.name = "line_search",
     .kind = TREAD_FIELD_CHOICE,
     .offset = offsetof(tread_lbfgs_options, line_search),
     .choices = line_searches,
     .doc = "how far to go along a direction; none: lr times it"},
};

const tread_optimizer_type tread_lbfgs_type = {
    .table = TREAD_TABLE("lbfgs", tread_lbfgs_options, fields, NULL),
    .doc = "limited-memory BFGS, which evaluates its closure several times a step",
    .create_solver = create_solver,
    .destroy_solver = tread_lbfgs_destroy,
    .fit_solver = fit_solver,
    .solver_bytes = solver_bytes,
    .solve = solve,
    .solver_to_state = tread_lbfgs_to_state,
    .solver_from_state = tread_lbfgs_from_state,
};

tread_lbfgs_options tread_lbfgs_defaults(void) {
    tread_lbfgs_options o;
    tread_fields_defaults(&tread_lbfgs_type.table, &o);
    return o;
}

tread_optimizer *tread_lbfgs(const tread_context *context, tread_parameter_list params,
                             const tread_lbfgs_options *options) {
    return tread_optimizer_create(context, &tread_lbfgs_type, params, options);
}
