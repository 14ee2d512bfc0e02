/* Help texts, and what is refused: wrong usage is exit code 2, nothing on standard output, and a sentence that helps.
 */
#include <string.h>
#include <tread/lr_scheduler.h>
#include <tread/optimizer.h>

#include "core/parallel.h"
#include "tests/cli/command.h"
#include "tests/engine/files.h"
#include "tests/test.h"

START_TEST(help_lists_everything) {
    test_folder_create();
    const char *const general[] = {"--help", "-h", "help"};
    for (size_t i = 0; i < 3; i++) {
        command_must_succeed(general[i]);
        command_must_contain(command_output, "train", general[i]);
        command_must_contain(command_output, "eval", general[i]);
        command_must_contain(command_output, "schedule", general[i]);
        command_must_contain(command_output, "inspect", general[i]);
        command_must_contain(command_output, "diff", general[i]);
        command_must_contain(command_output, "info", general[i]);
    }
    command_must_succeed("help eval");
    command_must_contain(command_output, "usage: tread eval", "help eval");
    command_must_succeed("--version");
    ck_assert_str_eq(command_output, "tread 0.1.0\n");
    command_must_succeed("eval --help");
    command_must_contain(command_output, "--weights FILE", "eval --help");
    command_must_succeed("info --help");
    command_must_succeed("train --help");
    const char *const parts[] = {"--data",     "--model",       "--hidden",     "[512,256]",     "--activation",
                                 "leaky_relu", "--epochs",      "--batch-size", "--optimizer",   "--scheduler",
                                 "--group",    "--split-decay", "--adamw",      "--show-groups", "--schedule-every",
                                 "--threads",  "--seed",        "--log",        "--weights"};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        command_must_contain(command_output, parts[i], "train --help");
    ck_assert_str_eq(command_error, "");
    test_folder_remove();
}
END_TEST

START_TEST(help_lists_every_algorithm_and_field) {
    test_folder_create();
    command_must_succeed("train --help");
    tread_field_info field;
    ck_assert_uint_gt(tread_optimizer_type_count(), 0);
    for (size_t type = 0; type < tread_optimizer_type_count(); type++) {
        command_must_contain(command_output, tread_optimizer_type_name(type), "optimizer");
        for (size_t i = 0; i < tread_optimizer_field_count(type); i++) {
            ck_assert_ok(tread_optimizer_field(type, i, &field));
            command_must_contain(command_output, field.name, "field");
            command_must_contain(command_output, field.doc, "field");
        }
    }
    ck_assert_uint_gt(tread_lr_scheduler_type_count(), 0);
    for (size_t type = 0; type < tread_lr_scheduler_type_count(); type++) {
        command_must_contain(command_output, tread_lr_scheduler_type_name(type), "scheduler");
        for (size_t i = 0; i < tread_lr_scheduler_field_count(type); i++) {
            ck_assert_ok(tread_lr_scheduler_field(type, i, &field));
            if (field.kind == TREAD_FIELD_FUNCTIONS) /* none of its fields can be given here */
                break;
            command_must_contain(command_output, field.name, "field");
        }
    }
    test_folder_remove();
}
END_TEST

static int count_of(const char *text, const char *part) {
    int n = 0;
    for (const char *at = text; (at = strstr(at, part)) != NULL; at += strlen(part))
        n++;
    return n;
}

START_TEST(help_is_short_enough_to_read) {
    test_folder_create();
    command_must_succeed("train --help");
    ck_assert_int_eq(count_of(command_output, "\n    clip_grad_max_norm "), 1); /* what all have is said once */
    ck_assert_int_eq(count_of(command_output, "\n    last_step "), 1);
    command_must_contain(command_output, "\n  all but lbfgs have, ", "train --help");
    command_must_contain(command_output, "\nOptimizers:\n  sgd, ", "train --help");
    ck_assert(strstr(command_output, "all but lbfgs") > strstr(command_output, "\nSchedulers:\n  step_lr, "));
    for (const char *line = command_output; *line != '\0'; line += strcspn(line, "\n") + 1)
        ck_assert_msg(strcspn(line, "\n") <= 120, "%.*s", (int)strcspn(line, "\n"), line);
    test_folder_remove();
}
END_TEST

START_TEST(help_on_one_algorithm) {
    test_folder_create();
    const char *const asks[] = {"help adagrad", "train --help adagrad"};
    for (size_t i = 0; i < 2; i++) {
        command_must_succeed(asks[i]);
        ck_assert_msg(strncmp(command_output, "  adagrad: ", 11) == 0, "%s: %s", asks[i], command_output);
        command_must_contain(command_output, "\n    initial_accumulator_value  0 ", asks[i]);
        command_must_contain(command_output, "\n    clip_grad_max_norm ", asks[i]); /* alone, it has all */
        ck_assert_ptr_null(strstr(command_output, "adamw"));
    }
    command_must_succeed("schedule --help step_lr");
    command_must_contain(command_output, "\n    last_step ", "schedule --help step_lr");
    command_must_succeed("train --help --optimizer");
    command_must_contain(command_output, "usage: tread train", "no name");
    test_folder_remove();
}
END_TEST

static const struct {
    const char *arguments;
    const char *parts[3]; /* of standard error */
} misuses[] = {
    {"", {"usage: tread SUBCOMMAND"}},
    {"trian", {"unknown subcommand trian, did you mean train?", "eval"}},
    {"quite-another-thing", {"unknown subcommand quite-another-thing\n"}},
    {"train extra", {"unexpected argument extra"}},
    {"train -x", {"unexpected argument -x"}},
    {"train --epoch 3", {"unknown option --epoch, did you mean --epochs?", "--batch-size", "tread train --help"}},
    {"train --zzzzzz", {"unknown option --zzzzzz; allowed: --data"}},
    {"train --epochs", {"--epochs needs a value: N"}},
    {"train --epochs=-1", {"--epochs: -1 is not a whole number from 0 to 1000000"}},
    {"train --epochs 3x", {"--epochs: 3x is not"}},
    {"train --epochs=", {"--epochs:  is not a whole number"}},
    {"train --epochs 99999999999999999999", {"is not a whole number from 0 to 1000000"}},
    {"train --batch-size 0", {"--batch-size: 0 is not a whole number from 1 to"}},
    {"train --threads 1025", {"--threads: 1025 is not a whole number from 0 to 1024"}},
    {"train --seed 99999999999999999999", {"--seed: 99999999999999999999 is not"}},
    {"train --seed -1", {"--seed: -1 is not"}},
    {"train --hidden 5,,2", {"--hidden: 5,,2 is not a list", "such as 512,256"}},
    {"train --hidden 5,", {"--hidden: 5, is not a list"}},
    {"train --hidden 0", {"--hidden: 0 is not a list"}},
    {"train --hidden 7a", {"--hidden: 7a is not a list"}},
    {"train --hidden ''", {"--hidden:  is not a list"}},
    {"train --activation rleu", {"--activation: unknown name rleu, did you mean relu?", "gelu", "tanh"}},
    {"train --model cnn", {"--model: unknown name cnn", "allowed: mlp"}},
    {"train --schedule-every day", {"--schedule-every: unknown name day", "allowed: epoch, step"}},
    {"train --log ''", {"--log: the value is empty"}},
    {"train --optimizer adma", {"--optimizer: unknown name adma, did you mean adam?", "sgd"}},
    {"train --optimizer AdamW", {"--optimizer: unknown name AdamW, did you mean adamw?"}},
    {"train --optimizer RMSProp:lr=1", {"--optimizer: unknown name RMSProp, did you mean rmsprop?"}},
    {"train --scheduler cosine",
     {"unknown name cosine, did you mean cosine_annealing_lr, cosine_decay_lr or cosine_annealing_warm_restarts?"}},
    {"train --scheduler plateau", {"unknown name plateau, did you mean reduce_lr_on_plateau?"}},
    {"train --scheduler lambda", {"--scheduler: unknown name lambda; allowed: step_lr, ", "warmup_stable_decay_lr\n"}},
    {"train --optimizer ''", {"--optimizer: the value is empty"}},
    {"train --optimizer :lr=1", {"--optimizer: unknown name ; allowed:"}},
    {"train --optimizer adam:lrr=1", {"--optimizer: ", "lrr", "betas"}},
    {"train --optimizer adam:lr", {"--optimizer: ", "lr"}},
    {"train --optimizer adam:lr=x", {"--optimizer: ", "lr", "x"}},
    {"train --optimizer adam:lr=-1", {"--optimizer: ", "lr", "-1"}},
    {"train --optimizer adam:betas=0.9/1.5", {"--optimizer: ", "betas[1] = 1.5 is outside [0, 1)"}},
    {"train --group '*.bias'", {"--group: *.bias is not PATTERNS:key=value,..."}},
    {"train --group :lr=1", {"--group: :lr=1 is not PATTERNS"}},
    {"train --group ''", {"--group: the value is empty"}},
    {"train --group '0.*:lr=1' --group '*:lr=-1'", {"--group: *:lr=-1: adam: lr = -1 is outside [0, inf)"}},
    {"train --group '*:lrr=1'", {"--group: *:lrr=1: adam: there is no field 'lrr'"}},
    {"train --split-decay=1", {"--split-decay takes no value"}},
    {"train --adamw lr=1", {"--adamw: adam: ", "no use for 'lr=1'"}},
    {"train --optimizer muon --adamw lr=x", {"--adamw: muon: lr = 'x' is not a number"}},
    {"train --scheduler steplr", {"--scheduler: unknown name steplr, did you mean step_lr?", "cosine_decay_lr"}},
    {"train --scheduler step_lr", {"--scheduler: ", "step_size"}},
    {"train --scheduler step_lr:step_size=0", {"--scheduler: ", "step_size"}},
    {"train --scheduler cyclic_lr:max_lr=0.1/-0.2", {"--scheduler: cyclic_lr: max_lr[1] = -0.2 is outside"}},
    {"train --scheduler lambda_lr", {"--scheduler: lambda_lr: ", "in a C program call tread_lambda_lr()"}},
    {"train --scheduler 'warmup_lr:scheduler=[nope]'", {"--scheduler: warmup_lr: scheduler: ", "'nope'"}},
    {"train --schedule-every step", {"--schedule-every says what --scheduler counts, and there is no --scheduler"}},
    {"train --scheduler none --schedule-every epoch", {"there is no --scheduler"}},
    {"train --epochs 1 --seed 2 --epochs=1", {"--epochs is given twice"}},
    {"train --log -", {"--log: - begins with a dash; a file of that name is ./-"}},
    {"train --weights -w", {"--weights: -w begins with a dash; a file of that name is ./-w"}},
    {"train --log same --weights ./same", {"--log and --weights name the same file: ./same"}},
    {"train --log $PWD/same --weights same", {"--log and --weights name the same file"}},
    {"--verison", {"unknown option --verison, did you mean --version?"}},
    {"help trian", {"unknown subcommand trian, did you mean train?"}},
    {"train --help AdamW", {"--help: there is no optimizer or scheduler AdamW, did you mean adamw?"}},
    {"schedule --help adam", {"--help: there is no scheduler adam"}},
    {"eval", {"--weights FILE must be given"}},
    {"eval --epochs 3", {"unknown option --epochs"}},
    {"eval --weights x --set tets", {"--set: unknown name tets, did you mean test?"}},
    {"profile", {"usage: tread profile PROFILER", "optimizer"}},
    {"profile optmizer", {"unknown profiler optmizer, did you mean optimizer?"}},
    {"info --verbose", {"unknown option --verbose", "--threads"}},
};

START_TEST(misuse_is_refused_with_what_is_allowed) {
    test_folder_create();
    for (size_t i = 0; i < sizeof misuses / sizeof *misuses; i++)
        command_must_fail(misuses[i].arguments, 2, misuses[i].parts, 3);
    test_folder_remove();
}
END_TEST

START_TEST(info_says_what_was_chosen) {
    test_folder_create();
    bool openmp = tread_parallel_openmp_version() != 0;
    command_must_succeed("info --threads 3");
    command_must_contain(command_output, "0.1.0", "info");
    const char *const rows[] = {
        "version",         openmp ? "threads          3 (--threads)" : "threads          1 (this build has no OpenMP)",
        "instruction set", "back-end",
        "oneDNN",          "OpenMP",
        "cores",           "cache L1d",
        "cache L2",        "cache L3"};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        command_must_contain(command_output, rows[i], "info");
    ck_assert_int_eq(command_shell("TREAD_NUM_THREADS=none \"$tread\" info"), 1);
    command_must_contain(command_error, "TREAD_NUM_THREADS", "info");
    test_folder_remove();
}
END_TEST

START_TEST(waiting_threads_are_tamed_unless_told_otherwise) {
    test_folder_create();
    ck_assert_int_eq(command_shell("unset GOMP_SPINCOUNT OMP_WAIT_POLICY; \"$tread\" info"), 0);
    bool openmp = tread_parallel_openmp_version() != 0;
    if (openmp)
        command_must_contain(command_output, "GOMP_SPINCOUNT 1000", "info");
    ck_assert_int_eq(command_shell("unset OMP_WAIT_POLICY; GOMP_SPINCOUNT=7 \"$tread\" info"), 0);
    if (openmp)
        command_must_contain(command_output, "GOMP_SPINCOUNT 7,", "info");
    ck_assert_int_eq(command_shell("unset GOMP_SPINCOUNT; OMP_WAIT_POLICY=passive \"$tread\" info"), 0);
    if (openmp)
        command_must_contain(command_output, "GOMP_SPINCOUNT not set, OMP_WAIT_POLICY passive", "info");
    test_folder_remove();
}
END_TEST

START_TEST(output_that_cannot_be_written_is_an_error) {
    test_folder_create();
    const char *const all[] = {"--help", "--version", "train --help", "info"};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        char line[256];
        snprintf(line, sizeof line, "\"$tread\" %s >/dev/full", all[i]);
        ck_assert_msg(command_shell(line) == 1, "%s", line);
        command_must_contain(command_error, "standard output cannot be written: No space left on device", all[i]);
    }
    test_folder_remove();
}
END_TEST

/* As head does: what only shows something is done then, and says nothing of it. */
START_TEST(a_reader_that_has_seen_enough_is_no_failure) {
    test_folder_create();
    const char *const all[] = {"--help",     "--version", "train --help",
                               "help adamw", "info",      "schedule step_lr:step_size=3 --steps 100000 --format csv"};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        char line[256];
        snprintf(line, sizeof line, "{ sleep 0.2; \"$tread\" %s; echo code $? >&2; } | true", all[i]);
        command_shell(line); /* the reader is gone before the command starts */
        ck_assert_msg(strcmp(command_error, "code 0\n") == 0, "%s: %s", all[i], command_error);
    }
    command_shell(
        "{ \"$tread\" schedule step_lr:step_size=3 --steps 100000 --format csv; echo code $? >&2; } | head -n 2");
    ck_assert_str_eq(command_output, "step,lr\n0,0.1\n");
    ck_assert_str_eq(command_error, "code 0\n");
    test_folder_remove();
}
END_TEST

TEST_MAIN("usage", a_reader_that_has_seen_enough_is_no_failure, help_is_short_enough_to_read, help_on_one_algorithm,
          help_lists_everything, help_lists_every_algorithm_and_field, misuse_is_refused_with_what_is_allowed,
          info_says_what_was_chosen, waiting_threads_are_tamed_unless_told_otherwise,
          output_that_cannot_be_written_is_an_error)
