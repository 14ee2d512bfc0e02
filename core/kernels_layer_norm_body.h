/* Layer: core. Included by kernels_layer_norm.c once for each float type. */

/* h, the normalised element: the same expression forward and backward. */
#define NORMALIZED(x, mean, scale) (((x) - (mean)) * (scale))

TREAD_KERNEL_BODY void TREAD_BODY(T(layer_norm))(const layer_norm_job *job, int64_t begin, int64_t end) {
    const int64_t n = job->shape.length;
    const REAL *restrict gamma = job->gamma, *restrict beta = job->beta;
    for (int64_t row = begin; row < end; row++) {
        const REAL *restrict x = (const REAL *)job->x + row * n;
        REAL *restrict y = (REAL *)job->out + row * n;
        double sum, squares;
        TREAD_LANE_SUM(sum, n, i, x[i]);
        const double exact_mean = sum * job->share;
        TREAD_LANE_SUM(squares, n, i, ((double)x[i] - exact_mean) * ((double)x[i] - exact_mean));
        const REAL mean = (REAL)exact_mean, scale = (REAL)(1.0 / sqrt(squares * job->share + job->shape.eps));
        ((REAL *)job->mean)[row] = mean;
        ((REAL *)job->scale)[row] = scale;
        if (gamma != NULL && beta != NULL)
            for (int64_t i = 0; i < n; i++)
                y[i] = NORMALIZED(x[i], mean, scale) * gamma[i] + beta[i];
        else if (gamma != NULL)
            for (int64_t i = 0; i < n; i++)
                y[i] = NORMALIZED(x[i], mean, scale) * gamma[i];
        else if (beta != NULL)
            for (int64_t i = 0; i < n; i++)
                y[i] = NORMALIZED(x[i], mean, scale) + beta[i];
        else
            for (int64_t i = 0; i < n; i++)
                y[i] = NORMALIZED(x[i], mean, scale);
    }
}

/* One row of dx; gamma may be NULL. */
TREAD_KERNEL_BODY void T(layer_norm_backward_row)(const REAL *restrict x, const REAL *restrict dy,
                                                  const REAL *restrict gamma, REAL *restrict dx, int64_t n,
                                                  double share, REAL mean, REAL scale, bool accumulate) {
    double sum, product;
    if (gamma != NULL) {
        TREAD_LANE_SUM(sum, n, i, dy[i] * gamma[i]);
        TREAD_LANE_SUM(product, n, i, (double)(dy[i] * gamma[i]) * (double)NORMALIZED(x[i], mean, scale));
    } else {
        TREAD_LANE_SUM(sum, n, i, dy[i]);
        TREAD_LANE_SUM(product, n, i, (double)dy[i] * (double)NORMALIZED(x[i], mean, scale));
    }
    const REAL a = (REAL)(sum * share), b = (REAL)(product * share);
    if (gamma != NULL && accumulate)
        for (int64_t i = 0; i < n; i++)
            dx[i] += scale * ((dy[i] * gamma[i] - a) - NORMALIZED(x[i], mean, scale) * b);
    else if (gamma != NULL)
        for (int64_t i = 0; i < n; i++)
            dx[i] = scale * ((dy[i] * gamma[i] - a) - NORMALIZED(x[i], mean, scale) * b);
    else if (accumulate)
        for (int64_t i = 0; i < n; i++)
            dx[i] += scale * ((dy[i] - a) - NORMALIZED(x[i], mean, scale) * b);
    else
        for (int64_t i = 0; i < n; i++)
            dx[i] = scale * ((dy[i] - a) - NORMALIZED(x[i], mean, scale) * b);
}

TREAD_KERNEL_BODY void TREAD_BODY(T(layer_norm_backward))(const layer_norm_job *job, int64_t begin, int64_t end) {
    const int64_t n = job->shape.length;
    const REAL *mean = job->mean, *scale = job->scale;
    for (int64_t row = begin; row < end; row++)
        T(layer_norm_backward_row)
    ((const REAL *)job->x + row * n, (const REAL *)job->dy + row * n, job->gamma, (REAL *)job->out + row * n, n,
     job->share, mean[row], scale[row], job->accumulate);
}

/* dgamma and dbeta of columns [first, first + width): each column adds its rows up in order. */
TREAD_KERNEL_BODY void T(layer_norm_columns)(const layer_norm_job *job, int64_t first, int64_t width) {
    const int64_t n = job->shape.length;
    const REAL *restrict means = job->mean, *restrict scales = job->scale;
    double gamma_sum[COLUMN_BLOCK] = {0}, beta_sum[COLUMN_BLOCK] = {0};
    for (int64_t row = 0; row < job->shape.rows; row++) {
        const REAL *restrict x = (const REAL *)job->x + row * n + first;
        const REAL *restrict dy = (const REAL *)job->dy + row * n + first;
        const REAL mean = means[row], scale = scales[row];
        for (int64_t k = 0; k < width; k++) {
            gamma_sum[k] += (double)dy[k] * (double)NORMALIZED(x[k], mean, scale);
            beta_sum[k] += (double)dy[k];
        }
    }
    REAL *dgamma = job->dgamma, *dbeta = job->dbeta;
    for (int64_t k = 0; dgamma != NULL && k < width; k++)
        dgamma[first + k] = job->accumulate_gamma ? dgamma[first + k] + (REAL)gamma_sum[k] : (REAL)gamma_sum[k];
    for (int64_t k = 0; dbeta != NULL && k < width; k++)
        dbeta[first + k] = job->accumulate_beta ? dbeta[first + k] + (REAL)beta_sum[k] : (REAL)beta_sum[k];
}

TREAD_KERNEL_BODY void TREAD_BODY(T(layer_norm_parameters))(const layer_norm_job *job, int64_t begin, int64_t end) {
    for (int64_t block = begin; block < end; block++) {
        const int64_t first = block * COLUMN_BLOCK, left = job->shape.length - first;
        if (left >= COLUMN_BLOCK)
            T(layer_norm_columns)(job, first, COLUMN_BLOCK);
        else
            T(layer_norm_columns)(job, first, left);
    }
}

#undef NORMALIZED

TREAD_KERNEL(T(layer_norm), (const layer_norm_job *job, int64_t begin, int64_t end), (job, begin, end))
TREAD_KERNEL(T(layer_norm_backward), (const layer_norm_job *job, int64_t begin, int64_t end), (job, begin, end))
TREAD_KERNEL(T(layer_norm_parameters), (const layer_norm_job *job, int64_t begin, int64_t end), (job, begin, end))
