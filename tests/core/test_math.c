/* core/math.h: accuracy against libm in the next wider type, special values, and equal bits in all copies of a loop. */
#include "core/math.h"

#include <float.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "tests/test.h"

#define BLOCK 4096
/* Steps through the 2^32 bit patterns of float32; odd, so that all low bits occur. 1 takes them all (minutes each). */
#define STRIDE 509u

#define LOOP(name, type)                                                                                               \
    TREAD_KERNEL_BODY void name##_loop_body(const type *restrict x, type *restrict y, int n) {                         \
        for (int i = 0; i < n; i++)                                                                                    \
            y[i] = tread_##name(x[i]);                                                                                 \
    }                                                                                                                  \
    TREAD_KERNEL(name##_loop, (const type *x, type *y, int n), (x, y, n))
#define LOOPS(name) LOOP(name##_f32, float) LOOP(name##_f64, double)
LOOPS(exp)
LOOPS(log)
LOOPS(tanh)
LOOPS(erf)
LOOPS(sigmoid)
LOOPS(log1p_unit)
LOOPS(log1p_exp_neg_abs)
LOOP(sin_quarter_f64, double)

static long double sigmoid_exact(long double x) { return x >= 0 ? 1 / (1 + expl(-x)) : expl(x) / (1 + expl(x)); }
static long double softplus_exact(long double x) { return log1pl(expl(-fabsl(x))); }
static long double sin_exact(long double y) { return sinl(1.57079632679489661923132169163975144L * y); }
static double sigmoid_double(double x) { return x >= 0 ? 1 / (1 + exp(-x)) : exp(x) / (1 + exp(x)); }
static double softplus_double(double x) { return log1p(exp(-fabs(x))); }

/* Bounds are about a tenth of an ulp above the largest error that sweeps showed: of float32 over every pattern (exp,
 * log, tanh, erf) or every fifth, of float64 over 1.2 to 4 10^7 points. */
typedef struct function {
    const char *name;
    void (*const *loop32)(const float *, float *, int);
    void (*const *loop64)(const double *, double *, int);
    double (*exact32)(double);
    long double (*exact64)(long double);
    double low, high; /* the domain that counts */
    double bound32, bound64;
} function;
static const function functions[] = {
    {"exp", exp_f32_loop, exp_f64_loop, exp, expl, -INFINITY, INFINITY, 1.07, 1.05},
    {"log", log_f32_loop, log_f64_loop, log, logl, -INFINITY, INFINITY, 0.95, 0.92},
    {"tanh", tanh_f32_loop, tanh_f64_loop, tanh, tanhl, -INFINITY, INFINITY, 1.55, 1.55},
    {"erf", erf_f32_loop, erf_f64_loop, erf, erfl, -INFINITY, INFINITY, 1.42, 1.35},
    {"sigmoid", sigmoid_f32_loop, sigmoid_f64_loop, sigmoid_double, sigmoid_exact, -INFINITY, INFINITY, 2.5, 2.55},
    {"log1p_unit", log1p_unit_f32_loop, log1p_unit_f64_loop, log1p, log1pl, 0, 1, 1.5, 1.5},
    {"log1p_exp_neg_abs", log1p_exp_neg_abs_f32_loop, log1p_exp_neg_abs_f64_loop, softplus_double, softplus_exact,
     -INFINITY, INFINITY, 1.8, 1.8},
    {"sin_quarter", NULL, sin_quarter_f64_loop, NULL, sin_exact, -1, 1, 0, 3.1},
};
#define N_FUNCTIONS (sizeof functions / sizeof *functions)

/* |y - exact| in units of the last place of exact, where the type has `digits` bits and smallest subnormal `tiny`. */
static double ulps(long double y, long double exact, int digits, long double tiny, long double largest) {
    if (isnan(exact) || isnan(y))
        return isnan(exact) && isnan(y) ? 0 : INFINITY;
    if (y == exact)
        return 0;
    /* Beyond the largest finite value infinity is as good as the value that would come next. */
    if (isinf(y))
        return fabsl(exact) > largest && (y > 0) == (exact > 0) ? 0 : INFINITY;
    if (isinf(exact))
        return INFINITY;
    long double unit = exact == 0 ? tiny : ldexpl(1, ilogbl(exact) - digits + 1);
    return (double)(fabsl(y - exact) / (unit > tiny ? unit : tiny));
}

static bool same_or_both_nan(const void *a, const void *b, size_t size, bool a_nan, bool b_nan) {
    return memcmp(a, b, size) == 0 || (a_nan && b_nan);
}

static void check_block32(const function *f, const float *x, int n, double *worst, float *ret_where) {
    static float y[TREAD_ISA_COUNT][BLOCK];
    for (int isa = 0; isa <= (int)tread_isa_chosen(); isa++)
        f->loop32[isa](x, y[isa], n);
    for (int i = 0; i < n; i++) {
        for (int isa = 1; isa <= (int)tread_isa_chosen(); isa++)
            if (!same_or_both_nan(&y[0][i], &y[isa][i], sizeof(float), isnan(y[0][i]), isnan(y[isa][i])))
                ck_abort_msg("%s_f32(%a): baseline %a, %s %a", f->name, (double)x[i], (double)y[0][i],
                             tread_isa_name((tread_isa)isa), (double)y[isa][i]);
        if (!(x[i] < f->low) && !(x[i] > f->high)) {
            double error = ulps(y[0][i], f->exact32(x[i]), FLT_MANT_DIG, 0x1p-149L, FLT_MAX);
            if (error > *worst)
                *worst = error, *ret_where = x[i];
        }
    }
}

static void check_block64(const function *f, const double *x, int n, double *worst, double *ret_where) {
    static double y[TREAD_ISA_COUNT][BLOCK];
    for (int isa = 0; isa <= (int)tread_isa_chosen(); isa++)
        f->loop64[isa](x, y[isa], n);
    for (int i = 0; i < n; i++) {
        for (int isa = 1; isa <= (int)tread_isa_chosen(); isa++)
            if (!same_or_both_nan(&y[0][i], &y[isa][i], sizeof(double), isnan(y[0][i]), isnan(y[isa][i])))
                ck_abort_msg("%s_f64(%a): baseline %a, %s %a", f->name, x[i], y[0][i], tread_isa_name((tread_isa)isa),
                             y[isa][i]);
        if (!(x[i] < f->low) && !(x[i] > f->high)) {
            double error = ulps(y[0][i], f->exact64(x[i]), DBL_MANT_DIG, 0x1p-1074L, DBL_MAX);
            if (error > *worst)
                *worst = error, *ret_where = x[i];
        }
    }
}

START_TEST(test_float32_over_all_magnitudes) {
    static float x[BLOCK];
    for (size_t k = 0; k < N_FUNCTIONS; k++) {
        const function *f = &functions[k];
        if (f->loop32 == NULL)
            continue;
        double worst = 0;
        float where = 0;
        for (uint64_t bits = 0; bits <= UINT32_MAX;) {
            int n = 0;
            for (; n < BLOCK && bits <= UINT32_MAX; bits += STRIDE)
                x[n++] = tread_from_bits_f32((uint32_t)bits);
            check_block32(f, x, n, &worst, &where);
        }
        if (getenv("TREAD_TEST_VERBOSE") != NULL)
            printf("%s_f32: %.3f ulp at %a\n", f->name, worst, (double)where);
        ck_assert_msg(worst <= f->bound32, "%s_f32(%a) is off by %.3f ulp", f->name, (double)where, worst);
    }
}
END_TEST

/* Any bit pattern for every third, else where the functions bend: +-2^[-6, 10). */
static double point(uint64_t *state) {
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    uint64_t bits = *state ^ *state >> 29;
    if (bits % 3 == 0)
        return tread_from_bits_f64(bits * 0x9e3779b97f4a7c15u);
    uint64_t exponent = 1023 - 6 + (bits >> 57) % 16;
    return tread_from_bits_f64((bits & 0x800fffffffffffffu) | exponent << 52);
}

START_TEST(test_float64_over_all_magnitudes) {
    static double x[BLOCK];
    const char *blocks = getenv("TREAD_TEST_BLOCKS");
    int n_blocks = blocks != NULL ? atoi(blocks) : 100;
    for (size_t k = 0; k < N_FUNCTIONS; k++) {
        const function *f = &functions[k];
        double worst = 0, where = 0;
        uint64_t state = 1;
        for (int block = 0; block < n_blocks; block++) {
            for (int i = 0; i < BLOCK; i++)
                x[i] = point(&state);
            check_block64(f, x, BLOCK, &worst, &where);
        }
        if (getenv("TREAD_TEST_VERBOSE") != NULL)
            printf("%s_f64: %.3f ulp at %a\n", f->name, worst, where);
        ck_assert_msg(worst <= f->bound64, "%s_f64(%a) is off by %.3f ulp", f->name, where, worst);
    }
}
END_TEST

/* Every neighbour of a place where a formula or a selection changes, with both signs. */
START_TEST(test_edges) {
    static const double edges[] = {0,
                                   0x1p-149,
                                   0x1p-126,
                                   0x1p-1074,
                                   0x1p-1022,
                                   0.55,
                                   1,
                                   0x1.a827999fcef32p-2,
                                   0.70710678118654752,
                                   1.41421356237309505,
                                   2,
                                   4,
                                   6,
                                   9.02,
                                   10,
                                   19.07,
                                   20,
                                   87.34,
                                   88.73,
                                   89,
                                   103.28,
                                   104,
                                   708.4,
                                   709.79,
                                   710,
                                   745.14,
                                   746,
                                   (double)FLT_MAX,
                                   DBL_MAX,
                                   INFINITY,
                                   NAN};
    float x32[BLOCK];
    double x64[BLOCK];
    int n = 0;
    for (size_t i = 0; i < sizeof edges / sizeof *edges; i++)
        for (int step = -8; step <= 8; step++)
            for (int sign = 0; sign < 2; sign++, n++) {
                float a = (float)edges[i];
                double b = edges[i];
                for (int s = 0; s < abs(step); s++) {
                    a = nextafterf(a, step < 0 ? -INFINITY : INFINITY);
                    b = nextafter(b, step < 0 ? -INFINITY : INFINITY);
                }
                x32[n] = sign ? -a : a;
                x64[n] = sign ? -b : b;
            }
    for (size_t k = 0; k < N_FUNCTIONS; k++) {
        double worst32 = 0, worst64 = 0, where64 = 0;
        float where32 = 0;
        if (functions[k].loop32 != NULL)
            check_block32(&functions[k], x32, n, &worst32, &where32);
        check_block64(&functions[k], x64, n, &worst64, &where64);
        ck_assert_msg(worst32 <= functions[k].bound32, "%s_f32(%a): %.3f ulp", functions[k].name, (double)where32,
                      worst32);
        ck_assert_msg(worst64 <= functions[k].bound64, "%s_f64(%a): %.3f ulp", functions[k].name, where64, worst64);
    }
}
END_TEST

/* What a reader of IEEE 754 and C's annex F expects; the sign of zero is kept by the odd functions. */
START_TEST(test_special_values) {
    ck_assert(tread_exp_f32(-INFINITY) == 0 && tread_exp_f64(-INFINITY) == 0);
    ck_assert(tread_exp_f32(0) == 1 && tread_exp_f64(0) == 1 && tread_exp_f32(-0.0f) == 1);
    ck_assert(isinf(tread_exp_f32(88.73f)) && isinf(tread_exp_f64(709.79)));
    ck_assert(tread_exp_f32(-103.9f) == 0x1p-149f && tread_exp_f32(-104.0f) == 0);
    ck_assert(isinf(tread_log_f32(0)) && tread_log_f32(0) < 0 && isinf(tread_log_f64(-0.0)));
    ck_assert(isnan(tread_log_f32(-1)) && isnan(tread_log_f64(-0x1p-1074)) && isnan(tread_log_f32(-INFINITY)));
    ck_assert(tread_log_f32(1) == 0 && tread_log_f64(1) == 0);
    ck_assert(tread_tanh_f32(INFINITY) == 1 && tread_tanh_f64(-INFINITY) == -1);
    ck_assert(tread_erf_f32(-INFINITY) == -1 && tread_erf_f64(INFINITY) == 1);
    ck_assert(tread_sigmoid_f32(-INFINITY) == 0 && tread_sigmoid_f32(INFINITY) == 1 && tread_sigmoid_f32(0) == 0.5f);
    ck_assert(tread_sigmoid_f32(-100.0f) > 0);
    ck_assert(signbit(tread_tanh_f32(-0.0f)) && signbit(tread_erf_f32(-0.0f)) && signbit(tread_tanh_f64(-0.0)));
    ck_assert(!signbit(tread_tanh_f32(0.0f)) && tread_tanh_f32(0x1p-149f) == 0x1p-149f);
    ck_assert(tread_sin_quarter_f64(1) == 1 && tread_sin_quarter_f64(-1) == -1 && tread_sin_quarter_f64(0) == 0);
}
END_TEST

TEST_MAIN("math", test_float32_over_all_magnitudes, test_float64_over_all_magnitudes, test_edges, test_special_values)
