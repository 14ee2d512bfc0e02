#include "engine/data/batch_maker.h"

#include <stdio.h>
#include <string.h>

#include "core/memory.h"
#include "core/status.h"
#include "core/tensor.h"
#include "engine/data/batches.h"

tread_status tread_batch_maker_create(const tread_dataset *dataset, const tread_batches_options *options,
                                      tread_batch_maker *ret_maker) {
    int64_t n = dataset->n, full = options->batch_size < n ? options->batch_size : n; /* a larger one is the set */
    int64_t last = options->drop_last ? 0 : n % full;
    *ret_maker = (tread_batch_maker){.dataset = dataset,
                                     .seed = options->seed,
                                     .shuffle = options->shuffle,
                                     .keep_shape = options->keep_shape,
                                     .full_count = full,
                                     .last_count = last,
                                     .count = n / full + (last > 0),
                                     .order_epoch = -1};
    ret_maker->order = tread_alloc((size_t)n * sizeof(int32_t), "order of samples");
    return ret_maker->order == NULL ? TREAD_ERROR_MEMORY : TREAD_OK;
}

void tread_batch_maker_destroy(tread_batch_maker *maker) {
    tread_free(maker->order);
    maker->order = NULL;
}

static tread_tensor *create_x(const tread_batch_maker *maker) {
    const tread_dataset *dataset = maker->dataset;
    const tread_dtype dtype = dataset->x_dtype == TREAD_INT32 ? TREAD_INT32 : TREAD_FLOAT32;
    int64_t shape[TREAD_MAX_RANK] = {maker->full_count, dataset->features};
    if (!maker->keep_shape)
        return tread_tensor_create(dtype, 2, shape);
    memcpy(shape + 1, dataset->x_shape + 1, sizeof(int64_t) * (size_t)(dataset->x_rank - 1));
    return tread_tensor_create(dtype, dataset->x_rank, shape);
}

static tread_tensor *create_y(const tread_batch_maker *maker) {
    const tread_dataset *dataset = maker->dataset;
    int64_t shape[TREAD_MAX_RANK] = {maker->full_count};
    memcpy(shape + 1, dataset->y_shape + 1, sizeof(int64_t) * (size_t)(dataset->y_rank - 1));
    return tread_tensor_create(dataset->y_float ? TREAD_FLOAT32 : TREAD_INT32, dataset->y_rank, shape);
}

static tread_status create_rows(const tread_batch_maker *maker, tread_batch_slot *slot) {
    const tread_dataset *dataset = maker->dataset;
    size_t n = (size_t)maker->full_count;
    slot->rows = tread_alloc(n * sizeof(int32_t), "rows of a batch");
    slot->stored = dataset->rows == NULL ? slot->rows : tread_alloc(n * sizeof(int32_t), "rows of a batch");
    if (slot->rows == NULL || slot->stored == NULL)
        return TREAD_ERROR_MEMORY;
    if (dataset->source.read == NULL)
        return TREAD_OK;
    slot->raw = tread_calloc(n * (size_t)dataset->features, tread_dtype_size(dataset->x_dtype), "samples of a source");
    slot->raw_rows = tread_alloc(n * sizeof(int32_t), "rows of a batch");
    if (slot->raw == NULL || slot->raw_rows == NULL)
        return TREAD_ERROR_MEMORY;
    for (int32_t i = 0; i < maker->full_count; i++)
        slot->raw_rows[i] = i;
    return TREAD_OK;
}

tread_status tread_batch_slot_create(const tread_batch_maker *maker, tread_batch_slot *slot) {
    bool has_y = maker->dataset->y_rank > 0;
    *slot = (tread_batch_slot){.status = TREAD_OK};
    slot->full_x = create_x(maker);
    slot->full_y = slot->full_x != NULL && has_y ? create_y(maker) : NULL;
    if (slot->full_x == NULL || (has_y && slot->full_y == NULL))
        return TREAD_ERROR_MEMORY;
    if (maker->last_count > 0) {
        slot->last_x = tread_tensor_rows(slot->full_x, 0, maker->last_count);
        slot->last_y = slot->last_x != NULL && has_y ? tread_tensor_rows(slot->full_y, 0, maker->last_count) : NULL;
        if (slot->last_x == NULL || (has_y && slot->last_y == NULL))
            return TREAD_ERROR_MEMORY;
    }
    return create_rows(maker, slot);
}

void tread_batch_slot_destroy(tread_batch_slot *slot) {
    tread_tensor_destroy(slot->last_x);
    tread_tensor_destroy(slot->last_y);
    tread_tensor_destroy(slot->full_x);
    tread_tensor_destroy(slot->full_y);
    tread_free(slot->raw);
    tread_free(slot->raw_rows);
    tread_free(slot->stored != slot->rows ? slot->stored : NULL);
    tread_free(slot->rows);
    *slot = (tread_batch_slot){.status = TREAD_OK};
}

/* x as stored, to float32 by the set's normalisation (int32 as it is). */
static void gather_x(const tread_dataset *dataset, const tread_context *context, const void *from, const int32_t *rows,
                     int64_t count, void *to) {
    const tread_standardization *standard = &dataset->standard;
    int64_t features = dataset->features;
    if (dataset->x_dtype == TREAD_INT32)
        tread_gather_indices(context, from, features, rows, count, to);
    else if (standard->mean != NULL)
        tread_gather_standard(context, dataset->x_dtype, from, features, rows, count, standard->centre,
                              standard->factor, to);
    else if (dataset->x_dtype == TREAD_UINT8)
        tread_gather_bytes(context, from, features, rows, count, (float)(1 / (255 * dataset->std)),
                           (float)(-dataset->mean / dataset->std), to);
    else
        tread_gather_floats(context, from, features, rows, count, dataset->mean, 1 / dataset->std, to);
}

static void gather_y(const tread_tensor *y, const int32_t *rows, int64_t count, tread_tensor *to) {
    int64_t width = y->count / y->shape[0];
    for (int64_t i = 0; i < count; i++) {
        int64_t row = rows[i];
        if (y->dtype == TREAD_UINT8)
            ((int32_t *)to->data)[i] = ((const uint8_t *)y->data)[row];
        else if (y->dtype == TREAD_INT32)
            ((int32_t *)to->data)[i] = ((const int32_t *)y->data)[row];
        else
            memcpy((float *)to->data + i * width, (const float *)y->data + row * width, (size_t)width * sizeof(float));
    }
}

/* What a source says may be anything. */
static tread_status check_labels(const tread_dataset *dataset, const tread_batch *batch) {
    const int32_t *labels = batch->y->data;
    for (int64_t i = 0; i < batch->count; i++)
        if (labels[i] < 0 || labels[i] >= dataset->classes)
            return tread_fail(TREAD_ERROR_ARGUMENT, "data source: label %d of sample %d is outside 0..%d", labels[i],
                              batch->rows[i], dataset->classes - 1);
    return TREAD_OK;
}

static tread_status read_source(const tread_dataset *dataset, const tread_context *context, tread_batch_slot *slot,
                                const tread_batch *batch) {
    const tread_source *source = &dataset->source;
    TREAD_TRY(
        source->read(source->data, slot->stored, batch->count, slot->raw, batch->y != NULL ? batch->y->data : NULL));
    if (dataset->classes > 0)
        TREAD_TRY(check_labels(dataset, batch));
    gather_x(dataset, context, slot->raw, slot->raw_rows, batch->count, batch->x->data);
    return TREAD_OK;
}

/* rows: of the set's samples, as many as batch->count. */
static tread_status fill(const tread_dataset *dataset, const tread_context *context, const int32_t *rows,
                         tread_batch_slot *slot, const tread_batch *batch) {
    memcpy(slot->rows, rows, (size_t)batch->count * sizeof *rows);
    if (dataset->rows != NULL)
        for (int64_t i = 0; i < batch->count; i++)
            slot->stored[i] = dataset->rows[rows[i]];
    if (dataset->source.read != NULL)
        return read_source(dataset, context, slot, batch);
    gather_x(dataset, context, dataset->x->data, slot->stored, batch->count, batch->x->data);
    if (dataset->y != NULL)
        gather_y(dataset->y, slot->stored, batch->count, batch->y);
    return TREAD_OK;
}

static void ensure_order(tread_batch_maker *maker, int64_t epoch) {
    if (maker->order_epoch != epoch && (maker->order_epoch < 0 || maker->shuffle))
        tread_sampler_order(maker->seed, epoch, maker->shuffle, maker->order, (int32_t)maker->dataset->n);
    maker->order_epoch = epoch;
}

static void make(tread_batch_maker *maker, const tread_context *context, bool last, int64_t first,
                 tread_batch_slot *slot, tread_batch batch) {
    batch.x = last ? slot->last_x : slot->full_x;
    batch.y = last ? slot->last_y : slot->full_y;
    batch.count = last ? maker->last_count : maker->full_count;
    batch.rows = slot->rows;
    slot->status = fill(maker->dataset, context, maker->order + first, slot, &batch);
    if (slot->status != TREAD_OK)
        snprintf(slot->error, sizeof slot->error, "%s", tread_last_error());
    slot->batch = batch;
}

void tread_batch_make(tread_batch_maker *maker, const tread_context *context, int64_t epoch, int64_t index,
                      tread_batch_slot *slot) {
    ensure_order(maker, epoch);
    make(maker, context, index == maker->count - 1 && maker->last_count > 0, index * maker->full_count, slot,
         (tread_batch){.epoch = epoch, .index = index});
}

void tread_batch_make_sample(tread_batch_maker *maker, const tread_context *context, int64_t epoch, bool last,
                             tread_batch_slot *slot) {
    ensure_order(maker, epoch);
    make(maker, context, last, 0, slot, (tread_batch){.epoch = epoch});
}
