/* Layer: tests. A small problem with everything that a trainer needs. */
#ifndef TREAD_TESTS_ENGINE_WORLD_H
#define TREAD_TESTS_ENGINE_WORLD_H

#include <tread/models.h>
#include <tread/trainer.h>

/* 70 samples of 6 features in 3 classes, which a small network learns. */
enum { N_TRAIN = 70, N_TEST = 25, FEATURES = 6, CLASSES = 3 };

typedef struct world {
    tread_context *context;
    tread_dataset *train_set, *test_set;
    tread_batches *train, *test; /* of 16: 5 batches, the last of 6 */
    tread_module *model;         /* 6-8-3 */
    tread_optimizer *optimizer;  /* adam, lr 0.02 */
} world;

void world_build(world *w, tread_context *context, double dropout);
void world_destroy(world *w);

tread_trainer_options world_options(const world *w, int64_t epochs);
uint64_t world_hash(const world *w); /* of all weights */

/* The hash, and the last epoch's loss, of a run that nothing interrupts. */
uint64_t world_uninterrupted(double dropout, int64_t epochs, double *ret_loss);

/* Labels and inputs of the test set. */
const float *world_test_x(void);
const int32_t *world_test_y(void);

#endif
