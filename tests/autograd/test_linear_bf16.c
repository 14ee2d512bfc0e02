/* tread_linear in bf16, against float32 products of rounded operands in plain C, whose sums run in the same order; and
 * that no product ever reads a copy of a weight that has changed. */
#include <math.h>
#include <string.h>
#include <tread/ops.h>
#include <tread/optimizers.h>
#include <tread/random.h>

#include "core/bf16.h"
#include "core/memory.h"
#include "tests/core/gemm_operands.h"
#include "tests/core/kernel_fixture.h"

static tread_tape *make_tape(const tread_context *context, tread_precision precision) {
    tread_tape *tape = tread_tape_create((tread_context *)context);
    ck_assert_ptr_nonnull(tape);
    ck_assert_ok(tread_tape_set_precision(tape, precision));
    return tape;
}

static tread_tensor *draw(int64_t rows, int64_t columns, uint64_t seed, bool leaf) {
    tread_tensor *x = rows > 0 ? tread_tensor_create(TREAD_FLOAT32, 2, (int64_t[]){rows, columns})
                               : tread_tensor_create(TREAD_FLOAT32, 1, &columns);
    ck_assert_ptr_nonnull(x);
    tread_rng rng = tread_rng_create(seed, 1);
    for (int64_t i = 0; i < x->count; i++)
        ((float *)x->data)[i] = (float)tread_rng_normal(&rng); /* past tread_tensor_data, which would give it away */
    ck_assert_ok(tread_tensor_set_requires_grad(x, leaf));
    return x;
}

static tread_tensor *rounded(const tread_tensor *x) {
    tread_tensor *y = tread_tensor_create(TREAD_FLOAT32, x->rank, x->shape);
    for (int64_t i = 0; i < x->count; i++)
        ((float *)y->data)[i] = tread_bf16_to_f32(tread_bf16_from_f32(((const float *)x->data)[i]));
    ck_assert_ok(tread_tensor_set_requires_grad(y, x->requires_grad));
    return y;
}

/* 0 and -0 are the same here: sums of zeros begin with either. */
static void check_same(const tread_tensor *got, const tread_tensor *expected, const char *what, int number) {
    ck_assert_msg(got != NULL && expected != NULL, "%s of case %d is missing: %s", what, number, tread_last_error());
    const float *a = got->data, *b = expected->data;
    ck_assert_int_eq(got->count, expected->count);
    for (int64_t i = 0; i < got->count; i++)
        ck_assert_msg(a[i] == b[i], "%s[%d] of case %d is %.9g, not %.9g", what, (int)i, number, (double)a[i],
                      (double)b[i]);
}

/* One linear layer with its operands, and the gradient that backward begins with. */
typedef struct layer {
    tread_activation activation;
    tread_tensor *x, *w, *b, *dy;
} layer;

static layer make_layer(int64_t rows, int64_t in, int64_t out, tread_activation activation, bool bias) {
    return (layer){activation, draw(rows, in, 1, true), draw(out, in, 2, true), bias ? draw(0, out, 3, true) : NULL,
                   draw(rows, out, 4, false)};
}

static void free_layer(layer *l) {
    tread_tensor *const all[] = {l->x, l->w, l->b, l->dy};
    for (size_t i = 0; i < 4; i++)
        tread_tensor_destroy(all[i]);
}

static tread_tensor *run_layer(tread_tape *tape, const layer *l) {
    tread_tape_reset(tape);
    tread_tensor *y = tread_linear(tape, l->x, l->w, l->b, l->activation);
    ck_assert_msg(y != NULL, "%s", tread_tape_error(tape));
    tread_tensor *const leaves[] = {l->x, l->w, l->b};
    for (size_t i = 0; i < 3; i++)
        tread_tensor_zero_grad(leaves[i], true);
    ck_assert_ok(tread_backward_from(tape, y, l->dy));
    return y;
}

static tread_tensor *activate(tread_tape *tape, tread_tensor *z, tread_activation activation) {
    switch (activation) {
    case TREAD_ACTIVATION_RELU: return tread_relu(tape, z);
    case TREAD_ACTIVATION_LEAKY_RELU: return tread_leaky_relu(tape, z, 0.01);
    case TREAD_ACTIVATION_GELU: return tread_gelu(tape, z);
    case TREAD_ACTIVATION_SILU: return tread_silu(tape, z);
    case TREAD_ACTIVATION_TANH: return tread_tanh(tape, z);
    case TREAD_ACTIVATION_SIGMOID: return tread_sigmoid(tape, z);
    case TREAD_ACTIVATION_NONE: break;
    }
    return z;
}

/* Plain C gives the very bits of float32 operations on rounded x, w and dz. */
static void check_layer(const tread_context *ref, int64_t rows, int64_t in, int64_t out, tread_activation activation,
                        bool bias, int number) {
    layer l = make_layer(rows, in, out, activation, bias);
    tread_tape *tape = make_tape(ref, TREAD_PRECISION_BF16), *plain = make_tape(ref, TREAD_PRECISION_FLOAT32);
    tread_tensor *y = run_layer(tape, &l);

    tread_tensor *x = rounded(l.x), *w = rounded(l.w);
    tread_tensor *z = tread_linear(plain, x, w, NULL, TREAD_ACTIVATION_NONE);
    if (bias)
        z = tread_add(plain, z, l.b);
    tread_tensor *expected = activate(plain, z, activation), *db = NULL;
    check_same(y, expected, "y", number);
    if (bias)
        db = tread_tensor_create(TREAD_FLOAT32, 1, &out);
    if (bias)
        ck_assert_ok(tread_tensor_copy(db, tread_tensor_grad(l.b)));
    tread_tensor_zero_grad(l.b, true);
    ck_assert_ok(tread_backward_from(plain, expected, l.dy));
    if (bias)
        check_same(db, tread_tensor_grad(l.b), "db", number);

    tread_tensor *dz = rounded(tread_tape_grad(plain, z)); /* the layer without activation: its own gradient is dz */
    layer products = {TREAD_ACTIVATION_NONE, x, w, NULL, dz};
    run_layer(plain, &products);
    check_same(tread_tensor_grad(l.x), tread_tensor_grad(x), "dx", number);
    check_same(tread_tensor_grad(l.w), tread_tensor_grad(w), "dw", number);
    tread_tensor *const made[] = {x, w, db, dz};
    for (size_t i = 0; i < 4; i++)
        tread_tensor_destroy(made[i]);
    free_layer(&l);
    tread_tape_destroy(tape);
    tread_tape_destroy(plain);
}

START_TEST(products_read_rounded_operands) {
    static const int64_t shapes[][3] = {{8, 32, 32}, {33, 40, 65}, {1, 784, 128}, {70, 300, 130}};
    tread_context *ref = make_context(2, TREAD_BACKEND_REF);
    int number = 0;
    for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++)
        for (int activation = 0; activation < TREAD_ACTIVATION_COUNT; activation++)
            for (int bias = 0; bias < 2; bias++)
                check_layer(ref, shapes[s][0], shapes[s][1], shapes[s][2], (tread_activation)activation, bias == 1,
                            number++);
    tread_context_destroy(ref);
}
END_TEST

/* A step's bits: y, and the gradients of x, w and b. */
static array layer_bits(const tread_context *context, layer *l) {
    tread_tape *tape = make_tape(context, TREAD_PRECISION_BF16);
    tread_tensor *y = run_layer(tape, l);
    const tread_tensor *all[] = {y, tread_tensor_grad(l->x), tread_tensor_grad(l->w), tread_tensor_grad(l->b)};
    int64_t n = 0;
    for (size_t i = 0; i < 4; i++)
        n += all[i]->count;
    array bits = array_create(TREAD_FLOAT32, n);
    float *to = bits.data;
    for (size_t i = 0; i < 4; to += all[i++]->count)
        memcpy(to, all[i]->data, (size_t)all[i]->count * sizeof *to);
    tread_tape_destroy(tape);
    return bits;
}

/* On the back-end that users have: the same bits on any threads and instruction set, near those of plain C. A sum of
 * rounded products is off by far less than one rounding of its largest term to bfloat16; dz may be rounded the other
 * way where y is off in its last bit. */
START_TEST(the_default_back_end_agrees) {
    static const int64_t shapes[][3] = {{33, 40, 65}, {256, 512, 256}, {300, 784, 128}, {2050, 96, 64}};
    tread_context *ref = make_context(2, TREAD_BACKEND_REF);
    for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++) {
        layer l = make_layer(shapes[s][0], shapes[s][1], shapes[s][2],
                             s % 2 ? TREAD_ACTIVATION_RELU : TREAD_ACTIVATION_GELU, true);
        array expected = layer_bits(ref, &l), first = {0};
        for (int run = 0; run < KERNEL_RUNS; run++) {
            tread_context *context = kernel_run_context(run);
            if (tread_precision_check(context, TREAD_PRECISION_BF16) != TREAD_OK) {
                tread_context_destroy(context); /* core/precision tests the refusal */
                break;
            }
            tread_isa before = tread_isa_use(kernel_run_isa(run));
            array bits = layer_bits(context, &l);
            tread_isa_use(before);
            for (int64_t i = 0; run == 0 && i < bits.n; i++) {
                double size = sqrt((double)(shapes[s][0] + shapes[s][1] + shapes[s][2]));
                check_near(array_get(bits, i), array_get(expected, i), 0x1p-7 * size, "element", i);
            }
            if (run == 0) {
                first = bits;
            } else {
                ck_assert_msg(array_same_bits(bits, first), "shape %d: bits of run %d", (int)s, run);
                free(bits.data);
            }
            tread_context_destroy(context);
        }
        free(first.data);
        free(expected.data);
        free_layer(&l);
    }
    tread_context_destroy(ref);
}
END_TEST

/* --- Copies of weights --- */

/* y is that of a weight that has the same values and no copy. */
static void check_current(tread_tape *tape, tread_tensor *x, tread_tensor *w, const char *change) {
    tread_tape_reset(tape);
    tread_tensor *y = tread_linear(tape, x, w, NULL, TREAD_ACTIVATION_NONE);
    tread_tensor *same = tread_tensor_create(TREAD_FLOAT32, 2, w->shape);
    memcpy(same->data, w->data, tread_tensor_bytes(w));
    check_same(y, tread_linear(tape, x, same, NULL, TREAD_ACTIVATION_NONE), change, 0);
    tread_tensor_destroy(same);
}

static void step_with(const char *spec, tread_tape *tape, tread_tensor *x, tread_parameter *p) {
    tread_tensor *w = tread_parameter_tensor(p);
    tread_optimizer *optimizer = tread_optimizer_from_spec(NULL, (tread_parameter_list){&p, 1}, spec);
    ck_assert_msg(optimizer != NULL, "%s", tread_last_error());
    for (int step = 0; step < 3; step++) {
        tread_tape_reset(tape);
        ck_assert_ok(tread_backward(
            tape, tread_mean(tape, tread_square(tape, tread_linear(tape, x, w, NULL, TREAD_ACTIVATION_NONE)))));
        ck_assert_ok(tread_optimizer_step(optimizer, NULL));
        check_current(tape, x, w, spec);
        tread_optimizer_zero_grad(optimizer, step == 1);
    }
    tread_optimizer_destroy(optimizer);
}

START_TEST(no_change_of_a_weight_goes_unseen) {
    static const char *const specs[] = {"sgd:lr=0.1,momentum=0.9", "adam", "adamw", "lamb", "muon", "lion", "rmsprop"};
    tread_context *ref = make_context(2, TREAD_BACKEND_REF);
    tread_tape *tape = make_tape(ref, TREAD_PRECISION_BF16);
    tread_parameter *p = tread_parameter_create("w", 2, (int64_t[]){48, 40});
    tread_tensor *w = tread_parameter_tensor(p), *x = draw(20, 40, 5, false), *other = draw(48, 40, 6, false);
    check_current(tape, x, w, "zeros");
    ck_assert_ok(tread_tensor_copy(w, other));
    check_current(tape, x, w, "copy");
    ck_assert(tread_bf16_is_fresh(w)); /* it is worth testing: the copy is there, and in use */
    ck_assert_ok(tread_tensor_fill(w, 0.123));
    check_current(tape, x, w, "fill");
    ck_assert_ok(tread_tensor_copy(w, other));
    for (size_t i = 0; i < sizeof specs / sizeof *specs; i++)
        step_with(specs[i], tape, x, p);
    bool before = tread_set_grad_enabled(false);
    check_current(tape, x, w, "no gradients");
    ck_assert_ok(tread_tensor_fill(w, -0.7));
    check_current(tape, x, w, "fill without gradients");
    tread_set_grad_enabled(before);
    tread_parameter_block block;
    ck_assert_ok(tread_parameter_block_create(&p, 1, &block));
    check_current(tape, x, w, "block");
    tread_tensor *row = tread_tensor_rows(w, 3, 1);
    ck_assert_ok(tread_tensor_fill(row, 5));
    check_current(tape, x, w, "view");
    ck_assert_ok(tread_tensor_fill(row, 6));
    check_current(tape, x, w, "view again");
    tread_tensor_destroy(row);
    float *values = tread_tensor_float(w);
    for (int round = 0; round < 3; round++) {
        values[7 * round] += 1;
        check_current(tape, x, w, "address");
    }
    tread_tensor_destroy(x);
    tread_tensor_destroy(other);
    tread_tape_destroy(tape);
    tread_parameter_block_destroy(&block);
    tread_context_destroy(ref);
}
END_TEST

static tread_tensor *weight_gradient(tread_tape *tape, tread_tensor *y, tread_tensor *w, const tread_tensor *dy) {
    tread_tensor *dw = tread_tensor_create(TREAD_FLOAT32, 2, w->shape);
    tread_tensor_zero_grad(w, true);
    ck_assert_ok(tread_backward_from(tape, y, dy));
    ck_assert_ok(tread_tensor_copy(dw, tread_tensor_grad(w)));
    return dw;
}

/* y's copy in bfloat16 serves the next layer, forward and backward, unless somebody has written to y. */
START_TEST(a_layer_reads_the_one_before) {
    tread_context *ref = make_context(1, TREAD_BACKEND_REF);
    tread_tape *tape = make_tape(ref, TREAD_PRECISION_BF16);
    tread_tensor *x = draw(9, 40, 1, false), *w = draw(64, 40, 2, true), *v = draw(33, 64, 3, true);
    tread_tensor *dy = draw(9, 33, 4, false);
    for (int i = 0; i < 6; i++) {
        int write = i % 3;
        tread_tape_reset(tape);
        tread_tensor *h = tread_linear(tape, x, w, NULL, i < 3 ? TREAD_ACTIVATION_RELU : TREAD_ACTIVATION_GELU);
        ck_assert_ptr_nonnull(h);
        ck_assert(tread_bf16_is_fresh(h));
        if (write == 1)
            tread_tensor_float(h)[0] = 77;
        if (write == 2)
            ck_assert_ok(tread_tensor_fill(h, 3));
        ck_assert_int_eq(tread_bf16_is_fresh(h), write == 0);
        tread_tensor *y = tread_linear(tape, h, v, NULL, TREAD_ACTIVATION_NONE);
        tread_tensor *same = tread_tensor_create(TREAD_FLOAT32, 2, h->shape);
        memcpy(same->data, h->data, tread_tensor_bytes(h));
        tread_tensor *expected = tread_linear(tape, same, v, NULL, TREAD_ACTIVATION_NONE);
        check_same(y, expected, "y", i);
        tread_tensor *dv[] = {weight_gradient(tape, y, v, dy), weight_gradient(tape, expected, v, dy)};
        check_same(dv[0], dv[1], "dv", i);
        tread_tensor_destroy(dv[0]);
        tread_tensor_destroy(dv[1]);
        tread_tensor_destroy(same);
    }
    tread_tensor *const made[] = {x, w, v, dy};
    for (size_t i = 0; i < 4; i++)
        tread_tensor_destroy(made[i]);
    tread_tape_destroy(tape);
    tread_context_destroy(ref);
}
END_TEST

/* Others may be in use by other threads. */
START_TEST(only_weights_that_are_trained_are_given_copies) {
    tread_context *ref = make_context(1, TREAD_BACKEND_REF);
    tread_tape *tape = make_tape(ref, TREAD_PRECISION_BF16);
    tread_tensor *x = draw(9, 40, 1, false), *w = draw(64, 40, 2, true), *frozen = draw(64, 40, 2, false);
    bool before = tread_set_grad_enabled(false);
    ck_assert_ptr_nonnull(tread_linear(tape, x, w, NULL, TREAD_ACTIVATION_NONE));
    tread_set_grad_enabled(before);
    ck_assert_ptr_null(w->bf16);
    ck_assert_ptr_nonnull(tread_linear(tape, x, frozen, NULL, TREAD_ACTIVATION_NONE));
    ck_assert_ptr_null(frozen->bf16);
    ck_assert_ptr_nonnull(tread_linear(tape, x, w, NULL, TREAD_ACTIVATION_NONE));
    ck_assert(tread_bf16_is_fresh(w));
    tread_tensor *const made[] = {x, w, frozen};
    for (size_t i = 0; i < 3; i++)
        tread_tensor_destroy(made[i]);
    tread_tape_destroy(tape);
    tread_context_destroy(ref);
}
END_TEST

START_TEST(narrow_layers_and_other_types_stay_float32) {
    static const int64_t narrow[][2] = {{40, 31}, {31, 40}, {64, 10}, {1, 1}};
    tread_context *ref = make_context(1, TREAD_BACKEND_REF);
    tread_tape *tape = make_tape(ref, TREAD_PRECISION_BF16), *plain = make_tape(ref, TREAD_PRECISION_FLOAT32);
    for (int i = 0; i < 4; i++) {
        layer l = make_layer(7, narrow[i][0], narrow[i][1], TREAD_ACTIVATION_RELU, true);
        tread_tensor *y = run_layer(tape, &l);
        tread_tensor *dw = tread_tensor_create(TREAD_FLOAT32, 2, l.w->shape);
        ck_assert_ok(tread_tensor_copy(dw, tread_tensor_grad(l.w)));
        check_same(y, run_layer(plain, &l), "y", i);
        check_same(dw, tread_tensor_grad(l.w), "dw", i);
        ck_assert_ptr_null(l.w->bf16);
        tread_tensor_destroy(dw);
        free_layer(&l);
    }
    tread_tensor *x = tread_tensor_create(TREAD_FLOAT64, 2, (int64_t[]){3, 64});
    tread_tensor *w = tread_tensor_create(TREAD_FLOAT64, 2, (int64_t[]){64, 64});
    tread_tape_reset(tape);
    ck_assert_int_eq(tread_tensor_dtype(tread_linear(tape, x, w, NULL, TREAD_ACTIVATION_NONE)), TREAD_FLOAT64);
    tread_tensor_destroy(x);
    tread_tensor_destroy(w);
    tread_tape_destroy(tape);
    tread_tape_destroy(plain);
    tread_context_destroy(ref);
}
END_TEST

START_TEST(precision_is_the_tapes) {
    tread_context *ref = make_context(1, TREAD_BACKEND_REF), *usual = make_context(1, TREAD_BACKEND_AUTO);
    tread_tape *tape = tread_tape_create(ref), *refused = tread_tape_create(usual);
    ck_assert_int_eq(tread_tape_precision(tape), TREAD_PRECISION_FLOAT32);
    ck_assert_int_eq(tread_tape_precision(NULL), TREAD_PRECISION_FLOAT32);
    ck_assert_fails(tread_tape_set_precision(NULL, TREAD_PRECISION_BF16), TREAD_ERROR_ARGUMENT, "NULL");
    ck_assert_fails(tread_tape_set_precision(tape, (tread_precision)2), TREAD_ERROR_ARGUMENT, "precision 2");
    ck_assert_ok(tread_tape_set_precision(tape, TREAD_PRECISION_BF16));
    tread_tape_reset(tape);
    ck_assert_int_eq(tread_tape_precision(tape), TREAD_PRECISION_BF16);
    if (tread_precision_check(usual, TREAD_PRECISION_BF16) != TREAD_OK) {
        ck_assert_fails(tread_tape_set_precision(refused, TREAD_PRECISION_BF16), TREAD_ERROR_BACKEND, "bf16");
        ck_assert_int_eq(tread_tape_precision(refused), TREAD_PRECISION_FLOAT32);
        ck_assert_int_eq(tread_tape_status(refused), TREAD_OK);
    }
    /* Within a step, as with autocast; plans of both kinds stay at hand. */
    layer l = make_layer(16, 64, 64, TREAD_ACTIVATION_NONE, false);
    uint64_t calls = 0;
    for (int step = 0; step < 4; step++) {
        if (step == 2)
            calls = tread_memory_calls();
        tread_tape_reset(tape);
        ck_assert_ok(tread_tape_set_precision(tape, TREAD_PRECISION_BF16));
        tread_tensor *one = tread_linear(tape, l.x, l.w, NULL, TREAD_ACTIVATION_NONE);
        ck_assert_ok(tread_tape_set_precision(tape, TREAD_PRECISION_FLOAT32));
        tread_tensor *two = tread_linear(tape, l.x, l.w, NULL, TREAD_ACTIVATION_NONE);
        ck_assert(memcmp(one->data, two->data, tread_tensor_bytes(one)) != 0);
    }
    ck_assert_uint_eq(tread_memory_calls(), calls);
    free_layer(&l);
    tread_tape_destroy(tape);
    tread_tape_destroy(refused);
    tread_context_destroy(ref);
    tread_context_destroy(usual);
}
END_TEST

START_TEST(steps_allocate_nothing_and_any_allocation_may_fail) {
    tread_context *ref = make_context(1, TREAD_BACKEND_REF);
    uint64_t live = tread_memory_live_blocks();
    int failures = 0;
    for (uint64_t k = 1;; k++, failures++) {
        layer l = make_layer(16, 64, 48, TREAD_ACTIVATION_GELU, true);
        tread_tape *tape = make_tape(ref, TREAD_PRECISION_BF16);
        tread_memory_fail_at(k);
        tread_tensor *y = tread_linear(tape, l.x, l.w, l.b, l.activation);
        bool failed = tread_memory_failed();
        tread_memory_fail_at(0);
        ck_assert_int_eq(y == NULL, failed);
        ck_assert_int_eq(tread_tape_status(tape), failed ? TREAD_ERROR_MEMORY : TREAD_OK);
        run_layer(tape, &l); /* it works after the failure */
        uint64_t calls = tread_memory_calls();
        for (int step = 0; step < 3; step++) {
            ck_assert_ok(tread_tensor_fill(l.w, step));
            run_layer(tape, &l);
        }
        ck_assert_uint_eq(tread_memory_calls(), calls);
        tread_tape_destroy(tape);
        free_layer(&l);
        ck_assert_uint_eq(tread_memory_live_blocks(), live);
        if (!failed)
            break;
    }
    ck_assert_int_ge(failures, 8);
    tread_context_destroy(ref);
}
END_TEST

TEST_MAIN("linear_bf16", products_read_rounded_operands, the_default_back_end_agrees, no_change_of_a_weight_goes_unseen,
          a_layer_reads_the_one_before, only_weights_that_are_trained_are_given_copies,
          narrow_layers_and_other_types_stay_float32, precision_is_the_tapes,
          steps_allocate_nothing_and_any_allocation_may_fail)
