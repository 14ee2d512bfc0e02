/* The thread that writes a snapshot: a plain one, so that OpenMP makes no second team of threads for it. */
#include <signal.h>
#include <stdio.h>

#include "core/status.h"
#include "engine/checkpoint/checkpoint_series.h"

static void *write_snapshot(void *argument) {
    tread_checkpoint_series *series = argument;
    series->status = tread_series_write(series);
    if (series->status != TREAD_OK)
        snprintf(series->sentence, sizeof series->sentence, "%s", tread_last_error());
    return NULL;
}

/* Signals are for the program's own threads; so this one also gets an error, not a signal, at a file size limit. */
tread_status tread_series_start(tread_checkpoint_series *series) {
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    series->in_flight = pthread_create(&series->thread, NULL, write_snapshot, series) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return series->in_flight ? TREAD_OK : tread_series_write(series); /* no thread to be had: then here */
}

void tread_series_join(tread_checkpoint_series *series) {
    if (series->in_flight)
        pthread_join(series->thread, NULL);
    series->in_flight = false;
}

tread_status tread_checkpoint_series_wait(tread_checkpoint_series *series) {
    TREAD_REFUSE_NULL("checkpoint series wait", series);
    tread_series_join(series);
    tread_status status = series->status;
    series->status = TREAD_OK;
    return status == TREAD_OK ? TREAD_OK : tread_fail(status, "%s", series->sentence);
}
