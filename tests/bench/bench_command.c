/* The tread command as its user meets it: each figure is wall time from the start of a process to its end.
 *
 *     version   tread --version
 *     step      one step of 784-512-256-10 with Adam, batch 64: reading MNIST before and the evaluation behind it
 * included epoch     one epoch of the same accuracy  the same network until 97 % of the test images are right, looked
 * at after every 20th step, for each of the seeds 1 to --seeds; ends with 1 where one does not get there
 *
 * The settings of the last were chosen for the shortest time that all of ten seeds reach; --optimizer, --batch and
 * --epochs try others. The command's own environment is the user's: GOMP_SPINCOUNT is not set for it. */
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/bench/bench.h"

#define MAX_ARGUMENTS 32
#define MAX_REPEATS 1001

typedef struct settings {
    const char *only, *command, *data, *optimizer;
    int64_t threads, repeats, first, seeds, batch, epochs, every;
    double target;
} settings;

typedef struct outcome {
    double seconds, peak_mb;
    char text[65536]; /* of standard output; the beginning of it */
} outcome;

/* Runs the command with arguments up to NULL. */
static void run(const settings *s, const char *const *arguments, outcome *ret_outcome) {
    const char *argv[MAX_ARGUMENTS + 2] = {s->command};
    for (int i = 0; i < MAX_ARGUMENTS && arguments[i] != NULL; i++)
        argv[i + 1] = arguments[i];
    int ends[2], status;
    struct rusage usage;
    pid_t child;
    posix_spawn_file_actions_t actions;
    if (pipe2(ends, O_CLOEXEC) != 0 || posix_spawn_file_actions_init(&actions) != 0 ||
        posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO) != 0)
        bench_fail("no pipe: %s", strerror(errno));
    double start = bench_clock();
    int error = posix_spawn(&child, s->command, &actions, NULL, (char *const *)argv, environ);
    if (error != 0)
        bench_fail("%s: %s", s->command, strerror(error));
    close(ends[1]);
    size_t n = 0;
    char rest[4096];
    for (ssize_t got = 1; got > 0;) {
        size_t room = sizeof ret_outcome->text - 1 - n;
        got = room > 0 ? read(ends[0], ret_outcome->text + n, room) : read(ends[0], rest, sizeof rest);
        n += room > 0 && got > 0 ? (size_t)got : 0;
    }
    ret_outcome->text[n] = '\0';
    if (wait4(child, &status, 0, &usage) != child || !WIFEXITED(status) || WEXITSTATUS(status) != 0)
        bench_fail("%s %s failed", s->command, arguments[0]);
    ret_outcome->seconds = bench_clock() - start;
    ret_outcome->peak_mb = (double)usage.ru_maxrss * 1024 / 1e6;
    close(ends[0]);
    posix_spawn_file_actions_destroy(&actions);
}

/* Medians over repeats of one call; the first is not counted, since it brings files into memory. */
static void measure(const settings *s, bench *b, const char *name, const char *const *arguments, int repeats) {
    static double seconds[MAX_REPEATS], peak[MAX_REPEATS];
    static outcome result;
    for (int i = -1; i < repeats; i++) {
        run(s, arguments, &result);
        seconds[i < 0 ? 0 : i] = result.seconds;
        peak[i < 0 ? 0 : i] = result.peak_mb;
    }
    bench_summary time = bench_scale(bench_summarize(seconds, repeats), 1e3);
    bench_summary memory = bench_summarize(peak, repeats);
    printf("%-10s %10.1f ms %10.1f to %-10.1f %8.1f MB\n", name, time.median, time.lower_quartile, time.upper_quartile,
           memory.median);
    fflush(stdout);
    json_t *row = bench_row(b, name, (int)s->threads);
    bench_value(row, "wall_ms", time);
    bench_value(row, "peak_mb", memory);
}

/* The number before, or with `behind` after, the last place of `word` in the text; -1 where it is not there. */
static double number_at(const char *text, const char *word, bool behind) {
    const char *place = NULL;
    for (const char *at = strstr(text, word); at != NULL; at = strstr(at + 1, word))
        place = at;
    if (place == NULL)
        return -1;
    if (behind)
        return strtod(place + strlen(word), NULL);
    while (place > text && place[-1] == ' ')
        place--;
    while (place > text && place[-1] >= '0' && place[-1] <= '9')
        place--;
    return strtod(place, NULL);
}

static bool measure_accuracy(const settings *s, bench *b) {
    static double seconds[MAX_REPEATS];
    static outcome result;
    char threads[32], batch[32], epochs[32], every[32], target[32], seed[32];
    snprintf(threads, sizeof threads, "%d", (int)s->threads);
    snprintf(batch, sizeof batch, "%d", (int)s->batch);
    snprintf(epochs, sizeof epochs, "%d", (int)s->epochs);
    snprintf(every, sizeof every, "%d", (int)s->every);
    snprintf(target, sizeof target, "%g", s->target);
    const char *arguments[] = {"train",      "--threads",       threads, "--batch-size", batch,     "--optimizer",
                               s->optimizer, "--epochs",        epochs,  "--hidden",     "512,256", "--evaluate-every",
                               every,        "--target-metric", target,  "--seed",       seed,      NULL};
    json_t *runs = json_array();
    bool reached = true;
    for (int i = 0; i <= s->seeds; i++) { /* the first seed twice: it is not counted at first */
        int number = (int)s->first + (i == 0 ? 0 : i - 1);
        snprintf(seed, sizeof seed, "%d", number);
        run(s, arguments, &result);
        double steps = number_at(result.text, "steps in", false),
               accuracy = number_at(result.text, "test accuracy", true);
        if (i == 0)
            continue;
        seconds[i - 1] = result.seconds;
        reached = reached && accuracy >= 100 * s->target;
        json_array_append_new(runs, json_pack("{s:i, s:f, s:f, s:f}", "seed", number, "seconds", result.seconds,
                                              "steps", steps, "accuracy", accuracy));
        printf("seed %-5d %10.1f ms %10.0f steps %10.2f %%\n", number, 1e3 * result.seconds, steps, accuracy);
        fflush(stdout);
    }
    bench_summary time = bench_summarize(seconds, (int)s->seeds);
    printf("%-10s %10.1f ms %10.1f to %-10.1f %8.1f to %.1f\n", "accuracy", 1e3 * time.median,
           1e3 * time.lower_quartile, 1e3 * time.upper_quartile, 1e3 * time.least, 1e3 * time.greatest);
    json_t *row = bench_row(b, "accuracy", (int)s->threads);
    bench_value(row, "wall_seconds", time);
    json_object_set_new(row, "optimizer", json_string(s->optimizer));
    json_object_set_new(row, "batch", json_integer(s->batch));
    json_object_set_new(row, "target", json_real(s->target));
    json_object_set_new(row, "reached", json_boolean(reached));
    json_object_set_new(row, "runs", runs);
    return reached;
}

int main(int argc, char **argv) {
    settings s = {.optimizer = "adam:lr=4e-3",
                  .threads = 2,
                  .repeats = 7,
                  .first = 1,
                  .seeds = 10,
                  .batch = 192,
                  .epochs = 1,
                  .every = 20,
                  .target = 0.97};
    const bench_option options[] = {
        {"only", BENCH_TEXT, &s.only, "LIST", "of version, step, epoch, accuracy", 0, 0},
        {"command", BENCH_TEXT, &s.command, "FILE", "the command; else the one of this build folder", 0, 0},
        {"data", BENCH_TEXT, &s.data, "FOLDER", "with MNIST's files; else as the command finds them", 0, 0},
        {"threads", BENCH_COUNT, &s.threads, "N", "threads", 1, 1024},
        {"repeats", BENCH_COUNT, &s.repeats, "N", "runs of step and epoch; of version 20 times as many", 1, 50},
        {"first", BENCH_COUNT, &s.first, "N", "first seed of the runs to the accuracy", 0, 1e9},
        {"seeds", BENCH_COUNT, &s.seeds, "N", "how many of them", 1, MAX_REPEATS},
        {"optimizer", BENCH_TEXT, &s.optimizer, "SPEC", "of accuracy", 0, 0},
        {"batch", BENCH_COUNT, &s.batch, "N", "likewise", 1, 60000},
        {"epochs", BENCH_COUNT, &s.epochs, "N", "likewise: the lr falls to 0 over them", 1, 1000},
        {"every", BENCH_COUNT, &s.every, "N", "likewise: steps between evaluations", 1, 1e6},
        {"target", BENCH_REAL, &s.target, "X", "likewise: the share that is to be right", 0.01, 1},
        {0},
    };
    bench *b = bench_begin(argc, argv, "Times the tread command from the start of the process to its end.", options);
    bench_check_list("only", s.only, "version,step,epoch,accuracy");
    char path[4096 + 32], threads[32];
    ssize_t length = readlink("/proc/self/exe", path, 4095);
    if (s.command == NULL && length > 0) { /* build/tests/bench/bench_command: build/cli/tread */
        path[length] = '\0';
        for (int i = 0; i < 3 && strrchr(path, '/') != NULL; i++)
            *strrchr(path, '/') = '\0';
        strcat(path, "/cli/tread");
        s.command = path;
    }
    if (s.command == NULL || (s.data != NULL && setenv("TREAD_DATA", s.data, 1) != 0))
        bench_fail("the command is not known: give --command");
    unsetenv("GOMP_SPINCOUNT");
    snprintf(threads, sizeof threads, "%d", (int)s.threads);
    bool good = true;
    if (bench_listed(s.only, "version"))
        measure(&s, b, "version", (const char *const[]){"--version", NULL}, 20 * (int)s.repeats);
    if (bench_listed(s.only, "step"))
        measure(&s, b, "step",
                (const char *const[]){"train", "--batch-size", "64", "--max-steps", "1", "--threads", threads, NULL},
                (int)s.repeats);
    if (bench_listed(s.only, "epoch"))
        measure(&s, b, "epoch",
                (const char *const[]){"train", "--batch-size", "64", "--epochs", "1", "--threads", threads, NULL},
                (int)s.repeats);
    if (bench_listed(s.only, "accuracy"))
        good = measure_accuracy(&s, b);
    return bench_end(b) == 0 && good ? 0 : 1;
}
