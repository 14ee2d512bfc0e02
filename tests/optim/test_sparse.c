/* Sparse gradients in an optimizer's step: lazy rows against a reference in double, what stays as it is, and what is
 * refused. */
#include "core/status.h"
#include "tests/optim/bounded.h"
#include "tests/optim/sparse_helpers.h"

/* Each way through an update that a sparse gradient can take. */
static const char *const specs[] = {
    "sgd:lr=0.1",
    "sgd:momentum=0.9,lr=0.05",
    "sgd:momentum=0.9,nesterov=true,lr=0.05",
    "sgd:momentum=0.8,dampening=0.3,maximize=true",
    "sgd:momentum=0.9,convention=pytorch,dampening=0.5,lr=0.05",
    "sgd:momentum=0.9,convention=pytorch,nesterov=true,maximize=true",
    "adam:lr=0.01",
    "adam:betas=0.5/0.75,eps=1e-3,lr=0.01",
    "adam:amsgrad=true,betas=0.5/0.6,lr=0.01",
    "adam:do_bias_correction=false,maximize=true",
    "adamw:lr=0.01,weight_decay=0.1",
    "adamw:lr=0.01,weight_decay=0.1,amsgrad=true,betas=0.5/0.6",
    "adagrad:lr=0.05,lr_decay=0.1,eps=1e-3",
    "adagrad:lr=0.05,initial_accumulator_value=0.1,eps_placement=outside,maximize=true",
    NULL,
};
static const struct shape {
    int64_t rows, width, n;
} shapes[] = {{40, 16, 12}, {50, 7, 30}, {300, 1, 60}, {6, 100, 9}, {1, 5, 3}};
#define N_SHAPES 5

static tread_optimizer *make(const tread_context *context, tread_parameter **tables, size_t n, const char *spec) {
    tread_optimizer *optimizer = tread_optimizer_from_spec(context, (tread_parameter_list){tables, n}, spec);
    ck_assert_msg(optimizer != NULL, "%s", tread_last_error());
    return optimizer;
}

/* ---- The formulas, one element at a time, t being the parameter's count ---- */

typedef struct element {
    bounded x, slots[TREAD_MAX_SLOTS];
} element;

static double option(const tread_optimizer *optimizer, const char *field) {
    double value;
    ck_assert_ok(tread_optimizer_get(optimizer, 0, field, &value));
    return value;
}

static void reference_sgd(const tread_optimizer *o, int64_t t, element *e, bounded g) {
    const double rate = option(o, "lr"), momentum = option(o, "momentum"), rest = 1 - option(o, "dampening");
    const bounded lr = bounded_factor(rate), mu = bounded_factor(momentum);
    const bool nesterov = option(o, "nesterov") != 0;
    if (momentum == 0) {
        e->x = bounded_sub(e->x, bounded_mul(lr, g));
    } else if (option(o, "convention") == TREAD_MOMENTUM_VELOCITY) {
        bounded *v = &e->slots[0], push = bounded_mul(bounded_factor(rate * rest), g);
        *v = bounded_sub(bounded_mul(mu, *v), push);
        e->x = bounded_add(e->x, nesterov ? bounded_sub(bounded_mul(mu, *v), push) : *v);
    } else {
        bounded *b = &e->slots[1];
        *b = bounded_add(bounded_mul(mu, *b), bounded_mul(bounded_factor(t == 1 ? 1 : rest), g));
        e->x = bounded_sub(e->x, bounded_mul(lr, nesterov ? bounded_add(g, bounded_mul(mu, *b)) : *b));
    }
}

static void reference_adam(const tread_optimizer *o, int64_t t, element *e, bounded g) {
    const double b1 = option(o, "betas[0]"), b2 = option(o, "betas[1]"), lr = option(o, "lr");
    const bool correct = option(o, "do_bias_correction") != 0;
    const double c1 = correct ? 1 - pow(b1, (double)t) : 1, c2 = correct ? 1 - pow(b2, (double)t) : 1;
    bounded *m = &e->slots[0], *v = &e->slots[1];
    *m = bounded_add(bounded_mul(bounded_factor(b1), *m), bounded_mul(bounded_factor(1 - b1), g));
    *v = bounded_add(bounded_mul(bounded_factor(b2), *v), bounded_mul(bounded_factor(1 - b2), bounded_mul(g, g)));
    bounded largest = *v;
    if (option(o, "amsgrad") != 0)
        largest = e->slots[2] = bounded_max(e->slots[2], *v);
    bounded divisor =
        bounded_add(bounded_mul(bounded_sqrt(largest), bounded_factor(1 / sqrt(c2))), bounded_factor(option(o, "eps")));
    bounded change = bounded_div(bounded_mul(bounded_factor(lr / c1), *m), divisor);
    if (strcmp(tread_optimizer_name(o), "adamw") == 0)
        change = bounded_add(bounded_mul(bounded_factor(lr * option(o, "weight_decay")), e->x), change);
    e->x = bounded_sub(e->x, change);
}

static void reference_adagrad(const tread_optimizer *o, int64_t t, element *e, bounded g) {
    const bounded eps = bounded_factor(option(o, "eps"));
    const double rate = option(o, "lr") / (1 + (double)(t - 1) * option(o, "lr_decay"));
    bounded *sum = &e->slots[0];
    *sum = bounded_add(*sum, bounded_mul(g, g));
    const bounded divisor = option(o, "eps_placement") == TREAD_EPS_INSIDE ? bounded_sqrt(bounded_add(*sum, eps))
                                                                           : bounded_add(bounded_sqrt(*sum), eps);
    e->x = bounded_sub(e->x, bounded_div(bounded_mul(bounded_factor(rate), g), divisor));
}

static void reference(const tread_optimizer *o, int64_t t, element *e, float grad) {
    const bounded g = bounded_exact(option(o, "maximize") != 0 ? -grad : grad);
    if (strcmp(tread_optimizer_name(o), "sgd") == 0)
        reference_sgd(o, t, e, g);
    else if (strcmp(tread_optimizer_name(o), "adagrad") == 0)
        reference_adagrad(o, t, e, g);
    else
        reference_adam(o, t, e, g);
}

static void check_element(const char *what, int64_t i, const element *e, float got) {
    if (!(fabs(got - e->x.value) <= e->x.error))
        ck_abort_msg("%s: [%lld] is %.9g, not %.9g within %.2g", what, (long long)i, got, e->x.value, e->x.error);
    if (!(e->x.error < 2e-4)) /* a bound that says nothing would pass everything */
        ck_abort_msg("%s: the bound is %g", what, e->x.error);
}

static bool same_bits(const float *a, const float *b, int64_t n) {
    return a == NULL || memcmp(a, b, (size_t)n * sizeof(float)) == 0;
}

/* Copies of x and its slots, to see what a step left alone. */
typedef struct snapshot {
    float *x, *slots[TREAD_MAX_SLOTS];
} snapshot;

static float *copy_of(const float *from, int64_t n) {
    float *copy = from != NULL ? malloc((size_t)n * sizeof(float)) : NULL;
    if (copy != NULL)
        memcpy(copy, from, (size_t)n * sizeof(float));
    return copy;
}
static snapshot snapshot_take(const tread_optimizer *optimizer) {
    const tread_optimizer_item *item = &optimizer->items[0];
    snapshot s = {.x = copy_of(item->parameter->tensor.data, item->n)};
    for (int i = 0; i < optimizer->type->n_slots; i++)
        s.slots[i] = copy_of(slot_of(optimizer, 0, i), item->n);
    return s;
}
static void snapshot_free(snapshot *s) {
    free(s->x);
    for (int i = 0; i < TREAD_MAX_SLOTS; i++)
        free(s->slots[i]);
}
static bool row_stayed(const tread_optimizer *optimizer, const snapshot *before, int64_t row, int64_t width) {
    const int64_t at = row * width;
    bool stayed = same_bits(before->x + at, table_data(optimizer->items[0].parameter) + at, width);
    for (int s = 0; s < optimizer->type->n_slots; s++)
        if (before->slots[s] != NULL)
            stayed &= same_bits(before->slots[s] + at, slot_of(optimizer, 0, s) + at, width);
    return stayed;
}

static void compare(const char *spec, const struct shape *shape) {
    tread_parameter *table = table_make("table", 0, shape->rows, shape->width);
    tread_optimizer *optimizer = make(NULL, &table, 1, spec);
    element *all = calloc((size_t)(shape->rows * shape->width), sizeof *all);
    float *sum = malloc((size_t)shape->width * sizeof *sum);
    for (int64_t i = 0; i < shape->rows * shape->width; i++)
        all[i].x = bounded_exact(param_value(0, i));
    for (int64_t i = 0; i < shape->rows * shape->width && strstr(spec, "initial") != NULL; i++)
        all[i].slots[0] = bounded_factor(0.1);
    for (int64_t t = 1; t <= 12; t++) {
        entries e = entries_make(0, shape->rows, shape->width, t % 5 == 4 ? 0 : shape->n, t);
        snapshot before = snapshot_take(optimizer);
        entries_set_sparse(&e, table);
        ck_assert_ok(tread_optimizer_step(optimizer, NULL));
        for (int64_t row = 0; row < shape->rows; row++) {
            bool there = entries_sum(&e, row, sum);
            if (!there && !row_stayed(optimizer, &before, row, shape->width))
                ck_abort_msg("%s: step %lld changed row %lld", spec, (long long)t, (long long)row);
            for (int64_t c = 0; c < shape->width; c++) {
                element *one = &all[row * shape->width + c];
                if (there)
                    reference(optimizer, t, one, sum[c]);
                check_element(spec, row * shape->width + c, one, table_data(table)[row * shape->width + c]);
            }
        }
        snapshot_free(&before);
        entries_free(&e);
    }
    ck_assert_uint_eq(tread_item_progress(optimizer, 0)->step, 12); /* the two of no rows are counted */
    free(sum);
    free(all);
    tread_optimizer_destroy(optimizer);
    tread_parameter_destroy(table);
}

START_TEST(rows_that_are_there_follow_the_formulas_and_others_stay) {
    for (int s = 0; specs[s] != NULL; s++)
        for (int i = 0; i < N_SHAPES; i++)
            compare(specs[s], &shapes[i]);
}
END_TEST

/* ---- Against dense gradients ---- */

/* step t's gradient of one table sparse, of the other dense, or as `make_dense` says. */
static void run_beside(const char *spec, const struct shape *shape, bool clip) {
    tread_parameter *a = table_make("t", 0, shape->rows, shape->width);
    tread_parameter *b = table_make("t", 0, shape->rows, shape->width);
    tread_optimizer *sparse = make(NULL, &a, 1, spec), *dense = make(NULL, &b, 1, spec);
    tread_clip_options o = tread_clip_defaults();
    for (int64_t t = 0; t < 8; t++) {
        entries e = entries_make(0, shape->rows, shape->width, shape->n, t);
        entries_set_sparse(&e, a);
        entries_set_dense(&e, b);
        o.fused = t % 2 == 1;
        if (clip) {
            ck_assert_ok(tread_optimizer_clip_grad_norm(sparse, 0.3, 2, &o, NULL));
            ck_assert_ok(tread_optimizer_clip_grad_norm(dense, 0.3, 2, &o, NULL));
        }
        ck_assert_ok(tread_optimizer_step(sparse, NULL));
        ck_assert_ok(tread_optimizer_step(dense, NULL));
        ck_assert_msg(tables_equal(a, b) && states_equal(sparse, dense), "%s, width %d, step %d", spec,
                      (int)shape->width, (int)t);
        entries_free(&e);
    }
    tread_optimizer_destroy(sparse);
    tread_optimizer_destroy(dense);
    tread_parameter_destroy(a);
    tread_parameter_destroy(b);
}

START_TEST(sgd_and_adagrad_equal_their_dense_results) {
    static const char *const exact[] = {"sgd:lr=0.1",
                                        "sgd:lr=0.1,maximize=true",
                                        "adagrad:lr=0.1",
                                        "adagrad:lr=0.1,lr_decay=0.5,maximize=true",
                                        "adagrad:initial_accumulator_value=0.1,eps_placement=outside",
                                        NULL};
    for (int s = 0; exact[s] != NULL; s++)
        for (int clip = 0; clip < 2; clip++) {
            for (int i = 0; i < N_SHAPES; i++)
                run_beside(exact[s], &shapes[i], clip == 1);
            run_beside(exact[s], &(struct shape){3000, 100, 1500}, clip == 1); /* several threads' work */
        }
}
END_TEST

/* A row that is there at every step is updated as a dense one, whatever the algorithm. */
START_TEST(a_gradient_of_all_rows_equals_a_dense_one) {
    for (int s = 0; specs[s] != NULL; s++)
        run_beside(specs[s], &(struct shape){1, 33, 4}, true);
}
END_TEST

/* Sparse, dense and no gradient in turns, on one parameter; made dense by the caller it is a dense step. */
START_TEST(kinds_of_gradient_may_alternate) {
    for (int s = 0; specs[s] != NULL; s++) {
        tread_parameter *a = table_make("t", 0, 40, 16), *b = table_make("t", 0, 40, 16);
        tread_optimizer *x = make(NULL, &a, 1, specs[s]), *y = make(NULL, &b, 1, specs[s]);
        for (int64_t t = 0; t < 9; t++) {
            entries e = entries_make(0, 40, 16, 20, t);
            entries_set_sparse(&e, a);
            entries_set_sparse(&e, b);
            if (t % 3 == 1) {
                ck_assert_ok(tread_tensor_densify_grad(&a->tensor));
                ck_assert(!tread_tensor_grad_is_sparse(&a->tensor));
                entries_set_dense(&e, b);
            } else if (t % 3 == 2) {
                tread_optimizer_zero_grad(x, true);
                tread_optimizer_zero_grad(y, true);
            }
            ck_assert_ok(tread_optimizer_step(x, NULL));
            ck_assert_ok(tread_optimizer_step(y, NULL));
            ck_assert_msg(tables_equal(a, b) && states_equal(x, y), "%s, step %d", specs[s], (int)t);
            ck_assert_uint_eq(tread_item_progress(x, 0)->step, (uint64_t)(t - (t + 1) / 3 + 1));
            entries_free(&e);
        }
        tread_optimizer_destroy(x);
        tread_optimizer_destroy(y);
        tread_parameter_destroy(a);
        tread_parameter_destroy(b);
    }
}
END_TEST

/* ---- What the entries are ---- */

/* Duplicates are summed in the order in which they came, whichever backward they came from. */
START_TEST(duplicates_and_later_backwards_are_summed_in_order) {
    for (int s = 0; specs[s] != NULL; s++) {
        tread_parameter *tables[] = {table_make("t", 0, 50, 7), table_make("t", 0, 50, 7), table_make("t", 0, 50, 7)};
        tread_optimizer *o[3];
        for (int i = 0; i < 3; i++)
            o[i] = make(NULL, &tables[i], 1, specs[s]);
        for (int64_t t = 0; t < 4; t++) {
            entries e = entries_make(0, 50, 7, 90, t), summed = {0, 7, calloc(50, 4), calloc(50, 28)};
            for (int64_t row = 0; row < 50; row++)
                if (entries_sum(&e, row, summed.rows + summed.n * 7))
                    summed.indices[summed.n++] = (int32_t)row;
            ck_assert_int_lt(summed.n, 50);
            entries_set_sparse(&e, tables[0]);
            entries_set_sparse(&summed, tables[1]);
            ck_assert_ok(tread_tensor_set_sparse_grad(&tables[2]->tensor, 31, e.indices, e.rows));
            ck_assert_ok(tread_sparse_grad_reserve(&tables[2]->tensor, 59, "test"));
            tread_sparse_grad_append(&tables[2]->tensor, 59, e.indices + 31, e.rows + 31 * 7);
            for (int i = 0; i < 3; i++)
                ck_assert_ok(tread_optimizer_step(o[i], NULL));
            ck_assert_msg(tables_equal(tables[0], tables[1]) && states_equal(o[0], o[1]), "%s: summed", specs[s]);
            ck_assert_msg(tables_equal(tables[0], tables[2]) && states_equal(o[0], o[2]), "%s: twice", specs[s]);
            entries_free(&e);
            entries_free(&summed);
        }
        for (int i = 0; i < 3; i++) {
            tread_optimizer_destroy(o[i]);
            tread_parameter_destroy(tables[i]);
        }
    }
}
END_TEST

/* zero_grad(false) leaves a sparse gradient of no rows: a step for the bias correction of the next. */
START_TEST(no_rows_are_a_step_that_changes_nothing) {
    for (int s = 0; specs[s] != NULL; s++) {
        tread_parameter *table = table_make("t", 0, 40, 16);
        tread_optimizer *optimizer = make(NULL, &table, 1, specs[s]);
        entries e = entries_make(0, 40, 16, 20, 0), other = entries_make(0, 40, 16, 20, 1);
        entries_set_sparse(&e, table);
        ck_assert_ok(tread_optimizer_step(optimizer, NULL));
        snapshot before = snapshot_take(optimizer);
        uint32_t version = table->tensor.version;
        tread_optimizer_zero_grad(optimizer, false);
        ck_assert(tread_tensor_grad_is_sparse(&table->tensor));
        ck_assert_ok(tread_optimizer_step(optimizer, NULL));
        for (int64_t row = 0; row < 40; row++)
            if (!row_stayed(optimizer, &before, row, 16))
                ck_abort_msg("%s: row %lld changed", specs[s], (long long)row);
        ck_assert_uint_eq(tread_item_progress(optimizer, 0)->step, 2);
        ck_assert_uint_eq(table->tensor.version, version + 1);
        ck_assert_fails(tread_tensor_set_sparse_grad(&table->tensor, 2, (const int32_t[]){3, 40}, other.rows),
                        TREAD_ERROR_ARGUMENT, "40");
        ck_assert_fails(tread_tensor_set_sparse_grad(&table->tensor, 2, (const int32_t[]){-1, 3}, other.rows),
                        TREAD_ERROR_ARGUMENT, "-1");
        ck_assert_ok(tread_optimizer_step(optimizer, NULL)); /* still of no rows */
        for (int64_t row = 0; row < 40; row++)
            if (!row_stayed(optimizer, &before, row, 16))
                ck_abort_msg("%s: row %lld changed by what was refused", specs[s], (long long)row);
        snapshot_free(&before);
        entries_free(&e);
        entries_free(&other);
        tread_optimizer_destroy(optimizer);
        tread_parameter_destroy(table);
    }
}
END_TEST

TEST_MAIN("sparse", rows_that_are_there_follow_the_formulas_and_others_stay, sgd_and_adagrad_equal_their_dense_results,
          a_gradient_of_all_rows_equals_a_dense_one, kinds_of_gradient_may_alternate,
          duplicates_and_later_backwards_are_summed_in_order, no_rows_are_a_step_that_changes_nothing)
