/* Trains on MNIST by a loop of its own, of which one call clips the gradients, updates the weights, averages them and
 * drops the gradients. Wide layers multiply in bfloat16 where the CPU can.
 * cc own_loop.c $(pkg-config --cflags --libs tread) && ./a.out [epochs]
 * Where other programs are busy, start it with GOMP_SPINCOUNT=1000 in the environment: it is several times faster. */
#include <stdio.h>
#include <stdlib.h>
#include <tread/tread.h>

enum { N_PARAMETERS = 6 };

static int fail(void) { return fprintf(stderr, "%s\n", tread_last_error()), EXIT_FAILURE; }

/* Share of the test set that is right, in float32; below 0 where something failed. */
static double accuracy(tread_module *net, tread_tape *tape, tread_batches *batches) {
    const bool before = tread_set_grad_enabled(false);
    tread_status status = tread_tape_set_precision(tape, TREAD_PRECISION_FLOAT32);
    double right = 0, seen = 0, sum = 0, weight = 0;
    for (tread_batch batch; status == TREAD_OK && tread_batches_next(batches, &batch); right += sum, seen += weight) {
        tread_tape_reset(tape);
        tread_tensor *logits = tread_forward(net, tape, batch.x);
        status = logits == NULL ? tread_tape_status(tape) : tread_accuracy.batch(NULL, logits, &batch, &sum, &weight);
    }
    tread_set_grad_enabled(before);
    return status == TREAD_OK ? right / seen : -1;
}

int main(int argc, char **argv) {
    const int epochs = argc > 1 ? atoi(argv[1]) : 3;
    char folder[4096];
    tread_dataset *train, *test;
    if (tread_data_locate(NULL, folder, sizeof folder) != TREAD_OK ||
        tread_mnist_load(NULL, folder, &train, &test) != TREAD_OK)
        return fail();
    tread_batches *batches = tread_batches_create(NULL, train, NULL),
                  *test_batches = tread_batches_create(NULL, test, NULL);
    tread_mlp_options model = tread_mlp_defaults();
    model.n_inputs = tread_dataset_features(train);
    model.hidden = (const int64_t[]){512, 256};
    model.n_hidden = 2;
    model.n_outputs = tread_dataset_classes(train);
    tread_module *net = tread_mlp(NULL, &model);
    tread_tape *tape = tread_tape_create(NULL);
    if (batches == NULL || test_batches == NULL || net == NULL || tape == NULL)
        return fail();
    const tread_parameter_list parameters = tread_module_parameters(net); /* weight and bias of three layers */
    tread_optimizer *optimizer = tread_optimizer_from_spec(NULL, parameters, "adamw:lr=1e-3,weight_decay=0.01");
    if (optimizer == NULL)
        return fail();
    const tread_precision precision =
        tread_precision_check(NULL, TREAD_PRECISION_BF16) == TREAD_OK ? TREAD_PRECISION_BF16 : TREAD_PRECISION_FLOAT32;

    tread_tensor *copies[N_PARAMETERS]; /* the averages begin as the weights */
    float *averages[N_PARAMETERS];
    for (int i = 0; i < N_PARAMETERS; i++) {
        const tread_tensor *weights = tread_parameter_tensor(parameters.items[i]);
        copies[i] = tread_tensor_create(TREAD_FLOAT32, tread_tensor_rank(weights), tread_tensor_shape(weights));
        if (copies[i] == NULL || tread_tensor_copy(copies[i], weights) != TREAD_OK)
            return fail();
        averages[i] = tread_tensor_float(copies[i]);
    }
    tread_step_options step = tread_step_defaults();
    step.max_norm = 1;
    step.zero_grad = TREAD_ZERO_GRAD_TO_NONE;
    step.ema_decay = 0.99;
    step.averages = averages;
    step.n_averages = N_PARAMETERS;

    for (int epoch = 0; epoch < epochs; epoch++) {
        if (tread_tape_set_precision(tape, precision) != TREAD_OK)
            return fail();
        for (tread_batch batch; tread_batches_next(batches, &batch);) {
            tread_tape_reset(tape);
            tread_tensor *logits = tread_forward(net, tape, batch.x);        /* (n, 10) */
            tread_tensor *loss = tread_cross_entropy(tape, logits, batch.y); /* scalar */
            if (tread_backward(tape, loss) != TREAD_OK ||
                tread_optimizer_step_with(optimizer, NULL, &step, NULL) != TREAD_OK)
                return fail();
        }
        const double last = accuracy(net, tape, test_batches);
        tread_optimizer_exchange_averages(optimizer, averages, N_PARAMETERS); /* to evaluate with them, and back */
        const double averaged = accuracy(net, tape, test_batches);
        tread_optimizer_exchange_averages(optimizer, averages, N_PARAMETERS);
        if (last < 0 || averaged < 0)
            return fail();
        printf("epoch %d in %s: accuracy %.2f %%, with averaged weights %.2f %%\n", epoch + 1,
               tread_precision_name(precision), 100 * last, 100 * averaged);
    }
    for (int i = 0; i < N_PARAMETERS; i++)
        tread_tensor_destroy(copies[i]);
    tread_optimizer_destroy(optimizer);
    tread_tape_destroy(tape);
    tread_module_destroy(net);
    tread_batches_destroy(test_batches);
    tread_batches_destroy(batches);
    tread_dataset_destroy(test);
    tread_dataset_destroy(train);
    return EXIT_SUCCESS;
}
