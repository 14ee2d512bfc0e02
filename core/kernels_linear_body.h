/* Layer: core. Included by kernels_linear.c once for each float type; no guard on purpose. */

/* kind is a constant in every copy, so that the switch is gone from the loop. */
TREAD_KERNEL_BODY REAL T(value)(tread_activation kind, REAL z) {
    switch (kind) {
    case TREAD_ACTIVATION_RELU: return T(tread_relu)(z);
    case TREAD_ACTIVATION_LEAKY_RELU: return T(tread_leaky_relu)(z, (REAL)LEAKY_SLOPE);
    case TREAD_ACTIVATION_GELU: return T(tread_gelu)(z);
    case TREAD_ACTIVATION_SILU: return T(tread_silu)(z);
    case TREAD_ACTIVATION_TANH: return T(tread_tanh)(z);
    case TREAD_ACTIVATION_SIGMOID: return T(tread_sigmoid)(z);
    case TREAD_ACTIVATION_NONE: break;
    }
    return z;
}

/* Of those that keep it: from z, and beside the value, which computes most of it. */
TREAD_KERNEL_BODY REAL T(slope)(tread_activation kind, REAL z) {
    return kind == TREAD_ACTIVATION_GELU ? T(tread_gelu_grad)(z, z) : T(tread_silu_grad)(z, z);
}

/* s is the slope or y, as tread_activation_keeps_slope() says. */
TREAD_KERNEL_BODY REAL T(derivative)(tread_activation kind, REAL s) {
    switch (kind) {
    case TREAD_ACTIVATION_RELU: return T(tread_relu_grad)(s, s);
    case TREAD_ACTIVATION_LEAKY_RELU: return T(tread_leaky_relu_grad)(s, s, (REAL)LEAKY_SLOPE);
    case TREAD_ACTIVATION_GELU:
    case TREAD_ACTIVATION_SILU: return s;
    case TREAD_ACTIVATION_TANH: return T(tread_tanh_grad)(s, s);
    case TREAD_ACTIVATION_SIGMOID: return T(tread_sigmoid_grad)(s, s);
    case TREAD_ACTIVATION_NONE: break;
    }
    return (REAL)1;
}

TREAD_KERNEL_BODY void T(forward_pass)(tread_activation kind, bool bf16, bool keeps, const forward_job *job,
                                       int64_t begin, int64_t end) {
    const REAL *z = job->z; /* may be y */
    REAL *y = job->y, *restrict slope = job->slope;
    uint16_t *restrict y_bf16 = job->y_bf16;
#pragma omp simd
    for (int64_t i = begin; i < end; i++) {
        REAL x = z[i], value = T(value)(kind, x);
        y[i] = value;
        if (keeps)
            slope[i] = T(slope)(kind, x);
        if (bf16)
            y_bf16[i] = tread_bf16_from_f32((float)value);
    }
}

TREAD_KERNEL_BODY void T(forward)(tread_activation kind, bool bf16, const forward_job *job, int64_t begin,
                                  int64_t end) {
    if (tread_activation_keeps_slope(kind) && job->slope != NULL)
        T(forward_pass)(kind, bf16, true, job, begin, end);
    else
        T(forward_pass)(kind, bf16, false, job, begin, end);
}

/* Columns [first, first + width): a constant width keeps the sums in registers. */
TREAD_KERNEL_BODY void T(backward_strip)(tread_activation kind, bool bf16, const backward_job *job, int64_t first,
                                         int width) {
    const REAL *restrict saved = job->saved, *restrict dy = job->dy;
    REAL *restrict dz = job->dz, *restrict db = job->db;
    uint16_t *restrict dz_bf16 = job->dz_bf16;
    double sums[STRIP] = {0};
    for (int64_t row = 0; row < job->rows; row++) {
        int64_t at = row * job->columns + first;
        if (kind == TREAD_ACTIVATION_NONE && !bf16) {
            for (int i = 0; i < width; i++)
                sums[i] += (double)dy[at + i];
            continue;
        }
        for (int i = 0; i < width; i++) {
            REAL g = kind == TREAD_ACTIVATION_NONE ? dy[at + i] : dy[at + i] * T(derivative)(kind, saved[at + i]);
            if (bf16)
                dz_bf16[at + i] = tread_bf16_from_f32((float)g);
            else
                dz[at + i] = g;
            sums[i] += (double)g;
        }
    }
    if (db != NULL)
        for (int i = 0; i < width; i++)
            db[first + i] = (REAL)sums[i];
}

TREAD_KERNEL_BODY void T(backward)(tread_activation kind, bool bf16, const backward_job *job, int64_t begin,
                                   int64_t end) {
    int64_t first = begin;
    for (; first + STRIP <= end; first += STRIP)
        T(backward_strip)(kind, bf16, job, first, STRIP);
    if (first < end)
        T(backward_strip)(kind, bf16, job, first, (int)(end - first));
}
