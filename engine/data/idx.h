/* Layer: engine. IDX files of bytes, the format of MNIST: 0, 0, 8 (the type: bytes), the rank, then each extent in four
 * bytes, big end first, then the values (http://yann.lecun.com/exdb/mnist/). */
#ifndef TREAD_ENGINE_IDX_H
#define TREAD_ENGINE_IDX_H

#include <tread/context.h>
#include <tread/tensor.h>

#include "engine/data/reader.h"

typedef struct tread_idx {
    char path[4096];
    tread_reader reader;
    int rank;
    int64_t shape[TREAD_MAX_RANK];
    uint64_t bytes;      /* product of shape; above 0 */
    uint8_t *data;       /* tread_alloc */
    tread_status status; /* of reading the values, with its sentence, which is another thread's */
    char error[1024];
} tread_idx;

/* Opens path, checks the header (rank within min_rank..max_rank, the extents against the file's size) and allocates
 * data. what ("images") stands in sentences. The caller closes, also after a failure. */
tread_status tread_idx_open(tread_idx *idx, const char *path, const char *what, int min_rank, int max_rank);
/* Reads the values of n files, several at once where there are threads. The first failure in order is returned. */
tread_status tread_idx_read(const tread_context *context, tread_idx *files, int n);
void tread_idx_close(tread_idx *idx); /* frees data; a zeroed one is accepted */

#endif
