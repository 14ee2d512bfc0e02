/* Muon: the iteration, the update of a matrix, its rule for other parameters, and what it refuses.
 *
 * No bound that follows an error through five steps in advance is small enough to say anything. The measure is
 * therefore the formula itself in plain float32 loops, against the same in double: Muon may be twice as far from the
 * second as the first is (its sums have another order), and the first must be near. */
#include "core/status.h"
#include "optim/newton_schulz.h"
#include "tests/optim/bounded.h"
#include "tests/optim/helpers.h"

#define MAX_N 12000
#define MAX_SIDE 100

/* ---- The reference, in both types. Matrices are (m, n), row after row. ---- */

#define DEFINE_REFERENCE(REAL)                                                                                         \
    static void multiply_##REAL(int m, int n, int k, const REAL *a, const REAL *b, int transposed, REAL *c) {          \
        for (int i = 0; i < m; i++)                                                                                    \
            for (int j = 0; j < n; j++) {                                                                              \
                REAL sum = 0;                                                                                          \
                for (int l = 0; l < k; l++)                                                                            \
                    sum += a[i * k + l] * (transposed ? b[j * k + l] : b[l * n + j]);                                  \
                c[i * n + j] = sum;                                                                                    \
            }                                                                                                          \
    }                                                                                                                  \
    static void transpose_##REAL(int m, int n, const REAL *x, REAL *y) {                                               \
        for (int i = 0; i < m; i++)                                                                                    \
            for (int j = 0; j < n; j++)                                                                                \
                y[j * m + i] = x[i * n + j];                                                                           \
    }                                                                                                                  \
    /* Of (m, n), into y. */                                                                                           \
    static void orthogonalize_##REAL(int m, int n, const REAL *u, int steps, REAL *y) {                                \
        static REAL x[MAX_N], next[MAX_N], a[MAX_SIDE * MAX_SIDE], aa[MAX_SIDE * MAX_SIDE];                            \
        int rows = m > n ? n : m, columns = m > n ? m : n;                                                             \
        double sum = 0;                                                                                                \
        for (int i = 0; i < m * n; i++)                                                                                \
            sum += (double)u[i] * (double)u[i];                                                                        \
        for (int i = 0; i < m * n; i++)                                                                                \
            next[i] = u[i] / (REAL)fmax(sqrt(sum), 1e-7);                                                              \
        if (m > n)                                                                                                     \
            transpose_##REAL(m, n, next, x);                                                                           \
        else                                                                                                           \
            memcpy(x, next, sizeof x);                                                                                 \
        for (int step = 0; step < steps; step++) {                                                                     \
            multiply_##REAL(rows, rows, columns, x, x, 1, a);                                                          \
            multiply_##REAL(rows, rows, rows, a, a, 0, aa);                                                            \
            for (int i = 0; i < rows * rows; i++)                                                                      \
                aa[i] = (REAL)-4.7750 * a[i] + (REAL)2.0315 * aa[i];                                                   \
            multiply_##REAL(rows, columns, rows, aa, x, 0, next);                                                      \
            for (int i = 0; i < m * n; i++)                                                                            \
                x[i] = (REAL)3.4445 * x[i] + next[i];                                                                  \
        }                                                                                                              \
        if (m > n)                                                                                                     \
            transpose_##REAL(rows, columns, x, y);                                                                     \
        else                                                                                                           \
            memcpy(y, x, (size_t)(m * n) * sizeof *y);                                                                 \
    }                                                                                                                  \
    static void update_##REAL(const tread_muon_options *o, int m, int n, REAL *x, REAL *b, const float *grad) {        \
        static REAL u[MAX_N], y[MAX_N];                                                                                \
        const REAL mu = (REAL)o->momentum, rest = (REAL)(1 - o->momentum);                                             \
        for (int i = 0; i < m * n; i++) {                                                                              \
            REAL g = o->maximize ? -(REAL)grad[i] : (REAL)grad[i];                                                     \
            b[i] = mu * b[i] + rest * g;                                                                               \
            u[i] = o->nesterov ? rest * g + mu * b[i] : b[i];                                                          \
        }                                                                                                              \
        orthogonalize_##REAL(m, n, u, (int)o->ns_steps, y);                                                            \
        for (int i = 0; i < m * n; i++) {                                                                              \
            x[i] *= (REAL)(1 - o->lr * o->weight_decay);                                                               \
            x[i] -= (REAL)(o->lr * sqrt(fmax(1, (double)m / n))) * y[i];                                               \
        }                                                                                                              \
    }
DEFINE_REFERENCE(float)
DEFINE_REFERENCE(double)

/* What the five steps make of one singular value. */
static double scalar_steps(double s) {
    for (int i = 0; i < 5; i++)
        s = 3.4445 * s - 4.7750 * s * s * s + 2.0315 * s * s * s * s * s;
    return s;
}

/* ---- The iteration ---- */

static void fill(float *x, int n, int64_t stream) {
    for (int i = 0; i < n; i++)
        x[i] = param_grad(3, i, stream);
}

static void orthogonalize(const tread_context *context, int m, int n, const float *u, int64_t steps, float *y) {
    tread_newton_schulz *plan;
    ck_assert_ok(tread_newton_schulz_create(context, m, n, &plan));
    memcpy(plan->x, u, (size_t)(m * n) * sizeof *u);
    ck_assert_ok(tread_newton_schulz_run(plan, steps));
    memcpy(y, plan->x, (size_t)(m * n) * sizeof *y);
    tread_newton_schulz_destroy(plan);
}

/* Singular values of y, and how far y u^T is from symmetric: with m <= n. Jacobi's rotations on y y^T. */
static void check_orthogonal(int m, int n, const double *u, const double *y) {
    static double a[MAX_SIDE * MAX_SIDE], yu[MAX_SIDE * MAX_SIDE];
    multiply_double(m, m, n, y, y, 1, a);
    multiply_double(m, m, n, y, u, 1, yu);
    double skew = 0, size = 0;
    for (int i = 0; i < m * m; i++) {
        double d = yu[i] - yu[i % m * m + i / m];
        skew += d * d;
        size += yu[i] * yu[i];
    }
    ck_assert_double_lt(sqrt(skew), 1e-5 * sqrt(size)); /* the singular vectors are those of u */
    for (int sweep = 0; sweep < 12; sweep++)
        for (int p = 0; p < m; p++)
            for (int q = p + 1; q < m; q++) {
                double angle = 0.5 * atan2(2 * a[p * m + q], a[q * m + q] - a[p * m + p]), c = cos(angle),
                       s = sin(angle);
                for (int k = 0; k < m; k++) {
                    double x = a[k * m + p], z = a[k * m + q];
                    a[k * m + p] = c * x - s * z;
                    a[k * m + q] = s * x + c * z;
                }
                for (int k = 0; k < m; k++) {
                    double x = a[p * m + k], z = a[q * m + k];
                    a[p * m + k] = c * x - s * z;
                    a[q * m + k] = s * x + c * z;
                }
            }
    for (int i = 0; i < m; i++)
        if (!(a[i * m + i] > 0.68 * 0.68 && a[i * m + i] < 1.14 * 1.14))
            ck_abort_msg("a singular value is %g", sqrt(fabs(a[i * m + i])));
}

START_TEST(singular_values_come_near_1) {
    static float u[MAX_N], y[MAX_N], transposed[MAX_N], back[MAX_N];
    static double du[MAX_N], dy[MAX_N];
    const int m = 30, n = 90; /* random: their singular values lie within 0.05 to 0.3 of the norm */
    fill(u, m * n, 1);
    orthogonalize(NULL, m, n, u, 5, y);
    for (int i = 0; i < m * n; i++) {
        du[i] = u[i];
        dy[i] = y[i];
    }
    check_orthogonal(m, n, du, dy);
    transpose_float(m, n, u, transposed);
    orthogonalize(NULL, n, m, transposed, 5, back);
    transpose_float(n, m, back, transposed);
    for (int i = 0; i < m * n; i++) /* numbers below 1; the same sums in another order, 3.5^5 times as far apart */
        ck_assert_float_eq_tol(transposed[i], y[i], 500 * 8 * (float)BOUNDED_U);
    for (double s = 0.01; s <= 1; s += 1e-3) /* what the header says of the coefficients */
        ck_assert(scalar_steps(s) > 0.68 && scalar_steps(s) < 1.14);
}
END_TEST

/* ---- The update ---- */

static double distance(int n, const float *x, const double *y) {
    double sum = 0;
    for (int i = 0; i < n; i++)
        sum += ((double)x[i] - y[i]) * ((double)x[i] - y[i]);
    return sqrt(sum);
}

static void check_updates(const tread_context *context, const char *spec, int m, int n) {
    static float x[MAX_N], b[MAX_N], g[MAX_N];
    static double dx[MAX_N], db[MAX_N];
    tread_parameter *p = tread_parameter_create("w", 2, (const int64_t[]){m, n});
    float *own = p->tensor.data;
    for (int i = 0; i < m * n; i++) {
        own[i] = x[i] = param_value(1, i);
        dx[i] = x[i];
        b[i] = 0;
        db[i] = 0;
    }
    tread_optimizer *optimizer = tread_optimizer_from_spec(context, (tread_parameter_list){&p, 1}, spec);
    ck_assert_msg(optimizer != NULL, "%s", tread_last_error());
    const tread_muon_options *o = optimizer->groups[0].options;
    double norm = 0;
    for (int64_t t = 0; t < 4; t++) {
        fill(g, m * n, t);
        param_set_grad(p, g);
        ck_assert_ok(tread_optimizer_step(optimizer, NULL));
        update_float(o, m, n, x, b, g);
        update_double(o, m, n, dx, db, g);
    }
    for (int i = 0; i < m * n; i++)
        norm += dx[i] * dx[i];
    double plain = distance(m * n, x, dx), ours = distance(m * n, own, dx);
    ck_assert_msg(plain < 1e-5 * sqrt(norm), "%s, %d x %d: plain float32 is off by %g", spec, m, n, plain);
    /* Besides: each x has two roundings a step. */
    double bound = 2 * plain + 4 * 2 * BOUNDED_U * sqrt(norm);
    ck_assert_msg(ours <= bound, "%s, %d x %d: off by %g, more than %g", spec, m, n, ours, bound);
    const float *slot = optimizer->groups[0].memory.slots[2];
    ck_assert_double_lt(distance(m * n, slot, db), 1e-6);
    tread_optimizer_destroy(optimizer);
    tread_parameter_destroy(p);
}

START_TEST(updates_follow_the_formula) {
    static const char *const specs[] = {"muon:lr=0.02",
                                        "muon:lr=0.05,nesterov=false,momentum=0.5,weight_decay=0,maximize=true",
                                        "muon:lr=0.02,ns_steps=1,weight_decay=2"};
    static const int shapes[][2] = {{1, 1}, {1, 9}, {9, 1}, {5, 7}, {7, 5}, {32, 32}, {20, 400}, {400, 20}, {100, 120}};
    for (int backend = 0; backend < 2; backend++) {
        tread_context_options o = tread_context_defaults();
        o.backend = backend == 0 ? TREAD_BACKEND_AUTO : TREAD_BACKEND_REF;
        tread_context *context = tread_context_create(&o);
        for (size_t s = 0; s < sizeof specs / sizeof *specs; s++)
            for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
                check_updates(context, specs[s], shapes[i][0], shapes[i][1]);
        tread_context_destroy(context);
    }
}
END_TEST

/* A row or a column has one singular value: the step is lr p(1) g / ||g||, times sqrt(rows) for the column. */
START_TEST(a_vector_is_scaled_to_a_known_length) {
    for (int column = 0; column < 2; column++) {
        const int64_t shape[2] = {column ? 16 : 1, column ? 1 : 16};
        tread_parameter *p = tread_parameter_create("w", 2, shape);
        float g[16];
        double square = 0;
        for (int i = 0; i < 16; i++) {
            g[i] = param_grad(0, i, 1);
            square += (double)g[i] * (double)g[i];
        }
        param_set_grad(p, g);
        tread_optimizer *optimizer = tread_optimizer_from_spec(NULL, (tread_parameter_list){&p, 1}, "muon:lr=0.5");
        ck_assert_ok(tread_optimizer_step(optimizer, NULL));
        for (int i = 0; i < 16; i++) /* some 40 roundings of numbers up to 3.5, each carried on by p'(1)^4 < 1 */
            ck_assert_double_eq_tol(param_data(&(params){{p}, 1}, 0)[i],
                                    -0.5 * (column ? 4 : 1) * scalar_steps(1) * g[i] / sqrt(square),
                                    40 * 4 * BOUNDED_U);
        tread_optimizer_destroy(optimizer);
        tread_parameter_destroy(p);
    }
}
END_TEST

START_TEST(zeros_decay_and_nothing_is_no_step) {
    const int64_t n = 20;
    params p = params_make_for("muon", 1, &n), q = params_make_for("muon", 1, &n);
    tread_optimizer *optimizer = tread_optimizer_from_spec(NULL, params_list(&p), "muon:lr=0.5,weight_decay=0.5");
    ck_assert_ok(tread_optimizer_step(optimizer, NULL)); /* no gradient */
    ck_assert(params_equal(&p, &q));
    params_set_grads(&p, 0, 0);
    tread_tensor_zero_grad(&p.items[0]->tensor, false);
    ck_assert_ok(tread_optimizer_step(optimizer, NULL));
    for (int64_t e = 0; e < n; e++)
        ck_assert_float_eq(param_data(&p, 0)[e], 0.75f * param_value(0, e));
    ck_assert_uint_eq(tread_item_progress(optimizer, 0)->step, 1);
    float g[20] = {[3] = NAN};
    param_set_grad(p.items[0], g);
    ck_assert_ok(tread_optimizer_step(optimizer, NULL)); /* as with every optimizer: clipping is who refuses */
    ck_assert(isnan(param_data(&p, 0)[3]));
    tread_optimizer_destroy(optimizer);
    params_destroy(&p);
    params_destroy(&q);
}
END_TEST

START_TEST(empty_matrices_are_taken) {
    tread_parameter *p[] = {tread_parameter_create("a", 2, (const int64_t[]){0, 5}),
                            tread_parameter_create("b", 2, (const int64_t[]){5, 0})};
    tread_optimizer *optimizer = tread_optimizer_from_spec(NULL, (tread_parameter_list){p, 2}, "muon");
    ck_assert_msg(optimizer != NULL, "%s", tread_last_error());
    for (int i = 0; i < 2; i++)
        p[i]->tensor.grad_state = TREAD_GRAD_DENSE;
    ck_assert_ok(tread_optimizer_step(optimizer, NULL));
    tread_optimizer_destroy(optimizer);
    tread_parameter_destroy(p[0]);
    tread_parameter_destroy(p[1]);
}
END_TEST

START_TEST(threads_change_no_bit_and_steps_take_no_memory) {
    static const int64_t sizes[] = {784 * 128, 300 * 300, 10 * 128, 7};
    for (int backend = 0; backend < 2; backend++) {
        params first = {.count = 0};
        for (int threads = 1; threads <= 8; threads = threads == 3 ? 8 : threads + 1) {
            tread_context_options o = tread_context_defaults();
            o.threads = threads;
            o.backend = backend == 0 ? TREAD_BACKEND_AUTO : TREAD_BACKEND_REF;
            tread_context *context = tread_context_create(&o);
            params p = params_make_for("muon", 4, sizes);
            tread_optimizer *optimizer = tread_optimizer_from_spec(context, params_list(&p), "muon:lr=0.02");
            uint64_t calls = 0;
            for (int64_t t = 0; t < 3; t++) {
                params_set_grads(&p, t, 0);
                ck_assert_ok(tread_optimizer_step(optimizer, NULL));
                calls = t == 0 ? tread_memory_calls() : calls;
            }
            ck_assert_uint_eq(tread_memory_calls(), calls);
            tread_optimizer_destroy(optimizer);
            tread_context_destroy(context);
            if (threads == 1) {
                first = p;
                continue;
            }
            ck_assert_msg(params_equal(&first, &p), "%d threads", threads);
            params_destroy(&p);
        }
        params_destroy(&first);
    }
}
END_TEST

/* ---- Rules ---- */

START_TEST(rule_adamw_is_adamw) {
    static const int64_t sizes[] = {3, 90000, 20};
    params a = params_make(3, sizes), b = params_make(3, sizes);
    tread_optimizer *muon = tread_optimizer_from_spec(
        NULL, params_list(&a), "muon:rule=adamw,lr=0.01,betas=0.8/0.9,eps=1e-4,weight_decay=0.3");
    tread_optimizer *adamw =
        tread_optimizer_from_spec(NULL, params_list(&b), "adamw:lr=0.01,betas=0.8/0.9,eps=1e-4,weight_decay=0.3");
    ck_assert(muon != NULL && adamw != NULL);
    for (int64_t t = 0; t < 6; t++) {
        params_set_grads(&a, t, t == 2 ? 2 : 0);
        params_set_grads(&b, t, t == 2 ? 2 : 0);
        ck_assert_ok(tread_optimizer_step(muon, NULL));
        ck_assert_ok(tread_optimizer_step(adamw, NULL));
        ck_assert(params_equal(&a, &b));
    }
    tread_optimizer_destroy(muon);
    tread_optimizer_destroy(adamw);
    params_destroy(&a);
    params_destroy(&b);
}
END_TEST

START_TEST(only_matrices_take_rule_muon) {
    tread_parameter *all[] = {tread_parameter_create("0.weight", 2, (const int64_t[]){4, 3}),
                              tread_parameter_create("0.bias", 1, (const int64_t[]){4}),
                              tread_parameter_create(NULL, 3, (const int64_t[]){2, 3, 4})};
    uint64_t live = tread_memory_live_blocks();
    ck_assert_ptr_null(tread_muon(NULL, (tread_parameter_list){all, 2}, NULL));
    ck_assert_str_eq(tread_last_error(),
                     "muon: parameter '0.bias' of shape (4) has not two axes; groups of such take rule=adamw");
    ck_assert_uint_eq(tread_memory_live_blocks(), live);
    tread_optimizer *optimizer = tread_muon(NULL, (tread_parameter_list){all, 1}, NULL);
    ck_assert_fails(tread_optimizer_add_param_group(optimizer, (tread_parameter_list){all + 2, 1}, NULL),
                    TREAD_ERROR_SHAPE, "'(no name)' of shape (2, 3, 4)");
    ck_assert_uint_eq(tread_optimizer_group_count(optimizer), 1);
    ck_assert_ok(tread_optimizer_add_param_group_spec(optimizer, (tread_parameter_list){all + 1, 2}, "rule=adamw"));
    ck_assert_fails(tread_optimizer_set_text(optimizer, 1, "rule", "muon"), TREAD_ERROR_STATE, "rule is fixed");
    tread_state *state = tread_optimizer_state_dict(optimizer);
    tread_optimizer *other = tread_optimizer_from_spec(NULL, (tread_parameter_list){all, 1}, "muon:rule=adamw");
    ck_assert_ok(tread_optimizer_add_param_group(other, (tread_parameter_list){all + 1, 2}, NULL));
    ck_assert_fails(tread_optimizer_load_state_dict(other, state), TREAD_ERROR_FORMAT, "rule is muon, not adamw");
    tread_state_destroy(state);
    tread_optimizer_destroy(optimizer);
    tread_optimizer_destroy(other);
    for (int i = 0; i < 3; i++)
        tread_parameter_destroy(all[i]);
}
END_TEST

TEST_MAIN("muon", singular_values_come_near_1, updates_follow_the_formula, a_vector_is_scaled_to_a_known_length,
          zeros_decay_and_nothing_is_no_step, empty_matrices_are_taken, threads_change_no_bit_and_steps_take_no_memory,
          rule_adamw_is_adamw, only_matrices_take_rule_muon)
