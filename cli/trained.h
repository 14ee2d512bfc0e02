/* Layer: cli. A trained network from a file of weights, or from a checkpoint. */
#ifndef TREAD_CLI_TRAINED_H
#define TREAD_CLI_TRAINED_H

#include <tread/context.h>
#include <tread/module.h>
#include <tread/state.h>

#include "cli/options.h"

typedef struct cli_trained {
    tread_module *model; /* an mlp */
    int64_t n_inputs, n_outputs;
    tread_state *state;         /* of a checkpoint; NULL: a file of weights */
    const tread_state *program; /* of the command that wrote it, or NULL */
    const char *weights;        /* which of a checkpoint's: "best", "ema", "averaged" or "model" */
} cli_trained;

/* Layers and sizes are those of the tensors; activation (-1: not given) is the checkpoint's, else relu. Of a checkpoint
 * it takes the best weights where it has them, else averaged ones, else those of training. What was made stays in
 * trained (zeroed before) for cli_trained_close. False with the library's sentence. */
bool cli_trained_open(cli_trained *trained, const cli_command *command, tread_context *context, const char *path,
                      int activation);
void cli_trained_close(cli_trained *trained);

/* What the checkpoint's program was asked for; NULL where it was not, or there is none. */
const char *cli_trained_option(const cli_trained *trained, const char *name);
/* The name of class i, or NULL. */
const char *cli_trained_class(const cli_trained *trained, int64_t i);
/* Whether the outputs are classes: 1 yes, 0 no, -1 unknown. */
int cli_trained_classifies(const cli_trained *trained);
/* How inputs are normalised, or NULL. */
const tread_state *cli_trained_inputs(const cli_trained *trained);

#endif
