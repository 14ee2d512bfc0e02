/* Embedding layers and the text classifier. */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <tread/models.h>
#include <tread/optimizers.h>
#include <tread/sparse_grad.h>
#include <tread/trainer.h>

#include "core/memory.h"
#include "core/tensor.h"
#include "tests/test.h"

#define ck_assert_refused(call, part)                                                                                  \
    do {                                                                                                               \
        ck_assert_ptr_null(call);                                                                                      \
        ck_assert_msg(strstr(tread_last_error(), (part)) != NULL, "\"%s\" lacks \"%s\"", tread_last_error(), (part));  \
    } while (0)

static tread_module *good(tread_module *module) {
    ck_assert_msg(module != NULL, "%s", tread_last_error());
    return module;
}

static tread_tensor *indices_2x3(void) {
    tread_tensor *x = tread_tensor_create(TREAD_INT32, 2, (int64_t[]){2, 3});
    memcpy(tread_tensor_data(x), (int32_t[]){5, 2, 2, 7, 0, 0}, 24);
    return x;
}

START_TEST(layers_are_their_operations) {
    tread_embedding_options one = tread_embedding_defaults();
    one.padding_idx = 2;
    one.sparse = true;
    tread_tensor *x = indices_2x3();
    for (int mode = -1; mode <= TREAD_BAG_MAX; mode++) {
        tread_embedding_bag_options bag = tread_embedding_bag_defaults();
        bag.padding_idx = 0;
        bag.sparse = true;
        bag.mode = (tread_bag_mode)mode;
        tread_module *layer =
            good(mode < 0 ? tread_embedding_layer(NULL, 9, 4, &one) : tread_embedding_bag_layer(NULL, 9, 4, &bag));
        tread_parameter *weight = tread_module_parameters(layer).items[0];
        tread_tensor *w = tread_parameter_tensor(weight);
        ck_assert_str_eq(tread_parameter_name(weight), "weight");
        ck_assert_int_eq(tread_parameter_get_role(weight), TREAD_ROLE_EMBEDDING);
        tread_tape *tape = tread_tape_create(NULL);
        tread_tensor *is = tread_forward(layer, tape, x), *should;
        should = mode < 0 ? tread_embedding(tape, w, x, &one) : tread_embedding_bag(tape, w, x, NULL, &bag);
        ck_assert_msg(is != NULL && should != NULL, "%s", tread_tape_error(tape));
        ck_assert(tread_tensor_same_shape(is, should));
        ck_assert_mem_eq(is->data, should->data, tread_tensor_bytes(is));
        ck_assert_ok(tread_backward(tape, tread_sum(tape, is)));
        tread_sparse_rows rows;
        ck_assert_ok(tread_tensor_sparse_grad(w, &rows));
        ck_assert_int_eq(rows.n, 3); /* of 0, 2, 5, 7 one is padding */
        tread_module_zero_grad(layer, true);
        ck_assert(!tread_tensor_grad_is_sparse(w));
        tread_tape_destroy(tape);
        tread_module_destroy(layer);
    }
    tread_tensor_destroy(x);
}
END_TEST

START_TEST(tables_are_normal_with_a_row_of_zeros) {
    enum { ROWS = 500, WIDTH = 20 };
    tread_embedding_bag_options options = tread_embedding_bag_defaults();
    options.padding_idx = 7;
    tread_module *layer = good(tread_embedding_bag_layer(NULL, ROWS, WIDTH, &options));
    const float *w = tread_tensor_float(tread_parameter_tensor(tread_module_parameters(layer).items[0]));
    double sum = 0, squares = 0;
    for (int i = 0; i < ROWS * WIDTH; i++) {
        ck_assert((w[i] == 0) == (i / WIDTH == 7));
        sum += w[i];
        squares += (double)w[i] * w[i];
    }
    const double n = (ROWS - 1) * WIDTH;
    ck_assert(fabs(sum / n) < 5 / sqrt(n));               /* five deviations of a mean */
    ck_assert(fabs(squares / n - 1) < 5 * sqrt(2.0 / n)); /* and of a variance */
    ck_assert_ok(tread_module_initialize(layer, 99));
    for (int k = 0; k < WIDTH; k++)
        ck_assert(w[7 * WIDTH + k] == 0);
    tread_module_destroy(layer);
}
END_TEST

START_TEST(what_is_out_of_range_is_named) {
    tread_embedding_options one = tread_embedding_defaults();
    tread_embedding_bag_options bag = tread_embedding_bag_defaults();
    ck_assert_refused(tread_embedding_layer(NULL, 0, 4, NULL), "embedding_layer: n_rows = 0 is outside [1, ");
    ck_assert_refused(tread_embedding_bag_layer(NULL, 4, -1, NULL), "embedding_bag_layer: width = -1 is not at least");
    one.padding_idx = 4;
    ck_assert_refused(tread_embedding_layer(NULL, 4, 1, &one), "padding_idx = 4 is neither in [0, 4)");
    bag.mode = (tread_bag_mode)9;
    ck_assert_refused(tread_embedding_bag_layer(NULL, 4, 1, &bag), "mode = 9");
    tread_embedding_classifier_options o = tread_embedding_classifier_defaults();
    ck_assert_refused(tread_embedding_classifier(NULL, NULL), "embedding_classifier: vocabulary = 0");
    o.vocabulary = 5;
    ck_assert_refused(tread_embedding_classifier(NULL, &o), "embedding_classifier: n_classes = 0");
    o.n_classes = 2;
    o.width = 0;
    ck_assert_refused(tread_embedding_classifier(NULL, &o), "embedding_classifier: width = 0");
    o.width = 3;
    o.padding_idx = 5;
    ck_assert_refused(tread_embedding_classifier(NULL, &o), "padding_idx = 5 is neither in [0, 5)");
    o.padding_idx = TREAD_NO_PADDING;
    o.dropout = 1;
    ck_assert_refused(tread_embedding_classifier(NULL, &o), "dropout = 1");
    o.dropout = 0;
    o.hidden = (int64_t[]){0};
    o.n_hidden = 1;
    ck_assert_refused(tread_embedding_classifier(NULL, &o), "hidden[0] = 0");
}
END_TEST

static tread_module *classifier(const int64_t *hidden, size_t n_hidden, bool sparse) {
    tread_embedding_classifier_options o = tread_embedding_classifier_defaults();
    o.vocabulary = 12;
    o.width = 6;
    o.n_classes = 2;
    o.hidden = hidden;
    o.n_hidden = n_hidden;
    o.sparse = sparse;
    return tread_embedding_classifier(NULL, &o);
}

START_TEST(a_classifier_is_a_bag_and_an_mlp) {
    tread_module *net = good(classifier((int64_t[]){5}, 1, true));
    static const char *const names[] = {"0.weight", "1.0.weight", "1.0.bias", "1.2.weight", "1.2.bias"};
    const tread_parameter_list list = tread_module_parameters(net);
    ck_assert_uint_eq(list.count, 5);
    for (size_t i = 0; i < 5; i++)
        ck_assert_str_eq(tread_parameter_name(list.items[i]), names[i]);
    ck_assert_int_eq(tread_parameter_get_role(list.items[0]), TREAD_ROLE_EMBEDDING);
    ck_assert_int_eq(tread_parameter_get_role(list.items[3]), TREAD_ROLE_OUTPUT);
    for (int k = 0; k < 6; k++) /* drawn anew as a part, and the padding row with it */
        ck_assert(tread_tensor_float(tread_parameter_tensor(list.items[0]))[k] == 0);
    FILE *file = tmpfile();
    tread_module_totals totals;
    ck_assert_ok(tread_module_summary(net, file, TREAD_INT32, 2, (int64_t[]){8, 10}, &totals));
    ck_assert_int_eq(totals.parameters, 12 * 6 + 6 * 5 + 5 + 5 * 2 + 2);
    rewind(file);
    char text[4096];
    text[fread(text, 1, sizeof text - 1, file)] = '\0';
    fclose(file);
    ck_assert_msg(strstr(text, "12 x 6, mean, padding 0, sparse") != NULL, "%s", text);
    tread_module_destroy(net);
}
END_TEST

/* Texts of class c hold words of 1..5 or of 6..10, and 11 anywhere; the shorter ones are filled up with 0. */
enum { TEXTS = 120, LENGTH = 7 };
static int32_t texts[TEXTS * LENGTH], labels[TEXTS];

static void make_texts(void) {
    tread_rng rng = tread_rng_create(3, 1);
    for (int i = 0; i < TEXTS; i++) {
        labels[i] = i % 2;
        const int length = 3 + (int)tread_rng_below(&rng, LENGTH - 2);
        for (int k = 0; k < LENGTH; k++) {
            const int word = 1 + labels[i] * 5 + (int)tread_rng_below(&rng, 5);
            texts[i * LENGTH + k] = k >= length ? 0 : k == 0 ? 11 : word;
        }
    }
}

static tread_action count_allocations(void *data, tread_trainer *trainer, const tread_epoch_metrics *metrics) {
    (void)trainer;
    ((uint64_t *)data)[metrics->epoch == 1 ? 0 : 1] = tread_memory_calls();
    return TREAD_CONTINUE;
}

/* Trains net on the texts; returns its accuracy. */
static double train(tread_module *net, const char *optimizer) {
    uint64_t calls[2];
    tread_dataset *dataset = tread_dataset_from_indices(TEXTS, LENGTH, texts, 2, labels);
    tread_batches_options options = tread_batches_defaults();
    options.batch_size = 32;
    tread_callbacks callbacks = tread_callbacks_defaults();
    callbacks.on_epoch = count_allocations;
    callbacks.data = calls;
    tread_trainer_options o = tread_trainer_defaults();
    o.model = net;
    o.optimizer = tread_optimizer_from_spec(NULL, tread_module_parameters(net), optimizer);
    o.train = tread_batches_create(NULL, dataset, &options);
    o.test = tread_batches_create(NULL, dataset, &options);
    o.epochs = 10;
    o.callbacks = &callbacks;
    tread_trainer *trainer = tread_trainer_create(NULL, &o);
    ck_assert_msg(trainer != NULL, "%s", tread_last_error());
    ck_assert_ok(tread_trainer_run(trainer));
    ck_assert_uint_eq(calls[0], calls[1]);
    tread_evaluation result;
    ck_assert_ok(tread_trainer_evaluate(trainer, NULL, &result));
    tread_trainer_destroy(trainer);
    tread_optimizer_destroy(o.optimizer);
    tread_batches_destroy(o.train);
    tread_batches_destroy(o.test);
    tread_dataset_destroy(dataset);
    return result.metric;
}

START_TEST(a_trainer_trains_it_from_indices) {
    static const struct {
        const char *optimizer;
        bool same; /* as with dense gradients: what has no memory of rows does not notice */
    } cases[] = {{"adam:lr=0.05", false}, {"sgd:lr=2", true}};
    make_texts();
    for (int i = 0; i < 2; i++) {
        tread_module *net[2] = {good(classifier(NULL, 0, false)), good(classifier(NULL, 0, true))};
        const tread_tensor *w[2];
        for (int sparse = 0; sparse < 2; sparse++) {
            ck_assert_double_eq(train(net[sparse], cases[i].optimizer), 1);
            w[sparse] = tread_parameter_tensor(tread_module_parameters(net[sparse]).items[0]);
            for (int k = 0; k < 6; k++) /* no step has touched the padding row */
                ck_assert(tread_tensor_float(w[sparse])[k] == 0);
        }
        if (cases[i].same)
            ck_assert_mem_eq(w[0]->data, w[1]->data, tread_tensor_bytes(w[0]));
        for (int sparse = 0; sparse < 2; sparse++)
            tread_module_destroy(net[sparse]);
    }
}
END_TEST

START_TEST(every_allocation_may_fail) {
    const uint64_t live = tread_memory_live_blocks();
    for (uint64_t k = 1;; k++) {
        tread_memory_fail_at(k);
        tread_module *net = classifier((int64_t[]){5}, 1, true);
        const bool failed = tread_memory_failed();
        tread_memory_fail_at(0);
        ck_assert((net == NULL) == failed);
        tread_module_destroy(net);
        ck_assert_uint_eq(tread_memory_live_blocks(), live);
        if (!failed)
            break;
        ck_assert_ptr_nonnull(strstr(tread_last_error(), "out of memory"));
    }
}
END_TEST

TEST_MAIN("embedding_layers", layers_are_their_operations, tables_are_normal_with_a_row_of_zeros,
          what_is_out_of_range_is_named, a_classifier_is_a_bag_and_an_mlp, a_trainer_trains_it_from_indices,
          every_allocation_may_fail)
