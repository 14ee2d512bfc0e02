/* tread train: trains a network and says how well it does. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <tread/optimizer.h>
#include <tread/trainer.h>
#include <tread/version.h>
#include <tread/weights.h>

#include "cli/commands.h"
#include "cli/counting.h"
#include "cli/help.h"
#include "cli/interrupt.h"
#include "cli/log.h"
#include "cli/notes.h"
#include "cli/paths.h"
#include "cli/progress.h"
#include "cli/training.h"

static const cli_option options_table[] = {
    CLI_TRAINING_OPTIONS(train_options, ),
    {.name = "epochs",
     .value = "N",
     .initial = "5",
     .doc = "passes over the training data",
     .kind = CLI_INTEGER,
     .offset = offsetof(train_options, epochs),
     .low = 0,
     .high = 1000000},
    CLI_LIMIT_OPTIONS(train_options, run),
    CLI_CHECKPOINT_OPTIONS(train_options, checkpoint),
    {.name = "log",
     .value = "FILE.jsonl",
     .doc = "write JSON objects, one per line, for each epoch",
     .kind = CLI_FILE,
     .offset = offsetof(train_options, log)},
    {.name = "weights",
     .value = "FILE",
     .doc = "write the trained weights (safetensors)",
     .kind = CLI_FILE,
     .offset = offsetof(train_options, weights)},
};

typedef struct training {
    cli_training run;
    tread_trainer *trainer;
    cli_checkpoints checkpoints;
    cli_progress progress;
    cli_log log;
} training;

static bool prepare(training *t) {
    const train_options *o = t->run.options;
    if (o->weights != NULL)
        CLI_TRY(cli_check_output("weights", o->weights) == TREAD_OK);
    CLI_TRY(cli_training_open(&t->run));
    tread_trainer_options to = t->run.trainer;
    tread_state *program = cli_train_program(o);
    CLI_TRY(program != NULL);
    CLI_TRY(cli_checkpoints_open(&t->checkpoints, &o->checkpoint, program, &to));
    CLI_TRY((t->trainer = tread_trainer_create(t->run.setup.context, &to)) != NULL);
    tread_callbacks progress = cli_progress_callbacks(&t->progress);
    CLI_TRY(tread_trainer_add_callbacks(t->trainer, &progress) == TREAD_OK);
    CLI_TRY(cli_checkpoints_resume(&t->checkpoints, &o->checkpoint, t->trainer));
    if (o->log != NULL) {
        CLI_TRY(t->checkpoints.step >= 0
                    ? cli_log_reopen(&t->log, o->log, t->checkpoints.epoch, t->checkpoints.evaluated_step) == TREAD_OK
                    : cli_log_open(&t->log, o->log) == TREAD_OK);
        tread_callbacks log = cli_log_callbacks(&t->log);
        CLI_TRY(tread_trainer_add_callbacks(t->trainer, &log) == TREAD_OK);
    }
    return true;
}

static json_t *text_or_null(const char *text) { return text != NULL ? json_string(text) : json_null(); }

static json_t *sizes_json(const cli_sizes *sizes) {
    json_t *list = json_array();
    for (size_t i = 0; i < sizes->count; i++)
        json_array_append_new(list, json_integer(sizes->values[i]));
    return list;
}

/* What decided the groups, beside the optimizer: a list of the command's own arguments. */
static json_t *groups_json(const cli_groups_options *groups) {
    json_t *list = json_array();
    for (size_t i = 0; i < groups->rules.count; i++)
        json_array_append_new(list, json_string(groups->rules.values[i]));
    return list;
}

/* What runs: to the terminal and to the log. */
static bool announce(training *t) {
    const train_options *o = t->run.options;
    const tread_context *context = t->run.setup.context;
    int64_t n_train = tread_dataset_count(t->run.setup.data.train),
            n_test = tread_dataset_count(t->run.setup.data.test);
    int threads = tread_context_threads(context);
    size_t n_groups = tread_optimizer_group_count(t->run.optimizer);
    const bool all = o->setup.batch_size >= n_train;
    printf("data   %s: %" PRId64 " samples to train on, %" PRId64 " to test\n", t->run.setup.data.source, n_train,
           n_test);
    printf("model  %s: %" PRId64 " parameters\n", t->run.setup.description, t->run.setup.parameters);
    printf("plan   %s in %zu group%s, scheduler %s%s%s, batch size %" PRId64 "%s, seed %" PRId64
           ", %d thread%s (%s), %s, %s%s\n",
           o->optimizer, n_groups, n_groups == 1 ? "" : "s", cli_training_scheduler(&t->run),
           t->run.scheduler != NULL ? " per " : "",
           t->run.scheduler != NULL ? cli_every_names[cli_train_schedule_every(o)] : "",
           all ? n_train : o->setup.batch_size, all ? " (all)" : "", o->setup.seed, threads, threads == 1 ? "" : "s",
           cli_threads_reason(tread_context_threads_reason(context)), cli_training_backend(&t->run),
           cli_precision_names[o->setup.precision], cli_has_precision(&t->run) ? "" : " (in no layer)");
    cli_note_plan(&t->run);
    if (o->scheduler != NULL && t->run.scheduler != NULL && cli_train_schedule_every(o) == TREAD_EVERY_EPOCH)
        cli_note_counting(t->run.scheduler, o->epochs);
    if (o->groups.show)
        CLI_TRY(tread_optimizer_print(t->run.optimizer, stdout) == TREAD_OK);
    if (t->checkpoints.step >= 0)
        printf("resume %s at step %" PRId64 ", %" PRId64 " epoch%s done\n", o->checkpoint.folder, t->checkpoints.step,
               t->checkpoints.epoch, t->checkpoints.epoch == 1 ? "" : "s");
    CLI_TRY(cli_flush_output());
    if (t->log.continued)
        return cli_log_write(&t->log, json_pack("{s:s, s:s, s:I, s:I}", "event", "resume", "version", tread_version(),
                                                "steps", (json_int_t)t->checkpoints.step, "epochs",
                                                (json_int_t)t->checkpoints.epoch)) == TREAD_OK;
    json_t *line = json_pack(
        "{s:s, s:s, s:s, s:I, s:I, s:s, s:o, s:s, s:I, s:s, s:o, s:b, s:o, s:s, s:s, s:I, s:I, s:I, s:i, s:s, s:s, "
        "s:I, "
        "s:f, s:f, s:f}",
        "event", "start", "version", tread_version(), "data", t->run.setup.data.source, "train_samples",
        (json_int_t)n_train, "test_samples", (json_int_t)n_test, "model", cli_model_names[o->setup.model], "hidden",
        sizes_json(&o->setup.hidden), "activation", cli_activation_names[o->setup.activation], "parameters",
        (json_int_t)t->run.setup.parameters, "optimizer", o->optimizer, "groups", groups_json(&o->groups),
        "split_decay", (int)o->groups.split_decay, "adamw", text_or_null(o->groups.adamw), "scheduler",
        cli_training_scheduler(&t->run), "schedule_every", cli_every_names[cli_train_schedule_every(o)], "epochs",
        (json_int_t)o->epochs, "batch_size", (json_int_t)o->setup.batch_size, "seed", (json_int_t)o->setup.seed,
        "threads", threads, "backend", cli_training_backend(&t->run), "precision",
        cli_precision_names[o->setup.precision], "accumulate", (json_int_t)o->run.accumulate, "ema", o->run.ema,
        "clip_norm", o->run.clip_norm, "clip_value", o->run.clip_value);
    return cli_log_write(&t->log, line) == TREAD_OK;
}

/* What came of it, also after a failure, whose sentence is error. */
static bool log_end(training *t, const char *error) {
    const tread_train_result *result = tread_trainer_result(t->trainer);
    return cli_log_write(&t->log, json_pack("{s:s, s:s, s:o, s:I, s:I, s:I, s:f}", "event", "end", "stop_reason",
                                            tread_stop_reason_string(result->stop_reason), "error", text_or_null(error),
                                            "epochs", (json_int_t)result->epochs, "steps", (json_int_t)result->steps,
                                            "samples", (json_int_t)result->samples, "seconds", result->seconds)) ==
           TREAD_OK;
}

/* Whether the weights are those of a step in the middle of an epoch, of which the history says nothing. */
static bool ended_within_epoch(const training *t) {
    const tread_train_result *result = tread_trainer_result(t->trainer);
    return result->n_history == 0 || result->steps > result->history[result->n_history - 1].steps;
}

static bool print_result(const training *t) {
    const tread_train_result *result = tread_trainer_result(t->trainer);
    double accuracy = result->n_history > 0 ? result->history[result->n_history - 1].test_accuracy : NAN;
    const bool best = tread_trainer_held_weights(t->trainer) == TREAD_WEIGHTS_BEST;
    tread_evaluation now;
    if (best) {
        CLI_TRY(tread_trainer_evaluate(t->trainer, NULL, &now) == TREAD_OK);
        accuracy = now.metric;
        printf("ended  %s; the weights are the best, of step %" PRId64 "\n",
               tread_stop_reason_string(result->stop_reason), result->best_step);
    } else if (ended_within_epoch(t)) {
        CLI_TRY(tread_trainer_evaluate(t->trainer, NULL, &now) == TREAD_OK);
        accuracy = now.metric;
        printf("ended  %s in epoch %" PRId64 " at step %" PRId64 "\n", tread_stop_reason_string(result->stop_reason),
               result->epochs + 1, result->steps);
    } else if (result->stop_reason != TREAD_STOP_EPOCHS) {
        printf("ended  %s\n", tread_stop_reason_string(result->stop_reason));
    }
    printf("done   %" PRId64 " epoch%s, %" PRId64 " steps in %.2f s", result->epochs, result->epochs == 1 ? "" : "s",
           result->steps, result->seconds);
    if (!isnan(accuracy))
        printf("; test accuracy %.2f %%", 100 * accuracy);
    putchar('\n');
    return true;
}

/* What is saved is for use. */
static bool write_weights(training *t) {
    if (tread_trainer_held_weights(t->trainer) != TREAD_WEIGHTS_BEST)
        CLI_TRY(tread_trainer_use_weights(t->trainer, TREAD_WEIGHTS_AVERAGED) == TREAD_OK);
    return t->run.options->weights == NULL ||
           tread_weights_save(tread_module_parameters(t->run.setup.model), t->run.options->weights) == TREAD_OK;
}

/* Says so, and ends the log with it. A checkpoint that cannot be written, which alone gives TREAD_ERROR_IO, leaves good
 * weights behind, perhaps of days: they are written all the same, the best ones where the run was to end with those. */
static bool fail(training *t, tread_status status) {
    char error[3000], all[4096];
    const bool rescue = status == TREAD_ERROR_IO && t->run.options->weights != NULL;
    snprintf(error, sizeof error, "%s", tread_last_error());
    snprintf(all, sizeof all, "%s", error);
    if (rescue) {
        const tread_train_result *result = tread_trainer_result(t->trainer);
        const bool best = t->run.options->run.early_stop >= 0 && !isnan(result->best) &&
                          tread_trainer_use_weights(t->trainer, TREAD_WEIGHTS_BEST) == TREAD_OK;
        if (write_weights(t))
            snprintf(all, sizeof all, "%s; the weights of step %" PRId64 " are in %s", error,
                     best ? result->best_step : result->steps, t->run.options->weights);
        else
            snprintf(all, sizeof all, "%s; the weights could not be written either: %s", error, tread_last_error());
    }
    log_end(t, all);
    tread_fail(status, "%s", all);
    return false;
}

static bool run(training *t) {
    CLI_TRY(prepare(t));
    CLI_TRY(announce(t));
    cli_interrupt_stops(t->trainer);
    tread_status status = tread_trainer_run(t->trainer);
    cli_interrupt_ends();
    if (status != TREAD_OK)
        return fail(t, status);
    CLI_TRY(log_end(t, NULL));
    CLI_TRY(cli_log_close(&t->log) == TREAD_OK);
    CLI_TRY(write_weights(t));
    CLI_TRY(print_result(t));
    if (t->checkpoints.series != NULL)
        printf("saved  %s at step %" PRId64 "\n", t->run.options->checkpoint.folder,
               tread_trainer_result(t->trainer)->steps);
    if (t->run.options->weights != NULL)
        printf("wrote  %s\n", t->run.options->weights);
    return cli_flush_output();
}

static int run_train(const cli_command *command, int argc, char **argv) {
    train_options options = {.schedule_every = -1, .setup.data = CLI_DATA_UNSET, .run = CLI_RUN_UNSET};
    int code;
    if (!cli_parse(command, argc, argv, &options, &code))
        return code;
    if (!cli_training_check(command, &options) || !cli_run_check(command, &options.run) ||
        !cli_checkpoints_check(command, &options.checkpoint))
        return CLI_USAGE;
    if (options.log != NULL && options.weights != NULL && cli_same_file(options.log, options.weights))
        return cli_misuse(command, "--log and --weights name the same file: %s", options.weights);
    training t = {.run.options = &options};
    code = cli_training_begin(command, &t.run);
    if (code == CLI_DONE && !run(&t))
        code = cli_training_fail(command, &t.run);
    cli_log_close(&t.log);
    tread_trainer_destroy(t.trainer);
    cli_checkpoints_close(&t.checkpoints);
    cli_training_close(&t.run);
    return code;
}

const cli_command cli_train = {
    .name = "train",
    .summary = "Trains a network on images or a table, and says how well it does on the test set.",
    .usage = "[options]",
    .doc = "Ctrl-C or SIGTERM ends the training after the step that is under way, and writes checkpoint and weights; "
           "once\n"
           "more ends at once. Exit codes: 0 done (also after a first Ctrl-C), 1 failed, 2 wrong usage, 130 after a "
           "second Ctrl-C\n"
           "(143: SIGTERM).",
    .run = run_train,
    .options = options_table,
    .n_options = sizeof options_table / sizeof *options_table,
    .more_help = cli_print_algorithms,
    .help_on = cli_print_algorithm,
};
