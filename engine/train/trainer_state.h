/* Layer: engine. What saving and loading a trainer's state share. */
#ifndef TREAD_ENGINE_TRAINER_STATE_H
#define TREAD_ENGINE_TRAINER_STATE_H

#include <stddef.h>
#include <tread/checkpoint.h>

#include "engine/train/trainer.h"

/* The numbers of tread_trainer_progress in the state's "trainer". optional: a real that may be NaN or infinite, which a
 * state says by leaving it out. */
typedef struct tread_progress_field {
    const char *name;
    bool real, optional;
    size_t offset;
} tread_progress_field;
extern const tread_progress_field tread_progress_fields[];
extern const size_t tread_n_progress_fields;
/* Those of "time". */
extern const tread_progress_field tread_time_fields[];
extern const size_t tread_n_time_fields;

/* A row of "history", and one of "time"'s. */
#define TREAD_HISTORY_COLUMNS 7
#define TREAD_HISTORY_COUNTS 3 /* the first ones: epoch, steps, closure calls */
#define TREAD_HISTORY_TIMES 2

/* The parts of a trainer that tread_run_state knows; lists in it are the trainer's. rng: the tape's stream. */
typedef struct tread_trainer_parts {
    tread_run_parts run;
    tread_lr_scheduler *schedulers[1];
    tread_named_rng rngs[1];
    tread_rng rng;
} tread_trainer_parts;
void tread_trainer_fill_parts(const tread_trainer *trainer, tread_trainer_parts *ret_parts);

/* Of the training set's values, labels and choice of rows where they are in memory; once for a trainer, at its first
 * state (MNIST's 47 MB: 2.3 ms). A source has none. */
void tread_trainer_hash_data(tread_trainer *trainer);

/* "options" and "data": what a run that goes on must share. */
tread_status tread_trainer_add_options(const tread_trainer *trainer, tread_state *root);
tread_status tread_trainer_add_data(const tread_trainer *trainer, tread_state *root);

/* Exchanges until the model holds the weights of training, as far as that is exact; *ret_held puts it back. */
void tread_trainer_lay_bare(tread_trainer *trainer, tread_weights_kind *ret_held);
void tread_trainer_cover(tread_trainer *trainer, tread_weights_kind held);

#endif
