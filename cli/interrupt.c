#include "cli/interrupt.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

static _Atomic(tread_trainer *) target;

static void stop(int signal_number) {
    static const char message[] = "\nstopping after this step; once more ends at once\n";
    (void)signal_number;
    const int before = errno; /* of what the signal came into */
    tread_trainer *trainer = atomic_load(&target);
    if (trainer != NULL)
        tread_trainer_request_stop(trainer);
    ssize_t told = write(STDERR_FILENO, message, sizeof message - 1);
    (void)told; /* perhaps nobody is there */
    errno = before;
}

static void handle_one(int signal_number, void (*handler)(int)) {
    struct sigaction action, before;
    memset(&action, 0, sizeof action);
    action.sa_handler = handler;
    /* Reset, so that the second one ends the process whatever the first is waiting for. */
    action.sa_flags = SA_RESTART | (int)SA_RESETHAND;
    /* Who started this in the background wants it ignored. */
    if (sigaction(signal_number, NULL, &before) == 0 && before.sa_handler != SIG_IGN)
        sigaction(signal_number, &action, NULL);
}

static void handle(void (*handler)(int)) {
    handle_one(SIGINT, handler);
    handle_one(SIGTERM, handler);
}

void cli_interrupt_stops(tread_trainer *trainer) {
    atomic_store(&target, trainer);
    handle(stop);
}

void cli_interrupt_ends(void) {
    handle(SIG_DFL);
    atomic_store(&target, NULL);
}
