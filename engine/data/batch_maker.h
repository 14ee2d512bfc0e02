/* Layer: engine. How a batch comes about: which samples it has, and their values in its tensors. */
#ifndef TREAD_ENGINE_BATCH_MAKER_H
#define TREAD_ENGINE_BATCH_MAKER_H

#include "engine/data/dataset.h"

/* What all batches of an object have in common, and the order of the epoch they are in. One thread at a time. */
typedef struct tread_batch_maker {
    const tread_dataset *dataset;
    uint64_t seed;
    bool shuffle, keep_shape;
    int64_t full_count;  /* samples of a batch */
    int64_t last_count;  /* of a short last one; 0: the last is a full one, or left out */
    int64_t count;       /* batches an epoch */
    int32_t *order;      /* of the samples in order_epoch */
    int64_t order_epoch; /* -1: none yet */
} tread_batch_maker;

/* options: checked, the seed chosen. On failure destroy is still to be called. TREAD_ERROR_MEMORY. */
tread_status tread_batch_maker_create(const tread_dataset *dataset, const tread_batches_options *options,
                                      tread_batch_maker *ret_maker);
void tread_batch_maker_destroy(tread_batch_maker *maker);

/* One place to put a batch. */
typedef struct tread_batch_slot {
    tread_batch batch; /* where status is TREAD_OK */
    tread_status status;
    char error[1024]; /* the sentence, which may be another thread's */
    tread_tensor *full_x, *full_y;
    tread_tensor *last_x, *last_y; /* views of their first rows */
    int32_t *rows;                 /* the batch's samples */
    int32_t *stored;               /* where these lie in x and y or for the source; rows itself but for subsets */
    void *raw;                     /* inputs as a source gave them */
    int32_t *raw_rows;             /* 0, 1, ... */
} tread_batch_slot;

/* Allocates everything. On failure destroy is still to be called. TREAD_ERROR_MEMORY. */
tread_status tread_batch_slot_create(const tread_batch_maker *maker, tread_batch_slot *ret_slot);
void tread_batch_slot_destroy(tread_batch_slot *slot);

/* Makes batch number index of epoch in slot, whose status says whether that went well; where not, the thread's sentence
 * is set too. Allocates nothing. */
void tread_batch_make(tread_batch_maker *maker, const tread_context *context, int64_t epoch, int64_t index,
                      tread_batch_slot *slot);
/* The first samples of the epoch as a full batch, or as a short last one. */
void tread_batch_make_sample(tread_batch_maker *maker, const tread_context *context, int64_t epoch, bool last,
                             tread_batch_slot *slot);

#endif
