/* tread train --checkpoint and --resume, as a user runs them. */
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/cli/command.h"
#include "tests/engine/files.h"
#include "tests/test.h"

/* 300 samples: 10 steps an epoch. */
#define RUN                                                                                                            \
    "train --data . --hidden 16 --batch-size 32 --epochs 4 --optimizer adam:lr=0.01 --accumulate 1 --ema 0.9 "         \
    "--clip-norm 1 --evaluate-every 7 "

static void setup(void) {
    test_folder_create();
    unsetenv("TREAD_DATA");
    unsetenv("TREAD_SOURCE_DATA");
    test_write_mnist(300, 70, 6, 6, 4, false);
}

static void tear_down(void) {
    ck_assert_int_eq(command_shell("rm -rf ck*"), 0);
    test_folder_remove();
}

static void must_be_same(const char *a, const char *b) {
    char line[256];
    snprintf(line, sizeof line, "cmp %s %s", a, b);
    ck_assert_msg(command_shell(line) == 0, "%s", command_output);
}

/* The lines of epochs and evaluations, without what clocks said. */
static void must_tell_the_same(const char *a, const char *b) {
    char line[512];
    for (int i = 0; i < 2; i++) {
        snprintf(line, sizeof line,
                 "grep -E '\"event\":\"(epoch|evaluation)\"' %s | sed 's/,\"samples_per_second.*//' > told%d",
                 i == 0 ? a : b, i);
        ck_assert_int_eq(command_shell(line), 0);
    }
    must_be_same("told0", "told1");
    ck_assert_int_eq(command_shell("test $(wc -l < told0) = 9"), 0); /* 4 epochs, and 7, 14, 21, 28, 35 */
    snprintf(line, sizeof line, "test $(grep -c '\"event\":\"start\"' %s) = 1", b);
    ck_assert_int_eq(command_shell(line), 0);
}

START_TEST(an_interrupted_run_goes_on_to_the_same_weights_and_log) {
    static const char *const every[] = {"3steps", "1epochs", "0.0001s"};
    setup();
    command_must_succeed(RUN "--threads 1 --log ref.jsonl --weights ref");
    for (int k = 0; k < 3; k++) {
        char first[512], next[600];
        snprintf(first, sizeof first, RUN "--threads 1 --log run.jsonl --checkpoint ck%d --checkpoint-every %s%s", k,
                 every[k], k == 1 ? " --checkpoint-background" : "");
        snprintf(next, sizeof next, "%s --max-steps 16", first);
        command_must_succeed(next);
        command_must_contain(command_output, "ended  all steps done in epoch 2 at step 16\n", "the end");
        command_must_contain(command_output, "at step 16\n", "saved");
        ck_assert_int_eq(command_run(first), 1);
        command_must_contain(command_error, "--resume goes on with it", "without --resume");
        /* What a crash may leave behind: later lines, and half of one. */
        ck_assert_int_eq(command_shell("echo '{\"event\":\"epoch\",\"epoch\":2,\"steps\":20}' >> run.jsonl; "
                                       "printf '{\"event\":\"epo' >> run.jsonl"),
                         0);
        snprintf(next, sizeof next, "%s --threads 3 --resume --weights res", first);
        ck_assert_int_eq(command_run(next), 2); /* --threads is given twice */
        snprintf(next, sizeof next, "%s --resume --weights res", first);
        command_must_succeed(next);
        command_must_contain(command_output, "resume ck", "resume");
        command_must_contain(command_output, " at step 16, 1 epoch done\n", "resume");
        must_be_same("ref", "res");
        must_tell_the_same("ref.jsonl", "run.jsonl");
        command_must_succeed(next); /* nothing is left to do */
        must_be_same("ref", "res");
        must_tell_the_same("ref.jsonl", "run.jsonl");
        ck_assert_int_eq(command_shell("rm run.jsonl"), 0);
    }
    tear_down();
}
END_TEST

/* A pipe has nothing to go on with: it gets the lines that are new. */
START_TEST(a_log_in_a_pipe_is_no_hindrance) {
    static const char *const pipes[] = {
        "{ timeout 60 \"$tread\" %s --log /dev/stdout; echo $? > code; } | cat > got; exit $(cat code)",
        "mkfifo pipe; cat pipe > got & timeout 60 \"$tread\" %s --log pipe; code=$?; wait; rm pipe; exit $code"};
    setup();
    command_must_succeed(RUN "--checkpoint ck --max-steps 12");
    for (int k = 0; k < 2; k++) {
        char line[1024];
        snprintf(line, sizeof line, pipes[k],
                 k == 0 ? RUN "--checkpoint ck --max-steps 22 --resume" : RUN "--checkpoint ck --resume");
        ck_assert_msg(command_shell(line) == 0, "%d: %s", k, command_error);
        snprintf(line, sizeof line, "grep -q '{\"event\":\"epoch\",\"epoch\":%d,' got", 2 + k);
        ck_assert_msg(command_shell(line) == 0, "%d", k);
    }
    tear_down();
}
END_TEST

START_TEST(other_options_are_refused_and_listed) {
    setup();
    command_must_succeed(RUN "--checkpoint ck --max-steps 5");
    ck_assert_int_eq(command_run("train --data . --hidden 16,8 --batch-size 30 --epochs 5 --optimizer adam:lr=0.02 "
                                 "--seed 3 --checkpoint ck --resume"),
                     1);
    static const char *const parts[] = {"checkpoint of step 5",
                                        "--hidden.1: given here alone",
                                        "--batch-size: 32, not 30",
                                        "--epochs: 4, not 5",
                                        "--optimizer: 'adam:lr=0.01', not 'adam:lr=0.02'",
                                        "--seed: 0, not 3",
                                        "--ema: given in the checkpoint alone",
                                        "--clip-norm: given in the checkpoint alone"};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        command_must_contain(command_error, parts[i], "the list");
    command_must_succeed(RUN "--checkpoint ck --resume --nonfinite skip --keep 1 --max-time 100"); /* these may */
    tear_down();
}
END_TEST

/* Where the scheduler does not depend on it, the run may become longer. */
START_TEST(a_run_may_be_made_longer) {
    setup();
    command_must_succeed("train --data . --hidden 16 --scheduler none --epochs 3 --weights ref");
    command_must_succeed("train --data . --hidden 16 --scheduler none --epochs 2 --checkpoint ck");
    command_must_succeed("train --data . --hidden 16 --scheduler none --epochs 3 --checkpoint ck --resume --weights w");
    must_be_same("ref", "w");
    tear_down();
}
END_TEST

START_TEST(runs_end_early_with_the_best_weights) {
    setup();
    command_must_succeed("train --data . --hidden 16 --epochs 50 --optimizer adam:lr=0.05 --early-stop 2 "
                         "--min-delta 0.05 --weights w --checkpoint ck");
    command_must_contain(command_output, "ended  no better for too long; the weights are the best, of step ", "end");
    const char *accuracy = strstr(command_output, "; test accuracy ");
    char expected[128];
    ck_assert_ptr_nonnull(accuracy);
    snprintf(expected, sizeof expected, "accuracy %.*s,", (int)strcspn(accuracy + 16, "\n"), accuracy + 16);
    command_must_succeed("eval --data . --hidden 16 --weights w");
    command_must_contain(command_output, expected, "eval");
    ck_assert_int_eq(access(test_path("ck/best.safetensors"), R_OK), 0);
    command_must_succeed("train --data . --hidden 16 --batch-size 32 --epochs 2 --accumulate 3"); /* 4 steps an epoch */
    command_must_contain(command_output, "2 epochs, 8 steps", "steps");
    command_must_contain(command_output, "lr 3.81e-05",
                         "the curve's end: cosine of 7/8"); /* 1e-3 (1 + cos(7/8 pi)) / 2 */
    command_must_succeed("train --data . --hidden 16 --epochs 50 --target-metric 0.5");
    command_must_contain(command_output, "ended  target reached\n", "target");
    command_must_succeed("train --data . --hidden 16 --epochs 1000000 --max-time 0.2 --scheduler none");
    command_must_contain(command_output, "ended  time over", "time");
    tear_down();
}
END_TEST

START_TEST(options_that_make_no_sense_are_refused) {
    setup();
    static const struct {
        const char *arguments, *part;
    } wrong[] = {{"--resume", "--resume is for --checkpoint FOLDER"},
                 {"--checkpoint ck --checkpoint-every 0", "--checkpoint-every: 0 is not a number above 0"},
                 {"--checkpoint ck --checkpoint-every 2.5steps", "2.5steps"},
                 {"--checkpoint ck --checkpoint-every 3weeks", "3weeks"},
                 {"--ema 1", "--ema: a decay of 1"},
                 {"--min-delta 0.1", "--min-delta is for --early-stop"},
                 {"--target-metric much", "--target-metric: much is not a finite number"},
                 {"--nonfinite maybe", "--nonfinite: unknown name maybe"},
                 {"--accumulate 0", "--accumulate: 0 is not a whole number from 1"}};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        char line[256];
        snprintf(line, sizeof line, "train --data . %s", wrong[i].arguments);
        ck_assert_int_eq(command_run(line), 2);
        command_must_contain(command_error, wrong[i].part, wrong[i].arguments);
    }
    tear_down();
}
END_TEST

/* Of the weights of training, averaged ones and the best ones, those that the run would have ended with. A limit on the
 * size of files, above the weights and below the checkpoint, stands for a disk that is full. */
START_TEST(weights_outlive_a_failed_checkpoint) {
    static const char *const options[] = {"", "--ema 0.9", "--early-stop 100", "--checkpoint-background"};
    setup();
    char expected[64];
    for (size_t i = 0; i < sizeof options / sizeof *options; i++) {
        char line[1024];
        snprintf(line, sizeof line,
                 "rm -rf ck; trap '' XFSZ; ulimit -f 16; \"$tread\" train --data . --hidden 16 --batch-size 32 "
                 "--optimizer adam:lr=0.01 --scheduler none --epochs 4 --checkpoint ck --weights w --log l %s",
                 options[i]);
        ck_assert_int_eq(command_shell(line), 1);
        command_must_contain(command_error, "ck/step-000000000010.safetensors", options[i]);
        const int epochs = i == 3 ? 2 : 1; /* in the background it is known when the next one is due */
        snprintf(expected, sizeof expected, "; the weights of step %d are in w", 10 * epochs);
        command_must_contain(command_error, expected, options[i]);
        snprintf(line, sizeof line, "tail -1 l | grep -q '%s'", expected);
        ck_assert_int_eq(command_shell(line), 0);
        snprintf(line, sizeof line,
                 "train --data . --hidden 16 --batch-size 32 --optimizer adam:lr=0.01 --scheduler none --epochs %d "
                 "--weights ref %s",
                 epochs, i == 3 ? "" : options[i]);
        command_must_succeed(line);
        must_be_same("ref", "w");
    }
    ck_assert_int_eq(command_shell("rm -rf ck; trap '' XFSZ; ulimit -f 2; \"$tread\" train --data . --hidden 16 "
                                   "--checkpoint ck --weights w"),
                     1);
    command_must_contain(command_error, "; the weights could not be written either: ", "neither");
    must_be_same("ref", "w");
    tear_down();
}
END_TEST

/* Each with its reason, also where no good one is left to go on from. */
START_TEST(every_damaged_checkpoint_is_named) {
    setup();
    command_must_succeed(RUN "--checkpoint ck");
    ck_assert_int_eq(
        command_shell("test $(ls ck/step-* | wc -l) = 3 && for f in ck/*.safetensors; do echo no > $f; done"), 0);
    ck_assert_int_eq(command_run(RUN "--checkpoint ck --resume"), 1);
    command_must_contain(command_error, "none of 4 checkpoints is good", "the end");
    const char *at = command_error;
    for (int i = 0; i < 4; i++)
        ck_assert_msg(strncmp(at, "passed over: ck/", 16) == 0 && (at = strchr(at, '\n')) != NULL && *++at != '\0',
                      "%s", command_error);
    tear_down();
}
END_TEST

/* A run without end, after a few epochs. */
static pid_t start_endless(void) {
    char data[512], folder[512];
    snprintf(data, sizeof data, "--data=%s", test_path("."));
    snprintf(folder, sizeof folder, "--checkpoint=%s", test_path("ck"));
    pid_t child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0) {
        if (freopen(test_path("child.out"), "w", stdout) != NULL &&
            freopen(test_path("child.err"), "w", stderr) != NULL)
            execl(getenv("TREAD_COMMAND"), "tread", "train", data, folder, "--hidden=16", "--epochs=1000000",
                  "--scheduler=none", "--checkpoint-every=1000s", "--threads=1", (char *)NULL);
        _exit(127);
    }
    for (int i = 0; i < 1000 && command_shell("grep -q '^epoch 3' child.out") != 0; i++)
        usleep(10000);
    return child;
}

/* The first Ctrl-C saves, and what goes on from there is the run that nobody interrupted. */
START_TEST(a_signal_saves_and_the_run_goes_on) {
    setup();
    char line[512];
    pid_t child = start_endless();
    int status;
    kill(child, SIGINT);
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    size_t n;
    long long step;
    char *out = (char *)test_read(test_path("child.out"), &n);
    const char *saved = strstr(out, "\nsaved  ");
    ck_assert_msg(saved != NULL && sscanf(strstr(saved, " at step "), " at step %lld", &step) == 1, "%s", out);
    free(out);
    snprintf(line, sizeof line,
             "train --data %s --hidden 16 --epochs 1000000 --scheduler none --weights %s --max-steps %lld",
             test_path("."), "ref", step + 4);
    command_must_succeed(line);
    snprintf(line, sizeof line,
             "train --data %s --hidden 16 --epochs 1000000 --scheduler none --weights %s --max-steps %lld "
             "--checkpoint ck --resume",
             test_path("."), "res", step + 4);
    command_must_succeed(line);
    must_be_same("ref", "res");
    tear_down();
}
END_TEST

/* The second one ends it, whichever of the two it is: here it waits behind the first, before the step's end. */
START_TEST(a_second_signal_ends_at_once) {
    setup();
    int status;
    pid_t child = start_endless();
    kill(child, SIGSTOP);
    ck_assert_int_eq(waitpid(child, &status, WUNTRACED), child);
    kill(child, SIGINT);
    kill(child, SIGTERM);
    kill(child, SIGCONT);
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_msg(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM, "status %#x", (unsigned)status);
    ck_assert_int_eq(command_shell("grep -q '^stopping after this step' child.err"), 0);
    ck_assert_int_ne(command_shell("grep -q '^saved' child.out"), 0);
    tear_down();
}
END_TEST

/* Killed at one moment after the other, and started again with the same words. */
START_TEST(killed_again_and_again_it_ends_with_the_same_weights_and_log) {
    setup();
    command_must_succeed(RUN "--threads 1 --log ref.jsonl --weights ref");
    int killed = 0, status = -1;
    for (int i = 0; i < 400 && status != 0; i++) {
        pid_t child = fork();
        ck_assert_int_ge(child, 0);
        if (child == 0) {
            char line[1024];
            snprintf(line, sizeof line,
                     "cd '%s' && exec \"$TREAD_COMMAND\" " RUN
                     "--threads 1 --checkpoint ck --checkpoint-every 2steps --resume --log run.jsonl --weights res",
                     test_path("."));
            if (freopen(test_path("child.out"), "a", stdout) != NULL &&
                freopen(test_path("child.err"), "a", stderr) != NULL)
                execl("/bin/sh", "sh", "-c", line, (char *)NULL);
            _exit(127);
        }
        usleep(1000 * (unsigned)(1 + i)); /* at first too short for any run, on a busy machine soon long enough */
        kill(child, SIGKILL);
        ck_assert_int_eq(waitpid(child, &status, 0), child);
        killed += WIFSIGNALED(status);
        ck_assert(WIFSIGNALED(status) || status == 0);
    }
    ck_assert_int_eq(status, 0);
    ck_assert_int_ge(killed, 3);
    must_be_same("ref", "res");
    must_tell_the_same("ref.jsonl", "run.jsonl");
    tear_down();
}
END_TEST

TEST_MAIN("resume", an_interrupted_run_goes_on_to_the_same_weights_and_log, a_log_in_a_pipe_is_no_hindrance,
          other_options_are_refused_and_listed, a_run_may_be_made_longer, runs_end_early_with_the_best_weights,
          options_that_make_no_sense_are_refused, every_damaged_checkpoint_is_named,
          weights_outlive_a_failed_checkpoint, a_signal_saves_and_the_run_goes_on, a_second_signal_ends_at_once,
          killed_again_and_again_it_ends_with_the_same_weights_and_log)
