/* Layer: cli. What train and eval share: context, data and model from the options. */
#ifndef TREAD_CLI_SETUP_H
#define TREAD_CLI_SETUP_H

#include <tread/module.h>

#include "cli/data.h"

typedef struct cli_setup_options {
    cli_data_options data;
    int model;
    cli_sizes hidden;
    int activation;
    int64_t batch_size;
    int precision; /* tread_precision */
    int64_t threads;
    int64_t seed;
} cli_setup_options;

#define CLI_PRECISION_OPTION(type, member)                                                                             \
    {                                                                                                                  \
        .name = "precision", .value = "NAME", .initial = "float32",                                                    \
        .doc = "bf16: wide layers multiply bfloat16, where the CPU has it;\n"                                          \
               "weights and sums stay float32",                                                                        \
        .kind = CLI_CHOICE, .offset = offsetof(type, member), .names = cli_precision_names,                            \
        .advice = cli_precision_advice                                                                                 \
    }

/* Their entries in a subcommand's table, whose options struct has them as member. */
#define CLI_SETUP_OPTIONS(type, member)                                                                                \
    CLI_DATA_OPTIONS(type, member.data),                                                                               \
        {.name = "model",                                                                                              \
         .value = "NAME",                                                                                              \
         .initial = "mlp",                                                                                             \
         .doc = "the network",                                                                                         \
         .kind = CLI_CHOICE,                                                                                           \
         .offset = offsetof(type, member.model),                                                                       \
         .names = cli_model_names},                                                                                    \
        {.name = "hidden",                                                                                             \
         .value = "SIZES",                                                                                             \
         .initial = "512,256",                                                                                         \
         .doc = "sizes of the hidden layers, with commas between; or none",                                            \
         .kind = CLI_SIZES,                                                                                            \
         .offset = offsetof(type, member.hidden),                                                                      \
         .low = 1,                                                                                                     \
         .high = 1 << 20},                                                                                             \
        {.name = "activation",                                                                                         \
         .value = "NAME",                                                                                              \
         .initial = "relu",                                                                                            \
         .doc = "behind each hidden layer",                                                                            \
         .kind = CLI_CHOICE,                                                                                           \
         .offset = offsetof(type, member.activation),                                                                  \
         .names = cli_activation_names},                                                                               \
        CLI_PRECISION_OPTION(type, member.precision), {                                                                \
        .name = "threads", .value = "N", .initial = "0",                                                               \
        .doc = "0: from the environment or the machine, as `tread info` says", .kind = CLI_INTEGER,                    \
        .offset = offsetof(type, member.threads), .low = 0, .high = 1024                                               \
    }

extern const char *const cli_model_names[];
extern const char *const cli_precision_names[];  /* by tread_precision */
extern const char *const cli_activation_names[]; /* by tread_activation */
/* For an option's advice. */
const char *cli_precision_advice(const char *text);

typedef struct cli_setup {
    tread_context *context;
    cli_data data;
    tread_module *model;
    int64_t parameters;
    char description[512]; /* "mlp 784-512-256-10, relu" */
} cli_setup;

/* The context, which must have the precision, then the rest. Errors: the library's. What was made stays in setup
 * (zeroed before) for cli_setup_close.
 */
tread_status cli_setup_context(cli_setup *setup, const cli_setup_options *options);
tread_status cli_setup_open(cli_setup *setup, const cli_setup_options *options);
void cli_setup_close(cli_setup *setup);

/* The library's reason for the number of threads, in the words of the command line. */
const char *cli_threads_reason(const char *reason);

/* Batches of one of the sets. NULL: the library's errors. */
tread_batches *cli_setup_batches(const cli_setup *setup, const tread_dataset *dataset, int64_t batch_size,
                                 bool shuffle);

#endif
