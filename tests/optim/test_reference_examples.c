/* Every example of the reference documentation of oneflow.optim, in C, with the numbers that must come out. The
 * gradients are those of a small network; the updates are computed anew here in double, from the documented formulas.
 *
 * Tolerance: a step rounds a parameter, and an update of at most 10 lr with a handful of factors, to 2^-24 of their
 * size; so after t steps t 2^-23 (|x| + 100 lr) bounds the difference. A wrong formula is off by about lr. */
#include <math.h>
#include <string.h>
#include <tread/tread.h>

#include "tests/test.h"

enum {
    SAMPLES = 12,
    FEATURES = 5,
    HIDDEN = 6,
    CLASSES = 3,
    PARAMETERS = 4,
    EPOCHS = 10,
    MAX_COUNT = HIDDEN * FEATURES
};

/* ---- net: the custom model of the examples, a tanh network of two layers ---- */

typedef struct network {
    tread_module *model;
    tread_tape *tape;
    tread_tensor *x, *labels;
    tread_parameter_list parameters; /* weight and bias of layer 0, then of layer 2 */
} network;

static network open_network(void) {
    static float x[SAMPLES * FEATURES];
    static int32_t labels[SAMPLES];
    for (int i = 0; i < SAMPLES; i++) {
        labels[i] = i % CLASSES;
        for (int j = 0; j < FEATURES; j++)
            x[i * FEATURES + j] = (float)((i * 7 + j * 5) % 11) * 0.4f - 2 + (float)(labels[i] == j);
    }
    network net = {.model = tread_sequential(NULL, TREAD_LAYERS(tread_linear_layer(NULL, FEATURES, HIDDEN, true),
                                                                tread_tanh_layer(NULL),
                                                                tread_linear_layer(NULL, HIDDEN, CLASSES, true))),
                   .tape = tread_tape_create(NULL),
                   .x = tread_tensor_wrap(TREAD_FLOAT32, 2, (const int64_t[]){SAMPLES, FEATURES}, x),
                   .labels = tread_tensor_wrap(TREAD_INT32, 1, (const int64_t[]){SAMPLES}, labels)};
    ck_assert_msg(net.model && net.tape && net.x && net.labels, "%s", tread_last_error());
    net.parameters = tread_module_parameters(net.model);
    ck_assert_uint_eq(net.parameters.count, PARAMETERS);
    return net;
}

static void close_network(network *net) {
    tread_tape_destroy(net->tape);
    tread_module_destroy(net->model);
    tread_tensor_destroy(net->labels);
    tread_tensor_destroy(net->x);
}

/* loss.backward(); gives the loss, times scale. */
static double backward(network *net, double scale) {
    double loss;
    float factor = (float)scale;
    tread_tensor *scalar = tread_tensor_wrap(TREAD_FLOAT32, 0, NULL, &factor);
    tread_tape_reset(net->tape);
    tread_tensor *logits = tread_forward(net->model, net->tape, net->x);
    tread_tensor *scaled = tread_mul(net->tape, tread_cross_entropy(net->tape, logits, net->labels), scalar);
    ck_assert_ok(tread_backward(net->tape, scaled));
    ck_assert_ok(tread_tensor_item(scaled, &loss));
    tread_tensor_destroy(scalar);
    return loss;
}

static tread_tensor *tensor(const network *net, size_t p) { return tread_parameter_tensor(net->parameters.items[p]); }
static int64_t count(const network *net, size_t p) { return tread_tensor_count(tensor(net, p)); }

static void read_gradient(const network *net, size_t p, double *ret_grad) {
    tread_tensor *grad = tread_tensor_grad(tensor(net, p));
    ck_assert_ptr_nonnull(grad);
    for (int64_t i = 0; i < count(net, p); i++)
        ret_grad[i] = (double)tread_tensor_float(grad)[i];
}

/* zero_grad() leaves gradients of zeros, not none: set_to_none is false by default. */
static void assert_zeros(const network *net) {
    double grad[MAX_COUNT];
    for (size_t p = 0; p < PARAMETERS; p++) {
        read_gradient(net, p, grad);
        for (int64_t i = 0; i < count(net, p); i++)
            ck_assert_double_eq(grad[i], 0);
    }
}

/* ---- The documented formulas, with the documented defaults ---- */

/* x: n values of one parameter; a and b: its state; t: the step, from 1. */
typedef void update_fn(double *x, double *a, double *b, const double *g, int64_t n, int64_t t, double lr);

static void adagrad(double *x, double *a, double *b, const double *g, int64_t n, int64_t t, double lr) {
    const double lr_decay = 0, eps = 1e-10;
    (void)b;
    for (int64_t i = 0; i < n; i++) {
        a[i] += g[i] * g[i];
        x[i] -= lr / (1 + (double)(t - 1) * lr_decay) / sqrt(a[i] + eps) * g[i];
    }
}

/* Adam's V / (sqrt(S) + eps), with the bias correction that do_bias_correction = True asks for. */
static double adam_direction(double *v, double *s, double g, int64_t t) {
    *v = 0.9 * *v + (1 - 0.9) * g;
    *s = 0.999 * *s + (1 - 0.999) * g * g;
    double corrected = *v / (1 - pow(0.9, (double)t));
    return corrected / (sqrt(*s / (1 - pow(0.999, (double)t))) + 1e-8);
}

static void adam(double *x, double *a, double *b, const double *g, int64_t n, int64_t t, double lr) {
    for (int64_t i = 0; i < n; i++)
        x[i] -= lr * adam_direction(&a[i], &b[i], g[i], t);
}

static void adamw(double *x, double *a, double *b, const double *g, int64_t n, int64_t t, double lr) {
    const double lambda = 0;
    for (int64_t i = 0; i < n; i++)
        x[i] -= lr * (adam_direction(&a[i], &b[i], g[i], t) + lambda * x[i]);
}

static void lamb(double *x, double *a, double *b, const double *g, int64_t n, int64_t t, double lr) {
    double u[MAX_COUNT], x_norm = 0, u_norm = 0;
    for (int64_t i = 0; i < n; i++) {
        u[i] = adam_direction(&a[i], &b[i], g[i], t);
        x_norm += x[i] * x[i];
        u_norm += u[i] * u[i];
    }
    for (int64_t i = 0; i < n; i++)
        x[i] -= lr * sqrt(x_norm) / sqrt(u_norm) * u[i];
}

static void rmsprop(double *x, double *a, double *b, const double *g, int64_t n, int64_t t, double lr) {
    (void)b;
    (void)t;
    for (int64_t i = 0; i < n; i++) {
        a[i] = 0.99 * a[i] + (1 - 0.99) * g[i] * g[i];
        x[i] -= lr / sqrt(a[i] + 1e-8) * g[i];
    }
}

static void sgd(double *x, double *a, double *b, const double *g, int64_t n, int64_t t, double lr) {
    (void)a;
    (void)b;
    (void)t;
    for (int64_t i = 0; i < n; i++)
        x[i] -= lr * g[i];
}

/* ---- Optimizers: examples 1 and 2 of each ---- */

/* What a group of example 2 says: "lr", "clip_grad_max_norm", "clip_grad_norm_type". */
typedef struct group {
    double lr, max_norm, norm_type;
} group;

/* make_NAME(params, NULL) is Name(net.parameters(), lr=1e-3), with a group it is Name([{"params": ..., ...}]);
 * add_NAME puts another group into the list. */
#define CONSTRUCTORS(name)                                                                                             \
    static tread_##name##_options options_##name(const group *g) {                                                     \
        tread_##name##_options o = tread_##name##_defaults();                                                          \
        o.lr = g != NULL ? g->lr : 1e-3;                                                                               \
        if (g != NULL) {                                                                                               \
            o.clip_grad_max_norm = g->max_norm;                                                                        \
            o.clip_grad_norm_type = g->norm_type;                                                                      \
        }                                                                                                              \
        return o;                                                                                                      \
    }                                                                                                                  \
    static tread_optimizer *make_##name(tread_parameter_list params, const group *g) {                                 \
        tread_##name##_options o = options_##name(g);                                                                  \
        return tread_##name(NULL, params, &o);                                                                         \
    }                                                                                                                  \
    static tread_status add_##name(tread_optimizer *optimizer, tread_parameter_list params, const group *g) {          \
        tread_##name##_options o = options_##name(g);                                                                  \
        return tread_optimizer_add_param_group(optimizer, params, &o);                                                 \
    }
CONSTRUCTORS(adagrad)
CONSTRUCTORS(adam)
CONSTRUCTORS(adamw)
CONSTRUCTORS(lamb)
CONSTRUCTORS(rmsprop)
CONSTRUCTORS(sgd)

static const struct {
    const char *name;
    tread_optimizer *(*make)(tread_parameter_list params, const group *g);
    tread_status (*add)(tread_optimizer *optimizer, tread_parameter_list params, const group *g);
    update_fn *update;
} optimizers[] = {
    {"adagrad", make_adagrad, add_adagrad, adagrad}, {"adam", make_adam, add_adam, adam},
    {"adamw", make_adamw, add_adamw, adamw},         {"lamb", make_lamb, add_lamb, lamb},
    {"rmsprop", make_rmsprop, add_rmsprop, rmsprop}, {"sgd", make_sgd, add_sgd, sgd},
};
#define N_OPTIMIZERS (sizeof optimizers / sizeof *optimizers)

/* The parameters and their state in double. */
typedef struct reference {
    double x[PARAMETERS][MAX_COUNT], a[PARAMETERS][MAX_COUNT], b[PARAMETERS][MAX_COUNT];
} reference;

static reference open_reference(const network *net) {
    reference r = {0};
    for (size_t p = 0; p < PARAMETERS; p++)
        for (int64_t i = 0; i < count(net, p); i++)
            r.x[p][i] = (double)tread_tensor_float(tensor(net, p))[i];
    return r;
}

static void assert_close(const network *net, const reference *r, const char *name, int64_t t, double lr) {
    for (size_t p = 0; p < PARAMETERS; p++)
        for (int64_t i = 0; i < count(net, p); i++) {
            double x = (double)tread_tensor_float(tensor(net, p))[i], wanted = r->x[p][i];
            ck_assert_msg(fabs(x - wanted) <= (double)t * 0x1p-23 * (fabs(wanted) + 100 * lr),
                          "%s: step %lld: parameter %zu[%lld] is %.9g, not %.9g", name, (long long)t, p, (long long)i,
                          x, wanted);
        }
}

START_TEST(example_1_of_each_optimizer) {
    for (size_t k = 0; k < N_OPTIMIZERS; k++) {
        network net = open_network();
        reference r = open_reference(&net);
        tread_optimizer *optimizer = optimizers[k].make(net.parameters, NULL);
        ck_assert_msg(optimizer != NULL, "%s", tread_last_error());
        double first = 0, last = 0, grad[MAX_COUNT];
        for (int64_t epoch = 0; epoch < EPOCHS; epoch++) {
            last = backward(&net, 1);
            first = epoch == 0 ? last : first;
            for (size_t p = 0; p < PARAMETERS; p++) {
                read_gradient(&net, p, grad);
                optimizers[k].update(r.x[p], r.a[p], r.b[p], grad, count(&net, p), epoch + 1, 1e-3);
            }
            ck_assert_ok(tread_optimizer_step(optimizer, NULL));
            tread_optimizer_zero_grad(optimizer, false);
            assert_close(&net, &r, optimizers[k].name, epoch + 1, 1e-3);
            assert_zeros(&net);
        }
        ck_assert_msg(last < first, "%s: the loss went from %g to %g", optimizers[k].name, first, last);
        tread_optimizer_destroy(optimizer);
        close_network(&net);
    }
}
END_TEST

/* Norm and coefficient of parameters first and first + 1, and their gradients times the coefficient. */
static double clip_reference(double grads[PARAMETERS][MAX_COUNT], const network *net, size_t first, const group *g) {
    double total = 0;
    for (size_t p = first; p < first + 2; p++)
        for (int64_t i = 0; i < count(net, p); i++)
            total += pow(fabs(grads[p][i]), g->norm_type);
    double norm = pow(total, 1 / g->norm_type), coefficient = fmin(1, g->max_norm / (norm + 1e-6));
    for (size_t p = first; p < first + 2; p++)
        for (int64_t i = 0; i < count(net, p); i++)
            grads[p][i] *= coefficient;
    return norm;
}

START_TEST(example_2_of_each_optimizer) {
    /* The reference's group, and one beside it with its own values, which show that a group clips on its own. */
    const group groups[2] = {{.lr = 1e-2, .max_norm = 0.5, .norm_type = 2},
                             {.lr = 3e-3, .max_norm = 0.25, .norm_type = 1}};
    for (size_t k = 0; k < N_OPTIMIZERS; k++) {
        network net = open_network();
        reference r = open_reference(&net);
        tread_optimizer *optimizer = optimizers[k].make((tread_parameter_list){net.parameters.items, 2}, &groups[0]);
        ck_assert_msg(optimizer != NULL, "%s", tread_last_error());
        ck_assert_ok(optimizers[k].add(optimizer, (tread_parameter_list){net.parameters.items + 2, 2}, &groups[1]));
        for (int64_t epoch = 0; epoch < EPOCHS; epoch++) {
            double grads[PARAMETERS][MAX_COUNT], clipped[MAX_COUNT], norms[2];
            /* From the fourth epoch on the gradients are too small to be clipped. */
            backward(&net, epoch < 3 ? 40 : 1e-3);
            for (size_t p = 0; p < PARAMETERS; p++)
                read_gradient(&net, p, grads[p]);
            ck_assert_ok(tread_optimizer_clip_grad(optimizer, NULL, norms));
            for (size_t g = 0; g < 2; g++) {
                double norm = clip_reference(grads, &net, 2 * g, &groups[g]);
                ck_assert_double_eq_tol(norms[g], norm, 1e-12 * norm);
                ck_assert(epoch < 3 ? norm > groups[g].max_norm : norm < groups[g].max_norm);
            }
            for (size_t p = 0; p < PARAMETERS; p++) {
                read_gradient(&net, p, clipped);
                for (int64_t i = 0; i < count(&net, p); i++)
                    ck_assert_double_eq_tol(clipped[i], grads[p][i], 0x1p-22 * fabs(grads[p][i]));
                optimizers[k].update(r.x[p], r.a[p], r.b[p], clipped, count(&net, p), epoch + 1, groups[p / 2].lr);
            }
            ck_assert_ok(tread_optimizer_step(optimizer, NULL));
            tread_optimizer_zero_grad(optimizer, false);
            assert_close(&net, &r, optimizers[k].name, epoch + 1, groups[0].lr);
            assert_zeros(&net);
        }
        tread_optimizer_destroy(optimizer);
        close_network(&net);
    }
}
END_TEST

/* ---- Schedulers: for epoch in range(num_epoch): train(...); scheduler.step() ---- */

/* An optimizer on the network, as the schedulers' examples take for granted: lr 0.1. */
static tread_optimizer *open_sgd(const network *net, double momentum) {
    tread_sgd_options o = tread_sgd_defaults();
    o.lr = 0.1;
    o.momentum = momentum;
    tread_optimizer *optimizer = tread_sgd(NULL, net->parameters, &o);
    ck_assert_msg(optimizer != NULL, "%s", tread_last_error());
    return optimizer;
}

static void train(network *net, tread_optimizer *optimizer) {
    backward(net, 1);
    ck_assert_ok(tread_optimizer_step(optimizer, NULL));
    tread_optimizer_zero_grad(optimizer, false);
}

/* Both the optimizer's lr and what get_last_lr says; formulas in double agree to some last digits. */
static void assert_lr(const tread_optimizer *optimizer, const tread_lr_scheduler *scheduler, size_t g, double wanted,
                      int64_t epoch) {
    double lr = tread_optimizer_lr(optimizer, g);
    ck_assert_msg(fabs(lr - wanted) <= 1e-15, "epoch %lld: lr of group %zu is %.17g, not %.17g", (long long)epoch, g,
                  lr, wanted);
    ck_assert_double_eq(tread_lr_scheduler_get_last_lr(scheduler, g), lr);
}

/* Runs the example's loop on plain SGD, whose first parameter then shows that training used that lr. lr_of: of the
 * epoch, from 0. */
static void run_example(network *net, tread_optimizer *optimizer, tread_lr_scheduler *scheduler, int64_t epochs,
                        double (*lr_of)(int64_t epoch)) {
    ck_assert_msg(scheduler != NULL, "%s", tread_last_error());
    float *x = tread_tensor_float(tensor(net, 0));
    for (int64_t epoch = 0; epoch < epochs; epoch++) {
        assert_lr(optimizer, scheduler, 0, lr_of(epoch), epoch);
        double grad[MAX_COUNT], before = (double)x[0];
        backward(net, 1);
        read_gradient(net, 0, grad);
        ck_assert_ok(tread_optimizer_step(optimizer, NULL));
        tread_optimizer_zero_grad(optimizer, false);
        ck_assert_double_eq_tol((double)x[0], before - lr_of(epoch) * grad[0], 0x1p-23 * (1 + fabs(before)));
        ck_assert_ok(tread_lr_scheduler_step(scheduler));
    }
    ck_assert_int_eq(tread_lr_scheduler_last_step(scheduler), epochs);
    assert_lr(optimizer, scheduler, 0, lr_of(epochs), epochs);
    tread_lr_scheduler_destroy(scheduler);
    tread_optimizer_destroy(optimizer);
    close_network(net);
}

static double cosine_decay(int64_t epoch) {
    return epoch < 100 ? 0.1 * 0.5 * (1 + cos(M_PI * (double)epoch / 100)) : 0;
}

START_TEST(example_of_cosine_decay_lr) {
    network net = open_network();
    tread_optimizer *optimizer = open_sgd(&net, 0);
    tread_cosine_decay_lr_options o = tread_cosine_decay_lr_defaults();
    o.decay_steps = 100;
    o.alpha = 0.0;
    tread_lr_scheduler *scheduler = tread_cosine_decay_lr(optimizer, &o);
    ck_assert_double_eq(tread_lr_scheduler_get_lr(scheduler, 0.1, 50), 0.05);
    run_example(&net, optimizer, scheduler, 120, cosine_decay);
}
END_TEST

static double lambda1(void *context, int64_t step) {
    (void)context;
    return (double)(step / 30);
}

static double lambda2(void *context, int64_t step) {
    (void)context;
    return 0.95 * (double)step;
}

START_TEST(example_of_lambda_lr) {
    network net = open_network();
    tread_sgd_options so = tread_sgd_defaults();
    so.lr = 1e-3;
    tread_optimizer *optimizer = tread_sgd(NULL, (tread_parameter_list){net.parameters.items, 2}, &so);
    so.lr = 1e-4;
    ck_assert_ok(tread_optimizer_add_param_group(optimizer, (tread_parameter_list){net.parameters.items + 2, 2}, &so));
    const tread_lr_function functions[] = {{.evaluate = lambda1}, {.evaluate = lambda2}};
    tread_lambda_lr_options o = tread_lambda_lr_defaults();
    o.functions = functions;
    o.n_functions = 2;
    tread_lr_scheduler *scheduler = tread_lambda_lr(optimizer, &o);
    ck_assert_msg(scheduler != NULL, "%s", tread_last_error());
    float first[PARAMETERS];
    for (size_t p = 0; p < PARAMETERS; p++)
        first[p] = tread_tensor_float(tensor(&net, p))[0];
    for (int64_t epoch = 0; epoch < 65; epoch++) {
        assert_lr(optimizer, scheduler, 0, epoch < 30 ? 0 : epoch < 60 ? 1e-3 : 2e-3, epoch);
        assert_lr(optimizer, scheduler, 1, 1e-4 * 0.95 * (double)epoch, epoch);
        train(&net, optimizer);
        ck_assert_ok(tread_lr_scheduler_step(scheduler));
        for (size_t p = 0; p < PARAMETERS; p++) /* step // 30 is 0 for 30 epochs, 0.95 * step in the first */
            ck_assert_msg((tread_tensor_float(tensor(&net, p))[0] == first[p]) == (p < 2 ? epoch < 30 : epoch < 1),
                          "epoch %lld: parameter %zu", (long long)epoch, p);
    }
    /* The function is the caller's: its state holds the step. */
    tread_state *state = tread_lr_scheduler_state_dict(scheduler);
    tread_lr_scheduler *again = tread_lambda_lr(optimizer, &o);
    ck_assert_msg(state != NULL && again != NULL, "%s", tread_last_error());
    assert_lr(optimizer, again, 0, 0, 0);
    ck_assert_ok(tread_lr_scheduler_load_state_dict(again, state));
    assert_lr(optimizer, again, 0, 2e-3, 65);
    assert_lr(optimizer, again, 1, 1e-4 * 0.95 * 65, 65);
    tread_state_destroy(state);
    tread_lr_scheduler_destroy(again);
    tread_lr_scheduler_destroy(scheduler);
    tread_optimizer_destroy(optimizer);
    close_network(&net);
}
END_TEST

static double multi_step(int64_t epoch) { return epoch < 30 ? 0.1 : epoch < 80 ? 0.01 : 0.001; }

START_TEST(example_of_multi_step_lr) {
    network net = open_network();
    tread_optimizer *optimizer = open_sgd(&net, 0);
    tread_multi_step_lr_options o = tread_multi_step_lr_defaults();
    o.milestones = (const int64_t[]){30, 80};
    o.n_milestones = 2;
    o.gamma = 0.1;
    run_example(&net, optimizer, tread_multi_step_lr(optimizer, &o), 100, multi_step);
}
END_TEST

static double polynomial(int64_t epoch) {
    const double lrs[] = {0.1,       0.0640036, 0.0360064,
                          0.0160084, 0.0040096, 0.00001}; /* (0.1 - 1e-5)(1 - n/5)^2 + 1e-5 */
    return lrs[epoch < 5 ? epoch : 5];
}

START_TEST(example_of_polynomial_lr) {
    network net = open_network();
    tread_optimizer *optimizer = open_sgd(&net, 0);
    tread_polynomial_lr_options o = tread_polynomial_lr_defaults();
    o.steps = 5;
    o.end_learning_rate = 0.00001;
    o.power = 2;
    run_example(&net, optimizer, tread_polynomial_lr(optimizer, &o), 12, polynomial);
}
END_TEST

static double step_decay(int64_t epoch) { return 0.1 * pow(0.1, floor((double)epoch / 30)); }

START_TEST(example_of_step_lr) {
    network net = open_network();
    tread_optimizer *optimizer = open_sgd(&net, 0);
    tread_step_lr_options o = tread_step_lr_defaults();
    o.step_size = 30;
    o.gamma = 0.1;
    run_example(&net, optimizer, tread_step_lr(optimizer, &o), 100, step_decay);
}
END_TEST

START_TEST(example_of_reduce_lr_on_plateau) {
    network net = open_network();
    tread_optimizer *optimizer = open_sgd(&net, 0.9);
    tread_reduce_lr_on_plateau_options o = tread_reduce_lr_on_plateau_defaults();
    o.mode = TREAD_PLATEAU_MIN;
    tread_lr_scheduler *scheduler = tread_reduce_lr_on_plateau(optimizer, &o);
    ck_assert_msg(scheduler != NULL, "%s", tread_last_error());
    double best = INFINITY;
    for (int64_t epoch = 0; epoch < 10; epoch++) {
        train(&net, optimizer);
        double loss = backward(&net, 1); /* validate() */
        tread_optimizer_zero_grad(optimizer, false);
        ck_assert_ok(tread_lr_scheduler_step_metric(scheduler, loss));
        best = fmin(best, loss);
        assert_lr(optimizer, scheduler, 0, 0.1, epoch); /* 10 epochs are no more than the patience */
    }
    /* The best again and again is no better: after more than 10 of them, those in the loop counted, lr falls. */
    ck_assert(!tread_lr_scheduler_is_better(scheduler, best, best));
    int64_t bad = 0;
    while (tread_optimizer_lr(optimizer, 0) == 0.1 && bad < 20) {
        ck_assert_ok(tread_lr_scheduler_step_metric(scheduler, best));
        bad++;
    }
    ck_assert_int_le(bad, 11);
    assert_lr(optimizer, scheduler, 0, 0.01, 10 + bad);
    for (int64_t i = 1; i <= 11; i++) {
        ck_assert_ok(tread_lr_scheduler_step_metric(scheduler, best));
        assert_lr(optimizer, scheduler, 0, i <= 10 ? 0.01 : 0.001, 10 + bad + i);
    }
    ck_assert(!tread_lr_scheduler_in_cooldown(scheduler)); /* cooldown = 0 */
    tread_lr_scheduler_destroy(scheduler);
    tread_optimizer_destroy(optimizer);
    close_network(&net);
}
END_TEST

TEST_MAIN("reference_examples", example_1_of_each_optimizer, example_2_of_each_optimizer, example_of_cosine_decay_lr,
          example_of_lambda_lr, example_of_multi_step_lr, example_of_polynomial_lr, example_of_reduce_lr_on_plateau,
          example_of_step_lr)
