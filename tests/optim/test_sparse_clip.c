/* Clipping sparse gradients: norms are those of the same gradients made dense, to the bit. */
#include "tests/optim/sparse_helpers.h"

static const double types[] = {1, 2, 3.5, 0.5, 3, INFINITY, -INFINITY};
#define N_TYPES ((int)(sizeof types / sizeof *types))

/* Rows that lanes fit and do not, in several chunks; the last one's chunks are longer than the shortest. */
static const struct shape {
    int64_t rows, width, n;
} shapes[] = {{30000, 1, 900}, {5001, 3, 700}, {1300, 16, 200}, {400, 64, 90},
              {333, 100, 80},  {3, 7000, 2},   {9, 2, 20},      {40000, 33, 900}};
#define N_SHAPES ((int)(sizeof shapes / sizeof *shapes))

/* Two tables with the same gradients, one sparse; each beside a dense vector. */
typedef struct pair {
    tread_parameter *sparse[2], *dense[2];
} pair;

static void pair_set(pair *p, const struct shape *shape, int64_t step) {
    entries e = entries_make(0, shape->rows, shape->width, shape->n, step);
    for (int64_t i = 0; i < e.n * e.width; i++) /* of sizes so far apart that every order of a sum rounds its own way */
        e.rows[i] = ldexpf(e.rows[i], -13 * (int)(i % 7 % 4));
    entries_set_sparse(&e, p->sparse[0]);
    entries_set_dense(&e, p->dense[0]);
    entries_free(&e);
    float vector[50];
    for (int i = 0; i < 50; i++)
        vector[i] = param_grad(1, i, step);
    param_set_grad(p->sparse[1], vector);
    param_set_grad(p->dense[1], vector);
}
static pair pair_make(const struct shape *shape) {
    pair p;
    for (int i = 0; i < 2; i++) {
        tread_parameter **to = i == 0 ? p.sparse : p.dense;
        to[0] = table_make("table", 0, shape->rows, shape->width);
        to[1] = table_make("vector", 1, 50, 1);
    }
    pair_set(&p, shape, 0);
    return p;
}
static void pair_free(pair *p) {
    for (int i = 0; i < 2; i++) {
        tread_parameter_destroy(p->sparse[i]);
        tread_parameter_destroy(p->dense[i]);
    }
}
static tread_parameter_list list_of(tread_parameter **items) { return (tread_parameter_list){items, 2}; }

/* Whether both hold the same gradients; the sparse one is made dense by that. */
static bool same_gradients(pair *p) {
    ck_assert_ok(tread_tensor_densify_grad(&p->sparse[0]->tensor));
    for (int i = 0; i < 2; i++)
        if (memcmp(p->sparse[i]->tensor.grad->data, p->dense[i]->tensor.grad->data,
                   tread_tensor_bytes(&p->dense[i]->tensor)) != 0)
            return false;
    return true;
}

static double norm_of(const tread_context *context, tread_parameter **items, double max_norm, double type) {
    double norm = NAN;
    ck_assert_ok(tread_clip_grad_norm(context, list_of(items), max_norm, type, TREAD_NONFINITE_ERROR, &norm));
    return norm;
}

START_TEST(norms_are_those_of_the_dense_gradients_to_the_bit) {
    for (int i = 0; i < N_SHAPES; i++) {
        pair p = pair_make(&shapes[i]);
        double expected[N_TYPES];
        for (int t = 0; t < N_TYPES; t++)
            expected[t] = norm_of(NULL, p.dense, INFINITY, types[t]);
        ck_assert_double_gt(expected[1], 0.5);
        for (int threads = 1; threads <= 8; threads += threads == 3 ? 5 : 1)
            for (int isa = 0; isa < TREAD_ISA_COUNT; isa++) {
                tread_context *context = context_with_threads(threads);
                tread_isa before = tread_isa_use((tread_isa)isa);
                pair_set(&p, &shapes[i], 0); /* not summed yet */
                for (int t = 0; t < N_TYPES; t++) {
                    double norm = norm_of(context, p.sparse, INFINITY, types[t]);
                    ck_assert_msg(norm == expected[t], "width %d, type %g, %d threads, isa %d: %.17g is not %.17g",
                                  (int)shapes[i].width, types[t], threads, isa, norm, expected[t]);
                }
                tread_isa_use(before);
                tread_context_destroy(context);
            }
        pair_free(&p);
    }
}
END_TEST

START_TEST(gradients_are_scaled_and_limited_like_dense_ones) {
    for (int i = 0; i < N_SHAPES; i++) {
        pair p = pair_make(&shapes[i]);
        for (int t = 0; t < N_TYPES - 1; t++) {
            pair_set(&p, &shapes[i], t);
            norm_of(NULL, p.sparse, 0.25, types[t]);
            norm_of(NULL, p.dense, 0.25, types[t]);
            ck_assert(tread_tensor_grad_is_sparse(&p.sparse[0]->tensor));
            ck_assert_msg(same_gradients(&p), "width %d, type %g", (int)shapes[i].width, types[t]);
        }
        pair_set(&p, &shapes[i], 9);
        ck_assert_ok(tread_clip_grad_value(NULL, list_of(p.sparse), 0.125));
        ck_assert_ok(tread_clip_grad_value(NULL, list_of(p.dense), 0.125));
        ck_assert_msg(same_gradients(&p), "limited, width %d", (int)shapes[i].width);
        pair_set(&p, &shapes[i], 9);
        norm_of(NULL, p.sparse, 0, 2);
        ck_assert_double_eq(norm_of(NULL, p.sparse, INFINITY, INFINITY), 0);
        pair_free(&p);
    }
}
END_TEST

/* Rows that are not there are zeros, and the smallest |g| sees them; so does it a NaN that is there. */
START_TEST(the_smallest_is_0_unless_every_row_is_there) {
    tread_parameter *table = table_make("table", 0, 3, 2);
    tread_parameter_list list = {&table, 1};
    static const float rows[] = {3, -4, 0.5f, 9, 2, 7};
    double norm;
    ck_assert_ok(tread_tensor_set_sparse_grad(&table->tensor, 3, (const int32_t[]){2, 0, 1}, rows));
    ck_assert_ok(tread_clip_grad_norm(NULL, list, INFINITY, -INFINITY, TREAD_NONFINITE_ERROR, &norm));
    ck_assert_double_eq(norm, 0.5);
    ck_assert_ok(tread_tensor_set_sparse_grad(&table->tensor, 3, (const int32_t[]){2, 0, 2}, rows));
    ck_assert_ok(tread_clip_grad_norm(NULL, list, INFINITY, -INFINITY, TREAD_NONFINITE_ERROR, &norm));
    ck_assert_double_eq(norm, 0);
    ck_assert_ok(tread_clip_grad_norm(NULL, list, INFINITY, 1, TREAD_NONFINITE_ERROR, &norm));
    ck_assert_double_eq(norm, 5 + 3 + 0.5 + 9); /* the entries of row 2 are one */
    ck_assert_ok(
        tread_tensor_set_sparse_grad(&table->tensor, 2, (const int32_t[]){2, 0}, (const float[]){3, NAN, 1, 2}));
    ck_assert_fails(tread_clip_grad_norm(NULL, list, 1, -INFINITY, TREAD_NONFINITE_ERROR, &norm), TREAD_ERROR_NUMERIC,
                    "parameter 0 ('table')");
    tread_tensor_zero_grad(&table->tensor, false);
    for (int t = 0; t < N_TYPES; t++) {
        ck_assert_ok(tread_clip_grad_norm(NULL, list, 1, types[t], TREAD_NONFINITE_ERROR, &norm));
        ck_assert_double_eq(norm, 0);
    }
    ck_assert(tread_tensor_grad_is_sparse(&table->tensor));
    tread_parameter_destroy(table);
}
END_TEST

static tread_optimizer *make(tread_parameter **items, const char *spec) {
    tread_optimizer *optimizer = tread_optimizer_from_spec(NULL, list_of(items), spec);
    ck_assert_msg(optimizer != NULL, "%s", tread_last_error());
    return optimizer;
}

START_TEST(fused_or_not_the_step_is_the_same) {
    static const char *const specs[] = {"sgd:clip_grad_max_norm=0.5", "adam:clip_grad_max_norm=0.25,lr=0.01",
                                        "sgd:momentum=0.9,maximize=true,clip_grad_max_norm=0.5,clip_grad_norm_type=3"};
    for (int s = 0; s < 3; s++)
        for (int i = 0; i < 5; i++) {
            pair p = pair_make(&shapes[i]), q = pair_make(&shapes[i]);
            tread_optimizer *x = make(p.sparse, specs[s]), *y = make(q.sparse, specs[s]);
            tread_clip_options fused = tread_clip_defaults();
            fused.fused = true;
            for (int64_t t = 0; t < 4; t++) {
                double norms[2];
                pair_set(&p, &shapes[i], t);
                pair_set(&q, &shapes[i], t);
                ck_assert_ok(tread_optimizer_clip_grad(x, NULL, &norms[0]));
                ck_assert_ok(tread_optimizer_clip_grad(y, &fused, &norms[1]));
                ck_assert_double_eq(norms[0], norms[1]);
                ck_assert_ok(tread_optimizer_step(x, NULL));
                ck_assert_ok(tread_optimizer_step(y, NULL));
                ck_assert_msg(tables_equal(p.sparse[0], q.sparse[0]) && states_equal(x, y), "%s", specs[s]);
            }
            tread_optimizer_destroy(x);
            tread_optimizer_destroy(y);
            pair_free(&p);
            pair_free(&q);
        }
}
END_TEST

START_TEST(non_finite_rows_follow_the_policy) {
    const struct shape *shape = &shapes[1];
    pair p = pair_make(shape);
    tread_optimizer *optimizer = make(p.sparse, "sgd:clip_grad_max_norm=1");
    tread_clip_options o = tread_clip_defaults();
    double norm = 7;
    p.sparse[0]->tensor.sparse->rows[5] = NAN;
    ck_assert_fails(tread_optimizer_clip_grad(optimizer, NULL, &norm), TREAD_ERROR_NUMERIC, "parameter 0 ('table')");
    ck_assert_double_eq(norm, 7);
    ck_assert(tread_tensor_grad_is_sparse(&p.sparse[0]->tensor));
    o.nonfinite = TREAD_NONFINITE_SKIP;
    ck_assert_ok(tread_optimizer_clip_grad(optimizer, &o, NULL));
    ck_assert_ok(tread_optimizer_step(optimizer, NULL));
    ck_assert(tread_optimizer_step_skipped(optimizer));
    ck_assert_uint_eq(tread_item_progress(optimizer, 0)->step, 0);
    ck_assert(tables_equal(p.sparse[0], p.dense[0]));
    /* A NaN norm makes every gradient NaN, where there is one: rows that are not there stay out of it. */
    o.nonfinite = TREAD_NONFINITE_PROPAGATE;
    ck_assert_ok(tread_optimizer_clip_grad(optimizer, &o, NULL));
    tread_sparse_rows rows;
    ck_assert_ok(tread_tensor_sparse_grad(&p.sparse[0]->tensor, &rows));
    int64_t finite = 0, changed = 0;
    for (int64_t i = 0; i < rows.n * rows.width; i++)
        finite += isnan(rows.rows[i]) ? 0 : 1;
    ck_assert_int_eq(finite, 0);
    ck_assert_ok(tread_optimizer_step(optimizer, NULL));
    for (int64_t i = 0; i < shape->rows * shape->width; i++)
        changed += table_data(p.sparse[0])[i] != table_data(p.dense[0])[i] ? 1 : 0;
    ck_assert_int_eq(changed, rows.n * rows.width);
    tread_optimizer_destroy(optimizer);
    pair_free(&p);
}
END_TEST

/* The list of gradients is all there is to allocate; no gradient changes where that fails. */
static void *clip(void *data) {
    pair *p = data;
    tread_status status = tread_clip_grad_norm(NULL, list_of(p->sparse), 0.1, 2, TREAD_NONFINITE_ERROR, NULL);
    return status == TREAD_OK ? p : NULL;
}
static void compare_clipped(void *data, void *made) {
    (void)made;
    norm_of(NULL, ((pair *)data)->dense, 0.1, 2);
    ck_assert(same_gradients(data));
}

START_TEST(failing_allocations_change_nothing) {
    pair p = pair_make(&shapes[2]);
    fail_every_allocation(clip, compare_clipped, &p);
    pair_free(&p);
}
END_TEST

TEST_MAIN("sparse_clip", norms_are_those_of_the_dense_gradients_to_the_bit,
          gradients_are_scaled_and_limited_like_dense_ones, the_smallest_is_0_unless_every_row_is_there,
          fused_or_not_the_step_is_the_same, non_finite_rows_follow_the_policy, failing_allocations_change_nothing)
