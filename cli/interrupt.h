/* Layer: cli. Ctrl-C: the first asks for an end after the step under way, the second ends the process. */
#ifndef TREAD_CLI_INTERRUPT_H
#define TREAD_CLI_INTERRUPT_H

#include <signal.h>
#include <tread/trainer.h>

void cli_interrupt_stops(tread_trainer *trainer);         /* SIGINT and SIGTERM stop this one from now on */
void cli_interrupt_sets(volatile sig_atomic_t *ret_mark); /* they set this to 1 */
void cli_interrupt_ends(void);                            /* as at first: they end the process */

#endif
