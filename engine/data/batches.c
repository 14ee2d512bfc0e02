#include "engine/data/batches.h"

#include "core/context.h"
#include "core/memory.h"
#include "core/options.h"
#include "core/recorder.h"
#include "core/status.h"
#include "engine/data/batch_maker.h"
#include "engine/data/prefetch.h"

struct tread_batches {
    const tread_context *context;
    tread_batch_maker maker;
    int64_t epoch, index;      /* of the next batch */
    tread_batch_slot slots[2]; /* the second one with prefetch */
    tread_batch_slot *given;   /* whose batch the caller has */
    tread_prefetch *prefetch;  /* NULL: none */
    tread_status status;
};

tread_batches_options tread_batches_defaults(void) {
    return (tread_batches_options){.size = sizeof(tread_batches_options), .batch_size = 64, .shuffle = true};
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

static tread_status allocate(tread_batches *batches, bool prefetch) {
    for (int i = 0; i <= (int)prefetch; i++)
        TREAD_TRY(tread_batch_slot_create(&batches->maker, &batches->slots[i]));
    batches->given = &batches->slots[0];
    return prefetch ? tread_prefetch_create(&batches->maker, batches->slots, &batches->prefetch) : TREAD_OK;
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
    batches->context = tread_context_resolve(context);
    if (chosen.seed == 0)
        chosen.seed = tread_context_seed(batches->context);
    if (tread_batch_maker_create(dataset, &chosen, &batches->maker) != TREAD_OK ||
        allocate(batches, chosen.prefetch) != TREAD_OK) {
        tread_batches_destroy(batches);
        return NULL;
    }
    return batches;
}

void tread_batches_destroy(tread_batches *batches) {
    if (batches == NULL)
        return;
    tread_prefetch_destroy(batches->prefetch); /* first: its thread writes into the slots */
    for (int i = 0; i < 2; i++)
        tread_batch_slot_destroy(&batches->slots[i]);
    tread_batch_maker_destroy(&batches->maker);
    tread_free(batches);
}

/* The batch in batches->given, or the reason why there is none. */
static bool give(tread_batches *batches, tread_batch *ret_batch) {
    const tread_batch_slot *slot = batches->given;
    batches->status = slot->status;
    if (slot->status == TREAD_OK)
        *ret_batch = slot->batch;
    return slot->status == TREAD_OK;
}

/* Inputs and labels are read as they are stored and written as the batch has them; bytes and normalised floats take two
 * flops a value. What a thread of its own has made ahead costs nothing here. */
static tread_cost cost(const tread_batches *batches) {
    const tread_dataset *dataset = batches->maker.dataset;
    const tread_batch_slot *slot = batches->given;
    if (batches->prefetch != NULL || slot->status != TREAD_OK)
        return (tread_cost){0};
    const double values = (double)tread_tensor_count(slot->batch.x);
    const bool is_copied = dataset->x_dtype == TREAD_INT32 ||
                           (dataset->x_dtype == TREAD_FLOAT32 && dataset->mean == 0 && dataset->std == 1);
    tread_cost sum = {.flops = is_copied && dataset->standard.factor == NULL ? 0 : 2 * values,
                      .bytes = values * (double)(tread_dtype_size(dataset->x_dtype) +
                                                 tread_dtype_size(tread_tensor_dtype(slot->batch.x)))};
    if (slot->batch.y != NULL)
        sum.bytes +=
            2 * (double)tread_tensor_count(slot->batch.y) * (double)tread_dtype_size(tread_tensor_dtype(slot->batch.y));
    return sum;
}

bool tread_batches_next(tread_batches *batches, tread_batch *ret_batch) {
    if (batches == NULL)
        return false;
    batches->status = TREAD_OK;
    if (batches->index >= batches->maker.count) {
        batches->epoch++;
        batches->index = 0;
        return false;
    }
    const tread_time_span_key key = {.name = "batch", .phase = TREAD_TRACE_OTHER};
    const tread_time_span span = tread_time_span_begin(batches->context, &key);
    if (batches->prefetch != NULL)
        batches->given = tread_prefetch_take(batches->prefetch, batches->epoch, batches->index);
    else
        tread_batch_make(&batches->maker, batches->context, batches->epoch, batches->index, batches->given);
    tread_time_span_end(batches->context, span, tread_time_span_recorded(span) ? cost(batches) : (tread_cost){0});
    if (!give(batches, ret_batch))
        return false;
    batches->index++;
    return true;
}

bool tread_batches_sample(tread_batches *batches, bool last, tread_batch *ret_batch) {
    batches->status = TREAD_OK;
    if ((last ? batches->maker.last_count : batches->maker.full_count) == 0)
        return false;
    if (batches->prefetch != NULL)
        tread_prefetch_pause(batches->prefetch);
    tread_batch_make_sample(&batches->maker, batches->context, batches->epoch, last, batches->given);
    return give(batches, ret_batch);
}

tread_status tread_batches_status(const tread_batches *batches) {
    TREAD_REFUSE_NULL("batches status", batches);
    return batches->status;
}

tread_status tread_batches_seek(tread_batches *batches, int64_t epoch, int64_t index) {
    TREAD_REFUSE_NULL("batches seek", batches);
    if (epoch < 0)
        return tread_fail(TREAD_ERROR_ARGUMENT, "batches: epoch %lld is below 0", (long long)epoch);
    if (index < 0 || index > batches->maker.count)
        return tread_fail(TREAD_ERROR_ARGUMENT, "batches: batch %lld is outside 0..%lld", (long long)index,
                          (long long)batches->maker.count);
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

uint64_t tread_batches_seed(const tread_batches *batches, bool *ret_shuffle) {
    *ret_shuffle = batches->maker.shuffle;
    return batches->maker.seed;
}

int64_t tread_batches_count(const tread_batches *batches) { return batches != NULL ? batches->maker.count : 0; }
int64_t tread_batches_samples(const tread_batches *batches) {
    if (batches == NULL)
        return 0;
    return (batches->maker.count - (batches->maker.last_count > 0)) * batches->maker.full_count +
           batches->maker.last_count;
}
int64_t tread_batches_batch_size(const tread_batches *batches) {
    return batches != NULL ? batches->maker.full_count : 0;
}
const tread_dataset *tread_batches_dataset(const tread_batches *batches) {
    return batches != NULL ? batches->maker.dataset : NULL;
}
