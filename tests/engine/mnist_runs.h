/* Layer: tests. MNIST with every optimizer: the settings, and a run with them, for the bench program and its short form
 * among the tests. */
#ifndef TREAD_TESTS_ENGINE_MNIST_RUNS_H
#define TREAD_TESTS_ENGINE_MNIST_RUNS_H

#include <tread/tread.h>

typedef struct mnist_run {
    const char *spec;
    int64_t batch, epochs;
    bool cosine; /* lr down to 0 over the whole run, step by step */
    tread_precision precision;
} mnist_run;

/* Settings that are usual for the algorithm, with the best of a few lr; each registered optimizer has one or more. */
extern const mnist_run mnist_runs[];
extern const size_t n_mnist_runs;

typedef struct mnist_result {
    double accuracy; /* on the test set; NaN where the run failed, and the library's sentence is set */
    double seconds;  /* of training */
    int64_t closure_calls;
} mnist_result;

/* The run is of this optimizer. */
bool mnist_run_is_of(const mnist_run *run, const char *name);

/* Trains a ReLU network of the given hidden layers (two at most) for the run's number of epochs. */
mnist_result mnist_run_train(const mnist_run *run, tread_context *context, const tread_dataset *train,
                             const tread_dataset *test, const int64_t *hidden, size_t n_hidden);

#endif
