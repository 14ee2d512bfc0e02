/* Layer: engine. A folder of checkpoints: the newest ones and the best one of a run that can be killed at any time.
 *
 *     tread_checkpoint_series_options o = tread_checkpoint_series_defaults();
 *     o.best = TREAD_BEST_MIN;
 *     tread_checkpoint_series *series = tread_checkpoint_series_open("run1", &o);
 *     tread_checkpoint_series_latest(series, &state, &step);        (state NULL: nothing to go on from)
 *     ...
 *     tread_checkpoint_series_save(series, step, state, loss);
 *
 * The folder holds step-000000001200.safetensors and so on, best.safetensors, which is one of them under a second name,
 * and .lock. Each is a checkpoint of checkpoint.h and appears whole or not at all, on disk before anything older is
 * removed: whatever a crash interrupts, the older file or the new one can be loaded. To the state's parts the file adds
 * one, "checkpoint_series": {"step", "metric"}; such a part of the caller's is left out. Temporary files of killed
 * processes are removed by the next save. */
#ifndef TREAD_CHECKPOINT_SERIES_H
#define TREAD_CHECKPOINT_SERIES_H

#include <stdbool.h>
#include <tread/state.h>

TREAD_BEGIN_DECLS

typedef struct tread_checkpoint_series tread_checkpoint_series;

typedef enum tread_best {
    TREAD_BEST_NONE = 0, /* no best.safetensors */
    TREAD_BEST_MIN = 1,  /* the smallest metric is the best: a loss */
    TREAD_BEST_MAX = 2,  /* the largest: an accuracy */
} tread_best;

typedef struct tread_checkpoint_series_options {
    size_t size;     /* sizeof, set by tread_checkpoint_series_defaults() */
    int64_t keep;    /* this many of the newest stay, 0: all [3] */
    tread_best best; /* [TREAD_BEST_NONE] */
    bool background; /* saves copy the state and return; a thread of their own writes [false] */
    bool read_only;  /* only to load, beside a writer or on a medium that cannot be written [false] */
} tread_checkpoint_series_options;
TREAD_API tread_checkpoint_series_options tread_checkpoint_series_defaults(void);

/* Opens the folder, which is created where it is missing (its parent must be there), and locks it: a series has one
 * writer, in this process and in others. Where a crash came between a checkpoint and best.safetensors, that is made up
 * for. NULL: TREAD_ERROR_STATE (somebody writes it: the sentence names the process), TREAD_ERROR_IO,
 * TREAD_ERROR_MEMORY, TREAD_ERROR_ARGUMENT. */
TREAD_API tread_checkpoint_series *tread_checkpoint_series_open(const char *folder,
                                                                const tread_checkpoint_series_options *options);
/* Waits for a save in flight; its error is lost, so call tread_checkpoint_series_wait first. NULL is accepted. */
TREAD_API void tread_checkpoint_series_destroy(tread_checkpoint_series *series);

/* Saves state (a tree) as the checkpoint of step (>= 0); metric is what `best` compares, and NaN or infinity is never
 * the best. One of the same step is replaced. On return the file is on disk, the best one too, and older ones are
 * removed. With options.background the state has been copied instead, and a save still in flight was waited for; where
 * that one failed, this call returns its error and does nothing else.
 *
 * Errors: TREAD_ERROR_IO names path, step and reason; TREAD_ERROR_STATE: the folder holds a later step, of a run that
 * this one would overtake (those that tread_checkpoint_series_latest rejected do not count), or the series is
 * read-only; TREAD_ERROR_ARGUMENT; TREAD_ERROR_MEMORY. Every older checkpoint is there still, but where older ones
 * could not be removed the new one is too. */
TREAD_API tread_status tread_checkpoint_series_save(tread_checkpoint_series *series, int64_t step,
                                                    const tread_state *state, double metric);
/* Until no save is in flight. The error of the last one, once. */
TREAD_API tread_status tread_checkpoint_series_wait(tread_checkpoint_series *series);

/* Loads the newest checkpoint that is good, the best one where none of the steps is. *ret_state is the caller's, NULL
 * where the folder holds none. Waits first. TREAD_ERROR_FORMAT: there are some, and none is good; TREAD_ERROR_IO;
 * TREAD_ERROR_MEMORY. */
TREAD_API tread_status tread_checkpoint_series_latest(tread_checkpoint_series *series, tread_state **ret_state,
                                                      int64_t *ret_step);
/* What tread_checkpoint_series_latest passed over when it was last called, newest first: a sentence each, with path and
 * reason; owned by the series until the next call. NULL past the end. */
TREAD_API const char *tread_checkpoint_series_rejected(const tread_checkpoint_series *series, size_t i);

/* Loads best.safetensors. *ret_state is the caller's, NULL where there is none; ret_step and ret_metric may be NULL.
 * Waits first. Errors as tread_checkpoint_load. */
TREAD_API tread_status tread_checkpoint_series_best(tread_checkpoint_series *series, tread_state **ret_state,
                                                    int64_t *ret_step, double *ret_metric);

TREAD_END_DECLS

#endif
