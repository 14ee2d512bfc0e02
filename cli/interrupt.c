#include "cli/interrupt.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

static _Atomic(tread_trainer *) target;
static _Atomic(volatile sig_atomic_t *) mark;

static const int signals[] = {SIGINT, SIGTERM};
#define N_SIGNALS (sizeof signals / sizeof *signals)

static void stop(int signal_number);

/* From now on either of them ends the process, whatever the first is waiting for; one that is ignored stays so. */
static void end_at_the_next(void) {
    for (size_t i = 0; i < N_SIGNALS; i++) {
        struct sigaction action;
        if (sigaction(signals[i], NULL, &action) == 0 && action.sa_handler == stop) {
            action.sa_handler = SIG_DFL;
            sigaction(signals[i], &action, NULL);
        }
    }
}

static void stop(int signal_number) {
    static const char message[] = "\nstopping after this step; once more ends at once\n";
    (void)signal_number;
    const int before = errno; /* of what the signal came into */
    tread_trainer *trainer = atomic_load(&target);
    if (trainer != NULL)
        tread_trainer_request_stop(trainer);
    volatile sig_atomic_t *set = atomic_load(&mark);
    if (set != NULL)
        *set = 1;
    end_at_the_next();
    ssize_t told = write(STDERR_FILENO, message, sizeof message - 1);
    (void)told; /* perhaps nobody is there */
    errno = before;
}

static void handle(void (*handler)(int)) {
    struct sigaction action, before;
    memset(&action, 0, sizeof action);
    sigemptyset(&action.sa_mask);
    action.sa_handler = handler;
    action.sa_flags = SA_RESTART;
    for (size_t i = 0; i < N_SIGNALS; i++) /* the second one waits until the first has been seen to */
        sigaddset(&action.sa_mask, signals[i]);
    for (size_t i = 0; i < N_SIGNALS; i++)
        /* Who started this in the background wants it ignored. */
        if (sigaction(signals[i], NULL, &before) == 0 && before.sa_handler != SIG_IGN)
            sigaction(signals[i], &action, NULL);
}

void cli_interrupt_stops(tread_trainer *trainer) {
    atomic_store(&target, trainer);
    handle(stop);
}

void cli_interrupt_sets(volatile sig_atomic_t *ret_mark) {
    atomic_store(&mark, ret_mark);
    handle(stop);
}

void cli_interrupt_ends(void) {
    handle(SIG_DFL);
    atomic_store(&mark, NULL);
    atomic_store(&target, NULL);
}
