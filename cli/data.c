#include "cli/data.h"

#include <ctype.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <tread/files.h>
#include <unistd.h>

#define VALIDATION 0.2

const char *const cli_task_names[] = {"classification", "regression", NULL};

typedef enum data_kind { DATA_FOLDER, DATA_CSV, DATA_TSV, DATA_NPY, DATA_NPZ, DATA_UNKNOWN } data_kind;

static bool ends_in(const char *text, const char *end) {
    size_t n = strlen(text), length = strlen(end);
    return n > length && strcmp(text + n - length, end) == 0;
}

/* By the name: what a folder is called says nothing. */
static data_kind kind_of(const char *data) {
    static const struct {
        const char *end;
        data_kind kind;
    } ends[] = {{".csv", DATA_CSV}, {".csv.gz", DATA_CSV}, {".tsv", DATA_TSV}, {".tsv.gz", DATA_TSV},
                {".npy", DATA_NPY}, {".npy.gz", DATA_NPY}, {".npz", DATA_NPZ}};
    struct stat status;
    bool there = data != NULL && stat(data, &status) == 0;
    if (data == NULL || (there && S_ISDIR(status.st_mode)))
        return DATA_FOLDER;
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++)
        if (ends_in(data, ends[i].end))
            return ends[i].kind;
    return there ? DATA_UNKNOWN : DATA_FOLDER;
}

bool cli_delimiter_check(const cli_command *command, const char *text) {
    const char c = cli_delimiter(text);
    const bool named = text[0] != c;
    if ((named || strlen(text) == 1) && isascii(c) && !isalnum(c) && strchr("\r\n\"+-._?", c) == NULL)
        return true;
    return cli_misuse(command, "--delimiter: %s is not a character such as ',', ';' or '|', or tab", text), false;
}

char cli_delimiter(const char *text) { return strcmp(text, "tab") == 0 || strcmp(text, "\\t") == 0 ? '\t' : text[0]; }

bool cli_data_check(const cli_command *command, const cli_data_options *o) {
    data_kind kind = kind_of(o->data);
    const char *only = o->target != NULL       ? "target"
                       : o->drop != NULL       ? "drop"
                       : o->delimiter != NULL  ? "delimiter"
                       : o->task != -1         ? "task"
                       : o->test != NULL       ? "test"
                       : o->validation != -1.0 ? "validation"
                                               : NULL;
    if (kind == DATA_UNKNOWN)
        return cli_misuse(command, "--data: %s ends in none of .csv, .tsv, .npy (with or without .gz) and .npz",
                          o->data),
               false;
    if (kind == DATA_FOLDER && only != NULL)
        return cli_misuse(command, "--%s goes with a file as --data, and the data is a folder of IDX files", only),
               false;
    if (o->drop != NULL && kind != DATA_CSV && kind != DATA_TSV)
        return cli_misuse(command, "--drop names columns, which %s does not have", o->data), false;
    if (o->delimiter != NULL && kind != DATA_CSV && kind != DATA_TSV)
        return cli_misuse(command, "--delimiter stands between fields, which %s does not have", o->data), false;
    if (o->delimiter != NULL && !cli_delimiter_check(command, o->delimiter))
        return false;
    if (kind == DATA_NPY && o->target == NULL)
        return cli_misuse(command, "--target must name the NPY file of labels or targets that belongs to %s", o->data),
               false;
    if (kind == DATA_NPY && o->test != NULL)
        return cli_misuse(command, "--test needs samples and targets in one file: NPZ, not NPY"), false;
    if (o->test != NULL && o->validation != -1.0)
        return cli_misuse(command, "--validation and --test both say what to test on"), false;
    if (o->validation == 0 || o->validation == 1)
        return cli_misuse(command, "--validation: %g leaves nothing to %s on", o->validation,
                          o->validation == 0 ? "test" : "train"),
               false;
    return true;
}

static tread_task task_of(const cli_data_options *o) {
    return o->task == -1 ? TREAD_TASK_AUTO : o->task == 0 ? TREAD_TASK_CLASSIFICATION : TREAD_TASK_REGRESSION;
}

static tread_dataset *load_csv(const cli_data_options *o, const char *path, const tread_dataset *like) {
    tread_csv_options csv = tread_csv_defaults();
    csv.delimiter = o->delimiter != NULL ? cli_delimiter(o->delimiter) : kind_of(path) == DATA_TSV ? '\t' : ',';
    csv.target = like == NULL ? o->target : NULL;
    csv.drop = like == NULL ? o->drop : NULL;
    csv.task = task_of(o);
    csv.like = like;
    return tread_csv_load(path, &csv);
}

static tread_dataset *load_arrays(const cli_data_options *o, const char *path, int classes) {
    tread_npy_options npy = tread_npy_defaults();
    npy.task = task_of(o);
    npy.classes = classes;
    if (kind_of(path) == DATA_NPY)
        return tread_npy_load(path, o->target, &npy);
    npy.y = o->target != NULL ? o->target : "y";
    return tread_npz_load(path, &npy);
}

static tread_dataset *load_file(const cli_data_options *o, const char *path, const tread_dataset *train) {
    data_kind kind = kind_of(o->data);
    return kind == DATA_CSV || kind == DATA_TSV
               ? load_csv(o, path, train)
               : load_arrays(o, path, train != NULL ? tread_dataset_classes(train) : 0);
}

static tread_status cut(cli_data *data, const cli_data_options *o, uint64_t seed) {
    double share = o->validation == -1.0 ? VALIDATION : o->validation;
    bool labels = tread_dataset_classes(data->whole) > 0;
    return (labels ? tread_dataset_split_stratified : tread_dataset_split)(data->whole, share, seed, &data->train,
                                                                           &data->test);
}

static tread_status check_alike(const cli_data *data) {
    int64_t train = tread_dataset_features(data->train), test = tread_dataset_features(data->test);
    if (train == test && cli_data_outputs(data) > 0)
        return TREAD_OK;
    return train != test ? tread_fail(TREAD_ERROR_SHAPE, "%lld features to train on, and %lld to test on",
                                      (long long)train, (long long)test)
                         : tread_fail(TREAD_ERROR_ARGUMENT, "the data has neither labels nor targets");
}

static tread_status open_files(cli_data *data, const cli_data_options *o, uint64_t seed) {
    snprintf(data->source, sizeof data->source, "%s", o->data);
    tread_dataset **first = o->test != NULL ? &data->train : &data->whole;
    *first = load_file(o, o->data, NULL);
    if (*first == NULL)
        return TREAD_ERROR_FORMAT;
    if (o->test == NULL)
        return cut(data, o, seed);
    data->test = load_file(o, o->test, data->train);
    return data->test != NULL ? TREAD_OK : TREAD_ERROR_FORMAT;
}

/* The data of a source tree, for a command that lies in a build folder of it, as TREE/BUILD/cli/tread. */
static bool beside_command(char ret_folder[PATH_MAX]) {
    char command[PATH_MAX], path[PATH_MAX + 32];
    ssize_t length = readlink("/proc/self/exe", command, sizeof command - 1);
    if (length < 0)
        return false;
    command[length] = '\0';
    const char *folder = dirname(command), *name = strrchr(folder, '/');
    if (name == NULL || strcmp(name, "/cli") != 0)
        return false;
    snprintf(path, sizeof path, "%s/../../data/mnist", folder);
    return realpath(path, ret_folder) != NULL;
}

static tread_status locate(const char *asked, char *ret_folder, size_t size) {
    char beside[PATH_MAX], sentence[4096];
    bool there = beside_command(beside);
    tread_status status = tread_data_locate(asked, ret_folder, size);
    if (status != TREAD_ERROR_IO || asked != NULL)
        return status;
    snprintf(sentence, sizeof sentence, "%s", tread_last_error());
    const char *variable = getenv("TREAD_DATA");
    if (variable != NULL && variable[0] != '\0') /* somebody said where: no other data instead */
        return tread_fail(status, "%s; set it right, or give --data FOLDER", sentence);
    if (there && tread_data_locate(beside, ret_folder, size) == TREAD_OK)
        return TREAD_OK;
    return tread_fail(status, "%s, %s; give --data FOLDER", sentence,
                      there ? beside : "a source tree round the command (none)");
}

tread_status cli_data_open(cli_data *data, tread_context *context, const cli_data_options *o, uint64_t seed) {
    tread_status status;
    if (kind_of(o->data) == DATA_FOLDER) {
        status = locate(o->data, data->source, sizeof data->source);
        if (status == TREAD_OK)
            status = tread_mnist_load(context, data->source, &data->train, &data->test);
    } else {
        status = open_files(data, o, seed);
    }
    if (status == TREAD_OK)
        status = check_alike(data);
    if (status == TREAD_OK && o->standardize) {
        status = tread_dataset_standardize(context, data->train);
        if (status == TREAD_OK)
            status = tread_dataset_normalize_like(data->test, data->train);
    }
    return status;
}

void cli_data_close(cli_data *data) {
    tread_dataset_destroy(data->test);
    tread_dataset_destroy(data->train);
    tread_dataset_destroy(data->whole);
}

int64_t cli_data_outputs(const cli_data *data) {
    int classes = tread_dataset_classes(data->train);
    return classes > 0 ? classes : tread_dataset_targets(data->train);
}
