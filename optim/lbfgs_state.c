#include <string.h>

#include "core/memory.h"
#include "core/status.h"
#include "optim/lbfgs.h"

static int64_t packed_size(const tread_optimizer *optimizer) {
    int64_t n = 0;
    for (size_t i = 0; i < optimizer->n_items; i++)
        n += optimizer->items[i].n;
    return n;
}

/* ---- Taking ---- */

/* The vectors as rows of one tensor, (n) for one and (rows, n) for more; a failure frees it. */
static tread_status add_rows(const tread_lbfgs_solver *solver, tread_state *tree, const char *name, int rank,
                             size_t n_rows, const float *(*row_of)(const tread_lbfgs_solver *solver, size_t row)) {
    const int64_t n = packed_size(solver->optimizer), shape[] = {(int64_t)n_rows, n};
    tread_tensor *rows = tread_tensor_create(TREAD_FLOAT32, rank, shape + 2 - rank);
    if (rows == NULL)
        return TREAD_ERROR_MEMORY;
    for (size_t r = 0; r < n_rows; r++)
        tread_flat_pack(solver->optimizer, row_of(solver, r), (float *)rows->data + (int64_t)r * n);
    tread_status status = tread_state_add_tensor(tree, name, rows);
    if (status != TREAD_OK)
        tread_tensor_destroy(rows);
    return status;
}

static const float *direction_of(const tread_lbfgs_solver *solver, size_t row) {
    (void)row;
    return solver->direction;
}
static const float *gradient_of(const tread_lbfgs_solver *solver, size_t row) {
    (void)row;
    return solver->gradient;
}
static const float *y_of(const tread_lbfgs_solver *solver, size_t row) { return solver->history->live[row].y; }
static const float *s_of(const tread_lbfgs_solver *solver, size_t row) { return solver->history->live[row].s; }

tread_status tread_lbfgs_to_state(const void *memory, tread_state *tree) {
    const tread_lbfgs_solver *solver = memory;
    const tread_lbfgs_numbers *numbers = &solver->numbers;
    const size_t n_pairs = solver->history->n;
    TREAD_TRY(tread_state_add_integer(tree, "n_iter", numbers->n_iter));
    TREAD_TRY(tread_state_add_integer(tree, "func_evals", numbers->func_evals));
    tread_state *sizes = tread_state_add_list(tree, "sizes");
    if (sizes == NULL)
        return TREAD_ERROR_MEMORY;
    for (size_t i = 0; i < solver->optimizer->n_items; i++)
        TREAD_TRY(tread_state_add_integer(sizes, NULL, solver->optimizer->items[i].n));
    if (!numbers->begun)
        return TREAD_OK;
    TREAD_TRY(tread_state_add_real(tree, "t", numbers->t));
    TREAD_TRY(tread_state_add_real(tree, "prev_loss", numbers->loss));
    TREAD_TRY(tread_state_add_real(tree, "H_diag", numbers->h_diag));
    TREAD_TRY(add_rows(solver, tree, "d", 1, 1, direction_of));
    TREAD_TRY(add_rows(solver, tree, "prev_flat_grad", 1, 1, gradient_of));
    tread_state *ro = tread_state_add_list(tree, "ro");
    if (ro == NULL)
        return TREAD_ERROR_MEMORY;
    for (size_t i = 0; i < n_pairs; i++)
        TREAD_TRY(tread_state_add_real(ro, NULL, solver->history->live[i].ro));
    if (n_pairs == 0)
        return TREAD_OK;
    TREAD_TRY(add_rows(solver, tree, "old_dirs", 2, n_pairs, y_of));
    return add_rows(solver, tree, "old_stps", 2, n_pairs, s_of);
}

/* ---- Loading ---- */

/* What a state is read with: each difference goes to the report. */
typedef struct reader {
    const tread_optimizer *optimizer;
    const tread_state *tree;
    tread_report *report;
} reader;

static void read_count(const reader *r, const char *name, int64_t *ret_count) {
    int64_t count;
    if (tread_state_get_integer(r->tree, name, &count) != TREAD_OK)
        tread_report_part(r->report, "solver: %s", tread_last_error());
    else if (count < 0)
        tread_report_part(r->report, "solver: %s = %lld is negative", name, (long long)count);
    else
        *ret_count = count;
}

/* least: -INFINITY for any number. */
static void read_number(const reader *r, const char *name, double least, bool open, double *ret_number) {
    double number;
    char text[TREAD_NUMBER_TEXT], low[TREAD_NUMBER_TEXT];
    if (tread_state_get_real(r->tree, name, &number) != TREAD_OK)
        tread_report_part(r->report, "solver: %s", tread_last_error());
    else if (!(open ? number > least : number >= least))
        tread_report_part(r->report, "solver: %s = %s is outside %s%s, inf)", name, tread_number_text(text, number),
                          open ? "(" : "[", tread_number_text(low, least));
    else
        *ret_number = number;
}

static const tread_state *read_list(const reader *r, const char *name) {
    const tread_state *list = NULL;
    if (tread_state_get(r->tree, name, TREAD_STATE_LIST, &list) != TREAD_OK)
        tread_report_part(r->report, "solver: %s", tread_last_error());
    return list;
}

/* n_rows 0: of one axis. */
static const float *read_rows(const reader *r, const char *name, int rank, size_t n_rows) {
    const tread_tensor *rows;
    const tread_tensor expected = {
        .rank = rank,
        .shape = {rank == 1 ? packed_size(r->optimizer) : (int64_t)n_rows, rank == 1 ? 0 : packed_size(r->optimizer)}};
    char is[TREAD_SHAPE_TEXT], should[TREAD_SHAPE_TEXT];
    if (tread_state_get_tensor(r->tree, name, &rows) != TREAD_OK)
        tread_report_part(r->report, "solver: %s", tread_last_error());
    else if (rows->dtype != TREAD_FLOAT32)
        tread_report_part(r->report, "solver: %s is %s, not float32", name, tread_dtype_name(rows->dtype));
    else if (!tread_tensor_same_shape(rows, &expected))
        tread_report_part(r->report, "solver: %s has shape %s, not %s", name,
                          tread_shape_text(is, rows->rank, rows->shape),
                          tread_shape_text(should, rank, expected.shape));
    else
        return rows->data;
    return NULL;
}

static void check_sizes(const reader *r) {
    const tread_optimizer *optimizer = r->optimizer;
    const tread_state *sizes = read_list(r, "sizes");
    char name[TREAD_ITEM_NAME];
    if (sizes == NULL)
        return;
    if (tread_state_count(sizes) != optimizer->n_items)
        tread_report_part(r->report, "solver: sizes of %zu parameters, not %zu", tread_state_count(sizes),
                          optimizer->n_items);
    for (size_t i = 0; i < optimizer->n_items && i < tread_state_count(sizes); i++) {
        int64_t size = -1;
        if (tread_state_as_integer(tread_state_at(sizes, i), &size) != TREAD_OK || size != optimizer->items[i].n)
            tread_report_part(r->report, "solver: parameter '%s' had %lld values, not %lld",
                              tread_item_name(optimizer, i, name), (long long)size, (long long)optimizer->items[i].n);
    }
}

static void check_surplus(const reader *r, bool begun, bool has_pairs) {
    static const char *const names[] = {"n_iter", "func_evals",     "sizes", "t",        "prev_loss", "H_diag",
                                        "d",      "prev_flat_grad", "ro",    "old_dirs", "old_stps"};
    const int n_known = !begun ? 3 : !has_pairs ? 9 : 11;
    for (size_t i = 0; i < tread_state_count(r->tree); i++) {
        const char *name = tread_state_name(tread_state_at(r->tree, i));
        bool known = false;
        for (int k = 0; k < n_known && !known; k++)
            known = strcmp(name, names[k]) == 0;
        if (!known)
            tread_report_part(r->report, "solver: '%s' is not part of it", name);
    }
}

static void check_ro(const reader *r, const tread_state *ro, int64_t history_size) {
    if (tread_state_count(ro) > (size_t)history_size)
        tread_report_part(r->report, "solver: ro has %zu entries; history_size is %lld", tread_state_count(ro),
                          (long long)history_size);
    for (size_t i = 0; i < tread_state_count(ro); i++) {
        double value;
        if (tread_state_as_real(tread_state_at(ro, i), &value) != TREAD_OK || !(value > 0))
            tread_report_part(r->report, "solver: entry %zu of ro is no number above 0", i);
    }
}

/* Checked. */
static void take_pairs(const tread_lbfgs_solver *solver, const tread_state *ro, const float *ys, const float *steps) {
    const int64_t n = packed_size(solver->optimizer);
    for (size_t i = 0; i < tread_state_count(ro); i++) {
        double value = 0;
        tread_state_as_real(tread_state_at(ro, i), &value);
        const tread_lbfgs_pair pair = tread_lbfgs_history_spare(solver->history);
        memset(pair.y, 0, (size_t)solver->flat.n * sizeof(float));
        memset(pair.s, 0, (size_t)solver->flat.n * sizeof(float));
        tread_flat_unpack(solver->optimizer, ys + (int64_t)i * n, pair.y);
        tread_flat_unpack(solver->optimizer, steps + (int64_t)i * n, pair.s);
        tread_lbfgs_history_push(solver->history, value);
    }
}

tread_status tread_lbfgs_from_state(tread_optimizer *optimizer, const tread_state *tree, tread_report *report,
                                    void **ret_solver) {
    const tread_lbfgs_options *options = optimizer->groups[0].spare;
    const reader r = {optimizer, tree, report};
    const size_t n_parts = report->n_parts;
    tread_lbfgs_numbers numbers = {.h_diag = 1, .begun = tread_state_find(tree, "d") != NULL};
    const float *d = NULL, *gradient = NULL, *ys = NULL, *steps = NULL;
    const tread_state *ro = NULL;
    read_count(&r, "n_iter", &numbers.n_iter);
    read_count(&r, "func_evals", &numbers.func_evals);
    check_sizes(&r);
    if (numbers.begun) {
        read_number(&r, "t", 0, false, &numbers.t);
        read_number(&r, "prev_loss", -INFINITY, true, &numbers.loss);
        read_number(&r, "H_diag", 0, true, &numbers.h_diag);
        d = read_rows(&r, "d", 1, 0);
        gradient = read_rows(&r, "prev_flat_grad", 1, 0);
        ro = read_list(&r, "ro");
    }
    const size_t n_pairs = ro != NULL ? tread_state_count(ro) : 0;
    if (n_pairs > 0) {
        check_ro(&r, ro, options->history_size);
        ys = read_rows(&r, "old_dirs", 2, n_pairs);
        steps = read_rows(&r, "old_stps", 2, n_pairs);
    }
    check_surplus(&r, numbers.begun, n_pairs > 0);
    if (report->n_parts > n_parts)
        return TREAD_OK;
    tread_lbfgs_solver *solver;
    TREAD_TRY(tread_lbfgs_create(optimizer, options, &solver));
    solver->numbers = numbers;
    if (numbers.begun) {
        tread_flat_unpack(optimizer, d, solver->direction);
        tread_flat_unpack(optimizer, gradient, solver->gradient);
    }
    if (n_pairs > 0)
        take_pairs(solver, ro, ys, steps);
    *ret_solver = solver;
    return TREAD_OK;
}
