/* Layer: core. Included by kernels_loss.c once for each float type. */

TREAD_KERNEL_BODY REAL T(magnitude)(REAL x) { return T(tread_copy_sign)(x, 1); }
/* x's sign times bound where |x| > bound, else x: Huber's derivative. NaN stays. */
TREAD_KERNEL_BODY REAL T(clip)(REAL x, REAL bound) {
    REAL low = x < -bound ? -bound : x;
    return low > bound ? bound : low;
}
/* -1, 0 or 1; NaN gives 0 as in PyTorch. */
TREAD_KERNEL_BODY REAL T(sign)(REAL x) {
    REAL above = x > 0 ? (REAL)1 : (REAL)0, below = x < 0 ? (REAL)1 : (REAL)0;
    return above - below;
}

/* With c = clip(d): c^2 / 2 + delta (|d| - |c|) is both branches of Huber's loss at once. */
TREAD_KERNEL_BODY double T(huber)(REAL d, REAL delta) {
    REAL c = T(clip)(d, delta);
    return 0.5 * (double)c * (double)c + (double)delta * ((double)T(magnitude)(d) - (double)T(magnitude)(c));
}

/* max(x, 0) - x t in double, which the large terms cancel in without loss. */
TREAD_KERNEL_BODY double T(bce)(REAL x, REAL t) {
    double positive = x < 0 ? 0.0 : (double)x;
    return positive - (double)x * (double)t + (double)T(tread_log1p_exp_neg_abs)(x);
}

/* One chunk of the sum. */
TREAD_KERNEL_BODY void TREAD_BODY(T(loss))(const loss_job *job, int64_t first, int64_t n, double *ret_sum) {
    const REAL *restrict x = (const REAL *)job->x + first, *restrict t = (const REAL *)job->target + first;
    const REAL delta = (REAL)job->delta;
    double sum = 0;
    switch (job->kind) {
    case TREAD_LOSS_MSE: TREAD_LANE_SUM(sum, n, i, (double)(x[i] - t[i]) * (double)(x[i] - t[i])); break;
    case TREAD_LOSS_L1: TREAD_LANE_SUM(sum, n, i, T(magnitude)(x[i] - t[i])); break;
    case TREAD_LOSS_HUBER: TREAD_LANE_SUM(sum, n, i, T(huber)(x[i] - t[i], delta)); break;
    default: TREAD_LANE_SUM(sum, n, i, T(bce)(x[i], t[i])); break;
    }
    *ret_sum = sum;
}

/* The derivative by x; that by the target is its negative except for bce, where it is -x. */
TREAD_KERNEL_BODY void T(loss_derivative)(const loss_job *job, REAL factor, bool accumulate, int64_t begin,
                                          int64_t end) {
    const REAL *restrict x = job->x, *restrict t = job->target;
    REAL *restrict grad = job->grad;
    const REAL delta = (REAL)job->delta, twice = factor + factor;
#define EACH(value)                                                                                                    \
    for (int64_t i = begin; i < end; i++)                                                                              \
        grad[i] = accumulate ? grad[i] + (value) : (value);                                                            \
    break
    switch (job->of_target && job->kind == TREAD_LOSS_BCE ? TREAD_LOSS_COUNT : job->kind) {
    case TREAD_LOSS_MSE: EACH((x[i] - t[i]) * twice);
    case TREAD_LOSS_L1: EACH(T(sign)(x[i] - t[i]) * factor);
    case TREAD_LOSS_HUBER: EACH(T(clip)(x[i] - t[i], delta) * factor);
    case TREAD_LOSS_BCE: EACH((T(tread_sigmoid)(x[i]) - t[i]) * factor);
    default: EACH(x[i] * factor);
    }
#undef EACH
}

TREAD_KERNEL_BODY void TREAD_BODY(T(loss_backward))(const loss_job *job, int64_t begin, int64_t end) {
    const REAL factor = (REAL)(job->of_target ? -job->factor : job->factor);
    if (job->accumulate)
        T(loss_derivative)(job, factor, true, begin, end);
    else
        T(loss_derivative)(job, factor, false, begin, end);
}

TREAD_KERNEL(T(loss), (const loss_job *job, int64_t first, int64_t n, double *ret_sum), (job, first, n, ret_sum))
TREAD_KERNEL(T(loss_backward), (const loss_job *job, int64_t begin, int64_t end), (job, begin, end))
