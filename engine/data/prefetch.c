#include "engine/data/prefetch.h"

#include <pthread.h>
#include <signal.h>
#include <string.h>

#include "core/context.h"
#include "core/memory.h"
#include "core/status.h"

struct tread_prefetch {
    tread_batch_maker *maker;
    tread_batch_slot *slots;
    int given; /* the slot that the caller has; the other one is the thread's */
    pthread_t thread;
    pthread_mutex_t lock; /* of what follows; maker and slots pass from one side to the other with `busy` */
    pthread_cond_t changed;
    bool busy; /* the batch below is to be made, or being made */
    bool made; /* it is there */
    bool ends;
    int64_t epoch, index;
};

/* One thread: the caller's regions keep the others to themselves, and libgomp would start a second team for this one.
 */
static const tread_context one_thread = {.count = {.threads = 1}, .backend = TREAD_BACKEND_REF};

static void *work(void *argument) {
    tread_prefetch *prefetch = argument;
    pthread_mutex_lock(&prefetch->lock);
    for (;;) {
        while (!prefetch->busy && !prefetch->ends)
            pthread_cond_wait(&prefetch->changed, &prefetch->lock);
        if (prefetch->ends)
            break;
        int64_t epoch = prefetch->epoch, index = prefetch->index;
        tread_batch_slot *slot = &prefetch->slots[1 - prefetch->given];
        pthread_mutex_unlock(&prefetch->lock);
        tread_batch_make(prefetch->maker, &one_thread, epoch, index, slot);
        pthread_mutex_lock(&prefetch->lock);
        prefetch->busy = false;
        prefetch->made = true;
        pthread_cond_broadcast(&prefetch->changed);
    }
    pthread_mutex_unlock(&prefetch->lock);
    return NULL;
}

/* The process's signals are for its other threads. */
static int start(tread_prefetch *prefetch) {
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int code = pthread_create(&prefetch->thread, NULL, work, prefetch);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return code;
}

tread_status tread_prefetch_create(tread_batch_maker *maker, tread_batch_slot *slots, tread_prefetch **ret_prefetch) {
    tread_prefetch *prefetch = tread_calloc(1, sizeof *prefetch, "prefetch of batches");
    if (prefetch == NULL)
        return TREAD_ERROR_MEMORY;
    prefetch->maker = maker;
    prefetch->slots = slots;
    pthread_mutex_init(&prefetch->lock, NULL);
    pthread_cond_init(&prefetch->changed, NULL);
    int code = start(prefetch);
    if (code != 0) {
        pthread_cond_destroy(&prefetch->changed);
        pthread_mutex_destroy(&prefetch->lock);
        tread_free(prefetch);
        return tread_fail(TREAD_ERROR_IO, "batches: cannot start the thread of prefetch: %s", strerror(code));
    }
    *ret_prefetch = prefetch;
    return TREAD_OK;
}

void tread_prefetch_destroy(tread_prefetch *prefetch) {
    if (prefetch == NULL)
        return;
    pthread_mutex_lock(&prefetch->lock);
    prefetch->ends = true;
    pthread_cond_broadcast(&prefetch->changed);
    pthread_mutex_unlock(&prefetch->lock);
    pthread_join(prefetch->thread, NULL);
    pthread_cond_destroy(&prefetch->changed);
    pthread_mutex_destroy(&prefetch->lock);
    tread_free(prefetch);
}

/* With the lock held. */
static void wait_until_rest(tread_prefetch *prefetch) {
    while (prefetch->busy)
        pthread_cond_wait(&prefetch->changed, &prefetch->lock);
}

static void ask(tread_prefetch *prefetch, int64_t epoch, int64_t index) {
    prefetch->epoch = epoch;
    prefetch->index = index;
    prefetch->made = false;
    prefetch->busy = true;
    pthread_cond_broadcast(&prefetch->changed);
}

tread_batch_slot *tread_prefetch_take(tread_prefetch *prefetch, int64_t epoch, int64_t index) {
    pthread_mutex_lock(&prefetch->lock);
    wait_until_rest(prefetch);
    if (!prefetch->made || prefetch->epoch != epoch || prefetch->index != index) { /* the first, or after a seek */
        ask(prefetch, epoch, index);
        wait_until_rest(prefetch);
    }
    prefetch->given = 1 - prefetch->given;
    prefetch->made = false;
    tread_batch_slot *slot = &prefetch->slots[prefetch->given];
    if (slot->status != TREAD_OK)
        tread_fail(slot->status, "%s", slot->error);
    else if (index + 1 < prefetch->maker->count)
        ask(prefetch, epoch, index + 1);
    else
        ask(prefetch, epoch + 1, 0);
    pthread_mutex_unlock(&prefetch->lock);
    return slot;
}

void tread_prefetch_pause(tread_prefetch *prefetch) {
    pthread_mutex_lock(&prefetch->lock);
    wait_until_rest(prefetch);
    pthread_mutex_unlock(&prefetch->lock);
}
