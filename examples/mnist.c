/* Trains a network on MNIST with the library's loop.
 * cc mnist.c $(pkg-config --cflags --libs tread) && ./a.out [epochs [folder]]
 * Where other programs are busy, start it with GOMP_SPINCOUNT=1000 in the environment: it is several times faster. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <tread/tread.h>

static int fail(void) {
    fprintf(stderr, "%s\n", tread_last_error());
    return EXIT_FAILURE;
}

static tread_action show_epoch(void *data, tread_trainer *trainer, const tread_epoch_metrics *metrics) {
    (void)data;
    (void)trainer;
    printf("epoch %" PRId64 ": training loss %.4f, test loss %.4f, accuracy %.2f %%, %.0f samples/s\n", metrics->epoch,
           metrics->train_loss, metrics->test_loss, 100 * metrics->test_accuracy, metrics->samples_per_second);
    return TREAD_CONTINUE;
}

int main(int argc, char **argv) {
    char folder[4096], *end = NULL;
    long epochs = argc > 1 ? strtol(argv[1], &end, 10) : 5;
    if (end != NULL && (end == argv[1] || *end != '\0' || epochs < 0)) {
        fprintf(stderr, "%s: the number of epochs is %s, expected a whole number from 0\n", argv[0], argv[1]);
        return EXIT_FAILURE;
    }
    tread_dataset *train, *test;
    if (tread_data_locate(argc > 2 ? argv[2] : NULL, folder, sizeof folder) != TREAD_OK ||
        tread_mnist_load(NULL, folder, &train, &test) != TREAD_OK)
        return fail();

    tread_batches_options batching = tread_batches_defaults();
    batching.batch_size = 128;
    tread_batches *train_batches = tread_batches_create(NULL, train, &batching);
    batching.batch_size = 1000;
    batching.shuffle = false;
    tread_batches *test_batches = tread_batches_create(NULL, test, &batching);

    tread_module *net =
        tread_sequential(NULL, TREAD_LAYERS(tread_linear_layer(NULL, 784, 512, true), tread_relu_layer(NULL),
                                            tread_linear_layer(NULL, 512, 256, true), tread_relu_layer(NULL),
                                            tread_linear_layer(NULL, 256, 10, true)));
    if (train_batches == NULL || test_batches == NULL || net == NULL)
        return fail();

    tread_adam_options adam = tread_adam_defaults();
    adam.lr = 1e-3;
    tread_optimizer *optimizer = tread_adam(NULL, tread_module_parameters(net), &adam);
    if (optimizer == NULL)
        return fail();

    tread_callbacks callbacks = tread_callbacks_defaults();
    callbacks.on_epoch = show_epoch;
    tread_trainer_options options = tread_trainer_defaults();
    options.model = net;
    options.optimizer = optimizer;
    options.train = train_batches;
    options.test = test_batches;
    options.epochs = epochs;
    options.callbacks = &callbacks;
    tread_trainer *trainer = tread_trainer_create(NULL, &options);
    if (trainer == NULL || tread_trainer_run(trainer) != TREAD_OK)
        return fail();

    tread_trainer_destroy(trainer);
    tread_optimizer_destroy(optimizer);
    tread_module_destroy(net);
    tread_batches_destroy(test_batches);
    tread_batches_destroy(train_batches);
    tread_dataset_destroy(test);
    tread_dataset_destroy(train);
    return EXIT_SUCCESS;
}
