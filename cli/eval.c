/* tread eval: how well trained weights do. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <tread/tensor_file.h>
#include <tread/trainer.h>
#include <tread/weights.h>

#include "cli/commands.h"
#include "cli/progress.h"
#include "cli/setup.h"
#include "cli/trained.h"

typedef struct eval_options {
    cli_setup_options setup;
    const char *weights;
    int set;
} eval_options;

static const char *const set_names[] = {"test", "train", NULL};

static const cli_option options_table[] = {
    {.name = "weights",
     .value = "FILE",
     .doc = "what `tread train --weights` wrote, or a checkpoint; must be given",
     .kind = CLI_FILE,
     .offset = offsetof(eval_options, weights)},
    CLI_SETUP_OPTIONS(eval_options, setup),
    {.name = "set",
     .value = "NAME",
     .initial = "test",
     .doc = "which samples",
     .kind = CLI_CHOICE,
     .offset = offsetof(eval_options, set),
     .names = set_names},
    {.name = "batch-size",
     .value = "N",
     .initial = "1000",
     .doc = "samples at a time",
     .kind = CLI_INTEGER,
     .offset = offsetof(eval_options, setup.batch_size),
     .low = 1,
     .high = INT32_MAX},
    {.name = "seed",
     .value = "N",
     .initial = "0",
     .doc = "that of the training, which chose the samples to test on",
     .kind = CLI_INTEGER,
     .offset = offsetof(eval_options, setup.seed),
     .low = 0,
     .high = INT64_MAX},
};

typedef struct evaluation {
    const eval_options *options;
    cli_setup setup;
    cli_trained trained; /* a checkpoint's */
    tread_batches *batches;
    tread_trainer *trainer;
    bool other_model; /* the weights are those of another one */
} evaluation;

/* Weights into the model of the options; a checkpoint brings its own model and normalisation. */
static bool load(evaluation *e, const cli_command *command, tread_weights_report *ret_report) {
    const eval_options *o = e->options;
    *ret_report = (tread_weights_report){.n_tensors = 0};
    tread_tensor_file *file = tread_tensor_file_open(o->weights);
    CLI_TRY(file != NULL);
    const bool is_checkpoint = tread_tensor_file_has_state(file);
    tread_tensor_file_close(file);
    if (!is_checkpoint)
        return tread_weights_load(tread_module_parameters(e->setup.model), o->weights, ret_report) == TREAD_OK;
    CLI_TRY(cli_trained_open(&e->trained, command, e->setup.context, o->weights, -1));
    const tread_state *inputs = cli_trained_inputs(&e->trained);
    return inputs == NULL || (tread_dataset_load_state_dict(e->setup.data.test, inputs) == TREAD_OK &&
                              tread_dataset_load_state_dict(e->setup.data.train, inputs) == TREAD_OK);
}

static bool run(evaluation *e, const cli_command *command) {
    const eval_options *o = e->options;
    tread_weights_report report;
    tread_evaluation result;
    CLI_TRY(cli_setup_context(&e->setup, &o->setup) == TREAD_OK);
    CLI_TRY(cli_setup_open(&e->setup, &o->setup) == TREAD_OK);
    if (!load(e, command, &report)) {
        e->other_model = strstr(tread_last_error(), "does not fit the model") != NULL;
        return false;
    }
    const tread_dataset *set = o->set == 0 ? e->setup.data.test : e->setup.data.train;
    CLI_TRY((e->batches = cli_setup_batches(&e->setup, set, o->setup.batch_size, false)) != NULL);
    tread_trainer_options options = tread_trainer_defaults();
    options.model = e->trained.model != NULL ? e->trained.model : e->setup.model;
    options.test = e->batches;
    options.evaluation_precision = (tread_precision)o->setup.precision;
    CLI_TRY((e->trainer = tread_trainer_create(e->setup.context, &options)) != NULL);
    CLI_TRY(tread_trainer_evaluate(e->trainer, NULL, &result) == TREAD_OK);
    if (report.n_not_finite > 0)
        fprintf(stderr, "tread eval: %s has %" PRId64 " weights that are not finite\n", o->weights,
                report.n_not_finite);
    printf("%s of %s with %s (%s)\n", set_names[o->set], e->setup.data.source, o->weights,
           e->trained.model != NULL ? e->trained.weights : e->setup.description);
    printf("%" PRId64 " samples, loss %.6f, ", result.samples, cli_unsigned_nan(result.loss));
    if (!isnan(result.metric))
        printf("accuracy %.2f %%, ", 100 * result.metric);
    printf("%.2f s\n", result.seconds);
    return cli_flush_output();
}

static int run_eval(const cli_command *command, int argc, char **argv) {
    eval_options options = {.weights = NULL, .setup.data = CLI_DATA_UNSET};
    int code;
    if (!cli_parse(command, argc, argv, &options, &code))
        return code;
    if (!cli_data_check(command, &options.setup.data))
        return CLI_USAGE;
    if (options.weights == NULL)
        return cli_misuse(command, "--weights FILE must be given");
    evaluation e = {.options = &options};
    code = run(&e, command) ? CLI_DONE
                            : cli_fail(command, "%s%s", tread_last_error(),
                                       e.other_model ? "; --hidden must be that of the training" : "");
    tread_trainer_destroy(e.trainer);
    cli_trained_close(&e.trained);
    tread_batches_destroy(e.batches);
    cli_setup_close(&e.setup);
    return code;
}

const cli_command cli_eval = {
    .name = "eval",
    .summary = "Says how well trained weights do: mean loss and accuracy.",
    .usage = "--weights FILE [options]",
    .doc =
        "A checkpoint brings its network and its normalisation. Else --hidden and --activation must be those of the\n"
        "training: a file of weights has no trace of the activation. So must "
        "the\n"
        "options of the data be; --standardize learns anew from the samples that were trained on.",
    .run = run_eval,
    .options = options_table,
    .n_options = sizeof options_table / sizeof *options_table,
};
