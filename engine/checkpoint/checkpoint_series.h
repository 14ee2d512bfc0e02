/* Layer: engine. A series of checkpoints from within. */
#ifndef TREAD_ENGINE_CHECKPOINT_SERIES_H
#define TREAD_ENGINE_CHECKPOINT_SERIES_H

#include <pthread.h>
#include <tread/checkpoint_series.h>

#include "engine/checkpoint/series_folder.h"
#include "engine/checkpoint/snapshot.h"

#define SERIES_PART "checkpoint_series" /* of the state in a file */
#define SERIES_SENTENCE 4096            /* room for tread_last_error() */

/* What the part says. */
typedef struct series_label {
    int64_t step;  /* -1: none */
    double metric; /* NaN: none */
} series_label;

typedef struct series_rejected {
    int64_t step; /* -1: best.safetensors, or it was saved anew */
    char *reason;
} series_rejected;

struct tread_checkpoint_series {
    char *folder;
    tread_checkpoint_series_options options;
    int lock;          /* file descriptor; -1 where read-only */
    series_label best; /* of best.safetensors; step -1: none */
    bool unsettled;    /* a save failed, perhaps between its checkpoint and best.safetensors */
    series_rejected *rejected;
    size_t n_rejected;

    /* The save under way. While in_flight the thread has these, `best` and `unsettled` to itself. */
    tread_snapshot snapshot;
    series_label label;
    bool in_flight;
    pthread_t thread;
    tread_status status; /* of the thread, not told the caller yet */
    char sentence[SERIES_SENTENCE];
};

/* Writes the snapshot: checkpoint, best, and then removes what is old. */
tread_status tread_series_write(tread_checkpoint_series *series);

/* Has a thread of its own do so. */
tread_status tread_series_start(tread_checkpoint_series *series);
/* Waits for it; series->status says how it went. */
void tread_series_join(tread_checkpoint_series *series);

#endif
