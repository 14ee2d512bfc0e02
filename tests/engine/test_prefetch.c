#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <tread/models.h>
#include <tread/trainer.h>
#include <unistd.h>

#include "core/memory.h"
#include "engine/data/batches.h"
#include "tests/test.h"

enum { n = 1003, features = 21 };
static uint8_t bytes[n * features];
static int32_t labels[n];

static tread_dataset *make(void) {
    for (int i = 0; i < n * features; i++)
        bytes[i] = (uint8_t)(i * 31 + i / 255);
    for (int i = 0; i < n; i++)
        labels[i] = i % 10;
    tread_dataset *dataset = tread_dataset_from_bytes(n, features, bytes, 10, labels);
    ck_assert_ok(tread_dataset_normalize(dataset, 0.3, 0.2));
    return dataset;
}

static tread_batches *create(const tread_dataset *dataset, bool prefetch) {
    tread_batches_options o = tread_batches_defaults();
    o.batch_size = 64;
    o.seed = 11;
    o.prefetch = prefetch;
    tread_batches *batches = tread_batches_create(NULL, dataset, &o);
    ck_assert_msg(batches != NULL, "%s", tread_last_error());
    return batches;
}

/* The next of both; false where both are at the end of an epoch. */
static bool next_of_both(tread_batches *plain, tread_batches *ahead) {
    tread_batch a, b;
    bool more = tread_batches_next(plain, &a);
    int64_t places[4];
    ck_assert(more == tread_batches_next(ahead, &b));
    tread_batches_position(plain, &places[0], &places[1]);
    tread_batches_position(ahead, &places[2], &places[3]);
    ck_assert(places[0] == places[2] && places[1] == places[3]);
    ck_assert_ok(tread_batches_status(ahead));
    if (!more)
        return false;
    ck_assert(a.count == b.count && a.index == b.index && a.epoch == b.epoch);
    ck_assert_mem_eq(a.rows, b.rows, (size_t)a.count * sizeof *a.rows);
    ck_assert_mem_eq(tread_tensor_data(a.x), tread_tensor_data(b.x), (size_t)a.count * features * sizeof(float));
    ck_assert_mem_eq(tread_tensor_data(a.y), tread_tensor_data(b.y), (size_t)a.count * sizeof(int32_t));
    return true;
}

START_TEST(the_same_batches_to_the_bit) {
    tread_dataset *dataset = make();
    tread_batches *plain = create(dataset, false), *ahead = create(dataset, true);
    for (int epoch = 0; epoch < 5; epoch++)
        while (next_of_both(plain, ahead))
            ;
    tread_batches_destroy(plain);
    tread_batches_destroy(ahead);
    tread_dataset_destroy(dataset);
}
END_TEST

/* Through all of it at random: forward, seeks, starts, samples for planning. */
START_TEST(going_anywhere) {
    tread_dataset *dataset = make();
    tread_batches *plain = create(dataset, false), *ahead = create(dataset, true);
    uint32_t noise = 7;
    for (int i = 0; i < 2000; i++) {
        noise = noise * 1664525 + 1013904223;
        int64_t epoch = noise >> 8 & 3, index = (noise >> 12) % 17;
        tread_batch a, b;
        switch (noise >> 28) {
        case 0:
            ck_assert_ok(tread_batches_seek(plain, epoch, index));
            ck_assert_ok(tread_batches_seek(ahead, epoch, index));
            break;
        case 1:
            ck_assert_ok(tread_batches_start(plain, epoch));
            ck_assert_ok(tread_batches_start(ahead, epoch));
            break;
        case 2:
            ck_assert(tread_batches_sample(plain, index > 8, &a) && tread_batches_sample(ahead, index > 8, &b));
            ck_assert_mem_eq(a.rows, b.rows, (size_t)a.count * sizeof *a.rows);
            ck_assert_mem_eq(tread_tensor_data(a.x), tread_tensor_data(b.x),
                             (size_t)a.count * features * sizeof(float));
            break;
        default: next_of_both(plain, ahead);
        }
    }
    ck_assert_fails(tread_batches_seek(ahead, 0, 17), TREAD_ERROR_ARGUMENT, "batch 17 is outside 0..16");
    tread_batches_destroy(plain);
    tread_batches_destroy(ahead);
    tread_dataset_destroy(dataset);
}
END_TEST

/* A source that says which thread called it, and that waits until it is told to go on. */
typedef struct gate {
    pthread_t caller;
    atomic_int calls, others, allowed; /* calls that may go on */
    atomic_int inside, most;           /* calls at the same time */
    int fail_at;
} gate;

static tread_status read_gated(void *data, const int32_t *rows, int64_t count, void *ret_x, void *ret_y) {
    gate *g = data;
    int call = ++g->calls;
    g->others += !pthread_equal(pthread_self(), g->caller);
    int inside = ++g->inside;
    g->most = inside > g->most ? inside : g->most;
    while (g->allowed < call)
        usleep(100);
    g->inside--;
    if (call == g->fail_at)
        return tread_fail(TREAD_ERROR_IO, "call %d", call);
    for (int64_t i = 0; i < count; i++) {
        ((float *)ret_x)[i] = (float)rows[i];
        ((int32_t *)ret_y)[i] = 0;
    }
    return TREAD_OK;
}

static tread_dataset *gated(gate *g) {
    tread_source source = tread_source_defaults();
    source.count = 40;
    source.x_rank = 1;
    source.x_shape[0] = 1;
    source.classes = 1;
    source.read = read_gated;
    source.data = g;
    return tread_dataset_from_source(&source);
}

static tread_batches *of_gated(const tread_dataset *dataset) {
    tread_batches_options o = tread_batches_defaults();
    o.batch_size = 10;
    o.shuffle = false;
    o.prefetch = true;
    return tread_batches_create(NULL, dataset, &o);
}

START_TEST(the_next_batch_is_made_meanwhile) {
    gate g = {.caller = pthread_self(), .allowed = 1};
    tread_dataset *dataset = gated(&g);
    tread_batches *batches = of_gated(dataset);
    tread_batch batch;
    usleep(2000);
    ck_assert_int_eq(g.calls, 0); /* nothing before the first is taken */
    ck_assert(tread_batches_next(batches, &batch));
    while (g.calls < 2) /* the second is begun while the first is in use */
        usleep(100);
    for (int i = 0; i < 10; i++)
        ck_assert_float_eq(tread_tensor_float(batch.x)[i], (float)i);
    g.allowed = 2;
    usleep(2000);
    for (int i = 0; i < 10; i++) /* and goes elsewhere */
        ck_assert_float_eq(tread_tensor_float(batch.x)[i], (float)i);
    g.allowed = 100;
    ck_assert(tread_batches_next(batches, &batch));
    ck_assert_float_eq(tread_tensor_float(batch.x)[0], 10);
    while (tread_batches_next(batches, &batch))
        ;
    ck_assert_int_eq(g.others, g.calls);
    tread_batches_destroy(batches);
    tread_dataset_destroy(dataset);
}
END_TEST

static void *open_later(void *argument) {
    usleep(5000);
    ((gate *)argument)->allowed = 100;
    return NULL;
}

/* A sample, which the caller's thread makes, waits for the batch that the other one is at. */
START_TEST(a_source_is_called_once_at_a_time) {
    gate g = {.caller = pthread_self(), .allowed = 1};
    tread_dataset *dataset = gated(&g);
    tread_batches *batches = of_gated(dataset);
    tread_batch batch;
    pthread_t opener;
    ck_assert(tread_batches_next(batches, &batch));
    while (g.calls < 2)
        usleep(100);
    ck_assert_int_eq(pthread_create(&opener, NULL, open_later, &g), 0);
    ck_assert(tread_batches_sample(batches, false, &batch));
    ck_assert_int_eq(g.most, 1);
    pthread_join(opener, NULL);
    ck_assert(tread_batches_next(batches, &batch) && batch.index == 1); /* made before, and still good */
    ck_assert_float_eq(tread_tensor_float(batch.x)[0], 10);
    tread_batches_destroy(batches);
    tread_dataset_destroy(dataset);
}
END_TEST

START_TEST(failures_come_with_their_batch) {
    for (int fail_at = 1; fail_at <= 4; fail_at++) {
        gate g = {.caller = pthread_self(), .allowed = 100, .fail_at = fail_at};
        tread_dataset *dataset = gated(&g);
        tread_batches *batches = of_gated(dataset);
        tread_batch batch;
        for (int i = 1; i < fail_at; i++)
            ck_assert(tread_batches_next(batches, &batch) && batch.index == i - 1);
        tread_fail(TREAD_ERROR_STATE, "another sentence"); /* of this thread */
        ck_assert_ok(tread_batches_status(batches));
        ck_assert(!tread_batches_next(batches, &batch));
        ck_assert_int_eq(tread_batches_status(batches), TREAD_ERROR_IO);
        char sentence[32];
        snprintf(sentence, sizeof sentence, "call %d", fail_at);
        ck_assert_str_eq(tread_last_error(), sentence);
        ck_assert(tread_batches_next(batches, &batch) && batch.index == fail_at - 1);
        tread_batches_destroy(batches);
        tread_dataset_destroy(dataset);
    }
}
END_TEST

/* The weights after runs of one epoch and of two and two, each epoch evaluated. */
static void train(const tread_dataset *dataset, bool prefetch, float *ret_weights, size_t n_weights) {
    tread_batches *batches = create(dataset, prefetch), *test = create(dataset, prefetch);
    tread_mlp_options mo = tread_mlp_defaults();
    mo.n_inputs = features;
    mo.hidden = (const int64_t[]){16};
    mo.n_hidden = 1;
    mo.n_outputs = 10;
    tread_module *model = tread_mlp(NULL, &mo);
    tread_parameter_list parameters = tread_module_parameters(model);
    tread_optimizer *optimizer = tread_optimizer_from_spec(NULL, parameters, "adam:lr=0.01");
    tread_trainer_options to = tread_trainer_defaults();
    to.model = model;
    to.optimizer = optimizer;
    to.train = batches;
    to.test = test;
    to.epochs = 1;
    for (int run = 0; run < 3; run++) { /* a trainer each, which begins at epoch 0 anew */
        tread_trainer *trainer = tread_trainer_create(NULL, &to);
        ck_assert_ok(tread_trainer_run(trainer));
        ck_assert_int_eq(tread_trainer_result(trainer)->steps, 16 * to.epochs);
        tread_trainer_destroy(trainer);
        to.epochs = 2;
    }
    size_t count = 0;
    for (size_t i = 0; i < parameters.count; i++) {
        const tread_tensor *weights = tread_parameter_tensor(parameters.items[i]);
        ck_assert_uint_le(count + (size_t)tread_tensor_count(weights), n_weights);
        memcpy(ret_weights + count, tread_tensor_data(weights), (size_t)tread_tensor_count(weights) * sizeof(float));
        count += (size_t)tread_tensor_count(weights);
    }
    ck_assert_uint_eq(count, n_weights);
    tread_optimizer_destroy(optimizer);
    tread_module_destroy(model);
    tread_batches_destroy(batches);
    tread_batches_destroy(test);
}

START_TEST(a_run_has_the_same_weights_to_the_bit) {
    enum { n_weights = features * 16 + 16 + 16 * 10 + 10 };
    static float plain[n_weights], ahead[n_weights];
    tread_dataset *dataset = make();
    train(dataset, false, plain, n_weights);
    train(dataset, true, ahead, n_weights);
    ck_assert_mem_eq(plain, ahead, sizeof plain);
    tread_dataset_destroy(dataset);
}
END_TEST

/* Ended while it rests, while it works, with a batch made that nobody took, and after a failure. */
START_TEST(ending_at_any_time) {
    tread_dataset *dataset = make();
    for (int i = 0; i < 300; i++) {
        tread_batches *batches = create(dataset, true);
        tread_batch batch;
        for (int k = 0; k < i % 19; k++)
            tread_batches_next(batches, &batch);
        if (i % 3 == 0)
            usleep(100);
        tread_batches_destroy(batches);
    }
    tread_dataset_destroy(dataset);
    gate g = {.caller = pthread_self(), .allowed = 100, .fail_at = 2};
    dataset = gated(&g);
    tread_batches *batches = of_gated(dataset);
    tread_batch batch;
    ck_assert(tread_batches_next(batches, &batch) && !tread_batches_next(batches, &batch));
    tread_batches_destroy(batches);
    tread_dataset_destroy(dataset);
    ck_assert_uint_eq(tread_memory_live_blocks(), 0);
}
END_TEST

START_TEST(every_allocation_failing_and_none_later) {
    tread_dataset *dataset = make(), *part = tread_dataset_subset(dataset, labels, 500);
    tread_batches_options o = tread_batches_defaults();
    o.prefetch = true;
    tread_batches *batches = NULL;
    uint64_t before = tread_memory_live_blocks(), k = 1;
    for (; batches == NULL; k++) {
        tread_memory_fail_at(k);
        batches = tread_batches_create(NULL, part, &o);
        ck_assert_int_eq(batches == NULL, tread_memory_failed());
        tread_memory_fail_at(0);
        ck_assert(batches != NULL || tread_memory_live_blocks() == before);
    }
    ck_assert_uint_gt(k, 10);
    uint64_t calls = tread_memory_calls();
    tread_batch batch;
    for (int epoch = 0; epoch < 3; epoch++)
        while (tread_batches_next(batches, &batch))
            ;
    ck_assert_uint_eq(tread_memory_calls(), calls);
    tread_batches_destroy(batches);
    tread_dataset_destroy(part);
    tread_dataset_destroy(dataset);
}
END_TEST

TEST_MAIN("prefetch", the_same_batches_to_the_bit, going_anywhere, the_next_batch_is_made_meanwhile,
          a_source_is_called_once_at_a_time, failures_come_with_their_batch, a_run_has_the_same_weights_to_the_bit,
          ending_at_any_time, every_allocation_failing_and_none_later)
