#include <math.h>
#include <string.h>
#include <tread/gradcheck.h>
#include <tread/ops.h>

#include "core/memory.h"
#include "tests/test.h"

static tread_tensor *leaf(tread_dtype dtype, int64_t n) {
    tread_tensor *x = tread_tensor_create(dtype, 1, &n);
    for (int64_t i = 0; dtype == TREAD_FLOAT64 && i < n; i++)
        ((double *)tread_tensor_data(x))[i] = 0.5 + 0.25 * (double)i;
    ck_assert_ok(tread_tensor_set_requires_grad(x, true));
    return x;
}

static tread_tensor *product(void *data, tread_tape *tape, tread_tensor *const *inputs) {
    (void)data;
    return tread_mul(tape, inputs[0], tread_exp(tape, inputs[1]));
}
/* x^2 by value, but backward sees one of the factors only. */
static tread_tensor *half_detached(void *data, tread_tape *tape, tread_tensor *const *inputs) {
    (void)data;
    return tread_mul(tape, inputs[0], tread_detach(tape, inputs[0]));
}
static tread_tensor *dropped(void *data, tread_tape *tape, tread_tensor *const *inputs) {
    (void)data;
    return tread_square(tape, tread_dropout(tape, inputs[0], 0.5));
}
static tread_tensor *aliased(void *data, tread_tape *tape, tread_tensor *const *inputs) {
    (void)data;
    return tread_reshape(tape, inputs[0], 2, (int64_t[]){1, -1});
}
static tread_tensor *failing(void *data, tread_tape *tape, tread_tensor *const *inputs) {
    (void)data;
    return tread_sum_axis(tape, inputs[0], 3, false);
}
static tread_tensor *nothing(void *data, tread_tape *tape, tread_tensor *const *inputs) {
    (void)data, (void)tape, (void)inputs;
    return NULL;
}

START_TEST(right_gradients_pass) {
    tread_tensor *x = leaf(TREAD_FLOAT64, 5), *z = leaf(TREAD_FLOAT64, 5);
    tread_gradcheck_result result;
    ck_assert_ok(tread_gradcheck(NULL, product, NULL, (tread_tensor *[]){x, z}, 2, NULL, &result));
    ck_assert(result.passed);
    ck_assert_int_ge(result.input, 0);
    ck_assert_ok(tread_gradcheck(NULL, dropped, NULL, &x, 1, NULL, &result));
    ck_assert(result.passed);
    ck_assert_ok(tread_gradcheck(NULL, aliased, NULL, &x, 1, NULL, &result));
    ck_assert(result.passed);
    tread_tensor_destroy(x), tread_tensor_destroy(z);
}
END_TEST

START_TEST(a_wrong_gradient_is_found) {
    tread_tensor *x = leaf(TREAD_FLOAT64, 5);
    tread_gradcheck_result result;
    ck_assert_ok(tread_gradcheck(NULL, half_detached, NULL, &x, 1, NULL, &result));
    ck_assert(!result.passed);
    ck_assert_int_eq(result.input, 0);
    ck_assert_msg(result.error > 0.2, "%g", result.error);
    /* d(x^2) is 2 x; what was found is x; weights are the same. */
    ck_assert_msg(fabs(result.numeric / result.analytic - 2) < 1e-6, "%g %g", result.analytic, result.numeric);
    /* Wide enough a tolerance lets it pass. */
    tread_gradcheck_options options = tread_gradcheck_defaults();
    options.rtol = 0.51;
    ck_assert_ok(tread_gradcheck(NULL, half_detached, NULL, &x, 1, &options, &result));
    ck_assert(result.passed);
    tread_tensor_destroy(x);
}
END_TEST

START_TEST(inputs_are_as_before) {
    tread_tensor *x = leaf(TREAD_FLOAT64, 3), *z = leaf(TREAD_FLOAT64, 3), *grad = leaf(TREAD_FLOAT64, 3);
    ck_assert_ok(tread_tensor_set_grad(x, grad));
    double before[3];
    memcpy(before, tread_tensor_data(x), sizeof before);
    bool enabled = tread_set_grad_enabled(false);
    ck_assert_ok(tread_gradcheck(NULL, product, NULL, (tread_tensor *[]){x, z}, 2, NULL, NULL));
    ck_assert(!tread_grad_enabled());
    tread_set_grad_enabled(enabled);
    ck_assert_mem_eq(tread_tensor_data(x), before, sizeof before);
    ck_assert_mem_eq(tread_tensor_data(tread_tensor_grad(x)), tread_tensor_data(grad), sizeof before);
    ck_assert_ptr_null(tread_tensor_grad(z));
    tread_tensor_destroy(x), tread_tensor_destroy(z), tread_tensor_destroy(grad);
}
END_TEST

START_TEST(what_is_refused_says_so) {
    tread_tensor *x = leaf(TREAD_FLOAT64, 3), *f = leaf(TREAD_FLOAT32, 3), *constant = leaf(TREAD_FLOAT64, 3);
    ck_assert_ok(tread_tensor_set_requires_grad(constant, false));
    tread_tensor *none = NULL;
    tread_gradcheck_options o = tread_gradcheck_defaults();
    tread_gradcheck_result result = {.input = 77};
    ck_assert_fails(tread_gradcheck(NULL, NULL, NULL, &x, 1, NULL, &result), TREAD_ERROR_ARGUMENT,
                    "gradcheck: no function");
    ck_assert_fails(tread_gradcheck(NULL, aliased, NULL, NULL, 1, NULL, &result), TREAD_ERROR_ARGUMENT,
                    "gradcheck: no inputs");
    ck_assert_fails(tread_gradcheck(NULL, aliased, NULL, &none, 1, NULL, &result), TREAD_ERROR_ARGUMENT,
                    "input 0 is NULL");
    ck_assert_fails(tread_gradcheck(NULL, aliased, NULL, &f, 1, NULL, &result), TREAD_ERROR_DTYPE,
                    "input 0 is float32");
    ck_assert_fails(tread_gradcheck(NULL, aliased, NULL, &constant, 1, NULL, &result), TREAD_ERROR_ARGUMENT,
                    "no input requires");
    ck_assert_fails(tread_gradcheck(NULL, failing, NULL, &x, 1, NULL, &result), TREAD_ERROR_ARGUMENT,
                    "sum_axis: axis 3");
    ck_assert_fails(tread_gradcheck(NULL, nothing, NULL, &x, 1, NULL, &result), TREAD_ERROR_ARGUMENT, "returned NULL");
    o.eps = 0;
    ck_assert_fails(tread_gradcheck(NULL, aliased, NULL, &x, 1, &o, &result), TREAD_ERROR_ARGUMENT,
                    "gradcheck: eps = 0");
    o = tread_gradcheck_defaults();
    o.rtol = (double)NAN;
    ck_assert_fails(tread_gradcheck(NULL, aliased, NULL, &x, 1, &o, &result), TREAD_ERROR_ARGUMENT, "rtol = ");
    ck_assert_int_eq(result.input, 77);
    tread_tensor_destroy(x), tread_tensor_destroy(f), tread_tensor_destroy(constant);
}
END_TEST

START_TEST(every_failing_allocation_is_survived) {
    tread_gradcheck_result result;
    const uint64_t live = tread_memory_live_blocks();
    bool failed = true;
    for (uint64_t k = 1; failed; k++) {
        tread_tensor *x = leaf(TREAD_FLOAT64, 3), *z = leaf(TREAD_FLOAT64, 3);
        ck_assert_ok(tread_tensor_set_grad(x, z));
        tread_memory_fail_at(k);
        tread_status status = tread_gradcheck(NULL, product, NULL, (tread_tensor *[]){x, z}, 2, NULL, &result);
        failed = tread_memory_failed();
        tread_memory_fail_at(0);
        ck_assert_int_eq(status, failed ? TREAD_ERROR_MEMORY : TREAD_OK);
        ck_assert_mem_eq(tread_tensor_data(tread_tensor_grad(x)), tread_tensor_data(z), 24);
        ck_assert_ptr_null(tread_tensor_grad(z));
        tread_tensor_destroy(x), tread_tensor_destroy(z);
        ck_assert_uint_eq(tread_memory_live_blocks(), live);
    }
}
END_TEST

TEST_MAIN("gradcheck", right_gradients_pass, a_wrong_gradient_is_found, inputs_are_as_before, what_is_refused_says_so,
          every_failing_allocation_is_survived)
