/* Several threads at once, each with a tape and leaves of its own, and one shared context: results are those of one
 * thread alone. For the thread sanitizer, too (-Dopenmp=disabled -Donednn=disabled -Db_sanitize=thread). */
#include <pthread.h>
#include <string.h>
#include <tread/ops.h>

#include "tests/test.h"

#define N_THREADS 4
#define STEPS 20
#define BATCH 33
#define IN 40
#define OUT 10

typedef struct job {
    tread_context *context;
    tread_tensor *x, *labels; /* shared, never written */
    float grad[OUT * IN];
    double losses[STEPS];
    bool done;
} job;

static pthread_barrier_t barrier;

/* Plain gradient descent on one layer with dropout. */
static bool train(job *j) {
    tread_tape *tape = tread_tape_create(j->context);
    tread_tensor *w = tread_tensor_create(TREAD_FLOAT32, 2, (int64_t[]){OUT, IN});
    bool fine = tape != NULL && w != NULL && tread_tensor_set_requires_grad(w, true) == TREAD_OK;
    for (int step = 0; fine && step < STEPS; step++) {
        tread_tape_reset(tape);
        tread_tensor *h = tread_dropout(tape, tread_linear(tape, j->x, w, NULL, TREAD_ACTIVATION_GELU), 0.25);
        tread_tensor *loss = tread_cross_entropy(tape, h, j->labels);
        fine = tread_backward(tape, loss) == TREAD_OK && tread_tensor_item(loss, &j->losses[step]) == TREAD_OK;
        if (!fine)
            break;
        memcpy(j->grad, tread_tensor_float(tread_tensor_grad(w)), sizeof j->grad);
        for (int i = 0; i < OUT * IN; i++)
            tread_tensor_float(w)[i] -= 0.1F * j->grad[i];
        tread_tensor_zero_grad(w, true);
    }
    tread_tape_destroy(tape);
    tread_tensor_destroy(w);
    return fine;
}

static void *work(void *argument) {
    job *j = argument;
    pthread_barrier_wait(&barrier);
    j->done = train(j);
    return NULL;
}

static void check_backend(tread_backend backend) {
    static job alone, jobs[N_THREADS];
    tread_context_options options = tread_context_defaults();
    options.backend = backend;
    options.threads = 2;
    options.seed = 7;
    options.trace = "/dev/null";
    tread_context *context = tread_context_create(&options);
    tread_tensor *x = tread_tensor_create(TREAD_FLOAT32, 2, (int64_t[]){BATCH, IN});
    tread_tensor *labels = tread_tensor_create(TREAD_UINT8, 1, (int64_t[]){BATCH});
    for (int i = 0; i < BATCH * IN; i++)
        tread_tensor_float(x)[i] = (float)(i * 7919 % 101) / 50 - 1;
    for (int i = 0; i < BATCH; i++)
        ((uint8_t *)tread_tensor_data(labels))[i] = (uint8_t)(i % OUT);
    alone = (job){.context = context, .x = x, .labels = labels};
    ck_assert_msg(train(&alone), "%s", tread_last_error());
    ck_assert(alone.losses[STEPS - 1] < alone.losses[0]);
    pthread_t threads[N_THREADS];
    pthread_barrier_init(&barrier, NULL, N_THREADS);
    for (int i = 0; i < N_THREADS; i++) {
        jobs[i] = (job){.context = context, .x = x, .labels = labels};
        ck_assert_int_eq(pthread_create(&threads[i], NULL, work, &jobs[i]), 0);
    }
    for (int i = 0; i < N_THREADS; i++)
        pthread_join(threads[i], NULL);
    pthread_barrier_destroy(&barrier);
    for (int i = 0; i < N_THREADS; i++) {
        ck_assert(jobs[i].done);
        ck_assert_mem_eq(jobs[i].losses, alone.losses, sizeof alone.losses);
        ck_assert_mem_eq(jobs[i].grad, alone.grad, sizeof alone.grad);
    }
    tread_tensor_destroy(x);
    tread_tensor_destroy(labels);
    tread_context_destroy(context);
}

START_TEST(tapes_of_several_threads_are_apart) {
    check_backend(TREAD_BACKEND_REF);
    check_backend(TREAD_BACKEND_AUTO);
}
END_TEST

TEST_MAIN("tapes in threads", tapes_of_several_threads_are_apart)
