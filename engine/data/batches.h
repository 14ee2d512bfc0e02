/* Layer: engine. What the trainer needs of batches beyond the public face. */
#ifndef TREAD_ENGINE_BATCHES_H
#define TREAD_ENGINE_BATCHES_H

#include <tread/data.h>

/* The order of epoch's samples: a function of (seed, epoch) alone. ret_order has n entries. */
void tread_sampler_order(uint64_t seed, int64_t epoch, bool shuffle, int32_t *ret_order, int32_t n);

/* A batch of the size of the full one (last false) or of the short last one, for planning: the first samples of the
 * set. The position stays. False where there is no batch of that size, or with tread_batches_status. */
bool tread_batches_sample(tread_batches *batches, bool last, tread_batch *ret_batch);

/* The seed of the permutations, and whether there are any. */
uint64_t tread_batches_seed(const tread_batches *batches, bool *ret_shuffle);

/* The gather kernels; rows: count samples of features values each. */
void tread_gather_bytes(const tread_context *context, const uint8_t *from, int64_t features, const int32_t *rows,
                        int64_t count, float scale, float shift, float *to); /* byte * scale + shift */
void tread_gather_floats(const tread_context *context, const float *from, int64_t features, const int32_t *rows,
                         int64_t count, double mean, double factor,
                         float *to); /* (x - mean) * factor, in double; a copy for 0 and 1 */
void tread_gather_indices(const tread_context *context, const int32_t *from, int64_t length, const int32_t *rows,
                          int64_t count, int32_t *to); /* copies */
/* (x - centres[j]) * factors[j] for feature j, in double; from is bytes or floats */
void tread_gather_standard(const tread_context *context, tread_dtype dtype, const void *from, int64_t features,
                           const int32_t *rows, int64_t count, const double *centres, const double *factors, float *to);

#endif
