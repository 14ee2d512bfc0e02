/* Layer: cli. The options of a subcommand as a table, from which come parsing, defaults, errors and help. */
#ifndef TREAD_CLI_OPTIONS_H
#define TREAD_CLI_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum cli_exit { CLI_DONE = 0, CLI_FAILED = 1, CLI_USAGE = 2 } cli_exit;

/* Hands a failure on; its sentence is the library's last error. */
#define CLI_TRY(condition)                                                                                             \
    do {                                                                                                               \
        if (!(condition))                                                                                              \
            return false;                                                                                              \
    } while (0)

#define CLI_MAX_SIZES 64
typedef struct cli_sizes {
    int64_t values[CLI_MAX_SIZES];
    size_t count;
} cli_sizes;

#define CLI_MAX_TEXTS 32
typedef struct cli_texts {
    const char *values[CLI_MAX_TEXTS];
    size_t count;
} cli_texts;

typedef enum cli_kind {
    CLI_SWITCH,  /* bool; takes no value */
    CLI_TEXT,    /* const char * */
    CLI_TEXTS,   /* cli_texts; may be given several times */
    CLI_FILE,    /* const char *: the name of a file; does not begin with a dash */
    CLI_INTEGER, /* int64_t in low..high */
    CLI_REAL,    /* double in low_real..high_real */
    CLI_SIZES,   /* cli_sizes: numbers in low..high with commas between, or "none" */
    CLI_COUNTS,  /* the same without "none" */
    CLI_CHOICE,  /* int: index of a name */
} cli_kind;

typedef struct cli_option {
    const char *name;    /* without the dashes */
    const char *value;   /* what help calls the value */
    const char *initial; /* the default as it would be typed; NULL: zero, or nothing */
    const char *doc;     /* may have several lines */
    cli_kind kind;
    size_t offset; /* into the subcommand's options */
    int64_t low, high;
    double low_real, high_real;
    const char *const *names;                /* CLI_CHOICE; NULL at the end */
    const char *(*advice)(const char *text); /* of a name that others use, " is ...", or NULL; may be NULL */
} cli_option;

/* A subcommand, for messages and help. */
typedef struct cli_command {
    const char *name;    /* "train" */
    const char *summary; /* one line, for the list of subcommands */
    const char *usage;   /* what stands behind the name */
    const char *doc;     /* paragraphs of its help, before the options; may be NULL */
    int (*run)(const struct cli_command *command, int argc, char **argv); /* a cli_exit; argv[0] is the name */
    size_t n_operands;     /* so many arguments may stand without a name: const char *, one behind the other */
    size_t operand_offset; /* of the first, into the subcommand's options */
    const cli_option *options;
    size_t n_options;
    void (*more_help)(void); /* what follows the options in help; may be NULL */
    /* "--help NAME": prints that entry of more_help alone; false if there is none, which is complained of. NULL where
     * more_help is. */
    bool (*help_on)(const struct cli_command *command, const char *name);
    bool only_shows; /* whoever reads the output may stop reading */
} cli_command;

/* Sets the defaults in ret_options (a zeroed struct), then what the arguments say. False where the subcommand is over:
 * *ret_exit is CLI_DONE after --help, and CLI_USAGE after a mistake, which is on standard error. */
bool cli_parse(const cli_command *command, int argc, char **argv, void *ret_options, int *ret_exit);

/* Both print to standard error "tread train: ..." and a hint at --help; the first gives CLI_USAGE, the second
 * CLI_FAILED. */
int cli_misuse(const cli_command *command, const char *format, ...) __attribute__((format(printf, 2, 3)));
int cli_fail(const cli_command *command, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
