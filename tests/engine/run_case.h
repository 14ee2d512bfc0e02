/* Layer: tests. Small runs of every kind, whose whole state can be hashed: all optimizers, schedulers of several kinds,
 * accumulation, averages, clipping, dropout, batches made ahead. */
#ifndef TREAD_TESTS_ENGINE_RUN_CASE_H
#define TREAD_TESTS_ENGINE_RUN_CASE_H

#include "tests/engine/world.h"

enum { RUN_EPOCHS = 4 };

typedef struct run_case {
    const char *optimizer; /* spec */
    const char *scheduler; /* spec, or NULL */
    tread_schedule_every every;
    double dropout, ema_decay, clip_norm;
    int64_t accumulate, evaluate_every_steps;
    bool restore_best, prefetch;
} run_case;

/* As many as cover every registered optimizer twice. */
size_t run_case_count(void);
run_case run_case_at(size_t i);

typedef struct run {
    world w;
    tread_context *context;
    tread_batches *ahead; /* NULL: the world's own */
    tread_lr_scheduler *scheduler;
    tread_trainer *trainer;
} run;

/* options, given those of the case, may change them before the trainer is made; NULL: nothing. */
void run_open(run *r, const run_case *c, int threads, void (*change)(void *data, tread_trainer_options *options),
              void *data);
void run_close(run *r);

/* Of everything that a state holds but for what clocks said. */
uint64_t run_hash(const run *r);
uint64_t run_state_hash(const tread_state *state);

#endif
