/* Layer: cli. The data of train and eval: a folder of four IDX files, or one file with or without a second one to test
 * on. */
#ifndef TREAD_CLI_DATA_H
#define TREAD_CLI_DATA_H

#include <tread/data.h>

#include "cli/options.h"

typedef struct cli_data_options {
    const char *data; /* NULL: MNIST, wherever it is */
    const char *target, *drop;
    const char *delimiter; /* see cli_delimiter_check; NULL: by the file's name */
    int task;              /* 0 classification, 1 regression; -1: not given */
    const char *test;
    double validation; /* -1: not given */
    bool standardize;
} cli_data_options;
#define CLI_DATA_UNSET                                                                                                 \
    { .task = -1, .validation = -1 }

/* Their entries in a subcommand's table, whose options struct has them as member. */
#define CLI_DATA_OPTIONS(type, member)                                                                                 \
    {.name = "data",                                                                                                   \
     .value = "FOLDER|FILE",                                                                                           \
     .doc = "folder of the four MNIST-like IDX files, plain or .gz, or a file: .csv,\n"                                \
            ".tsv or .npy, also with .gz, or .npz; else TREAD_DATA, else the installed\n"                              \
            "data folder, else that of the source tree whose build folder has the command",                            \
     .kind = CLI_TEXT,                                                                                                 \
     .offset = offsetof(type, member.data)},                                                                           \
        {.name = "target",                                                                                             \
         .value = "WHAT",                                                                                              \
         .doc = "CSV: the column, or columns with commas between, by name or number\n"                                 \
                "[the last]; NPZ: the array [y]; NPY: the file; must be given",                                        \
         .kind = CLI_TEXT,                                                                                             \
         .offset = offsetof(type, member.target)},                                                                     \
        {.name = "drop",                                                                                               \
         .value = "COLUMNS",                                                                                           \
         .doc = "CSV: columns that are left out",                                                                      \
         .kind = CLI_TEXT,                                                                                             \
         .offset = offsetof(type, member.drop)},                                                                       \
        {.name = "delimiter",                                                                                          \
         .value = "CHAR",                                                                                              \
         .doc = "CSV: what stands between fields, such as ; or tab [by the name:\ntab for .tsv, else a comma]",        \
         .kind = CLI_TEXT,                                                                                             \
         .offset = offsetof(type, member.delimiter)},                                                                  \
        {.name = "task",                                                                                               \
         .value = "NAME",                                                                                              \
         .doc = "labels with cross-entropy, or numbers with the mean squared error\n"                                  \
                "[NPY and NPZ: by the target's type; else classification]",                                            \
         .kind = CLI_CHOICE,                                                                                           \
         .offset = offsetof(type, member.task),                                                                        \
         .names = cli_task_names},                                                                                     \
        {.name = "test",                                                                                               \
         .value = "FILE",                                                                                              \
         .doc = "CSV or NPZ: samples to test on, with the same columns or arrays",                                     \
         .kind = CLI_FILE,                                                                                             \
         .offset = offsetof(type, member.test)},                                                                       \
        {.name = "validation",                                                                                         \
         .value = "SHARE",                                                                                             \
         .doc = "of a file without --test: samples to test on, chosen by --seed,\nthe same share of each class [0.2]", \
         .kind = CLI_REAL,                                                                                             \
         .offset = offsetof(type, member.validation),                                                                  \
         .low_real = 0,                                                                                                \
         .high_real = 1},                                                                                              \
    {                                                                                                                  \
        .name = "standardize",                                                                                         \
        .doc = "give each feature mean 0 and deviation 1, as the samples to train on\nhave them", .kind = CLI_SWITCH,  \
        .offset = offsetof(type, member.standardize)                                                                   \
    }

extern const char *const cli_task_names[];

typedef struct cli_data {
    char source[4096];    /* the folder or file */
    tread_dataset *whole; /* what train and test are parts of; or NULL */
    tread_dataset *train;
    tread_dataset *test;
} cli_data;

/* Whether the text is one character that can stand between fields, or "tab" or "\t"; complains otherwise. */
bool cli_delimiter_check(const cli_command *command, const char *text);
/* The character of a text that was checked. */
char cli_delimiter(const char *text);

/* The combination must make sense; else the sentence on standard error, and false. */
bool cli_data_check(const cli_command *command, const cli_data_options *options);
/* Loads both sets. Errors: the library's. What was made stays in data (zeroed before) for cli_data_close. */
tread_status cli_data_open(cli_data *data, tread_context *context, const cli_data_options *options, uint64_t seed);
void cli_data_close(cli_data *data);

/* What a model gives for a sample: one number per class, or one per target. */
int64_t cli_data_outputs(const cli_data *data);

#endif
