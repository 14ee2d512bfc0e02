#include "cli/training.h"

#include <tread/lr_schedulers.h>
#include <tread/optimizer.h>

#include "cli/specs.h"

#define EVALUATION_BATCH 1000

bool cli_training_check(const cli_command *command, const train_options *options) {
    if (!cli_data_check(command, &options->setup.data))
        return false;
    if (options->schedule_every != -1 && (options->scheduler == NULL || !cli_train_has_scheduler(options)))
        return cli_misuse(command, "--schedule-every says what --scheduler counts, and there is no --scheduler"), false;
    return true;
}

int cli_training_begin(const cli_command *command, cli_training *t) {
    const train_options *o = t->options;
    if (cli_setup_context(&t->setup, &o->setup) != TREAD_OK)
        return cli_fail(command, "%s", tread_last_error());
    const bool good = cli_check_specs(command, o->optimizer, cli_train_has_scheduler(o) ? o->scheduler : NULL) &&
                      cli_groups_read(command, t->setup.context, o->optimizer, &o->groups, &t->groups);
    return good ? CLI_DONE : CLI_USAGE;
}

static tread_lr_scheduler *make_scheduler(const cli_training *t) {
    const train_options *o = t->options;
    if (o->scheduler != NULL)
        return tread_lr_scheduler_from_spec(t->optimizer, o->scheduler);
    tread_cosine_decay_lr_options cosine = tread_cosine_decay_lr_defaults();
    const int64_t batches = tread_batches_count(t->train), a = o->run.accumulate;
    int64_t steps = o->epochs * (batches / a + (batches % a > 0));
    cosine.decay_steps = steps > 0 ? steps : 1;
    return tread_cosine_decay_lr(t->optimizer, &cosine);
}

bool cli_training_open(cli_training *t) {
    const train_options *o = t->options;
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
    t->trainer = tread_trainer_defaults();
    t->trainer.model = t->setup.model;
    t->trainer.optimizer = t->optimizer;
    t->trainer.train = t->train;
    t->trainer.test = t->test;
    t->trainer.epochs = o->epochs;
    t->trainer.scheduler = t->scheduler;
    t->trainer.schedule_every = cli_train_schedule_every(o);
    t->trainer.precision = (tread_precision)o->setup.precision;
    cli_run_apply(&o->run, &t->trainer);
    return true;
}

int cli_training_fail(const cli_command *command, const cli_training *t) {
    return t->misused != NULL ? cli_misuse(command, "--%s: %s", t->misused, tread_last_error())
                              : cli_fail(command, "%s", tread_last_error());
}

void cli_training_close(cli_training *t) {
    tread_lr_scheduler_destroy(t->scheduler);
    tread_optimizer_destroy(t->optimizer);
    tread_batches_destroy(t->test);
    tread_batches_destroy(t->train);
    cli_setup_close(&t->setup);
}

const char *cli_training_backend(const cli_training *t) {
    return tread_context_backend(t->setup.context) == TREAD_BACKEND_ONEDNN ? "onednn" : "ref";
}

const char *cli_training_scheduler(const cli_training *t) {
    return t->scheduler == NULL            ? "none"
           : t->options->scheduler != NULL ? t->options->scheduler
                                           : "cosine_decay_lr over the run";
}
