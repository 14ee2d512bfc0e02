/* The tread command: finds the subcommand. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tread/version.h>
#include <unistd.h>

#include "cli/commands.h"
#include "cli/help.h"
#include "cli/nearest.h"
#include "cli/progress.h"

static const cli_command *const commands[] = {&cli_train,   &cli_eval, &cli_predict, &cli_plot, &cli_schedule,
                                              &cli_inspect, &cli_diff, &cli_profile, &cli_info};
#define N_COMMANDS (sizeof commands / sizeof *commands)

static void print_usage(FILE *file) {
    fprintf(file, "usage: tread SUBCOMMAND [options]\n\nTrains small networks on the CPU.\n\n");
    for (size_t i = 0; i < N_COMMANDS; i++)
        fprintf(file, "  %-8s %s\n", commands[i]->name, commands[i]->summary);
    fprintf(file,
            "\n  --version   print the version\n  --help      print this; each subcommand has its own --help\n"
            "  help NAME   print the help of a subcommand, or the fields of an optimizer or a scheduler\n\n"
            "Exit codes: 0 done (also after a first Ctrl-C), 1 failed, 2 wrong usage, 130 after a second Ctrl-C;\n"
            "diff: 0 the same, 1 different, 2 trouble.\n");
}

/* GNU OpenMP's waiting threads spin for so long that a busy neighbour stretches every parallel region; its environment
 * is read when the library is loaded, so this process begins anew with a better one. Whoever set either variable knows
 * better. Where it cannot begin anew it goes on as it is. */
static void tame_waiting_threads(char **argv) {
    if (getenv("GOMP_SPINCOUNT") != NULL || getenv("OMP_WAIT_POLICY") != NULL)
        return;
    if (setenv("GOMP_SPINCOUNT", "1000", 1) == 0)
        execv("/proc/self/exe", argv); /* finds the variable set, and so does not come here again */
}

/* What "help optimizer" and "help 'profile optimizer'" mean; "help train" is that of the subcommand. */
static const cli_command *find_profiler(const char *name) {
    static const cli_command *const profilers[] = {&cli_profile_optimizer, &cli_profile_train};
    for (size_t i = 0; i < N_COMMANDS; i++)
        if (strcmp(name, commands[i]->name) == 0)
            return NULL;
    for (size_t i = 0; i < sizeof profilers / sizeof *profilers; i++)
        if (strcmp(name, profilers[i]->name) == 0 || strcmp(name, strchr(profilers[i]->name, ' ') + 1) == 0)
            return profilers[i];
    return NULL;
}

static int run(int argc, char **argv) {
    if (argc < 2) {
        print_usage(stderr);
        return CLI_USAGE;
    }
    const char *name = argv[1], *names[N_COMMANDS + 2];
    if (strcmp(name, "help") == 0 && argc > 2) {
        if (cli_is_algorithm(argv[2])) { /* "help adamw" is "train --help adamw" */
            cli_reader_may_leave();
            return cli_print_algorithm(&cli_train, argv[2]) ? CLI_DONE : CLI_USAGE;
        }
        if (find_profiler(argv[2]) != NULL) {
            cli_reader_may_leave();
            cli_print_help(find_profiler(argv[2]));
            return CLI_DONE;
        }
        static char help[] = "--help"; /* "help train" is "train --help", "help profile optimizer" ... */
        const int words = argc > 3 && strcmp(argv[2], cli_profile.name) == 0 ? 2 : 1;
        for (int i = 1; i <= words; i++)
            argv[i] = argv[i + 1];
        name = argv[1];
        argv[words + 1] = help;
        argc = words + 2;
    }
    if (name[0] == '-' || strcmp(name, "help") == 0)
        cli_reader_may_leave();
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0 || strcmp(name, "help") == 0) {
        print_usage(stdout);
        return CLI_DONE;
    }
    if (strcmp(name, "--version") == 0) {
        printf("tread %s\n", tread_version());
        return CLI_DONE;
    }
    for (size_t i = 0; i < N_COMMANDS; i++) {
        names[i] = commands[i]->name;
        if (strcmp(name, names[i]) == 0) {
            if (commands[i]->only_shows)
                cli_reader_may_leave();
            return commands[i]->run(commands[i], argc - 1, argv + 1);
        }
    }
    names[N_COMMANDS] = "--version";
    names[N_COMMANDS + 1] = "--help";
    fprintf(stderr, "tread: unknown %s %s%s\n\n", name[0] == '-' ? "option" : "subcommand", name,
            cli_hint(name, names, N_COMMANDS + 2));
    print_usage(stderr);
    return CLI_USAGE;
}

int main(int argc, char **argv) {
    tame_waiting_threads(argv);
    signal(SIGPIPE, SIG_IGN); /* a closed pipe is an error like any other, but for what only shows something */
    int code = run(argc, argv);
    if (!cli_flush_output() && code == CLI_DONE) {
        fprintf(stderr, "tread: %s\n", tread_last_error());
        code = CLI_FAILED;
    }
    return code;
}
