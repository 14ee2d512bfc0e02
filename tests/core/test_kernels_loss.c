#include "core/kernels_loss.h"

#include "core/kernels_dropout.h"
#include "tests/core/kernel_fixture.h"

static const int64_t counts[] = {1, 7, 16, 1003, 4096, 70001};
static const double delta = 0.5;

static long double value_of(tread_loss_kind kind, long double x, long double t) {
    const long double d = fabsl(x - t);
    switch (kind) {
    case TREAD_LOSS_MSE: return d * d;
    case TREAD_LOSS_L1: return d;
    case TREAD_LOSS_HUBER: return d <= delta ? d * d / 2 : delta * (d - delta / 2);
    default: return fmaxl(x, 0) - x * t + log1pl(expl(-fabsl(x)));
    }
}

static long double derivative_of(tread_loss_kind kind, long double x, long double t, bool of_target) {
    const long double d = x - t, sign = of_target ? -1 : 1;
    switch (kind) {
    case TREAD_LOSS_MSE: return sign * 2 * d;
    case TREAD_LOSS_L1: return sign * (d > 0 ? 1 : d < 0 ? -1 : 0);
    case TREAD_LOSS_HUBER: return sign * (fabsl(d) <= delta ? d : d > 0 ? delta : -delta);
    default: return of_target ? -x : (x >= 0 ? 1 / (1 + expl(-x)) : expl(x) / (1 + expl(x))) - t;
    }
}

/* d has one rounding, which makes at most 2 u of d^2 and of Huber's loss (its slope times d is at most twice it); then
 * 6 roundings in double, and the sum's: n / 16 in lanes and 16 more. bce: 3 roundings in double of |x| + |x t|;
 * log(1 + exp(-|x|)) <= 0.7 has 1.6 ulp, and exp's 1.1 ulp before it (an ulp is at most 2 u). */
START_TEST(sums_match_the_formula) {
    for (size_t c = 0; c < sizeof counts / sizeof *counts; c++)
        for (int mode = 0; mode < 2 * TREAD_LOSS_COUNT; mode++) {
            const tread_loss_kind kind = (tread_loss_kind)(mode / 2);
            const int64_t n = counts[c];
            array x = array_random((tread_dtype)(mode % 2), n, 1, -3, 3), t = array_random(x.dtype, n, 2, -1, 1);
            const double u = roundoff(x.dtype), in_double = ((double)n / 16 + 22) * 0x1p-53;
            long double sum = 0, bound = 0;
            for (int64_t i = 0; i < n; i++) {
                const long double value = value_of(kind, array_get(x, i), array_get(t, i)),
                                  size = fabs(array_get(x, i));
                sum += value;
                bound += kind == TREAD_LOSS_BCE ? u * 0.7 * 5.4 + 0x1p-53L * 3 * size * (1 + fabs(array_get(t, i)))
                                                : 2 * u * value;
                bound += in_double * value;
            }
            check_near(tread_kernel_loss(NULL, kind, x.dtype, n, x.data, t.data, delta), sum, 1.01L * bound, "sum",
                       kind);
            free(x.data), free(t.data);
        }
}
END_TEST

/* One rounding each for d, the factor, the product and the accumulation; bce: sigmoid has 2.5 ulp = 5 u, and the
 * difference's rounding is of at most 2. */
START_TEST(derivatives_match_the_formula) {
    for (int mode = 0; mode < 8 * TREAD_LOSS_COUNT; mode++) {
        const tread_loss_kind kind = (tread_loss_kind)(mode / 8);
        const bool of_target = mode & 2, accumulate = mode & 4;
        const int64_t n = 1003;
        array x = array_random((tread_dtype)(mode & 1), n, 1, -3, 3), t = array_random(x.dtype, n, 2, -1, 1);
        array grad = array_random(x.dtype, n, 3, -1, 1), before = array_random(x.dtype, n, 3, -1, 1);
        array_set(x, 5, array_get(t, 5));
        const double u = roundoff(x.dtype), factor = 1.0 / 3;
        tread_kernel_loss_backward(NULL, kind, x.dtype, n, x.data, t.data, delta, factor, of_target, grad.data,
                                   accumulate);
        for (int64_t i = 0; i < n; i++) {
            long double expected = factor * derivative_of(kind, array_get(x, i), array_get(t, i), of_target);
            long double bound = u * (3 * fabsl(expected) + (kind == TREAD_LOSS_BCE ? factor * (5 + 2) : 0));
            if (accumulate) {
                expected += array_get(before, i);
                bound += u * fabsl(expected);
            }
            check_near(array_get(grad, i), expected, 1.01L * bound, "grad", i);
        }
        free(x.data), free(t.data), free(grad.data), free(before.data);
    }
}
END_TEST

/* PyTorch's answers: NaN passes, infinite differences too, and bce's huge scores do not overflow. */
START_TEST(extreme_values) {
    const double huge = 1e4;
    for (int dtype = 0; dtype < 2; dtype++) {
        array x = array_create((tread_dtype)dtype, 1), t = array_create((tread_dtype)dtype, 1);
        for (int kind = 0; kind < TREAD_LOSS_COUNT; kind++) {
            array_set(x, 0, NAN);
            ck_assert(isnan(tread_kernel_loss(NULL, (tread_loss_kind)kind, x.dtype, 1, x.data, t.data, delta)));
            array_set(x, 0, INFINITY);
            ck_assert(isinf(tread_kernel_loss(NULL, (tread_loss_kind)kind, x.dtype, 1, x.data, t.data, delta)) ||
                      kind == TREAD_LOSS_BCE);
        }
        array_set(x, 0, huge);
        ck_assert_double_eq(tread_kernel_loss(NULL, TREAD_LOSS_BCE, x.dtype, 1, x.data, t.data, 0), huge);
        array_set(t, 0, 1);
        ck_assert_double_eq(tread_kernel_loss(NULL, TREAD_LOSS_BCE, x.dtype, 1, x.data, t.data, 0), 0);
        array_set(x, 0, -huge);
        ck_assert_double_eq(tread_kernel_loss(NULL, TREAD_LOSS_BCE, x.dtype, 1, x.data, t.data, 0), huge);
        free(x.data), free(t.data);
    }
}
END_TEST

START_TEST(kept_elements_are_scaled) {
    for (int mode = 0; mode < 4; mode++) {
        array x = array_random((tread_dtype)(mode & 1), 1003, 1, -1, 1), y = array_random(x.dtype, 1003, 2, -1, 1);
        array before = array_random(x.dtype, 1003, 2, -1, 1), unit = array_create(x.dtype, 1);
        uint8_t keep[1003];
        for (int i = 0; i < 1003; i++)
            keep[i] = i % 3 != 0;
        array_set(x, 3, NAN); /* dropped */
        tread_kernel_keep(NULL, x.dtype, 1003, x.data, keep, 2, y.data, mode & 2);
        for (int i = 0; i < 1003; i++) {
            array_set(unit, 0, (mode & 2 ? array_get(before, i) : 0) + (keep[i] ? 2 * array_get(x, i) : 0));
            ck_assert_double_eq(array_get(y, i), array_get(unit, 0));
        }
        free(x.data), free(y.data), free(before.data), free(unit.data);
    }
}
END_TEST

START_TEST(bits_depend_on_neither_threads_nor_instructions) {
    const int64_t n = 100003;
    uint8_t *keep = calloc((size_t)n, 1);
    for (int64_t i = 0; i < n; i++)
        keep[i] = i % 7 < 4;
    for (int mode = 0; mode < 2 * TREAD_LOSS_COUNT; mode++) {
        const tread_loss_kind kind = (tread_loss_kind)(mode / 2);
        array x = array_random((tread_dtype)(mode % 2), n, 1, -3, 3), t = array_random(x.dtype, n, 2, -1, 1), grad[2],
              y[2];
        double sum[2];
        for (int run = 0; run < KERNEL_RUNS; run++) {
            const int side = run > 0;
            tread_context *context = kernel_run_context(run);
            tread_isa isa = tread_isa_use(kernel_run_isa(run));
            grad[side] = array_create(x.dtype, n);
            y[side] = array_create(x.dtype, n);
            sum[side] = tread_kernel_loss(context, kind, x.dtype, n, x.data, t.data, delta);
            tread_kernel_loss_backward(context, kind, x.dtype, n, x.data, t.data, delta, 0.1, false, grad[side].data,
                                       false);
            tread_kernel_keep(context, x.dtype, n, x.data, keep, 1.7, y[side].data, false);
            tread_isa_use(isa);
            tread_context_destroy(context);
            if (run > 0) {
                ck_assert_msg(memcmp(&sum[0], &sum[1], sizeof *sum) == 0 && array_same_bits(grad[0], grad[1]) &&
                                  array_same_bits(y[0], y[1]),
                              "mode %d, run %d", mode, run);
                free(grad[1].data), free(y[1].data);
            }
        }
        free(x.data), free(t.data), free(grad[0].data), free(y[0].data);
    }
    free(keep);
}
END_TEST

TEST_MAIN("kernels_loss", sums_match_the_formula, derivatives_match_the_formula, extreme_values,
          kept_elements_are_scaled, bits_depend_on_neither_threads_nor_instructions)
