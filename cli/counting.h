/* Layer: cli. Whether a scheduler that counts epochs was meant to count steps. */
#ifndef TREAD_CLI_COUNTING_H
#define TREAD_CLI_COUNTING_H

#include <tread/lr_scheduler.h>

/* A note on standard error where the scheduler, or one within it, has a number of steps that `epochs` never reach. The
 * run goes on: that may be meant. */
void cli_note_counting(const tread_lr_scheduler *scheduler, int64_t epochs);

#endif
