#include "engine/data/walk.h"

#include "core/memory.h"
#include "core/tensor.h"
#include "engine/data/batches.h"

#define BLOCK_VALUES 65536

tread_status tread_walk_create(const tread_context *context, const tread_dataset *dataset, tread_walk *walk) {
    int64_t block = BLOCK_VALUES / dataset->features;
    block = block < 1 ? 1 : block;
    *walk = (tread_walk){.context = context, .dataset = dataset, .block = block < dataset->n ? block : dataset->n};
    size_t n = (size_t)walk->block, values = n * (size_t)dataset->features;
    walk->rows = tread_alloc(n * sizeof *walk->rows, "rows of a block");
    walk->values = walk->rows == NULL ? NULL : tread_alloc(values * sizeof *walk->values, "values of a block");
    if (walk->values == NULL)
        return TREAD_ERROR_MEMORY;
    if (dataset->source.read == NULL)
        return TREAD_OK;
    int64_t targets = dataset->classes > 0 ? 1 : tread_dataset_targets(dataset);
    walk->raw = tread_calloc(values, tread_dtype_size(dataset->x_dtype), "samples of a source");
    if (walk->raw == NULL)
        return TREAD_ERROR_MEMORY;
    if (targets > 0 && (walk->y = tread_calloc(n * (size_t)targets, sizeof(float), "samples of a source")) == NULL)
        return TREAD_ERROR_MEMORY;
    return TREAD_OK;
}

void tread_walk_destroy(tread_walk *walk) {
    tread_free(walk->rows);
    tread_free(walk->values);
    tread_free(walk->raw);
    tread_free(walk->y);
}

tread_status tread_walk_next(tread_walk *walk) {
    const tread_dataset *dataset = walk->dataset;
    const void *from = walk->raw;
    walk->count = dataset->n - walk->next < walk->block ? dataset->n - walk->next : walk->block;
    for (int64_t i = 0; i < walk->count; i++)
        walk->rows[i] = dataset->rows != NULL ? dataset->rows[walk->next + i] : (int32_t)(walk->next + i);
    walk->next = walk->count > 0 ? walk->next + walk->count : 0;
    if (walk->count == 0)
        return TREAD_OK;
    if (dataset->source.read != NULL) {
        tread_status status = dataset->source.read(dataset->source.data, walk->rows, walk->count, walk->raw, walk->y);
        if (status != TREAD_OK)
            return status;
        for (int64_t i = 0; i < walk->count; i++) /* what was read lies in order */
            walk->rows[i] = (int32_t)i;
    } else {
        from = dataset->x->data;
    }
    if (dataset->x_dtype == TREAD_UINT8)
        tread_gather_bytes(walk->context, from, dataset->features, walk->rows, walk->count, 1, 0, walk->values);
    else
        tread_gather_floats(walk->context, from, dataset->features, walk->rows, walk->count, 0, 1, walk->values);
    return TREAD_OK;
}
