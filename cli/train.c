/* tread train: trains a network and says how well it does. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <tread/lr_schedulers.h>
#include <tread/optimizer.h>
#include <tread/trainer.h>
#include <tread/version.h>
#include <tread/weights.h>

#include "cli/commands.h"
#include "cli/counting.h"
#include "cli/help.h"
#include "cli/interrupt.h"
#include "cli/log.h"
#include "cli/paths.h"
#include "cli/progress.h"
#include "cli/specs.h"
#include "cli/train_options.h"

#define EVALUATION_BATCH 1000

static const cli_option options_table[] = {
    CLI_SETUP_OPTIONS(train_options, setup),
    {.name = "batch-size",
     .value = "N",
     .initial = "128",
     .doc = "samples per step",
     .kind = CLI_INTEGER,
     .offset = offsetof(train_options, setup.batch_size),
     .low = 1,
     .high = INT32_MAX},
    {.name = "epochs",
     .value = "N",
     .initial = "5",
     .doc = "passes over the training data",
     .kind = CLI_INTEGER,
     .offset = offsetof(train_options, epochs),
     .low = 0,
     .high = 1000000},
    {.name = "optimizer",
     .value = "NAME[:key=value,...]",
     .initial = "adam:lr=1e-3",
     .doc = "see below",
     .kind = CLI_TEXT,
     .offset = offsetof(train_options, optimizer)},
    CLI_GROUPS_OPTIONS(train_options, groups),
    {.name = "scheduler",
     .value = "NAME[:key=value,...]",
     .doc = "see below; none: the lr stays\n[cosine_decay_lr to 0 over the whole run, step by step;\nnone with "
            "schedule_free optimizers]",
     .kind = CLI_TEXT,
     .offset = offsetof(train_options, scheduler)},
    {.name = "schedule-every",
     .value = "WHAT",
     .doc = "what --scheduler counts [epoch]",
     .kind = CLI_CHOICE,
     .offset = offsetof(train_options, schedule_every),
     .names = cli_every_names},
    {.name = "seed",
     .value = "N",
     .initial = "0",
     .doc = "of initial weights, order of samples and --validation; the same\nseed gives the same bits, whatever the "
            "number of threads",
     .kind = CLI_INTEGER,
     .offset = offsetof(train_options, setup.seed),
     .low = 0,
     .high = INT64_MAX},
    CLI_RUN_OPTIONS(train_options, run),
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
    const train_options *options;
    cli_groups groups;
    cli_setup setup;
    tread_batches *train, *test;
    tread_optimizer *optimizer;
    tread_lr_scheduler *scheduler;
    tread_trainer *trainer;
    cli_checkpoints checkpoints;
    cli_progress progress;
    cli_log log;
    const char *misused; /* the option that does not fit the model, where run() fails for that */
} training;

static tread_lr_scheduler *make_scheduler(const training *t) {
    const train_options *o = t->options;
    if (o->scheduler != NULL)
        return tread_lr_scheduler_from_spec(t->optimizer, o->scheduler);
    tread_cosine_decay_lr_options cosine = tread_cosine_decay_lr_defaults();
    const int64_t batches = tread_batches_count(t->train), a = o->run.accumulate;
    int64_t steps = o->epochs * (batches / a + (batches % a > 0));
    cosine.decay_steps = steps > 0 ? steps : 1;
    return tread_cosine_decay_lr(t->optimizer, &cosine);
}

static bool prepare(training *t) {
    const train_options *o = t->options;
    if (o->weights != NULL)
        CLI_TRY(cli_check_output("weights", o->weights) == TREAD_OK);
    CLI_TRY(cli_setup_open(&t->setup, &o->setup) == TREAD_OK);
    CLI_TRY((t->train = cli_setup_batches(&t->setup, t->setup.data.train, o->setup.batch_size, true)) != NULL);
    CLI_TRY((t->test = cli_setup_batches(&t->setup, t->setup.data.test, EVALUATION_BATCH, false)) != NULL);
    tread_parameter_list parameters = tread_module_parameters(t->setup.model);
    t->misused = o->groups.rules.count > 0 ? "group" : "optimizer"; /* all else of them has been judged */
    CLI_TRY((t->optimizer =
                 tread_optimizer_from_groups(t->setup.context, parameters, o->optimizer, &t->groups.options)) != NULL);
    t->misused = "scheduler";
    if (cli_train_has_scheduler(o))
        CLI_TRY((t->scheduler = make_scheduler(t)) != NULL);
    t->misused = NULL;
    tread_trainer_options to = tread_trainer_defaults();
    to.model = t->setup.model;
    to.optimizer = t->optimizer;
    to.train = t->train;
    to.test = t->test;
    to.epochs = o->epochs;
    to.scheduler = t->scheduler;
    to.schedule_every = cli_train_schedule_every(o);
    cli_run_apply(&o->run, &to);
    tread_state *program = cli_train_program(o);
    CLI_TRY(program != NULL);
    CLI_TRY(cli_checkpoints_open(&t->checkpoints, &o->checkpoint, program, &to));
    CLI_TRY((t->trainer = tread_trainer_create(t->setup.context, &to)) != NULL);
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

static const char *backend_name(const tread_context *context) {
    return tread_context_backend(context) == TREAD_BACKEND_ONEDNN ? "onednn" : "ref";
}

static const char *scheduler_text(const training *t) {
    return t->scheduler == NULL            ? "none"
           : t->options->scheduler != NULL ? t->options->scheduler
                                           : "cosine_decay_lr over the run";
}

/* What runs: to the terminal and to the log. */
static bool announce(training *t) {
    const train_options *o = t->options;
    const tread_context *context = t->setup.context;
    int64_t n_train = tread_dataset_count(t->setup.data.train), n_test = tread_dataset_count(t->setup.data.test);
    int threads = tread_context_threads(context);
    size_t n_groups = tread_optimizer_group_count(t->optimizer);
    printf("data   %s: %" PRId64 " samples to train on, %" PRId64 " to test\n", t->setup.data.source, n_train, n_test);
    printf("model  %s: %" PRId64 " parameters\n", t->setup.description, t->setup.parameters);
    printf("plan   %s in %zu group%s, scheduler %s%s%s, batch size %" PRId64 ", seed %" PRId64
           ", %d thread%s (%s), %s\n",
           o->optimizer, n_groups, n_groups == 1 ? "" : "s", scheduler_text(t), t->scheduler != NULL ? " per " : "",
           t->scheduler != NULL ? cli_every_names[cli_train_schedule_every(o)] : "", o->setup.batch_size, o->setup.seed,
           threads, threads == 1 ? "" : "s", cli_threads_reason(tread_context_threads_reason(context)),
           backend_name(context));
    if (o->scheduler != NULL && t->scheduler != NULL && cli_train_schedule_every(o) == TREAD_EVERY_EPOCH)
        cli_note_counting(t->scheduler, o->epochs);
    if (o->groups.show)
        CLI_TRY(tread_optimizer_print(t->optimizer, stdout) == TREAD_OK);
    if (t->checkpoints.step >= 0)
        printf("resume %s at step %" PRId64 ", %" PRId64 " epoch%s done\n", o->checkpoint.folder, t->checkpoints.step,
               t->checkpoints.epoch, t->checkpoints.epoch == 1 ? "" : "s");
    CLI_TRY(cli_flush_output());
    if (t->log.continued)
        return cli_log_write(&t->log, json_pack("{s:s, s:s, s:I, s:I}", "event", "resume", "version", tread_version(),
                                                "steps", (json_int_t)t->checkpoints.step, "epochs",
                                                (json_int_t)t->checkpoints.epoch)) == TREAD_OK;
    json_t *line = json_pack(
        "{s:s, s:s, s:s, s:I, s:I, s:s, s:o, s:s, s:I, s:s, s:o, s:b, s:o, s:s, s:s, s:I, s:I, s:I, s:i, s:s, s:I, "
        "s:f, s:f, s:f}",
        "event", "start", "version", tread_version(), "data", t->setup.data.source, "train_samples",
        (json_int_t)n_train, "test_samples", (json_int_t)n_test, "model", cli_model_names[o->setup.model], "hidden",
        sizes_json(&o->setup.hidden), "activation", cli_activation_names[o->setup.activation], "parameters",
        (json_int_t)t->setup.parameters, "optimizer", o->optimizer, "groups", groups_json(&o->groups), "split_decay",
        (int)o->groups.split_decay, "adamw", text_or_null(o->groups.adamw), "scheduler", scheduler_text(t),
        "schedule_every", cli_every_names[cli_train_schedule_every(o)], "epochs", (json_int_t)o->epochs, "batch_size",
        (json_int_t)o->setup.batch_size, "seed", (json_int_t)o->setup.seed, "threads", threads, "backend",
        backend_name(context), "accumulate", (json_int_t)o->run.accumulate, "ema", o->run.ema, "clip_norm",
        o->run.clip_norm, "clip_value", o->run.clip_value);
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
    return t->options->weights == NULL ||
           tread_weights_save(tread_module_parameters(t->setup.model), t->options->weights) == TREAD_OK;
}

/* Says so, and ends the log with it. A checkpoint that cannot be written, which alone gives TREAD_ERROR_IO, leaves good
 * weights behind, perhaps of days: they are written all the same, the best ones where the run was to end with those. */
static bool fail(training *t, tread_status status) {
    char error[3000], all[4096];
    const bool rescue = status == TREAD_ERROR_IO && t->options->weights != NULL;
    snprintf(error, sizeof error, "%s", tread_last_error());
    snprintf(all, sizeof all, "%s", error);
    if (rescue) {
        const tread_train_result *result = tread_trainer_result(t->trainer);
        const bool best = t->options->run.early_stop >= 0 && !isnan(result->best) &&
                          tread_trainer_use_weights(t->trainer, TREAD_WEIGHTS_BEST) == TREAD_OK;
        if (write_weights(t))
            snprintf(all, sizeof all, "%s; the weights of step %" PRId64 " are in %s", error,
                     best ? result->best_step : result->steps, t->options->weights);
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
        printf("saved  %s at step %" PRId64 "\n", t->options->checkpoint.folder,
               tread_trainer_result(t->trainer)->steps);
    if (t->options->weights != NULL)
        printf("wrote  %s\n", t->options->weights);
    return cli_flush_output();
}

static int run_train(const cli_command *command, int argc, char **argv) {
    train_options options = {.schedule_every = -1, .setup.data = CLI_DATA_UNSET, .run = CLI_RUN_UNSET};
    int code;
    if (!cli_parse(command, argc, argv, &options, &code))
        return code;
    if (!cli_data_check(command, &options.setup.data))
        return CLI_USAGE;
    if (options.schedule_every != -1 && (options.scheduler == NULL || !cli_train_has_scheduler(&options)))
        return cli_misuse(command, "--schedule-every says what --scheduler counts, and there is no --scheduler");
    if (!cli_run_check(command, &options.run) || !cli_checkpoints_check(command, &options.checkpoint))
        return CLI_USAGE;
    if (options.log != NULL && options.weights != NULL && cli_same_file(options.log, options.weights))
        return cli_misuse(command, "--log and --weights name the same file: %s", options.weights);
    training t = {.options = &options};
    if (cli_setup_context(&t.setup, &options.setup) != TREAD_OK)
        return cli_fail(command, "%s", tread_last_error());
    if (!cli_check_specs(command, options.optimizer, cli_train_has_scheduler(&options) ? options.scheduler : NULL))
        code = CLI_USAGE;
    else if (!cli_groups_read(command, t.setup.context, options.optimizer, &options.groups, &t.groups))
        code = CLI_USAGE;
    else
        code = run(&t)             ? CLI_DONE
               : t.misused != NULL ? cli_misuse(command, "--%s: %s", t.misused, tread_last_error())
                                   : cli_fail(command, "%s", tread_last_error());
    cli_log_close(&t.log);
    tread_trainer_destroy(t.trainer);
    cli_checkpoints_close(&t.checkpoints);
    tread_lr_scheduler_destroy(t.scheduler);
    tread_optimizer_destroy(t.optimizer);
    tread_batches_destroy(t.test);
    tread_batches_destroy(t.train);
    cli_setup_close(&t.setup);
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
