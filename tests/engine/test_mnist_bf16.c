/* MNIST in bf16 beside float32, from a fifth of its images and with a small network, on paired seeds.
 * bench_bf16_accuracy is the whole of it. */
#include <math.h>
#include <stdio.h>

#include "tests/engine/mnist_runs.h"
#include "tests/test.h"

enum { IMAGES = 12000, SEEDS = 3 };
#define WANTED 0.93    /* accuracy on the test set in either precision; 0.949 to 0.953 when this was written */
#define MAX_LOSS 0.005 /* of accuracy, on the mean of the seeds, by bf16 */

START_TEST(bf16_learns_as_float32_does) {
    char folder[4096];
    tread_dataset *train, *test, *part;
    double mean, std, difference = 0;
    bool differs = false;
    ck_assert_ok(tread_data_locate(NULL, folder, sizeof folder));
    ck_assert_ok(tread_mnist_load(NULL, folder, &train, &test));
    tread_tensor *x = tread_tensor_rows(tread_dataset_x(train), 0, IMAGES);
    tread_tensor *y = tread_tensor_rows(tread_dataset_y(train), 0, IMAGES);
    part = tread_dataset_from_tensors(x, y, 10);
    tread_dataset_normalization(train, &mean, &std);
    ck_assert_ok(tread_dataset_normalize(part, mean, std));
    const bool native = tread_precision_check(NULL, TREAD_PRECISION_BF16) == TREAD_OK;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        tread_context_options o = tread_context_defaults();
        o.seed = seed;
        o.backend = native ? TREAD_BACKEND_AUTO : TREAD_BACKEND_REF;
        tread_context *context = tread_context_create(&o);
        double accuracy[TREAD_PRECISION_COUNT];
        for (int p = 0; p < TREAD_PRECISION_COUNT; p++) {
            mnist_run run = {"adam:lr=2e-3", 32, 3, true, (tread_precision)p};
            accuracy[p] = mnist_run_train(&run, context, part, test, (const int64_t[]){128, 64}, 2).accuracy;
            ck_assert_msg(accuracy[p] >= WANTED, "seed %d, %s: test accuracy %.2f %%: %s", (int)seed,
                          tread_precision_name((tread_precision)p), 100 * accuracy[p], tread_last_error());
        }
        printf("seed %d: float32 %.2f %%, bf16 %.2f %%\n", (int)seed, 100 * accuracy[0], 100 * accuracy[1]);
        differs |= accuracy[1] != accuracy[0];
        difference += (accuracy[1] - accuracy[0]) / SEEDS;
        tread_context_destroy(context);
    }
    ck_assert_msg(differs, "no seed has another accuracy: bf16 is not in use");
    ck_assert_msg(difference >= -MAX_LOSS, "bf16 costs %.2f points of accuracy", -100 * difference);
    tread_tensor_destroy(x);
    tread_tensor_destroy(y);
    tread_dataset_destroy(part);
    tread_dataset_destroy(train);
    tread_dataset_destroy(test);
}
END_TEST

TEST_MAIN("mnist_bf16", bf16_learns_as_float32_does)
