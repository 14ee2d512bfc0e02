/* How many roundings there are. u is 2^-53, what one rounding adds at most to a result, relative to it.
 *
 * tread_power(x, k): k u relative. cos(pi i / n) and cos(pi t): 4 u absolute (test_lr_values.c holds them to it).
 * A value between two, from (1 - w) + to w, where w in [0, 1] is off by e u: w's error counts in both products (2 e), 1
 * - w rounds once, each product once, the sum once: (2 e + 4) u of the larger one. half a cosine, w = (1 + cos) / 2: e
 * = (4 + 1) / 2, so 9 a share i / n: e = 1, so 6 share^2: e = 2 + 1, so 10; share^0.9: |p ln x| x^p <= 1 / 2.7, e = 3
 * / 2.7 + 2 + 1 < 5, so 14; share^2.5: e = 2.5 + 3 < 6, so 16; 1 - sqrt(share): e = 2, so 8 A product with b is one
 * more. Long double's own errors are 2^-11 of these and count as one more of them. */
#include "tests/optim/lr_references.h"

#include <math.h>
#include <stddef.h>

static const long double pi = 3.14159265358979323846264338327950288L;

static long double step_lr(long double b, int64_t n) { return b * powl(0.97, (long double)(n / 7)); }
static double step_lr_relative(int64_t n) { return (double)(n / 7) + 2; }

static long double multi_step_lr(long double b, int64_t n) {
    return b * powl(0.3, (n >= 3) + (n >= 400) + (n >= 401) + (n >= 9000));
}
static double four(int64_t n) { return n >= 0 ? 4 + 2 : 0; }
static long double no_milestones(long double b, int64_t n) { return n >= 0 ? b : 0; }

static long double exponential_lr(long double b, int64_t n) { return b * powl(0.999, (long double)n); }
static double n_and_two(int64_t n) { return (double)n + 2; }
static long double rising_lr(long double b, int64_t n) { return b * powl(1.001, (long double)n); }

static long double cosine_annealing_lr(long double b, int64_t n) {
    return 0.01 + (b - 0.01) * (1 + cosl(pi * (long double)(n % 6000) / 3000)) / 2;
}
static long double cosine_decay_lr(long double b, int64_t n) {
    return n < 9000 ? b * ((1 - (long double)0.1) * (1 + cosl(pi * (long double)n / 9000)) / 2 + 0.1) : b * 0.1;
}

static long double polynomial_lr(long double b, int64_t n) {
    return (b - 1e-3) * powl(1 - fminl((long double)n, 8000) / 8000, 2) + 1e-3;
}
static long double polynomial_09(long double b, int64_t n) {
    return (b - 1e-4) * powl(1 - fminl((long double)n, 8000) / 8000, 0.9) + 1e-4;
}
static long double polynomial_cycle(long double b, int64_t n) {
    long double c = n < 1 ? 1 : (long double)n, d = 700 * ceill(c / 700);
    return (b - 1e-3) * powl(1 - c / d, 2.5L) + 1e-3;
}
static long double polynomial_zero(long double b, int64_t n) { return n >= 0 ? b : 0; }

static long double constant_lr(long double b, int64_t n) { return n < 5 ? b * (1.0 / 3) : b; }
static long double linear_lr(long double b, int64_t n) {
    return b * (0.25L + (2 - 0.25L) * fminl((long double)n, 4000) / 4000);
}

static long double restarts(long double b, int64_t n) {
    long double length = 10;
    while ((long double)n >= length) {
        n -= (int64_t)length;
        length *= 3;
        b *= 0.9;
    }
    return 1e-3 + (b - 1e-3) * (1 + cosl(pi * (long double)n / length)) / 2;
}
static double restarts_relative(int64_t n) { return n < 10 ? 0 : 9; } /* powers up to 7, and their product */
static long double limited_restarts(long double b, int64_t n) {
    return n >= 4 * 2000 ? 0.01 : 0.01 + (b - 0.01) * (1 + cosl(pi * (long double)(n % 2000) / 2000)) / 2;
}

static long double warmup_stable_decay(long double b, int64_t n, long double (*shape)(long double p)) {
    if (n < 99)
        return b * (long double)(n + 1) / 100;
    if (n <= 5000)
        return b;
    return b * (0.1 + (1 - (long double)0.1) * shape(fminl((long double)(n - 5000) / 3000, 1)));
}
static long double line(long double p) { return 1 - p; }
static long double cosine(long double p) { return (1 + cosl(pi * p)) / 2; }
static long double inverse_sqrt(long double p) { return 1 - sqrtl(p); }
static long double wsd_line(long double b, int64_t n) { return warmup_stable_decay(b, n, line); }
static long double wsd_cosine(long double b, int64_t n) { return warmup_stable_decay(b, n, cosine); }
static long double wsd_sqrt(long double b, int64_t n) { return warmup_stable_decay(b, n, inverse_sqrt); }

/* Where phases end is off by 9000 u, 4 u of the shortest phase; with the division 5 u, which half a cosine multiplies
 * by at most pi / 2: e = (8 + 4) / 2 + 1 = 7; the levels have 2 roundings: 20. */
static long double on_cosine(long double from, long double to, long double share) {
    return to + (from - to) / 2 * (1 + cosl(pi * share));
}
static long double one_cycle_lr(long double b, int64_t n) {
    long double at = fminl((long double)n, 8999), up = 0.3 * 9000.0L - 1;
    return at <= up ? on_cosine(b / 25, b, at / up) : on_cosine(b, b / 25 / 1e4, (at - up) / (8999 - up));
}
static long double one_cycle_three(long double b, int64_t n) {
    long double at = fminl((long double)n, 7999), up = 0.25L * 8000 - 1, low = 2.0L / 10, end = low / 100;
    (void)b;
    if (at <= up)
        return low + (2 - low) * at / up;
    if (at <= 2 * up)
        return 2 + (low - 2) * (at - up) / up;
    return low + (end - low) * (at - 2 * up) / (7999 - 2 * up);
}

/* As torch writes it, with x from 0 to 1 over a cycle. */
static long double cyclic(long double b, int64_t n, long double total, long double up, long double shrink) {
    long double cycle = floorl((long double)n / total), x = (long double)n / total - cycle, ratio = up / total;
    return b + (1 - b) * (x <= ratio ? x / ratio : (1 - x) / (1 - ratio)) * shrink;
}
static long double cyclic_lr(long double b, int64_t n) { return cyclic(b, n, 500, 200, 1); }
static long double cyclic_half(long double b, int64_t n) {
    return cyclic(b, n, 400, 200, powl(0.5L, (long double)(n / 400)));
}
static long double cyclic_range(long double b, int64_t n) {
    return cyclic(b, n, 400, 200, powl(0.9995, (long double)n));
}
static double cyclic_range_relative(int64_t n) { return 2 * ((double)n + 2); } /* of the height, in both products */

static long double warmup_lr(long double b, int64_t n) {
    return n < 5 ? b * (1.0 / 3 + (1 - 1.0 / 3) * (long double)n / 5) : b;
}
/* The end of the warm-up has the inner one's error, and its own: 9 + 1 + 6. */
static long double warmup_inner(long double b, int64_t n) {
    long double to = cosine_annealing_lr(b, 1000), from = b * 0.1;
    return n < 1000 ? from + (to - from) * (long double)n / 1000 : cosine_annealing_lr(b, n);
}
static long double warmup_prefix(long double b, int64_t n) {
    return n < 1000 ? b * 0.5L : b * powl(0.999, (long double)(n - 1000));
}
static long double sequential_lr(long double b, int64_t n) {
    return n < 100    ? b * (0.5L + 0.5L * (long double)n / 100)
           : n < 3100 ? cosine_annealing_lr(b, n - 100)
                      : b * powl(0.999, (long double)(n - 3100));
}
static long double chained_scheduler(long double b, int64_t n) {
    return cosine_annealing_lr(n < 5 ? b * 0.5L : b, n) * powl(0.999, (long double)n);
}
static long double nested(long double b, int64_t n) {
    return n < 10     ? b * (0.1 + (0.5L - 0.1) * (long double)n / 10)
           : n < 2010 ? exponential_lr(b, n - 10) / 2
                      : b * 0.25L;
}

const lr_reference lr_references[] = {
    {"step_lr:step_size=7,gamma=0.97", step_lr, 0, step_lr_relative, 0},
    {"multi_step_lr:milestones=3/400/401/9000,gamma=0.3", multi_step_lr, 0, four, 0},
    {"multi_step_lr", no_milestones, 0, NULL, 0},
    {"exponential_lr:gamma=0.999", exponential_lr, 0, n_and_two, 0},
    {"exponential_lr:gamma=1.001", rising_lr, 0, n_and_two, 0},
    {"cosine_annealing_lr:T_max=3000,eta_min=0.01", cosine_annealing_lr, 10, NULL, 0},
    {"cosine_decay_lr:decay_steps=9000,alpha=0.1", cosine_decay_lr, 11, NULL, 0},
    {"polynomial_lr:steps=8000,end_learning_rate=1e-3,power=2", polynomial_lr, 11, NULL, 0},
    {"polynomial_lr:steps=8000,power=0.9", polynomial_09, 15, NULL, 0},
    {"polynomial_lr:steps=700,end_learning_rate=1e-3,power=2.5,cycle=true", polynomial_cycle, 17, NULL, 0},
    {"polynomial_lr:steps=10,power=0", polynomial_zero, 0, NULL, 0},
    {"constant_lr", constant_lr, 2, NULL, 0},
    {"linear_lr:start_factor=0.25,end_factor=2,total_iters=4000", linear_lr, 8, NULL, 2},
    {"cosine_annealing_warm_restarts:T_0=10,T_mult=3,eta_min=1e-3,decay_rate=0.9", restarts, 10, restarts_relative, 0},
    {"cosine_annealing_warm_restarts:T_0=2000,eta_min=0.01,restart_limit=4", limited_restarts, 10, NULL, 0},
    {"warmup_stable_decay_lr:warmup_steps=99,stable_steps=4901,decay_steps=3000,min_factor=0.1", wsd_line, 8, NULL, 0},
    {"warmup_stable_decay_lr:warmup_steps=99,stable_steps=4901,decay_steps=3000,min_factor=0.1,decay_shape=cosine",
     wsd_cosine, 11, NULL, 0},
    {"warmup_stable_decay_lr:warmup_steps=99,stable_steps=4901,decay_steps=3000,min_factor=0.1,decay_shape=inverse_"
     "sqrt",
     wsd_sqrt, 10, NULL, 0},
    {"one_cycle_lr:total_steps=9000", one_cycle_lr, 21, NULL, 0},
    {"one_cycle_lr:total_steps=8000,max_lr=2,pct_start=0.25,three_phase=true,anneal_strategy=linear,div_factor=10,"
     "final_div_factor=100",
     one_cycle_three, 21, NULL, 2 / 0.3},
    {"cyclic_lr:max_lr=1,step_size_up=200,step_size_down=300", cyclic_lr, 7, NULL, 1 / 0.3},
    {"cyclic_lr:max_lr=1,step_size_up=200,mode=triangular2", cyclic_half, 7, NULL, 1 / 0.3},
    {"cyclic_lr:max_lr=1,step_size_up=200,mode=exp_range,gamma=0.9995", cyclic_range, 7, cyclic_range_relative,
     1 / 0.3},
    {"warmup_lr", warmup_lr, 8, NULL, 0},
    {"warmup_lr:warmup_iters=1000,warmup_factor=0.1,scheduler=[cosine_annealing_lr:T_max=3000,eta_min=0.01]",
     warmup_inner, 17, NULL, 0},
    {"warmup_lr:warmup_iters=1000,warmup_factor=0.5,warmup_method=constant,warmup_prefix=true,scheduler=["
     "exponential_lr:gamma=0.999]",
     warmup_prefix, 0, n_and_two, 0},
    {"sequential_lr:schedulers=[linear_lr:start_factor=0.5,total_iters=100]/[cosine_annealing_lr:T_max=3000,eta_min="
     "0.01]/[exponential_lr:gamma=0.999],milestones=100/3100",
     sequential_lr, 10, n_and_two, 0},
    {"chained_scheduler:schedulers=[constant_lr:factor=0.5]/[cosine_annealing_lr:T_max=3000,eta_min=0.01]/["
     "exponential_lr:gamma=0.999]",
     chained_scheduler, 11, n_and_two, 0},
    {"warmup_lr:warmup_iters=10,warmup_factor=0.1,warmup_prefix=true,scheduler=[sequential_lr:schedulers=["
     "chained_scheduler:schedulers=[constant_lr:factor=0.5,total_iters=9999]/[exponential_lr:gamma=0.999]]/["
     "constant_lr:factor=0.25,total_iters=99999],milestones=2000]",
     nested, 9, n_and_two, 0},
    {0},
};

double lr_reference_bound(const lr_reference *r, double b, int64_t n) {
    double relative = r->relative != NULL ? r->relative(n) : 0;
    return LR_UNIT * (r->absolute * (r->scale > 0 ? r->scale : 1) * b + relative * (double)r->formula(b, n));
}
