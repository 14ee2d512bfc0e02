/* tread train and tread eval on a small set, as a user runs them. */
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/parallel.h"
#include "tests/cli/command.h"
#include "tests/engine/files.h"
#include "tests/test.h"

#define SMALL "--data . --hidden 16 --batch-size 32 "

static void setup(void) {
    test_folder_create();
    unsetenv("TREAD_DATA");
    unsetenv("TREAD_SOURCE_DATA");
    test_write_mnist(300, 70, 6, 6, 4, false);
}

/* Line i of a log, from 0; NULL past the end. Every line must be an object with an event. */
static json_t *log_line(const char *name, size_t i) {
    size_t n;
    char *text = (char *)test_read(test_path(name), &n), *line = text, *end;
    json_t *found = NULL;
    for (size_t at = 0; (end = strchr(line, '\n')) != NULL; at++, line = end + 1) {
        *end = '\0';
        json_error_t error;
        json_t *object = json_loads(line, 0, &error);
        ck_assert_msg(object != NULL, "line %zu: %s: %s", at, error.text, line);
        ck_assert(json_is_string(json_object_get(object, "event")));
        if (at == i)
            found = object;
        else
            json_decref(object);
    }
    ck_assert_msg(*line == '\0', "the last line has no end: %s", line);
    free(text);
    return found;
}

static double real_of(const json_t *object, const char *name) {
    const json_t *value = json_object_get(object, name);
    ck_assert_msg(json_is_number(value), "%s is not a number", name);
    return json_number_value(value);
}

static void must_be(const json_t *object, const char *name, const char *text) {
    const char *value = json_string_value(json_object_get(object, name));
    ck_assert_msg(value != NULL && strcmp(value, text) == 0, "%s is %s, not %s", name, value != NULL ? value : "none",
                  text);
}

START_TEST(the_log_has_an_object_a_line) {
    setup();
    command_must_succeed("train " SMALL
                         "--epochs 3 --optimizer sgd:lr=0.1,momentum=0.9 --scheduler step_lr:step_size=1,gamma=0.5"
                         " --threads 3 --log run.jsonl");
    json_t *start = log_line("run.jsonl", 0);
    must_be(start, "event", "start");
    must_be(start, "optimizer", "sgd:lr=0.1,momentum=0.9");
    must_be(start, "version", "0.1.0");
    ck_assert_int_eq(json_integer_value(json_object_get(start, "threads")),
                     tread_parallel_openmp_version() != 0 ? 3 : 1);
    ck_assert_int_eq(json_integer_value(json_object_get(start, "parameters")), 36 * 16 + 16 + 16 * 4 + 4);
    json_decref(start);
    double seconds = 0, lr = 0.1;
    for (int epoch = 1; epoch <= 3; epoch++, lr *= 0.5) {
        json_t *line = log_line("run.jsonl", (size_t)epoch);
        must_be(line, "event", "epoch");
        ck_assert_int_eq(json_integer_value(json_object_get(line, "epoch")), epoch);
        ck_assert_int_eq(json_integer_value(json_object_get(line, "steps")), epoch * 10);
        ck_assert_double_gt(real_of(line, "train_loss"), 0);
        ck_assert_double_gt(real_of(line, "test_loss"), 0);
        double accuracy = real_of(line, "test_accuracy");
        ck_assert(accuracy >= 0 && accuracy <= 1);
        ck_assert_double_eq(real_of(line, "lr"), lr); /* halving is exact */
        ck_assert_double_gt(real_of(line, "samples_per_second"), 0);
        ck_assert_double_gt(real_of(line, "seconds"), seconds);
        seconds = real_of(line, "seconds");
        json_decref(line);
    }
    json_t *end = log_line("run.jsonl", 4);
    must_be(end, "event", "end");
    ck_assert(json_is_null(json_object_get(end, "error")));
    ck_assert_int_eq(json_integer_value(json_object_get(end, "samples")), 900);
    json_decref(end);
    ck_assert_ptr_null(log_line("run.jsonl", 5));
    test_folder_remove();
}
END_TEST

START_TEST(the_plan_says_what_is_not_as_asked) {
    setup();
    command_must_succeed("train --data . --hidden 16 --epochs 1 --batch-size 300");
    command_must_contain(command_output, ", batch size 300 (all), seed ", "the plan");
    command_must_succeed("train --data . --hidden 16 --epochs 1 --batch-size 301");
    command_must_contain(command_output, ", batch size 300 (all), seed ", "the plan");
    command_must_succeed("train --data . --hidden 16 --epochs 1 --batch-size 299 --threads 1");
    command_must_contain(command_output, ", batch size 299, seed ", "the plan");
    ck_assert_str_eq(command_error, "");
    command_must_succeed("train " SMALL "--epochs 0 --threads 1024");
    if (tread_parallel_openmp_version() != 0)
        command_must_contain(command_error, "warning: There are more threads (1024) than CPUs they may run on (",
                             "train");
    test_folder_remove();
}
END_TEST

START_TEST(no_terminal_plain_lines) {
    setup();
    command_must_succeed("train " SMALL "--epochs 2");
    command_must_contain(command_output, "mlp 36-16-4, relu: 660 parameters", "train");
    command_must_contain(command_output, "300 samples to train on, 70 to test", "train");
    command_must_contain(command_output, "\nepoch 1 ", "train");
    command_must_contain(command_output, "\nepoch 2 ", "train");
    command_must_contain(command_output, "scheduler cosine_decay_lr over the run per step, ", "train");
    command_must_contain(command_output, "2 epochs, 20 steps in ", "train");
    ck_assert_ptr_null(strpbrk(command_output, "\r\033"));
    ck_assert_str_eq(command_error, "");
    command_must_succeed("train " SMALL "--epochs 1 --scheduler step_lr:step_size=1 --threads 1");
    command_must_contain(command_output, "scheduler step_lr:step_size=1 per epoch, ", "train");
    command_must_contain(command_output, "done   1 epoch, 10 steps in ", "train");
    command_must_succeed("train " SMALL "--epochs 1 --scheduler step_lr:step_size=1 --schedule-every step");
    command_must_contain(command_output, "scheduler step_lr:step_size=1 per step, ", "train");
    command_must_succeed("train " SMALL "--epochs 2 --scheduler reduce_lr_on_plateau:patience=0,threshold=10");
    command_must_contain(command_output, "scheduler reduce_lr_on_plateau:patience=0,threshold=10 per epoch, ", "train");
    command_must_succeed("train " SMALL "--epochs 2 --scheduler 'sequential_lr:schedulers=[linear_lr:total_iters=1]/"
                         "[warmup_lr:scheduler=[step_lr:step_size=1]],milestones=1'");
    test_folder_remove();
}
END_TEST

/* The bytes of a file of the test folder equal another's. */
static bool same_files(const char *a, const char *b) {
    size_t n, m;
    uint8_t *x = test_read(test_path(a), &n), *y = test_read(test_path(b), &m);
    bool same = n == m && memcmp(x, y, n) == 0;
    free(x);
    free(y);
    return same;
}

START_TEST(the_same_seed_gives_the_same_file) {
    setup();
    command_must_succeed("train " SMALL "--epochs 2 --seed 5 --threads 1 --weights a");
    command_must_succeed("train " SMALL "--epochs 2 --seed 5 --threads 1 --weights b");
    command_must_succeed("train " SMALL "--epochs 2 --seed 5 --threads 3 --weights c");
    command_must_succeed("train " SMALL "--epochs 2 --seed 6 --threads 1 --weights d");
    ck_assert(same_files("a", "b"));
    ck_assert(same_files("a", "c"));
    ck_assert(!same_files("a", "d"));
    command_must_succeed("train " SMALL "--epochs 2 --seed 5 --threads 1 --activation tanh --weights e");
    ck_assert(!same_files("a", "e"));
    test_folder_remove();
}
END_TEST

START_TEST(eval_finds_what_train_said) {
    setup();
    command_must_succeed("train " SMALL "--epochs 4 --activation tanh --weights w");
    char said[64];
    const char *accuracy = strstr(command_output, "; test accuracy ");
    ck_assert_ptr_nonnull(accuracy);
    ck_assert_int_eq(sscanf(accuracy, "; test accuracy %60[^\n]", said), 1);
    char expected[80];
    snprintf(expected, sizeof expected, "accuracy %s,", said);
    command_must_succeed("eval --data . --hidden 16 --activation tanh --weights w");
    command_must_contain(command_output, "70 samples", "eval");
    command_must_contain(command_output, expected, "eval");
    command_must_succeed("eval --data . --hidden 16 --activation tanh --weights w --set train --batch-size 7");
    command_must_contain(command_output, "300 samples", "eval");
    ck_assert_int_eq(command_run("eval --data . --hidden 17 --weights w"), 1);
    command_must_contain(command_error, "0.weight", "eval names the differences");
    command_must_contain(command_error, "17", "eval names the differences");
    test_folder_remove();
}
END_TEST

START_TEST(groups_are_made_and_told) {
    setup();
    command_must_succeed("train " SMALL
                         "--epochs 1 --optimizer adamw:lr=0.01,weight_decay=0.1 --split-decay --show-groups "
                         "--group '0.weight,2.weight:lr=0.02' --group '*.bias:lr=0.03,weight_decay=0.5' --log l");
    command_must_contain(command_output, "plan   adamw:lr=0.01,weight_decay=0.1 in 2 groups, ", "train");
    command_must_contain(command_output, "* lr ", "train");
    command_must_contain(command_output, "* weight_decay ", "train");
    command_must_contain(command_output, "\n  2.bias ", "train");
    json_t *start = log_line("l", 0), *groups = json_object_get(start, "groups");
    ck_assert_uint_eq(json_array_size(groups), 2);
    ck_assert_str_eq(json_string_value(json_array_get(groups, 1)), "*.bias:lr=0.03,weight_decay=0.5");
    ck_assert(json_is_true(json_object_get(start, "split_decay")));
    ck_assert(json_is_null(json_object_get(start, "adamw")));
    json_decref(start);
    command_must_succeed("train " SMALL "--epochs 1 --optimizer muon:lr=0.02 --weights a");
    command_must_contain(command_output, "plan   muon:lr=0.02 in 2 groups, ", "train");
    command_must_succeed("train " SMALL "--epochs 1 --optimizer muon:lr=0.02 --adamw lr=1e-3 --weights b");
    command_must_succeed("train " SMALL "--epochs 1 --optimizer muon:lr=0.02 --adamw lr=1e-2 --weights c");
    ck_assert(same_files("a", "b") && !same_files("a", "c"));
    command_must_succeed("train " SMALL "--epochs 1 --optimizer muon:lr=0.02 --group '*:lr=0.02' --weights d");
    ck_assert(!same_files("a", "d"));
    test_folder_remove();
}
END_TEST

/* What is written is what was tested, not the point of training. */
START_TEST(averaged_weights_are_written) {
    setup();
    command_must_succeed("train " SMALL "--epochs 2 --optimizer schedule_free_sgd:lr=0.5 --weights w --log l");
    command_must_contain(command_output, ", scheduler none, ", "train");
    json_t *epoch = log_line("l", 2);
    double tested = real_of(epoch, "test_loss"), loss = 0;
    json_decref(epoch);
    command_must_succeed("eval --data . --hidden 16 --weights w");
    const char *said = strstr(command_output, " loss ");
    ck_assert(said != NULL && sscanf(said, " loss %lf", &loss) == 1);
    ck_assert_double_eq_tol(loss, tested, 1e-6 + 1e-5 * tested); /* printed digits; there and back once, in roundings */
    test_folder_remove();
}
END_TEST

static const struct {
    const char *line;
    const char *parts[3];
} failures[] = {
    {"\"$tread\" train --data nowhere", {"tread train: ", "nowhere"}},
    {"TREAD_DATA=elsewhere \"$tread\" train", {"elsewhere (from TREAD_DATA)", "give --data FOLDER"}},
    {"TREAD_SOURCE_DATA=third \"$tread\" train --data fourth", {"fourth"}},
    {"\"$tread\" train " SMALL "--weights none/w",
     {"--weights: no file can be made in none: No such file or directory"}},
    {"\"$tread\" train " SMALL "--weights .", {"--weights: . is a folder"}},
    {"\"$tread\" train " SMALL "--log none/l", {"none/l: the log cannot be made: No such file or directory"}},
    {"\"$tread\" train " SMALL "--log /dev/full", {"/dev/full: the log cannot be written: No space left on device"}},
    {"\"$tread\" train " SMALL ">/dev/full", {"standard output cannot be written: No space left on device"}},
    {"\"$tread\" train " SMALL "--epochs 0 --weights w; \"$tread\" eval --data . --weights w",
     {"tread eval: w does not fit the model: 0.weight is (16, 36) in the file, (512, 36) in the model; ",
      "; --hidden must be that of the training\n"}},
    {"\"$tread\" eval --data . --weights none", {"tread eval: ", "none"}},
    {"\"$tread\" eval --data . --weights train-labels-idx1-ubyte", {"tread eval: ", "train-labels-idx1-ubyte"}},
    {"\"$tread\" train " SMALL "--optimizer sgd:lr=1e30 --epochs 9", {"loss"}},
    {"TREAD_NUM_THREADS=x \"$tread\" train " SMALL, {"tread train: TREAD_NUM_THREADS=x is not"}},
    {"TREAD_BACKEND=cuda \"$tread\" train " SMALL, {"tread train: TREAD_BACKEND=cuda"}},
    {"TREAD_TRACE=none/t \"$tread\" train " SMALL "--threads 1", {"none/t"}},
    {"printf x >>train-labels-idx1-ubyte; \"$tread\" train --data .", {"train-labels-idx1-ubyte"}},
};

START_TEST(failures_say_what_failed) {
    setup();
    for (size_t i = 0; i < sizeof failures / sizeof *failures; i++) {
        int code = command_shell(failures[i].line);
        ck_assert_msg(code == 1, "%s: exit code %d: %s", failures[i].line, code, command_error);
        for (size_t part = 0; part < 3 && failures[i].parts[part] != NULL; part++)
            command_must_contain(command_error, failures[i].parts[part], failures[i].line);
        ck_assert_msg(strstr(command_error, "-nan") == NULL, "%s: %s", failures[i].line, command_error);
    }
    test_folder_remove();
}
END_TEST

/* A slip of the hand must not cost a file; the log of an earlier run may go, also one that a crash cut short. */
START_TEST(only_a_log_is_replaced_by_a_log) {
    setup();
    ck_assert_int_eq(command_shell("echo '{\"mine\":1}' > notes; cp notes before"), 0);
    ck_assert_int_eq(command_run("train " SMALL "--epochs 1 --log notes"), 1);
    command_must_contain(command_error, "notes: it is not the log of a run, and so not replaced", "another file");
    ck_assert_int_eq(command_shell("cmp notes before"), 0);
    static const char *const logs[] = {"touch l", ":", "head -c 30 l > cut; mv cut l"};
    for (size_t i = 0; i < sizeof logs / sizeof *logs; i++) {
        ck_assert_int_eq(command_shell(logs[i]), 0);
        command_must_succeed("train " SMALL "--epochs 1 --log l");
        ck_assert_msg(command_shell("test $(wc -l < l) = 3") == 0, "%s", logs[i]);
    }
    test_folder_remove();
}
END_TEST

/* Refused as soon as the model is there: wrong usage like any other. */
START_TEST(what_does_not_fit_the_model_is_wrong_usage) {
    setup();
    ck_assert_int_eq(command_run("train " SMALL "--group 'fc1.*:lr=1'"), 2);
    command_must_contain(
        command_error, "tread train: --group: adam: rule 1 of 1: 'fc1.*' matches none of 0.weight, 0.bias, ", "group");
    ck_assert_int_eq(command_run("train " SMALL "--group '*:lr=1' --group '0.*:lr=1'"), 2);
    command_must_contain(command_error, "rule 2 of 2: earlier rules have every parameter that '0.*' matches", "group");
    ck_assert_int_eq(command_run("train " SMALL "--scheduler cyclic_lr:max_lr=0.01/0.02"), 2);
    command_must_contain(command_error, "tread train: --scheduler: cyclic_lr: max_lr has 2 entries", "scheduler");
    ck_assert_ptr_null(strstr(command_output, "epoch 1"));
    test_folder_remove();
}
END_TEST

START_TEST(a_scheduler_has_an_entry_per_group) {
    setup();
    command_must_succeed("train " SMALL "--epochs 2 --group '0.weight:lr=1e-4' --log l --scheduler "
                         "cyclic_lr:max_lr=0.25/0.5,step_size_up=1,verbose=true");
    json_t *line = log_line("l", 2);
    ck_assert_double_eq(real_of(line, "lr"), 0.25); /* group 0, at the peak in epoch 2 */
    json_decref(line);
    const char *first = strstr(command_error, "step 0: lr of group 0 ");
    ck_assert_msg(first != NULL && strstr(first + 1, "step 0: lr of group 0 ") == NULL, "not once: %s", command_error);
    command_must_contain(command_error, "cyclic_lr: step 1: lr of group 1 is 0.5\n", "verbose");
    test_folder_remove();
}
END_TEST

START_TEST(epochs_taken_for_steps_are_noted) {
    setup();
    const struct {
        const char *arguments, *note; /* NULL: none */
    } cases[] = {
        {"--scheduler one_cycle_lr:total_steps=20",
         "note: one_cycle_lr counts epochs here (2 in all), and total_steps = 20; with --schedule-every step it counts "
         "steps\n"},
        {"--scheduler cyclic_lr:max_lr=0.1",
         "note: cyclic_lr counts epochs here (2 in all), and step_size_up = 2000; "},
        {"--scheduler 'warmup_lr:scheduler=[cosine_decay_lr:decay_steps=9],warmup_iters=1'",
         "note: cosine_decay_lr counts epochs here (2 in all), and decay_steps = 9; "},
        {"--scheduler one_cycle_lr:total_steps=20 --schedule-every step", NULL},
        {"--scheduler step_lr:step_size=2", NULL},
        {"", NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char line[512];
        snprintf(line, sizeof line, "train " SMALL "--epochs 2 %s", cases[i].arguments);
        command_must_succeed(line);
        if (cases[i].note != NULL)
            command_must_contain(command_error, cases[i].note, line);
        else
            ck_assert_str_eq(command_error, "");
    }
    test_folder_remove();
}
END_TEST

START_TEST(a_reader_that_leaves_ends_the_run) {
    setup();
    command_shell("{ \"$tread\" train " SMALL "--epochs 1000000; echo code $? >&2; } | head -n 5");
    command_must_contain(command_output, "\nepoch 2 ", "what was read");
    command_must_contain(command_error, "standard output cannot be written: Broken pipe", "train");
    command_must_contain(command_error, "code 1", "train");
    test_folder_remove();
}
END_TEST

/* As "meson setup build" has it: TREE/build/cli/tread and TREE/data/mnist. */
START_TEST(data_is_found_beside_the_command) {
    setup();
    ck_assert_int_eq(command_shell("mkdir -p tree/build/cli tree/data bin && cp \"$tread\" tree/build/cli/tread && "
                                   "cp \"$tread\" bin/tread"),
                     0);
    if (command_shell("bin/tread train --hidden none --epochs 1") == 0) { /* data is installed on this machine */
        command_shell("rm -r tree bin");
        test_folder_remove();
        return;
    }
    command_must_contain(command_error, "a source tree round the command (none)", "an installed one");
    ck_assert_int_eq(
        command_shell("ln -s ../.. tree/data/mnist && tree/build/cli/tread train --hidden none --epochs 1"), 0);
    command_must_contain(command_output, "mlp 36-4: 148 parameters", "train");
    ck_assert_int_eq(command_shell("rm tree/data/mnist && tree/build/cli/tread train --hidden none --epochs 1"), 1);
    const char *const tried[] = {"TREAD_DATA (not set)", "the installed folder /", "TREAD_SOURCE_DATA (not set)",
                                 "a source tree round the command (none)", "give --data FOLDER\n"};
    for (size_t i = 0; i < sizeof tried / sizeof *tried; i++)
        command_must_contain(command_error, tried[i], "train");
    ck_assert_int_eq(command_shell("mkdir tree/data/mnist && tree/build/cli/tread train --hidden none --epochs 1"), 1);
    command_must_contain(command_error, "tree/data/mnist; give --data FOLDER\n", "train");
    command_shell("rm -r tree bin");
    test_folder_remove();
}
END_TEST

START_TEST(data_is_found_by_the_environment) {
    setup();
    ck_assert_int_eq(command_shell("TREAD_DATA=. \"$tread\" train --hidden none --epochs 1"), 0);
    command_must_contain(command_output, "mlp 36-4: 148 parameters", "train");
    test_folder_remove();
}
END_TEST

/* Starts an endless run with output to files, and waits until it has done an epoch. */
static pid_t start_endless(void) {
    char data[512], log[512], weights[512];
    snprintf(data, sizeof data, "--data=%s", test_path("."));
    snprintf(log, sizeof log, "--log=%s", test_path("run.jsonl"));
    snprintf(weights, sizeof weights, "--weights=%s", test_path("w"));
    pid_t child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0) {
        if (freopen(test_path("out"), "w", stdout) != NULL && freopen(test_path("err"), "w", stderr) != NULL)
            execl(getenv("TREAD_COMMAND"), "tread", "train", data, log, weights, "--hidden=16", "--epochs=1000000",
                  "--scheduler=none", (char *)NULL);
        _exit(127);
    }
    for (int i = 0; i < 1000; i++) {
        usleep(20000);
        if (access(test_path("run.jsonl"), R_OK) != 0)
            continue;
        size_t n;
        char *text = (char *)test_read(test_path("run.jsonl"), &n);
        bool begun = strstr(text, "\"event\":\"epoch\"") != NULL;
        free(text);
        if (begun)
            return child;
    }
    kill(child, SIGKILL);
    ck_abort_msg("no epoch in 20 s");
    return child;
}

/* The accuracy beside the weights is theirs, also where the last step was not the last of an epoch, which is said. */
static void must_tell_of_the_last_step(const char *text) {
    long long epochs, steps;
    char accuracy[64], expected[128];
    const char *done = strstr(text, "\ndone ");
    ck_assert_ptr_nonnull(done);
    ck_assert_int_eq(
        sscanf(done, " done %lld epoch%*[s,] %lld steps in %*f s; test accuracy %60[^\n]", &epochs, &steps, accuracy),
        3);
    snprintf(expected, sizeof expected, " in epoch %lld at step %lld\n", epochs + 1, steps);
    ck_assert_int_eq(strstr(text, expected) != NULL, steps > 3 * epochs); /* 300 samples, 128 a step */
    command_must_succeed("eval --data . --hidden 16 --weights w");
    snprintf(expected, sizeof expected, ", accuracy %s,", accuracy);
    command_must_contain(command_output, expected, "eval");
}

/* The run ends in the middle, cleanly: the weights are written, and the log says why it ended. */
static void stop_with(int signal_number) {
    setup();
    pid_t child = start_endless();
    int status;
    kill(child, signal_number);
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    size_t n;
    char *said = (char *)test_read(test_path("out"), &n);
    command_must_contain(said, "ended  stopped on request", "the reason");
    command_must_contain(said, "wrote  ", "the weights");
    char *text = (char *)test_read(test_path("err"), &n);
    command_must_contain(text, "once more ends at once", "the hint");
    free(text);
    ck_assert_int_eq(access(test_path("w"), R_OK), 0);
    text = (char *)test_read(test_path("run.jsonl"), &n);
    command_must_contain(text, "{\"event\":\"end\",", "the log");
    free(text);
    must_tell_of_the_last_step(said);
    free(said);
    test_folder_remove();
}

START_TEST(the_first_signal_ends_the_run_cleanly) {
    stop_with(SIGINT);
    stop_with(SIGTERM);
}
END_TEST

TEST_MAIN("train", the_log_has_an_object_a_line, only_a_log_is_replaced_by_a_log, the_plan_says_what_is_not_as_asked,
          no_terminal_plain_lines, the_same_seed_gives_the_same_file, eval_finds_what_train_said,
          groups_are_made_and_told, averaged_weights_are_written, failures_say_what_failed,
          what_does_not_fit_the_model_is_wrong_usage, a_scheduler_has_an_entry_per_group,
          epochs_taken_for_steps_are_noted, a_reader_that_leaves_ends_the_run, data_is_found_beside_the_command,
          data_is_found_by_the_environment, the_first_signal_ends_the_run_cleanly)
