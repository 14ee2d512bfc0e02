/* Layer: cli. What of a training may not be what was meant: it goes on, and standard error says so. */
#ifndef TREAD_CLI_NOTES_H
#define TREAD_CLI_NOTES_H

#include "cli/training.h"

/* Whether some layer of the model has the precision; every model has float32, bf16 takes a wide layer. */
bool cli_has_precision(const cli_training *training);

/* Where bf16 was asked for and no layer has it, and where there are more threads than CPUs for them. */
void cli_note_plan(const cli_training *training);

#endif
