/* Subsets: samples stay where they are, and a list says which. */
#include <math.h>
#include <string.h>
#include <tread/random.h>

#include "core/memory.h"
#include "core/status.h"
#include "engine/data/dataset.h"

/* Stream of the permutation: "splt" in the upper half keeps it apart from those of epochs. */
#define STREAM ((uint64_t)0x73706c74 << 32)

static tread_status copy_standard(const tread_dataset *from, tread_dataset *to) {
    if (from->standard.mean == NULL)
        return TREAD_OK;
    size_t bytes = (size_t)from->features * sizeof(double);
    TREAD_TRY(tread_standardization_create(from->features, &to->standard));
    memcpy(to->standard.mean, from->standard.mean, bytes);
    memcpy(to->standard.std, from->standard.std, bytes);
    memcpy(to->standard.centre, from->standard.centre, bytes);
    memcpy(to->standard.factor, from->standard.factor, bytes);
    return TREAD_OK;
}

/* All of it but the rows, which the subset takes on success. */
static tread_dataset *create_subset(const tread_dataset *dataset, int32_t *rows, int64_t n) {
    tread_dataset *subset = tread_calloc(1, sizeof *subset, "data set");
    if (subset == NULL)
        return NULL;
    *subset = *dataset;
    subset->x = subset->y = NULL;
    subset->x_data = subset->y_data = NULL;
    subset->rows = NULL;
    subset->own_schema = NULL;
    subset->standard = (tread_standardization){0};
    const tread_tensor *x = dataset->x, *y = dataset->y;
    subset->x = x == NULL ? NULL : tread_tensor_view(x, tread_tensor_rank(x), tread_tensor_shape(x));
    subset->y = y == NULL ? NULL : tread_tensor_view(y, tread_tensor_rank(y), tread_tensor_shape(y));
    if ((x != NULL && subset->x == NULL) || (y != NULL && subset->y == NULL) ||
        copy_standard(dataset, subset) != TREAD_OK) {
        tread_dataset_destroy(subset);
        return NULL;
    }
    subset->n = subset->x_shape[0] = n;
    if (subset->y_rank > 0)
        subset->y_shape[0] = n;
    subset->rows = rows;
    return subset;
}

tread_dataset *tread_dataset_subset(const tread_dataset *dataset, const int32_t *rows, int64_t n) {
    if (dataset == NULL || rows == NULL)
        return tread_fail_null(TREAD_ERROR_ARGUMENT, "subset: the %s is NULL",
                               dataset == NULL ? "data set" : "list of rows");
    if (n < 1 || n > INT32_MAX)
        return tread_fail_null(TREAD_ERROR_ARGUMENT, "subset: n = %lld is outside 1..%d", (long long)n, INT32_MAX);
    for (int64_t i = 0; i < n; i++)
        if (rows[i] < 0 || rows[i] >= dataset->n)
            return tread_fail_null(TREAD_ERROR_ARGUMENT, "subset: row %d, number %lld of the list, is outside 0..%lld",
                                   rows[i], (long long)i, (long long)dataset->n - 1);
    int32_t *stored = tread_alloc((size_t)n * sizeof *stored, "rows of a subset");
    if (stored == NULL)
        return NULL;
    for (int64_t i = 0; i < n; i++)
        stored[i] = dataset->rows != NULL ? dataset->rows[rows[i]] : rows[i];
    tread_dataset *subset = create_subset(dataset, stored, n);
    if (subset == NULL)
        tread_free(stored);
    return subset;
}

/* Samples for validation: the nearest number to the fraction that leaves one on either side. */
static int64_t share(double fraction, int64_t n) {
    int64_t count = llrint(fraction * (double)n);
    return count < 1 ? 1 : count > n - 1 ? n - 1 : count;
}

/* The first of the permutation are for validation. */
static void choose(int64_t n, int64_t count, const int32_t *order, bool *ret_chosen) {
    for (int64_t i = 0; i < n; i++)
        ret_chosen[order[i]] = i < count;
}

static int32_t label_of(const tread_dataset *dataset, int64_t i) {
    int64_t row = dataset->rows != NULL ? dataset->rows[i] : i;
    const void *labels = tread_tensor_data(dataset->y);
    return tread_tensor_dtype(dataset->y) == TREAD_UINT8 ? ((const uint8_t *)labels)[row]
                                                         : ((const int32_t *)labels)[row];
}

typedef struct quota {
    int64_t samples, validation;
    double rest; /* of its share, which rounding down left */
} quota;

/* Each class gives its share rounded down; those with the largest rests, the first of equals, give the ones that lack.
 */
static void fill_quotas(quota *quotas, int classes, double fraction, int64_t count) {
    int64_t left = count;
    for (int c = 0; c < classes; c++) {
        double exact = fraction * (double)quotas[c].samples;
        quotas[c].validation = (int64_t)floor(exact);
        quotas[c].rest = exact - floor(exact);
        left -= quotas[c].validation;
    }
    for (; left > 0; left--) {
        int best = -1;
        for (int c = 0; c < classes; c++)
            if (quotas[c].validation < quotas[c].samples && (best < 0 || quotas[c].rest > quotas[best].rest))
                best = c;
        quotas[best].validation++;
        quotas[best].rest -= 1;
    }
    for (int c = 0; left < 0 && c < classes; c++) /* all but one for validation */
        for (; left < 0 && quotas[c].validation > 0; left++)
            quotas[c].validation--;
}

static tread_status choose_stratified(const tread_dataset *dataset, double fraction, int64_t count,
                                      const int32_t *order, bool *ret_chosen) {
    quota *quotas = tread_calloc((size_t)dataset->classes, sizeof *quotas, "shares of the classes");
    if (quotas == NULL)
        return TREAD_ERROR_MEMORY;
    for (int64_t i = 0; i < dataset->n; i++)
        quotas[label_of(dataset, i)].samples++;
    fill_quotas(quotas, dataset->classes, fraction, count);
    for (int64_t i = 0; i < dataset->n; i++) {
        quota *of = &quotas[label_of(dataset, order[i])];
        ret_chosen[order[i]] = of->validation > 0;
        of->validation -= of->validation > 0;
    }
    tread_free(quotas);
    return TREAD_OK;
}

static tread_dataset *chosen_part(const tread_dataset *dataset, const bool *chosen, bool wanted, int64_t count,
                                  int32_t *scratch) {
    int64_t n = 0;
    for (int64_t i = 0; i < dataset->n; i++)
        if (chosen[i] == wanted)
            scratch[n++] = (int32_t)i;
    return n == count ? tread_dataset_subset(dataset, scratch, n) : NULL;
}

static tread_status cut(const tread_dataset *dataset, double fraction, uint64_t seed, bool stratified, int32_t *order,
                        bool *chosen, tread_dataset **ret_train, tread_dataset **ret_validation) {
    int64_t n = dataset->n, count = share(fraction, n);
    tread_random_permutation(seed, STREAM, order, (int32_t)n);
    if (stratified)
        TREAD_TRY(choose_stratified(dataset, fraction, count, order, chosen));
    else
        choose(n, count, order, chosen);
    tread_dataset *train = chosen_part(dataset, chosen, false, n - count, order);
    tread_dataset *validation = train == NULL ? NULL : chosen_part(dataset, chosen, true, count, order);
    if (validation == NULL) {
        tread_dataset_destroy(train);
        return TREAD_ERROR_MEMORY;
    }
    *ret_train = train;
    *ret_validation = validation;
    return TREAD_OK;
}

static tread_status split(const tread_dataset *dataset, double fraction, uint64_t seed, bool stratified,
                          tread_dataset **ret_train, tread_dataset **ret_validation) {
    TREAD_REFUSE_NULL("dataset split", dataset);
    if (!(fraction > 0 && fraction < 1))
        return tread_fail(TREAD_ERROR_ARGUMENT, "dataset split: fraction = %g is not between 0 and 1", fraction);
    if (dataset->n < 2)
        return tread_fail(TREAD_ERROR_ARGUMENT, "dataset split: one sample cannot be split");
    if (stratified && (dataset->classes == 0 || dataset->y == NULL))
        return tread_fail(TREAD_ERROR_ARGUMENT, "dataset split: stratified needs class labels in memory");
    size_t n = (size_t)dataset->n;
    int32_t *order = tread_alloc(n * sizeof *order, "order of samples");
    bool *chosen = order == NULL ? NULL : tread_alloc(n * sizeof *chosen, "choice of samples");
    tread_status status = chosen == NULL
                              ? TREAD_ERROR_MEMORY
                              : cut(dataset, fraction, seed, stratified, order, chosen, ret_train, ret_validation);
    tread_free(order);
    tread_free(chosen);
    return status;
}

tread_status tread_dataset_split(const tread_dataset *dataset, double fraction, uint64_t seed,
                                 tread_dataset **ret_train, tread_dataset **ret_validation) {
    return split(dataset, fraction, seed, false, ret_train, ret_validation);
}

tread_status tread_dataset_split_stratified(const tread_dataset *dataset, double fraction, uint64_t seed,
                                            tread_dataset **ret_train, tread_dataset **ret_validation) {
    return split(dataset, fraction, seed, true, ret_train, ret_validation);
}
