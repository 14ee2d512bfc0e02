/* Initializers: their distributions, equal bits at every thread count, orthogonality, and what they refuse. */
#include <math.h>
#include <string.h>
#include <tread/init.h>

#include "core/isa.h"
#include "core/memory.h"
#include "tests/test.h"

static tread_tensor *tensor(tread_dtype dtype, int64_t rows, int64_t columns) {
    tread_tensor *x = tread_tensor_create(dtype, 2, (int64_t[]){rows, columns});
    ck_assert_msg(x != NULL, "%s", tread_last_error());
    return x;
}

typedef struct moments {
    double mean, variance, least, largest;
} moments;

static moments moments_of(const tread_tensor *x) {
    moments m = {.least = INFINITY, .largest = -INFINITY};
    double n = (double)tread_tensor_count(x), sum = 0, square = 0;
    for (int64_t i = 0; i < tread_tensor_count(x); i++) {
        double v =
            tread_tensor_dtype(x) == TREAD_FLOAT32 ? tread_tensor_float(x)[i] : ((double *)tread_tensor_data(x))[i];
        sum += v;
        square += v * v;
        m.least = fmin(m.least, v);
        m.largest = fmax(m.largest, v);
    }
    m.mean = sum / n;
    m.variance = square / n - m.mean * m.mean;
    return m;
}

/* The sample mean of n draws has deviation sd/sqrt(n), the sample variance of draws with kurtosis k (9/5 uniform, 3
 * normal; a truncated normal has less than 3) variance * sqrt((k - 1)/n). Five of these are exceeded once in 1.7
 * million, and since the seeds are fixed, always or never. Rounding to float32 moves both by less than 1e-7 relative,
 * far less. */
static void check_moments(const char *what, const tread_tensor *x, double mean, double variance, double kurtosis) {
    moments m = moments_of(x);
    double n = (double)tread_tensor_count(x);
    ck_assert_msg(fabs(m.mean - mean) <= 5 * sqrt(variance / n), "%s: mean %g, not %g", what, m.mean, mean);
    ck_assert_msg(fabs(m.variance - variance) <= 5 * variance * sqrt((kurtosis - 1) / n), "%s: variance %g, not %g",
                  what, m.variance, variance);
}

/* (200, 500): fan_in 500, fan_out 200. */
START_TEST(test_distributions) {
    for (int type = 0; type < 2; type++) {
        tread_tensor *x = tensor(type == 0 ? TREAD_FLOAT32 : TREAD_FLOAT64, 200, 500);
        tread_rng rng = tread_rng_create(1, 2);
        ck_assert_ok(tread_init_uniform(NULL, x, &rng, -1, 3));
        check_moments("uniform", x, 1, 16.0 / 12, 1.8);
        ck_assert_double_ge(moments_of(x).least, -1);
        ck_assert_double_le(moments_of(x).largest, 3);
        ck_assert_ok(tread_init_normal(NULL, x, &rng, 2, 0.5));
        check_moments("normal", x, 2, 0.25, 3);
        ck_assert_ok(tread_init_xavier_uniform(NULL, x, &rng, 2));
        check_moments("xavier_uniform", x, 0, 4 * 2.0 / 700, 1.8);
        ck_assert_double_le(moments_of(x).largest, 2 * sqrt(6.0 / 700) * (1 + 0x1p-24)); /* rounded to float32 */
        ck_assert_ok(tread_init_xavier_normal(NULL, x, &rng, 1));
        check_moments("xavier_normal", x, 0, 2.0 / 700, 3);
        ck_assert_ok(tread_init_kaiming_uniform(NULL, x, &rng, TREAD_FAN_IN, sqrt(2)));
        check_moments("kaiming_uniform in", x, 0, 2.0 / 500, 1.8);
        ck_assert_ok(tread_init_kaiming_uniform(NULL, x, &rng, TREAD_FAN_OUT, sqrt(2)));
        check_moments("kaiming_uniform out", x, 0, 2.0 / 200, 1.8);
        ck_assert_ok(tread_init_kaiming_normal(NULL, x, &rng, TREAD_FAN_IN, 1));
        check_moments("kaiming_normal in", x, 0, 1.0 / 500, 3);
        ck_assert_ok(tread_init_kaiming_normal(NULL, x, &rng, TREAD_FAN_OUT, 3));
        check_moments("kaiming_normal out", x, 0, 9.0 / 200, 3);
        ck_assert_uint_eq(rng.next, 100000 * (1 + 2 + 1 + 2 + 1 + 1 + 2 + 2));
        tread_tensor_destroy(x);
    }
}
END_TEST

static double density(double z) { return exp(-0.5 * z * z) / sqrt(2 * acos(-1)); }

/* Mirrored bounds give mirrored draws, so the upper tail is as exact as the lower. (Where both ends are as far out
 * neither is turned round.) */
static void check_mirrored(double a, double b) {
    tread_tensor *x = tensor(TREAD_FLOAT64, 10, 10), *y = tensor(TREAD_FLOAT64, 10, 10);
    tread_rng left = tread_rng_create(3, 4), right = left;
    ck_assert_ok(tread_init_truncated_normal(NULL, x, &left, 0, 1, a, b));
    ck_assert_ok(tread_init_truncated_normal(NULL, y, &right, 0, 1, -b, -a));
    for (int i = 0; i < 100 && a + b != 0; i++) {
        double p = ((double *)tread_tensor_data(x))[i], q = ((double *)tread_tensor_data(y))[i];
        if (p != -q)
            ck_abort_msg("[%g, %g]: element %d: %.17g and %.17g", a, b, i, p, q);
    }
    tread_tensor_destroy(x);
    tread_tensor_destroy(y);
}

/* Mean and variance of a normal within [a, b] deviations: Johnson, Kotz and Balakrishnan 1994, section 13.10.1. */
START_TEST(test_truncated_normal) {
    static const double intervals[][2] = {{-2, 2},   {-1, 3},    {0.5, 0.75}, {3, 8},   {-9, -4},
                                          {-30, 30}, {-0.1, 30}, {6, 40},     {-40, -7}};
    tread_tensor *x = tensor(TREAD_FLOAT64, 200, 500), *y = tensor(TREAD_FLOAT32, 200, 500);
    for (size_t k = 0; k < sizeof intervals / sizeof *intervals; k++) {
        double a = intervals[k][0], b = intervals[k][1], mean = 10, std = 0.3;
        /* P(a < z < b), from the tails on the side where they are small. */
        double z =
            a > 0 ? 0.5 * (erfc(a / sqrt(2)) - erfc(b / sqrt(2))) : 0.5 * (erfc(-b / sqrt(2)) - erfc(-a / sqrt(2)));
        double shift = (density(a) - density(b)) / fabs(z);
        double variance = 1 + (a * density(a) - b * density(b)) / fabs(z) - shift * shift;
        tread_rng rng = tread_rng_create(3, k), again = rng;
        ck_assert_ok(tread_init_truncated_normal(NULL, x, &rng, mean, std, mean + a * std, mean + b * std));
        check_moments("truncated_normal", x, mean + std * shift, std * std * variance,
                      k == 3 || k >= 7 ? 9 : 3); /* tails: nearly exponential */
        ck_assert_double_ge(moments_of(x).least, mean + a * std);
        ck_assert_double_le(moments_of(x).largest, mean + b * std);
        ck_assert_ok(tread_init_truncated_normal(NULL, y, &again, mean, std, mean + a * std, mean + b * std));
        int different = 0;
        for (int64_t i = 0; i < tread_tensor_count(x); i++)
            different += tread_tensor_float(y)[i] != (float)((double *)tread_tensor_data(x))[i];
        ck_assert_int_eq(different, 0);
        check_mirrored(a, b);
    }
    /* Bounds far apart change nothing: a draw's distribution function is the uniform number it came from, to the
     * relative error of erfc and of two rounded sums, under 1e-12 of the smaller tail above 1e-3. */
    tread_rng rng = tread_rng_create(3, 100), same = rng;
    ck_assert_ok(tread_init_truncated_normal(NULL, x, &rng, 0, 1, -1e30, 1e30));
    for (int64_t i = 0; i < tread_tensor_count(x); i++) {
        double u = tread_rng_uniform(&same) + 0x1p-33, p = 0.5 * erfc(-((double *)tread_tensor_data(x))[i] / sqrt(2));
        if (u > 1e-3 && u < 1 - 1e-3 && fabs(p - u) > 1e-12)
            ck_abort_msg("element %d: P = %.17g, u = %.17g", (int)i, p, u);
    }
    tread_tensor_destroy(x);
    tread_tensor_destroy(y);
}
END_TEST

/* Rows (or columns) have products gain^2 on the diagonal and 0 elsewhere. In float64 twice-repeated Gram-Schmidt leaves
 * products of unit vectors within a small multiple of sqrt(n) eps; 100 n eps is ample. In float32 each element is
 * rounded by at most 2^-24 of itself, so a product of two vectors of length gain is off by at most 2 * 2^-24 gain^2. */
static void check_orthogonal(const tread_tensor *x, double gain) {
    int64_t m = tread_tensor_dim(x, 0), n = tread_tensor_count(x) / m;
    bool rows = m <= n, wide = tread_tensor_dtype(x) == TREAD_FLOAT64;
    int64_t count = rows ? m : n, length = rows ? n : m;
    double bound = gain * gain * (100 * (double)length * 0x1p-53 + (wide ? 0 : 0x1.1p-23));
    for (int64_t i = 0; i < count; i++)
        for (int64_t j = 0; j <= i; j++) {
            double product = 0;
            for (int64_t k = 0; k < length; k++) {
                int64_t a = rows ? i * n + k : k * n + i, b = rows ? j * n + k : k * n + j;
                product += wide ? ((double *)tread_tensor_data(x))[a] * ((double *)tread_tensor_data(x))[b]
                                : (double)tread_tensor_float(x)[a] * (double)tread_tensor_float(x)[b];
            }
            if (!(fabs(product - (i == j ? gain * gain : 0)) <= bound))
                ck_abort_msg("vectors %d and %d of (%d, %d): product %.17g", (int)i, (int)j, (int)m, (int)n, product);
        }
}

START_TEST(test_orthogonal) {
    static const int64_t shapes[][2] = {{1, 1}, {1, 9}, {9, 1}, {5, 5}, {31, 70}, {70, 31}, {128, 128}};
    for (size_t k = 0; k < sizeof shapes / sizeof *shapes; k++)
        for (int type = 0; type < 2; type++) {
            tread_tensor *x = tensor(type == 0 ? TREAD_FLOAT32 : TREAD_FLOAT64, shapes[k][0], shapes[k][1]);
            tread_rng rng = tread_rng_create(5, k);
            ck_assert_ok(tread_init_orthogonal(NULL, x, &rng, 1.5));
            check_orthogonal(x, 1.5);
            tread_tensor_destroy(x);
        }
    /* Axes behind the first are columns. */
    tread_tensor *x = tread_tensor_create(TREAD_FLOAT32, 4, (int64_t[]){6, 3, 2, 2});
    tread_rng rng = tread_rng_create(5, 6);
    ck_assert_ok(tread_init_orthogonal(NULL, x, &rng, 1));
    check_orthogonal(x, 1);
    tread_tensor_destroy(x);
    /* Evenly drawn: an entry of an orthonormal n x n matrix has mean 0 and variance 1/n, its fourth moment is 3/(n (n +
     * 2)); the entries of 400 matrices (not independent, but no more alike than that) are counted as one per matrix. */
    double sum = 0, n = 400;
    x = tensor(TREAD_FLOAT64, 4, 4);
    for (int k = 0; k < 400; k++) {
        ck_assert_ok(tread_init_orthogonal(NULL, x, &rng, 1));
        sum += ((double *)tread_tensor_data(x))[0];
    }
    ck_assert_double_le(fabs(sum / n), 5 * sqrt(0.25 / n));
    tread_tensor_destroy(x);
}
END_TEST

static tread_status fill(int which, tread_context *context, tread_tensor *x, tread_rng *rng) {
    switch (which) {
    case 0: return tread_init_uniform(context, x, rng, -1, 1);
    case 1: return tread_init_normal(context, x, rng, 0, 1);
    case 2: return tread_init_truncated_normal(context, x, rng, 0, 1, -2, 2);
    case 3: return tread_init_xavier_uniform(context, x, rng, 1);
    case 4: return tread_init_xavier_normal(context, x, rng, 1);
    case 5: return tread_init_kaiming_uniform(context, x, rng, TREAD_FAN_IN, 1);
    case 6: return tread_init_kaiming_normal(context, x, rng, TREAD_FAN_OUT, 1);
    default: return tread_init_orthogonal(context, x, rng, 1);
    }
}
#define N_FILLS 8

START_TEST(test_threads_and_instruction_sets_change_no_bit) {
    static const int threads[] = {1, 2, 3, 8};
    tread_isa best = tread_isa_chosen();
    for (int which = 0; which < N_FILLS; which++) {
        tread_tensor *first = tensor(TREAD_FLOAT32, 150, 201), *x = tensor(TREAD_FLOAT32, 150, 201);
        for (int t = 0; t < 4; t++)
            for (int isa = 0; isa <= (int)best; isa++) {
                tread_context_options o = tread_context_defaults();
                o.threads = threads[t];
                tread_context *context = tread_context_create(&o);
                ck_assert_msg(context != NULL, "%s", tread_last_error());
                tread_isa_use((tread_isa)isa);
                tread_rng rng = tread_rng_create(7, (uint64_t)which);
                ck_assert_ok(fill(which, context, t == 0 && isa == 0 ? first : x, &rng));
                if (t > 0 || isa > 0)
                    ck_assert_mem_eq(tread_tensor_data(first), tread_tensor_data(x), 150 * 201 * sizeof(float));
                tread_context_destroy(context);
            }
        tread_tensor_destroy(first);
        tread_tensor_destroy(x);
    }
    tread_isa_use(best);
}
END_TEST

START_TEST(test_constants_fans_and_gains) {
    tread_tensor *x = tread_tensor_create(TREAD_FLOAT32, 4, (int64_t[]){6, 3, 5, 2});
    int64_t in = 0, out = 0;
    ck_assert_ok(tread_init_fans(x, &in, &out));
    ck_assert_int_eq(in, 30);
    ck_assert_int_eq(out, 60);
    ck_assert_ok(tread_init_ones(x));
    ck_assert(tread_tensor_float(x)[179] == 1);
    ck_assert_ok(tread_init_constant(x, 0.25));
    ck_assert(tread_tensor_float(x)[0] == 0.25f);
    ck_assert_ok(tread_init_zeros(x));
    ck_assert(tread_tensor_float(x)[7] == 0);
    tread_tensor_destroy(x);
    ck_assert_double_eq(tread_init_gain(TREAD_ACTIVATION_NONE), 1);
    ck_assert_double_eq(tread_init_gain(TREAD_ACTIVATION_TANH), 5.0 / 3);
    ck_assert_double_eq(tread_init_gain(TREAD_ACTIVATION_RELU), sqrt(2));
    ck_assert_double_eq(tread_init_gain(TREAD_ACTIVATION_LEAKY_RELU), sqrt(2 / (1 + 1e-4)));
}
END_TEST

START_TEST(test_refused) {
    tread_tensor *x = tensor(TREAD_FLOAT32, 2, 3), *labels = tensor(TREAD_INT32, 2, 3);
    tread_tensor *vector = tread_tensor_create(TREAD_FLOAT32, 1, (int64_t[]){4});
    tread_rng rng = tread_rng_create(1, 1);
    ck_assert_fails(tread_init_zeros(NULL), TREAD_ERROR_ARGUMENT, "tensor is NULL");
    ck_assert_fails(tread_init_ones(labels), TREAD_ERROR_DTYPE, "int32");
    ck_assert_fails(tread_init_uniform(NULL, x, NULL, 0, 1), TREAD_ERROR_ARGUMENT, "rng is NULL");
    ck_assert_fails(tread_init_uniform(NULL, x, &rng, 1, 0.5), TREAD_ERROR_ARGUMENT, "low = 1 is outside");
    ck_assert_fails(tread_init_uniform(NULL, x, &rng, 1, NAN), TREAD_ERROR_ARGUMENT, "high = nan");
    ck_assert_fails(tread_init_normal(NULL, x, &rng, 0, -1), TREAD_ERROR_ARGUMENT, "std = -1");
    ck_assert_fails(tread_init_normal(NULL, x, &rng, INFINITY, 1), TREAD_ERROR_ARGUMENT, "mean = inf");
    ck_assert_fails(tread_init_truncated_normal(NULL, x, &rng, 0, 1, 2, 1), TREAD_ERROR_ARGUMENT, "[2, 1] is empty");
    ck_assert_fails(tread_init_truncated_normal(NULL, x, &rng, 0, 1, 9, 10), TREAD_ERROR_ARGUMENT,
                    "within 8 deviations");
    ck_assert_fails(tread_init_truncated_normal(NULL, x, &rng, 0, 0, -1, 1), TREAD_ERROR_ARGUMENT, "std = 0");
    ck_assert_fails(tread_init_xavier_normal(NULL, x, &rng, NAN), TREAD_ERROR_ARGUMENT, "gain = nan");
    ck_assert_fails(tread_init_kaiming_normal(NULL, vector, &rng, TREAD_FAN_IN, 1), TREAD_ERROR_SHAPE, "(4)");
    ck_assert_fails(tread_init_kaiming_uniform(NULL, x, &rng, (tread_fan)5, 1), TREAD_ERROR_ARGUMENT, "fan = 5");
    ck_assert_fails(tread_init_orthogonal(NULL, vector, &rng, 1), TREAD_ERROR_SHAPE, "rank 1");
    ck_assert_fails(tread_init_fans(vector, NULL, NULL), TREAD_ERROR_SHAPE, "rank 1");
    ck_assert_uint_eq(rng.next, 0);
    for (int i = 0; i < 6; i++)
        ck_assert(tread_tensor_float(x)[i] == 0);

    /* Without memory nothing is drawn, changed or kept. */
    for (uint64_t k = 1; k <= 2; k++) {
        uint64_t live = tread_memory_live_blocks();
        tread_memory_fail_at(k);
        ck_assert_fails(tread_init_orthogonal(NULL, x, &rng, 1), TREAD_ERROR_MEMORY, "orthogonal");
        tread_memory_fail_at(0);
        ck_assert_uint_eq(tread_memory_live_blocks(), live);
        ck_assert_uint_eq(rng.next, 0);
        ck_assert(tread_tensor_float(x)[0] == 0);
    }
    tread_tensor_destroy(x);
    tread_tensor_destroy(labels);
    tread_tensor_destroy(vector);
}
END_TEST

TEST_MAIN("init", test_distributions, test_truncated_normal, test_orthogonal,
          test_threads_and_instruction_sets_change_no_bit, test_constants_fans_and_gains, test_refused)
