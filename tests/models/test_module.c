/* Modules: names, the flat block, modes, initial values, modules of the caller's, and everything that is refused. */
#include <math.h>
#include <string.h>
#include <tread/init.h>
#include <tread/models.h>

#include "core/memory.h"
#include "core/tensor.h"
#include "tests/test.h"

static tread_module *good(tread_module *module) {
    ck_assert_msg(module != NULL, "%s", tread_last_error());
    return module;
}

static tread_module *small_net(tread_context *context) {
    return tread_sequential(context, TREAD_LAYERS(tread_linear_layer(context, 5, 7, true), tread_relu_layer(context),
                                                  tread_linear_layer(context, 7, 3, true)));
}

static bool equal_values(const tread_parameter *a, const tread_parameter *b) {
    const tread_tensor *x = tread_parameter_tensor(a), *y = tread_parameter_tensor(b);
    return tread_tensor_same_shape(x, y) && memcmp(x->data, y->data, tread_tensor_bytes(x)) == 0;
}

static bool equal_models(const tread_module *a, const tread_module *b) {
    tread_parameter_list p = tread_module_parameters(a), q = tread_module_parameters(b);
    bool equal = p.count == q.count;
    for (size_t i = 0; i < p.count && equal; i++)
        equal = equal_values(p.items[i], q.items[i]);
    return equal;
}

/* ---- Names and memory ---- */

START_TEST(test_names) {
    tread_module *net = good(small_net(NULL));
    static const char *const names[] = {"0.weight", "0.bias", "2.weight", "2.bias"};
    tread_parameter_list list = tread_module_parameters(net);
    ck_assert_uint_eq(list.count, 4);
    for (size_t i = 0; i < 4; i++) {
        ck_assert_str_eq(tread_parameter_name(list.items[i]), names[i]);
        ck_assert_ptr_eq(tread_module_parameter(net, names[i]), list.items[i]);
    }
    ck_assert_int_eq(tread_tensor_dim(tread_parameter_tensor(list.items[0]), 0), 7);
    ck_assert_int_eq(tread_tensor_dim(tread_parameter_tensor(list.items[0]), 1), 5);

    /* A part sees its own names, the model the dotted ones. */
    const tread_module *last = tread_module_child(net, 2);
    ck_assert_ptr_eq(tread_module_parameter(last, "bias"), list.items[3]);
    ck_assert_uint_eq(tread_module_parameters(last).count, 2);
    ck_assert_ptr_null(tread_module_parameter(net, "3.weight"));
    ck_assert_str_eq(tread_last_error(),
                     "module parameter: sequential has no \"3.weight\"; it has 0.weight, 0.bias, 2.weight, 2.bias");
    ck_assert_ptr_null(tread_module_parameter(tread_module_child(net, 1), "weight"));
    ck_assert_ptr_nonnull(strstr(tread_last_error(), "relu has no \"weight\"; it has none"));
    ck_assert_ptr_null(tread_module_parameter(net, NULL));
    ck_assert_ptr_null(tread_module_child(net, 3));

    tread_module *larger = good(tread_sequential(NULL, TREAD_LAYERS(tread_linear_layer(NULL, 2, 5, false), net)));
    ck_assert_ptr_eq(tread_module_parameter(larger, "1.2.bias"), tread_module_parameter(last, "bias"));
    ck_assert_ptr_eq(tread_module_parameter(net, "2.bias"), tread_module_parameter(last, "bias"));
    ck_assert_str_eq(tread_parameter_name(tread_module_parameter(last, "bias")), "1.2.bias");
    tread_module_destroy(net); /* a part: left alone */
    ck_assert_uint_eq(tread_module_parameters(larger).count, 5);
    tread_module_destroy(larger);
}
END_TEST

/* Values and gradients of a model lie in one block each, every parameter at a multiple of 64 bytes, in order, and
 * nothing between them but padding. */
static void check_block(const tread_module *model) {
    tread_parameter_list list = tread_module_parameters(model);
    const float *data = NULL, *grad = NULL;
    for (size_t i = 0; i < list.count; i++) {
        const tread_tensor *x = &list.items[i]->tensor;
        ck_assert(list.items[i]->in_block);
        ck_assert_uint_eq((uintptr_t)x->data % 64, 0);
        if (i > 0) {
            ck_assert_ptr_eq(x->data, data);
            ck_assert_ptr_eq(list.items[i]->grad.data, grad);
        }
        int64_t padded = (x->count + 15) / 16 * 16;
        data = (float *)x->data + padded;
        grad = (float *)list.items[i]->grad.data + padded;
    }
}

START_TEST(test_flat_block_and_handles) {
    tread_module *first = good(tread_linear_layer(NULL, 3, 4, true)),
                 *second = good(tread_linear_layer(NULL, 4, 5, true));
    tread_parameter *weight = tread_module_parameter(second, "weight");
    tread_tensor *tensor = tread_parameter_tensor(weight);
    tread_tensor *grad = tread_tensor_create(TREAD_FLOAT32, 2, (int64_t[]){5, 4});
    for (int i = 0; i < 20; i++) {
        tread_tensor_float(tensor)[i] = (float)i;
        tread_tensor_float(grad)[i] = (float)(-i);
    }
    ck_assert_ok(tread_tensor_set_grad(tensor, grad));
    tread_module *net = good(tread_sequential(NULL, TREAD_LAYERS(first, tread_tanh_layer(NULL), second)));
    ck_assert_ptr_eq(tread_module_parameter(net, "2.weight"), weight);
    ck_assert_ptr_eq(tread_parameter_tensor(weight), tensor);
    for (int i = 0; i < 20; i++) {
        ck_assert(tread_tensor_float(tensor)[i] == (float)i);
        ck_assert(tread_tensor_float(tread_tensor_grad(tensor))[i] == (float)(-i));
    }
    check_block(net);
    tread_module *larger = good(tread_sequential(NULL, TREAD_LAYERS(net, tread_linear_layer(NULL, 5, 1, true))));
    ck_assert(tread_tensor_float(tensor)[19] == 19.0f);
    check_block(larger);
    tread_module_zero_grad(larger, false);
    ck_assert(tread_tensor_float(tread_tensor_grad(tensor))[19] == 0.0f);
    tread_module_zero_grad(larger, true);
    ck_assert_ptr_null(tread_tensor_grad(tensor));
    tread_tensor_destroy(grad);
    tread_module_destroy(larger);
}
END_TEST

/* ---- Initial values ---- */

START_TEST(test_initial_values) {
    tread_context *contexts[3];
    static const int threads[] = {1, 3, 8};
    for (int i = 0; i < 3; i++) {
        tread_context_options o = tread_context_defaults();
        o.threads = threads[i];
        o.seed = 42;
        contexts[i] = tread_context_create(&o);
        ck_assert_msg(contexts[i] != NULL, "%s", tread_last_error());
    }
    int64_t hidden[] = {200, 200, 200};
    tread_mlp_options o = tread_mlp_defaults();
    o.n_inputs = o.n_outputs = 200;
    o.hidden = hidden;
    o.n_hidden = 3;
    tread_module *a = good(tread_mlp(contexts[0], &o)), *b = good(tread_mlp(contexts[1], &o)),
                 *c = good(tread_mlp(contexts[2], &o));
    ck_assert(equal_models(a, b) && equal_models(a, c));

    /* Four layers of one shape, all different; the seed tells; drawing with the same seed gives the same. */
    for (int i = 0; i < 3; i++)
        for (int k = 0; k < i; k++)
            ck_assert(!equal_values(tread_module_parameters(a).items[2 * i], tread_module_parameters(a).items[2 * k]));
    ck_assert_ok(tread_module_initialize(b, 43));
    ck_assert(!equal_models(a, b));
    ck_assert_ok(tread_module_initialize(b, 42));
    ck_assert(equal_models(a, b));

    /* Uniform in +-1/sqrt(200), mean 0 and variance 1/600; 40000 draws stay within 5 deviations of their moments. */
    const float *w = tread_tensor_float(tread_parameter_tensor(tread_module_parameter(a, "0.weight")));
    double sum = 0, square = 0, bound = sqrt(1.0 / 200), n = 40000;
    for (int i = 0; i < 40000; i++) {
        if (!(fabs((double)w[i]) <= bound * (1 + 0x1p-24)))
            ck_abort_msg("0.weight[%d] = %g is outside +-%g", i, (double)w[i], bound);
        sum += (double)w[i];
        square += (double)w[i] * (double)w[i];
    }
    ck_assert_double_le(fabs(sum / n), 5 * sqrt(1 / 600.0 / n));
    ck_assert_double_le(fabs(square / n - 1 / 600.0), 5 / 600.0 * sqrt(0.8 / n));
    tread_module_destroy(a);
    tread_module_destroy(b);
    tread_module_destroy(c);
    for (int i = 0; i < 3; i++)
        tread_context_destroy(contexts[i]);
}
END_TEST

/* Built at once or in pieces a model starts alike; what the caller has set or drawn stays. */
START_TEST(test_initial_values_follow_the_place) {
    tread_module *flat = good(
        tread_sequential(NULL, TREAD_LAYERS(tread_linear_layer(NULL, 4, 4, true), tread_linear_layer(NULL, 4, 4, true),
                                            tread_linear_layer(NULL, 4, 4, true))));
    tread_module *inner = good(tread_sequential(
        NULL, TREAD_LAYERS(tread_linear_layer(NULL, 4, 4, true), tread_linear_layer(NULL, 4, 4, true))));
    tread_module *nested = good(tread_sequential(NULL, TREAD_LAYERS(tread_linear_layer(NULL, 4, 4, true), inner)));
    ck_assert(equal_models(flat, nested));

    tread_module *set = good(tread_linear_layer(NULL, 4, 4, true)), *drawn = good(tread_linear_layer(NULL, 4, 4, true));
    ck_assert_ok(tread_init_constant(tread_parameter_tensor(tread_module_parameter(set, "weight")), 0.5));
    ck_assert_ok(tread_module_initialize(drawn, 99));
    tread_module *other = good(tread_linear_layer(NULL, 4, 4, true));
    ck_assert_ok(tread_module_initialize(other, 99));
    tread_module *net = good(tread_sequential(NULL, TREAD_LAYERS(tread_linear_layer(NULL, 4, 4, true), set, drawn)));
    tread_parameter_list p = tread_module_parameters(net), q = tread_module_parameters(flat);
    ck_assert(equal_values(p.items[0], q.items[0]));
    ck_assert(tread_tensor_float(tread_parameter_tensor(p.items[2]))[15] == 0.5f);
    ck_assert(equal_values(p.items[3], q.items[3])); /* its bias was not touched, and got the number of its place */
    ck_assert(equal_values(p.items[4], tread_module_parameters(other).items[0]));
    tread_module_destroy(flat);
    tread_module_destroy(nested);
    tread_module_destroy(net);
    tread_module_destroy(other);
}
END_TEST

/* ---- Modules of the caller's ---- */

/* y = scale x + child(x), with a count of calls in its state. */
static int destroyed;
static void residual_destroy(void *state) {
    *(int *)state = -1;
    destroyed++;
}
static tread_tensor *residual_forward(tread_module *module, tread_tape *tape, tread_tensor *x) {
    ++*(int *)tread_module_state(module);
    tread_tensor *inner = tread_forward(tread_module_child(module, 0), tape, x);
    return tread_add(tape, tread_mul(tape, x, tread_module_tensor(module, 0)), inner);
}
static tread_status residual_initialize(const tread_module *module, size_t i, tread_tensor *parameter, tread_rng *rng) {
    ck_assert_uint_eq(i, 0);
    return tread_init_uniform(tread_module_context(module), parameter, rng, 2, 3);
}
static const tread_module_type residual_type = {
    .name = "residual", .forward = residual_forward, .initialize = residual_initialize, .destroy = residual_destroy};
static const tread_parameter_shape residual_scale = {"scale", 1, {4}, TREAD_ROLE_NORM};

START_TEST(test_own_module) {
    int calls = 0;
    destroyed = 0;
    tread_module *layer = good(tread_linear_layer(NULL, 4, 4, true));
    tread_module *residual = good(tread_module_create(NULL, &residual_type, &calls, &residual_scale, 1,
                                                      &(tread_named_module){"inner", layer}, 1));
    tread_module *net = good(tread_sequential(NULL, TREAD_LAYERS(residual)));
    static const char *const names[] = {"0.scale", "0.inner.weight", "0.inner.bias"};
    for (size_t i = 0; i < 3; i++)
        ck_assert_str_eq(tread_parameter_name(tread_module_parameters(net).items[i]), names[i]);
    check_block(net);
    const float *scale = tread_tensor_float(tread_module_tensor(residual, 0));
    ck_assert(scale[0] >= 2 && scale[0] <= 3);

    tread_tape *tape = tread_tape_create(NULL);
    float values[8] = {1, -2, 3, -4, 5, -6, 7, -8};
    tread_tensor *x = tread_tensor_wrap(TREAD_FLOAT32, 2, (int64_t[]){2, 4}, values);
    tread_tensor *y = tread_forward(net, tape, x), *by_hand = tread_forward(layer, tape, x);
    ck_assert_msg(y != NULL && by_hand != NULL, "%s", tread_tape_error(tape));
    for (int i = 0; i < 8; i++)
        ck_assert(tread_tensor_float(y)[i] == values[i] * scale[i % 4] + tread_tensor_float(by_hand)[i]);
    ck_assert_int_eq(calls, 1);
    ck_assert_ok(tread_backward(tape, tread_sum(tape, y)));
    for (int i = 0; i < 4; i++) /* d/dscale = sum of x over rows, exact in small integers */
        ck_assert(tread_tensor_float(tread_tensor_grad(tread_module_tensor(residual, 0)))[i] ==
                  values[i] + values[4 + i]);
    tread_tape_destroy(tape);
    tread_tensor_destroy(x);
    tread_module_destroy(net);
    ck_assert_int_eq(calls, -1);
    ck_assert_int_eq(destroyed, 1);
}
END_TEST

static tread_tensor *forgetful_forward(tread_module *module, tread_tape *tape, tread_tensor *x) {
    (void)module;
    (void)tape;
    (void)x;
    tread_fail(TREAD_ERROR_CALLBACK, "it is Sunday");
    return NULL;
}
static const tread_module_type forgetful_type = {.name = "forgetful", .forward = forgetful_forward};

START_TEST(test_forward_errors) {
    tread_tape *tape = tread_tape_create(NULL);
    tread_tensor *x = tread_tensor_create(TREAD_FLOAT32, 2, (int64_t[]){2, 4});
    tread_module *net = good(small_net(NULL)),
                 *forgetful = good(tread_module_create(NULL, &forgetful_type, NULL, NULL, 0, NULL, 0));
    ck_assert_ptr_null(tread_forward(net, NULL, x));
    ck_assert_ptr_null(tread_forward(NULL, tape, x));
    ck_assert_int_eq(tread_tape_status(tape), TREAD_ERROR_ARGUMENT);
    tread_tape_reset(tape);
    ck_assert_ptr_null(tread_forward(net, tape, NULL));
    ck_assert_ptr_nonnull(strstr(tread_tape_error(tape), "input of sequential is NULL"));
    tread_tape_reset(tape);
    ck_assert_ptr_null(tread_forward(forgetful, tape, x));
    ck_assert_int_eq(tread_tape_status(tape), TREAD_ERROR_CALLBACK);
    ck_assert_ptr_nonnull(strstr(tread_tape_error(tape), "it is Sunday"));
    ck_assert_ptr_null(tread_forward(net, tape, x)); /* the first error stays */
    ck_assert_ptr_nonnull(strstr(tread_tape_error(tape), "forgetful"));
    tread_tape_reset(tape);
    ck_assert_ptr_null(tread_forward(net, tape, x)); /* 4 inputs instead of 5 */
    ck_assert_int_eq(tread_tape_status(tape), TREAD_ERROR_SHAPE);
    tread_tape_destroy(tape);
    tread_tensor_destroy(x);
    tread_module_destroy(net);
    tread_module_destroy(forgetful);
    tread_module_destroy(NULL);
}
END_TEST

static void refused(tread_module *module, const char *part) {
    ck_assert_ptr_null(module);
    ck_assert_msg(strstr(tread_last_error(), part) != NULL, "\"%s\" lacks \"%s\"", tread_last_error(), part);
}

START_TEST(test_refused) {
    uint64_t live = tread_memory_live_blocks();
    refused(tread_linear_layer(NULL, 0, 3, true), "n_inputs = 0");
    refused(tread_linear_layer(NULL, 3, -1, true), "n_outputs = -1");
    refused(tread_linear_layer(NULL, INT64_MAX / 2, INT64_MAX / 2, true),
            "linear: parameter \"weight\": tensor: shape");
    refused(tread_activation_layer(NULL, (tread_activation)7), "activation = 7");
    refused(tread_leaky_relu_layer(NULL, NAN), "slope = nan");
    refused(tread_dropout_layer(NULL, 1), "p = 1 is outside [0, 1)");
    refused(tread_dropout_layer(NULL, NAN), "p = nan");
    refused(tread_layer_norm_layer(NULL, 0, 1e-5, true), "n = 0");
    refused(tread_layer_norm_layer(NULL, 4, 0, true), "eps = 0");
    refused(tread_sequential(NULL, NULL, 1), "layers is NULL");
    refused(tread_sequential(NULL, TREAD_LAYERS(tread_linear_layer(NULL, 1, 1, true), tread_dropout_layer(NULL, 2))),
            "p = 2 is outside");

    /* Whatever is wrong, state and children are freed, each once. */
    int calls = 0;
    tread_module *a = good(tread_linear_layer(NULL, 4, 4, true));
    destroyed = 0;
    refused(tread_module_create(NULL, &residual_type, &calls, &residual_scale, 1,
                                (tread_named_module[]){{"b", a}, {"c", a}}, 2),
            "child 1 (linear) is there twice");
    a = good(tread_linear_layer(NULL, 4, 4, true));
    refused(tread_module_create(NULL, &residual_type, &calls, &residual_scale, 1, &(tread_named_module){"scale", a}, 1),
            "\"scale\" is there twice");
    a = good(tread_linear_layer(NULL, 4, 4, true));
    refused(
        tread_module_create(NULL, &residual_type, &calls, &residual_scale, 1, &(tread_named_module){"in.ner", a}, 1),
        "\"in.ner\" is empty or has a dot");
    refused(tread_module_create(NULL, &residual_type, &calls, &(tread_parameter_shape){"", 0, {0}, 0}, 1, NULL, 0),
            "parameters[0].name");
    refused(tread_module_create(NULL, &residual_type, &calls, &(tread_parameter_shape){"w", 1, {4}, 5}, 1, NULL, 0),
            "residual: parameters[0].role = 5 is outside [0, 5)");
    refused(tread_module_create(NULL, &residual_type, &calls, &(tread_parameter_shape){"w", 9, {0}, 0}, 1, NULL, 0),
            "residual: parameter \"w\": tensor: rank 9");
    refused(tread_module_create(NULL, &residual_type, &calls, NULL, 1, NULL, 0), "parameters is NULL");
    ck_assert_int_eq(destroyed, 7);
    refused(tread_module_create(NULL, NULL, NULL, NULL, 0, NULL, 0), "type");
    refused(tread_module_create(NULL, &(tread_module_type){.name = "empty"}, NULL, NULL, 0, NULL, 0), "forward");

    /* A part of one model cannot join another, which leaves it alone. */
    tread_module *net = good(small_net(NULL));
    refused(tread_sequential(NULL, TREAD_LAYERS(tread_module_child(net, 0))),
            "child 0 (linear) is part of another module");
    ck_assert_uint_eq(tread_module_parameters(net).count, 4);
    tread_module_destroy(net);
    ck_assert_fails(tread_module_initialize(NULL, 1), TREAD_ERROR_ARGUMENT, "NULL");
    ck_assert_uint_eq(tread_memory_live_blocks(), live);
}
END_TEST

/* Every allocation of building and joining fails once: nothing is made, nothing stays. */
START_TEST(test_every_allocation_fails) {
    tread_module_destroy(good(small_net(NULL))); /* the default context and its threads are there from now on */
    uint64_t live = tread_memory_live_blocks();
    int64_t hidden[] = {6, 5};
    tread_mlp_options o = tread_mlp_defaults();
    o.n_inputs = o.n_outputs = 4;
    o.hidden = hidden;
    o.n_hidden = 2;
    o.layer_norm = true;
    o.dropout = 0.5;
    int calls = 0;
    for (uint64_t k = 1;; k++) {
        tread_memory_fail_at(k);
        tread_module *net = tread_mlp(NULL, &o);
        if (net != NULL)
            net = tread_module_create(NULL, &residual_type, &calls, &residual_scale, 1,
                                      &(tread_named_module){"inner", net}, 1);
        bool failed = tread_memory_failed();
        tread_memory_fail_at(0);
        ck_assert_int_eq(failed, net == NULL);
        if (net == NULL)
            ck_assert_ptr_nonnull(strstr(tread_last_error(), "out of memory"));
        tread_module_destroy(net);
        ck_assert_uint_eq(tread_memory_live_blocks(), live);
        if (!failed) {
            ck_assert_uint_gt(k, 60);
            break;
        }
    }
}
END_TEST

TEST_MAIN("module", test_names, test_flat_block_and_handles, test_initial_values, test_initial_values_follow_the_place,
          test_own_module, test_forward_errors, test_refused, test_every_allocation_fails)
