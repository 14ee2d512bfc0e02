#include <string.h>

#include "core/memory.h"
#include "core/status.h"
#include "optim/lbfgs.h"

/* A step of max_iter iterations adds as many pairs and drops as many old ones, which it may have to bring back; once
 * all are its own, the oldest is dropped for good. One more is being filled. */
static size_t buffers_for(const tread_lbfgs_options *o) {
    return (size_t)o->history_size + (size_t)(o->max_iter <= o->history_size ? o->max_iter : o->history_size + 1);
}

tread_status tread_lbfgs_history_create(const tread_lbfgs_options *options, int64_t n_floats,
                                        tread_lbfgs_history **ret_history) {
    tread_lbfgs_history *h = tread_calloc(1, sizeof *h, "a history of L-BFGS");
    if (h == NULL)
        return TREAD_ERROR_MEMORY;
    h->n_floats = n_floats;
    h->history_size = (size_t)options->history_size;
    h->n_buffers = buffers_for(options);
    /* The largest first, so that no other's size overflows. */
    size_t bytes, n = h->n_buffers, pair = sizeof(tread_lbfgs_pair);
    if (__builtin_mul_overflow(n, 2 * (size_t)n_floats * sizeof(float), &bytes))
        bytes = SIZE_MAX;
    h->block = tread_alloc(bytes, "the pairs of an L-BFGS history");
    h->live = h->block == NULL ? NULL : tread_alloc(h->history_size * pair, "an L-BFGS history");
    h->before = h->live == NULL ? NULL : tread_alloc(h->history_size * pair, "an L-BFGS history");
    h->idle = h->before == NULL ? NULL : tread_alloc(n * pair, "an L-BFGS history");
    h->is_live = h->idle == NULL ? NULL : tread_alloc(n, "an L-BFGS history");
    if (h->is_live == NULL) {
        tread_lbfgs_history_destroy(h);
        return TREAD_ERROR_MEMORY;
    }
    *ret_history = h;
    return TREAD_OK;
}

void tread_lbfgs_history_destroy(tread_lbfgs_history *h) {
    if (h == NULL)
        return;
    tread_free(h->block);
    tread_free(h->live);
    tread_free(h->before);
    tread_free(h->idle);
    tread_free(h->is_live);
    tread_free(h);
}

bool tread_lbfgs_history_fits(const tread_lbfgs_history *h, const tread_lbfgs_options *options) {
    return h->history_size == (size_t)options->history_size && h->n_buffers == buffers_for(options);
}

void tread_lbfgs_history_copy(tread_lbfgs_history *to, const tread_lbfgs_history *from) {
    for (size_t i = 0; i < from->n; i++) {
        tread_lbfgs_pair pair = tread_lbfgs_history_spare(to);
        memcpy(pair.y, from->live[i].y, (size_t)to->n_floats * sizeof(float));
        memcpy(pair.s, from->live[i].s, (size_t)to->n_floats * sizeof(float));
        tread_lbfgs_history_push(to, from->live[i].ro);
    }
}

void tread_lbfgs_history_begin(tread_lbfgs_history *h) {
    if (h->n > 0)
        memcpy(h->before, h->live, h->n * sizeof *h->live);
    h->n_before = h->n_old = h->n;
}

void tread_lbfgs_history_end(tread_lbfgs_history *h, bool failed) {
    if (failed) {
        if (h->n_before > 0)
            memcpy(h->live, h->before, h->n_before * sizeof *h->live);
        h->n = h->n_before;
    }
    h->n_old = h->n_idle = 0;
    memset(h->is_live, 0, h->n_used);
    for (size_t i = 0; i < h->n; i++)
        h->is_live[(h->live[i].y - h->block) / (2 * h->n_floats)] = 1;
    for (size_t b = 0; b < h->n_used; b++)
        if (!h->is_live[b])
            h->idle[h->n_idle++].y = h->block + (int64_t)b * 2 * h->n_floats;
}

tread_lbfgs_pair tread_lbfgs_history_spare(tread_lbfgs_history *h) {
    if (h->n_idle == 0)
        h->idle[h->n_idle++].y = h->block + (int64_t)h->n_used++ * 2 * h->n_floats;
    float *y = h->idle[h->n_idle - 1].y;
    return (tread_lbfgs_pair){.y = y, .s = y + h->n_floats};
}

void tread_lbfgs_history_push(tread_lbfgs_history *h, double ro) {
    tread_lbfgs_pair added = tread_lbfgs_history_spare(h);
    added.ro = ro;
    h->n_idle--;
    if (h->n == h->history_size) {
        if (h->n_old > 0)
            h->n_old--; /* before has it */
        else
            h->idle[h->n_idle++] = h->live[0];
        memmove(h->live, h->live + 1, --h->n * sizeof *h->live);
    }
    h->live[h->n++] = added;
}

void tread_lbfgs_history_clear(tread_lbfgs_history *h) { h->n = h->n_old = 0; }
