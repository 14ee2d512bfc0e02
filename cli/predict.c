/* tread predict: what a trained network says of samples. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tread/files.h>
#include <tread/trainer.h>

#include "cli/commands.h"
#include "cli/data.h"
#include "cli/paths.h"
#include "cli/progress.h"
#include "cli/replace.h"
#include "cli/setup.h"
#include "cli/trained.h"

#define BATCH 1000

typedef struct predict_options {
    const char *weights, *data, *target, *drop, *delimiter, *out;
    int activation, task, set, what; /* activation, task: -1: not given */
    int precision;
    int64_t threads;
} predict_options;

enum { BOTH, CLASS, PROBABILITIES };
static const char *const set_names[] = {"test", "train", NULL};
static const char *const what_names[] = {"both", "class", "probabilities", NULL};

static const cli_option options_table[] = {
    {.name = "weights",
     .value = "FILE",
     .doc = "a checkpoint, or what `tread train --weights` wrote; must be given",
     .kind = CLI_FILE,
     .offset = offsetof(predict_options, weights)},
    {.name = "data",
     .value = "FOLDER|FILE",
     .doc = "as for train; target and dropped columns may be missing",
     .kind = CLI_TEXT,
     .offset = offsetof(predict_options, data)},
    {.name = "target",
     .value = "COLUMNS",
     .doc = "CSV: of the target, which are left out [the checkpoint's,\nelse the last where there is one too many]",
     .kind = CLI_TEXT,
     .offset = offsetof(predict_options, target)},
    {.name = "drop",
     .value = "COLUMNS",
     .doc = "CSV: columns that are left out [the checkpoint's]",
     .kind = CLI_TEXT,
     .offset = offsetof(predict_options, drop)},
    {.name = "delimiter",
     .value = "CHAR",
     .doc = "CSV: what stands between fields, such as ; or tab\n[tab for .tsv, else the checkpoint's, else a comma]",
     .kind = CLI_TEXT,
     .offset = offsetof(predict_options, delimiter)},
    {.name = "set",
     .value = "NAME",
     .initial = "test",
     .doc = "which samples of a folder",
     .kind = CLI_CHOICE,
     .offset = offsetof(predict_options, set),
     .names = set_names},
    {.name = "task",
     .value = "NAME",
     .doc = "what the outputs are [the checkpoint's, else classification]",
     .kind = CLI_CHOICE,
     .offset = offsetof(predict_options, task),
     .names = cli_task_names},
    {.name = "activation",
     .value = "NAME",
     .doc = "behind each hidden layer [the checkpoint's, else relu]",
     .kind = CLI_CHOICE,
     .offset = offsetof(predict_options, activation),
     .names = cli_activation_names},
    {.name = "what",
     .value = "NAME",
     .initial = "both",
     .doc = "of a classification; both is probabilities in a .npy",
     .kind = CLI_CHOICE,
     .offset = offsetof(predict_options, what),
     .names = what_names},
    {.name = "out",
     .value = "FILE",
     .doc = "a file whose name ends in .csv or .npy [CSV on standard output]",
     .kind = CLI_FILE,
     .offset = offsetof(predict_options, out)},
    CLI_PRECISION_OPTION(predict_options, precision),
    {.name = "threads",
     .value = "N",
     .initial = "0",
     .doc = "0: from the environment or the machine, as `tread info` says",
     .kind = CLI_INTEGER,
     .offset = offsetof(predict_options, threads),
     .high = 1024},
};

typedef struct prediction {
    const predict_options *options;
    cli_setup setup; /* the context alone */
    cli_trained trained;
    cli_data folder;
    tread_dataset *file;
    tread_dataset *set; /* one of these */
    tread_batches *batches;
    bool classifies;
    int64_t n;
    float *outputs;   /* (n, outputs): probabilities, or numbers */
    int32_t *classes; /* (n), of a classification */
} prediction;

static bool ends_in(const char *text, const char *end) {
    size_t n = strlen(text), m = strlen(end);
    return n > m && strcmp(text + n - m, end) == 0;
}

/* ---- Data ---- */

static bool is_table(const char *path) {
    return ends_in(path, ".csv") || ends_in(path, ".csv.gz") || ends_in(path, ".tsv") || ends_in(path, ".tsv.gz");
}

static char delimiter(const prediction *p) {
    const predict_options *o = p->options;
    const char *trained = cli_trained_option(&p->trained, "delimiter");
    return o->delimiter != NULL                                      ? cli_delimiter(o->delimiter)
           : ends_in(o->data, ".tsv") || ends_in(o->data, ".tsv.gz") ? '\t'
           : trained != NULL                                         ? cli_delimiter(trained)
                                                                     : ',';
}

static tread_dataset *load_table(const prediction *p, const char *drop) {
    tread_csv_options csv = tread_csv_defaults();
    csv.delimiter = delimiter(p);
    csv.task = TREAD_TASK_NONE;
    csv.drop = drop;
    return tread_csv_load(p->options->data, &csv);
}

/* A table with the inputs alone, or with what training left out, which nobody needs: text in it is no fault then. The
 * first of these that gives as many inputs as the network takes; where none does, the first failure's sentence. */
static tread_dataset *load_inputs(const prediction *p) {
    const predict_options *o = p->options;
    const char *target = o->target != NULL ? o->target : cli_trained_option(&p->trained, "target");
    const char *drop = o->drop != NULL ? o->drop : cli_trained_option(&p->trained, "drop");
    char both[4096], sentence[4096] = "";
    target = target != NULL ? target : "-1";
    snprintf(both, sizeof both, "%s%s%s", drop != NULL ? drop : "", drop != NULL ? "," : "", target);
    const char *const left_out[] = {both, drop, target, NULL};
    const size_t tries = o->target != NULL ? 1 : o->drop != NULL ? 2 : 4;
    tread_dataset *set = NULL;
    for (size_t i = 0; i < tries && (set == NULL || tread_dataset_features(set) != p->trained.n_inputs); i++) {
        tread_dataset *next = load_table(p, left_out[i]);
        if (next == NULL && sentence[0] == '\0')
            snprintf(sentence, sizeof sentence, "%s", tread_last_error());
        if (next == NULL)
            continue;
        tread_dataset_destroy(set);
        set = next;
    }
    if (set == NULL)
        tread_fail(TREAD_ERROR_FORMAT, "%s", sentence);
    return set;
}

static bool open_data(prediction *p) {
    const predict_options *o = p->options;
    tread_npy_options npy = tread_npy_defaults();
    npy.task = TREAD_TASK_NONE;
    if (o->data != NULL && is_table(o->data)) {
        p->file = load_inputs(p);
    } else if (o->data != NULL && (ends_in(o->data, ".npy") || ends_in(o->data, ".npy.gz"))) {
        p->file = tread_npy_load(o->data, NULL, &npy);
    } else if (o->data != NULL && ends_in(o->data, ".npz")) {
        p->file = tread_npz_load(o->data, &npy);
    } else {
        const cli_data_options folder = {.data = o->data, .task = -1, .validation = -1};
        CLI_TRY(cli_data_open(&p->folder, p->setup.context, &folder, 0) == TREAD_OK);
    }
    p->set = p->file != NULL ? p->file : o->set == 0 ? p->folder.test : p->folder.train;
    CLI_TRY(p->set != NULL);
    if (tread_dataset_features(p->set) != p->trained.n_inputs) {
        tread_fail(TREAD_ERROR_SHAPE, "the data has %" PRId64 " features a sample, and the network takes %" PRId64,
                   tread_dataset_features(p->set), p->trained.n_inputs);
        return false;
    }
    const tread_state *inputs = cli_trained_inputs(&p->trained);
    return inputs == NULL || tread_dataset_load_state_dict(p->set, inputs) == TREAD_OK;
}

/* ---- Outputs ---- */

static int32_t largest(const float *values, int64_t n) {
    int64_t best = 0;
    for (int64_t i = 1; i < n; i++)
        best = values[i] > values[best] ? i : best;
    return (int32_t)best;
}

static bool predict_batch(prediction *p, tread_tape *tape, const tread_batch *batch, int64_t done) {
    const int64_t width = p->trained.n_outputs;
    tread_tape_reset(tape);
    tread_tensor *y = tread_forward(p->trained.model, tape, batch->x);
    if (p->classifies)
        y = tread_softmax(tape, y, 1);
    if (y == NULL) {
        tread_fail(tread_tape_status(tape), "%s", tread_tape_error(tape));
        return false;
    }
    memcpy(p->outputs + done * width, tread_tensor_float(y), (size_t)(batch->count * width) * sizeof *p->outputs);
    for (int64_t i = done; p->classifies && i < done + batch->count; i++)
        p->classes[i] = largest(p->outputs + i * width, width);
    return true;
}

static bool predict(prediction *p) {
    tread_batch batch;
    p->n = tread_dataset_count(p->set);
    CLI_TRY((p->batches = cli_setup_batches(&p->setup, p->set, BATCH, false)) != NULL);
    p->outputs = calloc((size_t)(p->n * p->trained.n_outputs), sizeof *p->outputs);
    p->classes = calloc((size_t)p->n, sizeof *p->classes);
    if (p->outputs == NULL || p->classes == NULL) {
        tread_fail(TREAD_ERROR_MEMORY, "out of memory: outputs of %" PRId64 " samples", p->n);
        return false;
    }
    tread_tape *tape = tread_tape_create(p->setup.context);
    bool good = tape != NULL && tread_tape_set_precision(tape, (tread_precision)p->options->precision) == TREAD_OK;
    const bool grad = tread_set_grad_enabled(false);
    tread_module_train(p->trained.model, false);
    for (int64_t done = 0; good && tread_batches_next(p->batches, &batch); done += batch.count)
        good = predict_batch(p, tape, &batch, done);
    tread_set_grad_enabled(grad);
    tread_tape_destroy(tape);
    return good && tread_batches_status(p->batches) == TREAD_OK;
}

/* ---- Writing ---- */

/* A field of CSV. */
static void print_text(FILE *file, const char *before, const char *text) {
    const char *quote = strpbrk(text, ",\"\r\n") != NULL || strpbrk(before, "\"") != NULL ? "\"" : "";
    fprintf(file, "%s%s", quote, before);
    for (; *text != '\0'; text++)
        fprintf(file, *text == '"' ? "\"\"" : "%c", *text);
    fputs(quote, file);
}

static void print_class(FILE *file, const prediction *p, const char *before, int64_t i) {
    const char *name = cli_trained_class(&p->trained, i);
    if (name != NULL)
        print_text(file, before, name);
    else
        fprintf(file, "%s%" PRId64, before, i);
}

static void print_header(FILE *file, const prediction *p) {
    const int what = p->options->what;
    if (p->classifies && what != PROBABILITIES)
        fputs("class", file);
    for (int64_t k = 0; k < p->trained.n_outputs && (!p->classifies || what != CLASS); k++) {
        fputs(k > 0 || (p->classifies && what == BOTH) ? "," : "", file);
        if (p->classifies)
            print_class(file, p, "p_", k);
        else
            fprintf(file, "y_%" PRId64, k);
    }
    fputc('\n', file);
}

static void print_csv(FILE *file, const prediction *p) {
    const int what = p->options->what;
    print_header(file, p);
    for (int64_t i = 0; i < p->n; i++) {
        if (p->classifies && what != PROBABILITIES)
            print_class(file, p, "", p->classes[i]);
        for (int64_t k = 0; k < p->trained.n_outputs && (!p->classifies || what != CLASS); k++)
            fprintf(file, "%s%.9g", k > 0 || (p->classifies && what == BOTH) ? "," : "",
                    (double)p->outputs[i * p->trained.n_outputs + k]);
        fputc('\n', file);
    }
}

static bool write_npy(const prediction *p) {
    const bool classes = p->classifies && p->options->what == CLASS;
    const int64_t shape[] = {p->n, p->trained.n_outputs};
    tread_tensor *tensor = tread_tensor_wrap(classes ? TREAD_INT32 : TREAD_FLOAT32, classes ? 1 : 2, shape,
                                             classes ? (void *)p->classes : (void *)p->outputs);
    bool good = tensor != NULL && tread_npy_save(p->options->out, tensor) == TREAD_OK;
    tread_tensor_destroy(tensor);
    return good;
}

static bool write_csv(const prediction *p) {
    cli_replacement out;
    CLI_TRY(cli_replacement_open(&out, "out", p->options->out) == TREAD_OK);
    print_csv(out.file, p);
    return cli_replacement_close(&out) == TREAD_OK;
}

static bool run(prediction *p, const cli_command *command) {
    const predict_options *o = p->options;
    const cli_setup_options setup = {.threads = o->threads, .precision = o->precision};
    if (o->out != NULL)
        CLI_TRY(cli_check_output("out", o->out) == TREAD_OK);
    CLI_TRY(cli_setup_context(&p->setup, &setup) == TREAD_OK);
    CLI_TRY(cli_trained_open(&p->trained, command, p->setup.context, o->weights, o->activation));
    const int known = cli_trained_classifies(&p->trained);
    p->classifies = o->task >= 0 ? o->task == 0 : known != 0;
    CLI_TRY(open_data(p));
    CLI_TRY(predict(p));
    if (o->out == NULL) {
        print_csv(stdout, p);
        return cli_flush_output();
    }
    CLI_TRY(ends_in(o->out, ".npy") ? write_npy(p) : write_csv(p));
    printf("wrote  %s: %" PRId64 " samples (%s of %s)\n", o->out, p->n, p->trained.weights, o->weights);
    return cli_flush_output();
}

static int run_predict(const cli_command *command, int argc, char **argv) {
    predict_options o = {.activation = -1, .task = -1};
    int code;
    if (!cli_parse(command, argc, argv, &o, &code))
        return code;
    if (o.weights == NULL)
        return cli_misuse(command, "--weights FILE must be given");
    if (o.out != NULL && !ends_in(o.out, ".csv") && !ends_in(o.out, ".npy"))
        return cli_misuse(command, "--out: %s does not end in .csv or .npy", o.out);
    if (o.delimiter != NULL && (o.data == NULL || !is_table(o.data)))
        return cli_misuse(command, "--delimiter goes with a table as --data: .csv or .tsv");
    if (o.delimiter != NULL && !cli_delimiter_check(command, o.delimiter))
        return CLI_USAGE;
    prediction p = {.options = &o};
    code = run(&p, command) ? CLI_DONE : cli_fail(command, "%s", tread_last_error());
    free(p.outputs);
    free(p.classes);
    tread_batches_destroy(p.batches);
    tread_dataset_destroy(p.file);
    cli_data_close(&p.folder);
    cli_trained_close(&p.trained);
    cli_setup_close(&p.setup);
    return code;
}

const cli_command cli_predict = {
    .name = "predict",
    .summary = "Writes what a trained network says of samples: classes and probabilities, or numbers.",
    .usage = "--weights FILE [options]",
    .doc = "Of a checkpoint it takes the best weights where the run kept them (--early-stop), else averaged ones, and "
           "the\n"
           "normalisation, class names and activation of the run. A file of weights has none of these.",
    .run = run_predict,
    .options = options_table,
    .n_options = sizeof options_table / sizeof *options_table,
};
