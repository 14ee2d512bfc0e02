#include "tests/optim/lbfgs_problem.h"

static void gather(problem *q) {
    int64_t at = 0;
    for (size_t i = 0; i < q->p.count; i++)
        for (int64_t e = 0; e < q->p.items[i]->tensor.count; e++)
            q->x[at++] = param_data(&q->p, i)[e];
}

static tread_status evaluate(void *data, double *ret_loss) {
    ck_assert(tread_grad_enabled());
    problem *q = data;
    if (++q->n_calls == q->fail_at)
        return tread_fail(TREAD_ERROR_CALLBACK, "call %d says no", (int)q->n_calls);
    gather(q);
    double loss = q->function(q->x, q->n, q->g);
    int64_t at = 0;
    for (size_t i = 0; i < q->p.count; i++) {
        tread_tensor *x = &q->p.items[i]->tensor;
        for (int64_t e = 0; e < x->count; e++)
            ((float *)x->grad->data)[e] = (float)q->g[at++];
        x->grad_state = q->missing >> i & 1 ? TREAD_GRAD_NONE : TREAD_GRAD_DENSE;
    }
    *ret_loss = loss;
    if (q->n_calls == q->bad_at && q->bad_gradient) {
        const tread_tensor *last = &q->p.items[q->p.count - 1]->tensor;
        ((float *)last->grad->data)[last->count - 1] = INFINITY;
    } else if (q->n_calls == q->bad_at) {
        *ret_loss = NAN;
    } else if (q->watch != NULL) {
        q->watch(q, loss);
    }
    return TREAD_OK;
}

void problem_make(problem *q, const tread_context *context, problem_fn *function, size_t count, const int64_t *sizes,
                  const double *start, const char *spec) {
    *q = (problem){.p = params_make(count, sizes), .function = function};
    for (size_t i = 0; i < count; i++)
        for (int64_t e = 0; e < sizes[i]; e++)
            param_data(&q->p, i)[e] = start != NULL ? (float)start[q->n++] : (float)(0 * q->n++);
    q->x = calloc((size_t)q->n, sizeof *q->x);
    q->g = calloc((size_t)q->n, sizeof *q->g);
    ck_assert(q->x != NULL && q->g != NULL);
    q->optimizer = tread_optimizer_from_spec(context, params_list(&q->p), spec);
    ck_assert_msg(q->optimizer != NULL, "%s", tread_last_error());
    q->closure = (tread_closure){.evaluate = evaluate, .data = q};
}

void problem_destroy(problem *q) {
    tread_optimizer_destroy(q->optimizer);
    params_destroy(&q->p);
    free(q->x);
    free(q->g);
}

double problem_value(problem *q) {
    gather(q);
    return q->function(q->x, q->n, q->g);
}

tread_status problem_step(problem *q) {
    q->closure.data = q; /* it may have been copied */
    return tread_optimizer_step(q->optimizer, &q->closure);
}

double problem_number(const problem *q, const char *name) {
    tread_state *state = tread_optimizer_state_dict(q->optimizer);
    ck_assert_msg(state != NULL, "%s", tread_last_error());
    double number = NAN;
    ck_assert_ok(tread_state_get_real(tread_state_find(state, "solver"), name, &number));
    tread_state_destroy(state);
    return number;
}

const double rosenbrock_start[2] = {-1.2, 1};
double rosenbrock(const double *x, int64_t n, double *ret_g) {
    (void)n;
    const double a = x[1] - x[0] * x[0], b = 1 - x[0];
    ret_g[0] = -400 * x[0] * a - 2 * b;
    ret_g[1] = 200 * a;
    return 100 * a * a + b * b;
}

double parabola(const double *x, int64_t n, double *ret_g) {
    double sum = 0;
    for (int64_t i = 0; i < n; i++) {
        ret_g[i] = x[i];
        sum += 0.5 * x[i] * x[i];
    }
    return sum;
}

/* Weights 1 to 1000, evenly in their logarithms; the best x, multiples of 1/8, are floats. */
static double weight(int64_t i, int64_t n) { return pow(10, 3 * (double)i / (double)(n - 1)); }
static double best(int64_t i) { return (double)(i * 37 % 101) / 8 - 6; }
double quadratic(const double *x, int64_t n, double *ret_g) {
    double sum = 0;
    for (int64_t i = 0; i < n; i++) {
        ret_g[i] = weight(i, n) * (x[i] - best(i));
        sum += 0.5 * ret_g[i] * (x[i] - best(i));
    }
    return sum;
}
double quadratic_bound(int64_t n) {
    double sum = 0;
    for (int64_t i = 0; i < n; i++) {
        const float a = fabsf((float)best(i)), off = nextafterf(a, INFINITY) - a;
        sum += 0.5 * weight(i, n) * off * off;
    }
    return sum;
}

/* Neither quadratic nor separable, for any n: 4 (x_{i+1} - x_i^2)^2 + (1 - x_i)^2 over neighbours. */
double valley(const double *x, int64_t n, double *ret_g) {
    double sum = 0;
    for (int64_t i = 0; i < n; i++)
        ret_g[i] = 0;
    for (int64_t i = 0; i + 1 < n; i++) {
        const double a = x[i + 1] - x[i] * x[i], b = 1 - x[i];
        ret_g[i] += -16 * x[i] * a - 2 * b;
        ret_g[i + 1] += 8 * a;
        sum += 4 * a * a + b * b;
    }
    return sum;
}

bool states_equal(const tread_state *a, const tread_state *b) {
    const char *text_a, *text_b, *name_a = tread_state_name(a), *name_b = tread_state_name(b);
    const tread_tensor *x, *y;
    double number_a, number_b;
    if (tread_state_kind_of(a) != tread_state_kind_of(b) || tread_state_count(a) != tread_state_count(b) ||
        (name_a == NULL) != (name_b == NULL) || (name_a != NULL && strcmp(name_a, name_b) != 0))
        return false;
    for (size_t i = 0; i < tread_state_count(a); i++)
        if (!states_equal(tread_state_at(a, i), tread_state_at(b, i)))
            return false;
    switch (tread_state_kind_of(a)) {
    case TREAD_STATE_TREE:
    case TREAD_STATE_LIST: return true;
    case TREAD_STATE_STRING:
        tread_state_as_string(a, &text_a);
        tread_state_as_string(b, &text_b);
        return strcmp(text_a, text_b) == 0;
    case TREAD_STATE_TENSOR:
        tread_state_as_tensor(a, &x);
        tread_state_as_tensor(b, &y);
        return tread_tensor_same_shape(x, y) && memcmp(x->data, y->data, tread_tensor_bytes(x)) == 0;
    default:
        tread_state_as_real(a, &number_a);
        tread_state_as_real(b, &number_b);
        return memcmp(&number_a, &number_b, sizeof number_a) == 0;
    }
}

static void copy_parts(tread_state *to, const tread_state *from, const char *edited, void (*put)(tread_state *whole)) {
    for (size_t i = 0; i < tread_state_count(from); i++) {
        const tread_state *part = tread_state_at(from, i);
        const char *name = tread_state_name(part), *text;
        const tread_tensor *x;
        double real;
        int64_t integer;
        if (name != NULL && strcmp(name, edited) == 0) {
            if (put != NULL)
                put(to);
            continue;
        }
        switch (tread_state_kind_of(part)) {
        case TREAD_STATE_TREE: copy_parts(tread_state_add_tree(to, name), part, edited, put); break;
        case TREAD_STATE_LIST: copy_parts(tread_state_add_list(to, name), part, edited, put); break;
        case TREAD_STATE_REAL:
            tread_state_as_real(part, &real);
            ck_assert_ok(tread_state_add_real(to, name, real));
            break;
        case TREAD_STATE_INTEGER:
            tread_state_as_integer(part, &integer);
            ck_assert_ok(tread_state_add_integer(to, name, integer));
            break;
        case TREAD_STATE_STRING:
            tread_state_as_string(part, &text);
            ck_assert_ok(tread_state_add_string(to, name, text));
            break;
        case TREAD_STATE_TENSOR:
            tread_state_as_tensor(part, &x);
            ck_assert_ok(tread_state_add_tensor_copy(to, name, x));
            break;
        }
    }
}

tread_state *state_edited(const tread_state *state, const char *name, void (*put)(tread_state *whole)) {
    tread_state *copy = tread_state_create();
    copy_parts(copy, state, name, put);
    return copy;
}
