/* Layer: core. Included by kernels_dropout.c once for each float type. */

TREAD_KERNEL_BODY void TREAD_BODY(T(keep))(const keep_job *job, int64_t begin, int64_t end) {
    const REAL *restrict x = job->x;
    const uint8_t *restrict keep = job->keep;
    REAL *restrict y = job->y;
    const REAL factor = (REAL)job->factor;
    if (job->accumulate)
        for (int64_t i = begin; i < end; i++) {
            REAL scaled = x[i] * factor;
            y[i] += keep[i] ? scaled : (REAL)0;
        }
    else
        for (int64_t i = begin; i < end; i++) {
            REAL scaled = x[i] * factor;
            y[i] = keep[i] ? scaled : (REAL)0;
        }
}

TREAD_KERNEL(T(keep), (const keep_job *job, int64_t begin, int64_t end), (job, begin, end))
