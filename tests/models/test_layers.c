/* What layers compute, sequential's fused pairs, training and evaluation mode, the MLP, and the summary. */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <tread/models.h>

#include "core/memory.h"
#include "core/tensor.h"
#include "tests/test.h"

static tread_module *good(tread_module *module) {
    ck_assert_msg(module != NULL, "%s", tread_last_error());
    return module;
}

static tread_tensor *noise(int64_t rows, int64_t columns) {
    tread_tensor *x = tread_tensor_create(TREAD_FLOAT32, 2, (int64_t[]){rows, columns});
    tread_rng rng = tread_rng_create(1, 2);
    for (int64_t i = 0; i < rows * columns; i++)
        tread_tensor_float(x)[i] = (float)tread_rng_normal(&rng);
    return x;
}

static void copy_parameters(const tread_module *to, const tread_module *from) {
    tread_parameter_list p = tread_module_parameters(to), q = tread_module_parameters(from);
    ck_assert_uint_eq(p.count, q.count);
    for (size_t i = 0; i < p.count; i++)
        ck_assert_ok(tread_tensor_copy(tread_parameter_tensor(p.items[i]), tread_parameter_tensor(q.items[i])));
}

/* A linear layer and an activation give the same bits in a sequential, where they are one operation, as one after the
 * other: outputs and gradients. */
START_TEST(test_fused_equals_unfused) {
    for (int activation = 0; activation < TREAD_ACTIVATION_COUNT; activation++)
        for (int bias = 0; bias < 2; bias++) {
            tread_module *linear = good(tread_linear_layer(NULL, 37, 19, bias != 0));
            tread_module *act = good(tread_activation_layer(NULL, (tread_activation)activation));
            tread_module *net =
                good(tread_sequential(NULL, TREAD_LAYERS(tread_linear_layer(NULL, 37, 19, bias != 0),
                                                         tread_activation_layer(NULL, (tread_activation)activation))));
            copy_parameters(net, linear);
            tread_tensor *x = noise(23, 37);
            tread_tape *tape = tread_tape_create(NULL), *other = tread_tape_create(NULL);
            tread_tensor *y = tread_forward(net, tape, x);
            tread_tensor *z = tread_forward(act, other, tread_forward(linear, other, x));
            ck_assert_msg(y != NULL && z != NULL, "%s%s", tread_tape_error(tape), tread_tape_error(other));
            ck_assert_uint_eq(tread_tape_length(tape), 1);
            ck_assert_mem_eq(y->data, z->data, tread_tensor_bytes(y));
            ck_assert_ok(tread_backward(tape, tread_sum(tape, tread_square(tape, y))));
            ck_assert_ok(tread_backward(other, tread_sum(other, tread_square(other, z))));
            for (size_t i = 0; i <= (size_t)bias; i++) {
                tread_tensor *g = tread_tensor_grad(tread_parameter_tensor(tread_module_parameters(net).items[i]));
                tread_tensor *h = tread_tensor_grad(tread_parameter_tensor(tread_module_parameters(linear).items[i]));
                ck_assert_msg(memcmp(g->data, h->data, tread_tensor_bytes(g)) == 0, "activation %d, gradient %zu",
                              activation, i);
            }
            tread_tape_destroy(tape);
            tread_tape_destroy(other);
            tread_tensor_destroy(x);
            tread_module_destroy(net);
            tread_module_destroy(linear);
            tread_module_destroy(act);
        }
}
END_TEST

START_TEST(test_layers_are_their_operations) {
    tread_tensor *x = noise(6, 8);
    tread_tape *tape = tread_tape_create(NULL);
    tread_module *leaky = good(tread_leaky_relu_layer(NULL, 0.2)),
                 *norm = good(tread_layer_norm_layer(NULL, 8, 1e-3, true));
    tread_module *plain = good(tread_layer_norm_layer(NULL, 8, 1e-3, false)),
                 *empty = good(tread_sequential(NULL, NULL, 0));
    tread_tensor *ones = tread_tensor_create(TREAD_FLOAT32, 1, (int64_t[]){8}),
                 *zeros = tread_tensor_create(TREAD_FLOAT32, 1, (int64_t[]){8});
    ck_assert_ok(tread_tensor_fill(ones, 1));
    struct {
        tread_tensor *is, *should;
    } pairs[] = {
        {tread_forward(leaky, tape, x), tread_leaky_relu(tape, x, 0.2)},
        {tread_forward(norm, tape, x), tread_layer_norm(tape, x, ones, zeros, 1e-3)},
        {tread_forward(plain, tape, x), tread_layer_norm(tape, x, NULL, NULL, 1e-3)},
        {tread_forward(empty, tape, x), x},
    };
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        ck_assert_msg(pairs[i].is != NULL, "%s", tread_tape_error(tape));
        ck_assert_mem_eq(pairs[i].is->data, pairs[i].should->data, tread_tensor_bytes(x));
    }
    tread_module *narrow = good(tread_layer_norm_layer(NULL, 7, 1e-3, false));
    ck_assert_ptr_null(tread_forward(narrow, tape, x));
    ck_assert_ptr_nonnull(strstr(tread_tape_error(tape), "the last axis of (6, 8) is not 7"));
    tread_tape_destroy(tape);
    tread_module *modules[] = {leaky, norm, plain, empty, narrow};
    for (size_t i = 0; i < 5; i++)
        tread_module_destroy(modules[i]);
    tread_tensor_destroy(x);
    tread_tensor_destroy(ones);
    tread_tensor_destroy(zeros);
}
END_TEST

START_TEST(test_dropout_acts_in_training_only) {
    tread_module *dropout = good(tread_dropout_layer(NULL, 0.25));
    tread_module *net = good(tread_sequential(NULL, TREAD_LAYERS(dropout)));
    tread_tensor *x = tread_tensor_create(TREAD_FLOAT32, 1, (int64_t[]){4000});
    ck_assert_ok(tread_tensor_fill(x, 3));
    tread_tape *tape = tread_tape_create(NULL);
    ck_assert(tread_module_is_training(dropout));
    tread_tensor *y = tread_forward(net, tape, x);
    int dropped = 0;
    for (int i = 0; i < 4000; i++) {
        float value = tread_tensor_float(y)[i];
        ck_assert(value == 0 || value == 4); /* 3 / (1 - 1/4) */
        dropped += value == 0;
    }
    ck_assert_double_le(fabs(dropped - 1000.0), 5 * sqrt(4000 * 0.25 * 0.75)); /* five deviations of a binomial */

    tread_module_train(net, false);
    ck_assert(!tread_module_is_training(dropout) && !tread_module_is_training(net));
    uint64_t next = tread_tape_rng(tape).next;
    ck_assert_ptr_eq(tread_forward(net, tape, x), x);
    ck_assert_uint_eq(tread_tape_rng(tape).next, next);
    tread_module_train(net, true);
    ck_assert(tread_module_is_training(dropout));
    ck_assert_ptr_ne(tread_forward(net, tape, x), x);
    tread_tape_destroy(tape);
    tread_tensor_destroy(x);
    tread_module_destroy(net);
}
END_TEST

static void mlp_refused(const tread_mlp_options *o, const char *part) {
    ck_assert_ptr_null(tread_mlp(NULL, o));
    ck_assert_msg(strstr(tread_last_error(), part) != NULL, "\"%s\" lacks \"%s\"", tread_last_error(), part);
}

START_TEST(test_mlp) {
    int64_t hidden[] = {20, 30};
    tread_mlp_options o = tread_mlp_defaults();
    o.n_inputs = 10;
    o.n_outputs = 5;
    o.hidden = hidden;
    o.n_hidden = 2;
    o.layer_norm = true;
    o.dropout = 0.1;
    tread_module *net = good(tread_mlp(NULL, &o));
    static const char *const names[] = {"0.weight", "0.bias",   "1.weight", "1.bias",   "4.weight",
                                        "4.bias",   "5.weight", "5.bias",   "8.weight", "8.bias"};
    ck_assert_uint_eq(tread_module_parameters(net).count, 10);
    for (size_t i = 0; i < 10; i++)
        ck_assert_str_eq(tread_parameter_name(tread_module_parameters(net).items[i]), names[i]);
    static const char *const kinds[] = {"linear",     "layer_norm", "relu",    "dropout", "linear",
                                        "layer_norm", "relu",       "dropout", "linear"};
    ck_assert_uint_eq(tread_module_n_children(net), 9);
    for (size_t i = 0; i < 9; i++)
        ck_assert_str_eq(tread_module_get_type(tread_module_child(net, i))->name, kinds[i]);
    tread_module_destroy(net);

    o = tread_mlp_defaults();
    o.n_inputs = 3;
    o.n_outputs = 2;
    o.bias = false;
    net = good(tread_mlp(NULL, &o)); /* no hidden layer: one linear layer */
    ck_assert_uint_eq(tread_module_parameters(net).count, 1);
    tread_module_destroy(net);

    o.n_inputs = 0;
    mlp_refused(&o, "mlp: n_inputs = 0 is not at least 1");
    mlp_refused(NULL, "mlp: n_inputs = 0");
    o.n_inputs = 3;
    o.n_outputs = -1;
    mlp_refused(&o, "n_outputs = -1");
    o.n_outputs = 2;
    o.n_hidden = 2;
    mlp_refused(&o, "hidden is NULL, and n_hidden is 2");
    o.hidden = (int64_t[]){4, 0};
    mlp_refused(&o, "hidden[1] = 0");
    o.hidden = hidden;
    o.activation = (tread_activation)9;
    mlp_refused(&o, "activation = 9");
    o.activation = TREAD_ACTIVATION_GELU;
    o.dropout = 1;
    mlp_refused(&o, "dropout = 1 is outside [0, 1)");
    o.size = 0;
    mlp_refused(&o, "options.size is 0");
}
END_TEST

START_TEST(test_summary) {
    int64_t hidden[] = {512, 256};
    tread_mlp_options o = tread_mlp_defaults();
    o.n_inputs = 784;
    o.n_outputs = 10;
    o.hidden = hidden;
    o.n_hidden = 2;
    o.dropout = 0.5;
    tread_module *net = good(tread_mlp(NULL, &o));
    char text[8192] = "";
    FILE *file = fmemopen(text, sizeof text, "w");
    tread_module_totals totals;
    ck_assert_ok(tread_module_summary(net, file, TREAD_FLOAT32, 2, (int64_t[]){64, 784}, &totals));
    fclose(file);
    const int64_t parameters = 784 * 512 + 512 + 512 * 256 + 256 + 256 * 10 + 10;
    ck_assert_int_eq(totals.modules, 7);
    ck_assert_int_eq(totals.parameters, parameters);
    ck_assert_int_eq(totals.trainable, parameters);
    ck_assert_int_eq(totals.parameter_bytes, 4 * parameters);
    ck_assert_int_eq(totals.output_bytes, 4 * 64 * (512 + 256 + 10)); /* a fused pair has one output */
    static const char *const parts[] = {"linear",    "784 -> 512",
                                        "(64, 512)", "401920",
                                        "1607680",   "(64, 256)",
                                        "dropout",   "p 0.5",
                                        "(64, 10)",  "7 layers, 535818 parameters (535818 trainable), 2143272 bytes"};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        ck_assert_msg(strstr(text, parts[i]) != NULL, "the table lacks \"%s\":\n%s", parts[i], text);
    ck_assert(tread_module_is_training(net) && tread_module_is_training(tread_module_child(net, 2)));
    if (getenv("TREAD_TEST_VERBOSE") != NULL)
        fputs(text, stdout);

    /* One parameter that is not trained; no table; a shape that does not fit; a file that cannot be written. */
    ck_assert_ok(tread_tensor_set_requires_grad(tread_parameter_tensor(tread_module_parameter(net, "0.bias")), false));
    ck_assert_ok(tread_module_summary(net, NULL, TREAD_FLOAT32, 1, (int64_t[]){784}, &totals));
    ck_assert_int_eq(totals.trainable, parameters - 512);
    ck_assert_int_eq(totals.output_bytes, 4 * (512 + 256 + 10));
    totals.modules = -1;
    ck_assert_fails(tread_module_summary(net, NULL, TREAD_FLOAT32, 2, (int64_t[]){64, 783}, &totals), TREAD_ERROR_SHAPE,
                    "783");
    ck_assert_fails(tread_module_summary(net, NULL, TREAD_INT32, 2, (int64_t[]){64, 784}, &totals), TREAD_ERROR_DTYPE,
                    "int32");
    ck_assert_fails(tread_module_summary(NULL, NULL, TREAD_FLOAT32, 0, NULL, &totals), TREAD_ERROR_ARGUMENT, "NULL");
    file = fopen("/dev/full", "w");
    ck_assert_fails(tread_module_summary(net, file, TREAD_FLOAT32, 2, (int64_t[]){64, 784}, &totals), TREAD_ERROR_IO,
                    "table");
    fclose(file);
    ck_assert_int_eq(totals.modules, -1);
    tread_module_destroy(net);
}
END_TEST

START_TEST(test_summary_without_memory) {
    tread_module *net =
        good(tread_sequential(NULL, TREAD_LAYERS(tread_linear_layer(NULL, 4, 4, true), tread_relu_layer(NULL))));
    tread_module_totals totals;
    uint64_t live = tread_memory_live_blocks();
    for (uint64_t k = 1;; k++) {
        tread_memory_fail_at(k);
        tread_status status = tread_module_summary(net, NULL, TREAD_FLOAT32, 2, (int64_t[]){3, 4}, &totals);
        bool failed = tread_memory_failed();
        tread_memory_fail_at(0);
        ck_assert_uint_eq(tread_memory_live_blocks(), live);
        ck_assert_int_eq(status, failed ? TREAD_ERROR_MEMORY : TREAD_OK);
        ck_assert(tread_module_is_training(net));
        if (!failed)
            break;
    }
    tread_module_destroy(net);
}
END_TEST

/* Roles stay when layers become part of something larger. */
START_TEST(test_layers_set_roles) {
    tread_mlp_options o = tread_mlp_defaults();
    o.n_inputs = 4;
    o.hidden = (const int64_t[]){5};
    o.n_hidden = 1;
    o.n_outputs = 3;
    o.layer_norm = true;
    tread_module *net =
        good(tread_sequential(NULL, TREAD_LAYERS(tread_linear_layer(NULL, 4, 4, true), good(tread_mlp(NULL, &o)))));
    static const tread_parameter_role expected[] = {TREAD_ROLE_WEIGHT, TREAD_ROLE_BIAS, TREAD_ROLE_WEIGHT,
                                                    TREAD_ROLE_BIAS,   TREAD_ROLE_NORM, TREAD_ROLE_NORM,
                                                    TREAD_ROLE_OUTPUT, TREAD_ROLE_BIAS};
    tread_parameter_list list = tread_module_parameters(net);
    ck_assert_uint_eq(list.count, sizeof expected / sizeof *expected);
    for (size_t i = 0; i < list.count; i++)
        ck_assert_msg(tread_parameter_get_role(list.items[i]) == expected[i], "%s is %s",
                      tread_parameter_name(list.items[i]), tread_role_name(tread_parameter_get_role(list.items[i])));
    tread_module_destroy(net);
}
END_TEST

TEST_MAIN("layers", test_fused_equals_unfused, test_layers_are_their_operations, test_dropout_acts_in_training_only,
          test_mlp, test_summary, test_summary_without_memory, test_layers_set_roles)
