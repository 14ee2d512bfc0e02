/* tread diff: what differs between two files. */
#include <inttypes.h>
#include <stdio.h>
#include <tread/checkpoint.h>
#include <tread/state_diff.h>

#include "cli/commands.h"
#include "cli/printable.h"
#include "cli/progress.h"

typedef struct diff_options {
    const char *paths[2];
    int64_t limit;
} diff_options;

static const cli_option options_table[] = {
    {.name = "limit",
     .value = "N",
     .initial = "20",
     .doc = "differences to print at most; 0: all",
     .kind = CLI_INTEGER,
     .offset = offsetof(diff_options, limit),
     .low = 0,
     .high = INT64_MAX},
};

enum { SAME = 0, DIFFERENT = 1, TROUBLE = 2 }; /* as diff(1) */

typedef struct output {
    int64_t limit, n;
} output;

static bool print(void *data, const tread_difference *difference) {
    output *out = data;
    char path[CLI_PRINTABLE], text[CLI_PRINTABLE];
    if (out->limit == 0 || out->n < out->limit)
        printf("%s: %s\n", cli_printable(path, difference->path), cli_printable(text, difference->text));
    out->n++;
    return true;
}

static bool compare_states(const diff_options *o, output *out) {
    tread_state *first = NULL, *second = NULL;
    bool good = tread_checkpoint_load(o->paths[0], &first) == TREAD_OK &&
                tread_checkpoint_load(o->paths[1], &second) == TREAD_OK &&
                tread_state_diff(first, second, print, out, NULL) == TREAD_OK;
    tread_state_destroy(first);
    tread_state_destroy(second);
    return good;
}

static bool compare(const diff_options *o, output *out) {
    tread_tensor_file *first = tread_tensor_file_open(o->paths[0]), *second = NULL;
    bool good = first != NULL && (second = tread_tensor_file_open(o->paths[1])) != NULL;
    bool states = good && tread_tensor_file_has_state(first) && tread_tensor_file_has_state(second);
    if (good && !states)
        good = tread_tensor_file_diff(first, second, print, out, NULL) == TREAD_OK;
    tread_tensor_file_close(first);
    tread_tensor_file_close(second);
    return states ? compare_states(o, out) : good;
}

static int run_diff(const cli_command *command, int argc, char **argv) {
    diff_options o = {.limit = 0};
    output out = {.n = 0};
    int code;
    if (!cli_parse(command, argc, argv, &o, &code))
        return code;
    if (o.paths[1] == NULL)
        return cli_misuse(command, "two files are compared, %s is given", o.paths[0] == NULL ? "none" : "one");
    out.limit = o.limit;
    bool good = compare(&o, &out);
    if (good && out.limit > 0 && out.n > out.limit)
        printf("and %" PRId64 " more\n", out.n - out.limit);
    if (!good || !cli_flush_output()) {
        cli_fail(command, "%s", tread_last_error());
        return TROUBLE;
    }
    return out.n == 0 ? SAME : DIFFERENT;
}

const cli_command cli_diff = {
    .name = "diff",
    .summary = "Compares two checkpoints, files of weights or other safetensors files, bit for bit.",
    .usage = "FILE FILE [options]",
    .doc =
        "Prints a line for each difference: its place, and what the first file has and not the second; for a tensor\n"
        "the first element that differs, and how many do. Two checkpoints are compared whole, other files by their\n"
        "tensors. Exit codes are those of diff(1): 0 the same, 1 different, 2 trouble.",
    .run = run_diff,
    .only_shows = true,
    .n_operands = 2,
    .operand_offset = offsetof(diff_options, paths),
    .options = options_table,
    .n_options = sizeof options_table / sizeof *options_table,
};
