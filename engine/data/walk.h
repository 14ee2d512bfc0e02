/* Layer: engine. Goes through a data set's inputs in order, block by block, as float32 and not normalised (bytes 0 to
 * 255): for measuring subsets and sources as well as sets in memory. */
#ifndef TREAD_ENGINE_WALK_H
#define TREAD_ENGINE_WALK_H

#include "engine/data/dataset.h"

typedef struct tread_walk {
    const tread_context *context;
    const tread_dataset *dataset;
    int64_t block, next; /* samples a block at most; the first of the next one */
    int32_t *rows;
    void *raw, *y; /* of a source */
    float *values; /* (count, features) of the block */
    int64_t count; /* samples in it */
} tread_walk;

/* Not for int32 inputs. Destroy is to be called also after failure. TREAD_ERROR_MEMORY. */
tread_status tread_walk_create(const tread_context *context, const tread_dataset *dataset, tread_walk *ret_walk);
void tread_walk_destroy(tread_walk *walk);
/* The next block; count is 0 behind the last one, and the call after that begins anew. Fails as a source does. */
tread_status tread_walk_next(tread_walk *walk);

#endif
