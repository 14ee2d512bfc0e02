/* Layer: optim. The arithmetic of a step, as its plan says. */
#ifndef TREAD_OPTIM_STEP_RUN_H
#define TREAD_OPTIM_STEP_RUN_H

#include "optim/optimizer.h"

/* Elements for which one call of an algorithm's update goes on, at most. */
#define TREAD_STEP_BLOCK 16384
/* So many zeros, which stand in for gradients that nobody has written. */
extern const float tread_step_zeros[TREAD_STEP_BLOCK];

/* n elements of a piece from `at` on. start: slots that begin as the parameter are filled, where no update has written
 * them yet. */
tread_update tread_step_part(const tread_optimizer *optimizer, const tread_plan_piece *piece, int64_t at, int64_t n,
                             bool start);

/* Entries [from, to) of a sparse gradient; rows that are neighbours in the parameter too are updated in one go. */
void tread_step_rows(const tread_optimizer *optimizer, const tread_plan_piece *piece, const tread_sparse_grad *rows,
                     int64_t from, int64_t to);

/* Reduces, where the algorithm does, and updates all pieces. */
void tread_step_run(tread_optimizer *optimizer, const tread_step_extras *extras);
/* Averages, and copies to bfloat16, what the pass did not: what is updated whole or by rows; `all`: everything. */
void tread_step_run_late(tread_optimizer *optimizer, const tread_step_extras *extras, bool all);
/* Changes all pieces to the other mode. */
void tread_step_run_switch(tread_optimizer *optimizer, bool training);

#endif
