/* Layer: engine. A thread that makes the next batch while the caller works with this one. */
#ifndef TREAD_ENGINE_PREFETCH_H
#define TREAD_ENGINE_PREFETCH_H

#include "engine/data/batch_maker.h"

typedef struct tread_prefetch tread_prefetch;

/* Starts the thread, which rests until the first batch is taken. The maker and the two slots are its own from then on,
 * but for what take and pause give. TREAD_ERROR_MEMORY, TREAD_ERROR_IO. */
tread_status tread_prefetch_create(tread_batch_maker *maker, tread_batch_slot *slots, tread_prefetch **ret_prefetch);
/* Ends the thread, after the batch it is at. NULL is accepted. */
void tread_prefetch_destroy(tread_prefetch *prefetch);

/* The slot with batch number index of epoch, made ahead of time if the calls go through the epochs in order. It is the
 * caller's until the next call; where its status is a failure, the thread's sentence is set. After a good one the batch
 * that follows is begun in the other slot. */
tread_batch_slot *tread_prefetch_take(tread_prefetch *prefetch, int64_t epoch, int64_t index);

/* Waits until the thread rests: until the next take, maker and slots are the caller's. */
void tread_prefetch_pause(tread_prefetch *prefetch);

#endif
