/* tread profile: finds the profiler. */
#include <stdio.h>
#include <string.h>

#include "cli/commands.h"
#include "cli/nearest.h"
#include "cli/progress.h"

/* Each one's name is "profile NAME". */
static const cli_command *const profilers[] = {&cli_profile_optimizer, &cli_profile_train};
#define N_PROFILERS (sizeof profilers / sizeof *profilers)
#define NAME_AT (sizeof "profile")

static void print_usage(const cli_command *command, FILE *file) {
    fprintf(file, "usage: tread profile %s\n\n%s\n\n", command->usage, command->summary);
    for (size_t i = 0; i < N_PROFILERS; i++)
        fprintf(file, "  %-10s %s\n", profilers[i]->name + NAME_AT, profilers[i]->summary);
    fprintf(file, "\nEach has its own --help.\n");
}

static int run_profile(const cli_command *command, int argc, char **argv) {
    if (argc < 2) {
        print_usage(command, stderr);
        return CLI_USAGE;
    }
    const char *name = argv[1], *names[N_PROFILERS + 1];
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0) {
        cli_reader_may_leave();
        print_usage(command, stdout);
        return CLI_DONE;
    }
    for (size_t i = 0; i < N_PROFILERS; i++) {
        names[i] = profilers[i]->name + NAME_AT;
        if (strcmp(name, names[i]) == 0)
            return profilers[i]->run(profilers[i], argc - 1, argv + 1);
    }
    names[N_PROFILERS] = "--help";
    fprintf(stderr, "tread profile: unknown %s %s%s\n\n", name[0] == '-' ? "option" : "profiler", name,
            cli_hint(name, names, N_PROFILERS + 1));
    print_usage(command, stderr);
    return CLI_USAGE;
}

const cli_command cli_profile = {
    .name = "profile",
    .summary = "Measures where the time of a step goes, and what bounds it on this machine.",
    .usage = "PROFILER [options]",
    .run = run_profile,
    .only_shows = true,
};
