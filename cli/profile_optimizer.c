/* tread profile optimizer: how optimizer steps scale over threads. */
#include "cli/commands.h"

static int run_profile_optimizer(const cli_command *command, int argc, char **argv) {
    int code;
    char none;
    if (!cli_parse(command, argc, argv, &none, &code))
        return code;
    return cli_fail(command, "nothing yet");
}

const cli_command cli_profile_optimizer = {
    .name = "profile optimizer",
    .summary = "How optimizer steps scale over threads, and what bounds them.",
    .usage = "[options]",
    .run = run_profile_optimizer,
};
