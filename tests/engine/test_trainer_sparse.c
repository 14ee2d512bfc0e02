/* A trainer whose model has an embedding with sparse gradients: clipping, clearing and stepping go through it. */
#include <string.h>
#include <tread/ops.h>
#include <tread/optimizers.h>
#include <tread/sparse_grad.h>
#include <tread/trainer.h>

#include "core/memory.h"
#include "core/tensor.h"
#include "tests/test.h"

enum { SAMPLES = 70, WORDS = 5, VOCABULARY = 60, WIDTH = 8, CLASSES = 3, BATCH = 16 };

/* Sentences of words, most of which belong to the class; a bag of embeddings and a matrix. */
typedef struct world {
    float x[SAMPLES * WORDS];
    int32_t y[SAMPLES];
    tread_dataset *set;
    tread_batches *batches; /* of 16, the last of 6 */
    tread_tensor *words[2]; /* of a full and of the last batch */
    tread_parameter *items[2];
    tread_optimizer *optimizer;
    bool sparse;
    uint64_t calls;
} world;

static void build(world *w, bool sparse, const char *spec) {
    memset(w, 0, sizeof *w);
    w->sparse = sparse;
    tread_rng rng = tread_rng_create(5, 1);
    for (int i = 0; i < SAMPLES * WORDS; i++) {
        int label = w->y[i / WORDS] = i / WORDS % CLASSES, word = (int)(tread_rng_uniform(&rng) * 15);
        w->x[i] = (float)(i % WORDS == 0 ? word : 15 * (label + 1) + word);
    }
    w->set = tread_dataset_from_labels(SAMPLES, WORDS, w->x, CLASSES, w->y);
    tread_batches_options o = tread_batches_defaults();
    o.batch_size = BATCH;
    w->batches = tread_batches_create(NULL, w->set, &o);
    w->words[0] = tread_tensor_create(TREAD_INT32, 2, (int64_t[]){BATCH, WORDS});
    w->words[1] = tread_tensor_create(TREAD_INT32, 2, (int64_t[]){SAMPLES % BATCH, WORDS});
    w->items[0] = tread_parameter_create("table", 2, (int64_t[]){VOCABULARY, WIDTH});
    w->items[1] = tread_parameter_create("matrix", 2, (int64_t[]){WIDTH, CLASSES});
    for (int p = 0; p < 2; p++)
        for (int64_t i = 0; i < w->items[p]->tensor.count; i++)
            ((float *)w->items[p]->tensor.data)[i] = (float)(0.3 * tread_rng_normal(&rng));
    w->optimizer = tread_optimizer_from_spec(NULL, (tread_parameter_list){w->items, 2}, spec);
    ck_assert_msg(w->batches != NULL && w->words[0] != NULL && w->words[1] != NULL && w->optimizer != NULL, "%s",
                  tread_last_error());
}

static void destroy(world *w) {
    tread_optimizer_destroy(w->optimizer);
    for (int i = 0; i < 2; i++) {
        tread_parameter_destroy(w->items[i]);
        tread_tensor_destroy(w->words[i]);
    }
    tread_batches_destroy(w->batches);
    tread_dataset_destroy(w->set);
}

static tread_tensor *forward(void *data, tread_tape *tape, const tread_batch *batch) {
    world *w = data;
    tread_tensor *words = w->words[batch->count == BATCH ? 0 : 1];
    for (int64_t i = 0; i < batch->count * WORDS; i++)
        ((int32_t *)words->data)[i] = (int32_t)((const float *)batch->x->data)[i];
    tread_embedding_bag_options o = tread_embedding_bag_defaults();
    o.sparse = w->sparse;
    tread_tensor *bags = tread_embedding_bag(tape, &w->items[0]->tensor, words, NULL, &o);
    return tread_matmul(tape, bags, &w->items[1]->tensor);
}

static tread_action see_step(void *data, tread_trainer *trainer, const tread_step_info *step) {
    world *w = data;
    (void)trainer;
    ck_assert(tread_tensor_grad_is_sparse(&w->items[0]->tensor) == w->sparse);
    if (step->step == 1)
        w->calls = tread_memory_calls();
    ck_assert_uint_eq(tread_memory_calls(), w->calls);
    return TREAD_CONTINUE;
}

static tread_status train(world *w, int64_t epochs, double *ret_first, double *ret_last) {
    tread_callbacks callbacks = tread_callbacks_defaults();
    callbacks.data = w;
    callbacks.on_step = see_step;
    tread_trainer_options o = tread_trainer_defaults();
    o.optimizer = w->optimizer;
    o.train = w->batches;
    o.epochs = epochs;
    o.callbacks = &callbacks;
    o.forward = forward;
    o.forward_data = w;
    tread_trainer *trainer = tread_trainer_create(NULL, &o);
    ck_assert_msg(trainer != NULL, "%s", tread_last_error());
    tread_status status = tread_trainer_run(trainer);
    if (status == TREAD_OK) {
        *ret_first = tread_trainer_result(trainer)->history[0].train_loss;
        *ret_last = tread_trainer_result(trainer)->history[epochs - 1].train_loss;
    }
    tread_trainer_destroy(trainer);
    return status;
}

START_TEST(a_clipped_run_is_the_dense_one_to_the_bit) {
    static const char *const specs[] = {"sgd:lr=0.5", "sgd:lr=1,clip_grad_max_norm=0.05",
                                        "adagrad:lr=0.3,clip_grad_max_norm=0.2,clip_grad_norm_type=3"};
    for (int s = 0; s < 3; s++) {
        world sparse, dense;
        double losses[4];
        build(&sparse, true, specs[s]);
        build(&dense, false, specs[s]);
        ck_assert_ok(train(&sparse, 4, &losses[0], &losses[1]));
        ck_assert_ok(train(&dense, 4, &losses[2], &losses[3]));
        ck_assert_double_lt(losses[1], losses[0]);
        ck_assert_double_eq(losses[0], losses[2]);
        ck_assert_double_eq(losses[1], losses[3]);
        for (int i = 0; i < 2; i++)
            ck_assert_mem_eq(sparse.items[i]->tensor.data, dense.items[i]->tensor.data,
                             tread_tensor_bytes(&dense.items[i]->tensor));
        destroy(&sparse);
        destroy(&dense);
    }
}
END_TEST

START_TEST(lazy_optimizers_learn) {
    static const char *const specs[] = {"sgd:lr=0.5,momentum=0.9,clip_grad_max_norm=0.5", "adam:lr=0.02",
                                        "adamw:lr=0.02,weight_decay=0.1,clip_grad_max_norm=0.2"};
    for (int s = 0; s < 3; s++) {
        world w;
        double first, last;
        build(&w, true, specs[s]);
        ck_assert_ok(train(&w, 15, &first, &last));
        ck_assert_msg(last < 0.2 && first > 0.6, "%s: %g to %g", specs[s], first, last);
        destroy(&w);
    }
}
END_TEST

START_TEST(a_refused_gradient_ends_the_run) {
    world w, before;
    double first, last;
    build(&w, true, "adam:weight_decay=0.01");
    build(&before, true, "adam");
    ck_assert_fails(train(&w, 2, &first, &last), TREAD_ERROR_STATE, "that of parameter 'table' is sparse");
    for (int i = 0; i < 2; i++)
        ck_assert_mem_eq(w.items[i]->tensor.data, before.items[i]->tensor.data,
                         tread_tensor_bytes(&w.items[i]->tensor));
    destroy(&w);
    destroy(&before);
}
END_TEST

TEST_MAIN("trainer_sparse", a_clipped_run_is_the_dense_one_to_the_bit, lazy_optimizers_learn,
          a_refused_gradient_ends_the_run)
