#include "cli/notes.h"

#include <sched.h>
#include <stdio.h>
#include <tread/info.h>
#include <tread/ops.h>

bool cli_has_precision(const cli_training *t) {
    if (t->options->setup.precision == TREAD_PRECISION_FLOAT32)
        return true;
    const tread_parameter_list parameters = tread_module_parameters(t->setup.model);
    for (size_t i = 0; i < parameters.count; i++) {
        const tread_tensor *x = tread_parameter_tensor(parameters.items[i]);
        if (tread_tensor_rank(x) == 2 && tread_tensor_dim(x, 0) >= TREAD_BF16_WIDTH &&
            tread_tensor_dim(x, 1) >= TREAD_BF16_WIDTH)
            return true;
    }
    return false;
}

/* The library's own look takes 20 ms, too long for every start: so only where this process has fewer CPUs. */
static void note_threads(const tread_context *context) {
    cpu_set_t cpus;
    if (sched_getaffinity(0, sizeof cpus, &cpus) == 0 && tread_context_threads(context) <= CPU_COUNT(&cpus))
        return;
    tread_system_info info = tread_system_info_defaults();
    if (tread_info(context, &info) == TREAD_OK && info.threads > info.allowed_cpus)
        fprintf(stderr, "warning: %s\n", info.warning);
}

void cli_note_plan(const cli_training *t) {
    if (!cli_has_precision(t))
        fprintf(
            stderr,
            "note: --precision bf16 takes layers with at least %d inputs and outputs; this model has none, and runs "
            "in float32\n",
            TREAD_BF16_WIDTH);
    note_threads(t->setup.context);
}
