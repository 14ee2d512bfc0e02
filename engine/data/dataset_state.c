/* What a checkpoint keeps of a data set: features, and mean and std (one number each, or one for each feature), and the
 * names of features and classes. */
#include <math.h>
#include <string.h>

#include "core/memory.h"
#include "core/status.h"
#include "core/tensor.h"
#include "engine/checkpoint/safetensors.h"
#include "engine/data/dataset.h"

static tread_status add_numbers(tread_state *state, const char *name, const double *values, int64_t n) {
    tread_tensor *tensor = tread_tensor_create(TREAD_FLOAT64, 1, &n);
    if (tensor == NULL)
        return TREAD_ERROR_MEMORY;
    memcpy(tensor->data, values, (size_t)n * sizeof *values);
    tread_status status = tread_state_add_tensor(state, name, tensor);
    if (status != TREAD_OK)
        tread_tensor_destroy(tensor);
    return status;
}

/* A header in another encoding cannot stand in a checkpoint, and is no reason to have none. */
static bool are_utf8(const tread_names *names) {
    for (int64_t i = 0; i < names->count; i++)
        if (!tread_is_utf8(names->items[i]))
            return false;
    return true;
}

static tread_status add_names(tread_state *state, const char *part, const tread_names *names) {
    if (names->count == 0)
        return TREAD_OK;
    tread_state *list = tread_state_add_list(state, part);
    if (list == NULL)
        return TREAD_ERROR_MEMORY;
    for (int64_t i = 0; i < names->count; i++)
        TREAD_TRY(tread_state_add_string(list, NULL, names->items[i]));
    return TREAD_OK;
}

static tread_status add_all(const tread_dataset *dataset, tread_state *state) {
    TREAD_TRY(tread_state_add_integer(state, "features", dataset->features));
    if (dataset->standard.mean != NULL) {
        TREAD_TRY(add_numbers(state, "mean", dataset->standard.mean, dataset->features));
        TREAD_TRY(add_numbers(state, "std", dataset->standard.std, dataset->features));
    } else {
        TREAD_TRY(tread_state_add_real(state, "mean", dataset->mean));
        TREAD_TRY(tread_state_add_real(state, "std", dataset->std));
    }
    if (dataset->schema == NULL)
        return TREAD_OK;
    if (are_utf8(&dataset->schema->features))
        TREAD_TRY(add_names(state, "names", &dataset->schema->features));
    return add_names(state, "classes", &dataset->schema->classes);
}

tread_state *tread_dataset_state_dict(const tread_dataset *dataset) {
    if (dataset == NULL)
        return tread_fail_null(TREAD_ERROR_ARGUMENT, "dataset state dict: the dataset is NULL");
    tread_state *state = tread_state_create();
    if (state == NULL || add_all(dataset, state) != TREAD_OK) {
        tread_state_destroy(state);
        return NULL;
    }
    return state;
}

/* Where both know names, they are the same in the same order: columns that changed places would go unseen else. one,
 * several: what they are names of. */
static tread_status check_names(const tread_names *own, const tread_state *stored, const char *one,
                                const char *several) {
    if (stored == NULL || own->count == 0)
        return TREAD_OK;
    if (tread_state_kind_of(stored) != TREAD_STATE_LIST)
        return tread_fail(TREAD_ERROR_FORMAT, "data set state: %s is a %s, expected a list", tread_state_name(stored),
                          tread_state_kind_name(tread_state_kind_of(stored)));
    int64_t n = (int64_t)tread_state_count(stored);
    if (n != own->count)
        return tread_fail(TREAD_ERROR_ARGUMENT, "data set state: %lld %s, and the data set has %lld", (long long)n,
                          several, (long long)own->count);
    for (int64_t i = 0; i < n; i++) {
        const char *name;
        TREAD_TRY(tread_state_as_string(tread_state_at(stored, (size_t)i), &name));
        if (strcmp(name, own->items[i]) != 0)
            return tread_fail(TREAD_ERROR_ARGUMENT, "data set state: %s %lld is %s, and the data set's is %s", one,
                              (long long)i, name, own->items[i]);
    }
    return TREAD_OK;
}

static tread_status read_numbers(const tread_state *state, const char *name, bool positive, int64_t n,
                                 double *ret_values) {
    const tread_tensor *tensor;
    TREAD_TRY(tread_state_get_tensor(state, name, &tensor));
    if (tensor->dtype != TREAD_FLOAT64 || tensor->rank != 1 || tensor->count != n) {
        char text[TREAD_SHAPE_TEXT];
        return tread_fail(TREAD_ERROR_FORMAT, "data set state: %s is %s %s, expected float64 (%lld)", name,
                          tread_dtype_name(tensor->dtype), tread_shape_text(text, tensor->rank, tensor->shape),
                          (long long)n);
    }
    const double *values = tensor->data;
    for (int64_t i = 0; i < n; i++)
        if (!isfinite(values[i]) || (positive && !(values[i] > 0)))
            return tread_fail(TREAD_ERROR_FORMAT, "data set state: %s of feature %lld is %g", name, (long long)i,
                              values[i]);
    memcpy(ret_values, values, (size_t)n * sizeof *values);
    return TREAD_OK;
}

static tread_status load_features(tread_dataset *dataset, const tread_state *state) {
    tread_standardization standard;
    TREAD_TRY(tread_dataset_check_normalizable(dataset));
    TREAD_TRY(tread_standardization_create(dataset->features, &standard));
    tread_status status = read_numbers(state, "mean", false, dataset->features, standard.mean);
    if (status == TREAD_OK)
        status = read_numbers(state, "std", true, dataset->features, standard.std);
    if (status == TREAD_OK)
        tread_standardization_apply(dataset, &standard);
    tread_standardization_destroy(&standard);
    return status;
}

static tread_status load_scalars(tread_dataset *dataset, const tread_state *state) {
    double mean, std;
    TREAD_TRY(tread_state_get_real(state, "mean", &mean));
    TREAD_TRY(tread_state_get_real(state, "std", &std));
    if (!isfinite(mean) || !(std > 0) || !isfinite(std))
        return tread_fail(TREAD_ERROR_FORMAT, "data set state: mean %g and std %g", mean, std);
    if (mean == 0 && std == 1 && dataset->x_dtype == TREAD_INT32)
        return TREAD_OK; /* indices, as they were */
    return tread_dataset_normalize(dataset, mean, std);
}

tread_status tread_dataset_load_state_dict(tread_dataset *dataset, const tread_state *state) {
    TREAD_REFUSE_NULL("dataset load state dict", dataset);
    TREAD_REFUSE_NULL("dataset load state dict", state);
    int64_t features;
    TREAD_TRY(tread_state_get_integer(state, "features", &features));
    if (features != dataset->features)
        return tread_fail(TREAD_ERROR_SHAPE, "data set state: %lld features, and the data set has %lld",
                          (long long)features, (long long)dataset->features);
    if (dataset->schema != NULL) {
        TREAD_TRY(check_names(&dataset->schema->features, tread_state_find(state, "names"), "feature", "features"));
        TREAD_TRY(check_names(&dataset->schema->classes, tread_state_find(state, "classes"), "class", "classes"));
    }
    const tread_state *mean = tread_state_find(state, "mean");
    return mean != NULL && tread_state_kind_of(mean) == TREAD_STATE_TENSOR ? load_features(dataset, state)
                                                                           : load_scalars(dataset, state);
}
