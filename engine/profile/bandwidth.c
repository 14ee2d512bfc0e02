#include "engine/profile/bandwidth.h"

#include <string.h>

#include "core/context.h"
#include "core/isa.h"
#include "core/memory.h"
#include "core/parallel.h"
#include "core/recorder.h"
#include "core/status.h"
#include "core/topology.h"
#include "engine/profile/statistics.h"

#define LINE_FLOATS ((size_t)TREAD_ALIGNMENT / sizeof(float))
#define GRAIN 4096 /* floats of all arrays together that are worth a fork */
/* Arrays begin at different places of a page: in step, their lines would compete for the same sets of a cache. */
#define STAGGER (3 * LINE_FLOATS)

struct tread_bandwidth {
    float *data;
    size_t n_floats;
};

size_t tread_bandwidth_enough(void) {
    const size_t least = (size_t)256 << 20, caches = 8 * tread_hardware_get()->cache_l3;
    return caches > least ? caches : least;
}

tread_bandwidth *tread_bandwidth_create(size_t bytes) {
    tread_bandwidth *b = tread_alloc(sizeof *b, "a measurement of bandwidth");
    if (b == NULL)
        return NULL;
    const size_t spare = (TREAD_TRAFFIC_CHANGED + TREAD_TRAFFIC_READ) * (STAGGER + LINE_FLOATS);
    b->n_floats = bytes / sizeof(float);
    b->data = tread_calloc(b->n_floats + spare, sizeof(float), "the arrays whose bandwidth is measured");
    if (b->data == NULL) {
        tread_free(b);
        return NULL;
    }
    return b;
}

void tread_bandwidth_destroy(tread_bandwidth *b) {
    if (b == NULL)
        return;
    tread_free(b->data);
    tread_free(b);
}

typedef struct arrays {
    tread_traffic traffic;
    float *changed[TREAD_TRAFFIC_CHANGED];
    const float *read[TREAD_TRAFFIC_READ];
} arrays;

/* One addition an element: with constants for the counts, one loop over all arrays at once. */
TREAD_KERNEL_BODY void move_some(const arrays *p, int64_t begin, int64_t n, int changed, int read) {
    float *restrict a = p->changed[0] + begin, *restrict b = changed > 1 ? p->changed[1] + begin : NULL;
    float *restrict c = changed > 2 ? p->changed[2] + begin : NULL;
    float *restrict d = changed > 3 ? p->changed[3] + begin : NULL;
    float *restrict e = changed > 4 ? p->changed[4] + begin : NULL;
    const float *restrict f = read > 0 ? p->read[0] + begin : NULL;
    const float *restrict g = read > 1 ? p->read[1] + begin : NULL;
    const float *restrict h = read > 2 ? p->read[2] + begin : NULL;
    for (int64_t i = 0; i < n; i++) {
        float more = 0.5f;
        if (read > 0)
            more = f[i];
        if (read > 1)
            more += g[i];
        if (read > 2)
            more += h[i];
        a[i] += more;
        if (changed > 1)
            b[i] += more;
        if (changed > 2)
            c[i] += more;
        if (changed > 3)
            d[i] += more;
        if (changed > 4)
            e[i] += more;
    }
}

TREAD_KERNEL_BODY void move(const arrays *p, int64_t begin, int64_t n) {
#define TREAD_MOVE(changed, read)                                                                                      \
    case 10 * changed + read:                                                                                          \
        move_some(p, begin, n, changed, read);                                                                         \
        break;
#define TREAD_MOVES(changed) TREAD_MOVE(changed, 0) TREAD_MOVE(changed, 1) TREAD_MOVE(changed, 2) TREAD_MOVE(changed, 3)
    switch (10 * p->traffic.changed + p->traffic.read) {
        TREAD_MOVES(1)
        TREAD_MOVES(2)
        TREAD_MOVES(3)
        TREAD_MOVES(4)
        TREAD_MOVES(5)
    default: break;
    }
}
TREAD_KERNEL_OF(moves, (const arrays *p, int64_t begin, int64_t n), move(p, begin, n))

static void move_range(void *argument, int64_t begin, int64_t end) { TREAD_CALL(moves)(argument, begin, end - begin); }

double tread_bandwidth_run(tread_bandwidth *b, const tread_context *context, tread_traffic traffic,
                           size_t working_set) {
    const size_t count = (size_t)(traffic.changed + traffic.read);
    size_t floats = working_set / sizeof(float);
    floats = floats < b->n_floats ? floats : b->n_floats;
    const size_t n = floats / count;
    const size_t stride = (n + LINE_FLOATS - 1) / LINE_FLOATS * LINE_FLOATS + STAGGER;
    arrays p = {.traffic = traffic};
    for (size_t i = 0; i < count; i++)
        if (i < (size_t)traffic.changed)
            p.changed[i] = b->data + i * stride;
        else
            p.read[i - (size_t)traffic.changed] = b->data + i * stride;
    tread_parallel_for(context, (int64_t)n, 1 + GRAIN / (int64_t)count, 1024, move_range, &p);
    return (double)sizeof(float) * (double)n * (2 * traffic.changed + traffic.read);
}

#define MOST_PASSES 1001
tread_status tread_bandwidth_measure(const tread_context *context, tread_traffic traffic, size_t working_set,
                                     double seconds, double *ret_bytes_per_second) {
    tread_bandwidth *b = tread_bandwidth_create(working_set);
    double *rates = tread_alloc(2 * MOST_PASSES * sizeof *rates, "measured bandwidths");
    if (b == NULL || rates == NULL) {
        tread_bandwidth_destroy(b);
        tread_free(rates);
        return TREAD_ERROR_MEMORY;
    }
    /* A sample is so many passes that the clock and the fork are little of it. */
    double start = tread_clock_seconds();
    tread_bandwidth_run(b, context, traffic, working_set);
    tread_bandwidth_run(b, context, traffic, working_set);
    const double once = (tread_clock_seconds() - start) / 2, sample = seconds / 20 < 1e-3 ? seconds / 20 : 1e-3;
    const int passes = once < sample ? (int)(sample / (once > 1e-9 ? once : 1e-9)) : 1;
    size_t n = 0;
    for (double end = tread_clock_seconds() + seconds; n < MOST_PASSES && (n < 5 || tread_clock_seconds() < end); n++) {
        double moved = 0;
        start = tread_clock_seconds();
        for (int i = 0; i < passes; i++)
            moved += tread_bandwidth_run(b, context, traffic, working_set);
        rates[n] = moved / (tread_clock_seconds() - start);
    }
    *ret_bytes_per_second = tread_order_statistics_of(rates, n, rates + MOST_PASSES).median;
    tread_free(rates);
    tread_bandwidth_destroy(b);
    return TREAD_OK;
}
