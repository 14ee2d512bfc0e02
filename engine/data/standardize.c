#include <math.h>
#include <string.h>

#include "core/isa.h"
#include "core/memory.h"
#include "core/parallel.h"
#include "core/status.h"
#include "core/tensor.h"
#include "engine/data/walk.h"

/* Features in the 2 us or so that a fork must be worth, a block of samples having about 2^16 values. */
#define GRAIN_VALUES 16384

tread_status tread_standardization_create(int64_t features, tread_standardization *ret_standard) {
    double *block = tread_calloc((size_t)features, 4 * sizeof(double), "means and deviations of features");
    if (block == NULL)
        return TREAD_ERROR_MEMORY;
    *ret_standard = (tread_standardization){
        .mean = block, .std = block + features, .centre = block + 2 * features, .factor = block + 3 * features};
    return TREAD_OK;
}

void tread_standardization_destroy(tread_standardization *standard) {
    tread_free(standard->mean);
    *standard = (tread_standardization){0};
}

void tread_standardization_apply(tread_dataset *dataset, tread_standardization *standard) {
    double unit = dataset->x_dtype == TREAD_UINT8 ? 255 : 1; /* of a stored value */
    for (int64_t j = 0; j < dataset->features; j++) {
        standard->centre[j] = unit * standard->mean[j];
        standard->factor[j] = 1 / (unit * standard->std[j]);
    }
    tread_standardization_destroy(&dataset->standard);
    dataset->standard = *standard;
    dataset->mean = 0;
    dataset->std = 1;
    *standard = (tread_standardization){0};
}

/* What is added up for each feature, over the samples in order: one thread has a feature for itself, so that the bits
 * do not depend on threads. */
typedef struct feature_sums {
    const tread_walk *walk;
    double *sum;         /* of x, then of (x - mean)^2 */
    double *mean;        /* NULL in the first pass */
    float *least, *most; /* first pass; NaN is put where there is one */
} feature_sums;

TREAD_KERNEL_BODY void add_row_body(const float *restrict x, int64_t n, double *restrict sum, float *restrict least,
                                    float *restrict most) {
    for (int64_t j = 0; j < n; j++) {
        sum[j] += x[j];
        least[j] = x[j] < least[j] ? x[j] : least[j];
        most[j] = x[j] > most[j] ? x[j] : most[j];
    }
}
TREAD_KERNEL(add_row, (const float *x, int64_t n, double *sum, float *least, float *most), (x, n, sum, least, most))

TREAD_KERNEL_BODY void add_squares_body(const float *restrict x, int64_t n, const double *restrict mean,
                                        double *restrict sum) {
    for (int64_t j = 0; j < n; j++)
        sum[j] += (x[j] - mean[j]) * (x[j] - mean[j]);
}
TREAD_KERNEL(add_squares, (const float *x, int64_t n, const double *mean, double *sum), (x, n, mean, sum))

static void add_range(void *argument, int64_t begin, int64_t end) {
    const feature_sums *sums = argument;
    const tread_walk *walk = sums->walk;
    for (int64_t i = 0; i < walk->count; i++) {
        const float *x = walk->values + i * walk->dataset->features + begin;
        if (sums->mean == NULL)
            TREAD_CALL(add_row)(x, end - begin, sums->sum + begin, sums->least + begin, sums->most + begin);
        else
            TREAD_CALL(add_squares)(x, end - begin, sums->mean + begin, sums->sum + begin);
    }
}

static tread_status add_all(tread_walk *walk, feature_sums *sums) {
    int64_t grain = GRAIN_VALUES / walk->block;
    do {
        TREAD_TRY(tread_walk_next(walk));
        tread_parallel_for(walk->context, walk->count > 0 ? walk->dataset->features : 0, grain < 1 ? 1 : grain, 16,
                           add_range, sums);
    } while (walk->count > 0);
    return TREAD_OK;
}

static tread_status check_finite(const tread_dataset *dataset, const double *sums) {
    for (int64_t j = 0; j < dataset->features; j++)
        if (!isfinite(sums[j])) {
            const char *name = tread_dataset_feature_name(dataset, j);
            return tread_fail(TREAD_ERROR_NUMERIC, "data set: values of feature %lld%s%s%s are not all finite",
                              (long long)j, name != NULL ? " (" : "", name != NULL ? name : "",
                              name != NULL ? ")" : "");
        }
    return TREAD_OK;
}

/* standard->centre and factor are room for the sums until the end. */
static tread_status learn(tread_walk *walk, float *extremes, tread_standardization *standard) {
    const tread_dataset *dataset = walk->dataset;
    int64_t features = dataset->features;
    double n = (double)dataset->n, unit = dataset->x_dtype == TREAD_UINT8 ? 255 : 1;
    feature_sums sums = {.walk = walk, .sum = standard->centre, .least = extremes, .most = extremes + features};
    for (int64_t j = 0; j < features; j++) {
        sums.least[j] = INFINITY;
        sums.most[j] = -INFINITY;
    }
    TREAD_TRY(add_all(walk, &sums));
    TREAD_TRY(check_finite(dataset, sums.sum));
    for (int64_t j = 0; j < features; j++)
        standard->mean[j] = sums.least[j] == sums.most[j] ? sums.least[j] : sums.sum[j] / n;
    sums.sum = standard->factor;
    sums.mean = standard->mean;
    TREAD_TRY(add_all(walk, &sums));
    TREAD_TRY(check_finite(dataset, sums.sum));
    for (int64_t j = 0; j < features; j++) {
        double std = sqrt(sums.sum[j] / n) / unit;
        standard->mean[j] /= unit;
        standard->std[j] = sums.least[j] == sums.most[j] || !(std > 0) ? 1 : std;
    }
    return TREAD_OK;
}

tread_status tread_dataset_standardize(tread_context *context, tread_dataset *dataset) {
    TREAD_REFUSE_NULL("dataset standardize", dataset);
    TREAD_TRY(tread_dataset_check_normalizable(dataset));
    tread_standardization standard = {0};
    TREAD_TRY(tread_standardization_create(dataset->features, &standard));
    float *extremes = tread_calloc((size_t)dataset->features, 2 * sizeof *extremes, "extremes of features");
    tread_status status = TREAD_ERROR_MEMORY;
    if (extremes != NULL) {
        tread_walk walk;
        status = tread_walk_create(context, dataset, &walk);
        if (status == TREAD_OK)
            status = learn(&walk, extremes, &standard);
        tread_walk_destroy(&walk);
    }
    tread_free(extremes);
    if (status == TREAD_OK)
        tread_standardization_apply(dataset, &standard);
    tread_standardization_destroy(&standard);
    return status;
}

static tread_status check_features(const tread_dataset *dataset, int64_t features) {
    if (features == dataset->features)
        return TREAD_OK;
    return tread_fail(TREAD_ERROR_SHAPE, "data set: %lld features, and the normalisation is of %lld",
                      (long long)dataset->features, (long long)features);
}

tread_status tread_dataset_normalize_like(tread_dataset *dataset, const tread_dataset *learned) {
    TREAD_REFUSE_NULL("dataset normalize", dataset);
    TREAD_REFUSE_NULL("dataset normalize", learned);
    TREAD_TRY(check_features(dataset, learned->features));
    if (learned->standard.mean == NULL) {
        if (dataset->x_dtype == TREAD_INT32 && learned->x_dtype == TREAD_INT32)
            return TREAD_OK;
        return tread_dataset_normalize(dataset, learned->mean, learned->std);
    }
    TREAD_TRY(tread_dataset_check_normalizable(dataset));
    tread_standardization standard;
    TREAD_TRY(tread_standardization_create(dataset->features, &standard));
    memcpy(standard.mean, learned->standard.mean, (size_t)dataset->features * sizeof(double));
    memcpy(standard.std, learned->standard.std, (size_t)dataset->features * sizeof(double));
    tread_standardization_apply(dataset, &standard);
    return TREAD_OK;
}

const double *tread_dataset_feature_means(const tread_dataset *dataset) {
    return dataset != NULL ? dataset->standard.mean : NULL;
}
const double *tread_dataset_feature_stds(const tread_dataset *dataset) {
    return dataset != NULL ? dataset->standard.std : NULL;
}
