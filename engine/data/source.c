#include <string.h>

#include "core/memory.h"
#include "core/options.h"
#include "core/status.h"
#include "core/tensor.h"
#include "engine/data/dataset.h"

tread_source tread_source_defaults(void) {
    return (tread_source){.size = sizeof(tread_source), .x_dtype = TREAD_FLOAT32};
}

/* Values of a sample, above 0 and few enough that a set's bytes can be counted. what: "x" or "y". */
static tread_status check_shape(const char *what, int rank, const int64_t *shape, int64_t *ret_values) {
    char text[TREAD_SHAPE_TEXT];
    int64_t values = 1;
    if (rank < 1 || rank > TREAD_MAX_RANK - 1)
        return tread_fail(TREAD_ERROR_SHAPE, "data source: %s_rank = %d is outside 1..%d", what, rank,
                          TREAD_MAX_RANK - 1);
    for (int i = 0; i < rank; i++)
        if (shape[i] < 1 || __builtin_mul_overflow(values, shape[i], &values) || values > INT32_MAX)
            return tread_fail(TREAD_ERROR_SHAPE, "data source: %s_shape = %s is not of 1 to %d values", what,
                              tread_shape_text(text, rank, shape), INT32_MAX);
    *ret_values = values;
    return TREAD_OK;
}

static tread_status check(const tread_source *source, int64_t *ret_features) {
    int64_t targets;
    if (source->read == NULL)
        return tread_fail(TREAD_ERROR_ARGUMENT, "data source: read is NULL");
    if (source->count < 1 || source->count > INT32_MAX)
        return tread_fail(TREAD_ERROR_ARGUMENT, "data source: count = %lld is outside 1..%d", (long long)source->count,
                          INT32_MAX);
    if (source->x_dtype != TREAD_FLOAT32 && source->x_dtype != TREAD_UINT8 && source->x_dtype != TREAD_INT32)
        return tread_fail(TREAD_ERROR_DTYPE, "data source: x_dtype is %s, expected float32, uint8 or int32",
                          tread_dtype_name(source->x_dtype));
    if (source->classes < 0)
        return tread_fail(TREAD_ERROR_ARGUMENT, "data source: classes = %d is below 0", source->classes);
    if (source->classes > 0 && source->y_rank != 0)
        return tread_fail(TREAD_ERROR_ARGUMENT, "data source: there are classes, and y_rank = %d; labels have no axes",
                          source->y_rank);
    TREAD_TRY(check_shape("x", source->x_rank, source->x_shape, ret_features));
    return source->y_rank == 0 ? TREAD_OK : check_shape("y", source->y_rank, source->y_shape, &targets);
}

tread_dataset *tread_dataset_from_source(const tread_source *source) {
    tread_source chosen = tread_source_defaults();
    int64_t features = 0;
    if (source == NULL)
        return tread_fail_null(TREAD_ERROR_ARGUMENT, "data source: it is NULL");
    if (tread_options_read("data source", source, &chosen, sizeof chosen) != TREAD_OK ||
        check(&chosen, &features) != TREAD_OK)
        return NULL;
    tread_dataset *dataset = tread_calloc(1, sizeof *dataset, "data set");
    if (dataset == NULL)
        return NULL;
    dataset->n = chosen.count;
    dataset->features = features;
    dataset->classes = chosen.classes;
    dataset->x_dtype = chosen.x_dtype;
    dataset->x_rank = chosen.x_rank + 1;
    dataset->x_shape[0] = dataset->n;
    memcpy(dataset->x_shape + 1, chosen.x_shape, sizeof(int64_t) * (size_t)chosen.x_rank);
    dataset->y_rank = chosen.classes > 0 ? 1 : chosen.y_rank > 0 ? chosen.y_rank + 1 : 0;
    dataset->y_float = chosen.y_rank > 0;
    dataset->y_shape[0] = dataset->y_rank > 0 ? dataset->n : 0;
    memcpy(dataset->y_shape + 1, chosen.y_shape, sizeof(int64_t) * (size_t)chosen.y_rank);
    dataset->source = chosen;
    dataset->std = 1;
    return dataset;
}
