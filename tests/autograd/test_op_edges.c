#include <math.h>
#include <string.h>
#include <tread/ops.h>

#include "tests/test.h"

/* What random cases do not meet: kinks, ties, NaN, infinities, other types, one tensor in both places. */

static tread_tape *tape;

static tread_tensor *vector(int64_t n, const float *values) {
    tread_tensor *x = tread_tensor_create(TREAD_FLOAT32, 1, &n);
    memcpy(tread_tensor_data(x), values, sizeof *values * (size_t)n);
    ck_assert_ok(tread_tensor_set_requires_grad(x, true));
    return x;
}

/* Values of y and of x's gradient under a gradient of ones. NaN equals NaN. */
static void expect(tread_tensor *y, tread_tensor *x, const float *values, const float *grads) {
    ck_assert_msg(y != NULL, "%s", tread_tape_error(tape));
    ck_assert_ok(tread_backward(tape, tread_sum(tape, y)));
    const float *got = tread_tensor_float(y), *grad = tread_tensor_float(tread_tensor_grad(x));
    for (int64_t i = 0; i < tread_tensor_count(y); i++)
        ck_assert_msg(got[i] == values[i] || (isnan(got[i]) && isnan(values[i])), "element %d: %g, not %g", (int)i,
                      (double)got[i], (double)values[i]);
    for (int64_t i = 0; grads != NULL && i < tread_tensor_count(x); i++)
        ck_assert_msg(grad[i] == grads[i], "gradient %d: %g, not %g", (int)i, (double)grad[i], (double)grads[i]);
    tread_tensor_destroy(x);
    tread_tape_reset(tape);
}

START_TEST(kinks_have_the_promised_gradients) {
    tape = tread_tape_create(NULL);
    const float x[] = {-1, -0.0F, 0, 1, 2};
    tread_tensor *v = vector(5, x);
    expect(tread_abs(tape, v), v, (float[]){1, 0, 0, 1, 2}, (float[]){-1, 0, 0, 1, 1});
    v = vector(5, x);
    expect(tread_relu(tape, v), v, (float[]){0, 0, 0, 1, 2}, (float[]){0, 0, 0, 1, 1});
    v = vector(5, x);
    expect(tread_leaky_relu(tape, v, 0.5), v, (float[]){-0.5F, 0, 0, 1, 2}, (float[]){0.5F, 1, 1, 1, 1});
    v = vector(5, x);
    expect(tread_clamp(tape, v, 0, 1), v, (float[]){0, 0, 0, 1, 1}, (float[]){0, 1, 1, 1, 0});
    v = vector(5, x);
    expect(tread_clamp(tape, v, 1, 1), v, (float[]){1, 1, 1, 1, 1}, (float[]){0, 0, 0, 1, 0});
    tread_tape_destroy(tape);
}
END_TEST

START_TEST(max_takes_the_first_of_equals) {
    tape = tread_tape_create(NULL);
    const float x[] = {1, 3, 3, 2, 3};
    tread_tensor *v = vector(5, x);
    expect(tread_max_axis(tape, v, 0, false), v, (float[]){3}, (float[]){0, 1, 0, 0, 0});
    const float with_nan[] = {1, NAN, 9, NAN};
    v = vector(4, with_nan);
    expect(tread_max_axis(tape, v, 0, true), v, (float[]){NAN}, (float[]){0, 1, 0, 0});
    const float endless[] = {-INFINITY, -INFINITY};
    v = vector(2, endless);
    expect(tread_max_axis(tape, v, 0, true), v, (float[]){-INFINITY}, (float[]){1, 0});
    /* Two columns, and rows long enough for the vector loop with its tail. */
    float wide[40];
    for (int i = 0; i < 40; i++)
        wide[i] = (float)(i % 7);
    wide[3] = NAN;
    float expected[40] = {0};
    expected[3] = expected[6] = 1;
    v = vector(40, wide);
    expect(tread_max_axis(tape, tread_reshape(tape, v, 2, (int64_t[]){20, 2}), 0, false), v, (float[]){6, NAN},
           expected);
    v = vector(40, wide);
    memset(expected, 0, sizeof expected);
    expected[3] = expected[20] = 1;
    expect(tread_max_axis(tape, tread_reshape(tape, v, 2, (int64_t[]){2, 20}), 1, false), v, (float[]){NAN, 6},
           expected);
    tread_tape_destroy(tape);
}
END_TEST

START_TEST(nan_and_infinity_pass) {
    tape = tread_tape_create(NULL);
    const float x[] = {NAN, INFINITY, -INFINITY};
    const float keeps[] = {NAN, INFINITY, -INFINITY};
    tread_tensor *v = vector(3, x);
    expect(tread_relu(tape, v), v, (float[]){NAN, INFINITY, 0}, NULL);
    v = vector(3, x);
    expect(tread_clamp(tape, v, -1, 1), v, (float[]){NAN, 1, -1}, NULL);
    v = vector(3, x);
    expect(tread_leaky_relu(tape, v, 1), v, keeps, NULL);
    v = vector(3, x);
    expect(tread_exp(tape, v), v, (float[]){NAN, INFINITY, 0}, NULL);
    v = vector(3, x);
    expect(tread_log(tape, v), v, (float[]){NAN, INFINITY, NAN}, NULL);
    v = vector(3, x);
    expect(tread_tanh(tape, v), v, (float[]){NAN, 1, -1}, NULL);
    v = vector(3, x);
    expect(tread_sigmoid(tape, v), v, (float[]){NAN, 1, 0}, NULL);
    v = vector(2, (float[]){0, -1});
    expect(tread_log(tape, v), v, (float[]){-INFINITY, NAN}, NULL);
    /* Far out, values and gradients of the smooth ones stay finite. */
    const float far[] = {-3e38F, -1e4F, -90, 90, 1e4F, 3e38F};
    v = vector(6, far);
    expect(tread_gelu(tape, v), v, (float[]){0, 0, 0, 90, 1e4F, 3e38F}, (float[]){0, 0, 0, 1, 1, 1});
    v = vector(4, (float[]){-3e38F, -1e4F, 1e4F, 3e38F});
    expect(tread_silu(tape, v), v, (float[]){0, 0, 1e4F, 3e38F}, (float[]){0, 0, 1, 1});
    tread_tape_destroy(tape);
}
END_TEST

START_TEST(one_tensor_in_both_places) {
    tape = tread_tape_create(NULL);
    const float x[] = {1, 2, 4};
    tread_tensor *v = vector(3, x);
    expect(tread_mul(tape, v, v), v, (float[]){1, 4, 16}, (float[]){2, 4, 8});
    v = vector(3, x);
    expect(tread_sub(tape, v, v), v, (float[]){0, 0, 0}, (float[]){0, 0, 0});
    v = vector(3, x);
    expect(tread_div(tape, v, v), v, (float[]){1, 1, 1}, (float[]){0, 0, 0});
    v = vector(3, x);
    expect(tread_concat(tape, (tread_tensor *[]){v, v}, 2, 0), v, (float[]){1, 2, 4, 1, 2, 4}, (float[]){2, 2, 2});
    v = vector(3, x); /* (1, 3) + (3, 1): its gradient is summed along each axis */
    tread_tensor *row = tread_reshape(tape, v, 2, (int64_t[]){1, 3}), *column = tread_transpose(tape, row, 0, 1);
    expect(tread_add(tape, row, column), v, (float[]){2, 3, 5, 3, 4, 6, 5, 6, 8}, (float[]){6, 6, 6});
    v = vector(4, (float[]){1, 2, 3, 4});
    row = tread_reshape(tape, v, 2, (int64_t[]){2, 2});
    expect(tread_matmul(tape, row, row), v, (float[]){7, 10, 15, 22}, (float[]){7, 11, 9, 13});
    tread_tape_destroy(tape);
}
END_TEST

START_TEST(integers_are_moved_too) {
    tape = tread_tape_create(NULL);
    uint8_t bytes[] = {1, 2, 3, 4, 5, 250};
    int32_t words[] = {1, 2, 3, 4, 5, -2147483647};
    tread_tensor *b = tread_tensor_wrap(TREAD_UINT8, 2, (int64_t[]){2, 3}, bytes);
    tread_tensor *w = tread_tensor_wrap(TREAD_INT32, 2, (int64_t[]){2, 3}, words);
    tread_tensor *y = tread_transpose(tape, b, 0, 1);
    ck_assert_mem_eq(tread_tensor_data(y), ((uint8_t[]){1, 4, 2, 5, 3, 250}), 6);
    y = tread_concat(tape, (tread_tensor *[]){b, b}, 2, 1);
    ck_assert_mem_eq(tread_tensor_data(y), ((uint8_t[]){1, 2, 3, 1, 2, 3, 4, 5, 250, 4, 5, 250}), 12);
    y = tread_slice(tape, tread_transpose(tape, w, 0, 1), 0, 1, 3);
    ck_assert_int_eq(tread_tensor_dtype(y), TREAD_INT32);
    ck_assert_mem_eq(tread_tensor_data(y), ((int32_t[]){2, 5, 3, -2147483647}), 16);
    y = tread_reshape(tape, w, 1, (int64_t[]){-1});
    ck_assert_ptr_eq(tread_tensor_data(y), words);
    ck_assert(!tread_tensor_requires_grad(y));
    ck_assert_int_eq(tread_tape_status(tape), TREAD_OK);
    tread_tensor_destroy(b), tread_tensor_destroy(w);
    tread_tape_destroy(tape);
}
END_TEST

/* 1/3 summed 300001 times: float32 sums end far off, sums in double are right to the last place. */
START_TEST(sums_run_in_double) {
    tape = tread_tape_create(NULL);
    const int64_t n = 300001;
    tread_tensor *x = tread_tensor_create(TREAD_FLOAT32, 1, &n);
    ck_assert_ok(tread_tensor_fill(x, 1.0 / 3));
    double sum;
    ck_assert_ok(tread_tensor_item(tread_sum(tape, x), &sum));
    ck_assert(sum == (double)(float)((double)n * (double)(float)(1.0 / 3)));
    ck_assert_ok(tread_tensor_item(tread_mean(tape, x), &sum));
    ck_assert(sum == (double)(float)(1.0 / 3));
    tread_tensor_destroy(x);
    tread_tape_destroy(tape);
}
END_TEST

static tread_tensor *activate(tread_tensor *z, int activation) {
    switch ((tread_activation)activation) {
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

static tread_tensor *wavy(tread_dtype dtype, int64_t rows, int64_t columns) {
    tread_tensor *x = tread_tensor_create(dtype, 2, (int64_t[]){rows, columns});
    for (int64_t i = 0; i < rows * columns; i++)
        if (dtype == TREAD_FLOAT32)
            ((float *)tread_tensor_data(x))[i] = (float)sin((double)(i * i % 1009));
        else
            ((double *)tread_tensor_data(x))[i] = sin((double)(i * i % 1009));
    return x;
}

/* y of x (11, 6) and w (37, 6), and their gradients: in one operation or two; without gradients y alone. */
static void run_layer(tread_dtype dtype, int activation, bool fused, bool learns, tread_tensor *results[3]) {
    tread_tensor *x = wavy(dtype, 11, 6), *w = wavy(dtype, 37, 6), *dy = wavy(dtype, 11, 37);
    ck_assert_ok(tread_tensor_set_requires_grad(x, learns));
    ck_assert_ok(tread_tensor_set_requires_grad(w, learns));
    tread_tensor *y = tread_linear(tape, x, w, NULL, fused ? (tread_activation)activation : TREAD_ACTIVATION_NONE);
    if (!fused)
        y = activate(y, activation);
    ck_assert_msg(y != NULL, "%s", tread_tape_error(tape));
    if (learns)
        ck_assert_ok(tread_backward_from(tape, y, dy));
    const tread_tensor *const found[] = {y, learns ? tread_tensor_grad(x) : x, learns ? tread_tensor_grad(w) : w};
    for (int i = 0; i < 3; i++) {
        results[i] = wavy(dtype, tread_tensor_shape(found[i])[0], tread_tensor_shape(found[i])[1]);
        ck_assert_ok(tread_tensor_copy(results[i], found[i]));
    }
    tread_tensor *const made[] = {x, w, dy};
    for (int i = 0; i < 3; i++)
        tread_tensor_destroy(made[i]);
    tread_tape_reset(tape);
}

START_TEST(a_layer_has_the_bits_of_its_two_halves) {
    tape = tread_tape_create(NULL);
    for (int activation = 0; activation < TREAD_ACTIVATION_COUNT; activation++)
        for (int i = 0; i < 4; i++) {
            tread_dtype dtype = i % 2 == 0 ? TREAD_FLOAT32 : TREAD_FLOAT64;
            tread_tensor *one[3], *two[3];
            run_layer(dtype, activation, true, i / 2, one);
            run_layer(dtype, activation, false, i / 2, two);
            for (int k = 0; k < 3; k++) {
                size_t bytes = (size_t)tread_tensor_count(one[k]) * (i % 2 == 0 ? sizeof(float) : sizeof(double));
                ck_assert_msg(memcmp(tread_tensor_data(one[k]), tread_tensor_data(two[k]), bytes) == 0,
                              "activation %d, float%d, learns %d: result %d", activation, i % 2 == 0 ? 32 : 64, i / 2,
                              k);
                tread_tensor_destroy(one[k]);
                tread_tensor_destroy(two[k]);
            }
        }
    tread_tape_destroy(tape);
}
END_TEST

TEST_MAIN("op_edges", kinks_have_the_promised_gradients, max_takes_the_first_of_equals, nan_and_infinity_pass,
          one_tensor_in_both_places, integers_are_moved_too, sums_run_in_double, a_layer_has_the_bits_of_its_two_halves)
