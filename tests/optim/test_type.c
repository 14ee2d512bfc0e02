/* The table's optional parts, each through a small algorithm of this file's own: norms before the update (LAMB), a slot
 * that starts as the parameter with running scalars and two modes (Schedule-Free SGD), whole tensors with a workspace,
 * and a solver that evaluates its closure itself. */
#include "core/status.h"
#include "optim/scalar.h"
#include "tests/optim/bounded.h"
#include "tests/optim/helpers.h"

typedef struct options {
    size_t size;
    double lr, weight_decay;
    bool whole, maximize;
    double clip_grad_max_norm, clip_grad_norm_type;
} options;

static const tread_field fields[] = {
    TREAD_FIELD_LR(options, 0.01),
    TREAD_REAL(options, weight_decay, 0, TREAD_RANGE_NOT_NEGATIVE, "decay"),
    TREAD_BOOLEAN(options, whole, 0, "update as a whole"),
    TREAD_FIELDS_OF_ALL(options),
};

static const int64_t sizes[] = {3, 90000, 20, 5000};

static tread_optimizer *make(const tread_context *context, const tread_optimizer_type *type, tread_parameter_list list,
                             double lr) {
    options o;
    tread_fields_defaults(&type->table, &o);
    o.lr = lr;
    tread_optimizer *optimizer = tread_optimizer_create(context, type, list, &o);
    ck_assert_msg(optimizer != NULL, "%s", tread_last_error());
    return optimizer;
}

static void run_steps(tread_optimizer *optimizer, params *p, int64_t from, int64_t to) {
    for (int64_t t = from; t < to; t++) {
        params_set_grads(p, t, t == 1 ? 1u : 0);
        ck_assert_ok(tread_optimizer_step(optimizer, NULL));
    }
}

/* Threads, and a state taken in the middle, change nothing. */
static void check_threads_and_resuming(const tread_optimizer_type *type) {
    params first = params_make(4, sizes);
    tread_context *one = context_with_threads(1);
    tread_optimizer *optimizer = make(one, type, params_list(&first), 0.01);
    run_steps(optimizer, &first, 0, 6);
    tread_optimizer_destroy(optimizer);
    for (int threads = 2; threads <= 3; threads++) {
        tread_context *context = context_with_threads(threads);
        params p = params_make(4, sizes);
        optimizer = make(context, type, params_list(&p), 0.01);
        run_steps(optimizer, &p, 0, threads);
        tread_state *state = tread_optimizer_state_dict(optimizer);
        ck_assert_msg(state != NULL, "%s", tread_last_error());
        tread_optimizer_destroy(optimizer);
        optimizer = make(context, type, params_list(&p), 7);
        ck_assert_ok(tread_optimizer_load_state_dict(optimizer, state));
        uint64_t calls = tread_memory_calls();
        run_steps(optimizer, &p, threads, 6);
        ck_assert_uint_eq(tread_memory_calls(), calls);
        ck_assert_msg(params_equal(&first, &p), "%s", type->table.name);
        tread_state_destroy(state);
        tread_optimizer_destroy(optimizer);
        tread_context_destroy(context);
        params_destroy(&p);
    }
    tread_context_destroy(one);
    params_destroy(&first);
}

/* ---- LAMB with OPTIM-SPEC's defaults: reduce makes the moments and the two norms ---- */

typedef struct lamb_factors {
    float lr, weight_decay, c1, root;
} lamb_factors;

static void lamb_prepare(const void *options_, tread_progress *progress, void *ret_factors) {
    const options *o = options_;
    lamb_factors *f = ret_factors;
    f->lr = (float)o->lr;
    f->weight_decay = (float)o->weight_decay;
    f->c1 = (float)(1 / (1 - tread_power(0.9, progress->step)));
    f->root = (float)(1 / sqrt(1 - tread_power(0.999, progress->step)));
}
static float lamb_direction(const lamb_factors *f, const tread_update *u, int64_t i) {
    return f->c1 * u->slots[0][i] / (sqrtf(u->slots[1][i]) * f->root + 1e-8f);
}
static void lamb_reduce(const void *factors, const tread_update *u, double *sums) {
    for (int64_t i = 0; i < u->n; i++) {
        float g = u->scale * u->g[i];
        u->slots[0][i] = 0.9f * u->slots[0][i] + 0.1f * g;
        u->slots[1][i] = 0.999f * u->slots[1][i] + 0.001f * (g * g);
        double d = lamb_direction(factors, u, i);
        sums[0] += (double)u->x[i] * u->x[i];
        sums[1] += d * d;
    }
}
static void lamb_reduced(const void *options_, const double *sums, void *factors) {
    const options *o = options_;
    if (sums[0] > 0 && sums[1] > 0)
        ((lamb_factors *)factors)->lr = (float)(o->lr * sqrt(sums[0]) / sqrt(sums[1]));
}
static void lamb_update(const void *factors, const tread_update *u) {
    const lamb_factors *f = factors;
    for (int64_t i = 0; i < u->n; i++)
        u->x[i] -= f->lr * lamb_direction(f, u, i) + f->lr * f->weight_decay * u->x[i];
}
static const tread_optimizer_type lamb = {
    .table = TREAD_TABLE("lamb", options, fields, NULL),
    .doc = "LAMB",
    .slots = {{.name = "exp_avg"}, {.name = "exp_avg_sq"}},
    .n_slots = 2,
    .factors_size = sizeof(lamb_factors),
    .prepare = lamb_prepare,
    .reduce = lamb_reduce,
    .reduced = lamb_reduced,
    .n_sums = 2,
    .update = lamb_update,
};

START_TEST(norms_come_before_the_update) {
    static const double start[] = {1, -2, 3, 0.5, 0.25, -0.75};
    static const double expected[] = {0.884431480924, -1.870290221218, 2.872898774881,
                                      0.522944103649, 0.223163516205,  -0.777185391525};
    params p = params_make(2, (const int64_t[]){4, 2});
    for (int i = 0; i < 6; i++)
        param_data(&p, i / 4)[i % 4] = (float)start[i];
    tread_optimizer *optimizer = make(NULL, &lamb, params_list(&p), 0.01);
    ck_assert_ok(tread_optimizer_set(optimizer, 0, "weight_decay", 0.1));
    for (int t = 1; t <= 5; t++) {
        float g1[] = {0.1f * (float)t, -0.2f, 0.3f / (float)t, t % 2 == 0 ? 0.05f : -0.05f};
        float g2[] = {0.4f - 0.1f * (float)t, 0.02f * (float)(t * t)};
        param_set_grad(p.items[0], g1);
        param_set_grad(p.items[1], g2);
        ck_assert_ok(tread_optimizer_step(optimizer, NULL));
    }
    for (int i = 0; i < 6; i++) /* 5 steps of some 30 roundings of numbers up to 3, times lr 0.01 for most of them */
        ck_assert_double_eq_tol(param_data(&p, i / 4)[i % 4], expected[i], 30 * 3 * BOUNDED_U);
    tread_optimizer_destroy(optimizer);
    params_destroy(&p);
    check_threads_and_resuming(&lamb);
}
END_TEST

/* ---- Schedule-Free SGD: y is the parameter, z its slot ---- */

typedef struct free_factors {
    float lr, share;
} free_factors;

static void free_prepare(const void *options_, tread_progress *progress, void *ret_factors) {
    const options *o = options_;
    progress->scalars[0] += o->lr * o->lr;
    *(free_factors *)ret_factors = (free_factors){(float)o->lr, (float)(o->lr * o->lr / progress->scalars[0])};
}
static void free_update(const void *factors, const tread_update *u) {
    const free_factors *f = factors;
    for (int64_t i = 0; i < u->n; i++) {
        float g = u->scale * u->g[i], *z = &u->slots[0][i], y = u->x[i];
        u->x[i] = (1 - f->share) * y + f->share * *z + f->lr * (0.9f * (1 - f->share) - 1) * g;
        *z -= f->lr * g;
    }
}
static void free_set_training(const void *factors, const tread_update *u, bool training) {
    (void)factors;
    const float by = training ? 0.1f : 1 - 1 / 0.9f;
    for (int64_t i = 0; i < u->n; i++)
        u->x[i] += by * (u->slots[0][i] - u->x[i]);
}
static const tread_optimizer_type schedule_free = {
    .table = TREAD_TABLE("schedule_free", options, fields, NULL),
    .doc = "Schedule-Free",
    .slots = {{.name = "z", .starts_as_parameter = true}},
    .n_slots = 1,
    .scalars = {{"weight_sum", 0}},
    .n_scalars = 1,
    .factors_size = sizeof(free_factors),
    .prepare = free_prepare,
    .update = free_update,
    .set_training = free_set_training,
};

START_TEST(slots_start_as_the_parameter_and_modes_switch) {
    params p = params_make(4, sizes), q = params_make(4, sizes);
    tread_optimizer *optimizer = make(NULL, &schedule_free, params_list(&p), 0.5);
    param_data(&p, 2)[7] = 42; /* after the optimizer was made */
    params_set_grads(&p, 0, 1u << 3);
    ck_assert_ok(tread_optimizer_step(optimizer, NULL));
    /* c = 1: y = z - 0.5 g, and z the same. */
    ck_assert_float_eq(param_data(&p, 2)[7], 42 - 0.5f * param_grad(2, 7, 0));
    ck_assert_float_eq(optimizer->groups[0].memory.slots[0][optimizer->items[2].offset + 7], param_data(&p, 2)[7]);
    params_set_grads(&p, 1, 1u << 3);
    ck_assert_ok(tread_optimizer_step(optimizer, NULL));
    ck_assert_double_eq(tread_item_progress(optimizer, 0)->scalars[0], 0.5);
    float y = param_data(&p, 1)[80000], z = optimizer->groups[0].memory.slots[0][optimizer->items[1].offset + 80000];
    ck_assert_ok(tread_optimizer_set_training(optimizer, true));
    ck_assert_float_eq(param_data(&p, 1)[80000], y);
    ck_assert_ok(tread_optimizer_set_training(optimizer, false));
    ck_assert_float_eq(param_data(&p, 1)[80000], y + (1 - 1 / 0.9f) * (z - y));
    ck_assert_mem_eq(param_data(&p, 3), param_data(&q, 3), 5000 * sizeof(float)); /* never updated */
    ck_assert_fails(tread_optimizer_step(optimizer, NULL), TREAD_ERROR_STATE, "a step in evaluation mode");
    tread_state *state = tread_optimizer_state_dict(optimizer);
    tread_optimizer *other = make(NULL, &schedule_free, params_list(&q), 0.5);
    ck_assert_ok(tread_optimizer_load_state_dict(other, state));
    ck_assert_fails(tread_optimizer_step(other, NULL), TREAD_ERROR_STATE, "a step in evaluation mode");
    tread_state_destroy(state);
    ck_assert_ok(tread_optimizer_set_training(optimizer, true));
    ck_assert_float_eq_tol(param_data(&p, 1)[80000], y,
                           8 * (float)BOUNDED_U); /* there and back: four operations each */
    ck_assert_uint_eq(tread_item_progress(optimizer, 0)->step, 2);
    tread_optimizer_destroy(optimizer);
    tread_optimizer_destroy(other);
    params_destroy(&p);
    params_destroy(&q);
    check_threads_and_resuming(&schedule_free);
}
END_TEST

/* ---- Whole tensors: the first row moves the others; an option chooses ---- */

static void row_prepare(const void *options_, tread_progress *progress, void *ret_factors) {
    (void)progress;
    *(float *)ret_factors = (float)((const options *)options_)->lr;
}
static void row_update(const void *factors, const tread_update *u) {
    for (int64_t i = 0; i < u->n; i++)
        u->x[i] -= *(const float *)factors * u->scale * u->g[i];
}
static const float *row_last_g;
static void row_whole(const void *factors, const tread_update *u, const tread_tensor *shape, void *workspace) {
    float *row = workspace;
    int64_t columns = shape->shape[1];
    row_last_g = u->g;
    for (int64_t c = 0; c < columns; c++)
        row[c] = *(const float *)factors * u->scale * u->g[c];
    for (int64_t i = 0; i < u->n; i++)
        u->x[i] -= row[i % columns];
}
static bool row_fails;
static uint64_t row_steps;
static tread_status row_direction(const void *factors, const tread_update *u, void *workspace) {
    (void)factors;
    (void)u;
    (void)workspace;
    row_steps++;
    return row_fails && row_steps == 2 ? tread_fail(TREAD_ERROR_BACKEND, "row: no direction") : TREAD_OK;
}
static bool row_applies(const void *options_) { return ((const options *)options_)->whole; }
static tread_status row_workspace(const tread_context *context, const void *options_, const tread_parameter *parameter,
                                  void **ret) {
    (void)context;
    (void)options_;
    const tread_tensor *shape = &parameter->tensor;
    if (shape->rank != 2)
        return tread_fail(TREAD_ERROR_SHAPE, "row: a parameter has rank %d, not 2", shape->rank);
    void *workspace = tread_alloc((size_t)shape->shape[1] * sizeof(float), "a row");
    if (workspace == NULL)
        return TREAD_ERROR_MEMORY;
    *ret = workspace;
    return TREAD_OK;
}
static const tread_optimizer_type row = {
    .table = TREAD_TABLE("row", options, fields, NULL),
    .doc = "rows",
    .factors_size = sizeof(float),
    .prepare = row_prepare,
    .update = row_update,
    .applies_whole = row_applies,
    .find_direction = row_direction,
    .whole_tensor = row_whole,
    .create_workspace = row_workspace,
    .destroy_workspace = tread_free,
};

typedef struct making {
    tread_optimizer *optimizer;
    tread_parameter_list list;
} making;
static void *add_whole_group(void *data) {
    making *m = data;
    return tread_optimizer_add_param_group_spec(m->optimizer, m->list, "whole=true") == TREAD_OK ? m : NULL;
}
static void keep(void *data, void *made) {
    (void)data;
    (void)made;
}

START_TEST(whole_tensors_have_a_workspace) {
    params p = params_make(2, sizes + 2);
    tread_parameter *matrix[] = {tread_parameter_create("m", 2, (const int64_t[]){2000, 10}),
                                 tread_parameter_create("n", 2, (const int64_t[]){3, 2})};
    tread_optimizer *optimizer = make(NULL, &row, params_list(&p), 0.5);
    ck_assert_ok(tread_optimizer_add_param_group(optimizer, (tread_parameter_list){matrix, 1}, NULL));
    params vector = params_make(1, sizes);
    tread_parameter *mixed[] = {matrix[1],
                                vector.items[0]}; /* the first one's workspace is made before the second fails */
    making m = {optimizer, {mixed, 2}};
    uint64_t live = tread_memory_live_blocks();
    ck_assert_ptr_null(add_whole_group(&m));
    ck_assert_str_eq(tread_last_error(), "row: a parameter has rank 1, not 2");
    ck_assert_uint_eq(tread_memory_live_blocks(), live);
    m.list = (tread_parameter_list){matrix + 1, 1};
    fail_every_allocation(add_whole_group, keep, &m);
    params_set_grads(&p, 0, 0);
    param_set_grad(matrix[1], (const float[]){1, 2, 9, 9, 9, 9});
    ck_assert_ok(tread_optimizer_step(optimizer, NULL));
    static const float expected[] = {-0.5f, -1, -0.5f, -1, -0.5f, -1};
    ck_assert_mem_eq(matrix[1]->tensor.data, expected, sizeof expected);
    ck_assert_float_eq(param_data(&p, 1)[4999], param_value(1, 4999) - 0.5f * param_grad(1, 4999, 0));
    ck_assert_float_eq(*(float *)matrix[0]->tensor.data, 0); /* it had no gradient */
    tread_tensor_zero_grad(&matrix[1]->tensor, false);
    ck_assert_ok(tread_optimizer_step(optimizer, NULL)); /* zeros nobody wrote: all of them now */
    ck_assert_ptr_eq(row_last_g, matrix[1]->tensor.grad->data);
    ck_assert_mem_eq(matrix[1]->tensor.data, expected, sizeof expected);
    tread_optimizer_destroy(optimizer);
    params_destroy(&p);
    params_destroy(&vector);
    tread_parameter_destroy(matrix[0]);
    tread_parameter_destroy(matrix[1]);
}
END_TEST

/* The second matrix's direction fails: the vectors, the first matrix, counts and a fused clip are as before. */
START_TEST(a_direction_that_fails_is_no_step) {
    params p = params_make(1, sizes), q = params_make(1, sizes);
    tread_parameter *matrix[] = {tread_parameter_create("m", 2, (const int64_t[]){1, 2}),
                                 tread_parameter_create("n", 2, (const int64_t[]){1, 2})};
    tread_optimizer *optimizer = make(NULL, &row, params_list(&p), 0.5);
    ck_assert_ok(tread_optimizer_add_param_group_spec(optimizer, (tread_parameter_list){matrix, 2},
                                                      "whole=true,lr=1,clip_grad_max_norm=1"));
    params_set_grads(&p, 0, 0);
    param_set_grad(matrix[0], (const float[]){3, 0});
    param_set_grad(matrix[1], (const float[]){0, 4});
    tread_clip_options fused = tread_clip_defaults();
    fused.fused = true;
    ck_assert_ok(tread_optimizer_clip_grad(optimizer, &fused, NULL));
    row_steps = 0;
    row_fails = true;
    uint32_t version = p.items[0]->tensor.version;
    ck_assert_fails(tread_optimizer_step(optimizer, NULL), TREAD_ERROR_BACKEND, "row: no direction");
    ck_assert(params_equal(&p, &q));
    ck_assert_uint_eq(p.items[0]->tensor.version, version);
    ck_assert_float_eq(*(float *)matrix[0]->tensor.data, 0);
    for (size_t i = 0; i < optimizer->n_items; i++)
        ck_assert_uint_eq(tread_item_progress(optimizer, i)->step, 0);
    tread_step_options o = tread_step_defaults(); /* what a failing step found itself is not left for the next one */
    o.max_norm = 1;
    row_steps = 0;
    const float clip = optimizer->groups[1].clip;
    ck_assert_fails(tread_optimizer_step_with(optimizer, NULL, &o, NULL), TREAD_ERROR_BACKEND, "row: no direction");
    ck_assert_float_eq(optimizer->groups[0].clip, 1);
    ck_assert_float_eq(optimizer->groups[1].clip, 1);
    optimizer->groups[1].clip = clip;
    param_set_grad(matrix[0], (const float[]){3, 0}); /* it was scaled, so that what it had pending counts */
    params_set_grads(&p, 0, 0);
    row_fails = false;
    ck_assert_ok(tread_optimizer_step(optimizer, NULL));
    ck_assert_uint_eq(tread_item_progress(optimizer, 2)->step, 1);
    ck_assert_float_eq_tol(*(float *)matrix[0]->tensor.data, -0.6f, 1e-6f); /* 3 / 5, still clipped; eps 1e-6 */
    ck_assert_float_eq(param_data(&p, 0)[0], param_value(0, 0) - 0.5f * param_grad(0, 0, 0));
    tread_optimizer_destroy(optimizer);
    params_destroy(&p);
    params_destroy(&q);
    tread_parameter_destroy(matrix[0]);
    tread_parameter_destroy(matrix[1]);
}
END_TEST

/* ---- A solver: the mean of two evaluations, and a count that is its state ---- */

typedef struct solver {
    int64_t count;
} solver;

static tread_status solver_create(tread_optimizer *optimizer, void **ret_solver) {
    (void)optimizer;
    *ret_solver = tread_calloc(1, sizeof(solver), "a solver");
    return *ret_solver == NULL ? TREAD_ERROR_MEMORY : TREAD_OK;
}
static tread_status solver_solve(tread_optimizer *optimizer, void *memory, tread_closure *closure) {
    double first = 0, second = 0;
    TREAD_TRY(closure->evaluate(closure->data, &first));
    TREAD_TRY(closure->evaluate(closure->data, &second));
    for (size_t i = 0; i < optimizer->n_items; i++)
        param_data(closure->data, i)[0] = (float)((first + second) / 2);
    tread_optimizer_touch(optimizer);
    ((solver *)memory)->count++;
    closure->loss = first;
    return TREAD_OK;
}
static tread_status solver_to_state(const void *memory, tread_state *tree) {
    return tread_state_add_integer(tree, "count", ((const solver *)memory)->count);
}
static tread_status solver_from_state(tread_optimizer *optimizer, const tread_state *tree, tread_report *report,
                                      void **ret_solver) {
    int64_t count;
    if (tread_state_get_integer(tree, "count", &count) != TREAD_OK) {
        tread_report_part(report, "%s", tread_last_error());
        return TREAD_OK;
    }
    TREAD_TRY(solver_create(optimizer, ret_solver));
    ((solver *)*ret_solver)->count = count;
    return TREAD_OK;
}
static const tread_optimizer_type mean = {
    .table = TREAD_TABLE("mean", options, fields, NULL),
    .doc = "mean",
    .create_solver = solver_create,
    .destroy_solver = tread_free,
    .solve = solver_solve,
    .solver_to_state = solver_to_state,
    .solver_from_state = solver_from_state,
};

static int evaluations;
static tread_status evaluate(void *data, double *ret_loss) {
    (void)data;
    *ret_loss = ++evaluations;
    return evaluations == 6 ? tread_fail(TREAD_ERROR_CALLBACK, "the sixth") : TREAD_OK;
}

START_TEST(solvers_have_the_closure_to_themselves) {
    params p = params_make(2, sizes);
    tread_optimizer *optimizer = make(NULL, &mean, params_part(&p, 0, 1), 1);
    tread_closure closure = {.evaluate = evaluate, .data = &p};
    ck_assert_fails(tread_optimizer_step(optimizer, NULL), TREAD_ERROR_ARGUMENT, "mean: a step needs a closure");
    ck_assert_fails(tread_optimizer_add_param_group(optimizer, params_part(&p, 1, 1), NULL), TREAD_ERROR_ARGUMENT,
                    "mean: there can be one group only");
    ck_assert_ok(tread_optimizer_step(optimizer, &closure));
    ck_assert_ok(tread_optimizer_step(optimizer, &closure));
    ck_assert_double_eq(closure.loss, 3);
    ck_assert_float_eq(param_data(&p, 0)[0], 3.5f);
    ck_assert_fails(tread_optimizer_step(optimizer, &closure), TREAD_ERROR_CALLBACK, "the sixth");
    ck_assert_float_eq(param_data(&p, 0)[0], 3.5f);
    tread_state *state = tread_optimizer_state_dict(optimizer), *wrong = tread_state_create();
    tread_optimizer_destroy(optimizer);
    optimizer = make(NULL, &mean, params_part(&p, 0, 1), 1);
    ck_assert_ok(tread_optimizer_load_state_dict(optimizer, state));
    ck_assert_int_eq(((solver *)optimizer->solver)->count, 2);
    tread_state_destroy(state);
    tread_state_destroy(wrong);
    tread_optimizer_destroy(optimizer);
    params_destroy(&p);
}
END_TEST

/* A table that breaks its own rules would break them quietly. */
START_TEST(registered_tables_keep_the_rules) {
    for (int t = 0; tread_optimizer_types[t] != NULL; t++) {
        const tread_optimizer_type *type = tread_optimizer_types[t];
        ck_assert_uint_le(type->factors_size, TREAD_MAX_FACTORS);
        ck_assert_int_le(type->n_sums, TREAD_MAX_SUMS);
        ck_assert_int_le(type->n_slots, TREAD_MAX_SLOTS);
        ck_assert_int_le(type->n_scalars, TREAD_MAX_SCALARS);
        ck_assert(type->doc != NULL && type->table.n_fields <= 64);
        ck_assert(type->solve != NULL ||
                  (type->prepare != NULL && (type->update != NULL || type->whole_tensor != NULL)));
        ck_assert((type->solve == NULL) == (type->create_solver == NULL));
        ck_assert((type->solve == NULL) == (type->solver_to_state == NULL));
        ck_assert((type->solver_to_state == NULL) == (type->solver_from_state == NULL));
        ck_assert((type->reduce == NULL) == (type->reduced == NULL));
        ck_assert((type->whole_tensor == NULL) == (type->create_workspace == NULL));
        static const char *const common[] = {"lr", "maximize", "clip_grad_max_norm", "clip_grad_norm_type"};
        for (int f = 0; f < (type->solve != NULL ? 1 : 4); f++) /* a solver needs only lr */
            ck_assert(tread_fields_find(&type->table, common[f]) != NULL);
        for (size_t f = 0; f < type->table.n_fields; f++)
            ck_assert(!tread_field_is_list(&type->table.fields[f])); /* group.c copies options as bytes */
        for (int s = 0; s < type->n_slots; s++) {
            ck_assert(type->slots[s].name != NULL);
            ck_assert(!type->support_sparse || !type->slots[s].starts_as_parameter);
        }
        ck_assert(!type->support_sparse ||
                  (type->update != NULL && type->reduce == NULL && type->whole_tensor == NULL));
        if (type->l2_decay) {
            const tread_field *field = tread_fields_find(&type->table, "weight_decay");
            ck_assert(type->support_sparse && field != NULL && field->kind == TREAD_FIELD_REAL && field->n_values <= 1);
        }
    }
}
END_TEST

TEST_MAIN("type", norms_come_before_the_update, slots_start_as_the_parameter_and_modes_switch,
          whole_tensors_have_a_workspace, a_direction_that_fails_is_no_step, solvers_have_the_closure_to_themselves,
          registered_tables_keep_the_rules)
