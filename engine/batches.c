#include "engine/batches.h"

#include <string.h>

#include "core/context.h"
#include "core/memory.h"
#include "core/options.h"
#include "core/status.h"
#include "core/tensor.h"
#include "engine/dataset.h"

/* One place to put batches of one size. */
typedef struct batch_tensors {
    int64_t count; /* 0: there is no batch of this size */
    tread_tensor *x, *y;
} batch_tensors;

struct tread_batches {
    const tread_context *context;
    const tread_dataset *dataset;
    tread_batches_options options;
    uint64_t seed;
    int64_t count;        /* batches an epoch */
    int64_t epoch, index; /* of the next batch */
    int64_t order_epoch;  /* whose permutation order holds; -1: none */
    int32_t *order;
    batch_tensors full, last; /* last.count 0: the last batch is a full one, or left out */
    tread_status status;
};

tread_batches_options tread_batches_defaults(void) {
    return (tread_batches_options){.size = sizeof(tread_batches_options), .batch_size = 64, .shuffle = true};
}

static tread_tensor *create_x(const tread_batches *batches, int64_t count) {
    const tread_tensor *x = batches->dataset->x;
    const tread_dtype dtype = x->dtype == TREAD_INT32 ? TREAD_INT32 : TREAD_FLOAT32;
    int64_t shape[TREAD_MAX_RANK] = {count, batches->dataset->features};
    if (!batches->options.keep_shape)
        return tread_tensor_create(dtype, 2, shape);
    memcpy(shape + 1, x->shape + 1, sizeof(int64_t) * (size_t)(x->rank - 1));
    return tread_tensor_create(dtype, x->rank, shape);
}

static tread_tensor *create_y(const tread_batches *batches, int64_t count) {
    const tread_tensor *y = batches->dataset->y;
    int64_t shape[TREAD_MAX_RANK] = {count};
    memcpy(shape + 1, y->shape + 1, sizeof(int64_t) * (size_t)(y->rank - 1));
    return tread_tensor_create(y->dtype == TREAD_FLOAT32 ? TREAD_FLOAT32 : TREAD_INT32, y->rank, shape);
}

static tread_status allocate(tread_batches *batches) {
    batch_tensors *full = &batches->full, *last = &batches->last;
    bool has_y = batches->dataset->y != NULL;
    batches->order = tread_alloc((size_t)batches->dataset->n * sizeof *batches->order, "order of samples");
    if (batches->order == NULL || (full->x = create_x(batches, full->count)) == NULL ||
        (has_y && (full->y = create_y(batches, full->count)) == NULL))
        return TREAD_ERROR_MEMORY;
    if (last->count > 0 && ((last->x = tread_tensor_rows(full->x, 0, last->count)) == NULL ||
                            (has_y && (last->y = tread_tensor_rows(full->y, 0, last->count)) == NULL)))
        return TREAD_ERROR_MEMORY;
    return TREAD_OK;
}

static tread_status check(const tread_dataset *dataset, const tread_batches_options *options) {
    if (dataset == NULL)
        return tread_fail(TREAD_ERROR_ARGUMENT, "batches: the data set is NULL");
    if (options->batch_size < 1)
        return tread_fail(TREAD_ERROR_ARGUMENT, "batches: batch_size = %lld is below 1",
                          (long long)options->batch_size);
    if (options->drop_last && dataset->n < options->batch_size)
        return tread_fail(TREAD_ERROR_ARGUMENT, "batches: drop_last leaves nothing of %lld samples in batches of %lld",
                          (long long)dataset->n, (long long)options->batch_size);
    return TREAD_OK;
}

tread_batches *tread_batches_create(tread_context *context, const tread_dataset *dataset,
                                    const tread_batches_options *options) {
    tread_batches_options chosen = tread_batches_defaults();
    if (tread_options_read("batches", options, &chosen, sizeof chosen) != TREAD_OK ||
        check(dataset, &chosen) != TREAD_OK)
        return NULL;
    tread_batches *batches = tread_calloc(1, sizeof *batches, "batches");
    if (batches == NULL)
        return NULL;
    int64_t n = dataset->n;
    batches->context = tread_context_resolve(context);
    batches->dataset = dataset;
    batches->options = chosen;
    batches->seed = chosen.seed != 0 ? chosen.seed : tread_context_seed(batches->context);
    /* A batch larger than the set is the set. */
    batches->full.count = chosen.batch_size < n ? chosen.batch_size : n;
    batches->last.count = chosen.drop_last ? 0 : n % batches->full.count;
    batches->count = n / batches->full.count + (batches->last.count > 0);
    batches->order_epoch = -1;
    if (allocate(batches) != TREAD_OK) {
        tread_batches_destroy(batches);
        return NULL;
    }
    return batches;
}

void tread_batches_destroy(tread_batches *batches) {
    if (batches == NULL)
        return;
    tread_tensor_destroy(batches->last.x);
    tread_tensor_destroy(batches->last.y);
    tread_tensor_destroy(batches->full.x);
    tread_tensor_destroy(batches->full.y);
    tread_free(batches->order);
    tread_free(batches);
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

static void gather(const tread_batches *batches, const batch_tensors *tensors, const int32_t *rows) {
    const tread_dataset *dataset = batches->dataset;
    const tread_tensor *x = dataset->x;
    double scale = x->dtype == TREAD_UINT8 ? 255 : 1;
    if (x->dtype == TREAD_UINT8)
        tread_gather_bytes(batches->context, x->data, dataset->features, rows, tensors->count,
                           (float)(1 / (scale * dataset->std)), (float)(-dataset->mean / dataset->std),
                           tensors->x->data);
    else if (x->dtype == TREAD_INT32)
        tread_gather_indices(batches->context, x->data, dataset->features, rows, tensors->count, tensors->x->data);
    else
        tread_gather_floats(batches->context, x->data, dataset->features, rows, tensors->count, dataset->mean,
                            1 / dataset->std, tensors->x->data);
    if (dataset->y != NULL)
        gather_y(dataset->y, rows, tensors->count, tensors->y);
}

static void give(const tread_batches *batches, int64_t index, const batch_tensors *tensors, const int32_t *rows,
                 tread_batch *ret_batch) {
    gather(batches, tensors, rows);
    *ret_batch = (tread_batch){.x = tensors->x,
                               .y = tensors->y,
                               .count = tensors->count,
                               .index = index,
                               .epoch = batches->epoch,
                               .rows = rows};
}

static void ensure_order(tread_batches *batches) {
    if (batches->order_epoch == batches->epoch)
        return;
    if (batches->order_epoch < 0 || batches->options.shuffle)
        tread_sampler_order(batches->seed, batches->epoch, batches->options.shuffle, batches->order,
                            (int32_t)batches->dataset->n);
    batches->order_epoch = batches->epoch;
}

bool tread_batches_next(tread_batches *batches, tread_batch *ret_batch) {
    if (batches == NULL)
        return false;
    if (batches->index >= batches->count) {
        batches->epoch++;
        batches->index = 0;
        return false;
    }
    ensure_order(batches);
    int64_t index = batches->index++;
    bool is_last = index == batches->count - 1 && batches->last.count > 0;
    uint64_t start = tread_trace_start(batches->context);
    give(batches, index, is_last ? &batches->last : &batches->full, batches->order + index * batches->full.count,
         ret_batch);
    tread_trace_stop(batches->context, start, "batch", TREAD_TRACE_OTHER);
    return true;
}

bool tread_batches_sample(tread_batches *batches, bool last, tread_batch *ret_batch) {
    const batch_tensors *tensors = last ? &batches->last : &batches->full;
    if (tensors->count == 0)
        return false;
    ensure_order(batches);
    give(batches, 0, tensors, batches->order, ret_batch);
    return true;
}

tread_status tread_batches_status(const tread_batches *batches) {
    TREAD_REFUSE_NULL("batches status", batches);
    return batches->status;
}

tread_status tread_batches_seek(tread_batches *batches, int64_t epoch, int64_t index) {
    TREAD_REFUSE_NULL("batches seek", batches);
    if (epoch < 0)
        return tread_fail(TREAD_ERROR_ARGUMENT, "batches: epoch %lld is below 0", (long long)epoch);
    if (index < 0 || index > batches->count)
        return tread_fail(TREAD_ERROR_ARGUMENT, "batches: batch %lld is outside 0..%lld", (long long)index,
                          (long long)batches->count);
    batches->epoch = epoch;
    batches->index = index;
    return TREAD_OK;
}

tread_status tread_batches_start(tread_batches *batches, int64_t epoch) {
    return tread_batches_seek(batches, epoch, 0);
}

void tread_batches_position(const tread_batches *batches, int64_t *ret_epoch, int64_t *ret_index) {
    *ret_epoch = batches->epoch;
    *ret_index = batches->index;
}

int64_t tread_batches_count(const tread_batches *batches) { return batches != NULL ? batches->count : 0; }
int64_t tread_batches_samples(const tread_batches *batches) {
    if (batches == NULL)
        return 0;
    return (batches->count - (batches->last.count > 0)) * batches->full.count + batches->last.count;
}
int64_t tread_batches_batch_size(const tread_batches *batches) { return batches != NULL ? batches->full.count : 0; }
const tread_dataset *tread_batches_dataset(const tread_batches *batches) {
    return batches != NULL ? batches->dataset : NULL;
}
