/* Layer: engine. The machine's own memory bandwidth, for a working set of any size: what a measured step is held
 * against. The loops compute next to nothing, so that what they take is the memory's or the cache's doing. */
#ifndef TREAD_ENGINE_PROFILE_BANDWIDTH_H
#define TREAD_ENGINE_PROFILE_BANDWIDTH_H

#include <tread/context.h>

/* One pass over arrays of one length: `changed` of them are read and written in place, `read` of them are read.
 * {1, 0} is the plain read-modify-write. */
typedef struct tread_traffic {
    int changed; /* 1..TREAD_TRAFFIC_CHANGED */
    int read;    /* 0..TREAD_TRAFFIC_READ */
} tread_traffic;
#define TREAD_TRAFFIC_CHANGED 5
#define TREAD_TRAFFIC_READ 3
static const tread_traffic tread_traffic_rmw = {1, 0};

/* Memory to move: zeros at first, touched by the calling thread. */
typedef struct tread_bandwidth tread_bandwidth;
/* NULL: TREAD_ERROR_MEMORY. */
tread_bandwidth *tread_bandwidth_create(size_t bytes);
void tread_bandwidth_destroy(tread_bandwidth *bandwidth); /* NULL is accepted */

/* A larger working set than this many bytes is no nearer to memory: eight times the last cache, and at least 256 MiB.
 */
size_t tread_bandwidth_enough(void);

/* One pass over a working set of so many bytes in all arrays together (cut to what there is), by the context's threads;
 * gives the bytes moved: each array is read once, and once written where it is changed. */
double tread_bandwidth_run(tread_bandwidth *bandwidth, const tread_context *context, tread_traffic traffic,
                           size_t working_set);

/* Bytes a second of `traffic` at the context's threads: the median of passes over about so many seconds, at least five.
 * TREAD_ERROR_MEMORY. */
tread_status tread_bandwidth_measure(const tread_context *context, tread_traffic traffic, size_t working_set,
                                     double seconds, double *ret_bytes_per_second);

#endif
