/* Several threads at once, each with objects of its own, and all with the default context: for the thread sanitizer
 * above all (-Dopenmp=disabled -Donednn=disabled -Db_sanitize=thread), and for the results without it. */
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <tread/info.h>

#include "core/context.h"
#include "core/isa.h"
#include "core/memory.h"
#include "core/parallel.h"
#include "core/tensor.h"
#include "tests/test.h"

#define N_THREADS 4
#define ROUNDS 300

typedef struct worker {
    int id;
    tread_context *shared;
    tread_tensor *parent; /* every worker makes and drops views of it */
    const char *wrong;    /* the first thing that was not as it should be: asserting is for the main thread */
} worker;

static pthread_barrier_t barrier;

static void expect(worker *w, bool condition, const char *what) {
    if (!condition && w->wrong == NULL)
        w->wrong = what;
}

static void add_one(void *argument, int64_t begin, int64_t end) {
    float *x = argument;
    for (int64_t i = begin; i < end; i++)
        x[i] += 1;
}

static void use_contexts(worker *w, int round) {
    tread_context_options options = tread_context_defaults();
    options.threads = 1 + w->id;
    options.backend = TREAD_BACKEND_REF;
    options.seed = (uint64_t)round;
    tread_context *own = tread_context_create(&options);
    expect(w, own != NULL && tread_context_seed(own) == (uint64_t)round, "a context of its own");
    uint64_t start = tread_trace_start(w->shared);
    float x[100] = {0};
    tread_parallel_for(own, 100, 1, 1, add_one, x);
    tread_parallel_for(NULL, 100, 1000, 1, add_one, x); /* this size stays on the thread */
    for (int i = 0; i < 100; i++)
        expect(w, x[i] == 2, "a parallel loop");
    tread_trace_stop(w->shared, start, round % 2 == 0 ? "even" : "odd", TREAD_TRACE_OTHER);
    tread_context_destroy(own);
    expect(w, tread_context_default_status() == TREAD_OK, "the default context");
}

static void use_tensors(worker *w, int round) {
    int64_t shape[2] = {3, 4};
    tread_tensor *x = tread_tensor_create(TREAD_FLOAT32, 2, shape), *rows = tread_tensor_rows(w->parent, w->id, 2);
    tread_tensor *view = tread_tensor_view(rows, 1, (int64_t[]){8});
    expect(w, tread_tensor_set_requires_grad(x, true) == TREAD_OK && tread_tensor_fill(x, round) == TREAD_OK, "fill");
    expect(w, tread_tensor_set_grad(x, x) == TREAD_OK, "set_grad");
    tread_tensor_zero_grad(x, false);
    expect(w, tread_tensor_float(tread_tensor_grad(x))[11] == 0 && tread_tensor_float(x)[11] == (float)round,
           "zero_grad");
    expect(w, tread_tensor_float(view)[7] == (float)(4 * w->id + 7), "a shared parent's elements");
    tread_tensor_destroy(rows);
    tread_tensor_destroy(view);
    tread_tensor_destroy(x);
    /* The sentence and the mode are the thread's own. */
    char expected[64];
    snprintf(expected, sizeof expected, "rank %d is", 100 + w->id);
    expect(w,
           tread_tensor_create(TREAD_FLOAT32, 100 + w->id, NULL) == NULL &&
               strstr(tread_last_error(), expected) != NULL,
           "the thread's error");
    bool before = tread_set_grad_enabled(w->id % 2 == 0);
    expect(w, tread_grad_enabled() == (w->id % 2 == 0), "the thread's mode");
    tread_set_grad_enabled(before);
}

static void *work(void *argument) {
    worker *w = argument;
    pthread_barrier_wait(&barrier);
    tread_isa_chosen(); /* all threads choose, and make the default context, at once */
    expect(w, tread_context_threads(NULL) >= 1, "the default context");
    for (int round = 0; round < ROUNDS; round++) {
        use_contexts(w, round);
        use_tensors(w, round);
    }
    tread_system_info info = tread_system_info_defaults();
    expect(w, tread_info(w->shared, &info) == TREAD_OK, "info");
    tread_parameter *parameters[2] = {tread_parameter_create("w", 1, (int64_t[]){7}),
                                      tread_parameter_create("b", 0, NULL)};
    tread_parameter_block block;
    expect(w, tread_parameter_block_create(parameters, 2, &block) == TREAD_OK, "a block");
    tread_parameter_block_destroy(&block);
    return NULL;
}

START_TEST(threads_do_not_disturb_each_other) {
    uint64_t live = tread_memory_live_blocks();
    tread_context_options options = tread_context_defaults();
    options.trace = "/dev/null";
    tread_context *shared = tread_context_create(&options);
    tread_tensor *parent = tread_tensor_create(TREAD_FLOAT32, 2, (int64_t[]){N_THREADS + 1, 4});
    for (int i = 0; i < 4 * (N_THREADS + 1); i++)
        tread_tensor_float(parent)[i] = (float)i;
    pthread_t threads[N_THREADS];
    worker workers[N_THREADS];
    pthread_barrier_init(&barrier, NULL, N_THREADS);
    for (int i = 0; i < N_THREADS; i++) {
        workers[i] = (worker){.id = i, .shared = shared, .parent = parent};
        ck_assert_int_eq(pthread_create(&threads[i], NULL, work, &workers[i]), 0);
    }
    for (int i = 0; i < N_THREADS; i++)
        pthread_join(threads[i], NULL);
    pthread_barrier_destroy(&barrier);
    for (int i = 0; i < N_THREADS; i++)
        ck_assert_msg(workers[i].wrong == NULL, "thread %d: %s", i, workers[i].wrong);
    tread_tensor_destroy(parent);
    tread_context_destroy(shared);
    ck_assert_uint_eq(tread_memory_live_blocks(), live);
}
END_TEST

TEST_MAIN("threads", threads_do_not_disturb_each_other)
