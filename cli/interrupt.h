/* Layer: cli. Ctrl-C: the first asks the trainer to stop after its step, the second ends the process. */
#ifndef TREAD_CLI_INTERRUPT_H
#define TREAD_CLI_INTERRUPT_H

#include <tread/trainer.h>

void cli_interrupt_stops(tread_trainer *trainer); /* SIGINT and SIGTERM stop this one from now on */
void cli_interrupt_ends(void);                    /* as at first: they end the process */

#endif
